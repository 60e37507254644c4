"""What stands of some holdings while somebody is about to state something of them. For staff."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from portal.catalogue.models import HoldingDependency, ServiceDependency
from portal.catalogue.queries import is_valid
from portal.extensions import db
from portal.incidents.models import Incident, IncidentComponent
from portal.incidents.rules import Severity
from portal.services.models import ServiceUpdate, ServiceWindow, StatedPeriod, WindowHolding
from portal.services.rules import OVER, ServiceStatus

AT_ONCE = 5000
"""Ids in one statement."""


@dataclass(frozen=True)
class Linked:
    """An open incident that hits what holdings depend on."""

    id: int
    title: str
    started_at: datetime


def earliest_incident(service_ids: Collection[int], holding_ids: Collection[int], now: datetime) -> Linked | None:
    """The open incident that began first of those that hit what these services or holdings depend on. One query."""
    depended = (
        select(ServiceDependency.component_id)
        .where(ServiceDependency.service_id.in_(service_ids), is_valid(ServiceDependency, now))
        .union(
            select(HoldingDependency.component_id).where(
                HoldingDependency.holding_id.in_(holding_ids), is_valid(HoldingDependency, now)
            )
        )
    )
    hit = select(IncidentComponent.incident_id).where(
        IncidentComponent.component_id.in_(depended), IncidentComponent.severity != Severity.NONE
    )
    row = db.session.execute(
        select(Incident.id, Incident.title, Incident.started_at)
        .where(Incident.resolved_at.is_(None), Incident.id.in_(hit))
        .order_by(Incident.started_at, Incident.id)
        .limit(1)
    ).first()
    return Linked(*row) if row else None


def standing_of(holding_ids: Sequence[int], now: datetime) -> Mapping[ServiceStatus, int]:
    """Of how many of these holdings what is stated: a problem, or scheduled service that shows where there is none.

    Two queries for each five thousand.
    """
    found: Counter[ServiceStatus] = Counter()
    for ids in _pieces(holding_ids):
        is_open = select(StatedPeriod.holding_id).where(
            StatedPeriod.ended_at.is_(None), StatedPeriod.holding_id.in_(ids)
        )
        problems = db.session.execute(
            select(StatedPeriod.status, func.count())
            .where(StatedPeriod.ended_at.is_(None), StatedPeriod.holding_id.in_(ids))
            .group_by(StatedPeriod.status)
        )
        found.update(dict(problems.all()))
        found[ServiceStatus.SCHEDULED] += (
            db.session.scalar(
                select(func.count(WindowHolding.holding_id.distinct()))
                .join(ServiceWindow, ServiceWindow.id == WindowHolding.window_id)
                .where(
                    WindowHolding.holding_id.in_(ids),
                    WindowHolding.left_at.is_(None),
                    WindowHolding.holding_id.not_in(is_open),
                    ServiceWindow.state.not_in(OVER),
                    ServiceWindow.ends_at > now,
                )
            )
            or 0
        )
    return {status: found[status] for status in sorted(found, key=lambda each: -each.rank) if found[status]}


def was_mailed(holding_ids: Sequence[int]) -> bool:
    """Whether a problem that is open on one of these holdings was mailed. One query for each five thousand."""
    return any(
        db.session.scalar(
            select(StatedPeriod.id)
            .join(ServiceUpdate, ServiceUpdate.id == StatedPeriod.update_id)
            .where(StatedPeriod.ended_at.is_(None), StatedPeriod.holding_id.in_(ids), ServiceUpdate.notify)
            .limit(1)
        )
        is not None
        for ids in _pieces(holding_ids)
    )


def _pieces(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[start : start + AT_ONCE] for start in range(0, len(ids), AT_ONCE))
