"""`/api/v1/people`: who there is, with their addresses; so this takes a scope of its own."""

from collections.abc import Collection
from typing import Any

from marshmallow import fields, validate

from portal import access, clock
from portal.accounts import actions as accounts
from portal.accounts.actions.invitations import withdraw_invitation
from portal.accounts.actions.links import invite
from portal.accounts.actions.roles import change_role
from portal.accounts.models import Person
from portal.accounts.queries import person_by_id
from portal.accounts.queries.listings import PEOPLE_ORDERS, companies_by_person, company_by_id, people
from portal.accounts.rules import Role
from portal.accounts.rules.tokens import Resource, Scope
from portal.api.v1.fields import InAddress, Moment, SwitchInAddress, Text, Word, ids
from portal.api.v1.operations import Answer, Resources, wanted
from portal.api.v1.requests import Refusal, expected_version
from portal.api.v1.schemas import ListQuery, Shape, sorted_by
from portal.errors import NotFound, RuleViolation
from portal.keyset import Piece
from portal.language import LANGUAGES

blueprint = Resources(
    Resource.PEOPLE,
    about=(
        "The people of companies, with their addresses. Staff are among them for the scope `admin` alone, which "
        "alone gives roles."
    ),
)


class PersonShape(Shape):
    id = fields.Integer(required=True)
    name = fields.String(required=True)
    email = fields.String(required=True)
    role = Word(Role, required=True, allow_none=True, metadata={"description": "The staff role; null for customers."})
    language = fields.String(required=True)
    time_zone = fields.String(required=True)
    company_ids = fields.List(fields.Integer(), required=True, metadata={"description": "Whom they act for."})
    created_at = Moment(required=True)
    deactivated_at = Moment(required=True, allow_none=True)
    version = fields.Integer(required=True)


class PersonQuery(ListQuery):
    company_id = InAddress(metadata={"description": "People who act for this company."})
    email = Text(most=254, metadata={"description": "The person with this address."})
    role = Word(Role, metadata={"description": "Staff with this role."})
    active = SwitchInAddress(metadata={"description": "Only those who are not deactivated, or only those who are."})
    sort = sorted_by(PEOPLE_ORDERS)


class NewPerson(Shape):
    name = Text(required=True, least=1, most=200, metadata={"example": "Erika Example"})
    email = Text(required=True, least=3, most=254, metadata={"example": "erika@example.com"})
    language = fields.String(validate=validate.OneOf(sorted(LANGUAGES)), load_default="en")
    time_zone = Text(least=1, most=64, load_default="Europe/London", metadata={"example": "Europe/London"})
    company_ids = ids(load_default=list, metadata={"description": "Whom they act for."})


class RoleChange(Shape):
    role = Word(Role, required=True, allow_none=True, metadata={"description": "The staff role; null for customers."})


class PersonChange(Shape):
    name = Text(least=1, most=200)
    email = Text(
        least=3,
        most=254,
        metadata={
            "description": "Corrected while they have not signed in yet; from then on they change it themselves."
        },
    )
    language = fields.String(validate=validate.OneOf(sorted(LANGUAGES)))
    time_zone = Text(least=1, most=64)


@blueprint.lists("", PersonQuery, PersonShape, summary="List people")
def list_people(query: dict[str, Any]) -> Piece[Any]:
    found = people(
        wanted(query, PEOPLE_ORDERS),
        with_staff=_sees_staff(),
        company_id=query.get("company_id"),
        role=query.get("role"),
        email=query.get("email"),
        is_active=query.get("active"),
    )
    return Piece(_shown(found.items), found.next)


@blueprint.makes("", NewPerson, PersonShape, summary="Add a person")
def add_person(body: dict[str, Any]) -> Answer:
    """They have no password yet: an invitation, or a reset, lets them choose one."""
    by, now = access.actor(), clock.utcnow()
    added = accounts.add_person(
        body["name"], body["email"], language=body["language"], time_zone=body["time_zone"], by=by, now=now
    )
    for company_id in dict.fromkeys(body["company_ids"]):
        company = company_by_id(company_id)
        if company is None:
            raise RuleViolation(f"There is no company {company_id}.", "company_ids")
        accounts.add_membership(added, company, by=by, now=now)
    return Answer(_one(added), f"/people/{added.id}")


