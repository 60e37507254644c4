"""The style guide in a real browser: contrast and names, narrow windows, and what the scripts do.

The browser's requests are answered by the test client, so that the page lives in the test's own transaction.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Literal

import pytest

from tests.conftest import REPOSITORY, STAFF_HOST, Cast, SignIn
from tests.support.browser import answered_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

pytestmark = pytest.mark.browser
AXE = REPOSITORY / "node_modules/axe-core/axe.min.js"

Open = Callable[..., Any]


@pytest.fixture
def open_page(browser: "Browser", cast: Cast, sign_in: SignIn) -> Open:
    """Opens the style guide, signed in; leaving the block fails on anything the console complained of."""
    client = sign_in(cast.ada)

    def opened(
        width: int = 1280, scheme: Literal["light", "dark"] = "light", **options: Any
    ) -> "AbstractContextManager[Page]":
        options |= {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
        return answered_page(browser, client, f"http://{STAFF_HOST}/admin/styleguide", **options)

    return opened


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390, 360])
def test_nothing_is_hard_to_see_or_to_reach(open_page: Open, width: int, scheme: str) -> None:
    """No violation of WCAG 2.2 AA or of axe's good practice, and nothing sticks out at the side."""
    with open_page(width, scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
        page.evaluate(AXE.read_text(encoding="utf-8"))
        found = page.evaluate("axe.run().then(result => result.violations)")
        assert [(each["id"], [node["target"] for node in each["nodes"]]) for each in found] == []


def test_what_a_finger_meets_is_large_enough(open_page: Open) -> None:
    """44 px on small screens; a small button reaches beyond what one sees of it."""
    with open_page(390) as page:
        sizes = page.evaluate(
            "[...document.querySelectorAll('.button:not(.button-small, .button-link), .icon-button, .menu-summary, "
            ".tabs a, a.chip, .chip-choice, .side-summary, select, "
            "input:not([type=hidden], [type=checkbox], [type=radio])')]"
            ".filter(each => each.offsetParent).map(each => [each.outerHTML.slice(0, 80), each.offsetHeight])"
        )
        assert sizes
        assert [each for each in sizes if each[1] < 44] == []


def test_the_menu_is_behind_a_disclosure_on_small_screens(open_page: Open) -> None:
    with open_page(390, java_script_enabled=False) as page:
        assert not page.locator("#navigation").is_visible()
        page.locator(".side-summary").click()
        assert page.locator("#navigation").is_visible()


def test_a_menu_closes_with_escape_and_gives_the_focus_back(open_page: Open) -> None:
    with open_page() as page:
        page.locator(".staff-top > .menu > summary").click()
        page.locator(".staff-top .menu-item").first.focus()
        page.keyboard.press("Escape")
        assert page.locator("details[data-menu][open]").count() == 0
        assert page.evaluate("document.activeElement.matches('.staff-top > .menu > summary')")
        page.locator(".staff-top > .menu > summary").click()
        page.locator("main h1").first.click()
        assert page.locator("details[data-menu][open]").count() == 0


def test_a_list_is_ordered_by_button_and_arrow_key_and_drag(open_page: Open) -> None:
    with open_page() as page:

        def order() -> object:
            return page.eval_on_selector_all("#sample-order > li", "rows => rows.map(row => row.dataset.id)")

        page.locator("[data-id='1'] [data-move=down]").click()
        assert order() == ["2", "1", "3"]
        assert page.evaluate("document.activeElement.closest('li').dataset.id") == "1"
        page.keyboard.press("ArrowDown")
        assert order() == ["2", "3", "1"]
        assert page.locator("#announcer").text_content() == "SIP trunks 3 / 3"
        page.locator("[data-id='1'] [data-handle]").drag_to(
            page.locator("[data-id='2']"), target_position={"x": 30, "y": 4}
        )
        page.wait_for_function("document.querySelector('#sample-order > li').dataset.id === '1'")


def test_a_form_is_sent_once_and_can_be_sent_again_after_coming_back(open_page: Open) -> None:
    with open_page() as page:
        sent: list[str] = []

        def take(route: "Route") -> None:
            sent.append(route.request.method)
            route.fulfill(status=204)

        page.route("**/admin/styleguide", take)
        pause = page.get_by_role("button", name="Pause")
        pause.dblclick()
        page.wait_for_function("document.querySelector('form[aria-busy]')")
        assert pause.is_disabled()
        page.wait_for_timeout(100)
        assert sent == ["POST"]
        page.evaluate("window.dispatchEvent(new Event('pageshow'))")
        assert pause.is_enabled()


def test_leaving_a_form_with_something_typed_asks_first(open_page: Open) -> None:
    leaving = """() => {
        const event = new Event('beforeunload', { cancelable: true });
        window.dispatchEvent(event);
        return event.defaultPrevented;
    }"""
    with open_page() as page:
        page.evaluate("document.querySelector('form.form').dataset.guard = ''")
        assert page.evaluate(leaving) is False
        page.get_by_label("Title", exact=True).first.fill("Incoming calls fail")
        assert page.evaluate(leaving) is True
        page.evaluate("delete document.querySelector('form.form').dataset.dirty")


def test_reduced_motion_is_respected(open_page: Open) -> None:
    with open_page(reduced_motion="reduce") as page:
        duration = "getComputedStyle(document.querySelector('.button')).transitionDuration"
        assert set(page.evaluate(duration).split(", ")) == {"0.001s"}


def test_the_page_can_be_printed(open_page: Open) -> None:
    with open_page() as page:
        page.emulate_media(media="print")
        assert not page.locator("#navigation").is_visible()
        assert page.locator("#banners").is_visible()
