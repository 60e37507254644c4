"""Reading the graph: who is reached, against the rule, and never more queries for more rows."""

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from portal.accounts import actions as accounts
from portal.accounts.models import Person
from portal.audit.rules import SYSTEM
from portal.catalogue import actions, queries
from portal.catalogue.models import Component, Holding, HoldingDependency, Service, ServiceDependency
from portal.catalogue.queries import lists
from portal.catalogue.rules import Edge, Span, Unreached, Use, reached
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.errors import NotFound
from portal.extensions import db
from portal.notifications.models import Preference, Suppression
from portal.notifications.rules import SuppressionReason
from tests.conftest import NOW, Cast, counted_queries

LATER = NOW + timedelta(hours=1)


@pytest.fixture
def graph(cast: Cast) -> tuple[Component, Component, Service]:
    """A carrier that telephony depends on, which A holds; a host nobody depends on; B holds something else (noise)."""
    carrier = actions.add_component("Carrier", by=SYSTEM, now=NOW)
    host = actions.add_component("Host", by=SYSTEM, now=NOW)
    telephony = actions.add_service("Telephony", by=SYSTEM, now=NOW)
    noise = actions.add_service("Noise", by=SYSTEM, now=NOW)
    actions.set_dependencies(telephony, [carrier.id], by=SYSTEM, now=NOW)
    actions.add_holding(cast.a, telephony, reference="NL-1", by=SYSTEM, now=NOW)
    actions.add_holding(cast.b, noise, reference="NL-2", by=SYSTEM, now=NOW)
    return carrier, host, telephony


def test_reach_names_services_companies_and_people(cast: Cast, graph: tuple[Component, Component, Service]) -> None:
    carrier, _host, telephony = graph
    reach = queries.reach_of([carrier.id], LATER)
    assert [(each.id, each.name, each.companies) for each in reach.services] == [(telephony.id, "Telephony", 1)]
    assert reach.company_ids == {cast.a.id}
    assert (reach.people, reach.unreachable, reach.unreachable_total) == (2, (), 0)
    assert not reach.holding_company_ids
    assert not reach.concerns_everyone


def test_what_reaches_no_holding_concerns_everyone(graph: tuple[Component, Component, Service]) -> None:
    _carrier, host, _telephony = graph
    for components in ([host.id], []):
        assert queries.reach_of(components, LATER).concerns_everyone


def test_everyone_is_all_companies_that_are_not_archived(cast: Cast) -> None:
    everyone = queries.reach_of_everyone(LATER)
    assert everyone.company_ids == {cast.a.id, cast.b.id}
    assert everyone.people == 3
    accounts.archive_company(cast.b, version=cast.b.version, by=SYSTEM, now=NOW)
    assert queries.reach_of_everyone(LATER).company_ids == {cast.a.id}


def test_a_dependency_of_a_holding_reaches_its_company_alone(
    cast: Cast, graph: tuple[Component, Component, Service]
) -> None:
    _carrier, host, telephony = graph
    actions.add_holding(cast.b, telephony, reference="own line", component_ids=[host.id], by=SYSTEM, now=NOW)
    reach = queries.reach_of([host.id], LATER)
    assert reach.company_ids == reach.holding_company_ids == {cast.b.id}
    assert [each.name for each in reach.services] == ["Telephony"]
    assert queries.companies_reached_directly([host.id], LATER) == [cast.b.id]
    assert queries.services_reached([host.id], LATER) == []


def test_what_has_ended_reaches_nobody_and_what_was_true_then_stays(
    cast: Cast, graph: tuple[Component, Component, Service]
) -> None:
    carrier, _host, telephony = graph
    actions.set_dependencies(telephony, [], by=SYSTEM, now=LATER)
    assert queries.reach_of([carrier.id], LATER).company_ids == frozenset()
    assert queries.reach_of([carrier.id], NOW).company_ids == {cast.a.id}


def _suppress(person: Person, reason: SuppressionReason, scope: str = "all", **columns: Any) -> None:
    db.session.add(Suppression(address_key=person.email_key, scope=scope, reason=reason, created_at=NOW, **columns))


def _deactivate(cast: Cast) -> None:
    accounts.deactivate_person(cast.bob, version=cast.bob.version, by=SYSTEM, now=NOW)


