"""Reading incidents and maintenance, always from a viewpoint.

Private reports and private updates leave this module for staff only. Who is reached by a report is decided at
the moment it was fixed, or now while it is open; one SQL condition says so for lists, single rows and counts.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any, Generic, TypeVar

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    String,
    and_,
    bindparam,
    case,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
    true,
)
from sqlalchemy.orm import selectinload

from portal.accounts.models import Company
from portal.accounts.rules import SIGNED_OUT, STAFF, Viewpoint
from portal.catalogue.models import Component, Holding, HoldingDependency, ServiceDependency
from portal.catalogue.queries import company_reached_select, is_valid
from portal.database import UTCDateTime
from portal.extensions import db
from portal.incidents.models import (
    ComponentHistory,
    ImpactInterval,
    Incident,
    IncidentComponent,
    IncidentUpdate,
    Maintenance,
    MaintenanceComponent,
    SeverityChange,
)
from portal.incidents.rules import (
    OPEN_MAINTENANCE,
    Audience,
    ComponentStatus,
    Impact,
    Interval,
    MaintenanceState,
    PageStatus,
    Severity,
    State,
    Visibility,
    day_start,
    down_seconds,
    effective_status,
    overlaid,
    pack_days,
    roll_up,
)
from portal.notifications.models import Broadcast
from portal.notifications.rules import BroadcastState

OPEN_AT_MOST = 100
"""How many open incidents a page shows; a business with more has other troubles than a list."""

PER_PAGE = 25
HISTORY_SHOWN = 90
"""Days in a history bar."""


T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list, with how many there are. `pages` is at least 1."""

    items: Sequence[T]
    page: int
    pages: int
    total: int
    per_page: int = PER_PAGE


@dataclass(frozen=True)
class Concerning:
    """The open incidents that concern one company, worst first, and how many others it may see."""

    mine: Sequence[Incident]
    others: int


@dataclass(frozen=True)
class HistoryBar:
    """The last days of a component: one digit per UTC day, 0 none to 3 major, the last one today."""

    component_id: int
    first_day: date
    days: str


@dataclass(frozen=True)
class Filters:
    """What the report history is narrowed by; None and "" narrow nothing."""

    text: str = ""
    state: State | None = None
    is_open: bool | None = None
    visibility: Visibility | None = None
    component_id: int | None = None


def open_incidents(viewpoint: Viewpoint, now: datetime) -> Sequence[Incident]:
    """The open incidents that exist from this viewpoint, worst first, with components and updates. Three queries."""
    return db.session.scalars(
        _shown(viewpoint, with_changes=False)
        .where(Incident.resolved_at.is_(None), _visible_to(Incident, viewpoint, now))
        .order_by(*_worst_first())
        .limit(OPEN_AT_MOST)
    ).all()


def open_incident_heads(limit: int) -> Sequence[Incident]:
    """Open incidents as staff see them, worst first, without their timelines. One query."""
    return db.session.scalars(
        select(Incident).where(Incident.resolved_at.is_(None)).order_by(*_worst_first()).limit(limit)
    ).all()


def visible_incident(viewpoint: Viewpoint, public_id: str, now: datetime) -> Incident | None:
    """The incident with this public id, if it exists from this viewpoint."""
    return db.session.scalars(
        _shown(viewpoint)
        .where(Incident.public_id == public_id, _visible_to(Incident, viewpoint, now))
        .order_by(Incident.id)
        .limit(1)
    ).one_or_none()


def incident_for_staff(incident_id: int) -> Incident | None:
    """The incident with its components and its whole timeline: authors and private updates too."""
    return db.session.scalars(
        _shown(STAFF)
        .options(selectinload(Incident.updates).joinedload(IncidentUpdate.author))
        .where(Incident.id == incident_id)
    ).one_or_none()


def past_incidents(viewpoint: Viewpoint, page: int, now: datetime) -> Page[Incident] | None:
    """Fixed incidents, newest first, 25 a page. None for a page that does not exist (page 1 always does)."""
    condition = and_(Incident.resolved_at.is_not(None), _visible_to(Incident, viewpoint, now))
    return _page(_shown(viewpoint), condition, page)


def recently_fixed(viewpoint: Viewpoint, limit: int, now: datetime) -> Sequence[Incident]:
    """The last fixed incidents, newest first, without components or timelines. One query."""
    return db.session.scalars(
        select(Incident)
        .where(Incident.resolved_at.is_not(None), _visible_to(Incident, viewpoint, now))
        .order_by(Incident.started_at.desc(), Incident.id.desc())
        .limit(limit)
    ).all()


