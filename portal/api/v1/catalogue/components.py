"""`/api/v1/components`: what can break, how each is at this moment, and the order they stand in."""

from collections.abc import Collection
from typing import Any

from marshmallow import fields, validate

from portal import access, clock
from portal.accounts.rules.tokens import Resource
from portal.api.v1.fields import Id, InAddress, Moment, Switch, SwitchInAddress, Text, Whole, Word, ids
from portal.api.v1.operations import Answer, Resources, wanted
from portal.api.v1.requests import expected_version
from portal.api.v1.schemas import ListQuery, Shape, sorted_by
from portal.catalogue import actions
from portal.catalogue.models import Component
from portal.catalogue.queries import component_by_id, services_reached
from portal.catalogue.queries.listings import COMPONENT_ORDERS, component_order, components
from portal.catalogue.queries.lists import list_version
from portal.domains.rules import Area
from portal.errors import NotFound
from portal.incidents import actions as incident_actions
from portal.incidents.queries import Filters, report_history, statuses_of
from portal.incidents.queries.base import base_of, bases_of
from portal.incidents.rules import STATUS_OF_SEVERITY, ComponentStatus, Severity
from portal.incidents.rules.base import NOTE_LENGTH
from portal.keyset import Piece

blueprint = Resources(
    Resource.COMPONENTS,
    Area.STATUS,
    about="What can break: carriers, routes, hosts. A company’s token sees each as that company sees it.",
)


ONLY_IF_DEGRADED = "Whether status pages show it only while it is not operational."


class ComponentShape(Shape):
    id = fields.Integer(required=True)
    public_id = fields.String(required=True)
    title = fields.String(required=True)
    description = fields.String(required=True, allow_none=True)
    group_id = fields.Integer(required=True, allow_none=True)
    position = fields.Integer(required=True, metadata={"description": "Its place in its group, from 0."})
    only_if_degraded = fields.Boolean(required=True, metadata={"description": ONLY_IF_DEGRADED})
    status = Word(
        ComponentStatus,
        required=True,
        allow_none=True,
        metadata={
            "description": "How it is at this moment: the worst of its base status and of open incidents, and "
            "maintenance where nothing is worse. Null for an archived one."
        },
    )
    base_status = Word(
        ComponentStatus,
        metadata={"description": "What staff set by hand, without an incident. Not for a company’s token."},
    )
    created_at = Moment(required=True)
    updated_at = Moment(required=True)
    archived_at = Moment(allow_none=True, metadata={"description": "Not for a company’s token."})
    version = fields.Integer(metadata={"description": "Not for a company’s token."})


class ComponentQuery(ListQuery):
    q = Text(most=200, metadata={"description": "Components whose title holds this."})
    group_id = InAddress(metadata={"description": "Components of this group."})
    archived = SwitchInAddress(metadata={"description": "Only archived ones, or only the others."})
    sort = sorted_by(COMPONENT_ORDERS)


class NewComponent(Shape):
    title = Text(required=True, least=1, most=200, metadata={"example": "North ring"})
    description = Text(most=2000, allow_none=True)
    group_id = Id(allow_none=True)
    only_if_degraded = Switch(metadata={"description": ONLY_IF_DEGRADED})


class ComponentChange(Shape):
    title = Text(least=1, most=200)
    description = Text(most=2000, allow_none=True)
    group_id = Id(allow_none=True)
    only_if_degraded = Switch(metadata={"description": ONLY_IF_DEGRADED})


class BaseShape(Shape):
    component_id = fields.Integer(required=True)
    status = Word(
        ComponentStatus, required=True, allow_none=True, metadata={"description": "As the component has it: effective."}
    )
    base_status = Word(ComponentStatus, required=True)
    since = Moment(required=True, allow_none=True, metadata={"description": "Null while it is operational by hand."})
    until = Moment(required=True, allow_none=True, metadata={"description": "When it ends by itself."})
    note = fields.String(required=True)
    set_by_id = fields.Integer(
        required=True, allow_none=True, metadata={"description": "The person who set it; null if it was a token."}
    )
    version = fields.Integer(required=True, metadata={"description": "Of the base status, not of the component."})


