"""What is forgotten of service statuses once it is old, and what goes with a company.

Of people there is nothing to erase here: updates name their author by the person's row, which is made nobody's.
"""

from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, delete, exists, func, or_, select, update

from portal.extensions import db
from portal.records import erasure, retention
from portal.records.retention import COUNTED_AT_MOST, Keeping
from portal.records.rules.exports import ExportKind
from portal.services.models import ServiceUpdate, ServiceWindow, StatedPeriod, UpdateTarget

RAW: Any = {"synchronize_session": False}


def _is_old(before: datetime) -> ColumnElement[bool]:
    """Updates of which nothing has stood since then: no problem they tell of, and no window."""
    stands = exists(
        select(StatedPeriod.id)
        .join(UpdateTarget, UpdateTarget.holding_id == StatedPeriod.holding_id)
        .where(
            UpdateTarget.update_id == ServiceUpdate.id,
            or_(StatedPeriod.ended_at.is_(None), StatedPeriod.ended_at >= before),
        )
    )
    later = exists(
        select(ServiceWindow.id).where(ServiceWindow.id == ServiceUpdate.window_id, ServiceWindow.ends_at >= before)
    )
    return (ServiceUpdate.created_at < before) & ~stands & ~later


def _is_old_window(before: datetime) -> ColumnElement[bool]:
    told = exists(select(ServiceUpdate.id).where(ServiceUpdate.window_id == ServiceWindow.id))
    return (ServiceWindow.ends_at < before) & ~told


def _count(before: datetime) -> int:
    old = select(ServiceUpdate.id).where(_is_old(before)).limit(COUNTED_AT_MOST).subquery()
    return db.session.scalar(select(func.count()).select_from(old)) or 0


def _forget(before: datetime, limit: int) -> int:
    """Updates with their holdings and the problems they began; then windows nothing tells of any more."""
    some = select(ServiceUpdate.id).where(_is_old(before)).order_by(ServiceUpdate.id).limit(limit)
    gone = db.session.execute(delete(ServiceUpdate).where(ServiceUpdate.id.in_(some)), execution_options=RAW)
    count = cast(CursorResult[Any], gone).rowcount
    db.session.execute(delete(ServiceWindow).where(_is_old_window(before)), execution_options=RAW)
    return count


retention.register(
    Keeping(
        "service_updates",
        "Service statuses",
        "What was stated of services, with the problems and windows it told of, from when they were over.",
        1095,
        90,
        count=_count,
        forget=_forget,
        place=25,
    )
)


def _updates_of(company_id: int) -> int:
    mine = select(func.count()).select_from(UpdateTarget).where(UpdateTarget.company_id == company_id)
    return db.session.scalar(mine) or 0


def _erase(company_id: int, now: datetime) -> int:
    """What was said of its services alone goes whole; of the rest its part goes with its holdings, by the database."""
    count = _updates_of(company_id)
    mine = select(UpdateTarget.update_id).where(UpdateTarget.company_id == company_id)
    others = exists(
        select(UpdateTarget.update_id).where(
            UpdateTarget.update_id == ServiceUpdate.id, UpdateTarget.company_id != company_id
        )
    )
    windows = list(
        db.session.scalars(
            select(ServiceUpdate.window_id)
            .where(ServiceUpdate.id.in_(mine), ~others, ServiceUpdate.window_id.is_not(None))
            .distinct()
        )
    )
    # How it was chosen may name the company.
    db.session.execute(update(ServiceUpdate).where(ServiceUpdate.id.in_(mine)).values(chosen={}), execution_options=RAW)
    db.session.execute(delete(ServiceUpdate).where(ServiceUpdate.id.in_(mine), ~others), execution_options=RAW)
    told = exists(select(ServiceUpdate.id).where(ServiceUpdate.window_id == ServiceWindow.id))
    db.session.execute(delete(ServiceWindow).where(ServiceWindow.id.in_(windows), ~told), execution_options=RAW)
    return count


erasure.register(
    erasure.Eraser(
        ExportKind.COMPANY,
        "service_updates",
        "things said of the status of its services",
        _updates_of,
        _erase,
        19,
    )
)
