"""`/api/v1/incidents/{id}/postmortem`: what was learnt of an incident, written as a draft and then published."""

from typing import Any

from marshmallow import fields

from portal import access, clock
from portal.api.v1.fields import Moment, Switch, Text
from portal.api.v1.incidents.incidents import NAME, STAFF_ONLY, blueprint, incident_here, incident_of_staff
from portal.api.v1.incidents.languages import BodyIn, texts_meant, translations_read, translations_to_set
from portal.api.v1.operations import Answer
from portal.api.v1.requests import expected_version
from portal.api.v1.schemas import Shape
from portal.errors import NotFound
from portal.incidents import actions
from portal.incidents.actions.writing import BODY_LENGTH
from portal.incidents.models import Incident, Postmortem
from portal.incidents.queries.postmortems import postmortem_for_staff, postmortem_mail, postmortem_of
from portal.incidents.rules.languages import translations_of

RULE = f"{NAME}/postmortem"


class PostmortemShape(Shape):
    public_id = fields.String(required=True)
    body = fields.String(required=True, metadata={"description": "Markdown."})
    translations = translations_read(BodyIn)
    published_at = Moment(required=True, allow_none=True, metadata={"description": "Null while only staff see it."})
    changed_at = Moment(required=True)
    notify = fields.Boolean(metadata=STAFF_ONLY)
    broadcast_id = fields.Integer(
        allow_none=True,
        metadata={"description": "The broadcast that tells of it, if any. Not for a company’s token."},
    )
    version = fields.Integer(metadata=STAFF_ONLY)


class PostmortemChange(Shape):
    body = Text(
        required=True,
        least=1,
        most=BODY_LENGTH,
        metadata={"description": "Markdown.", "example": "A fibre was cut. It is now led another way."},
    )
    translations = translations_to_set(BodyIn)


class PostmortemPublication(Shape):
    """How a postmortem is published."""

    notify = Switch(load_default=True, metadata={"description": "Mail everybody who was told of the incident."})


@blueprint.reads(RULE, PostmortemShape, summary="Read the postmortem of an incident")
def read_postmortem(incident_id: str) -> Answer:
    """404 as long as there is none; for a company’s token as long as it is not published."""
    found = incident_here(incident_id)
    viewpoint = access.viewpoint()
    written = (
        postmortem_for_staff(found.id) if viewpoint.is_staff else postmortem_of(found.id, viewpoint, clock.utcnow())
    )
    if written is None:
        raise NotFound
    return Answer(_shown(written))


@blueprint.sets(RULE, PostmortemChange, PostmortemShape, summary="Write the postmortem of an incident", of_version=True)
def write_postmortem(incident_id: str, body: dict[str, Any]) -> Answer:
    """A draft that only staff see, or the correction of what customers read. Where there is none yet, send
    `If-Match: "0"`. Nobody is mailed."""
    found = incident_of_staff(incident_id)
    known = postmortem_for_staff(found.id)
    written = actions.write_postmortem(
        found,
        body["body"],
        bodies=texts_meant(body, "body"),
        version=expected_version(known.version if known else 0),
        by=access.actor(),
        author_id=None,
        now=clock.utcnow(),
    )
    return Answer(_shown(written))


@blueprint.does(f"{RULE}/publish", PostmortemShape, body=PostmortemPublication, summary="Publish a postmortem")
def publish_postmortem(incident_id: str, body: dict[str, Any]) -> Answer:
    """Whoever may see the incident reads it from now on. Again is harmless."""
    found = incident_of_staff(incident_id)
    written = _written(found)
    version = expected_version(written.version)
    actions.publish_postmortem(
        found, written, notify=body["notify"], version=version, by=access.actor(), now=clock.utcnow()
    )
    return Answer(_shown(written))


@blueprint.removes(RULE, summary="Throw the draft of a postmortem away", of_version=True)
def discard_postmortem(incident_id: str) -> None:
    """What is published stays: it can be corrected."""
    written = _written(incident_of_staff(incident_id))
    version = expected_version(written.version)
    actions.discard_postmortem(written, version=version, by=access.actor(), now=clock.utcnow())


def _written(found: Incident) -> Postmortem:
    written = postmortem_for_staff(found.id)
    if written is None:
        raise NotFound
    return written


def _shown(written: Postmortem) -> dict[str, Any]:
    names = ("public_id", "body", "published_at", "changed_at")
    shown: dict[str, Any] = {name: getattr(written, name) for name in names}
    shown["translations"] = translations_of(body=written.bodies)
    if access.viewpoint().is_staff:
        told = postmortem_mail(written.incident_id) if written.notify else None
        shown |= {"notify": written.notify, "version": written.version, "broadcast_id": told.id if told else None}
    return shown