class BaseChange(Shape):
    base_status = Word(
        ComponentStatus,
        required=True,
        metadata={"description": "Any but `under_maintenance`, which is planned.", "example": "degraded_performance"},
    )
    until = Moment(allow_none=True, metadata={"description": "Ends by itself then; null or left out: when it is set."})
    note = Text(most=NOTE_LENGTH, metadata={"description": "Why. Never shown to customers."})


class DependentsShape(Shape):
    component_id = fields.Integer(required=True)
    service_ids = fields.List(fields.Integer(), required=True)


class DependentsChange(Shape):
    service_ids = ids(required=True, metadata={"description": "The services that depend on it from now on."})


class ComponentOrderShape(Shape):
    order = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "`g3` is a group, `c12` a component of the group before it."},
    )
    version = fields.Integer(required=True)


class ComponentOrderChange(Shape):
    order = fields.List(
        fields.String(validate=Whole("^[gc][1-9][0-9]{0,9}$")),
        required=True,
        validate=validate.Length(max=20_000),
        metadata={"description": "Every group and component there is, in their new order.", "example": ["g3", "c12"]},
    )


@blueprint.lists("", ComponentQuery, ComponentShape, summary="List components")
def list_components(query: dict[str, Any]) -> Piece[Any]:
    found = components(
        wanted(query, COMPONENT_ORDERS),
        access.viewpoint(),
        text=query.get("q"),
        group_id=query.get("group_id"),
        is_archived=query.get("archived"),
    )
    return Piece(_shown(found.items), found.next)


@blueprint.makes("", NewComponent, ComponentShape, summary="Add a component")
def add_component(body: dict[str, Any]) -> Answer:
    """It comes at the end of its group."""
    added = actions.add_component(
        body["title"],
        description=body.get("description"),
        group_id=body.get("group_id"),
        only_if_degraded=body.get("only_if_degraded", False),
        by=access.actor(),
        now=clock.utcnow(),
    )
    return Answer(_one(added), f"/components/{added.id}")


@blueprint.reads("/order", ComponentOrderShape, summary="Read the order of components")
def read_component_order() -> Answer:
    _for_staff()
    return Answer({"order": component_order(), "version": list_version(actions.COMPONENTS)})


@blueprint.sets("/order", ComponentOrderChange, ComponentOrderShape, summary="Put components in order", of_version=True)
def set_component_order(body: dict[str, Any]) -> Answer:
    """The whole list at once. Any change of the list in between is 409."""
    version = expected_version(list_version(actions.COMPONENTS))
    actions.arrange_components(body["order"], version=version, by=access.actor(), now=clock.utcnow())
    return read_component_order()


@blueprint.reads("/<int:component_id>", ComponentShape, summary="Read a component")
def read_component(component_id: int) -> Answer:
    return Answer(_one(_component(component_id)))


@blueprint.changes("/<int:component_id>", ComponentChange, ComponentShape, summary="Change a component")
def change_component(component_id: int, body: dict[str, Any]) -> Answer:
    """In a new group it comes at the end."""
    component = _component(component_id)
    actions.edit_component(
        component,
        body.get("title", component.title),
        description=body.get("description", component.description),
        group_id=body.get("group_id", component.group_id),
        only_if_degraded=body.get("only_if_degraded"),
        version=expected_version(component.version),
        by=access.actor(),
        now=clock.utcnow(),
    )
    return Answer(_one(component))


@blueprint.reads("/<int:component_id>/status", BaseShape, summary="Read the base status of a component")
def read_component_status(component_id: int) -> Answer:
    """What staff set by hand, beside what comes of it."""
    _for_staff()
    return Answer(_base(_component(component_id)))


