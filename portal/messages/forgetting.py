"""What the messages forget: what is old, the names of people who are to be forgotten, all of a company that goes."""

from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, delete, func, select, update

from portal.accounts.actions.anonymise import NAME
from portal.extensions import db
from portal.files import actions as files
from portal.messages.models import Message, Thread
from portal.records import erasure, retention
from portal.records.retention import Keeping, rows_older
from portal.records.rules.exports import ExportKind

RAW: Any = {"synchronize_session": False}

_old = rows_older(lambda before: Message.sent_at < before, Message.id)


def _forget(before: datetime, limit: int) -> int:
    """Take some messages away with the files that came with them."""
    ids = list(db.session.scalars(select(Message.id).where(Message.sent_at < before).order_by(Message.id).limit(limit)))
    if not ids:
        return 0
    files.bin_of_messages(ids, before)
    gone = db.session.execute(delete(Message).where(Message.id.in_(ids)), execution_options=RAW)
    return cast(CursorResult[Any], gone).rowcount


retention.register(
    Keeping(
        "messages",
        "Messages",
        "What customers and staff wrote to each other, notes of staff too, with the files that came with it, from when "
        "it was written.",
        2555,
        90,
        count=_old["count"],
        forget=_forget,
        place=25,
    )
)


def _count_of_person(person_id: int) -> int:
    return db.session.scalar(select(func.count()).select_from(Message).where(Message.person_id == person_id)) or 0


def _unname(person_id: int, now: datetime) -> int:
    done = db.session.execute(
        update(Message).where(Message.person_id == person_id).values(author_name=NAME), execution_options=RAW
    )
    return cast(CursorResult[Any], done).rowcount


def _count_of_company(company_id: int) -> int:
    theirs = select(Thread.id).where(Thread.company_id == company_id)
    return db.session.scalar(select(func.count()).select_from(Message).where(Message.thread_id.in_(theirs))) or 0


def _erase_of_company(company_id: int, now: datetime) -> int:
    """Its threads go, and their messages with them, by the database; the files of all of it are thrown away apart."""
    count = _count_of_company(company_id)
    db.session.execute(delete(Thread).where(Thread.company_id == company_id), execution_options=RAW)
    return count


erasure.register(
    erasure.Eraser(
        ExportKind.PERSON,
        "messages",
        "messages they wrote stay with the company, without their name",
        _count_of_person,
        _unname,
        15,
    )
)
erasure.register(
    erasure.Eraser(ExportKind.COMPANY, "messages", "messages to and from it", _count_of_company, _erase_of_company, 15)
)
