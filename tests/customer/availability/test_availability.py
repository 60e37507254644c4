"""A company's own month: what it had, by which rule, and nothing of anybody else's."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from portal import clock
from portal.audit.rules import SYSTEM
from portal.domains.models import PortalDomain
from portal.domains.rules import Area
from portal.extensions import db
from portal.incidents.actions.availability import change_contract
from portal.incidents.rules import Visibility
from portal.incidents.rules.availability import Month
from portal.services.actions.settings import SHOWN, set_view
from portal.services.rules import ServiceStatus
from tests.conftest import Cast, SignIn, counted_queries
from tests.incidents.conftest import World
from tests.services.test_ledger import broken, stated, worked_on

PAGE = "/services/availability"
MORNING = datetime(2026, 10, 10, 6, tzinfo=UTC)
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def november(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "utcnow", lambda: NOW)


def domain_of(host: str) -> PortalDomain:
    return db.session.scalars(select(PortalDomain).where(PortalDomain.host == host)).one()


def test_figures_rule_and_what_is_behind_them(cast: Cast, world: World, sign_in: SignIn) -> None:
    incident = broken(world.trunk.id, MORNING, HOUR)
    stated(world.holding_a, ServiceStatus.DOWN, MORNING + 2 * HOUR, HOUR)
    worked_on(world.exchange.id, MORNING + 9 * HOUR, HOUR)
    change_contract(cast.a, Month(2026, 10), counts_maintenance=None, target=99_900, version=0, by=SYSTEM, now=NOW)
    db.session.commit()
    page = sign_in(cast.alice).get(PAGE).text
    for words in (
        "Availability in October 2026",
        "ACC-1",
        "Missed",
        "99.900\u202f%",
        f"/incidents/{incident.public_id}",
        f"/services/{world.holding_a.id}",
        "New boards",
        "for 30 %",
        "at least 48 hours ahead is left out",
        "Times of Europe/London",
    ):
        assert words in page
    assert "LINE-9" not in page
    assert "/admin/" not in page


def test_as_csv(cast: Cast, world: World, sign_in: SignIn) -> None:
    incident = broken(world.trunk.id, MORNING, HOUR)
    db.session.commit()
    answer = sign_in(cast.alice).get(f"{PAGE}/month.csv?month=2026-10")
    assert answer.mimetype == "text/csv"
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert f"{domain_of('a.portal.test').base_url}/incidents/{incident.public_id}" in answer.text
    assert "LINE-9" not in answer.text
    assert "/admin/" not in answer.text


def test_a_private_report_neither_counts_nor_is_named(cast: Cast, world: World, sign_in: SignIn) -> None:
    broken(world.trunk.id, MORNING, HOUR, visibility=Visibility.PRIVATE)
    db.session.commit()
    page = sign_in(cast.alice).get(PAGE).text
    assert "Calls fail" not in page
    assert "100.000\u202f%" in page


def test_a_hidden_service_is_left_out(cast: Cast, world: World, sign_in: SignIn) -> None:
    shows = dict.fromkeys(SHOWN, True)
    domain = domain_of("a.portal.test")
    set_view(domain, None, hidden_services=[world.telephony.id], shows=shows, version=0, by=SYSTEM, now=NOW)
    db.session.commit()
    client = sign_in(cast.alice)
    assert "No services in this month" in client.get(PAGE).text
    assert "ACC-1" not in client.get(f"{PAGE}/month.csv").text


@pytest.mark.parametrize("closed", [Area.STATUS, Area.SERVICES])
def test_it_is_not_there_where_an_area_is_closed(cast: Cast, world: World, sign_in: SignIn, closed: Area) -> None:
    domain = domain_of("a.portal.test")
    domain.areas = [each for each in domain.areas if each != closed]
    db.session.commit()
    client = sign_in(cast.alice)
    assert client.get(PAGE).status_code == 404
    assert client.get(f"{PAGE}/month.csv").status_code == 404


def test_it_is_not_there_where_history_is_not_shown(cast: Cast, world: World, sign_in: SignIn) -> None:
    shows = {**dict.fromkeys(SHOWN, True), "shows_history": False}
    set_view(domain_of("a.portal.test"), None, hidden_services=[], shows=shows, version=0, by=SYSTEM, now=NOW)
    db.session.commit()
    assert sign_in(cast.alice).get(PAGE).status_code == 404


@pytest.mark.parametrize("month", ["2026-12", "2026-00", "x", ""])
def test_a_month_that_is_none_is_not_found(cast: Cast, world: World, sign_in: SignIn, month: str) -> None:
    assert sign_in(cast.alice).get(f"{PAGE}?month={month}").status_code == 404


def test_a_month_that_runs_says_so(cast: Cast, world: World, sign_in: SignIn) -> None:
    page = sign_in(cast.alice).get(f"{PAGE}?month=2026-11").text
    assert "The month is not over" in page
    assert "October 2026" in page
    assert "December 2026" not in page


def test_more_of_everything_takes_no_more_queries(cast: Cast, world: World, sign_in: SignIn) -> None:
    client = sign_in(cast.alice)

    def queries() -> int:
        with counted_queries() as statements:
            assert client.get(PAGE).status_code == 200
        return len(statements)

    broken(world.trunk.id, MORNING, HOUR)
    stated(world.holding_a, ServiceStatus.DOWN, MORNING, HOUR)
    worked_on(world.trunk.id, MORNING, HOUR)
    db.session.commit()
    few = queries()
    for number in range(5):
        broken(world.trunk.id, MORNING + number * HOUR, HOUR)
        worked_on(world.trunk.id, MORNING + number * HOUR, HOUR)
    db.session.commit()
    assert queries() <= few
