"""Writing the audit trail, sealing it, and the two ways in which something may leave it."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, Row, Table, bindparam, delete, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from portal.audit.models import AuditChain, AuditEntry, AuditTally
from portal.audit.queries import CHAINED, link_of
from portal.audit.rules import (
    SEALED_AFTER,
    Actor,
    Noted,
    bucket_of,
    digest,
    erased,
    former,
    masked,
    personal,
    slot_of,
)
from portal.extensions import db

RAW: Any = {"synchronize_session": False}

SEALED_AT_ONCE = 2000
"""Entries that get their place in one transaction."""


def record(
    action: str,
    *,
    object_kind: str,
    object_id: int | None,
    by: Actor,
    now: datetime,
    company_id: int | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Add one entry to the current transaction. `action` is noun.verb, such as `incident.publish`.

    Secrets have no business in `before` and `after`; what looks like one is masked all the same.
    """
    db.session.add(
        AuditEntry(
            at=now,
            actor_id=by.person_id,
            actor=by.label[:254],
            ip=by.ip,
            request_id=by.request_id,
            action=action,
            noun=action.partition(".")[0],
            object_kind=object_kind,
            object_id=object_id,
            company_id=company_id,
            before=masked(before) if before else None,
            after=masked(after) if after else None,
        )
    )


def record_many(action: str, noted: Iterable[Noted], *, object_kind: str, by: Actor, now: datetime) -> None:
    """Add one entry for each of many rows that one step has changed, set-wise: as `record`, a hundred times faster."""
    same = {
        "at": now,
        "actor_id": by.person_id,
        "actor": by.label[:254],
        "ip": by.ip,
        "request_id": by.request_id,
        "action": action,
        "noun": action.partition(".")[0],
        "object_kind": object_kind,
    }
    rows = [
        {
            **same,
            "object_id": each.object_id,
            "company_id": each.company_id,
            "before": masked(each.before) if each.before else None,
            "after": masked(each.after) if each.after else None,
        }
        for each in noted
    ]
    if rows:
        db.session.execute(insert(cast(Table, AuditEntry.__table__)), rows)


# What outsiders can cause without end


def count(
    action: str,
    *,
    by: Actor,
    now: datetime,
    object_kind: str,
    object_id: int | None = None,
    detail: Mapping[str, Any] | None = None,
    apart: str = "",
) -> None:
    """Count something an outsider can repeat at will (a failed sign-in, a refusal) instead of writing it each time.

    One row for each person and `apart` (such as the place that refused) and stretch of ten minutes, and at most
    `STRANGER_SLOTS` for everybody else, so that no attacker fills the disk. `fold` makes entries of the rows.
    """
    upsert = sqlite.insert if db.session.get_bind().dialect.name == "sqlite" else postgresql.insert
    owner = by.person_id if by.person_id is not None else object_id
    statement = upsert(AuditTally).values(
        action=action,
        bucket=bucket_of(now),
        slot=slot_of(owner, by.ip, apart),
        actor_id=by.person_id,
        actor=by.label[:254],
        ip=by.ip,
        request_id=by.request_id,
        object_kind=object_kind,
        object_id=object_id,
        detail=masked(detail or {}),
        count=1,
        first_at=now,
        last_at=now,
    )
    db.session.execute(
        statement.on_conflict_do_update(
            index_elements=["bucket", "action", "slot"], set_={"count": AuditTally.count + 1, "last_at": now}
        )
    )


