"""What an open page may hear: a signed token for the hub, made anew every ten minutes at the latest."""

import re

from flask import Blueprint, Response, abort, current_app, json, request

from portal import access, clock, events
from portal.accounts.rules import Viewpoint
from portal.catalogue.queries import services_held
from portal.domains.queries import is_admitted
from portal.domains.rules import Area
from portal.files import subjects
from portal.headers import live_origin, page_origin
from portal.kept import LOOK_EVERY
from portal.live import MAX_TOPICS, TOKEN_LIFE, sign_token
from portal.services.queries.settings import view_of
from portal.usage import sources

blueprint = Blueprint("public_live", __name__)
access.anyone(blueprint)

SPREAD = 300
"""Milliseconds over which pages spread their requests after a bell, so that a thousand do not come at once."""

AFTER_LOOK = int(LOOK_EVERY * 1000) + 50
"""Milliseconds a signed-out page waits after a bell: by then every process has looked for a new version of its copy."""

MOST_WANTED = 10
"""Topics a page may ask for beside those its viewer hears anyway."""

_BY_ITEM = re.compile(r"(?:broadcast|import):[1-9]\d{0,18}")
_OF_CUSTOMER = re.compile(r"item:[a-z_]{1,24}:[A-Za-z0-9-]{1,40}")


@blueprint.get("/live-token")
def live_token() -> Response:
    """The stream's address for this viewer: JSON with `url`, `renew` (seconds), `wait` and `spread` (ms) and `poll`.

    After a bell the page waits for `wait` and then for a random part of `spread`.
    `poll` is true where there are more topics than a token holds, so that the page polls for the rest.
    """
    topics = _topics()
    if not topics:
        abort(404)
    viewer = access.viewer()
    settings = current_app.config["SETTINGS"]
    token = sign_token(
        settings,
        topics,
        origin=page_origin(settings, request.host),
        ends=events.session_topic(viewer.token_hash) if viewer else "",
        now=clock.utcnow().timestamp(),
    )
    answer = {
        "url": f"{live_origin(settings, request.host)}/live?token={token}",
        "renew": TOKEN_LIFE,
        "wait": AFTER_LOOK if viewer is None else 0,
        "spread": SPREAD,
        "poll": len(topics) > MAX_TOPICS,
    }
    return Response(json.dumps(answer), mimetype="application/json", headers={"Cache-Control": "no-store"})


def _topics() -> list[str]:
    """The topics of this viewpoint, the most general first."""
    viewpoint = access.viewpoint()
    if viewpoint.is_staff:
        wanted = [topic for topic in request.args.getlist("topic") if _BY_ITEM.fullmatch(topic)]
        return [events.STAFF, *dict.fromkeys(wanted[:MOST_WANTED])]
    domain, areas = access.portal(), access.areas()
    everybody = [events.public_topic(domain.id)]
    is_ours = viewpoint.company_id is not None and is_admitted(viewpoint.company_id, domain.id)
    items = _items(viewpoint, areas) if is_ours else []
    if viewpoint.company_id is None or not is_ours:
        return everybody if Area.PUBLIC_STATUS in areas else []
    own = [events.company_topic(viewpoint.company_id)]
    if {Area.STATUS, Area.SERVICES} & areas:
        held = {each.service_id for each in services_held(viewpoint.company_id, clock.utcnow())}
        held -= view_of(domain.id, viewpoint.company_id).hidden_services
        return everybody + own + items + [events.service_topic(service_id) for service_id in sorted(held)]
    return (
        (everybody if Area.PUBLIC_STATUS in areas else [])
        + (own if {Area.JOBS, Area.QUOTES, Area.ALERTS} & areas else [])
        + items
    )


def _items(viewpoint: Viewpoint, areas: frozenset[Area]) -> list[str]:
    """Those of the topics the page asks for that are about something its viewer may see."""
    asked = [topic for topic in request.args.getlist("topic") if _OF_CUSTOMER.fullmatch(topic)]
    wanted = list(dict.fromkeys(asked))[:MOST_WANTED]
    figures = sources.topic(viewpoint.company_id) if viewpoint.company_id and Area.ALERTS in areas else None
    return [topic for topic in wanted if topic == figures or subjects.may_hear(viewpoint, topic, areas)]
