"""How a holding is: the four service statuses and what its components imply. Source: DESIGN section 5."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from portal.incidents.rules import ComponentStatus


class ServiceStatus(StrEnum):
    """How a service is for one company, mildest first; `rank` orders them."""

    NORMAL = "operating_normally"
    SCHEDULED = "scheduled_service"
    INTERMITTENT = "intermittent_problems"
    DOWN = "system_is_down"

    @property
    def rank(self) -> int:
        return list(ServiceStatus).index(self)


IMPLIED: dict[ComponentStatus, ServiceStatus] = {
    ComponentStatus.OPERATIONAL: ServiceStatus.NORMAL,
    ComponentStatus.MAINTENANCE: ServiceStatus.SCHEDULED,
    ComponentStatus.PERFORMANCE_ISSUE: ServiceStatus.INTERMITTENT,
    ComponentStatus.PARTIAL_RTH: ServiceStatus.INTERMITTENT,
    ComponentStatus.MAJOR_OUTAGE: ServiceStatus.DOWN,
}


def effective_service_status(stated: ServiceStatus, components: Iterable[ComponentStatus]) -> ServiceStatus:
    """The worse of what staff stated for the holding and what its components imply."""
    return max([stated, *(IMPLIED[status] for status in components)], key=lambda status: status.rank)


@dataclass(frozen=True)
class Cause:
    """Something open that holds components at a status: an incident, or maintenance under way.

    `public_id` is the incident's, for a link; None where there is no page to link to.
    """

    title: str
    since: datetime
    statuses: Mapping[int, ComponentStatus]
    public_id: str | None = None

    def on(self, components: Collection[int]) -> ComponentStatus:
        """The worst this does to any of these components (ids)."""
        hit = (self.statuses[each] for each in components if each in self.statuses)
        return max(hit, key=lambda status: status.rank, default=ComponentStatus.OPERATIONAL)


def main_cause(components: Collection[int], causes: Iterable[Cause]) -> Cause | None:
    """The cause to name for a holding that depends on these components: what hits it worst, of equals the oldest."""
    hitting = [cause for cause in causes if cause.on(components) is not ComponentStatus.OPERATIONAL]
    return min(hitting, key=lambda cause: (-cause.on(components).rank, cause.since), default=None)
