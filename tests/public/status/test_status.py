"""The status page signed out and signed in: two viewpoints on one address."""

import re
from collections.abc import Callable
from datetime import timedelta

from flask.testing import FlaskClient

from portal import clock, events
from portal.audit.rules import SYSTEM
from portal.catalogue.models import Component, ComponentGroup
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.extensions import db
from portal.incidents.models import Maintenance, MaintenanceComponent
from portal.incidents.rules import Audience, MaintenanceState, Severity, State, Visibility
from portal.services.models import ServiceView
from portal.services.rules import ServiceStatus
from tests.conftest import NOW, Cast, SignIn, counted_queries
from tests.customer.outages import Outage, update
from tests.incidents.conftest import LONG_AGO, World
from tests.services.saying import say

Visitor = Callable[[str], FlaskClient]

A, B = "a.portal.test", "b.portal.test"
HTMX = {"HX-Request": "true"}


def only(cast: Cast, *areas: Area) -> None:
    domains.set_areas(cast.domain_a, areas, version=cast.domain_a.version, by=SYSTEM, now=NOW)
    events.commit()


class TestSignedOut:
    def test_everything_is_well(self, cast: Cast, world: World, visitor: Visitor) -> None:
        page = visitor(A).get("/status").text
        assert "All systems operational" in page
        for title in ("Trunk", "Fibre", "Exchange", "Spare"):
            assert title in page
        assert 'href="/sign-in"' in page

    def test_an_open_incident_is_told_with_its_timeline(
        self, cast: Cast, world: World, visitor: Visitor, outage_of: Outage
    ) -> None:
        update(outage_of(world.trunk), State.IDENTIFIED, "A card has failed.")
        page = visitor(A).get("/status").text
        for words in (
            "Some systems are down",
            "Calls fail",
            "We are looking into it.",
            "A card has failed.",
            "Identified",
        ):
            assert words in page
        assert page.index("A card has failed.") < page.index("We are looking into it.")

    def test_nothing_of_a_session_is_in_it_so_that_anybody_may_keep_it(
        self, cast: Cast, world: World, visitor: Visitor
    ) -> None:
        answer = visitor(A).get("/status")
        assert "csrf" not in answer.text
        assert "Set-Cookie" not in answer.headers
        assert answer.headers["Cache-Control"] == "public, max-age=5, stale-while-revalidate=30"
        assert "HX-Request" in answer.headers["Vary"]

    def test_it_is_the_same_for_everybody_even_for_somebody_signed_in_who_may_not_see_more(
        self, cast: Cast, world: World, visitor: Visitor, sign_in: SignIn
    ) -> None:
        only(cast, Area.PUBLIC_STATUS)
        seen = visitor(A).get("/status").text
        known = sign_in(cast.alice).get("/status")
        assert known.text == seen
        assert "Alder Dental" not in seen
        assert "Alice" not in seen

    def test_unchanged_it_is_answered_304(self, cast: Cast, world: World, visitor: Visitor) -> None:
        client = visitor(A)
        answer = client.get("/status")
        again = client.get("/status", headers={"If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")

    def test_an_open_page_is_given_the_living_part_fresh(self, cast: Cast, world: World, visitor: Visitor) -> None:
        client = visitor(A)
        answer = client.get("/status", headers=HTMX)
        assert answer.text.strip().startswith("<div")
        assert 'id="status"' in answer.text
        assert answer.headers["Cache-Control"] == "public, no-cache"
        assert answer.text.strip() in client.get("/status").text

    def test_times_name_the_zone_of_the_domain_for_the_script_to_make_local(
        self, cast: Cast, world: World, visitor: Visitor, outage_of: Outage
    ) -> None:
        cast.domain_a.time_zone = "America/New_York"
        outage_of(world.trunk)
        events.commit()
        page = visitor(A).get("/status").text
        assert "America/New_York" in page
        assert re.search(r'<time datetime="[^"]+Z" title="[^"]+ E[SD]T"', page)
        assert "local-times" in page

    def test_it_is_written_in_the_language_of_the_domain(self, cast: Cast, world: World, visitor: Visitor) -> None:
        cast.domain_a.language = "de"
        events.commit()
        page = visitor(A).get("/status").text
        assert "Alle Systeme laufen normal" in page
        assert '<html lang="de"' in page


class TestWhatExistsNowhere:
    PATHS = ("/status", "/status/history", "/sign-in")

    def seen(self, client: FlaskClient) -> list[str]:
        """The pages without their form tokens, which are random."""
        tokens = r'name="csrf-token" content="[^"]+"|value="[^"]{40,}"'
        return [re.sub(tokens, "", client.get(path).text) for path in self.PATHS]

    def test_t07_a_private_incident(
        self, cast: Cast, world: World, visitor: Visitor, sign_in: SignIn, outage_of: Outage
    ) -> None:
        before = self.seen(visitor(A))
        incident = outage_of(world.trunk, title="CANARY-private", body="CANARY-body", visibility=Visibility.PRIVATE)
        assert before == self.seen(visitor(A))
        for client in (visitor(A), sign_in(cast.alice), sign_in(cast.charlie)):
            for page in self.seen(client):
                assert "CANARY" not in page
                assert incident.public_id not in page

    def test_t07_its_effect_on_components_and_etags(
        self, cast: Cast, world: World, visitor: Visitor, sign_in: SignIn, outage_of: Outage
    ) -> None:
        public, personal = visitor(A), sign_in(cast.alice)
        before = [client.get("/status", headers=HTMX).headers["ETag"] for client in (public, personal)]
        outage_of(world.trunk, title="CANARY-private", visibility=Visibility.PRIVATE)
        after = [client.get("/status", headers=HTMX).headers["ETag"] for client in (public, personal)]
        assert before == after

    def test_t09_a_private_update(
        self, cast: Cast, world: World, visitor: Visitor, sign_in: SignIn, outage_of: Outage
    ) -> None:
        incident = outage_of(world.trunk)
        paths = ("/status", f"/incidents/{incident.public_id}")
        clients = (visitor(A), sign_in(cast.alice))
        # The first form somebody signed in is shown brings the secret of its tokens, which their tags begin with.
        clients[1].get(paths[1], headers=HTMX)
        before = [client.get(path, headers=HTMX).headers["ETag"] for client in clients for path in paths]
        update(incident, None, "CANARY-note", visibility=Visibility.PRIVATE)
        answers = [client.get(path, headers=HTMX) for client in clients for path in paths]
        assert [answer.headers["ETag"] for answer in answers] == before
        assert not any("CANARY" in answer.text for answer in answers)

    def test_an_incident_for_the_affected_outside_of_them(
        self, cast: Cast, world: World, visitor: Visitor, sign_in: SignIn, outage_of: Outage
    ) -> None:
        outage_of(world.trunk, title="CANARY-affected", audience=Audience.AFFECTED)
        assert "CANARY" in sign_in(cast.alice).get("/status").text
        for client in (visitor(A), visitor(B), sign_in(cast.charlie)):
            page = client.get("/status").text
            assert "CANARY" not in page
            assert "All systems operational" in page


class TestSignedIn:
    def test_what_concerns_the_company_is_marked(
        self, cast: Cast, world: World, sign_in: SignIn, outage_of: Outage
    ) -> None:
        outage_of(world.trunk)
        assert "Concerns you" in sign_in(cast.alice).get("/status").text
        assert "Concerns you" not in sign_in(cast.charlie).get("/status").text
        assert "You use this" in sign_in(cast.charlie).get("/status").text

    def test_the_page_is_personal(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        answer = sign_in(cast.alice).get("/status")
        assert answer.headers["Cache-Control"] == "private, no-cache"
        assert "Alder Dental" in answer.text

    def test_unchanged_it_is_answered_304(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        client = sign_in(cast.alice)
        answer = client.get("/status", headers=HTMX)
        assert client.get("/status", headers={**HTMX, "If-None-Match": answer.headers["ETag"]}).status_code == 304

    def test_work_ahead_and_under_way_stands_with_its_window(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        now = clock.utcnow()
        for title, starts_in in (("New batteries", 30), ("Old cables", -1)):
            work = Maintenance(
                public_id=title,
                title=title,
                state=MaintenanceState.SCHEDULED,
                starts_at=now + timedelta(hours=starts_in),
                ends_at=now + timedelta(hours=starts_in + 2),
                created_at=now,
                public_updated_at=now,
            )
            db.session.add(work)
            db.session.flush()
            db.session.add(MaintenanceComponent(maintenance_id=work.id, component_id=world.trunk.id))
        events.commit()
        page = sign_in(cast.alice).get("/status").text
        assert "Maintenance under way" in page
        assert page.index("Old cables") < page.index("New batteries")
        assert "Planned work" in page


class TestOwnServices:
    def test_signed_in_they_stand_on_it_and_first_when_one_does_not_work(
        self, cast: Cast, world: World, sign_in: SignIn
    ) -> None:
        client = sign_in(cast.alice)
        page = client.get("/status").text
        assert page.index("All systems operational") < page.index("Your services") < page.index("Hosted telephony")
        say(world.holding_a, ServiceStatus.DOWN, notes="No calls.")
        say(world.holding_b, ServiceStatus.DOWN, notes="CANARY")
        page = client.get("/status").text
        assert page.index("Your services") < page.index("No calls.") < page.index("All systems operational")
        assert "CANARY" not in page

    def test_signed_out_nothing_that_is_stated_shows_and_no_etag_moves(
        self, cast: Cast, world: World, visitor: Visitor
    ) -> None:
        before = visitor(A).get("/status", headers=HTMX).headers["ETag"]
        say(world.holding_a, ServiceStatus.DOWN, notes="CANARY")
        after = visitor(A).get("/status", headers=HTMX)
        assert after.headers["ETag"] == before
        assert "Your services" not in visitor(A).get("/status").text

    def test_with_services_off_they_do_not(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        domains.set_override(cast.domain_a, cast.a, Area.SERVICES, False, by=SYSTEM, now=NOW)
        say(world.holding_a, ServiceStatus.DOWN, notes="CANARY")
        page = sign_in(cast.alice).get("/status").text
        for hint in ("CANARY", "Your services", "System is down"):
            assert hint not in page

    def test_one_that_is_hidden_does_not(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        db.session.add(ServiceView(domain_id=cast.domain_a.id, hidden_services=[world.telephony.id]))
        say(world.holding_a, ServiceStatus.DOWN, notes="CANARY")
        page = sign_in(cast.alice).get("/status").text
        for hint in ("CANARY", "Hosted telephony", "System is down"):
            assert hint not in page


class TestWhoMayRead:
    def test_with_public_status_off_somebody_signed_out_is_asked_to_sign_in(
        self, cast: Cast, world: World, visitor: Visitor
    ) -> None:
        only(cast, Area.STATUS)
        answer = visitor(A).get("/status")
        assert (answer.status_code, answer.location) == (302, "/sign-in?next=/status")
        assert visitor(A).get("/status", headers=HTMX).status_code == 401

    def test_with_both_off_there_is_nothing_for_anybody(
        self, cast: Cast, world: World, visitor: Visitor, sign_in: SignIn
    ) -> None:
        only(cast, Area.SERVICES)
        for client in (visitor(A), sign_in(cast.alice)):
            for path in ("/status", "/status/history", "/incidents/x"):
                assert client.get(path).status_code == 404
                assert client.get(path, headers=HTMX).status_code == 404
        assert visitor(B).get("/status").status_code == 200

    def test_off_for_one_company_it_is_off_for_that_company(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        only(cast, Area.STATUS)
        client = sign_in(cast.alice)
        assert client.get("/status").status_code == 200
        domains.set_override(cast.domain_a, cast.a, Area.STATUS, False, by=SYSTEM, now=NOW)
        events.commit()
        assert client.get("/status").status_code == 404

    def test_on_for_one_company_alone_its_people_can_sign_in_from_a_link(
        self, cast: Cast, world: World, visitor: Visitor, sign_in: SignIn
    ) -> None:
        only(cast)
        domains.set_override(cast.domain_a, cast.a, Area.STATUS, True, by=SYSTEM, now=NOW)
        events.commit()
        assert visitor(A).get("/status").status_code == 302
        assert sign_in(cast.alice).get("/status").status_code == 200

    def test_it_is_no_page_of_the_staff_host(self, cast: Cast, sign_in: SignIn) -> None:
        assert sign_in(cast.ada).get("/status").status_code == 404


class TestHistory:
    def test_t30_pages_that_do_not_exist_are_not_found(self, cast: Cast, world: World, visitor: Visitor) -> None:
        client = visitor(A)
        assert client.get("/status/history?page=1").status_code == 200
        for page in ("0", "2", "-1", "a", "", "1.5", "9999999999", "²"):
            assert client.get("/status/history", query_string={"page": page}).status_code == 404

    def test_past_incidents_stand_under_their_days(
        self, cast: Cast, world: World, visitor: Visitor, sign_in: SignIn, outage_of: Outage
    ) -> None:
        update(outage_of(world.trunk, title="Old trouble"), State.FIXED, "Over.")
        for client in (visitor(A), sign_in(cast.charlie)):
            page = client.get("/status/history").text
            assert "Old trouble" in page
            assert re.search(r'<time datetime="\d{4}-\d\d-\d\d">\w+day, \d+ \w+ \d{4}</time>', page)


class TestQueries:
    """One set of queries a page, whatever the number of rows."""

    def counts(self, clients: list[FlaskClient]) -> list[int]:
        found = []
        for client in clients:
            with counted_queries() as statements:
                assert client.get("/status").status_code == 200
            found.append(len(statements))
        return found

    def test_their_number_does_not_grow(
        self, cast: Cast, world: World, visitor: Visitor, sign_in: SignIn, outage_of: Outage
    ) -> None:
        clients = [visitor(A), sign_in(cast.alice)]
        update(outage_of(world.trunk, title="Past"), State.FIXED, "Over.")
        update(outage_of(world.trunk), State.IDENTIFIED, "Found.")
        few = self.counts(clients)
        group = ComponentGroup(public_id="g", name="Many", created_at=LONG_AGO)
        db.session.add(group)
        db.session.flush()
        more = [
            Component(public_id=f"m{n}", title=f"M{n}", group_id=group.id, created_at=LONG_AGO, updated_at=LONG_AGO)
            for n in range(50)
        ]
        db.session.add_all(more)
        events.commit()
        for number in range(5):
            update(outage_of(*more[:9], title=f"Past {number}"), State.FIXED, "Over.")
            incident = outage_of(*more[10:20], world.trunk, title=f"Open {number}", severity=Severity.PARTIAL_RTH)
            update(incident, State.IDENTIFIED, f"Found {number}.")
        many = self.counts(clients)
        assert all(later <= earlier for later, earlier in zip(many, few, strict=True))
        assert few[0] <= 22
        assert few[1] <= 29


def test_the_bars_of_fifty_components_stay_small(cast: Cast, visitor: Visitor, session: None) -> None:
    db.session.add_all(
        Component(public_id=f"m{n}", title=f"Component {n}", created_at=LONG_AGO, updated_at=LONG_AGO)
        for n in range(50)
    )
    events.commit()
    page = visitor(A).get("/status").text
    assert page.count('<svg class="bars-drawing"') == 50
    assert page.count("<rect") == 0
