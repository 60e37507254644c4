"""Reading people for the staff screens: one page of the list, and everything about one of them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.orm import joinedload

from portal.accounts.models import (
    ApiToken,
    Company,
    MailedLink,
    Membership,
    Person,
    RecoveryCode,
    SecondFactor,
    Session,
)
from portal.accounts.rules import Role, text_key
from portal.accounts.rules.invitations import Known
from portal.accounts.rules.links import Purpose
from portal.accounts.rules.standing import Invitation, Stand, stand_of
from portal.errors import NotFound
from portal.extensions import db

PER_PAGE = 50

NAMED = 3
"""Companies a line of the list names; of more it gives the number."""


class Who(StrEnum):
    """Which people a list is of."""

    ALL = "all"
    CUSTOMERS = "customers"
    STAFF = "staff"
    OFFICE = "office"
    STATUS = "status"
    ADMIN = "admin"


class How(StrEnum):
    """How those people stand. FIRST_FACTOR_ONLY means staff, of whom a second one is expected."""

    ANY = "any"
    PENDING = "invited"
    NEVER = "never-signed-in"
    FIRST_FACTOR_ONLY = "no-second-factor"
    DEACTIVATED = "deactivated"


@dataclass(frozen=True)
class PeopleFilters:
    """What the list of people is narrowed by. The text is looked for in names, addresses and companies' names."""

    text: str = ""
    who: Who = Who.ALL
    how: How = How.ANY
    company_id: int | None = None

    @property
    def is_on(self) -> bool:
        return self != PeopleFilters()


class PersonRow(NamedTuple):
    """One line of the list: the person, the first few companies' names, how many there are, and how they stand."""

    person: Person
    companies: Sequence[str]
    company_count: int
    stand: Stand


class PeoplePage(NamedTuple):
    """One page of the list: `page` of `pages` (from 1), of `total` people."""

    items: Sequence[PersonRow]
    page: int
    pages: int
    total: int


