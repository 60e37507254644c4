"""`/api/v1/portals`: the portal domains, what each shows, and the exceptions from that."""

from typing import Any

from marshmallow import fields, validate

from portal import access, clock
from portal.accounts.models import Company
from portal.accounts.queries.listings import company_by_id
from portal.accounts.rules.tokens import Resource, Scope
from portal.api.v1.fields import InAddress, Moment, Switch, Text, Whole, Word
from portal.api.v1.operations import Answer, Resources, wanted
from portal.api.v1.requests import Refusal, expected_version
from portal.api.v1.schemas import ListQuery, Shape
from portal.domains import actions
from portal.domains.models import AreaOverride, PortalDomain
from portal.domains.queries import domain_by_id
from portal.domains.queries.listings import OVERRIDE_ORDERS, PORTAL_ORDERS, override, overrides, portals
from portal.domains.rules import BUILT_AREAS, PER_COMPANY, Area
from portal.errors import NotFound
from portal.keyset import Piece
from portal.language import LANGUAGES

blueprint = Resources(
    Resource.PORTALS, about="The portal domains: their address and brand, and what customers can use."
)

EXCEPTED = [area for area in BUILT_AREAS if area in PER_COMPANY]


class _Look(Shape):
    base_url = Text(
        least=1,
        most=300,
        metadata={"description": "Where customers reach it.", "example": "https://status.example.com"},
    )
    brand = Text(least=1, most=100, metadata={"example": "Example"})
    tagline = Text(most=160, allow_none=True, metadata={"description": "What stands under the brand."})
    accent = fields.String(
        validate=Whole("^#[0-9a-fA-F]{6}$"),
        metadata={"description": "The colour of buttons and links.", "example": "#2457d6"},
    )
    language = fields.String(validate=validate.OneOf(sorted(LANGUAGES)))
    time_zone = Text(least=1, most=64, metadata={"example": "Europe/London"})
    support_email = Text(most=254, allow_none=True)
    support_phone = Text(most=40, allow_none=True)
    support_hours = Text(most=120, allow_none=True, metadata={"description": "When somebody answers."})
    help_url = Text(most=300, allow_none=True, metadata={"description": "A page that helps customers."})


LOOK = tuple(_Look._declared_fields)
"""What of a portal domain is edited together."""


class PortalShape(_Look):
    id = fields.Integer(required=True)
    host = fields.String(required=True)
    areas = fields.List(Word(Area), required=True, metadata={"description": "The access areas that are open."})
    created_at = Moment(required=True)
    version = fields.Integer(required=True)


class PortalQuery(ListQuery):
    host = Text(most=253, metadata={"description": "The one with this host name."})


class PortalChange(_Look):
    """What is named becomes as it says."""


class NewPortal(_Look):
    base_url = Text(required=True, least=1, most=300, metadata={"example": "https://status.example.com"})
    brand = Text(required=True, least=1, most=100, metadata={"example": "Example"})
    areas = fields.List(
        Word(Area, only=BUILT_AREAS),
        load_default=list,
        validate=validate.Length(max=20),
        metadata={"description": "The access areas to open; without it everything is off."},
    )


class AreasChange(Shape):
    areas = fields.List(
        Word(Area, only=BUILT_AREAS),
        required=True,
        validate=validate.Length(max=20),
        metadata={"description": "The access areas that are open from now on; the others close."},
    )


class OverrideShape(Shape):
    portal_id = fields.Integer(required=True)
    company_id = fields.Integer(required=True)
    area = Word(Area, required=True)
    is_open = fields.Boolean(required=True)


class OverrideQuery(ListQuery):
    company_id = InAddress(metadata={"description": "The exceptions of this company."})
    area = Word(Area, only=EXCEPTED, metadata={"description": "The exceptions from this access area."})


class OverrideChange(Shape):
    is_open = Switch(required=True, metadata={"description": "Whether it is open for this company."})


@blueprint.lists("", PortalQuery, PortalShape, summary="List portal domains")
def list_portals(query: dict[str, Any]) -> Piece[Any]:
    found = portals(wanted(query, PORTAL_ORDERS), host=query.get("host"))
    return Piece([_shown(each) for each in found.items], found.next)


@blueprint.makes("", NewPortal, PortalShape, summary="Add a portal domain")
def add_portal(body: dict[str, Any]) -> Answer:
    areas = body.pop("areas")
    added = actions.add_domain(
        body.pop("base_url"), body.pop("brand"), areas=areas, by=access.actor(), now=clock.utcnow(), **body
    )
    return Answer(_shown(added), f"/portals/{added.id}")


