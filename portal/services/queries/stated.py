"""What staff state of holdings at this moment: open problems, and windows from their announcement until their end."""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Integer,
    Select,
    String,
    and_,
    bindparam,
    cast,
    exists,
    func,
    literal,
    null,
    select,
    union_all,
)
from sqlalchemy.orm import aliased

from portal.catalogue.models import Holding, HoldingDependency, ServiceDependency
from portal.catalogue.queries import is_valid
from portal.database import UTCDateTime
from portal.domains.models import Admission
from portal.extensions import db, rows
from portal.incidents import queries as incidents
from portal.incidents.models import IncidentComponent
from portal.services.models import (
    ServiceUpdate,
    ServiceView,
    ServiceWindow,
    StatedPeriod,
    UpdateTarget,
    WindowHolding,
)
from portal.services.queries.settings import EVERYTHING, View
from portal.services.rules import OVER, ServiceStatus, Stated, UpdateKind, worst_stated


def stated_of_company(company_id: int, now: datetime) -> dict[int, Stated]:
    """What shows of what staff state of a company's holdings, by holding; of most nothing is stated. One query."""
    found: dict[int, list[Stated]] = {}
    for holding_id, status, since, notes, ticket, starts_at, until, window in rows(
        _stated(), company_id=company_id, now=now
    ):
        each = Stated(ServiceStatus(status), since, notes, ticket, starts_at, until, window)
        found.setdefault(holding_id, []).append(each)
    shown = {holding_id: worst_stated(each, now) for holding_id, each in found.items()}
    return {holding_id: each for holding_id, each in shown.items() if each is not None}


def view_at_home(company_id: int) -> View:
    """What a company sees of its services on its home domain. One query."""
    found = {
        bool(is_own): View(frozenset(hidden), *shown)
        for is_own, hidden, *shown in rows(_views_at_home(), company_id=company_id)
    }
    return found.get(True) or found.get(False) or EVERYTHING


def live_windows(now: datetime) -> Sequence[ServiceWindow]:
    """The windows that are announced or under way by the clock, soonest first. One query."""
    return db.session.scalars(
        select(ServiceWindow).where(*is_live(now)).order_by(ServiceWindow.starts_at, ServiceWindow.id)
    ).all()


def is_live(now: Any) -> tuple[Any, ...]:
    """`rules.is_live` as conditions over windows."""
    return ServiceWindow.state.not_in(OVER), ServiceWindow.ends_at > now


def next_boundary(now: datetime) -> datetime | None:
    """The next moment at which maintenance or scheduled service begins or ends: until then a page may be kept.

    Two queries.
    """
    (own,) = rows(_next_boundary(), now=now)
    found = [each for each in (own.at, incidents.next_boundary(now)) if each is not None]
    return min(found, default=None)


@cache
def _next_boundary() -> Select[datetime]:
    now: Any = bindparam("now", type_=UTCDateTime())
    live = is_live(now)
    starts = select(ServiceWindow.starts_at.label("at")).where(ServiceWindow.starts_at > now, *live)
    ends = select(ServiceWindow.ends_at.label("at")).where(*live)
    moments = starts.union_all(ends).subquery()
    return select(func.min(moments.c.at).label("at"))


def stated_under(incident_id: int, now: datetime) -> list[StatedPeriod]:
    """The problems that are still stated of holdings which depend on what this incident names, by holding.

    Whoever marks it Fixed is asked whether these are over too. One query.
    """
    under = select(StatedPeriod).where(*is_stated_under(incident_id, now))
    return list(db.session.scalars(under.order_by(StatedPeriod.holding_id)))


def is_stated_under(incident_id: int, now: datetime) -> tuple[ColumnElement[bool], ...]:
    """The same as conditions over stated periods."""
    named = select(IncidentComponent.component_id).where(IncidentComponent.incident_id == incident_id)
    through_service = select(ServiceDependency.service_id).where(
        ServiceDependency.component_id.in_(named), is_valid(ServiceDependency, now)
    )
    by_itself = select(HoldingDependency.holding_id).where(
        HoldingDependency.component_id.in_(named), is_valid(HoldingDependency, now)
    )
    return (
        StatedPeriod.ended_at.is_(None),
        exists().where(Holding.id == StatedPeriod.holding_id, is_valid(Holding, now)),
        StatedPeriod.service_id.in_(through_service) | StatedPeriod.holding_id.in_(by_itself),
    )


def open_problems(holding_ids: Collection[int]) -> dict[int, ServiceStatus]:
    """What problem is stated of each of these holdings; of the others none is. One query."""
    found = db.session.execute(
        select(StatedPeriod.holding_id, StatedPeriod.status).where(
            StatedPeriod.holding_id.in_(holding_ids), StatedPeriod.ended_at.is_(None)
        )
    )
    return {row.holding_id: row.status for row in found}


# Statements built once, as every poll of every open home asks them


@cache
def _stated() -> CompoundSelect[*tuple[Any, ...]]:
    """Open problems with what was last said of each, and live windows, of one company."""
    company_id: Any = bindparam("company_id", type_=Integer())
    now: Any = bindparam("now", type_=UTCDateTime())
    said = aliased(ServiceUpdate)
    last_said = (
        select(func.max(UpdateTarget.update_id))
        .join(said, said.id == UpdateTarget.update_id)
        .where(
            UpdateTarget.holding_id == StatedPeriod.holding_id,
            said.status == StatedPeriod.status,
            said.kind == UpdateKind.STATED,
            said.undone_at.is_(None),
        )
        .scalar_subquery()
    )
    problems = (
        select(
            StatedPeriod.holding_id,
            cast(StatedPeriod.status, String),
            StatedPeriod.began_at,
            ServiceUpdate.notes,
            ServiceUpdate.ticket,
            cast(null(), UTCDateTime()),
            ServiceUpdate.ends_at,
            cast(null(), String),
        )
        .join(ServiceUpdate, ServiceUpdate.id == last_said)
        .where(StatedPeriod.company_id == company_id, StatedPeriod.ended_at.is_(None))
    )
    windows = (
        select(
            WindowHolding.holding_id,
            literal(ServiceStatus.SCHEDULED.value),
            ServiceWindow.announced_at,
            ServiceWindow.notes,
            ServiceWindow.ticket,
            ServiceWindow.starts_at,
            ServiceWindow.ends_at,
            ServiceWindow.public_id,
        )
        .join(ServiceWindow, ServiceWindow.id == WindowHolding.window_id)
        .where(WindowHolding.company_id == company_id, WindowHolding.left_at.is_(None), *is_live(now))
    )
    return union_all(problems, windows)


@cache
def _views_at_home() -> Select[*tuple[Any, ...]]:
    company_id: Any = bindparam("company_id", type_=Integer())
    return (
        select(
            ServiceView.company_id.is_not(None),
            ServiceView.hidden_services,
            ServiceView.shows_notes,
            ServiceView.shows_history,
            ServiceView.shows_tickets,
            ServiceView.shows_end_times,
            ServiceView.version,
        )
        .join(Admission, and_(Admission.domain_id == ServiceView.domain_id, Admission.is_home))
        .where(
            Admission.company_id == company_id,
            ServiceView.company_id.is_(None) | (ServiceView.company_id == company_id),
        )
    )
