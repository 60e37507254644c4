"""Reading for staff lists and pages: what depends on what, who holds what, one page at a time."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import contains_eager, joinedload

from portal.accounts.models import Company, Membership, Person
from portal.accounts.rules import text_key
from portal.catalogue.models import (
    Component,
    ComponentGroup,
    Holding,
    HoldingDependency,
    ListOrder,
    Service,
    ServiceDependency,
)
from portal.catalogue.ordering import SERVICES, STARTERS_OFFERED
from portal.catalogue.queries import all_components, component_groups, is_valid
from portal.catalogue.queries.unreached import nobody_reached, nobody_reached_among
from portal.domains.models import Admission, PortalDomain
from portal.errors import NotFound
from portal.extensions import db

PER_PAGE = 50

T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list: `page` of `pages` (from 1), of `total` items in all."""

    items: Sequence[T]
    page: int
    pages: int
    total: int


def list_version(name: str) -> int:
    """The version of an ordered list, which a form that orders it sends back."""
    return db.session.scalar(select(ListOrder.version).where(ListOrder.name == name)) or 1


def offers_starters() -> bool:
    """Whether the services to begin with are offered: no service was ever made, and nobody declined. Two queries."""
    touched = select(ListOrder.name).where(ListOrder.name.in_((SERVICES, STARTERS_OFFERED)))
    return not any(db.session.scalar(each.limit(1)) is not None for each in (touched, select(Service.id)))


# Components.


@dataclass(frozen=True)
class Block:
    """A group (None: what stands in no group) with its components, as the list shows them."""

    group: ComponentGroup | None
    components: tuple[Component, ...]


def component_blocks() -> list[Block]:
    """The whole list in its order; groups without components too, ungrouped components first if there are any."""
    held: dict[int | None, list[Component]] = {}
    for component in all_components():
        held.setdefault(component.group_id, []).append(component)
    blocks = [Block(group, tuple(held.get(group.id, ()))) for group in component_groups()]
    return [Block(None, tuple(held[None])), *blocks] if None in held else blocks


def components_found(text: str, *, is_archived: bool, page: int) -> Page[Component]:
    """Components whose title or description holds the text, or all archived ones for no text, by title."""
    wanted = Component.archived_at.is_not(None) if is_archived else Component.archived_at.is_(None)
    found = select(Component).where(wanted, *_holds(text, Component.title, Component.description))
    return paged(found.options(joinedload(Component.group)).order_by(func.lower(Component.title), Component.id), page)


def component_counts() -> tuple[int, int]:
    """How many components are in use, and how many archived."""
    return _counts(Component)


def services_by_component(component_ids: Collection[int], now: datetime) -> dict[int, list[Service]]:
    """For each component the services that depend on it now, in their order. One query."""
    rows = db.session.execute(
        select(ServiceDependency.component_id, Service)
        .join(Service, Service.id == ServiceDependency.service_id)
        .where(ServiceDependency.component_id.in_(component_ids), is_valid(ServiceDependency, now))
        .order_by(Service.position, Service.name_key)
    )
    return _collected(rows)


def dependencies_on(component_id: int, now: datetime) -> Sequence[ServiceDependency]:
    """The dependencies of services on this component now, with the services, in their order."""
    return db.session.scalars(
        select(ServiceDependency)
        .join(ServiceDependency.service)
        .options(contains_eager(ServiceDependency.service))
        .where(ServiceDependency.component_id == component_id, is_valid(ServiceDependency, now))
        .order_by(Service.position, Service.name_key)
    ).all()


def holdings_on(component_id: int, page: int, now: datetime) -> Page[Holding]:
    """The holdings that depend on this component by themselves, with company and service, by company."""
    held = (
        select(Holding)
        .join(Holding.company)
        .join(Holding.service)
        .options(contains_eager(Holding.company), contains_eager(Holding.service))
        .where(
            is_valid(Holding, now),
            Holding.id.in_(
                select(HoldingDependency.holding_id).where(
                    HoldingDependency.component_id == component_id, is_valid(HoldingDependency, now)
                )
            ),
        )
    )
    return paged(held.order_by(Company.name_key, Service.position, Holding.reference, Holding.id), page)


# Services.


def all_services() -> Sequence[Service]:
    """Every service that is sold, in the order of the list. One query."""
    return db.session.scalars(
        select(Service).where(Service.archived_at.is_(None)).order_by(Service.position, Service.id)
    ).all()


