"""The first items of a long list in an order that no index of the items has.

Sorted by company, a page of a hundred thousand jobs is found in the companies that come first: these are read in their
order, and of each only as many jobs as are still wanted. By status and by who does it alike.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, literal, or_, select, union_all

from portal.accounts.models import Company, Person
from portal.extensions import db
from portal.jobs.models import WorkItem, WorkStatus

PARTS_AT_MOST = 256
"""Parts of one statement; SQLite takes 500."""

Conditions = Sequence[ColumnElement[bool]]


def by_company(conditions: Conditions, count: int, *, is_descending: bool) -> list[int]:
    """The ids of the first items by the name of their company, of one company the newest first."""
    has_some = select(WorkItem.id).where(WorkItem.company_id == Company.id, *conditions).correlate(Company).exists()
    order = Company.name_key.desc() if is_descending else Company.name_key
    companies = db.session.scalars(select(Company.id).where(has_some).order_by(order).limit(count))
    return _first([WorkItem.company_id == company_id for company_id in companies], conditions, count)


def by_status(conditions: Conditions, count: int, *, is_descending: bool) -> list[int]:
    """The ids of the first items in the order of the statuses, of one status the newest first."""
    order = (WorkStatus.position.desc(), WorkStatus.id) if is_descending else (WorkStatus.position, WorkStatus.id)
    has_some = select(WorkItem.id).where(WorkItem.status_id == WorkStatus.id, *conditions).correlate(WorkStatus)
    statuses = db.session.scalars(select(WorkStatus.id).where(has_some.exists()).order_by(*order))
    return _first([WorkItem.status_id == status_id for status_id in statuses], conditions, count)


def by_assignee(conditions: Conditions, count: int, *, is_descending: bool) -> list[int]:
    """The ids of the first items by the name of who does them, of each the newest first; what nobody does last."""
    order = (Person.name_key.desc(), Person.id) if is_descending else (Person.name_key, Person.id)
    has_some = select(WorkItem.id).where(WorkItem.assignee_id == Person.id, *conditions).correlate(Person)
    wanted = select(Person.id).where(Person.role.is_not(None), has_some.exists())
    people = db.session.scalars(wanted.order_by(*order).limit(count)).all()
    others = or_(WorkItem.assignee_id.is_(None), WorkItem.assignee_id.not_in(people))
    return _first([*(WorkItem.assignee_id == person_id for person_id in people), others], conditions, count)


def _first(parts: Sequence[ColumnElement[bool]], conditions: Conditions, count: int) -> list[int]:
    """The ids of the first items of the first parts, more of these at each step: a handful of queries."""
    found: list[int] = []
    done, size = 0, 1
    while done < len(parts) and len(found) < count:
        found += db.session.scalars(_of(parts[done : done + size], conditions, count - len(found))).all()
        done, size = done + size, min(4 * size, PARTS_AT_MOST)
    return found


def _of(parts: Sequence[ColumnElement[bool]], conditions: Conditions, count: int) -> Any:
    each = [
        select(WorkItem.id, literal(place).label("place"))
        .where(*conditions, part)
        .order_by(WorkItem.id.desc())
        .limit(count)
        .subquery()
        for place, part in enumerate(parts)
    ]
    together = union_all(*(select(part.c.id, part.c.place) for part in each)).subquery()
    return select(together.c.id).order_by(together.c.place, together.c.id.desc()).limit(count)
