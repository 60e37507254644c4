"""What a company may read of what was said of a holding of its own."""

from datetime import timedelta

from portal import clock, events
from portal.accounts.rules import Viewpoint
from portal.catalogue.models import Holding
from portal.services.queries.settings import EVERYTHING, View
from portal.services.queries.told import PER_PAGE, Ahead, Told, told_of, windows_of
from portal.services.rules import ServiceStatus, UpdateKind
from tests.conftest import Cast, counted_queries
from tests.incidents.conftest import World
from tests.services.saying import say

HOUR = timedelta(hours=1)


def said(cast: Cast, holding: Holding, view: View = EVERYTHING) -> list[Told]:
    found = told_of(holding.id, Viewpoint(company_id=cast.a.id), view, 1, clock.utcnow())
    assert found is not None
    return list(found.items)


def test_the_newest_stands_first_with_all_that_was_said(cast: Cast, world: World) -> None:
    soon = clock.utcnow() + HOUR
    say(world.holding_a, ServiceStatus.DOWN, minutes_ago=9, notes="Calls **fail**.", ticket="T-1", ends_at=soon)
    say(world.holding_a, ServiceStatus.NORMAL, notes="Works again.")
    recovered, broke = said(cast, world.holding_a)
    assert (recovered.kind, recovered.status, recovered.notes) == (
        UpdateKind.STATED,
        ServiceStatus.NORMAL,
        "Works again.",
    )
    assert (broke.status, broke.notes, broke.ticket, broke.ends_at) == (
        ServiceStatus.DOWN,
        "Calls **fail**.",
        "T-1",
        soon,
    )


def test_what_was_said_of_another_holding_is_not_among_it(cast: Cast, world: World) -> None:
    say(world.holding_b, ServiceStatus.DOWN, notes="CANARY")
    assert said(cast, world.holding_a) == []


def test_what_was_undone_was_never_said(cast: Cast, world: World) -> None:
    made = say(world.holding_a, ServiceStatus.DOWN, notes="CANARY")
    made.undone_at = clock.utcnow()
    events.commit()
    assert said(cast, world.holding_a) == []


def test_what_is_not_shown_is_not_in_it(cast: Cast, world: World) -> None:
    soon = clock.utcnow() + HOUR
    say(world.holding_a, ServiceStatus.DOWN, notes="CANARY", ticket="CANARY", ends_at=soon)
    say(world.holding_a, ServiceStatus.SCHEDULED, notes="CANARY", ticket="CANARY", starts_at=soon, ends_at=soon + HOUR)
    nothing = View(shows_notes=False, shows_tickets=False, shows_end_times=False)
    told = said(cast, world.holding_a, nothing)
    ahead = windows_of(world.holding_a.id, nothing, clock.utcnow())
    assert [(each.notes, each.ticket, each.ends_at) for each in told] == [("", "", None)] * 2
    assert [(each.notes, each.ticket, each.ends_at) for each in ahead] == [("", "", None)]
    assert said(cast, world.holding_a, View(shows_history=False)) == []


def test_pages_that_do_not_exist_are_none(cast: Cast, world: World) -> None:
    for number in range(PER_PAGE + 1):
        say(world.holding_a, ServiceStatus.DOWN, minutes_ago=number, notes=f"{number}")
    eyes, now = Viewpoint(company_id=cast.a.id), clock.utcnow()
    pages = [told_of(world.holding_a.id, eyes, EVERYTHING, number, now) for number in (0, 1, 2, 3)]
    assert [None if page is None else len(page.items) for page in pages] == [None, PER_PAGE, 1, None]
    hidden = View(shows_history=False)
    assert told_of(world.holding_a.id, eyes, hidden, 2, now) is None
    with counted_queries() as statements:
        told_of(world.holding_a.id, eyes, EVERYTHING, 1, now)
    assert len(statements) == 2


def test_windows_stand_until_they_end_by_the_clock(cast: Cast, world: World) -> None:
    now = clock.utcnow()
    say(world.holding_a, ServiceStatus.SCHEDULED, starts_at=now + HOUR, ends_at=now + 2 * HOUR, notes="New batteries.")
    say(world.holding_a, ServiceStatus.DOWN)

    def ahead(later: timedelta) -> list[Ahead]:
        return list(windows_of(world.holding_a.id, EVERYTHING, clock.utcnow() + later))

    (window,) = ahead(timedelta())
    assert (window.starts_at, window.ends_at, window.notes) == (now + HOUR, now + 2 * HOUR, "New batteries.")
    assert len(ahead(1.5 * HOUR)) == 1
    assert ahead(2 * HOUR) == []
    assert windows_of(world.holding_b.id, EVERYTHING, now) == []
