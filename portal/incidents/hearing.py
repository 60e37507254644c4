"""Who follows an incident, has seen it or says that they know of it: what of that goes out, and how it is forgotten."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, delete, exists, func, select

from portal.extensions import db
from portal.incidents.models import Incident, IncidentAcknowledgement, IncidentFollower, IncidentSighting
from portal.records import erasure, retention
from portal.records.parts import Part, Told, in_pieces, register
from portal.records.retention import COUNTED_AT_MOST, Keeping
from portal.records.rules.exports import ExportKind

RAW: Any = {"synchronize_session": False}

ROWS: tuple[Any, ...] = (IncidentFollower, IncidentSighting, IncidentAcknowledgement)


def _is_old(row: Any, before: datetime) -> ColumnElement[bool]:
    """What is noted of an incident that was fixed before then."""
    fixed = select(Incident.id).where(Incident.id == row.incident_id, Incident.resolved_at < before)
    return exists(fixed.correlate(row))


def _count(before: datetime) -> int:
    found = 0
    for row in ROWS:
        old = select(row.id).where(_is_old(row, before)).limit(COUNTED_AT_MOST).subquery()
        found += db.session.scalar(select(func.count()).select_from(old)) or 0
    return found


def _forget(before: datetime, limit: int) -> int:
    count = 0
    for row in ROWS:
        some = select(row.id).where(_is_old(row, before)).order_by(row.id).limit(limit)
        gone = db.session.execute(delete(row).where(row.id.in_(some)), execution_options=RAW)
        count += cast(CursorResult[Any], gone).rowcount
    return count


retention.register(
    Keeping(
        "incident_readers",
        "Readers of incidents",
        "Who followed an incident, had it on a page, or said that they know of it, from when it was fixed.",
        730,
        30,
        count=_count,
        forget=_forget,
        place=27,
    )
)


def _eraser(kind: ExportKind, told: str, name: str) -> None:
    def count(subject_id: int) -> int:
        return sum(
            db.session.scalar(select(func.count()).select_from(row).where(getattr(row, name) == subject_id)) or 0
            for row in ROWS
        )

    def erase(subject_id: int, now: datetime) -> int:
        found = count(subject_id)
        for row in ROWS:
            db.session.execute(delete(row).where(getattr(row, name) == subject_id), execution_options=RAW)
        return found

    erasure.register(erasure.Eraser(kind, "incident_readers", told, count, erase, 21))


_eraser(ExportKind.PERSON, "incidents they followed, had on a page or said they know of", "person_id")
_eraser(ExportKind.COMPANY, "incidents its people followed, had on a page or said they know of", "company_id")


def _told(row: Any, whose: Any, *columns: Any) -> Callable[[int | None, datetime], Iterator[Told]]:
    def rows(subject_id: int | None, now: datetime) -> Iterator[Told]:
        statement = (
            select(Incident.public_id.label("incident"), *columns)
            .join(Incident, Incident.id == row.incident_id)
            .where(whose == subject_id)
        )
        for each in in_pieces(statement, row.id):
            yield each._mapping

    return rows


for _kind, _name, _who in ((ExportKind.PERSON, "person_id", "they"), (ExportKind.COMPANY, "company_id", "its people")):
    _follower, _sighting, _says = (getattr(row, _name) for row in ROWS)
    register(
        Part(
            _kind,
            "followed_incidents",
            f"incidents {_who} follow, or want no mails about",
            {"incident": "Incident", "wants": "Wanted", "changed_at": "Since"},
            _told(IncidentFollower, _follower, IncidentFollower.wants, IncidentFollower.changed_at),
            24,
        )
    )
    register(
        Part(
            _kind,
            "seen_incidents",
            f"incidents {_who} had on a page of the portal",
            {"incident": "Incident", "seen_at": "First seen"},
            _told(IncidentSighting, _sighting, IncidentSighting.seen_at),
            25,
        )
    )
    register(
        Part(
            _kind,
            "known_incidents",
            f"incidents {_who} said they know of",
            {"incident": "Incident", "acknowledged_at": "Said"},
            _told(IncidentAcknowledgement, _says, IncidentAcknowledgement.acknowledged_at),
            26,
        )
    )
