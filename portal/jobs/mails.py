"""Who is mailed about jobs and quotes: the kinds "job" and "quote", the receipt of an answer, and what staff hear."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from flask_babel import lazy_gettext
from sqlalchemy import select

from portal.domains.queries import companies_with_area_open
from portal.domains.rules import Area
from portal.extensions import db
from portal.jobs import letters
from portal.jobs.models import WorkItem, WorkNotice
from portal.jobs.queries.settings import settings_of
from portal.jobs.rules import PublicStatus, StatusTable, Unseen, WorkKind, resolve
from portal.jobs.subjects import AREAS
from portal.messages import telling
from portal.messages.telling import Written
from portal.notifications.kinds import ACCOUNT_TOPIC, Cursor, Kind, Recipient, everyone_allowed, register

AT_ONCE = 200
"""Changes mailed in one transaction."""

LABELS = {WorkKind.JOB: lazy_gettext("Your jobs"), WorkKind.QUOTE: lazy_gettext("Your quotes")}


def recipients(
    selector: dict[str, Any], after: Cursor | None, limit: int, now: datetime
) -> tuple[Sequence[Recipient], Cursor | None]:
    """The people who were named when the mail was written down; they are few."""
    company_id = selector["company_id"]
    return [
        Recipient(
            person_id=person["id"],
            company_ids=() if company_id is None else (company_id,),
            address=person["address"],
            name=person["name"],
            language=person["language"],
            values=person["values"],
        )
        for person in selector["people"]
    ], None


def notices_due(now: datetime) -> bool:
    """Whether a change of a public status waits to be mailed. One query."""
    return db.session.scalar(select(WorkNotice.item_id).where(WorkNotice.due_at <= now).limit(1)) is not None


def mail_notices(now: datetime) -> bool:
    """Mail the changes of public statuses that are due, all of one person's in one mail; whether there may be more.

    An item that is back where it was, that is not in the portal, or whose status is not mailed is told of to nobody.
    Two processes at once take different ones.
    """
    notices = db.session.scalars(
        select(WorkNotice)
        .where(WorkNotice.due_at <= now)
        .order_by(WorkNotice.due_at, WorkNotice.item_id)
        .limit(AT_ONCE)
        .with_for_update(skip_locked=True)
    ).all()
    before = {notice.item_id: notice.from_public_status_id for notice in notices}
    items = db.session.scalars(select(WorkItem).where(WorkItem.id.in_(before)).order_by(WorkItem.id)).all()
    for kind in WorkKind:
        table = settings_of(kind).table
        told = [
            (item, status)
            for item in items
            if item.kind is kind and (status := _to_tell(table, before[item.id], item.public_status_id))
        ]
        _mail_each(kind, told, now)
    for notice in notices:
        db.session.delete(notice)
    db.session.flush()
    return len(notices) == AT_ONCE


def _to_tell(table: StatusTable, before: int | None, present: int | None) -> PublicStatus | None:
    """The public status to tell of; None where there is nothing to tell."""
    status = None if present is None else resolve(table, present)
    if status is None or isinstance(status, Unseen) or not table.by_id[status.id].is_mailed:
        return None
    was = None if before is None else resolve(table, before)
    return None if isinstance(was, PublicStatus) and was.key == status.key else status


def _mail_each(kind: WorkKind, told: Sequence[tuple[WorkItem, PublicStatus]], now: datetime) -> None:
    readers = letters.readers_of([item for item, _status in told]) if told else {}
    people: dict[tuple[int, int], tuple[letters.Reader, list[tuple[WorkItem, str]]]] = {}
    for item, status in told:
        for reader in readers[item.id]:
            _reader, theirs = people.setdefault((reader.id, item.company_id), (reader, []))
            theirs.append((item, status.name))
    for reader, theirs in people.values():
        letters.mail_statuses(kind, reader, theirs, now)


def hear(written: Written) -> None:
    """Staff's message goes to the item's customer, a customer's to whoever of staff is assigned."""
    item = db.session.get_one(WorkItem, written.ref.id)
    if not written.is_staff:
        letters.tell_office(
            item,
            "has a new message",
            written.body,
            key=f"message:{written.message_id}",
            now=written.sent_at,
            only_assignee=True,
        )
    elif item.public_status_id is not None and companies_with_area_open(Area.MESSAGES, [item.company_id]):
        letters.mail_message(
            item,
            author=written.author_name,
            body=written.body,
            files=written.files,
            key=str(written.message_id),
            now=written.sent_at,
        )


def _allowed(area: Area, company_ids: Collection[int]) -> frozenset[int]:
    return companies_with_area_open(area, company_ids)


_OF_CUSTOMERS = frozenset(
    {"number", "title", "status", "window", "items", "count", "author", "message", "files"},
)

for _kind in WorkKind:
    register(
        Kind(
            name=_kind.value,
            topic=f"{_kind.value}s",
            label=LABELS[_kind],
            recipients=recipients,
            allowed=partial(_allowed, AREAS[_kind]),
            variables=_OF_CUSTOMERS,
            expires_after=timedelta(hours=48),
            priority=30,
        )
    )
    telling.register(_kind.value, hear)

RECEIPT = register(
    Kind(
        name=letters.RECEIPT,
        # Proof of what somebody signed is no list to leave.
        topic=ACCOUNT_TOPIC,
        label=lazy_gettext("Receipts"),
        recipients=recipients,
        allowed=everyone_allowed,
        variables=frozenset({"number", "title", "total", "signed", "when", "hash", "reason"}),
        priority=20,
    )
)

OFFICE = register(
    Kind(
        name=letters.OFFICE,
        topic="work",
        label="What customers do about jobs and quotes",
        recipients=recipients,
        variables=frozenset({"number", "title", "company", "words", "text"}),
        priority=20,
        is_for_staff=True,
    )
)
