"""Components, services and holdings as a machine reads them, a piece at a time."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import contains_eager

from portal.accounts.rules import Viewpoint, text_key
from portal.catalogue.models import Component, ComponentGroup, Holding, HoldingDependency, Service, ServiceDependency
from portal.catalogue.queries import all_components, component_groups, is_valid
from portal.catalogue.rules import Layout
from portal.extensions import db
from portal.keyset import Order, Piece, Wanted, piece_of

COMPONENT_ORDERS = {"id": Order((Component.id,)), "-id": Order((Component.id,), is_descending=True)}
GROUP_ORDERS = {"id": Order((ComponentGroup.id,))}
SERVICE_ORDERS = {
    "id": Order((Service.id,)),
    "-id": Order((Service.id,), is_descending=True),
    "name": Order((Service.name_key,)),
    "-name": Order((Service.name_key,), is_descending=True),
}
HOLDING_ORDERS = {"id": Order((Holding.id,)), "-id": Order((Holding.id,), is_descending=True)}


def components(
    wanted: Wanted,
    viewpoint: Viewpoint,
    *,
    text: str | None = None,
    group_id: int | None = None,
    is_archived: bool | None = None,
) -> Piece[Component]:
    """Components, narrowed by what is not None; archived ones exist for staff only. One query."""
    statement = select(Component)
    if not viewpoint.is_staff:
        statement = statement.where(Component.archived_at.is_(None))
    if text is not None:
        statement = statement.where(Component.title.icontains(text, autoescape=True))
    if group_id is not None:
        statement = statement.where(Component.group_id == group_id)
    if is_archived is not None:
        archived = Component.archived_at
        statement = statement.where(archived.is_not(None) if is_archived else archived.is_(None))
    return piece_of(statement, wanted)


def groups(wanted: Wanted) -> Piece[ComponentGroup]:
    """Groups of components. One query."""
    return piece_of(select(ComponentGroup), wanted)


def services(
    wanted: Wanted,
    viewpoint: Viewpoint,
    now: datetime,
    *,
    text: str | None = None,
    component_id: int | None = None,
    is_archived: bool | None = None,
    hidden: Collection[int] = (),
) -> Piece[Service]:
    """Services but for the `hidden` ones, narrowed by what is not None; for a company those it holds now. One query."""
    statement = select(Service)
    if not viewpoint.is_staff:
        statement = statement.where(Service.id.in_(_held_by(viewpoint, now)))
    if hidden:
        statement = statement.where(Service.id.not_in(hidden))
    if text is not None:
        named = Service.name.icontains(text, autoescape=True)
        statement = statement.where(named | Service.alias_keys.contains(text_key(text), autoescape=True))
    if component_id is not None:
        statement = statement.where(
            Service.id.in_(
                select(ServiceDependency.service_id).where(
                    ServiceDependency.component_id == component_id, is_valid(ServiceDependency, now)
                )
            )
        )
    if is_archived is not None:
        statement = statement.where(Service.archived_at.is_not(None) if is_archived else Service.archived_at.is_(None))
    return piece_of(statement, wanted)


def service(viewpoint: Viewpoint, service_id: int, now: datetime) -> Service | None:
    """The service, if it exists from this viewpoint: for a company, if it holds it."""
    statement = select(Service).where(Service.id == service_id)
    if not viewpoint.is_staff:
        statement = statement.where(Service.id.in_(_held_by(viewpoint, now)))
    return db.session.scalars(statement).one_or_none()


def _held_by(viewpoint: Viewpoint, now: datetime) -> Select[int]:
    return select(Holding.service_id).where(Holding.company_id == viewpoint.company_id, is_valid(Holding, now))


def holdings(
    wanted: Wanted,
    viewpoint: Viewpoint,
    now: datetime,
    *,
    company_id: int | None = None,
    service_id: int | None = None,
    reference: str | None = None,
    is_current: bool | None = None,
    hidden: Collection[int] = (),
) -> Piece[Holding]:
    """Holdings with their services, but those of `hidden` ones, narrowed by what is not None; for a company what it
    holds now. One query."""
    statement = select(Holding).join(Holding.service).options(contains_eager(Holding.service))
    if not viewpoint.is_staff:
        statement = statement.where(Holding.company_id == viewpoint.company_id, is_valid(Holding, now))
    if hidden:
        statement = statement.where(Holding.service_id.not_in(hidden))
    if company_id is not None:
        statement = statement.where(Holding.company_id == company_id)
    if service_id is not None:
        statement = statement.where(Holding.service_id == service_id)
    if reference is not None:
        statement = statement.where(Holding.reference == reference)
    if is_current is not None:
        statement = statement.where(is_valid(Holding, now) if is_current else ~is_valid(Holding, now))
    return piece_of(statement, wanted)


def holding(viewpoint: Viewpoint, holding_id: int, now: datetime) -> Holding | None:
    """The holding with its service, if it exists from this viewpoint: for a company, if it is one of its own, now."""
    statement = (
        select(Holding).join(Holding.service).options(contains_eager(Holding.service)).where(Holding.id == holding_id)
    )
    if not viewpoint.is_staff:
        statement = statement.where(Holding.company_id == viewpoint.company_id, is_valid(Holding, now))
    return db.session.scalars(statement).one_or_none()


def component_ids_by_service(service_ids: Collection[int], now: datetime) -> dict[int, list[int]]:
    """For each of the services the ids of the components it depends on now. One query."""
    found: dict[int, list[int]] = {service_id: [] for service_id in service_ids}
    for service_id, component_id in db.session.execute(
        select(ServiceDependency.service_id, ServiceDependency.component_id)
        .where(ServiceDependency.service_id.in_(service_ids), is_valid(ServiceDependency, now))
        .order_by(ServiceDependency.component_id)
    ):
        found[service_id].append(component_id)
    return found


def component_ids_by_holding(holding_ids: Collection[int], now: datetime) -> dict[int, list[int]]:
    """For each of the holdings the ids of the components it depends on by itself now. One query."""
    found: dict[int, list[int]] = {holding_id: [] for holding_id in holding_ids}
    for holding_id, component_id in db.session.execute(
        select(HoldingDependency.holding_id, HoldingDependency.component_id)
        .where(HoldingDependency.holding_id.in_(holding_ids), is_valid(HoldingDependency, now))
        .order_by(HoldingDependency.component_id)
    ):
        found[holding_id].append(component_id)
    return found


def component_order() -> list[str]:
    """Groups ("g3") and components ("c12") in the order of the list, as `actions.arrange_components` takes them."""
    held: dict[int | None, list[int]] = {}
    for component in all_components():
        held.setdefault(component.group_id, []).append(component.id)
    in_groups = tuple((group.id, tuple(held.get(group.id, ()))) for group in component_groups())
    return Layout(tuple(held.get(None, ())), in_groups).tokens


def service_order() -> list[int]:
    """The services that are sold, in the order of the list."""
    return list(
        db.session.scalars(
            select(Service.id).where(Service.archived_at.is_(None)).order_by(Service.position, Service.id)
        )
    )
