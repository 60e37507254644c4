"""Reading incidents and maintenance, always from a viewpoint.

Private reports and private updates leave this module for staff only. Who is reached by a report is decided at
the moment it was fixed, or now while it is open; one SQL condition says so for lists, single rows and counts.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import (
    ColumnElement,
    Executable,
    Integer,
    Select,
    and_,
    bindparam,
    exists,
    false,
    func,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.orm import selectinload, with_expression

from portal.accounts.models import Company
from portal.accounts.rules import STAFF, Viewpoint
from portal.catalogue.models import Component
from portal.catalogue.queries import company_reached_select
from portal.extensions import db, rows
from portal.incidents.models import (
    BaseStatus,
    Incident,
    IncidentComponent,
    IncidentUpdate,
    Maintenance,
    MaintenanceComponent,
    SeverityChange,
)
from portal.incidents.queries.base import standing_by_hand
from portal.incidents.queries.conditions import (
    given,
    is_ahead_or_under_way,
    is_under_way,
    kind_of,
    not_ended,
    stands,
    visible_to,
    visible_to_kind,
    worst_first,
)
from portal.incidents.queries.last_days import History as History
from portal.incidents.queries.last_days import HistoryBar as HistoryBar
from portal.incidents.queries.last_days import group_histories as group_histories
from portal.incidents.queries.last_days import grouped_histories as grouped_histories
from portal.incidents.queries.last_days import histories as histories
from portal.incidents.queries.last_days import history_bars as history_bars
from portal.incidents.queries.last_days import uptimes as uptimes
from portal.incidents.queries.open_now import OPEN_AT_MOST, OpenIncident, OpenWork
from portal.incidents.queries.wordings import (
    body_for,
    own_words_for,
    text_for,
    text_for_kind,
    worded_incidents,
    worded_maintenance,
)
from portal.incidents.rules import (
    STATUS_OF_SEVERITY,
    ComponentStatus,
    MaintenanceState,
    Severity,
    State,
    Visibility,
    effective_status,
)
from portal.incidents.rules.maintenance import is_under_way as is_worked_on
from portal.incidents.rules.postmortems import notify_key as postmortem_key
from portal.language import current
from portal.notifications.models import Broadcast
from portal.notifications.rules import BroadcastState

PER_PAGE = 25

T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list, with how many there are. `pages` is at least 1."""

    items: Sequence[T]
    page: int
    pages: int
    total: int
    per_page: int = PER_PAGE


class FixedIncident(NamedTuple):
    """What a list of past incidents says of one."""

    public_id: str
    title: str
    state: State
    started_at: datetime
    resolved_at: datetime


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
    found = db.session.scalars(
        _shown(viewpoint, with_changes=False)
        .where(Incident.resolved_at.is_(None), visible_to(Incident, viewpoint, now))
        .order_by(*worst_first())
        .limit(OPEN_AT_MOST)
    ).all()
    worded_incidents(found, viewpoint)
    return found


def open_incident_heads(limit: int) -> Sequence[Incident]:
    """Open incidents as staff see them, worst first, without their timelines. One query."""
    return db.session.scalars(
        select(Incident).where(Incident.resolved_at.is_(None)).order_by(*worst_first()).limit(limit)
    ).all()


def visible_incident(viewpoint: Viewpoint, public_id: str, now: datetime) -> Incident | None:
    """The incident with this public id, if it exists from this viewpoint."""
    found = db.session.scalars(
        _shown(viewpoint)
        .where(Incident.public_id == public_id, visible_to(Incident, viewpoint, now))
        .order_by(Incident.id)
        .limit(1)
    ).all()
    worded_incidents(found, viewpoint)
    return found[0] if found else None


def incident_for_staff(incident_id: int) -> Incident | None:
    """The incident with its components and its whole timeline: authors and private updates too."""
    return db.session.scalars(
        _shown(STAFF)
        .options(selectinload(Incident.updates).joinedload(IncidentUpdate.author))
        .where(Incident.id == incident_id)
    ).one_or_none()


def past_incidents(viewpoint: Viewpoint, page: int, now: datetime) -> Page[Incident] | None:
    """Fixed incidents, newest first, 25 a page. None for a page that does not exist (page 1 always does)."""
    condition = and_(Incident.resolved_at.is_not(None), visible_to(Incident, viewpoint, now))
    found = _page(_shown(viewpoint), condition, page)
    worded_incidents(found.items if found else (), viewpoint)
    return found


def recently_fixed(viewpoint: Viewpoint, limit: int, now: datetime) -> Sequence[FixedIncident]:
    """The last fixed incidents, newest first, as rows. One query."""
    statement = _recently_fixed(kind_of(viewpoint))
    found = rows(statement, now=now, company_id=viewpoint.company_id, limit=limit, language=current())
    return [FixedIncident._make(row) for row in found]


