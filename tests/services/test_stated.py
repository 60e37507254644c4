"""What a company sees of what staff state: a problem, scheduled service, and of both what it may see."""

from datetime import timedelta

import pytest

from portal.extensions import db
from portal.incidents.rules import Severity
from portal.services.models import ServiceView
from portal.services.queries import (
    ServiceLine,
    company_picture,
    live_windows,
    next_boundary,
    service_lines,
    stated_under,
)
from portal.services.queries.settings import View
from portal.services.rules import CauseKind, ServiceStatus, Wanted
from tests.conftest import NOW, Cast, counted_queries
from tests.customer.outages import Outage
from tests.incidents.conftest import World
from tests.services.acts import HOUR, scheduled, state

DOWN = Wanted(ServiceStatus.DOWN, "We are on it.", ticket="T-1", ends_at=NOW + 2 * HOUR)


def line_of(cast: Cast, at: timedelta = timedelta(), *, is_status_open: bool = True) -> ServiceLine:
    (line,) = service_lines(cast.a.id, NOW + at, shows_incidents=is_status_open)
    return line


@pytest.mark.parametrize("is_status_open", [True, False])
def test_a_stated_problem_shows_whether_status_is_open_or_not(cast: Cast, world: World, is_status_open: bool) -> None:
    state(cast, [world.holding_a.id], DOWN, "1")
    line = line_of(cast, is_status_open=is_status_open)
    assert (line.status, line.cause, line.since) == (ServiceStatus.DOWN, CauseKind.STATED, NOW)
    assert (line.notes, line.ticket, line.until, line.window) == ("We are on it.", "T-1", NOW + 2 * HOUR, None)
    (other,) = service_lines(cast.b.id, NOW, shows_incidents=is_status_open)
    assert other.status is (ServiceStatus.NORMAL if is_status_open else None)


def test_the_last_notes_of_a_problem_show_and_since_when_it_lasts(cast: Cast, world: World) -> None:
    state(cast, [world.holding_a.id], DOWN, "1")
    state(cast, [world.holding_a.id], Wanted(ServiceStatus.DOWN, "Still on it."), "2", NOW + HOUR)
    line = line_of(cast, 2 * HOUR)
    assert (line.notes, line.ticket, line.since) == ("Still on it.", "", NOW)


def test_scheduled_service_shows_from_its_announcement_to_its_end_with_no_clock_work(cast: Cast, world: World) -> None:
    made = state(cast, [world.holding_a.id], scheduled(notes="New disks."), "1")
    for at in (timedelta(), 2 * HOUR, 3 * HOUR - timedelta(seconds=1)):
        line = line_of(cast, at)
        assert (line.status, line.cause, line.notes) == (ServiceStatus.SCHEDULED, CauseKind.WINDOW, "New disks.")
        assert (line.since, line.starts_at, line.until) == (NOW, NOW + HOUR, NOW + 3 * HOUR)
    assert line_of(cast, 3 * HOUR).status is ServiceStatus.NORMAL
    assert line_of(cast, 3 * HOUR, is_status_open=False).status is None
    assert [each.id for each in live_windows(NOW + 2 * HOUR)] == [made.window_id]
    assert live_windows(NOW + 3 * HOUR) == []


def test_a_problem_shows_through_scheduled_service_and_stands_after_it(cast: Cast, world: World) -> None:
    state(cast, [world.holding_a.id], Wanted(ServiceStatus.INTERMITTENT), "1")
    state(cast, [world.holding_a.id], scheduled(), "2")
    for at in (timedelta(), 2 * HOUR, 4 * HOUR):
        assert line_of(cast, at).status is ServiceStatus.INTERMITTENT


def test_of_several_windows_the_one_under_way_shows_else_the_first(cast: Cast, world: World) -> None:
    first = state(cast, [world.holding_a.id], scheduled(), "1")
    state(cast, [world.holding_a.id], scheduled(starts_at=NOW + 2 * HOUR, ends_at=NOW + 9 * HOUR), "2")
    assert first.starts_at == line_of(cast).starts_at == line_of(cast, HOUR).starts_at
    assert line_of(cast, 2 * HOUR).starts_at == NOW + 2 * HOUR


def test_the_worse_of_stated_and_implied_shows(cast: Cast, world: World, outage_of: Outage) -> None:
    state(cast, [world.holding_a.id], Wanted(ServiceStatus.INTERMITTENT, "Slow."), "1")
    incident = outage_of(world.trunk)
    line = line_of(cast, HOUR)
    assert (line.status, line.cause, line.incident) == (ServiceStatus.DOWN, CauseKind.INCIDENT, incident.public_id)
    assert line.notes == ""
    state(cast, [world.holding_a.id], DOWN, "2")
    line = line_of(cast, HOUR)
    assert (line.status, line.cause, line.notes) == (ServiceStatus.DOWN, CauseKind.STATED, "We are on it.")
    assert line.incident == incident.public_id


def test_what_a_company_may_not_see_is_not_in_its_lines(cast: Cast, world: World) -> None:
    state(cast, [world.holding_a.id], DOWN, "1")
    db.session.add(
        ServiceView(
            domain_id=cast.domain_a.id,
            company_id=None,
            hidden_services=[],
            shows_notes=False,
            shows_tickets=False,
            shows_end_times=False,
        )
    )
    db.session.flush()
    line = line_of(cast)
    assert (line.status, line.notes, line.ticket, line.until) == (ServiceStatus.DOWN, "", "", None)
    own = ServiceView(domain_id=cast.domain_a.id, company_id=cast.a.id, hidden_services=[world.telephony.id])
    db.session.add(own)
    db.session.flush()
    assert service_lines(cast.a.id, NOW) == []
    assert company_picture(cast.a.id, NOW, view=View()).lines[0].notes == "We are on it."


def test_pages_are_kept_until_a_window_begins_or_ends(cast: Cast, world: World) -> None:
    assert next_boundary(NOW) is None
    state(cast, [world.holding_a.id], scheduled(), "1")
    assert next_boundary(NOW) == NOW + HOUR
    assert next_boundary(NOW + HOUR) == NOW + 3 * HOUR
    assert next_boundary(NOW + 3 * HOUR) is None


def test_under_an_incident_stands_what_is_stated_of_what_depends_on_it(
    cast: Cast, world: World, outage_of: Outage
) -> None:
    incident = outage_of(world.exchange, severity=Severity.PERFORMANCE_ISSUE)
    state(cast, [world.holding_a.id, world.holding_b.id], DOWN, "1")
    assert [each.holding_id for each in stated_under(incident.id, NOW)] == [world.holding_a.id]
    assert stated_under(outage_of(world.spare, title="Elsewhere").id, NOW) == []


def test_a_picture_takes_so_many_queries_whatever_is_stated(cast: Cast, world: World, outage_of: Outage) -> None:
    outage_of(world.trunk)
    state(cast, [world.holding_a.id], DOWN, "1")
    for number in range(5):
        state(cast, [world.holding_a.id], scheduled(), f"w{number}")
    company_id = cast.a.id
    db.session.expire_all()
    with counted_queries() as queries:
        company_picture(company_id, NOW)
    assert len(queries) <= 14
