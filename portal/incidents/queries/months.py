"""What happened in one month: the permanent pages of the past."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Integer, Select, bindparam, func, select, union_all

from portal.accounts.rules import Viewpoint
from portal.database import UTCDateTime
from portal.extensions import rows
from portal.incidents.models import Incident, Maintenance
from portal.incidents.queries.conditions import kind_of, visible_to_kind
from portal.incidents.queries.wordings import text_for_kind
from portal.incidents.rules import MaintenanceState, State
from portal.language import current

PER_PAGE = 50
"""How many incidents of a month stand on a page, and how much maintenance on its first."""


class Happened(NamedTuple):
    """An incident as a list of the past says it; `resolved_at` is None while it is open."""

    public_id: str
    title: str
    state: State
    started_at: datetime
    resolved_at: datetime | None


class Worked(NamedTuple):
    """Maintenance as a list of the past says it."""

    public_id: str
    title: str
    state: MaintenanceState
    starts_at: datetime
    ends_at: datetime
    starts_itself: bool
    ends_itself: bool


@dataclass(frozen=True)
class MonthPage:
    """One page of the incidents that began in a month, newest first. `pages` is at least 1."""

    items: Sequence[Happened]
    page: int
    pages: int
    total: int


def began_between(viewpoint: Viewpoint, begin: datetime, end: datetime, page: int, now: datetime) -> MonthPage | None:
    """The incidents that began in this stretch of time; None for a page there is not. Two queries."""
    asked = {"now": now, "company_id": viewpoint.company_id, "begin": begin, "end": end}
    total = rows(_count(kind_of(viewpoint)), **asked)[0][0]
    pages = max(1, -(-total // PER_PAGE))
    if not 1 <= page <= pages:
        return None
    found = rows(
        _incidents(kind_of(viewpoint)), **asked, limit=PER_PAGE, offset=(page - 1) * PER_PAGE, language=current()
    )
    return MonthPage([Happened._make(row) for row in found], page, pages, total)


def worked_between(viewpoint: Viewpoint, begin: datetime, end: datetime, now: datetime) -> list[Worked]:
    """The maintenance whose window began in this stretch of time, so far, newest first. One query."""
    asked = {"now": now, "company_id": viewpoint.company_id, "begin": begin, "end": min(end, now), "limit": PER_PAGE}
    found = rows(_work(kind_of(viewpoint)), **asked, language=current())
    return [Worked._make(row) for row in found]


def first_beginning(viewpoint: Viewpoint, now: datetime) -> datetime | None:
    """When the first of all that this viewpoint may see began. One query."""
    found: datetime | None = rows(_first(kind_of(viewpoint)), now=now, company_id=viewpoint.company_id)[0][0]
    return found


@cache
def _count(kind: Viewpoint) -> Select[int]:
    return select(func.count(Incident.id)).where(*_within(Incident.started_at), visible_to_kind(Incident, kind))


@cache
def _incidents(kind: Viewpoint) -> Select[*tuple[Any, ...]]:
    """The columns of Happened, in its order."""
    each = Incident
    title = text_for_kind(kind, each.title, each.titles).label("title")
    return (
        select(each.public_id, title, each.state, each.started_at, each.resolved_at)
        .where(*_within(each.started_at), visible_to_kind(each, kind))
        .order_by(each.started_at.desc(), each.id.desc())
        .limit(_number("limit"))
        .offset(_number("offset"))
    )


@cache
def _work(kind: Viewpoint) -> Select[*tuple[Any, ...]]:
    """The columns of Worked, in its order."""
    each = Maintenance
    title = text_for_kind(kind, each.title, each.titles).label("title")
    return (
        select(each.public_id, title, each.state, each.starts_at, each.ends_at, each.starts_itself, each.ends_itself)
        .where(*_within(each.starts_at), visible_to_kind(each, kind))
        .order_by(each.starts_at.desc(), each.id.desc())
        .limit(_number("limit"))
    )


@cache
def _first(kind: Viewpoint) -> Select[datetime]:
    firsts = union_all(
        select(func.min(Incident.started_at).label("at")).where(visible_to_kind(Incident, kind)),
        select(func.min(Maintenance.starts_at)).where(visible_to_kind(Maintenance, kind)),
    ).subquery()
    return select(func.min(firsts.c.at))


def _within(column: Any) -> tuple[Any, ...]:
    moment = UTCDateTime()
    return column >= bindparam("begin", type_=moment), column < bindparam("end", type_=moment)


def _number(name: str) -> Any:
    return bindparam(name, type_=Integer())
