"""Agreeing by which rule availability is counted from a month on, with everybody or with one company."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from portal import events
from portal.accounts.models import Company
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.domains.models import PortalDomain
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.incidents.models.availability import AvailabilitySettings, CompanyContract
from portal.incidents.queries.availability import contract_rows
from portal.incidents.rules.availability import NOTICE_AT_MOST, TARGET_WHOLE, WEIGHT_WHOLE, Month, Terms


def change_rule(terms: Terms, from_month: Month, *, version: int, by: Actor, now: datetime) -> None:
    """Count by these terms from this month on, until a later month has others.

    `version` is that of `queries.rule_in`. RuleViolation names the field: `partial`, `performance`, `maintenance`,
    `notice`, `target`. Rings every page that shows a figure: all portal domains, and staff.
    """
    weights = terms.weights
    for name, weight in (
        ("partial", weights.partial),
        ("performance", weights.performance),
        ("maintenance", weights.maintenance),
    ):
        if not 0 <= weight <= WEIGHT_WHOLE:
            raise RuleViolation("Between 0 and 100 percent.", name)
    if weights.performance > weights.partial:
        raise RuleViolation("A performance issue cannot count more than a partial outage.", "performance")
    if not timedelta() <= terms.notice <= timedelta(hours=NOTICE_AT_MOST):
        raise RuleViolation(f"Between 0 and {NOTICE_AT_MOST:,} hours.", "notice")
    _check_target(terms.target)
    known = {row.from_month: row for row in db.session.scalars(select(AvailabilitySettings))}
    if sum(row.version for row in known.values()) != version:
        raise StaleEdit
    after = {
        "partial_weight": weights.partial,
        "performance_weight": weights.performance,
        "maintenance_weight": weights.maintenance,
        "notice_hours": terms.notice // timedelta(hours=1),
        "counts_maintenance": terms.counts_maintenance,
        "target": terms.target,
    }
    row = known.get(str(from_month))
    before = {name: getattr(row, name) for name in after} if row else None
    if before == after:
        return
    _write(row, AvailabilitySettings(from_month=str(from_month)), after)
    domains = db.session.scalars(select(PortalDomain.id)).all()
    events.ring(events.STAFF, *map(events.public_topic, domains))
    audit.record(
        "availability_settings.edit",
        object_kind="availability_settings",
        object_id=None,
        by=by,
        now=now,
        before=before and {"from_month": str(from_month), **before},
        after={"from_month": str(from_month), **after},
    )


def change_contract(
    company: Company,
    from_month: Month,
    *,
    counts_maintenance: bool | None,
    target: int | None,
    version: int,
    by: Actor,
    now: datetime,
) -> None:
    """Agree this with a company from this month on; None is what holds for the installation.

    `version` is that of `queries.contract_of`. RuleViolation names the field `target`.
    """
    _check_target(target)
    known = {row.from_month: row for row in contract_rows(company.id)}
    if sum(row.version for row in known.values()) != version:
        raise StaleEdit
    after: dict[str, Any] = {"counts_maintenance": counts_maintenance, "target": target}
    row = known.get(str(from_month))
    before = {name: getattr(row, name) for name in after} if row else None
    if before == after:
        return
    _write(row, CompanyContract(company_id=company.id, from_month=str(from_month)), after)
    events.ring(events.STAFF, events.company_topic(company.id))
    audit.record(
        "company_contract.edit",
        object_kind="company",
        object_id=company.id,
        company_id=company.id,
        by=by,
        now=now,
        before=before and {"from_month": str(from_month), **before},
        after={"from_month": str(from_month), **after},
    )


def _check_target(target: int | None) -> None:
    if target is not None and not 0 < target <= TARGET_WHOLE:
        raise RuleViolation("More than 0 and at most 100 percent.", "target")


def _write(
    row: AvailabilitySettings | CompanyContract | None,
    made: AvailabilitySettings | CompanyContract,
    after: dict[str, Any],
) -> None:
    """Change the row of that month, or add one; StaleEdit when somebody else has just added it."""
    kept = row or made
    for name, value in after.items():
        setattr(kept, name, value)
    try:
        with db.session.begin_nested():
            db.session.add(kept)
            db.session.flush()
    except IntegrityError as taken:
        raise StaleEdit from taken
