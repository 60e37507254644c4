"""Making items and moving them from one work status to another; with each move, what its customer sees follows."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import select, update

from portal import events
from portal.accounts.rules import one_line, paragraphs
from portal.audit import actions as audit
from portal.audit.rules import Actor, Noted
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.jobs import queries
from portal.jobs.actions.notices import NOTICE_AFTER, note_changes
from portal.jobs.actions.offers import freeze
from portal.jobs.models import QuoteLine, WorkItem, WorkMove, WorkNumber, WorkTable
from portal.jobs.queries import Settings
from portal.jobs.rules import (
    PublicStatus,
    PublicView,
    Role,
    StatusRow,
    StatusTable,
    WorkKind,
    resolve,
    written_number,
)
from portal.jobs.rules.amounts import LineGiven

AT_ONCE = 1000
"""Items moved in one step."""

TITLE_LENGTH, SITE_LENGTH, REASON_LENGTH, TEXT_LENGTH = 200, 300, 500, 20_000

__all__ = [
    "NOTICE_AFTER",
    "Moved",
    "Outcome",
    "create_item",
    "empty_status",
    "hold_numbers",
    "lock_settings",
    "made_before",
    "move",
    "move_many",
]


class Outcome(StrEnum):
    """What became of one of many items that were to be moved."""

    MOVED = "moved"
    UNCHANGED = "unchanged"
    STALE = "stale"
    MISSING = "missing"
    REFUSED = "refused"


@dataclass(frozen=True)
class Moved:
    """What became of an item: its number as it is read, and a sentence where it was not moved.

    `is_seen` tells whether its customer sees something else now.
    """

    item_id: int
    number: str
    outcome: Outcome
    sentence: str = ""
    is_seen: bool = False


def lock_settings(kind: WorkKind) -> Settings:
    """The settings as they stay until this transaction ends: nobody saves others meanwhile."""
    db.session.execute(select(WorkTable.version).where(WorkTable.kind == kind).with_for_update(read=True))
    return queries.settings_of(kind)


def hold_numbers(kind: WorkKind) -> Settings:
    """The settings, as `lock_settings`; and nobody else makes an item of this kind until this transaction ends. So what
    was looked for after it and is not there can be made."""
    settings = lock_settings(kind)
    db.session.execute(select(WorkNumber.last).where(WorkNumber.kind == kind).with_for_update())
    return settings


def create_item(
    kind: WorkKind,
    title: str,
    *,
    company_id: int,
    by: Actor,
    now: datetime,
    status_id: int | None = None,
    contact_id: int | None = None,
    site: str = "",
    holding_id: int | None = None,
    description: str = "",
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
    assignee_id: int | None = None,
    booked_by_id: int | None = None,
    external_number: str | None = None,
    valid_until: date | None = None,
    terms: str = "",
    currency: str = "GBP",
    lines: Sequence[LineGiven] = (),
    idempotency_key: str | None = None,
    tell: bool = True,
) -> WorkItem:
    """Make a job or a quote. Without `status_id` it lands where what customers book does: in the role Requested.

    With an `idempotency_key` that was used before, the item it made then is the answer. With `tell` its customer is
    mailed if the status is one that is mailed; whoever booked it has a receipt and needs none.
    """
    settings = hold_numbers(kind) if idempotency_key else lock_settings(kind)
    if idempotency_key and (there := made_before(idempotency_key)):
        return there
    status = _usable(settings.table, status_id) if status_id else settings.table.with_role(Role.REQUESTED)
    item = WorkItem(
        kind=kind,
        number=_next_number(kind),
        external_number=one_line(external_number or "") or None,
        company_id=company_id,
        contact_id=contact_id,
        site=_line(site, SITE_LENGTH, "site"),
        holding_id=holding_id,
        title=_line(title, TITLE_LENGTH, "title", needed="Give it a title."),
        description=_text(description, "description"),
        starts_at=starts_at,
        ends_at=ends_at,
        assignee_id=assignee_id,
        status_id=status.id,
        status_since=now,
        booked_by_id=booked_by_id,
        valid_until=valid_until,
        terms=_text(terms, "terms"),
        currency=currency,
        idempotency_key=idempotency_key,
        created_at=now,
        created_by_id=by.person_id,
        finished_at=now if status.category.is_terminal else None,
    )
    if starts_at and ends_at and ends_at < starts_at:
        raise RuleViolation("The end of the window lies before its beginning.", "ends_at")
    db.session.add(item)
    db.session.flush()
    db.session.add_all(QuoteLine(item_id=item.id, position=place, **asdict(line)) for place, line in enumerate(lines))
    _write_moves([item], None, status, settings, by=by, now=now, reason="")
    _freeze([item], status, by=by, now=now)
    _settle([item], settings, now=now, tell=tell)
    events.ring(events.STAFF)
    audit.record(
        f"{kind.value}.add",
        object_kind=kind.value,
        object_id=item.id,
        by=by,
        now=now,
        company_id=company_id,
        after={"number": written_number(kind, item.number), "title": item.title, "status": status.name},
    )
    return item


def move(
    item: WorkItem,
    status_id: int,
    *,
    by: Actor,
    now: datetime,
    reason: str = "",
    version: int | None = None,
    tell: bool = True,
) -> Moved:
    """Move an item to another work status. StaleEdit when it was changed since `version`; RuleViolation when the
    status takes nothing any more, or finished work is taken up again without a reason."""
    settings = lock_settings(item.kind)
    if version is not None and item.version != version:
        raise StaleEdit
    status = _usable(settings.table, status_id)
    reason = _line(reason, REASON_LENGTH, "reason")
    if sentence := _refusal(settings.table, item, status, reason):
        raise RuleViolation(sentence, "reason")
    moved = _move([item], status, settings, by=by, now=now, reason=reason, tell=tell)
    return moved[item.id]


def move_many(
    kind: WorkKind,
    versions: Mapping[int, int],
    status_id: int,
    *,
    by: Actor,
    now: datetime,
    reason: str = "",
    tell: bool = True,
) -> list[Moved]:
    """Move many items, given by id with the version each had when it was chosen; what became of each, in that order.

    Those that cannot be moved do not hold back the others.
    """
    settings = lock_settings(kind)
    status = _usable(settings.table, status_id)
    reason = _line(reason, REASON_LENGTH, "reason")
    found = {
        item.id: item
        for item in db.session.scalars(
            select(WorkItem)
            .where(WorkItem.kind == kind, WorkItem.id.in_(versions))
            .order_by(WorkItem.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    }
    results: dict[int, Moved] = {}
    movable: list[WorkItem] = []
    for item_id, version in versions.items():
        item = found.get(item_id)
        if item is None:
            results[item_id] = Moved(item_id, "", Outcome.MISSING, "It is not there any more.")
        elif item.version != version:
            number = written_number(kind, item.number)
            results[item_id] = Moved(item_id, number, Outcome.STALE, "Somebody else changed it in the meantime.")
        elif sentence := _refusal(settings.table, item, status, reason):
            results[item_id] = Moved(item_id, written_number(kind, item.number), Outcome.REFUSED, sentence)
        else:
            movable.append(item)
    results |= _move(movable, status, settings, by=by, now=now, reason=reason, tell=tell)
    return [results[item_id] for item_id in versions]


def empty_status(
    kind: WorkKind, status_id: int, target_id: int, settings: Settings, *, by: Actor, now: datetime, tell: bool
) -> int:
    """Move every item of a status that goes to another one; returns how many open ones look different then."""
    target, seen = settings.table.by_id[target_id], 0
    name = settings.table.by_id[status_id].name
    while True:
        items = db.session.scalars(
            select(WorkItem).where(WorkItem.kind == kind, WorkItem.status_id == status_id).limit(AT_ONCE)
        ).all()
        if not items:
            return seen
        moved = _move(items, target, settings, by=by, now=now, reason=f"“{name}” was deleted.", tell=tell)
        seen += sum(each.is_seen for each in moved.values())
        db.session.flush()


def _move(
    items: Sequence[WorkItem],
    status: StatusRow,
    settings: Settings,
    *,
    by: Actor,
    now: datetime,
    reason: str,
    tell: bool,
) -> dict[int, Moved]:
    """Move these items, which may all be moved, and let what customers see follow."""
    moving = [item for item in items if item.status_id != status.id]
    before = {item.id: item.status_id for item in moving}
    for item in moving:
        item.status_id, item.status_since = status.id, now
        if status.category.is_terminal:
            item.finished_at = item.finished_at or now
        else:
            item.finished_at = None
    _write_moves(moving, before, status, settings, by=by, now=now, reason=reason)
    _freeze(moving, status, by=by, now=now)
    seen = _settle(moving, settings, now=now, tell=tell)
    if moving:
        events.ring(events.STAFF)
        kind = moving[0].kind.value
        audit.record_many(
            f"{kind}.move",
            [
                Noted(
                    item.id,
                    item.company_id,
                    before={"status": settings.table.by_id[before[item.id]].name},
                    after={"number": written_number(item.kind, item.number), "status": status.name, "reason": reason},
                )
                for item in moving
            ],
            object_kind=kind,
            by=by,
            now=now,
        )
    return {
        item.id: Moved(
            item.id,
            written_number(item.kind, item.number),
            Outcome.MOVED if item.id in before else Outcome.UNCHANGED,
            is_seen=item.id in seen,
        )
        for item in items
    }


def _write_moves(
    items: Sequence[WorkItem],
    before: Mapping[int, int] | None,
    status: StatusRow,
    settings: Settings,
    *,
    by: Actor,
    now: datetime,
    reason: str,
) -> None:
    told = resolve(settings.table, status.id)
    for item in items:
        db.session.add(
            WorkMove(
                item_id=item.id,
                from_status_id=before[item.id] if before else None,
                status_id=status.id,
                at=now,
                revision=settings.version,
                by_id=by.person_id,
                by_name=by.label[:254],
                reason=reason,
                told_status_id=told.id if isinstance(told, PublicStatus) else None,
                told_name=told.name if isinstance(told, PublicStatus) else None,
            )
        )
    db.session.flush()


def _freeze(items: Sequence[WorkItem], status: StatusRow, *, by: Actor, now: datetime) -> None:
    """Keep what quotes offer when they are sent: signatures are bound to it."""
    if status.role is Role.SENT:
        freeze(items, by_id=by.person_id, now=now)


def _settle(items: Sequence[WorkItem], settings: Settings, *, now: datetime, tell: bool) -> set[int]:
    """Store what customers see of these items from now on; rings and notes where it has changed. Returns whose has."""
    if not items:
        return set()
    views = queries.views_of(items[0].kind, [item.id for item in items], settings.table)
    changed: dict[int, int | None] = {}
    seen: set[int] = set()
    for item in items:
        view = views.get(item.id, PublicView())
        shown = (view.status.id if view.status else None, view.since)
        if shown == (item.public_status_id, item.public_since):
            continue
        if shown[0] != item.public_status_id:
            seen.add(item.id)
            if view.status:
                changed[item.id] = item.public_status_id
        item.public_status_id, item.public_since = shown
        item.public_revision = (item.public_revision or 0) + 1
        number = written_number(item.kind, item.number)
        events.ring(events.company_topic(item.company_id), events.item_topic(item.kind.value, number))
    db.session.flush()
    if tell:
        note_changes(changed, now)
    return seen


def _refusal(table: StatusTable, item: WorkItem, status: StatusRow, reason: str) -> str:
    """Why this item cannot be moved to this status, or nothing."""
    present = table.by_id[item.status_id]
    if present.category.is_terminal and not status.category.is_terminal and not reason:
        return f"It is finished (“{present.name}”). Say why it is taken up again."
    return ""


def _usable(table: StatusTable, status_id: int) -> StatusRow:
    """The status, if anything may still be moved there."""
    status = table.by_id.get(status_id)
    if status is None or status.is_archived:
        raise RuleViolation("Choose a status that is in use.", "status")
    return status


def made_before(idempotency_key: str) -> WorkItem | None:
    """The item that was made with this key. One query."""
    return db.session.scalars(select(WorkItem).where(WorkItem.idempotency_key == idempotency_key)).one_or_none()


def _next_number(kind: WorkKind) -> int:
    """The next number of this kind; whoever else makes one waits until this transaction ends."""
    raised = db.session.scalar(
        update(WorkNumber)
        .where(WorkNumber.kind == kind)
        .values(last=WorkNumber.last + 1)
        .returning(WorkNumber.last)
        .execution_options(synchronize_session=False)
    )
    if raised is None:
        raise RuntimeError(f"the table of numbers knows no {kind.value}")
    return raised


def _line(text: str, longest: int, field: str, needed: str = "") -> str:
    line = one_line(text)
    if needed and not line:
        raise RuleViolation(needed, field)
    if len(line) > longest:
        raise RuleViolation(f"At most {longest} characters, please.", field)
    return line


def _text(text: str, field: str) -> str:
    clean = paragraphs(text)
    if len(clean) > TEXT_LENGTH:
        raise RuleViolation(f"At most {TEXT_LENGTH:,} characters, please.", field)
    return clean
