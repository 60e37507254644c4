"""How all services are at once, for staff: counted by the database, whatever the number of holdings.

The effective status of a holding is the worst of what is stated of it, of the window it is in, and of what breaks the
components it depends on. Only holdings that differ from their service are looked at one by one.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Integer, and_, case, func, literal, or_, select, union_all

from portal.accounts.models import Company
from portal.accounts.rules import STAFF, text_key
from portal.catalogue.models import Holding, HoldingDependency, Service, ServiceDependency
from portal.catalogue.queries import is_valid
from portal.extensions import db
from portal.incidents.queries import component_statuses
from portal.services.models import ServiceUpdate, ServiceWindow, StatedPeriod, UpdateTarget, WindowHolding
from portal.services.queries.stated import is_live
from portal.services.rules import IMPLIED, NAG_AFTER, PROBLEMS, ServiceStatus, UpdateKind

PER_PAGE = 50
AHEAD_SHOWN = 8

STATUSES = tuple(ServiceStatus)
"""By rank."""


@dataclass(frozen=True)
class Breakage:
    """What breaks now, by rank of the status it implies: components, and the services that depend on them."""

    components: Mapping[int, int]
    services: Mapping[int, int]


@dataclass(frozen=True)
class Forgotten:
    """Problems of a service that nobody has said anything of for long: `since` is when the longest was last told."""

    since: datetime
    holdings: int


@dataclass(frozen=True)
class ServiceCounts:
    """A service with how many of its holdings are how, by effective status."""

    id: int
    name: str
    category: str
    icon: str
    position: int
    counts: Mapping[ServiceStatus, int]
    forgotten: Forgotten | None = None
    is_archived: bool = False

    @property
    def holdings(self) -> int:
        return sum(self.counts.values())

    @property
    def worst(self) -> ServiceStatus:
        """The worst status any of its holdings has."""
        return max((status for status, count in self.counts.items() if count), key=_rank, default=ServiceStatus.NORMAL)


@dataclass(frozen=True)
class OldestProblem:
    """The stated problem that has been open for longest."""

    service_id: int
    service_name: str
    status: ServiceStatus
    began_at: datetime


@dataclass(frozen=True)
class Ahead:
    """Scheduled service under way or ahead, the services it is on, and how many holdings are in it."""

    window: ServiceWindow
    services: tuple[str, ...]
    holdings: int


@dataclass(frozen=True)
class HolderLine:
    """A holding of a service, or of a company, as staff see it."""

    holding_id: int
    service_id: int
    service_name: str
    company_id: int
    company_name: str
    reference: str
    status: ServiceStatus
    stated: "StatedLine | None" = None
    window: ServiceWindow | None = None
    is_broken: bool = False


@dataclass(frozen=True)
class StatedLine:
    """What is stated of a holding, with what was last said of it."""

    status: ServiceStatus
    began_at: datetime
    update: ServiceUpdate


@dataclass(frozen=True)
class Lines:
    """A page of holdings, as the pager takes it."""

    items: Sequence[HolderLine]
    page: int
    pages: int
    total: int


@dataclass(frozen=True)
class Wanted:
    """What a list of holdings is narrowed to."""

    status: ServiceStatus | None = None
    text: str = ""
    service_id: int | None = None
    company_id: int | None = None
    holding_id: int | None = None


def breakage(now: datetime) -> Breakage:
    """What is broken or worked on now, as staff know it. At most four queries."""
    components = {
        component_id: IMPLIED[status].rank
        for component_id, status in component_statuses(STAFF, now).items()
        if IMPLIED[status] is not ServiceStatus.NORMAL
    }
    if not components:
        return Breakage({}, {})
    rank = _rank_of_component(ServiceDependency.component_id, components)
    services: dict[int, int] = dict(
        db.session.execute(
            select(ServiceDependency.service_id, func.max(rank))
            .where(ServiceDependency.component_id.in_(components), is_valid(ServiceDependency, now))
            .group_by(ServiceDependency.service_id)
        ).all()
    )
    return Breakage(components, services)


def problems_by_service(
    now: datetime, broken: Breakage | None = None, service_id: int | None = None
) -> dict[int, dict[ServiceStatus, int]]:
    """For each service that is held (or just this one), how many of its holdings are how. Two queries beside
    `breakage`."""
    found = broken or breakage(now)
    wanted = Wanted(service_id=service_id)
    unusual = _worst(found, now, wanted)
    totals = db.session.execute(
        select(Holding.service_id, func.count())
        .where(is_valid(Holding, now), *_narrowed(wanted))
        .group_by(Holding.service_id)
    ).all()
    exceptional = db.session.execute(
        select(Holding.service_id, unusual.c.rank, func.count())
        .join(unusual, unusual.c.holding_id == Holding.id)
        .where(is_valid(Holding, now), *_narrowed(wanted))
        .group_by(Holding.service_id, unusual.c.rank)
    ).all()
    worse: dict[int, dict[int, int]] = {}
    for each, rank, count in exceptional:
        worse.setdefault(each, {})[rank] = count
    counted = {}
    for each, total in totals:
        base = found.services.get(each, 0)
        above = {rank: count for rank, count in worse.get(each, {}).items() if rank > base}
        counts = {status: above.get(status.rank, 0) for status in STATUSES}
        counts[STATUSES[base]] = total - sum(above.values())
        counted[each] = counts
    return counted


def services_counted(now: datetime, broken: Breakage) -> list[ServiceCounts]:
    """Every service with its counts, worst first. Four queries beside `breakage`; archived ones only while held."""
    counts = problems_by_service(now, broken)
    forgotten = forgotten_by_service(now)
    nothing = dict.fromkeys(STATUSES, 0)
    services = [
        ServiceCounts(
            id=each.id,
            name=each.name,
            category=each.category,
            icon=each.icon,
            position=each.position,
            counts=counts.get(each.id, nothing),
            forgotten=forgotten.get(each.id),
            is_archived=each.archived_at is not None,
        )
        for each in db.session.execute(
            select(
                Service.id, Service.name, Service.category, Service.icon, Service.position, Service.archived_at
            ).order_by(Service.position, Service.name_key)
        )
        if each.archived_at is None or each.id in counts
    ]
    return sorted(services, key=_worst_first)


def companies_affected(now: datetime, broken: Breakage) -> int:
    """How many companies have a service with problems now. One query."""
    services = [service_id for service_id, rank in broken.services.items() if STATUSES[rank] in PROBLEMS]
    components = [component_id for component_id, rank in broken.components.items() if STATUSES[rank] in PROBLEMS]
    held = select(Holding.company_id)
    parts = [
        held.join(StatedPeriod, and_(StatedPeriod.holding_id == Holding.id, StatedPeriod.ended_at.is_(None))).where(
            is_valid(Holding, now)
        )
    ]
    if services:
        parts.append(held.where(Holding.service_id.in_(services), is_valid(Holding, now)))
    if components:
        parts.append(
            held.join(HoldingDependency, HoldingDependency.holding_id == Holding.id).where(
                HoldingDependency.component_id.in_(components), is_valid(HoldingDependency, now), is_valid(Holding, now)
            )
        )
    hit = union_all(*parts).subquery()
    return db.session.scalar(select(func.count(func.distinct(hit.c.company_id)))) or 0


def oldest_problem(now: datetime) -> OldestProblem | None:
    """The stated problem, of what is still held, that has been open for longest. One query."""
    each = StatedPeriod
    row = db.session.execute(
        select(each.service_id, Service.name, each.status, each.began_at)
        .join(Service, Service.id == each.service_id)
        .join(Holding, Holding.id == each.holding_id)
        .where(each.ended_at.is_(None), is_valid(Holding, now))
        .order_by(each.began_at, each.id)
        .limit(1)
    ).one_or_none()
    return OldestProblem(*row) if row else None


def forgotten_by_service(now: datetime, service_id: int | None = None) -> dict[int, Forgotten]:
    """By service, the open problems of which nothing was said for longer than the first nag waits. At most two queries.

    What counts is the newest update that states the problem; staff are asked about it for as long as it stands.
    """
    nagging = (ServiceUpdate.nag_at.is_not(None), ServiceUpdate.undone_at.is_(None))
    ids = db.session.scalars(
        select(ServiceUpdate.id).where(*nagging, ServiceUpdate.created_at <= now - NAG_AFTER[0])
    ).all()
    if not ids:
        return {}
    newest = (
        select(UpdateTarget.holding_id, func.max(UpdateTarget.update_id).label("update_id"))
        .join(ServiceUpdate, ServiceUpdate.id == UpdateTarget.update_id)
        .where(*nagging, *([] if service_id is None else [UpdateTarget.service_id == service_id]))
        .group_by(UpdateTarget.holding_id)
        .subquery()
    )
    found = db.session.execute(
        select(StatedPeriod.service_id, func.min(ServiceUpdate.created_at), func.count())
        .select_from(newest)
        .join(ServiceUpdate, ServiceUpdate.id == newest.c.update_id)
        .join(
            StatedPeriod,
            and_(StatedPeriod.holding_id == newest.c.holding_id, StatedPeriod.ended_at.is_(None)),
        )
        .join(Holding, Holding.id == StatedPeriod.holding_id)
        .where(newest.c.update_id.in_(ids), is_valid(Holding, now))
        .group_by(StatedPeriod.service_id)
    )
    return {each: Forgotten(since, holdings) for each, since, holdings in found}


def windows_ahead(now: datetime, service_id: int | None = None) -> list[Ahead]:
    """Scheduled service under way and ahead, soonest first, the first few. Two queries at most."""
    live = select(ServiceWindow).where(*is_live(now)).order_by(ServiceWindow.starts_at, ServiceWindow.id)
    if service_id is not None:
        inside = select(WindowHolding.window_id).where(
            WindowHolding.window_id == ServiceWindow.id,
            WindowHolding.left_at.is_(None),
            WindowHolding.service_id == service_id,
        )
        live = live.where(inside.exists())
    windows = db.session.scalars(live.limit(AHEAD_SHOWN)).all()
    if not windows:
        return []
    each = WindowHolding
    found: dict[int, list[tuple[str, int]]] = {}
    for window_id, name, holdings in db.session.execute(
        select(each.window_id, Service.name, func.count())
        .join(Service, Service.id == each.service_id)
        .where(each.window_id.in_([window.id for window in windows]), each.left_at.is_(None))
        .group_by(each.window_id, each.service_id, Service.name)
        .order_by(each.window_id, Service.name)
    ):
        found.setdefault(window_id, []).append((name, holdings))
    return [
        Ahead(window, tuple(name for name, _ in inside), sum(count for _, count in inside))
        for window in windows
        for inside in [found.get(window.id, [])]
    ]


def holder_lines(wanted: Wanted, page: int, now: datetime, broken: Breakage, total: int | None = None) -> Lines | None:
    """A page of holdings with their effective status, worst first, then by company; None for a page there is not.

    `total` is how many there are, where that is known. Four queries beside `breakage`, whatever the number of holdings.
    """
    unusual = _worst(broken, now, wanted)
    rank = _effective(unusual, broken)
    found = (
        select(Holding.id, Holding.service_id, Service.name, Holding.company_id, Company.name, Holding.reference, rank)
        .join(Company, Company.id == Holding.company_id)
        .join(Service, Service.id == Holding.service_id)
        .outerjoin(unusual, unusual.c.holding_id == Holding.id)
        .where(is_valid(Holding, now), *_narrowed(wanted))
    )
    if wanted.status is not None:
        found = found.where(rank == wanted.status.rank)
    if total is None:
        total = db.session.scalar(select(func.count()).select_from(found.subquery())) or 0
    pages = max(1, -(-total // PER_PAGE))
    if page > pages:
        return None
    rows = db.session.execute(
        found.order_by(rank.desc(), Company.name_key, Service.position, Holding.reference, Holding.id)
        .limit(PER_PAGE)
        .offset((page - 1) * PER_PAGE)
    ).all()
    return Lines(_lines(rows, now, broken), page, pages, total)


def holding_line(holding_id: int, now: datetime) -> HolderLine | None:
    """One holding that is held now, as staff see it; None otherwise."""
    broken = breakage(now)
    found = holder_lines(Wanted(holding_id=holding_id), 1, now, broken)
    return next(iter(found.items), None) if found else None


def _lines(rows: Sequence[Any], now: datetime, broken: Breakage) -> list[HolderLine]:
    ids = [row[0] for row in rows]
    stated, windows = stated_lines(ids), _windows_on(ids, now)
    return [
        HolderLine(
            holding_id=holding_id,
            service_id=service_id,
            service_name=service_name,
            company_id=company_id,
            company_name=company_name,
            reference=reference,
            status=STATUSES[rank],
            stated=stated.get(holding_id),
            window=windows.get(holding_id),
            is_broken=rank > max(_stated_rank(stated.get(holding_id)), 1 if holding_id in windows else 0),
        )
        for holding_id, service_id, service_name, company_id, company_name, reference, rank in rows
    ]


def _stated_rank(line: StatedLine | None) -> int:
    return line.status.rank if line else 0


def stated_lines(holding_ids: Collection[int]) -> dict[int, StatedLine]:
    """By holding, the problem that is stated of it, with the newest update that says so. One query."""
    if not holding_ids:
        return {}
    newest = (
        select(func.max(UpdateTarget.update_id))
        .join(ServiceUpdate, ServiceUpdate.id == UpdateTarget.update_id)
        .where(
            UpdateTarget.holding_id == StatedPeriod.holding_id,
            ServiceUpdate.status == StatedPeriod.status,
            ServiceUpdate.kind == UpdateKind.STATED,
            ServiceUpdate.undone_at.is_(None),
        )
        .scalar_subquery()
    )
    found = db.session.execute(
        select(StatedPeriod, ServiceUpdate)
        .join(ServiceUpdate, ServiceUpdate.id == func.coalesce(newest, StatedPeriod.update_id))
        .where(StatedPeriod.holding_id.in_(holding_ids), StatedPeriod.ended_at.is_(None))
    )
    return {period.holding_id: StatedLine(period.status, period.began_at, update) for period, update in found}


def _windows_on(holding_ids: Collection[int], now: datetime) -> dict[int, ServiceWindow]:
    """By holding, the window it shows: of several the one that starts first. One query."""
    if not holding_ids:
        return {}
    found: dict[int, ServiceWindow] = {}
    for holding_id, window in db.session.execute(
        select(WindowHolding.holding_id, ServiceWindow)
        .join(ServiceWindow, ServiceWindow.id == WindowHolding.window_id)
        .where(WindowHolding.holding_id.in_(holding_ids), WindowHolding.left_at.is_(None), *is_live(now))
        .order_by(ServiceWindow.starts_at, ServiceWindow.id)
    ):
        found.setdefault(holding_id, window)
    return found


# The statements


def _worst(broken: Breakage, now: datetime, wanted: Wanted | None = None) -> Any:
    """(holding_id, rank) of each holding that something is stated of, planned on, or broken beneath by itself."""
    narrow = wanted or Wanted()
    stated = select(StatedPeriod.holding_id, _rank_of_status(StatedPeriod.status).label("rank")).where(
        StatedPeriod.ended_at.is_(None), *_of(StatedPeriod, narrow)
    )
    planned = (
        select(WindowHolding.holding_id, literal(ServiceStatus.SCHEDULED.rank, Integer()).label("rank"))
        .join(ServiceWindow, ServiceWindow.id == WindowHolding.window_id)
        .where(WindowHolding.left_at.is_(None), *is_live(now), *_of(WindowHolding, narrow))
    )
    parts: list[Any] = [stated, planned]
    if broken.components:
        own = select(
            HoldingDependency.holding_id,
            _rank_of_component(HoldingDependency.component_id, broken.components).label("rank"),
        ).where(HoldingDependency.component_id.in_(broken.components), is_valid(HoldingDependency, now))
        parts.append(own)
    all_of_them = union_all(*parts).subquery()
    return (
        select(all_of_them.c.holding_id, func.max(all_of_them.c.rank).label("rank"))
        .group_by(all_of_them.c.holding_id)
        .subquery()
    )


def _effective(unusual: Any, broken: Breakage) -> ColumnElement[int]:
    """The rank of a holding: the worse of its service's and its own."""
    own = func.coalesce(unusual.c.rank, 0)
    if not broken.services:
        return own
    base = case(
        *(
            (Holding.service_id.in_([each for each, found in broken.services.items() if found == rank]), rank)
            for rank in sorted(set(broken.services.values()))
        ),
        else_=0,
    )
    return case((own > base, own), else_=base)


