"""`/api/v1/incident-templates`: reports to begin with, and filling them."""

from dataclasses import replace
from typing import Any

from marshmallow import fields

from portal import access, clock
from portal.accounts.rules.tokens import Resource
from portal.api.v1.fields import Moment, Number, Switch, SwitchInAddress, Text, Word
from portal.api.v1.incidents.drafts import SeverityShape, values_to_fill, zone_of_texts
from portal.api.v1.incidents.incidents import named_components, severities_of
from portal.api.v1.incidents.languages import TextsIn, translations_read, translations_to_set
from portal.api.v1.operations import Answer, Resources, wanted
from portal.api.v1.requests import expected_version
from portal.api.v1.schemas import ListQuery, Shape, sorted_by
from portal.errors import NotFound, RuleViolation
from portal.incidents.actions.templates import (
    NAME_LENGTH,
    TemplateContent,
    archive_template,
    edit_template,
    fill,
    fill_translations,
    keep_template,
    move_template,
    restore_template,
)
from portal.incidents.models import IncidentTemplate
from portal.incidents.queries.templates import TEMPLATE_ORDERS, template_by_id, templates
from portal.incidents.queries.templates import severities_of as severities_in
from portal.incidents.rules import Audience, Severity, State
from portal.incidents.rules.languages import translations_of
from portal.incidents.rules.templates import KNOWN, own_fields
from portal.keyset import Piece

FILLED_ALONE = ", ".join(f"`{{{{{name}}}}}`" for name in KNOWN)

blueprint = Resources(
    Resource.INCIDENT_TEMPLATES,
    about=(
        "Reports, or their next updates, to begin with. Texts may hold variables such as `{{ticket}}`, which whoever "
        f"uses the template fills, and blanks such as `[time]`. These fill themselves: {FILLED_ALONE}."
    ),
)

NAME = "/<int:template_id>"


class IncidentTemplateShape(Shape):
    id = fields.Integer(required=True)
    name = fields.String(required=True)
    title = fields.String(required=True, metadata={"description": "Empty: it says nothing of the title."})
    body = fields.String(required=True, metadata={"description": "Markdown."})
    state = Word(State, required=True, allow_none=True)
    audience = Word(Audience, required=True, allow_none=True)
    components = fields.List(fields.Nested(SeverityShape), required=True)
    notify = fields.Boolean(required=True)
    next_update_minutes = fields.Integer(
        required=True, allow_none=True, metadata={"description": "0: no promise. Null: it says nothing of one."}
    )
    translations = translations_read(TextsIn)
    fields_to_fill = fields.List(
        fields.String(), required=True, metadata={"description": "The variables that whoever uses it fills."}
    )
    archived_at = Moment(required=True, allow_none=True)
    created_at = Moment(required=True)
    version = fields.Integer(required=True)


class TemplateQuery(ListQuery):
    archived = SwitchInAddress(metadata={"description": "Only those put away, or only those that are offered."})
    sort = sorted_by(TEMPLATE_ORDERS)


class _TemplateWords(Shape):
    translations = translations_to_set(TextsIn)
    state = Word(State, allow_none=True)
    audience = Word(Audience, allow_none=True)
    components = named_components()
    notify = Switch()
    next_update_minutes = Number(least=0, most=10_080, allow_none=True)


class NewIncidentTemplate(_TemplateWords):
    name = Text(required=True, least=1, most=NAME_LENGTH, metadata={"example": "Fibre cut"})
    title = Text(most=200, load_default="")
    body = Text(
        required=True,
        least=1,
        most=20_000,
        metadata={"description": "Markdown.", "example": "A fibre was cut at {{place}}. We expect it back at [time]."},
    )


class IncidentTemplateChange(_TemplateWords):
    name = Text(least=1, most=NAME_LENGTH)
    title = Text(most=200)
    body = Text(least=1, most=20_000)


class WhichWay(Shape):
    """Which way a template goes."""

    up = Switch(required=True, metadata={"description": "One place earlier; else one later."})


class Filling(Shape):
    """What a template is filled with."""

    values = values_to_fill(load_default=dict)
    components = named_components(
        load_default=list, metadata={"description": "Beside those of the template, and before them."}
    )
    started_at = Moment(
        load_default=None, allow_none=True, metadata={"description": "When it began; null is at this moment."}
    )
    zone = zone_of_texts(load_default="UTC")


class FilledTemplateShape(Shape):
    """What is ready to be sent to `POST /incidents` or `POST /incident-drafts`."""

    title = fields.String(required=True)
    body = fields.String(required=True, metadata={"description": "Markdown."})
    translations = translations_read(TextsIn)
    state = Word(State, required=True, allow_none=True)
    audience = Word(Audience, required=True, allow_none=True)
    components = fields.List(fields.Nested(SeverityShape), required=True)
    notify = fields.Boolean(required=True)
    next_update_minutes = fields.Integer(required=True, allow_none=True)


