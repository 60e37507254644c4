"""Saving the settings of work statuses: the whole table in one transaction, and with it what every customer sees.

Each save is a revision. Whoever saves first raises the version of the table, and so holds off everybody who moves an
item until the public statuses stored with the items are those of the new table.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update

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
    PLURALS,
    Problem,
    Role,
    StatusRow,
    StatusTable,
    WorkKind,
    check,
    default_row,
    normal,
    unveiled,
)
from portal.searching import key_of

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
    kind: WorkKind, rows: Iterable[StatusRow], *, version: int, by: Actor, now: datetime, tell: bool = False
) -> Saved:
    """Save all work statuses of a kind at once, in this order; rows with a negative id are new.

    TableRefused says what is wrong with them. StaleEdit when somebody saved since `version`, or when the rows are not
    those that are there. With `tell` the customers whose public status changes are mailed; without nobody is.
    """
    number = _raise_version(kind, version)
    before = queries.settings_of(kind).table
    wanted = _fixed(StatusTable.of(kind, rows), before)
    return _save(before, wanted, number=number, by=by, now=now, tell=tell)


def reset_statuses(
    kind: WorkKind, roles: Iterable[Role], *, version: int, by: Actor, now: datetime, tell: bool = False
) -> Saved:
    """Give system statuses back the name, colours and showing they began with; their order stays.

    TableRefused where a status the office added has taken one of the names.
    """
    number, chosen = _raise_version(kind, version), set(roles)
    before = queries.settings_of(kind).table
    wanted = [default_row(row.role, row.id) if row.role in chosen and row.role else row for row in before.rows]
    return _save(before, StatusTable.of(kind, wanted), number=number, by=by, now=now, tell=tell)


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
    """Take a status the office added out of use for good: its items, and the mappings that lead to it, go to another.

    The row stays archived, because history names it. A replacement is only needed where something moves. Items are
    moved without a word to their customers unless `tell`, and then only to those whose public status changes.
    """
    number = _raise_version(kind, version)
    before = queries.settings_of(kind).table
    doomed, other = before.by_id.get(status_id), before.by_id.get(replacement_id or 0)
    if doomed is None:
        raise NotFound
    if doomed.is_system:
        raise RuleViolation(f"“{doomed.name}” is a system status: it can be renamed or hidden, and not deleted.")
    leading = {row.id for row in before.rows if row.mapped_to_id == status_id}
    held = _held(kind, status_id)
    if other is None and (leading or held):
        raise RuleViolation(f"Choose where its {PLURALS[kind]} and mappings go.", "replacement")
    if other is not None and (other.id == status_id or other.is_archived):
        raise RuleViolation("Choose a status that stays in use.", "replacement")

    def without(row: StatusRow) -> StatusRow:
        if row.id == status_id:
            return replace(row, is_archived=True)
        return replace(row, mapped_to_id=replacement_id) if row.id in leading else row

    wanted = StatusTable.of(kind, [without(row) for row in before.rows])
    saved = _save(before, wanted, number=number, by=by, now=now, tell=tell, verb="delete")
    if not held or other is None:
        return saved
    moved = empty_status(kind, status_id, other.id, Settings(saved.table, saved.version), by=by, now=now, tell=tell)
    return replace(saved, items=saved.items + moved)


def _held(kind: WorkKind, status_id: int) -> int:
    wanted = select(func.count()).select_from(WorkItem).where(WorkItem.kind == kind, WorkItem.status_id == status_id)
    return db.session.scalar(wanted) or 0


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


def _save(
    before: StatusTable,
    wanted: StatusTable,
    *,
    number: int,
    by: Actor,
    now: datetime,
    tell: bool,
    verb: str = "edit",
) -> Saved:
    kind = before.kind
    wanted = normal(wanted)
    if problems := check(wanted):
        raise TableRefused(problems)
    after = _store(wanted, before, now)
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
    changed = changes(before, after)
    audit.record(
        f"work_statuses.{verb}",
        object_kind="work_statuses",
        object_id=None,
        by=by,
        now=now,
        before={"kind": kind.value, **{name: was for name, (was, _is) in changed.items()}},
        after={"kind": kind.value, "items": items, **{name: now_is for name, (_was, now_is) in changed.items()}},
    )
    events.ring(events.STAFF)
    return Saved(after, number, items)


def changes(before: StatusTable, after: StatusTable) -> dict[str, tuple[Any, Any]]:
    """What a save changed, by the name of the status: what was and what is, of those fields that differ."""
    found: dict[str, tuple[Any, Any]] = {}
    stored_before = {each["id"]: each for each in before.to_json()}
    for row in after.to_json():
        was = stored_before.get(row["id"])
        if was is None:
            found[row["name"]] = (None, row)
        elif was != row:
            differing = [name for name in row if row[name] != was[name]]
            found[was["name"]] = ({name: was[name] for name in differing}, {name: row[name] for name in differing})
    order_before = [row.name for row in before.rows if row.id in after.by_id]
    order_after = [before.by_id[row.id].name for row in after.rows if row.id in before.by_id]
    if order_before != order_after:
        found["order"] = (order_before, order_after)
    return found


def _store(wanted: StatusTable, before: StatusTable, now: datetime) -> StatusTable:
    """Write the rows; those that are new get their ids. Answers the table as it is stored."""
    kind = wanted.kind
    stored = {each.id: each for each in db.session.scalars(select(WorkStatus).where(WorkStatus.kind == kind))}
    if {row.id: key_of(row.name) for row in wanted.rows} != {row.id: key_of(row.name) for row in before.rows}:
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
    return queries.table_of(kind, sorted(stored.values(), key=lambda each: each.position))


def _settle_endings(before: StatusTable, after: StatusTable, now: datetime) -> None:
    """Where the office made a status one of finished work, or of work that goes on, its items follow."""
    for row in after.rows:
        was = before.by_id.get(row.id)
        if was is not None and was.category.is_terminal != row.category.is_terminal:
            ended = now if row.category.is_terminal else None
            db.session.execute(
                update(WorkItem).where(WorkItem.status_id == row.id).values(finished_at=ended), execution_options=RAW
            )
