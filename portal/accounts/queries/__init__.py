"""Reading companies, people and sessions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, select
from sqlalchemy.orm import aliased, joinedload

from portal.accounts.models import Company, Membership, Person, Session, SignInPolicy
from portal.accounts.rules import Role, session_is_live, text_key
from portal.accounts.rules.view_as import look_is_live
from portal.extensions import db, rows


@dataclass(frozen=True)
class Viewer:
    """Who is signed in, as requests see them: one person, at most one chosen company, one host.

    With `is_view_as` it is somebody of staff who looks through the eyes of the company: they have no staff role here
    and may change nothing. `confirmed_at` is when the password was last typed in this session, `second_factor_at` when
    a code was; `lacks_second_factor` is staff of whom one is required and was not asked, because they have none yet.
    """

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
    is_view_as: bool = False
    confirmed_at: datetime | None = None
    second_factor_at: datetime | None = None
    lacks_second_factor: bool = False

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
    is_open = _look_is_open(found, now) if found.is_view_as else _session_is_open(found, now)
    if not is_open or found.deactivated_at:
        return None
    return Viewer(
        person_id=found.person_id,
        name=found.name,
        email=found.email,
        role=Role(found.role) if found.role and not found.is_view_as else None,
        language=found.language,
        time_zone=found.time_zone,
        company_id=found.company_id,
        company_name=found.company_name,
        session_id=found.session_id,
        token_hash=token_hash,
        host=host,
        last_seen_at=found.last_seen_at,
        is_view_as=found.is_view_as,
        confirmed_at=found.confirmed_at,
        second_factor_at=found.second_factor_at,
        lacks_second_factor=bool(found.role and found.second_factor_required and found.second_factor_at is None),
    )


def _session_is_open(found: Row[Any], now: datetime) -> bool:
    has_lost_company = found.company_id is not None and (found.membership_id is None or found.archived_at)
    return not has_lost_company and session_is_live(
        is_staff=found.role is not None,
        created_at=found.created_at,
        last_seen_at=found.last_seen_at,
        revoked_at=found.revoked_at,
        now=now,
    )


def _look_is_open(found: Row[Any], now: datetime) -> bool:
    """The same for staff who look as a company: nobody's membership counts, but their own session and right do."""
    if found.company_id is None or found.archived_at or found.staff_created_at is None:
        return False
    return look_is_live(
        role=Role(found.role) if found.role else None,
        created_at=found.created_at,
        revoked_at=found.revoked_at,
        staff_created_at=found.staff_created_at,
        staff_last_seen_at=found.staff_last_seen_at,
        staff_revoked_at=found.staff_revoked_at,
        now=now,
    )


_opened_from = aliased(Session)

_VIEWER = (
    select(
        Session.id.label("session_id"),
        Session.created_at,
        Session.last_seen_at,
        Session.revoked_at,
        Session.is_view_as,
        Session.confirmed_at,
        Session.second_factor_at,
        select(SignInPolicy.second_factor_required).limit(1).scalar_subquery().label("second_factor_required"),
        _opened_from.created_at.label("staff_created_at"),
        _opened_from.last_seen_at.label("staff_last_seen_at"),
        _opened_from.revoked_at.label("staff_revoked_at"),
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
    .outerjoin(_opened_from, _opened_from.id == Session.opened_from_id)
    .where(Session.token_hash == bindparam("token_hash"), Session.host == bindparam("host"))
)
"""Built once, because every request of somebody signed in executes it."""


def person_by_email(email: str) -> Person | None:
    return db.session.scalars(select(Person).where(Person.email_key == text_key(email))).one_or_none()


def person_by_id(person_id: int) -> Person | None:
    return db.session.get(Person, person_id)


def person_held(person_id: int) -> Person | None:
    """The person as they stand at this moment; nobody changes them before the transaction ends."""
    return db.session.get(Person, person_id, with_for_update=True, populate_existing=True)


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
    """Sessions this person signed in to and nobody ended, newest first; what staff look at as a company is none."""
    return db.session.scalars(
        select(Session)
        .options(joinedload(Session.company))
        .where(Session.person_id == person_id, Session.revoked_at.is_(None), Session.is_view_as.is_(False))
        .order_by(Session.created_at.desc())
    ).all()
