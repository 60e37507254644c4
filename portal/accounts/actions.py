"""The only writers of companies, people and sessions."""

import hashlib
import secrets
import threading
from datetime import datetime, timedelta
from typing import Any, cast
from zoneinfo import available_timezones

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from flask_babel import gettext as _
from sqlalchemy import CursorResult, delete, or_, select, update

from portal import events
from portal.accounts.models import Company, Membership, Person, Session
from portal.accounts.rules import LIFETIMES, Role, is_email, one_line, text_key
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.language import LANGUAGES

_hasher = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
_hashing = threading.BoundedSemaphore(4)
"""Bounds the memory that sign-ins can take: four hashes of 19 MiB at once."""

_NOBODY = _hasher.hash(secrets.token_hex(16))
"""What an unknown address is checked against, so that it takes as long as a known one."""


def hash_password(password: str) -> str:
    """argon2id with the parameters of reliability-security section 5."""
    with _hashing:
        return _hasher.hash(password)


def password_matches(person: Person | None, password: str) -> bool:
    """Whether this is the person's password; takes the same time for somebody unknown."""
    stored = person.password_hash if person and person.password_hash else None
    with _hashing:
        try:
            _hasher.verify(stored or _NOBODY, password[:1024])
        except (VerificationError, InvalidHashError):
            return False
    return stored is not None


def token_hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def open_session(person: Person, company_id: int | None, host: str, *, ip: str, user_agent: str, now: datetime) -> str:
    """Open a session and return the token for its cookie, which is stored nowhere."""
    token = secrets.token_urlsafe(32)
    db.session.add(
        Session(
            token_hash=token_hash(token),
            person_id=person.id,
            company_id=company_id,
            host=host,
            ip=ip[:45],
            user_agent=user_agent[:300],
            created_at=now,
            last_seen_at=now,
        )
    )
    actor = Actor(person.email, person.id, ip)
    audit.record("session.open", object_kind="person", object_id=person.id, company_id=company_id, by=actor, now=now)
    return token


def end_sessions(person_id: int, *, by: Actor, now: datetime, company_id: int | None = None) -> int:
    """End every session of a person, or only those for one company; returns how many. Their open pages are told."""
    of_person = (Session.person_id == person_id, Session.revoked_at.is_(None))
    for_company = () if company_id is None else (Session.company_id == company_id,)
    session_ids = db.session.scalars(select(Session.id).where(*of_person, *for_company)).all()
    for session_id in session_ids:
        end_session(session_id, by=by, now=now)
    return len(session_ids)


def end_session(session_id: int, *, by: Actor, now: datetime) -> None:
    """End a session; ending it twice is harmless. Its open pages are told."""
    session = db.session.get(Session, session_id)
    if session is None or session.revoked_at:
        return
    session.revoked_at = now
    events.ring(events.session_topic(session.token_hash))
    audit.record("session.end", object_kind="person", object_id=session.person_id, by=by, now=now)


def choose_company(session_id: int, company: Company, *, by: Actor, now: datetime) -> None:
    """From now on this session acts for this company; that its person may, the caller has seen to."""
    session = db.session.get(Session, session_id)
    if session is None or session.company_id == company.id:
        return
    before, session.company_id = session.company_id, company.id
    audit.record(
        "session.company",
        object_kind="person",
        object_id=session.person_id,
        company_id=company.id,
        by=by,
        now=now,
        before={"company_id": before},
        after={"company_id": company.id},
    )


def note_seen(session_id: int, now: datetime) -> None:
    """Remember that the session was used; called at most once a minute, in a transaction of its own."""
    db.session.execute(update(Session).where(Session.id == session_id).values(last_seen_at=now))


def prune_sessions(now: datetime) -> None:
    """Forget sessions that nobody can use any more: ended a week ago, or older than any may become."""
    week, oldest = timedelta(days=7), max(each.absolute for each in LIFETIMES.values())
    db.session.execute(
        delete(Session).where(or_(Session.revoked_at < now - week, Session.created_at < now - oldest)),
        execution_options={"synchronize_session": False},
    )


