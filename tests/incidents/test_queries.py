"""What exists from each viewpoint, and how many statements it costs to say so."""

from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from portal.accounts.rules import SIGNED_OUT, STAFF, Viewpoint
from portal.audit.rules import SYSTEM
from portal.catalogue.queries import (
    all_components,
    companies_reached_at_most,
    company_reached_select,
    reaches_anybody,
)
from portal.extensions import db
from portal.incidents import actions, queries
from portal.incidents.models import Incident, Maintenance, MaintenanceComponent
from portal.incidents.queries import open_now
from portal.incidents.queries.search import search_incidents
from portal.incidents.rules import (
    Audience,
    ComponentStatus,
    MaintenanceState,
    Severity,
    State,
    Visibility,
    is_visible,
)
from tests.conftest import NOW, Cast, counted_queries
from tests.incidents.conftest import World

MAJOR, PARTIAL, SLOW = Severity.MAJOR_OUTAGE, Severity.PARTIAL_RTH, Severity.PERFORMANCE_ISSUE
LATER = NOW + timedelta(minutes=14)
_keys = count()


def report(title: str, severities: dict[int, Severity], **changes: Any) -> Incident:
    given: dict[str, Any] = {
        "state": State.INVESTIGATING,
        "body": f"{title} body",
        "notify": False,
        "by": SYSTEM,
        "author_id": None,
        "now": NOW,
        "idempotency_key": f"queries-{next(_keys)}",
    } | changes
    return actions.publish(title, severities=severities, **given)


def say(incident: Incident, state: State | None, body: str = "More.", **changes: Any) -> None:
    given: dict[str, Any] = {"named": {}, "notify": False, "version": incident.version, "now": LATER} | changes
    actions.post_update(incident, state, body, by=SYSTEM, author_id=None, **given)


@pytest.fixture
def viewpoints(cast: Cast) -> dict[str, Viewpoint]:
    a, b = Viewpoint(company_id=cast.a.id), Viewpoint(company_id=cast.b.id)
    return {"staff": STAFF, "a": a, "b": b, "signed out": SIGNED_OUT}


def seen(incident: Incident, viewpoints: dict[str, Viewpoint]) -> set[str]:
    return {
        name
        for name, viewpoint in viewpoints.items()
        if queries.visible_incident(viewpoint, incident.public_id, LATER) is not None
    }


def test_those_reached_are_named_up_to_so_many(world: World) -> None:
    for components in ([world.trunk.id], [world.fibre.id], [world.exchange.id, world.spare.id], [world.spare.id], []):
        reached = sorted(db.session.scalars(company_reached_select(components, NOW)))
        assert reaches_anybody(components, NOW) is bool(reached)
        for limit in range(1, 5):
            expected = reached if len(reached) <= limit else None
            assert companies_reached_at_most(components, NOW, limit) == expected


def test_the_condition_and_the_rule_agree(world: World, viewpoints: dict[str, Viewpoint]) -> None:
    for components in ([world.trunk.id], [world.fibre.id], [world.exchange.id, world.spare.id], [world.spare.id], []):
        for visibility in Visibility:
            for audience in Audience:
                incident = report("x", dict.fromkeys(components, SLOW), visibility=visibility, audience=audience)
                reached = set(db.session.scalars(company_reached_select(components, NOW)))
                wanted = {n for n, v in viewpoints.items() if is_visible(visibility, audience, reached, v)}
                assert seen(incident, viewpoints) == wanted
                is_open = {
                    name
                    for name, viewpoint in viewpoints.items()
                    if incident in queries.open_incidents(viewpoint, LATER)
                }
                assert is_open == wanted
                is_open_now = {
                    name
                    for name, viewpoint in viewpoints.items()
                    if incident.id in {each.id for each in open_now.open_now(viewpoint, LATER)}
                }
                assert is_open_now == wanted


def test_who_was_affected_when_it_was_fixed_still_sees_it(
    world: World, cast: Cast, viewpoints: dict[str, Viewpoint]
) -> None:
    incident = report("Past", {world.trunk.id: MAJOR}, audience=Audience.AFFECTED)
    say(incident, State.FIXED)
    world.holding_a.valid_to = LATER + timedelta(days=1)
    world.holding_b.service_id = world.telephony.id
    world.holding_b.valid_from = LATER + timedelta(days=1)
    db.session.flush()
    much_later = LATER + timedelta(days=2)
    assert queries.visible_incident(viewpoints["a"], incident.public_id, much_later) is incident
    assert queries.visible_incident(viewpoints["b"], incident.public_id, much_later) is None


