"""Reading the audit trail: searching it, and proving that it is what was written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, String, and_, cast, func, or_, select, union_all

from portal.audit.models import AuditChain, AuditEntry
from portal.audit.rules import ERASED, GENESIS, digest, former, link, personal
from portal.extensions import db

PER_PAGE = 50

LOOKED_AT = 20_000
"""Entries one search for a text looks through; it says how far it came, and goes on from there when asked."""

VERIFIED_AT_ONCE = 2000

CHAINED = (
    AuditEntry.id,
    AuditEntry.at,
    AuditEntry.actor_id,
    AuditEntry.actor,
    AuditEntry.ip,
    AuditEntry.request_id,
    AuditEntry.action,
    AuditEntry.noun,
    AuditEntry.object_kind,
    AuditEntry.object_id,
    AuditEntry.company_id,
    AuditEntry.before,
    AuditEntry.after,
    AuditEntry.chain_no,
    AuditEntry.chain_hash,
    AuditEntry.who_salt,
    AuditEntry.who_digest,
    AuditEntry.what_salt,
    AuditEntry.what_digest,
)
"""What an entry's hash is made from and compared with, as columns: objects would cost more than the hashing."""

PLAIN = ("actor_id", "request_id", "action", "object_kind", "object_id", "company_id")


def link_of(entry: Row[*tuple[Any, ...]], previous: str, number: int, *, who: str, what: str) -> str:
    """The hash of a row of `CHAINED` in this place."""
    return link(
        previous,
        number,
        entry_id=entry.id,
        at=entry.at,
        fields={name: getattr(entry, name) for name in PLAIN},
        before=entry.before,
        after=entry.after,
        who=who,
        what=what,
    )


# Searching


@dataclass(frozen=True)
class Search:
    """What the trail is narrowed by; what is None or "" narrows nothing.

    `person_id` is who did it or whom it was done to. `from_at` is inclusive, `to_at` is not. `text` is looked for
    in actor, action, address, request id, and what stood before and after.
    """

    text: str = ""
    person_id: int | None = None
    company_id: int | None = None
    noun: str = ""
    object_kind: str = ""
    object_id: int | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None


@dataclass(frozen=True)
class Place:
    """A place in the trail, newest first: the entry at this moment with this id."""

    at: datetime
    id: int


@dataclass(frozen=True)
class Found:
    """A page of entries, newest first. `older` is where the next page begins, None when there is none.

    `looked_back_to` is set when a search for a text stopped before the end: entries older than that were not looked at.
    """

    entries: Sequence[AuditEntry]
    older: Place | None = None
    looked_back_to: datetime | None = None


def search(wanted: Search, before: Place | None = None, limit: int = PER_PAGE) -> Found:
    """The newest entries that match, from a place on; bounded whatever the size of the trail.

    All but the text is answered from an index in the order of the list; a text is looked for in the newest
    `LOOKED_AT` entries that match the rest. Two queries with a text, else one.
    """
    if not wanted.text:
        ids = _narrowed(wanted, before, limit + 1)
        entries = db.session.scalars(_newest_first(AuditEntry.id.in_(select(ids.c.id)), limit + 1)).all()
        return _page(entries, limit)
    looked = _narrowed(wanted, before, LOOKED_AT)
    entries = db.session.scalars(
        _newest_first(and_(AuditEntry.id.in_(select(looked.c.id)), _holds(wanted.text)), limit + 1)
    ).all()
    if len(entries) > limit:
        return _page(entries, limit)
    last = db.session.execute(
        select(looked.c.at, looked.c.id).order_by(looked.c.at, looked.c.id).limit(1)
    ).one_or_none()
    size = db.session.scalar(select(func.count()).select_from(looked)) or 0
    if last is None or size < LOOKED_AT:
        return Found(entries)
    return Found(entries, Place(last.at, last.id), last.at)


def _page(entries: Sequence[AuditEntry], limit: int) -> Found:
    shown = entries[:limit]
    return Found(shown, Place(shown[-1].at, shown[-1].id) if len(entries) > limit else None)


def _newest_first(condition: ColumnElement[bool], limit: int) -> Any:
    return select(AuditEntry).where(condition).order_by(AuditEntry.at.desc(), AuditEntry.id.desc()).limit(limit)


