"""What lay on holdings between two moments: what was stated, what broke beneath them, and planned work, as true then.

All of it is read for many holdings at once; `counted` then says of each how much of its time it was down. What a
service depends on is read once for all of its holdings, and counted once for all that nothing of their own happened to.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, or_, select, true

from portal.catalogue.models import Holding, HoldingDependency, ServiceDependency
from portal.extensions import db
from portal.incidents.models import BaseStatus, ImpactInterval, Incident, Maintenance
from portal.incidents.queries.availability import planned_on
from portal.incidents.rules import Visibility
from portal.incidents.rules.availability import COUNTED_AS, Account, Counts, Layer, Terms, Work, account, work_layers
from portal.services.models import ServiceWindow, StatedPeriod, WindowHolding
from portal.services.rules import ServiceStatus, WindowState

STATED_AS = {ServiceStatus.INTERMITTENT: Counts.PARTIAL, ServiceStatus.DOWN: Counts.DOWN}
"""What is stated counts as the same of a component does: down in full, intermittent problems as a partial outage."""

Exists = Callable[[Any], ColumnElement[bool]]
"""Which incidents, which maintenance and what of what is set by hand count: a condition over either table."""


def told_to_customers(row: Any) -> ColumnElement[bool]:
    """What counts in a ledger: what is not private. Whom it hit could see it, and a figure is the same for both."""
    told: ColumnElement[bool] = true() if row is BaseStatus else row.visibility == Visibility.PUBLIC
    return told


def nothing(_row: Any) -> ColumnElement[bool]:
    """What counts where customers are not shown incidents at all."""
    return ~true()


Span = tuple[datetime, datetime]
"""From–to; the end is not in the future."""


class Source(StrEnum):
    """Where something that lay on a holding is written down."""

    INCIDENT = "incident"
    MAINTENANCE = "maintenance"
    COMPONENT = "component"
    STATED = "stated"
    WINDOW = "window"


class Cause(NamedTuple):
    """Something that lay on a holding, by the id of its row: of what is stated, of the update that stated it.

    COMPONENT is what a component was by hand, without an incident.
    """

    source: Source
    id: int


class Hit(NamedTuple):
    """From–to, this lay on a holding or a service. Of planned work, what it counts as follows from the contract."""

    cause: Cause
    from_at: datetime
    to_at: datetime
    kind: Counts
    work: Work | None = None

    def layers(self, terms: Terms) -> Iterator[Layer]:
        """What this counts as by these terms."""
        if self.work is None:
            yield Layer(self.kind, self.from_at, self.to_at)
            return
        for kind, from_at, to_at in work_layers(self.work, terms):
            yield Layer(kind, max(from_at, self.from_at), min(to_at, self.to_at))


@dataclass(frozen=True)
class Evidence:
    """Everything that lay on services and on single holdings, in their order."""

    of_services: Mapping[int, list[Hit]] = field(default_factory=dict)
    of_holdings: Mapping[int, list[Hit]] = field(default_factory=dict)

    def on(self, service_id: int, holding_id: int) -> list[Hit]:
        """What lay on one holding."""
        return [*self.of_services.get(service_id, ()), *self.of_holdings.get(holding_id, ())]


class Held(NamedTuple):
    """A holding for as long as it was held between two moments."""

    holding_id: int
    company_id: int
    service_id: int
    since: datetime
    until: datetime


def held(whose: ColumnElement[bool], begin: datetime, end: datetime) -> Iterator[Held]:
    """The holdings for which the condition holds that were held between two moments, in the order of their ids."""
    found = db.session.execute(
        select(Holding.id, Holding.company_id, Holding.service_id, Holding.valid_from, Holding.valid_to)
        .where(whose, Holding.valid_from < end, or_(Holding.valid_to.is_(None), Holding.valid_to > begin))
        .order_by(Holding.id)
    )
    for holding_id, company_id, service_id, valid_from, valid_to in found:
        yield Held(holding_id, company_id, service_id, max(valid_from, begin), min(valid_to or end, end))


def beneath_services(services: ColumnElement[bool], begin: datetime, end: datetime, exists: Exists) -> Evidence:
    """What broke and what was worked on beneath services, a condition over ServiceDependency. At most four queries."""
    dependency = ServiceDependency
    found = _broken(dependency, dependency.service_id, services, (begin, end), exists)
    for service_id, hit in _worked_on(dependency, dependency.service_id, services, (begin, end), exists):
        found[service_id].append(hit)
    return Evidence(of_services=found)


def on_holdings(whose: ColumnElement[bool], begin: datetime, end: datetime, exists: Exists) -> Evidence:
    """What lay on holdings alone: on what they depend on themselves, what was stated, and scheduled service.

    At most six queries.
    """
    dependency = HoldingDependency
    mine = dependency.holding_id.in_(select(Holding.id).where(whose))
    found = _broken(dependency, dependency.holding_id, mine, (begin, end), exists)
    for holding_id, hit in _worked_on(dependency, dependency.holding_id, mine, (begin, end), exists):
        found[holding_id].append(hit)
    for holding_id, hit in _stated(whose, begin, end):
        found[holding_id].append(hit)
    for holding_id, hit in _windows(whose, begin, end):
        found[holding_id].append(hit)
    return Evidence(of_holdings=found)


class Counter:
    """Counts holdings by their contracts; those that only their service tells apart are counted once."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self._known: dict[Any, Account] = {}

    def counted(self, each: Held, terms: Terms) -> Account:
        """How much of its time this holding was down."""
        own = self.evidence.of_holdings.get(each.holding_id)
        if own:
            return self._counted(self.evidence.on(each.service_id, each.holding_id), each, terms)
        key = (each.service_id, each.since, each.until, terms)
        known = self._known.get(key)
        if known is None:
            of_service = self.evidence.of_services.get(each.service_id, ())
            known = self._known[key] = self._counted(of_service, each, terms)
        return known

    def causes(self, each: Held) -> list[Cause]:
        """What lay on this holding while it was held, each once, in the order in which it began."""
        hits = self.evidence.on(each.service_id, each.holding_id)
        lay = sorted((hit.from_at, hit.cause) for hit in hits if hit.from_at < each.until and hit.to_at > each.since)
        return list(dict.fromkeys(cause for _, cause in lay))

    @staticmethod
    def _counted(hits: Iterable[Hit], each: Held, terms: Terms) -> Account:
        layers = [layer for hit in hits for layer in hit.layers(terms)]
        return account(layers, each.since, each.until, terms.in_contract)


