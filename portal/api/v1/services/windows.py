"""`/api/v1/service-windows`: scheduled service, from its announcement until its end."""

from collections.abc import Sequence
from datetime import datetime
from secrets import token_hex
from typing import Any

from marshmallow import fields

from portal import access, clock
from portal.accounts.rules.tokens import Resource
from portal.api.v1.fields import InAddress, Moment, Switch, SwitchInAddress, Text, Word
from portal.api.v1.operations import Answer, Resources, wanted
from portal.api.v1.requests import expected_version
from portal.api.v1.schemas import ListQuery, Shape, sorted_by
from portal.api.v1.services.views import view
from portal.domains.rules import Area
from portal.errors import NotFound
from portal.keyset import Piece
from portal.services import actions
from portal.services.models import ServiceWindow
from portal.services.queries.acts import reached_by_windows
from portal.services.queries.listings import WINDOW_ORDERS, inside, window, windows
from portal.services.rules import NOTES_LENGTH, OVER, WindowState

blueprint = Resources(
    Resource.SERVICE_WINDOWS,
    Area.SERVICES,
    about=(
        "Scheduled service, from its announcement until its end; found by its public id, for staff by its number too. "
        "A window is announced by stating `scheduled_service` of holdings. A company’s token sees those of its own."
    ),
)

WINDOW = "/<string(maxlength=40):window_id>"
STAFF_ONLY = {"description": "Not for a company’s token."}


class ServiceWindowShape(Shape):
    id = fields.Integer(metadata=STAFF_ONLY)
    public_id = fields.String(required=True)
    state = Word(WindowState, required=True, metadata={"description": "By the clock, unless moved by hand."})
    notes = fields.String(required=True, metadata={"description": "Markdown."})
    ticket = fields.String(required=True)
    starts_at = Moment(required=True)
    ends_at = Moment(required=True, allow_none=True, metadata={"description": "Null where end times are not shown."})
    zone = fields.String(required=True, metadata={"description": "The time zone it was planned in."})
    sequence = fields.Integer(required=True, metadata={"description": "How often calendars were told of a change."})
    announced_at = Moment(required=True)
    holding_ids = fields.List(
        fields.Integer(), metadata={"description": "Only for a company’s token: those of its holdings that are in it."}
    )
    holdings = fields.Integer(metadata=STAFF_ONLY)
    companies = fields.Integer(metadata=STAFF_ONLY)
    confirmed_at = Moment(allow_none=True, metadata={"description": "When the work was said to be done. Staff only."})
    version = fields.Integer(metadata=STAFF_ONLY)


class WindowQuery(ListQuery):
    open = SwitchInAddress(metadata={"description": "Only what is ahead or under way, or only what is over."})
    service_id = InAddress(metadata={"description": "With holdings of this service."})
    company_id = InAddress(metadata={"description": "With holdings of this company."})
    holding_id = InAddress(metadata={"description": "With this holding."})
    sort = sorted_by(WINDOW_ORDERS)


class WindowRemark(Shape):
    """What is said of an act on a window."""

    notes = Text(most=NOTES_LENGTH, load_default="", metadata={"description": "Markdown, for customers."})
    notify = Switch(load_default=True, metadata={"description": "Tell customers by mail."})


class NewWindowTimes(WindowRemark):
    """Other times for a window; notes replace those it has."""

    starts_at = Moment(required=True)
    ends_at = Moment(required=True)
    zone = Text(most=64, metadata={"description": "As it is, if left out.", "example": "Europe/London"})


@blueprint.lists("", WindowQuery, ServiceWindowShape, summary="List windows of scheduled service")
def list_service_windows(query: dict[str, Any]) -> Piece[Any]:
    now = clock.utcnow()
    found = windows(
        wanted(query, WINDOW_ORDERS),
        access.viewpoint(),
        view(),
        now,
        is_open=query.get("open"),
        **{name: query.get(name) for name in ("service_id", "company_id", "holding_id")},
    )
    return Piece(_shown(found.items, now), found.next)


