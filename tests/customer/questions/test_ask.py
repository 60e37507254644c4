"""Asking in the portal: where the field stands, what it answers, and for whom."""

from datetime import datetime, timedelta

import pytest
from bs4 import BeautifulSoup

from portal import clock, events
from portal.audit.rules import SYSTEM
from portal.catalogue.models import Holding
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.extensions import db
from portal.services.actions.assistant import set_assistant
from portal.services.models import ServiceView
from portal.services.queries.settings import settings
from portal.services.questions.queries import Answer, answer
from portal.services.questions.replies import reply
from portal.services.rules import ServiceStatus, Wanted
from tests.conftest import NOW, Cast, SignIn, counted_queries
from tests.customer.outages import Outage
from tests.incidents.conftest import LONG_AGO, World
from tests.services.acts import state

DOWN = {"q": "Is telephony down?"}


def found_at_home(cast: Cast, now: datetime) -> Answer:
    """What is found for a company of which no view is given."""
    found = answer("Is everything ok?", cast.a.id, now, areas=set(Area))
    assert found is not None
    return found


@pytest.fixture
def is_on(cast: Cast) -> None:
    set_assistant(True, version=0, by=SYSTEM, now=NOW)
    events.commit()


def asked(client: object, question: str) -> str:
    """What is answered, as one reads it."""
    page = client.get("/ask", query_string={"q": question})  # type: ignore[attr-defined]
    assert page.status_code == 200
    found = BeautifulSoup(page.text, "html.parser").select_one(".ask-answer")
    assert found is not None
    return " ".join(found.get_text(" ").split())


