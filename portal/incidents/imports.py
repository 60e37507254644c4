"""Importing the history of another status page, in the shape of the Statuspage API v2.

The file is read and checked whole before anything is written. Rows are found again by the ids they have there,
unique per source (the id of the page), so a second run changes only what differs. Nothing is ever mailed.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select

from portal import events, plaintext
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.catalogue.models import OWN, Component, ComponentGroup
from portal.domains.queries import domains_showing_status
from portal.errors import RuleViolation
from portal.extensions import db
from portal.incidents.models import (
    ImpactInterval,
    Incident,
    IncidentComponent,
    IncidentUpdate,
    Maintenance,
    MaintenanceComponent,
    MaintenanceUpdate,
    SeverityChange,
)
from portal.incidents.rules import (
    SEVERITY_OF_IMPACT,
    Entry,
    Impact,
    MaintenanceState,
    Severity,
    State,
    intervals,
    severities_after,
)
from portal.incidents.upkeep import interval_rows, refresh_history, write_intervals

STATES = {
    "investigating": State.INVESTIGATING,
    "identified": State.IDENTIFIED,
    "monitoring": State.WATCHING,
    "resolved": State.FIXED,
    "postmortem": State.FIXED,
}
MAINTENANCE_STATES = {
    "scheduled": MaintenanceState.SCHEDULED,
    "in_progress": MaintenanceState.IN_PROGRESS,
    "verifying": MaintenanceState.VERIFYING,
    "completed": MaintenanceState.COMPLETED,
}
IMPACTS = {impact.value: impact for impact in Impact} | {"maintenance": Impact.NONE}

IDS_PER_QUERY = 500
TITLE_LENGTH = 200

_HTML = re.compile(r"</?(?:p|br|a|b|i|u|em|strong|small|var|code|pre|ul|ol|li|div|span|h[1-6]|table)\b[^<>]*>", re.I)

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


@dataclass(frozen=True)
class _Entry:
    """An update as it stands in the file."""

    public_id: str
    state: str
    body: str
    posted_at: datetime


@dataclass(frozen=True)
class _Group:
    public_id: str
    name: str
    position: int
    created_at: datetime


@dataclass(frozen=True)
class _Component:
    public_id: str
    title: str
    description: str | None
    group: str | None
    position: int
    created_at: datetime


@dataclass(frozen=True)
class _Report:
    """An incident or a maintenance as it stands in the file, its updates oldest first."""

    public_id: str
    title: str
    state: str
    impact: str
    began_at: datetime
    ended_at: datetime | None
    created_at: datetime
    updated_at: datetime
    updates: tuple[_Entry, ...]
    components: tuple[str, ...]


@dataclass(frozen=True)
class _History:
    source: str
    groups: list[_Group]
    components: list[_Component]
    gone: list[_Component]
    incidents: list[_Report]
    maintenances: list[_Report]


def import_statuspage(data: object, *, by: Actor, now: datetime, progress: Progress | None = None) -> ImportReport:
    """Import components, groups, incidents with their updates, and maintenance from a Statuspage v2 document.

    `data` is the decoded JSON. An incident's severities follow from its imported impact. A report that differs
    from the file is brought in line with it; updates written here stay. Raises RuleViolation naming the place
    in the file that cannot be used; then nothing has been written.
    """
    history = _read(data)
    tally = _Tally()
    components = _write_catalogue(history, tally, now)
    touched = _write_incidents(history, components, tally, now, progress)
    _write_maintenances(history, components, tally, now)
    db.session.flush()
    refresh_history(touched, now)
    report = replace(
        tally.report(),
        incidents=len(history.incidents),
        updates=sum(len(each.updates) for each in history.incidents),
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


# Reading the file: every refusal names the place.


@dataclass(frozen=True)
class _Place:
    """A value of the document and where it stands, such as `incidents[3].started_at`."""

    value: Any
    path: str = ""

    def __getitem__(self, name: str) -> "_Place":
        if not isinstance(self.value, dict):
            raise RuleViolation(f"{self._where()} must be an object, not {_kind(self.value)}.")
        return _Place(self.value.get(name), f"{self.path}.{name}" if self.path else name)

    def each(self) -> Iterable["_Place"]:
        if not isinstance(self.value, list):
            raise RuleViolation(f"{self._where()} must be a list, not {_kind(self.value)}.")
        return (_Place(value, f"{self.path}[{number}]") for number, value in enumerate(self.value))

    def text(self, longest: int | None = None) -> str:
        if not isinstance(self.value, str) or not self.value.strip():
            raise RuleViolation(f"{self._where()} must be a text, not {_kind(self.value)}.")
        if longest and len(self.value) > longest:
            raise RuleViolation(f"{self._where()} is longer than {longest} characters.")
        return _without_control(self.value)

    def optional_text(self) -> str | None:
        return None if self.value in (None, "") else self.text()

    def number(self) -> int:
        if self.value is None:
            return 0
        if not isinstance(self.value, int) or isinstance(self.value, bool) or not 0 <= self.value < 2**31:
            raise RuleViolation(f"{self._where()} must be a whole number, not {_kind(self.value)}.")
        return self.value

    def moment(self) -> datetime:
        found = self.optional_moment()
        if found is None:
            raise RuleViolation(f"{self._where()} is missing: it must be a time such as 2024-05-01T10:00:00Z.")
        return found

    def optional_moment(self) -> datetime | None:
        if self.value is None:
            return None
        try:
            moment = datetime.fromisoformat(self.text())
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise RuleViolation(f"{self._where()} must be a time with its zone, such as 2024-05-01T10:00:00Z.")
        return moment

    def choice(self, choices: Collection[str]) -> str:
        if not isinstance(self.value, str) or self.value not in choices:
            raise RuleViolation(f"{self._where()} must be one of {', '.join(choices)}, not {_kind(self.value)}.")
        return self.value

    def _where(self) -> str:
        return self.path or "The file"


def _kind(value: object) -> str:
    if value is None:
        return "missing"
    return repr(value)[:60] if isinstance(value, str | int | float) else f"a {type(value).__name__}"


def _without_control(text: str) -> str:
    return "".join(each for each in text if each in "\n\t" or (each >= " " and not "\ud800" <= each <= "\udfff"))


def _read(data: object) -> _History:
    root = _Place(data)
    source = root["page"]["id"].text(40)
    if source == OWN:
        raise RuleViolation(f"page.id cannot be {OWN!r}: that is the name of what is made here.")
    rows = list(root["components"].each())
    groups = [_read_group(row) for row in rows if row["group"].value is True]
    components = [_read_component(row) for row in rows if row["group"].value is not True]
    listed = {component.public_id for component in components}
    gone: dict[str, _Component] = {}

    def reports(name: str, read: Callable[[_Place], _Report]) -> list[_Report]:
        found = []
        places = root[name]
        for place in places.each():
            found.append(read(place))
            if place["components"].value is not None:
                named = [_read_component(each) for each in place["components"].each()]
                gone.update({each.public_id: each for each in named if each.public_id not in listed})
        return found

    incidents = reports("incidents", _read_incident)
    maintenances = reports("scheduled_maintenances", _read_maintenance) if root["scheduled_maintenances"].value else []
    for name, ids in (
        ("components", [row.public_id for row in components] + [row.public_id for row in groups]),
        ("incidents", [report.public_id for report in incidents]),
        ("scheduled_maintenances", [report.public_id for report in maintenances]),
    ):
        if len(ids) != len(set(ids)):
            twice = next(each for each in ids if ids.count(each) > 1)
            raise RuleViolation(f"{name} holds the id {twice!r} twice.")
    return _History(source, groups, components, list(gone.values()), incidents, maintenances)


def _read_group(place: _Place) -> _Group:
    return _Group(
        place["id"].text(40), place["name"].text(200), place["position"].number(), place["created_at"].moment()
    )


def _read_component(place: _Place) -> _Component:
    return _Component(
        public_id=place["id"].text(40),
        title=place["name"].text(200),
        description=place["description"].optional_text(),
        group=place["group_id"].optional_text(),
        position=place["position"].number(),
        created_at=place["created_at"].moment(),
    )


def _read_incident(place: _Place) -> _Report:
    began_at = place["started_at"].optional_moment() or place["created_at"].moment()
    return _read_report(place, STATES, began_at, place["resolved_at"].optional_moment())


def _read_maintenance(place: _Place) -> _Report:
    begins, ends = place["scheduled_for"].moment(), place["scheduled_until"].moment()
    if ends < begins:
        raise RuleViolation(f"{place.path}.scheduled_until is before scheduled_for.")
    return _read_report(place, MAINTENANCE_STATES, begins, ends)


def _read_report(place: _Place, states: Collection[str], began_at: datetime, ended_at: datetime | None) -> _Report:
    title = " ".join(place["name"].text().split())
    updates = [_read_update(each, states) for each in place["incident_updates"].each()]
    ids = [update.public_id for update in updates]
    if not ids or len(ids) != len(set(ids)):
        raise RuleViolation(f"{place.path}.incident_updates must hold at least one update, and none twice.")
    updates.reverse()  # Newest first in the file; the sort keeps the order of those of one moment.
    updates.sort(key=lambda update: update.posted_at)
    components = place["components"]
    named = [each["id"].text(40) for each in components.each()] if components.value is not None else []
    created_at = place["created_at"].moment()
    return _Report(
        public_id=place["id"].text(40),
        title=title if len(title) <= TITLE_LENGTH else title[: TITLE_LENGTH - 1] + "…",
        state=place["status"].choice(states),
        impact=place["impact"].choice(IMPACTS) if place["impact"].value is not None else "none",
        began_at=began_at,
        ended_at=ended_at,
        created_at=created_at,
        updated_at=place["updated_at"].optional_moment() or created_at,
        updates=tuple(updates),
        components=tuple(dict.fromkeys(named)),
    )


def _read_update(place: _Place, states: Collection[str]) -> _Entry:
    return _Entry(
        public_id=place["id"].text(40),
        state=place["status"].choice(states),
        body=as_markdown(place["body"].text()),
        posted_at=place["display_at"].optional_moment() or place["created_at"].moment(),
    )


def as_markdown(body: str) -> str:
    """A text of the other page as ours: HTML becomes Markdown, in plain text the line breaks stay."""
    if _HTML.search(body):
        return plaintext.to_markdown(body) or "–"
    return re.sub(r"(?<!\n)\n(?!\n)", "\\\\\n", body.replace("\r\n", "\n").strip())


# Writing


def _write_catalogue(history: _History, tally: _Tally, now: datetime) -> dict[str, int]:
    """Groups and components; returns component ids by their ids in the file."""
    groups = {
        row.public_id: row
        for row in db.session.scalars(select(ComponentGroup).where(ComponentGroup.source == history.source))
    }
    for group in history.groups:
        known = groups.get(group.public_id)
        row = known or ComponentGroup(source=history.source, public_id=group.public_id, created_at=group.created_at)
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
            created_at=component.created_at,
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
    history: _History, components: Mapping[str, int], tally: _Tally, now: datetime, progress: Progress | None
) -> frozenset[int]:
    """The incidents that differ from what is here; returns the ids of the components they name or named."""
    known = {
        row.public_id: row for row in db.session.scalars(select(Incident).where(Incident.source == history.source))
    }
    updates = _known(IncidentUpdate, IncidentUpdate.incident_id, [row.id for row in known.values()])
    named = _named(IncidentComponent, IncidentComponent.incident_id, [row.id for row in known.values()])
    changed: list[tuple[Incident, _Report]] = []
    touched: set[int] = set()
    for number, report in enumerate(history.incidents, start=1):
        ids = frozenset(components[each] for each in report.components)
        row = known.get(report.public_id)
        is_new = row is None
        row = row or Incident(
            source=history.source, public_id=report.public_id, is_backfill=True, created_at=report.created_at
        )
        differs = _assign(row, _incident_fields(report))
        if not is_new:
            differs = differs or _differs(report.updates, updates.get(row.id, {}), STATES)
            differs = differs or ids != named.get(row.id, frozenset())
        tally.note(is_new=is_new, differs=differs)
        if is_new or differs:
            db.session.add(row)
            changed.append((row, report))
            touched |= ids | named.get(row.id, frozenset()) if not is_new else ids
        if progress:
            progress(number, len(history.incidents))
    db.session.flush()
    _write_updates(changed, updates)
    _write_impacts(changed, components)
    return frozenset(touched)


def _incident_fields(report: _Report) -> dict[str, Any]:
    state = STATES[report.state]
    last = report.updates[-1]
    impact = IMPACTS[report.impact]
    return {
        "title": report.title,
        "state": state,
        "impact": impact,
        # With components the impact follows from them; without, it is what the source said.
        "impact_override": None if report.components or impact is Impact.NONE else impact,
        "started_at": report.began_at,
        "resolved_at": (report.ended_at or last.posted_at) if state is State.FIXED else None,
        "public_updated_at": max(last.posted_at, report.updated_at),
    }


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


def _differs(wanted: Iterable[_Entry], known: Mapping[str, Any], states: Mapping[str, Any]) -> bool:
    return any(
        (row := known.get(entry.public_id)) is None
        or (row.state, row.body, row.posted_at) != (states[entry.state], entry.body, entry.posted_at)
        for entry in wanted
    )


def _write_updates(changed: Sequence[tuple[Incident, _Report]], known: Mapping[int, Mapping[str, Any]]) -> None:
    fresh = []
    for incident, report in changed:
        rows = known.get(incident.id, {})
        for entry in report.updates:
            wanted = {"state": STATES[entry.state], "body": entry.body, "posted_at": entry.posted_at}
            if row := rows.get(entry.public_id):
                _assign(row, wanted)
            else:
                fresh.append({"incident_id": incident.id, "public_id": entry.public_id, "notify": False} | wanted)
    db.session.flush()
    if fresh:
        db.session.execute(insert(IncidentUpdate), fresh)


def _write_impacts(changed: Sequence[tuple[Incident, _Report]], components: Mapping[str, int]) -> None:
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
        severity = SEVERITY_OF_IMPACT[IMPACTS[report.impact]]
        hit = dict.fromkeys((components[each] for each in report.components), severity)
        timeline = _timeline(report, hit)
        stretches += interval_rows(incident.id, intervals(timeline, report.began_at))
        standing: dict[int, Severity] = {}
        for entry, source in zip(timeline, report.updates, strict=False):
            after = severities_after(standing, entry.named, entry.state)
            begins_fixed = not standing and entry.state is State.FIXED
            before = hit if begins_fixed else standing
            change_rows += _changes(update_ids[incident.id, source.public_id], before, after)
            standing = after
        final = dict.fromkeys(hit, Severity.NONE) if incident.resolved_at else standing
        standing_rows += [
            {"incident_id": incident.id, "component_id": component_id, "severity": each}
            for component_id, each in final.items()
        ]
    for table, rows in ((SeverityChange, change_rows), (IncidentComponent, standing_rows)):
        if rows:
            db.session.execute(insert(table), rows)
    write_intervals(stretches)


def _timeline(report: _Report, hit: Mapping[int, Severity]) -> list[Entry]:
    """What moves severities: the first update names them all; the end clears them even if no update says so."""
    timeline = [
        Entry(update.posted_at, STATES[update.state], hit if number == 0 else {})
        for number, update in enumerate(report.updates)
    ]
    if STATES[report.state] is State.FIXED and all(entry.state is not State.FIXED for entry in timeline):
        timeline.append(Entry(report.ended_at or timeline[-1].at, State.FIXED, {}))
    return timeline


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


def _write_maintenances(history: _History, components: Mapping[str, int], tally: _Tally, now: datetime) -> None:
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
        wanted = {components[each] for each in report.components}
        differs = differs or _differs(report.updates, updates.get(row.id, {}), MAINTENANCE_STATES)
        differs = differs or wanted != named.get(row.id, frozenset())
        tally.note(is_new=is_new, differs=differs)
        if is_new or differs:
            _write_maintenance_parts(row, report, updates.get(row.id, {}), wanted)


def _write_maintenance_parts(
    row: Maintenance, report: _Report, known: Mapping[str, Any], components: Collection[int]
) -> None:
    for entry in report.updates:
        wanted = {"state": MAINTENANCE_STATES[entry.state], "body": entry.body, "posted_at": entry.posted_at}
        update = known.get(entry.public_id) or MaintenanceUpdate(maintenance_id=row.id, public_id=entry.public_id)
        _assign(update, wanted)
        db.session.add(update)
    db.session.execute(delete(MaintenanceComponent).where(MaintenanceComponent.maintenance_id == row.id))
    db.session.add_all(
        MaintenanceComponent(maintenance_id=row.id, component_id=component_id) for component_id in sorted(components)
    )
    db.session.flush()
