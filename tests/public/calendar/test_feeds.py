"""The calendars: what a reader of calendars finds in them, what never stands in them, and how they are given out."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from icalendar import Calendar
from sqlalchemy import select

from portal import events
from portal.accounts import actions as accounts
from portal.accounts.rules import SIGNED_OUT
from portal.audit.rules import SYSTEM
from portal.catalogue.models import Holding
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.extensions import db
from portal.incidents.actions.calendars import end_address, make_address, renew_address
from portal.incidents.calendars import uid_of
from portal.incidents.models import CalendarAddress, Maintenance, MaintenanceComponent, MaintenanceUpdate
from portal.incidents.queries.calendars import ENTRIES, planned_work, secret_of
from portal.incidents.rules import Audience, MaintenanceState, Visibility
from portal.incidents.rules.maintenance import Notice, WorkImpact
from portal.services.models import ServiceView, ServiceWindow, WindowHolding
from portal.services.rules import WindowState
from tests.conftest import NOW, Cast, counted_queries
from tests.incidents.conftest import LONG_AGO, World

FEED = "/status/maintenance.ics"
A, B = "a.portal.test", "b.portal.test"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
Visitor = Callable[[str], FlaskClient]

pytestmark = pytest.mark.usefixtures("at")


def plan(title: str, *component_ids: int, begin: timedelta = DAY, **changes: Any) -> Maintenance:
    given: dict[str, Any] = {
        "public_id": title.lower().replace(" ", "-"),
        "title": title,
        "state": MaintenanceState.SCHEDULED,
        "impact": WorkImpact.OUTAGE,
        "starts_at": NOW + begin,
        "ends_at": NOW + begin + 2 * HOUR,
        "created_at": NOW - DAY,
        "public_updated_at": NOW - DAY,
        "sequence": 3,
    } | changes
    made = Maintenance(**given)
    db.session.add(made)
    db.session.flush()
    db.session.add_all(MaintenanceComponent(maintenance_id=made.id, component_id=each) for each in component_ids)
    db.session.add(
        MaintenanceUpdate(
            maintenance_id=made.id,
            public_id=f"u-{made.public_id}",
            kind=Notice.ANNOUNCED,
            state=made.state,
            body=f"About **{title}**, and {'ä' * 80}.",
            posted_at=NOW - DAY,
        )
    )
    events.commit()
    return made


def read(client: FlaskClient, path: str = FEED) -> Any:
    """The calendar as a program reads it."""
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.content_type == "text/calendar; charset=utf-8"
    assert max(map(len, answer.data.split(b"\r\n"))) <= 75
    assert b"\n" not in answer.data.replace(b"\r\n", b"")
    return Calendar.from_ical(answer.data)


def entries(calendar: Any) -> dict[str, Any]:
    found = {str(each["SUMMARY"]): each for each in calendar.walk("VEVENT")}
    assert len(found) == len(calendar.walk("VEVENT"))
    return found


def window(*holdings: Holding, begin: timedelta = DAY, **changes: Any) -> ServiceWindow:
    given: dict[str, Any] = {
        "public_id": f"window{len(db.session.scalars(select(ServiceWindow)).all())}",
        "starts_at": NOW + begin,
        "ends_at": NOW + begin + HOUR,
        "zone": "UTC",
        "notes": "New **cards**.",
        "ticket": "T-7",
        "announced_at": NOW - DAY,
        "sequence": 2,
    } | changes
    made = ServiceWindow(**given)
    db.session.add(made)
    db.session.flush()
    db.session.add_all(
        WindowHolding(window_id=made.id, holding_id=each.id, company_id=each.company_id, service_id=each.service_id)
        for each in holdings
    )
    events.commit()
    return made


@pytest.fixture
def own(cast: Cast) -> str:
    """The path of company A's own calendar."""
    address = make_address(cast.a.id, by=SYSTEM, now=NOW)
    events.commit()
    return f"/calendar/{secret_of(address)}.ics"


