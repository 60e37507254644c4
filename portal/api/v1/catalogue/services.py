"""`/api/v1/services`: what is sold, and what each depends on."""

from collections.abc import Collection
from typing import Any

from marshmallow import fields, validate

from portal import access, clock
from portal.accounts.rules.tokens import Resource
from portal.api.v1.fields import InAddress, Moment, Switch, SwitchInAddress, Text, Word, ids
from portal.api.v1.operations import Answer, Resources, wanted
from portal.api.v1.requests import expected_version
from portal.api.v1.schemas import ListQuery, Shape, sorted_by
from portal.api.v1.services.updates import ServiceUpdateShape, StatusOfService, made
from portal.api.v1.services.views import require_stating, view
from portal.catalogue import actions
from portal.catalogue.models import Service
from portal.catalogue.queries.listings import (
    SERVICE_ORDERS,
    component_ids_by_service,
    service,
    service_order,
    services,
)
from portal.catalogue.queries.lists import list_version
from portal.catalogue.rules.services import ALIAS_LENGTH, ALIASES_AT_MOST, ICONS, PLAIN, STATUSES, Details
from portal.domains.rules import Area
from portal.errors import NotFound, RuleViolation, StaleEdit
from portal.keyset import Piece
from portal.services.rules import ServiceStatus

blueprint = Resources(
    Resource.SERVICES,
    Area.SERVICES,
    about="What is sold. A company’s token sees what that company holds, without what it depends on.",
)


class ServiceShape(Shape):
    id = fields.Integer(required=True)
    name = fields.String(required=True)
    category = fields.String(required=True, metadata={"description": "The heading it stands under; may be empty."})
    description = fields.String(required=True, allow_none=True)
    icon = fields.String(required=True, metadata={"description": "The name of its drawing; may be empty."})
    aliases = fields.List(
        fields.String(), metadata={"description": "Other names it is found by. Not for a company’s token."}
    )
    everyone = fields.Boolean(metadata={"description": "Whether every company holds it. Not for a company’s token."})
    notifies = fields.List(
        fields.String(),
        allow_none=True,
        metadata={"description": "The statuses that are mailed; null for all. Not for a company’s token."},
    )
    position = fields.Integer(required=True, metadata={"description": "Its place in the list, from 0."})
    created_at = Moment(metadata={"description": "Not for a company’s token."})
    archived_at = Moment(allow_none=True, metadata={"description": "Not for a company’s token."})
    component_ids = fields.List(
        fields.Integer(), metadata={"description": "What it depends on now. Not for a company’s token."}
    )
    version = fields.Integer(metadata={"description": "Not for a company’s token."})


class ServiceQuery(ListQuery):
    q = Text(most=200, metadata={"description": "Services whose name, or another name of theirs, holds this."})
    component_id = InAddress(
        metadata={"description": "Services that depend on this component. Not for a company’s token."}
    )
    archived = SwitchInAddress(metadata={"description": "Only archived ones, or only the others."})
    sort = sorted_by(SERVICE_ORDERS)


def _aliases(**rest: Any) -> fields.List[Any]:
    about = {"description": "Other names it is found by.", "example": ["Broadband", "Wi-Fi"]}
    return fields.List(Text(most=ALIAS_LENGTH), validate=validate.Length(max=ALIASES_AT_MOST), metadata=about, **rest)


def _icon(**rest: Any) -> Any:
    return fields.String(
        validate=validate.OneOf(["", *ICONS]),
        metadata={"description": "The name of its drawing; empty for none."},
        **rest,
    )


def _notifies(**rest: Any) -> fields.List[Any]:
    return fields.List(
        Word(ServiceStatus),
        allow_none=True,
        validate=validate.Length(max=len(STATUSES)),
        metadata={"description": "The statuses that are mailed; null for all, empty for none."},
        **rest,
    )


class NewService(Shape):
    name = Text(required=True, least=1, most=200, metadata={"example": "Internet access"})
    category = Text(most=100, load_default="", metadata={"example": "Connections"})
    description = Text(most=2000, allow_none=True)
    icon = _icon(load_default="")
    aliases = _aliases(load_default=list)
    notifies = _notifies(load_default=None)
    everyone = Switch(load_default=False, metadata={"description": "Every company holds it, later ones too."})
    component_ids = ids(load_default=list, metadata={"description": "What it depends on."})


class ServiceChange(Shape):
    name = Text(least=1, most=200)
    category = Text(most=100)
    description = Text(most=2000, allow_none=True)
    icon = _icon()
    aliases = _aliases()
    notifies = _notifies()
    everyone = Switch(
        metadata={"description": "Every company holds it from now on, later ones too. False keeps what is held."}
    )


class DependenciesChange(Shape):
    component_ids = ids(required=True, metadata={"description": "What it depends on from now on."})


class ServiceOrderShape(Shape):
    order = fields.List(fields.Integer(), required=True)
    version = fields.Integer(required=True)


class ServiceOrderChange(Shape):
    order = ids(required=True, metadata={"description": "Every service that is sold, in their new order."})


@blueprint.lists("", ServiceQuery, ServiceShape, summary="List services")
def list_services(query: dict[str, Any]) -> Piece[Any]:
    viewpoint = access.viewpoint()
    found = services(
        wanted(query, SERVICE_ORDERS),
        viewpoint,
        clock.utcnow(),
        text=query.get("q"),
        component_id=query.get("component_id") if viewpoint.is_staff else None,
        is_archived=query.get("archived"),
        hidden=view().hidden_services,
    )
    return Piece(_shown(found.items), found.next)