@cache
def _recently_fixed(kind: Viewpoint) -> Select[*tuple[Any, ...]]:
    """Built once for each kind of viewpoint, as all that the status page asks: building costs more than running."""
    title = text_for_kind(kind, Incident.title, Incident.titles).label("title")
    return (
        select(Incident.public_id, title, Incident.state, Incident.started_at, Incident.resolved_at)
        .where(Incident.resolved_at.is_not(None), visible_to_kind(Incident, kind))
        .order_by(Incident.started_at.desc(), Incident.id.desc())
        .limit(bindparam("limit", type_=Integer()))
    )


def report_history(filters: Filters, page: int) -> Page[Incident] | None:
    """All reports as staff see them, newest first, 25 a page, with their components but no timelines."""
    shown = select(Incident).options(selectinload(Incident.components).joinedload(IncidentComponent.component))
    return _page(shown, and_(true(), *_narrowed(filters)), page)


def updates_for(viewpoint: Viewpoint, incident: Incident) -> list[IncidentUpdate]:
    """The updates of a loaded incident that exist from this viewpoint, newest first."""
    return [update for update in incident.updates if viewpoint.is_staff or update.visibility is Visibility.PUBLIC]


def component_statuses(viewpoint: Viewpoint, now: datetime) -> dict[int, ComponentStatus]:
    """The effective status of every live component, for this viewpoint. Three queries."""
    live = db.session.scalars(select(Component.id).where(Component.archived_at.is_(None))).all()
    return statuses_of(live, viewpoint, now)


def statuses_of(component_ids: Iterable[int], viewpoint: Viewpoint, now: datetime) -> dict[int, ComponentStatus]:
    """The effective status of each of these components, for this viewpoint. Two queries."""
    impacts: dict[int, list[Severity]] = {}
    by_hand: dict[int, Severity] = {}
    found = rows(_standing(kind_of(viewpoint)), now=now, company_id=viewpoint.company_id)
    for component_id, severity, is_by_hand in found:
        if is_by_hand:
            by_hand[component_id] = severity
        else:
            impacts.setdefault(component_id, []).append(severity)
    return _effective(component_ids, by_hand, impacts, components_under_maintenance(viewpoint, now))


def statuses_under(
    open_incidents: Sequence[OpenIncident],
    work: Sequence[OpenWork],
    component_ids: Sequence[int],
    viewpoint: Viewpoint,
    now: datetime,
) -> dict[int, ComponentStatus]:
    """What `statuses_of` finds, from all that `open_now` and `open_work` have found for the same viewpoint.

    One query, for what is set by hand; two where there may be more than they tell of.
    """
    if max(len(open_incidents), len(work)) >= OPEN_AT_MOST:
        return statuses_of(component_ids, viewpoint, now)
    impacts: dict[int, list[Severity]] = {}
    for hit in (hit for incident in open_incidents for hit in incident.components):
        impacts.setdefault(hit.component_id, []).append(hit.severity)
    under_way = (each for each in work if is_worked_on(each, now))
    maintained = {part.component_id for each in under_way for part in each.components}
    return _effective(component_ids, standing_by_hand(now), impacts, maintained)


def _effective(
    component_ids: Iterable[int],
    by_hand: Mapping[int, Severity],
    impacts: Mapping[int, Sequence[Severity]],
    maintained: AbstractSet[int],
) -> dict[int, ComponentStatus]:
    found = dict.fromkeys(component_ids, effective_status((), under_maintenance=False))
    for component_id in found.keys() & (by_hand.keys() | impacts.keys() | maintained):
        found[component_id] = effective_status(
            impacts.get(component_id, ()),
            under_maintenance=component_id in maintained,
            baseline=STATUS_OF_SEVERITY[by_hand.get(component_id, Severity.NONE)],
        )
    return found


@cache
def _standing(kind: Viewpoint) -> Executable:
    """The severities that stand, of all open incidents and of what is set by hand, and which of the two it is."""
    now, _ = given()
    hit = (
        select(IncidentComponent.component_id, IncidentComponent.severity, false().label("is_by_hand"))
        .join(Incident, Incident.id == IncidentComponent.incident_id)
        .where(
            Incident.resolved_at.is_(None),
            IncidentComponent.severity != Severity.NONE,
            visible_to_kind(Incident, kind),
        )
    )
    return union_all(hit, select(BaseStatus.component_id, BaseStatus.severity, true()).where(stands(now)))


