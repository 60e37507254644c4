"""What is open now, as plain rows: what the status page and every home show of incidents and maintenance.

These are the reads of all open pages after a report. Entities cost several times what their columns do, and the
conditions more to build than to run, so every statement is built once for each kind of viewpoint. The rows have
the names of the entities, so that templates take both.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Select, bindparam, select

from portal.accounts.rules import Viewpoint
from portal.catalogue.models import Component
from portal.extensions import rows
from portal.incidents.models import (
    Incident,
    IncidentComponent,
    IncidentUpdate,
    Maintenance,
    MaintenanceComponent,
    MaintenanceUpdate,
)
from portal.incidents.queries.conditions import (
    given,
    is_ahead_or_under_way,
    kind_of,
    reaches,
    visible_to_kind,
    worst_first,
)
from portal.incidents.queries.wordings import body_for_kind, text_for_kind
from portal.incidents.rules import Audience, Impact, MaintenanceState, Severity, State, Visibility
from portal.incidents.rules.maintenance import Notice, WorkImpact
from portal.language import current

OPEN_AT_MOST = 100
"""How many open incidents a page shows; a business with more has other troubles than a list."""


T = TypeVar("T")


class Named(NamedTuple):
    """A component as an incident names it."""

    title: str


class Hit(NamedTuple):
    """A component an incident has named, with the severity that stands now."""

    component_id: int
    severity: Severity
    component: Named


class Told(NamedTuple):
    """One update of an incident. A private one, which only staff are given, has no state."""

    state: State | None
    visibility: Visibility
    body: str
    posted_at: datetime


class OpenIncident(NamedTuple):
    """An open incident with its components and, newest first, the updates of the viewpoint it was read from."""

    id: int
    public_id: str
    title: str
    state: State
    impact: Impact
    started_at: datetime
    next_update_due_at: datetime | None
    components: tuple[Hit, ...]
    updates: tuple[Told, ...]


class WorkedOn(NamedTuple):
    """A component that maintenance is worked on."""

    component_id: int
    component: Named


class WorkTold(NamedTuple):
    """One update of maintenance; where its text is empty, the kind says what it tells."""

    kind: Notice
    body: str
    posted_at: datetime


class OpenWork(NamedTuple):
    """Maintenance under way or ahead, with its components and, newest first, its updates."""

    id: int
    public_id: str
    title: str
    state: MaintenanceState
    starts_at: datetime
    ends_at: datetime
    starts_itself: bool
    ends_itself: bool
    zone: str
    impact: WorkImpact
    components: tuple[WorkedOn, ...]
    updates: tuple[WorkTold, ...]


@dataclass(frozen=True)
class Concerning:
    """The open incidents that concern one company, worst first, and how many others it may see."""

    mine: Sequence[OpenIncident]
    others: int


def open_now(viewpoint: Viewpoint, now: datetime) -> Sequence[OpenIncident]:
    """What `open_incidents` finds, as rows: at most OPEN_AT_MOST, worst first. Three queries, one if there is none."""
    heads = rows(_open(kind_of(viewpoint)), now=now, company_id=viewpoint.company_id, language=current())
    return _with_parts(heads, viewpoint)


def open_work(viewpoint: Viewpoint, now: datetime) -> Sequence[OpenWork]:
    """What `open_maintenance` finds, as rows, soonest first. Three queries, one if there is none."""
    heads = rows(_open_work(kind_of(viewpoint)), now=now, company_id=viewpoint.company_id, language=current())
    if not heads:
        return ()
    ids = [head[0] for head in heads]
    components = _by_parent(_worked_on(), ids, lambda component_id, title: WorkedOn(component_id, Named(title)))
    updates = _by_parent(_work_told(kind_of(viewpoint)), ids, WorkTold, language=current())
    return [
        OpenWork._make((*head, tuple(components.get(head[0], ())), tuple(updates.get(head[0], ())))) for head in heads
    ]


def concerning(company_id: int, now: datetime) -> Concerning:
    """What concerns this company among the open incidents it may see, and how many others there are.

    An incident concerns it if its components reach it, or reach nobody. Only the open incidents and what this
    company holds are touched. At most four queries.
    """
    mine, others = concerning_ids(company_id, now)
    if not mine:
        return Concerning((), others)
    heads = rows(_among(), ids=mine[:OPEN_AT_MOST], language=current())
    return Concerning(_with_parts(heads, Viewpoint(company_id=company_id)), others)


def concerning_ids(company_id: int, now: datetime) -> tuple[list[int], int]:
    """The open incidents that concern this company, worst first, and how many others it may see. One query."""
    heads = rows(_reached(), now=now, company_id=company_id)
    mine = [incident_id for incident_id, _, reaches_it, reaches_any in heads if reaches_it or not reaches_any]
    others = sum(
        1
        for _, audience, reaches_it, reaches_any in heads
        if reaches_any and not reaches_it and audience is Audience.EVERYONE
    )
    return mine, others


def _with_parts(heads: Sequence[Any], viewpoint: Viewpoint) -> list[OpenIncident]:
    """These incidents whole, in the words of the viewpoint. Two queries, none without incidents."""
    if not heads:
        return []
    ids = [head[0] for head in heads]
    hits = _by_parent(_hits(), ids, lambda component_id, severity, title: Hit(component_id, severity, Named(title)))
    told = _by_parent(_told(kind_of(viewpoint)), ids, Told, company_id=viewpoint.company_id, language=current())
    return [OpenIncident._make((*head, tuple(hits.get(head[0], ())), tuple(told.get(head[0], ())))) for head in heads]


def _by_parent(
    statement: Select[*tuple[Any, ...]], ids: Collection[int], make: Callable[..., T], **asked: Any
) -> dict[int, list[T]]:
    """What the rows of a statement make, by their first column, which is one of these ids."""
    found: dict[int, list[T]] = {}
    for parent_id, *values in rows(statement, ids=ids, **asked):
        found.setdefault(parent_id, []).append(make(*values))
    return found


# The statements


def _head(kind: Viewpoint) -> tuple[Any, ...]:
    """The columns of OpenIncident, in its order."""
    return (
        Incident.id,
        Incident.public_id,
        text_for_kind(kind, Incident.title, Incident.titles).label("title"),
        Incident.state,
        Incident.impact,
        Incident.started_at,
        Incident.next_update_due_at,
    )


@cache
def _open(kind: Viewpoint) -> Select[*tuple[Any, ...]]:
    return (
        select(*_head(kind))
        .where(Incident.resolved_at.is_(None), visible_to_kind(Incident, kind))
        .order_by(*worst_first())
        .limit(OPEN_AT_MOST)
    )


@cache
def _among() -> Select[*tuple[Any, ...]]:
    return select(*_head(Viewpoint(company_id=0))).where(Incident.id.in_(_ids())).order_by(*worst_first())


@cache
def _reached() -> Select[int, Audience, bool, bool]:
    """The open public incidents and whom they reach."""
    now, company_id = given()
    return (
        select(Incident.id, Incident.audience, reaches(Incident, now, company_id), reaches(Incident, now))
        .where(Incident.resolved_at.is_(None), Incident.visibility == Visibility.PUBLIC)
        .order_by(*worst_first())
    )


@cache
def _hits() -> Select[*tuple[Any, ...]]:
    return (
        select(
            IncidentComponent.incident_id, IncidentComponent.component_id, IncidentComponent.severity, Component.title
        )
        .join(Component, Component.id == IncidentComponent.component_id)
        .where(IncidentComponent.incident_id.in_(_ids()))
    )


@cache
def _told(kind: Viewpoint) -> Select[*tuple[Any, ...]]:
    update = IncidentUpdate
    found = select(update.incident_id, update.state, update.visibility, body_for_kind(kind), update.posted_at)
    if not kind.is_staff:
        found = found.where(update.visibility == Visibility.PUBLIC)
    return found.where(update.incident_id.in_(_ids())).order_by(update.posted_at.desc(), update.id.desc())


@cache
def _open_work(kind: Viewpoint) -> Select[*tuple[Any, ...]]:
    """The columns of OpenWork, in its order."""
    now, _ = given()
    work = Maintenance
    return (
        select(
            work.id,
            work.public_id,
            text_for_kind(kind, work.title, work.titles).label("title"),
            work.state,
            work.starts_at,
            work.ends_at,
            work.starts_itself,
            work.ends_itself,
            work.zone,
            work.impact,
        )
        .where(is_ahead_or_under_way(now), visible_to_kind(work, kind))
        .order_by(work.starts_at, work.id)
        .limit(OPEN_AT_MOST)
    )


@cache
def _worked_on() -> Select[*tuple[Any, ...]]:
    return (
        select(MaintenanceComponent.maintenance_id, MaintenanceComponent.component_id, Component.title)
        .join(Component, Component.id == MaintenanceComponent.component_id)
        .where(MaintenanceComponent.maintenance_id.in_(_ids()))
    )


@cache
def _work_told(kind: Viewpoint) -> Select[*tuple[Any, ...]]:
    update = MaintenanceUpdate
    return (
        select(update.maintenance_id, update.kind, text_for_kind(kind, update.body, update.bodies), update.posted_at)
        .where(update.maintenance_id.in_(_ids()), update.kind != Notice.REMINDED)
        .order_by(update.posted_at.desc(), update.id.desc())
    )


def _ids() -> Any:
    return bindparam("ids", expanding=True)
