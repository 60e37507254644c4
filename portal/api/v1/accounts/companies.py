"""`/api/v1/companies`: the customers, who acts for each, and where each signs in."""

from collections.abc import Collection
from typing import Any

from marshmallow import fields, validate

from portal import access, clock
from portal.accounts import actions as accounts
from portal.accounts.models import Company, Membership
from portal.accounts.queries import person_by_id
from portal.accounts.queries.listings import MEMBERSHIP_ORDERS, company_by_id, membership, memberships
from portal.accounts.queries.tags import tags_by_company
from portal.accounts.rules import TAG_LENGTH, TAGS_AT_MOST
from portal.accounts.rules.tokens import Resource, Scope
from portal.api.v1.fields import Id, InAddress, Moment, Switch, SwitchInAddress, Text
from portal.api.v1.operations import Answer, Resources, wanted
from portal.api.v1.requests import expected_version
from portal.api.v1.schemas import ListQuery, Shape, sorted_by
from portal.catalogue import actions as catalogue
from portal.domains import actions as domains
from portal.domains.models import Admission, PortalDomain
from portal.domains.queries import domain_by_id
from portal.domains.queries.listings import (
    ADMISSION_ORDERS,
    COMPANY_ORDERS,
    admission,
    admissions,
    companies,
    homes_by_company,
)
from portal.errors import NotFound, RuleViolation
from portal.keyset import Piece

blueprint = Resources(
    Resource.COMPANIES,
    about="The customers. A token of one company reads that company alone; what only staff know of it is left out.",
)


class CompanyShape(Shape):
    id = fields.Integer(required=True)
    name = fields.String(required=True)
    home_portal_id = fields.Integer(
        allow_none=True, metadata={"description": "The portal domain its links lead to. Not for a company’s token."}
    )
    tags = fields.List(
        fields.String(),
        metadata={"description": "Words that companies of a kind share. Not for a company’s token."},
    )
    created_at = Moment(metadata={"description": "Not for a company’s token."})
    archived_at = Moment(allow_none=True, metadata={"description": "Not for a company’s token."})
    version = fields.Integer(metadata={"description": "Not for a company’s token."})


class CompanyQuery(ListQuery):
    q = Text(most=200, metadata={"description": "Companies whose name holds this."})
    portal_id = InAddress(metadata={"description": "Companies that may sign in on this portal domain."})
    archived = SwitchInAddress(metadata={"description": "Only archived ones, or only the others."})
    sort = sorted_by(COMPANY_ORDERS)


class CompanyChange(Shape):
    name = Text(required=True, least=1, most=200, metadata={"example": "Example Ltd"})
    tags = fields.List(
        Text(least=1, most=TAG_LENGTH),
        validate=validate.Length(max=TAGS_AT_MOST),
        metadata={"description": "All it should have, compared without case; left out, they stay as they are."},
    )


class NewCompany(CompanyChange):
    home_portal_id = Id(allow_none=True, metadata={"description": "The portal domain it has its home on."})


class MembershipShape(Shape):
    company_id = fields.Integer(required=True)
    person_id = fields.Integer(required=True)
    name = fields.String(required=True)
    is_active = fields.Boolean(required=True)
    created_at = Moment(required=True)


class AdmissionShape(Shape):
    company_id = fields.Integer(required=True)
    portal_id = fields.Integer(required=True)
    host = fields.String(required=True)
    is_home = fields.Boolean(required=True)


class AdmissionChange(Shape):
    is_home = Switch(load_default=False, metadata={"description": "Whether links of the company lead there."})


@blueprint.lists("", CompanyQuery, CompanyShape, summary="List companies")
def list_companies(query: dict[str, Any]) -> Piece[Any]:
    found = companies(
        wanted(query, COMPANY_ORDERS),
        access.viewpoint(),
        text=query.get("q"),
        portal_id=query.get("portal_id"),
        is_archived=query.get("archived"),
    )
    return Piece(_shown(found.items), found.next)


@blueprint.makes("", NewCompany, CompanyShape, summary="Add a company")
def add_company(body: dict[str, Any]) -> Answer:
    by, now = access.actor(), clock.utcnow()
    added = catalogue.add_company(body["name"], by=by, now=now)
    if body.get("tags"):
        accounts.tag_company(added, body["tags"], version=added.version, by=by, now=now)
    if body.get("home_portal_id") is not None:
        domains.admit(added, _portal(body["home_portal_id"]), is_home=True, by=by, now=now)
    return Answer(_one(added), f"/companies/{added.id}")


@blueprint.reads("/<int:company_id>", CompanyShape, summary="Read a company")
def read_company(company_id: int) -> Answer:
    return Answer(_one(_seen(company_id)))


@blueprint.changes("/<int:company_id>", CompanyChange, CompanyShape, summary="Change a company")
def change_company(company_id: int, body: dict[str, Any]) -> Answer:
    company = company_of_staff(company_id)
    version = expected_version(company.version)
    by, now = access.actor(), clock.utcnow()
    accounts.rename_company(company, body["name"], version=version, by=by, now=now)
    if "tags" in body:
        accounts.tag_company(company, body["tags"], version=company.version, by=by, now=now)
    return Answer(_one(company))


