"""How everything a company holds is at this moment, as that company may know it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from portal.accounts.rules import Viewpoint
from portal.catalogue.queries import HeldService, components_by_holding, services_held
from portal.incidents.queries.open_now import OpenIncident, OpenWork, concerning, open_work
from portal.incidents.rules import (
    OPEN_MAINTENANCE,
    STATUS_OF_SEVERITY,
    ComponentStatus,
    Severity,
    maintenance_state,
    worst,
)
from portal.services.rules import Cause, ServiceStatus, effective_service_status, main_cause


@dataclass(frozen=True)
class ServiceLine:
    """One holding as its company sees it: what it is, how it is, and why.

    `status` is None where nothing may be said of it, because Status is switched off. `reason` and `since` are
    of what causes it, `incident` the public id of the incident to link to; all three are empty when all is well.
    """

    holding_id: int
    service_id: int
    name: str
    category: str
    reference: str
    status: ServiceStatus | None
    reason: str = ""
    since: datetime | None = None
    incident: str | None = None


@dataclass(frozen=True)
class Concern:
    """An open incident that concerns the company, and those of its services it touches (none: it reaches nobody's).

    `severity` is the worst on what the company depends on; where it touches nothing of theirs, the worst anywhere.
    """

    incident: OpenIncident
    severity: Severity
    services: tuple[ServiceLine, ...]


@dataclass(frozen=True)
class PlannedWork:
    """Maintenance under way on what the company uses, and those of its services it touches."""

    maintenance: OpenWork
    services: tuple[ServiceLine, ...]


@dataclass(frozen=True)
class CompanyPicture:
    """How a company is: a line per holding, what concerns it worst first, and how many incidents do not."""

    lines: list[ServiceLine]
    concerns: list[Concern]
    work: list[PlannedWork]
    others: int


def service_lines(company_id: int, now: datetime, *, shows_incidents: bool = True) -> list[ServiceLine]:
    """One line per holding of the company, in the order of its service list.

    `shows_incidents` is whether the Status area is open for this company: if not, nothing derived from
    incidents may show through, and only what staff stated of a service counts. At most twelve queries.
    """
    if shows_incidents:
        return company_picture(company_id, now).lines
    return [ServiceLine(*held, status=None) for held in services_held(company_id, now)]


def company_picture(company_id: int, now: datetime) -> CompanyPicture:
    """Everything a company's home says of its services. At most twelve queries, whatever it holds."""
    holdings = services_held(company_id, now)
    depends = components_by_holding(company_id, now)
    open_now = concerning(company_id, now)
    work = [each for each in open_work(Viewpoint(company_id=company_id), now) if _is_under_way(each, now)]
    causes = [_cause_of_incident(each) for each in open_now.mine] + [_cause_of_work(each) for each in work]
    lines = [_line(held, depends.get(held.holding_id, frozenset()), causes) for held in holdings]

    def touched(cause: Cause) -> tuple[ServiceLine, ...]:
        named = cause.statuses.keys()
        return tuple(line for line in lines if depends.get(line.holding_id, frozenset()) & named)

    own = frozenset().union(*depends.values())
    concerns = [Concern(each, _severity(each, own), touched(_cause_of_incident(each))) for each in open_now.mine]
    planned = [PlannedWork(each, touched(_cause_of_work(each))) for each in work]
    return CompanyPicture(lines, concerns, [each for each in planned if each.services], open_now.others)


def _line(held: HeldService, components: Collection[int], causes: Sequence[Cause]) -> ServiceLine:
    status = effective_service_status(ServiceStatus.NORMAL, [cause.on(components) for cause in causes])
    cause = main_cause(components, causes)
    return ServiceLine(
        *held,
        status=status,
        reason=cause.title if cause else "",
        since=cause.since if cause else None,
        incident=cause.public_id if cause else None,
    )


def _cause_of_incident(incident: OpenIncident) -> Cause:
    statuses = {
        each.component_id: STATUS_OF_SEVERITY[each.severity]
        for each in incident.components
        if each.severity is not Severity.NONE
    }
    return Cause(incident.title, incident.started_at, statuses, incident.public_id)


def _cause_of_work(maintenance: OpenWork) -> Cause:
    components = (each.component_id for each in maintenance.components)
    return Cause(maintenance.title, maintenance.starts_at, dict.fromkeys(components, ComponentStatus.MAINTENANCE))


def _severity(incident: OpenIncident, own_components: Collection[int]) -> Severity:
    own = [each.severity for each in incident.components if each.component_id in own_components]
    return worst(own or [each.severity for each in incident.components])


def _is_under_way(maintenance: OpenWork, now: datetime) -> bool:
    return maintenance_state(maintenance.state, maintenance.starts_at, maintenance.ends_at, now) in OPEN_MAINTENANCE
