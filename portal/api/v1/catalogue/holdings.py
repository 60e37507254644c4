"""`/api/v1/holdings`: who holds which service under which reference, and how each is at this moment."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from marshmallow import fields

from portal import access, clock
from portal.accounts.queries.listings import company_by_id
from portal.accounts.rules.tokens import Resource
from portal.api.v1.fields import Id, InAddress, Moment, SwitchInAddress, Text, Word, ids
from portal.api.v1.operations import Answer, Resources, wanted
from portal.api.v1.requests import expected_version
from portal.api.v1.schemas import ListQuery, Shape, sorted_by
from portal.api.v1.services.updates import ServiceUpdateShape, StatusToSet, stated
from portal.api.v1.services.views import require_stating, view
from portal.catalogue import actions
from portal.catalogue.models import Holding
from portal.catalogue.queries.listings import HOLDING_ORDERS, component_ids_by_holding, holding, holdings
from portal.catalogue.queries.lists import service_by_id
from portal.domains.rules import Area
from portal.errors import NotFound, RuleViolation
from portal.keyset import Piece
from portal.services.queries import service_lines, stated_of_company
from portal.services.queries.settings import View
from portal.services.rules import Scope, ServiceStatus

blueprint = Resources(
    Resource.HOLDINGS,
    Area.SERVICES,
    about="One company’s use of one service, under its own reference such as a circuit or account number.",
)


class HoldingShape(Shape):
    id = fields.Integer(required=True)
    company_id = fields.Integer(required=True)
    service_id = fields.Integer(required=True)
    service_name = fields.String(required=True)
    reference = fields.String(required=True, metadata={"description": "May be empty."})
    valid_from = Moment(required=True)
    valid_to = Moment(required=True, allow_none=True)
    component_ids = fields.List(
        fields.Integer(),
        metadata={"description": "What it depends on beside its service. Not for a company’s token."},
    )
    version = fields.Integer(metadata={"description": "Not for a company’s token."})


class HoldingQuery(ListQuery):
    company_id = InAddress(metadata={"description": "What this company holds."})
    service_id = InAddress(metadata={"description": "Who holds this service."})
    reference = Text(most=120, metadata={"description": "Those with this reference."})
    current = SwitchInAddress(metadata={"description": "Only what is held now, or only what is over."})
    sort = sorted_by(HOLDING_ORDERS)


class NewHolding(Shape):
    company_id = Id(required=True)
    service_id = Id(required=True)
    reference = Text(most=120, load_default="", metadata={"example": "CIR-1042"})
    component_ids = ids(load_default=list, metadata={"description": "What it depends on beside its service."})


class HoldingChange(Shape):
    reference = Text(most=120)
    component_ids = ids(metadata={"description": "What it depends on beside its service, from now on."})


class StatedShape(Shape):
    status = Word(ServiceStatus, required=True)
    since = Moment(required=True)
    notes = fields.String(required=True, metadata={"description": "Markdown."})
    ticket = fields.String(required=True)
    starts_at = Moment(required=True, allow_none=True, metadata={"description": "Of scheduled service."})
    ends_at = Moment(
        required=True, allow_none=True, metadata={"description": "Of scheduled service; of a problem an estimate."}
    )
    window_id = fields.String(required=True, allow_none=True, metadata={"description": "Of scheduled service."})


class HoldingStatusShape(Shape):
    holding_id = fields.Integer(required=True)
    status = Word(
        ServiceStatus,
        required=True,
        allow_none=True,
        metadata={"description": "As its company sees it; null where Status is switched off for that company."},
    )
    reason = fields.String(required=True, metadata={"description": "What causes it; empty when all is well."})
    since = Moment(required=True, allow_none=True)
    incident_public_id = fields.String(
        required=True, allow_none=True, metadata={"description": "The incident that causes it, if one does."}
    )
    stated = fields.Nested(
        StatedShape,
        required=True,
        allow_none=True,
        metadata={"description": "What staff state of it, whatever its components imply; null for nothing."},
    )


@blueprint.lists("", HoldingQuery, HoldingShape, summary="List holdings")
def list_holdings(query: dict[str, Any]) -> Piece[Any]:
    found = holdings(
        wanted(query, HOLDING_ORDERS),
        access.viewpoint(),
        clock.utcnow(),
        company_id=query.get("company_id"),
        service_id=query.get("service_id"),
        reference=query.get("reference"),
        is_current=query.get("current"),
        hidden=view().hidden_services,
    )
    return Piece(_shown(found.items), found.next)


@blueprint.makes("", NewHolding, HoldingShape, summary="Add a holding")
def add_holding(body: dict[str, Any]) -> Answer:
    """From now on the company holds the service; the same one again takes a reference of its own."""
    company, service = company_by_id(body["company_id"]), service_by_id(body["service_id"])
    if company is None:
        raise RuleViolation("There is no such company.", "company_id")
    if service is None:
        raise RuleViolation("There is no such service.", "service_id")
    added = actions.add_holding(
        company,
        service,
        reference=body["reference"],
        component_ids=body["component_ids"],
        by=access.actor(),
        now=clock.utcnow(),
    )
    return Answer(_one(_holding(added.id)), f"/holdings/{added.id}")


@blueprint.reads("/<int:holding_id>", HoldingShape, summary="Read a holding")
def read_holding(holding_id: int) -> Answer:
    return Answer(_one(_holding(holding_id)))


@blueprint.changes("/<int:holding_id>", HoldingChange, HoldingShape, summary="Change a holding")
def change_holding(holding_id: int, body: dict[str, Any]) -> Answer:
    found, now = _holding(holding_id), clock.utcnow()
    version = expected_version(found.version)
    if found.valid_to is not None:
        raise RuleViolation("This holding is over. Add a new one.")
    own = component_ids_by_holding([found.id], now)[found.id]
    actions.edit_holding(
        found,
        found.service,
        reference=body.get("reference", found.reference),
        component_ids=body.get("component_ids", own),
        version=version,
        by=access.actor(),
        now=now,
    )
    return Answer(_one(found))


@blueprint.does("/<int:holding_id>/end", HoldingShape, summary="End a holding")
def end_holding(holding_id: int) -> Answer:
    """The company no longer holds it from now on. What was true until now is kept."""
    found = _holding(holding_id)
    version = expected_version(found.version)
    actions.end_holding(found, version=version, by=access.actor(), now=clock.utcnow())
    return Answer(_one(found))


@blueprint.reads("/<int:holding_id>/status", HoldingStatusShape, summary="Read how a holding is at this moment")
def read_holding_status(holding_id: int) -> Answer:
    """The worse of what staff stated and what its components imply, as its company sees it."""
    found, now, seen = _holding(holding_id), clock.utcnow(), view()
    shows_incidents = access.viewpoint().is_staff or Area.STATUS in access.company_areas()
    lines = service_lines(found.company_id, now, shows_incidents=shows_incidents, view=seen)
    line = next((each for each in lines if each.holding_id == found.id), None)
    if line is None:
        raise NotFound
    return Answer(
        {
            "holding_id": found.id,
            "status": line.status,
            "reason": line.reason,
            "since": line.since,
            "incident_public_id": line.incident,
            "stated": _stated(found, seen, now),
        }
    )


@blueprint.makes("/<int:holding_id>/status", StatusToSet, ServiceUpdateShape, summary="State how a holding is")
def set_holding_status(holding_id: int, body: dict[str, Any]) -> Answer:
    """As with `POST /service-updates`, for this one; the scope must reach that far too."""
    require_stating()
    return stated([_holding(holding_id).id], body, scope=Scope.ONE)


def _stated(found: Holding, seen: View, now: datetime) -> dict[str, Any] | None:
    said = stated_of_company(found.company_id, now).get(found.id)
    if said is None:
        return None
    return {
        "status": said.status,
        "since": said.since,
        "notes": said.notes if seen.shows_notes else "",
        "ticket": said.ticket if seen.shows_tickets else "",
        "starts_at": said.starts_at,
        "ends_at": said.until if seen.shows_end_times else None,
        "window_id": said.window,
    }


def _holding(holding_id: int) -> Holding:
    found = holding(access.viewpoint(), holding_id, clock.utcnow())
    if found is None or found.service_id in view().hidden_services:
        raise NotFound
    return found


def _one(found: Holding) -> dict[str, Any]:
    return _shown([found])[0]


def _shown(found: Collection[Holding]) -> list[dict[str, Any]]:
    names = ["id", "company_id", "service_id", "reference", "valid_from", "valid_to"]
    is_staff = access.viewpoint().is_staff
    own = component_ids_by_holding([each.id for each in found], clock.utcnow()) if is_staff else {}
    shown = []
    for each in found:
        line = {name: getattr(each, name) for name in names} | {"service_name": each.service.name}
        if is_staff:
            line |= {"component_ids": own[each.id], "version": each.version}
        shown.append(line)
    return shown
