"""How a holding is: the four service statuses and what its components imply. Source: DESIGN section 5."""

from collections.abc import Iterable
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