def services_found(text: str, *, is_archived: bool, page: int) -> Page[Service]:
    """Services whose name, another name, category or description holds the text, or all archived ones for no text."""
    wanted = Service.archived_at.is_not(None) if is_archived else Service.archived_at.is_(None)
    found = select(Service).where(wanted, *_of_service(text))
    return paged(found.order_by(Service.name_key), page)


def _of_service(text: str) -> list[Any]:
    said = _holds(text, Service.name, Service.category, Service.description)
    return [or_(*said, Service.alias_keys.contains(text_key(text), autoescape=True))] if said else []


def service_counts() -> tuple[int, int]:
    """How many services are sold, and how many archived."""
    return _counts(Service)


def service_by_id(service_id: int) -> Service | None:
    return db.session.get(Service, service_id)


def service_categories() -> list[str]:
    """The categories in use, by name: what a new service may join."""
    rows = db.session.scalars(
        select(Service.category).where(Service.category != "", Service.archived_at.is_(None)).distinct()
    )
    return sorted(rows)


def components_by_service(service_ids: Collection[int], now: datetime) -> dict[int, list[Component]]:
    """For each service the components it depends on now, by title. One query."""
    rows = db.session.execute(
        select(ServiceDependency.service_id, Component)
        .join(Component, Component.id == ServiceDependency.component_id)
        .where(ServiceDependency.service_id.in_(service_ids), is_valid(ServiceDependency, now))
        .order_by(func.lower(Component.title), Component.id)
    )
    return _collected(rows)


def holders_by_service(service_ids: Collection[int], now: datetime) -> dict[int, int]:
    """For each service how many companies hold it now; one that nobody holds is left out. One query."""
    rows = db.session.execute(
        select(Holding.service_id, func.count(Holding.company_id.distinct()))
        .where(Holding.service_id.in_(service_ids), is_valid(Holding, now))
        .group_by(Holding.service_id)
    )
    return dict(rows.all())


def holdings_count(service_id: int, now: datetime) -> int:
    """How often the service is held now. One query."""
    held = select(func.count(Holding.id)).where(Holding.service_id == service_id, is_valid(Holding, now))
    return db.session.scalar(held) or 0


def companies_without(service_id: int | None, now: datetime) -> int:
    """How many companies do not hold the service now; all of them for None. One query."""
    live = select(func.count(Company.id)).where(Company.archived_at.is_(None))
    if service_id is not None:
        holders = select(Holding.company_id).where(Holding.service_id == service_id, is_valid(Holding, now))
        live = live.where(Company.id.not_in(holders))
    return db.session.scalar(live) or 0


def holdings_of_service(service_id: int, text: str, page: int, now: datetime) -> Page[Holding]:
    """The holdings of a service now, with their companies, by company; narrowed to a company's name or a reference."""
    held = (
        select(Holding)
        .join(Holding.company)
        .options(contains_eager(Holding.company))
        .where(Holding.service_id == service_id, is_valid(Holding, now))
        .where(*_holds(text, Company.name, Holding.reference))
    )
    return paged(held.order_by(Company.name_key, Holding.reference, Holding.id), page)


def own_components_by_holding(holding_ids: Collection[int], now: datetime) -> dict[int, list[Component]]:
    """For each holding the components it depends on by itself now, by title. One query."""
    rows = db.session.execute(
        select(HoldingDependency.holding_id, Component)
        .join(Component, Component.id == HoldingDependency.component_id)
        .where(HoldingDependency.holding_id.in_(holding_ids), is_valid(HoldingDependency, now))
        .order_by(func.lower(Component.title), Component.id)
    )
    return _collected(rows)


def holding_by_id(holding_id: int) -> Holding | None:
    """The holding with its company and service."""
    return db.session.scalars(
        select(Holding)
        .options(joinedload(Holding.company), joinedload(Holding.service))
        .where(Holding.id == holding_id)
    ).one_or_none()


# Companies.


@dataclass(frozen=True)
class CompanyFilters:
    """What the list of companies is narrowed by. A text with an @ asks for the people, any other for the name."""

    text: str = ""
    domain_id: int | None = None
    is_archived: bool = False
    is_unreached: bool = False


@dataclass(frozen=True)
class CompanyRow:
    """One line of the list: the company, its home domain if it has one, how many people and holdings, and whether
    nobody there can be reached by mail."""

    company: Company
    home: PortalDomain | None
    people: int
    holdings: int
    is_unreached: bool


