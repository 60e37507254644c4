"""`/api/v1/incident-drafts`: reports that wait, and whom they would concern; published by hand or by the clock."""

from dataclasses import replace
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Any

from marshmallow import fields, validate

from portal import access, clock
from portal.accounts.rules.tokens import Resource
from portal.api.v1.fields import Moment, Number, Switch, SwitchInAddress, Text, Word
from portal.api.v1.incidents.incidents import NamedComponent, NewIncident, severities_of
from portal.api.v1.incidents.languages import TextsIn, translations_read, translations_to_set
from portal.api.v1.incidents.words import WordingShape, meant, shown, wordings_to_set
from portal.api.v1.operations import Answer, Resources, wanted
from portal.api.v1.requests import expected_version
from portal.api.v1.schemas import ListQuery, Shape, sorted_by
from portal.errors import NotFound, RuleViolation
from portal.incidents.actions.drafts import discard_draft, edit_draft, publish_draft, save_draft
from portal.incidents.actions.templates import fill, fill_translations
from portal.incidents.models import IncidentDraft
from portal.incidents.queries.concerned import NAMED_AT_MOST, concerned_by
from portal.incidents.queries.drafts import DRAFT_ORDERS, draft_by_id, drafts
from portal.incidents.queries.listings import broadcast_about, first_update
from portal.incidents.rules import Audience, Severity, State, Visibility
from portal.incidents.rules.drafts import DraftContent, Origin, Stage
from portal.incidents.rules.templates import FIELDS_AT_MOST, VALUE_LENGTH
from portal.keyset import Piece
from portal.language import TIME_ZONES

blueprint = Resources(
    Resource.INCIDENT_DRAFTS,
    about=(
        "Reports that are not published yet, by hand, by mail or by monitors. Nobody but staff knows of them. A draft "
        "may be as unfinished as it is; what is missing is said when it is published."
    ),
)

NAME = "/<int:draft_id>"

VALUES_AT_MOST = 4 * FIELDS_AT_MOST

SAID = (
    *("title", "body", "state", "audience", "visibility", "notify", "mail_affected_only", "started_at", "values"),
    "translations",
)
"""What a request says of a report, and an answer shows, as the draft keeps it."""


class SeverityShape(Shape):
    component_id = fields.Integer(required=True)
    severity = Word(Severity, required=True)


class IncidentDraftShape(Shape):
    id = fields.Integer(required=True)
    stage = Word(Stage, required=True, metadata={"description": "What has become of it."})
    title = fields.String(required=True)
    body = fields.String(required=True, metadata={"description": "Markdown; may hold variables and blanks."})
    state = Word(State, required=True)
    components = fields.List(
        fields.Nested(SeverityShape),
        required=True,
        allow_none=True,
        metadata={"description": "What it affects; empty: it names none. Null as long as nobody has said."},
    )
    audience = Word(Audience, required=True)
    visibility = Word(Visibility, required=True)
    notify = fields.Boolean(required=True)
    mail_affected_only = fields.Boolean(required=True)
    next_update_minutes = fields.Integer(required=True, allow_none=True)
    started_at = Moment(required=True, allow_none=True, metadata={"description": "Null: when it is published."})
    values = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        required=True,
        metadata={"description": "What fills the variables of its texts.", "example": {"ticket": "T-17"}},
    )
    translations = translations_read(TextsIn)
    publish_at = Moment(required=True, allow_none=True, metadata={"description": "When the clock publishes it."})
    zone = fields.String(required=True, metadata={"description": "The time zone its dates and times are written in."})
    trouble = fields.String(required=True, metadata={"description": "Why the clock could not publish it; else empty."})
    origin = Word(Origin, required=True, metadata={"description": "Who began it."})
    origin_name = fields.String(required=True, metadata={"description": "Which monitor or mailbox."})
    signals = fields.Integer(required=True, metadata={"description": "How often the same was said while it is open."})
    first_signal = fields.String(required=True)
    last_signal = fields.String(required=True)
    signalled_at = Moment(required=True, allow_none=True)
    incident_id = fields.Integer(required=True, allow_none=True, metadata={"description": "The incident it became."})
    created_at = Moment(required=True)
    saved_at = Moment(required=True)
    version = fields.Integer(required=True)