@blueprint.reads("/<int:portal_id>", PortalShape, summary="Read a portal domain")
def read_portal(portal_id: int) -> Answer:
    return Answer(_shown(portal_or_404(portal_id)))


@blueprint.changes("/<int:portal_id>", PortalChange, PortalShape, summary="Change a portal domain’s address or look")
def change_portal(portal_id: int, body: dict[str, Any]) -> Answer:
    """The address is changed by the scope `admin` alone: links in mails lead there, those for passwords too."""
    portal = portal_or_404(portal_id)
    if body.get("base_url", portal.base_url) != portal.base_url and access.key().scope is not Scope.ADMIN:
        raise Refusal(
            403, "Links in mails, those for passwords too, lead to this address. The scope “admin” changes it."
        )
    look = {name: body.get(name, getattr(portal, name)) for name in LOOK}
    actions.edit_domain(
        portal,
        look.pop("base_url"),
        look.pop("brand"),
        version=expected_version(portal.version),
        by=access.actor(),
        now=clock.utcnow(),
        **look,
    )
    return Answer(_shown(portal))


@blueprint.removes("/<int:portal_id>", summary="Remove a portal domain", of_version=True)
def remove_portal(portal_id: int) -> None:
    """Refused while it is the home of any company."""
    portal = portal_or_404(portal_id)
    version = expected_version(portal.version)
    actions.remove_domain(portal, version=version, by=access.actor(), now=clock.utcnow())


@blueprint.sets(
    "/<int:portal_id>/areas", AreasChange, PortalShape, summary="Open just these access areas", of_version=True
)
def set_areas(portal_id: int, body: dict[str, Any]) -> Answer:
    """It counts from the next request of everybody there."""
    portal = portal_or_404(portal_id)
    unbuilt = {Area(area) for area in portal.areas}.difference(BUILT_AREAS)
    version = expected_version(portal.version)
    actions.set_areas(portal, unbuilt | set(body["areas"]), version=version, by=access.actor(), now=clock.utcnow())
    return Answer(_shown(portal))


@blueprint.lists("/<int:portal_id>/overrides", OverrideQuery, OverrideShape, summary="List exceptions from its areas")
def list_overrides(portal_id: int, query: dict[str, Any]) -> Piece[Any]:
    portal = portal_or_404(portal_id)
    found = overrides(
        wanted(query, OVERRIDE_ORDERS), portal.id, area=query.get("area"), company_id=query.get("company_id")
    )
    return Piece([_exception(each) for each in found.items], found.next)


@blueprint.sets(
    "/<int:portal_id>/overrides/<int:company_id>/<any(status, services):area>",
    OverrideChange,
    OverrideShape,
    summary="Except a company from an area’s switch",
)
def set_override(portal_id: int, company_id: int, area: str, body: dict[str, Any]) -> Answer:
    portal, company = portal_or_404(portal_id), _company(company_id)
    actions.set_override(portal, company, Area(area), body["is_open"], by=access.actor(), now=clock.utcnow())
    made = override(portal.id, company.id, Area(area))
    if made is None:
        raise NotFound
    return Answer(_exception(made))


@blueprint.removes(
    "/<int:portal_id>/overrides/<int:company_id>/<any(status, services):area>", summary="Take an exception away"
)
def remove_override(portal_id: int, company_id: int, area: str) -> None:
    """The switch of the portal domain counts for this company again."""
    portal, company = portal_or_404(portal_id), _company(company_id)
    if override(portal.id, company.id, Area(area)) is None:
        raise NotFound
    actions.set_override(portal, company, Area(area), None, by=access.actor(), now=clock.utcnow())


def portal_or_404(portal_id: int) -> PortalDomain:
    found = domain_by_id(portal_id)
    if found is None:
        raise NotFound
    return found


def _company(company_id: int) -> Company:
    found = company_by_id(company_id)
    if found is None:
        raise NotFound
    return found


def _shown(portal: PortalDomain) -> dict[str, Any]:
    open_areas = [area for area in BUILT_AREAS if area in portal.areas]
    return {name: getattr(portal, name) for name in (*LOOK, "id", "host", "created_at", "version")} | {
        "areas": open_areas
    }


def _exception(each: AreaOverride) -> dict[str, Any]:
    return {
        "portal_id": each.domain_id,
        "company_id": each.company_id,
        "area": each.area,
        "is_open": each.is_open,
    }
