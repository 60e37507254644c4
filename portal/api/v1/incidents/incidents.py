"""`/api/v1/incidents`: what broke, and what customers are told of it."""

from datetime import timedelta
from secrets import token_hex
from typing import Any

from marshmallow import fields, validate

from portal import access, clock
from portal.accounts.rules.tokens import Resource
from portal.api.v1.fields import Id, InAddress, Moment, Number, Switch, SwitchInAddress, Text, Word
from portal.api.v1.incidents.languages import (
    BodyIn,
    TextsIn,
    TitleIn,
    texts_meant,
    translations_read,
    translations_to_set,
)
from portal.api.v1.incidents.words import meant, wordings_to_set
from portal.api.v1.operations import Answer, Resources, wanted
from portal.api.v1.requests import expected_version
from portal.api.v1.schemas import ListQuery, Shape, sorted_by
from portal.domains.rules import Area
from portal.errors import NotFound, RuleViolation
from portal.incidents import actions
from portal.incidents.models import Incident, IncidentUpdate
from portal.incidents.queries.listings import (
    INCIDENT_SORTS,
    UPDATE_SORTS,
    broadcast_about,
    changes_of,
    first_update,
    incident,
    incident_orders,
    incidents,
    update,
    update_orders,
    updates,
)
from portal.incidents.rules import Audience, Impact, Severity, State, Visibility
from portal.incidents.rules.languages import translations_of
from portal.keyset import Piece

blueprint = Resources(
    Resource.INCIDENTS,
    Area.STATUS,
    about=(
        "What broke, and what customers are told of it. An incident is found by its number or its public id. "
        "A company’s token sees those that exist for that company, by public ids, and the public part of timelines."
    ),
)

NAME = "/<string(maxlength=40):incident_id>"
UPDATE = f"{NAME}/updates/<string(maxlength=40):update_id>"

STAFF_ONLY = {"description": "Not for a company’s token."}


class HitShape(Shape):
    component_id = fields.Integer(required=True)
    title = fields.String(required=True)
    severity = Word(Severity, required=True, metadata={"description": "As it stands now."})


class IncidentShape(Shape):
    id = fields.Integer(metadata=STAFF_ONLY)
    public_id = fields.String(required=True)
    title = fields.String(required=True)
    translations = translations_read(TitleIn)
    state = Word(State, required=True)
    impact = Word(Impact, required=True)
    impact_override = Word(Impact, allow_none=True, metadata=STAFF_ONLY)
    visibility = Word(Visibility, metadata=STAFF_ONLY)
    audience = Word(Audience, metadata=STAFF_ONLY)
    is_backfill = fields.Boolean(metadata=STAFF_ONLY)
    components = fields.List(fields.Nested(HitShape), required=True)
    started_at = Moment(required=True)
    resolved_at = Moment(required=True, allow_none=True)
    updated_at = Moment(required=True, metadata={"description": "When what customers see last changed."})
    next_update_due_at = Moment(required=True, allow_none=True)
    created_at = Moment(metadata=STAFF_ONLY)
    version = fields.Integer(metadata=STAFF_ONLY)


class PublishedShape(IncidentShape):
    broadcast_id = fields.Integer(
        required=True, allow_none=True, metadata={"description": "The broadcast that tells of it; null if none does."}
    )


class ChangeShape(Shape):
    component_id = fields.Integer(required=True)
    old = Word(Severity, required=True)
    new = Word(Severity, required=True)


class UpdateShape(Shape):
    id = fields.Integer(metadata=STAFF_ONLY)
    public_id = fields.String(required=True)
    visibility = Word(Visibility, metadata=STAFF_ONLY)
    state = Word(State, required=True, allow_none=True, metadata={"description": "Null for a private update."})
    body = fields.String(required=True, metadata={"description": "Markdown."})
    translations = translations_read(BodyIn)
    changes = fields.List(fields.Nested(ChangeShape), required=True)
    posted_at = Moment(required=True)
    notify = fields.Boolean(metadata=STAFF_ONLY)


class PostedShape(UpdateShape):
    version = fields.Integer(required=True, metadata={"description": "That of the incident, after this update."})
    broadcast_id = fields.Integer(
        required=True, allow_none=True, metadata={"description": "The broadcast that tells of it; null if none does."}
    )


class IncidentQuery(ListQuery):
    q = Text(most=200, metadata={"description": "Incidents whose title holds this."})
    state = Word(State)
    open = SwitchInAddress(metadata={"description": "Only those that are not fixed, or only those that are."})
    visibility = Word(Visibility, metadata=STAFF_ONLY)
    component_id = InAddress(metadata={"description": "Incidents that name this component."})
    since = Moment(metadata={"description": "Begun at this moment or later."})
    until = Moment(metadata={"description": "Begun before this moment."})
    sort = sorted_by(INCIDENT_SORTS)


class UpdateQuery(ListQuery):
    sort = sorted_by(UPDATE_SORTS)


