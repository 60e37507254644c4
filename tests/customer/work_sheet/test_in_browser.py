"""Badges in a real browser: an open page follows a new colour, and whoever sees no colours reads them all the same."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from portal import clock, events
from portal.accounts import actions as accounts
from portal.audit.rules import SYSTEM
from portal.brand import contrast
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.jobs import actions, queries
from portal.jobs.rules import Role, WorkKind
from tests.story.conftest import violations
from tests.support.product import Portal

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Request, Route

pytestmark = [pytest.mark.browser, pytest.mark.processes]

HOST = "a.portal.test"
BEFORE, AFTER = "#7c4ddb", "#f2b01e"
LONG = "Waiting until the landlord of the building has let us in!"
SOON = 10_000

LOOK = """(badge) => {
  const { backgroundColor, color, borderTopWidth } = getComputedStyle(badge);
  const hex = (text) => '#' + text.match(/\\d+/g).slice(0, 3).map((n) => (+n).toString(16).padStart(2, '0')).join('');
  return { ground: hex(backgroundColor), ink: hex(color), border: borderTopWidth, painted: backgroundColor };
}"""


class House:
    """A running portal with one company that has a job and a quote, both requested, and its person's cookie."""

    def __init__(self, portal: Portal) -> None:
        self.portal = portal
        now = clock.utcnow()
        with portal.database():
            domain = domains.add_domain(portal.address(HOST), "Northline", areas=set(Area), by=SYSTEM, now=now)
            company = accounts.add_company("Alder Dental", by=SYSTEM, now=now)
            domains.admit(company, domain, is_home=True, by=SYSTEM, now=now)
            person = accounts.add_person("Alice", "alice@people.test", by=SYSTEM, now=now)
            accounts.add_membership(person, company, by=SYSTEM, now=now)
            for kind in WorkKind:
                actions.create_item(kind, f"The {kind.value} of Alice", company_id=company.id, by=SYSTEM, now=now)
            self.cookie = accounts.open_session(person, company.id, HOST, ip="127.0.0.1", user_agent="test", now=now)
            events.commit()
        self.save(portal_color=BEFORE)

    def save(self, kind: WorkKind = WorkKind.JOB, **values: Any) -> None:
        """The office saves something else of what is requested."""
        with self.portal.database():
            present = queries.settings_of(kind)
            rows = [replace(row, **values) if row.role is Role.REQUESTED else row for row in present.table.rows]
            actions.save_table(kind, rows, version=present.version, by=SYSTEM, now=clock.utcnow())
            events.commit()


@pytest.fixture
def house(product: Portal) -> House:
    return House(product)


@pytest.fixture
def context(browser: "Browser", house: House) -> "Iterator[BrowserContext]":
    opened = browser.new_context(base_url=house.portal.address(HOST))
    opened.add_cookies([{"name": "sid", "value": house.cookie, "domain": HOST, "path": "/"}])
    yield opened
    opened.close()


def opened(context: "BrowserContext", path: str) -> "Page":
    """A page with its colours, listening."""
    page = context.new_page()
    with page.expect_response("**/live-token*"):
        page.goto(path)
    page.evaluate("window.same = true")
    return page


def look(page: "Page", name: str = "Requested") -> dict[str, str]:
    badge = page.locator(".work-badge", has_text=name).last
    found: dict[str, str] = badge.evaluate(LOOK)
    return found


def wait_for_ground(page: "Page", colour: str) -> str:
    """Wait until a badge of the page has this ground; the ink that stands on it then."""
    numbers = ", ".join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5))
    found = page.wait_for_function(
        """(wanted) => [...document.querySelectorAll(".work-badge")].map((badge) => getComputedStyle(badge))
          .find((style) => style.backgroundColor === wanted)?.color""",
        arg=f"rgb({numbers})",
        timeout=SOON,
    )
    return str(found.json_value())


def test_open_pages_follow_a_new_colour_without_a_reload(context: "BrowserContext", house: House) -> None:
    pages = [opened(context, path) for path in ("/jobs", "/jobs/J-1001", "/", "/quotes")]
    asked: list[Request] = []

    def hear(request: "Request") -> None:
        asked.append(request)

    for page in pages:
        page.on("request", hear)
        assert look(page)["ink"] == "#ffffff"
    house.save(name="Written by the office", color="#123456", is_mailed=False)
    house.save(portal_color=AFTER)
    for page in pages[:3]:
        assert wait_for_ground(page, AFTER) == "rgb(0, 0, 0)"
        assert page.evaluate("window.same") is True
    sheets = {request.url for request in asked if "/badges/" in request.url}
    assert len(sheets) == 1, "what is saved inside makes no new sheet for customers"
    assert not [request for request in asked if request.resource_type == "document"]
    assert look(pages[3])["ground"] != AFTER
    house.save(WorkKind.QUOTE, portal_color=AFTER)
    wait_for_ground(pages[3], AFTER)


def test_the_old_colour_stays_until_the_new_one_is_there(context: "BrowserContext", house: House) -> None:
    page = opened(context, "/jobs")
    held: list[Route] = []

    def hold(route: "Route") -> None:
        held.append(route)

    page.route("**/badges/*.css", hold)
    house.save(portal_color=AFTER)
    with page.expect_request("**/badges/*.css", timeout=SOON):
        pass
    page.wait_for_timeout(300)
    assert look(page)["ground"] == BEFORE
    for route in held:
        route.continue_()
    wait_for_ground(page, AFTER)


def test_badges_are_read_in_every_scheme_and_by_whoever_sees_no_colours(
    context: "BrowserContext", house: House
) -> None:
    house.save(portal_name=LONG, portal_color="#fefefe")
    page = opened(context, "/jobs")
    for size in ({"width": 390, "height": 844}, {"width": 1280, "height": 900}):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        for path in ("/", "/jobs", "/jobs/J-1001", "/quotes/Q-1001"):
            page.goto(path)
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                assert not violations(page)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.goto("/jobs")
    word = page.locator(".line .work-word")
    assert word.evaluate("(word) => word.scrollWidth <= word.clientWidth + 1")
    page.emulate_media(color_scheme="light", media="print")
    printed = look(page, LONG)
    assert printed["painted"] == "rgba(0, 0, 0, 0)"
    assert contrast(printed["ink"], "#ffffff") > 7
    assert printed["border"] == "1px"
    page.emulate_media(media="screen", forced_colors="active")
    forced = look(page, LONG)
    assert contrast(forced["ink"], forced["ground"]) > 7
    assert forced["border"] == "1px"


def test_a_first_home_with_work_asks_for_little(context: "BrowserContext", house: House) -> None:
    """DESIGN section 9, target 6: at most eight requests, though its badges have a sheet of their own."""
    page = context.new_page()
    asked: list[str] = []

    def hear(told: dict[str, Any]) -> None:
        # The hub repeats the bells of the last seconds, so that parts may ask again: that is no first render.
        if "HX-Request" not in told["request"]["headers"]:
            asked.append(told["request"]["url"])

    wire = context.new_cdp_session(page)
    wire.send("Network.enable")
    wire.on("Network.requestWillBeSent", hear)
    with page.expect_request("**/live?*"):
        page.goto("/")
    page.wait_for_load_state("load")
    assert page.locator("link[href*='/badges/']").count() == 2
    assert len(asked) <= 8, asked
