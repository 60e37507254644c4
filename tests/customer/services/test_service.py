"""The page of one service: how it is, what was said of it, and nothing of what is another's or hidden."""

from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from icalendar import Calendar

from portal import clock, events
from portal.audit.rules import SYSTEM
from portal.catalogue.models import Holding
from portal.catalogue.rules import service_topic
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.extensions import db
from portal.incidents.rules import Severity
from portal.notifications.actions import choose_for_person
from portal.notifications.choosing import By, choice_of_person
from portal.notifications.links import unsubscribe_path
from portal.notifications.wishes import wishes_of
from portal.services.models import ServiceUpdate, ServiceView, ServiceWindow
from portal.services.queries.hearing import TOPIC, status_topic
from portal.services.queries.told import PER_PAGE
from portal.services.rules import ServiceStatus
from tests.conftest import NOW, Cast, SignIn, client_on, counted_queries, token_in
from tests.customer.outages import Outage
from tests.incidents.conftest import LONG_AGO, World
from tests.services.saying import say

HTMX = {"HX-Request": "true", "X-Background": "1"}
HOUR = timedelta(hours=1)


def page_of(client: FlaskClient, holding: Holding, query: str = "") -> str:
    answer = client.get(f"/services/{holding.id}{query}")
    assert answer.status_code == 200
    return answer.text


def looking(staff: FlaskClient, app: Flask, cast: Cast) -> FlaskClient:
    """A browser in which staff look at A's portal as A."""
    path = f"/admin/companies/{cast.a.id}/view-as"
    data = {"domain_id": cast.domain_a.id, "csrf_token": token_in(staff, "/admin/")}
    begins = urlsplit(staff.post(path, data=data).location)
    client = client_on(app, begins.netloc)
    assert client.get(begins.path).status_code == 303
    db.session.commit()
    return client


