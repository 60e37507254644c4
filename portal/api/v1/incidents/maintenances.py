"""`/api/v1/maintenances`: planned work with its windows."""

from datetime import datetime
from typing import Any

from marshmallow import fields

from portal import access, clock
from portal.accounts.rules.tokens import Resource
from portal.api.v1.fields import InAddress, Moment, SwitchInAddress, Word
from portal.api.v1.operations import Answer, Resources, wanted
from portal.api.v1.schemas import ListQuery, Shape, sorted_by
from portal.domains.rules import Area
from portal.errors import NotFound
from portal.incidents.models import Maintenance
from portal.incidents.queries.listings import MAINTENANCE_SORTS, maintenance, maintenance_orders, maintenances
from portal.incidents.rules import Audience, MaintenanceState, Visibility, maintenance_state
from portal.keyset import Piece

blueprint = Resources(
    Resource.MAINTENANCES,
    Area.STATUS,
    about="Planned work with its windows; found by its number or its public id. So far it is read only.",
)

STAFF_ONLY = {"description": "Not for a company’s token."}


class WorkedOnShape(Shape):
    component_id = fields.Integer(required=True)
    title = fields.String(required=True)


class MaintenanceUpdateShape(Shape):
    public_id = fields.String(required=True)
    state = Word(MaintenanceState, required=True)
    body = fields.String(required=True, metadata={"description": "Markdown."})
    posted_at = Moment(required=True)


class MaintenanceShape(Shape):
    id = fields.Integer(metadata=STAFF_ONLY)
    public_id = fields.String(required=True)
    title = fields.String(required=True)
    state = Word(MaintenanceState, required=True, metadata={"description": "By the clock, unless moved by hand."})
    visibility = Word(Visibility, metadata=STAFF_ONLY)
    audience = Word(Audience, metadata=STAFF_ONLY)
    components = fields.List(fields.Nested(WorkedOnShape), required=True)
    updates = fields.List(
        fields.Nested(MaintenanceUpdateShape), required=True, metadata={"description": "Newest first."}
    )
    starts_at = Moment(required=True)
    ends_at = Moment(required=True)
    completed_at = Moment(required=True, allow_none=True)
    updated_at = Moment(required=True, metadata={"description": "When what customers see last changed."})


class MaintenanceQuery(ListQuery):
    open = SwitchInAddress(metadata={"description": "Only what is ahead or under way, or only what is over."})
    component_id = InAddress(metadata={"description": "Work on this component."})
    since = Moment(metadata={"description": "Starting at this moment or later."})
    until = Moment(metadata={"description": "Starting before this moment."})
    sort = sorted_by(MAINTENANCE_SORTS)


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


@blueprint.reads("/<string(maxlength=40):maintenance_id>", MaintenanceShape, summary="Read a maintenance")
def read_maintenance(maintenance_id: str) -> Answer:
    now = clock.utcnow()
    found = maintenance(access.viewpoint(), maintenance_id, now)
    if found is None:
        raise NotFound
    return Answer(_shown(found, now))


def _shown(found: Maintenance, now: datetime) -> dict[str, Any]:
    shown = {
        "public_id": found.public_id,
        "title": found.title,
        "state": maintenance_state(found.state, found.starts_at, found.ends_at, now),
        "components": [
            {"component_id": each.component_id, "title": each.component.title}
            for each in sorted(found.components, key=lambda each: each.component_id)
        ],
        "updates": found.updates,
        "starts_at": found.starts_at,
        "ends_at": found.ends_at,
        "completed_at": found.completed_at,
        "updated_at": found.public_updated_at,
    }
    if access.viewpoint().is_staff:
        shown |= {"id": found.id, "visibility": found.visibility, "audience": found.audience}
    return shown
