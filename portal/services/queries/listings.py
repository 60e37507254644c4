"""Updates of service statuses and windows of scheduled service as a machine reads them, a piece at a time.

Through the eyes of a company there is what was said of its own holdings and not taken back, but for services hidden
from it; of windows those that are ahead or under way, and where it sees history those that were.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, false, not_, or_, select

from portal.accounts.rules import Viewpoint
from portal.catalogue.models import Holding
from portal.extensions import db
from portal.incidents.models import Incident
from portal.incidents.queries.conditions import visible_to
from portal.keyset import LARGEST, Order, Piece, Wanted, piece_of
from portal.services.models import ServiceUpdate, ServiceWindow, UpdateTarget, WindowHolding
from portal.services.queries.settings import View
from portal.services.queries.stated import is_live
from portal.services.queries.told import REPEATS
from portal.services.rules import ServiceStatus, UpdateKind

UPDATE_ORDERS = {
    "-id": Order((ServiceUpdate.id,), is_descending=True),
    "id": Order((ServiceUpdate.id,)),
}
WINDOW_ORDERS = {
    "starts_at": Order((ServiceWindow.starts_at, ServiceWindow.id)),
    "-starts_at": Order((ServiceWindow.starts_at, ServiceWindow.id), is_descending=True),
}


def updates(
    wanted: Wanted,
    viewpoint: Viewpoint,
    view: View,
    *,
    status: ServiceStatus | None = None,
    service_id: int | None = None,
    company_id: int | None = None,
    holding_id: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Piece[ServiceUpdate]:
    """Updates, narrowed by what is not None. One query."""
    named = ((UpdateTarget.service_id, service_id), (UpdateTarget.holding_id, holding_id))
    statement = _updates(viewpoint, view, [column == value for column, value in named if value is not None], company_id)
    if status is not None:
        statement = statement.where(ServiceUpdate.status == status)
    if since is not None:
        statement = statement.where(ServiceUpdate.created_at >= since)
    if until is not None:
        statement = statement.where(ServiceUpdate.created_at < until)
    return piece_of(statement, wanted)


def update(viewpoint: Viewpoint, view: View, update_id: int) -> ServiceUpdate | None:
    """The update, if it exists from this viewpoint. One query."""
    statement = _updates(viewpoint, view, [], None).where(ServiceUpdate.id == update_id)
    return db.session.scalars(statement).one_or_none()


def _updates(viewpoint: Viewpoint, view: View, narrowed: list[Any], company_id: int | None) -> Select[ServiceUpdate]:
    statement = select(ServiceUpdate)
    narrowed = list(narrowed)
    if company_id is not None:
        narrowed.append(UpdateTarget.company_id == company_id)
    if not viewpoint.is_staff:
        narrowed += _own(UpdateTarget, viewpoint, view)
        statement = statement.where(ServiceUpdate.undone_at.is_(None), ServiceUpdate.kind.not_in(REPEATS))
        if not view.shows_history:
            statement = statement.where(false())
    if narrowed:
        target = select(UpdateTarget.holding_id).where(UpdateTarget.update_id == ServiceUpdate.id, *narrowed)
        statement = statement.where(target.exists())
    return statement


def windows(
    wanted: Wanted,
    viewpoint: Viewpoint,
    view: View,
    now: datetime,
    *,
    is_open: bool | None = None,
    service_id: int | None = None,
    company_id: int | None = None,
    holding_id: int | None = None,
) -> Piece[ServiceWindow]:
    """Windows, narrowed by what is not None; `is_open` are those that are ahead or under way. One query."""
    named = ((WindowHolding.service_id, service_id), (WindowHolding.holding_id, holding_id))
    narrowed = [column == value for column, value in named if value is not None]
    statement = _windows(viewpoint, view, now, narrowed, company_id)
    if is_open is not None:
        live = and_(*is_live(now))
        statement = statement.where(live if is_open else not_(live))
    return piece_of(statement, wanted)


def window(viewpoint: Viewpoint, view: View, name: str, now: datetime) -> ServiceWindow | None:
    """The window of this public id, for staff also of this number, if it exists from this viewpoint. One query."""
    meant = ServiceWindow.public_id == name
    if viewpoint.is_staff and name.isascii() and name.isdigit() and int(name) <= LARGEST:
        meant = or_(meant, ServiceWindow.id == int(name))
    return db.session.scalars(_windows(viewpoint, view, now, [], None).where(meant).limit(1)).one_or_none()


def _windows(
    viewpoint: Viewpoint, view: View, now: datetime, narrowed: list[Any], company_id: int | None
) -> Select[ServiceWindow]:
    statement = select(ServiceWindow)
    narrowed = list(narrowed)
    if company_id is not None:
        narrowed.append(WindowHolding.company_id == company_id)
    if not viewpoint.is_staff:
        narrowed += _own(WindowHolding, viewpoint, view)
        statement = statement.where(_is_announced())
        if not view.shows_history:
            statement = statement.where(*is_live(now))
    if narrowed:
        inside = select(WindowHolding.holding_id).where(
            WindowHolding.window_id == ServiceWindow.id, WindowHolding.left_at.is_(None), *narrowed
        )
        statement = statement.where(inside.exists())
    return statement


def _is_announced() -> ColumnElement[bool]:
    """The condition that a window was announced and that was not taken back."""
    return (
        select(ServiceUpdate.id)
        .where(
            ServiceUpdate.window_id == ServiceWindow.id,
            ServiceUpdate.kind == UpdateKind.ANNOUNCED,
            ServiceUpdate.undone_at.is_(None),
        )
        .exists()
    )


def _own(kind: type[UpdateTarget] | type[WindowHolding], viewpoint: Viewpoint, view: View) -> list[Any]:
    """The conditions on the holdings of a company that may see them; one that has ended is no more seen."""
    shown = [kind.company_id == viewpoint.company_id, kind.holding_id.in_(_held(viewpoint))]
    return [*shown, kind.service_id.not_in(view.hidden_services)] if view.hidden_services else shown


def _held(viewpoint: Viewpoint) -> Select[int]:
    return select(Holding.id).where(Holding.company_id == viewpoint.company_id, Holding.valid_to.is_(None))


def targets_of(update_ids: Collection[int], viewpoint: Viewpoint, view: View) -> dict[int, list[int]]:
    """By update the holdings of the company it was for. One query."""
    found: dict[int, list[int]] = {}
    for update_id, holding_id in db.session.execute(
        select(UpdateTarget.update_id, UpdateTarget.holding_id)
        .where(UpdateTarget.update_id.in_(update_ids), *_own(UpdateTarget, viewpoint, view))
        .order_by(UpdateTarget.holding_id)
    ):
        found.setdefault(update_id, []).append(holding_id)
    return found


def inside(window_ids: Collection[int], viewpoint: Viewpoint, view: View) -> dict[int, list[int]]:
    """By window the holdings of the company that are in it. One query."""
    found: dict[int, list[int]] = {}
    for window_id, holding_id in db.session.execute(
        select(WindowHolding.window_id, WindowHolding.holding_id)
        .where(
            WindowHolding.window_id.in_(window_ids),
            WindowHolding.left_at.is_(None),
            *_own(WindowHolding, viewpoint, view),
        )
        .order_by(WindowHolding.holding_id)
    ):
        found.setdefault(window_id, []).append(holding_id)
    return found


def causes_of(made: Sequence[ServiceUpdate], viewpoint: Viewpoint, now: datetime) -> dict[int, str]:
    """By number the public ids of the incidents they came with, as far as they may be seen. At most one query."""
    ids = {each.incident_id for each in made if each.incident_id is not None}
    if not ids:
        return {}
    seen = select(Incident.id, Incident.public_id).where(Incident.id.in_(ids), visible_to(Incident, viewpoint, now))
    return dict(db.session.execute(seen).all())


def public_ids_of(made: Sequence[ServiceUpdate]) -> dict[int, str]:
    """By number the public ids of the windows they were of. At most one query."""
    ids = {each.window_id for each in made if each.window_id is not None}
    if not ids:
        return {}
    named = select(ServiceWindow.id, ServiceWindow.public_id).where(ServiceWindow.id.in_(ids))
    return dict(db.session.execute(named).all())
