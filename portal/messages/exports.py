"""What goes out of the messages: what was written to and fro, without the notes of staff."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import select

from portal.messages.models import Message, Thread
from portal.records.parts import Part, Told, in_pieces, register
from portal.records.rules.exports import ExportKind

COLUMNS = {"about": "About", "number": "Id", "from": "From", "side": "Side", "sent_at": "Sent", "text": "Text"}


def _told(whose: Any) -> Iterator[Told]:
    statement = (
        select(
            Thread.subject_kind.label("about"),
            Thread.subject_id.label("number"),
            Message.author_name.label("from"),
            Message.is_staff,
            Message.sent_at,
            Message.body.label("text"),
        )
        .join(Thread, Thread.id == Message.thread_id)
        .where(whose, Message.is_internal.is_(False))
    )
    for row in in_pieces(statement, Message.id):
        yield {**row._mapping, "side": "staff" if row.is_staff else "customer"}


def _of_company(company_id: int | None, now: datetime) -> Iterator[Told]:
    yield from _told(Thread.company_id == company_id)


def _of_person(person_id: int | None, now: datetime) -> Iterator[Told]:
    yield from _told(Message.person_id == person_id)


register(Part(ExportKind.COMPANY, "messages", "messages to and from your staff", COLUMNS, _of_company, 40))
register(Part(ExportKind.PERSON, "messages", "messages they wrote", COLUMNS, _of_person, 40))