@blueprint.does("/<int:company_id>/archive", CompanyShape, summary="Archive a company")
def archive_company(company_id: int) -> Answer:
    """Its holdings end, its people are signed out and nothing is mailed for it any more. Its history stays."""
    company = company_of_staff(company_id)
    version = expected_version(company.version)
    catalogue.archive_company(company, version=version, by=access.actor(), now=clock.utcnow())
    return Answer(_one(company))


@blueprint.does("/<int:company_id>/restore", CompanyShape, summary="Take an archived company back")
def restore_company(company_id: int) -> Answer:
    company = company_of_staff(company_id)
    version = expected_version(company.version)
    catalogue.restore_company(company, version=version, by=access.actor(), now=clock.utcnow())
    return Answer(_one(company))


@blueprint.lists("/<int:company_id>/memberships", ListQuery, MembershipShape, summary="List who acts for it")
def list_memberships(company_id: int, query: dict[str, Any]) -> Piece[Any]:
    """Names only; addresses are with people, for which a token needs a scope of its own."""
    company = company_of_staff(company_id)
    found = memberships(wanted(query, MEMBERSHIP_ORDERS), company.id)
    return Piece([_member(each) for each in found.items], found.next)


@blueprint.sets(
    "/<int:company_id>/memberships/<int:person_id>", None, MembershipShape, summary="Let a person act for it"
)
def set_membership(company_id: int, person_id: int) -> Answer:
    """Twice is harmless."""
    company, person = company_of_staff(company_id), person_by_id(person_id)
    if person is None or (person.role is not None and access.key().scope is not Scope.ADMIN):
        # Staff are people of the API for the scope that sees them alone; to others even their names are not there.
        raise NotFound
    accounts.add_membership(person, company, by=access.actor(), now=clock.utcnow())
    added = membership(company.id, person.id)
    if added is None:
        raise NotFound
    return Answer(_member(added))


@blueprint.removes("/<int:company_id>/memberships/<int:person_id>", summary="Let a person no longer act for it")
def remove_membership(company_id: int, person_id: int) -> None:
    """The very next request of theirs for it is refused."""
    company = company_of_staff(company_id)
    ending = membership(company.id, person_id)
    if ending is None:
        raise NotFound
    accounts.remove_membership(ending.person, company, by=access.actor(), now=clock.utcnow())


@blueprint.lists("/<int:company_id>/admissions", ListQuery, AdmissionShape, summary="List where it signs in")
def list_admissions(company_id: int, query: dict[str, Any]) -> Piece[Any]:
    company = company_of_staff(company_id)
    found = admissions(wanted(query, ADMISSION_ORDERS), company.id)
    return Piece([_admitted(each) for each in found.items], found.next)


@blueprint.sets(
    "/<int:company_id>/admissions/<int:portal_id>",
    AdmissionChange,
    AdmissionShape,
    summary="Let it sign in on a portal",
)
def set_admission(company_id: int, portal_id: int, body: dict[str, Any]) -> Answer:
    """Twice is harmless. A home is given up only by making another one."""
    company, portal = company_of_staff(company_id), domain_by_id(portal_id)
    if portal is None:
        raise NotFound
    domains.admit(company, portal, is_home=body["is_home"], by=access.actor(), now=clock.utcnow())
    admitted = admission(company.id, portal.id)
    if admitted is None:
        raise NotFound
    return Answer(_admitted(admitted))


@blueprint.removes("/<int:company_id>/admissions/<int:portal_id>", summary="Let it no longer sign in on a portal")
def remove_admission(company_id: int, portal_id: int) -> None:
    """Its exceptions there go too. Refused for its home."""
    company = company_of_staff(company_id)
    ending = admission(company.id, portal_id)
    if ending is None:
        raise NotFound
    domains.dismiss(company, ending.domain, by=access.actor(), now=clock.utcnow())


def _seen(company_id: int) -> Company:
    """The company, if it exists for this token."""
    bound = access.key().company_id
    company = company_by_id(company_id) if bound in {None, company_id} else None
    if company is None:
        raise NotFound
    return company


def company_of_staff(company_id: int) -> Company:
    """The company, for what only staff do and see."""
    if access.key().company_id is not None:
        raise NotFound
    return _seen(company_id)


def _portal(portal_id: int) -> PortalDomain:
    portal = domain_by_id(portal_id)
    if portal is None:
        raise RuleViolation("There is no such portal domain.", "home_portal_id")
    return portal


def _one(company: Company) -> dict[str, Any]:
    return _shown([company])[0]


def _shown(found: Collection[Company]) -> list[dict[str, Any]]:
    if access.key().company_id is not None:
        return [{"id": each.id, "name": each.name} for each in found]
    ids = [each.id for each in found]
    homes, tags = homes_by_company(ids), tags_by_company(ids)
    return [
        {
            "id": each.id,
            "name": each.name,
            "home_portal_id": homes.get(each.id),
            "tags": tags.get(each.id, []),
            "created_at": each.created_at,
            "archived_at": each.archived_at,
            "version": each.version,
        }
        for each in found
    ]


def _member(each: Membership) -> dict[str, Any]:
    return {
        "company_id": each.company_id,
        "person_id": each.person_id,
        "name": each.person.name,
        "is_active": each.person.deactivated_at is None,
        "created_at": each.created_at,
    }


def _admitted(each: Admission) -> dict[str, Any]:
    return {
        "company_id": each.company_id,
        "portal_id": each.domain_id,
        "host": each.domain.host,
        "is_home": each.is_home,
    }