def merged(*parts: Evidence) -> Evidence:
    """What was read apart as one."""
    services: dict[int, list[Hit]] = {}
    holdings: dict[int, list[Hit]] = {}
    for part in parts:
        services.update(part.of_services)
        holdings.update(part.of_holdings)
    return Evidence(services, holdings)


def _broken(
    dependency: Any, key: Any, wanted: ColumnElement[bool], span: Span, exists: Exists
) -> defaultdict[int, list[Hit]]:
    """What incidents did to what is depended on, and what that was by hand, cut to when it was. Two queries."""
    begin, end = span
    found: defaultdict[int, list[Hit]] = defaultdict(list)

    def stretches(each: Any, cause_id: Any) -> Any:
        return (
            select(key, cause_id, each.severity, each.from_at, each.to_at, dependency.valid_from, dependency.valid_to)
            .join(each, each.component_id == dependency.component_id)
            .where(wanted, each.from_at < end, or_(each.to_at.is_(None), each.to_at > begin))
            .order_by(each.from_at, each.id)
        )

    of_incidents = (
        stretches(ImpactInterval, ImpactInterval.incident_id)
        .join(Incident, Incident.id == ImpactInterval.incident_id)
        .where(exists(Incident))
    )
    by_hand = stretches(BaseStatus, BaseStatus.id).where(exists(BaseStatus))
    for source, statement in ((Source.INCIDENT, of_incidents), (Source.COMPONENT, by_hand)):
        for owner_id, cause_id, severity, from_at, to_at, valid_from, valid_to in db.session.execute(statement):
            start, stop = max(from_at, valid_from), min(to_at or end, valid_to or end, end)
            if start < stop and severity in COUNTED_AS:
                found[owner_id].append(Hit(Cause(source, cause_id), start, stop, COUNTED_AS[severity]))
    return found


def _worked_on(
    dependency: Any, key: Any, wanted: ColumnElement[bool], span: Span, exists: Exists
) -> Iterator[tuple[int, Hit]]:
    """Maintenance of what is depended on, cut to when it was. Two queries, one where there was none."""
    begin, end = span
    works = defaultdict(list)
    for planned in planned_on(None, begin, end, exists(Maintenance)):
        works[planned.component_id].append(planned)
    if not works:
        return
    rows = db.session.execute(
        select(key, dependency.component_id, dependency.valid_from, dependency.valid_to).where(
            wanted, dependency.component_id.in_(list(works))
        )
    )
    for owner_id, component_id, valid_from, valid_to in rows:
        for planned in works[component_id]:
            work = planned.work
            start, stop = max(work.began_at, valid_from), min(work.ended_at, valid_to or end)
            if start < stop:
                yield owner_id, Hit(Cause(Source.MAINTENANCE, planned.maintenance_id), start, stop, work.kind, work)


def _stated(whose: ColumnElement[bool], begin: datetime, end: datetime) -> Iterator[tuple[int, Hit]]:
    period = StatedPeriod
    rows = db.session.execute(
        select(period.holding_id, period.update_id, period.status, period.began_at, period.ended_at)
        .join(Holding, Holding.id == period.holding_id)
        .where(whose, period.began_at < end, or_(period.ended_at.is_(None), period.ended_at > begin))
        .order_by(period.began_at, period.id)
    )
    for holding_id, update_id, status, began_at, ended_at in rows:
        yield holding_id, Hit(Cause(Source.STATED, update_id), began_at, min(ended_at or end, end), STATED_AS[status])


def _windows(whose: ColumnElement[bool], begin: datetime, end: datetime) -> Iterator[tuple[int, Hit]]:
    """Scheduled service under way between the moments: until its end, or until a holding was taken out of it."""
    window = ServiceWindow
    rows = db.session.execute(
        select(
            WindowHolding.holding_id,
            WindowHolding.left_at,
            window.id,
            window.announced_at,
            window.starts_at,
            window.ends_at,
            window.ended_at,
        )
        .join(window, window.id == WindowHolding.window_id)
        .join(Holding, Holding.id == WindowHolding.holding_id)
        .where(
            whose,
            window.state != WindowState.CANCELLED,
            window.starts_at < end,
            window.ends_at > begin,
        )
        .order_by(window.starts_at, window.id)
    )
    for holding_id, left_at, window_id, announced_at, starts_at, ends_at, ended_at in rows:
        stop = min(each for each in (left_at, ended_at, ends_at, end) if each is not None)
        if starts_at < stop:
            work = Work(announced_at, starts_at, ends_at, starts_at, stop)
            yield holding_id, Hit(Cause(Source.WINDOW, window_id), starts_at, stop, work.kind, work)
