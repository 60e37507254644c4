"""Reading companies, people and sessions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, select
from sqlalchemy.orm import joinedload

from portal.accounts.models import Company, Membership, Person, Session
from portal.accounts.rules import Role, session_is_live, text_key
from portal.extensions import db, rows


@dataclass(frozen=True)
class Viewer:
    """Who is signed in, as requests see them: one person, at most one chosen company, one host."""

    person_id: int
    name: str
    email: str
    role: Role | None
    language: str
    time_zone: str
    company_id: int | None
    company_name: str | None
    session_id: int
    token_hash: str
    host: str
    last_seen_at: datetime

    @property
    def is_staff(self) -> bool:
        return self.role is not None

    @property
    def is_authenticated(self) -> bool:
        return True


def viewer_by_token(token_hash: str, host: str, now: datetime) -> Viewer | None:
    """The viewer whose live session this is, on the host it was opened on. One query.

    A customer whose membership in the chosen company has ended has no session any more.
    """
    found = next(iter(rows(_VIEWER, token_hash=token_hash, host=host)), None)
    if found is None:
        return None
    live = session_is_live(
        is_staff=found.role is not None,
        created_at=found.created_at,
        last_seen_at=found.last_seen_at,
        revoked_at=found.revoked_at,
        now=now,
    )
    has_lost_company = found.company_id is not None and (found.membership_id is None or found.archived_at)
    if not live or found.deactivated_at or has_lost_company:
        return None
    return Viewer(
        person_id=found.person_id,
        name=found.name,
        email=found.email,
        role=Role(found.role) if found.role else None,
        language=found.language,
        time_zone=found.time_zone,
        company_id=found.company_id,
        company_name=found.company_name,
        session_id=found.session_id,
        token_hash=token_hash,
        host=host,
        last_seen_at=found.last_seen_at,
    )


_VIEWER = (
    select(
        Session.id.label("session_id"),
        Session.created_at,
        Session.last_seen_at,
        Session.revoked_at,
        Person.id.label("person_id"),
        Person.name,
        Person.email,
        Person.role,
        Person.language,
        Person.time_zone,
        Person.deactivated_at,
        Company.id.label("company_id"),
        Company.name.label("company_name"),
        Company.archived_at,
        Membership.id.label("membership_id"),
    )
    .select_from(Session)
    .join(Person, Person.id == Session.person_id)
    .outerjoin(Company, Company.id == Session.company_id)
    .outerjoin(Membership, (Membership.person_id == Person.id) & (Membership.company_id == Session.company_id))
    .where(Session.token_hash == bindparam("token_hash"), Session.host == bindparam("host"))
)
"""Built once, because every request of somebody signed in executes it."""


def person_by_email(email: str) -> Person | None:
    return db.session.scalars(select(Person).where(Person.email_key == text_key(email))).one_or_none()


def person_by_id(person_id: int) -> Person | None:
    return db.session.get(Person, person_id)


def companies_of(person_id: int) -> Sequence[Company]:
    """The companies this person may act for, by name."""
    return db.session.scalars(
        select(Company)
        .join(Membership, Membership.company_id == Company.id)
        .where(Membership.person_id == person_id, Company.archived_at.is_(None))
        .order_by(Company.name_key)
    ).all()


def people_of(company_id: int) -> Sequence[Person]:
    """The people who may act for this company, by name."""
    return db.session.scalars(
        select(Person)
        .join(Membership, Membership.person_id == Person.id)
        .where(Membership.company_id == company_id)
        .order_by(Person.name, Person.id)
    ).all()


def sessions_of(person_id: int) -> Sequence[Session]:
    """Sessions of this person that nobody ended, newest first."""
    return db.session.scalars(
        select(Session)
        .options(joinedload(Session.company))
        .where(Session.person_id == person_id, Session.revoked_at.is_(None))
        .order_by(Session.created_at.desc())
    ).all()
