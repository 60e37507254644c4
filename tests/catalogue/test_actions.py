"""Writing the catalogue: what is refused, what is kept, who is rung, and that an order has no gaps."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from portal import events
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.catalogue import actions, queries
from portal.catalogue.models import Component, ComponentGroup, Service, ServiceDependency
from portal.catalogue.queries import lists
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from tests.conftest import NOW, Cast

LATER = NOW + timedelta(hours=1)
BY: dict[str, Any] = {"by": SYSTEM, "now": NOW}
BY_LATER: dict[str, Any] = {"by": SYSTEM, "now": LATER}


def titles() -> list[str]:
    return [each.title for each in queries.all_components()]


def places() -> dict[int | None, list[int]]:
    rows = db.session.execute(
        select(Component.group_id, Component.position)
        .where(Component.archived_at.is_(None))
        .order_by(Component.group_id, Component.position)
    )
    found: dict[int | None, list[int]] = {}
    for group_id, position in rows:
        found.setdefault(group_id, []).append(position)
    return found


def rung() -> set[str]:
    topics: set[str] = db.session.info.pop("topics", set())
    return topics


@pytest.fixture
def ordered(cast: Cast) -> list[Component]:
    """Three without a group, two in one."""
    loose = [actions.add_component(title, **BY) for title in "ABC"]
    group = actions.add_group("Group", **BY)
    return [*loose, *(actions.add_component(title, group_id=group.id, **BY) for title in "DE")]


@pytest.mark.parametrize("title", ["", "   ", "\x00\x07", "x" * 201])
def test_a_component_needs_a_title_it_can_be_called_by(session: None, title: str) -> None:
    with pytest.raises(RuleViolation) as refusal:
        actions.add_component(title, **BY)
    assert refusal.value.field == "title"


def test_titles_lose_what_no_database_can_hold(session: None) -> None:
    assert actions.add_component(" Carrier\x00  One\t", description="a\r\nb\x00", **BY).title == "Carrier One"
    assert db.session.scalars(select(Component.description)).one() == "a\nb"


def test_a_group_that_is_gone_is_refused(session: None) -> None:
    with pytest.raises(RuleViolation) as refusal:
        actions.add_component("Carrier", group_id=4711, **BY)
    assert refusal.value.field == "group_id"


def test_the_list_stands_in_one_order(ordered: list[Component]) -> None:
    assert titles() == list("ABCDE")
    version = lists.list_version(actions.COMPONENTS)
    group = db.session.scalars(select(ComponentGroup)).one()
    a, b, c, d, e = (f"c{each.id}" for each in ordered)
    actions.arrange_components([c, f"g{group.id}", e, a, d, b], version=version, **BY)
    assert titles() == list("CEADB")
    assert places() == {None: [0], group.id: [0, 1, 2, 3]}


def test_r17_of_two_orders_made_from_the_same_list_one_wins_and_nothing_is_left_out(
    ordered: list[Component],
) -> None:
    group = db.session.scalars(select(ComponentGroup)).one()
    for _round in range(20):
        version = lists.list_version(actions.COMPONENTS)
        tokens = [*(f"c{each.id}" for each in queries.all_components() if each.group_id is None), f"g{group.id}"]
        tokens += [f"c{each.id}" for each in queries.all_components() if each.group_id]
        loose = tokens.index(f"g{group.id}")
        opposite = [*reversed(tokens[:loose]), f"g{group.id}", *reversed(tokens[loose + 1 :])]
        actions.arrange_components(opposite, version=version, **BY)
        with pytest.raises(StaleEdit):
            actions.arrange_components(tokens, version=version, **BY)
        assert all(found == list(range(len(found))) for found in places().values())
        assert sorted(titles()) == list("ABCDE")


def test_an_order_made_before_something_was_added_is_stale(ordered: list[Component]) -> None:
    version = lists.list_version(actions.COMPONENTS)
    actions.add_component("F", **BY)
    with pytest.raises(StaleEdit):
        actions.step_component(f"c{ordered[0].id}", 1, version=version, **BY)


def test_an_order_that_names_other_components_is_stale(ordered: list[Component]) -> None:
    for tokens in ([""], ["c1"], [f"c{each.id}" for each in ordered]):
        with pytest.raises(StaleEdit):
            actions.arrange_components(tokens, version=lists.list_version(actions.COMPONENTS), **BY)


def test_moving_is_no_edit_of_the_component(ordered: list[Component]) -> None:
    before = ordered[0].version
    actions.step_component(f"c{ordered[0].id}", 1, version=lists.list_version(actions.COMPONENTS), **BY)
    assert titles() == list("BACDE")
    assert ordered[0].version == before


def test_a_removed_group_leaves_its_components_behind_the_ungrouped_ones(ordered: list[Component]) -> None:
    group = db.session.scalars(select(ComponentGroup)).one()
    actions.remove_group(group, version=group.version, **BY)
    assert titles() == list("ABCDE")
    assert places() == {None: [0, 1, 2, 3, 4]}


def test_archiving_closes_gaps_and_dependencies_and_restoring_opens_neither(ordered: list[Component]) -> None:
    service = actions.add_service("Telephony", **BY)
    actions.set_dependencies(service, [ordered[1].id], **BY)
    actions.archive_component(ordered[1], version=ordered[1].version, open_incidents=[], **BY_LATER)
    assert titles() == list("ACDE")
    assert all(found == list(range(len(found))) for found in places().values())
    assert queries.services_reached([ordered[1].id], LATER) == []
    actions.restore_component(ordered[1], version=ordered[1].version, **BY_LATER)
    assert titles() == list("ACBDE")
    assert queries.services_reached([ordered[1].id], LATER) == []
    assert db.session.scalars(select(ServiceDependency)).one().valid_to == LATER


def test_a_component_with_an_open_incident_cannot_be_archived(ordered: list[Component]) -> None:
    with pytest.raises(RuleViolation, match="Resolve “Calls fail” first"):
        actions.archive_component(ordered[0], version=ordered[0].version, open_incidents=["Calls fail"], **BY)
    assert ordered[0].archived_at is None


def test_an_older_version_of_a_component_is_refused(ordered: list[Component]) -> None:
    component = ordered[0]
    opened = component.version
    actions.edit_component(component, "A1", description=None, group_id=None, version=opened, **BY)
    with pytest.raises(StaleEdit):
        actions.edit_component(component, "A2", description=None, group_id=None, version=opened, **BY)
    assert component.title == "A1"


def test_a_change_of_group_goes_to_its_end_and_leaves_no_gap(ordered: list[Component]) -> None:
    group = db.session.scalars(select(ComponentGroup)).one()
    a = ordered[0]
    actions.edit_component(a, "A", description=None, group_id=group.id, version=a.version, **BY)
    assert titles() == list("BCDEA")
    assert places() == {None: [0, 1], group.id: [0, 1, 2]}


def test_a_renamed_component_rings_status_pages_and_whoever_holds_what_depends_on_it(
    cast: Cast, ordered: list[Component]
) -> None:
    service = actions.add_service("Telephony", **BY)
    actions.set_dependencies(service, [ordered[0].id], **BY)
    actions.add_holding(cast.b, service, component_ids=[ordered[0].id], **BY)
    rung()
    actions.edit_component(ordered[0], "New", description=None, group_id=None, version=ordered[0].version, **BY_LATER)
    assert rung() == {
        events.STAFF,
        events.public_topic(cast.domain_a.id),
        events.public_topic(cast.domain_b.id),
        events.service_topic(service.id),
        events.company_topic(cast.b.id),
    }


def test_service_names_are_unique_whatever_the_case(session: None) -> None:
    actions.add_service("Hosted telephony", **BY)
    with pytest.raises(RuleViolation) as refusal:
        actions.add_service(" HOSTED  Telephony ", **BY)
    assert refusal.value.field == "name"


def test_a_service_somebody_holds_cannot_be_archived(cast: Cast) -> None:
    service = actions.add_service("Telephony", **BY)
    holding = actions.add_holding(cast.a, service, **BY)
    with pytest.raises(RuleViolation, match="still held once"):
        actions.archive_service(service, version=service.version, **BY_LATER)
    actions.end_holding(holding, version=holding.version, **BY_LATER)
    actions.archive_service(service, version=service.version, **BY_LATER)
    assert service.archived_at == LATER


def test_services_stay_in_one_order(cast: Cast) -> None:
    a, b, c = (actions.add_service(name, **BY) for name in "ABC")
    version = lists.list_version(actions.SERVICES)
    actions.arrange_services([c.id, a.id, b.id], version=version, **BY)
    with pytest.raises(StaleEdit):
        actions.arrange_services([a.id, b.id, c.id], version=version, **BY)
    actions.archive_service(a, version=a.version, **BY)
    assert [(each.name, each.position) for each in lists.all_services()] == [("C", 0), ("B", 1)]
    with pytest.raises(StaleEdit):
        actions.step_service(a.id, -1, version=lists.list_version(actions.SERVICES), **BY)


def test_dependencies_are_closed_and_kept(cast: Cast, ordered: list[Component]) -> None:
    service = actions.add_service("Telephony", **BY)
    actions.set_dependencies(service, [ordered[0].id, ordered[1].id], **BY)
    rung()
    actions.set_dependencies(service, [ordered[1].id, ordered[2].id], **BY_LATER)
    rows = db.session.scalars(select(ServiceDependency).order_by(ServiceDependency.component_id)).all()
    assert [(row.valid_from, row.valid_to) for row in rows] == [(NOW, LATER), (NOW, None), (LATER, None)]
    assert rung() == {events.STAFF, events.service_topic(service.id)}


def test_nothing_depends_on_an_archived_component(cast: Cast, ordered: list[Component]) -> None:
    service = actions.add_service("Telephony", **BY)
    actions.archive_component(ordered[0], version=ordered[0].version, open_incidents=[], **BY)
    for wanted in ([ordered[0].id], [4711]):
        with pytest.raises(RuleViolation) as refusal:
            actions.set_dependencies(service, wanted, **BY)
        assert refusal.value.field == "component_ids"


def test_the_services_that_depend_on_a_component_can_be_said_from_its_side(
    cast: Cast, ordered: list[Component]
) -> None:
    kept, gone, new = (actions.add_service(name, **BY) for name in ("Kept", "Gone", "New"))
    other = ordered[1].id
    for service in (kept, gone):
        actions.set_dependencies(service, [ordered[0].id, other], **BY)
    actions.set_dependents(ordered[0], [kept.id, new.id], **BY_LATER)
    assert queries.services_reached([ordered[0].id], LATER) == [kept.id, new.id]
    assert queries.components_of_service(gone.id, LATER) == {other}
    with pytest.raises(RuleViolation):
        actions.set_dependents(ordered[0], [4711], **BY_LATER)


def test_a_company_holds_a_service_twice_under_two_references(cast: Cast) -> None:
    service = actions.add_service("Internet", **BY)
    actions.add_holding(cast.a, service, reference="NL-1", **BY)
    actions.add_holding(cast.a, service, reference="NL-2", **BY)
    actions.add_holding(cast.b, service, reference="NL-1", **BY)
    with pytest.raises(RuleViolation, match="under the reference NL-1"):
        actions.add_holding(cast.a, service, reference=" NL-1 ", **BY)
    assert [each.reference for each in queries.holdings_of_company(cast.a.id, LATER)] == ["NL-1", "NL-2"]


def test_a_change_of_dependencies_alone_is_a_new_version_of_the_holding(cast: Cast, ordered: list[Component]) -> None:
    service = actions.add_service("Internet", **BY)
    holding = actions.add_holding(cast.a, service, reference="NL-1", **BY)
    opened = holding.version
    rung()
    actions.edit_holding(holding, service, reference="NL-1", component_ids=[ordered[0].id], version=opened, **BY_LATER)
    assert holding.version == opened + 1
    assert rung() == {events.STAFF, events.company_topic(cast.a.id)}
    with pytest.raises(StaleEdit):
        actions.edit_holding(holding, service, reference="X", component_ids=[], version=opened, **BY_LATER)


def test_an_ended_holding_ends_what_it_depended_on_by_itself(cast: Cast, ordered: list[Component]) -> None:
    service = actions.add_service("Internet", **BY)
    holding = actions.add_holding(cast.a, service, component_ids=[ordered[0].id], **BY)
    actions.end_holding(holding, version=holding.version, **BY_LATER)
    actions.end_holding(holding, version=holding.version, **BY_LATER)
    assert queries.holdings_of_company(cast.a.id, LATER) == []
    assert queries.companies_reached_directly([ordered[0].id], LATER) == []
    assert queries.companies_reached_directly([ordered[0].id], NOW) == [cast.a.id]


def test_an_archived_company_holds_nothing_any_more(cast: Cast) -> None:
    service = actions.add_service("Internet", **BY)
    actions.add_holding(cast.a, service, **BY)
    actions.archive_company(cast.a, version=cast.a.version, **BY_LATER)
    assert queries.holdings_of_company(cast.a.id, LATER) == []
    with pytest.raises(RuleViolation):
        actions.add_holding(cast.a, service, reference="again", **BY_LATER)


def test_every_write_is_in_the_audit_trail(cast: Cast, ordered: list[Component]) -> None:
    service = actions.add_service("Internet", **BY)
    actions.set_dependencies(service, [ordered[0].id], **BY)
    holding = actions.add_holding(cast.a, service, **BY)
    actions.end_holding(holding, version=holding.version, **BY)
    actions.step_component(f"c{ordered[0].id}", 1, version=lists.list_version(actions.COMPONENTS), **BY)
    found = set(db.session.scalars(select(AuditEntry.action)))
    assert found >= {
        "component.add",
        "component_group.add",
        "component.arrange",
        "service.add",
        "service.depend",
        "holding.add",
        "holding.end",
    }


def test_an_unchanged_save_changes_nothing(cast: Cast, ordered: list[Component]) -> None:
    service = actions.add_service("Internet", category="Lines", **BY)
    versions = (service.version, ordered[0].version)
    rung()
    actions.edit_service(service, "Internet", category="Lines", description="", version=versions[0], **BY)
    actions.edit_component(ordered[0], "A", description=" ", group_id=None, version=versions[1], **BY)
    db.session.flush()
    assert (db.session.get_one(Service, service.id).version, ordered[0].version) == versions
    assert rung() == set()