def _narrowed(wanted: Search, before: Place | None, limit: int) -> Any:
    """At most so many newest entries that match all but the text, as a subquery of `id` and `at`.

    Somebody's entries are two lists, each in the order of its index: what they did, and what was done to them.
    """
    common = [*_conditions(wanted)]
    if before is not None:
        common += [AuditEntry.at <= before.at, or_(AuditEntry.at < before.at, AuditEntry.id < before.id)]
    lists = (
        [[]]
        if wanted.person_id is None
        else [
            [AuditEntry.actor_id == wanted.person_id],
            [AuditEntry.object_kind == "person", AuditEntry.object_id == wanted.person_id],
        ]
    )
    parts = [
        select(AuditEntry.id, AuditEntry.at)
        .where(*common, *own)
        .order_by(AuditEntry.at.desc(), AuditEntry.id.desc())
        .limit(limit)
        .subquery()
        for own in lists
    ]
    if len(parts) == 1:
        return parts[0]
    both = union_all(*(select(part.c.id, part.c.at) for part in parts)).subquery()
    return select(both.c.id, both.c.at).distinct().order_by(both.c.at.desc(), both.c.id.desc()).limit(limit).subquery()


def _conditions(wanted: Search) -> Sequence[ColumnElement[bool]]:
    equal: dict[Any, Any] = {
        AuditEntry.company_id: wanted.company_id,
        AuditEntry.noun: wanted.noun or None,
        AuditEntry.object_kind: wanted.object_kind or None,
        AuditEntry.object_id: wanted.object_id,
    }
    found = [column == value for column, value in equal.items() if value is not None]
    if wanted.from_at:
        found.append(AuditEntry.at >= wanted.from_at)
    if wanted.to_at:
        found.append(AuditEntry.at < wanted.to_at)
    return found


def _holds(text: str) -> ColumnElement[bool]:
    texts = (AuditEntry.before, AuditEntry.after)
    plain = (AuditEntry.actor, AuditEntry.action, AuditEntry.ip, AuditEntry.request_id)
    # JSON is stored with what is not ASCII written as escapes, so the text is looked for as it would stand there.
    inside = text.encode("ascii", "backslashreplace").decode() if text.isascii() else _as_json(text)
    return or_(
        *(column.icontains(text, autoescape=True) for column in plain),
        *(cast(column, String).icontains(inside, autoescape=True) for column in texts),
    )


def _as_json(text: str) -> str:
    units = text.encode("utf-16-be")
    codes = (int.from_bytes(units[place : place + 2], "big") for place in range(0, len(units), 2))
    return "".join(chr(code) if code < 128 else f"\\u{code:04x}" for code in codes)


def entry_by_id(entry_id: int) -> AuditEntry | None:
    return db.session.get(AuditEntry, entry_id)


def nouns() -> Sequence[str]:
    """What entries are about, by the word before the dot of their action. Walks the index from one to the next."""
    found: list[str] = []
    while True:
        following = db.session.scalar(
            select(AuditEntry.noun)
            .where(AuditEntry.noun > (found[-1] if found else ""))
            .order_by(AuditEntry.noun)
            .limit(1)
        )
        if following is None:
            return found
        found.append(following)


# The chain


@dataclass(frozen=True)
class ChainState:
    """How far the chain reaches: its last number and hash, since when, what waits, and what was forgotten."""

    number: int
    hash: str
    sealed_at: datetime | None
    waiting: int
    waiting_since: datetime | None
    forgotten: int


def chain_state() -> ChainState:
    """The state of the chain. Two queries; what waits is read from an index of its own."""
    chain = db.session.execute(select(*AuditChain.__table__.columns).where(AuditChain.id == 1)).one()
    waiting, since = db.session.execute(
        select(func.count(), func.min(AuditEntry.at)).where(AuditEntry.chain_no.is_(None))
    ).one()
    return ChainState(chain.number, chain.hash, chain.sealed_at, waiting, since, chain.forgotten)


@dataclass(frozen=True)
class Verdict:
    """What verifying found. `problem` is a sentence about the first broken entry, "" when the chain holds.

    `checked` entries were looked at, `erased` of them with a person's data taken out; `number` and `hash` are the last
    good ones.
    """

    number: int
    hash: str
    checked: int = 0
    erased: int = 0
    problem: str = ""


@dataclass
class _Walk:
    """Where verifying has come to."""

    number: int
    hash: str
    checked: int = 0
    erased: int = 0
    seen: dict[int, str] = field(default_factory=dict)

    def verdict(self, problem: str = "") -> Verdict:
        return Verdict(self.number, self.hash, self.checked, self.erased, problem)


