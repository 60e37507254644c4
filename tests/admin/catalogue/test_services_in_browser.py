"""The screens of services in a real browser: begun with, described and archived by keyboard, and axe agrees."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import pytest

from portal.audit.rules import SYSTEM
from portal.catalogue import actions
from portal.catalogue.queries import lists
from portal.extensions import db
from tests.conftest import NOW, STAFF_HOST, Cast, SignIn
from tests.story.conftest import violations
from tests.support.browser import answered_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

WIDE: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}}
NARROW: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}

Open = Callable[..., Any]


@pytest.fixture
def open_page(browser: "Browser", cast: Cast, sign_in: SignIn) -> Open:
    """Opens a screen of services as status staff; leaving the block fails on what the console complained of."""
    client = sign_in(cast.ada)

    def opened(path: str = "", look: dict[str, Any] = WIDE) -> "AbstractContextManager[Page]":
        return answered_page(browser, client, f"http://{STAFF_HOST}/admin/catalogue/services{path}", **look)

    return opened


def test_an_empty_list_begins_with_what_was_ticked_by_keyboard(open_page: Open) -> None:
    with open_page(look=NARROW) as page:
        assert violations(page) == []
        page.locator("#starter-email").focus()
        page.keyboard.press("Space")
        page.locator("#starter-security").press("Space")
        page.get_by_role("button", name="Add these services").press("Enter")
        page.get_by_text("4 services are on the list").wait_for()
    assert [each.name for each in lists.all_services()] == [
        "Internet Connectivity",
        "VoIP Phone System",
        "On-Premise Servers",
        "Backup Systems",
    ]


@pytest.mark.parametrize("look", [WIDE, NARROW])
def test_a_service_is_described_and_its_pages_are_for_everybody(open_page: Open, cast: Cast, look: Any) -> None:
    service = actions.add_service("Email", by=SYSTEM, now=NOW)
    actions.add_holding(cast.a, service, by=SYSTEM, now=NOW)
    db.session.commit()
    with open_page(f"/{service.id}/edit", look) as page:
        assert violations(page) == []
        page.fill("#aliases", "Outlook, Teams")
        page.locator("label", has_text="Cloud").locator("input").check()
        page.check("#is_global")
        page.get_by_role("button", name="Save").click()
        page.get_by_text("1 company holds it now").first.wait_for()
        page.get_by_text("Outlook, Teams").wait_for()
        page.get_by_text("Archive this service").click()
        page.get_by_role("button", name="Archive it and end 2 holdings").wait_for()
        assert violations(page) == []
    db.session.expire_all()
    assert (service.icon, service.is_global) == ("cloud", True)
