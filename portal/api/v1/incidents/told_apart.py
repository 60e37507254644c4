"""`/api/v1/incidents/{id}/updates/{id}/wordings`: what some are told of an update in words of their own."""

from typing import Any

from marshmallow import fields

from portal import access, clock
from portal.api.v1.incidents.incidents import UPDATE, blueprint, incident_of_staff, update_of
from portal.api.v1.incidents.words import WordingShape, meant, shown, wordings_to_set
from portal.api.v1.operations import Answer
from portal.api.v1.requests import expected_version
from portal.api.v1.schemas import Shape
from portal.incidents.actions.wordings import edit_wordings
from portal.incidents.models import Incident, IncidentUpdate
from portal.incidents.queries.wordings import wordings_of
from portal.incidents.rules.wordings import Wording

RULE = f"{UPDATE}/wordings"


class IncidentWordingsShape(Shape):
    wordings = fields.List(fields.Nested(WordingShape), required=True, metadata={"description": "Companies first."})
    version = fields.Integer(required=True, metadata={"description": "Of the incident."})


class IncidentWordingsChange(Shape):
    wordings = wordings_to_set(required=True, metadata={"description": "All there are from now on."})


@blueprint.reads(RULE, IncidentWordingsShape, summary="Read an update’s wordings for some")
def read_incident_wordings(incident_id: str, update_id: str) -> Answer:
    """Not for a company’s token: it reads the text that is meant for it as the body of the update."""
    found = incident_of_staff(incident_id)
    return Answer(_shown(found, update_of(found, update_id)))


@blueprint.sets(
    RULE, IncidentWordingsChange, IncidentWordingsShape, summary="Set an update’s wordings for some", of_version=True
)
def set_incident_wordings(incident_id: str, update_id: str, body: dict[str, Any]) -> Answer:
    """Pages show them at once; nothing is mailed again. The ETag is that of the incident: its timeline is one thing."""
    found = incident_of_staff(incident_id)
    update = update_of(found, update_id)
    _write(found, update, meant(body["wordings"]))
    return Answer(_shown(found, update))


@blueprint.removes(RULE, summary="Take an update’s wordings for some away", of_version=True)
def remove_incident_wordings(incident_id: str, update_id: str) -> None:
    """Everybody reads its general text again."""
    found = incident_of_staff(incident_id)
    _write(found, update_of(found, update_id), ())


def _write(found: Incident, update: IncidentUpdate, wordings: tuple[Wording, ...]) -> None:
    version = expected_version(found.version)
    edit_wordings(update, found, wordings, version=version, by=access.actor(), now=clock.utcnow())


def _shown(found: Incident, update: IncidentUpdate) -> dict[str, Any]:
    return {"wordings": shown(wordings_of([update.id]).get(update.id, [])), "version": found.version}
