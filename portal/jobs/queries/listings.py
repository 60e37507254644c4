"""Jobs, quotes and their work statuses as a machine of the staff reads them, a piece at a time."""

from collections.abc import Collection, Mapping

from sqlalchemy import select

from portal.extensions import db
from portal.jobs.models import WorkItem, WorkStatus
from portal.jobs.queries.items import holds
from portal.jobs.queries.public import ids_with_key
from portal.jobs.rules import StatusTable, WorkKind, number_of
from portal.keyset import Order, Piece, Wanted, piece_of
from portal.messages.models import Thread

STATUS_ORDERS = {"id": Order((WorkStatus.id,)), "-id": Order((WorkStatus.id,), is_descending=True)}


def work(
    table: StatusTable,
    wanted: Wanted,
    *,
    text: str | None = None,
    key: str | None = None,
    status_id: int | None = None,
    is_open: bool | None = None,
    company_id: int | None = None,
    assignee_id: int | None = None,
    external_number: str | None = None,
    is_waiting: bool | None = None,
) -> Piece[WorkItem]:
    """Jobs or quotes under the work statuses of their kind, narrowed by what is not None. One query, two for a number.

    `key` is that of a public status; `is_waiting` is for those whose customer waits for an answer, or for the others.
    """
    kind = table.kind
    statement = select(WorkItem).where(WorkItem.kind == kind)
    if text is not None:
        statement = statement.where(holds(kind, text))
    if key is not None:
        statement = statement.where(WorkItem.public_status_id.in_(ids_with_key(table, key)))
    if is_open is not None:
        statement = statement.where(WorkItem.finished_at.is_(None) if is_open else WorkItem.finished_at.is_not(None))
    if is_waiting is not None:
        waiting = select(Thread.subject_id).where(Thread.subject_kind == kind.value, Thread.waits_since.is_not(None))
        statement = statement.where(WorkItem.id.in_(waiting) if is_waiting else WorkItem.id.not_in(waiting))
    for column, value in (
        (WorkItem.status_id, status_id),
        (WorkItem.company_id, company_id),
        (WorkItem.assignee_id, assignee_id),
        (WorkItem.external_number, external_number),
    ):
        if value is not None:
            statement = statement.where(column == value)
    return piece_of(statement, wanted)


def item_numbered(kind: WorkKind, written: str) -> WorkItem | None:
    """The item of a number such as J-1042 as it is now, for staff. One query."""
    number = number_of(kind, written)
    if number is None:
        return None
    return db.session.scalars(
        select(WorkItem)
        .where(WorkItem.kind == kind, WorkItem.number == number)
        .execution_options(populate_existing=True)
    ).one_or_none()


def items_numbered(kind: WorkKind, written: Collection[str]) -> Mapping[str, WorkItem]:
    """The items of these numbers as they are now, by the number as it was written, for staff. One query."""
    numbers = {each: number for each in written if (number := number_of(kind, each)) is not None}
    statement = select(WorkItem).where(WorkItem.kind == kind, WorkItem.number.in_(set(numbers.values())))
    found = {item.number: item for item in db.session.scalars(statement.execution_options(populate_existing=True))}
    return {each: found[number] for each, number in numbers.items() if number in found}


def work_statuses(
    wanted: Wanted, *, kind: WorkKind | None = None, is_archived: bool | None = None
) -> Piece[WorkStatus]:
    """Work statuses, narrowed by what is not None. One query."""
    statement = select(WorkStatus)
    if kind is not None:
        statement = statement.where(WorkStatus.kind == kind)
    if is_archived is not None:
        archived = WorkStatus.archived_at
        statement = statement.where(archived.is_not(None) if is_archived else archived.is_(None))
    return piece_of(statement, wanted)


def work_status(status_id: int) -> WorkStatus | None:
    """The work status of this id. At most one query."""
    return db.session.get(WorkStatus, status_id)
