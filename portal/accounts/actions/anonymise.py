"""Forgetting a person who asks for it, and deleting a company that was closed. Neither can be taken back."""

from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, delete

from portal import events
from portal.accounts.actions.roles import keep_an_administrator
from portal.accounts.actions.sessions import end_sessions
from portal.accounts.models import Company, Person
from portal.accounts.rules import Role, text_key
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.records import erasure
from portal.records.rules.exports import ExportKind

NAME = "Former person"
NOWHERE = "erased.invalid"
"""The domain of addresses that stand where one was erased; no mail can ever be sent there (RFC 2606)."""


def anonymise_person(person: Person, typed: str, *, version: int, by: Actor, now: datetime) -> dict[str, int]:
    """Take everything that names a person out of the database; what was touched, by name.

    Name and address are replaced, password, second factor, links, sessions, tokens and preferences go, open mails are
    called off, deliveries keep their state without name and address, and the audit trail says "a former person"
    where it named them, without breaking its chain. `typed` must be their address, so that nobody does it by mistake.
    """
    if person.version != version:
        raise StaleEdit
    if person.anonymised_at:
        return {}
    if person.id == by.person_id:
        raise RuleViolation("You cannot anonymise yourself. Ask another administrator.")
    if text_key(typed) != person.email_key:
        raise RuleViolation("Type the person's address exactly, so that nobody else is meant.", "typed")
    if person.role is Role.ADMIN:
        keep_an_administrator(person)
    address = person.email
    end_sessions(person.id, by=by, now=now)
    counts = erasure.erase(ExportKind.PERSON, person.id, now)
    person.name = NAME
    person.email = person.email_key = f"former-{person.id}@{NOWHERE}"
    person.password_hash = person.role = None
    person.password_stamp += 1
    person.language, person.time_zone = "en", "UTC"
    person.last_signed_in_at = person.password_changed_at = None
    person.deactivated_at, person.anonymised_at = person.deactivated_at or now, now
    db.session.flush()
    counts["audit"] = audit.erase_person(person.id, [address], now)
    audit.record(
        "person.anonymise", object_kind="person", object_id=person.id, by=by, now=now, after={"touched": counts}
    )
    events.ring(events.STAFF)
    return counts


def delete_company(company: Company, typed: str, *, version: int, by: Actor, now: datetime) -> dict[str, int]:
    """Delete an archived company with all that is its own; what was touched, by name.

    Its holdings, memberships, sessions, tokens, exceptions and open mails go. Its people stay people, and the audit
    trail keeps what was done. `typed` must be its name.
    """
    if company.version != version:
        raise StaleEdit
    if company.archived_at is None:
        raise RuleViolation("Archive the company first: only one that is closed can be deleted.")
    if text_key(typed) != company.name_key:
        raise RuleViolation("Type the company's name exactly, so that no other is meant.", "typed")
    name, company_id = company.name, company.id
    counts = erasure.erase(ExportKind.COMPANY, company_id, now)
    db.session.expunge(company)
    gone = db.session.execute(
        delete(Company).where(Company.id == company_id, Company.version == version),
        execution_options={"synchronize_session": False},
    )
    if cast(CursorResult[Any], gone).rowcount != 1:
        raise StaleEdit
    audit.record(
        "company.delete",
        object_kind="company",
        object_id=company_id,
        company_id=company_id,
        by=by,
        now=now,
        before={"name": name},
        after={"touched": counts},
    )
    events.ring(events.STAFF, events.company_topic(company_id))
    return counts
