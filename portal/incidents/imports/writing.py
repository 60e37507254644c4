"""Writing what was read, set by set: what is known is compared, what differs is changed."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select

from portal import events
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.catalogue.models import Component, ComponentGroup
from portal.domains.queries import domains_showing_status
from portal.extensions import db
from portal.incidents.imports.reading import (
    IMPACTS,
    MAINTENANCE_STATES,
    STATES,
    History,
    MoveRead,
    ReportRead,
    UpdateRead,
    read_history,
)
from portal.incidents.models import (
    ImpactInterval,
    Incident,
    IncidentComponent,
    IncidentUpdate,
    Maintenance,
    MaintenanceComponent,
    MaintenanceUpdate,
    Postmortem,
    SeverityChange,
)
from portal.incidents.rules import (
    SEVERITY_OF_IMPACT,
    Entry,
    MaintenanceState,
    Severity,
    State,
    impact_of_life,
    intervals,
    severities_after,
    standing_severities,
)
from portal.incidents.rules.maintenance import NOTICE_OF_STATE
from portal.incidents.upkeep import interval_rows, refresh_history, write_intervals

IDS_PER_QUERY = 500


Progress = Callable[[int, int], None]
"""Told how many of how many reports have been read."""


@dataclass(frozen=True)
class ImportReport:
    """What an import did, in rows of all kinds: components, groups, reports and maintenance."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    incidents: int = 0
    updates: int = 0
    maintenances: int = 0
    components: int = 0


def import_statuspage(data: object, *, by: Actor, now: datetime, progress: Progress | None = None) -> ImportReport:
    """Import components, groups, incidents with their updates, and maintenance from a Statuspage v2 document.

    `data` is the decoded JSON. An incident's severities are those its updates name; of components that no update speaks
    of, and in files that do not say what moved, they follow from the impact. A report that differs from the file is
    brought in line with it; updates written here stay. Nobody is mailed: what is kept is whom the other page told.
    Raises RuleViolation naming the place
    in the file that cannot be used; then nothing has been written.
    """
    history = read_history(data)
    tally = _Tally()
    components = _write_catalogue(history, tally, now)
    touched = _write_incidents(history, components, tally, now, progress)
    _write_maintenances(history, components, tally, now)
    db.session.flush()
    refresh_history(touched, now)
    report = replace(
        tally.report(),
        incidents=len(history.incidents),
        updates=sum(len(each.updates) + (each.postmortem is not None) for each in history.incidents),
        maintenances=len(history.maintenances),
        components=len(history.components),
    )
    if report.created or report.updated:
        events.ring(events.STAFF, *map(events.public_topic, domains_showing_status()))
        after = {"source": history.source, "created": report.created, "updated": report.updated}
        audit.record("incident.import", object_kind="incident", object_id=None, by=by, now=now, after=after)
    return report


class _Tally:
    def __init__(self) -> None:
        self.created = self.updated = self.unchanged = 0

    def note(self, *, is_new: bool, differs: bool) -> None:
        if is_new:
            self.created += 1
        elif differs:
            self.updated += 1
        else:
            self.unchanged += 1

    def report(self) -> ImportReport:
        return ImportReport(created=self.created, updated=self.updated, unchanged=self.unchanged)


def _write_catalogue(history: History, tally: _Tally, now: datetime) -> dict[str, int]:
    """Groups and components; returns component ids by their ids in the file. What does not say since when it is there
    has been there since the first report."""
    began = min((report.began_at for report in (*history.incidents, *history.maintenances)), default=now)
    groups = {
        row.public_id: row
        for row in db.session.scalars(select(ComponentGroup).where(ComponentGroup.source == history.source))
    }
    for group in history.groups:
        known = groups.get(group.public_id)
        row = known or ComponentGroup(
            source=history.source, public_id=group.public_id, created_at=group.created_at or began
        )
        differs = _assign(row, {"name": group.name, "position": group.position})
        tally.note(is_new=known is None, differs=differs)
        groups[group.public_id] = row
        db.session.add(row)
    db.session.flush()
    components = {
        row.public_id: row for row in db.session.scalars(select(Component).where(Component.source == history.source))
    }
    for component, is_gone in [(each, False) for each in history.components] + [(each, True) for each in history.gone]:
        known_component = components.get(component.public_id)
        if known_component is not None and is_gone:
            tally.note(is_new=False, differs=False)
            continue
        group_row = groups.get(component.group or "")
        wanted = {
            "title": component.title,
            "description": component.description,
            "group_id": group_row.id if group_row else None,
            "position": component.position,
        }
        line = known_component or Component(
            source=history.source,
            public_id=component.public_id,
            created_at=component.created_at or began,
            updated_at=now,
            archived_at=now if is_gone else None,
        )
        differs = _assign(line, wanted)
        if known_component is not None and differs:
            line.updated_at = now
        tally.note(is_new=known_component is None, differs=differs)
        components[component.public_id] = line
        db.session.add(line)
    db.session.flush()
    return {public_id: row.id for public_id, row in components.items()}


