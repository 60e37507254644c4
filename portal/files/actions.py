"""Writing files down: taken in for a form, linked to what the form makes, gone again; the clean-up does the rest."""

import secrets
from base64 import b32encode
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from flask import current_app
from flask_babel import gettext as _
from sqlalchemy import CursorResult, update

from portal import events
from portal.accounts.rules import Viewpoint
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.config import Settings
from portal.errors import RuleViolation
from portal.extensions import db
from portal.files import queries, subjects
from portal.files.models import StoredFile
from portal.files.rules import FILES_A_MESSAGE, UNFINISHED_AT_MOST, UNFINISHED_FOR, Refusal, counted
from portal.files.subjects import Ref
from portal.files.taking import FIELD, Taken
from portal.files.words import sentence

RAW: Any = {"synchronize_session": False}


@dataclass(frozen=True)
class Giver:
    """Who gives files: a person as staff, or for a company. `company_id` is None for staff and for nobody else."""

    person_id: int | None
    name: str
    company_id: int | None

    @property
    def viewpoint(self) -> Viewpoint:
        """Through whose eyes they look."""
        return Viewpoint(is_staff=self.company_id is None, company_id=self.company_id)


def check_room(giver: Giver, size: int = 0) -> None:
    """RuleViolation when this person has chosen too many files already, or their company's room is full.

    Asked before the bytes are looked into, so that a refusal costs little, and again when they are written down.
    """
    if queries.count_unfinished(person_id=giver.person_id, company_id=giver.company_id) >= UNFINISHED_AT_MOST:
        raise RuleViolation(sentence(Refusal.UNFINISHED), FIELD)
    if giver.company_id is None:
        return
    settings: Settings = current_app.config["SETTINGS"]
    most = settings.company_files_megabytes
    if queries.used(giver.company_id) + counted(size) > most * 1_000_000:
        raise RuleViolation(sentence(Refusal.NO_ROOM, megabytes=most), FIELD)


def keep(taken: Taken, giver: Giver, now: datetime) -> StoredFile:
    """Write down a file that lies in the store, for a form its giver is about to send.

    RuleViolation for want of room; the bytes are then left to the sweep.
    """
    check_room(giver, taken.size)
    file = StoredFile(
        public_id=new_public_id(),
        company_id=giver.company_id,
        name=taken.name,
        media_type=taken.media_type,
        size=taken.size,
        sha256=taken.sha256,
        storage_name=taken.storage_name,
        width=taken.width,
        height=taken.height,
        has_preview=taken.has_preview,
        is_by_staff=giver.company_id is None,
        uploaded_by_id=giver.person_id,
        uploader_name=giver.name,
        uploaded_at=now,
    )
    db.session.add(file)
    db.session.flush()
    return file


def new_public_id() -> str:
    """The id of a file in addresses: 128 random bits in 26 letters and digits."""
    return b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()


def link(
    public_ids: Sequence[str],
    ref: Ref,
    giver: Giver,
    *,
    company_id: int,
    now: datetime,
    message_id: int | None = None,
    is_internal: bool = False,
) -> int:
    """Give the files a form names to what the form made; returns how many there are.

    Only files this giver has chosen and that belong to nothing yet: RuleViolation, and nothing is linked, when one is
    somebody else's, linked already or gone. `company_id` is whose the subject is.
    """
    wanted = list(dict.fromkeys(public_ids))
    if len(wanted) > FILES_A_MESSAGE:
        raise RuleViolation(sentence(Refusal.TOO_MANY), FIELD)
    if not wanted:
        return 0
    with db.session.begin_nested():
        linked = db.session.execute(
            update(StoredFile)
            .where(
                StoredFile.public_id.in_(wanted),
                queries.is_unfinished_of(person_id=giver.person_id, company_id=giver.company_id),
            )
            .values(
                subject_kind=ref.kind,
                subject_id=ref.id,
                message_id=message_id,
                company_id=company_id,
                is_internal=is_internal,
                linked_at=now,
            ),
            execution_options=RAW,
        )
        if cast(CursorResult[Any], linked).rowcount != len(wanted):
            raise RuleViolation(gone_sentence(), FIELD)
    return len(wanted)


def gone_sentence() -> str:
    """What is said of a file that was chosen and is not there (any more), whoever it belongs to."""
    return str(_("A file you chose is not there any more. Choose it again."))


def discard(file: StoredFile, now: datetime) -> None:
    """Take back a file that was chosen for a form which was not sent yet. Its giver is the only one who can ask."""
    file.deleted_at = now
    db.session.flush()
    events.wake("clean_files")


def delete(file: StoredFile, *, by: Actor, now: datetime) -> None:
    """Delete a file of a subject, for everybody and for good; that it was there stays in the audit trail."""
    ref = queries.ref_of(file)
    audit.record(
        "file.delete",
        object_kind="file",
        object_id=file.id,
        company_id=file.company_id,
        by=by,
        now=now,
        before={"file": file.name, "bytes": file.size, "about": subjects.title_of(ref) if ref else ""},
    )
    file.deleted_at = now
    db.session.flush()
    events.wake("clean_files")
    events.ring(events.STAFF)


def bin_of_subjects(kind: str, subject_ids: Collection[int], now: datetime) -> int:
    """Throw away every file of subjects that are deleted, those of their messages too; returns how many."""
    return _bin((StoredFile.subject_kind == kind) & StoredFile.subject_id.in_(subject_ids), now)


def bin_of_messages(message_ids: Collection[int], now: datetime) -> int:
    """Throw away every file of messages that are deleted; returns how many."""
    return _bin(StoredFile.message_id.in_(message_ids), now)


def bin_of_company(company_id: int, now: datetime) -> int:
    """Throw away every file of a company that is deleted, unfinished ones too; returns how many."""
    return _bin(StoredFile.company_id == company_id, now)


def bin_unfinished(now: datetime, *, person_id: int | None = None) -> int:
    """Throw away files whose form was never sent within a day, or all of such that one person has chosen."""
    is_old = StoredFile.uploaded_at < now - UNFINISHED_FOR
    whose = is_old if person_id is None else StoredFile.uploaded_by_id == person_id
    return _bin(StoredFile.linked_at.is_(None) & whose, now)


def _bin(which: Any, now: datetime) -> int:
    """Rows of deleted things may get the id of a deleted one again, so what is thrown away belongs to nothing."""
    gone = db.session.execute(
        update(StoredFile)
        .where(which, queries.IS_THERE)
        .values(deleted_at=now, subject_kind=None, subject_id=None, message_id=None),
        execution_options=RAW,
    )
    count = cast(CursorResult[Any], gone).rowcount
    if count:
        events.wake("clean_files")
    return count
