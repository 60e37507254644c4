"""Asking in a real browser: the answer takes the place of the field's, without leaving the page; axe agrees."""

from typing import TYPE_CHECKING

import pytest

from portal import events
from portal.audit.rules import SYSTEM
from portal.services.actions.assistant import set_assistant
from tests.conftest import NOW, STAFF_HOST, Cast, SignIn
from tests.customer.outages import Outage
from tests.incidents.conftest import World
from tests.story.conftest import violations
from tests.support.browser import answered_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

HERE = "http://a.portal.test"
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
SIZES = pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])


@pytest.fixture(autouse=True)
def is_on(cast: Cast) -> None:
    set_assistant(True, version=0, by=SYSTEM, now=NOW)
    events.commit()


@pytest.fixture
def is_down(world: World, outage_of: Outage) -> None:
    outage_of(world.trunk)


def has_room(page: "Page") -> bool:
    """Whether nothing stands out at the side."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


@SIZES
@pytest.mark.usefixtures("is_down")
def test_a_question_is_answered_where_it_is_asked(
    size: dict[str, int], browser: "Browser", cast: Cast, sign_in: SignIn
) -> None:
    with answered_page(browser, sign_in(cast.alice), f"{HERE}/", viewport=size) as page:
        field = page.get_by_role("searchbox", name="Is something down? Ask here")
        field.fill("is the telephny down?")
        field.press("Enter")
        said = page.locator("#ask [role=status]")
        said.wait_for()
        assert "Hosted telephony" in said.inner_text()
        assert page.url == f"{HERE}/"
        assert page.get_by_role("heading", name="Your services").is_visible()
        assert violations(page) == []
        assert has_room(page)
        page.goto(f"{HERE}/ask?q=is+everything+ok")
        assert page.locator(".ask-answer").inner_text().startswith("Hosted telephony: System is down since")
        assert violations(page) == []
        assert has_room(page)


@SIZES
def test_the_setting_can_be_read_and_switched(
    size: dict[str, int], browser: "Browser", cast: Cast, sign_in: SignIn
) -> None:
    address = f"http://{STAFF_HOST}/admin/settings/assistant"
    with answered_page(browser, sign_in(cast.root), address, viewport=size) as page:
        switch = page.get_by_role("switch", name="Service status access")
        assert switch.is_checked()
        assert violations(page) == []
        assert has_room(page)