def add_company(name: str, *, by: Actor, now: datetime) -> Company:
    """Add a company. Names are unique when compared without case."""
    name = _company_name(name)
    company = Company(name=name, name_key=text_key(name), created_at=now)
    db.session.add(company)
    db.session.flush()
    audit.record(
        "company.add",
        object_kind="company",
        object_id=company.id,
        company_id=company.id,
        by=by,
        now=now,
        after={"name": name},
    )
    return company


def add_person(
    name: str,
    email: str,
    *,
    by: Actor,
    now: datetime,
    role: Role | None = None,
    password: str | None = None,
    language: str = "en",
    time_zone: str = "Europe/London",
) -> Person:
    """Add a person with a new address; a password makes them able to sign in."""
    email, name = _address(email), _person_name(name)
    if db.session.scalar(select(Person.id).where(Person.email_key == text_key(email))):
        raise RuleViolation("Somebody with this e-mail address is already known.", "email")
    if password is not None and not 12 <= len(password) <= 128:
        raise RuleViolation("A password has 12 to 128 characters.", "password")
    person = Person(
        name=name,
        email=email,
        email_key=text_key(email),
        role=role,
        password_hash=hash_password(password) if password else None,
        language=language,
        time_zone=time_zone,
        created_at=now,
    )
    db.session.add(person)
    db.session.flush()
    audit.record(
        "person.add",
        object_kind="person",
        object_id=person.id,
        by=by,
        now=now,
        after={"name": name, "email": email, "role": role},
    )
    return person


def add_membership(person: Person, company: Company, *, by: Actor, now: datetime) -> None:
    """Let this person act for this company; twice is harmless."""
    if person.deactivated_at:
        raise RuleViolation(f"{person.name} is deactivated. Let them in again first.", "email")
    known = select(Membership.id).where(Membership.person_id == person.id, Membership.company_id == company.id)
    if db.session.scalar(known):
        return
    db.session.add(Membership(person_id=person.id, company_id=company.id, created_at=now))
    audit.record(
        "membership.add",
        object_kind="person",
        object_id=person.id,
        company_id=company.id,
        by=by,
        now=now,
    )


def change_profile(
    person: Person, name: str, language: str, time_zone: str, *, version: int, by: Actor, now: datetime
) -> None:
    """Change how a person is addressed: name, language of screens and mails, and the zone times are shown in."""
    if person.version != version:
        raise StaleEdit
    name = one_line(name)
    if not 1 <= len(name) <= 200:
        raise RuleViolation(_("Give a name of at most 200 characters."), "name")
    if language not in LANGUAGES:
        raise RuleViolation(_("Choose one of the languages in the list."), "language")
    if time_zone not in available_timezones():
        raise RuleViolation(_("Choose one of the time zones in the list."), "time_zone")
    before = {"name": person.name, "language": person.language, "time_zone": person.time_zone}
    after = {"name": name, "language": language, "time_zone": time_zone}
    if before == after:
        return
    person.name, person.language, person.time_zone = name, language, time_zone
    db.session.flush()
    audit.record(
        "person.profile", object_kind="person", object_id=person.id, by=by, now=now, before=before, after=after
    )


def remove_membership(person: Person, company: Company, *, by: Actor, now: datetime) -> None:
    """This person no longer acts for this company: the very next request of theirs for it is refused."""
    gone = db.session.execute(
        delete(Membership).where(Membership.person_id == person.id, Membership.company_id == company.id)
    )
    if not cast(CursorResult[Any], gone).rowcount:
        return
    end_sessions(person.id, company_id=company.id, by=by, now=now)
    audit.record(
        "membership.remove",
        object_kind="person",
        object_id=person.id,
        company_id=company.id,
        by=by,
        now=now,
    )