class TestWhileItIsOff:
    def test_there_is_no_such_page_and_no_field(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        client = sign_in(cast.alice)
        assert client.get("/ask", query_string=DOWN).status_code == 404
        for path in ("/", "/services", "/services?q=is+telephony+down"):
            page = client.get(path).text
            assert "/ask" not in page
            assert "ask-answer" not in page

    def test_it_is_off_again_the_moment_it_is_switched_off(
        self, cast: Cast, world: World, sign_in: SignIn, is_on: None
    ) -> None:
        client = sign_in(cast.alice)
        assert client.get("/ask", query_string=DOWN).status_code == 200
        set_assistant(False, version=settings().version, by=SYSTEM, now=NOW)
        events.commit()
        assert client.get("/ask", query_string=DOWN).status_code == 404


@pytest.mark.usefixtures("is_on")
class TestTheField:
    def test_stands_on_the_home_and_above_the_services(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        client = sign_in(cast.alice)
        for path in ("/", "/services"):
            form = BeautifulSoup(client.get(path).text, "html.parser").select_one("form.ask-form")
            assert form is not None
            assert form["action"] == "/ask"
            assert form["method"] == "get"

    def test_costs_a_page_one_query(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        client = sign_in(cast.alice)
        client.get("/services")
        with counted_queries() as statements:
            client.get("/services")
        assert sum("service_settings" in each for each in statements) == 1

    def test_goes_with_the_area(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        domains.set_areas(
            cast.domain_a,
            set(Area) - {Area.SERVICES},
            version=cast.domain_a.version,
            by=SYSTEM,
            now=NOW,
        )
        events.commit()
        client = sign_in(cast.alice)
        assert client.get("/ask", query_string=DOWN).status_code == 404
        assert "ask-form" not in client.get("/").text

    def test_asks_nobody_who_is_not_signed_in(self, cast: Cast, visitor: object) -> None:
        assert visitor("a.portal.test").get("/ask?q=status").status_code == 302  # type: ignore[operator]


@pytest.mark.usefixtures("is_on")
class TestTheAnswer:
    def test_is_calm_where_all_is_well(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        client = sign_in(cast.alice)
        assert asked(client, "Is everything ok?") == "Everything you use is operating normally."
        assert asked(client, "Is telephony down?").startswith("Did you mean Hosted telephony?") is False
        assert asked(client, "Is telephony down?").startswith("Hosted telephony is operating normally at the moment.")

    def test_names_the_incident_behind_it_and_links_to_it(
        self, cast: Cast, world: World, sign_in: SignIn, outage_of: Outage
    ) -> None:
        incident = outage_of(world.trunk)
        client = sign_in(cast.alice)
        said = asked(client, "is hosted telephony down?")
        assert said.startswith("Hosted telephony: System is down since ")
        assert "“Calls fail”." in said
        page = client.get("/ask", query_string=DOWN).text
        assert f'href="/incidents/{incident.public_id}"' in page
        assert f'href="/services/{world.holding_a.id}"' in page

    def test_gives_staffs_notes_as_plain_text_and_the_estimate(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        now = clock.utcnow()
        wanted = Wanted(
            ServiceStatus.INTERMITTENT,
            "We **know** <b>it</b>. [More](https://example.org/more)",
            ends_at=now + timedelta(hours=2),
            notify=False,
        )
        state(cast, [world.holding_a.id], wanted, "asked", now)
        events.commit()
        page = sign_in(cast.alice).get("/ask", query_string=DOWN).text
        assert "Intermittent problems since" in page
        assert "We know &lt;b&gt;it&lt;/b&gt;." in page
        assert "It is estimated to be over by" in page
        assert "send you an update" not in page

    def test_tells_nothing_the_company_is_not_shown(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        now = clock.utcnow()
        wanted = Wanted(
            ServiceStatus.DOWN, "CANARY-NOTE", ends_at=now + timedelta(hours=2), ticket="T-77", notify=False
        )
        state(cast, [world.holding_a.id], wanted, "asked", now)
        db.session.add(
            ServiceView(
                domain_id=cast.domain_a.id,
                company_id=None,
                hidden_services=[],
                shows_notes=False,
                shows_history=True,
                shows_tickets=False,
                shows_end_times=False,
            )
        )
        events.commit()
        said = asked(sign_in(cast.alice), "Is telephony down?")
        assert "System is down" in said
        for hidden in ("CANARY", "estimated", "T-77"):
            assert hidden not in said

    def test_does_not_know_what_is_hidden_or_anothers(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        db.session.add(ServiceView(domain_id=cast.domain_a.id, hidden_services=[world.telephony.id]))
        db.session.add(Holding(company_id=cast.a.id, service_id=world.internet.id, valid_from=LONG_AGO))
        events.commit()
        assert asked(sign_in(cast.alice), "Is hosted telephony down?") == (
            "I do not know that service. You have Internet access."
        )
        assert asked(sign_in(cast.charlie), "Is hosted telephony down?") == (
            "I do not know that service. You have Internet access."
        )

    def test_does_not_say_all_is_well_of_what_it_does_not_see(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        now = clock.utcnow()
        down = Holding(company_id=cast.a.id, service_id=world.internet.id, valid_from=LONG_AGO)
        db.session.add_all([down, ServiceView(domain_id=cast.domain_a.id, hidden_services=[world.internet.id])])
        db.session.flush()
        state(cast, [down.id], Wanted(ServiceStatus.DOWN, "CANARY", notify=False), "asked", now)
        events.commit()
        client = sign_in(cast.alice)
        assert asked(client, "Is everything ok?") == "Nothing shown here is wrong at the moment."
        at_home = reply("Is everything ok?", cast.a.id, now, language="de")
        assert at_home is not None
        assert at_home.words == "Von dem, was Sie hier sehen, ist im Moment nichts gestört."
        assert found_at_home(cast, now).has_hidden
        domains.set_areas(cast.domain_a, {Area.SERVICES}, version=cast.domain_a.version, by=SYSTEM, now=NOW)
        events.commit()
        assert asked(client, "Is everything ok?") == "Nothing shown here is wrong at the moment."

    def test_claims_nothing_where_status_is_off(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        domains.set_areas(cast.domain_a, {Area.SERVICES}, version=cast.domain_a.version, by=SYSTEM, now=NOW)
        events.commit()
        client = sign_in(cast.alice)
        assert asked(client, "Is everything ok?") == "Nothing is reported of what you use."
        assert asked(client, "is hosted telephony down").startswith("Nothing is reported of Hosted telephony.")

    def test_tells_of_what_may_affect_anything(
        self, cast: Cast, world: World, sign_in: SignIn, outage_of: Outage
    ) -> None:
        outage_of(world.spare, title="Power cut")
        client = sign_in(cast.alice)
        assert "operating normally." not in asked(client, "Is everything ok?")
        assert "“Power cut”, since " in asked(client, "Is everything ok?")
        assert "may affect any of your services" in asked(client, "is hosted telephony down?")

    def test_announces_scheduled_service(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        now = clock.utcnow()
        wanted = Wanted(
            ServiceStatus.SCHEDULED,
            "New cables.",
            starts_at=now + timedelta(days=3),
            ends_at=now + timedelta(days=3, hours=2),
            zone="Europe/London",
            notify=False,
        )
        state(cast, [world.holding_a.id], wanted, "asked", now)
        events.commit()
        client = sign_in(cast.alice)
        said = asked(client, "is hosted telephony down?")
        assert said.startswith("Hosted telephony is operating normally at the moment. Scheduled service for Hosted ")
        assert "New cables." in said
        assert asked(client, "is everything ok?").startswith(
            "Everything you use is operating normally. Scheduled service for Hosted telephony: "
        )

    def test_asks_back_when_unsure_and_says_nothing_of_any(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        said = asked(sign_in(cast.alice), "Is the telephony app broken?")
        assert said.startswith("Did you mean Hosted telephony?")

    def test_is_no_answer_to_something_else(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        said = asked(sign_in(cast.alice), "<script>alert(1)</script>")
        assert said == "I only know how your services are at the moment. Ask for example: “Is email down?”"

    def test_comes_as_a_fragment_that_takes_the_place_of_the_field(
        self, cast: Cast, world: World, sign_in: SignIn
    ) -> None:
        part = sign_in(cast.alice).get("/ask", query_string=DOWN, headers={"HX-Request": "true"}).text
        assert part.lstrip().startswith('<section class="ask" id="ask"')
        assert "<html" not in part

    def test_stands_above_what_a_search_finds(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        client = sign_in(cast.alice)
        assert "Hosted telephony is operating normally" in client.get("/services?q=is+telephony+down").text
        assert "ask-answer" not in client.get("/services?q=ACC").text

    def test_takes_a_bounded_number_of_queries(
        self, cast: Cast, world: World, sign_in: SignIn, outage_of: Outage
    ) -> None:
        outage_of(world.trunk)
        client = sign_in(cast.alice)
        counts = []
        for round_of in range(2):
            db.session.add_all(
                Holding(
                    company_id=cast.a.id,
                    service_id=world.telephony.id,
                    reference=f"X{round_of}{number}",
                    valid_from=LONG_AGO,
                )
                for number in range(20)
            )
            events.commit()
            client.get("/ask", query_string=DOWN)
            with counted_queries() as statements:
                client.get("/ask", query_string=DOWN)
            counts.append(len(statements))
        assert counts[0] == counts[1] <= 32

    def test_speaks_german(self, cast: Cast, world: World, sign_in: SignIn, outage_of: Outage) -> None:
        cast.alice.language = "de"
        events.commit()
        client = sign_in(cast.alice)
        assert asked(client, "Läuft alles?") == "Alles, was Sie nutzen, läuft normal."
        outage_of(world.trunk)
        assert asked(client, "Geht hosted telephony nicht?").startswith("Hosted telephony: ")
        assert " seit " in asked(client, "Geht hosted telephony nicht?")