def test_private_reports_leak_nowhere(world: World, cast: Cast, viewpoints: dict[str, Viewpoint]) -> None:
    before = queries.component_statuses(SIGNED_OUT, LATER)
    report("CANARY", {world.trunk.id: MAJOR}, visibility=Visibility.PRIVATE)
    for name in ("a", "b", "signed out"):
        viewpoint = viewpoints[name]
        assert queries.component_statuses(viewpoint, LATER) == before
        assert queries.open_incidents(viewpoint, LATER) == []
        assert open_now.open_now(viewpoint, LATER) == []
        assert search_incidents(viewpoint, "CANARY", 10, LATER).items == []
        assert set(queries.history_bars([world.trunk.id], LATER, viewpoint)[world.trunk.id].days) == {"0"}
    assert open_now.concerning(cast.a.id, LATER) == open_now.Concerning((), 0)
    assert queries.component_statuses(STAFF, LATER)[world.trunk.id] is ComponentStatus.MAJOR_OUTAGE
    assert queries.history_bars([world.trunk.id], LATER, STAFF)[world.trunk.id].days.endswith("03")


def test_private_updates_are_for_staff_even_where_the_session_knows_them(
    world: World, viewpoints: dict[str, Viewpoint]
) -> None:
    incident = report("Open", {world.trunk.id: MAJOR})
    say(incident, None, "CANARY note", visibility=Visibility.PRIVATE)
    whole = queries.incident_for_staff(incident.id)
    assert whole is not None
    assert len(queries.updates_for(STAFF, whole)) == 2
    for name in ("a", "signed out"):
        shown = queries.visible_incident(viewpoints[name], incident.public_id, LATER)
        assert shown is not None
        assert [update.body for update in shown.updates] == ["Open body"]
        assert [update.body for update in queries.updates_for(viewpoints[name], shown)] == ["Open body"]
        assert search_incidents(viewpoints[name], "CANARY", 10, LATER).items == []
    assert [hit.id for hit in search_incidents(STAFF, "canary", 10, LATER).items] == [incident.id]


def test_a_status_is_the_worst_of_what_the_viewpoint_sees(world: World, viewpoints: dict[str, Viewpoint]) -> None:
    report("For all", {world.trunk.id: SLOW})
    report("For A", {world.trunk.id: MAJOR}, audience=Audience.AFFECTED)
    report("Cleared", {world.fibre.id: Severity.NONE})
    expected = {"staff": "major_outage", "a": "major_outage", "b": "degraded_performance"}
    expected["signed out"] = "degraded_performance"
    for name, viewpoint in viewpoints.items():
        statuses = queries.component_statuses(viewpoint, LATER)
        assert statuses[world.trunk.id] == expected[name]
        assert statuses[world.fibre.id] is ComponentStatus.OPERATIONAL
    world.spare.archived_at = NOW
    db.session.flush()
    assert world.spare.id not in queries.component_statuses(STAFF, LATER)


def maintain(component_id: int, **changes: Any) -> Maintenance:
    given: dict[str, Any] = {
        "state": MaintenanceState.SCHEDULED,
        "starts_at": NOW,
        "ends_at": NOW + timedelta(hours=2),
        "title": "Work",
        "public_id": f"work{next(_keys)}",
        "created_at": NOW,
        "public_updated_at": NOW,
    } | changes
    row = Maintenance(**given)
    db.session.add(row)
    db.session.flush()
    db.session.add(MaintenanceComponent(maintenance_id=row.id, component_id=component_id))
    db.session.flush()
    return row


@pytest.mark.parametrize(
    ("changes", "is_shown"),
    [
        ({}, True),
        ({"starts_at": NOW + timedelta(hours=1)}, False),
        ({"starts_at": NOW + timedelta(hours=1), "state": MaintenanceState.IN_PROGRESS}, True),
        ({"starts_at": NOW - timedelta(hours=2), "ends_at": NOW}, False),
        ({"state": MaintenanceState.CANCELLED}, False),
        ({"visibility": Visibility.PRIVATE}, False),
        ({"audience": Audience.AFFECTED}, False),
    ],
    ids=str,
)
def test_maintenance_shows_while_it_lasts(world: World, changes: dict[str, Any], is_shown: bool) -> None:
    maintain(world.trunk.id, **changes)
    expected = ComponentStatus.MAINTENANCE if is_shown else ComponentStatus.OPERATIONAL
    assert queries.component_statuses(SIGNED_OUT, LATER)[world.trunk.id] is expected


def test_maintenance_for_the_affected_is_seen_by_them_and_never_masks_an_outage(
    world: World, viewpoints: dict[str, Viewpoint]
) -> None:
    work = maintain(world.trunk.id, audience=Audience.AFFECTED)
    assert queries.open_maintenance(viewpoints["a"], LATER) == [work]
    assert queries.open_maintenance(viewpoints["b"], LATER) == []
    assert queries.next_boundary(LATER) == work.ends_at
    report("Slow", {world.trunk.id: SLOW})
    assert queries.component_statuses(viewpoints["a"], LATER)[world.trunk.id] is ComponentStatus.PERFORMANCE_ISSUE