class NamedComponent(Shape):
    component_id = Id(required=True)
    severity = Word(Severity, required=True)


def named_components(**rest: Any) -> fields.List[Any]:
    """The field of a request that names components with their severities."""
    return fields.List(fields.Nested(NamedComponent), validate=validate.Length(max=1000), **rest)


class _Entry(Shape):
    body = Text(
        required=True,
        least=1,
        most=20_000,
        metadata={"description": "Markdown.", "example": "We have found the cause."},
    )
    notify = Switch(load_default=True, metadata={"description": "Tell customers by mail."})
    mail_affected_only = Switch(load_default=False, metadata={"description": "Mail only affected companies."})
    next_update_minutes = Number(
        least=1,
        most=10_080,
        allow_none=True,
        metadata={"description": "How soon customers are promised the next one.", "example": 30},
    )
    wordings = wordings_to_set(
        load_default=list, metadata={"description": "What some are told instead, on pages and in mails."}
    )


class NewIncident(_Entry):
    title = Text(required=True, least=1, most=200, metadata={"example": "North ring is slow"})
    translations = translations_to_set(TextsIn, load_default=dict)
    state = Word(State, load_default=State.INVESTIGATING)
    components = named_components(
        required=True, metadata={"description": "What it affects; empty says that it names none and concerns everyone."}
    )
    visibility = Word(Visibility, load_default=Visibility.PUBLIC)
    audience = Word(Audience, load_default=Audience.EVERYONE)
    started_at = Moment(metadata={"description": "When it began, if before now."})


class NewUpdate(_Entry):
    translations = translations_to_set(BodyIn, load_default=dict)
    state = Word(State, allow_none=True, load_default=None, metadata={"description": "Null keeps the state."})
    components = named_components(
        load_default=list, metadata={"description": "Severities that move; what is not named keeps its own."}
    )
    visibility = Word(
        Visibility,
        load_default=Visibility.PUBLIC,
        metadata={"description": "A private update is for staff, and carries text only."},
    )


class IncidentChange(Shape):
    title = Text(least=1, most=200)
    translations = translations_to_set(TitleIn)
    visibility = Word(Visibility)
    audience = Word(Audience)
    impact_override = Word(Impact, allow_none=True, metadata={"description": "Null derives it again."})


class UpdateChange(Shape):
    body = Text(required=True, least=1, most=20_000, metadata={"description": "Markdown."})
    translations = translations_to_set(BodyIn)


@blueprint.lists("", IncidentQuery, IncidentShape, summary="List incidents")
def list_incidents(query: dict[str, Any]) -> Piece[Any]:
    viewpoint = access.viewpoint()
    found = incidents(
        wanted(query, incident_orders(viewpoint)),
        viewpoint,
        clock.utcnow(),
        text=query.get("q"),
        state=query.get("state"),
        is_open=query.get("open"),
        visibility=query.get("visibility"),
        component_id=query.get("component_id"),
        since=query.get("since"),
        until=query.get("until"),
    )
    return Piece([_shown(each) for each in found.items], found.next)


@blueprint.makes("", NewIncident, PublishedShape, summary="Publish an incident")
def publish_incident(body: dict[str, Any]) -> Answer:
    """Customers see it at once, and are mailed as from the publish screen. `broadcast_id` is what mails them."""
    made = actions.publish(
        body["title"],
        body["state"],
        body["body"],
        severities_of(body["components"]),
        visibility=body["visibility"],
        audience=body["audience"],
        notify=body["notify"],
        mail_affected_only=body["mail_affected_only"],
        started_at=body.get("started_at"),
        next_update=_promise(body),
        wordings=meant(body["wordings"]),
        translations=body["translations"],
        idempotency_key=f"api:{token_hex(16)}",
        by=access.actor(),
        author_id=None,
        now=clock.utcnow(),
    )
    shown = _shown(incident_here(str(made.public_id)))
    return Answer(shown | {"broadcast_id": broadcast_about(first_update(made.id))}, f"/incidents/{made.id}")


@blueprint.reads(NAME, IncidentShape, summary="Read an incident")
def read_incident(incident_id: str) -> Answer:
    return Answer(_shown(incident_here(incident_id)))


@blueprint.changes(NAME, IncidentChange, IncidentShape, summary="Change what an incident is called and who sees it")
def change_incident(incident_id: str, body: dict[str, Any]) -> Answer:
    """What becomes private disappears for customers at once, and mails about it that still wait are cancelled; what was
    for everyone and becomes for the affected does so for the others."""
    found = incident_here(incident_id)
    actions.edit(
        found,
        title=body.get("title", found.title),
        titles=texts_meant(body, "title"),
        visibility=body.get("visibility", found.visibility),
        audience=body.get("audience", found.audience),
        impact_override=body.get("impact_override", found.impact_override),
        version=expected_version(found.version),
        by=access.actor(),
        now=clock.utcnow(),
    )
    return Answer(_shown(found))