def _bounce(cast: Cast) -> None:
    _suppress(cast.bob, SuppressionReason.HARD_BOUNCE)


def _unsubscribe(cast: Cast) -> None:
    _suppress(cast.bob, SuppressionReason.UNSUBSCRIBED, "incidents")


def _decline(cast: Cast) -> None:
    db.session.add(Preference(person_id=cast.bob.id, topic="incidents", wanted=False))


@pytest.mark.parametrize(
    ("bar", "reason"),
    [
        (_deactivate, Unreached.DEACTIVATED),
        (_bounce, Unreached.BOUNCED),
        (_unsubscribe, Unreached.UNSUBSCRIBED),
        (_decline, Unreached.DECLINED),
    ],
)
def test_who_gets_no_mail_is_named_with_the_reason(
    cast: Cast, graph: tuple[Component, Component, Service], bar: Callable[[Cast], None], reason: Unreached
) -> None:
    bar(cast)
    reach = queries.reach_of([graph[0].id], LATER)
    assert (reach.people, reach.unreachable_total) == (1, 1)
    [bob] = reach.unreachable
    assert (bob.name, bob.email, bob.company_name, bob.reason) == ("Bob", "bob@people.test", "Alder Dental", reason)


def test_a_suppression_of_something_else_or_of_the_past_holds_nothing_back(
    cast: Cast, graph: tuple[Component, Component, Service]
) -> None:
    _suppress(cast.bob, SuppressionReason.UNSUBSCRIBED, "jobs")
    _suppress(cast.bob, SuppressionReason.BY_HAND, until=NOW)
    assert queries.reach_of([graph[0].id], LATER).people == 2


def test_with_the_status_area_off_nobody_of_the_company_is_reached(
    cast: Cast, graph: tuple[Component, Component, Service]
) -> None:
    domains.set_override(cast.domain_a, cast.a, Area.STATUS, False, by=SYSTEM, now=NOW)
    reach = queries.reach_of([graph[0].id], LATER)
    assert (reach.people, reach.unreachable_total) == (0, 2)
    assert {each.reason for each in reach.unreachable} == {Unreached.AREA_OFF}
    assert reach.company_ids == {cast.a.id}


def test_one_company_that_may_be_told_is_enough_for_a_person_of_two(
    cast: Cast, graph: tuple[Component, Component, Service]
) -> None:
    carrier, _host, telephony = graph
    accounts.add_membership(cast.bob, cast.b, by=SYSTEM, now=NOW)
    actions.add_holding(cast.b, telephony, by=SYSTEM, now=NOW)
    domains.set_override(cast.domain_a, cast.a, Area.STATUS, False, by=SYSTEM, now=NOW)
    reach = queries.reach_of([carrier.id], LATER)
    assert reach.people == 2  # Bob and Charlie, for B
    assert [each.name for each in reach.unreachable] == ["Alice"]


def test_only_the_first_fifty_unreachable_are_named(cast: Cast, graph: tuple[Component, Component, Service]) -> None:
    for number in range(60):
        person = accounts.add_person(f"P{number:02}", f"p{number}@people.test", by=SYSTEM, now=NOW)
        accounts.add_membership(person, cast.a, by=SYSTEM, now=NOW)
        _suppress(person, SuppressionReason.HARD_BOUNCE)
    reach = queries.reach_of([graph[0].id], LATER)
    assert (len(reach.unreachable), reach.unreachable_total, reach.people) == (50, 60, 2)


def test_components_of_a_company_and_of_each_holding(cast: Cast, graph: tuple[Component, Component, Service]) -> None:
    carrier, host, telephony = graph
    own = actions.add_holding(cast.a, telephony, reference="NL-9", component_ids=[host.id], by=SYSTEM, now=NOW)
    bare = actions.add_holding(cast.a, actions.add_service("Bare", by=SYSTEM, now=NOW), by=SYSTEM, now=NOW)
    found = queries.components_by_holding(cast.a.id, LATER)
    assert found[own.id] == {carrier.id, host.id}
    assert found[bare.id] == frozenset()
    assert len(found) == 3
    assert queries.components_of_company(cast.a.id, LATER) == {carrier.id, host.id}
    assert queries.components_of_company(cast.b.id, LATER) == frozenset()


