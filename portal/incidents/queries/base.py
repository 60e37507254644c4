"""What components are by hand, without an incident: what stands, what was, and why something else shows.

Who set it and their note are for staff. Customers see the status alone, in the one effective status of a component.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, func, select
from sqlalchemy.orm import joinedload

from portal.catalogue.models import Component
from portal.extensions import db, rows
from portal.incidents.models import BaseStatus, Incident, IncidentComponent, Maintenance, MaintenanceComponent
from portal.incidents.queries.conditions import given, is_under_way, stands, worst_first
from portal.incidents.rules import STATUS_OF_SEVERITY, ComponentStatus, Severity

OVERLAYS_AT_MOST = 5
"""How many incidents, and how much maintenance, are named as what lies over a base status."""


class ByHand(NamedTuple):
    """A component that is not operational by hand, by its title, and since when."""

    component_id: int
    title: str
    severity: Severity
    since: datetime


class Overlay(NamedTuple):
    """An open incident or maintenance under way on a component, with the status it gives it."""

    is_incident: bool
    id: int
    title: str
    status: ComponentStatus


@dataclass(frozen=True)
class Base:
    """The base status of one component for staff: what stands, if anything does, and the version of all of it."""

    standing: BaseStatus | None
    version: int

    @property
    def status(self) -> ComponentStatus:
        """What it is by hand; Operational where nobody set anything."""
        return STATUS_OF_SEVERITY[self.standing.severity if self.standing else Severity.NONE]


def standing_by_hand(now: datetime) -> Mapping[int, Severity]:
    """All components that are not operational by hand. One query."""
    return dict(rows(_standing(), now=now))


def by_hand_on(component_ids: Collection[int], now: datetime) -> list[ByHand]:
    """Those of these components that are not operational by hand. One query, none without components."""
    if not component_ids:
        return []
    return [ByHand._make(row) for row in rows(_standing_on(), now=now, ids=list(component_ids))]


def base_of(component_id: int, now: datetime) -> Base:
    """The base status of one component, with who set it. Two queries."""
    standing = db.session.scalars(
        select(BaseStatus)
        .options(joinedload(BaseStatus.set_by))
        .where(BaseStatus.component_id == component_id, stands(now))
        .order_by(BaseStatus.id.desc())
        .limit(1)
        .execution_options(populate_existing=True)
    ).one_or_none()
    return Base(standing, base_version(component_id))


def bases_of(component_ids: Collection[int], now: datetime) -> dict[int, BaseStatus]:
    """What stands by hand on these components. One query."""
    found = db.session.scalars(
        select(BaseStatus).where(BaseStatus.component_id.in_(component_ids), stands(now)).order_by(BaseStatus.id)
    )
    return {each.component_id: each for each in found}


def base_version(component_id: int) -> int:
    """The version of all that was ever set on a component, 0 where nothing was. One query."""
    versions = select(func.coalesce(func.sum(BaseStatus.version), 0)).where(BaseStatus.component_id == component_id)
    return db.session.scalar(versions) or 0


def past_by_hand(component_id: int, now: datetime, limit: int) -> Sequence[BaseStatus]:
    """The last that was set by hand on a component and is over, newest first, with who set it. One query."""
    return db.session.scalars(
        select(BaseStatus)
        .options(joinedload(BaseStatus.set_by))
        .where(BaseStatus.component_id == component_id, BaseStatus.to_at <= now)
        .order_by(BaseStatus.from_at.desc(), BaseStatus.id.desc())
        .limit(limit)
    ).all()


def overlays_on(component_id: int, now: datetime) -> list[Overlay]:
    """What lies over the base status of a component, as staff know it: incidents worst first, then work. Two queries.

    The first few of each.
    """
    hits = db.session.execute(
        select(Incident.id, Incident.title, IncidentComponent.severity)
        .join(IncidentComponent, IncidentComponent.incident_id == Incident.id)
        .where(
            IncidentComponent.component_id == component_id,
            IncidentComponent.severity != Severity.NONE,
            Incident.resolved_at.is_(None),
        )
        .order_by(*worst_first())
        .limit(OVERLAYS_AT_MOST)
    )
    works = db.session.execute(
        select(Maintenance.id, Maintenance.title)
        .join(MaintenanceComponent, MaintenanceComponent.maintenance_id == Maintenance.id)
        .where(MaintenanceComponent.component_id == component_id, is_under_way(now))
        .order_by(Maintenance.starts_at, Maintenance.id)
        .limit(OVERLAYS_AT_MOST)
    )
    found = [Overlay(True, row_id, title, STATUS_OF_SEVERITY[severity]) for row_id, title, severity in hits]
    found += [Overlay(False, row_id, title, ComponentStatus.MAINTENANCE) for row_id, title in works]
    return sorted(found, key=lambda each: -each.status.rank)


def has_open_incident(component_id: int) -> bool:
    """Whether an open incident holds this component. One query."""
    hit = (
        select(IncidentComponent.id)
        .join(Incident, Incident.id == IncidentComponent.incident_id)
        .where(
            IncidentComponent.component_id == component_id,
            IncidentComponent.severity != Severity.NONE,
            Incident.resolved_at.is_(None),
        )
    )
    return db.session.scalar(hit.limit(1)) is not None


def due_bases(now: datetime, limit: int) -> list[int]:
    """The base statuses of which something is due, longest due first. One query."""
    waiting = select(BaseStatus.id).where(BaseStatus.due_at <= now)
    return list(db.session.scalars(waiting.order_by(BaseStatus.due_at, BaseStatus.id).limit(limit)))


def is_base_due(now: datetime) -> bool:
    """Whether anything is due of what was set by hand. One query."""
    return db.session.scalar(select(BaseStatus.id).where(BaseStatus.due_at <= now).limit(1)) is not None


@cache
def _standing() -> Select[int, Severity]:
    return select(BaseStatus.component_id, BaseStatus.severity).where(stands(given()[0]))


@cache
def _standing_on() -> Select[*tuple[Any, ...]]:
    """The columns of ByHand, in its order."""
    ids: Any = bindparam("ids", expanding=True)
    return (
        select(BaseStatus.component_id, Component.title, BaseStatus.severity, BaseStatus.from_at)
        .join(Component, Component.id == BaseStatus.component_id)
        .where(BaseStatus.component_id.in_(ids), stands(given()[0]))
        .order_by(BaseStatus.from_at, BaseStatus.id)
    )
