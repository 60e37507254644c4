"""Saving the settings of work statuses: the whole table in one transaction, and with it what every customer sees.

Each save is a revision. Whoever saves first raises the version of the table, and so holds off everybody who moves an
item until the public statuses stored with the items are those of the new table.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import select, update

from portal import events
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.errors import NotFound, RuleViolation, StaleEdit
from portal.extensions import db
from portal.jobs import queries
from portal.jobs.actions.carry import carry
from portal.jobs.actions.moves import empty_status
from portal.jobs.models import WorkItem, WorkStatus, WorkTable, WorkTableRevision
from portal.jobs.queries import Settings
from portal.jobs.rules import (
    CATEGORIES,
    Problem,
    Role,
    StatusRow,
    StatusTable,
    WorkKind,
    check,
    check_deleted,
    differences,
    normal,
    reset,
    unveiled,
    without,
)
from portal.searching import key_of

NOTHING: Mapping[int, int | None] = MappingProxyType({})

RAW: Any = {"synchronize_session": False}


class TableRefused(RuleViolation):
    """The table cannot be saved as it is; `problems` has a sentence for each thing to mend."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems[0].sentence, problems[0].field)
        self.problems = tuple(problems)


@dataclass(frozen=True)
class Saved:
    """What a save came to: the settings from now on, and how many open items look different to their customers."""

    table: StatusTable
    version: int
    items: int


def save_table(
    kind: WorkKind,
    rows: Iterable[StatusRow],
    *,
    version: int,
    by: Actor,
    now: datetime,
    deleted: Mapping[int, int | None] = NOTHING,
    tell: bool = False,
) -> Saved:
    """Save all work statuses of a kind at once, in this order; rows with a negative id are new.

    `deleted` takes statuses the office added out of use for good, each with the one its items and the mappings that
    lead to it go to; None where there are neither. Their rows stay archived, because history names them.
    TableRefused says what is wrong with them. StaleEdit when somebody saved since `version`, or when the rows are not
    those that are there. With `tell` the customers whose public status changes are mailed; without nobody is.
    """
    number = _raise_version(kind, version)
    before = queries.settings_of(kind).table
    wanted = _fixed(StatusTable.of(kind, rows), before)
    held = _held(kind, deleted)
    refused = check_deleted(wanted, deleted, held)
    after = without(normal(wanted), deleted)
    if problems := [*refused, *check(after)]:
        raise TableRefused(problems)
    stored, ids = _store(after, now)
    moving = {doomed: ids[target] for doomed, target in deleted.items() if target is not None}
    items = _publish(before, stored, number=number, by=by, now=now, tell=tell, deleted=moving)
    for doomed in held:
        items += empty_status(kind, doomed, moving[doomed], Settings(stored, number), by=by, now=now, tell=tell)
    return Saved(stored, number, items)


def delete_status(
    kind: WorkKind,
    status_id: int,
    *,
    replacement_id: int | None,
    version: int,
    by: Actor,
    now: datetime,
    tell: bool = False,
) -> Saved:
    """Delete one status and change nothing else, as `save_table` does it. NotFound if there is none."""
    rows = queries.settings_of(kind).table.rows
    if status_id not in {row.id for row in rows}:
        raise NotFound
    return save_table(kind, rows, version=version, by=by, now=now, deleted={status_id: replacement_id}, tell=tell)


def reset_statuses(
    kind: WorkKind, roles: Iterable[Role], *, version: int, by: Actor, now: datetime, tell: bool = False
) -> Saved:
    """Give system statuses back the name, colours and showing they began with; their order stays.

    TableRefused where a status the office added has taken one of the names.
    """
    rows = reset(queries.settings_of(kind).table, roles).rows
    return save_table(kind, rows, version=version, by=by, now=now, tell=tell)


def _held(kind: WorkKind, status_ids: Iterable[int]) -> frozenset[int]:
    """Those of these statuses that items are in."""
    wanted = select(WorkItem.status_id).where(WorkItem.kind == kind, WorkItem.status_id.in_(list(status_ids)))
    return frozenset(db.session.scalars(wanted.distinct())) if status_ids else frozenset()


