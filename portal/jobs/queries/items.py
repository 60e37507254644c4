"""Reading jobs and quotes for staff: lists, the board, one item, and what somebody has to do today."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, and_, func, or_, select, union_all
from sqlalchemy.orm import aliased, joinedload

from portal.accounts.models import Company, Membership, Person
from portal.accounts.rules import one_line, text_key
from portal.catalogue.models import Holding, Service
from portal.catalogue.queries import is_valid
from portal.errors import NotFound
from portal.extensions import db
from portal.jobs.models import QuoteLine, SavedView, WorkItem, WorkMove, WorkStatus
from portal.jobs.queries import ordering
from portal.jobs.rules import StatusRow, StatusTable, WorkKind, number_of, written_number
from portal.jobs.rules.kinds import PREFIXES
from portal.messages.models import Thread
from portal.messages.queries import waiting_among

PER_PAGE = 50

COUNTED_AT_MOST = 5_000
"""Items that are counted and can be paged through; a list of more wants to be narrowed."""

CARDS_A_COLUMN = 30
"""Cards of a column of the board that are shown; its count tells the rest."""

CARDS_FINISHED = 8
"""The same for a column of what is finished, of which nobody looks for more than the last."""

COLUMN_COUNTED_AT_MOST = 1_000
"""Items of a column of the board that are counted."""

SORTED_AT_ONCE = 500
"""Items that are sorted by something beside them; of more, only as many as a page wants are looked at."""

CHOICES_AT_MOST = 500
"""People or holdings a form offers to choose from."""

MOVES_SHOWN = 100

TODAY_AT_MOST = 100
"""Items of each part of somebody's own work."""


class Stage(StrEnum):
    """Which items a list shows by whether they are finished."""

    OPEN = "open"
    FINISHED = "finished"
    ALL = "all"


class Window(StrEnum):
    """Which items a list shows by when they are planned for."""

    TODAY = "today"
    WEEK = "week"
    OVERDUE = "overdue"
    UNPLANNED = "unplanned"


class Sort(StrEnum):
    """What a list may be sorted by."""

    NUMBER = "number"
    TITLE = "title"
    COMPANY = "company"
    STATUS = "status"
    WINDOW = "window"
    ASSIGNEE = "assignee"


NOBODY = 0
"""Stands for no assignee where 0 is no id."""


@dataclass(frozen=True)
class Filters:
    """What a staff list shows. `assignee_id` is NOBODY for what nobody does yet; `is_waiting` is for items whose
    customer waits for an answer."""

    text: str = ""
    status_id: int | None = None
    stage: Stage = Stage.OPEN
    assignee_id: int | None = None
    company_id: int | None = None
    window: Window | None = None
    is_waiting: bool = False
    sort: Sort = Sort.NUMBER
    is_descending: bool = True


@dataclass(frozen=True)
class ItemPage:
    """A page of a list. `waits` has since when the customer of an item waits for an answer.

    `is_counted` is False where there are more than `total`: COUNTED_AT_MOST, or SORTED_AT_ONCE of those with a text.
    """

    items: Sequence[WorkItem]
    page: int
    pages: int
    total: int
    is_counted: bool
    waits: Mapping[int, datetime]


@dataclass(frozen=True)
class Column:
    """A column of the board: how many items are in a status, and the first of them.

    `is_counted` is False where there are more than COLUMN_COUNTED_AT_MOST; `total` is that many then.
    """

    status_id: int
    total: int
    items: Sequence[WorkItem]
    is_counted: bool = True


@dataclass(frozen=True)
class Board:
    """The columns of a kind of work in the order of its statuses; `waits` as for a page of the list."""

    columns: Sequence[Column]
    waits: Mapping[int, datetime]


@dataclass(frozen=True)
class OwnWork:
    """What somebody has to do: `now` is for today, `overdue` should have been done, `ahead` is for the next days, and
    for `unplanned` nobody has said when. Each at most TODAY_AT_MOST."""

    overdue: Sequence[WorkItem]
    now: Sequence[WorkItem]
    ahead: Sequence[WorkItem]
    unplanned: Sequence[WorkItem]
    waits: Mapping[int, datetime]

    @property
    def items(self) -> Sequence[WorkItem]:
        return [*self.overdue, *self.now, *self.ahead, *self.unplanned]


