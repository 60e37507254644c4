"""What keeps alerts silent: an open incident, or planned work under way, on what they are about.

Private ones do too, and no customer is told of those: what may be named to a company is in `Muting.public`.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import select, union

from portal.alerts.models import Alert
from portal.alerts.rules import AlertArea
from portal.catalogue.models import Holding, HoldingDependency, ServiceDependency
from portal.catalogue.queries import is_valid
from portal.domains.queries import companies_with_status_open
from portal.extensions import db
from portal.incidents.models import Incident, IncidentComponent, Maintenance, MaintenanceComponent
from portal.incidents.queries.conditions import is_under_way
from portal.incidents.rules import Severity, Visibility


class Trouble(NamedTuple):
    """One component that an open incident hits, or that is worked on. `is_public` is whether customers may know."""

    is_incident: bool
    id: int
    component_id: int
    is_public: bool


@dataclass(frozen=True)
class Muting:
    """The services of one company that something is wrong with, and those of which it may be told."""

    services: frozenset[int] = frozenset()
    public: frozenset[int] = frozenset()

    def keeps_silent(self, services: frozenset[int] | None) -> bool:
        """Whether an alert about these services is muted; None stands for whichever the company holds."""
        return bool(self.services if services is None else self.services & services)

    def may_be_said(self, services: frozenset[int] | None) -> bool:
        """Whether all that may be said to the company explains why: something public hits them."""
        return bool(self.public if services is None else self.public & services)


NOT_MUTED = Muting()


def troubles(now: datetime) -> list[Trouble]:
    """All that is wrong or worked on now, component by component. Two queries."""
    incidents = db.session.execute(
        select(Incident.id, IncidentComponent.component_id, Incident.visibility, Incident.merged_into_id)
        .join(IncidentComponent, IncidentComponent.incident_id == Incident.id)
        .where(Incident.resolved_at.is_(None), IncidentComponent.severity != Severity.NONE)
    )
    works = db.session.execute(
        select(Maintenance.id, MaintenanceComponent.component_id, Maintenance.visibility)
        .join(MaintenanceComponent, MaintenanceComponent.maintenance_id == Maintenance.id)
        .where(is_under_way(now))
    )
    found = [
        Trouble(True, each_id, component_id, visibility is Visibility.PUBLIC and merged_into is None)
        for each_id, component_id, visibility, merged_into in incidents
    ]
    found += [Trouble(False, each_id, component_id, seen is Visibility.PUBLIC) for each_id, component_id, seen in works]
    return sorted(found)


def fingerprint(found: Iterable[Trouble]) -> str:
    """What changes as soon as something else is wrong, or may be told; empty while nothing is."""
    written = "|".join(",".join(str(int(part)) for part in each) for each in found)
    return hashlib.sha256(written.encode()).hexdigest() if written else ""


def mutings(company_ids: Collection[int], found: Collection[Trouble], now: datetime) -> dict[int, Muting]:
    """What keeps alerts of these companies silent; who has nothing of the kind is left out. One query, or none."""
    if not found or not company_ids:
        return {}
    components = {each.component_id for each in found}
    public = {each.component_id for each in found if each.is_public}
    services: dict[int, set[int]] = {}
    named: dict[int, set[int]] = {}
    for company_id, service_id, component_id in db.session.execute(_hit(company_ids, components, now)):
        services.setdefault(company_id, set()).add(service_id)
        if component_id in public:
            named.setdefault(company_id, set()).add(service_id)
    return {
        company_id: Muting(frozenset(hit), frozenset(named.get(company_id, ()))) for company_id, hit in services.items()
    }


def named_to(company_id: int, now: datetime) -> frozenset[int]:
    """The services of a company with which something is wrong of which it may be told now. At most five queries.

    Nothing where its portal does not show it the Status area.
    """
    found = mutings([company_id], [each for each in troubles(now) if each.is_public], now).get(company_id)
    if found is None or company_id not in companies_with_status_open([company_id]):
        return frozenset()
    return found.public


class Cause(NamedTuple):
    """An open incident, or planned work under way, that keeps an alert silent: for staff, who know all of them."""

    is_incident: bool
    id: int
    title: str


def causes(company_id: int, services: frozenset[int] | None, now: datetime) -> list[Cause]:
    """What keeps alerts of a company about these services silent, None standing for all it holds. Five queries."""
    found = troubles(now)
    rows = db.session.execute(_hit([company_id], {each.component_id for each in found}, now)) if found else ()
    components = {component for _company, service, component in rows if services is None or service in services}
    hit = {(each.is_incident, each.id) for each in found if each.component_id in components}
    return sorted(
        Cause(is_incident, each_id, title)
        for is_incident, model in ((True, Incident), (False, Maintenance))
        for each_id, title in db.session.execute(
            select(model.id, model.title).where(model.id.in_([each for kind, each in hit if kind is is_incident]))
        )
    )


def services_of(alert: Alert, metric_services: Mapping[int, int | None]) -> frozenset[int] | None:
    """The services an alert is about: the one it names, or its metric's; none for money, which no outage touches.

    None stands for whichever the company holds: calls of which nobody said through which service they go.
    """
    if alert.service_id is not None:
        return frozenset({alert.service_id})
    if alert.area is AlertArea.CUSTOM:
        service_id = metric_services.get(alert.metric_id or 0)
        return frozenset() if service_id is None else frozenset({service_id})
    return None if alert.area.is_of_calls or alert.area is AlertArea.SCRIPT else frozenset()


def _hit(company_ids: Collection[int], component_ids: Collection[int], now: datetime) -> Any:
    """Company, service and component of each holding of these companies that depends on one of the components."""
    columns = Holding.company_id, Holding.service_id
    mine = (Holding.company_id.in_(company_ids), is_valid(Holding, now))
    return union(
        select(*columns, ServiceDependency.component_id)
        .join(ServiceDependency, ServiceDependency.service_id == Holding.service_id)
        .where(*mine, ServiceDependency.component_id.in_(component_ids), is_valid(ServiceDependency, now)),
        select(*columns, HoldingDependency.component_id)
        .join(HoldingDependency, HoldingDependency.holding_id == Holding.id)
        .where(*mine, HoldingDependency.component_id.in_(component_ids), is_valid(HoldingDependency, now)),
    )
