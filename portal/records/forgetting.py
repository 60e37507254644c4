"""What this capability forgets: files that were brought in and taken out, and the beginning of the audit trail."""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, select

from portal.audit import actions as audit
from portal.audit.models import AuditEntry
from portal.extensions import db
from portal.records import erasure, exports, retention
from portal.records.actions import forget_files
from portal.records.models import ExportRun, ImportFile, ImportRun
from portal.records.queries import WORKING
from portal.records.retention import COUNTED_AT_MOST, Keeping, rows_older
from portal.records.rules.exports import ExportKind, ExportState


def _old_import_files(before: datetime) -> int:
    is_idle = ImportRun.state.not_in(WORKING)
    moved = func.coalesce(ImportRun.finished_at, ImportRun.began_at, ImportRun.created_at)
    statement = select(func.count()).select_from(ImportFile).join(ImportRun, ImportRun.id == ImportFile.run_id)
    return db.session.scalar(statement.where(moved <= before, is_idle)) or 0


def _forget_import_files(before: datetime, _limit: int) -> int:
    """Files are few, whatever their size."""
    return forget_files(before, timedelta(0))


def _old_exports(before: datetime) -> ColumnElement[bool]:
    is_idle = ExportRun.state.in_((ExportState.READY, ExportState.FAILED))
    return (func.coalesce(ExportRun.finished_at, ExportRun.created_at) < before) & is_idle


def _old_entries(before: datetime) -> int:
    found = select(AuditEntry.id).where(AuditEntry.at < before).limit(COUNTED_AT_MOST).subquery()
    return db.session.scalar(select(func.count()).select_from(found)) or 0


retention.register(
    Keeping(
        "import_files",
        "Import files",
        "The files of imports, from when the import ended. What it brought in stays, and so does its result.",
        30,
        1,
        count=_old_import_files,
        forget=_forget_import_files,
        place=60,
    )
)
retention.register(
    Keeping(
        "export_files",
        "Export files",
        "Files that were asked for, from when they were made.",
        7,
        1,
        **rows_older(_old_exports, ExportRun.id),
        place=61,
    )
)
retention.register(
    Keeping(
        "audit",
        "Audit trail",
        "Entries of the audit trail, failed sign-ins among them, from the oldest on. The hash of the last one that "
        "goes stays, so the rest can still be verified.",
        730,
        90,
        count=_old_entries,
        forget=audit.forget,
        place=90,
    )
)


def _exports_about(kind: ExportKind) -> erasure.Eraser:
    def count(subject_id: int) -> int:
        about = (ExportRun.kind == kind) & (ExportRun.subject_id == subject_id)
        return db.session.scalar(select(func.count()).select_from(ExportRun).where(about)) or 0

    def erase(subject_id: int, now: datetime) -> int:
        return exports.discard_about(kind, subject_id)

    return erasure.Eraser(kind, "exports", "exports about them are thrown away", count, erase, 80)


erasure.register(_exports_about(ExportKind.PERSON))
erasure.register(_exports_about(ExportKind.COMPANY))


def _idle_import_files(_person_id: int) -> int:
    idle = select(func.count()).select_from(ImportFile).join(ImportRun).where(ImportRun.state.not_in(WORKING))
    return db.session.scalar(idle) or 0


erasure.register(
    erasure.Eraser(
        ExportKind.PERSON,
        "import_files",
        "files of imports, which may name them, go with all their rows",
        _idle_import_files,
        lambda _person_id, now: forget_files(now, None),
        81,
    )
)
