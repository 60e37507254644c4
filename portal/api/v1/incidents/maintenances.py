"""`/api/v1/maintenances`: planned work with its windows, planned, moved and gone on with."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Any

from marshmallow import fields, validate

from portal import access, clock
from portal.accounts.rules.tokens import Resource
from portal.api.v1.fields import InAddress, Moment, Number, Switch, SwitchInAddress, Text, Word, ids
from portal.api.v1.incidents.languages import (
    BodyIn,
    TextsIn,
    TitleIn,
    texts_meant,
    translations_read,
    translations_to_set,
)
from portal.api.v1.operations import Answer, Resources, wanted
from portal.api.v1.requests import expected_version
from portal.api.v1.schemas import ListQuery, Shape, sorted_by
from portal.domains.rules import Area
from portal.errors import NotFound, RuleViolation
from portal.incidents.actions import maintenance as actions
from portal.incidents.models import Maintenance, MaintenanceUpdate
from portal.incidents.queries.listings import MAINTENANCE_SORTS, maintenance, maintenance_orders, maintenances
from portal.incidents.rules import Audience, MaintenanceState, Visibility
from portal.incidents.rules.languages import translations_of
from portal.incidents.rules.maintenance import REMINDERS_AT_MOST, Notice, Plan, WorkImpact, state_of
from portal.keyset import Piece

blueprint = Resources(
    Resource.MAINTENANCES,
    Area.STATUS,
    about=(
        "Planned work with its windows; found by its number or its public id. A company’s token sees what exists for "
        "that company, by public ids."
    ),
)

NAME = "/<string(maxlength=40):maintenance_id>"

STAFF_ONLY = {"description": "Not for a company’s token."}


class WorkedOnShape(Shape):
    component_id = fields.Integer(required=True)
    title = fields.String(required=True)


class MaintenanceUpdateShape(Shape):
    public_id = fields.String(required=True)
    kind = Word(Notice, required=True, metadata={"description": "What it tells. Reminders are for staff."})
    state = Word(MaintenanceState, required=True)
    body = fields.String(
        required=True, metadata={"description": "Markdown; empty where nobody wrote a text, and `kind` says it all."}
    )
    translations = translations_read(BodyIn)
    posted_at = Moment(required=True)
    notify = fields.Boolean(metadata=STAFF_ONLY)
    is_late = fields.Boolean(
        required=True, metadata={"description": "Whether the clock should have told it more than five minutes earlier."}
    )


class MaintenanceShape(Shape):
    id = fields.Integer(metadata=STAFF_ONLY)
    public_id = fields.String(required=True)
    title = fields.String(required=True)
    translations = translations_read(TitleIn)
    state = Word(MaintenanceState, required=True, metadata={"description": "By the clock, unless moved by hand."})
    impact = Word(WorkImpact, required=True, metadata={"description": "What those who use it will notice."})
    visibility = Word(Visibility, metadata=STAFF_ONLY)
    audience = Word(Audience, metadata=STAFF_ONLY)
    components = fields.List(fields.Nested(WorkedOnShape), required=True)
    updates = fields.List(
        fields.Nested(MaintenanceUpdateShape), required=True, metadata={"description": "Newest first."}
    )
    starts_at = Moment(required=True)
    ends_at = Moment(required=True)
    zone = fields.String(required=True, metadata={"description": "The time zone it was planned in."})
    started_at = Moment(required=True, allow_none=True)
    completed_at = Moment(required=True, allow_none=True)
    updated_at = Moment(required=True, metadata={"description": "When what customers see last changed."})
    sequence = fields.Integer(required=True, metadata={"description": "How often calendars were told of a change."})
    reminder_minutes = fields.List(fields.Integer(), metadata=STAFF_ONLY)
    notify = fields.Boolean(metadata=STAFF_ONLY)
    starts_itself = fields.Boolean(metadata=STAFF_ONLY)
    ends_itself = fields.Boolean(metadata=STAFF_ONLY)
    is_backfill = fields.Boolean(metadata=STAFF_ONLY)
    series_id = fields.Integer(allow_none=True, metadata=STAFF_ONLY)
    version = fields.Integer(metadata=STAFF_ONLY)


class MaintenanceQuery(ListQuery):
    open = SwitchInAddress(metadata={"description": "Only what is ahead or under way, or only what is over."})
    component_id = InAddress(metadata={"description": "Work on this component."})
    since = Moment(metadata={"description": "Starting at this moment or later."})
    until = Moment(metadata={"description": "Starting before this moment."})
    sort = sorted_by(MAINTENANCE_SORTS)


def _reminders(**rest: Any) -> fields.List[Any]:
    return fields.List(Number(least=5, most=43_200), validate=validate.Length(max=REMINDERS_AT_MOST), **rest)


class NewMaintenance(Shape):
    title = Text(required=True, least=1, most=200, metadata={"example": "North exchange: cards are replaced"})
    body = Text(required=True, least=1, most=20_000, metadata={"description": "Markdown."})
    translations = translations_to_set(TextsIn, load_default=dict)
    component_ids = ids(
        required=True,
        metadata={"description": "What is worked on; empty says that it names none and concerns everyone."},
    )
    starts_at = Moment(required=True)
    ends_at = Moment(required=True)
    zone = Text(most=64, load_default="UTC", metadata={"example": "Europe/London"})
    impact = Word(WorkImpact, load_default=WorkImpact.DEGRADED)
    visibility = Word(Visibility, load_default=Visibility.PUBLIC)
    audience = Word(Audience, load_default=Audience.EVERYONE)
    notify = Switch(load_default=True, metadata={"description": "Mail customers, now and whenever the clock tells."})
    reminder_minutes = _reminders(
        load_default=lambda: [1440, 60], metadata={"description": "How long before the start customers are told again."}
    )
    starts_itself = Switch(
        load_default=True, metadata={"description": "Begins by the clock; else it is begun by hand."}
    )
    ends_itself = Switch(
        load_default=True, metadata={"description": "Ends by the clock; else it is completed by hand."}
    )
    is_backfill = Switch(
        load_default=False, metadata={"description": "It is over already, and written down; nobody is ever mailed."}
    )


class MaintenanceChange(Shape):
    title = Text(least=1, most=200)
    body = Text(least=1, most=20_000, metadata={"description": "Corrects the text it was announced with."})
    translations = translations_to_set(TextsIn)
    component_ids = ids()
    impact = Word(WorkImpact)
    visibility = Word(Visibility)
    audience = Word(Audience)
    notify = Switch()
    reminder_minutes = _reminders()
    starts_itself = Switch()
    ends_itself = Switch()


class MaintenanceRemark(Shape):
    """What is said of an act on planned work."""

    body = Text(most=20_000, load_default="", metadata={"description": "Markdown, for customers."})
    translations = translations_to_set(BodyIn, load_default=dict)
    notify = Switch(load_default=True, metadata={"description": "Tell customers by mail."})


class MaintenanceNote(MaintenanceRemark):
    """A further entry of the timeline, which changes nothing else."""

    body = Text(required=True, least=1, most=20_000, metadata={"description": "Markdown, for customers."})


class NewMaintenanceTimes(MaintenanceRemark):
    """Other times for planned work."""

    starts_at = Moment(required=True)
    ends_at = Moment(required=True)
    zone = Text(most=64, metadata={"description": "As it is, if left out.", "example": "Europe/London"})


@blueprint.lists("", MaintenanceQuery, MaintenanceShape, summary="List maintenance")
def list_maintenances(query: dict[str, Any]) -> Piece[Any]:
    viewpoint, now = access.viewpoint(), clock.utcnow()
    found = maintenances(
        wanted(query, maintenance_orders(viewpoint)),
        viewpoint,
        now,
        is_open=query.get("open"),
        component_id=query.get("component_id"),
        since=query.get("since"),
        until=query.get("until"),
    )
    return Piece([_shown(each, now) for each in found.items], found.next)


@blueprint.makes("", NewMaintenance, MaintenanceShape, summary="Plan maintenance")
def plan_maintenance(body: dict[str, Any]) -> Answer:
    """Customers see it at once, and are mailed as from the screen. A window that has begun is under way at once."""
    do = actions.backfill if body["is_backfill"] else actions.plan
    wanted_plan = Plan(
        title=body["title"],
        body=body["body"],
        translations=body["translations"],
        component_ids=frozenset(body["component_ids"]),
        starts_at=body["starts_at"],
        ends_at=body["ends_at"],
        zone=body["zone"],
        impact=body["impact"],
        visibility=body["visibility"],
        audience=body["audience"],
        notify=body["notify"],
        reminders=_spans(body["reminder_minutes"]),
        starts_itself=body["starts_itself"],
        ends_itself=body["ends_itself"],
    )
    with _fields_as_here():
        made = do(wanted_plan, by=access.actor(), author_id=None, now=clock.utcnow(), idempotency_key=_key())
    return Answer(_one(made), f"/maintenances/{made.id}")


@blueprint.reads(NAME, MaintenanceShape, summary="Read a maintenance")
def read_maintenance(maintenance_id: str) -> Answer:
    return Answer(_shown(_maintenance(maintenance_id), clock.utcnow()))


@blueprint.changes(NAME, MaintenanceChange, MaintenanceShape, summary="Change what maintenance says and who sees it")
def change_maintenance(maintenance_id: str, body: dict[str, Any]) -> Answer:
    """Nobody is mailed. What becomes private disappears for customers at once, with the mails that still wait; what was
    for everyone and becomes for the affected does so for the others."""
    found = _maintenance(maintenance_id)
    announced = [each.body for each in found.updates if each.kind is Notice.ANNOUNCED]
    reminders = body.get("reminder_minutes", found.reminders)
    with _fields_as_here():
        actions.edit(
            found,
            title=body.get("title", found.title),
            body=body.get("body") or (announced[-1] if announced else ""),
            translations=body.get("translations"),
            component_ids=body.get("component_ids", [each.component_id for each in found.components]),
            impact=body.get("impact", found.impact),
            visibility=body.get("visibility", found.visibility),
            audience=body.get("audience", found.audience),
            notify=body.get("notify", found.notify),
            reminders=_spans(reminders),
            starts_itself=body.get("starts_itself", found.starts_itself),
            ends_itself=body.get("ends_itself", found.ends_itself),
            owner_id=found.owner_id,
            version=expected_version(found.version),
            by=access.actor(),
            now=clock.utcnow(),
        )
    return Answer(_one(found))


@blueprint.does(f"{NAME}/move", MaintenanceShape, body=NewMaintenanceTimes, summary="Give maintenance other times")
def move_maintenance(maintenance_id: str, body: dict[str, Any]) -> Answer:
    """One under way keeps its start; one that the clock has ended goes on."""
    found = _maintenance(maintenance_id)
    actions.move(
        found,
        body["starts_at"],
        body["ends_at"],
        body.get("zone") or found.zone,
        body["body"],
        bodies=texts_meant(body, "body") or {},
        notify=body["notify"],
        version=expected_version(found.version),
        by=access.actor(),
        author_id=None,
        now=clock.utcnow(),
        idempotency_key=_key(),
    )
    return Answer(_one(found))


@blueprint.does(f"{NAME}/begin", MaintenanceShape, body=MaintenanceRemark, summary="Say that the work has begun")
def begin_maintenance(maintenance_id: str, body: dict[str, Any]) -> Answer:
    return _go_on(maintenance_id, body, actions.begin)


@blueprint.does(f"{NAME}/verify", MaintenanceShape, body=MaintenanceRemark, summary="Say that the work is verified")
def verify_maintenance(maintenance_id: str, body: dict[str, Any]) -> Answer:
    return _go_on(maintenance_id, body, actions.verify)


@blueprint.does(f"{NAME}/complete", MaintenanceShape, body=MaintenanceRemark, summary="Say that the work is done")
def complete_maintenance(maintenance_id: str, body: dict[str, Any]) -> Answer:
    return _go_on(maintenance_id, body, actions.complete)


@blueprint.does(f"{NAME}/cancel", MaintenanceShape, body=MaintenanceRemark, summary="Call maintenance off")
def cancel_maintenance(maintenance_id: str, body: dict[str, Any]) -> Answer:
    return _go_on(maintenance_id, body, actions.cancel)


@blueprint.does(f"{NAME}/notes", MaintenanceShape, body=MaintenanceNote, summary="Write into the timeline")
def note_maintenance(maintenance_id: str, body: dict[str, Any]) -> Answer:
    """Everything else stays as it is, and so may be done whatever has become of the work."""
    return _go_on(maintenance_id, body, actions.add_note)


def _go_on(maintenance_id: str, body: dict[str, Any], act: Callable[..., MaintenanceUpdate]) -> Answer:
    found = _maintenance(maintenance_id)
    act(
        found,
        body["body"],
        bodies=texts_meant(body, "body") or {},
        notify=body["notify"],
        version=expected_version(found.version),
        by=access.actor(),
        author_id=None,
        now=clock.utcnow(),
        idempotency_key=_key(),
    )
    return Answer(_one(found))


FIELDS = {"components": "component_ids", "reminders": "reminder_minutes"}


@contextmanager
def _fields_as_here() -> Iterator[None]:
    """What is refused is pointed at by the names of the body."""
    try:
        yield
    except RuleViolation as refusal:
        field = FIELDS.get(refusal.field, refusal.field) if refusal.field else None
        raise RuleViolation(refusal.sentence, field) from refusal


def _key() -> str:
    return f"api:{token_hex(16)}"


def _spans(minutes: list[int]) -> tuple[timedelta, ...]:
    return tuple(timedelta(minutes=each) for each in minutes)


def _maintenance(name: str) -> Maintenance:
    found = maintenance(access.viewpoint(), name, clock.utcnow())
    if found is None:
        raise NotFound
    return found


def _one(found: Maintenance) -> dict[str, Any]:
    """As it is after an act, its timeline read again."""
    return _shown(_maintenance(str(found.id)), clock.utcnow())


def _shown(found: Maintenance, now: datetime) -> dict[str, Any]:
    is_staff = access.viewpoint().is_staff
    shown = {
        "public_id": found.public_id,
        "title": found.title,
        "translations": translations_of(title=found.titles),
        "state": state_of(found, now),
        "impact": found.impact,
        "components": [
            {"component_id": each.component_id, "title": each.component.title}
            for each in sorted(found.components, key=lambda each: each.component_id)
        ],
        "updates": [_shown_update(each, is_staff=is_staff) for each in found.updates],
        "starts_at": found.starts_at,
        "ends_at": found.ends_at,
        "zone": found.zone,
        "started_at": found.started_at,
        "completed_at": found.completed_at,
        "updated_at": found.public_updated_at,
        "sequence": found.sequence,
    }
    if is_staff:
        names = ("id", "visibility", "audience", "notify", "starts_itself", "ends_itself", "is_backfill", "series_id")
        shown |= {name: getattr(found, name) for name in (*names, "version")}
        shown["reminder_minutes"] = found.reminders
    return shown


def _shown_update(update: MaintenanceUpdate, *, is_staff: bool) -> dict[str, Any]:
    names = ("public_id", "kind", "state", "body", "posted_at", "is_late")
    shown = {name: getattr(update, name) for name in (*names, *(("notify",) if is_staff else ()))}
    return shown | {"translations": translations_of(body=update.bodies)}