def _raise_version(kind: WorkKind, version: int) -> int:
    """Raise the version of the table from this one, and hold off everybody else until the transaction ends."""
    raised = db.session.scalar(
        update(WorkTable)
        .where(WorkTable.kind == kind, WorkTable.version == version)
        .values(version=WorkTable.version + 1)
        .returning(WorkTable.version)
        .execution_options(synchronize_session=False)
    )
    if raised is None:
        raise StaleEdit
    return raised


def _fixed(wanted: StatusTable, before: StatusTable) -> StatusTable:
    """What was typed, with what nobody can type: the role of each, and the category of those that have one."""
    if {row.id for row in wanted.rows if row.id > 0} != set(before.by_id):
        raise StaleEdit

    def fixed(row: StatusRow) -> StatusRow:
        role = before.by_id[row.id].role if row.id > 0 else None
        return replace(row, role=role, category=CATEGORIES[role] if role else row.category)

    return StatusTable.of(wanted.kind, [fixed(row) for row in wanted.rows])


def _publish(
    before: StatusTable,
    after: StatusTable,
    *,
    number: int,
    by: Actor,
    now: datetime,
    tell: bool,
    deleted: Mapping[int, int],
) -> int:
    """Keep what was stored as a revision, and let every item follow; returns how many open ones look different."""
    kind = after.kind
    db.session.add(
        WorkTableRevision(
            kind=kind,
            number=number,
            statuses=after.to_json(),
            unveiled=sorted(unveiled(before, after)),
            saved_at=now,
            saved_by_id=by.person_id,
        )
    )
    db.session.flush()
    _settle_endings(before, after, now)
    items = carry(before, after, now=now, tell=tell)
    changed = differences(before, after)
    audit.record(
        "work_statuses.edit",
        object_kind="work_statuses",
        object_id=None,
        by=by,
        now=now,
        before={"statuses": {name: was for name, (was, _is) in changed.items()}},
        after={
            "kind": kind.value,
            "statuses": {name: now_is for name, (_was, now_is) in changed.items()},
            "items": items,
            "moved": {before.by_id[doomed].name: after.by_id[target].name for doomed, target in deleted.items()},
            "told": tell,
        },
    )
    events.ring(events.STAFF)
    return items


def _store(wanted: StatusTable, now: datetime) -> tuple[StatusTable, dict[int, int]]:
    """Write the rows; new ones get ids. Answers the table as it is stored, and each id by the one it was given as."""
    kind = wanted.kind
    stored = {each.id: each for each in db.session.scalars(select(WorkStatus).where(WorkStatus.kind == kind))}
    if {row.id: key_of(row.name) for row in wanted.rows} != {each.id: each.name_key for each in stored.values()}:
        # Names may change places, and must not meet on the way.
        for each in stored.values():
            each.name_key = f"\x01{each.id}"
        db.session.flush()
    for place, row in enumerate(wanted.rows):
        status = stored.get(row.id)
        if status is None:
            status = stored[row.id] = WorkStatus(kind=kind, role=None)
            db.session.add(status)
        status.position, status.category, status.name, status.showing = place, row.category, row.name, row.showing
        status.name_key = key_of(row.name)
        status.portal_name, status.color, status.portal_color = row.portal_name, row.color, row.portal_color
        status.is_mailed = row.is_mailed
        status.archived_at = (status.archived_at or now) if row.is_archived else None
    db.session.flush()
    for row in wanted.rows:
        stored[row.id].mapped_to_id = stored[row.mapped_to_id].id if row.mapped_to_id else None
    db.session.flush()
    table = queries.table_of(kind, sorted(stored.values(), key=lambda each: each.position))
    return table, {given: status.id for given, status in stored.items()}


def _settle_endings(before: StatusTable, after: StatusTable, now: datetime) -> None:
    """Where the office made a status one of finished work, or of work that goes on, its items follow."""
    for row in after.rows:
        was = before.by_id.get(row.id)
        if was is not None and was.category.is_terminal != row.category.is_terminal:
            ended = now if row.category.is_terminal else None
            db.session.execute(
                update(WorkItem).where(WorkItem.status_id == row.id).values(finished_at=ended), execution_options=RAW
            )
