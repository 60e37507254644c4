"""Reading the graph: what exists, what depends on what, and who is reached through it.

Everything that follows the graph is one set-wise statement, so that an incident over 100,000 companies costs
as many queries as one over three.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Integer,
    Select,
    and_,
    bindparam,
    case,
    distinct,
    func,
    or_,
    select,
    union,
    union_all,
)
from sqlalchemy.orm import contains_eager, joinedload, selectinload

from portal.accounts.models import Company, Membership, Person
from portal.catalogue.models import Component, ComponentGroup, Holding, HoldingDependency, Service, ServiceDependency
from portal.catalogue.queries.hearing import INCIDENTS, WHY, Subject, holds_back, muted_memberships
from portal.catalogue.rules import Unreached
from portal.catalogue.rules.folding import Fold
from portal.database import UTCDateTime
from portal.domains.queries import area_at_home
from portal.domains.rules import Area
from portal.extensions import db, rows
from portal.notifications.models import Suppression
from portal.notifications.rules import SuppressionReason

SHOWN_UNREACHABLE = 50
"""How many of those who cannot be reached are named; the rest is a number."""

Components = Collection[int] | Select[int]
"""Component ids, or a statement that selects them."""


class GroupName(NamedTuple):
    """A group as the heading over its components; `fold` says whether they stand open beneath it."""

    id: int
    name: str
    fold: Fold = Fold.OPEN


class LiveComponent(NamedTuple):
    """What pages show of a component that is not archived."""

    id: int
    public_id: str
    title: str
    description: str | None
    created_at: datetime
    only_if_degraded: bool
    group: GroupName | None


class HeldService(NamedTuple):
    """What a company sees of a holding: its service, its own reference for it, and the drawing of the service."""

    holding_id: int
    service_id: int
    name: str
    category: str
    reference: str
    icon: str


@dataclass(frozen=True)
class ReachedService:
    """A service through which companies are reached, and how many."""

    id: int
    name: str
    companies: int


@dataclass(frozen=True)
class Unreachable:
    """A person of a reached company whom no mail will reach, one of those companies, and why."""

    person_id: int
    name: str
    email: str
    company_name: str
    reason: Unreached


@dataclass(frozen=True)
class Reach:
    """Who is reached through some components.

    `people` counts whom a mail would reach; `unreachable` names the first of the others, of whom there are
    `unreachable_total`; `declined_total` of these could be reached and do not want to hear of it.
    `holding_company_ids` are the companies reached through a dependency of one of their own holdings, rather than
    through a service.
    """

    services: tuple[ReachedService, ...]
    company_ids: frozenset[int]
    people: int
    unreachable: tuple[Unreachable, ...]
    holding_company_ids: frozenset[int]
    unreachable_total: int = 0
    declined_total: int = 0

    @property
    def concerns_everyone(self) -> bool:
        """Whether the components reach no holding at all: then an incident concerns everyone its audience allows."""
        return not self.company_ids


def is_valid(row: Any, now: datetime) -> ColumnElement[bool]:
    """The condition that a row with `valid_from` and `valid_to` holds at this moment."""
    return and_(row.valid_from <= now, or_(row.valid_to.is_(None), row.valid_to > now))


def reach_of(component_ids: Collection[int], now: datetime, subject: Subject = INCIDENTS) -> Reach:
    """Who is reached through these components now, by mails of this kind. At most ten queries, whatever the number of
    companies."""
    companies = company_reached_select(component_ids, now)
    reached = _holdings_reached(component_ids, now).subquery()
    counts = (
        select(reached.c.service_id, func.count(distinct(reached.c.company_id)).label("companies"))
        .where(reached.c.company_id.not_in(_archived_companies()))
        .group_by(reached.c.service_id)
        .subquery()
    )
    services = db.session.execute(
        select(Service.id, Service.name, counts.c.companies)
        .join(counts, counts.c.service_id == Service.id)
        .order_by(Service.position, Service.name_key)
    ).all()
    company_ids = frozenset(db.session.scalars(companies))
    muted = muted_memberships(
        _hits(component_ids, now), component_ids, [each.id for each in services], is_for_all=False, subject=subject
    )
    found = _people_in(companies, company_ids, muted, now, subject)
    return Reach(
        services=tuple(ReachedService(*row) for row in services),
        company_ids=company_ids,
        people=found.people,
        unreachable=found.unreachable,
        holding_company_ids=frozenset(companies_reached_directly(component_ids, now)),
        unreachable_total=found.unreachable_total,
        declined_total=found.declined_total,
    )


def reach_of_everyone(now: datetime, component_ids: Collection[int] = (), subject: Subject = INCIDENTS) -> Reach:
    """All companies and their people: whom a mail about these components reaches that concerns, or is told to,
    everyone. No services are named. At most nine queries."""
    companies = select(Company.id.label("company_id")).where(Company.archived_at.is_(None))
    company_ids = frozenset(db.session.scalars(companies))
    services = services_reached(component_ids, now) if component_ids else []
    muted = muted_memberships(_hits(component_ids, now), component_ids, services, is_for_all=True, subject=subject)
    found = _people_in(companies, company_ids, muted, now, subject)
    return Reach(
        (), company_ids, found.people, found.unreachable, frozenset(), found.unreachable_total, found.declined_total
    )


def company_reached_select(component_ids: Components, now: datetime) -> Select[int]:
    """A statement selecting the ids of the companies reached through these components, each once."""
    reached = _holdings_reached(component_ids, now).subquery()
    return select(reached.c.company_id).where(reached.c.company_id.not_in(_archived_companies())).distinct()


def companies_reached_at_most(component_ids: Components, now: datetime, limit: int) -> list[int] | None:
    """The companies reached through these components, None where there are more than so many. At most two queries, of
    which the first looks no further than it must."""
    reached = _holdings_reached(component_ids, now).subquery()
    first = select(reached.c.company_id).where(reached.c.company_id.not_in(_archived_companies())).limit(2 * limit)
    found = db.session.scalars(first).all()
    companies = set(found)
    if len(found) == 2 * limit and len(companies) <= limit:
        companies = set(db.session.scalars(company_reached_select(component_ids, now).limit(limit + 1)))
    return sorted(companies) if len(companies) <= limit else None


def reaches_anybody(component_ids: Components, now: datetime) -> bool:
    """Whether any company is reached through these components. One query, which ends with the first."""
    reached = _holdings_reached(component_ids, now).subquery()
    first = select(reached.c.company_id).where(reached.c.company_id.not_in(_archived_companies())).limit(1)
    return db.session.scalar(first) is not None


def services_reached(component_ids: Components, now: datetime) -> list[int]:
    """The services that depend on one of these components now, held by anybody or not: whose topics ring."""
    return list(
        db.session.scalars(
            select(ServiceDependency.service_id)
            .where(ServiceDependency.component_id.in_(component_ids), is_valid(ServiceDependency, now))
            .distinct()
            .order_by(ServiceDependency.service_id)
        )
    )


def companies_reached_directly(component_ids: Components, now: datetime) -> list[int]:
    """The companies one of whose holdings depends on one of these components by itself: their own topics ring."""
    return list(
        db.session.scalars(
            select(Holding.company_id)
            .join(HoldingDependency, HoldingDependency.holding_id == Holding.id)
            .join(Company, Company.id == Holding.company_id)
            .where(
                HoldingDependency.component_id.in_(component_ids),
                is_valid(HoldingDependency, now),
                is_valid(Holding, now),
                Company.archived_at.is_(None),
            )
            .distinct()
            .order_by(Holding.company_id)
        )
    )


def components_of_service(service_id: int, now: datetime) -> set[int]:
    """The components the service depends on now. One query."""
    return set(
        db.session.scalars(
            select(ServiceDependency.component_id).where(
                ServiceDependency.service_id == service_id, is_valid(ServiceDependency, now)
            )
        )
    )


def components_of_company(company_id: int, now: datetime) -> frozenset[int]:
    """The components that what this company holds depends on now. One query."""
    return frozenset().union(*components_by_holding(company_id, now).values())


def components_by_holding(company_id: int, now: datetime) -> dict[int, frozenset[int]]:
    """For each holding of the company, the components it depends on now, through its service or by itself. One query.

    A holding that depends on nothing has an empty set.
    """
    found: dict[int, set[int]] = {}
    for holding_id, component_id in rows(_components_by_holding(), company_id=company_id, now=now):
        components = found.setdefault(holding_id, set())
        if component_id is not None:
            components.add(component_id)
    return {holding_id: frozenset(components) for holding_id, components in found.items()}


def holdings_of_company(company_id: int, now: datetime) -> Sequence[Holding]:
    """What the company holds now, with the services, in the order customers see them. One query."""
    return db.session.scalars(
        select(Holding)
        .join(Holding.service)
        .options(contains_eager(Holding.service))
        .where(Holding.company_id == company_id, is_valid(Holding, now))
        .order_by(*_AS_CUSTOMERS_SEE)
    ).all()


def services_held(company_id: int, now: datetime) -> list[HeldService]:
    """What `holdings_of_company` finds, as rows. One query."""
    return [HeldService._make(row) for row in rows(_services_held(), company_id=company_id, now=now)]


def was_ever_held(service_id: int) -> bool:
    """Whether anybody holds or held the service. One query."""
    return db.session.scalar(select(Holding.id).where(Holding.service_id == service_id).limit(1)) is not None


_AS_CUSTOMERS_SEE = (Service.category, Service.position, Service.name_key, Holding.reference, Holding.id)


@cache
def _components_by_holding() -> CompoundSelect[int, int]:
    """Built once, as every poll of every open home asks it: `company_id` and `now` are given when it is executed."""
    company_id, now = _given()
    held = select(Holding.id, Holding.service_id).where(Holding.company_id == company_id, is_valid(Holding, now)).cte()
    return union_all(
        select(held.c.id, ServiceDependency.component_id).outerjoin(
            ServiceDependency,
            and_(ServiceDependency.service_id == held.c.service_id, is_valid(ServiceDependency, now)),
        ),
        select(held.c.id, HoldingDependency.component_id).join(
            HoldingDependency,
            and_(HoldingDependency.holding_id == held.c.id, is_valid(HoldingDependency, now)),
        ),
    )


@cache
def _services_held() -> Select[*tuple[Any, ...]]:
    """Built once, like the one above."""
    company_id, now = _given()
    return (
        select(Holding.id, Service.id, Service.name, Service.category, Holding.reference, Service.icon)
        .join(Service, Service.id == Holding.service_id)
        .where(Holding.company_id == company_id, is_valid(Holding, now))
        .order_by(*_AS_CUSTOMERS_SEE)
    )


def _given() -> tuple[Any, Any]:
    """The company and the moment that a statement built once is executed for."""
    return bindparam("company_id", type_=Integer()), bindparam("now", type_=UTCDateTime())


def component_groups() -> Sequence[ComponentGroup]:
    """The groups in their order."""
    return db.session.scalars(select(ComponentGroup).order_by(ComponentGroup.position, ComponentGroup.id)).all()


def group_by_id(group_id: int) -> ComponentGroup | None:
    return db.session.get(ComponentGroup, group_id)


_UNGROUPED_FIRST = (
    case((Component.group_id.is_(None), 0), else_=1),
    ComponentGroup.position,
    ComponentGroup.id,
    Component.position,
    Component.id,
)
"""The order of the list, over components with their groups."""


def all_components() -> Sequence[Component]:
    """Every component that is not archived, with its group, in the order of the list: ungrouped ones first."""
    return db.session.scalars(
        select(Component)
        .outerjoin(Component.group)
        .options(contains_eager(Component.group))
        .where(Component.archived_at.is_(None))
        .order_by(*_UNGROUPED_FIRST)
    ).all()


def live_components() -> list[LiveComponent]:
    """What `all_components` finds, as rows. One query."""
    return [
        LiveComponent._make((*columns, GroupName(group_id, name, fold) if group_id is not None else None))
        for *columns, group_id, name, fold in rows(_live_components())
    ]


@cache
def _live_components() -> Select[*tuple[Any, ...]]:
    each = Component
    return (
        select(
            each.id,
            each.public_id,
            each.title,
            each.description,
            each.created_at,
            each.only_if_degraded,
            ComponentGroup.id,
            ComponentGroup.name,
            ComponentGroup.fold,
        )
        .outerjoin(ComponentGroup, ComponentGroup.id == each.group_id)
        .where(each.archived_at.is_(None))
        .order_by(*_UNGROUPED_FIRST)
    )


def component_choices() -> list[tuple[int, str, str]]:
    """Id, title and group name ("" without a group) of every component that is not archived, in the list's order."""
    return [(each.id, each.title, each.group.name if each.group else "") for each in all_components()]


