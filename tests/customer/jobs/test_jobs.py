"""What people of a company see of its jobs and quotes: theirs, in the portal, in public words."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from flask.testing import FlaskClient

from portal import clock, events
from portal.audit.rules import SYSTEM
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.jobs.queries.public import public_page
from portal.jobs.rules import Role, Showing, WorkKind, public_key
from portal.live import read_token
from portal.services.rules import ServiceStatus
from tests.conftest import NOW, Cast, SignIn, counted_queries
from tests.customer.jobs.conftest import Book, move_to
from tests.customer.outages import Outage
from tests.incidents.conftest import World
from tests.jobs.conftest import role, save
from tests.security.conftest import masked
from tests.services.saying import say


def changed(kind: WorkKind, which: Role, **values: Any) -> None:
    save(replace(role(which, kind), **values), kind=kind, now=clock.utcnow())


class TestTheList:
    def test_it_shows_the_companys_own_in_public_words(self, cast: Cast, work: Book, sign_in: SignIn) -> None:
        changed(
            WorkKind.JOB, Role.SCHEDULED, name="Crew B after Tuesday", portal_name="Planned", portal_color="#15803d"
        )
        mine, theirs = work(Role.SCHEDULED, site="High Street 1"), work(company=cast.b, title="Not for A")
        page = sign_in(cast.alice).get("/jobs").text
        assert f"/jobs/J-{mine.number}" in page
        for words in ("Move the router", "High Street 1", "Planned", "<circle", public_key(WorkKind.JOB, "Planned")):
            assert words in page
        assert "Crew B" not in page
        assert f"J-{theirs.number}" not in page
        assert "Not for A" not in page

    def test_an_outage_delays_what_is_open_and_nothing_that_is_done(
        self, cast: Cast, world: World, outage_of: Outage, work: Book, sign_in: SignIn
    ) -> None:
        about = {"holding_id": world.holding_a.id, "starts_at": NOW, "ends_at": NOW + timedelta(hours=2)}
        going, done = work(Role.SCHEDULED, **about), work(Role.COMPLETED, title="Done before", **about)
        client = sign_in(cast.alice)
        assert "Delayed by an outage" not in client.get("/jobs").text
        outage_of(world.trunk)
        assert client.get("/jobs").text.count("Delayed by an outage") == 1
        assert "Delayed by an outage" in client.get(f"/jobs/J-{going.number}").text
        assert "Delayed by an outage" not in client.get(f"/jobs/J-{done.number}").text

    def test_what_staff_state_of_a_service_delays_the_work_on_it(
        self, cast: Cast, world: World, work: Book, sign_in: SignIn
    ) -> None:
        work(Role.SCHEDULED, holding_id=world.holding_a.id)
        client = sign_in(cast.alice)
        say(world.holding_a, ServiceStatus.DOWN)
        page = client.get("/jobs").text
        assert page.count("Delayed by an outage") == 1
        assert f'class="work-delayed" href="/services/{world.holding_a.id}"' in page
        for areas, count in (([Area.JOBS, Area.SERVICES], 1), ([Area.JOBS, Area.STATUS], 0)):
            domains.set_areas(cast.domain_a, areas, version=cast.domain_a.version, by=SYSTEM, now=NOW)
            events.commit()
            assert client.get("/jobs").text.count("Delayed by an outage") == count

    def test_what_does_not_work_is_said_where_work_is_asked_for(
        self, cast: Cast, world: World, sign_in: SignIn
    ) -> None:
        client = sign_in(cast.alice)
        assert "We know of this already" not in client.get("/jobs/new").text
        say(world.holding_a, ServiceStatus.DOWN, notes="The line is cut.")
        say(world.holding_b, ServiceStatus.DOWN, notes="CANARY")
        page = client.get("/jobs/new").text
        for words in ("We know of this already", "System is down", "The line is cut."):
            assert words in page
        assert "CANARY" not in page
        domains.set_areas(cast.domain_a, [Area.JOBS, Area.STATUS], version=cast.domain_a.version, by=SYSTEM, now=NOW)
        events.commit()
        assert "The line is cut." not in client.get("/jobs/new").text

    def test_quotes_are_diamonds_and_drafts_are_not_there(self, cast: Cast, work: Book, sign_in: SignIn) -> None:
        work(Role.REQUESTED, kind=WorkKind.QUOTE, title="Second line")
        work(Role.DRAFT, kind=WorkKind.QUOTE, title="Not priced yet")
        page = sign_in(cast.alice).get("/quotes").text
        assert "Second line" in page
        assert "Not priced yet" not in page
        assert "M8 1.2 14.8 8" in page

    def test_a_filter_joins_what_customers_read_as_one(self, cast: Cast, work: Book, sign_in: SignIn) -> None:
        changed(WorkKind.JOB, Role.ON_HOLD, showing=Showing.MAPPED, mapped_to_id=role(Role.SCHEDULED).id)
        work(Role.ON_HOLD, title="Waits for parts")
        work(Role.SCHEDULED, title="Is planned")
        work(Role.COMPLETED, title="Is done")
        client = sign_in(cast.alice)
        listed = public_page(WorkKind.JOB, cast.a.id, NOW.date())
        assert listed is not None
        assert [(each.badge.name, each.count) for each in listed.filters] == [("Scheduled", 2), ("Completed", 1)]
        page = client.get(f"/jobs?status={listed.filters[0].badge.key}").text
        assert [title in page for title in ("Waits for parts", "Is planned", "Is done")] == [True, True, False]
        assert "On hold" not in page
        assert "Nothing matches" in client.get("/jobs?status=nonsense").text

    def test_search_finds_titles_and_numbers(self, cast: Cast, work: Book, sign_in: SignIn) -> None:
        one, other = work(title="Fit the 100% socket"), work(title="Move the desk")
        client = sign_in(cast.alice)
        assert other.title not in client.get("/jobs?q=100%25").text
        assert one.title in client.get("/jobs?q=SOCKET").text
        found = client.get(f"/jobs?q=j-{other.number}").text
        assert other.title in found
        assert one.title not in found

    def test_what_waits_for_the_customer_stands_first(self, cast: Cast, work: Book, sign_in: SignIn) -> None:
        early = NOW - timedelta(days=30)
        today = clock.utcnow().date()
        work(Role.SENT, kind=WorkKind.QUOTE, title="Sign this", now=early, valid_until=today)
        work(Role.SENT, kind=WorkKind.QUOTE, title="Too late", now=early, valid_until=today - timedelta(days=2))
        work(Role.REQUESTED, kind=WorkKind.QUOTE, title="Just asked")
        for path in ("/quotes", "/"):
            page = sign_in(cast.alice).get(path).text
            assert page.index("Sign this") < page.index("Just asked") < page.index("Too late"), path
            assert page.count("tag-mine") == 1, path

    def test_pages_are_bounded_and_what_is_not_there_is_not_found(
        self, cast: Cast, work: Book, sign_in: SignIn
    ) -> None:
        for number in range(51):
            work(title=f"Job {number}")
        client = sign_in(cast.alice)
        assert client.get("/jobs").text.count("work-line") == 50
        assert client.get("/jobs?page=2").text.count("work-line") == 1
        for page in ("0", "3", "-1", "a", "", "9999999", "²"):
            assert client.get("/jobs", query_string={"page": page}).status_code == 404

    def test_however_many_there_are_the_queries_are_as_many(self, cast: Cast, work: Book, sign_in: SignIn) -> None:
        def asked(client: FlaskClient, path: str) -> int:
            client.get(path)
            with counted_queries() as statements:
                assert client.get(path).status_code == 200
            return len(statements)

        work(), work(Role.SENT, kind=WorkKind.QUOTE)
        client = sign_in(cast.alice)
        before = [asked(client, path) for path in ("/jobs", "/quotes", "/")]
        for _ in range(8):
            work(), work(Role.SENT, kind=WorkKind.QUOTE)
        assert [asked(client, path) for path in ("/jobs", "/quotes", "/")] == before

    def test_nothing_yet_says_what_this_is_for(self, cast: Cast, sign_in: SignIn) -> None:
        client = sign_in(cast.alice)
        assert "No jobs yet" in client.get("/jobs").text
        assert "No quotes yet" in client.get("/quotes").text


class TestOneItem:
    def test_it_tells_where_when_and_what_happened(self, cast: Cast, work: Book, sign_in: SignIn) -> None:
        cast.alice.time_zone = "Europe/Berlin"
        begins = datetime(2026, 12, 1, 8, 0, tzinfo=UTC)
        item = work(site="High Street 1", description="See https://example.org", starts_at=begins)
        move_to(item, Role.SCHEDULED)
        page = sign_in(cast.alice).get(f"/jobs/J-{item.number}").text
        assert "9:00" in page, "in the reader's zone"
        for words in ("High Street 1", 'href="https://example.org"', "Requested", "Scheduled"):
            assert words in page
        assert page.index("Scheduled", page.index("What happened")) < page.index(
            "Requested", page.index("What happened")
        )

    def test_hidden_moves_leave_no_trace(self, cast: Cast, work: Book, sign_in: SignIn) -> None:
        changed(WorkKind.JOB, Role.ON_HOLD, name="Client is difficult", showing=Showing.HIDDEN)
        item = work(Role.SCHEDULED, now=NOW - timedelta(days=3))
        client = sign_in(cast.alice)
        path = f"/jobs/J-{item.number}"
        part = {"HX-Request": "true"}
        client.get(path)
        before = client.get(path, headers=part)
        move_to(item, Role.ON_HOLD)
        after = client.get(path, headers={**part, "If-None-Match": before.headers["ETag"]})
        assert after.status_code == 304, "neither words nor dates have changed, and the ETag knows of nothing else"

    def test_foreign_hidden_and_missing_look_the_same(self, cast: Cast, work: Book, sign_in: SignIn) -> None:
        changed(WorkKind.JOB, Role.ON_HOLD, showing=Showing.ITEM_HIDDEN)
        foreign, hidden = work(company=cast.b), work(Role.ON_HOLD)
        quote = work(kind=WorkKind.QUOTE)
        client = sign_in(cast.alice)
        client.get("/jobs")
        missing = client.get("/jobs/J-999999")
        assert missing.status_code == 404
        for number in (f"J-{foreign.number}", f"J-{hidden.number}", f"Q-{quote.number}", "J-012", "j-12", "J-X"):
            answer = client.get(f"/jobs/{number}")
            assert answer.status_code == 404, number
            assert masked(answer).replace(number, "") == masked(missing).replace("J-999999", ""), number

    def test_an_area_that_is_off_is_not_there(self, cast: Cast, work: Book, sign_in: SignIn) -> None:
        item = work()
        open_only(cast, set(Area) - {Area.JOBS})
        client = sign_in(cast.alice)
        for path in ("/jobs", f"/jobs/J-{item.number}", "/your-jobs"):
            assert client.get(path).status_code == 404, path
        assert "your-jobs" not in client.get("/").text

    def test_without_messages_there_is_no_conversation(self, cast: Cast, work: Book, sign_in: SignIn) -> None:
        item = work()
        client = sign_in(cast.alice)
        assert 'id="conversation"' in client.get(f"/jobs/J-{item.number}").text
        open_only(cast, set(Area) - {Area.MESSAGES})
        assert 'id="conversation"' not in client.get(f"/jobs/J-{item.number}").text

    def test_the_page_hears_of_the_item_and_may(self, cast: Cast, work: Book, sign_in: SignIn) -> None:
        item, foreign = work(), work(company=cast.b)
        client = sign_in(cast.alice)
        assert f"item:job:J-{item.number}" in client.get(f"/jobs/J-{item.number}").text
        wanted = [f"item:job:J-{each.number}" for each in (item, foreign)]
        token = client.get("/live-token", query_string={"topic": wanted}).get_json()["url"]
        heard = read_token(
            client.application.config["SETTINGS"], token.partition("token=")[2], clock.utcnow().timestamp()
        )
        assert heard is not None
        assert wanted[0] in heard.topics
        assert wanted[1] not in heard.topics
        assert events.company_topic(cast.a.id) in heard.topics


def open_only(cast: Cast, areas: set[Area]) -> None:
    domains.set_areas(cast.domain_a, areas, version=cast.domain_a.version, by=SYSTEM, now=NOW)
    events.commit()
