"""A portal domain's screens in a real browser: the preview follows the form, exceptions change in place, axe agrees."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import pytest

from portal.audit.rules import SYSTEM
from portal.domains import actions
from portal.domains.queries.hosts import hosts_of
from portal.domains.rules import Area
from portal.domains.rules.hosts import Finding
from portal.extensions import db
from tests.conftest import NOW, STAFF_HOST, Cast, SignIn
from tests.story.conftest import violations
from tests.support.browser import answered_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
BY: dict[str, Any] = {"by": SYSTEM, "now": NOW}

Open = Callable[..., Any]


@pytest.fixture
def open_page(browser: "Browser", cast: Cast, sign_in: SignIn) -> Open:
    """Opens a screen of A's portal domain as an admin; leaving the block fails on what the console complained of."""
    client = sign_in(cast.root)

    def opened(path: str) -> "AbstractContextManager[Page]":
        address = f"http://{STAFF_HOST}/admin/settings/portals/{cast.domain_a.id}{path}"
        return answered_page(browser, client, address, viewport={"width": 1280, "height": 900})

    return opened


def test_the_preview_follows_the_form_and_shows_both_schemes(open_page: Open, cast: Cast) -> None:
    with open_page("/edit") as page:
        preview = page.locator("#preview")
        page.fill("#brand", "Coastline")
        preview.get_by_text("Coastline").first.wait_for()
        page.fill("#accent", "#ffe600")
        preview.get_by_text("White words on #ffe600 cannot be read").wait_for()
        light, dark = preview.locator(".scheme-light"), preview.locator(".scheme-dark")
        assert (light.is_visible(), dark.is_visible()) == (True, False)
        page.check("#preview-dark")
        assert (light.is_visible(), dark.is_visible()) == (False, True)
        page.fill("#tagline", "By the sea")
        dark.get_by_text("By the sea").wait_for()
        assert dark.is_visible(), "what was chosen stays chosen while the preview follows"


def test_an_exception_is_searched_made_and_removed_without_leaving(open_page: Open, cast: Cast) -> None:
    with open_page("") as page:
        status = page.locator("#area-status")
        status.locator("summary").click()
        status.locator("input[type=search]").fill("alder")
        status.get_by_role("button", name="Close for them").click()
        page.get_by_text("Status is closed for Alder Dental from now on.").wait_for()
        status.get_by_text("closed by an exception").first.wait_for()
        status.get_by_role("button", name="Remove").first.click()
        page.get_by_text("Status follows the switch for Alder Dental again.").wait_for()


def test_a_wording_is_seen_as_it_is_typed_and_put_back(open_page: Open) -> None:
    with open_page("/wording") as page:
        row = page.locator("tr[data-wording]").filter(has_text="Partial RTH")
        row.locator("input").fill("Calls back fail")
        assert row.locator(".badge-word").inner_text() == "Calls back fail"
        row.get_by_role("button").click()
        assert row.locator(".badge-word").inner_text() == "Partial outage"
        assert not row.get_by_role("button").is_visible()
        row.locator("input").fill("Calls back fail")
        page.get_by_role("button", name="Save").click()
        page.get_by_text("1 of them in this portal’s own words").wait_for()


def test_screens_that_no_crawl_reaches_are_accessible_and_fit(open_page: Open, cast: Cast) -> None:
    """Searches that found something, exceptions, names with every kind of finding and of a length that must wrap."""
    actions.set_override(cast.domain_a, cast.a, Area.STATUS, False, **BY)
    actions.admit(cast.b, cast.domain_a, is_home=False, **BY)
    long = actions.add_host(
        cast.domain_a,
        f"{'long-' * 10}name.{'sub-' * 10}domain.portal.test",
        staff_host=STAFF_HOST,
        version=cast.domain_a.version,
        **BY,
    )
    actions.store_check(hosts_of(cast.domain_a)[0].id, Finding.REACHES_US, "It leads here.", NOW, now=NOW)
    actions.store_check(long.id, Finding.UNRESOLVED, "There is no record.", None, now=NOW)
    db.session.commit()
    flaws: list[tuple[str, int, str]] = []
    for path in ("?area=status&q=a", "/hosts", "/wording", "/companies?q=b", "/exceptions/status"):
        with open_page(path) as page:
            for width, scheme in ((1280, "light"), (360, "dark")):
                page.set_viewport_size({"width": width, "height": 800})
                page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                flaws += [(path, width, each) for each in violations(page)]
                if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
                    flaws.append((path, width, "overflows"))
    assert flaws == []
