"""Small decisions of the status page, without a page."""

from datetime import date, timedelta

import pytest

from portal import clock
from portal.accounts.rules import Viewpoint
from portal.filters import percent
from portal.incidents.queries import HistoryBar
from portal.public.status.pages import _since_creation, status_view
from tests.conftest import NOW, Cast
from tests.customer.outages import Outage
from tests.incidents.conftest import World


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (1.0, "100.00"),
        (0.999_999, "99.99"),
        (0.999_96, "99.99"),
        (0.9995, "99.95"),
        (0.995, "99.50"),
        (0.5, "50.00"),
        (0.0, "0.00"),
    ],
)
def test_uptime_is_never_rounded_up_to_a_perfect_record(share: float, shown: str) -> None:
    assert percent(share, "en") == f"{shown}\u202f%"


def bar(days: str) -> HistoryBar:
    return HistoryBar(1, NOW.date() - timedelta(days=len(days) - 1), days)


@pytest.mark.parametrize(
    ("age", "days", "shown"),
    [
        (400, "0000", "0000"),
        (1, "0000", "--00"),
        (1, "0300", "-300"),
        (0, "0000", "---0"),
    ],
)
def test_days_before_a_component_existed_are_unknown_unless_something_is_known(age: int, days: str, shown: str) -> None:
    assert _since_creation(bar(days), NOW - timedelta(days=age)).days == shown


def test_the_bar_begins_on_its_first_day() -> None:
    assert bar("0000").first_day == date(2026, 11, 18)


def test_what_reaches_nobody_is_marked_as_everybodys(cast: Cast, world: World, outage_of: Outage) -> None:
    incident = outage_of(world.spare)
    for company in (cast.a, cast.b):
        assert incident.id in status_view(Viewpoint(company_id=company.id), clock.utcnow())["concerned"]
    assert not status_view(Viewpoint(), clock.utcnow())["concerned"]
