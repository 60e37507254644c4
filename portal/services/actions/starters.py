"""Notes staff keep to begin with, beside the built-in ones."""

from datetime import datetime

from sqlalchemy import func, select

from portal.accounts.rules import one_line, paragraphs
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.services.models import StarterNote
from portal.services.rules import NOTES_LENGTH, ServiceStatus

TITLE_LENGTH = 100
KEPT_AT_MOST = 30
"""Starter notes of one status: more than anybody looks through while something is down."""


def keep(
    status: ServiceStatus, title: str, body: str, *, by: Actor, author_id: int | None, now: datetime
) -> StarterNote:
    """Keep these notes under a name; RuleViolation at `title` or `body`."""
    title, body = _checked(status, title, body)
    count = db.session.scalar(select(func.count()).select_from(StarterNote).where(StarterNote.status == status)) or 0
    if count >= KEPT_AT_MOST:
        raise RuleViolation(f"There are {count} for this status already. Delete one that nobody uses.", "title")
    made = StarterNote(status=status, title=title, body=body, created_at=now, created_by_id=author_id)
    db.session.add(made)
    db.session.flush()
    audit.record("starter_note.add", object_kind="starter_note", object_id=made.id, by=by, now=now, after=_said(made))
    return made


def edit(
    note: StarterNote, status: ServiceStatus, title: str, body: str, *, version: int, by: Actor, now: datetime
) -> None:
    """Change one; StaleEdit when somebody else did meanwhile."""
    if note.version != version:
        raise StaleEdit
    title, body = _checked(status, title, body, but=note.id)
    before = _said(note)
    note.status, note.title, note.body = status, title, body
    db.session.flush()
    audit.record(
        "starter_note.edit",
        object_kind="starter_note",
        object_id=note.id,
        by=by,
        now=now,
        before=before,
        after=_said(note),
    )


def delete(note: StarterNote, *, version: int, by: Actor, now: datetime) -> None:
    """Do away with one; what was sent with it stays as it was sent."""
    if note.version != version:
        raise StaleEdit
    audit.record(
        "starter_note.delete", object_kind="starter_note", object_id=note.id, by=by, now=now, before=_said(note)
    )
    db.session.delete(note)
    db.session.flush()


def _checked(status: ServiceStatus, title: str, body: str, *, but: int | None = None) -> tuple[str, str]:
    title, body = one_line(title), paragraphs(body).strip()
    if not title:
        raise RuleViolation("Give them a name.", "title")
    if len(title) > TITLE_LENGTH:
        raise RuleViolation(f"A name has at most {TITLE_LENGTH} characters.", "title")
    if not body:
        raise RuleViolation("Write what they say.", "body")
    if len(body) > NOTES_LENGTH:
        raise RuleViolation(f"Notes have at most {NOTES_LENGTH:,} characters; these have {len(body):,}.", "body")
    others = select(StarterNote.id).where(
        StarterNote.status == status, func.lower(StarterNote.title) == title.lower(), StarterNote.id != (but or 0)
    )
    if db.session.scalar(others.limit(1)) is not None:
        raise RuleViolation("There are notes of this name for the status already.", "title")
    return title, body


def _said(note: StarterNote) -> dict[str, str]:
    return {"status": note.status.value, "title": note.title, "body": note.body}