def test_what_concerns_a_company_and_what_does_not(world: World, cast: Cast) -> None:
    mine = report("Trunk", {world.trunk.id: MAJOR})
    direct = report("Exchange", {world.exchange.id: SLOW}, audience=Audience.AFFECTED)
    unknown = report("Nobody's", {world.spare.id: PARTIAL})
    report("Fibre", {world.fibre.id: MAJOR})
    report("Fibre, theirs", {world.fibre.id: MAJOR}, audience=Audience.AFFECTED)
    report("Private", {world.trunk.id: MAJOR}, visibility=Visibility.PRIVATE)
    say(report("Fixed", {world.trunk.id: MAJOR}), State.FIXED)
    found = open_now.concerning(cast.a.id, LATER)
    assert [each.id for each in found.mine] == [mine.id, unknown.id, direct.id]
    assert found.others == 1
    world.holding_a.valid_to = NOW
    world.holding_b.service_id = world.telephony.id
    db.session.flush()
    assert mine.id not in open_now.concerning_ids(cast.a.id, LATER)[0]


def test_a_severity_cleared_still_concerns_whom_it_hit(world: World, cast: Cast) -> None:
    incident = report("Trunk", {world.trunk.id: MAJOR})
    say(incident, State.WATCHING, named={world.trunk.id: Severity.NONE})
    assert [each.id for each in open_now.concerning(cast.a.id, LATER).mine] == [incident.id]


def test_rows_say_what_entities_say(world: World, viewpoints: dict[str, Viewpoint]) -> None:
    """From every viewpoint: the same incidents and work in the same order, with the same updates and days."""
    components = [world.trunk.id, world.fibre.id, world.spare.id]
    fill(components, 2)
    say(report("Told in private", {world.trunk.id: MAJOR}), None, "PRIVATE NOTE", visibility=Visibility.PRIVATE)
    report("Private", {world.spare.id: MAJOR}, visibility=Visibility.PRIVATE)
    maintain(world.fibre.id, audience=Audience.AFFECTED)
    for name, viewpoint in viewpoints.items():
        incidents = open_now.open_now(viewpoint, LATER)
        assert [_told(each) for each in incidents] == [_told(each) for each in queries.open_incidents(viewpoint, LATER)]
        assert any(update.body == "PRIVATE NOTE" for each in incidents for update in each.updates) is (name == "staff")
        work = [_worked(each) for each in open_now.open_work(viewpoint, LATER)]
        assert work == [_worked(each) for each in queries.open_maintenance(viewpoint, LATER)]
        known = queries.histories(all_components(), LATER, viewpoint)
        assert {key: each.bar for key, each in known.items()} == queries.history_bars(known, LATER, viewpoint)
        assert {key: each.uptime for key, each in known.items()} == queries.uptimes(all_components(), LATER, viewpoint)
        for moment in (NOW, LATER, LATER + timedelta(days=2)):
            shown = open_now.open_now(viewpoint, moment), open_now.open_work(viewpoint, moment)
            statuses = queries.statuses_under(*shown, components, viewpoint, moment)
            assert statuses == queries.statuses_of(components, viewpoint, moment)


def _told(incident: Incident | open_now.OpenIncident) -> tuple[Any, ...]:
    hits = sorted((each.component_id, each.severity, each.component.title) for each in incident.components)
    updates = [(each.state, each.visibility, each.body, each.posted_at) for each in incident.updates]
    return incident.id, incident.public_id, incident.title, incident.state, incident.started_at, hits, updates


def _worked(work: Maintenance | open_now.OpenWork) -> tuple[Any, ...]:
    components = sorted((each.component_id, each.component.title) for each in work.components)
    updates = [(each.body, each.posted_at) for each in work.updates]
    return work.id, work.public_id, work.title, work.state, work.starts_at, work.ends_at, components, updates


def test_open_incidents_stand_worst_first(world: World) -> None:
    slow = report("Slow", {world.trunk.id: SLOW})
    down = report("Down", {world.trunk.id: MAJOR})
    newer = report("Slow too", {world.fibre.id: SLOW}, now=LATER)
    assert list(queries.open_incidents(SIGNED_OUT, LATER)) == [down, newer, slow]
    assert list(queries.open_incident_heads(2)) == [down, newer]


def test_past_incidents_come_in_pages(world: World) -> None:
    for number in range(27):
        say(report(f"Past {number}", {}, now=NOW - timedelta(hours=number)), State.FIXED)
    report("Open", {})
    report("Hidden", {}, visibility=Visibility.PRIVATE, state=State.FIXED)
    first = queries.past_incidents(SIGNED_OUT, 1, LATER)
    assert first is not None
    assert (first.total, first.pages, len(first.items), first.items[0].title) == (27, 2, 25, "Past 0")
    second = queries.past_incidents(SIGNED_OUT, 2, LATER)
    assert second is not None
    assert [each.title for each in second.items] == ["Past 25", "Past 26"]
    assert queries.past_incidents(SIGNED_OUT, 3, LATER) is None
    assert queries.past_incidents(SIGNED_OUT, 0, LATER) is None


