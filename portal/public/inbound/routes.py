"""`POST /inbound/bounces`: where a mail server hands over what came back, instead of putting it into a mailbox.

The body is the report as it came (`message/rfc822`); its headers are those of Standard Webhooks, signed with
PORTAL_BOUNCE_HTTP_SECRET. Without that setting, and on the hosts of customers, there is nothing here.
"""

import time

from flask import Blueprint, Response, abort, current_app, g, jsonify, make_response, request

from portal import access, clock, events
from portal.config import Settings
from portal.errors import answer
from portal.extensions import csrf
from portal.limits import Limiter
from portal.notifications.bounces import actions
from portal.notifications.bounces.rules import CameBy
from portal.notifications.bounces.signatures import Forged, Malformed, verify

blueprint = Blueprint("public_inbound", __name__, url_prefix="/inbound")
access.machines(blueprint)

MOST_PER_MINUTE = 1200
"""Reports one address may hand over in a minute: more than an outage brings back, and what a flood ends at."""

NO_REPORT = "The body must be the report as it came, as message/rfc822."


@blueprint.post("/bounces")
@csrf.exempt  # type: ignore[untyped-decorator]  # the signature is what entitles; a mail server has no cookie
def take_bounce() -> Response:
    """Take one report; the answer says what was made of it. Sent again, it is told the same and nothing more is done.

    400 for what is no such request, 401 unsigned or too old, 413 too large, 429 too many, 503 while its mail is still
    being sent.
    """
    settings: Settings = current_app.config["SETTINGS"]
    if not settings.bounce_http_secrets or not g.on_staff_host:
        abort(404)
    limiter: Limiter = current_app.extensions["limiter"]
    allowance = limiter.take(f"inbound:{request.remote_addr}", MOST_PER_MINUTE, time.time())
    if allowance.is_over:
        return answer(429, headers={"Retry-After": str(allowance.reset)})
    try:
        body = _signed_report(settings)
    except Malformed as why:
        return answer(400, detail=str(why))
    except Forged as why:
        return answer(401, detail=str(why))
    try:
        outcome = actions.take(body, CameBy.HTTP, now=clock.utcnow())
    except actions.InHandError:
        return answer(503, headers={"Retry-After": "30"})
    events.commit()
    response = make_response(jsonify({"outcome": outcome.value}))
    response.headers["Cache-Control"] = "no-store"
    return response


def _signed_report(settings: Settings) -> bytes:
    """The report of this request; Malformed where it is none, Forged where we do not know who sends it."""
    if request.mimetype != "message/rfc822":
        raise Malformed(NO_REPORT)
    body = request.get_data(cache=False)
    headers = {name.lower(): value for name, value in request.headers.items()}
    verify(settings.bounce_http_secrets, headers, body, clock.utcnow())
    if not body.strip():
        raise Malformed(NO_REPORT)
    return body
