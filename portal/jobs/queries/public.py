"""What customers read of their jobs and quotes: the only way to them from customer screens, mails and exports.

Everything here begins with a company and leaves out what is not in the portal. What comes back are values, never rows:
no work status, assignee, version or move can be reached from them. Order, counts and filters use what is stored of the
public status, so nothing internal shows through them either.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, false, func, or_, select

from portal.accounts.rules import text_key
from portal.catalogue.models import Holding, Service
from portal.extensions import db
from portal.files.subjects import Ref
from portal.jobs.models import WorkItem
from portal.jobs.queries.settings import settings_of
from portal.jobs.queries.views import views_of
from portal.jobs.rules import (
    PublicEvent,
    PublicStatus,
    Role,
    StatusTable,
    Unseen,
    WorkKind,
    number_of,
    public_order,
    resolve,
    written_number,
)
from portal.keyset import Order, Piece, Wanted, piece_of

PER_PAGE = 50

NUMBER_ORDERS = {
    "-number": Order((WorkItem.number,), is_descending=True),
    "number": Order((WorkItem.number,)),
}
"""Orders of a list for machines: by what everybody reads, so that a place in it says nothing more."""

SEARCHED = 100
"""Characters of a search that are looked at."""

WAITING_AT_MOST = 20
"""Items that wait for their customer and are pulled to the top; more of them are found in the list itself."""


@dataclass(frozen=True)
class PublicBadge:
    """A public status as pages show it: nothing of it leads back to a work status."""

    key: str
    name: str
    color: str
    text_color: str


@dataclass(frozen=True)
class PublicLine:
    """One item in a customer's list. `is_waiting` if it waits for them: a quote they may accept or decline."""

    kind: WorkKind
    number: str
    title: str
    site: str
    starts_at: datetime | None
    ends_at: datetime | None
    holding_id: int | None
    badge: PublicBadge
    since: datetime
    is_open: bool
    is_waiting: bool = False


@dataclass(frozen=True)
class PublicChange:
    """One entry of the public timeline."""

    at: datetime
    badge: PublicBadge


@dataclass(frozen=True)
class PublicItem:
    """One item as its customer sees it; the timeline begins with the newest.

    `ref` is what files and messages know it by, and leaves the server in no form.
    """

    ref: Ref
    line: PublicLine
    description: str
    service: str
    booked_by_id: int | None
    changes: Sequence[PublicChange]
    is_requested: bool
    is_sent: bool


@dataclass(frozen=True)
class PublicFilter:
    """A public status to choose by, with how many items of the company have it."""

    badge: PublicBadge
    count: int


@dataclass(frozen=True)
class PublicPage:
    """A page of a company's items. `waiting` are pulled to the top of the first one; `has_any` tells an empty portal
    from a search that found nothing."""

    items: Sequence[PublicLine]
    waiting: Sequence[PublicLine]
    filters: Sequence[PublicFilter]
    page: int
    pages: int
    total: int
    has_any: bool


_COLUMNS = (
    WorkItem.id,
    WorkItem.number,
    WorkItem.title,
    WorkItem.site,
    WorkItem.starts_at,
    WorkItem.ends_at,
    WorkItem.holding_id,
    WorkItem.public_status_id,
    WorkItem.public_since,
)

_NEWEST_FIRST = (WorkItem.public_since.desc(), WorkItem.id.desc())


