"""What is forgotten of what customers asked of planned work, once it is old, and what goes with a company or a person.

Of maintenance itself there is nothing to forget here: it names staff by their row, which is made nobody's.
"""

from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, delete, exists, func, select, update

from portal.extensions import db
from portal.incidents.models import Freeze, Maintenance, SlotRequest
from portal.records import erasure, retention
from portal.records.retention import COUNTED_AT_MOST, Keeping
from portal.records.rules.exports import ExportKind

RAW: Any = {"synchronize_session": False}

FORGOTTEN = "…"
"""What stands where somebody who is forgotten had written something."""


def _is_old(row: type[SlotRequest] | type[Freeze], before: datetime) -> ColumnElement[bool]:
    """A wish about work that is over since then, a freeze that is."""
    if row is Freeze:
        return Freeze.ends_at < before
    over = exists(
        select(Maintenance.id).where(Maintenance.id == SlotRequest.maintenance_id, Maintenance.ends_at < before)
    )
    return (SlotRequest.created_at < before) & over


def _count(before: datetime) -> int:
    found = 0
    for row in (SlotRequest, Freeze):
        old = select(row.id).where(_is_old(row, before)).limit(COUNTED_AT_MOST).subquery()
        found += db.session.scalar(select(func.count()).select_from(old)) or 0
    return found


def _forget(before: datetime, limit: int) -> int:
    count = 0
    for row in (SlotRequest, Freeze):
        some = select(row.id).where(_is_old(row, before)).order_by(row.id).limit(limit)
        gone = db.session.execute(delete(row).where(row.id.in_(some)), execution_options=RAW)
        count += cast(CursorResult[Any], gone).rowcount
    return count


retention.register(
    Keeping(
        "maintenance_wishes",
        "Wishes about maintenance",
        "Other slots that customers asked for, and days on which they wanted no work, from when it was over.",
        1095,
        90,
        count=_count,
        forget=_forget,
        place=26,
    )
)


def _of_company(company_id: int) -> int:
    return sum(
        db.session.scalar(select(func.count()).select_from(row).where(row.company_id == company_id)) or 0
        for row in (SlotRequest, Freeze)
    )


def _erase_of_company(company_id: int, now: datetime) -> int:
    count = _of_company(company_id)
    for row in (SlotRequest, Freeze):
        db.session.execute(delete(row).where(row.company_id == company_id), execution_options=RAW)
    return count


def _of_person(person_id: int) -> int:
    wishes = select(func.count()).select_from(SlotRequest).where(SlotRequest.person_id == person_id)
    freezes = select(func.count()).select_from(Freeze).where(Freeze.created_by_id == person_id)
    return (db.session.scalar(wishes) or 0) + (db.session.scalar(freezes) or 0)


def _erase_of_person(person_id: int, now: datetime) -> int:
    """That the company asked stays, without who did and in which words."""
    count = _of_person(person_id)
    wishes = update(SlotRequest).where(SlotRequest.person_id == person_id)
    db.session.execute(wishes.values(person_id=None, text=FORGOTTEN), execution_options=RAW)
    freezes = update(Freeze).where(Freeze.created_by_id == person_id)
    db.session.execute(freezes.values(created_by_id=None, reason=""), execution_options=RAW)
    return count


erasure.register(
    erasure.Eraser(
        ExportKind.COMPANY,
        "maintenance_wishes",
        "wishes about maintenance",
        _of_company,
        _erase_of_company,
        20,
    )
)
erasure.register(
    erasure.Eraser(
        ExportKind.PERSON,
        "maintenance_wishes",
        "wishes about maintenance they wrote stay with the company, without name and words",
        _of_person,
        _erase_of_person,
        20,
    )
)
