"""What a save of the settings does to the public status stored with each item, set-wise wherever it can be."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Integer,
    MetaData,
    Select,
    Table,
    and_,
    case,
    delete,
    false,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    update,
)

from portal import events
from portal.database import UTCDateTime
from portal.extensions import db
from portal.jobs import queries
from portal.jobs.actions.notices import due_at, noting
from portal.jobs.models import WorkItem, WorkMove
from portal.jobs.rules import (
    Carrying,
    PublicStatus,
    StatusTable,
    Unseen,
    carrying,
    looks_different,
    resolutions,
    resolve,
)

Seen = Mapping[int, PublicStatus | Unseen]
"""What is seen of each work status under one table."""

RAW: Any = {"synchronize_session": False}

AT_ONCE = 10_000
"""Ids of items looked at in one step, so that no statement runs long enough to be stopped."""

_items = cast(Table, WorkItem.__table__)

_views = Table(
    "work_views",
    MetaData(),
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("company_id", Integer),
    Column("is_open", Boolean),
    Column("old_status_id", Integer),
    Column("old_since", UTCDateTime),
    Column("status_id", Integer),
    Column("since", UTCDateTime),
    prefixes=["TEMPORARY"],
)
"""Where a save keeps what is seen of items until it has written it: of this transaction alone, and gone with it."""


@dataclass
class Outcome:
    """How many open items look different to their customers, and whose they are."""

    items: int = 0
    company_ids: set[int] = field(default_factory=set)


def carry(before: StatusTable, after: StatusTable, *, now: datetime, tell: bool) -> int:
    """Bring every item of the kind to what customers see of it under the new table; returns how many open ones look
    different now. Rings the companies whose view has changed, and with `tell` notes whom to mail."""
    plan = carrying(before, after, _weights(before))
    outcome = Outcome()
    if plan.refolded:
        _refold(before, after, plan, outcome, now=now, tell=tell)
    _rename(before, after, plan, outcome, now=now, tell=tell)
    events.ring(*(events.company_topic(company_id) for company_id in outcome.company_ids))
    return outcome.items


def _weights(table: StatusTable) -> dict[int, int]:
    found = db.session.execute(
        select(WorkItem.status_id, func.count()).where(WorkItem.kind == table.kind).group_by(WorkItem.status_id)
    )
    return {row[0]: row[1] for row in found}


def _ever_in(status_ids: Collection[int]) -> ColumnElement[bool]:
    """Items that were ever in one of these work statuses."""
    return WorkItem.id.in_(select(WorkMove.item_id).where(WorkMove.status_id.in_(status_ids)))


def _steps(ids: Any, condition: ColumnElement[bool]) -> list[ColumnElement[bool]]:
    """The items for which this holds in parts, none so large that the database stops a statement about it."""
    first, last = db.session.execute(select(func.min(ids), func.max(ids)).where(condition)).one()
    return [] if first is None else [ids.between(at, at + AT_ONCE - 1) for at in range(first, last + 1, AT_ONCE)]


# Items that only follow: their dates stay, and what they show has another look at most.


def _rename(
    before: StatusTable, after: StatusTable, plan: Carrying, outcome: Outcome, *, now: datetime, tell: bool
) -> None:
    moved, seen = [], []
    for old_id, new_id in plan.renamed.items():
        old, new = resolve(before, old_id), resolve(after, new_id)
        if looks_different(cast(PublicStatus, old), new):
            seen.append((old_id, new_id))
        elif old_id != new_id:
            moved.append((old_id, new_id))
    theirs = WorkItem.kind == before.kind
    if plan.refolded:
        theirs = theirs & ~_ever_in(plan.refolded)
    if seen:
        looking = theirs & WorkItem.public_status_id.in_([old_id for old_id, _new in seen])
        outcome.items += (
            db.session.scalar(select(func.count()).select_from(WorkItem).where(looking, WorkItem.finished_at.is_(None)))
            or 0
        )
        outcome.company_ids |= set(db.session.scalars(select(WorkItem.company_id).where(looking).distinct()))
        if tell:
            _note_renamed(before, after, seen, theirs, now)
    _follow(theirs, moved, seen)


def _follow(theirs: ColumnElement[bool], moved: Sequence[tuple[int, int]], seen: Sequence[tuple[int, int]]) -> None:
    """Store who lends its look now. All at once: what one look is renamed to may be what another one was."""
    followed = dict([*moved, *seen])
    was, is_seen = WorkItem.public_status_id, [old_id for old_id, _new in seen]
    for among in _steps(WorkItem.id, theirs) if followed else ():
        db.session.execute(
            update(WorkItem)
            .where(theirs, was.in_(followed), among)
            .values(
                public_status_id=case(followed, value=was),
                public_revision=WorkItem.public_revision + case((was.in_(is_seen), 1), else_=0),
            ),
            execution_options=RAW,
        )


def _note_renamed(
    before: StatusTable,
    after: StatusTable,
    seen: Sequence[tuple[int, int]],
    theirs: ColumnElement[bool],
    now: datetime,
) -> None:
    """Note whom to mail: those whose open items are called something else now.

    Of what was before nothing is noted: it is the same status, under a name that is gone.
    """
    told = [
        old_id
        for old_id, new_id in seen
        if cast(PublicStatus, resolve(before, old_id)).key != cast(PublicStatus, resolve(after, new_id)).key
    ]
    db.session.execute(
        noting().from_select(
            ["item_id", "from_public_status_id", "due_at"],
            select(WorkItem.id, literal(None, Integer()), literal(due_at(now), UTCDateTime())).where(
                theirs, WorkItem.public_status_id.in_(told), WorkItem.finished_at.is_(None)
            ),
        )
    )


# Items whose history has to be read again.


def _refold(
    before: StatusTable, after: StatusTable, plan: Carrying, outcome: Outcome, *, now: datetime, tell: bool
) -> None:
    """Their views are made by the database, many at a time, and kept aside: these are counted, noted and written."""
    ever = WorkMove.status_id.in_(plan.refolded)
    connection = db.session.connection()
    _views.create(connection)
    for among in _steps(WorkMove.item_id, ever):
        _fill(after, select(WorkMove.item_id).where(ever, among))
        different = _differences(before, after, outcome)
        if tell:
            _note_refolded(before, after, different, now)
        _write(different)
        db.session.execute(delete(_views))
    _views.drop(connection)


def _fill(after: StatusTable, wanted: Select[int]) -> None:
    """Keep what is seen of each item from now on beside what is stored with it."""
    views = queries.views_at_once(wanted, after, queries.unveilings(after.kind))
    stored = (WorkItem.company_id, WorkItem.finished_at.is_(None), WorkItem.public_status_id, WorkItem.public_since)
    names = ("id", "status_id", "since", "company_id", "is_open", "old_status_id", "old_since")
    db.session.execute(insert(_views).from_select(names, views.add_columns(*stored)))
    # The others are not in the portal.
    gone = select(WorkItem.id, null(), null(), *stored).where(
        WorkItem.id.in_(wanted),
        WorkItem.public_status_id.is_not(None),
        ~select(_views.c.id).where(_views.c.id == WorkItem.id).exists(),
    )
    db.session.execute(insert(_views).from_select(names, gone))


Pair = tuple[int | None, int | None]
"""The public status that was stored with an item, and the one that is to be."""


def _differences(before: StatusTable, after: StatusTable, outcome: Outcome) -> list[Pair]:
    """The pairs of those that look different, though what is stored may be the same; counts whose they are."""
    was, seen = resolutions(before), resolutions(after)
    each = (_views.c.old_status_id, _views.c.status_id)
    is_written = case((_is_stored(), 0), else_=1)
    rows = db.session.execute(
        select(*each, _views.c.company_id, is_written, func.sum(case((_views.c.is_open, 1), else_=0))).group_by(
            *each, _views.c.company_id, is_written
        )
    )
    different: dict[Pair, bool] = {}
    for old_id, new_id, company_id, written, count in rows:
        pair = (old_id, new_id)
        if pair not in different:
            different[pair] = looks_different(_shown(was, old_id), _shown(seen, new_id))
        if different[pair]:
            outcome.items += count
        if different[pair] or written:
            outcome.company_ids.add(company_id)
    return [pair for pair, is_different in different.items() if is_different]


def _shown(seen: Seen, status_id: int | None) -> PublicStatus | None:
    found = seen.get(status_id or 0)
    return found if isinstance(found, PublicStatus) else None


def _is_stored() -> ColumnElement[bool]:
    """What is to be stored is stored already."""
    return and_(
        _views.c.status_id.is_not_distinct_from(_views.c.old_status_id),
        _views.c.since.is_not_distinct_from(_views.c.old_since),
    )


def _is_one_of(pairs: Sequence[Pair]) -> ColumnElement[bool]:
    """What was and what is are one of these pairs."""
    return or_(
        false(),
        *(
            and_(_views.c.old_status_id.is_not_distinct_from(old_id), _views.c.status_id.is_not_distinct_from(new_id))
            for old_id, new_id in pairs
        ),
    )


def _note_refolded(before: StatusTable, after: StatusTable, different: Sequence[Pair], now: datetime) -> None:
    """Note whom to mail: those whose open items are called something else now."""
    was, seen = resolutions(before), resolutions(after)

    def key(found: PublicStatus | None) -> str | None:
        return found.key if found else None

    told = [
        (old_id, new_id)
        for old_id, new_id in different
        if new_id is not None and key(_shown(was, old_id)) != key(_shown(seen, new_id))
    ]
    db.session.execute(
        noting().from_select(
            ["item_id", "from_public_status_id", "due_at"],
            select(_views.c.id, _views.c.old_status_id, literal(due_at(now), UTCDateTime())).where(
                _views.c.is_open, _is_one_of(told)
            ),
        )
    )


def _write(different: Sequence[Pair]) -> None:
    """Store what has changed, and raise the revision of what looks different."""
    db.session.execute(
        update(_items)
        .where(_items.c.id == _views.c.id, or_(~_is_stored(), _is_one_of(different)))
        .values(
            public_status_id=_views.c.status_id,
            public_since=_views.c.since,
            public_revision=_items.c.public_revision + 1,
        )
    )
