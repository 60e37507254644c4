"""The page script in a real browser: bells, hidden pages, a hub that goes and comes back, the end of a session."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import pytest

from portal import clock, events
from portal.accounts import actions as accounts
from portal.audit.rules import SYSTEM
from portal.catalogue import actions as catalogue
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.incidents import actions as incidents
from portal.incidents.rules import Severity, State
from tests.support.processes import wait_until
from tests.support.product import Portal
from tests.support.visitor import Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Request, Route

pytestmark = [pytest.mark.browser, pytest.mark.processes]

HOST = "a.portal.test"


class House:
    """A running portal with one company, its person's cookie, and the requests of the page that is open."""

    def __init__(self, portal: Portal) -> None:
        self.portal = portal
        now = clock.utcnow()
        with portal.database():
            domain = domains.add_domain(portal.address(HOST), "Northline", areas=set(Area), by=SYSTEM, now=now)
            company = accounts.add_company("Alder Dental", by=SYSTEM, now=now)
            domains.admit(company, domain, is_home=True, by=SYSTEM, now=now)
            person = accounts.add_person("Alice", "alice@people.test", by=SYSTEM, now=now)
            accounts.add_membership(person, company, by=SYSTEM, now=now)
            self.component = catalogue.add_component("Voice core", by=SYSTEM, now=now).id
            self.cookie = accounts.open_session(person, company.id, HOST, ip="127.0.0.1", user_agent="test", now=now)
            events.commit()

    def publish(self, title: str) -> None:
        with self.portal.database():
            incidents.publish(
                title,
                State.INVESTIGATING,
                "Calls fail.",
                {self.component: Severity.MAJOR_OUTAGE},
                notify=False,
                by=SYSTEM,
                author_id=None,
                now=clock.utcnow(),
                idempotency_key=title,
            )
            events.commit()

    def end_session(self) -> None:
        with self.portal.database():
            accounts.end_session(1, by=SYSTEM, now=clock.utcnow())
            events.commit()

    def clients(self) -> int:
        """Streams the hub holds; none while there is no hub."""
        try:
            health = Visitor(self.portal.live_port, HOST).get("/healthz").text
        except ConnectionError:
            return 0
        return int(health.rpartition('"clients": ')[2].rstrip("}"))


@pytest.fixture
def house(product: Portal) -> House:
    return House(product)


@pytest.fixture
def context(browser: "Browser", house: House) -> "Iterator[BrowserContext]":
    opened = browser.new_context(base_url=house.portal.address(HOST))
    opened.add_cookies([{"name": "sid", "value": house.cookie, "domain": HOST, "path": "/"}])
    yield opened
    opened.close()


@pytest.fixture
def page(context: "BrowserContext", house: House) -> "Page":
    """Alice's home, open and listening."""
    page = context.new_page()
    page.goto("/")
    wait_until(lambda: house.clients() == 1, 10, "the page's stream")
    return page


def test_a_bell_changes_the_page_without_a_reload(page: "Page", house: House) -> None:
    asked: list[Request] = []

    def hear(request: "Request") -> None:
        asked.append(request)

    page.on("request", hear)
    page.evaluate("window.same = true")
    house.publish("No dial tone")
    page.get_by_text("No dial tone").first.wait_for(timeout=4_000)
    assert page.evaluate("window.same") is True
    banner = next(each for each in asked if each.url.endswith("/banner"))
    assert banner.headers["x-background"] == "1"
    assert banner.headers["hx-request"] == "true"
    assert not [each for each in asked if each.resource_type == "document"]


def test_what_has_changed_is_marked_once(page: "Page", house: House) -> None:
    house.publish("No dial tone")
    fresh = page.locator(".is-fresh")
    fresh.first.wait_for(timeout=4_000)
    assert "No dial tone" in (fresh.first.text_content() or "")
    fresh.first.wait_for(state="detached", timeout=4_000)


def test_the_signed_out_page_is_live_too(browser: "Browser", house: House) -> None:
    visitor = browser.new_context(base_url=house.portal.address(HOST)).new_page()
    visitor.goto("/status")
    wait_until(lambda: house.clients() == 1, 10, "the page's stream")
    house.publish("No dial tone")
    visitor.get_by_text("No dial tone").first.wait_for(timeout=4_000)
    visitor.context.close()


def test_the_end_of_the_session_leads_to_sign_in(page: "Page", house: House) -> None:
    house.end_session()
    page.wait_for_url("**/sign-in**", timeout=6_000)


def test_a_hub_that_was_killed_is_found_again_and_nothing_is_missed(page: "Page", house: House) -> None:
    old = house.portal.kill_process("live")
    house.publish("While it was away")
    house.portal.wait_for_restart("live", old)
    page.get_by_text("While it was away").first.wait_for(timeout=20_000)
    wait_until(lambda: house.clients() == 1, 20, "the page's new stream")
    house.publish("After it came back")
    page.get_by_text("After it came back").first.wait_for(timeout=4_000)


def test_without_a_hub_the_page_polls(context: "BrowserContext", house: House) -> None:
    page = context.new_page()
    page.route("**/live-token", lambda route: route.fulfill(status=503))
    page.clock.install()
    page.goto("/")
    house.publish("No dial tone")
    time.sleep(0.5)
    assert page.get_by_text("No dial tone").count() == 0
    page.clock.run_for(20_000)
    page.get_by_text("No dial tone").first.wait_for(timeout=4_000)


def heard(page: "Page", calls: list[str]) -> bool:
    """Whether there were any; the page's events come in while it is waited for."""
    page.wait_for_timeout(50)
    return bool(calls)


@pytest.mark.parametrize("trouble", ["refused", "unreached"])
def test_a_part_that_could_not_be_fetched_stays_and_is_fetched_again(
    page: "Page", house: House, trouble: Literal["refused", "unreached"]
) -> None:
    """A database that starts again, a proxy without a process behind it, a train in a tunnel."""
    missed: list[str] = []

    def fail(route: "Route") -> None:
        missed.append(route.request.url)
        if trouble == "refused":
            route.fulfill(status=503, content_type="text/html", body="<section id=error><h1>Busy</h1></section>")
        else:
            route.abort()

    before = page.locator("#main").inner_text()
    page.route("**/*", lambda route: fail(route) if "hx-request" in route.request.headers else route.fallback())
    house.publish("No dial tone")
    wait_until(lambda: heard(page, missed), 10, "a part of the page that is asked for")
    page.unroute_all()
    assert page.locator("#main").inner_text() == before
    assert page.get_by_text("Busy").count() == 0
    page.get_by_text("No dial tone").first.wait_for(timeout=40_000)


def test_the_policy_of_the_page_names_the_hub_and_no_other_host(house: House) -> None:
    policy = Visitor(house.portal.port, HOST).get("/status").headers["content-security-policy"]
    assert f"connect-src 'self' http://{HOST}:{house.portal.live_port};" in policy