class ConcernedCompany(Shape):
    company_id = fields.Integer(required=True)
    name = fields.String(required=True)


class ConcernedService(Shape):
    service_id = fields.Integer(required=True)
    name = fields.String(required=True)
    companies = fields.Integer(required=True)


class ConcernedShape(Shape):
    """Whom it would concern and who would hear of it, as at this moment and as the publish screen says it."""

    everyone = fields.Boolean(
        required=True,
        metadata={"description": "Its components reach nobody in particular: it concerns all that may see it."},
    )
    companies = fields.Integer(required=True, metadata={"description": "How many its components reach."})
    first_companies = fields.List(
        fields.Nested(ConcernedCompany),
        required=True,
        metadata={"description": f"The first {NAMED_AT_MOST} of them, by name."},
    )
    first_services = fields.List(
        fields.Nested(ConcernedService),
        required=True,
        metadata={"description": f"The first {NAMED_AT_MOST} services through which it reaches them."},
    )
    people_mailed = fields.Integer(required=True)
    subscribers_told = fields.Integer(required=True, metadata={"description": "Without a login."})
    unreachable_companies = fields.Integer(required=True, metadata={"description": "A mail would reach nobody there."})
    first_unreachable_companies = fields.List(
        fields.Nested(ConcernedCompany), required=True, metadata={"description": "The first of them, by name."}
    )


class WholeIncidentDraftShape(IncidentDraftShape):
    wordings = fields.List(fields.Nested(WordingShape), required=True)
    unfilled = fields.String(
        required=True, metadata={"description": "What of its texts is left to fill before it can be published."}
    )
    concerned = fields.Nested(
        ConcernedShape,
        required=True,
        allow_none=True,
        metadata={"description": "Null once it is over, and as long as nobody has said what it affects."},
    )


class PublishedDraftShape(WholeIncidentDraftShape):
    broadcast_id = fields.Integer(
        required=True, allow_none=True, metadata={"description": "The broadcast that tells of it; null if none does."}
    )


class DraftQuery(ListQuery):
    stage = Word(Stage, load_default=Stage.OPEN, metadata={"description": "Usually `open`."})
    origin = Word(Origin)
    scheduled = SwitchInAddress(metadata={"description": "Only those the clock publishes, or only the others."})
    sort = sorted_by(DRAFT_ORDERS)


def zone_of_texts(**rest: Any) -> fields.String:
    """The field of a request that names a time zone."""
    return fields.String(
        validate=validate.OneOf([name for name, _words in TIME_ZONES]),
        metadata={"description": "The time zone dates and times in its texts are written in.", "example": "UTC"},
        **rest,
    )


def _components(**rest: Any) -> fields.List[Any]:
    return fields.List(
        fields.Nested(NamedComponent),
        allow_none=True,
        validate=validate.Length(max=1000),
        metadata={"description": "What it affects; empty says that it names none, null that nobody has said yet."},
        **rest,
    )


def values_to_fill(**rest: Any) -> fields.Dict:
    """The field of a request that fills variables."""
    return fields.Dict(
        keys=Text(most=100),
        values=Text(most=VALUE_LENGTH),
        metadata={
            "description": f"What fills the variables of its texts, at most {VALUES_AT_MOST}.",
            "example": {"ticket": "T-17"},
        },
        **rest,
    )


class NewIncidentDraft(NewIncident):
    """As `POST /incidents` takes it, but nothing need be there yet."""

    title = Text(most=200, load_default="", metadata={"example": "North ring is slow"})
    body = Text(most=20_000, load_default="", metadata={"description": "Markdown; may hold variables and blanks."})
    components = _components(load_default=None)
    values = values_to_fill(load_default=dict)
    publish_at = Moment(
        load_default=None, allow_none=True, metadata={"description": "Have the clock publish it at this moment."}
    )
    zone = zone_of_texts(load_default="UTC")