class TestPublic:
    def test_a_reader_finds_what_is_planned_for_everybody(self, world: World, visitor: Visitor) -> None:
        plan("Battery", world.trunk.id)
        plan("Secret", world.trunk.id, visibility=Visibility.PRIVATE)
        plan("For A", world.trunk.id, audience=Audience.AFFECTED)
        calendar = read(visitor(A))
        assert calendar["METHOD"] == "PUBLISH"
        assert str(calendar["X-WR-CALNAME"]) == str(calendar["NAME"]) == "Northline: maintenance"
        assert calendar["REFRESH-INTERVAL"].dt == timedelta(minutes=15)
        found = entries(calendar)
        assert list(found) == ["Maintenance: Battery"]
        entry = found["Maintenance: Battery"]
        assert str(entry["UID"]) == "battery@portal.test"
        assert (entry["DTSTART"].dt, entry["DTEND"].dt) == (NOW + DAY, NOW + DAY + 2 * HOUR)
        assert (int(entry["SEQUENCE"]), entry["STATUS"]) == (30, "CONFIRMED")
        assert entry["DTSTAMP"].dt == NOW - DAY
        assert str(entry["URL"]) == "http://a.portal.test/maintenances/battery"
        said = str(entry["DESCRIPTION"])
        assert "What is worked on: Trunk." in said
        assert said.endswith(f"About Battery, and {'ä' * 80}.")
        assert not [name for name in entry if name.startswith("X-MAINTNOTE")]

    def test_what_was_cancelled_stays_for_a_month_and_says_so(self, world: World, visitor: Visitor) -> None:
        off: dict[str, Any] = {"state": MaintenanceState.CANCELLED}
        plan("Lately", world.trunk.id, public_updated_at=NOW - 29 * DAY, **off)
        plan("Long ago", begin=-40 * DAY, public_updated_at=NOW - 31 * DAY, **off)
        plan("Over", begin=-29 * DAY)
        plan("Long over", begin=-40 * DAY)
        statuses = {summary: str(entry["STATUS"]) for summary, entry in entries(read(visitor(A))).items()}
        assert statuses == {"Maintenance: Lately": "CANCELLED", "Maintenance: Over": "CONFIRMED"}

    def test_it_is_bounded_and_costs_the_same_whatever_there_is(self, world: World, visitor: Visitor) -> None:
        plan("First", world.trunk.id)

        def cost() -> int:
            with counted_queries() as statements:
                planned_work(SIGNED_OUT, NOW)
            return len(statements)

        few = cost()
        db.session.add_all(
            Maintenance(
                public_id=f"w{number}",
                title=f"W {number}",
                state=MaintenanceState.SCHEDULED,
                starts_at=NOW + number * HOUR,
                ends_at=NOW + number * HOUR + HOUR,
                created_at=NOW,
                public_updated_at=NOW,
            )
            for number in range(ENTRIES + 20)
        )
        events.commit()
        assert cost() == few
        assert few <= 3
        assert len(read(visitor(A)).walk("VEVENT")) == ENTRIES

    def test_it_speaks_the_language_of_the_portal_or_the_one_that_is_asked_for(
        self, world: World, visitor: Visitor
    ) -> None:
        plan("Battery", world.trunk.id)
        german = read(visitor(A), f"{FEED}?lang=de")
        assert list(entries(german)) == ["Wartung: Battery"]
        assert german.walk("VEVENT")[0]["SUMMARY"].params["LANGUAGE"] == "de"

    def test_it_is_given_out_like_the_public_page(self, world: World, visitor: Visitor) -> None:
        plan("Battery", world.trunk.id)
        client = visitor(A)
        answer = client.get(FEED)
        assert "max-age=5" in answer.headers["Cache-Control"]
        assert answer.headers["Cache-Control"].startswith("public")
        assert "Set-Cookie" not in answer.headers
        again = client.get(FEED, headers={"If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")
        head = client.head(FEED)
        assert (head.status_code, head.data, head.headers["ETag"]) == (200, b"", answer.headers["ETag"])

    def test_where_the_public_page_is_closed_there_is_none(self, cast: Cast, visitor: Visitor) -> None:
        domains.set_areas(cast.domain_a, [Area.STATUS], version=cast.domain_a.version, by=SYSTEM, now=NOW)
        events.commit()
        assert visitor(A).get(FEED).status_code == 404


class TestOwn:
    def test_a_company_finds_what_reaches_it_with_its_account_and_references(
        self, world: World, cast: Cast, visitor: Visitor, own: str
    ) -> None:
        cast.a.external_id = "K-4711"
        plan("Battery", world.trunk.id, world.exchange.id)
        plan("For B", world.fibre.id)
        plan("For whom", world.spare.id)
        plan("Secret", world.trunk.id, visibility=Visibility.PRIVATE)
        found = entries(read(visitor(A), own))
        assert set(found) == {"Maintenance: Battery", "Maintenance: For whom"}
        entry = found["Maintenance: Battery"]
        assert str(entry["UID"]) == uid_of("battery", "portal.test", cast.a.id)
        assert str(entry["X-MAINTNOTE-ACCOUNT"]) == "K-4711"
        assert str(entry["X-MAINTNOTE-OBJECT-ID"]) == "ACC-1"
        assert entry["X-MAINTNOTE-OBJECT-ID"].params["X-MAINTNOTE-OBJECT-IMPACT"] == "OUTAGE"
        assert (entry["X-MAINTNOTE-STATUS"], entry["X-MAINTNOTE-IMPACT"]) == ("CONFIRMED", "OUTAGE")
        assert str(entry["DESCRIPTION"]).startswith("It is about services of yours: Hosted telephony (ACC-1).")
        assert "X-MAINTNOTE-ACCOUNT" not in found["Maintenance: For whom"]

    def test_scheduled_service_stands_in_it_too(self, world: World, cast: Cast, visitor: Visitor, own: str) -> None:
        domains.set_areas(
            cast.domain_a, [Area.STATUS, Area.SERVICES], version=cast.domain_a.version, by=SYSTEM, now=NOW
        )
        window(world.holding_a, world.holding_b)
        window(world.holding_a, begin=2 * DAY, state=WindowState.CANCELLED, ended_at=NOW)
        window(world.holding_b)
        first, second = read(visitor(A), own).walk("VEVENT")
        assert str(first["SUMMARY"]) == "Scheduled service: Hosted telephony (ACC-1)"
        assert str(first["UID"]) == f"window0-{world.telephony.id}@portal.test"
        assert str(first["DESCRIPTION"]) == "New cards.\n\nT-7"
        assert (str(second["STATUS"]), str(first["STATUS"])) == ("CANCELLED", "CONFIRMED")
        db.session.add(ServiceView(domain_id=cast.domain_a.id, shows_notes=False, shows_tickets=False))
        events.commit()
        assert "DESCRIPTION" not in read(visitor(A), own).walk("VEVENT")[0]
        domains.set_areas(cast.domain_a, [Area.STATUS], version=cast.domain_a.version, by=SYSTEM, now=NOW)
        events.commit()
        assert read(visitor(A), own).walk("VEVENT") == []

    def test_what_is_hidden_from_the_company_is_named_nowhere(
        self, world: World, cast: Cast, visitor: Visitor, own: str
    ) -> None:
        domains.set_areas(
            cast.domain_a, [Area.STATUS, Area.SERVICES], version=cast.domain_a.version, by=SYSTEM, now=NOW
        )
        hidden = Holding(company_id=cast.a.id, service_id=world.internet.id, reference="CANARY", valid_from=LONG_AGO)
        db.session.add(hidden)
        db.session.add(ServiceView(domain_id=cast.domain_a.id, hidden_services=[world.internet.id]))
        db.session.flush()
        plan("Fibre", world.fibre.id)
        window(hidden)
        text = visitor(A).get(own).text
        assert "Fibre" in text
        assert "CANARY" not in text
        assert "Internet access" not in text

    def test_whoever_does_not_know_it_finds_nothing(self, cast: Cast, world: World, visitor: Visitor, own: str) -> None:
        plan("Battery", world.trunk.id)
        assert visitor(A).get("/calendar/x.ics").status_code == 404
        assert visitor(B).get(own).status_code == 404, "company A is not admitted there"
        domains.set_override(cast.domain_a, cast.a, Area.STATUS, False, by=SYSTEM, now=NOW)
        domains.set_override(cast.domain_a, cast.a, Area.SERVICES, False, by=SYSTEM, now=NOW)
        events.commit()
        assert visitor(A).get(own).status_code == 404

    def test_an_old_address_dies_at_once(self, cast: Cast, visitor: Visitor, own: str) -> None:
        address = db.session.scalars(select(CalendarAddress)).one()
        assert visitor(A).get(own).status_code == 200
        renew_address(address, version=address.version, by=SYSTEM, now=NOW)
        events.commit()
        assert visitor(A).get(own).status_code == 404
        new = f"/calendar/{secret_of(address)}.ics"
        assert visitor(A).get(new).status_code == 200
        end_address(address, version=address.version, by=SYSTEM, now=NOW)
        events.commit()
        assert visitor(A).get(new).status_code == 404

    def test_a_company_that_is_archived_has_none(self, cast: Cast, visitor: Visitor, own: str) -> None:
        cast.a.archived_at = NOW
        events.commit()
        assert visitor(A).get(own).status_code == 404

    def test_t31_it_dies_with_the_last_person_of_the_company(self, cast: Cast, visitor: Visitor, own: str) -> None:
        """Row T31. The address is the company's: who leaves takes it from no colleague, and the last one ends it."""
        accounts.deactivate_person(cast.alice, version=cast.alice.version, by=SYSTEM, now=NOW)
        events.commit()
        assert visitor(A).get(own).status_code == 200
        accounts.deactivate_person(cast.bob, version=cast.bob.version, by=SYSTEM, now=NOW)
        events.commit()
        assert visitor(A).get(own).status_code == 404
        accounts.reactivate_person(cast.bob, version=cast.bob.version, by=SYSTEM, now=NOW)
        events.commit()
        assert visitor(A).get(own).status_code == 200
        accounts.archive_company(cast.a, version=cast.a.version, by=SYSTEM, now=NOW)
        events.commit()
        assert visitor(A).get(own).status_code == 404

    def test_nobody_on_the_way_keeps_it_and_it_is_noted_that_it_was_read(
        self, visitor: Visitor, own: str, at: Callable[[datetime], None]
    ) -> None:
        client = visitor(A)
        answer = client.get(own)
        assert answer.headers["Cache-Control"] == "private, no-cache"
        assert answer.headers["X-Robots-Tag"] == "noindex"
        assert client.get(own, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
        assert db.session.scalars(select(CalendarAddress.read_at)).one() == NOW
        at(NOW + HOUR / 2)
        client.get(own)
        assert db.session.scalars(select(CalendarAddress.read_at)).one() == NOW
        at(NOW + HOUR)
        client.head(own)
        assert db.session.scalars(select(CalendarAddress.read_at)).one() == NOW + HOUR

    def test_its_secret_stands_in_no_row(self, own: str) -> None:
        row = db.session.scalars(select(CalendarAddress)).one()
        secret = own.removeprefix("/calendar/").removesuffix(".ics")
        assert len(secret) >= 32
        assert secret not in f"{row.secret_hash} {row.sealed}"

    def test_it_costs_the_same_whatever_there_is(self, world: World, cast: Cast, visitor: Visitor, own: str) -> None:
        domains.set_areas(
            cast.domain_a, [Area.STATUS, Area.SERVICES], version=cast.domain_a.version, by=SYSTEM, now=NOW
        )
        plan("Battery", world.trunk.id)
        window(world.holding_a)
        visitor(A).get(own)

        def cost() -> int:
            with counted_queries() as statements:
                read(visitor(A), own)
            return len(statements)

        few = cost()
        for number in range(5):
            plan(f"More {number}", world.trunk.id, world.exchange.id)
            window(world.holding_a)
        assert cost() == few
