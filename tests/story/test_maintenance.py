"""Work is planned, customers hear of it before they notice it, one asks for another time, and gets it."""

import re
from datetime import timedelta
from email.header import decode_header, make_header

import pytest
from playwright.sync_api import Page, expect

from portal import clock
from tests.story.conftest import Visits
from tests.story.test_every_page import flaws
from tests.support.product import Portal
from tests.support.smtp_sink import SmtpSink

pytestmark = [pytest.mark.browser, pytest.mark.processes]

NORTH, STAFF = "north.localhost", "admin.portal.test"
GOATHLAND = "customer@goathland-outdoor-supplies.example"
TITLE, TEXT = "Freephone numbers move to a new switch", "Callers hear **engaged** for up to a minute."
WISH = "Our catalogue comes out that day. A day later, please."
SOON = 15_000
"""Milliseconds a live change may take here; a second is usual."""


def test_another_time_is_asked_for_and_given(visit: Visits, business: Portal, smtp_sink: SmtpSink) -> None:
    customer = visit(NORTH, GOATHLAND).page
    customer.evaluate("() => { window.untouched = true }")
    staff = visit(STAFF, "status@demo.example").page
    promised = plan(staff, business.address(STAFF))

    expect(customer.locator("#banner")).to_contain_text(TITLE, timeout=SOON)
    assert customer.evaluate("() => window.untouched") is True
    smtp_sink.wait_for(promised, 60)
    [mail] = smtp_sink.to(GOATHLAND)
    assert TITLE in str(make_header(decode_header(str(mail.headers["Subject"]))))

    # Customers need no script for any of this.
    plain = visit(NORTH, GOATHLAND, java_script_enabled=False).page
    plain.get_by_role("link", name=TITLE).click()
    expect(plain.locator(".facts")).to_contain_text("Freephone numbers")
    expect(plain.locator("strong", has_text="engaged")).to_be_visible()
    address = plain.url
    plain.get_by_role("link", name="Ask for another time").click()
    plain.get_by_label("What you would like").fill(WISH)
    plain.get_by_role("button", name="Send the wish").click()
    plain.wait_for_url(address)
    expect(plain.locator(".slot-asked")).to_contain_text(WISH)
    customer.goto(address)
    assert flaws(customer) == []

    staff.goto(business.address(STAFF) + "/admin/maintenances")
    staff.get_by_role("link", name=re.compile("^Slots asked for")).click()
    staff.get_by_role("link", name=f"Goathland Outdoor Supplies: {TITLE}").click()
    expect(staff.locator("main")).to_contain_text(WISH)
    later = clock.utcnow() + timedelta(days=41)
    staff.get_by_label("Starts", exact=True).fill(f"{later:%Y-%m-%d}T03:00")
    staff.get_by_label("Ends", exact=True).fill(f"{later:%Y-%m-%d}T04:00")
    expect(staff.locator("#preview .seen-when s")).to_be_visible()
    assert flaws(staff) == []
    staff.get_by_label("What they are told").fill("A day later it is.")
    staff.get_by_role("button", name="Answer").click()
    expect(staff.get_by_role("heading", name="Slots asked for")).to_be_visible()
    expect(staff.locator("main")).not_to_contain_text(TITLE)

    expect(customer.locator(".slot-asked")).to_contain_text("A day later it is.", timeout=SOON)
    expect(customer.locator(".timeline")).to_contain_text("Moved")
    smtp_sink.wait_for(2 * promised, 60)


def plan(staff: Page, address: str) -> int:
    """Plan the work through its form; returns how many people the button promised to mail."""
    staff.goto(f"{address}/admin/maintenances/new")
    staff.get_by_label("What is planned").fill(TITLE)
    staff.get_by_label("Search components").fill("freephone")
    staff.get_by_label("Search components").press("Enter")
    staff.get_by_label("What is done, and what customers notice").fill(TEXT)
    staff.get_by_role("radio", name="Only companies it concerns").press("Space")
    day = clock.utcnow() + timedelta(days=40)
    staff.get_by_label("Starts", exact=True).fill(f"{day:%Y-%m-%d}T03:00")
    staff.get_by_label("Ends", exact=True).fill(f"{day:%Y-%m-%d}T04:00")
    staff.get_by_role("radio", name="Weekly", exact=True).press("Space")
    staff.get_by_role("checkbox", name="Sun", exact=True).press("Space")
    expect(staff.locator(".next-dates li")).to_have_count(5)
    assert flaws(staff) == []
    staff.get_by_role("radio", name="Once", exact=True).press("Space")
    expect(staff.locator(".next-dates")).to_have_count(0)
    expect(staff.locator("#preview")).to_contain_text("through Freephone numbers")
    button = staff.get_by_role("button", name=re.compile(r"^Announce and notify \d+ (person|people)$"))
    expect(button).to_be_visible()
    [promised] = re.findall(r"notify (\d+)", button.inner_text())
    button.click()
    staff.wait_for_url(re.compile(r"/admin/maintenances/\d+$"))
    expect(staff.locator("h1")).to_have_text(TITLE)
    assert flaws(staff) == []
    return int(promised)