@blueprint.sets(
    "/<int:component_id>/status",
    BaseChange,
    BaseShape,
    summary="Set the base status of a component",
    of_version=True,
)
def set_component_status(component_id: int, body: dict[str, Any]) -> Answer:
    """Without an incident. Nobody is mailed; status pages and the services that depend on it change at once.

    The same status again changes `until` and `note`, and keeps since when it is so.
    """
    component, now = _component(component_id), clock.utcnow()
    incident_actions.set_base_status(
        component,
        body["base_status"],
        until=body.get("until"),
        note=body.get("note", ""),
        version=expected_version(base_of(component.id, now).version),
        by=access.actor(),
        now=now,
    )
    return Answer(_base(component))


@blueprint.reads("/<int:component_id>/services", DependentsShape, summary="Read which services depend on it")
def read_dependents(component_id: int) -> Answer:
    _for_staff()
    component = _component(component_id)
    return Answer(_dependents(component.id))


@blueprint.sets(
    "/<int:component_id>/services", DependentsChange, DependentsShape, summary="Let just these services depend on it"
)
def set_dependents(component_id: int, body: dict[str, Any]) -> Answer:
    """What depended on it before ends now and is kept, so that uptime stays what it was."""
    component = _component(component_id)
    actions.set_dependents(component, body["service_ids"], by=access.actor(), now=clock.utcnow())
    return Answer(_dependents(component.id))


@blueprint.does("/<int:component_id>/archive", ComponentShape, summary="Archive a component")
def archive_component(component_id: int) -> Answer:
    """Refused while an open incident names it. Its history stays."""
    component, now = _component(component_id), clock.utcnow()
    version = expected_version(component.version)
    still_open = report_history(Filters(is_open=True, component_id=component.id), 1)
    held = [incident.title for incident in still_open.items] if still_open else []
    incident_actions.end_base_status(component, by=access.actor(), now=now)
    actions.archive_component(component, version=version, open_incidents=held, by=access.actor(), now=now)
    return Answer(_one(component))


@blueprint.does("/<int:component_id>/restore", ComponentShape, summary="Take an archived component back")
def restore_component(component_id: int) -> Answer:
    """What depended on it does not again by itself."""
    component = _component(component_id)
    version = expected_version(component.version)
    actions.restore_component(component, version=version, by=access.actor(), now=clock.utcnow())
    return Answer(_one(component))


def _for_staff() -> None:
    """Order and dependencies are not shown to companies."""
    if access.key().company_id is not None:
        raise NotFound


def _component(component_id: int) -> Component:
    found = component_by_id(component_id)
    if found is None or (found.archived_at is not None and access.key().company_id is not None):
        raise NotFound
    return found


def _dependents(component_id: int) -> dict[str, Any]:
    return {"component_id": component_id, "service_ids": services_reached([component_id], clock.utcnow())}


def _base(component: Component) -> dict[str, Any]:
    now = clock.utcnow()
    found = base_of(component.id, now)
    standing = found.standing
    is_live = component.archived_at is None
    return {
        "component_id": component.id,
        "status": statuses_of([component.id], access.viewpoint(), now)[component.id] if is_live else None,
        "base_status": found.status,
        "since": standing.from_at if standing else None,
        "until": standing.to_at if standing else None,
        "note": standing.note if standing else "",
        "set_by_id": standing.set_by_id if standing else None,
        "version": found.version,
    }


def _one(component: Component) -> dict[str, Any]:
    return _shown([component])[0]


def _shown(found: Collection[Component]) -> list[dict[str, Any]]:
    names = ["id", "public_id", "title", "description", "group_id", "position", "only_if_degraded"]
    names += ["created_at", "updated_at"]
    live, now = [each.id for each in found if each.archived_at is None], clock.utcnow()
    statuses = statuses_of(live, access.viewpoint(), now)
    shown = [{name: getattr(each, name) for name in names} | {"status": statuses.get(each.id)} for each in found]
    if access.key().company_id is not None:
        return shown
    by_hand = bases_of([each.id for each in found], now)
    for told, each in zip(shown, found, strict=True):
        severity = by_hand[each.id].severity if each.id in by_hand else Severity.NONE
        told |= {
            "base_status": STATUS_OF_SEVERITY[severity],
            "archived_at": each.archived_at,
            "version": each.version,
        }
    return shown
