"""Who holds what, and which components a holding depends on by itself."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm.attributes import flag_modified

from portal import events
from portal.accounts import actions as accounts
from portal.accounts.models import Company
from portal.accounts.rules import one_line
from portal.audit import actions as audit
from portal.audit.rules import Actor, Noted
from portal.catalogue import queries
from portal.catalogue.actions.shared import forget_loaded, live_components, record, ring_companies
from portal.catalogue.models import Holding, HoldingDependency, Service
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db


def add_holding(
    company: Company,
    service: Service,
    *,
    by: Actor,
    now: datetime,
    reference: str = "",
    component_ids: Collection[int] = (),
) -> Holding:
    """From now on the company holds the service under this reference, with dependencies of its own if it has any.

    A company may hold a service more than once, as long as the references tell them apart.
    """
    if service.archived_at or company.archived_at:
        raise RuleViolation("Take it back from the archive first.", "service_id")
    reference = _reference(reference)
    _distinct(company.id, service, reference, now)
    holding = Holding(company_id=company.id, service_id=service.id, reference=reference, valid_from=now)
    db.session.add(holding)
    db.session.flush()
    components = live_components(component_ids)
    _depend(holding, components, now)
    events.ring(events.STAFF, events.company_topic(company.id))
    after = {"service": service.id, "reference": reference, "components": sorted(components)}
    record("holding.add", holding, by, now, company_id=company.id, after=after)
    return holding


def edit_holding(
    holding: Holding,
    service: Service,
    *,
    reference: str,
    component_ids: Collection[int],
    version: int,
    by: Actor,
    now: datetime,
) -> None:
    """Change the reference of a holding of this service, and what it depends on beside its service."""
    if holding.version != version:
        raise StaleEdit
    reference = _reference(reference)
    _distinct(holding.company_id, service, reference, now, other_than=holding.id)
    old = _own_components(holding.id, now)
    wanted = live_components(component_ids)
    before = {"reference": holding.reference, "components": sorted(old)}
    after = {"reference": reference, "components": sorted(wanted)}
    if before == after:
        return
    _undepend(holding, old - wanted, now)
    _depend(holding, wanted - old, now)
    holding.reference = reference
    # A change of its dependencies alone is a new version of the holding too.
    flag_modified(holding, "reference")
    db.session.flush()
    events.ring(events.STAFF, events.company_topic(holding.company_id))
    record("holding.edit", holding, by, now, company_id=holding.company_id, before=before, after=after)


def end_holding(holding: Holding, *, version: int, by: Actor, now: datetime) -> None:
    """The company no longer holds this from now on. What was true until now is kept; twice is harmless."""
    if holding.version != version:
        raise StaleEdit
    if holding.valid_to is not None and holding.valid_to <= now:
        return
    holding.valid_to = now
    db.session.flush()
    _undepend(holding, _own_components(holding.id, now), now)
    events.ring(events.STAFF, events.company_topic(holding.company_id))
    record("holding.end", holding, by, now, company_id=holding.company_id)


def end_holdings_of(service: Service, *, by: Actor, now: datetime) -> int:
    """Nobody holds this service from now on; how many holdings ended. Set-wise, whatever their number."""
    held = (Holding.service_id == service.id) & queries.is_valid(Holding, now)
    own = HoldingDependency.holding_id.in_(select(Holding.id).where(held)) & HoldingDependency.valid_to.is_(None)
    past_session: dict[str, Any] = {"synchronize_session": False}
    db.session.execute(update(HoldingDependency).where(own).values(valid_to=now), execution_options=past_session)
    ended = db.session.execute(
        update(Holding)
        .where(held)
        .values(valid_to=now, version=Holding.version + 1)
        .returning(Holding.id, Holding.company_id),
        execution_options=past_session,
    ).all()
    forget_loaded(Holding, HoldingDependency)
    noted = [Noted(holding_id, company_id) for holding_id, company_id in ended]
    audit.record_many("holding.end", noted, object_kind="holding", by=by, now=now)
    ring_companies({company_id for _holding_id, company_id in ended})
    return len(ended)


def archive_company(company: Company, *, version: int, by: Actor, now: datetime) -> None:
    """Close the books on a company: its holdings end, its people are signed out, nothing is mailed for it."""
    accounts.archive_company(company, version=version, by=by, now=now)
    for holding in queries.holdings_of_company(company.id, now):
        end_holding(holding, version=holding.version, by=by, now=now)


def _depend(holding: Holding, component_ids: Collection[int], now: datetime) -> None:
    db.session.add_all(
        HoldingDependency(holding_id=holding.id, component_id=component_id, valid_from=now)
        for component_id in sorted(component_ids)
    )
    db.session.flush()


def _undepend(holding: Holding, component_ids: Collection[int], now: datetime) -> None:
    db.session.execute(
        update(HoldingDependency)
        .where(
            HoldingDependency.holding_id == holding.id,
            HoldingDependency.component_id.in_(component_ids),
            HoldingDependency.valid_to.is_(None),
        )
        .values(valid_to=now)
    )


def _own_components(holding_id: int, now: datetime) -> set[int]:
    """The components a holding depends on by itself."""
    return set(
        db.session.scalars(
            select(HoldingDependency.component_id).where(
                HoldingDependency.holding_id == holding_id, queries.is_valid(HoldingDependency, now)
            )
        )
    )


def _distinct(company_id: int, service: Service, reference: str, now: datetime, other_than: int = 0) -> None:
    """Refuse a second holding of the same service under the same reference."""
    same = select(Holding.id).where(
        Holding.company_id == company_id,
        Holding.service_id == service.id,
        Holding.reference == reference,
        Holding.id != other_than,
        queries.is_valid(Holding, now),
    )
    if db.session.scalar(same.limit(1)):
        under = f"under the reference {reference}" if reference else "without a reference"
        raise RuleViolation(
            f"This company already holds {service.name} {under}. A reference of its own tells them apart.", "reference"
        )


def _reference(reference: str) -> str:
    reference = one_line(reference)
    if len(reference) > 120:
        raise RuleViolation("A reference has at most 120 characters.", "reference")
    return reference