def fold(now: datetime, limit: int = 500) -> int:
    """Make one entry of each count whose stretch has ended; returns how many. Two at once fold each row once."""
    over = (
        select(AuditTally.id)
        .where(AuditTally.bucket < bucket_of(now))
        .order_by(AuditTally.bucket)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    folded = db.session.execute(
        delete(AuditTally).where(AuditTally.id.in_(over)).returning(*AuditTally.__table__.columns),
        execution_options=RAW,
    ).all()
    for row in sorted(folded, key=lambda row: (row.last_at, row.id)):
        record(
            row.action,
            object_kind=row.object_kind,
            object_id=row.object_id,
            by=Actor(row.actor, row.actor_id, row.ip, row.request_id),
            now=row.last_at,
            after={**row.detail, "count": row.count, "first_at": row.first_at.isoformat(timespec="seconds")},
        )
    return len(folded)


# The chain


def seal(now: datetime, limit: int = SEALED_AT_ONCE, *, settled: timedelta = SEALED_AFTER) -> int:
    """Give the next entries their place in the chain; returns how many.

    Safe in two processes at once: whoever moves the head on writes, the other finds it moved and takes nothing. A
    unique number stands behind that. Late commits are sealed when they are seen, whatever their id.
    """
    head = db.session.execute(
        select(AuditChain.number, AuditChain.hash).where(AuditChain.id == 1).with_for_update()
    ).one()
    waiting = db.session.execute(
        select(*CHAINED)
        .where(AuditEntry.chain_no.is_(None), AuditEntry.at <= now - settled)
        .order_by(AuditEntry.id)
        .limit(limit)
    ).all()
    if not waiting:
        return 0
    places, number, value = [], head.number, head.hash
    for entry in waiting:
        number += 1
        place = _place(entry, value, number)
        value = place["chain_hash"]
        places.append(place)
    moved = db.session.execute(
        update(AuditChain)
        .where(AuditChain.id == 1, AuditChain.number == head.number)
        .values(number=number, hash=value, sealed_at=now),
        execution_options=RAW,
    )
    if cast(CursorResult[Any], moved).rowcount != 1:
        return 0
    db.session.connection().execute(_SEAL, places)
    return len(places)


def _place(entry: Row[*tuple[Any, ...]], previous: str, number: int) -> dict[str, Any]:
    salts = {"who_salt": secrets.token_hex(16), "what_salt": secrets.token_hex(16)}
    who = digest(salts["who_salt"], [entry.actor, entry.ip])
    what = digest(salts["what_salt"], personal(entry.before, entry.after))
    return {
        "entry": entry.id,
        "chain_no": number,
        "chain_hash": link_of(entry, previous, number, who=who, what=what),
        **salts,
    }


_entries = AuditEntry.__table__
_SEAL = (
    update(_entries)  # type: ignore[arg-type]
    .where(_entries.c.id == bindparam("entry"), _entries.c.chain_no.is_(None))
    .values({name: bindparam(name) for name in ("chain_no", "chain_hash", "who_salt", "what_salt")})
)


def forget(before: datetime, limit: int) -> int:
    """Drop the oldest sealed entries, all older than `before`, from the beginning of the chain; returns how many.

    The hash of the last one stays as the anchor from which the rest can be verified.
    """
    chain = db.session.execute(
        select(AuditChain.number, AuditChain.forgotten).where(AuditChain.id == 1).with_for_update()
    ).one()
    oldest = db.session.execute(
        select(AuditEntry.chain_no, AuditEntry.chain_hash, AuditEntry.at)
        .where(AuditEntry.chain_no > chain.forgotten)
        .order_by(AuditEntry.chain_no)
        .limit(limit)
    ).all()
    last = None
    for entry in oldest:
        if entry.at >= before:
            break
        last = entry
    if last is None:
        return 0
    db.session.execute(
        update(AuditChain).where(AuditChain.id == 1).values(forgotten=last.chain_no, forgotten_hash=last.chain_hash),
        execution_options=RAW,
    )
    gone = db.session.execute(delete(AuditEntry).where(AuditEntry.chain_no <= last.chain_no), execution_options=RAW)
    return cast(CursorResult[Any], gone).rowcount


def erase_person(person_id: int, addresses: Sequence[str], now: datetime) -> int:
    """Take the texts that name a person out of the trail; returns how many entries that were.

    Who they were as an actor, and the personal fields of entries about them, become the digests the chain was made
    of, so it still verifies and nobody can put anything else there. That something was done, when, to what and by
    "a former person #id", stays. `addresses` are those they are known to have had.
    """
    while seal(now, settled=timedelta(0)):
        pass
    labels = {*addresses, *(address.casefold() for address in addresses)}
    theirs = or_(
        AuditEntry.actor_id == person_id,
        (AuditEntry.object_kind == "person") & (AuditEntry.object_id == person_id),
        (AuditEntry.object_kind == "address") & AuditEntry.actor.in_(labels),
    )
    touched, last = 0, 0
    while True:
        batch = db.session.execute(
            select(*CHAINED).where(theirs, AuditEntry.id > last).order_by(AuditEntry.id).limit(SEALED_AT_ONCE)
        ).all()
        if not batch:
            break
        for entry in batch:
            if changes := _erasure(entry, person_id, labels):
                touched += 1
                db.session.execute(
                    update(AuditEntry).where(AuditEntry.id == entry.id).values(changes), execution_options=RAW
                )
        last = batch[-1].id
    db.session.execute(
        update(AuditTally)
        .where(or_(AuditTally.actor_id == person_id, AuditTally.actor.in_(labels)))
        .values(actor=former(person_id), ip=None),
        execution_options=RAW,
    )
    return touched


def _erasure(entry: Row[*tuple[Any, ...]], person_id: int, labels: set[str]) -> dict[str, Any]:
    """What becomes of one entry; nothing for one that names them no more."""
    changes: dict[str, Any] = {}
    is_about = entry.object_kind == "address" or (entry.object_kind == "person" and entry.object_id == person_id)
    is_by = entry.actor_id == person_id or entry.actor in labels or (is_about and entry.noun == "session")
    if is_by and entry.who_digest is None and (entry.actor_id == person_id or entry.actor_id is None):
        kept = _digest_of(entry.who_salt, [entry.actor, entry.ip])
        changes |= {"actor": former(entry.actor_id), "ip": None, "who_salt": None, "who_digest": kept}
    if is_about and entry.what_digest is None and any(personal(entry.before, entry.after)):
        kept = _digest_of(entry.what_salt, personal(entry.before, entry.after))
        changes |= {"before": erased(entry.before), "after": erased(entry.after)}
        changes |= {"what_salt": None, "what_digest": kept}
    return changes


def _digest_of(salt: str | None, value: Any) -> str | None:
    """None for an entry that has no place in the chain yet: it gets one with what is there then."""
    return digest(salt, value) if salt else None
