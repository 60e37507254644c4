"""Making exports: asking for one, writing its tables, keeping its file for a while, handing it out.

What is about a company or a person is a ZIP of JSON and CSV files with a README; the firm's own lists are one CSV
file each, as the import takes it.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from tempfile import SpooledTemporaryFile
from typing import IO, Any, cast
from zipfile import ZIP_DEFLATED, ZipFile

from sqlalchemy import CursorResult, delete, func, or_, select, update

from portal import events
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.errors import NotFound, RuleViolation
from portal.extensions import db
from portal.records.models import ExportChunk, ExportRun
from portal.records.parts import Part, parts_about
from portal.records.retention import setting
from portal.records.rules.exports import ABOUT_ONE, CHUNK_BYTES, LEASE, ExportKind, ExportState
from portal.records.rules.files import safe_cell

RAW: Any = {"synchronize_session": False}

IN_MEMORY = 4 * 1024 * 1024
"""Bytes of a table that wait in memory before they go to a temporary file."""

OPEN_AT_MOST = 20
"""Exports that may wait or be made at once; more are refused, because each costs time and room."""

SHOWN = 50


# Asking


def request_export(kind: ExportKind, subject_id: int | None, file_name: str, *, by: Actor, now: datetime) -> ExportRun:
    """Ask for an export; a worker makes it. One that waits or is being made already is the answer to a second wish."""
    same = (ExportRun.kind == kind, ExportRun.subject_id == subject_id)
    unmade = ExportRun.state.in_((ExportState.QUEUED, ExportState.RUNNING))
    known = db.session.scalars(select(ExportRun).where(*same, unmade).limit(1)).first()
    if known is not None:
        return known
    if (db.session.scalar(select(func.count()).select_from(ExportRun).where(unmade)) or 0) >= OPEN_AT_MOST:
        raise RuleViolation("Many exports are being made already. Wait until some of them are done.")
    run = ExportRun(
        kind=kind,
        subject_id=subject_id,
        file_name=file_name,
        state=ExportState.QUEUED,
        parts=len(parts_about(kind)),
        requested_by_id=by.person_id,
        created_at=now,
    )
    db.session.add(run)
    db.session.flush()
    _record("export.request", run, by, now)
    events.wake("export", run.id)
    events.ring(events.STAFF)
    return run


def note_download(run: ExportRun, *, by: Actor, now: datetime) -> None:
    """Record that somebody fetched the file; NotFound unless it is there."""
    if run.state is not ExportState.READY or run.expires_at is None or run.expires_at <= now:
        raise NotFound
    run.downloads += 1
    db.session.flush()
    _record("export.download", run, by, now, {"bytes": run.size, "rows": run.rows})
    events.ring(events.STAFF)


def discard(run: ExportRun, *, by: Actor, now: datetime) -> None:
    """Throw an export away before its time; one that is being made is given up."""
    _record("export.discard", run, by, now)
    db.session.delete(run)
    db.session.flush()
    events.ring(events.STAFF)


def discard_about(kind: ExportKind, subject_id: int) -> int:
    """Throw away every export about somebody who is to be forgotten; returns how many."""
    gone = db.session.execute(
        delete(ExportRun).where(ExportRun.kind == kind, ExportRun.subject_id == subject_id), execution_options=RAW
    )
    return cast(CursorResult[Any], gone).rowcount


def note_command(kind: ExportKind, subject_id: int | None, rows: int, *, by: Actor, now: datetime) -> None:
    """Record an export that was written by the command line, and to no row."""
    company_id = subject_id if kind is ExportKind.COMPANY else None
    audit.record(
        "export.command",
        object_kind=kind.value if kind in ABOUT_ONE else "export",
        object_id=subject_id,
        company_id=company_id,
        by=by,
        now=now,
        after={"kind": kind, "rows": rows},
    )


def _record(action: str, run: ExportRun, by: Actor, now: datetime, more: Mapping[str, Any] | None = None) -> None:
    """About whom it is, so that it stands in the history of that company or person."""
    is_about_one = run.kind in ABOUT_ONE
    audit.record(
        action,
        object_kind=run.kind.value if is_about_one else "export",
        object_id=run.subject_id if is_about_one else run.id,
        company_id=run.subject_id if run.kind is ExportKind.COMPANY else None,
        by=by,
        now=now,
        after={"export": run.id, "kind": run.kind, **(more or {})},
    )


# Looking


def runs(limit: int = SHOWN) -> Sequence[ExportRun]:
    """The newest exports that were asked for. One query."""
    return db.session.scalars(select(ExportRun).order_by(ExportRun.id.desc()).limit(limit)).all()


def run_by_id(run_id: int) -> ExportRun | None:
    return db.session.get(ExportRun, run_id)


def due(now: datetime) -> Sequence[int]:
    """The exports that wait, or whose maker has fallen silent. One query."""
    return db.session.scalars(
        select(ExportRun.id)
        .where(
            or_(
                ExportRun.state == ExportState.QUEUED,
                (ExportRun.state == ExportState.RUNNING) & (ExportRun.leased_until < now),
            )
        )
        .order_by(ExportRun.id)
        .limit(OPEN_AT_MOST)
    ).all()


def chunk(run_id: int, number: int) -> bytes | None:
    """One piece of a file, counted from 0; None after the last."""
    return db.session.scalar(select(ExportChunk.data).where(ExportChunk.run_id == run_id, ExportChunk.number == number))


# Making; each step is a transaction of its own


def claim(run_id: int, now: datetime) -> ExportRun | None:
    """Take an export in hand, from its beginning; None when somebody else has it or it is done."""
    taken = db.session.execute(
        update(ExportRun)
        .where(
            ExportRun.id == run_id,
            or_(
                ExportRun.state == ExportState.QUEUED,
                (ExportRun.state == ExportState.RUNNING) & (ExportRun.leased_until < now),
            ),
        )
        .values(state=ExportState.RUNNING, leased_until=now + LEASE, parts_done=0, rows=0, size=0, note=None),
        execution_options=RAW,
    )
    if cast(CursorResult[Any], taken).rowcount != 1:
        return None
    db.session.execute(delete(ExportChunk).where(ExportChunk.run_id == run_id), execution_options=RAW)
    events.ring(events.STAFF)
    return db.session.get(ExportRun, run_id, populate_existing=True)


def keep(run_id: int, lease: datetime, now: datetime, **values: Any) -> datetime | None:
    """Note how far it is and hold the lease on; the new end of the lease, None for one that was lost."""
    held = db.session.execute(
        update(ExportRun)
        .where(ExportRun.id == run_id, ExportRun.state == ExportState.RUNNING, ExportRun.leased_until == lease)
        .values(leased_until=now + LEASE, **values),
        execution_options=RAW,
    )
    events.ring(events.STAFF)
    return now + LEASE if cast(CursorResult[Any], held).rowcount == 1 else None


def store(run_id: int, number: int, data: bytes) -> None:
    """Store a piece of the file."""
    db.session.add(ExportChunk(run_id=run_id, number=number, data=data))
    db.session.flush()


def finish(run_id: int, lease: datetime, size: int, now: datetime) -> None:
    """The whole file is there, for as long as export files are kept."""
    kept = timedelta(days=setting("export_files").days)
    done = {"state": ExportState.READY, "size": size, "finished_at": now, "expires_at": now + kept}
    keep(run_id, lease, now, **done)


def fail(run_id: int, reason: str, now: datetime) -> None:
    """It cannot be made; the reason is shown."""
    db.session.execute(
        update(ExportRun)
        .where(ExportRun.id == run_id)
        .values(state=ExportState.FAILED, note=reason[:500], finished_at=now, leased_until=None),
        execution_options=RAW,
    )
    events.ring(events.STAFF)


# Writing


def write_part(archive: ZipFile, part: Part, subject_id: int | None, now: datetime) -> int:
    """Add one table to a ZIP, as JSON and as CSV; returns its number of rows. Holds one row at a time."""
    count = 0
    with SpooledTemporaryFile(max_size=IN_MEMORY) as table:
        with archive.open(f"json/{part.name}.json", "w", force_zip64=True) as listed:
            listed.write(b"[")
            lines = _lines(table, part)
            for row in part.rows(subject_id, now):
                listed.write(b",\n" if count else b"\n")
                told = {name: _plain(row.get(name)) for name in part.columns}
                listed.write(json.dumps(told, ensure_ascii=False).encode())
                lines(row)
                count += 1
            listed.write(b"\n]\n")
        table.seek(0)
        with archive.open(f"csv/{part.name}.csv", "w", force_zip64=True) as copied:
            while piece := table.read(CHUNK_BYTES):
                copied.write(piece)
    return count


def write_list(target: IO[bytes], part: Part, now: datetime) -> int:
    """Write one of the firm's own lists as CSV; returns its number of rows."""
    count, lines = 0, _lines(target, part)
    for row in part.rows(None, now):
        lines(row)
        count += 1
    return count