@blueprint.reads("/<int:person_id>", PersonShape, summary="Read a person")
def read_person(person_id: int) -> Answer:
    return Answer(_one(_person(person_id)))


@blueprint.changes("/<int:person_id>", PersonChange, PersonShape, summary="Change how a person is addressed")
def change_person(person_id: int, body: dict[str, Any]) -> Answer:
    person = _person(person_id)
    accounts.change_profile(
        person,
        body.get("name", person.name),
        body.get("language", person.language),
        body.get("time_zone", person.time_zone),
        version=expected_version(person.version),
        by=access.actor(),
        now=clock.utcnow(),
    )
    if "email" in body:
        accounts.correct_address(person, body["email"], version=person.version, by=access.actor(), now=clock.utcnow())
    return Answer(_one(person))


@blueprint.does("/<int:person_id>/deactivate", PersonShape, summary="Shut a person out")
def deactivate_person(person_id: int) -> Answer:
    """Every session of theirs ends at once, nothing is mailed to them, and tokens they made open nothing."""
    person = _person(person_id)
    version = expected_version(person.version)
    accounts.deactivate_person(person, version=version, by=access.actor(), now=clock.utcnow())
    return Answer(_one(person))


@blueprint.does("/<int:person_id>/reactivate", PersonShape, summary="Let a person in again")
def reactivate_person(person_id: int) -> Answer:
    person = _person(person_id)
    version = expected_version(person.version)
    accounts.reactivate_person(person, version=version, by=access.actor(), now=clock.utcnow())
    return Answer(_one(person))


@blueprint.does("/<int:person_id>/invite", PersonShape, summary="Mail somebody an invitation", of_version=False)
def invite_person(person_id: int) -> Answer:
    """With its link they choose their first password. One sent before opens nothing any more."""
    person = _person(person_id)
    invite(person, by=access.actor(), now=clock.utcnow())
    return Answer(_one(person))


@blueprint.does(
    "/<int:person_id>/withdraw-invitation", PersonShape, summary="Withdraw somebody’s invitation", of_version=False
)
def withdraw_from_person(person_id: int) -> Answer:
    person = _person(person_id)
    withdraw_invitation(person, by=access.actor(), now=clock.utcnow())
    return Answer(_one(person))


@blueprint.sets(
    "/<int:person_id>/role", RoleChange, PersonShape, summary="Give somebody a staff role, or none", of_version=True
)
def set_role(person_id: int, body: dict[str, Any]) -> Answer:
    """The scope `admin` alone. All their sessions end; nobody changes their own role, and one administrator stays."""
    if not _sees_staff():
        raise Refusal(403, "Roles are given by the scope “admin”.")
    person = _person(person_id)
    version = expected_version(person.version)
    change_role(person, body["role"], version=version, by=access.actor(), now=clock.utcnow())
    return Answer(_one(person))


def _sees_staff() -> bool:
    return access.key().scope is Scope.ADMIN


def _person(person_id: int) -> Person:
    found = person_by_id(person_id)
    if found is None or (found.role is not None and not _sees_staff()):
        raise NotFound
    return found


def _one(person: Person) -> dict[str, Any]:
    return _shown([person])[0]


def _shown(found: Collection[Person]) -> list[dict[str, Any]]:
    companies = companies_by_person([each.id for each in found])
    return [
        {
            "id": each.id,
            "name": each.name,
            "email": each.email,
            "role": each.role,
            "language": each.language,
            "time_zone": each.time_zone,
            "company_ids": companies[each.id],
            "created_at": each.created_at,
            "deactivated_at": each.deactivated_at,
            "version": each.version,
        }
        for each in found
    ]
