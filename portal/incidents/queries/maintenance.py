"""Reading planned work: single maintenances and lists, series, wishes, freezes, and what clashes with a plan."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, exists, func, not_, or_, select, true, union
from sqlalchemy.orm import joinedload, selectinload

from portal.accounts.models import Company
from portal.accounts.rules import Viewpoint
from portal.catalogue.models import Component, Holding, HoldingDependency, ServiceDependency
from portal.catalogue.queries import company_reached_select, is_valid
from portal.extensions import db
from portal.incidents.models import (
    Freeze,
    Maintenance,
    MaintenanceComponent,
    MaintenanceSeries,
    MaintenanceSeriesComponent,
    MaintenanceUpdate,
    SlotRequest,
)
from portal.incidents.queries import PER_PAGE, Page
from portal.incidents.queries.conditions import is_ahead_or_under_way, is_under_way, visible_to
from portal.incidents.queries.whole import Which
from portal.incidents.queries.wordings import worded_maintenance
from portal.incidents.rules import MaintenanceState, Visibility
from portal.incidents.rules.maintenance import Notice, SlotState

CLASHES_SHOWN = 50
"""How many companies with a clash are named; the rest is a number."""

WORKS_COMPARED = 200
"""How many other maintenances at the same time a plan is compared with, soonest first."""

REQUESTS_SHOWN = 200
FREEZES_SHOWN = 50


@dataclass(frozen=True)
class MaintenanceFilters:
    """What the list of planned work is narrowed by; None and "" narrow nothing."""

    text: str = ""
    which: Which = Which.ALL
    is_over: bool | None = None
    visibility: Visibility | None = None
    component_id: int | None = None
    series_id: int | None = None
    state: MaintenanceState | None = None


def maintenance_for_staff(maintenance_id: int) -> Maintenance | None:
    """The maintenance with its components, its whole timeline, its owner and its series. Three queries."""
    return db.session.scalars(
        _shown()
        .options(
            selectinload(Maintenance.updates).joinedload(MaintenanceUpdate.author),
            joinedload(Maintenance.owner),
            joinedload(Maintenance.series),
        )
        .where(Maintenance.id == maintenance_id)
        .execution_options(populate_existing=True)
    ).one_or_none()


def visible_maintenance(viewpoint: Viewpoint, public_id: str, now: datetime) -> Maintenance | None:
    """The maintenance with this public id, if it exists from this viewpoint, without its reminders. Three queries."""
    updates: Any = Maintenance.updates
    if not viewpoint.is_staff:
        updates = Maintenance.updates.and_(MaintenanceUpdate.kind != Notice.REMINDED)
    found = db.session.scalars(
        _shown()
        .options(selectinload(updates))
        .where(Maintenance.public_id == public_id, visible_to(Maintenance, viewpoint, now))
        .order_by(Maintenance.id)
        .limit(1)
        .execution_options(populate_existing=True)
    ).one_or_none()
    worded_maintenance([found] if found else (), viewpoint)
    return found


def maintenance_page(filters: MaintenanceFilters, page: int, now: datetime) -> Page[Maintenance] | None:
    """Planned work as staff see it, 25 a page: what is over and all of it newest first, else soonest first.

    None for a page that does not exist. Three queries.
    """
    condition = and_(true(), *_narrowed(filters, now))
    is_ahead = filters.which is not Which.ALL
    order = (Maintenance.starts_at, Maintenance.id)
    shown = _shown().order_by(*(order if is_ahead else [each.desc() for each in order]))
    return _page(shown, Maintenance, condition, page)


def past_maintenance(viewpoint: Viewpoint, page: int, now: datetime) -> Page[Maintenance] | None:
    """What is over, completed or cancelled, newest first, 25 a page, with its timeline, for this viewpoint."""
    updates: Any = Maintenance.updates.and_(MaintenanceUpdate.kind != Notice.REMINDED)
    shown = (
        _shown()
        .options(selectinload(updates))
        .order_by(Maintenance.starts_at.desc(), Maintenance.id.desc())
        .execution_options(populate_existing=True)
    )
    condition = and_(not_(is_ahead_or_under_way(now)), visible_to(Maintenance, viewpoint, now))
    found = _page(shown, Maintenance, condition, page)
    worded_maintenance(found.items if found else (), viewpoint)
    return found


def _shown() -> Select[Any]:
    return select(Maintenance).options(
        selectinload(Maintenance.components).joinedload(MaintenanceComponent.component).joinedload(Component.group)
    )


def _narrowed(filters: MaintenanceFilters, now: datetime) -> list[ColumnElement[bool]]:
    which = {
        Which.ALL: [],
        Which.AHEAD: [is_ahead_or_under_way(now), not_(is_under_way(now))],
        Which.UNDER_WAY: [is_under_way(now)],
        Which.NOT_OVER: [is_ahead_or_under_way(now)],
    }
    found: list[ColumnElement[bool]] = list(which[filters.which])
    if text := filters.text.strip():
        said = exists().where(
            MaintenanceUpdate.maintenance_id == Maintenance.id, MaintenanceUpdate.body.icontains(text, autoescape=True)
        )
        found.append(or_(Maintenance.title.icontains(text, autoescape=True), said))
    if filters.is_over is not None:
        goes_on = is_ahead_or_under_way(now)
        found.append(not_(goes_on) if filters.is_over else goes_on)
    if filters.visibility is not None:
        found.append(Maintenance.visibility == filters.visibility)
    if filters.state is not None:
        found.append(_is(filters.state, now))
    if filters.series_id is not None:
        found.append(Maintenance.series_id == filters.series_id)
    if filters.component_id is not None:
        found.append(
            exists().where(
                MaintenanceComponent.maintenance_id == Maintenance.id,
                MaintenanceComponent.component_id == filters.component_id,
            )
        )
    return found


def _is(state: MaintenanceState, now: datetime) -> ColumnElement[bool]:
    """`rules.maintenance.state_of` as a condition."""
    goes_on, under_way = is_ahead_or_under_way(now), is_under_way(now)
    match state:
        case MaintenanceState.SCHEDULED:
            return and_(goes_on, not_(under_way))
        case MaintenanceState.IN_PROGRESS:
            return and_(under_way, Maintenance.state != MaintenanceState.VERIFYING)
        case MaintenanceState.VERIFYING:
            return and_(under_way, Maintenance.state == state)
        case MaintenanceState.COMPLETED:
            return and_(not_(goes_on), Maintenance.state != MaintenanceState.CANCELLED)
        case MaintenanceState.CANCELLED:
            return Maintenance.state == state


# Series


def series_page(page: int, *, is_stopped: bool = False) -> Page[MaintenanceSeries] | None:
    """Recurring work, 25 a page, by title: what goes on, or what was stopped. Three queries."""
    stopped = MaintenanceSeries.stopped_at
    condition = stopped.is_not(None) if is_stopped else stopped.is_(None)
    shown = _series().order_by(MaintenanceSeries.title, MaintenanceSeries.id)
    return _page(shown, MaintenanceSeries, condition, page)


def series_for_staff(series_id: int) -> MaintenanceSeries | None:
    """Recurring work with its components and its owner. Two queries."""
    return db.session.scalars(
        _series().options(joinedload(MaintenanceSeries.owner)).where(MaintenanceSeries.id == series_id)
    ).one_or_none()


def next_occurrences(series_ids: Collection[int], now: datetime) -> dict[int, datetime]:
    """When each of these series comes next, as far as its occurrences are made. One query."""
    found = db.session.execute(
        select(Maintenance.series_id, func.min(Maintenance.starts_at))
        .where(Maintenance.series_id.in_(series_ids), Maintenance.starts_at > now, is_ahead_or_under_way(now))
        .group_by(Maintenance.series_id)
    )
    return {series_id: at for series_id, at in found if series_id is not None}


def _series() -> Select[Any]:
    return select(MaintenanceSeries).options(
        selectinload(MaintenanceSeries.components).joinedload(MaintenanceSeriesComponent.component)
    )


# What customers ask


def may_ask(maintenance_id: int, company_id: int, now: datetime) -> bool:
    """Whether this maintenance reaches the company, so that it may ask for another slot. One query."""
    components = select(MaintenanceComponent.component_id).where(MaintenanceComponent.maintenance_id == maintenance_id)
    reached = company_reached_select(components, now).subquery()
    return db.session.scalar(select(reached.c.company_id).where(reached.c.company_id == company_id)) is not None


def open_requests(page: int) -> Page[SlotRequest] | None:
    """The wishes nobody has answered, the oldest first, 25 a page. Two queries."""
    shown = _requests().order_by(SlotRequest.created_at, SlotRequest.id)
    return _page(shown, SlotRequest, SlotRequest.state == SlotState.OPEN, page)


def count_open_requests() -> int:
    """How many wishes wait for an answer. One query."""
    waiting = select(func.count()).select_from(SlotRequest).where(SlotRequest.state == SlotState.OPEN)
    return db.session.scalar(waiting) or 0


def request_for_staff(request_id: int) -> SlotRequest | None:
    """The wish with its maintenance, company and person. One query."""
    return db.session.scalars(_requests().where(SlotRequest.id == request_id)).one_or_none()


def requests_of(maintenance_id: int) -> Sequence[SlotRequest]:
    """The wishes about one maintenance, those that wait first, then the newest, at most 200. One query."""
    return db.session.scalars(
        _requests()
        .where(SlotRequest.maintenance_id == maintenance_id)
        .order_by((SlotRequest.state == SlotState.OPEN).desc(), SlotRequest.created_at.desc(), SlotRequest.id.desc())
        .limit(REQUESTS_SHOWN)
    ).all()


def requests_by_company(maintenance_id: int, company_id: int) -> Sequence[SlotRequest]:
    """What one company has asked about one maintenance, newest first. One query."""
    return db.session.scalars(
        select(SlotRequest)
        .where(SlotRequest.maintenance_id == maintenance_id, SlotRequest.company_id == company_id)
        .order_by(SlotRequest.created_at.desc(), SlotRequest.id.desc())
    ).all()


def freezes_of(company_id: int, now: datetime) -> Sequence[Freeze]:
    """When this company wants nothing touched, ahead and under way, soonest first. One query."""
    return db.session.scalars(
        select(Freeze)
        .options(joinedload(Freeze.created_by))
        .where(Freeze.company_id == company_id, _stands(now))
        .order_by(Freeze.starts_at, Freeze.id)
        .limit(FREEZES_SHOWN)
    ).all()


def freeze_of(company_id: int, public_id: str) -> Freeze | None:
    """The freeze of this company with this public id. One query."""
    return db.session.scalars(
        select(Freeze).where(Freeze.company_id == company_id, Freeze.public_id == public_id)
    ).one_or_none()


def _stands(now: datetime) -> ColumnElement[bool]:
    return and_(Freeze.removed_at.is_(None), Freeze.ends_at > now)


def _requests() -> Select[Any]:
    return select(SlotRequest).options(
        joinedload(SlotRequest.maintenance),
        joinedload(SlotRequest.company),
        joinedload(SlotRequest.person),
        joinedload(SlotRequest.answered_by),
    )


# Clashes


class OtherWork(NamedTuple):
    """Another maintenance at the same time."""

    id: int
    title: str
    starts_at: datetime
    ends_at: datetime


class FrozenTime(NamedTuple):
    """A time at which a company wants nothing touched."""

    starts_at: datetime
    ends_at: datetime
    reason: str


class CompanyClash(NamedTuple):
    """What stands against a plan at one company. `holdings` of it use what is worked on."""

    company_id: int
    name: str
    holdings: int
    works: tuple[OtherWork, ...]
    freezes: tuple[FrozenTime, ...]


@dataclass(frozen=True)
class Clashes:
    """The first companies (by name) with a clash, how many there are, and how many companies the plan reaches."""

    items: tuple[CompanyClash, ...]
    total: int
    reached: int


def clashes(
    component_ids: Collection[int],
    starts_at: datetime,
    ends_at: datetime,
    now: datetime,
    *,
    but: int | None = None,
) -> Clashes:
    """What other maintenance and which freezes meet the companies a plan reaches, while it lasts.

    Who is reached is reckoned for the start of the window; `but` is the maintenance that is planned anew. At most seven
    queries, whatever the number of companies.
    """
    at = max(starts_at, now)
    reached = company_reached_select(sorted(component_ids), at).cte("reached")
    count = db.session.scalar(select(func.count()).select_from(reached)) or 0
    if not count:
        return Clashes((), 0, 0)
    works = _works_meanwhile(starts_at, ends_at, now, but)
    frozen = and_(_stands(now), Freeze.starts_at < ends_at, Freeze.ends_at > starts_at)
    pairs = _worked_companies(sorted(works), at).subquery()
    meets = or_(
        reached.c.company_id.in_(select(pairs.c.company_id)),
        reached.c.company_id.in_(select(Freeze.company_id).where(frozen)),
    )
    total = db.session.scalar(select(func.count()).select_from(reached).where(meets)) or 0
    if not total:
        return Clashes((), 0, count)
    heads = db.session.execute(
        select(Company.id, Company.name)
        .join(reached, reached.c.company_id == Company.id)
        .where(meets)
        .order_by(Company.name_key, Company.id)
        .limit(CLASHES_SHOWN)
    ).all()
    ids = [head.id for head in heads]
    of_company: dict[int, list[OtherWork]] = {}
    found = select(pairs.c.maintenance_id, pairs.c.company_id).where(pairs.c.company_id.in_(ids))
    for maintenance_id, company_id in db.session.execute(found):
        of_company.setdefault(company_id, []).append(works[maintenance_id])
    freezes: dict[int, list[FrozenTime]] = {}
    for company_id, *stretch in db.session.execute(
        select(Freeze.company_id, Freeze.starts_at, Freeze.ends_at, Freeze.reason)
        .where(Freeze.company_id.in_(ids), frozen)
        .order_by(Freeze.starts_at, Freeze.id)
    ):
        freezes.setdefault(company_id, []).append(FrozenTime._make(stretch))
    held = _holdings_reached(sorted(component_ids), ids, at)
    items = (
        CompanyClash(
            head.id,
            head.name,
            held.get(head.id, 0),
            tuple(sorted(of_company.get(head.id, ()), key=lambda work: (work.starts_at, work.id))),
            tuple(freezes.get(head.id, ())),
        )
        for head in heads
    )
    return Clashes(tuple(items), total, count)


def _works_meanwhile(starts_at: datetime, ends_at: datetime, now: datetime, but: int | None) -> dict[int, OtherWork]:
    """Other planned work that lies over this time, by id. What overruns its end lasts on."""
    lasts = or_(Maintenance.ends_at > starts_at, and_(not_(Maintenance.ends_itself), is_under_way(now)))
    found = db.session.execute(
        select(Maintenance.id, Maintenance.title, Maintenance.starts_at, Maintenance.ends_at)
        .where(
            is_ahead_or_under_way(now),
            Maintenance.starts_at < ends_at,
            lasts,
            Maintenance.id != but if but is not None else true(),
        )
        .order_by(Maintenance.starts_at, Maintenance.id)
        .limit(WORKS_COMPARED)
    )
    return {row[0]: OtherWork(*row) for row in found}


def _worked_companies(maintenance_ids: Sequence[int], at: datetime) -> Any:
    """(maintenance_id, company_id) of the companies these maintenances reach, each once."""
    named = MaintenanceComponent

    def over(dependency: Any, joined: ColumnElement[bool]) -> Select[int, int]:
        return (
            select(named.maintenance_id, Holding.company_id)
            .join(dependency, dependency.component_id == named.component_id)
            .join(Holding, joined)
            .where(named.maintenance_id.in_(maintenance_ids), is_valid(dependency, at), is_valid(Holding, at))
        )

    return union(
        over(ServiceDependency, Holding.service_id == ServiceDependency.service_id),
        over(HoldingDependency, Holding.id == HoldingDependency.holding_id),
    )


def _holdings_reached(component_ids: Sequence[int], company_ids: Sequence[int], at: datetime) -> dict[int, int]:
    """How many holdings of each of these companies depend on the components."""

    def over(dependency: Any, joined: ColumnElement[bool]) -> Select[int, int]:
        return (
            select(Holding.id, Holding.company_id)
            .join(dependency, joined)
            .where(
                dependency.component_id.in_(component_ids),
                Holding.company_id.in_(company_ids),
                is_valid(dependency, at),
                is_valid(Holding, at),
            )
        )

    held = union(
        over(ServiceDependency, Holding.service_id == ServiceDependency.service_id),
        over(HoldingDependency, Holding.id == HoldingDependency.holding_id),
    ).subquery()
    found = db.session.execute(select(held.c.company_id, func.count()).group_by(held.c.company_id))
    return {row[0]: row[1] for row in found}


def _page(shown: Select[Any], row: Any, condition: ColumnElement[bool], page: int) -> Page[Any] | None:
    total = db.session.scalar(select(func.count()).select_from(row).where(condition)) or 0
    pages = max(1, -(-total // PER_PAGE))
    if not 1 <= page <= pages:
        return None
    items = db.session.scalars(shown.where(condition).limit(PER_PAGE).offset((page - 1) * PER_PAGE)).all()
    return Page(items, page, pages, total)
