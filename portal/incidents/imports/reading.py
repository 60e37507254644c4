"""Reading the file: every part is checked, and what is wrong is named by its place in the file."""

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portal import plaintext
from portal.catalogue.models import OWN
from portal.errors import RuleViolation
from portal.incidents.rules import Impact, MaintenanceState, State

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

TITLE_LENGTH = 200

_HTML = re.compile(r"</?(?:p|br|a|b|i|u|em|strong|small|var|code|pre|ul|ol|li|div|span|h[1-6]|table)\b[^<>]*>", re.I)


@dataclass(frozen=True)
class UpdateRead:
    """An update as it stands in the file."""

    public_id: str
    state: str
    body: str
    posted_at: datetime


@dataclass(frozen=True)
class GroupRead:
    """A group of components as it stands in the file."""

    public_id: str
    name: str
    position: int
    created_at: datetime


@dataclass(frozen=True)
class ComponentRead:
    """A component as it stands in the file; `group` is the id of its group there."""

    public_id: str
    title: str
    description: str | None
    group: str | None
    position: int
    created_at: datetime


@dataclass(frozen=True)
class ReportRead:
    """An incident or a maintenance as it stands in the file, its updates oldest first."""

    public_id: str
    title: str
    state: str
    impact: str
    began_at: datetime
    ended_at: datetime | None
    created_at: datetime
    updated_at: datetime
    updates: tuple[UpdateRead, ...]
    components: tuple[str, ...]


@dataclass(frozen=True)
class History:
    """The whole file. `gone` are components that only past reports name; `source` is the id of the page."""

    source: str
    groups: list[GroupRead]
    components: list[ComponentRead]
    gone: list[ComponentRead]
    incidents: list[ReportRead]
    maintenances: list[ReportRead]


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


def read_history(data: object) -> History:
    """Read a decoded document whole; RuleViolation naming the first place that cannot be used."""
    root = _Place(data)
    source = root["page"]["id"].text(40)
    if source == OWN:
        raise RuleViolation(f"page.id cannot be {OWN!r}: that is the name of what is made here.")
    rows = list(root["components"].each())
    groups = [_read_group(row) for row in rows if row["group"].value is True]
    components = [_read_component(row) for row in rows if row["group"].value is not True]
    listed = {component.public_id for component in components}
    gone: dict[str, ComponentRead] = {}

    def reports(name: str, read: Callable[[_Place], ReportRead]) -> list[ReportRead]:
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
    return History(source, groups, components, list(gone.values()), incidents, maintenances)


def _read_group(place: _Place) -> GroupRead:
    return GroupRead(
        place["id"].text(40), place["name"].text(200), place["position"].number(), place["created_at"].moment()
    )


def _read_component(place: _Place) -> ComponentRead:
    return ComponentRead(
        public_id=place["id"].text(40),
        title=place["name"].text(200),
        description=place["description"].optional_text(),
        group=place["group_id"].optional_text(),
        position=place["position"].number(),
        created_at=place["created_at"].moment(),
    )


def _read_incident(place: _Place) -> ReportRead:
    began_at = place["started_at"].optional_moment() or place["created_at"].moment()
    return _read_report(place, STATES, began_at, place["resolved_at"].optional_moment())


def _read_maintenance(place: _Place) -> ReportRead:
    begins, ends = place["scheduled_for"].moment(), place["scheduled_until"].moment()
    if ends < begins:
        raise RuleViolation(f"{place.path}.scheduled_until is before scheduled_for.")
    return _read_report(place, MAINTENANCE_STATES, begins, ends)


def _read_report(place: _Place, states: Collection[str], began_at: datetime, ended_at: datetime | None) -> ReportRead:
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
    return ReportRead(
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


def _read_update(place: _Place, states: Collection[str]) -> UpdateRead:
    return UpdateRead(
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