def report_history(filters: Filters, page: int) -> Page[Incident] | None:
    """All reports as staff see them, newest first, 25 a page, with their components but no timelines."""
    shown = select(Incident).options(selectinload(Incident.components).joinedload(IncidentComponent.component))
    return _page(shown, and_(true(), *_narrowed(filters)), page)


def updates_for(viewpoint: Viewpoint, incident: Incident) -> list[IncidentUpdate]:
    """The updates of a loaded incident that exist from this viewpoint, newest first."""
    return [update for update in incident.updates if viewpoint.is_staff or update.visibility is Visibility.PUBLIC]


def component_statuses(viewpoint: Viewpoint, now: datetime) -> dict[int, ComponentStatus]:
    """The effective status of every live component, for this viewpoint. Three queries."""
    impacts: dict[int, list[Severity]] = {}
    rows = db.session.execute(
        select(IncidentComponent.component_id, IncidentComponent.severity)
        .join(Incident, Incident.id == IncidentComponent.incident_id)
        .where(
            Incident.resolved_at.is_(None),
            IncidentComponent.severity != Severity.NONE,
            _visible_to(Incident, viewpoint, now),
        )
    )
    for component_id, severity in rows:
        impacts.setdefault(component_id, []).append(severity)
    maintained = components_under_maintenance(viewpoint, now)
    live = db.session.scalars(select(Component.id).where(Component.archived_at.is_(None)))
    return {
        component_id: effective_status(impacts.get(component_id, ()), under_maintenance=component_id in maintained)
        for component_id in live
    }


def page_status(viewpoint: Viewpoint, now: datetime) -> PageStatus:
    """The roll-up of the whole page, for this viewpoint. Four queries."""
    impacts = db.session.scalars(
        select(Incident.impact).where(Incident.resolved_at.is_(None), _visible_to(Incident, viewpoint, now)).distinct()
    ).all()
    return roll_up(list(component_statuses(viewpoint, now).values()), impacts)


def concerning(company_id: int, now: datetime) -> Concerning:
    """What concerns this company among the open incidents it may see, and how many others there are.

    An incident concerns it if its components reach it, or reach nobody. Only the open incidents and what this
    company holds are touched. At most four queries.
    """
    mine, others = concerning_ids(company_id, now)
    if not mine:
        return Concerning((), others)
    shown = db.session.scalars(_concerning(), {"ids": mine[:OPEN_AT_MOST]}).all()
    return Concerning(shown, others)


def concerning_ids(company_id: int, now: datetime) -> tuple[list[int], int]:
    """The open incidents that concern this company, worst first, and how many others it may see. One query."""
    heads = db.session.execute(_open_heads(), {"now": now, "company_id": company_id}).all()
    mine = [incident_id for incident_id, _, reaches_it, reaches_any in heads if reaches_it or not reaches_any]
    others = sum(
        1
        for _, audience, reaches_it, reaches_any in heads
        if reaches_any and not reaches_it and audience is Audience.EVERYONE
    )
    return mine, others


@cache
def _open_heads() -> Select[int, Audience, bool, bool]:
    """The open public incidents and whom they reach: `now` and `company_id` are given when it is executed.

    Built once: with its four ways through the graph it costs more to build than to run.
    """
    now, company_id = _given()
    return (
        select(Incident.id, Incident.audience, _reaches(Incident, now, company_id), _reaches(Incident, now))
        .where(Incident.resolved_at.is_(None), Incident.visibility == Visibility.PUBLIC)
        .order_by(*_worst_first())
    )


def open_maintenance(viewpoint: Viewpoint, now: datetime) -> Sequence[Maintenance]:
    """Maintenance under way or ahead, soonest first, with components and updates, for this viewpoint."""
    statement = _open_maintenance(viewpoint.is_staff, viewpoint.company_id is not None)
    return db.session.scalars(statement, {"now": now, "company_id": viewpoint.company_id}).all()


@cache
def _concerning() -> Select[Incident]:
    """The incidents of given `ids` as any company sees them, built once."""
    any_company = Viewpoint(company_id=0)
    wanted = Incident.id.in_(bindparam("ids", expanding=True))
    return _shown(any_company, with_changes=False).where(wanted).order_by(*_worst_first())


