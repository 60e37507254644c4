"""What an incident may be and do, and what it makes of a component. Sources: DESIGN section 5; Statuspage API v2."""

import hashlib
from base64 import b32encode
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from portal.accounts.rules import Viewpoint


class State(StrEnum):
    INVESTIGATING = "investigating"
    IDENTIFIED = "identified"
    WATCHING = "watching"
    FIXED = "fixed"


class Severity(StrEnum):
    """How badly an incident hits a component. `rank` orders them; NONE clears."""

    NONE = "none"
    PERFORMANCE_ISSUE = "performance_issue"
    PARTIAL_RTH = "partial_rth"
    MAJOR_OUTAGE = "major_outage"

    @property
    def rank(self) -> int:
        return _SEVERITY_RANKS[self]


_SEVERITY_RANKS = {severity: rank for rank, severity in enumerate(Severity)}


class Visibility(StrEnum):
    PUBLIC = "public"
    PRIVATE = "private"


class Audience(StrEnum):
    EVERYONE = "everyone"
    AFFECTED = "affected"


class Impact(StrEnum):
    """An incident's own weight, in the Statuspage words."""

    NONE = "none"
    MINOR = "minor"
    MAJOR = "major"
    CRITICAL = "critical"


class MaintenanceState(StrEnum):
    SCHEDULED = "scheduled"
    IN_PROGRESS = "in_progress"
    VERIFYING = "verifying"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class ComponentStatus(StrEnum):
    """The effective status of a component, mildest first; `rank` orders them.

    Maintenance stands below every severity: it shows only where nothing is worse, so it never masks an outage.
    """

    OPERATIONAL = "operational"
    MAINTENANCE = "under_maintenance"
    PERFORMANCE_ISSUE = "degraded_performance"
    PARTIAL_RTH = "partial_outage"
    MAJOR_OUTAGE = "major_outage"

    @property
    def rank(self) -> int:
        return _STATUS_RANKS[self]


_STATUS_RANKS = {status: rank for rank, status in enumerate(ComponentStatus)}


STATUS_OF_SEVERITY: dict[Severity, ComponentStatus] = {
    Severity.NONE: ComponentStatus.OPERATIONAL,
    Severity.PERFORMANCE_ISSUE: ComponentStatus.PERFORMANCE_ISSUE,
    Severity.PARTIAL_RTH: ComponentStatus.PARTIAL_RTH,
    Severity.MAJOR_OUTAGE: ComponentStatus.MAJOR_OUTAGE,
}

IMPACT_OF_SEVERITY: dict[Severity, Impact] = {
    Severity.NONE: Impact.NONE,
    Severity.PERFORMANCE_ISSUE: Impact.MINOR,
    Severity.PARTIAL_RTH: Impact.MAJOR,
    Severity.MAJOR_OUTAGE: Impact.CRITICAL,
}


def worst(severities: Iterable[Severity]) -> Severity:
    return max(severities, key=lambda severity: severity.rank, default=Severity.NONE)


def impact_of(severities: Iterable[Severity], override: Impact | None = None) -> Impact:
    """The impact of an incident: the override if there is one, else that of its worst severity."""
    return override or IMPACT_OF_SEVERITY[worst(severities)]


def effective_status(
    impacts: Iterable[Severity], *, under_maintenance: bool, baseline: ComponentStatus = ComponentStatus.OPERATIONAL
) -> ComponentStatus:
    """The worse of the baseline and the impacts of open incidents; maintenance only where nothing is worse."""
    candidates = [baseline, *(STATUS_OF_SEVERITY[severity] for severity in impacts)]
    if under_maintenance:
        candidates.append(ComponentStatus.MAINTENANCE)
    return max(candidates, key=lambda status: status.rank)


def severities_after(
    standing: Mapping[int, Severity], named: Mapping[int, Severity], state: State | None
) -> dict[int, Severity]:
    """The severity of each component (by id) after an update.

    A component the update does not name keeps its own, None clears it, and Fixed clears all of them,
    whatever the update names.
    """
    after = {**standing, **named}
    return dict.fromkeys(after, Severity.NONE) if state is State.FIXED else after


OPEN_MAINTENANCE = (MaintenanceState.IN_PROGRESS, MaintenanceState.VERIFYING)
"""States of maintenance that stand for work under way, whatever the clock says of its window's start."""

SEVERITY_OF_IMPACT: dict[Impact, Severity] = {impact: severity for severity, impact in IMPACT_OF_SEVERITY.items()}
"""An imported component takes its severity from the imported impact."""


class Move(StrEnum):
    """What an update does to the state of its incident."""

    STAYS = "stays"
    MOVES = "moves"
    FIXES = "fixes"
    REOPENS = "reopens"