def _assign(row: Any, wanted: Mapping[str, Any]) -> bool:
    """Set what differs; whether anything did."""
    differing = {name: value for name, value in wanted.items() if getattr(row, name) != value}
    for name, value in differing.items():
        setattr(row, name, value)
    return bool(differing)


def _write_incidents(
    history: History, components: Mapping[str, int], tally: _Tally, now: datetime, progress: Progress | None
) -> frozenset[int]:
    """The incidents that differ from what is here; returns the ids of the components they name or named."""
    known = {
        row.public_id: row for row in db.session.scalars(select(Incident).where(Incident.source == history.source))
    }
    ids = [row.id for row in known.values()]
    updates = _known(IncidentUpdate, IncidentUpdate.incident_id, ids)
    named = _named(IncidentComponent, IncidentComponent.incident_id, ids)
    explained = _explained(ids)
    changed: list[tuple[Incident, ReportRead]] = []
    touched: set[int] = set()
    for number, report in enumerate(history.incidents, start=1):
        hit = frozenset(_hit(report, components))
        row = known.get(report.public_id)
        is_new = row is None
        row = row or Incident(
            source=history.source, public_id=report.public_id, is_backfill=True, created_at=report.created_at
        )
        differs = _assign(row, _incident_fields(report, components))
        if not is_new:
            differs = differs or _differs(report.updates, updates.get(row.id, {}), STATES)
            differs = differs or hit != named.get(row.id, frozenset())
            differs = differs or _explains_otherwise(report.postmortem, explained.get(row.id))
        tally.note(is_new=is_new, differs=differs)
        if is_new or differs:
            db.session.add(row)
            changed.append((row, report))
            touched |= hit | named.get(row.id, frozenset()) if not is_new else hit
        if progress:
            progress(number, len(history.incidents))
    db.session.flush()
    _write_updates(changed, updates)
    _write_postmortems(changed, explained)
    _write_impacts(changed, components)
    return frozenset(touched)


def _hit(report: ReportRead, components: Mapping[str, int]) -> dict[int, None]:
    """The ids of the components an incident is about: those it names, and those its updates moved, in their order."""
    moved = (move.component for update in report.updates for move in update.moves)
    return dict.fromkeys(components[each] for each in (*report.components, *moved) if each in components)


def _incident_fields(report: ReportRead, components: Mapping[str, int]) -> dict[str, Any]:
    state = STATES[report.state]
    last = report.updates[-1]
    impact = IMPACTS[report.impact]
    timeline = _timeline(report, components)
    worst = {severity for entry in timeline for severity in entry.named.values()}
    follows = impact_of_life(standing_severities(timeline).values(), worst, state)
    return {
        "title": report.title,
        "state": state,
        "impact": impact,
        # What does not follow from the components is what the source said.
        "impact_override": None if follows is impact else impact,
        "started_at": report.began_at,
        "resolved_at": (report.ended_at or last.posted_at) if state is State.FIXED else None,
        "public_updated_at": max(last.posted_at, report.updated_at),
    }


def _explained(ids: Sequence[int]) -> dict[int, Postmortem]:
    """The postmortems there are, by the id of their incident."""
    found = (db.session.scalars(select(Postmortem).where(Postmortem.incident_id.in_(some))) for some in _portions(ids))
    return {row.incident_id: row for rows in found for row in rows}


def _explains_otherwise(wanted: UpdateRead | None, known: Postmortem | None) -> bool:
    """Whether what is here explains an incident otherwise than the file. One written here stays where it has none."""
    if wanted is None:
        return False
    return known is None or (known.body, known.published_at, known.notify) != _explanation(wanted)


def _explanation(wanted: UpdateRead) -> tuple[str, datetime, bool]:
    return wanted.body, wanted.posted_at, wanted.notify