@cache
def _open_maintenance(is_staff: bool, is_company: bool) -> Select[Any]:
    """Open maintenance for a kind of viewpoint, built once as `_open_heads` is."""
    now, company_id = _given()
    viewpoint = Viewpoint(is_staff=is_staff, company_id=company_id if is_company else None)
    return (
        select(Maintenance)
        .options(
            selectinload(Maintenance.components).joinedload(MaintenanceComponent.component),
            selectinload(Maintenance.updates),
        )
        .where(_is_ahead_or_under_way(now), _visible_to(Maintenance, viewpoint, now))
        .order_by(Maintenance.starts_at, Maintenance.id)
        .limit(OPEN_AT_MOST)
    )


def _given() -> tuple[Any, Any]:
    """The moment and the company that a statement built once is executed for."""
    return bindparam("now", type_=UTCDateTime()), bindparam("company_id", type_=Integer())


def components_under_maintenance(viewpoint: Viewpoint, now: datetime) -> frozenset[int]:
    """The components that are being worked on now, for this viewpoint. One query."""
    return frozenset(
        db.session.scalars(
            select(MaintenanceComponent.component_id)
            .join(Maintenance, Maintenance.id == MaintenanceComponent.maintenance_id)
            .where(_is_under_way(now), _visible_to(Maintenance, viewpoint, now))
        )
    )


def next_boundary(now: datetime) -> datetime | None:
    """The next moment at which a window of maintenance begins or ends: until then a cached page may live. One query."""
    begins = select(Maintenance.starts_at.label("at")).where(
        Maintenance.starts_at > now, Maintenance.state == MaintenanceState.SCHEDULED
    )
    ends = select(Maintenance.ends_at.label("at")).where(Maintenance.ends_at > now, _not_ended())
    moments = begins.union_all(ends).subquery()
    found: datetime | None = db.session.scalar(select(func.min(moments.c.at)))
    return found


def history_bars(
    component_ids: Collection[int], now: datetime, viewpoint: Viewpoint = SIGNED_OUT
) -> dict[int, HistoryBar]:
    """The last 90 days of each component. Two queries signed out, three for another viewpoint.

    Packed days end when they were last written; what is still open fills the days since then. What only this
    viewpoint sees (reports for the affected, private ones for staff) is laid over it.
    """
    last_day = now.date()
    first_day = last_day - timedelta(days=HISTORY_SHOWN - 1)
    columns = (ComponentHistory.component_id, ComponentHistory.days, ComponentHistory.last_day)
    rows = db.session.execute(select(*columns).where(ComponentHistory.component_id.in_(component_ids)))
    packed = {row.component_id: row for row in rows}
    everyone = _visible_to(Incident, SIGNED_OUT, now)
    lasting = _stretches(component_ids, and_(everyone, ImpactInterval.to_at.is_(None)))
    extra: Mapping[int, list[Interval]] = {}
    if not viewpoint.is_signed_out:
        since = or_(ImpactInterval.to_at.is_(None), ImpactInterval.to_at > day_start(first_day))
        extra = _stretches(component_ids, and_(since, _visible_to(Incident, viewpoint, now), ~everyone))
    bars = {}
    for component_id in component_ids:
        days = pack_days([*lasting.get(component_id, ()), *extra.get(component_id, ())], first_day, last_day)
        if row := packed.get(component_id):
            days = overlaid(days, _moved(row.days, date.fromisoformat(row.last_day), last_day))
        bars[component_id] = HistoryBar(component_id, first_day, days)
    return bars


def uptimes(components: Collection[Component], now: datetime, viewpoint: Viewpoint | None = None) -> dict[int, float]:
    """The share of the last 90 days (UTC) each component was up, 0 to 1, for this viewpoint. One query.

    Counted by `rules.down_seconds`, from the component's creation if that is later and nothing is known before.
    """
    begin = day_start(now.date() - timedelta(days=HISTORY_SHOWN - 1))
    recent = or_(ImpactInterval.to_at.is_(None), ImpactInterval.to_at > begin)
    visible = _visible_to(Incident, viewpoint or Viewpoint(), now)
    stretches = _stretches([component.id for component in components], and_(recent, visible))
    shares = {}
    for component in components:
        hits = stretches.get(component.id, [])
        since = max(begin, min([component.created_at, *(hit.from_at for hit in hits)]))
        span = (now - since).total_seconds()
        shares[component.id] = 1 - down_seconds(hits, since, now) / span if span > 0 else 1.0
    return shares


