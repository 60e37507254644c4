"""Incidents and maintenance whole, as plain rows: head, timeline, what each update moved, and the components named.

What machines are given. Every statement is built once for each kind of viewpoint, and the number of statements does
not depend on the number of rows. Private reports and private updates leave this module for staff only.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Integer, Select, and_, bindparam, case, func, not_, or_, select, true, union_all

from portal.accounts.rules import Viewpoint
from portal.catalogue.models import Component
from portal.extensions import rows
from portal.incidents.models import (
    BaseStatus,
    ImpactInterval,
    Incident,
    IncidentComponent,
    IncidentRevision,
    IncidentUpdate,
    Maintenance,
    MaintenanceComponent,
    MaintenanceUpdate,
    SeverityChange,
)
from portal.incidents.queries.conditions import (
    given,
    is_ahead_or_under_way,
    is_under_way,
    kind_of,
    visible_to_kind,
    would_see_kind,
)
from portal.incidents.queries.wordings import body_for_kind, text_for_kind
from portal.incidents.rules import Impact, MaintenanceState, Severity, State, Visibility
from portal.incidents.rules.maintenance import Notice, WorkImpact
from portal.incidents.rules.revisions import Revised
from portal.language import current


class Change(NamedTuple):
    """One component an update moved, from one severity to another."""

    component_id: int
    old: Severity
    new: Severity


class ToldUpdate(NamedTuple):
    """One update of an incident. `state` is None where it left the state as it was.

    `corrected_at` is when its text last changed after readers had seen it, None where it never did.
    """

    public_id: str
    state: State | None
    body: str
    posted_at: datetime
    notify: bool
    corrected_at: datetime | None
    changes: tuple[Change, ...]


class WholeIncident(NamedTuple):
    """An incident with its updates, newest first, and the ids of all components it has named."""

    id: int
    public_id: str
    title: str
    state: State
    impact: Impact
    created_at: datetime
    started_at: datetime
    resolved_at: datetime | None
    updated_at: datetime
    updates: tuple[ToldUpdate, ...]
    component_ids: tuple[int, ...]


class PlannedUpdate(NamedTuple):
    """One update of maintenance; where its text is empty, the kind says what it tells."""

    public_id: str
    kind: Notice
    state: MaintenanceState
    body: str
    posted_at: datetime
    notify: bool


class WholeMaintenance(NamedTuple):
    """Maintenance with its updates, newest first.

    `state` is the stored one; which holds by the clock, `rules.maintenance.state_of` says.
    """

    id: int
    public_id: str
    title: str
    state: MaintenanceState
    created_at: datetime
    starts_at: datetime
    ends_at: datetime
    starts_itself: bool
    ends_itself: bool
    zone: str
    impact: WorkImpact
    reminders: Sequence[int]
    started_at: datetime | None
    completed_at: datetime | None
    updated_at: datetime
    updates: tuple[PlannedUpdate, ...]
    component_ids: tuple[int, ...]


class Which(Enum):
    """The maintenance that is asked for, by the clock."""

    ALL = "all"
    AHEAD = "ahead"
    UNDER_WAY = "under way"
    NOT_OVER = "ahead and under way"


def whole_incidents(
    viewpoint: Viewpoint, now: datetime, *, limit: int, offset: int = 0, open_only: bool = False
) -> list[WholeIncident]:
    """Incidents from this viewpoint, newest first. Four queries, one if there is none."""
    spoken = current()
    asked = {"now": now, "company_id": viewpoint.company_id, "limit": limit, "offset": offset, "language": spoken}
    heads = rows(_incidents(kind_of(viewpoint), open_only), **asked)
    if not heads:
        return []
    ids = [head[0] for head in heads]
    changes = _by_parent(rows(_changes(viewpoint.is_staff), ids=ids), Change)
    named = _by_parent(rows(_named(), ids=ids), lambda component_id: component_id)
    updates: dict[int, list[ToldUpdate]] = {}
    timeline = rows(_updates(kind_of(viewpoint)), ids=ids, company_id=viewpoint.company_id, language=spoken)
    for incident_id, update_id, *told in timeline:
        update = ToldUpdate._make((*told, tuple(changes.get(update_id, ()))))
        updates.setdefault(incident_id, []).append(update)
    return [WholeIncident._make((*head, *_parts(head[0], updates, named))) for head in heads]


def whole_maintenance(
    viewpoint: Viewpoint, now: datetime, *, limit: int, offset: int = 0, which: Which = Which.ALL
) -> list[WholeMaintenance]:
    """Maintenance from this viewpoint: all of it newest first, what is not over soonest first.

    At most three queries.
    """
    spoken = current()
    asked = {"now": now, "company_id": viewpoint.company_id, "limit": limit, "offset": offset, "language": spoken}
    heads = rows(_maintenance(kind_of(viewpoint), which), **asked)
    if not heads:
        return []
    ids = [head[0] for head in heads]
    updates = _by_parent(rows(_planned_updates(kind_of(viewpoint)), ids=ids, language=spoken), PlannedUpdate)
    named = _by_parent(rows(_worked_on(), ids=ids), lambda component_id: component_id)
    return [WholeMaintenance._make((*head, *_parts(head[0], updates, named))) for head in heads]


def last_moves(viewpoint: Viewpoint, now: datetime) -> Mapping[int, datetime]:
    """When the status of each component last moved, by component id, for this viewpoint. One query."""
    return dict[int, datetime](
        (component_id, at)
        for component_id, at in rows(_moves(kind_of(viewpoint)), now=now, company_id=viewpoint.company_id)
    )


def last_change(viewpoint: Viewpoint, now: datetime) -> datetime | None:
    """When anything of incidents, maintenance or components last changed for this viewpoint. One query."""
    found: datetime | None = rows(_last_change(kind_of(viewpoint)), now=now, company_id=viewpoint.company_id)[0][0]
    return found


def _parts(parent_id: int, *found: Mapping[int, Sequence[Any]]) -> Iterator[tuple[Any, ...]]:
    return (tuple(each.get(parent_id, ())) for each in found)


def _by_parent(found: Sequence[Any], make: Any) -> dict[int, list[Any]]:
    """What the rows make, by their first column."""
    made: dict[int, list[Any]] = {}
    for parent_id, *values in found:
        made.setdefault(parent_id, []).append(make(*values))
    return made


# The statements


@cache
def _incidents(kind: Viewpoint, open_only: bool) -> Select[*tuple[Any, ...]]:
    """The columns of WholeIncident, in its order."""
    each = Incident
    return (
        select(
            each.id,
            each.public_id,
            text_for_kind(kind, each.title, each.titles).label("title"),
            each.state,
            each.impact,
            each.created_at,
            each.started_at,
            each.resolved_at,
            each.public_updated_at,
        )
        .where(visible_to_kind(each, kind), each.resolved_at.is_(None) if open_only else true())
        .order_by(each.started_at.desc(), each.id.desc())
        .limit(_number("limit"))
        .offset(_number("offset"))
    )


@cache
def _updates(kind: Viewpoint) -> Select[*tuple[Any, ...]]:
    """The columns of ToldUpdate, in its order, after the ids of the incident and the update."""
    each = IncidentUpdate
    body = body_for_kind(kind)
    corrected_at = (
        select(func.max(IncidentRevision.changed_at))
        .where(
            IncidentRevision.incident_id == each.incident_id,
            IncidentRevision.what.in_([Revised.TEXT, Revised.TEXT_IN]),
            IncidentRevision.part_id == each.id,
            IncidentRevision.seen_from.is_not(None),
        )
        .scalar_subquery()
    )
    columns = (each.public_id, each.state, body, each.posted_at, each.notify, corrected_at)
    found = select(each.incident_id, each.id, *columns)
    return found.where(each.incident_id.in_(_ids()), *_told(kind.is_staff)).order_by(
        each.posted_at.desc(), each.id.desc()
    )


@cache
def _changes(sees_private: bool) -> Select[*tuple[Any, ...]]:
    each = SeverityChange
    return (
        select(each.update_id, each.component_id, each.old, each.new)
        .join(IncidentUpdate, IncidentUpdate.id == each.update_id)
        .where(IncidentUpdate.incident_id.in_(_ids()), *_told(sees_private))
        .order_by(each.id)
    )


def _told(sees_private: bool) -> list[ColumnElement[bool]]:
    return [] if sees_private else [IncidentUpdate.visibility == Visibility.PUBLIC]


@cache
def _named() -> Select[int, int]:
    each = IncidentComponent
    return select(each.incident_id, each.component_id).where(each.incident_id.in_(_ids())).order_by(each.id)


@cache
def _maintenance(kind: Viewpoint, which: Which) -> Select[*tuple[Any, ...]]:
    """The columns of WholeMaintenance, in its order."""
    each = Maintenance
    now, _ = given()
    wanted = {
        Which.ALL: true(),
        Which.AHEAD: and_(is_ahead_or_under_way(now), ~is_under_way(now)),
        Which.UNDER_WAY: is_under_way(now),
        Which.NOT_OVER: is_ahead_or_under_way(now),
    }[which]
    order = (each.starts_at.desc(), each.id.desc()) if which is Which.ALL else (each.starts_at, each.id)
    return (
        select(
            each.id,
            each.public_id,
            text_for_kind(kind, each.title, each.titles).label("title"),
            each.state,
            each.created_at,
            each.starts_at,
            each.ends_at,
            each.starts_itself,
            each.ends_itself,
            each.zone,
            each.impact,
            each.reminders,
            each.started_at,
            each.completed_at,
            each.public_updated_at,
        )
        .where(visible_to_kind(each, kind), wanted)
        .order_by(*order)
        .limit(_number("limit"))
        .offset(_number("offset"))
    )


@cache
def _planned_updates(kind: Viewpoint) -> Select[*tuple[Any, ...]]:
    """The columns of PlannedUpdate, in its order, after the id of the maintenance."""
    each = MaintenanceUpdate
    body = text_for_kind(kind, each.body, each.bodies).label("body")
    return (
        select(each.maintenance_id, each.public_id, each.kind, each.state, body, each.posted_at, each.notify)
        .where(each.maintenance_id.in_(_ids()), each.kind != Notice.REMINDED)
        .order_by(each.posted_at.desc(), each.id.desc())
    )


@cache
def _worked_on() -> Select[int, int]:
    each = MaintenanceComponent
    return select(each.maintenance_id, each.component_id).where(each.maintenance_id.in_(_ids())).order_by(each.id)


@cache
def _moves(kind: Viewpoint) -> Select[int, datetime]:
    """The newest edge, begin or end, of all that has moved a component so far."""
    now, _ = given()
    stretch = ImpactInterval
    by_incident = (
        select(stretch.component_id, func.coalesce(_if_past(stretch.to_at, now), stretch.from_at).label("at"))
        .join(Incident, Incident.id == stretch.incident_id)
        .where(stretch.from_at <= now, would_see_kind(Incident, kind))
    )
    edge = _edge(now)
    by_work = (
        select(MaintenanceComponent.component_id, edge.label("at"))
        .join(Maintenance, Maintenance.id == MaintenanceComponent.maintenance_id)
        .where(edge.is_not(None), visible_to_kind(Maintenance, kind))
    )
    edges = union_all(by_incident, by_work, select(BaseStatus.component_id, _edge_by_hand(now))).subquery()
    return select(edges.c.component_id, func.max(edges.c.at)).group_by(edges.c.component_id)


@cache
def _last_change(kind: Viewpoint) -> Select[datetime]:
    now, _ = given()
    changes = union_all(
        select(func.max(Incident.public_updated_at).label("at")).where(visible_to_kind(Incident, kind)),
        select(func.max(Maintenance.public_updated_at)).where(visible_to_kind(Maintenance, kind)),
        select(func.max(_edge(now))).where(visible_to_kind(Maintenance, kind)),
        select(func.max(_edge_by_hand(now))),
        select(func.max(Component.updated_at)),
    ).subquery()
    return select(func.max(changes.c.at))


def _edge(now: Any) -> ColumnElement[Any]:
    """When the clock last moved this maintenance: its end, else its begin, else nothing yet."""
    by_hand = or_(Maintenance.completed_at < Maintenance.ends_at, not_(Maintenance.ends_itself))
    ended = case((by_hand, Maintenance.completed_at), else_=Maintenance.ends_at)
    by_clock = and_(
        Maintenance.starts_at <= now, Maintenance.starts_itself, Maintenance.state != MaintenanceState.CANCELLED
    )
    begun = func.coalesce(Maintenance.started_at, case((by_clock, Maintenance.starts_at), else_=None))
    return case((begun.is_not(None), func.coalesce(_if_past(ended, now), begun)), else_=None)


def _edge_by_hand(now: Any) -> ColumnElement[Any]:
    """When what was set by hand ended, else when it began."""
    return func.coalesce(_if_past(BaseStatus.to_at, now), BaseStatus.from_at)


def _if_past(moment: Any, now: Any) -> ColumnElement[Any]:
    return case((moment <= now, moment), else_=None)


def _ids() -> Any:
    return bindparam("ids", expanding=True)


def _number(name: str) -> Any:
    return bindparam(name, type_=Integer())
