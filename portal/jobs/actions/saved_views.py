"""Filters of a staff list kept under a name."""

from datetime import datetime

from sqlalchemy import func, select

from portal.accounts.rules import one_line
from portal.errors import RuleViolation
from portal.extensions import db
from portal.jobs.models import SavedView
from portal.jobs.rules import WorkKind

NAME_LENGTH = 60
QUERY_LENGTH = 1000

VIEWS_AT_MOST = 50
"""Views one person keeps of one list."""


def save_view(kind: WorkKind, person_id: int, name: str, query: str, *, is_shared: bool, now: datetime) -> SavedView:
    """Keep filters under a name; those this person kept under it before are replaced."""
    name = one_line(name)
    if not name:
        raise RuleViolation("Give it a name.", "name")
    if len(name) > NAME_LENGTH:
        raise RuleViolation(f"At most {NAME_LENGTH} characters, please.", "name")
    if len(query) > QUERY_LENGTH:
        raise RuleViolation("These filters are too long to be kept.", "name")
    mine = select(SavedView).where(SavedView.person_id == person_id, SavedView.kind == kind)
    view = db.session.scalars(mine.where(SavedView.name == name)).one_or_none()
    if view is None:
        count = db.session.scalar(select(func.count()).select_from(mine.subquery())) or 0
        if count >= VIEWS_AT_MOST:
            raise RuleViolation(f"You keep {VIEWS_AT_MOST} views of this list already. Remove one first.", "name")
        view = SavedView(person_id=person_id, kind=kind, name=name, created_at=now)
        db.session.add(view)
    view.query, view.is_shared = query, is_shared
    db.session.flush()
    return view


def delete_view(kind: WorkKind, person_id: int, view_id: int) -> bool:
    """Remove one of this person's own views; whether there was one."""
    view = db.session.scalars(
        select(SavedView).where(SavedView.id == view_id, SavedView.kind == kind, SavedView.person_id == person_id)
    ).one_or_none()
    if view is None:
        return False
    db.session.delete(view)
    db.session.flush()
    return True
