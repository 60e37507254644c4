"""Notes staff keep to begin with."""

from collections.abc import Sequence

from sqlalchemy import select

from portal.extensions import db
from portal.services.models import StarterNote


def own_starters() -> Sequence[StarterNote]:
    """All of them by name; there are few of each status. One query."""
    return db.session.scalars(select(StarterNote).order_by(StarterNote.title, StarterNote.id)).all()


def starter_by_id(note_id: int) -> StarterNote | None:
    return db.session.get(StarterNote, note_id)