def companies_page(filters: CompanyFilters, page: int, now: datetime) -> Page[CompanyRow]:
    """Companies by name, 50 a page. Six queries, whatever the number of companies."""
    found = paged(select(Company).where(*_narrowed(filters, now)).order_by(Company.name_key), page)
    ids = [company.id for company in found.items]
    homes = dict(
        db.session.execute(
            select(Admission.company_id, PortalDomain)
            .join(PortalDomain, PortalDomain.id == Admission.domain_id)
            .where(Admission.company_id.in_(ids), Admission.is_home)
        ).all()
    )
    people = dict(
        db.session.execute(
            select(Membership.company_id, func.count(Membership.id))
            .join(Person, Person.id == Membership.person_id)
            .where(Membership.company_id.in_(ids), Person.deactivated_at.is_(None))
            .group_by(Membership.company_id)
        ).all()
    )
    holdings = dict(
        db.session.execute(
            select(Holding.company_id, func.count(Holding.id))
            .where(Holding.company_id.in_(ids), is_valid(Holding, now))
            .group_by(Holding.company_id)
        ).all()
    )
    unreached = frozenset() if filters.is_archived else nobody_reached_among(ids, now)
    rows = [
        CompanyRow(
            company,
            homes.get(company.id),
            people.get(company.id, 0),
            holdings.get(company.id, 0),
            company.id in unreached,
        )
        for company in found.items
    ]
    return Page(rows, found.page, found.pages, found.total)


def paged(statement: Select[T], page: int, per_page: int = PER_PAGE) -> Page[T]:
    """One page of what the statement selects, ids or rows. Two queries; NotFound for a page that does not exist."""
    total = db.session.scalar(select(func.count()).select_from(statement.order_by(None).subquery())) or 0
    pages = max(1, -(-total // per_page))
    if not 1 <= page <= pages:
        raise NotFound
    items = db.session.scalars(statement.limit(per_page).offset((page - 1) * per_page)).all()
    return Page(items, page, pages, total)


def _narrowed(filters: CompanyFilters, now: datetime) -> list[Any]:
    conditions: list[Any] = [Company.archived_at.is_not(None) if filters.is_archived else Company.archived_at.is_(None)]
    if filters.is_unreached:
        conditions.append(nobody_reached(now))
    wanted = text_key(filters.text)
    if "@" in wanted:
        people = (
            select(Membership.company_id)
            .join(Person, Person.id == Membership.person_id)
            .where(Person.email_key.contains(wanted, autoescape=True))
        )
        conditions.append(Company.id.in_(people))
    elif wanted:
        conditions.append(Company.name_key.contains(wanted, autoescape=True))
    if filters.domain_id is not None:
        admitted = select(Admission.company_id).where(Admission.domain_id == filters.domain_id)
        conditions.append(Company.id.in_(admitted))
    return conditions


def _holds(text: str, *columns: Any) -> list[Any]:
    """The condition that one of the columns holds the text, whatever the case; none for no text."""
    wanted = " ".join(text.split())
    return [or_(*(column.icontains(wanted, autoescape=True) for column in columns))] if wanted else []


def _counts(table: type[Component] | type[Service]) -> tuple[int, int]:
    archived = table.archived_at.is_not(None)
    live, gone = db.session.execute(
        select(func.count(table.id).filter(~archived), func.count(table.id).filter(archived))
    ).one()
    return live, gone


def _collected(rows: Any) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for key, value in rows:
        found.setdefault(key, []).append(value)
    return found


def company_by_id(company_id: int) -> Company | None:
    """The company, archived or not."""
    return db.session.get(Company, company_id)


def people_page(company_id: int, page: int) -> Page[Person]:
    """The people who may act for a company, by name; those who are deactivated last."""
    found = (
        select(Person)
        .join(Membership, Membership.person_id == Person.id)
        .where(Membership.company_id == company_id)
        .order_by(Person.deactivated_at.is_not(None), func.lower(Person.name), Person.id)
    )
    return paged(found, page)


def member(company_id: int, person_id: int) -> Person | None:
    """The person, if they may act for this company."""
    return db.session.scalars(
        select(Person)
        .join(Membership, Membership.person_id == Person.id)
        .where(Membership.company_id == company_id, Person.id == person_id)
    ).one_or_none()


def holdings_page(company_id: int, page: int, now: datetime) -> Page[Holding]:
    """What a company holds now, with the services, in the order customers see it."""
    found = (
        select(Holding)
        .join(Holding.service)
        .options(contains_eager(Holding.service))
        .where(Holding.company_id == company_id, is_valid(Holding, now))
        .order_by(Service.category, Service.position, Service.name_key, Holding.reference, Holding.id)
    )
    return paged(found, page)