def _write_postmortems(changed: Sequence[tuple[Incident, ReportRead]], known: Mapping[int, Postmortem]) -> None:
    for incident, report in changed:
        wanted = report.postmortem
        if wanted is None:
            continue
        row = known.get(incident.id) or Postmortem(
            incident_id=incident.id, public_id=wanted.public_id, created_at=wanted.posted_at
        )
        if _explains_otherwise(wanted, row):
            row.body, row.published_at, row.notify = _explanation(wanted)
            row.changed_at = wanted.posted_at
            db.session.add(row)
    db.session.flush()


def _known(model: Any, parent: Any, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """The updates there are, by the id of their report and their own id in the file."""
    found: dict[int, dict[str, Any]] = {}
    for some in _portions(ids):
        for row in db.session.scalars(select(model).where(parent.in_(some))):
            found.setdefault(getattr(row, parent.key), {})[row.public_id] = row
    return found


def _named(model: Any, parent: Any, ids: Sequence[int]) -> dict[int, frozenset[int]]:
    found: dict[int, frozenset[int]] = {}
    for some in _portions(ids):
        for parent_id, component_id in db.session.execute(select(parent, model.component_id).where(parent.in_(some))):
            found[parent_id] = found.get(parent_id, frozenset()) | {component_id}
    return found


def _portions(ids: Sequence[int]) -> Iterable[Sequence[int]]:
    return (ids[start : start + IDS_PER_QUERY] for start in range(0, len(ids), IDS_PER_QUERY))


def _differs(wanted: Iterable[UpdateRead], known: Mapping[str, Any], states: Mapping[str, Any]) -> bool:
    return any(
        (row := known.get(entry.public_id)) is None
        or (row.state, row.body, row.posted_at, row.notify)
        != (states[entry.state], entry.body, entry.posted_at, entry.notify)
        for entry in wanted
    )


def _write_updates(changed: Sequence[tuple[Incident, ReportRead]], known: Mapping[int, Mapping[str, Any]]) -> None:
    fresh = []
    for incident, report in changed:
        rows = known.get(incident.id, {})
        if report.postmortem and (stray := rows.get(report.postmortem.public_id)):
            # There was a time when it came in as one of the updates.
            db.session.delete(stray)
        for entry in report.updates:
            wanted = {
                "state": STATES[entry.state],
                "body": entry.body,
                "posted_at": entry.posted_at,
                "notify": entry.notify,
            }
            if row := rows.get(entry.public_id):
                _assign(row, wanted)
            else:
                fresh.append({"incident_id": incident.id, "public_id": entry.public_id} | wanted)
    db.session.flush()
    if fresh:
        db.session.execute(insert(IncidentUpdate), fresh)


def _write_impacts(changed: Sequence[tuple[Incident, ReportRead]], components: Mapping[str, int]) -> None:
    """Severities of the changed reports: what stands, what moved when, and the intervals."""
    ids = [incident.id for incident, _report in changed]
    update_ids: dict[tuple[int, str], int] = {}
    for some in _portions(ids):
        of_these = select(IncidentUpdate.id).where(IncidentUpdate.incident_id.in_(some))
        db.session.execute(
            delete(SeverityChange)
            .where(SeverityChange.update_id.in_(of_these))
            .execution_options(synchronize_session=False)
        )
        for model in (IncidentComponent, ImpactInterval):
            db.session.execute(
                delete(model).where(model.incident_id.in_(some)).execution_options(synchronize_session=False)
            )
        numbered = db.session.execute(
            select(IncidentUpdate.incident_id, IncidentUpdate.public_id, IncidentUpdate.id).where(
                IncidentUpdate.incident_id.in_(some)
            )
        )
        update_ids |= {(incident_id, public_id): update_id for incident_id, public_id, update_id in numbered}
    standing_rows: list[dict[str, Any]] = []
    change_rows: list[dict[str, Any]] = []
    stretches: list[dict[str, Any]] = []
    for incident, report in changed:
        timeline = _timeline(report, components)
        stretches += interval_rows(incident.id, intervals(timeline, report.began_at))
        standing: dict[int, Severity] = {}
        for entry, source in zip(timeline, report.updates, strict=False):
            after = severities_after(standing, entry.named, entry.state)
            begins_fixed = not standing and entry.state is State.FIXED
            before = entry.named if begins_fixed else standing
            change_rows += _changes(update_ids[incident.id, source.public_id], before, after)
            standing = after
        final = dict.fromkeys(_hit(report, components), Severity.NONE)
        if not incident.resolved_at:
            final |= standing
        standing_rows += [
            {"incident_id": incident.id, "component_id": component_id, "severity": each}
            for component_id, each in final.items()
        ]
    for table, rows in ((SeverityChange, change_rows), (IncidentComponent, standing_rows)):
        if rows:
            db.session.execute(insert(table), rows)
    write_intervals(stretches)


def _timeline(report: ReportRead, components: Mapping[str, int]) -> list[Entry]:
    """What moves severities: each update what it says it moved; the first one also what no update speaks of, by the
    impact of the whole. The end clears them even if no update says so."""
    moves = [
        {components[each.component]: each for each in update.moves if each.component in components}
        for update in report.updates
    ]
    of_all = SEVERITY_OF_IMPACT[IMPACTS[report.impact]]
    unspoken = {each: of_all for each in _hit(report, components) if not any(each in moved for moved in moves)}
    timeline = []
    for number, (update, moved) in enumerate(zip(report.updates, moves, strict=True)):
        state = STATES[update.state]
        # A report that begins with its end tells how things were until then.
        is_past = number == 0 and state is State.FIXED
        named = {each: _until_then(move, of_all) if is_past else move.new for each, move in moved.items()}
        timeline.append(Entry(update.posted_at, state, (unspoken | named) if number == 0 else named))
    if STATES[report.state] is State.FIXED and all(entry.state is not State.FIXED for entry in timeline):
        timeline.append(Entry(report.ended_at or timeline[-1].at, State.FIXED, {}))
    return timeline


def _until_then(move: MoveRead, of_all: Severity) -> Severity:
    """How bad a component was before the update that says it is over; where that is not said, as bad as the whole."""
    return of_all if move.old is Severity.NONE else move.old


def _changes(update_id: int, before: Mapping[int, Severity], after: Mapping[int, Severity]) -> Iterable[dict[str, Any]]:
    """The changes of one update: of each component that moved, or is named for the first time."""
    for component_id, severity in after.items():
        old = before.get(component_id)
        if old is not severity:
            yield {
                "update_id": update_id,
                "component_id": component_id,
                "old": old or Severity.NONE,
                "new": severity,
            }


def _write_maintenances(history: History, components: Mapping[str, int], tally: _Tally, now: datetime) -> None:
    known = {
        row.public_id: row
        for row in db.session.scalars(select(Maintenance).where(Maintenance.source == history.source))
    }
    ids = [row.id for row in known.values()]
    updates = _known(MaintenanceUpdate, MaintenanceUpdate.maintenance_id, ids)
    named = _named(MaintenanceComponent, MaintenanceComponent.maintenance_id, ids)
    for report in history.maintenances:
        row = known.get(report.public_id)
        is_new = row is None
        row = row or Maintenance(
            source=history.source, public_id=report.public_id, is_backfill=True, created_at=report.created_at
        )
        state = MAINTENANCE_STATES[report.state]
        differs = _assign(
            row,
            {
                "title": report.title,
                "state": state,
                "starts_at": report.began_at,
                "ends_at": report.ended_at,
                "completed_at": report.updates[-1].posted_at if state is MaintenanceState.COMPLETED else None,
                "public_updated_at": max(report.updates[-1].posted_at, report.updated_at),
            },
        )
        db.session.add(row)
        db.session.flush()
        wanted = {components[each] for each in report.components if each in components}
        differs = differs or _differs(report.updates, updates.get(row.id, {}), MAINTENANCE_STATES)
        differs = differs or wanted != named.get(row.id, frozenset())
        tally.note(is_new=is_new, differs=differs)
        if is_new or differs:
            _write_maintenance_parts(row, report, updates.get(row.id, {}), wanted)


def _write_maintenance_parts(
    row: Maintenance, report: ReportRead, known: Mapping[str, Any], components: Collection[int]
) -> None:
    for entry in report.updates:
        state = MAINTENANCE_STATES[entry.state]
        wanted = {"state": state, "body": entry.body, "posted_at": entry.posted_at, "notify": entry.notify}
        update = known.get(entry.public_id) or MaintenanceUpdate(maintenance_id=row.id, public_id=entry.public_id)
        _assign(update, wanted)
        update.kind = NOTICE_OF_STATE[state]
        db.session.add(update)
    db.session.execute(delete(MaintenanceComponent).where(MaintenanceComponent.maintenance_id == row.id))
    db.session.add_all(
        MaintenanceComponent(maintenance_id=row.id, component_id=component_id) for component_id in sorted(components)
    )
    db.session.flush()
