"""Which items are delayed by an outage: the holding they are about depends on a component of an open incident."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import select, union

from portal.accounts.rules import Viewpoint
from portal.catalogue.models import Holding, HoldingDependency, ServiceDependency
from portal.catalogue.queries import is_valid
from portal.extensions import db
from portal.incidents.queries.open_now import OpenIncident, open_now
from portal.incidents.rules import Severity
from portal.jobs.models import WorkItem

Delays = Mapping[int, Sequence[OpenIncident]]
"""By item the open incidents it waits for, worst first; an item that waits for none is not in it."""

BROKEN = frozenset(Severity) - {Severity.NONE}
"""A component an incident has cleared holds nothing up any more."""


def delays_of(items: Collection[WorkItem], viewpoint: Viewpoint, now: datetime) -> Delays:
    """The outages that delay these items, as this viewpoint may know of them. Finished work waits for nothing.

    As many queries as `outages_of`, none where no item is about a holding.
    """
    waiting = {item.id: item.holding_id for item in items if item.holding_id is not None and item.finished_at is None}
    outages = outages_of(waiting.values(), viewpoint, now)
    return {item_id: outages[holding_id] for item_id, holding_id in waiting.items() if holding_id in outages}


def outages_of(
    holding_ids: Collection[int], viewpoint: Viewpoint, now: datetime
) -> Mapping[int, Sequence[OpenIncident]]:
    """By holding the open incidents that hit a component it depends on now; one that is well is not in it.

    Four queries at most, one where no incident is open, none for no holdings.
    """
    broken = _broken(open_now(viewpoint, now)) if holding_ids else {}
    if not broken:
        return {}
    depends = _dependencies(set(holding_ids), broken, now)
    return {
        holding_id: list({each.id: each for at in component_ids for each in broken[at]}.values())
        for holding_id, component_ids in depends.items()
    }


def _broken(incidents: Sequence[OpenIncident]) -> dict[int, list[OpenIncident]]:
    """The components that open incidents hit now, each with those incidents."""
    found: dict[int, list[OpenIncident]] = {}
    for incident in incidents:
        for hit in incident.components:
            if hit.severity in BROKEN:
                found.setdefault(hit.component_id, []).append(incident)
    return found


def _dependencies(holding_ids: Collection[int], component_ids: Collection[int], now: datetime) -> dict[int, list[int]]:
    """For each of these holdings, which of these components it depends on now, by its service or by itself."""
    through_service = (
        select(Holding.id, ServiceDependency.component_id)
        .join(ServiceDependency, ServiceDependency.service_id == Holding.service_id)
        .where(
            Holding.id.in_(holding_ids),
            ServiceDependency.component_id.in_(component_ids),
            is_valid(Holding, now),
            is_valid(ServiceDependency, now),
        )
    )
    by_itself = (
        select(Holding.id, HoldingDependency.component_id)
        .join(HoldingDependency, HoldingDependency.holding_id == Holding.id)
        .where(
            Holding.id.in_(holding_ids),
            HoldingDependency.component_id.in_(component_ids),
            is_valid(Holding, now),
            is_valid(HoldingDependency, now),
        )
    )
    found: dict[int, list[int]] = {}
    for holding_id, component_id in db.session.execute(union(through_service, by_itself)):
        found.setdefault(holding_id, []).append(component_id)
    return found