@blueprint.makes("", NewService, ServiceShape, summary="Add a service")
def add_service(body: dict[str, Any]) -> Answer:
    """It comes at the end of the list."""
    by, now = access.actor(), clock.utcnow()
    added = actions.add_service(
        body["name"],
        category=body["category"],
        description=body.get("description"),
        details=_details(body, PLAIN),
        by=by,
        now=now,
    )
    actions.set_global(added, body["everyone"], by=by, now=now)
    actions.set_dependencies(added, body["component_ids"], by=by, now=now)
    return Answer(_one(added), f"/services/{added.id}")


@blueprint.reads("/order", ServiceOrderShape, summary="Read the order of services")
def read_service_order() -> Answer:
    if not access.viewpoint().is_staff:
        raise NotFound
    return Answer({"order": service_order(), "version": list_version(actions.SERVICES)})


@blueprint.sets("/order", ServiceOrderChange, ServiceOrderShape, summary="Put services in order", of_version=True)
def set_service_order(body: dict[str, Any]) -> Answer:
    """The whole list at once. Any change of the list in between is 409."""
    version = expected_version(list_version(actions.SERVICES))
    actions.arrange_services(body["order"], version=version, by=access.actor(), now=clock.utcnow())
    return read_service_order()


@blueprint.reads("/<int:service_id>", ServiceShape, summary="Read a service")
def read_service(service_id: int) -> Answer:
    return Answer(_one(_service(service_id)))


@blueprint.changes("/<int:service_id>", ServiceChange, ServiceShape, summary="Change a service")
def change_service(service_id: int, body: dict[str, Any]) -> Answer:
    found, by, now = _service(service_id), access.actor(), clock.utcnow()
    actions.edit_service(
        found,
        body.get("name", found.name),
        category=body.get("category", found.category),
        description=body.get("description", found.description),
        details=_details(body, actions.details_of(found)),
        version=expected_version(found.version),
        by=by,
        now=now,
    )
    if "everyone" in body:
        if body["everyone"] and found.archived_at is not None:
            raise RuleViolation("Take it back from the archive first.", "everyone")
        actions.set_global(found, body["everyone"], by=by, now=now)
    return Answer(_one(found))


@blueprint.removes("/<int:service_id>", summary="Delete a service nobody ever held", of_version=True)
def remove_service(service_id: int) -> None:
    """One that is or was held is archived instead: its history stays."""
    found = _service(service_id)
    actions.delete_service(found, version=expected_version(found.version), by=access.actor(), now=clock.utcnow())


@blueprint.does("/<int:service_id>/end-holdings", ServiceShape, summary="End all that is held of a service")
def end_holdings_of_service(service_id: int) -> Answer:
    """Nobody holds it from now on. What was true until now is kept. Then it can be archived."""
    found = _service(service_id)
    if found.version != expected_version(found.version):
        raise StaleEdit
    actions.end_holdings_of(found, by=access.actor(), now=clock.utcnow())
    return Answer(_one(found))


@blueprint.makes(
    "/<int:service_id>/status",
    StatusOfService,
    ServiceUpdateShape,
    summary="State how a service is for its holders",
)
def set_service_status(service_id: int, body: dict[str, Any]) -> Answer:
    """As with `POST /service-updates`, for this service; the scope must reach that far too."""
    require_stating()
    return made(_service(service_id).id, body)


@blueprint.sets(
    "/<int:service_id>/components", DependenciesChange, ServiceShape, summary="Let it depend on just these components"
)
def set_dependencies(service_id: int, body: dict[str, Any]) -> Answer:
    """What it depended on before ends now and is kept, so that uptime stays what it was."""
    found = _service(service_id)
    actions.set_dependencies(found, body["component_ids"], by=access.actor(), now=clock.utcnow())
    return Answer(_one(found))


@blueprint.does("/<int:service_id>/archive", ServiceShape, summary="Stop selling a service")
def archive_service(service_id: int) -> Answer:
    """Refused while anybody holds it: end what is held of it first."""
    found = _service(service_id)
    version = expected_version(found.version)
    actions.archive_service(found, version=version, by=access.actor(), now=clock.utcnow())
    return Answer(_one(found))


@blueprint.does("/<int:service_id>/restore", ServiceShape, summary="Sell an archived service again")
def restore_service(service_id: int) -> Answer:
    found = _service(service_id)
    version = expected_version(found.version)
    actions.restore_service(found, version=version, by=access.actor(), now=clock.utcnow())
    return Answer(_one(found))


def _service(service_id: int) -> Service:
    found = service(access.viewpoint(), service_id, clock.utcnow())
    if found is None or found.id in view().hidden_services:
        raise NotFound
    return found


def _details(body: dict[str, Any], present: Details) -> Details:
    """The details as the body has them; what it does not name stays."""
    return Details(
        body.get("icon", present.icon),
        tuple(body.get("aliases", present.aliases)),
        body.get("notifies", present.notifies),
    )


def _one(found: Service) -> dict[str, Any]:
    return _shown([found])[0]


def _shown(found: Collection[Service]) -> list[dict[str, Any]]:
    names = ["id", "name", "category", "description", "icon", "position"]
    if not access.viewpoint().is_staff:
        return [{name: getattr(each, name) for name in names} for each in found]
    names += ["aliases", "notifies", "created_at", "archived_at", "version"]
    depends = component_ids_by_service([each.id for each in found], clock.utcnow())
    return [
        {name: getattr(each, name) for name in names} | {"everyone": each.is_global, "component_ids": depends[each.id]}
        for each in found
    ]