def test_an_empty_history_has_one_empty_page(session: None) -> None:
    page = queries.past_incidents(SIGNED_OUT, 1, NOW)
    assert page is not None
    assert (page.items, page.pages) == ([], 1)


@pytest.mark.parametrize(
    ("filters", "titles"),
    [
        (queries.Filters(), {"Open", "Private", "Fixed 100%"}),
        (queries.Filters(text="  open "), {"Open"}),
        (queries.Filters(text="0%"), {"Fixed 100%"}),
        (queries.Filters(text="%"), {"Fixed 100%"}),
        (queries.Filters(text="private body"), {"Private"}),
        (queries.Filters(state=State.FIXED), {"Fixed 100%"}),
        (queries.Filters(is_open=True), {"Open", "Private"}),
        (queries.Filters(is_open=False), {"Fixed 100%"}),
        (queries.Filters(visibility=Visibility.PRIVATE), {"Private"}),
    ],
    ids=["nothing", "title", "percent in a word", "percent", "text", "state", "open", "not open", "private"],
)
def test_the_report_history_is_narrowed(world: World, filters: queries.Filters, titles: set[str]) -> None:
    report("Open", {world.trunk.id: SLOW})
    report("Private", {world.fibre.id: SLOW}, visibility=Visibility.PRIVATE)
    report("Fixed 100%", {world.trunk.id: SLOW}, state=State.FIXED)
    found = queries.report_history(filters, 1)
    assert found is not None
    assert {each.title for each in found.items} == titles
    by_component = queries.report_history(queries.Filters(component_id=world.fibre.id), 1)
    assert by_component is not None
    assert [each.title for each in by_component.items] == ["Private"]


def test_history_bars_follow_what_is_open_to_this_day(world: World) -> None:
    incident = report("Trunk", {world.trunk.id: SLOW})
    fixed_at = NOW + timedelta(days=2)
    bar = queries.history_bars([world.trunk.id, world.spare.id], fixed_at)
    assert bar[world.trunk.id].days == "0" * 87 + "111"
    assert bar[world.spare.id].days == "0" * 90
    say(incident, State.FIXED, now=fixed_at)
    assert queries.history_bars([world.trunk.id], NOW + timedelta(days=5))[world.trunk.id].days == "0" * 84 + "111000"


READS: dict[str, Callable[[Viewpoint, list[int]], Any]] = {
    "open": lambda viewpoint, _components: queries.open_incidents(viewpoint, LATER),
    "past": lambda viewpoint, _components: queries.past_incidents(viewpoint, 1, LATER),
    "statuses": lambda viewpoint, _components: queries.component_statuses(viewpoint, LATER),
    "bars": lambda viewpoint, components: queries.history_bars(components, LATER, viewpoint),
    "concerning": lambda viewpoint, _components: open_now.concerning(viewpoint.company_id or 1, LATER),
    "history": lambda _viewpoint, _components: queries.report_history(queries.Filters(text="n"), 1),
    "maintenance": lambda viewpoint, _components: queries.open_maintenance(viewpoint, LATER),
    "open now": lambda viewpoint, _components: open_now.open_now(viewpoint, LATER),
    "work": lambda viewpoint, _components: open_now.open_work(viewpoint, LATER),
    "fixed": lambda viewpoint, _components: queries.recently_fixed(viewpoint, 9, LATER),
    "histories": lambda viewpoint, _components: queries.histories(all_components(), LATER, viewpoint),
}


@pytest.mark.parametrize("name", READS)
def test_the_number_of_statements_does_not_follow_the_rows(
    world: World, viewpoints: dict[str, Viewpoint], name: str
) -> None:
    components = [world.trunk.id, world.fibre.id]
    fill(components, 1)
    few = {who: cost(name, viewpoint, components) for who, viewpoint in viewpoints.items()}
    assert max(few.values()) <= 7
    fill(components, 6)
    assert {who: cost(name, viewpoint, components) for who, viewpoint in viewpoints.items()} == few


def cost(name: str, viewpoint: Viewpoint, components: list[int]) -> int:
    """The statements of one reading by a session that knows nothing yet."""
    db.session.expunge_all()
    with counted_queries() as statements:
        READS[name](viewpoint, components)
    return len(statements)


def fill(components: list[int], rows: int) -> None:
    for number in range(rows):
        for component_id in components:
            say(report(f"Open {number}", {component_id: SLOW}), None)
            say(report(f"Past {number}", {component_id: SLOW}), State.FIXED)
        maintain(components[0])
