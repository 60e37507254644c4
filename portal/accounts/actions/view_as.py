"""Staff look at a portal as one company sees it: asking for it, and the session it opens on the portal's host."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select

from portal.accounts.actions.links import issue, token_of, use
from portal.accounts.actions.sessions import add_session
from portal.accounts.models import Company, MailedLink, Person, Session
from portal.accounts.rules.links import Purpose, hashed, opens
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.errors import NotFound, RuleViolation
from portal.extensions import db


class SpentLinkError(Exception):
    """The link was good once: followed already, too old, or its maker has signed out."""


class Look(NamedTuple):
    """A look that has begun: the token for its cookie, which is stored nowhere, and the company it is through."""

    token: str
    company_id: int


def hand_over(person: Person, staff_session_id: int, company: Company, host: str, *, by: Actor, now: datetime) -> str:
    """Let staff look at the portal on this host as this company; returns the token that opens it there, once, within
    a minute. Nobody but who asked for it can, and only while the session they asked in is open.
    """
    if company.archived_at is not None:
        raise RuleViolation(f"{company.name} is archived, so its people see nothing. Take it back first.")
    details = {"company_id": company.id, "host": host, "session_id": staff_session_id}
    link = issue(person, Purpose.VIEW_AS, now=now, by_id=by.person_id, details=details)
    audit.record(
        "company.view_as",
        object_kind="company",
        object_id=company.id,
        company_id=company.id,
        by=by,
        now=now,
        after={"host": host},
    )
    return token_of(link)


def begin_look(token: str, host: str, *, ip: str, user_agent: str, request_id: str, now: datetime) -> Look:
    """Open the session of a look with the token that was handed over.

    NotFound for a token nobody was given, and on any host but the one it is for; SpentLinkError for one that is over.
    """
    found = db.session.execute(
        select(MailedLink, Person, Session)
        .join(Person, Person.id == MailedLink.person_id)
        .outerjoin(Session, Session.id == MailedLink.details["session_id"].as_integer())
        .where(MailedLink.token_hash == hashed(token), MailedLink.purpose == Purpose.VIEW_AS)
    ).one_or_none()
    if found is None or found.MailedLink.details["host"] != host:
        raise NotFound
    link, person, staff_session = found
    is_good = opens(
        now=now,
        expires_at=link.expires_at,
        used_at=link.used_at,
        revoked_at=link.revoked_at,
        bound_stamp=link.password_stamp,
        stamp=person.password_stamp,
    )
    if not is_good or person.deactivated_at or staff_session is None or staff_session.revoked_at:
        raise SpentLinkError
    use(link, now)
    company_id = int(link.details["company_id"])
    look = add_session(
        person,
        company_id,
        host,
        ip=ip,
        user_agent=user_agent,
        now=now,
        is_view_as=True,
        opened_from_id=staff_session.id,
    )
    audit.record(
        "session.view_as",
        object_kind="person",
        object_id=person.id,
        company_id=company_id,
        by=Actor(person.email, person.id, ip, request_id),
        now=now,
        after={"host": host},
    )
    return Look(look, company_id)