def people_page(filters: PeopleFilters, page: int, now: datetime) -> PeoplePage:
    """People by name, deactivated ones last, 50 a page. Four queries; NotFound for a page that does not exist."""
    found = select(Person).where(*_narrowed(filters, now))
    total = db.session.scalar(select(func.count()).select_from(found.subquery())) or 0
    pages = max(1, -(-total // PER_PAGE))
    if not 1 <= page <= pages:
        raise NotFound
    people = db.session.scalars(
        found.order_by(Person.deactivated_at.is_not(None), Person.name_key, Person.id)
        .limit(PER_PAGE)
        .offset((page - 1) * PER_PAGE)
    ).all()
    companies = _companies_of_many([person.id for person in people])
    stands = stands_of(people, now)
    rows = [
        PersonRow(person, companies.get(person.id, [])[:NAMED], len(companies.get(person.id, [])), stands[person.id])
        for person in people
    ]
    return PeoplePage(rows, page, pages, total)


def stands_of(people: Sequence[Person], now: datetime) -> dict[int, Stand]:
    """How each of these people stands. At most one query."""
    waiting = [person.id for person in people if person.password_hash is None and person.deactivated_at is None]
    invitations = invitations_of(waiting) if waiting else {}
    return {
        person.id: stand_of(
            has_password=person.password_hash is not None,
            deactivated_at=person.deactivated_at,
            invitation=invitations.get(person.id),
            now=now,
        )
        for person in people
    }


def invitations_of(person_ids: Collection[int]) -> dict[int, Invitation]:
    """The newest open invitation of each of these people, lapsed or not; who has none is left out. One query."""
    rows = db.session.execute(
        select(MailedLink.person_id, MailedLink.id, MailedLink.created_at, MailedLink.expires_at)
        .where(MailedLink.person_id.in_(person_ids), _is_open_invitation())
        .order_by(MailedLink.id)
    )
    return {person_id: Invitation(link_id, sent_at, until) for person_id, link_id, sent_at, until in rows}


def _is_open_invitation() -> ColumnElement[bool]:
    return and_(MailedLink.purpose == Purpose.INVITATION, MailedLink.used_at.is_(None), MailedLink.revoked_at.is_(None))


def _companies_of_many(person_ids: Collection[int]) -> dict[int, list[str]]:
    """The names of the companies each of these people acts for, in order. One query."""
    found: dict[int, list[str]] = {}
    for person_id, name in db.session.execute(
        select(Membership.person_id, Company.name)
        .join(Company, Company.id == Membership.company_id)
        .where(Membership.person_id.in_(person_ids), Company.archived_at.is_(None))
        .order_by(Company.name_key)
    ):
        found.setdefault(person_id, []).append(name)
    return found


def _narrowed(filters: PeopleFilters, now: datetime) -> list[Any]:
    conditions: list[Any] = [Person.anonymised_at.is_(None)]
    if wanted := text_key(filters.text):
        conditions.append(
            or_(
                Person.name_key.contains(wanted, autoescape=True),
                Person.email_key.contains(wanted, autoescape=True),
                Person.id.in_(
                    select(Membership.person_id)
                    .join(Company, Company.id == Membership.company_id)
                    .where(Company.name_key.contains(wanted, autoescape=True))
                ),
            )
        )
    if filters.company_id is not None:
        conditions.append(
            Person.id.in_(select(Membership.person_id).where(Membership.company_id == filters.company_id))
        )
    return [*conditions, *_WHO[filters.who], *_how(filters.how, now)]


_WHO: dict[Who, list[Any]] = {
    Who.ALL: [],
    Who.CUSTOMERS: [Person.role.is_(None)],
    Who.STAFF: [Person.role.is_not(None)],
    **{Who(role.value): [Person.role == role] for role in Role},
}


def _how(how: How, now: datetime) -> list[Any]:
    if how is How.DEACTIVATED:
        return [Person.deactivated_at.is_not(None)]
    if how is How.NEVER:
        return [Person.deactivated_at.is_(None), Person.last_signed_in_at.is_(None)]
    if how is How.PENDING:
        invited = exists().where(MailedLink.person_id == Person.id, _is_open_invitation(), MailedLink.expires_at > now)
        return [Person.deactivated_at.is_(None), Person.password_hash.is_(None), invited]
    if how is How.FIRST_FACTOR_ONLY:
        has_second = exists().where(SecondFactor.person_id == Person.id, SecondFactor.confirmed_at.is_not(None))
        return [Person.deactivated_at.is_(None), Person.role.is_not(None), ~has_second]
    return []


def person_for_staff(person_id: int) -> Person | None:
    """The person, unless what named them has been taken out of the row."""
    found = db.session.get(Person, person_id)
    return found if found and found.anonymised_at is None else None


def memberships_of(person_id: int) -> Sequence[Membership]:
    """Whom the person may act for, with the companies, archived ones last. One query."""
    return db.session.scalars(
        select(Membership)
        .join(Membership.company)
        .options(joinedload(Membership.company))
        .where(Membership.person_id == person_id)
        .order_by(Company.archived_at.is_not(None), Company.name_key)
    ).all()


def session_of(person_id: int, session_id: int) -> Session | None:
    """This session, if it is that person's and nobody ended it."""
    return db.session.scalars(
        select(Session).where(Session.id == session_id, Session.person_id == person_id, Session.revoked_at.is_(None))
    ).one_or_none()


class Factor(NamedTuple):
    """A second factor that counts: since when, and how many recovery codes are left."""

    since: datetime
    codes_left: int


def second_factor_of(person_id: int) -> Factor | None:
    """The person's second factor, once it was confirmed. One query."""
    codes = (
        select(func.count(RecoveryCode.id))
        .where(RecoveryCode.person_id == person_id, RecoveryCode.used_at.is_(None))
        .scalar_subquery()
    )
    row = db.session.execute(
        select(SecondFactor.confirmed_at, codes).where(
            SecondFactor.person_id == person_id, SecondFactor.confirmed_at.is_not(None)
        )
    ).one_or_none()
    return Factor(*row) if row else None


class Reach(NamedTuple):
    """What ends when a person is deactivated, in numbers."""

    sessions: int
    links: int
    tokens: int
    companies: int


def reach_of(person_id: int, now: datetime) -> Reach:
    """What deactivating this person would end. One query."""
    counts = (
        select(func.count(Session.id)).where(Session.person_id == person_id, Session.revoked_at.is_(None)),
        select(func.count(MailedLink.id)).where(
            MailedLink.person_id == person_id,
            MailedLink.used_at.is_(None),
            MailedLink.revoked_at.is_(None),
            MailedLink.expires_at > now,
        ),
        select(func.count(ApiToken.id)).where(ApiToken.created_by_id == person_id, ApiToken.revoked_at.is_(None)),
        select(func.count(Membership.id)).where(Membership.person_id == person_id),
    )
    return Reach(*db.session.execute(select(*(count.scalar_subquery() for count in counts))).one())


def known_by_address(email_keys: Collection[str], company_id: int | None) -> dict[str, Known]:
    """Who has one of these addresses, keyed by its compared form, and whether they act for the company. One query."""
    is_member = (
        exists().where(Membership.person_id == Person.id, Membership.company_id == company_id).label("is_member")
    )
    rows = db.session.execute(
        select(Person.email_key, Person.id, Person.name, Person.role, is_member, Person.deactivated_at).where(
            Person.email_key.in_(email_keys)
        )
    )
    return {
        email_key: Known(person_id, name, role is not None, bool(belongs), deactivated_at)
        for email_key, person_id, name, role, belongs, deactivated_at in rows
    }


def companies_named(text: str, limit: int) -> Sequence[Company]:
    """Companies whose name holds the text, that of exactly this name first; none for no text. One query."""
    wanted = text_key(text)
    if not wanted:
        return ()
    return db.session.scalars(
        select(Company)
        .where(Company.name_key.contains(wanted, autoescape=True), Company.archived_at.is_(None))
        .order_by(Company.name_key != wanted, Company.name_key)
        .limit(limit)
    ).all()
