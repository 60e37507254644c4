"""For how long it is kept what happened to alerts, and what of them goes with a company or a person."""

from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, delete, func, select

from portal.alerts.models import Alert, AlertEvent, AlertRecipient, AlertWatch
from portal.extensions import db
from portal.records import erasure, retention
from portal.records.rules.exports import ExportKind

RAW: Any = {"synchronize_session": False}


def _is_old(before: datetime) -> ColumnElement[bool]:
    return AlertEvent.at < before


retention.register(
    retention.Keeping(
        "alert_events",
        "What happened to alerts",
        "When alerts were triggered, normal again or without data. How they stand now is no part of it, and stays.",
        default_days=400,
        least_days=30,
        place=82,
        **retention.rows_older(_is_old, AlertEvent.id),
    )
)


def _count_of_company(company_id: int) -> int:
    return db.session.scalar(select(func.count(AlertWatch.id)).where(AlertWatch.company_id == company_id)) or 0


def _erase_company(company_id: int, now: datetime) -> int:
    """Take its alerts and watches away before its mails are called off: whoever looks at them now is waited for, so
    that no notice is written behind that."""
    gone = db.session.execute(delete(AlertWatch).where(AlertWatch.company_id == company_id), execution_options=RAW)
    db.session.execute(delete(Alert).where(Alert.company_id == company_id), execution_options=RAW)
    return cast(CursorResult[Any], gone).rowcount


def _count_of_person(person_id: int) -> int:
    mine = select(func.count(AlertRecipient.id)).where(AlertRecipient.person_id == person_id)
    return db.session.scalar(mine) or 0


def _erase_person(person_id: int, now: datetime) -> int:
    gone = db.session.execute(
        delete(AlertRecipient).where(AlertRecipient.person_id == person_id), execution_options=RAW
    )
    return cast(CursorResult[Any], gone).rowcount


erasure.register(
    erasure.Eraser(
        ExportKind.COMPANY,
        "alerts",
        "alerts that watch it, with what happened to them",
        _count_of_company,
        _erase_company,
        0,
    )
)
erasure.register(
    erasure.Eraser(
        ExportKind.PERSON, "alerts", "places among the recipients of alerts", _count_of_person, _erase_person, 0
    )
)
