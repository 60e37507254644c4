"""Channels in exports, and what becomes of them when their company or person is forgotten."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, update

from portal import sealing
from portal.extensions import db
from portal.notifications.channels import dialled, lane
from portal.notifications.channels.rules import ChannelKind
from portal.notifications.channels.sealed import ADDRESS, fingerprint
from portal.notifications.models import RAW, ContactChannel, Delivery
from portal.records import erasure
from portal.records.parts import Part, Told, in_pieces, register
from portal.records.rules.exports import ExportKind

FORGOTTEN = "forgotten"
"""What stands in the ledger where the mask of an address stood."""


def _owned(kind: ExportKind, subject_id: int | None) -> Any:
    owner = ContactChannel.company_id if kind is ExportKind.COMPANY else ContactChannel.person_id
    return owner == subject_id


def _rows(kind: ExportKind, subject_id: int | None) -> Iterator[Told]:
    """A telephone number in full, because it is the person's own; of an address that is a key only its mask."""
    statement = select(
        ContactChannel.label,
        ContactChannel.kind,
        ContactChannel.address,
        ContactChannel.hint,
        ContactChannel.topics,
        ContactChannel.state,
        ContactChannel.created_at,
    ).where(_owned(kind, subject_id))
    for row in in_pieces(statement, ContactChannel.id):
        yield {
            "name": row.label,
            "kind": row.kind,
            "address": _shown(row.kind, row.address, row.hint),
            "topics": ", ".join(row.topics),
            "state": row.state,
            "since": row.created_at,
        }


def _shown(kind: ChannelKind, sealed: str, hint: str) -> str:
    if kind is not ChannelKind.SMS:
        return hint
    try:
        return sealing.unseal(sealed, ADDRESS)
    except sealing.Unreadable:
        return hint


_COLUMNS = {
    "name": "Name",
    "kind": "Kind",
    "address": "Address",
    "topics": "Topics",
    "state": "State",
    "since": "Since",
}


def _count(kind: ExportKind, subject_id: int) -> int:
    return db.session.scalar(select(func.count()).select_from(ContactChannel).where(_owned(kind, subject_id))) or 0


def _forget(kind: ExportKind, subject_id: int, now: datetime) -> int:
    """Take the channels away, call off what waits for them, and leave no mask of them in the ledger."""
    return _take_away(db.session.scalars(select(ContactChannel.id).where(_owned(kind, subject_id))).all(), now)


def forget_numbers(numbers: Collection[str], now: datetime) -> int:
    """The same for numbers that something named itself, in E.164."""
    marks = [fingerprint(ChannelKind.SMS, each) for each in numbers]
    return _take_away([each.id for each in dialled.rows_of(marks)] if marks else (), now)


def _take_away(ids: Sequence[int], now: datetime) -> int:
    for channel_id in ids:
        lane.close_of_removed(channel_id, now)
    db.session.execute(
        update(Delivery)
        .where(Delivery.contact_channel_id.in_(ids))
        .values(address=FORGOTTEN, name="", values={}, answer=None),
        execution_options=RAW,
    )
    db.session.execute(delete(ContactChannel).where(ContactChannel.id.in_(ids)), execution_options=RAW)
    return len(ids)


def _of(kind: ExportKind, order: int) -> None:
    register(
        Part(kind, "channels", "where it is told beside mail", _COLUMNS, lambda subject, _now: _rows(kind, subject), 33)
    )
    erasure.register(
        erasure.Eraser(
            kind,
            "channels",
            "channels beside mail, with their addresses",
            lambda subject: _count(kind, subject),
            lambda subject, now: _forget(kind, subject, now),
            order,
        )
    )


_of(ExportKind.COMPANY, 3)
_of(ExportKind.PERSON, 5)