def move(current: State, target: State | None) -> Move:
    """What this update does. None keeps the state.

    The open states may follow each other in any order: a cause that was identified may turn out not to be it.
    A fixed incident is reopened by any update that names an open state, and may be written to (a cause found
    later) without being reopened.
    """
    if target is None or target is current:
        return Move.STAYS
    if target is State.FIXED:
        return Move.FIXES
    return Move.REOPENS if current is State.FIXED else Move.MOVES


@dataclass(frozen=True)
class Entry:
    """One public entry of a timeline, as far as it moves anything. `state` None keeps the state."""

    at: datetime
    state: State | None
    named: Mapping[int, Severity]


@dataclass(frozen=True)
class Interval:
    """From–to at one severity; `to_at` is None while it lasts."""

    severity: Severity
    from_at: datetime
    to_at: datetime | None


def intervals(entries: Iterable[Entry], started_at: datetime | None = None) -> dict[int, list[Interval]]:
    """Fold a timeline, oldest entry first, into the stretches each component (by id) was hit, in order.

    Stretches at severity None are left out, neighbours of equal severity are one, and a stretch without length
    is none. What the first entry names counts from `started_at` if that is given: an incident begins before
    somebody writes of it. If that first entry is already Fixed, what it names was broken until then.
    """
    folded: dict[int, list[Interval]] = {}
    standing: dict[int, Severity] = {}
    for number, entry in enumerate(entries):
        since = started_at if number == 0 and started_at is not None else entry.at
        if number == 0 and entry.state is State.FIXED:
            standing = _step(folded, standing, severities_after(standing, entry.named, None), since)
            since = entry.at
        standing = _step(folded, standing, severities_after(standing, entry.named, entry.state), since)
    return {component_id: stretches for component_id, stretches in folded.items() if stretches}


def _step(
    folded: dict[int, list[Interval]], before: Mapping[int, Severity], after: dict[int, Severity], at: datetime
) -> dict[int, Severity]:
    for component_id, severity in after.items():
        if before.get(component_id, Severity.NONE) is severity:
            continue
        stretches = folded.setdefault(component_id, [])
        if stretches and stretches[-1].to_at is None:
            last = stretches.pop()
            if last.from_at < at:
                stretches.append(Interval(last.severity, last.from_at, at))
        if severity is Severity.NONE:
            continue
        if stretches and stretches[-1].to_at == at and stretches[-1].severity is severity:
            stretches.append(Interval(severity, stretches.pop().from_at, None))
        else:
            stretches.append(Interval(severity, at, None))
    return after


def standing_severities(entries: Iterable[Entry]) -> dict[int, Severity]:
    """The severity that stands on each component ever named, after the whole timeline."""
    standing: dict[int, Severity] = {}
    for entry in entries:
        standing = severities_after(standing, entry.named, entry.state)
    return standing


def pack_days(stretches: Iterable[Interval], first_day: date, last_day: date) -> str:
    """One character per UTC day from first to last: the worst severity of that day as a digit, 0 none to 3 major.

    A stretch that ends at midnight does not touch the day that begins then; one that lasts reaches the last day.
    """
    days = [0] * ((last_day - first_day).days + 1)
    for stretch in stretches:
        begin = max((stretch.from_at.astimezone(UTC).date() - first_day).days, 0)
        end = len(days) - 1
        if stretch.to_at is not None:
            # The last moment that still belongs to the stretch.
            until = stretch.to_at.astimezone(UTC) - timedelta(microseconds=1)
            end = min((until.date() - first_day).days, end)
        for day in range(begin, end + 1):
            days[day] = max(days[day], stretch.severity.rank)
    return "".join(map(str, days))


def overlaid(days: str, others: str) -> str:
    """Two packed histories of the same days as one: the worse of each day."""
    quiet = "0" * len(others)
    if quiet in (days, others):
        return others if days == quiet else days  # nearly every component on nearly every page
    return "".join(max(pair) for pair in zip(days, others, strict=True))


def day_start(day: date) -> datetime:
    """The first moment of a UTC day."""
    return datetime.combine(day, time.min, UTC)


def is_visible(
    visibility: Visibility, audience: Audience, reached_company_ids: Collection[int], viewpoint: Viewpoint
) -> bool:
    """Whether an incident exists from this viewpoint.

    * Staff see all.
    * A private one exists for nobody else.
    * For everyone: everybody, signed in or not.
    * For the affected: the companies its components reach. If they reach nobody, nobody knows who is affected,
      so it concerns every company; somebody signed out is never one of the affected.
    """
    if viewpoint.is_staff:
        return True
    if visibility is Visibility.PRIVATE:
        return False
    if audience is Audience.EVERYONE:
        return True
    if viewpoint.company_id is None:
        return False
    return not reached_company_ids or viewpoint.company_id in reached_company_ids


