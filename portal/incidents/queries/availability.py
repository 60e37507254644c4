"""By which rule availability is counted, and what was promised to whom, in any month."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, and_, bindparam, or_, select

from portal.catalogue.models import OWN
from portal.extensions import db, rows
from portal.incidents.models import Maintenance, MaintenanceComponent
from portal.incidents.models.availability import AvailabilitySettings, CompanyContract
from portal.incidents.rules import OPEN_MAINTENANCE, MaintenanceState
from portal.incidents.rules.availability import USUAL, Counts, Month, Terms, Weights, Work
from portal.incidents.rules.maintenance import WorkImpact


@dataclass(frozen=True)
class Rule:
    """What holds in this installation in a month, and the month from which it does (None: it was never changed).

    `version` is that of the whole history of the rule, 0 while nobody changed anything.
    """

    terms: Terms = field(default_factory=Terms)
    from_month: str | None = None
    version: int = 0


@dataclass(frozen=True)
class Contract:
    """What is agreed with a company in a month; None is what holds for the installation. `terms` is what comes of it.

    `version` is that of the whole history of its contract, 0 where there is none.
    """

    terms: Terms
    counts_maintenance: bool | None = None
    target: int | None = None
    from_month: str | None = None
    version: int = 0


def weights_now(now: datetime) -> Weights:
    """The weights by which the last days are counted at this moment. One query, made ready once."""
    found = rows(_weights(), month=str(this_month(now)))
    return Weights(*found[0]) if found else USUAL


def this_month(now: datetime) -> Month:
    """The month in UTC, in which the last days are counted."""
    return Month.of(now, ZoneInfo("UTC"))


def rule_in(month: Month) -> Rule:
    """What holds in the installation in this month. One query."""
    known = db.session.scalars(select(AvailabilitySettings).order_by(AvailabilitySettings.from_month)).all()
    version = sum(each.version for each in known)
    row = next((each for each in reversed(known) if each.from_month <= str(month)), None)
    return Rule(terms_of(row), row.from_month, version) if row else Rule(version=version)


def rules_set() -> list[Rule]:
    """All that was ever set for the installation, the latest month first. One query."""
    known = db.session.scalars(select(AvailabilitySettings).order_by(AvailabilitySettings.from_month.desc())).all()
    return [Rule(terms_of(each), each.from_month, each.version) for each in known]


def contracts_in(month: Month, company_ids: Collection[int] | None = None) -> tuple[Rule, dict[int, Contract]]:
    """The rule of this month, and by company what is agreed with it where that is something of its own. Two queries."""
    rule = rule_in(month)
    wanted = select(CompanyContract).order_by(CompanyContract.company_id, CompanyContract.from_month)
    if company_ids is not None:
        wanted = wanted.where(CompanyContract.company_id.in_(company_ids))
    found: dict[int, Contract] = {}
    for row in db.session.scalars(wanted):
        known = found.get(row.company_id, Contract(rule.terms))
        version = known.version + row.version
        if row.from_month <= str(month):
            known = _contract(row, rule.terms)
        found[row.company_id] = replace(known, version=version)
    return rule, found


def contract_of(company_id: int, month: Month) -> Contract:
    """What is agreed with one company in this month. Two queries."""
    rule, found = contracts_in(month, [company_id])
    return found.get(company_id) or Contract(rule.terms)


def contract_rows(company_id: int) -> list[CompanyContract]:
    """All that was ever agreed with a company, the latest month first. One query."""
    wanted = select(CompanyContract).where(CompanyContract.company_id == company_id)
    return list(db.session.scalars(wanted.order_by(CompanyContract.from_month.desc())))


def terms_of(row: AvailabilitySettings) -> Terms:
    """A stored rule, as the rules take it."""
    return Terms(
        weights=Weights(row.partial_weight, row.performance_weight, row.maintenance_weight),
        notice=timedelta(hours=row.notice_hours),
        counts_maintenance=row.counts_maintenance,
        target=row.target,
    )


def _contract(row: CompanyContract, usual: Terms) -> Contract:
    own = row.counts_maintenance
    terms = replace(
        usual,
        counts_maintenance=usual.counts_maintenance if own is None else own,
        target=usual.target if row.target is None else row.target,
    )
    return Contract(terms, own, row.target, row.from_month)


class Planned(NamedTuple):
    """Planned work on one component, as it counts."""

    component_id: int
    maintenance_id: int
    public_id: str
    title: str
    work: Work


def planned_on(
    component_ids: Collection[int] | None, begin: datetime, end: datetime, exists: ColumnElement[bool]
) -> Iterator[Planned]:
    """The planned work felt between two moments on these components (None: on any), as far as it `exists`.

    That is a condition over Maintenance, such as `visible_to`. What was called off or never begun is none, nor is work
    that nobody notices. `end` is not in the future. One query.
    """
    row = Maintenance
    wanted = (
        select(
            MaintenanceComponent.component_id,
            row.id,
            row.public_id,
            row.title,
            row.source,
            row.is_backfill,
            row.impact,
            row.state,
            row.created_at,
            row.announced_at,
            row.starts_at,
            row.ends_at,
            row.started_at,
            row.completed_at,
            row.starts_itself,
            row.ends_itself,
        )
        .join(row, row.id == MaintenanceComponent.maintenance_id)
        .where(
            row.impact.in_(list(_FELT_AS)),
            row.state != MaintenanceState.CANCELLED,
            or_(row.starts_at < end, row.started_at < end),
            or_(row.completed_at > begin, and_(row.completed_at.is_(None), row.ends_at > begin), ~row.ends_itself),
            exists,
        )
        .order_by(row.starts_at, row.id)
    )
    if component_ids is not None:
        wanted = wanted.where(MaintenanceComponent.component_id.in_(component_ids))
    for each in db.session.execute(wanted):
        lasted = _lasted(each, end)
        if lasted is not None:
            is_foreign = each.is_backfill or each.source != OWN
            announced_at = None if is_foreign else each.announced_at or each.created_at
            work = Work(announced_at, each.starts_at, each.ends_at, *lasted, _FELT_AS[each.impact])
            yield Planned(each.component_id, each.id, each.public_id, each.title, work)


_FELT_AS = {WorkImpact.DEGRADED: Counts.PERFORMANCE_ISSUE, WorkImpact.OUTAGE: Counts.WORK}
"""What planned work counts as by its impact; of any other nobody notices anything."""


def _lasted(row: Any, now: datetime) -> tuple[datetime, datetime] | None:
    """When it really began and ended, or has lasted to; None if it did not begin."""
    began_at = row.started_at or (row.starts_at if row.starts_itself else None)
    if began_at is None and row.state in (*OPEN_MAINTENANCE, MaintenanceState.COMPLETED):
        began_at = row.starts_at
    if began_at is None:
        return None
    if row.starts_itself:
        began_at = min(began_at, row.starts_at)
    is_over = row.ends_itself or row.state is MaintenanceState.COMPLETED
    ended_at = row.completed_at or (row.ends_at if is_over else now)
    ended_at = min(ended_at, now)
    return (began_at, ended_at) if began_at < ended_at else None


@cache
def _weights() -> Select[int, int, int]:
    row = AvailabilitySettings
    return (
        select(row.partial_weight, row.performance_weight, row.maintenance_weight)
        .where(row.from_month <= bindparam("month"))
        .order_by(row.from_month.desc())
        .limit(1)
    )
