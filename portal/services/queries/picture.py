"""How everything a company holds is at this moment, as that company may know it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from portal.accounts.rules import Viewpoint
from portal.catalogue.queries import HeldService, components_by_holding, services_held
from portal.incidents.queries.base import ByHand, by_hand_on
from portal.incidents.queries.open_now import OpenIncident, OpenWork, concerning, open_work
from portal.incidents.rules import (
    STATUS_OF_SEVERITY,
    ComponentStatus,
    Severity,
    worst,
)
from portal.incidents.rules.maintenance import is_under_way
from portal.services.queries.settings import View
from portal.services.queries.stated import stated_of_company, view_at_home
from portal.services.rules import Cause, CauseKind, ServiceStatus, Stated, effective_service_status, main_cause


@dataclass(frozen=True)
class ServiceLine:
    """One holding as its company sees it: what it is, with the name of its drawing, how it is, and why.

    `status` is None where nothing may be said of it: Status is switched off, and staff state nothing. `cause` is what
    the status comes from and `since` when that began; both are None when all is well. `reason` is the title of the
    incident or maintenance, or of the component that staff set by hand, `incident` the public id of the incident to
    link to. `notes` (Markdown) and `ticket` are staff's. `until` is when a problem is estimated to be over; of
    scheduled service, which `window` is the public id of, it is the end, and `starts_at` the start. What the company
    may not see of these is empty.
    """

    holding_id: int
    service_id: int
    name: str
    category: str
    reference: str
    icon: str
    status: ServiceStatus | None
    reason: str = ""
    since: datetime | None = None
    incident: str | None = None
    cause: CauseKind | None = None
    notes: str = ""
    ticket: str = ""
    starts_at: datetime | None = None
    until: datetime | None = None
    window: str | None = None


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
    """Maintenance under way or ahead on what the company uses, and those of its services it touches; none where it
    names no component, and so concerns everyone."""

    maintenance: OpenWork
    services: tuple[ServiceLine, ...]


@dataclass(frozen=True)
class CompanyPicture:
    """How a company is: a line per holding, what concerns it worst first, and how many incidents do not.

    `work` is maintenance under way, `ahead` what is still to come, soonest first.
    """

    lines: list[ServiceLine]
    concerns: list[Concern]
    work: list[PlannedWork]
    others: int
    ahead: list[PlannedWork] = field(default_factory=list)

    @property
    def stated(self) -> list[ServiceLine]:
        """The lines whose status staff have stated, worst first."""
        own = [line for line in self.lines if line.cause in (CauseKind.STATED, CauseKind.WINDOW)]
        return sorted(own, key=lambda line: -(line.status or ServiceStatus.NORMAL).rank)


def service_lines(
    company_id: int, now: datetime, *, shows_incidents: bool = True, view: View | None = None
) -> list[ServiceLine]:
    """One line per holding of the company, in the order of its service list, but for services hidden from it.

    `shows_incidents` is whether the Status area is open for this company: if not, nothing derived from incidents may
    show through, and a line has a status only where staff state one. `view` is what the company sees of its services,
    for None what it sees on its home domain. At most fifteen queries.
    """
    if shows_incidents:
        return company_picture(company_id, now, view=view).lines
    view = view_at_home(company_id) if view is None else view
    stated = stated_of_company(company_id, now)
    return [_stated_line(held, stated.get(held.holding_id), view) for held in _shown(company_id, view, now)]


def company_picture(company_id: int, now: datetime, *, view: View | None = None) -> CompanyPicture:
    """Everything a company's home says of its services, with `view` as for `service_lines`.

    At most fifteen queries, whatever it holds.
    """
    view = view_at_home(company_id) if view is None else view
    holdings = _shown(company_id, view, now)
    depends = components_by_holding(company_id, now)
    stated = stated_of_company(company_id, now)
    open_now = concerning(company_id, now)
    planned = open_work(Viewpoint(company_id=company_id), now)
    work = [each for each in planned if is_under_way(each, now)]
    own = frozenset().union(*depends.values())
    causes = [
        *(_cause_of_incident(each) for each in open_now.mine),
        *(_cause_of_work(each) for each in work),
        *(_cause_by_hand(each) for each in by_hand_on(own, now)),
    ]
    lines = [
        _line(held, depends.get(held.holding_id, frozenset()), causes, stated.get(held.holding_id), view)
        for held in holdings
    ]

    def touched(cause: Cause) -> tuple[ServiceLine, ...]:
        named = cause.statuses.keys()
        return tuple(line for line in lines if depends.get(line.holding_id, frozenset()) & named)

    concerns = [Concern(each, _severity(each, own), touched(_cause_of_incident(each))) for each in open_now.mine]

    def of_theirs(works: Sequence[OpenWork]) -> list[PlannedWork]:
        found = [PlannedWork(each, touched(_cause_of_work(each))) for each in works]
        return [each for each in found if each.services or not each.maintenance.components]

    ahead = [each for each in planned if each not in work]
    return CompanyPicture(lines, concerns, of_theirs(work), open_now.others, of_theirs(ahead))


def _shown(company_id: int, view: View, now: datetime) -> list[HeldService]:
    held = services_held(company_id, now)
    return [each for each in held if each.service_id not in view.hidden_services] if view.hidden_services else held


def _line(
    held: HeldService, components: Collection[int], causes: Sequence[Cause], stated: Stated | None, view: View
) -> ServiceLine:
    """The worse of what is stated and what the components imply; of equals, what is stated, with the incident named."""
    implied = effective_service_status(ServiceStatus.NORMAL, [cause.on(components) for cause in causes])
    cause = main_cause(components, causes)
    if stated is None or implied.rank > stated.status.rank:
        return ServiceLine(
            *held,
            status=implied,
            reason=cause.title if cause else "",
            since=cause.since if cause else None,
            incident=cause.public_id if cause else None,
            cause=_kind(cause),
        )
    line = _stated_line(held, stated, view)
    if cause is None or cause.public_id is None or implied is not stated.status:
        return line
    return replace(line, reason=cause.title, since=min(cause.since, stated.since), incident=cause.public_id)


def _stated_line(held: HeldService, stated: Stated | None, view: View) -> ServiceLine:
    if stated is None:
        return ServiceLine(*held, status=None)
    return ServiceLine(
        *held,
        status=stated.status,
        since=stated.since,
        cause=CauseKind.WINDOW if stated.window else CauseKind.STATED,
        notes=stated.notes if view.shows_notes else "",
        ticket=stated.ticket if view.shows_tickets else "",
        starts_at=stated.starts_at,
        until=stated.until if view.shows_end_times else None,
        window=stated.window,
    )


def _kind(cause: Cause | None) -> CauseKind | None:
    if cause is None:
        return None
    if cause.is_by_hand:
        return CauseKind.COMPONENT
    return CauseKind.WORK if cause.public_id is None else CauseKind.INCIDENT


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


def _cause_by_hand(each: ByHand) -> Cause:
    return Cause(each.title, each.since, {each.component_id: STATUS_OF_SEVERITY[each.severity]}, is_by_hand=True)


def _severity(incident: OpenIncident, own_components: Collection[int]) -> Severity:
    own = [each.severity for each in incident.components if each.component_id in own_components]
    return worst(own or [each.severity for each in incident.components])