def rename_company(company: Company, name: str, *, version: int, by: Actor, now: datetime) -> None:
    """Give the company another name; the same rules hold as for a new one."""
    if company.version != version:
        raise StaleEdit
    name = _company_name(name, other_than=company.id)
    if name == company.name:
        return
    before = company.name
    company.name, company.name_key = name, text_key(name)
    db.session.flush()
    events.ring(events.company_topic(company.id), events.STAFF)
    audit.record(
        "company.rename",
        object_kind="company",
        object_id=company.id,
        company_id=company.id,
        by=by,
        now=now,
        before={"name": before},
        after={"name": name},
    )


def archive_company(company: Company, *, version: int, by: Actor, now: datetime) -> None:
    """Close the books on a company: nobody signs in or is mailed for it any more. Its history stays."""
    if company.version != version:
        raise StaleEdit
    if company.archived_at:
        return
    company.archived_at = now
    db.session.flush()
    for session_id in db.session.scalars(
        select(Session.id).where(Session.company_id == company.id, Session.revoked_at.is_(None))
    ).all():
        end_session(session_id, by=by, now=now)
    events.ring(events.company_topic(company.id), events.STAFF)
    audit.record("company.archive", object_kind="company", object_id=company.id, company_id=company.id, by=by, now=now)


def restore_company(company: Company, *, version: int, by: Actor, now: datetime) -> None:
    """Take an archived company back, with its people."""
    if company.version != version:
        raise StaleEdit
    company.archived_at = None
    db.session.flush()
    events.ring(events.company_topic(company.id), events.STAFF)
    audit.record("company.restore", object_kind="company", object_id=company.id, company_id=company.id, by=by, now=now)


def deactivate_person(person: Person, *, version: int, by: Actor, now: datetime) -> None:
    """Shut a person out everywhere at once: every session ends, nothing is mailed to them, no sign-in works.

    Nobody shuts out themselves, and the last administrator stays, so that somebody can always let others in.
    """
    if person.version != version:
        raise StaleEdit
    if person.deactivated_at:
        return
    if person.id == by.person_id:
        raise RuleViolation("You cannot deactivate yourself. Ask another administrator.")
    if person.role == Role.ADMIN and not db.session.scalar(
        select(Person.id)
        .where(Person.role == Role.ADMIN, Person.deactivated_at.is_(None), Person.id != person.id)
        .limit(1)
    ):
        raise RuleViolation("This is the last administrator. Make somebody else one first.")
    person.deactivated_at = now
    db.session.flush()
    end_sessions(person.id, by=by, now=now)
    audit.record("person.deactivate", object_kind="person", object_id=person.id, by=by, now=now)


def reactivate_person(person: Person, *, version: int, by: Actor, now: datetime) -> None:
    """Let a deactivated person in again, with the password and memberships they had."""
    if person.version != version:
        raise StaleEdit
    if person.deactivated_at is None:
        return
    person.deactivated_at = None
    db.session.flush()
    audit.record("person.reactivate", object_kind="person", object_id=person.id, by=by, now=now)


def _company_name(name: str, other_than: int = 0) -> str:
    """The name as it is stored; refused when empty, too long, or another company's."""
    name = one_line(name)
    if not name or max(len(name), len(text_key(name))) > 200:
        raise RuleViolation("Give the company a name of at most 200 characters.", "name")
    taken = select(Company.id).where(Company.name_key == text_key(name), Company.id != other_than)
    if db.session.scalar(taken):
        raise RuleViolation(f"There is already a company called {name}.", "name")
    return name


def _person_name(name: str) -> str:
    name = one_line(name)
    if not 1 <= len(name) <= 200:
        raise RuleViolation("Give the person a name of at most 200 characters.", "name")
    return name


def _address(email: str) -> str:
    email = email.strip()
    if not is_email(email):
        raise RuleViolation("That is not an e-mail address.", "email")
    return email
