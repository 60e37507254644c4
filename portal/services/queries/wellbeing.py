"""Which holdings are well again when scheduled service ends: only they may be told that all is well."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

from sqlalchemy import select

from portal.catalogue.models import Holding, HoldingDependency, ServiceDependency
from portal.catalogue.queries import is_valid
from portal.extensions import db
from portal.incidents.models import BaseStatus, Incident, IncidentComponent
from portal.incidents.queries.conditions import stands
from portal.incidents.rules import Severity, Visibility
from portal.services.models import ServiceWindow, StatedPeriod, WindowHolding
from portal.services.queries.stated import is_live

AT_ONCE = 5000
"""Ids in one statement."""

T = TypeVar("T", bound=tuple[int, ...])


def well_after(holdings: Sequence[T], now: datetime) -> list[T]:
    """Those of these holdings (by the first of each) of which nothing is stated and that nothing hits.

    Left out are those with a stated problem, those in another window under way, and those that depend on what an
    open incident hits, as far as customers know of it, or what is not operational by hand. Four queries for each five
    thousand.
    """
    ids = [each[0] for each in holdings]
    ailing: set[int] = set()
    for start in range(0, len(ids), AT_ONCE):
        ailing |= _ailing(ids[start : start + AT_ONCE], now)
    return [each for each in holdings if each[0] not in ailing]


def hit_now(holding_ids: Sequence[int], now: datetime) -> set[int]:
    """Those of these holdings that depend on what an open incident hits, as far as customers know of it, or what is
    not operational by hand.

    Two queries for each five thousand.
    """
    found: set[int] = set()
    for start in range(0, len(holding_ids), AT_ONCE):
        found |= _hit(holding_ids[start : start + AT_ONCE], now)
    return found


def _ailing(ids: Sequence[int], now: datetime) -> set[int]:
    found = (
        select(StatedPeriod.holding_id).where(StatedPeriod.holding_id.in_(ids), StatedPeriod.ended_at.is_(None)),
        select(WindowHolding.holding_id)
        .join(ServiceWindow, ServiceWindow.id == WindowHolding.window_id)
        .where(
            WindowHolding.holding_id.in_(ids),
            WindowHolding.left_at.is_(None),
            ServiceWindow.starts_at <= now,
            *is_live(now),
        ),
    )
    stated = {holding_id for statement in found for holding_id in db.session.scalars(statement)}
    return stated | _hit(ids, now)


def _hit(ids: Sequence[int], now: datetime) -> set[int]:
    hit = (
        select(IncidentComponent.component_id)
        .join(Incident, Incident.id == IncidentComponent.incident_id)
        .where(
            Incident.resolved_at.is_(None),
            Incident.visibility == Visibility.PUBLIC,
            IncidentComponent.severity != Severity.NONE,
        )
        .union(select(BaseStatus.component_id).where(stands(now)))
    )
    found = (
        select(Holding.id)
        .join(ServiceDependency, ServiceDependency.service_id == Holding.service_id)
        .where(Holding.id.in_(ids), is_valid(ServiceDependency, now), ServiceDependency.component_id.in_(hit)),
        select(HoldingDependency.holding_id).where(
            HoldingDependency.holding_id.in_(ids),
            is_valid(HoldingDependency, now),
            HoldingDependency.component_id.in_(hit),
        ),
    )
    return {holding_id for statement in found for holding_id in db.session.scalars(statement)}