@blueprint.lists(f"{NAME}/updates", UpdateQuery, UpdateShape, summary="List the updates of an incident")
def list_updates(incident_id: str, query: dict[str, Any]) -> Piece[Any]:
    viewpoint, found = access.viewpoint(), incident_here(incident_id)
    timeline = updates(wanted(query, update_orders(viewpoint)), viewpoint, found.id)
    return Piece([_shown_update(each) for each in timeline.items], timeline.next)


@blueprint.makes(f"{NAME}/updates", NewUpdate, PostedShape, summary="Post an update")
def post_update(incident_id: str, body: dict[str, Any]) -> Answer:
    """If-Match is taken but not asked for: with it the update is refused where somebody else wrote in between."""
    found = incident_here(incident_id)
    posted = actions.post_update(
        found,
        body["state"],
        body["body"],
        severities_of(body["components"]),
        visibility=body["visibility"],
        notify=body["notify"],
        mail_affected_only=body["mail_affected_only"],
        next_update=_promise(body),
        wordings=meant(body["wordings"]),
        bodies=texts_meant(body, "body") or {},
        version=expected_version(found.version, is_optional=True),
        by=access.actor(),
        author_id=None,
        now=clock.utcnow(),
    )
    shown = _shown_update(posted, changes_of(posted.id))
    told = broadcast_about(posted.id) if posted.notify else None
    return Answer(
        shown | {"broadcast_id": told, "version": found.version}, f"/incidents/{found.id}/updates/{posted.id}"
    )


@blueprint.reads(UPDATE, UpdateShape, summary="Read an update")
def read_update(incident_id: str, update_id: str) -> Answer:
    return Answer(_shown_update(update_of(incident_here(incident_id), update_id)))


@blueprint.changes(UPDATE, UpdateChange, PostedShape, summary="Correct the text of an update")
def change_update(incident_id: str, update_id: str, body: dict[str, Any]) -> Answer:
    """Nothing is mailed again. The ETag is that of the incident: its timeline is one thing."""
    found = incident_here(incident_id)
    edited = update_of(found, update_id)
    version = expected_version(found.version)
    bodies = texts_meant(body, "body")
    actions.edit_update(
        edited, found, body["body"], bodies=bodies, version=version, by=access.actor(), now=clock.utcnow()
    )
    shown = _shown_update(edited, changes_of(edited.id))
    return Answer(shown | {"broadcast_id": broadcast_about(edited.id), "version": found.version})


def incident_here(name: str) -> Incident:
    """The incident with this number or public id, if it exists for this token."""
    found = incident(access.viewpoint(), name, clock.utcnow())
    if found is None:
        raise NotFound
    return found


def incident_of_staff(name: str) -> Incident:
    """The incident, for what only staff do and see."""
    if not access.viewpoint().is_staff:
        raise NotFound
    return incident_here(name)


def update_of(of: Incident, name: str) -> IncidentUpdate:
    """The entry of its timeline with this number or public id, if it exists for this token."""
    found = update(access.viewpoint(), of.id, name)
    if found is None:
        raise NotFound
    return found


def severities_of(named: list[dict[str, Any]]) -> dict[int, Severity]:
    """Severities by component; RuleViolation where one is named twice."""
    found = {each["component_id"]: each["severity"] for each in named}
    if len(found) != len(named):
        raise RuleViolation("A component is named twice.", "components")
    return found


def _promise(body: dict[str, Any]) -> timedelta | None:
    minutes = body.get("next_update_minutes")
    return timedelta(minutes=minutes) if minutes else None


def _shown(found: Incident) -> dict[str, Any]:
    shown = {
        "public_id": found.public_id,
        "title": found.title,
        "translations": translations_of(title=found.titles),
        "state": found.state,
        "impact": found.impact,
        "components": [
            {"component_id": each.component_id, "title": each.component.title, "severity": each.severity}
            for each in sorted(found.components, key=lambda each: each.component_id)
        ],
        "started_at": found.started_at,
        "resolved_at": found.resolved_at,
        "updated_at": found.public_updated_at,
        "next_update_due_at": found.next_update_due_at,
    }
    if access.viewpoint().is_staff:
        names = ("id", "impact_override", "visibility", "audience", "is_backfill", "created_at", "version")
        shown |= {name: getattr(found, name) for name in names}
    return shown


def _shown_update(found: IncidentUpdate, changes: Any = None) -> dict[str, Any]:
    moved = found.changes if changes is None else changes
    shown: dict[str, Any] = {
        "public_id": found.public_id,
        "state": found.state,
        "body": found.body,
        "translations": translations_of(body=found.bodies),
        "changes": [
            {"component_id": each.component_id, "old": each.old, "new": each.new}
            for each in sorted(moved, key=lambda each: each.component_id)
        ],
        "posted_at": found.posted_at,
    }
    if access.viewpoint().is_staff:
        shown |= {"id": found.id, "visibility": found.visibility, "notify": found.notify}
    return shown
