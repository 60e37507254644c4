"""`POST /inbound/monitors/<key>`: where external monitors say what they see.

Answers on the host of staff only. The key stands in the address, because Uptime Kuma and Grafana know no other place
for it that they do not show; or in `Authorization: Bearer`, where a monitor can send that. A mail server may hand over
mails to a monitor of the kind “e-mail” as they came, as message/rfc822.
"""

import time
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, abort, current_app, g, jsonify, make_response, request

from portal import access, clock, events
from portal.errors import RuleViolation, answer
from portal.extensions import csrf
from portal.incidents.actions import monitors as actions
from portal.incidents.actions.mail_in import take_mail
from portal.incidents.models import Monitor
from portal.incidents.queries.monitors import monitor_with_key
from portal.incidents.rules.monitors import NotUnderstoodError, Shape, read
from portal.limits import Limiter

blueprint = Blueprint("public_monitors", __name__, url_prefix="/inbound/monitors")
access.machines(blueprint)

MOST_PER_MINUTE = 120
"""Messages of one monitor in a minute: more than one with sensible grouping sends while everything burns."""

TRIES_PER_MINUTE = 30
"""Requests with a wrong key from one address in a minute."""

LONGEST_BODY = 512 * 1024


@blueprint.post("", defaults={"key": ""})
@blueprint.post("/<key>")
@csrf.exempt  # type: ignore[untyped-decorator]  # the key is what entitles; a monitor has no cookie
def take_signals(key: str) -> Response:
    """Take what a monitor says: 202 and what came of it. The same message again opens nothing a second time.

    404 for a key nobody has, 413 too large, 422 with the reason for what is not understood, 429 too many.
    """
    if not g.on_staff_host:
        abort(404)
    limiter: Limiter = current_app.extensions["limiter"]
    authorization = request.authorization
    if not key and authorization is not None and authorization.type == "bearer":
        key = authorization.token or ""
    monitor = monitor_with_key(key) if key else None
    who, most = (
        (f"monitor:{monitor.id}", MOST_PER_MINUTE) if monitor else (f"key:{request.remote_addr}", TRIES_PER_MINUTE)
    )
    allowance = limiter.take(f"inbound-{who}", most, time.time())
    if allowance.is_over:
        return answer(429, headers={"Retry-After": str(allowance.reset)})
    if monitor is None:
        abort(404)
    if (request.content_length or 0) > LONGEST_BODY:
        return answer(413)
    monitor_id, now = monitor.id, clock.utcnow()
    try:
        outcome = _taken(monitor, now)
    except (NotUnderstoodError, RuleViolation) as why:
        events.rollback()
        reason = why.sentence if isinstance(why, RuleViolation) else str(why)
        actions.note_heard(monitor_id, reason[:300], now)
        events.commit()
        return answer(422, detail=reason)
    events.commit()
    response = make_response(jsonify(outcome), 202)
    response.headers["Cache-Control"] = "no-store"
    return response


def _taken(monitor: Monitor, now: datetime) -> dict[str, Any]:
    """What came of the body of this request. Raises NotUnderstoodError and RuleViolation."""
    if monitor.shape is Shape.MAIL and request.mimetype == "message/rfc822":
        return {"outcome": take_mail(monitor, request.get_data(cache=False), now=now)}
    heard = actions.hear(monitor.id, read(monitor.shape, request.get_json(force=True, silent=True)), now=now)
    return {"opened": heard.opened, "folded": heard.folded, "over": heard.over}
