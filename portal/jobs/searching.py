"""Jobs and quotes by number, title, or what another system calls them."""

from typing import Any, NamedTuple

from portal.accounts.models import Company
from portal.accounts.rules import Viewpoint, one_line
from portal.extensions import db
from portal.jobs.models import WorkItem, WorkStatus
from portal.jobs.rules import WorkKind, number_of
from portal.searching import NOTHING, Matches, find, reading


class WorkHit(NamedTuple):
    """A job or a quote that was found; `status` is its internal name."""

    id: int
    number: int
    title: str
    company: str
    status: str


def search_work(
    viewpoint: Viewpoint, kind: WorkKind, text: str, limit: int, offset: int | None = None
) -> Matches[WorkHit]:
    """Items of a kind, of equal matches the newest first; for staff only. A whole number finds just that one."""
    if not viewpoint.is_staff:
        return NOTHING
    found = (
        reading(WorkItem.id, WorkItem.number, WorkItem.title, Company.name, WorkStatus.name)
        .join(Company, Company.id == WorkItem.company_id)
        .join(WorkStatus, WorkStatus.id == WorkItem.status_id)
        .where(WorkItem.kind == kind)
    )
    number = number_of(kind, one_line(text))
    if number is not None:
        return _numbered(found.where(WorkItem.number == number), offset)
    return find(
        found,
        [WorkItem.title_key],
        text,
        WorkHit,
        codes=[WorkItem.external_number],
        newest_first=WorkItem.created_at,
        limit=limit,
        offset=offset,
    )


def _numbered(statement: Any, offset: int | None) -> Matches[WorkHit]:
    """The one item of a number, if there is it. One query."""
    row = db.session.execute(statement).one_or_none()
    items = (WorkHit(*row),) if row is not None and not offset else ()
    return Matches(items, int(row is not None), has_more=False, is_exact=row is not None)