def broadcasts_of(incident: Incident) -> dict[int, Broadcast]:
    """The broadcasts about the updates of a loaded incident, by update id. One query."""
    keys = {notify_key(update.id): update.id for update in incident.updates}
    found = db.session.scalars(select(Broadcast).where(Broadcast.idempotency_key.in_(keys)))
    return {keys[broadcast.idempotency_key]: broadcast for broadcast in found}


def companies_reached(component_ids: Collection[int], now: datetime, limit: int) -> Sequence[Company]:
    """The first companies, by name, that these components reach. One query."""
    reached = company_reached_select(component_ids, now)
    return db.session.scalars(
        select(Company).where(Company.id.in_(reached)).order_by(Company.name_key).limit(limit)
    ).all()


def unfinished_broadcasts(idempotency_keys: Collection[str]) -> Sequence[Broadcast]:
    """Those of the broadcasts with these keys that may still send something. One query."""
    return db.session.scalars(
        select(Broadcast).where(
            Broadcast.idempotency_key.in_(idempotency_keys),
            Broadcast.state.not_in([BroadcastState.DONE, BroadcastState.CANCELLED]),
        )
    ).all()


def notify_key(update_id: int) -> str:
    """The idempotency key of the broadcast about an update: one update is mailed once, whatever happens."""
    return f"incident_update:{update_id}:notify"


def last_public_update_at(incident_ids: Collection[int]) -> dict[int, datetime]:
    """When each of these incidents last had a public update. One query."""
    rows = db.session.execute(
        select(IncidentUpdate.incident_id, func.max(IncidentUpdate.posted_at))
        .where(IncidentUpdate.incident_id.in_(incident_ids), IncidentUpdate.visibility == Visibility.PUBLIC)
        .group_by(IncidentUpdate.incident_id)
    )
    return dict(rows.all())


def search(viewpoint: Viewpoint, text: str, now: datetime, limit: int = 10) -> Sequence[Incident]:
    """Incidents whose title or visible updates hold this text, newest first, for this viewpoint."""
    wanted = text.strip()
    if not wanted:
        return ()
    return db.session.scalars(
        select(Incident)
        .where(_visible_to(Incident, viewpoint, now), _holds_text(wanted, viewpoint))
        .order_by(Incident.started_at.desc(), Incident.id.desc())
        .limit(limit)
    ).all()


# What is loaded, and in which order


def _shown(viewpoint: Viewpoint, *, with_changes: bool = True) -> Select[Any]:
    """Incidents with their components and the updates of this viewpoint. Four queries in all, three without changes.

    Loaded anew even where the session knows the row: a timeline loaded for staff must not be shown to anybody else.
    """
    updates: Any = Incident.updates
    if not viewpoint.is_staff:
        updates = Incident.updates.and_(IncidentUpdate.visibility == Visibility.PUBLIC)
    timeline: Any = selectinload(updates)
    if with_changes:
        timeline = timeline.selectinload(IncidentUpdate.changes).joinedload(SeverityChange.component)
    return (
        select(Incident)
        .options(
            selectinload(Incident.components).joinedload(IncidentComponent.component).joinedload(Component.group),
            timeline,
        )
        .execution_options(populate_existing=True)
    )


def _worst_first() -> tuple[ColumnElement[Any], ...]:
    weight = case({impact.value: number for number, impact in enumerate(Impact)}, value=cast(Incident.impact, String))
    return weight.desc(), Incident.started_at.desc(), Incident.id.desc()