def concerns(reached_company_ids: Collection[int], company_id: int) -> bool:
    """Whether an open incident that this company may see is about it: it is reached, or nobody is."""
    return not reached_company_ids or company_id in reached_company_ids


def impact_of_life(
    standing: Iterable[Severity], ever: Iterable[Severity], state: State, override: Impact | None = None
) -> Impact:
    """The impact an incident shows: of what stands while it is open, of the worst it ever was once fixed."""
    return impact_of(ever if state is State.FIXED else standing, override)


class Indicator(StrEnum):
    """The colour of a whole page, in the Statuspage words. `maintenance` occurs in the wild and is served."""

    NONE = "none"
    MINOR = "minor"
    MAJOR = "major"
    CRITICAL = "critical"
    MAINTENANCE = "maintenance"


@dataclass(frozen=True)
class PageStatus:
    """The roll-up of a page, as Statuspage clients know it."""

    indicator: Indicator
    description: str


ALL_WELL = PageStatus(Indicator.NONE, "All Systems Operational")

_OF_IMPACT = {
    Impact.NONE: ALL_WELL,
    Impact.MINOR: PageStatus(Indicator.MINOR, "Partially Degraded Service"),
    Impact.MAJOR: PageStatus(Indicator.MAJOR, "Partial System Outage"),
    Impact.CRITICAL: PageStatus(Indicator.CRITICAL, "Major System Outage"),
}


def roll_up(statuses: Sequence[ComponentStatus], open_impacts: Iterable[Impact] = ()) -> PageStatus:
    """The status of a page from its components (groups left out); the first line that holds wins.

    Where every component is well, or there is none, the worst impact of the open incidents decides.
    """
    found = set(statuses)
    alone = next(iter(found)) if len(found) == 1 else None
    lines = (
        (alone is ComponentStatus.MAJOR_OUTAGE, PageStatus(Indicator.CRITICAL, "Major System Outage")),
        (ComponentStatus.MAJOR_OUTAGE in found, PageStatus(Indicator.MAJOR, "Partial System Outage")),
        (alone is ComponentStatus.PARTIAL_RTH, PageStatus(Indicator.MAJOR, "Partial System Outage")),
        (ComponentStatus.PARTIAL_RTH in found, PageStatus(Indicator.MINOR, "Minor Service Outage")),
        (
            alone is ComponentStatus.PERFORMANCE_ISSUE and len(statuses) > 1,
            PageStatus(Indicator.MINOR, "Degraded System Service"),
        ),
        (ComponentStatus.PERFORMANCE_ISSUE in found, PageStatus(Indicator.MINOR, "Partially Degraded Service")),
    )
    for holds, status in lines:
        if holds:
            return status
    worst_impact = max(open_impacts, key=lambda impact: list(Impact).index(impact), default=Impact.NONE)
    if worst_impact is not Impact.NONE:
        return _OF_IMPACT[worst_impact]
    if ComponentStatus.MAINTENANCE in found:
        return PageStatus(Indicator.MAINTENANCE, "Service Under Maintenance")
    return ALL_WELL


def maintenance_state(
    state: MaintenanceState,
    starts_at: datetime,
    ends_at: datetime,
    now: datetime,
    *,
    starts_itself: bool,
    ends_itself: bool,
) -> MaintenanceState:
    """What a maintenance is at this moment: it follows its window unless it was ended or begun by hand.

    Begun by hand before its window it is under way at once. One that does not start by itself stays scheduled until
    somebody begins it, even past its end, as nobody knows that it was done; one that does not end by itself stays
    under way until somebody says that it is done. `rules.maintenance.state_of` asks this of a row.
    """
    if state in (MaintenanceState.CANCELLED, MaintenanceState.COMPLETED):
        return state
    has_begun = state in OPEN_MAINTENANCE or (starts_itself and now >= starts_at)
    if not has_begun:
        return MaintenanceState.SCHEDULED
    if ends_itself and now >= ends_at:
        return MaintenanceState.COMPLETED
    return state if state in OPEN_MAINTENANCE else MaintenanceState.IN_PROGRESS


USUAL_GAP = timedelta(minutes=14)
"""The median time between two updates of 801 public incidents: after it, the owner of an open incident is reminded."""


def update_due_at(last_public_update_at: datetime, promised_at: datetime | None) -> datetime:
    """When staff owe an open incident its next update: when they promised it, else after the usual gap."""
    return promised_at or last_public_update_at + USUAL_GAP


def public_id_for(idempotency_key: str) -> str:
    """The public id of what is made with this key: opaque, and the same for the same key, so a repeat finds it."""
    return b32encode(hashlib.sha256(idempotency_key.encode()).digest()).decode().lower()[:16]
