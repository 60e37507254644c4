"""The service status dashboard and what is behind its numbers: counted right, in a fixed number of queries."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from portal import clock, events
from portal.accounts.models import Company
from portal.audit.rules import SYSTEM
from portal.catalogue.models import Holding, Service
from portal.extensions import db
from portal.incidents.rules import Severity
from portal.notifications.models import Broadcast, Delivery
from portal.notifications.rules import BroadcastState, DeliveryState
from portal.services import actions
from portal.services.actions.settings import change_settings
from portal.services.models import ServiceUpdate, UpdateBroadcast
from portal.services.queries import dashboard as found
from portal.services.rules import Scope, ServiceStatus, Wanted
from tests.conftest import Cast, SignIn, counted_queries
from tests.customer.outages import Outage
from tests.incidents.conftest import World

LIST = "/admin/services"
DOWN, INTERMITTENT, SCHEDULED, NORMAL = reversed(ServiceStatus)

State = Callable[..., ServiceUpdate]


@pytest.fixture
def state(cast: Cast) -> State:
    """State this of these holdings, as Ada would, without mail; `ago` hours earlier."""
    count = iter(range(1000))

    def do(*holdings: Holding, status: ServiceStatus = DOWN, ago: float = 0, **said: Any) -> ServiceUpdate:
        now = clock.utcnow() - timedelta(hours=ago)
        made = actions.set_status(
            [each.id for each in holdings],
            Wanted(status, notify=False, **{"notes": "We are on it.", **said}),
            scope=Scope.CHOSEN,
            chosen={},
            by=SYSTEM,
            author_id=cast.ada.id,
            now=now,
            idempotency_key=f"test-{next(count)}",
        )
        events.commit()
        return made

    return do


def counts(service: Service) -> dict[ServiceStatus, int]:
    return {status: n for status, n in found.problems_by_service(clock.utcnow())[service.id].items() if n}


def hold(company: Company, service: Service, reference: str = "") -> Holding:
    held = Holding(
        company_id=company.id, service_id=service.id, reference=reference, valid_from=clock.utcnow() - timedelta(days=9)
    )
    db.session.add(held)
    db.session.commit()
    return held


class TestCounts:
    """How many holdings of a service are how."""

    def test_without_trouble_all_are_normal(self, cast: Cast, world: World) -> None:
        assert counts(world.telephony) == {NORMAL: 1}

    def test_stated_planned_and_broken_each_count_and_the_worst_shows(
        self, cast: Cast, world: World, state: State, outage_of: Outage
    ) -> None:
        second, third = hold(cast.a, world.telephony, "ACC-2"), hold(cast.b, world.telephony, "ACC-3")
        hold(cast.b, world.telephony, "ACC-4")
        state(second, status=INTERMITTENT)
        now = clock.utcnow()
        window = {"starts_at": now + timedelta(days=3), "ends_at": now + timedelta(days=3, hours=2)}
        state(second, third, status=SCHEDULED, **window)
        assert counts(world.telephony) == {NORMAL: 2, SCHEDULED: 1, INTERMITTENT: 1}
        # A's circuit depends on the exchange by itself.
        outage_of(world.exchange)
        assert counts(world.telephony) == {NORMAL: 1, SCHEDULED: 1, INTERMITTENT: 1, DOWN: 1}
        outage_of(world.trunk, title="Trunk slow", severity=Severity.PERFORMANCE_ISSUE)
        assert counts(world.telephony) == {INTERMITTENT: 3, DOWN: 1}
        assert counts(world.internet) == {NORMAL: 1}

    def test_what_is_no_longer_held_counts_nowhere(self, cast: Cast, world: World, state: State) -> None:
        ended = hold(cast.b, world.telephony)
        state(ended)
        ended.valid_to = clock.utcnow()
        db.session.commit()
        assert counts(world.telephony) == {NORMAL: 1}

    def test_companies_are_counted_once_and_planned_work_is_no_problem(
        self, cast: Cast, world: World, state: State, outage_of: Outage
    ) -> None:
        def affected() -> int:
            now = clock.utcnow()
            return found.companies_affected(now, found.breakage(now))

        second = hold(cast.a, world.internet)
        now = clock.utcnow()
        state(world.holding_b, status=SCHEDULED, starts_at=now, ends_at=now + timedelta(hours=1))
        assert affected() == 0
        state(world.holding_a, second, status=INTERMITTENT)
        assert affected() == 1
        outage_of(world.fibre)
        assert affected() == 2

    def test_forgotten_is_what_nothing_was_said_of_for_three_hours(
        self, cast: Cast, world: World, state: State
    ) -> None:
        state(world.holding_a, ago=2.9)
        assert found.forgotten_by_service(clock.utcnow()) == {}
        state(world.holding_b, ago=7)
        (service_id, each), *rest = found.forgotten_by_service(clock.utcnow()).items()
        assert (service_id, each.holdings, rest) == (world.internet.id, 1, [])
        state(world.holding_b, notes="Still down. We are waiting for a part.")
        assert found.forgotten_by_service(clock.utcnow()) == {}

    def test_the_oldest_problem_is_the_one_that_began_first(self, cast: Cast, world: World, state: State) -> None:
        assert found.oldest_problem(clock.utcnow()) is None
        state(world.holding_a, ago=1)
        state(world.holding_b, status=INTERMITTENT, ago=1, began_at=clock.utcnow() - timedelta(hours=30))
        oldest = found.oldest_problem(clock.utcnow())
        assert oldest is not None
        assert (oldest.service_id, oldest.status) == (world.internet.id, INTERMITTENT)


def rows_of(page: str) -> list[str]:
    """The services of the matrix in their order, each as its words."""
    rows = re.findall(r'<tr id="service-\d+">(.*?)</tr>', page, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in rows]


class TestDashboard:
    """What stands on it."""

    def test_the_worst_is_on_top_and_numbers_lead_to_whose_they_are(
        self, cast: Cast, world: World, state: State, sign_in: SignIn
    ) -> None:
        state(world.holding_b, ago=7.1)
        client = sign_in(cast.ada)
        page = client.get(LIST).get_data(as_text=True)
        first, second = rows_of(page)
        assert first.startswith("Internet access nothing said for 7 hours 1 system is down")
        assert second.startswith("Hosted telephony")
        link = f"{LIST}/{world.internet.id}?status=system_is_down"
        assert f'href="{link}"' in page
        answer = client.get(link)
        assert answer.status == "200 OK"
        held = answer.text
        assert "Birch Logistics" in held
        assert "We are on it." in held
        assert "Birch Logistics" not in client.get(f"{LIST}/{world.internet.id}?status=operating_normally").text

    def test_it_is_searched_narrowed_and_says_when_nothing_is_found(
        self, cast: Cast, world: World, sign_in: SignIn
    ) -> None:
        world.telephony.category, world.internet.category = "Communications", "Network"
        db.session.commit()
        client = sign_in(cast.ada)
        assert len(rows_of(client.get(f"{LIST}?q=teleph").text)) == 1
        assert len(rows_of(client.get(f"{LIST}?category=Network").text)) == 1
        nothing = client.get(f"{LIST}?q=zzz").text
        assert rows_of(nothing) == []
        assert "No service with “zzz”" in nothing
        assert client.get(f"{LIST}?page=2").status_code == 404

    def test_an_empty_catalogue_says_what_this_is_for(self, cast: Cast, sign_in: SignIn) -> None:
        assert "No services yet" in sign_in(cast.ada).get(LIST).text

    def test_the_form_opens_beside_it_or_on_its_own_page(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        client = sign_in(cast.ada)
        page = client.get(LIST).text
        assert f'hx-get="{LIST}/{world.telephony.id}/set"' in page
        assert 'id="beside"' in page
        answer = client.get(f"{LIST}/choose?service={world.telephony.id}")
        assert (answer.status_code, answer.location) == (303, f"{LIST}/{world.telephony.id}/set")
        assert client.get(f"{LIST}/choose?service=0").status_code == 404
        assert client.get(f"{LIST}/choose?service=x").status_code == 404

    def test_whoever_may_not_set_a_status_sees_it_and_no_button(
        self, cast: Cast, world: World, state: State, sign_in: SignIn
    ) -> None:
        state(world.holding_b)
        client = sign_in(cast.olaf)
        page = client.get(LIST).text
        assert len(rows_of(page)) == 2
        assert '/set"' not in page
        assert client.get(f"{LIST}/choose?service={world.telephony.id}").status_code == 403

    def test_it_is_rung_by_what_staff_hear_and_unchanged_is_answered_304(
        self, cast: Cast, world: World, sign_in: SignIn
    ) -> None:
        client = sign_in(cast.ada)
        answer = client.get(LIST, headers={"HX-Request": "true"})
        assert 'id="dashboard" data-live="staff"' in answer.text
        again = client.get(LIST, headers={"HX-Request": "true", "If-None-Match": answer.headers["ETag"]})
        assert again.status_code in {304, 200}

    def test_the_address_of_a_service_that_is_none_and_bad_filters_are_not_found(
        self, cast: Cast, world: World, sign_in: SignIn
    ) -> None:
        client = sign_in(cast.ada)
        for bad in (
            "/999999",
            f"/{world.telephony.id}?status=purple",
            f"/{world.telephony.id}?page=9",
            "/999999/history",
        ):
            assert client.get(LIST + bad).status_code == 404, bad

    def test_queries_do_not_grow_with_services_and_holdings(
        self, cast: Cast, world: World, state: State, sign_in: SignIn
    ) -> None:
        state(world.holding_a, ago=5)
        now = clock.utcnow()
        state(world.holding_b, status=SCHEDULED, starts_at=now + timedelta(hours=1), ends_at=now + timedelta(hours=2))
        client = sign_in(cast.ada)
        client.get(LIST)

        def queries(path: str) -> int:
            with counted_queries() as statements:
                assert client.get(path).status_code == 200
            return len(statements)

        few = {path: queries(path) for path in (LIST, f"{LIST}/{world.telephony.id}", f"{LIST}/companies/{cast.a.id}")}
        many(cast, world, state)
        for path, count in few.items():
            assert queries(path) <= count, path
        # The page of one service counts its uptime from what broke below it and from all who hold it.
        assert max(few.values()) <= 47


def many(cast: Cast, world: World, state: State) -> None:
    """A hundred services, each held by both companies, and a hundred holdings of telephony with a problem each."""
    now = clock.utcnow()
    db.session.execute(
        insert(Service),
        [
            {"name": f"Service {n}", "name_key": f"service {n}", "category": "", "position": n, "created_at": now}
            for n in range(100)
        ],
    )
    ids = [each.id for each in db.session.query(Service).filter(Service.name.like("Service %"))]
    since = now - timedelta(days=9)
    db.session.execute(
        insert(Holding),
        [
            {"company_id": company.id, "service_id": service_id, "reference": f"R{n}", "valid_from": since}
            for n, service_id in enumerate([*ids, *[world.telephony.id] * 100])
            for company in (cast.a, cast.b)
        ],
    )
    db.session.commit()
    state(*db.session.query(Holding).filter(Holding.service_id == world.telephony.id), status=INTERMITTENT)
    for each in db.session.query(Holding).filter(Holding.service_id.in_(ids[:10])):
        state(each, ago=4)


class TestHistories:
    """What was set, by whom, when and with which notes."""

    def test_of_a_service_a_company_and_a_holding(
        self, cast: Cast, world: World, state: State, sign_in: SignIn
    ) -> None:
        state(world.holding_a, ago=5, ticket="T-77", notes="The **core** switch is down.")
        state(world.holding_a, status=NORMAL, notes="All is well again.")
        client = sign_in(cast.ada)
        for path in (
            f"{LIST}/{world.telephony.id}/history",
            f"{LIST}/companies/{cast.a.id}?list=history",
            f"{LIST}/holdings/{world.holding_a.id}",
        ):
            page = client.get(path).text
            assert page.index("All is well again.") < page.index("<strong>core</strong>"), path
            assert all(each in page for each in ("ticket T-77", "Ada", "not mailed")), path
        assert "was system is down" in client.get(f"{LIST}/holdings/{world.holding_a.id}").text
        assert "All is well again." not in client.get(f"{LIST}/{world.internet.id}/history").text

    def test_a_company_at_a_glance(self, cast: Cast, world: World, state: State, sign_in: SignIn) -> None:
        state(world.holding_a)
        page = sign_in(cast.ada).get(f"{LIST}/companies/{cast.a.id}").text
        assert "Hosted telephony" in page
        assert "System is down" in page
        assert "Internet access" not in page
        assert "Uptime is of 90 days" in page

    def test_uptime_is_shown_with_its_rule(self, cast: Cast, world: World, state: State, sign_in: SignIn) -> None:
        state(world.holding_a, ago=48, began_at=clock.utcnow() - timedelta(hours=48))
        page = sign_in(cast.ada).get(f"{LIST}/holdings/{world.holding_a.id}").text
        assert "97.7" in page
        assert "The time it was down counts in full, the time it was partly down for 30 %" in page

    def test_what_is_no_longer_held_keeps_its_history(
        self, cast: Cast, world: World, state: State, sign_in: SignIn
    ) -> None:
        state(world.holding_a, ago=2)
        world.holding_a.valid_to = clock.utcnow()
        db.session.commit()
        page = sign_in(cast.ada).get(f"{LIST}/holdings/{world.holding_a.id}").text
        assert "No longer held" in page
        assert "We are on it." in page

    def test_office_reads_them_too(self, cast: Cast, world: World, sign_in: SignIn) -> None:
        client = sign_in(cast.olaf)
        assert client.get(f"{LIST}/companies/{cast.a.id}").status_code == 200
        assert client.get(f"{LIST}/holdings/{world.holding_a.id}").status_code == 200
        assert client.get(f"{LIST}/companies/999999").status_code == 404
        assert client.get(f"{LIST}/holdings/999999").status_code == 404


class TestTimeliness:
    """What was told late, and why; the targets are those of the settings."""

    def test_missed_ones_are_listed_with_why(self, cast: Cast, world: World, state: State, sign_in: SignIn) -> None:
        mailed(state(world.holding_a, began_at=clock.utcnow() - timedelta(minutes=42)), world.telephony)
        mailed(state(world.holding_b), world.internet)
        client = sign_in(cast.ada)
        page = client.get(f"{LIST}/timeliness").text
        (missed,) = told_rows(page)
        assert missed.startswith("Hosted telephony System is down")
        assert "Missed It was set 42 min after it began." in missed
        assert len(told_rows(client.get(f"{LIST}/timeliness?show=all").text)) == 2
        assert told_rows(client.get(f"{LIST}/timeliness?service={world.internet.id}").text) == []
        assert len(told_rows(client.get(f"{LIST}/timeliness?service={world.telephony.id}&days=90").text)) == 1

    def test_the_figure_of_a_service_stands_on_the_dashboard(
        self, cast: Cast, world: World, state: State, sign_in: SignIn
    ) -> None:
        mailed(state(world.holding_a, began_at=clock.utcnow() - timedelta(minutes=42)), world.telephony)
        mailed(state(world.holding_b), world.internet)
        client = sign_in(cast.ada)
        figures = {row.split(" ", 1)[0]: row for row in rows_of(client.get(LIST).text)}
        assert "0 % 42 min" in figures["Hosted"]
        assert "100 % 30 s" in figures["Internet"]

    def test_an_edited_target_counts_at_once(self, cast: Cast, world: World, state: State, sign_in: SignIn) -> None:
        mailed(state(world.holding_a, began_at=clock.utcnow() - timedelta(minutes=42)), world.telephony)
        client = sign_in(cast.ada)
        assert len(told_rows(client.get(f"{LIST}/timeliness").text)) == 1
        change_settings(
            digest_over=3,
            reminder=timedelta(hours=24),
            targets={DOWN: timedelta(hours=1)},
            version=0,
            by=SYSTEM,
            now=clock.utcnow(),
        )
        events.commit()
        assert told_rows(client.get(f"{LIST}/timeliness").text) == []

    def test_nothing_told_yet_says_what_this_is_for_and_bad_filters_are_not_found(
        self, cast: Cast, world: World, sign_in: SignIn
    ) -> None:
        client = sign_in(cast.olaf)
        assert "Nothing was told yet" in client.get(f"{LIST}/timeliness").text
        for bad in ("days=7", "show=x", "service=999999", "service=-1", "page=2", "page=x", "days=x"):
            expected = 200 if bad == "days=x" else 404
            assert client.get(f"{LIST}/timeliness?{bad}").status_code == expected, bad

    def test_queries_do_not_grow_with_updates(self, cast: Cast, world: World, state: State, sign_in: SignIn) -> None:
        mailed(state(world.holding_a), world.telephony)
        client = sign_in(cast.ada)
        client.get(f"{LIST}/timeliness?show=all")

        def queries() -> int:
            with counted_queries() as statements:
                assert client.get(f"{LIST}/timeliness?show=all").status_code == 200
            return len(statements)

        few = queries()
        for number in range(100):
            mailed(state(world.holding_a, status=(INTERMITTENT, DOWN)[number % 2]), world.telephony)
        assert queries() <= few
        assert len(told_rows(client.get(f"{LIST}/timeliness?show=all&page=3").text)) == 1


def told_rows(page: str) -> list[str]:
    rows = re.findall(r'<tr id="told-[^"]+">(.*?)</tr>', page, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in rows]


def mailed(made: ServiceUpdate, service: Service) -> None:
    """As if one mail about it had left half a minute after it was set."""
    at = made.created_at + timedelta(seconds=30)
    key = f"mailed-{made.id}"
    broadcast = Broadcast(
        idempotency_key=key,
        kind="service_status",
        title="Status",
        selector={},
        content={},
        thread_key=key,
        topic="services",
        state=BroadcastState.DONE,
        expires_at=at + timedelta(days=1),
        created_at=at,
    )
    db.session.add(broadcast)
    db.session.flush()
    db.session.add_all(
        [
            UpdateBroadcast(update_id=made.id, service_id=service.id, broadcast_id=broadcast.id),
            Delivery(
                broadcast_id=broadcast.id,
                dedupe_key=key,
                message_id=f"<{key}@portal.test>",
                address="alice@people.test",
                address_key="alice@people.test",
                state=DeliveryState.SENT,
                finished_at=at,
                next_attempt_at=at,
                created_at=at,
            ),
        ]
    )
    events.commit()


def test_who_was_told_stands_on_their_page(cast: Cast, world: World, state: State, sign_in: SignIn) -> None:
    mailed(state(world.holding_a), world.telephony)
    page = sign_in(cast.ada).get(f"/admin/people/{cast.alice.id}").text
    told = page[page.index('id="service-mails"') :]
    assert "Hosted telephony" in told
    assert "System is down" in told
    assert 'id="service-mails"' not in sign_in(cast.ada).get(f"/admin/people/{cast.bob.id}").text
