"""`/api/v1/service-updates`: what staff state of services, for one holding, some, or everybody who holds one."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from secrets import token_hex
from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from portal import access, clock
from portal.accounts.rules.tokens import Resource
from portal.api.v1.fields import Id, InAddress, Moment, Switch, Text, Word, ids
from portal.api.v1.operations import Answer, Resources, wanted
from portal.api.v1.schemas import ListQuery, Shape, sorted_by
from portal.api.v1.services.views import view
from portal.catalogue.queries.lists import service_by_id
from portal.domains.queries import all_domains
from portal.domains.rules import Area
from portal.errors import NotFound, RuleViolation
from portal.keyset import Piece
from portal.services import actions
from portal.services.models import ServiceUpdate
from portal.services.queries import undoable
from portal.services.queries.choosing import Choice, Chosen, holdings_chosen
from portal.services.queries.listings import UPDATE_ORDERS, causes_of, public_ids_of, targets_of, update, updates
from portal.services.rules import NOTES_LENGTH, TICKET_LENGTH, Scope, ServiceStatus, UpdateKind, Wanted

blueprint = Resources(
    Resource.SERVICE_UPDATES,
    Area.SERVICES,
    about=(
        "What staff state of services. Each update is one act: a status with its notes for one holding, some, or "
        "everybody who holds a service, told by mail once. A company’s token sees what was said of its own holdings."
    ),
)

UPDATE = f"/<int(max={2**31 - 1}):service_update_id>"
STAFF_ONLY = {"description": "Not for a company’s token."}
NUMBERS_AT_MOST = 20_000
UNKNOWN_NAMED = 20
ZONE = "Europe/London"


class ServiceUpdateShape(Shape):
    id = fields.Integer(required=True)
    kind = Word(
        UpdateKind,
        required=True,
        metadata={"description": "`stated` of a status that was set; the others are of a window, by hand or clock."},
    )
    status = Word(ServiceStatus, required=True)
    notes = fields.String(required=True, metadata={"description": "Markdown."})
    ticket = fields.String(required=True)
    began_at = Moment(required=True)
    starts_at = Moment(required=True, allow_none=True, metadata={"description": "Of scheduled service."})
    ends_at = Moment(
        required=True, allow_none=True, metadata={"description": "Of scheduled service; of a problem an estimate."}
    )
    window_id = fields.String(required=True, allow_none=True, metadata={"description": "The window it was of."})
    incident_public_id = fields.String(required=True, allow_none=True)
    created_at = Moment(required=True)
    holding_ids = fields.List(
        fields.Integer(), metadata={"description": "Only for a company’s token: those of its holdings it was for."}
    )
    scope = Word(Scope, metadata=STAFF_ONLY)
    holdings = fields.Integer(metadata=STAFF_ONLY)
    companies = fields.Integer(metadata=STAFF_ONLY)
    notify = fields.Boolean(metadata=STAFF_ONLY)
    is_late = fields.Boolean(metadata=STAFF_ONLY)
    undone_at = Moment(allow_none=True, metadata=STAFF_ONLY)
    undoable = fields.Boolean(
        metadata={"description": "Whether it can be taken back now. Not in lists, and not for a company’s token."}
    )


class UpdateQuery(ListQuery):
    status = Word(ServiceStatus)
    service_id = InAddress(metadata={"description": "Of holdings of this service."})
    company_id = InAddress(metadata={"description": "Of holdings of this company."})
    holding_id = InAddress(metadata={"description": "Of this holding."})
    since = Moment(metadata={"description": "Made at this moment or later."})
    until = Moment(metadata={"description": "Made before this moment."})
    sort = sorted_by(UPDATE_ORDERS)


class StatusToSet(Shape):
    """What is stated."""

    status = Word(ServiceStatus, required=True)
    notes = Text(
        most=NOTES_LENGTH,
        load_default="",
        metadata={"description": "Markdown, for customers.", "example": "We have found the cause."},
    )
    starts_at = Moment(allow_none=True, load_default=None, metadata={"description": "Of scheduled service: required."})
    ends_at = Moment(
        allow_none=True,
        load_default=None,
        metadata={"description": "Of scheduled service: required. Of a problem: when it is estimated to be over."},
    )
    zone = Text(
        most=64,
        load_default=ZONE,
        metadata={"description": "The time zone people plan the window in.", "example": ZONE},
    )
    ticket = Text(most=TICKET_LENGTH, load_default="")
    began_at = Moment(
        allow_none=True, load_default=None, metadata={"description": "When a problem began, or was over; now if null."}
    )
    notify = Switch(load_default=True, metadata={"description": "Tell customers by mail."})


class StatusOfService(StatusToSet):
    """What is stated, and of whom among those who hold a service."""

    everyone = Switch(load_default=False, metadata={"description": "Everybody who holds the service."})
    holding_ids = ids(metadata={"description": "Just these holdings."})
    account_numbers = fields.List(
        Text(least=1, most=120),
        validate=validate.Length(1, NUMBERS_AT_MOST),
        metadata={"description": "References of holdings, or of companies in your other system; all must be known."},
    )
    q = Text(most=200, metadata={"description": "Those whose company’s name or whose reference holds this."})
    portal_id = Id(metadata={"description": "Those whose company has its home on this portal domain."})

    @validates_schema
    def one_way(self, data: Mapping[str, Any], **_rest: Any) -> None:
        """Everybody is chosen by name only, and nobody by leaving everything out."""
        narrowed = any(data.get(name) for name in ("account_numbers", "q", "portal_id"))
        if [bool(data.get("everyone")), bool(data.get("holding_ids")), narrowed].count(True) != 1:
            sentence = "Name who is meant: everyone, or holding_ids, or account_numbers, q and portal_id."
            raise ValidationError(sentence, "everyone")


class NewServiceUpdate(StatusOfService):
    """The same, with the service; without one the holdings are named."""

    service_id = Id(metadata={"description": "The service; needed for all but holding_ids."})

    @validates_schema
    def of_a_service(self, data: Mapping[str, Any], **_rest: Any) -> None:
        """Only holdings that are named by themselves need no service."""
        if not data.get("service_id") and not data.get("holding_ids"):
            raise ValidationError("Name the service.", "service_id")


@blueprint.lists("", UpdateQuery, ServiceUpdateShape, summary="List updates of service statuses")
def list_service_updates(query: dict[str, Any]) -> Piece[Any]:
    """Newest first. What was undone stays in it, for staff, and is marked."""
    found = updates(
        wanted(query, UPDATE_ORDERS),
        access.viewpoint(),
        view(),
        **{name: query.get(name) for name in ("status", "service_id", "company_id", "holding_id", "since", "until")},
    )
    return Piece(shown(found.items), found.next)


@blueprint.makes("", NewServiceUpdate, ServiceUpdateShape, summary="State how a service is")
def add_service_update(body: dict[str, Any]) -> Answer:
    """All of the holdings or none; scheduled service announces a window and leaves problems as they are."""
    return made(body.get("service_id"), body)


@blueprint.reads(UPDATE, ServiceUpdateShape, summary="Read an update of a service status")
def read_service_update(service_update_id: int) -> Answer:
    return Answer(_one(_update(service_update_id)))


@blueprint.does(f"{UPDATE}/undo", ServiceUpdateShape, summary="Take an update back", of_version=False)
def undo_service_update(service_update_id: int) -> Answer:
    """Within ten minutes, as long as nobody has heard of it: its mails are called off, all is as it was before."""
    found = _update(service_update_id)
    actions.undo(found, by=access.actor(), now=clock.utcnow())
    return Answer(_one(found))


def made(service_id: int | None, body: Mapping[str, Any]) -> Answer:
    """State what the body says, of those it names among the holders of the service."""
    now = clock.utcnow()
    if service_id is not None and service_by_id(service_id) is None:
        raise RuleViolation("There is no such service.", "service_id")
    named = body.get("holding_ids")
    if named:
        holding_ids: Sequence[int] = named
        if service_id is not None and set(named) - set(_chosen(service_id, Choice(is_all=True), now).holding_ids):
            raise RuleViolation("One of these holdings is not of this service, or over.", "holding_ids")
    else:
        choice = Choice(
            is_all=body["everyone"],
            text=body.get("q", ""),
            domain_id=body.get("portal_id"),
            numbers=tuple(dict.fromkeys(body["account_numbers"])) if body.get("account_numbers") else None,
        )
        found = _chosen(service_id or 0, choice, now)
        if found.unknown:
            said = ", ".join(found.unknown[:UNKNOWN_NAMED])
            raise RuleViolation(f"Nobody who holds the service goes by: {said}.", "account_numbers")
        holding_ids = found.holding_ids
    return stated(holding_ids, body, scope=_scope(body, holding_ids), chosen=_said(body))


def stated(
    holding_ids: Sequence[int], body: Mapping[str, Any], *, scope: Scope, chosen: Mapping[str, Any] | None = None
) -> Answer:
    """State what the body says of these holdings."""
    said = Wanted(
        **{
            name: body[name]
            for name in ("status", "notes", "starts_at", "ends_at", "zone", "ticket", "began_at", "notify")
        }
    )
    try:
        update_made = actions.set_status(
            holding_ids,
            said,
            scope=scope,
            chosen=chosen or {},
            by=access.actor(),
            author_id=None,
            now=clock.utcnow(),
            idempotency_key=f"api:{token_hex(16)}",
        )
    except RuleViolation as violation:
        field = None if violation.field == "holdings" else violation.field
        raise RuleViolation(violation.sentence, field) from None
    return Answer(_one(update_made), f"/service-updates/{update_made.id}")


def _chosen(service_id: int, choice: Choice, now: datetime) -> Chosen:
    return holdings_chosen(service_id, choice, now)


def _scope(body: Mapping[str, Any], holding_ids: Sequence[int]) -> Scope:
    if body["everyone"]:
        return Scope.ALL
    return Scope.ONE if len(set(holding_ids)) == 1 else Scope.CHOSEN


def _said(body: Mapping[str, Any]) -> dict[str, object]:
    """How they were chosen, as the page of the update says it."""
    if body["everyone"]:
        return {"everybody": True}
    domain = next((each.brand for each in all_domains() if each.id == body.get("portal_id")), "")
    said = {"text": body.get("q", ""), "portal": domain, "numbers": len(body.get("account_numbers") or ())}
    return {name: value for name, value in said.items() if value}


def _update(update_id: int) -> ServiceUpdate:
    found = update(access.viewpoint(), view(), update_id)
    if found is None:
        raise NotFound
    return found


def _one(found: ServiceUpdate) -> dict[str, Any]:
    line = shown([found])[0]
    return line | {"undoable": undoable(found, clock.utcnow())} if access.viewpoint().is_staff else line


def shown(found: Sequence[ServiceUpdate]) -> list[dict[str, Any]]:
    """Updates as whoever asks may see them."""
    viewpoint, seen, now = access.viewpoint(), view(), clock.utcnow()
    windows, incidents = public_ids_of(found), causes_of(found, viewpoint, now)
    if not viewpoint.is_staff and Area.STATUS not in access.company_areas():
        incidents = {}
    own = {} if viewpoint.is_staff else targets_of([each.id for each in found], viewpoint, seen)
    names = ("id", "kind", "status", "began_at", "starts_at", "created_at")
    lines = []
    for each in found:
        line = {name: getattr(each, name) for name in names} | {
            "notes": each.notes if seen.shows_notes else "",
            "ticket": each.ticket if seen.shows_tickets else "",
            "ends_at": each.ends_at if seen.shows_end_times else None,
            "window_id": windows.get(each.window_id or 0),
            "incident_public_id": incidents.get(each.incident_id or 0),
        }
        if viewpoint.is_staff:
            staff = ("scope", "holdings", "companies", "notify", "is_late", "undone_at")
            line |= {name: getattr(each, name) for name in staff}
        else:
            line["holding_ids"] = own.get(each.id, [])
        lines.append(line)
    return lines