def _page(shown: Select[Any], condition: ColumnElement[bool], page: int) -> Page[Incident] | None:
    total = db.session.scalar(select(func.count()).select_from(Incident).where(condition)) or 0
    pages = max(1, -(-total // PER_PAGE))
    if not 1 <= page <= pages:
        return None
    items = db.session.scalars(
        shown.where(condition)
        .order_by(Incident.started_at.desc(), Incident.id.desc())
        .limit(PER_PAGE)
        .offset((page - 1) * PER_PAGE)
    ).all()
    return Page(items, page, pages, total)


def _narrowed(filters: Filters) -> Iterable[ColumnElement[bool]]:
    if filters.text.strip():
        yield _holds_text(filters.text.strip(), STAFF)
    if filters.state is not None:
        yield Incident.state == filters.state
    if filters.is_open is not None:
        yield Incident.resolved_at.is_(None) if filters.is_open else Incident.resolved_at.is_not(None)
    if filters.visibility is not None:
        yield Incident.visibility == filters.visibility
    if filters.component_id is not None:
        yield exists().where(
            IncidentComponent.incident_id == Incident.id, IncidentComponent.component_id == filters.component_id
        )


def _holds_text(text: str, viewpoint: Viewpoint) -> ColumnElement[bool]:
    in_update = exists().where(
        IncidentUpdate.incident_id == Incident.id, IncidentUpdate.body.icontains(text, autoescape=True)
    )
    if not viewpoint.is_staff:
        in_update = in_update.where(IncidentUpdate.visibility == Visibility.PUBLIC)
    return or_(Incident.title.icontains(text, autoescape=True), in_update)


# Who sees what


def _visible_to(row: Any, viewpoint: Viewpoint, now: datetime) -> ColumnElement[bool]:
    """`rules.is_visible` as a condition over incidents or maintenance; a test holds the two together."""
    if viewpoint.is_staff:
        return true()
    public = row.visibility == Visibility.PUBLIC
    for_everyone = row.audience == Audience.EVERYONE
    if viewpoint.company_id is None:
        return and_(public, for_everyone)
    return and_(public, or_(for_everyone, _reaches(row, now, viewpoint.company_id), ~_reaches(row, now)))


def _reaches(row: Any, now: datetime, company_id: int | None = None) -> ColumnElement[bool]:
    """Whether the components named by an incident or maintenance reach this company, or any at all.

    Decided when it ended, or now. Follows the graph from the row's few components, through indexes that begin
    with the service and the company, so the number of companies does not matter.
    """
    moment = _moment_of(row, now)
    named: Any = IncidentComponent if row is Incident else MaintenanceComponent
    belongs = (IncidentComponent.incident_id if row is Incident else MaintenanceComponent.maintenance_id) == row.id
    whose = Holding.company_id == company_id if company_id is not None else Company.archived_at.is_(None)

    def over(dependency: Any, joined: ColumnElement[bool]) -> ColumnElement[bool]:
        holds = (
            select(1)
            .select_from(named)
            .join(dependency, dependency.component_id == named.component_id)
            .join(Holding, joined)
            .where(belongs, is_valid(dependency, moment), is_valid(Holding, moment), whose)
        )
        if company_id is None:
            holds = holds.join(Company, Company.id == Holding.company_id)
        return holds.correlate(row).exists()

    return or_(
        over(ServiceDependency, Holding.service_id == ServiceDependency.service_id),
        over(HoldingDependency, Holding.id == HoldingDependency.holding_id),
    )


def _moment_of(row: Any, now: Any) -> Any:
    at = now if isinstance(now, ColumnElement) else literal(now, UTCDateTime())
    if row is Incident:
        return func.coalesce(Incident.resolved_at, at)
    return case((Maintenance.ends_at < at, Maintenance.ends_at), else_=at)


# Maintenance by the clock: `rules.maintenance_state` as conditions


def _not_ended() -> ColumnElement[bool]:
    return Maintenance.state.not_in([MaintenanceState.CANCELLED, MaintenanceState.COMPLETED])


def _is_under_way(now: datetime) -> ColumnElement[bool]:
    begun = or_(Maintenance.starts_at <= now, Maintenance.state.in_(OPEN_MAINTENANCE))
    return and_(_not_ended(), begun, Maintenance.ends_at > now)


def _is_ahead_or_under_way(now: datetime) -> ColumnElement[bool]:
    return and_(_not_ended(), Maintenance.ends_at > now)


# Packed days


def _stretches(component_ids: Collection[int], condition: ColumnElement[bool]) -> dict[int, list[Interval]]:
    rows = db.session.execute(
        select(ImpactInterval.component_id, ImpactInterval.severity, ImpactInterval.from_at, ImpactInterval.to_at)
        .join(Incident, Incident.id == ImpactInterval.incident_id)
        .where(ImpactInterval.component_id.in_(component_ids), condition)
    )
    found: dict[int, list[Interval]] = {}
    for component_id, severity, from_at, to_at in rows:
        found.setdefault(component_id, []).append(Interval(severity, from_at, to_at))
    return found


def _moved(days: str, written: date, last_day: date) -> str:
    """Packed days that end on `written`, as the shown days that end on `last_day`; later ones are filled with none."""
    passed = max(0, (last_day - written).days)
    return (days + "0" * passed)[-HISTORY_SHOWN:].rjust(HISTORY_SHOWN, "0")
