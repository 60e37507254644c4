"""`POST /api/v2/subscribers.json`: signing up in the shape of Statuspage, from any site, by e-mail or as a webhook.

It does what the page does: the address is asked first, by a letter or a challenge, and the answer is the same whether
it is known or not. So the id in it stands for this answer alone; whoever is subscribed changes and ends that by the
link they are sent, never by a number. Telephones are not told. With an `incident_id` it is about that incident alone.
"""

import json
import secrets
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, g, make_response, request

from portal import access, clock, events
from portal.api.v2.shapes import page_of, time_of
from portal.audit.rules import Actor
from portal.catalogue.queries import live_components
from portal.catalogue.rules import component_topic
from portal.domains.rules import Area
from portal.errors import RuleViolation
from portal.extensions import csrf
from portal.incidents.queries.conversations import Followable, followable
from portal.notifications.kinds import usual_for_subscribers
from portal.notifications.subscribers import actions, rooms
from portal.notifications.subscribers.rules import SubscriberKind, SubscriberSource

blueprint = Blueprint("api_v2_subscribers", __name__, url_prefix="/api/v2")
access.everybody(blueprint, Area.PUBLIC_STATUS)

CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type",
    "Access-Control-Max-Age": "86400",
    "Cross-Origin-Resource-Policy": "cross-origin",
}

MOST_BYTES = 20_000


@blueprint.post("/subscribers.json")
@csrf.exempt  # type: ignore[untyped-decorator]  # no cookie is read: nothing is done in anybody's name
def subscribe() -> Response:
    """Ask an address whether it is to be told: 201 whoever it is, 422 with what is wrong, 429 too often."""
    wanted, now = _wanted(), clock.utcnow()
    endpoint = _text(wanted, "endpoint")
    try:
        about = _about(wanted, now)
        topics = [] if about else actions.checked_topics(_topics(wanted))
        if endpoint:
            wait = _machine(endpoint, topics, about, now)
        else:
            wait = _address(_text(wanted, "email"), topics, about, now)
    except RuleViolation as violation:
        events.rollback()
        return _answer(HTTPStatus.UNPROCESSABLE_ENTITY, {"error": [violation.sentence]})
    if wait:
        response = _answer(HTTPStatus.TOO_MANY_REQUESTS, {"error": [access.wait_sentence(wait)]})
        response.headers["Retry-After"] = str(wait)
        return response
    return _answer(HTTPStatus.CREATED, _told(wanted, endpoint, now))


def _address(typed: str, topics: list[str], about: Followable | None, now: datetime) -> int:
    domain = access.portal()
    address = actions.checked_address(typed)
    if wait := actions.take_letter(domain.id, address, ip=request.remote_addr, now=now):
        return wait
    same: dict[str, Any] = {"language": domain.language, "source": SubscriberSource.API, "by": _by(), "now": now}
    if about:
        actions.sign_up_to_follow(domain.id, address, about.conversation, about.title, **same)
    else:
        actions.sign_up(domain.id, address, topics, **same)
    events.commit()
    return 0


def _machine(endpoint: str, topics: list[str], about: Followable | None, now: datetime) -> int:
    domain, kind = access.portal(), SubscriberKind.WEBHOOK
    rooms.room_at(domain.id, kind, endpoint)
    if wait := actions.take_challenge(domain.id, kind, endpoint, ip=request.remote_addr, now=now):
        return wait
    found = actions.sign_up_room(
        domain.id, kind, endpoint, topics, language=domain.language, source=SubscriberSource.API, by=_by(), now=now
    )
    parcel = rooms.challenge(found, now, about.conversation, about.title) if about else rooms.challenge(found, now)
    # It is asked once that is stored, and while no transaction is open.
    events.commit()
    if parcel is not None:
        rooms.ask(parcel, now)
    return 0


def _wanted() -> Mapping[str, Any]:
    """What stands under "subscriber", in JSON or as the fields of a form; nothing where it is neither."""
    if (request.content_length or 0) > MOST_BYTES:
        return {}
    if request.is_json:
        found = request.get_json(silent=True)
        inner = found.get("subscriber") if isinstance(found, dict) else None
        return inner if isinstance(inner, dict) else {}
    form = request.form
    fields: dict[str, Any] = {
        name: form.get(f"subscriber[{name}]", "") for name in ("email", "endpoint", "incident_id")
    }
    fields["component_ids"] = form.getlist("subscriber[component_ids][]")
    return fields


def _text(wanted: Mapping[str, Any], name: str) -> str:
    value = wanted.get(name)
    if not isinstance(value, str) or "\x00" in value or any("\ud800" <= each <= "\udfff" for each in value):
        # JSON can name halves of characters, which nothing can store or send.
        return ""
    return value[:1000]


def _about(wanted: Mapping[str, Any], now: datetime) -> Followable | None:
    """The one incident that is asked for. RuleViolation, the same for what is missing, over, or not for everybody."""
    if not wanted.get("incident_id"):
        return None
    found = followable(_text(wanted, "incident_id"), now)
    if found is None:
        raise RuleViolation("There is no such incident.")
    return found


def _topics(wanted: Mapping[str, Any]) -> list[str]:
    """Every kind there is, of the components that are named by their public ids, else of all.

    RuleViolation where one is named that is not there.
    """
    named = wanted.get("component_ids") or []
    known = {each.public_id: component_topic(each.id) for each in live_components()} if named else {}
    if not isinstance(named, list) or not all(isinstance(each, str) and each in known for each in named):
        raise RuleViolation("There is no such component.")
    return [*usual_for_subscribers(), *(known[each] for each in named)]


def _told(wanted: Mapping[str, Any], endpoint: str, now: datetime) -> dict[str, Any]:
    domain = access.portal()
    return {
        "page": page_of(domain, None),
        "subscriber": {
            "id": secrets.token_hex(6),
            "mode": "webhook" if endpoint else "email",
            "email": _text(wanted, "email") or None,
            "endpoint": endpoint or None,
            "created_at": time_of(now),
            "quarantined_at": None,
            "purge_at": None,
            "skip_confirmation_notification": False,
        },
    }


def _by() -> Actor:
    return Actor("subscriber", ip=request.remote_addr, request_id=g.request_id)


def _answer(status: HTTPStatus, told: Mapping[str, Any]) -> Response:
    response = make_response(json.dumps(told, ensure_ascii=False, separators=(",", ":")), status)
    response.content_type = "application/json; charset=utf-8"
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.after_request
def _let_other_sites_ask(response: Response) -> Response:
    """What is refused because the area is closed must look as what never was."""
    if response.status_code != HTTPStatus.NOT_FOUND:
        response.headers.extend(CORS)
    return response