def write_all(target: IO[bytes], kind: ExportKind, subject_id: int | None, now: datetime) -> Iterator[int]:
    """Write a whole export; yields the number of rows so far after each table, so that progress can be told."""
    total = 0
    if kind not in ABOUT_ONE:
        for part in parts_about(kind):
            yield write_list(target, part, now)
        return
    with ZipFile(target, "w", ZIP_DEFLATED) as archive:
        archive.writestr("README.txt", readme(kind, now))
        for part in parts_about(kind):
            total += write_part(archive, part, subject_id, now)
            yield total


def readme(kind: ExportKind, now: datetime) -> str:
    """What is in the ZIP, for whoever opens it."""
    lines = [
        f"Everything that is kept about this {kind.value}, as it was on {now:%Y-%m-%d at %H:%M} UTC.",
        "",
        "Each table is there twice: under json/ for machines, under csv/ for spreadsheets (UTF-8, parted by commas).",
        "Times are UTC. In the CSV files an apostrophe stands before text that a spreadsheet would take for a formula.",
        "",
    ]
    return "\r\n".join([*lines, *(f"{part.name}: {part.told}" for part in parts_about(kind)), ""])


def _lines(target: IO[bytes], part: Part) -> Any:
    """A function that writes a row of CSV; the header is written at once."""
    text = io.TextIOWrapper(cast(Any, _Unclosed(target)), encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(part.columns.values())

    def write(row: Mapping[str, Any]) -> None:
        writer.writerow([safe_cell(_cell(row.get(name))) for name in part.columns])

    return write


class _Unclosed(io.RawIOBase):
    """Hands on what is written, and leaves the file open when the text around it goes."""

    def __init__(self, target: IO[bytes]) -> None:
        self.target = target

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.target.write(bytes(data))
        return len(data)


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Decimal):
        # As text: read as a float it would be another amount.
        return _cell(value)
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else value


def _cell(value: Any) -> str:
    """A value as the text of one cell; lists are parted by |, as imports take them."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return "|".join(_cell(each) for each in value)
    if isinstance(value, Mapping):
        return json.dumps(_plain(value), ensure_ascii=False)
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else str(value)
