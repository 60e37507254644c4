"""How much of ninety days a holding was up: stated and broken, and never counted twice."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from portal import clock
from portal.accounts.rules import STAFF, Viewpoint
from portal.catalogue.models import Holding
from portal.extensions import db
from portal.incidents.models import ImpactInterval, Incident
from portal.incidents.rules import Audience, Impact, Severity, State, Visibility
from portal.services.models import ServiceUpdate, StatedPeriod
from portal.services.queries.uptime import DAYS, Uptime, uptimes
from portal.services.rules import Scope, ServiceStatus, UpdateKind
from tests.conftest import Cast, counted_queries
from tests.incidents.conftest import World

DAY = timedelta(days=1)
Stating = Callable[..., None]


@pytest.fixture
def now() -> datetime:
    return clock.utcnow().replace(hour=12, minute=0, second=0, microsecond=0)


@pytest.fixture
def stated(world: World, now: datetime) -> Stating:
    """State a problem of a holding between two moments, said as how long ago; until None it lasts."""

    def state(
        status: ServiceStatus, begins: timedelta, until: timedelta | None = None, *, holding: Holding = world.holding_a
    ) -> None:
        began_at = now - begins
        update = ServiceUpdate(
            idempotency_key=f"{status}{begins}{holding.id}",
            kind=UpdateKind.STATED,
            status=status,
            began_at=began_at,
            scope=Scope.ONE,
            chosen={},
            holdings=1,
            companies=1,
            notify=False,
            created_at=began_at,
        )
        db.session.add(update)
        db.session.flush()
        db.session.add(
            StatedPeriod(
                holding_id=holding.id,
                company_id=holding.company_id,
                service_id=holding.service_id,
                status=status,
                began_at=began_at,
                ended_at=now - until if until is not None else None,
                update_id=update.id,
            )
        )
        db.session.flush()

    return state


def broken(world: World, now: datetime, begins: timedelta, until: timedelta, visibility: Visibility) -> None:
    """The trunk, on which the telephony of A depends, was down."""
    incident = Incident(
        public_id=f"inc{begins.days}",
        title="Calls fail",
        state=State.FIXED,
        impact=Impact.CRITICAL,
        visibility=visibility,
        audience=Audience.EVERYONE,
        started_at=now - begins,
        resolved_at=now - until,
        created_at=now - begins,
        public_updated_at=now - until,
    )
    db.session.add(incident)
    db.session.flush()
    stretch = {"from_at": now - begins, "to_at": now - until, "severity": Severity.MAJOR_OUTAGE}
    db.session.add(ImpactInterval(incident_id=incident.id, component_id=world.trunk.id, **stretch))
    db.session.flush()


def of_a(cast: Cast, world: World, now: datetime, *, counts_incidents: bool = True) -> Uptime:
    eyes = Viewpoint(company_id=cast.a.id)
    return uptimes([world.holding_a.id], eyes, now, counts_incidents=counts_incidents)[world.holding_a.id]


def seconds_down(uptime: Uptime) -> float:
    return round((1 - uptime.share) * ((DAYS - 1) * DAY + timedelta(hours=12)).total_seconds())


def test_one_that_nothing_was_said_of_was_up(cast: Cast, world: World, now: datetime) -> None:
    found = of_a(cast, world, now)
    assert (found.days, found.share) == ("0" * DAYS, 1.0)


def test_down_counts_in_full_and_intermittent_problems_for_thirty_hundredths(
    cast: Cast, world: World, now: datetime, stated: Stating
) -> None:
    stated(ServiceStatus.DOWN, 10 * DAY, 10 * DAY - timedelta(hours=2))
    stated(ServiceStatus.INTERMITTENT, 5 * DAY, 5 * DAY - timedelta(hours=10))
    found = of_a(cast, world, now)
    assert seconds_down(found) == 3600 * (2 + 3)
    assert found.days[-11] == "3"
    assert found.days[-6] == "1"
    assert found.days.count("0") == DAYS - 2


def test_what_still_lasts_reaches_until_now(cast: Cast, world: World, now: datetime, stated: Stating) -> None:
    stated(ServiceStatus.DOWN, 2 * DAY)
    found = of_a(cast, world, now)
    assert found.days.endswith("0333")
    assert seconds_down(found) == 2 * 24 * 3600


def test_what_broke_beneath_counts_too_and_at_the_same_time_once(
    cast: Cast, world: World, now: datetime, stated: Stating
) -> None:
    broken(world, now, 10 * DAY, 10 * DAY - timedelta(hours=2), Visibility.PUBLIC)
    stated(ServiceStatus.DOWN, 10 * DAY - timedelta(hours=1), 10 * DAY - timedelta(hours=3))
    assert seconds_down(of_a(cast, world, now)) == 3600 * 3
    assert seconds_down(of_a(cast, world, now, counts_incidents=False)) == 3600 * 2


def test_a_private_incident_counts_for_staff_alone(cast: Cast, world: World, now: datetime) -> None:
    broken(world, now, 10 * DAY, 9 * DAY, Visibility.PRIVATE)
    assert of_a(cast, world, now).share == 1.0
    assert uptimes([world.holding_a.id], STAFF, now)[world.holding_a.id].share < 1.0


def test_what_broke_before_it_was_depended_on_does_not_count(
    cast: Cast, world: World, now: datetime, stated: Stating
) -> None:
    broken(world, now, 10 * DAY, 9 * DAY, Visibility.PUBLIC)
    stated(ServiceStatus.DOWN, 10 * DAY, 9 * DAY)
    world.holding_a.valid_from = now - 5 * DAY
    db.session.flush()
    found = of_a(cast, world, now)
    assert found.days == "-" * (DAYS - 6) + "0" * 6
    assert found.share == 1.0


def test_what_is_another_companys_counts_for_it_alone(cast: Cast, world: World, now: datetime, stated: Stating) -> None:
    stated(ServiceStatus.DOWN, 2 * DAY, DAY, holding=world.holding_b)
    assert of_a(cast, world, now).share == 1.0


def test_any_number_takes_the_same_few_queries(cast: Cast, world: World, now: datetime, stated: Stating) -> None:
    for holding in (world.holding_a, world.holding_b):
        stated(ServiceStatus.DOWN, DAY, holding=holding)
    with counted_queries() as statements:
        assert len(uptimes([world.holding_a.id, world.holding_b.id], STAFF, now)) == 2
    assert len(statements) == 11