def public_page(
    kind: WorkKind, company_id: int, today: date, *, key: str = "", text: str = "", page: int = 1
) -> PublicPage | None:
    """A company's jobs or quotes, those that changed last first; None for a page there is not.

    `key` is that of a public status, `text` is looked for in titles and numbers, `today` is the date in the company's
    zone. Five queries at most, whatever the number of items.
    """
    table = settings_of(kind).table
    counts = _counts(kind, company_id)
    if not counts:
        return PublicPage((), (), (), 1, 1, 0, has_any=False) if page == 1 else None
    filters = _filters(table, counts)
    mine = _mine(kind, company_id)
    shown = mine
    if key:
        shown = shown.where(WorkItem.public_status_id.in_(_ids_of(table, counts, key)))
    if text:
        shown = shown.where(_matches(kind, text))
    first = not key and not text
    waiting = _waiting(kind, table, mine, today)
    marked = {row.id for row in waiting}
    if first and waiting:
        shown = shown.where(WorkItem.id.not_in(marked))
    total = sum(counts.values()) - len(waiting) if first else _count(shown)
    pages = max(1, -(-total // PER_PAGE))
    if not 1 <= page <= pages:
        return None
    rows = db.session.execute(shown.order_by(*_NEWEST_FIRST).limit(PER_PAGE).offset((page - 1) * PER_PAGE)).all()
    return PublicPage(
        items=[_line(kind, table, row, is_waiting=row.id in marked) for row in rows],
        waiting=[_line(kind, table, row, is_waiting=True) for row in waiting] if first and page == 1 else (),
        filters=filters,
        page=page,
        pages=pages,
        total=total,
        has_any=bool(counts),
    )


def public_lines(kind: WorkKind, company_id: int, today: date, limit: int) -> tuple[Sequence[PublicLine], int]:
    """The few items a home shows, those that wait for the customer first, and how many there are. Four queries."""
    found = public_page(kind, company_id, today)
    if found is None:
        return (), 0
    lines = [*found.waiting, *(line for line in found.items if line.is_open)]
    return lines[:limit], found.total + len(found.waiting)


def public_piece(
    kind: WorkKind,
    company_id: int,
    today: date,
    wanted: Wanted,
    *,
    key: str | None = None,
    text: str | None = None,
    is_open: bool | None = None,
) -> Piece[PublicLine]:
    """A company's jobs or quotes for a machine, narrowed by what is not None, as in `public_page`. Two queries."""
    table = settings_of(kind).table
    statement = select(WorkItem).where(*_is_mine(kind, company_id))
    if key is not None:
        statement = statement.where(WorkItem.public_status_id.in_(ids_with_key(table, key)))
    if text is not None:
        statement = statement.where(_matches(kind, text))
    if is_open is not None:
        over = [row.id for row in table.rows if _is_over(table, row.id)]
        statement = statement.where(
            WorkItem.public_status_id.not_in(over) if is_open else WorkItem.public_status_id.in_(over)
        )
    found = piece_of(statement, wanted)
    sent = _answerable(table) if kind is WorkKind.QUOTE else frozenset()
    lines = [
        _line(
            kind,
            table,
            item,
            is_waiting=item.status_id in sent and (item.valid_until is None or item.valid_until >= today),
        )
        for item in found.items
    ]
    return Piece(lines, found.next)


def ids_with_key(table: StatusTable, key: str) -> list[int]:
    """The work statuses that customers see as the public status of this key."""
    seen = ((row.id, resolve(table, row.id)) for row in table.rows)
    return [status_id for status_id, found in seen if isinstance(found, PublicStatus) and found.key == key]


def public_item(kind: WorkKind, company_id: int, number: str, today: date) -> PublicItem | None:
    """The item of this number as the company sees it; None for what is missing, foreign or not in the portal.

    At most five queries.
    """
    wanted = number_of(kind, number)
    if wanted is None:
        return None
    row = db.session.execute(
        _mine(kind, company_id)
        .add_columns(
            WorkItem.description,
            WorkItem.booked_by_id,
            WorkItem.valid_until,
            WorkItem.status_id,
            Service.name.label("service"),
            Holding.reference,
        )
        .outerjoin(Holding, and_(Holding.id == WorkItem.holding_id, Holding.company_id == company_id))
        .outerjoin(Service, Service.id == Holding.service_id)
        .where(WorkItem.number == wanted)
    ).one_or_none()
    if row is None:
        return None
    table = settings_of(kind).table
    view = views_of(kind, [row.id], table).get(row.id)
    events = view.events if view else ()
    is_sent = kind is WorkKind.QUOTE and row.status_id in _answerable(table)
    is_waiting = is_sent and (row.valid_until is None or row.valid_until >= today)
    return PublicItem(
        ref=Ref(kind.value, row.id),
        line=_line(kind, table, row, is_waiting=is_waiting),
        description=row.description,
        service=" ".join(filter(None, (row.service, f"({row.reference})" if row.reference else ""))),
        booked_by_id=row.booked_by_id,
        changes=[_change(event) for event in reversed(events)],
        is_requested=is_shown_as(table, row.public_status_id, Role.REQUESTED),
        is_sent=is_sent,
    )


def badge_of(status: PublicStatus) -> PublicBadge:
    """A public status without what leads back to a work status."""
    return PublicBadge(status.key, status.name, status.color, status.text_color)


def shown_status(table: StatusTable, public_status_id: int) -> PublicStatus:
    """The public status that a stored one stands for."""
    found = resolve(table, public_status_id)
    if isinstance(found, Unseen):
        raise LookupError(f"the stored public status {public_status_id} is one that customers do not see")
    return found


def is_shown_as(table: StatusTable, public_status_id: int | None, role: Role) -> bool:
    """Whether customers read of an item what they read of the system status with this role.

    What they may do follows what they see, never a move they do not: so a button that goes tells them nothing.
    """
    if public_status_id is None:
        return False
    wanted = resolve(table, table.with_role(role).id)
    return isinstance(wanted, PublicStatus) and wanted.key == shown_status(table, public_status_id).key


def _mine(kind: WorkKind, company_id: int) -> Select[*tuple[object, ...]]:
    """The items of a company that are in the portal."""
    return select(*_COLUMNS).where(*_is_mine(kind, company_id))


def _is_mine(kind: WorkKind, company_id: int) -> tuple[ColumnElement[bool], ...]:
    return WorkItem.company_id == company_id, WorkItem.kind == kind, WorkItem.public_status_id.is_not(None)


def _counts(kind: WorkKind, company_id: int) -> Mapping[int, int]:
    found = db.session.execute(
        select(WorkItem.public_status_id, func.count())
        .where(WorkItem.company_id == company_id, WorkItem.kind == kind, WorkItem.public_status_id.is_not(None))
        .group_by(WorkItem.public_status_id)
    )
    return {status_id: count for status_id, count in found if status_id is not None}


def _filters(table: StatusTable, counts: Mapping[int, int]) -> list[PublicFilter]:
    """The public statuses the company's items have, each once and in the order of the settings."""
    by_key: dict[str, tuple[PublicStatus, int]] = {}
    for status_id, count in counts.items():
        status = shown_status(table, status_id)
        by_key[status.key] = (status, by_key.get(status.key, (status, 0))[1] + count)
    places = {status.key: status.place for status in public_order(table)}
    ordered = sorted(by_key.values(), key=lambda found: places.get(found[0].key, len(places)))
    return [PublicFilter(badge_of(status), count) for status, count in ordered]


def _ids_of(table: StatusTable, counts: Collection[int], key: str) -> list[int]:
    return [status_id for status_id in counts if shown_status(table, status_id).key == key]


def _matches(kind: WorkKind, text: str) -> ColumnElement[bool]:
    wanted = text_key(text[:SEARCHED])
    number = number_of(kind, text)
    inside = WorkItem.title_key.contains(wanted, autoescape=True) if wanted else false()
    return or_(inside, WorkItem.number == number) if number is not None else inside


def _answerable(table: StatusTable) -> frozenset[int]:
    """The status in which a quote can be accepted, as long as customers see it."""
    sent = table.with_role(Role.SENT)
    return frozenset() if isinstance(resolve(table, sent.id), Unseen) else frozenset({sent.id})


def _waiting(
    kind: WorkKind, table: StatusTable, mine: Select[*tuple[object, ...]], today: date
) -> Sequence[Row[*tuple[object, ...]]]:
    """Quotes that can be accepted or declined today."""
    if kind is not WorkKind.QUOTE:
        return []
    is_valid = or_(WorkItem.valid_until.is_(None), WorkItem.valid_until >= today)
    wanted = mine.where(WorkItem.status_id.in_(_answerable(table)), WorkItem.finished_at.is_(None), is_valid)
    return db.session.execute(wanted.order_by(*_NEWEST_FIRST).limit(WAITING_AT_MOST)).all()


def _count(wanted: Select[*tuple[object, ...]]) -> int:
    return db.session.scalar(select(func.count()).select_from(wanted.order_by(None).subquery())) or 0


def _is_over(table: StatusTable, public_status_id: int) -> bool:
    """Whether a public status reads as the end of the work."""
    status = resolve(table, public_status_id)
    return isinstance(status, PublicStatus) and status.id in table.by_id and table.by_id[status.id].category.is_terminal


def _line(kind: WorkKind, table: StatusTable, row: Any, *, is_waiting: bool = False) -> PublicLine:
    """What a list says of an item that is in the portal: of its row, or of `_COLUMNS` of it."""
    status = shown_status(table, row.public_status_id)
    return PublicLine(
        kind=kind,
        number=written_number(kind, row.number),
        title=row.title,
        site=row.site,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        holding_id=row.holding_id,
        badge=badge_of(status),
        since=row.public_since,
        is_open=not _is_over(table, row.public_status_id),
        is_waiting=is_waiting,
    )


def _change(event: PublicEvent) -> PublicChange:
    return PublicChange(event.at, badge_of(event.status))
