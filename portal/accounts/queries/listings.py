"""People as a machine reads them, a piece at a time."""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import contains_eager

from portal.accounts.models import Company, Membership, Person
from portal.accounts.rules import Role, text_key
from portal.extensions import db
from portal.keyset import Order, Piece, Wanted, piece_of

BY_NUMBER = Order((Person.id,))
PEOPLE_ORDERS = {"id": BY_NUMBER, "-id": Order((Person.id,), is_descending=True), "email": Order((Person.email_key,))}
MEMBERSHIP_ORDERS = {"id": Order((Membership.id,))}


def people(
    wanted: Wanted,
    *,
    with_staff: bool,
    company_id: int | None = None,
    role: Role | None = None,
    email: str | None = None,
    is_active: bool | None = None,
) -> Piece[Person]:
    """People, narrowed by what is not None; `email` is compared without case. One query."""
    statement = select(Person)
    if not with_staff:
        statement = statement.where(Person.role.is_(None))
    if company_id is not None:
        members = select(Membership.person_id).where(Membership.company_id == company_id)
        statement = statement.where(Person.id.in_(members))
    if role is not None:
        statement = statement.where(Person.role == role)
    if email is not None:
        statement = statement.where(Person.email_key == text_key(email))
    if is_active is not None:
        statement = statement.where(
            Person.deactivated_at.is_(None) if is_active else Person.deactivated_at.is_not(None)
        )
    return piece_of(statement, wanted)


def companies_by_person(person_ids: Collection[int]) -> dict[int, list[int]]:
    """For each of the people the ids of the companies they act for. One query."""
    found: dict[int, list[int]] = {person_id: [] for person_id in person_ids}
    for person_id, company_id in db.session.execute(
        select(Membership.person_id, Membership.company_id)
        .where(Membership.person_id.in_(person_ids))
        .order_by(Membership.company_id)
    ):
        found[person_id].append(company_id)
    return found


def memberships(wanted: Wanted, company_id: int) -> Piece[Membership]:
    """Who may act for a company, with the people. One query."""
    return piece_of(
        select(Membership)
        .join(Membership.person)
        .options(contains_eager(Membership.person))
        .where(Membership.company_id == company_id),
        wanted,
    )


def membership(company_id: int, person_id: int) -> Membership | None:
    """The membership of this person in this company, with the person."""
    return db.session.scalars(
        select(Membership)
        .join(Membership.person)
        .options(contains_eager(Membership.person))
        .where(Membership.company_id == company_id, Membership.person_id == person_id)
    ).one_or_none()


def company_by_id(company_id: int) -> Company | None:
    """The company, archived or not."""
    return db.session.get(Company, company_id)