class IncidentDraftChange(Shape):
    title = Text(most=200)
    body = Text(most=20_000)
    state = Word(State)
    components = _components()
    audience = Word(Audience)
    visibility = Word(Visibility)
    notify = Switch()
    mail_affected_only = Switch()
    next_update_minutes = Number(least=1, most=10_080, allow_none=True)
    started_at = Moment(allow_none=True)
    values = values_to_fill()
    wordings = wordings_to_set()
    translations = translations_to_set(TextsIn)
    publish_at = Moment(allow_none=True, metadata={"description": "Null has the clock leave it alone."})
    zone = zone_of_texts()


class WhenToPublish(Shape):
    """When the clock is to publish a draft."""

    publish_at = Moment(
        required=True,
        allow_none=True,
        metadata={"description": "A moment ahead; null takes it back.", "example": "2030-06-01T06:00:00Z"},
    )
    zone = zone_of_texts()


@blueprint.lists("", DraftQuery, IncidentDraftShape, summary="List drafts of incidents")
def list_incident_drafts(query: dict[str, Any]) -> Piece[Any]:
    """Whom one would concern is said where it is read by itself."""
    found = drafts(
        wanted(query, DRAFT_ORDERS),
        stage=query["stage"],
        origin=query.get("origin"),
        is_scheduled=query.get("scheduled"),
    )
    return Piece([_line(each, DraftContent.from_json(each.content)) for each in found.items], found.next)


@blueprint.makes("", NewIncidentDraft, WholeIncidentDraftShape, summary="Keep a draft of an incident")
def keep_incident_draft(body: dict[str, Any]) -> Answer:
    """Nobody is told. `concerned` says whom it would concern as it stands."""
    content = _content(DraftContent(next_update=None), body)
    _check_whole(content, body["publish_at"])
    made = save_draft(
        content,
        publish_at=body["publish_at"],
        zone=body["zone"],
        idempotency_key=f"api:{token_hex(16)}",
        by=access.actor(),
        author_id=None,
        now=clock.utcnow(),
    )
    return Answer(_shown(made), f"/incident-drafts/{made.id}")


@blueprint.reads(NAME, WholeIncidentDraftShape, summary="Read a draft of an incident, and whom it would concern")
def read_incident_draft(draft_id: int) -> Answer:
    return Answer(_shown(_draft(draft_id)))


@blueprint.changes(NAME, IncidentDraftChange, WholeIncidentDraftShape, summary="Write on a draft of an incident")
def change_incident_draft(draft_id: int, body: dict[str, Any]) -> Answer:
    found = _draft(draft_id)
    content = _content(DraftContent.from_json(found.content), body)
    _save(found, content, body.get("publish_at", found.publish_at), body.get("zone", found.zone))
    return Answer(_shown(found))


@blueprint.does(
    f"{NAME}/schedule", WholeIncidentDraftShape, body=WhenToPublish, summary="Have the clock publish a draft"
)
def schedule_incident_draft(draft_id: int, body: dict[str, Any]) -> Answer:
    """What it still lacks then is told to who publishes, and it stays a draft."""
    found = _draft(draft_id)
    _save(found, DraftContent.from_json(found.content), body["publish_at"], body.get("zone", found.zone))
    return Answer(_shown(found))


@blueprint.does(f"{NAME}/publish", PublishedDraftShape, summary="Publish a draft of an incident")
def publish_incident_draft(draft_id: int) -> Answer:
    """As it stands: customers see it at once, and are mailed as from the screen. Again is harmless, and so is the
    clock. `incident_id` is what it became."""
    found = _draft(draft_id)
    version = expected_version(found.version)
    made = publish_draft(found, version=version, by=access.actor(), author_id=None, now=clock.utcnow())
    return Answer(_shown(found) | {"broadcast_id": broadcast_about(first_update(made.id))})


@blueprint.does(f"{NAME}/discard", WholeIncidentDraftShape, summary="Put a draft of an incident away for good")
def discard_incident_draft(draft_id: int) -> Answer:
    found = _draft(draft_id)
    discard_draft(found, version=expected_version(found.version), by=access.actor(), now=clock.utcnow())
    return Answer(_shown(found))


