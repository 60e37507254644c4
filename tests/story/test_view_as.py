"""Staff look at a portal as one company sees it, in a real browser that holds every redirect against the policy."""

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.story.conftest import PHONE, windows
from tests.story.test_every_page import flaws
from tests.support.product import Portal

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.processes]

NORTH, STAFF = "north.localhost", "admin.portal.test"


def test_the_office_looks_as_a_customer_and_goes_back(browser: "Browser", business_once: Portal) -> None:
    with windows(browser, business_once) as visit:
        office = visit(STAFF, "office@demo.example")
        office.open("/admin/people?q=kirkstall&who=customers")
        page = office.page
        page.get_by_role("table").get_by_role("link").first.click()
        page.get_by_role("link", name="View as customer: Kirkstall Logistics").click()
        assert flaws(page) == []
        page.get_by_role("button", name="View as Kirkstall Logistics").click()
        page.wait_for_url(business_once.address(NORTH) + "/")
        bar = page.get_by_text("You are looking at this portal as Kirkstall Logistics.")
        expect(bar).to_be_visible()
        expect(page.locator("#banner")).to_contain_text("Calls to the UK connect slowly")
        page.set_viewport_size(PHONE)
        for link in ("Status", "Services"):
            page.get_by_role("navigation", name="Main").get_by_role("link", name=link, exact=True).click()
            expect(bar).to_be_in_viewport()
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert flaws(page) == []
        page.keyboard.press("Tab")
        page.get_by_role("button", name="Stop looking").press("Enter")
        page.wait_for_url(re.compile(re.escape(business_once.address(STAFF)) + r"/admin/companies/\d+"))
        office.open("/admin/people/roles")
        assert flaws(page) == []
