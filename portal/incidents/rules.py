"""What an incident may be and do, and what it makes of a component. Sources: DESIGN section 5; Statuspage API v2."""

from collections.abc import Iterable, Mapping
from enum import StrEnum


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
        return list(Severity).index(self)


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
        return list(ComponentStatus).index(self)


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
