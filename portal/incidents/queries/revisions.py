"""What a report said before it was changed, for staff alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from portal.extensions import db
from portal.incidents.models import IncidentRevision
from portal.incidents.queries import Page
from portal.incidents.rules.revisions import Revised, Stretch, difference

PER_PAGE = 25

IN_WORDS = frozenset(Revised) - {Revised.VISIBILITY, Revised.AUDIENCE, Revised.IMPACT}
"""Of these the difference is shown word by word; the others are one word each."""


@dataclass(frozen=True)
class Version:
    """A change with what of its words differs."""

    revision: IncidentRevision
    stretches: Sequence[Stretch]

    @property
    def is_text(self) -> bool:
        return self.revision.what in IN_WORDS


def revisions_of(incident_id: int, page: int) -> Page[Version] | None:
    """The changes of a report, newest first, 25 a page; None for a page that does not exist. Two queries."""
    mine = IncidentRevision.incident_id == incident_id
    total = db.session.scalar(select(func.count()).select_from(IncidentRevision).where(mine)) or 0
    pages = max(1, -(-total // PER_PAGE))
    if not 1 <= page <= pages:
        return None
    found = db.session.scalars(
        select(IncidentRevision)
        .options(joinedload(IncidentRevision.by))
        .where(mine)
        .order_by(IncidentRevision.changed_at.desc(), IncidentRevision.id.desc())
        .limit(PER_PAGE)
        .offset((page - 1) * PER_PAGE)
    ).all()
    versions = [Version(each, difference(each.before, each.after)) for each in found]
    return Page(versions, page, pages, total, PER_PAGE)


def count_revisions(incident_id: int) -> int:
    """How often a report was changed. One query."""
    mine = IncidentRevision.incident_id == incident_id
    return db.session.scalar(select(func.count()).select_from(IncidentRevision).where(mine)) or 0


def last_changes(incident_id: int, what: Revised, part_id: int) -> datetime | None:
    """When this part of a report was last changed. One query."""
    return db.session.scalar(
        select(func.max(IncidentRevision.changed_at)).where(
            IncidentRevision.incident_id == incident_id,
            IncidentRevision.what == what,
            IncidentRevision.part_id == part_id,
        )
    )