def _narrowed(wanted: Wanted) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.service_id is not None:
        conditions.append(Holding.service_id == wanted.service_id)
    if wanted.company_id is not None:
        conditions.append(Holding.company_id == wanted.company_id)
    if wanted.holding_id is not None:
        conditions.append(Holding.id == wanted.holding_id)
    if wanted.text:
        key = text_key(wanted.text)
        held = or_(
            Company.name_key.contains(key, autoescape=True),
            Holding.reference_key.contains(key, autoescape=True),
        )
        if wanted.service_id is None:
            held = or_(held, Service.name_key.contains(key, autoescape=True))
        conditions.append(held)
    return conditions


def _of(row: Any, wanted: Wanted) -> list[ColumnElement[bool]]:
    """The same for rows that name their service, company and holding."""
    names = ("service_id", "company_id", "holding_id")
    return [getattr(row, name) == getattr(wanted, name) for name in names if getattr(wanted, name) is not None]


def _rank_of_status(column: Any) -> ColumnElement[int]:
    return case(*((column == status, status.rank) for status in PROBLEMS), else_=0)


def _rank_of_component(column: Any, components: Mapping[int, int]) -> ColumnElement[int]:
    return case(
        *(
            (column.in_([each for each, found in components.items() if found == rank]), rank)
            for rank in sorted(set(components.values()))
        ),
        else_=0,
    )


def _rank(status: ServiceStatus) -> int:
    return status.rank


def _worst_first(each: ServiceCounts) -> tuple[Any, ...]:
    return (
        *(-each.counts[status] if each.counts[status] else 1 for status in reversed(STATUSES[1:])),
        each.position,
        each.name,
    )