@blueprint.lists("", TemplateQuery, IncidentTemplateShape, summary="List templates of incidents")
def list_incident_templates(query: dict[str, Any]) -> Piece[Any]:
    found = templates(wanted(query, TEMPLATE_ORDERS), is_archived=query.get("archived"))
    return Piece([_shown(each) for each in found.items], found.next)


@blueprint.makes("", NewIncidentTemplate, IncidentTemplateShape, summary="Keep a template of incidents")
def keep_incident_template(body: dict[str, Any]) -> Answer:
    """It is offered as the last one."""
    made = keep_template(_content(TemplateContent("", ""), body), by=access.actor(), author_id=None, now=clock.utcnow())
    return Answer(_shown(made), f"/incident-templates/{made.id}")


@blueprint.reads(NAME, IncidentTemplateShape, summary="Read a template of incidents")
def read_incident_template(template_id: int) -> Answer:
    return Answer(_shown(_template(template_id)))


@blueprint.changes(NAME, IncidentTemplateChange, IncidentTemplateShape, summary="Change a template of incidents")
def change_incident_template(template_id: int, body: dict[str, Any]) -> Answer:
    """What was published with it stays as it is."""
    found = _template(template_id)
    before = TemplateContent(
        found.name,
        found.body,
        title=found.title,
        state=found.state,
        audience=found.audience,
        severities=severities_in(found),
        notify=found.notify,
        promise=found.promise,
    )
    version = expected_version(found.version)
    edit_template(found, _content(before, body), version=version, by=access.actor(), now=clock.utcnow())
    return Answer(_shown(found))


@blueprint.does(f"{NAME}/archive", IncidentTemplateShape, summary="Offer a template no longer")
def archive_incident_template(template_id: int) -> Answer:
    found = _template(template_id)
    archive_template(found, version=expected_version(found.version), by=access.actor(), now=clock.utcnow())
    return Answer(_shown(found))


@blueprint.does(f"{NAME}/restore", IncidentTemplateShape, summary="Offer a template again")
def restore_incident_template(template_id: int) -> Answer:
    found = _template(template_id)
    restore_template(found, version=expected_version(found.version), by=access.actor(), now=clock.utcnow())
    return Answer(_shown(found))


@blueprint.does(f"{NAME}/move", IncidentTemplateShape, body=WhichWay, summary="Offer a template earlier or later")
def move_incident_template(template_id: int, body: dict[str, Any]) -> Answer:
    found = _template(template_id)
    version = expected_version(found.version)
    move_template(found, up=body["up"], version=version, by=access.actor(), now=clock.utcnow())
    return Answer(_shown(found))


@blueprint.does(
    f"{NAME}/fill", FilledTemplateShape, body=Filling, summary="Fill a template of incidents", of_version=False
)
def fill_incident_template(template_id: int, body: dict[str, Any]) -> Answer:
    """Changes nothing. Refused where a variable or a blank is left open, with a sentence that names it."""
    found = _template(template_id)
    if found.archived_at is not None:
        raise RuleViolation("This template was archived: nobody is to use it any more.")
    named = {**severities_in(found), **severities_of(body["components"])}
    of_report: dict[str, Any] = {
        "component_ids": list(named),
        "began_at": body["started_at"] or clock.utcnow(),
        "zone": body["zone"],
    }
    title, text, _wordings = fill(
        found.title,
        found.body,
        (),
        body["values"],
        **of_report,
    )
    translations = fill_translations(
        translations_of(title=found.titles, body=found.bodies), body["values"], **of_report
    )
    return Answer(
        {
            "title": title,
            "body": text,
            "translations": translations,
            "components": _components(named),
            "next_update_minutes": found.promise or None,
            **{name: getattr(found, name) for name in ("state", "audience", "notify")},
        }
    )


def _template(template_id: int) -> IncidentTemplate:
    found = template_by_id(template_id)
    if found is None:
        raise NotFound
    return found


def _content(before: TemplateContent, body: dict[str, Any]) -> TemplateContent:
    names = {"next_update_minutes": "promise", "components": "severities"}
    changes = {names.get(name, name): value for name, value in body.items()}
    if "severities" in changes:
        changes["severities"] = severities_of(changes["severities"])
    return replace(before, **changes)


def _components(named: dict[int, Severity]) -> list[dict[str, Any]]:
    return [{"component_id": each, "severity": severity} for each, severity in sorted(named.items())]


def _shown(found: IncidentTemplate) -> dict[str, Any]:
    names = ("id", "name", "title", "body", "state", "audience", "notify", "archived_at", "created_at", "version")
    kept = {int(each): Severity(severity) for each, severity in found.severities.items()}
    return {
        **{name: getattr(found, name) for name in names},
        "components": _components(kept),
        "next_update_minutes": found.promise,
        "fields_to_fill": own_fields(found.title, found.body, *found.titles.values(), *found.bodies.values()),
        "translations": translations_of(title=found.titles, body=found.bodies),
    }