@blueprint.reads(WINDOW, ServiceWindowShape, summary="Read a window of scheduled service")
def read_service_window(window_id: str) -> Answer:
    return Answer(_one(_window(window_id)))


@blueprint.does(f"{WINDOW}/move", ServiceWindowShape, body=NewWindowTimes, summary="Give a window other times")
def move_service_window(window_id: str, body: dict[str, Any]) -> Answer:
    """One under way keeps its start; one that ended goes on, if nobody has said it is finished."""
    found, now = _window(window_id), clock.utcnow()
    actions.move_window(
        found,
        body["starts_at"],
        body["ends_at"],
        body.get("zone") or found.zone,
        body["notes"],
        notify=body["notify"],
        version=expected_version(found.version),
        by=access.actor(),
        now=now,
        idempotency_key=_key(),
    )
    return Answer(_one(found))


@blueprint.does(f"{WINDOW}/cancel", ServiceWindowShape, body=WindowRemark, summary="Call a window off")
def cancel_service_window(window_id: str, body: dict[str, Any]) -> Answer:
    found = _window(window_id)
    actions.cancel_window(
        found,
        body["notes"],
        notify=body["notify"],
        version=expected_version(found.version),
        by=access.actor(),
        now=clock.utcnow(),
        idempotency_key=_key(),
    )
    return Answer(_one(found))


@blueprint.does(f"{WINDOW}/finish", ServiceWindowShape, body=WindowRemark, summary="Say that a window’s work is done")
def finish_service_window(window_id: str, body: dict[str, Any]) -> Answer:
    """One under way ends now; one that has ended by itself is confirmed, which tells nobody anything new."""
    found = _window(window_id)
    actions.finish_window(
        found,
        body["notes"],
        notify=body["notify"],
        version=expected_version(found.version),
        by=access.actor(),
        now=clock.utcnow(),
        idempotency_key=_key(),
    )
    return Answer(_one(found))


def _key() -> str:
    return f"api:{token_hex(16)}"


def _window(name: str) -> ServiceWindow:
    found = window(access.viewpoint(), view(), name, clock.utcnow())
    if found is None:
        raise NotFound
    return found


def _one(found: ServiceWindow) -> dict[str, Any]:
    return _shown([found], clock.utcnow())[0]


def _shown(found: Sequence[ServiceWindow], now: datetime) -> list[dict[str, Any]]:
    viewpoint, seen = access.viewpoint(), view()
    ids = [each.id for each in found]
    reached = reached_by_windows(ids) if viewpoint.is_staff and ids else {}
    own = {} if viewpoint.is_staff else inside(ids, viewpoint, seen)
    lines = []
    for each in found:
        line = {
            "public_id": each.public_id,
            "state": _state(each, now),
            "notes": each.notes if seen.shows_notes else "",
            "ticket": each.ticket if seen.shows_tickets else "",
            "starts_at": each.starts_at,
            "ends_at": each.ends_at if seen.shows_end_times else None,
            "zone": each.zone,
            "sequence": each.sequence,
            "announced_at": each.announced_at,
        }
        if viewpoint.is_staff:
            line |= {name: getattr(each, name) for name in ("id", "confirmed_at", "version")}
            on = reached.get(each.id)
            line |= {"holdings": on.holdings if on else 0, "companies": on.companies if on else 0}
        else:
            line["holding_ids"] = own.get(each.id, [])
        lines.append(line)
    return lines


def _state(found: ServiceWindow, now: datetime) -> WindowState:
    """How far it has come by the clock, whatever a scheduler has done of it."""
    if found.state in OVER:
        return found.state
    if found.ends_at <= now:
        return WindowState.ENDED
    return WindowState.STARTED if found.starts_at <= now else WindowState.ANNOUNCED
