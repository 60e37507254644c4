"""The customer's home: am I all right?"""

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from flask.testing import FlaskClient

from portal import clock, events
from portal.audit.rules import SYSTEM
from portal.catalogue.models import Holding
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.extensions import db
from portal.incidents.rules import Audience, Severity, State, Visibility
from portal.services.models import ServiceView
from portal.services.rules import ServiceStatus
from tests.conftest import NOW, Cast, SignIn, counted_queries, token_in
from tests.customer.outages import Outage, update
from tests.incidents.conftest import LONG_AGO, World
from tests.services.saying import say

HTMX = {"HX-Request": "true", "X-Background": "1"}
ALL_WELL = "Everything you use is operating normally"


def written(moment: datetime) -> str:
    """A moment as it is shown to whoever has no zone of their own: in that of the portal domain, which is named."""
    local = moment.astimezone(ZoneInfo("Europe/London"))
    return f"{local.day} {local:%b %Y, %H:%M %Z}"


def only(cast: Cast, *areas: Area) -> None:
    domains.set_areas(cast.domain_a, areas, version=cast.domain_a.version, by=SYSTEM, now=NOW)
    events.commit()


class TestTheBanner:
    def test_when_all_is_well_one_sentence_says_so_with_the_time_of_the_check(
        self, cast: Cast, world: World, sign_in: SignIn
    ) -> None:
        page = sign_in(cast.alice).get("/").text
        assert ALL_WELL in page
        stamp = re.search(r'Checked <time datetime="([^"]+)"', page)
        assert stamp is not None
        assert stamp[1].startswith(clock.utcnow().strftime("%Y-%m-%dT%H:"))

    def test_an_outage_that_concerns_the_company_is_told(
        self, cast: Cast, world: World, sign_in: SignIn, outage_of: Outage
    ) -> None:
        incident = outage_of(world.trunk)
        update(incident, State.IDENTIFIED, "**Please dial again** if a call fails.")
        for path in ("/", "/banner"):
            page = sign_in(cast.alice).get(path).text
            for words in (
                "Calls fail",
                "Major outage",
                "Identified",
                "began",
                "Affects your Hosted telephony (ACC-1)",
                "<strong>Please dial again</strong>",
                f'href="/incidents/{incident.public_id}"',
            ):
                assert words in page
            assert ALL_WELL not in page

    def test_an_outage_of_others_is_one_grey_line(
        self, cast: Cast, world: World, sign_in: SignIn, outage_of: Outage
    ) -> None:
        outage_of(world.fibre, title="Fibre is cut")
        page = sign_in(cast.alice).get("/").text
        assert ALL_WELL in page
        assert "1 incident elsewhere does not affect you." in page
        assert "Fibre is cut" not in page
        assert "Fibre is cut" in sign_in(cast.charlie).get("/").text

    def test_on_a_fresh_installation_a_report_on_a_component_nobody_depends_on_reaches_every_customer(
        self, cast: Cast, world: World, sign_in: SignIn, outage_of: Outage
    ) -> None:
        outage_of(world.spare)
        for person in (cast.alice, cast.charlie):
            page = sign_in(person).get("/").text
            assert "Calls fail" in page
            assert "This may affect any of your services." in page

    def test_when_it_is_fixed_the_sentence_is_back(
        self, cast: Cast, world: World, sign_in: SignIn, outage_of: Outage
    ) -> None:
        update(outage_of(world.trunk), State.FIXED, "Over.")
        assert ALL_WELL in sign_in(cast.alice).get("/").text

    def test_a_private_outage_leaves_even_the_etag_alone(
        self, cast: Cast, world: World, sign_in: SignIn, outage_of: Outage
    ) -> None:
        client = sign_in(cast.alice)
        before = [client.get(path, headers=HTMX).headers["ETag"] for path in ("/banner", "/your-services")]
        outage_of(world.trunk, title="CANARY", visibility=Visibility.PRIVATE)
        after = [client.get(path, headers=HTMX) for path in ("/banner", "/your-services")]
        assert [answer.headers["ETag"] for answer in after] == before
        assert "CANARY" not in client.get("/").text

    def test_an_outage_for_others_alone_is_not_even_counted(
        self, cast: Cast, world: World, sign_in: SignIn, outage_of: Outage
    ) -> None:
        outage_of(world.fibre, title="CANARY", audience=Audience.AFFECTED)
        page = sign_in(cast.alice).get("/").text
        assert "CANARY" not in page
        assert "elsewhere" not in page