def open_maintenance(viewpoint: Viewpoint, now: datetime) -> Sequence[Maintenance]:
    """Maintenance under way or ahead, soonest first, with components and updates, for this viewpoint."""
    found = db.session.scalars(
        select(Maintenance)
        .options(
            selectinload(Maintenance.components).joinedload(MaintenanceComponent.component),
            selectinload(Maintenance.updates),
        )
        .where(is_ahead_or_under_way(now), visible_to(Maintenance, viewpoint, now))
        .order_by(Maintenance.starts_at, Maintenance.id)
        .limit(OPEN_AT_MOST)
        .execution_options(populate_existing=not viewpoint.is_staff)
    ).all()
    worded_maintenance(found, viewpoint)
    return found


def components_under_maintenance(viewpoint: Viewpoint, now: datetime) -> frozenset[int]:
    """The components that are being worked on now, for this viewpoint. One query."""
    found = rows(_under_maintenance(kind_of(viewpoint)), now=now, company_id=viewpoint.company_id)
    return frozenset(component_id for (component_id,) in found)


@cache
def _under_maintenance(kind: Viewpoint) -> Select[int]:
    now, _ = given()
    return (
        select(MaintenanceComponent.component_id)
        .join(Maintenance, Maintenance.id == MaintenanceComponent.maintenance_id)
        .where(is_under_way(now), visible_to_kind(Maintenance, kind))
    )


def next_boundary(now: datetime) -> datetime | None:
    """The next moment at which a window of maintenance begins or ends, or what was set by hand ends by itself.

    Until then a cached page may live. One query.
    """
    (found,) = rows(_next_boundary(), now=now)
    moment: datetime | None = found.at
    return moment


@cache
def _next_boundary() -> Select[datetime]:
    now, _ = given()
    begins = select(Maintenance.starts_at.label("at")).where(
        Maintenance.starts_at > now, Maintenance.starts_itself, Maintenance.state == MaintenanceState.SCHEDULED
    )
    ends = select(Maintenance.ends_at.label("at")).where(
        Maintenance.ends_at > now, Maintenance.ends_itself, not_ended()
    )
    by_hand = select(BaseStatus.to_at.label("at")).where(BaseStatus.to_at > now)
    moments = begins.union_all(ends, by_hand).subquery()
    return select(func.min(moments.c.at).label("at"))


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


def broadcasts_to_stop(idempotency_keys: Collection[str], now: datetime) -> Sequence[Broadcast]:
    """Those of the broadcasts with these keys of which something may still go out, also because somebody has it tried
    once more; locked, in the order of their ids. One query.
    """
    return db.session.scalars(
        select(Broadcast)
        .where(
            Broadcast.idempotency_key.in_(idempotency_keys),
            Broadcast.state != BroadcastState.CANCELLED,
            or_(Broadcast.state != BroadcastState.DONE, Broadcast.expires_at > now),
        )
        .order_by(Broadcast.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()


def broadcast_keys(incident_id: int) -> list[str]:
    """The idempotency keys of all broadcasts about an incident there may be. One query."""
    ids = db.session.scalars(select(IncidentUpdate.id).where(IncidentUpdate.incident_id == incident_id))
    keys = [*map(notify_key, ids), postmortem_key(incident_id)]
    return [*keys, *map(followers_key, keys)]


def followers_key(idempotency_key: str) -> str:
    """The idempotency key of the broadcast to followers that goes with another one."""
    return f"{idempotency_key}:followers"


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


# What is loaded, and in which order


def _shown(viewpoint: Viewpoint, *, with_changes: bool = True) -> Select[Any]:
    """Incidents with their components and the updates of this viewpoint. Four queries in all, three without changes.

    Loaded anew even where the session knows the row: a timeline loaded for staff must not be shown to anybody else.
    """
    updates: Any = Incident.updates
    if not viewpoint.is_staff:
        updates = Incident.updates.and_(IncidentUpdate.visibility == Visibility.PUBLIC)
    timeline: Any = selectinload(updates).options(
        with_expression(IncidentUpdate.own_words, own_words_for(viewpoint)),
        *([selectinload(IncidentUpdate.changes).joinedload(SeverityChange.component)] if with_changes else ()),
    )
    return (
        select(Incident)
        .options(
            selectinload(Incident.components).joinedload(IncidentComponent.component).joinedload(Component.group),
            timeline,
        )
        .execution_options(populate_existing=True)
    )


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
        IncidentUpdate.incident_id == Incident.id, body_for(viewpoint).icontains(text, autoescape=True)
    )
    if not viewpoint.is_staff:
        in_update = in_update.where(IncidentUpdate.visibility == Visibility.PUBLIC)
    title = text_for(viewpoint, Incident.title, Incident.titles)
    return or_(title.icontains(text, autoescape=True), in_update)
