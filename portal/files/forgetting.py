"""What the files forget: what is old, the names of people who are to be forgotten, all of a company that goes."""

from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, and_, func, select, update

from portal.accounts.actions.anonymise import NAME
from portal.extensions import db
from portal.files import actions
from portal.files.models import StoredFile
from portal.files.queries import IS_THERE
from portal.records import erasure, retention
from portal.records.retention import Keeping, rows_older
from portal.records.rules.exports import ExportKind

RAW: Any = {"synchronize_session": False}


def _old(before: datetime) -> ColumnElement[bool]:
    """Files that came with a message go with it."""
    return and_(StoredFile.linked_at < before, StoredFile.message_id.is_(None), IS_THERE)


def _forget(before: datetime, limit: int) -> int:
    some = select(StoredFile.id).where(_old(before)).order_by(StoredFile.id).limit(limit)
    gone = db.session.execute(
        update(StoredFile).where(StoredFile.id.in_(some)).values(deleted_at=before, subject_kind=None, subject_id=None),
        execution_options=RAW,
    )
    return cast(CursorResult[Any], gone).rowcount


retention.register(
    Keeping(
        "files",
        "Files",
        "Files of jobs, quotes and the like that came with no message, from when they were given.",
        2555,
        90,
        count=rows_older(_old, StoredFile.id)["count"],
        forget=_forget,
        place=26,
    )
)


def _count_of_person(person_id: int) -> int:
    whose = and_(StoredFile.uploaded_by_id == person_id, IS_THERE)
    return db.session.scalar(select(func.count()).select_from(StoredFile).where(whose)) or 0


def _unname(person_id: int, now: datetime) -> int:
    """What they chose and never sent is thrown away; the rest is their company's and loses their name."""
    count = _count_of_person(person_id)
    actions.bin_unfinished(now, person_id=person_id)
    db.session.execute(
        update(StoredFile).where(StoredFile.uploaded_by_id == person_id).values(uploader_name=NAME),
        execution_options=RAW,
    )
    return count


def _count_of_company(company_id: int) -> int:
    whose = and_(StoredFile.company_id == company_id, IS_THERE)
    return db.session.scalar(select(func.count()).select_from(StoredFile).where(whose)) or 0


erasure.register(
    erasure.Eraser(
        ExportKind.PERSON,
        "files",
        "files they gave stay with the company, without their name",
        _count_of_person,
        _unname,
        16,
    )
)
erasure.register(
    erasure.Eraser(
        ExportKind.COMPANY,
        "files",
        "files, its own and those it was given",
        _count_of_company,
        actions.bin_of_company,
        14,
    )
)
