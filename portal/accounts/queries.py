"""Reading companies, people and sessions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from portal.accounts.models import Company, Membership, Person, Session
from portal.accounts.rules import Role, session_is_live, text_key
from portal.extensions import db


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
    row = db.session.execute(
        select(Session, Person, Company, Membership.id)
        .join(Person, Person.id == Session.person_id)
        .outerjoin(Company, Company.id == Session.company_id)
        .outerjoin(Membership, (Membership.person_id == Person.id) & (Membership.company_id == Session.company_id))
        .where(Session.token_hash == token_hash, Session.host == host)
    ).first()
    if row is None:
        return None
    session, person, company, membership_id = row
    live = session_is_live(
        is_staff=person.role is not None,
        created_at=session.created_at,
        last_seen_at=session.last_seen_at,
        revoked_at=session.revoked_at,
        now=now,
    )
    if not live or person.deactivated_at or (company and (membership_id is None or company.archived_at)):
        return None
    return Viewer(
        person_id=person.id,
        name=person.name,
        email=person.email,
        role=Role(person.role) if person.role else None,
        language=person.language,
        time_zone=person.time_zone,
        company_id=company.id if company else None,
        company_name=company.name if company else None,
        session_id=session.id,
        token_hash=session.token_hash,
        host=session.host,
        last_seen_at=session.last_seen_at,
    )


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