def component_by_id(component_id: int) -> Component | None:
    """The component with its group, archived or not."""
    return db.session.scalars(
        select(Component).options(joinedload(Component.group)).where(Component.id == component_id)
    ).one_or_none()


def _holdings_reached(component_ids: Components, now: datetime) -> Any:
    """The (service_id, company_id) of the holdings reached, through their service or by themselves; some twice."""
    through_service = (
        select(Holding.service_id, Holding.company_id)
        .join(ServiceDependency, ServiceDependency.service_id == Holding.service_id)
        .where(
            ServiceDependency.component_id.in_(component_ids),
            is_valid(ServiceDependency, now),
            is_valid(Holding, now),
        )
    )
    by_itself = (
        select(Holding.service_id, Holding.company_id)
        .join(HoldingDependency, HoldingDependency.holding_id == Holding.id)
        .where(
            HoldingDependency.component_id.in_(component_ids),
            is_valid(HoldingDependency, now),
            is_valid(Holding, now),
        )
    )
    return union_all(through_service, by_itself)


def _hits(component_ids: Components, now: datetime) -> Any:
    """What is hit: company, service and component of each holding that depends on one of the components."""
    through_service = (
        select(Holding.company_id, Holding.service_id, ServiceDependency.component_id)
        .join(ServiceDependency, ServiceDependency.service_id == Holding.service_id)
        .where(
            ServiceDependency.component_id.in_(component_ids), is_valid(ServiceDependency, now), is_valid(Holding, now)
        )
    )
    by_itself = (
        select(Holding.company_id, Holding.service_id, HoldingDependency.component_id)
        .join(HoldingDependency, HoldingDependency.holding_id == Holding.id)
        .where(
            HoldingDependency.component_id.in_(component_ids), is_valid(HoldingDependency, now), is_valid(Holding, now)
        )
    )
    return union_all(through_service, by_itself).cte("hits")


