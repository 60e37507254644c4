"""The only writer of throttles. They live in the database, so they hold whatever becomes of Redis."""

import hashlib
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from portal.accounts.actions.links import write_to
from portal.accounts.models import Person, ThrottleBucket
from portal.accounts.queries import person_by_email
from portal.accounts.rules.links import Letter
from portal.accounts.rules.throttles import (
    LIMITS,
    Level,
    Limit,
    Throttle,
    account_subject,
    filled,
    full_at,
    ip_subject,
    mailbox_subject,
    seconds_until_one,
)
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.extensions import db

TOLD_EVERY = timedelta(days=1)
"""How often the owner of an account hears that somebody keeps guessing."""


def take(kind: str, subject: str, now: datetime, limit: Limit | None = None) -> int:
    """Take one try; returns 0 when there was one, else the seconds until there is. The caller commits either way.

    `kind` is a `Throttle`, or any other name together with its `limit`. `subject` says whose tries these are, already
    in its compared form. Two at once never share a try.
    """
    limit = limit or LIMITS[kind]
    bucket = _locked(kind, subject, limit, now)
    tokens = filled(limit, Level(bucket.level, bucket.updated_at), now)
    if wait := seconds_until_one(limit, tokens):
        return wait
    bucket.level, bucket.updated_at = tokens - 1, now
    bucket.full_at = full_at(limit, tokens - 1, now)
    db.session.flush()
    return 0


def waiting(kind: str, subject: str, now: datetime, limit: Limit | None = None) -> int:
    """The seconds until a try is possible, 0 when one is now; takes nothing and locks nothing."""
    limit = limit or LIMITS[kind]
    row = db.session.execute(
        select(ThrottleBucket.level, ThrottleBucket.updated_at).where(
            ThrottleBucket.kind == str(kind), ThrottleBucket.subject == _hashed(subject)
        )
    ).one_or_none()
    return seconds_until_one(limit, filled(limit, Level(*row) if row else None, now))


def sign_in_waiting(email: str, ip: str | None, now: datetime) -> int:
    """The seconds until somebody may try a password for this address from there; 0 when they may."""
    account = account_subject(email)
    return max(
        waiting(Throttle.SIGN_IN_BY_ADDRESS, ip_subject(ip), now),
        waiting(Throttle.SIGN_IN_BY_ACCOUNT, account, now),
        waiting(Throttle.SIGN_IN_BY_ACCOUNT_DAILY, account, now),
    )


def note_wrong_password(email: str, *, by: Actor, now: datetime) -> int:
    """Count a wrong password against where it came from and against the account, whether there is one or not.

    Returns 0, or the seconds until there is a try again when others have used up the last one while this password was
    checked: it counts for nothing then, and whoever typed it must not be told that it was wrong. Nor may a right one
    open anything then (`sign_in_waiting` is asked once more), so that many at once try no more than one after another.
    The try that uses up an account's tells its owner, once a day at most, and the audit trail.
    """
    account, person = account_subject(email), person_by_email(email)
    refused = take(Throttle.SIGN_IN_BY_ADDRESS, ip_subject(by.ip), now)
    for kind in (Throttle.SIGN_IN_BY_ACCOUNT, Throttle.SIGN_IN_BY_ACCOUNT_DAILY):
        refused = max(refused, take(kind, account, now))
    audit.count(
        "session.refuse",
        by=Actor("anonymous", ip=by.ip, request_id=by.request_id),
        now=now,
        object_kind="person",
        object_id=person.id if person else None,
    )
    wait = max(waiting(kind, account, now) for kind in (Throttle.SIGN_IN_BY_ACCOUNT, Throttle.SIGN_IN_BY_ACCOUNT_DAILY))
    if wait and person is not None:
        _tell(person, Throttle.SIGN_IN_BY_ACCOUNT, account, Letter.THROTTLED, by=by, now=now)
    return refused


def take_code(person: Person, *, by: Actor, now: datetime) -> int:
    """Take one try at a code of the second factor; 0, or the seconds until there is one. The caller commits.

    Who comes this far knows the password, so its owner is told when the tries are used up.
    """
    subject = f"person:{person.id}"
    wait = take(Throttle.SECOND_FACTOR, subject, now)
    if wait:
        _tell(person, Throttle.SECOND_FACTOR, subject, Letter.CODES_THROTTLED, by=by, now=now)
    return wait


def take_reset(address: str, *, ip: str | None, now: datetime) -> int:
    """Take one try at asking for a way back; 0, or the seconds until there is one. The caller commits."""
    of = ((Throttle.RESET_BY_ADDRESS, ip_subject(ip)), (Throttle.RESET_BY_ACCOUNT, mailbox_subject(address)))
    if wait := max(waiting(kind, subject, now) for kind, subject in of):
        return wait
    return max(take(kind, subject, now) for kind, subject in of)


def _tell(person: Person, kind: str, subject: str, letter: Letter, *, by: Actor, now: datetime) -> None:
    """Tell the owner of an account that it is being guessed at, and the audit trail; once a day is enough."""
    told = db.session.execute(
        update(ThrottleBucket)
        .where(
            ThrottleBucket.kind == str(kind),
            ThrottleBucket.subject == _hashed(subject),
            ThrottleBucket.told_at.is_(None) | (ThrottleBucket.told_at < now - TOLD_EVERY),
        )
        .values(told_at=now)
        .returning(ThrottleBucket.kind),
        execution_options={"synchronize_session": False},
    ).first()
    if told is None:
        return
    audit.record(
        "session.throttle",
        object_kind="person",
        object_id=person.id,
        by=Actor("anonymous", ip=by.ip, request_id=by.request_id),
        now=now,
        after={"throttle": str(kind)},
    )
    if person.deactivated_at is None and person.password_hash:
        write_to(person, letter, now=now, details={"ip": by.ip or ""})


def prune_throttles(now: datetime) -> None:
    """Forget buckets that have filled again, once nobody need be told anything about them either."""
    db.session.execute(
        delete(ThrottleBucket).where(
            ThrottleBucket.full_at < now,
            ThrottleBucket.told_at.is_(None) | (ThrottleBucket.told_at < now - TOLD_EVERY),
        ),
        execution_options={"synchronize_session": False},
    )


def _locked(kind: str, subject: str, limit: Limit, now: datetime) -> ThrottleBucket:
    """The bucket, made where there is none, held against everybody else until the transaction ends."""
    values: dict[str, Any] = {
        "kind": str(kind),
        "subject": _hashed(subject),
        "level": float(limit.capacity),
        "updated_at": now,
        "full_at": now,
    }
    insert = sqlite.insert if db.session.get_bind().dialect.name == "sqlite" else postgresql.insert
    db.session.execute(insert(ThrottleBucket).values(values).on_conflict_do_nothing())
    return db.session.scalars(
        select(ThrottleBucket)
        .where(ThrottleBucket.kind == values["kind"], ThrottleBucket.subject == values["subject"])
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()


def _hashed(subject: str) -> str:
    return hashlib.sha256(subject.encode("utf-8", "replace")).hexdigest()
