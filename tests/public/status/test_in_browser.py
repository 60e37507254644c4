"""Public pages and the screens behind them in a real browser: axe agrees in both looks, nothing scrolls sideways."""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal import events
from portal.audit.rules import SYSTEM
from portal.catalogue import actions as catalogue
from portal.catalogue.rules.folding import Fold
from portal.domains.announcements.actions import announce
from portal.domains.announcements.models import Announcement
from portal.incidents.rules import Severity, State
from tests.api.v2.conftest import StatusPage, plan, publish
from tests.conftest import NOW, STAFF_HOST, Cast, SignIn, client_on
from tests.story.conftest import DESKTOP, PHONE, violations
from tests.story.test_every_page import overflow
from tests.support.browser import answered_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("at")]
A = "a.portal.test"
CUT = """() => [...document.querySelectorAll("main *")].filter((each) => {
  const { overflowX, overflowY } = getComputedStyle(each);
  return each.clientWidth > 1 && ((overflowX !== "visible" && each.scrollWidth > each.clientWidth + 1)
    || (overflowY !== "visible" && each.scrollHeight > each.clientHeight + 1));
}).map((each) => each.outerHTML.slice(0, 120))"""
"""What runs out of a box that hides or scrolls it, but for what only a voice reads."""
LOOKS: list[dict[str, Any]] = [
    {"viewport": DESKTOP, "color_scheme": "light"},
    {"viewport": PHONE, "color_scheme": "dark"},
]


@pytest.fixture
def told(cast: Cast, status_page: StatusPage) -> Announcement:
    """A busy page: two announcements, a folded group, an incident, work ahead, and something that is over."""
    group = status_page.group
    catalogue.edit_group(group, group.name, fold=Fold.FOLDED, version=group.version, by=SYSTEM, now=NOW)
    publish("No dial tone", {status_page.core.id: Severity.MAJOR_OUTAGE})
    publish("Slow", {status_page.fibre.id: Severity.PARTIAL_RTH}, state=State.FIXED, now=NOW - timedelta(days=2))
    plan("New battery", [status_page.fibre], begin=timedelta(hours=5), end=timedelta(hours=6))
    plan("Old battery", [status_page.fibre], begin=-timedelta(hours=6), end=-timedelta(hours=5))
    made = [
        announce(
            cast.domain_a,
            {"en": {"title": title, "body": "We are **closed** on Friday, and back on [Monday](https://example.com)."}},
            starts_at=NOW - timedelta(hours=1),
            ends_at=NOW + timedelta(days=1),
            is_pinned=is_pinned,
            by=SYSTEM,
            author_id=None,
            now=NOW,
            idempotency_key=title,
        )
        for title, is_pinned in (("We move on Friday", True), ("A new number for support", False))
    ]
    events.commit()
    return made[0]


def flaws(browser: "Browser", client: FlaskClient, host: str, paths: list[str]) -> list[str]:
    found = []
    for look in LOOKS:
        for path in paths:
            with answered_page(browser, client, f"http://{host}{path}", **look) as page:
                found += [f"{path}: {line}" for line in (*violations(page), *overflow(page))]
    return found


def test_public_pages(app: Flask, cast: Cast, told: Announcement, browser: "Browser") -> None:
    paths = ["/status", "/status/history/2026-11", f"/announcements/{told.public_id}", "/status/embed?well=show"]
    client = client_on(app, A)
    assert flaws(browser, client, A, paths) == []

    def with_page(act: Callable[["Page"], None]) -> None:
        with answered_page(browser, client, f"http://{A}/status", viewport=DESKTOP) as page:
            act(page)

    def fold_and_read_german(page: "Page") -> None:
        """By keyboard alone, the group opens; a link at the foot changes the language, and it is remembered."""
        page.locator("details.fold > summary").focus()
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="SIP trunks").wait_for(state="visible")
        page.get_by_role("link", name="Deutsch").click()
        page.locator("html[lang=de]").wait_for()
        page.goto(f"http://{A}/status/history/2026-11")
        page.get_by_role("heading", name="November 2026", exact=True).wait_for()
        assert page.locator("html").get_attribute("lang") == "de"

    with_page(fold_and_read_german)


def test_somebody_signed_out_reads_times_of_their_own_zone(
    app: Flask, cast: Cast, told: Announcement, browser: "Browser"
) -> None:
    def told_in(zone: str) -> tuple[str, str]:
        """The window of the work ahead, and when the incident was last told of, as a reader in this zone is shown."""
        with answered_page(browser, client_on(app, A), f"http://{A}/status", timezone_id=zone) as page:
            work = page.locator("time[data-until]").first
            ago = page.locator(".incident time[data-ago]").first
            return work.inner_text(), ago.get_attribute("title") or ""

    berlin, tokyo, chicago = told_in("Europe/Berlin"), told_in("Asia/Tokyo"), told_in("America/Chicago")
    begins = NOW + timedelta(hours=5)
    said = NOW - timedelta(hours=1)
    for (window, title), zone in ((berlin, "Europe/Berlin"), (tokyo, "Asia/Tokyo"), (chicago, "America/Chicago")):
        assert f"{begins.astimezone(ZoneInfo(zone)):%H:%M}" in window, (zone, window)
        assert f"{said.astimezone(ZoneInfo(zone)):%H:%M}" in title, (zone, title)
    assert (len({berlin, tokyo, chicago}), "GMT+9" in tokyo[0]) == (3, True)


def test_printed_nothing_to_press_is_left_and_nothing_is_cut(
    app: Flask, cast: Cast, told: Announcement, browser: "Browser"
) -> None:
    incident = publish("Lines are down", {})
    client = client_on(app, A)
    pressed = "button, .button, nav, .pager, .menu, .foot-links, .skip-link, input, select"
    for path in ("/status", "/status/history/2026-11", f"/incidents/{incident.public_id}"):
        with answered_page(browser, client, f"http://{A}{path}", viewport={"width": 720, "height": 1020}) as page:
            seen = page.locator("h1").inner_text()
            folded = page.get_by_role("heading", name="SIP trunks")
            assert not folded.is_visible()
            page.emulate_media(media="print")
            assert page.locator("h1").inner_text() == seen
            assert [each.inner_text() for each in page.locator(pressed).all() if each.is_visible()] == [], path
            assert overflow(page) == [], path
            assert page.evaluate(CUT) == [], path
            # As wide as the paper, and what opens by a press is open on it.
            assert page.evaluate("document.querySelector('main').clientWidth") == 720, path
            assert folded.is_visible() is (path == "/status")
            kept = page.locator(".incident, .planned, .announcement, .past-day, .timeline-entry").evaluate_all(
                "all => all.map((each) => getComputedStyle(each).breakInside)"
            )
            assert set(kept) <= {"avoid"}
            assert kept, path


def test_the_screens_of_staff(cast: Cast, sign_in: SignIn, told: Announcement, browser: "Browser") -> None:
    base = "/admin/announcements"
    paths = [base, f"{base}/new", f"{base}/{told.id}", f"/admin/settings/portals/{cast.domain_a.id}/public-page"]
    assert flaws(browser, sign_in(cast.root), STAFF_HOST, paths) == []