def _archived_companies() -> Select[int]:
    return select(Company.id).where(Company.archived_at.is_not(None))


@dataclass(frozen=True)
class _People:
    """What `_people_in` finds: the parts of a Reach that are about people."""

    people: int
    unreachable: tuple[Unreachable, ...]
    unreachable_total: int
    declined_total: int


def _people_in(
    companies: Select[int], company_ids: frozenset[int], muted: Select[int] | None, now: datetime, subject: Subject
) -> _People:
    """How many people of these companies a mail reaches, the first whom none does, and how many those are.

    The companies are given twice: as a statement to count by, and as ids to name one of each person's. `muted` selects
    the memberships through which somebody does not want to hear of it.
    """
    everyone = db.session.scalar(
        select(func.count(distinct(Membership.person_id))).where(Membership.company_id.in_(companies))
    )
    stopped = select(Person.id).join(Suppression, Suppression.address_key == Person.email_key)
    stopped = stopped.where(holds_back(now, subject[0]))
    barred = union(select(Person.id).where(Person.deactivated_at.is_not(None)), stopped)
    # One company that may be told is enough, so a person is unreachable only when none of theirs is.
    shown = area_at_home(Area.STATUS, Membership.company_id)
    gets_mail = and_(shown.is_open, Membership.person_id.not_in(barred))
    if muted is not None:
        gets_mail = and_(gets_mail, Membership.id.not_in(muted))
    unreachable = (
        shown.joined(select(Membership.person_id, func.max(case((shown.is_open, 1), else_=0)).label("is_shown")))
        .where(Membership.company_id.in_(companies))
        .group_by(Membership.person_id)
        .having(func.max(case((gets_mail, 1), else_=0)) == 0)
        .subquery()
    )
    by_choice = Suppression.reason == SuppressionReason.UNSUBSCRIBED
    chose = and_(
        Person.deactivated_at.is_(None),
        Person.id.not_in(stopped.where(~by_choice)),
        or_(unreachable.c.is_shown == 1, Person.id.in_(stopped.where(by_choice))),
    )
    rows = db.session.execute(
        select(
            Person,
            unreachable.c.is_shown,
            func.count().over().label("total"),
            func.sum(case((chose, 1), else_=0)).over().label("declined"),
        )
        .join(unreachable, unreachable.c.person_id == Person.id)
        .options(selectinload(Person.memberships).joinedload(Membership.company))
        .order_by(Person.name, Person.id)
        .limit(SHOWN_UNREACHABLE)
    ).all()
    total, declined = (rows[0].total, rows[0].declined) if rows else (0, 0)
    shown_to = {row.Person.id for row in rows if row.is_shown}
    named = _reasons([row.Person for row in rows], company_ids, shown_to, now, topic=subject[0])
    return _People((everyone or 0) - total, named, total, declined)


def _reasons(
    people: Sequence[Person], company_ids: frozenset[int], shown_to: Collection[int], now: datetime, *, topic: str
) -> tuple[Unreachable, ...]:
    """Why each of these people gets no mail. One query."""
    suppressed: dict[str, list[Unreached]] = {}
    for address_key, reason in db.session.execute(
        select(Suppression.address_key, Suppression.reason).where(
            Suppression.address_key.in_([person.email_key for person in people]), holds_back(now, topic)
        )
    ):
        suppressed.setdefault(address_key, []).append(WHY[reason])
    outweighs = list(Unreached).index

    def why(person: Person) -> Unreached:
        if person.deactivated_at:
            return Unreached.DEACTIVATED
        if person.email_key in suppressed:
            return min(suppressed[person.email_key], key=outweighs)
        return Unreached.DECLINED if person.id in shown_to else Unreached.AREA_OFF

    return tuple(
        Unreachable(
            person_id=person.id,
            name=person.name,
            email=person.email,
            company_name=min(each.company.name for each in person.memberships if each.company_id in company_ids),
            reason=why(person),
        )
        for person in people
    )
