"""How everything is in one answer, for pictures and frames that say no more than that."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import NamedTuple

from sqlalchemy import Select, bindparam, func, select

from portal.accounts.rules import Viewpoint
from portal.catalogue.models import Component
from portal.catalogue.queries import live_components
from portal.extensions import rows
from portal.incidents.models import Incident, Maintenance
from portal.incidents.queries import conditions, statuses_of, statuses_under
from portal.incidents.queries.conditions import given
from portal.incidents.queries.open_now import OpenIncident, OpenWork, open_now, open_work
from portal.incidents.rules import ComponentStatus, Impact, PageStatus, roll_up
from portal.incidents.rules.maintenance import is_under_way


class Overall(NamedTuple):
    """The roll-up of a page, and what is behind it: the open incidents, worst first, and the work under way."""

    status: PageStatus
    incidents: Sequence[OpenIncident]
    under_way: Sequence[OpenWork]


def overall(viewpoint: Viewpoint, now: datetime) -> Overall:
    """How everything is for this viewpoint. At most seven queries."""
    incidents, work = open_now(viewpoint, now), open_work(viewpoint, now)
    ids = [component.id for component in live_components()]
    statuses = statuses_under(incidents, work, ids, viewpoint, now)
    status = roll_up([statuses[each] for each in ids], [incident.impact for incident in incidents])
    return Overall(status, incidents, [each for each in work if is_under_way(each, now)])


def incident_counts() -> dict[Impact, int]:
    """How many incidents are open, by impact, for staff. One query."""
    return {Impact(impact): count for impact, count in rows(_incident_counts())}


@cache
def _incident_counts() -> Select[Impact, int]:
    return select(Incident.impact, func.count()).where(Incident.resolved_at.is_(None)).group_by(Incident.impact)


def under_way_count(now: datetime) -> int:
    """How much maintenance is under way, for staff. One query."""
    found: int = rows(_under_way_count(), now=now)[0][0]
    return found


@cache
def _under_way_count() -> Select[int]:
    return select(func.count(Maintenance.id)).where(conditions.is_under_way(given()[0]))


class Standing(NamedTuple):
    """One component and how it is."""

    public_id: str
    title: str
    status: ComponentStatus


def component_standing(public_id: str, viewpoint: Viewpoint, now: datetime) -> Standing | None:
    """The component with this public id, unless it is archived, as it is for this viewpoint. Three queries."""
    found = rows(_component(), public_id=public_id)
    if not found:
        return None
    component_id, title = found[0]
    return Standing(public_id, title, statuses_of([component_id], viewpoint, now)[component_id])


@cache
def _component() -> Select[int, str]:
    return (
        select(Component.id, Component.title)
        .where(Component.public_id == bindparam("public_id"), Component.archived_at.is_(None))
        .order_by(Component.id)
        .limit(1)
    )
