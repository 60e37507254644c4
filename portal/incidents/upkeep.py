"""Keeps what pages read in step with the timeline, in the transaction of whoever changes it (actions, imports).

The timeline is the truth. From it follow the severities that stand, the impact, the intervals, and the packed
days of each component; all of them are remade from it rather than patched, so that they cannot drift.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import delete, insert, or_, select
from sqlalchemy.orm import selectinload

from portal.catalogue.models import Component
from portal.extensions import db
from portal.incidents.models import (
    ComponentHistory,
    ImpactInterval,
    Incident,
    IncidentComponent,
    IncidentUpdate,
)
from portal.incidents.rules import (
    Audience,
    Entry,
    Interval,
    Severity,
    State,
    Visibility,
    day_start,
    impact_of_life,
    intervals,
    pack_days,
    standing_severities,
)
from portal.incidents.rules.merging import until

HISTORY_DAYS = 365
"""How many days of each component are kept packed."""


def settle(incident: Incident, now: datetime) -> frozenset[int]:
    """Remake everything that follows from the incident's timeline. Returns the ids of all components it names.

    The incident's updates must be flushed.
    """
    if incident.merged_at is not None:
        return _settle_merged(incident, incident.merged_at, now)
    entries = _entries_of(incident.id)
    stretches = intervals(entries, incident.started_at)
    standing = standing_severities(entries)
    ever = [stretch.severity for each in stretches.values() for stretch in each]
    impact = impact_of_life(standing.values(), ever, incident.state, incident.impact_override)
    if incident.impact is not impact:
        incident.impact = impact
    _write_components(incident.id, standing)
    db.session.execute(delete(ImpactInterval).where(ImpactInterval.incident_id == incident.id))
    write_intervals(interval_rows(incident.id, stretches))
    refresh_history(standing.keys(), now)
    return frozenset(standing)


def _settle_merged(incident: Incident, at: datetime, now: datetime) -> frozenset[int]:
    """One that was merged into another holds no component any more, and what it held ends then: the other goes on."""
    entries = _entries_of(incident.id)
    named = frozenset(standing_severities(entries))
    _write_components(incident.id, dict.fromkeys(named, Severity.NONE))
    db.session.execute(delete(ImpactInterval).where(ImpactInterval.incident_id == incident.id))
    write_intervals(interval_rows(incident.id, until(intervals(entries, incident.started_at), at)))
    refresh_history(named, now)
    return named


def interval_rows(incident_id: int, stretches: dict[int, list[Interval]]) -> list[dict[str, Any]]:
    """The rows of these stretches, for a bulk insert."""
    return [
        {
            "incident_id": incident_id,
            "component_id": component_id,
            "severity": stretch.severity,
            "from_at": stretch.from_at,
            "to_at": stretch.to_at,
        }
        for component_id, each in stretches.items()
        for stretch in each
    ]


def write_intervals(rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        db.session.execute(insert(ImpactInterval), rows)


def refresh_history(component_ids: Collection[int], now: datetime) -> None:
    """Pack the days of these components anew, as anyone signed out sees them. Three statements and a bulk write.

    Whoever packs the same component at this moment waits, and then sees what the other has stored.
    """
    if not component_ids:
        return
    # Not the whole row: the incidents that point to it must not have to wait for each other.
    of_components = select(Component.id).where(Component.id.in_(component_ids)).order_by(Component.id)
    db.session.execute(of_components.with_for_update(key_share=True))
    last_day = now.date()
    first_day = last_day - timedelta(days=HISTORY_DAYS - 1)
    stretches: dict[int, list[Interval]] = {component_id: [] for component_id in component_ids}
    rows = db.session.execute(
        select(ImpactInterval.component_id, ImpactInterval.severity, ImpactInterval.from_at, ImpactInterval.to_at)
        .join(Incident, Incident.id == ImpactInterval.incident_id)
        .where(
            ImpactInterval.component_id.in_(component_ids),
            Incident.visibility == Visibility.PUBLIC,
            Incident.audience == Audience.EVERYONE,
            or_(ImpactInterval.to_at.is_(None), ImpactInterval.to_at > day_start(first_day)),
        )
    )
    for component_id, severity, from_at, to_at in rows:
        stretches[component_id].append(Interval(severity, from_at, to_at))
    _write_history(stretches, first_day, last_day)


def _write_history(stretches: dict[int, list[Interval]], first_day: date, last_day: date) -> None:
    db.session.execute(delete(ComponentHistory).where(ComponentHistory.component_id.in_(stretches)))
    db.session.execute(
        insert(ComponentHistory),
        [
            {
                "component_id": component_id,
                "last_day": last_day.isoformat(),
                "days": pack_days(each, first_day, last_day),
            }
            for component_id, each in stretches.items()
        ],
    )


def _entries_of(incident_id: int) -> list[Entry]:
    updates = db.session.scalars(
        select(IncidentUpdate)
        .options(selectinload(IncidentUpdate.changes))
        .where(IncidentUpdate.incident_id == incident_id, IncidentUpdate.state.is_not(None))
        .order_by(IncidentUpdate.posted_at, IncidentUpdate.id)
        .execution_options(populate_existing=True)
    ).all()
    return list(entries(updates))


def entries(updates: Iterable[IncidentUpdate]) -> Iterable[Entry]:
    """The timeline, oldest first, as the rules fold it. One that begins Fixed remembers what was broken in `old`."""
    for number, update in enumerate(updates):
        begins_fixed = number == 0 and update.state is State.FIXED
        named = {change.component_id: change.old if begins_fixed else change.new for change in update.changes}
        yield Entry(update.posted_at, update.state, named)


def _write_components(incident_id: int, standing: dict[int, Severity]) -> None:
    known = {
        row.component_id: row
        for row in db.session.scalars(select(IncidentComponent).where(IncidentComponent.incident_id == incident_id))
    }
    for component_id, severity in standing.items():
        if component_id not in known:
            db.session.add(IncidentComponent(incident_id=incident_id, component_id=component_id, severity=severity))
        elif known[component_id].severity is not severity:
            known[component_id].severity = severity
    db.session.flush()
