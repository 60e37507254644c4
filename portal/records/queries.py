"""Reading imports: the list of them, one with a page of its rows, and which of them are due."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select

from portal.extensions import db
from portal.records.models import ImportFile, ImportMapping, ImportPart, ImportRun
from portal.records.rules import ImportState, Verdict

PAGE_SIZE = 50

PART_SIZE = 500
"""Judged rows in one piece; a multiple of the page size, so that a page lies in one piece."""

WORKING = (ImportState.PLANNING, ImportState.APPLYING, ImportState.FOLLOWING)


@dataclass(frozen=True)
class Runs:
    """One page of imports, newest first."""

    items: Sequence[ImportRun]
    page: int
    pages: int
    total: int


@dataclass(frozen=True)
class JudgedRows:
    """One page of the judged rows of one verdict, in the order of the file."""

    items: Sequence[dict[str, Any]]
    page: int
    pages: int
    total: int


def runs_page(page: int) -> Runs:
    """All imports but discarded ones, newest first. Two queries."""
    kept = ImportRun.state != ImportState.DISCARDED
    total = db.session.scalar(select(func.count(ImportRun.id)).where(kept)) or 0
    statement = (
        select(ImportRun).where(kept).order_by(ImportRun.id.desc()).limit(PAGE_SIZE).offset((page - 1) * PAGE_SIZE)
    )
    return Runs(db.session.scalars(statement).all(), page, max(1, -(-total // PAGE_SIZE)), total)


def run_by_id(run_id: int, *, to_steer: bool = False) -> ImportRun | None:
    """One import; locked until the transaction ends when it is about to be steered."""
    statement = select(ImportRun).where(ImportRun.id == run_id)
    return db.session.scalars(statement.with_for_update() if to_steer else statement).one_or_none()


def content_of(run_id: int) -> bytes | None:
    """The file as it was sent; None once it is gone."""
    return db.session.scalar(select(ImportFile.content).where(ImportFile.run_id == run_id))


def has_file(run_id: int) -> bool:
    """Whether the file of the import is still kept."""
    return db.session.scalar(select(ImportFile.run_id).where(ImportFile.run_id == run_id)) is not None


def judged_page(run: ImportRun, verdict: Verdict, page: int) -> JudgedRows:
    """The rows with this verdict, 50 a page. One query, whatever their number."""
    total = run.counts.get(verdict, 0)
    first = (page - 1) * PAGE_SIZE
    part = select(ImportPart.rows).where(
        ImportPart.run_id == run.id, ImportPart.verdict == verdict, ImportPart.number == first // PART_SIZE
    )
    rows = db.session.scalar(part) or []
    within = first % PART_SIZE
    return JudgedRows(rows[within : within + PAGE_SIZE], page, max(1, -(-total // PAGE_SIZE)), total)


def parts_of(run_id: int, verdict: Verdict) -> Iterator[list[dict[str, Any]]]:
    """All rows with this verdict, piece by piece and never all at once."""
    number = 0
    while True:
        part = select(ImportPart.rows).where(
            ImportPart.run_id == run_id, ImportPart.verdict == verdict, ImportPart.number == number
        )
        rows = db.session.scalar(part)
        if not rows:
            return
        yield rows
        number += 1


def remembered(kind: str) -> dict[str, str]:
    """The headers of the columns of this kind as they were chosen last."""
    found = db.session.get(ImportMapping, kind)
    return dict(found.headers) if found else {}


def due_runs(now: datetime) -> list[int]:
    """Imports somebody should work on: asked for, and held by nobody, or by somebody who fell silent."""
    free = or_(ImportRun.leased_until.is_(None), ImportRun.leased_until <= now)
    return list(
        db.session.scalars(select(ImportRun.id).where(ImportRun.state.in_(WORKING), free).order_by(ImportRun.id))
    )
