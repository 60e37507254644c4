"""Reading the file: every part is checked, and what is wrong is named by its place in the file."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

from portal import plaintext
from portal.catalogue.models import OWN
from portal.errors import RuleViolation
from portal.incidents.rules import STATUS_OF_SEVERITY, ComponentStatus, Impact, MaintenanceState, Severity, State
from portal.localtime import EARLIEST, LATEST

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
POSTMORTEM = "postmortem"
"""The state of the update that explains an incident, and of the incident from then on."""

SEVERITIES = {status.value: severity for severity, status in STATUS_OF_SEVERITY.items()} | {
    # Planned work is told of beside incidents, and hits nothing.
    ComponentStatus.MAINTENANCE.value: Severity.NONE
}
IMPACTS = {impact.value: impact for impact in Impact} | {"maintenance": Impact.NONE}

TITLE_LENGTH = 200
"""Characters of titles and names that are kept; what is longer ends in an ellipsis."""

_HTML = re.compile(r"</?(?:p|br|a|b|i|u|em|strong|small|var|code|pre|ul|ol|li|div|span|h[1-6]|table)\b[^<>]*>", re.I)


@dataclass(frozen=True)
class MoveRead:
    """What an update says of one component, by its id in the file: how it was, and how it is from then on."""

    component: str
    old: Severity
    new: Severity


@dataclass(frozen=True)
class UpdateRead:
    """An update as it stands in the file. `notify` says whether the other page mailed it to its subscribers.

    `moves` is empty where the file does not say what it moved.
    """

    public_id: str
    state: str
    body: str
    posted_at: datetime
    notify: bool
    moves: tuple[MoveRead, ...]


@dataclass(frozen=True)
class GroupRead:
    """A group of components as it stands in the file."""

    public_id: str
    name: str
    position: int
    created_at: datetime | None


@dataclass(frozen=True)
class ComponentRead:
    """A component as it stands in the file; `group` is the id of its group there. Some do not say when they began."""

    public_id: str
    title: str
    description: str | None
    group: str | None
    position: int
    created_at: datetime | None


@dataclass(frozen=True)
class ReportRead:
    """An incident or a maintenance as it stands in the file, its updates oldest first, the postmortem beside them."""

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
    postmortem: UpdateRead | None


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
        is_blank = self.value is None or (isinstance(self.value, str) and not self.value.strip())
        return None if is_blank else self.text()

    def name(self) -> str:
        """A text on one line, cut where it is too long to be kept."""
        found = " ".join(self.text().split())
        return found if len(found) <= TITLE_LENGTH else found[: TITLE_LENGTH - 1] + "…"

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
        if self.value is None or self.value == "":
            return None
        try:
            moment = datetime.fromisoformat(self.text())
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None or not EARLIEST <= moment.year <= LATEST:
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
    """Read a decoded document whole; RuleViolation naming the first place that cannot be used.

    What stands in it twice in the same words is read once, as where pages of a list overlap. Components may be missing,
    as in `incidents.json`: then they are those that the reports name. Planned work may stand among the incidents.
    """
    root = _Place(data)
    source = root["page"]["id"].text(40)
    if source == OWN:
        raise RuleViolation(f"page.id cannot be {OWN!r}: that is the name of what is made here.")
    rows = list(root["components"].each()) if root["components"].value is not None else []
    groups = _once([_read_group(row) for row in rows if _is_group(row)], "components")
    components = _once([_read_component(row) for row in rows if not _is_group(row)], "components")
    members = {
        group.public_id: [each.public_id for each in components if each.group == group.public_id] for group in groups
    }
    if twice := next((each.public_id for each in components if each.public_id in members), None):
        raise RuleViolation(f"components holds the id {twice!r} twice.")
    planned = list(root["scheduled_maintenances"].each()) if root["scheduled_maintenances"].value else []
    broken: list[_Place] = []
    for place in root["incidents"].each():
        (planned if _is_planned(place) else broken).append(place)
    incidents = _once([_read_incident(place, members) for place in broken], "incidents")
    maintenances = _once([_read_maintenance(place, members) for place in planned], "scheduled_maintenances")
    listed = {component.public_id for component in components} | members.keys()
    gone: dict[str, ComponentRead] = {}
    for place in (*broken, *planned):
        if place["components"].value is not None:
            named = [_read_component(each) for each in place["components"].each() if not _is_group(each)]
            gone.update({each.public_id: each for each in named if each.public_id not in listed})
    return History(source, groups, components, list(gone.values()), incidents, maintenances)


def _is_group(place: _Place) -> bool:
    return place["group"].value is True


def _is_planned(place: _Place) -> bool:
    """Whether what stands among the incidents is planned work, as where one list holds both."""
    return place["scheduled_for"].value is not None and place["status"].value in tuple(MAINTENANCE_STATES)


class _Known(Protocol):
    @property
    def public_id(self) -> str: ...


Read = TypeVar("Read", bound=_Known)


def _once(found: Iterable[Read], name: str) -> list[Read]:
    """Each once, the first of those that are the same; RuleViolation where two of one id differ."""
    known: dict[str, Read] = {}
    for each in found:
        if known.setdefault(each.public_id, each) != each:
            raise RuleViolation(f"{name} holds the id {each.public_id!r} twice.")
    return list(known.values())


def _read_group(place: _Place) -> GroupRead:
    return GroupRead(
        place["id"].text(40), place["name"].name(), place["position"].number(), place["created_at"].optional_moment()
    )


def _read_component(place: _Place) -> ComponentRead:
    return ComponentRead(
        public_id=place["id"].text(40),
        title=place["name"].name(),
        description=place["description"].optional_text(),
        group=place["group_id"].optional_text(),
        position=place["position"].number(),
        created_at=place["created_at"].optional_moment(),
    )


Members = Mapping[str, Sequence[str]]
"""The ids of the components of each group, by the id of the group."""


def _read_incident(place: _Place, members: Members) -> ReportRead:
    began_at = place["started_at"].optional_moment() or place["created_at"].moment()
    return _read_report(place, STATES, members, began_at, place["resolved_at"].optional_moment())


def _read_maintenance(place: _Place, members: Members) -> ReportRead:
    begins = place["scheduled_for"].moment()
    # Some do not say until when: then until it was over, or for no time at all.
    ends = place["scheduled_until"].optional_moment() or place["resolved_at"].optional_moment() or begins
    if ends < begins:
        raise RuleViolation(f"{place.path}.scheduled_until is before scheduled_for.")
    return _read_report(place, MAINTENANCE_STATES, members, begins, ends)


def _read_report(
    place: _Place, states: Collection[str], members: Members, began_at: datetime, ended_at: datetime | None
) -> ReportRead:
    updates = _once([_read_update(each, states) for each in place["incident_updates"].each()], place.path)
    if not updates:
        raise RuleViolation(f"{place.path}.incident_updates must hold at least one update.")
    if updates[0].posted_at >= updates[-1].posted_at:
        updates.reverse()  # Newest first, as usual; the sort keeps the order of those of one moment.
    updates.sort(key=lambda update: update.posted_at)
    # One that stands alone is all there is to show of the incident.
    postmortem = updates.pop() if updates[-1].state == POSTMORTEM and len(updates) > 1 else None
    components = place["components"]
    named = [each["id"].text(40) for each in components.each()] if components.value is not None else []
    hit = [component for each in named for component in members.get(each, [each])]
    created_at = place["created_at"].optional_moment() or min(began_at, updates[0].posted_at)
    return ReportRead(
        public_id=place["id"].text(40),
        title=place["name"].name(),
        state=place["status"].choice(states),
        impact=place["impact"].choice(IMPACTS) if place["impact"].value is not None else "none",
        began_at=began_at,
        ended_at=ended_at,
        created_at=created_at,
        updated_at=place["updated_at"].optional_moment() or created_at,
        updates=tuple(updates),
        components=tuple(dict.fromkeys(hit)),
        postmortem=postmortem,
    )


def _read_update(place: _Place, states: Collection[str]) -> UpdateRead:
    return UpdateRead(
        public_id=place["id"].text(40),
        state=place["status"].choice(states),
        # A step that only the clock took has no words.
        body=as_markdown(place["body"].optional_text() or ""),
        posted_at=place["display_at"].optional_moment() or place["created_at"].moment(),
        notify=place["deliver_notifications"].value is True,
        moves=_read_moves(place["affected_components"]),
    )


def _read_moves(place: _Place) -> tuple[MoveRead, ...]:
    """What an update moved; what names no component, or no status after it, says nothing."""
    if place.value is None:
        return ()
    named = [(each["code"].value, each["old_status"].value, each["new_status"].value) for each in place.each()]
    return tuple(
        MoveRead(code, SEVERITIES.get(old, Severity.NONE) if isinstance(old, str) else Severity.NONE, SEVERITIES[new])
        for code, old, new in named
        if isinstance(code, str) and isinstance(new, str) and new in SEVERITIES
    )


def as_markdown(body: str) -> str:
    """A text of the other page as ours: HTML becomes Markdown, in plain text the line breaks stay."""
    if _HTML.search(body):
        return plaintext.to_markdown(body) or "–"
    return re.sub(r"(?<!\n)\n(?!\n)", "\\\\\n", body.replace("\r\n", "\n").strip())
