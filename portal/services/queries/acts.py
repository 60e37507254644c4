"""One act of staff as its page shows it, and the windows that are planned. For staff."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import contains_eager, joinedload, selectinload

from portal.accounts.models import Company
from portal.accounts.rules import text_key
from portal.catalogue.models import Holding, Service
from portal.catalogue.queries.lists import Page, paged
from portal.extensions import db
from portal.services.models import ServiceUpdate, ServiceWindow, UpdateBroadcast, UpdateTarget, WindowHolding
from portal.services.rules import OVER, WindowState

NAMED_AT_MOST = 3
"""Services and companies a line of a list names; the rest is a number."""


def update_by_id(update_id: int) -> ServiceUpdate | None:
    """The update with its author, loaded such that the update alone can be locked. Two queries."""
    return db.session.scalars(
        select(ServiceUpdate).options(selectinload(ServiceUpdate.author)).where(ServiceUpdate.id == update_id)
    ).one_or_none()


def targets_page(update_id: int, page: int, text: str = "") -> Page[UpdateTarget]:
    """The holdings an update was for, by company, with what stood before. Two queries."""
    found = (
        select(UpdateTarget)
        .join(UpdateTarget.company)
        .join(UpdateTarget.holding)
        .join(UpdateTarget.service)
        .options(
            contains_eager(UpdateTarget.company),
            contains_eager(UpdateTarget.holding),
            contains_eager(UpdateTarget.service),
        )
        .where(UpdateTarget.update_id == update_id)
    )
    if text:
        wanted = text_key(text)
        found = found.where(
            or_(
                Company.name_key.contains(wanted, autoescape=True),
                Holding.reference_key.contains(wanted, autoescape=True),
            )
        )
    return paged(found.order_by(Company.name_key, Service.name_key, Holding.reference, Holding.id), page)


def broadcasts_for(update_id: int) -> Sequence[UpdateBroadcast]:
    """What told of an update, with the broadcasts, in the order they were made. One query."""
    return db.session.scalars(
        select(UpdateBroadcast)
        .options(joinedload(UpdateBroadcast.broadcast))
        .where(UpdateBroadcast.update_id == update_id)
        .order_by(UpdateBroadcast.id)
    ).all()


class Stand(StrEnum):
    """Where a window stands by the clock."""

    AHEAD = "ahead"
    UNDER_WAY = "under-way"
    UNCONFIRMED = "unconfirmed"
    PAST = "past"


def stand_of(window: ServiceWindow, now: datetime) -> Stand:
    """Where this window stands: what has begun and nobody has called finished is to be confirmed once it is over."""
    if window.state is WindowState.CANCELLED or window.confirmed_at is not None:
        return Stand.PAST
    if window.state is WindowState.ENDED or window.ends_at <= now:
        return Stand.UNCONFIRMED
    return Stand.AHEAD if window.starts_at > now else Stand.UNDER_WAY


@dataclass(frozen=True)
class Reached:
    """What a window is on: how many holdings of how many companies are still in it, and some of them by name."""

    holdings: int = 0
    companies: int = 0
    services: tuple[str, ...] = ()
    company_names: tuple[str, ...] = ()


def windows_page(stand: Stand, page: int, now: datetime) -> Page[ServiceWindow]:
    """Windows that stand there: those ahead and under way by when they start, the others newest first. Two queries."""
    first = stand in (Stand.AHEAD, Stand.UNDER_WAY)
    order = (ServiceWindow.starts_at, ServiceWindow.id) if first else (ServiceWindow.ends_at.desc(), ServiceWindow.id)
    return paged(
        select(ServiceWindow).options(joinedload(ServiceWindow.owner)).where(_stands(stand, now)).order_by(*order),
        page,
    )


def windows_counted(now: datetime) -> dict[Stand, int]:
    """How many windows stand where, but for the past. One query."""
    stands = (Stand.AHEAD, Stand.UNDER_WAY, Stand.UNCONFIRMED)
    row = db.session.execute(
        select(*(func.count(ServiceWindow.id).filter(_stands(stand, now)) for stand in stands)).where(
            ServiceWindow.confirmed_at.is_(None), ServiceWindow.state != WindowState.CANCELLED
        )
    ).one()
    return dict(zip(stands, row, strict=True))


def window_by_id(window_id: int) -> ServiceWindow | None:
    """The window with its owner, loaded such that the window alone can be locked. Two queries."""
    return db.session.scalars(
        select(ServiceWindow).options(selectinload(ServiceWindow.owner)).where(ServiceWindow.id == window_id)
    ).one_or_none()


def reached_by_windows(window_ids: Collection[int]) -> dict[int, Reached]:
    """What each of these windows is on, those that left it not counted. Three queries."""
    counts = db.session.execute(
        select(
            WindowHolding.window_id,
            func.count(),
            func.count(WindowHolding.company_id.distinct()),
        )
        .where(WindowHolding.window_id.in_(window_ids), WindowHolding.left_at.is_(None))
        .group_by(WindowHolding.window_id)
    ).all()
    services = _first_names(window_ids, select(WindowHolding.window_id, Service.name).join(Service, _IS_SERVICE))
    companies = _first_names(window_ids, select(WindowHolding.window_id, Company.name).join(Company, _IS_COMPANY))
    return {
        window_id: Reached(holdings, count, services.get(window_id, ()), companies.get(window_id, ()))
        for window_id, holdings, count in counts
    }


def window_holdings_page(window_id: int, page: int) -> Page[WindowHolding]:
    """Who is in a window, and who has left it, as (window holding) rows by company. Two queries, and one for names."""
    return paged(
        select(WindowHolding)
        .join(Company, _IS_COMPANY)
        .where(WindowHolding.window_id == window_id)
        .order_by(Company.name_key, WindowHolding.holding_id),
        page,
    )


def holding_ids_in(window_id: int) -> list[int]:
    """The holdings that are in a window and have not left it. One query."""
    found = select(WindowHolding.holding_id).where(
        WindowHolding.window_id == window_id, WindowHolding.left_at.is_(None)
    )
    return list(db.session.scalars(found.order_by(WindowHolding.holding_id)))


def holdings_by_id(holding_ids: Collection[int]) -> dict[int, Holding]:
    """These holdings with company and service, held or not. One query."""
    rows = db.session.scalars(
        select(Holding)
        .options(joinedload(Holding.company), joinedload(Holding.service))
        .where(Holding.id.in_(holding_ids))
    )
    return {row.id: row for row in rows}


def updates_of_window(window_id: int) -> Sequence[ServiceUpdate]:
    """What was told of a window, newest first: an announcement, and a few notices. One query."""
    return db.session.scalars(
        select(ServiceUpdate)
        .options(joinedload(ServiceUpdate.author))
        .where(ServiceUpdate.window_id == window_id)
        .order_by(ServiceUpdate.created_at.desc(), ServiceUpdate.id.desc())
        .limit(50)
    ).all()


_IS_SERVICE = Service.id == WindowHolding.service_id
_IS_COMPANY = Company.id == WindowHolding.company_id


def _stands(stand: Stand, now: datetime) -> ColumnElement[bool]:
    live = and_(ServiceWindow.state.not_in(OVER), ServiceWindow.ends_at > now)
    is_settled = or_(ServiceWindow.state == WindowState.CANCELLED, ServiceWindow.confirmed_at.is_not(None))
    match stand:
        case Stand.AHEAD:
            return and_(live, ServiceWindow.starts_at > now)
        case Stand.UNDER_WAY:
            return and_(live, ServiceWindow.starts_at <= now)
        case Stand.UNCONFIRMED:
            return and_(~is_settled, or_(ServiceWindow.state == WindowState.ENDED, ServiceWindow.ends_at <= now))
        case Stand.PAST:
            return is_settled


def _first_names(window_ids: Collection[int], named: Select[*tuple[Any, ...]]) -> dict[int, tuple[str, ...]]:
    """The first few names by window, in order; the database leaves out the rest."""
    distinct = named.where(WindowHolding.window_id.in_(window_ids), WindowHolding.left_at.is_(None)).distinct()
    each = distinct.subquery()
    window_id, name = each.c[0], each.c[1]
    place = func.row_number().over(partition_by=window_id, order_by=name).label("place")
    ranked = select(window_id.label("window_id"), name.label("name"), place).subquery()
    rows = db.session.execute(
        select(ranked.c.window_id, ranked.c.name)
        .where(ranked.c.place <= NAMED_AT_MOST)
        .order_by(ranked.c.window_id, ranked.c.place)
    )
    found: dict[int, tuple[str, ...]] = {}
    for window, text in rows:
        found[window] = (*found.get(window, ()), text)
    return found