class TestHowItIs:
    def test_one_that_nothing_is_said_of_operates_normally(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        world.telephony.description = "Numbers and handsets."
        page = page_of(sign_in(cast.alice), world.holding_a)
        for words in (
            "<h1>Hosted telephony</h1>",
            "ACC-1",
            "Numbers and handsets.",
            "Operating normally",
            "100.00\u202f%",
        ):
            assert words in page
        assert "Nothing has been reported of it so far." in page

    def test_a_problem_is_told_with_all_that_was_said(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        soon = clock.utcnow() + HOUR
        say(
            world.holding_a,
            ServiceStatus.DOWN,
            minutes_ago=9,
            notes="Calls **fail**. <img src=x>",
            ticket="T-4711",
            ends_at=soon,
            began_at=clock.utcnow() - HOUR,
        )
        page = page_of(sign_in(cast.alice), world.holding_a)
        for words in (
            "System is down",
            "<strong>fail</strong>",
            "&lt;img src=x&gt;",
            "T-4711",
            "Expected to work again by",
            "began <time",
        ):
            assert words in page
        assert "<img" not in page

    def test_the_incident_that_is_the_cause_is_linked(
        self, cast: Cast, world: World, sign_in: SignIn, outage_of: Outage
    ) -> None:
        incident = outage_of(world.trunk)
        page = page_of(sign_in(cast.alice), world.holding_a)
        assert f'<a href="/incidents/{incident.public_id}">Calls fail</a>' in page

    def test_scheduled_service_behind_a_problem_is_still_told(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        starts_at = clock.utcnow() + 30 * HOUR
        say(world.holding_a, ServiceStatus.SCHEDULED, starts_at=starts_at, ends_at=starts_at + HOUR, notes="Batteries.")
        page = page_of(sign_in(cast.alice), world.holding_a)
        assert "Scheduled service" in page
        assert "starts <time" in page
        say(world.holding_a, ServiceStatus.DOWN)
        page = page_of(sign_in(cast.alice), world.holding_a)
        assert "System is down" in page
        assert page.count("Batteries.") == 2
        assert "Add to your calendar" in page

    def test_with_status_off_only_what_is_stated_shows(
        self, cast: Cast, world: World, sign_in: SignIn, outage_of: Outage
    ) -> None:
        outage_of(world.trunk, title="CANARY")
        domains.set_areas(cast.domain_a, [Area.SERVICES], version=cast.domain_a.version, by=SYSTEM, now=NOW)
        events.commit()
        page = page_of(sign_in(cast.alice), world.holding_a)
        for hint in ("CANARY", "System is down", "Operating normally", "uptime"):
            assert hint not in page
        say(world.holding_a, ServiceStatus.INTERMITTENT, notes="Now and then.")
        page = page_of(sign_in(cast.alice), world.holding_a)
        assert "Intermittent problems" in page
        assert "Now and then." in page
        assert "CANARY" not in page


class TestHistory:
    def test_it_tells_what_was_said_and_not_by_whom(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        made = say(
            world.holding_a, ServiceStatus.DOWN, minutes_ago=30, notes="Calls fail.", began_at=clock.utcnow() - HOUR
        )
        made.author_id = cast.ada.id
        cast.ada.name = "CANARY"
        say(world.holding_a, ServiceStatus.NORMAL, notes="Back again.")
        page = page_of(sign_in(cast.alice), world.holding_a)
        assert page.index("Back again.") < page.index("Calls fail.")
        assert "CANARY" not in page

    def test_it_is_shown_in_pages(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        for number in range(PER_PAGE + 2):
            say(world.holding_a, ServiceStatus.DOWN, minutes_ago=number, notes=f"Note {number:02}.")
        client = sign_in(cast.alice)
        assert page_of(client, world.holding_a).count("timeline-entry") == PER_PAGE
        older = page_of(client, world.holding_a, "?page=2")
        assert older.count("timeline-entry") == 2
        assert f'hx-get="/services/{world.holding_a.id}?page=2"' in older
        for wrong in ("0", "3", "-1", "x", "", "²", "9999999999"):
            answer = client.get(f"/services/{world.holding_a.id}", query_string={"page": wrong})
            assert answer.status_code == 404

    def test_what_is_not_shown_is_left_out(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        soon = clock.utcnow() + HOUR
        say(world.holding_a, ServiceStatus.DOWN, notes="CANARY", ticket="CANARY", ends_at=soon)
        say(
            world.holding_a,
            ServiceStatus.SCHEDULED,
            notes="CANARY",
            ticket="CANARY",
            starts_at=soon,
            ends_at=soon + HOUR,
        )
        view = ServiceView(domain_id=cast.domain_a.id, shows_notes=False, shows_tickets=False, shows_end_times=False)
        db.session.add(view)
        events.commit()
        client = sign_in(cast.alice)
        page = page_of(client, world.holding_a)
        assert "System is down" in page
        for hint in ("CANARY", "Expected to work again", "Add to your calendar"):
            assert hint not in page
        assert client.get(calendar_of(world)).status_code == 404
        view.shows_history = False
        events.commit()
        page = page_of(client, world.holding_a)
        for hint in ("What happened", "The last 90 days"):
            assert hint not in page


class TestWhoseItIs:
    def test_what_is_anothers_hidden_or_missing_looks_the_same(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        hidden = Holding(company_id=cast.a.id, service_id=world.internet.id, reference="L-2", valid_from=LONG_AGO)
        db.session.add_all([hidden, ServiceView(domain_id=cast.domain_a.id, hidden_services=[world.internet.id])])
        db.session.flush()
        say(hidden, ServiceStatus.DOWN, notes="CANARY")
        say(world.holding_b, ServiceStatus.DOWN, notes="CANARY")
        client = sign_in(cast.alice)
        for headers in ({}, HTMX):
            looks = set()
            for holding_id in (world.holding_b.id, hidden.id, 2_000_000_000):
                answer = client.get(f"/services/{holding_id}", headers=headers)
                assert answer.status_code == 404
                looks.add(answer.text.split('name="csrf-token"')[-1].partition(">")[2])
            assert len(looks) == 1
        assert "CANARY" not in client.get("/services").text

    def test_with_services_off_there_is_no_such_page(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        domains.set_areas(cast.domain_a, [Area.STATUS], version=cast.domain_a.version, by=SYSTEM, now=NOW)
        events.commit()
        client = sign_in(cast.alice)
        assert client.get(f"/services/{world.holding_a.id}").status_code == 404

    def test_it_ends_with_the_holding(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        world.holding_a.valid_to = clock.utcnow() - HOUR
        events.commit()
        assert sign_in(cast.alice).get(f"/services/{world.holding_a.id}").status_code == 404

    def test_staff_who_look_as_the_company_see_it_and_choose_no_mails(
        self, cast: Cast, world: World, app: Flask, sign_in: SignIn
    ) -> None:
        client = looking(sign_in(cast.olaf), app, cast)
        page = page_of(client, world.holding_a)
        assert "Operating normally" in page
        assert "mailed about this service" not in page
        token = token_in(client, "/")
        answer = client.post(f"/services/{world.holding_a.id}/mails", data={"wanted": "0", "csrf_token": token})
        assert answer.status_code == 403


def calendar_of(world: World) -> str:
    window = db.session.query(ServiceWindow).one()
    return f"/services/{world.holding_a.id}/{window.public_id}.ics"


class TestCalendar:
    @pytest.fixture(autouse=True)
    def window(self, world: World) -> ServiceUpdate:
        starts_at = (clock.utcnow() + 30 * HOUR).replace(microsecond=0)
        return say(
            world.holding_a,
            ServiceStatus.SCHEDULED,
            starts_at=starts_at,
            ends_at=starts_at + HOUR,
            notes="**Batteries**.",
        )

    def test_it_says_what_and_when(self, cast: Cast, world: World, sign_in: SignIn, window: ServiceUpdate) -> None:
        answer = sign_in(cast.alice).get(calendar_of(world))
        assert (answer.status_code, answer.mimetype) == (200, "text/calendar")
        (event,) = Calendar.from_ical(answer.data).walk("VEVENT")
        public_id = calendar_of(world).rpartition("/")[2].removesuffix(".ics")
        assert event["UID"] == f"{public_id}-{world.telephony.id}@portal.test"
        assert event["ORGANIZER"] == "mailto:status@portal.test"
        assert event["SUMMARY"] == "Scheduled service: Hosted telephony (ACC-1)"
        assert event["DESCRIPTION"] == "Batteries."
        assert (event.decoded("DTSTART"), event.decoded("DTEND")) == (window.starts_at, window.ends_at)

    def test_it_is_nobody_elses(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        path = calendar_of(world)
        assert sign_in(cast.charlie).get(path).status_code == 404
        wrong = path.replace(str(world.holding_a.id), str(world.holding_b.id), 1)
        assert sign_in(cast.alice).get(wrong).status_code == 404
        assert sign_in(cast.alice).get(f"/services/{world.holding_a.id}/nothing.ics").status_code == 404


class TestMails:
    def test_one_button_stops_and_brings_them_back(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        client, topic = sign_in(cast.alice), service_topic(world.telephony.id)
        path = f"/services/{world.holding_a.id}"
        assert "You are mailed about this service." in page_of(client, world.holding_a)
        for wanted, words in (
            ("0", "You are not mailed about this service."),
            ("1", "You are mailed about this service."),
        ):
            answer = client.post(f"{path}/mails", data={"wanted": wanted, "csrf_token": token_in(client, path)})
            assert (answer.status_code, answer.location) == (303, path)
            assert words in page_of(client, world.holding_a)
            assert wishes_of([cast.alice.id], [cast.a.id]).wants(cast.alice.id, cast.a.id, topic) is (wanted == "1")

    @pytest.mark.parametrize("silenced", [[TOPIC], [status_topic(status) for status in ServiceStatus]])
    def test_who_hears_nothing_of_any_is_told_so(
        self, cast: Cast, world: World, sign_in: SignIn, silenced: list[str]
    ) -> None:
        choose_for_person(cast.alice, dict.fromkeys(silenced, False), by=SYSTEM, now=NOW)
        events.commit()
        page = page_of(sign_in(cast.alice), world.holding_a)
        assert "You have chosen to hear nothing of how services are." in page
        assert 'href="/preferences#wish-services"' in page
        assert "mailed about this service" not in page

    def test_one_click_in_a_mail_is_enough(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        client = sign_in(cast.alice)
        path = unsubscribe_path(cast.alice.email, TOPIC, cast.alice.id)
        assert client.post(path, data={"List-Unsubscribe": "One-Click"}).status_code == 200
        assert "You have chosen to hear nothing of how services are." in page_of(client, world.holding_a)
        kept = choice_of_person(cast.alice, [cast.a.id], NOW)
        assert {line.key for line in kept.lines if line.by is By.LEFT} == {TOPIC}

    def test_of_what_is_not_theirs_nobody_chooses_anything(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        client = sign_in(cast.alice)
        token = token_in(client, "/")
        data = {"wanted": "0", "csrf_token": token}
        assert client.post(f"/services/{world.holding_b.id}/mails", data=data).status_code == 404
        for wrong in ("", "2", "x" * 5000):
            answer = client.post(f"/services/{world.holding_a.id}/mails", data={**data, "wanted": wrong})
            assert answer.status_code == 422


class TestAnOpenPage:
    def test_is_answered_304_until_something_is_said(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        client, path = sign_in(cast.alice), f"/services/{world.holding_a.id}"
        first = client.get(path, headers=HTMX)
        assert first.text.lstrip().startswith('<div class="service-page" id="service" data-live="live"')
        again = {**HTMX, "If-None-Match": first.headers["ETag"]}
        assert client.get(path, headers=again).status_code == 304
        say(world.holding_b, ServiceStatus.DOWN, notes="CANARY")
        assert client.get(path, headers=again).status_code == 304
        say(world.holding_a, ServiceStatus.DOWN)
        assert client.get(path, headers=again).status_code == 200

    def test_a_statement_rings_the_company_and_no_other(self, cast: Cast, world: World) -> None:
        ours, others = events.company_topic(cast.a.id), events.company_topic(cast.b.id)
        events.commit()
        before = events.versions_of([ours, others])
        say(world.holding_a, ServiceStatus.DOWN)
        assert events.versions_of([ours, others]) == {**before, ours: before.get(ours, 0) + 1}


def test_the_number_of_queries_does_not_grow(cast: Cast, world: World, sign_in: SignIn, outage_of: Outage) -> None:
    client = sign_in(cast.alice)

    def queries() -> int:
        with counted_queries() as statements:
            page_of(client, world.holding_a)
        return len(statements)

    outage_of(world.trunk, severity=Severity.PERFORMANCE_ISSUE)
    say(world.holding_a, ServiceStatus.DOWN, minutes_ago=60)
    few = queries()
    for number in range(6):
        outage_of(world.trunk, title=f"Outage {number}")
        say(world.holding_a, ServiceStatus.DOWN, minutes_ago=number)
        starts_at = clock.utcnow() + number * HOUR
        say(world.holding_a, ServiceStatus.SCHEDULED, minutes_ago=number, starts_at=starts_at, ends_at=starts_at + HOUR)
        db.session.add(
            Holding(company_id=cast.a.id, service_id=world.internet.id, reference=f"{number}", valid_from=LONG_AGO)
        )
    events.commit()
    assert queries() <= few <= 36


class TestAtAGlance:
    def test_the_list_counts_the_statuses_worst_first(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        others = [
            Holding(company_id=cast.a.id, service_id=world.internet.id, reference=f"L-{number}", valid_from=LONG_AGO)
            for number in range(2)
        ]
        db.session.add_all(others)
        db.session.flush()
        say(world.holding_a, ServiceStatus.DOWN, notes="The **power** is out.")
        page = sign_in(cast.alice).get("/services").text
        glance = page.partition('class="glance"')[2].partition("</ul>")[0]
        assert glance.index("System is down") < glance.index("Operating normally")
        assert '<span class="glance-number">2</span>' in glance
        assert "The power is out." in page
        assert f'href="/services/{world.holding_a.id}"' in page
