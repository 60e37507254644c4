"""The palette in a real browser: opened, steered and left by keyboard alone, and clean under axe.

The browser's requests are answered by the test client, so that the page lives in the test's own transaction.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Literal

import pytest

from portal.accounts.models import Company
from tests.conftest import STAFF_HOST, Cast, SignIn
from tests.story.conftest import violations
from tests.support.browser import answered_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

Open = Callable[..., Any]


@pytest.fixture
def open_page(browser: "Browser", town: Company, cast: Cast, sign_in: SignIn) -> Open:
    """Opens a staff page, signed in; leaving the block fails on anything the console complained of."""
    client = sign_in(cast.root)

    def opened(
        path: str = "/admin/companies", width: int = 1280, scheme: Literal["light", "dark"] = "light", **options: Any
    ) -> "AbstractContextManager[Page]":
        options |= {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
        return answered_page(browser, client, f"http://{STAFF_HOST}{path}", **options)

    return opened


def chosen(page: "Page") -> str:
    """What the chosen option is called, as a screen reader finds it."""
    name: str = page.evaluate(
        "() => document.getElementById(document.activeElement.getAttribute('aria-activedescendant'))"
        "?.querySelector('.option-title').textContent ?? ''"
    )
    return name


def search(page: "Page", text: str) -> None:
    """Type, and wait for what belongs to it."""
    page.keyboard.type(text)
    page.wait_for_selector(f'#options[data-text="{text}"] [role=option][aria-selected=true]')


def test_it_is_opened_steered_and_followed_by_keyboard(open_page: Open, town: Company) -> None:
    with open_page() as page:
        for keys in ("/", "Control+k", "Meta+k"):
            page.keyboard.press(keys)
            assert page.evaluate("document.activeElement.id") == "palette-input", keys
            page.keyboard.press("Escape")
            assert not page.evaluate("document.querySelector('#palette').open")
        page.keyboard.press("/")
        search(page, "oak")
        assert page.get_attribute("#palette-input", "aria-expanded") == "true"
        told = page.text_content("[data-palette-status]")
        assert "finds" in told
        assert chosen(page) == "Oak"
        page.keyboard.press("ArrowDown")
        assert chosen(page) == "Oak (old)"
        page.keyboard.press("ArrowUp")
        page.keyboard.press("ArrowUp")
        assert chosen(page) == "All finds for “oak”"
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/admin/companies/{town.id}")


def test_the_slash_opens_it_again_at_once(open_page: Open) -> None:
    """Focus is still in the field of a palette that has just been closed: the page was not drawn since."""
    closed_and_asked = """() => {
        const palette = document.querySelector("#palette");
        palette.close();
        const asked = new KeyboardEvent("keydown", { key: "/", bubbles: true, cancelable: true });
        document.activeElement.dispatchEvent(asked);
        return [document.activeElement.id, asked.defaultPrevented, palette.open];
    }"""
    with open_page() as page:
        page.keyboard.press("/")
        page.keyboard.press("/")
        assert page.input_value("#palette-input") == "/", "what is typed into the open palette is text"
        assert page.evaluate(closed_and_asked) == ["palette-input", True, True]


def test_a_letter_that_is_taken_back_leaves_the_best_find_chosen(open_page: Open) -> None:
    with open_page() as page:
        page.route("**/options?q=oaks", lambda _route: None)  # still on its way when it is not wanted any more
        page.keyboard.press("/")
        search(page, "oak")
        with page.expect_request("**/options?q=oaks"):
            page.keyboard.type("s")
        with page.expect_event("requestfinished", lambda request: request.url.endswith("/options?q=oak")):
            page.keyboard.press("Backspace")
        page.wait_for_selector('#options[data-text="oak"] [role=option][aria-selected=true]')
        assert chosen(page) == "Oak"
        page.keyboard.press("Enter")
        page.wait_for_url("**/admin/companies/*")


def test_the_box_in_the_header_opens_it_and_focus_goes_back(open_page: Open) -> None:
    with open_page() as page:
        page.focus("a[data-palette]")
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "palette-input"
        page.keyboard.press("Escape")
        assert page.evaluate("document.activeElement.matches('a[data-palette]')")
        page.click("a[data-palette]")
        search(page, "oak-10")
        page.click("[role=option] >> text=OAK-10")
        page.wait_for_url("**/admin/companies/*")


def test_the_slash_is_typed_into_fields_and_can_be_switched_off(open_page: Open) -> None:
    with open_page() as page:
        page.focus("main input[type=search]")
        page.keyboard.press("/")
        assert page.input_value("main input[type=search]") == "/"
        page.keyboard.press("Control+k")
        page.click("[data-palette-slash]")
        assert page.get_attribute("[data-palette-slash]", "aria-pressed") == "false"
        page.keyboard.press("Escape")
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("/")
        assert not page.evaluate("document.querySelector('#palette').open")


def test_enter_before_the_answer_leads_to_the_page_of_finds(open_page: Open) -> None:
    with open_page() as page:
        page.keyboard.press("/")
        page.keyboard.type("royal oak")
        page.keyboard.press("Enter")
        page.wait_for_url("**/admin/search?q=royal+oak")
        assert page.is_visible("text=Royal Oak Hotel")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (390, "light")])
def test_the_palette_and_the_page_are_clean(open_page: Open, width: int, scheme: str) -> None:
    with open_page("/admin/search?q=oak", width, scheme) as page:
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("Control+k")
        search(page, "oak")
        assert violations(page) == []
        page.keyboard.press("Control+a")
        page.keyboard.type("zebra")
        page.wait_for_selector("#options[data-text=zebra]")
        assert "Nothing" in page.text_content("[data-palette-status]")
        assert violations(page) == []


def test_without_script_it_is_a_page(open_page: Open) -> None:
    with open_page(java_script_enabled=False) as page:
        page.click("a[data-palette]")
        page.wait_for_url("**/admin/search")
        page.fill("main input[type=search]", "oak")
        page.press("main input[type=search]", "Enter")
        page.wait_for_url("**/admin/search?q=oak")
        assert page.is_visible("text=Royal Oak Hotel")


def test_an_answer_that_does_not_come_is_told_and_the_next_letter_finds(open_page: Open) -> None:
    """The list stays in its place, so that what is typed afterwards is found."""
    words = "The list of trouble stays."
    with open_page(refused=503) as page:
        page.route(
            "**/search/options?*",
            lambda route: route.fulfill(
                status=503, content_type="text/html", body=f"<section id=error><h1>Busy</h1><p>{words}</p></section>"
            ),
        )
        page.keyboard.press("/")
        page.keyboard.type("oa")
        told = page.locator("#palette").get_by_text(f"Busy. {words}")
        told.wait_for(timeout=30_000)
        page.unroute("**/search/options?*")
        page.keyboard.type("k")
        page.wait_for_selector('#options[data-text="oak"] [role=option][aria-selected=true]')
        assert violations(page) == []