class TestWhatIsStated:
    @pytest.mark.parametrize("path", ["/", "/banner"])
    def test_a_problem_stands_at_the_top_and_nobody_says_that_all_is_well(
        self, cast: Cast, world: World, sign_in: SignIn, path: str
    ) -> None:
        soon = clock.utcnow() + timedelta(hours=2)
        say(world.holding_a, ServiceStatus.DOWN, minutes_ago=9, notes="Calls **fail**.", ends_at=soon)
        page = sign_in(cast.alice).get(path).text
        for words in (
            "System is down",
            "began <time",
            "Hosted telephony (ACC-1)",
            "<strong>fail</strong>",
            f"Expected to work again by {written(soon)}",
            f'href="/services/{world.holding_a.id}"',
        ):
            assert words in page
        assert ALL_WELL not in page
        assert "CANARY" not in page

    def test_it_is_said_once_of_all_that_it_is_said_of(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        more = [
            Holding(company_id=cast.a.id, service_id=world.internet.id, reference=f"L-{number}", valid_from=LONG_AGO)
            for number in range(5)
        ]
        db.session.add_all(more)
        db.session.flush()
        say(world.holding_a, ServiceStatus.DOWN, also=more, notes="The power is out.")
        page = sign_in(cast.alice).get("/banner", headers=HTMX).text
        assert page.count("System is down") == 1
        assert "and 3 more" in page
        assert 'href="/services"' in page

    def test_scheduled_service_ahead_says_when_and_calmly(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        starts_at = clock.utcnow() + timedelta(hours=30)
        say(world.holding_a, ServiceStatus.SCHEDULED, starts_at=starts_at, ends_at=starts_at + timedelta(hours=1))
        page = sign_in(cast.alice).get("/").text
        assert ALL_WELL not in page
        assert "Nothing is wrong at the moment" in page
        assert written(starts_at).rpartition(" ")[0] in page
        assert 'class="banner' not in page

    def test_once_it_is_under_way_it_is_a_banner(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        now = clock.utcnow()
        ends_at = now + timedelta(hours=1)
        say(world.holding_a, ServiceStatus.SCHEDULED, starts_at=now - timedelta(minutes=5), ends_at=ends_at)
        page = sign_in(cast.alice).get("/banner").text
        assert 'class="banner tone-planned' in page
        assert f"Planned until {written(ends_at)}" in page
        assert "Nothing is wrong" not in page

    def test_with_status_off_it_stands_above_the_services(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        only(cast, Area.SERVICES)
        say(world.holding_a, ServiceStatus.INTERMITTENT, notes="Now and then.")
        for path in ("/", "/your-services"):
            page = sign_in(cast.alice).get(path).text
            assert page.count('class="banner tone-warn') == 1
            assert "Now and then." in page

    def test_of_another_company_nothing_is_seen_and_no_etag_moves(
        self, cast: Cast, world: World, sign_in: SignIn
    ) -> None:
        client = sign_in(cast.alice)
        before = [client.get(path, headers=HTMX).headers["ETag"] for path in ("/banner", "/your-services")]
        say(world.holding_b, ServiceStatus.DOWN, notes="CANARY")
        after = [client.get(path, headers=HTMX) for path in ("/banner", "/your-services")]
        assert [answer.headers["ETag"] for answer in after] == before
        assert "CANARY" not in client.get("/").text

    def test_a_hidden_service_is_not_there_and_the_sentence_says_no_more_than_is_shown(
        self, cast: Cast, world: World, sign_in: SignIn
    ) -> None:
        db.session.add(ServiceView(domain_id=cast.domain_a.id, hidden_services=[world.telephony.id]))
        say(world.holding_a, ServiceStatus.DOWN, notes="CANARY")
        page = sign_in(cast.alice).get("/").text
        for hint in ("CANARY", "Hosted telephony", "System is down", ALL_WELL):
            assert hint not in page
        assert "Nothing shown here is wrong at the moment" in page

    def test_what_is_not_shown_is_left_out(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        db.session.add(
            ServiceView(domain_id=cast.domain_a.id, shows_notes=False, shows_tickets=False, shows_end_times=False)
        )
        soon = clock.utcnow() + timedelta(hours=2)
        say(world.holding_a, ServiceStatus.DOWN, notes="CANARY", ticket="CANARY", ends_at=soon)
        page = sign_in(cast.alice).get("/").text
        assert "System is down" in page
        for hint in ("CANARY", "Expected to work again"):
            assert hint not in page


class TestFragments:
    @pytest.mark.parametrize("path", ["/banner", "/your-services"])
    def test_the_page_holds_the_fragment_word_for_word(
        self, cast: Cast, world: World, sign_in: SignIn, outage_of: Outage, path: str
    ) -> None:
        outage_of(world.trunk)
        client = sign_in(cast.alice)
        fragment = client.get(path, headers=HTMX).text.strip()
        assert f'id="{path[1:]}"' in fragment.splitlines()[0]
        page = client.get("/").text
        assert re.sub(r"\s+", " ", fragment) in re.sub(r"\s+", " ", page)

    @pytest.mark.parametrize("path", ["/banner", "/your-services"])
    def test_an_unchanged_one_is_answered_304(self, cast: Cast, world: World, sign_in: SignIn, path: str) -> None:
        client = sign_in(cast.alice)
        answer = client.get(path, headers=HTMX)
        again = client.get(path, headers={**HTMX, "If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")

    def test_a_changed_one_is_not(self, cast: Cast, world: World, sign_in: SignIn, outage_of: Outage) -> None:
        client = sign_in(cast.alice)
        tag = client.get("/banner", headers=HTMX).headers["ETag"]
        outage_of(world.trunk)
        assert client.get("/banner", headers={**HTMX, "If-None-Match": tag}).status_code == 200

    def test_signed_out_they_say_where_to_sign_in(self, cast: Cast, sign_in: SignIn) -> None:
        client = sign_in(cast.alice)
        client.delete_cookie("sid", domain="a.portal.test")
        answer = client.get("/banner", headers=HTMX)
        assert (answer.status_code, answer.headers["HX-Redirect"]) == (401, "/sign-in")
        assert client.get("/banner").status_code == 302


class TestYourServices:
    def test_what_is_not_well_comes_first_with_its_reason(
        self, cast: Cast, world: World, sign_in: SignIn, outage_of: Outage
    ) -> None:
        db.session.add(
            Holding(company_id=cast.a.id, service_id=world.internet.id, reference="L-2", valid_from=LONG_AGO)
        )
        outage_of(world.fibre, severity=Severity.PERFORMANCE_ISSUE, title="Slow lines")
        page = sign_in(cast.alice).get("/your-services").text
        assert page.index("Internet access") < page.index("Hosted telephony")
        assert "Intermittent problems" in page
        assert "Slow lines" in page
        assert "Operating normally" in page

    def test_another_companys_are_not_among_them(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        page = sign_in(cast.alice).get("/").text
        assert "ACC-1" in page
        assert "LINE-9" not in page

    def test_the_home_names_a_few_and_leads_to_the_others(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        for number in range(9):
            db.session.add(
                Holding(
                    company_id=cast.a.id, service_id=world.telephony.id, reference=f"R{number}", valid_from=LONG_AGO
                )
            )
        events.commit()
        page = sign_in(cast.alice).get("/").text
        assert "All 10 services" in page
        assert page.count("service-line") == 8

    def test_without_any_it_says_what_will_stand_there(self, cast: Cast, sign_in: SignIn) -> None:
        assert "No services yet" in sign_in(cast.alice).get("/").text


class TestAreas:
    def test_t17_with_status_off_nothing_hints_at_an_incident(
        self, cast: Cast, world: World, sign_in: SignIn, outage_of: Outage
    ) -> None:
        outage_of(world.trunk, title="CANARY")
        outage_of(world.fibre, title="CANARY-2")
        only(cast, Area.SERVICES)
        client = sign_in(cast.alice)
        for path in ("/", "/services", "/account", "/your-services"):
            page = client.get(path).text
            for hint in ("CANARY", "elsewhere", "down", ALL_WELL, "Operating normally", "/status", "banner"):
                assert hint not in page, (path, hint)
        assert "Hosted telephony" in client.get("/").text
        for headers in ({}, HTMX):
            assert client.get("/banner", headers=headers).status_code == 404
        other = sign_in(cast.charlie)
        assert "CANARY-2" in other.get("/").text

    def test_t17_with_services_off_no_service_is_listed_and_nothing_said_of_one(
        self, cast: Cast, world: World, sign_in: SignIn
    ) -> None:
        only(cast, Area.STATUS)
        client = sign_in(cast.alice)
        page = client.get("/").text
        assert "No incident affects you at the moment" in page
        assert ALL_WELL not in page
        say(world.holding_a, ServiceStatus.DOWN, notes="CANARY")
        answer = client.get("/")
        assert "CANARY" not in answer.text
        assert "System is down" not in answer.text
        assert "No incident affects you at the moment" in answer.text
        assert "Your services" not in page
        assert 'href="/services"' not in page
        for path in ("/services", "/your-services"):
            assert client.get(path).status_code == 404
            assert client.get(path, headers=HTMX).status_code == 404

    def test_with_everything_off_the_home_says_that_nothing_is_set_up(
        self, cast: Cast, world: World, sign_in: SignIn
    ) -> None:
        only(cast)
        assert "Nothing is set up here yet" in sign_in(cast.alice).get("/").text

    def test_t18_an_area_switched_off_is_gone_with_the_next_request_of_an_open_page(
        self, cast: Cast, world: World, sign_in: SignIn
    ) -> None:
        client = sign_in(cast.alice)
        assert client.get("/banner", headers=HTMX).status_code == 200
        domains.set_override(cast.domain_a, cast.a, Area.STATUS, False, by=SYSTEM, now=NOW)
        events.commit()
        assert client.get("/banner", headers=HTMX).status_code == 404
        domains.set_override(cast.domain_a, cast.a, Area.STATUS, None, by=SYSTEM, now=NOW)
        events.commit()
        assert client.get("/banner", headers=HTMX).status_code == 200


class TestWhoGetsIn:
    def test_t22_somebody_deactivated_is_out_with_the_next_request(self, cast: Cast, sign_in: SignIn) -> None:
        client = sign_in(cast.alice)
        cast.alice.deactivated_at = NOW
        events.commit()
        assert client.get("/").status_code == 302

    def test_staff_have_no_home_here(self, cast: Cast, sign_in: SignIn) -> None:
        client = sign_in(cast.ada)
        assert client.get("/").location == "/admin/"
        assert client.get("/banner").status_code == 404

    def test_t19_another_company_cannot_be_asked_for(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        client = sign_in(cast.alice)
        query = {"company_id": cast.b.id, "company": cast.b.id}
        page = client.get("/", query_string=query, headers={"X-Tenant-Id": str(cast.b.id)}).text
        assert "LINE-9" not in page
        assert "Alder Dental" in page


def queries_of(client: FlaskClient, path: str) -> int:
    with counted_queries() as statements:
        assert client.get(path).status_code == 200
    return len(statements)


@pytest.mark.parametrize("path", ["/", "/banner", "/your-services", "/services"])
def test_the_number_of_queries_does_not_grow(
    cast: Cast, world: World, sign_in: SignIn, outage_of: Outage, path: str
) -> None:
    client = sign_in(cast.alice)
    quiet = queries_of(client, path)
    update(outage_of(world.trunk), State.IDENTIFIED, "Found.")
    few = queries_of(client, path)
    for number in range(6):
        outage_of(world.trunk, world.fibre, title=f"Outage {number}")
        say(world.holding_a, ServiceStatus.DOWN, minutes_ago=number, notes=f"Still {number}.")
        for company in (cast.a, cast.b):
            db.session.add(
                Holding(company_id=company.id, service_id=world.internet.id, reference=f"{number}", valid_from=LONG_AGO)
            )
    events.commit()
    assert queries_of(client, path) <= few <= 23
    assert quiet <= 19, "one of them asks what is announced, which no other query can know"


def test_the_home_works_without_script(cast: Cast, world: World, sign_in: SignIn) -> None:
    """Everything that leads somewhere is a link or a form."""
    page = sign_in(cast.alice).get("/").text
    assert not re.search(r"<(button|span|div|li)[^>]*hx-(post|put|delete)", page)
    assert token_in(sign_in(cast.alice), "/")
