"""The only writers of people and of whom they may act for."""

from datetime import datetime
from typing import Any, cast
from zoneinfo import available_timezones

from flask_babel import gettext as _
from sqlalchemy import CursorResult, delete, select
from sqlalchemy.exc import IntegrityError

from portal.accounts.actions.links import revoke_links
from portal.accounts.actions.passwords import hash_password, refuse_weak
from portal.accounts.actions.roles import keep_an_administrator, revoke_tokens_of
from portal.accounts.actions.sessions import end_sessions
from portal.accounts.models import Company, Membership, Person
from portal.accounts.rules import Role, is_email, one_line, text_key
from portal.accounts.rules.passwords import Surroundings
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.language import LANGUAGES


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
    if password is not None:
        refuse_weak(password, Surroundings(name, email))
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
    try:
        with db.session.begin_nested():
            db.session.add(person)
    except IntegrityError:
        raise RuleViolation("Somebody with this e-mail address is already known.", "email") from None
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


def deactivate_person(person: Person, *, version: int, by: Actor, now: datetime) -> None:
    """Shut a person out everywhere at once: sessions, mailed links and the API tokens they made end, nothing is mailed
    to them, no sign-in works.

    Nobody shuts out themselves, and the last administrator stays, so that somebody can always let others in.
    """
    if person.version != version:
        raise StaleEdit
    if person.deactivated_at:
        return
    if person.id == by.person_id:
        raise RuleViolation("You cannot deactivate yourself. Ask another administrator.")
    if person.role is Role.ADMIN:
        keep_an_administrator(person)
    person.deactivated_at = now
    db.session.flush()
    end_sessions(person.id, by=by, now=now)
    revoke_links(person.id, now=now)
    revoke_tokens_of(person.id, by=by, now=now)
    audit.record("person.deactivate", object_kind="person", object_id=person.id, by=by, now=now)


def reactivate_person(person: Person, *, version: int, by: Actor, now: datetime) -> None:
    """Let a deactivated person in again, with the password and memberships they had; nobody who was forgotten."""
    if person.version != version:
        raise StaleEdit
    if person.anonymised_at:
        raise RuleViolation("This person was anonymised, and that cannot be taken back. Invite them anew.")
    if person.deactivated_at is None:
        return
    person.deactivated_at = None
    db.session.flush()
    audit.record("person.reactivate", object_kind="person", object_id=person.id, by=by, now=now)


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