@dataclass(frozen=True)
class PastMove:
    """One entry of the timeline for staff: the internal names, and what the customer was told, if anything.

    `by_name` is that of the person, else what is on record of whoever it was.
    """

    at: datetime
    status_id: int
    by_name: str
    reason: str
    told_name: str | None


# Lists


def items_page(kind: WorkKind, filters: Filters, page: int, now: datetime, zone: tzinfo) -> ItemPage:
    """A page of jobs or quotes. NotFound for a page that does not exist. A handful of queries, however many."""
    conditions = [WorkItem.kind == kind, *_stage(filters), *_conditions(kind, filters, now, zone)]
    few = db.session.scalars(select(WorkItem.id).where(*conditions).limit(SORTED_AT_ONCE + 1)).all()
    is_long = len(few) > SORTED_AT_ONCE
    # What holds a text is found by looking: so it is looked at once, and counted no further than that.
    most = SORTED_AT_ONCE if filters.text else COUNTED_AT_MOST
    total = _counted(conditions, most + 1) if is_long and not filters.text else len(few)
    shown = min(total, most)
    pages = max(1, -(-shown // PER_PAGE))
    if not 1 <= page <= pages:
        raise NotFound
    # Which they are is found first, so that nothing is sorted or joined but ids.
    wanted = conditions if is_long else [WorkItem.id.in_(few)]
    items = _in_order(_ids(wanted, filters, (page - 1) * PER_PAGE, is_long=is_long))
    return ItemPage(items, page, pages, shown, total == shown, _waits(kind, items))


def _counted(conditions: Sequence[ColumnElement[bool]], most: int) -> int:
    """How many items there are, counted no further than `most`."""
    counted = select(WorkItem.id).where(*conditions).limit(most).subquery()
    return db.session.scalar(select(func.count()).select_from(counted)) or 0


def _ids(conditions: Sequence[ColumnElement[bool]], filters: Filters, offset: int, *, is_long: bool) -> Sequence[int]:
    """Which items stand on the page that begins behind `offset` others."""
    stepwise = _STEPWISE.get(filters.sort)
    if stepwise is not None and is_long:
        return stepwise(conditions, offset + PER_PAGE, is_descending=filters.is_descending)[offset:]
    chosen = select(WorkItem.id).where(*conditions)
    if filters.sort is Sort.COMPANY:
        chosen = chosen.join(WorkItem.company)
    return db.session.scalars(chosen.order_by(*_order(filters)).limit(PER_PAGE).offset(offset)).all()


_STEPWISE: Mapping[Sort, Callable[..., list[int]]] = {
    Sort.COMPANY: ordering.by_company,
    Sort.STATUS: ordering.by_status,
    Sort.ASSIGNEE: ordering.by_assignee,
}


def _in_order(ids: Sequence[int]) -> Sequence[WorkItem]:
    """These items with what a line names, in the order of the ids. One query."""
    found = {item.id: item for item in db.session.scalars(_with_names(select(WorkItem).where(WorkItem.id.in_(ids))))}
    return [found[item_id] for item_id in ids if item_id in found]


def board(kind: WorkKind, table: StatusTable, filters: Filters, now: datetime, zone: tzinfo) -> Board:
    """The board under these filters, those of status and stage left out. Four queries, whatever the number of columns.

    What is open stands in the order in which it is planned, what is finished with the newest first.
    """
    conditions = [WorkItem.kind == kind, *_conditions(kind, filters, now, zone)]

    def of(row: StatusRow) -> Select[int]:
        is_over = row.category.is_terminal
        # Said twice, so that the database looks among what is open alone.
        stage = () if is_over else (WorkItem.finished_at.is_(None),)
        return select(WorkItem.id).where(WorkItem.status_id == row.id, *stage, *conditions)

    counted = [of(row).limit(COLUMN_COUNTED_AT_MOST + 1).subquery() for row in table.rows]
    counts = dict(zip((row.id for row in table.rows), db.session.execute(_counts_of(counted)).one(), strict=True))
    live = [row for row in table.rows if not row.is_archived or counts[row.id]]
    parts = [
        of(row)
        .order_by(*((WorkItem.id.desc(),) if row.category.is_terminal else _PLANNED))
        .limit(CARDS_FINISHED if row.category.is_terminal else CARDS_A_COLUMN)
        .subquery()
        for row in live
        if counts[row.id]
    ]
    found: Sequence[WorkItem] = ()
    if parts:
        ids = union_all(*(select(part.c.id) for part in parts))
        found = db.session.scalars(_with_names(select(WorkItem).where(WorkItem.id.in_(ids)))).all()
    columns = [
        Column(
            row.id,
            min(counts[row.id], COLUMN_COUNTED_AT_MOST),
            _column(found, row.id, row.category.is_terminal),
            counts[row.id] <= COLUMN_COUNTED_AT_MOST,
        )
        for row in live
    ]
    return Board(columns, _waits(kind, found))


def _counts_of(parts: Sequence[Subquery]) -> Select[Any]:
    return select(*(select(func.count()).select_from(part).scalar_subquery() for part in parts))


def _column(found: Sequence[WorkItem], status_id: int, is_finished: bool) -> Sequence[WorkItem]:
    mine = [item for item in found if item.status_id == status_id]
    if is_finished:
        return sorted(mine, key=lambda item: -item.id)
    return sorted(mine, key=lambda item: (item.starts_at is None, item.starts_at or item.created_at, item.id))


def own_work(person_id: int, now: datetime, zone: tzinfo) -> OwnWork:
    """What is open and given to somebody, jobs and quotes together. Three queries.

    Days are those of the zone. What ends today is for today, and overdue once its time is over.
    """
    _start, end = day_around(now, zone)
    mine = _with_names(
        select(WorkItem).where(WorkItem.assignee_id == person_id, WorkItem.finished_at.is_(None))
    ).order_by(*_PLANNED)
    planned = db.session.scalars(
        mine.where(WorkItem.starts_at < end + timedelta(days=7)).limit(3 * TODAY_AT_MOST)
    ).all()
    unplanned = db.session.scalars(mine.where(WorkItem.starts_at.is_(None)).limit(TODAY_AT_MOST)).all()
    overdue = [item for item in planned if is_overdue(item, now)]
    today = [item for item in planned if item not in overdue and item.starts_at is not None and item.starts_at < end]
    ahead = [item for item in planned if item not in overdue and item not in today]
    waits: dict[int, datetime] = {}
    for kind in WorkKind:
        waits |= _waits(kind, [item for item in (*planned, *unplanned) if item.kind is kind])
    return OwnWork(
        overdue[:TODAY_AT_MOST], today[:TODAY_AT_MOST], ahead[:TODAY_AT_MOST], unplanned[:TODAY_AT_MOST], waits
    )


def is_overdue(item: WorkItem, now: datetime) -> bool:
    """Whether an item should be done by now: its window is over and it is not finished.

    Without an end the window is over a day after its beginning.
    """
    if item.finished_at is not None or item.starts_at is None:
        return False
    return (item.ends_at or item.starts_at + _WITHOUT_END) < now


_WITHOUT_END = timedelta(days=1)


def day_around(moment: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    """The moments at which the day of a moment begins and ends in a zone."""
    start = moment.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    following = (start + timedelta(hours=12)).date() + timedelta(days=1)
    end = datetime(following.year, following.month, following.day, tzinfo=zone)
    return start.astimezone(moment.tzinfo), end.astimezone(moment.tzinfo)


# One item


def item_for_staff(kind: WorkKind, written: str) -> WorkItem | None:
    """The item of a number such as J-1042, with all it names and its lines. At most two queries."""
    number = number_of(kind, written)
    if number is None:
        return None
    wanted = _with_names(select(WorkItem).where(WorkItem.kind == kind, WorkItem.number == number))
    return db.session.scalars(
        wanted.options(joinedload(WorkItem.contact), joinedload(WorkItem.booked_by)).execution_options(
            populate_existing=True
        )
    ).one_or_none()


def numbers_of(kind: WorkKind, item_ids: Collection[int]) -> Mapping[int, str]:
    """What these items are called in addresses, such as J-1042. One query."""
    rows = db.session.execute(
        select(WorkItem.id, WorkItem.number).where(WorkItem.kind == kind, WorkItem.id.in_(item_ids))
    )
    return {row.id: written_number(kind, row.number) for row in rows}


def titles_of(kind: WorkKind, item_ids: Collection[int]) -> Mapping[int, str]:
    """What these items are called. One query."""
    rows = db.session.execute(
        select(WorkItem.id, WorkItem.title).where(WorkItem.kind == kind, WorkItem.id.in_(item_ids))
    )
    return {row.id: row.title for row in rows}


def lines_of(item: WorkItem) -> Sequence[QuoteLine]:
    """The lines of a quote in their order. One query."""
    wanted = select(QuoteLine).where(QuoteLine.item_id == item.id)
    return db.session.scalars(wanted.order_by(QuoteLine.position, QuoteLine.id)).all()


def past_moves(item: WorkItem) -> Sequence[PastMove]:
    """The last moves of an item, the newest first. One query."""
    rows = db.session.execute(
        select(
            WorkMove.at,
            WorkMove.status_id,
            func.coalesce(Person.name, WorkMove.by_name),
            WorkMove.reason,
            WorkMove.told_name,
        )
        .outerjoin(Person, Person.id == WorkMove.by_id)
        .where(WorkMove.item_id == item.id)
        .order_by(WorkMove.id.desc())
        .limit(MOVES_SHOWN)
    )
    return [PastMove(*row) for row in rows]


# What forms offer


def staff_choices() -> Sequence[tuple[int, str]]:
    """Whoever may be given work: staff who are let in, by name. One query."""
    rows = db.session.execute(
        select(Person.id, Person.name)
        .where(Person.role.is_not(None), Person.deactivated_at.is_(None))
        .order_by(Person.name_key, Person.id)
        .limit(CHOICES_AT_MOST)
    )
    return [(row.id, row.name) for row in rows]


def contact_choices(company_id: int) -> Sequence[tuple[int, str]]:
    """Who acts for a company, by name. One query."""
    rows = db.session.execute(
        select(Person.id, Person.name, Person.email)
        .join(Membership, Membership.person_id == Person.id)
        .where(Membership.company_id == company_id, Person.deactivated_at.is_(None))
        .order_by(Person.name_key, Person.id)
        .limit(CHOICES_AT_MOST)
    )
    return [(row.id, f"{row.name} ({row.email})") for row in rows]


def holding_choices(company_id: int, now: datetime) -> Sequence[tuple[int, str]]:
    """What a company holds now, by service. One query."""
    rows = db.session.execute(
        select(Holding.id, Service.name, Holding.reference)
        .join(Service, Service.id == Holding.service_id)
        .where(Holding.company_id == company_id, is_valid(Holding, now))
        .order_by(Service.position, Service.name_key, Holding.reference, Holding.id)
        .limit(CHOICES_AT_MOST)
    )
    return [(row.id, f"{row.name} {row.reference}".strip()) for row in rows]


def company_choices(text: str, limit: int = 20) -> Sequence[tuple[int, str]]:
    """Companies that are customers now, by name; those whose name holds the text. One query."""
    wanted = select(Company.id, Company.name).where(Company.archived_at.is_(None))
    if key := text_key(text):
        wanted = wanted.where(Company.name_key.contains(key, autoescape=True))
    rows = db.session.execute(wanted.order_by(Company.name_key, Company.id).limit(limit))
    return [(row.id, row.name) for row in rows]


def saved_views(kind: WorkKind, person_id: int) -> Sequence[SavedView]:
    """The saved filters somebody has: their own, then those others share, by name. One query."""
    return db.session.scalars(
        select(SavedView)
        .where(SavedView.kind == kind, or_(SavedView.person_id == person_id, SavedView.is_shared))
        .order_by(SavedView.person_id != person_id, func.lower(SavedView.name), SavedView.id)
        .limit(CHOICES_AT_MOST)
    ).all()


# How lists are narrowed and ordered


def _stage(filters: Filters) -> list[ColumnElement[bool]]:
    """Where a status is asked for, whether it is finished does not matter."""
    if filters.status_id is not None:
        return [WorkItem.status_id == filters.status_id]
    if filters.stage is Stage.ALL:
        return []
    is_open = WorkItem.finished_at.is_(None)
    return [is_open if filters.stage is Stage.OPEN else ~is_open]


def _with_names(wanted: Select[WorkItem]) -> Select[WorkItem]:
    """The same with the names a line shows: company, status, assignee, and what it is about."""
    return wanted.options(
        joinedload(WorkItem.company),
        joinedload(WorkItem.status),
        joinedload(WorkItem.assignee),
        joinedload(WorkItem.holding).joinedload(Holding.service),
    )


def _conditions(kind: WorkKind, filters: Filters, now: datetime, zone: tzinfo) -> list[ColumnElement[bool]]:
    """What status and stage do not say."""
    found: list[ColumnElement[bool]] = []
    if filters.text:
        found.append(holds(kind, filters.text))
    if filters.assignee_id is not None:
        found.append(
            WorkItem.assignee_id.is_(None)
            if filters.assignee_id == NOBODY
            else WorkItem.assignee_id == filters.assignee_id
        )
    if filters.company_id is not None:
        found.append(WorkItem.company_id == filters.company_id)
    if filters.window is not None:
        found.append(_is_in(filters.window, now, zone))
    if filters.is_waiting:
        waiting = select(Thread.subject_id).where(Thread.subject_kind == kind.value, Thread.waits_since.is_not(None))
        found.append(WorkItem.id.in_(waiting))
    return found


def holds(kind: WorkKind, text: str) -> ColumnElement[bool]:
    """What a text is looked for in: numbers as they are, titles, sites and companies wherever they hold it.

    Whoever types a number whole, such as J-1042, means that item and none that mentions it: that
    takes a query.
    """
    key, typed = text_key(text), one_line(text)
    number = number_of(kind, typed)
    if number is not None:
        # Looked up first, each by its own index: beside other conditions the database may go by none of them.
        called = [
            select(WorkItem.id).where(WorkItem.kind == kind, each)
            for each in (WorkItem.number == number, WorkItem.external_number == typed)
        ]
        return WorkItem.id.in_(db.session.scalars(union_all(*called)).all())
    company = aliased(Company)
    named = select(company.id).where(company.name_key.contains(key, autoescape=True))
    columns: list[ColumnElement[bool]] = [
        WorkItem.title_key.contains(key, autoescape=True),
        WorkItem.company_id.in_(named),
        WorkItem.external_number == typed,
        func.lower(WorkItem.site).contains(key, autoescape=True),
    ]
    number = number_of(kind, f"{PREFIXES[kind]}-{typed}")
    if number is not None:
        columns.append(WorkItem.number == number)
    return or_(*columns)


def _is_in(window: Window, now: datetime, zone: tzinfo) -> ColumnElement[bool]:
    if window is Window.UNPLANNED:
        return WorkItem.starts_at.is_(None)
    if window is Window.OVERDUE:
        over = or_(WorkItem.ends_at < now, and_(WorkItem.ends_at.is_(None), WorkItem.starts_at < now - _WITHOUT_END))
        return and_(WorkItem.finished_at.is_(None), over)
    start, end = day_around(now, zone)
    until = end + timedelta(days=6) if window is Window.WEEK else end
    # What is open is looked through: nearly all there ever was began before today.
    begins = func.coalesce(WorkItem.starts_at, WorkItem.ends_at)
    return and_(begins < until, func.coalesce(WorkItem.ends_at, WorkItem.starts_at) >= start)


_PLANNED: tuple[Any, ...] = (WorkItem.starts_at.asc().nulls_last(), WorkItem.id)


def _order(filters: Filters) -> tuple[Any, ...]:
    """The newest last of all, so that a page is the same twice."""
    keys: dict[Sort, Any] = {
        Sort.NUMBER: WorkItem.number,
        Sort.TITLE: WorkItem.title_key,
        Sort.COMPANY: Company.name_key,
        Sort.STATUS: _position(),
        Sort.WINDOW: WorkItem.starts_at,
        Sort.ASSIGNEE: _assignee_key(),
    }
    key = keys[filters.sort].desc() if filters.is_descending else keys[filters.sort].asc()
    if filters.sort in {Sort.WINDOW, Sort.ASSIGNEE}:
        key = key.nulls_last()
    return (key, WorkItem.id.desc())


def _position() -> Any:
    return select(WorkStatus.position).where(WorkStatus.id == WorkItem.status_id).scalar_subquery()


def _assignee_key() -> Any:
    return select(Person.name_key).where(Person.id == WorkItem.assignee_id).scalar_subquery()


def _waits(kind: WorkKind, items: Collection[WorkItem]) -> Mapping[int, datetime]:
    return waiting_among(kind.value, [item.id for item in items]) if items else {}
