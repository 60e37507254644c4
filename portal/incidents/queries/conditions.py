"""Conditions over incidents and maintenance: who sees what, what is under way, and what stands first."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    String,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal,
    not_,
    or_,
    select,
    true,
)

from portal.accounts.models import Company
from portal.accounts.rules import Viewpoint
from portal.catalogue.models import Holding, HoldingDependency, ServiceDependency
from portal.catalogue.queries import is_valid
from portal.database import UTCDateTime
from portal.incidents.models import BaseStatus, Incident, IncidentComponent, Maintenance, MaintenanceComponent
from portal.incidents.rules import OPEN_MAINTENANCE, Audience, Impact, MaintenanceState, Visibility

# Who sees what


def visible_to(row: Any, viewpoint: Viewpoint, now: datetime) -> ColumnElement[bool]:
    """`rules.is_visible` as a condition over incidents or maintenance; a test holds the two together.

    An incident that was merged into another is one of staff's alone: for everybody else there is only the other.
    """
    seen = would_see(row, viewpoint, now)
    return seen if viewpoint.is_staff or row is not Incident else and_(Incident.merged_into_id.is_(None), seen)


def would_see(row: Any, viewpoint: Viewpoint, now: datetime) -> ColumnElement[bool]:
    """The same, whether an incident was merged into another or not. What a component is by hand everybody sees."""
    if viewpoint.is_staff or row is BaseStatus:
        return true()
    public = row.visibility == Visibility.PUBLIC
    for_everyone = row.audience == Audience.EVERYONE
    if viewpoint.company_id is None:
        return and_(public, for_everyone)
    return and_(public, or_(for_everyone, reaches(row, now, viewpoint.company_id), ~reaches(row, now)))


def reaches(row: Any, now: datetime, company_id: int | None = None) -> ColumnElement[bool]:
    """Whether the components named by an incident or maintenance reach this company, or any at all.

    Decided when it ended, or now. Follows the graph from the row's few components, through indexes that begin
    with the service and the company, so the number of companies does not matter.
    """
    moment = _moment_of(row, now)
    named: Any = IncidentComponent if row is Incident else MaintenanceComponent
    belongs = (IncidentComponent.incident_id if row is Incident else MaintenanceComponent.maintenance_id) == row.id
    whose = Holding.company_id == company_id if company_id is not None else Company.archived_at.is_(None)

    def over(dependency: Any, joined: ColumnElement[bool]) -> ColumnElement[bool]:
        holds = (
            select(1)
            .select_from(named)
            .join(dependency, dependency.component_id == named.component_id)
            .join(Holding, joined)
            .where(belongs, is_valid(dependency, moment), is_valid(Holding, moment), whose)
        )
        if company_id is None:
            holds = holds.join(Company, Company.id == Holding.company_id)
        return holds.correlate(row).exists()

    return or_(
        over(ServiceDependency, Holding.service_id == ServiceDependency.service_id),
        over(HoldingDependency, Holding.id == HoldingDependency.holding_id),
    )


def _moment_of(row: Any, now: Any) -> Any:
    at = now if isinstance(now, ColumnElement) else literal(now, UTCDateTime())
    if row is Incident:
        return func.coalesce(Incident.resolved_at, at)
    ends_so = or_(Maintenance.ends_itself, Maintenance.state == MaintenanceState.CANCELLED)
    return case(
        (Maintenance.completed_at < at, Maintenance.completed_at),
        (and_(Maintenance.ends_at < at, ends_so), Maintenance.ends_at),
        else_=at,
    )


# Maintenance by the clock: `rules.maintenance_state` as conditions; a test holds the two together


def not_ended() -> ColumnElement[bool]:
    """Neither cancelled nor completed by hand."""
    return Maintenance.state.not_in([MaintenanceState.CANCELLED, MaintenanceState.COMPLETED])


def is_under_way(now: datetime) -> ColumnElement[bool]:
    """Begun, by the clock or by hand, and not ended."""
    begun = or_(and_(Maintenance.starts_itself, Maintenance.starts_at <= now), _begun_by_hand())
    return and_(not_ended(), begun, or_(Maintenance.ends_at > now, not_(Maintenance.ends_itself)))


def is_ahead_or_under_way(now: datetime) -> ColumnElement[bool]:
    """Not ended, by the clock or by hand."""
    waits = and_(not_(Maintenance.starts_itself), not_(_begun_by_hand()))
    return and_(not_ended(), or_(Maintenance.ends_at > now, not_(Maintenance.ends_itself), waits))


def _begun_by_hand() -> ColumnElement[bool]:
    return Maintenance.state.in_(OPEN_MAINTENANCE)


# What components are by hand


def stands(now: Any) -> ColumnElement[bool]:
    """Whether a base status holds at this moment: begun, and neither ended by somebody nor by itself."""
    return and_(BaseStatus.from_at <= now, or_(BaseStatus.to_at.is_(None), BaseStatus.to_at > now))


# Statements built once, for any moment and any company


def given() -> tuple[Any, Any]:
    """The moment and the company that a statement built once is executed for, as `now` and `company_id`."""
    return bindparam("now", type_=UTCDateTime()), bindparam("company_id", type_=Integer())


def kind_of(viewpoint: Viewpoint) -> Viewpoint:
    """What a viewpoint has in common with others of its kind: staff, any company (0), or signed out."""
    return Viewpoint(is_staff=viewpoint.is_staff, company_id=None if viewpoint.company_id is None else 0)


def visible_to_kind(row: Any, kind: Viewpoint) -> ColumnElement[bool]:
    """`visible_to` for a `kind_of` viewpoint; whose and when, `now` and `company_id`, is said when it is executed."""
    return visible_to(row, _given_viewpoint(kind), given()[0])


def would_see_kind(row: Any, kind: Viewpoint) -> ColumnElement[bool]:
    """`would_see` for a `kind_of` viewpoint: for what was broken, whichever report tells of it now."""
    return would_see(row, _given_viewpoint(kind), given()[0])


def _given_viewpoint(kind: Viewpoint) -> Any:
    whose = None if kind.company_id is None else given()[1]
    return Viewpoint(is_staff=kind.is_staff, company_id=whose)


# Order


def worst_first() -> tuple[ColumnElement[Any], ...]:
    """The order of open incidents: by impact, of equals the newest first."""
    weight = case({impact.value: number for number, impact in enumerate(Impact)}, value=cast(Incident.impact, String))
    return weight.desc(), Incident.started_at.desc(), Incident.id.desc()