def test_the_statement_agrees_with_the_rule_on_a_random_graph(cast: Cast) -> None:
    luck = random.Random(20261121)  # noqa: S311 - the same graph every time
    companies = [cast.a, cast.b, *(accounts.add_company(f"Company {n}", by=SYSTEM, now=NOW) for n in range(8))]
    components = [actions.add_component(f"C{n}", by=SYSTEM, now=NOW) for n in range(6)]
    services = [actions.add_service(f"S{n}", by=SYSTEM, now=NOW) for n in range(5)]

    def span() -> Span:
        start = NOW + timedelta(hours=luck.randint(-5, 2))
        return Span(start, luck.choice([None, start + timedelta(hours=luck.randint(0, 5))]))

    def dates(of: Span) -> dict[str, Any]:
        return {"valid_from": of.valid_from, "valid_to": of.valid_to}

    uses, through_services, through_holdings = [], [], []
    for _ in range(25):
        company, service, valid = luck.choice(companies), luck.choice(services), span()
        holding = Holding(company_id=company.id, service_id=service.id, reference="", **dates(valid))
        db.session.add(holding)
        db.session.flush()
        uses.append(Use(holding.id, company.id, service.id, valid))
        if luck.random() < 0.4:
            edge = Edge(holding.id, luck.choice(components).id, span())
            through_holdings.append(edge)
            db.session.add(HoldingDependency(holding_id=holding.id, component_id=edge.component_id, **dates(edge.span)))
    for _ in range(10):
        edge = Edge(luck.choice(services).id, luck.choice(components).id, span())
        through_services.append(edge)
        db.session.add(ServiceDependency(service_id=edge.source_id, component_id=edge.component_id, **dates(edge.span)))
    db.session.flush()
    for _ in range(20):
        wanted = {component.id for component in luck.sample(components, luck.randint(0, 3))}
        expected = reached(wanted, uses, through_services=through_services, through_holdings=through_holdings, at=NOW)
        reach = queries.reach_of(wanted, NOW)
        assert reach.company_ids == {use.company_id for use in expected}
        by_service: dict[int, set[int]] = {}
        for use in expected:
            by_service.setdefault(use.service_id, set()).add(use.company_id)
        assert {each.id: each.companies for each in reach.services} == {
            service: len(found) for service, found in by_service.items()
        }


def _grow(cast: Cast, graph: tuple[Component, Component, Service], count: int) -> None:
    for number in range(count):
        company = accounts.add_company(f"Grown {count}-{number}", by=SYSTEM, now=NOW)
        domains.admit(company, cast.domain_a, is_home=True, by=SYSTEM, now=NOW)
        person = accounts.add_person(f"G{number}", f"g{count}-{number}@people.test", by=SYSTEM, now=NOW)
        accounts.add_membership(person, company, by=SYSTEM, now=NOW)
        _suppress(person, SuppressionReason.HARD_BOUNCE)
        actions.add_holding(company, graph[2], by=SYSTEM, now=NOW)
    db.session.flush()


def test_reach_costs_the_same_queries_for_three_companies_and_for_a_hundred_more(
    cast: Cast, graph: tuple[Component, Component, Service]
) -> None:
    counts = []
    for size in (3, 100):
        _grow(cast, graph, size)
        db.session.expunge_all()
        carrier = db.session.scalars(select(Component).where(Component.title == "Carrier")).one()
        with counted_queries() as statements:
            queries.reach_of([carrier.id], LATER)
        counts.append(len(statements))
    assert counts[0] == counts[1] <= 10


def test_companies_are_found_by_name_and_by_a_persons_address(cast: Cast) -> None:
    def found(text: str) -> list[str]:
        page = lists.companies_page(lists.CompanyFilters(text=text), 1, LATER)
        return [row.company.name for row in page.items]

    assert found("") == ["Alder Dental", "Birch Logistics"]
    assert found("DENT") == ["Alder Dental"]
    assert found("charlie@") == ["Birch Logistics"]
    assert found("%") == found("_") == []


def test_a_page_that_does_not_exist_is_not_found(cast: Cast) -> None:
    for page in (0, 2):
        with pytest.raises(NotFound):
            lists.companies_page(lists.CompanyFilters(), page, LATER)
