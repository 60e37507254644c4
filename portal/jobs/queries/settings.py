"""Reading the settings of work statuses: as they are now, as they were saved before, and what stands behind them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import distinct, func, select

from portal.extensions import db
from portal.jobs.models import WorkItem, WorkStatus, WorkTable, WorkTableRevision
from portal.jobs.rules import Revision, StatusRow, StatusTable, Unveiling, WorkKind


@dataclass(frozen=True)
class Settings:
    """The work statuses of a kind, and the number of the save they come from."""

    table: StatusTable
    version: int


def settings_of(kind: WorkKind) -> Settings:
    """The settings as they are now. One query, so that statuses and version belong together."""
    rows = db.session.execute(
        select(WorkTable.version, WorkStatus)
        .join(WorkStatus, WorkStatus.kind == WorkTable.kind)
        .where(WorkTable.kind == kind)
        .order_by(WorkStatus.position, WorkStatus.id)
    ).all()
    return Settings(table_of(kind, [status for _version, status in rows]), rows[0][0])


def tables() -> dict[WorkKind, StatusTable]:
    """The work statuses of both kinds as they are now. One query."""
    found = db.session.scalars(select(WorkStatus).order_by(WorkStatus.position, WorkStatus.id)).all()
    return {kind: table_of(kind, [status for status in found if status.kind is kind]) for kind in WorkKind}


def table_of(kind: WorkKind, statuses: Iterable[WorkStatus]) -> StatusTable:
    """The table these rows make, in their order."""
    return StatusTable.of(kind, [row_of(each) for each in statuses])


def row_of(status: WorkStatus) -> StatusRow:
    """A stored status as rules read it."""
    return StatusRow(
        id=status.id,
        role=status.role,
        category=status.category,
        name=status.name,
        showing=status.showing,
        mapped_to_id=status.mapped_to_id,
        portal_name=status.portal_name,
        color=status.color,
        portal_color=status.portal_color,
        is_mailed=status.is_mailed,
        is_archived=status.archived_at is not None,
    )


def revisions(kind: WorkKind, until: datetime | None = None) -> list[Revision]:
    """Every save of the settings up to a moment, the oldest first; the first one always."""
    wanted = select(WorkTableRevision).where(WorkTableRevision.kind == kind)
    if until is not None:
        wanted = wanted.where((WorkTableRevision.saved_at <= until) | (WorkTableRevision.number == 1))
    found = db.session.scalars(wanted.order_by(WorkTableRevision.number))
    return [Revision(each.number, each.saved_at, StatusTable.from_json(kind, each.statuses)) for each in found]


def known_revision(kind: WorkKind, number: int) -> WorkTableRevision | None:
    """The settings as they were saved for the `number`th time."""
    return db.session.scalars(
        select(WorkTableRevision).where(WorkTableRevision.kind == kind, WorkTableRevision.number == number)
    ).one_or_none()


def unveilings(kind: WorkKind, after: int = 0) -> list[Unveiling]:
    """The saves with a number beyond `after` that let customers see something they did not see before."""
    found = db.session.execute(
        select(WorkTableRevision.number, WorkTableRevision.saved_at, WorkTableRevision.unveiled)
        .where(WorkTableRevision.kind == kind, WorkTableRevision.number > after)
        .order_by(WorkTableRevision.number)
    )
    return [Unveiling(number, at, frozenset(ids)) for number, at, ids in found if ids]


class Counted(NamedTuple):
    """How many items are in a work status, how many of them are open, and of how many companies the open ones are."""

    items: int
    open: int
    companies: int


NONE = Counted(0, 0, 0)


def open_counts(kind: WorkKind) -> dict[int, Counted]:
    """By work status; one that has no items is not in it. Two queries, whatever the number of items."""
    all_items = db.session.execute(
        select(WorkItem.status_id, func.count()).where(WorkItem.kind == kind).group_by(WorkItem.status_id)
    )
    opened = db.session.execute(
        select(WorkItem.status_id, func.count(), func.count(distinct(WorkItem.company_id)))
        .where(WorkItem.kind == kind, WorkItem.finished_at.is_(None))
        .group_by(WorkItem.status_id)
    )
    found = {status_id: Counted(items, 0, 0) for status_id, items in all_items}
    for status_id, items, companies in opened:
        found[status_id] = Counted(found[status_id].items, items, companies)
    return found


class Stored(NamedTuple):
    """Open items that are in one work status and shown as one public status (None: not in the portal)."""

    status_id: int
    public_status_id: int | None
    items: int


def stored_counts(kind: WorkKind) -> Sequence[Stored]:
    """How many open items are where, and shown as what."""
    found = db.session.execute(
        select(WorkItem.status_id, WorkItem.public_status_id, func.count())
        .where(WorkItem.kind == kind, WorkItem.finished_at.is_(None))
        .group_by(WorkItem.status_id, WorkItem.public_status_id)
    )
    return [Stored(*row) for row in found]
