"""The ledger of availability: what each company had of what it holds in a month, against what was promised.

A month is that of the zone of the company's home portal domain, UTC where it has none. What counts is what was not
private: what the company could see. A month that is over comes out the same whenever it is asked for: holdings and
dependencies are taken as they were valid then, and the rule and the contract as they were in that month.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from flask import current_app
from sqlalchemy import ColumnElement, and_, func, or_, select

from portal import events
from portal.accounts.models import Company
from portal.accounts.rules import Viewpoint
from portal.catalogue.models import Component, Holding, Service, ServiceDependency
from portal.domains.models import Admission, PortalDomain
from portal.extensions import db
from portal.incidents.models import BaseStatus, Incident, Maintenance
from portal.incidents.queries.availability import Contract, Rule, contracts_in
from portal.incidents.queries.conditions import visible_to
from portal.incidents.queries.wordings import text_for
from portal.incidents.rules.availability import Account, Month, Terms
from portal.services.models import ServiceWindow, StatedPeriod
from portal.services.queries.behind import (
    Cause,
    Counter,
    Evidence,
    Held,
    Source,
    beneath_services,
    held,
    merged,
    on_holdings,
    told_to_customers,
)
from portal.services.rules import ServiceStatus

COMPANIES_AT_ONCE = 500
"""Companies read and counted together: what is held in memory of a ledger of all of them."""

UTC_ZONE = "UTC"

_WIDEST = timedelta(hours=15)
"""How far from UTC the month of any zone may begin or end."""


@dataclass(frozen=True)
class Line:
    """A holding in a month: from when to when it was held in it, what that comes to, and what lay on it."""

    holding_id: int
    service_id: int
    name: str
    category: str
    reference: str
    since: datetime
    until: datetime
    account: Account
    target: int | None
    causes: tuple[Cause, ...]

    @property
    def is_met(self) -> bool | None:
        """Whether what was promised was kept; None where nothing was."""
        return None if self.target is None else self.account.meets(self.target)


@dataclass(frozen=True)
class CompanyMonth:
    """What a company had in a month, a line for each holding; `end` is now while the month is running."""

    company_id: int
    name: str
    external_id: str | None
    zone: str
    month: Month
    begin: datetime
    end: datetime
    terms: Terms
    lines: tuple[Line, ...]

    @property
    def total(self) -> Account:
        """All holdings, each for as long as it was held."""
        return sum((line.account for line in self.lines), Account())

    @property
    def missed(self) -> int:
        """How many holdings had less than what was promised."""
        return sum(line.is_met is False for line in self.lines)

    @property
    def worst(self) -> Account:
        """The holding that was up least."""
        return min((line.account for line in self.lines), key=lambda account: account.share, default=Account())


class Summary(NamedTuple):
    """A company's month in short: the worst of its holdings, all of them, and how many missed what was promised.

    `worst` and `share` are thousandths of a percent.
    """

    company_id: int
    name: str
    worst: int
    share: int
    down: timedelta
    holdings: int
    missed: int
    target: int | None


class Named(NamedTuple):
    """What lay on a holding, as it is named: a title, from–to, and the public id where there is one to link to.

    Of what was set by hand, the title is that of the component.
    """

    cause: Cause
    title: str
    from_at: datetime
    to_at: datetime | None
    public_id: str | None = None
    status: ServiceStatus | None = None
    component_id: int | None = None


def company_month(company_id: int, month: Month, now: datetime, *, hidden: Collection[int] = ()) -> CompanyMonth | None:
    """The month of one company, without the services hidden from it. None before the month begins for it.

    At most fifteen queries.
    """
    found = list(_months(Company.id == company_id, month, now, named=True, hidden=hidden))
    return found[0] if found else None


def months_of_all(month: Month, now: datetime) -> Iterator[CompanyMonth]:
    """The month of every company that held anything in it, by id, some hundred at a time; memory stays bounded."""
    for low, high in slices_of(month):
        yield from months_between(low, high, month, now)


def months_between(low: int, high: int, month: Month, now: datetime) -> list[CompanyMonth]:
    """The month of the companies of one of `slices_of`."""
    return [each for each in _months(_between(low, high), month, now, named=True) if each.lines]


def summaries(month: Month, now: datetime) -> list[Summary]:
    """Every company that held anything in the month, in short.

    Kept in this process until something rings staff, and for a minute while the month is running; for an hour after.
    """
    is_over = now > month.bounds(ZoneInfo(UTC_ZONE))[1] + _WIDEST
    until = now.replace(minute=0 if is_over else now.minute, second=0, microsecond=0)
    kept: OrderedDict[Any, list[Summary]] = current_app.extensions.setdefault(KEPT, OrderedDict())
    key = (month, until, events.versions_of([events.STAFF]).get(events.STAFF, 0))
    known = kept.get(key)
    if known is None:
        known = list(_summarised(month, now))
        with _keeping:
            kept[key] = known
            while len(kept) > MONTHS_KEPT:
                kept.popitem(last=False)
    return known


MONTHS_KEPT = 3
"""Summaries of months a process keeps, some 200 bytes a company each."""

KEPT = "months_kept"
"""Where an app keeps them."""

_keeping = Lock()


def names_of(causes: Iterable[Cause], viewpoint: Viewpoint, now: datetime) -> dict[Cause, Named]:
    """What lay on holdings, by name, as far as somebody with this viewpoint may see it. At most five queries."""
    by_source = defaultdict(list)
    for each in causes:
        by_source[each.source].append(each.id)
    found: dict[Cause, Named] = {}
    for source, named in _NAMES.items():
        if ids := by_source.get(source):
            found.update((one.cause, one) for one in named(ids, viewpoint, now))
    return found


def zone_of(company_id: int) -> ZoneInfo:
    """The zone in which the months of a company begin. One query."""
    name = db.session.scalar(
        select(PortalDomain.time_zone)
        .join(Admission, Admission.domain_id == PortalDomain.id)
        .where(Admission.company_id == company_id, Admission.is_home)
    )
    return ZoneInfo(name or UTC_ZONE)


def _summarised(month: Month, now: datetime) -> Iterator[Summary]:
    for low, high in slices_of(month):
        for each in _months(_between(low, high), month, now, named=False):
            if each.lines:
                total = each.total
                yield Summary(
                    each.company_id,
                    each.name,
                    each.worst.thousandths,
                    total.thousandths,
                    total.down,
                    len(each.lines),
                    each.missed,
                    each.terms.target,
                )


def slices_of(month: Month) -> list[tuple[int, int]]:
    """From the first to the last id of each slice of companies that may have held something in the month. One query."""
    begin, end = month.bounds(ZoneInfo(UTC_ZONE))
    holds = select(1).where(
        Holding.company_id == Company.id,
        Holding.valid_from < end + _WIDEST,
        or_(Holding.valid_to.is_(None), Holding.valid_to > begin - _WIDEST),
    )
    ids = db.session.scalars(select(Company.id).where(holds.exists()).order_by(Company.id)).all()
    starts = range(0, len(ids), COMPANIES_AT_ONCE)
    return [(ids[at], ids[min(at + COMPANIES_AT_ONCE, len(ids)) - 1]) for at in starts]


def _between(low: int, high: int) -> ColumnElement[bool]:
    return Company.id.between(low, high)


def _months(
    which: ColumnElement[bool], month: Month, now: datetime, *, named: bool, hidden: Collection[int] = ()
) -> Iterator[CompanyMonth]:
    """The months of the companies for which the condition holds, by id. A fixed number of queries."""
    companies = db.session.execute(
        select(Company.id, Company.name, Company.external_id, PortalDomain.time_zone)
        .outerjoin(Admission, and_(Admission.company_id == Company.id, Admission.is_home))
        .outerjoin(PortalDomain, PortalDomain.id == Admission.domain_id)
        .where(which)
        .order_by(Company.id)
    ).all()
    spans = {each.id: _span(each.time_zone or UTC_ZONE, month, now) for each in companies}
    begun = [begin for begin, end in spans.values() if begin < end]
    if not begun:
        return
    begin, end = min(begun), max(end for _, end in spans.values())
    whose: ColumnElement[bool] = Holding.company_id.in_(select(Company.id).where(which))
    if hidden:
        whose = and_(whose, Holding.service_id.not_in(hidden))
    holdings: defaultdict[int, list[Held]] = defaultdict(list)
    for each in held(whose, begin, end):
        holdings[each.company_id].append(each)
    rule, contracts = contracts_in(month, list(holdings) if len(holdings) == 1 else None)
    services = ServiceDependency.service_id.in_(select(Holding.service_id).where(whose))
    lay: Evidence = merged(
        beneath_services(services, begin, end, told_to_customers), on_holdings(whose, begin, end, told_to_customers)
    )
    counter = Counter(lay)
    names = _names_of_holdings(whose) if named else {}
    for company in companies:
        begin, end = spans[company.id]
        if begin < end:
            terms = _terms(rule, contracts, company.id)
            lines = _lines(holdings[company.id], (begin, end), counter, terms, names)
            yield CompanyMonth(
                company.id,
                company.name,
                company.external_id,
                company.time_zone or UTC_ZONE,
                month,
                begin,
                end,
                terms,
                tuple(lines),
            )


def _lines(
    holdings: Iterable[Held], span: tuple[datetime, datetime], counter: Counter, terms: Terms, names: Mapping[int, Any]
) -> list[Line]:
    found = []
    for each in holdings:
        cut = each._replace(since=max(each.since, span[0]), until=min(each.until, span[1]))
        if cut.since >= cut.until:
            continue
        name, category, reference = names.get(each.holding_id, ("", "", ""))
        causes = tuple(counter.causes(cut)) if names else ()
        counted = counter.counted(cut, terms)
        found.append(
            Line(
                each.holding_id,
                each.service_id,
                name,
                category,
                reference,
                cut.since,
                cut.until,
                counted,
                terms.target,
                causes,
            )
        )
    found.sort(key=lambda line: (line.category.casefold(), line.name.casefold(), line.reference, line.holding_id))
    return found


def _names_of_holdings(whose: ColumnElement[bool]) -> dict[int, tuple[str, str, str]]:
    rows = db.session.execute(
        select(Holding.id, Service.name, Service.category, Holding.reference)
        .join(Service, Service.id == Holding.service_id)
        .where(whose)
    )
    return {holding_id: (name, category, reference) for holding_id, name, category, reference in rows}


def _span(zone: str, month: Month, now: datetime) -> tuple[datetime, datetime]:
    begin, end = month.bounds(ZoneInfo(zone))
    return begin, min(end, now)


def _terms(rule: Rule, contracts: Mapping[int, Contract], company_id: int) -> Terms:
    own = contracts.get(company_id)
    return own.terms if own else rule.terms


def _incidents(ids: Collection[int], viewpoint: Viewpoint, now: datetime) -> Iterator[Named]:
    row = Incident
    title = text_for(viewpoint, row.title, row.titles).label("title")
    wanted = select(row.id, title, row.started_at, row.resolved_at, row.public_id)
    for each in db.session.execute(wanted.where(row.id.in_(ids), visible_to(row, viewpoint, now))):
        yield Named(Cause(Source.INCIDENT, each.id), each.title, each.started_at, each.resolved_at, each.public_id)


def _maintenances(ids: Collection[int], viewpoint: Viewpoint, now: datetime) -> Iterator[Named]:
    row = Maintenance
    title = text_for(viewpoint, row.title, row.titles).label("title")
    wanted = select(row.id, title, row.starts_at, row.ends_at, row.public_id)
    for each in db.session.execute(wanted.where(row.id.in_(ids), visible_to(row, viewpoint, now))):
        yield Named(Cause(Source.MAINTENANCE, each.id), each.title, each.starts_at, each.ends_at, each.public_id)


def _by_hand(ids: Collection[int], _viewpoint: Viewpoint, now: datetime) -> Iterator[Named]:
    row = BaseStatus
    wanted = select(row.id, Component.title, row.from_at, row.to_at, row.component_id)
    for each in db.session.execute(wanted.join(Component, Component.id == row.component_id).where(row.id.in_(ids))):
        ended_at = each.to_at if each.to_at and each.to_at <= now else None
        cause = Cause(Source.COMPONENT, each.id)
        yield Named(cause, each.title, each.from_at, ended_at, component_id=each.component_id)


def _stated(ids: Collection[int], viewpoint: Viewpoint, _now: datetime) -> Iterator[Named]:
    """What an update stated, from the first holding it was stated of to the last of which it was over."""
    row = StatedPeriod
    wanted = (
        select(row.update_id, row.status, func.min(row.began_at), func.max(row.ended_at), func.count(), _over)
        .where(row.update_id.in_(ids))
        .group_by(row.update_id, row.status)
    )
    if viewpoint.company_id is not None:
        wanted = wanted.where(row.company_id == viewpoint.company_id)
    for update_id, status, began_at, ended_at, all_of_them, over in db.session.execute(wanted):
        until = ended_at if over == all_of_them else None
        yield Named(Cause(Source.STATED, update_id), "", began_at, until, None, status)


_over = func.count(StatedPeriod.ended_at)


def _windows(ids: Collection[int], _viewpoint: Viewpoint, _now: datetime) -> Iterator[Named]:
    row = ServiceWindow
    wanted = select(row.id, row.starts_at, row.ends_at, row.public_id).where(row.id.in_(ids))
    for each in db.session.execute(wanted):
        window = Cause(Source.WINDOW, each.id)
        yield Named(window, "", each.starts_at, each.ends_at, each.public_id, ServiceStatus.SCHEDULED)


_NAMES = {
    Source.INCIDENT: _incidents,
    Source.MAINTENANCE: _maintenances,
    Source.COMPONENT: _by_hand,
    Source.STATED: _stated,
    Source.WINDOW: _windows,
}