def verify(
    head: tuple[int, str] | None = None, progress: Callable[[int, int], None] = lambda done, total: None
) -> Verdict:
    """Recompute the whole chain and name the first entry that was changed, removed or inserted.

    `head` is a number and hash kept elsewhere: the chain must have had that hash there, which proves that nothing
    up to it was written anew. Reads in bounded pieces.
    """
    chain = db.session.execute(select(*AuditChain.__table__.columns).where(AuditChain.id == 1)).one()
    walk = _Walk(chain.forgotten, chain.forgotten_hash if chain.forgotten else GENESIS)
    if head:
        walk.seen[head[0]] = head[1]
    if problem := _begins_after(walk, head):
        return walk.verdict(problem)
    while batch := _following(walk.number):
        for place, entry in enumerate(batch):
            after = batch[place + 1] if place + 1 < len(batch) else next(iter(_following(entry.chain_no, 1)), None)
            if problem := _problem(walk, entry, after, chain.number):
                return walk.verdict(problem)
        progress(walk.checked, chain.number - chain.forgotten)
    if walk.number != chain.number or walk.hash != chain.hash:
        missing = f"Entry {walk.number + 1:,} was removed" if walk.number < chain.number else "The head was changed"
        return walk.verdict(f"{missing}: the chain should reach number {chain.number:,}.")
    if head and head[0] > walk.number:
        return walk.verdict(f"Entry {walk.number + 1:,} was removed: the chain once reached number {head[0]:,}.")
    return walk.verdict()


def _begins_after(walk: _Walk, head: tuple[int, str] | None) -> str:
    """What is wrong before the first entry is read."""
    if head is None or head[0] > walk.number:
        return ""
    if head[0] == walk.number:
        return "" if head[1] == walk.hash else f"Entry {head[0]:,} was changed: its hash is not the one that was kept."
    return f"Entry {head[0]:,} was forgotten by retention, so its hash can no longer be compared."


def _following(number: int, limit: int = VERIFIED_AT_ONCE) -> Sequence[Row[*tuple[Any, ...]]]:
    return db.session.execute(
        select(*CHAINED).where(AuditEntry.chain_no > number).order_by(AuditEntry.chain_no).limit(limit)
    ).all()


def _problem(walk: _Walk, entry: Row[*tuple[Any, ...]], after: Row[*tuple[Any, ...]] | None, last: int) -> str:
    """What is wrong with one entry after those before it, "" when it follows them."""
    expected = walk.number + 1
    if entry.chain_no > last:
        return f"Entry {entry.chain_no:,} (id {entry.id}) was inserted: the chain ends at number {last:,}."
    if entry.chain_no != expected:
        return f"Entry {expected:,} was removed: after {walk.number:,} comes {entry.chain_no:,}."
    if link_of(entry, walk.hash, expected, **_digests(entry)) != entry.chain_hash:
        is_inserted = after is not None and after.chain_hash == link_of(after, walk.hash, expected, **_digests(after))
        return f"Entry {expected:,} (id {entry.id}) was {'inserted' if is_inserted else 'changed'}."
    if not _is_blank_where_erased(entry):
        return f"Entry {expected:,} (id {entry.id}) was changed where it had been erased."
    walk.number, walk.hash, walk.checked = expected, entry.chain_hash, walk.checked + 1
    walk.erased += bool(entry.who_digest or entry.what_digest)
    if walk.seen.get(expected, entry.chain_hash) != entry.chain_hash:
        return f"Entry {expected:,} was changed, or one before it: its hash is not the one that was kept."
    return ""


def _digests(entry: Row[*tuple[Any, ...]]) -> dict[str, str]:
    who = entry.who_digest or digest(entry.who_salt or "", [entry.actor, entry.ip])
    what = entry.what_digest or digest(entry.what_salt or "", personal(entry.before, entry.after))
    return {"who": who, "what": what}


def _is_blank_where_erased(entry: Row[*tuple[Any, ...]]) -> bool:
    is_nobody = entry.actor == former(entry.actor_id) and entry.ip is None
    is_empty = all(value == ERASED for side in personal(entry.before, entry.after) for value in side.values())
    return (entry.who_digest is None or is_nobody) and (entry.what_digest is None or is_empty)
