"""Opening, ending and forgetting sessions."""

import hashlib
import secrets
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from portal import events
from portal.accounts.models import Company, Person, Session
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.extensions import db


def token_hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def add_session(
    person: Person, company_id: int | None, host: str, *, ip: str, user_agent: str, now: datetime, **known: Any
) -> str:
    """Write the row of a session and return its token, which is stored nowhere; `known` are further columns of it."""
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
            **known,
        )
    )
    return token


def open_session(
    person: Person,
    company_id: int | None,
    host: str,
    *,
    ip: str,
    user_agent: str,
    now: datetime,
    with_second_factor: bool = False,
) -> str:
    """Open a session for somebody who has just proved who they are, and return the token for its cookie.

    The token is stored nowhere. `with_second_factor` says that a code was asked for and right.
    """
    token = add_session(
        person,
        company_id,
        host,
        ip=ip,
        user_agent=user_agent,
        now=now,
        confirmed_at=now,
        second_factor_at=now if with_second_factor else None,
    )
    # Past the row's version: a form somebody has open on this person is not made stale by it.
    db.session.execute(
        update(Person).where(Person.id == person.id).values(last_signed_in_at=now),
        execution_options={"synchronize_session": False},
    )
    actor = Actor(person.email, person.id, ip)
    audit.record("session.open", object_kind="person", object_id=person.id, company_id=company_id, by=actor, now=now)
    return token


def end_sessions(
    person_id: int, *, by: Actor, now: datetime, company_id: int | None = None, but: int | None = None
) -> int:
    """End every session of a person, or only those for one company; returns how many. Their open pages are told.

    `but` is the id of one that goes on: that of the browser they sit at.
    """
    of_person = (Session.person_id == person_id, Session.revoked_at.is_(None))
    for_company = () if company_id is None else (Session.company_id == company_id,)
    session_ids = db.session.scalars(select(Session.id).where(*of_person, *for_company)).all()
    ended = [session_id for session_id in session_ids if session_id != but]
    for session_id in ended:
        end_session(session_id, by=by, now=now)
    return len(ended)


def confirm_session(session_id: int, now: datetime) -> None:
    """Remember that the password was typed again in this session, and right."""
    db.session.execute(update(Session).where(Session.id == session_id).values(confirmed_at=now))


def note_second_factor(session_id: int, now: datetime) -> None:
    """Remember that a code of the second factor was right in this session."""
    db.session.execute(update(Session).where(Session.id == session_id).values(second_factor_at=now))


def end_session(session_id: int, *, by: Actor, now: datetime) -> None:
    """End a session, and the looks of staff that were opened from it; ending it twice is harmless.

    Its open pages are told.
    """
    session = db.session.get(Session, session_id)
    if session is None or session.revoked_at:
        return
    session.revoked_at = now
    events.ring(events.session_topic(session.token_hash))
    audit.record("session.end", object_kind="person", object_id=session.person_id, by=by, now=now)
    looks = select(Session.id).where(Session.opened_from_id == session_id, Session.revoked_at.is_(None))
    for look_id in db.session.scalars(looks).all():
        end_session(look_id, by=by, now=now)


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
