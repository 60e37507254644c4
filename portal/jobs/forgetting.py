"""What jobs and quotes forget: what was finished long ago, people who are to be forgotten, all of a company that goes.

An answer to a quote is the proof of what was agreed: its name and signature stay with it until the quote itself is
forgotten. Where it came from, an address and a browser, goes with the person.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, delete, func, or_, select, update

from portal.accounts.actions.anonymise import NAME
from portal.extensions import db
from portal.jobs.models import QuoteAnswer, SavedView, WorkItem, WorkMove
from portal.jobs.rules import WorkKind
from portal.messages.actions import delete_of_subjects
from portal.records import erasure, retention
from portal.records.retention import Keeping, rows_older
from portal.records.rules.exports import ExportKind

RAW: Any = {"synchronize_session": False}

PIECE = 500
"""Items deleted by one statement."""

_old = rows_older(lambda before: WorkItem.finished_at < before, WorkItem.id)


def _delete(kind: WorkKind, ids: Sequence[int], now: datetime) -> int:
    """Delete items with all that hangs on them: moves, lines, offers and answers go by the database."""
    delete_of_subjects(kind.value, ids, now)
    gone = db.session.execute(delete(WorkItem).where(WorkItem.id.in_(ids)), execution_options=RAW)
    return cast(CursorResult[Any], gone).rowcount


def _forget(before: datetime, limit: int) -> int:
    for kind in WorkKind:
        ids = db.session.scalars(
            select(WorkItem.id)
            .where(WorkItem.kind == kind, WorkItem.finished_at < before)
            .order_by(WorkItem.id)
            .limit(min(limit, PIECE))
        ).all()
        if ids:
            return _delete(kind, ids, before)
    return 0


retention.register(
    Keeping(
        "work",
        "Jobs and quotes",
        "Jobs and quotes with their timeline, messages, files, offers and answers, from when they were finished.",
        2555,
        365,
        count=_old["count"],
        forget=_forget,
        place=24,
    )
)


def _touched_by(person_id: int) -> Any:
    return or_(WorkItem.contact_id == person_id, WorkItem.booked_by_id == person_id)


def _count_of_person(person_id: int) -> int:
    return db.session.scalar(select(func.count()).select_from(WorkItem).where(_touched_by(person_id))) or 0


def _unname(person_id: int, now: datetime) -> int:
    """Their name goes from the timelines, their lists with them; what they signed stays, without where from."""
    count = _count_of_person(person_id)
    named = update(WorkMove).where(WorkMove.by_id == person_id).values(by_name=NAME)
    where_from = update(QuoteAnswer).where(QuoteAnswer.person_id == person_id).values(address="", agent="")
    for statement in (named, where_from, delete(SavedView).where(SavedView.person_id == person_id)):
        db.session.execute(statement, execution_options=RAW)
    return count


def _count_of_company(company_id: int) -> int:
    return db.session.scalar(select(func.count()).select_from(WorkItem).where(WorkItem.company_id == company_id)) or 0


def _erase_of_company(company_id: int, now: datetime) -> int:
    erased = 0
    for kind in WorkKind:
        theirs = select(WorkItem.id).where(WorkItem.company_id == company_id, WorkItem.kind == kind)
        while ids := db.session.scalars(theirs.order_by(WorkItem.id).limit(PIECE)).all():
            erased += _delete(kind, ids, now)
    return erased


erasure.register(
    erasure.Eraser(
        ExportKind.PERSON,
        "work",
        "jobs and quotes they asked for stay with the company, without their name; what they signed stays as proof",
        _count_of_person,
        _unname,
        14,
    )
)
erasure.register(
    erasure.Eraser(ExportKind.COMPANY, "work", "jobs and quotes", _count_of_company, _erase_of_company, 14)
)