def _draft(draft_id: int) -> IncidentDraft:
    found = draft_by_id(draft_id)
    if found is None:
        raise NotFound
    return found


def _save(found: IncidentDraft, content: DraftContent, publish_at: datetime | None, zone: str) -> None:
    version = expected_version(found.version)
    _check_whole(content, publish_at)
    edit_draft(
        found,
        content,
        publish_at=publish_at,
        zone=zone,
        version=version,
        by=access.actor(),
        author_id=None,
        now=clock.utcnow(),
    )


def _check_whole(content: DraftContent, publish_at: datetime | None) -> None:
    """What the clock publishes has a title and a text, as on screen: nobody is there to be asked for them."""
    if publish_at is None:
        return
    if not content.title.strip():
        raise RuleViolation("Give the report a title.", "title")
    if not content.body.strip():
        raise RuleViolation("Say what customers should know.", "body")


def _content(before: DraftContent, body: dict[str, Any]) -> DraftContent:
    """What a draft holds with what a request names changed."""
    changes = {name: body[name] for name in SAID if name in body}
    if len(changes.get("values", {})) > VALUES_AT_MOST:
        raise RuleViolation(f"At most {VALUES_AT_MOST} values.", "values")
    if "components" in body:
        named = body["components"]
        changes["severities"] = None if named is None else severities_of(named)
    if "next_update_minutes" in body:
        minutes = body["next_update_minutes"]
        changes["next_update"] = timedelta(minutes=minutes) if minutes else None
    if "wordings" in body:
        changes["wordings"] = meant(body["wordings"])
    return replace(before, **changes)


def _line(found: IncidentDraft, content: DraftContent) -> dict[str, Any]:
    own = (
        *("id", "stage", "publish_at", "zone", "trouble", "origin", "origin_name", "signals", "first_signal"),
        *("last_signal", "signalled_at", "incident_id", "created_at", "saved_at", "version"),
    )
    named = content.severities
    return {
        **{name: getattr(found, name) for name in own},
        **{name: getattr(content, name) for name in SAID},
        "components": None
        if named is None
        else [{"component_id": each, "severity": severity} for each, severity in sorted(named.items())],
        "next_update_minutes": content.next_update // timedelta(minutes=1) if content.next_update else None,
    }


def _shown(found: IncidentDraft) -> dict[str, Any]:
    content, now = DraftContent.from_json(found.content), clock.utcnow()
    is_told = found.is_open and content.severities is not None
    return {
        **_line(found, content),
        "wordings": shown(content.wordings),
        "unfilled": _unfilled(content, found.zone, now) if found.is_open else "",
        "concerned": _concerned(content, now) if is_told else None,
    }


def _unfilled(content: DraftContent, zone: str, now: datetime) -> str:
    of_report: dict[str, Any] = {
        "component_ids": list(content.severities or ()),
        "began_at": content.started_at or now,
        "zone": zone,
    }
    try:
        fill(
            content.title,
            content.body,
            content.wordings,
            content.values,
            **of_report,
        )
        fill_translations(content.translations, content.values, **of_report)
    except RuleViolation as open_yet:
        return open_yet.sentence
    return ""


def _concerned(content: DraftContent, now: datetime) -> dict[str, Any]:
    found = concerned_by(
        content.severities or (),
        audience=content.audience,
        visibility=content.visibility,
        notify=content.notify,
        affected_only=content.mail_affected_only,
        now=now,
    )
    return {
        "everyone": found.affected.concerns_everyone,
        "companies": len(found.affected.company_ids),
        "first_companies": [{"company_id": each.id, "name": each.name} for each in found.companies],
        "first_services": [
            {"service_id": each.id, "name": each.name, "companies": each.companies}
            for each in found.affected.services[:NAMED_AT_MOST]
        ],
        "people_mailed": found.mailed.people if found.mailed else 0,
        "subscribers_told": found.subscribers,
        "unreachable_companies": found.stranded.total,
        "first_unreachable_companies": [
            {"company_id": company_id, "name": name} for company_id, name in found.stranded.first
        ],
    }
