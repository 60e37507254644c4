"""How much of the last days a holding or a whole service was up: what was stated, and what broke beneath it then."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from sqlalchemy import ColumnElement, select

from portal.accounts.rules import Viewpoint
from portal.catalogue.models import Holding, Service, ServiceDependency
from portal.extensions import db
from portal.incidents.queries.availability import contracts_in, rule_in, this_month
from portal.incidents.queries.conditions import would_see
from portal.incidents.rules import Interval, Severity, day_start, pack_days
from portal.incidents.rules.availability import Account, Counts, Layer, Terms, account
from portal.services.queries.behind import (
    Counter,
    Exists,
    Held,
    Hit,
    beneath_services,
    held,
    merged,
    nothing,
    on_holdings,
)

DAYS = 90
"""How many days (UTC) are looked back on, today among them."""

SHOWN_AS = {
    Counts.PERFORMANCE_ISSUE: Severity.PERFORMANCE_ISSUE,
    Counts.PARTIAL: Severity.PARTIAL_RTH,
    Counts.DOWN: Severity.MAJOR_OUTAGE,
}

_AS_SERVICES = str.maketrans("2", "1")
"""A service has two problems and not three: whatever is less than down is shown as intermittent."""


@dataclass(frozen=True)
class Uptime:
    """The last days of a holding: `days` has a digit for each, oldest first, 0 well, 1 intermittent, 3 down and "-"
    before it was held. `share` is the part of them it was up, 0 to 1, counted by `terms`.
    """

    first_day: date
    days: str
    account: Account
    terms: Terms = field(default_factory=Terms)

    @property
    def share(self) -> float:
        """The part of the days it was up, 0 to 1."""
        return self.account.share


@dataclass(frozen=True)
class Overall:
    """What all holdings of a service come to, and how many were held at any time of the days."""

    account: Account
    holdings: int

    @property
    def share(self) -> float:
        """The part of all the time it was held that it was up, 0 to 1."""
        return self.account.share


def uptimes(
    holding_ids: Collection[int], viewpoint: Viewpoint, now: datetime, *, counts_incidents: bool = True
) -> dict[int, Uptime]:
    """The uptime of each of these holdings, as somebody with this viewpoint may know it. At most twelve queries.

    What is stated counts for every viewpoint. Incidents count while the holding depended on what they hit; without
    `counts_incidents` (Status is closed) they do not. Maintenance counts as is agreed with the company.
    """
    begin = _begin(now)
    whose = Holding.id.in_(holding_ids)
    known = list(held(whose, begin, now))
    exists = _seen_by(viewpoint, now) if counts_incidents else nothing
    counter = _counter(whose, begin, now, exists)
    rule, contracts = contracts_in(this_month(now), {each.company_id for each in known})
    found = {}
    for each in known:
        own = contracts.get(each.company_id)
        terms = own.terms if own else rule.terms
        hits = counter.evidence.on(each.service_id, each.holding_id)
        found[each.holding_id] = Uptime(begin.date(), _days(hits, each, now), counter.counted(each, terms), terms)
    return found


def service_histories(service_ids: Collection[int], viewpoint: Viewpoint, now: datetime) -> dict[int, Uptime]:
    """The last days of whole services, by what they depended on then; what is stated of holdings is none of theirs.

    At most five queries.
    """
    begin = _begin(now)
    born = db.session.execute(select(Service.id, Service.created_at).where(Service.id.in_(service_ids))).all()
    of_services = ServiceDependency.service_id.in_(service_ids)
    evidence = beneath_services(of_services, begin, now, _seen_by(viewpoint, now))
    terms = rule_in(this_month(now)).terms
    found = {}
    for service_id, created_at in born:
        hits = evidence.of_services.get(service_id, [])
        since = max(begin, min([created_at, *(hit.from_at for hit in hits)]))
        layers = [Layer(hit.kind, hit.from_at, hit.to_at) for hit in hits]
        each = Held(0, 0, service_id, since, now)
        counted = account(layers, since, now, terms.weights)
        found[service_id] = Uptime(begin.date(), _days(hits, each, now), counted, terms)
    return found


def whole_service(service_id: int, viewpoint: Viewpoint, now: datetime) -> Overall:
    """How much of the last days a service was up over all who held it, each for as long as it did. Twelve queries."""
    begin = _begin(now)
    whose = Holding.service_id == service_id
    counter = _counter(whose, begin, now, _seen_by(viewpoint, now))
    rule, contracts = contracts_in(this_month(now))
    total, holdings = Account(), 0
    for each in held(whose, begin, now):
        own = contracts.get(each.company_id)
        total += counter.counted(each, own.terms if own else rule.terms)
        holdings += 1
    return Overall(total, holdings)


def _begin(now: datetime) -> datetime:
    return day_start(now.date() - timedelta(days=DAYS - 1))


def _seen_by(viewpoint: Viewpoint, now: datetime) -> Exists:
    return lambda row: would_see(row, viewpoint, now)


def _counter(whose: ColumnElement[bool], begin: datetime, end: datetime, exists: Exists) -> Counter:
    services = ServiceDependency.service_id.in_(select(Holding.service_id).where(whose))
    return Counter(merged(beneath_services(services, begin, end, exists), on_holdings(whose, begin, end, exists)))


def _days(hits: Iterable[Hit], each: Held, now: datetime) -> str:
    """The worst of each day while it was held; "-" before, and quiet after."""
    first_day = now.date() - timedelta(days=DAYS - 1)
    shown = []
    for hit in hits:
        start, stop = max(hit.from_at, each.since), min(hit.to_at, each.until)
        if hit.work is None and start < stop:
            shown.append(Interval(SHOWN_AS[hit.kind], start, stop))
    unknown = min(max((each.since.date() - first_day).days, 0), DAYS)
    return "-" * unknown + pack_days(shown, first_day, now.date()).translate(_AS_SERVICES)[unknown:]
