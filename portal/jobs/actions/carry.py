"""What a save of the settings does to the public status stored with each item, set-wise wherever it can be."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Integer, Table, bindparam, case, func, literal, select, update

from portal import events
from portal.database import UTCDateTime
from portal.extensions import db
from portal.jobs import queries
from portal.jobs.actions.notices import due_at, note_changes, noting
from portal.jobs.models import WorkItem, WorkMove
from portal.jobs.rules import (
    Carrying,
    PublicStatus,
    PublicView,
    StatusTable,
    Unseen,
    Unveiling,
    carrying,
    looks_different,
    resolutions,
    resolve,
)

Seen = Mapping[int, PublicStatus | Unseen]
"""What is seen of each work status under one table."""

AT_ONCE = 1000
"""Items looked at anew in one step."""

RAW: Any = {"synchronize_session": False}

_items = cast(Table, WorkItem.__table__)


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
    if moved or seen:
        # All at once: what one look is renamed to may be what another one was.
        followed = dict(moved + seen)
        db.session.execute(
            update(WorkItem)
            .where(theirs, WorkItem.public_status_id.in_(followed))
            .values(
                public_status_id=case(followed, value=WorkItem.public_status_id),
                public_revision=case(
                    (WorkItem.public_status_id.in_([old_id for old_id, _new in seen]), WorkItem.public_revision + 1),
                    else_=WorkItem.public_revision,
                ),
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
    saves, was = queries.unveilings(after.kind), resolutions(before)
    wanted = select(WorkMove.item_id).where(WorkMove.status_id.in_(plan.refolded)).distinct()
    ids = db.session.scalars(wanted.order_by(WorkMove.item_id)).all()
    for start in range(0, len(ids), AT_ONCE):
        looked_at = _pairs(ids[start : start + AT_ONCE], after, saves)
        looking = [(row, view) for row, view in looked_at if _looks_different(was, row, view)]
        seen = {row.id for row, _view in looking}
        changed = [(row, view) for row, view in looked_at if row.id in seen or _differs(row, view)]
        _write(changed)
        outcome.company_ids |= {row.company_id for row, _view in changed}
        outcome.items += sum(row.finished_at is None for row, _view in looking)
        if tell:
            note_changes(
                {
                    row.id: row.public_status_id
                    for row, view in looking
                    if row.finished_at is None and view.status and view.status.key != _key(was, row)
                },
                now,
            )


def _pairs(ids: Sequence[int], table: StatusTable, saves: Sequence[Unveiling]) -> list[tuple[Any, PublicView]]:
    """These items as they are stored, each with the view its customer has from now on."""
    views = queries.views_of(table.kind, ids, table, saves)
    rows = db.session.execute(
        select(
            WorkItem.id, WorkItem.company_id, WorkItem.public_status_id, WorkItem.public_since, WorkItem.finished_at
        ).where(WorkItem.id.in_(ids))
    ).all()
    return [(row, views[row.id]) for row in rows]


def _differs(row: Any, view: PublicView) -> bool:
    return (row.public_status_id, row.public_since) != (view.status.id if view.status else None, view.since)


def _looks_different(was: Seen, row: Any, view: PublicView) -> bool:
    return looks_different(_shown(was, row), view.status)


def _key(was: Seen, row: Any) -> str | None:
    shown = _shown(was, row)
    return shown.key if shown else None


def _shown(was: Seen, row: Any) -> PublicStatus | None:
    """What an item was shown as before."""
    shown = was.get(row.public_status_id)
    return shown if isinstance(shown, PublicStatus) else None


def _write(changed: Sequence[tuple[Any, PublicView]]) -> None:
    if not changed:
        return
    db.session.connection().execute(
        update(_items)
        .where(_items.c.id == bindparam("row_id"))
        .values(
            public_status_id=bindparam("status"),
            public_since=bindparam("since"),
            public_revision=_items.c.public_revision + 1,
        ),
        [
            {"row_id": row.id, "status": view.status.id if view.status else None, "since": view.since}
            for row, view in changed
        ],
    )
