"""A service of one company goes down and comes back: staff say so, its people see it and are mailed, and no others."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.story.conftest import Visits
from tests.story.test_every_page import flaws
from tests.support.product import Portal
from tests.support.smtp_sink import SmtpSink

pytestmark = [pytest.mark.browser, pytest.mark.processes]

NORTH, SOUTH, STAFF = "north.localhost", "south.localhost", "admin.portal.test"
KIRKSTALL, HAREWOOD = "customer@kirkstall-logistics.example", "customer@harewood-travel.example"
HUBER = "customer@baeckerei-huber.example"
SERVICE, OTHER = "Fibre internet", "Cloud-Telefonie"
NOTES = "The line is **cut** at the roundabout."
BACK = "The line is spliced, and everything works again."
SOON = 15_000
"""Milliseconds a live change may take here; a second is usual."""


def test_down_and_back_again(visit: Visits, business: Portal, smtp_sink: SmtpSink) -> None:
    customer, other = visit(NORTH, KIRKSTALL).page, visit(NORTH, HAREWOOD).page
    expect(customer.locator("#your-services")).to_contain_text(SERVICE)
    expect(customer.locator("#banner")).not_to_contain_text("System is down")
    for page in (customer, other):
        # A mark that a reload would wipe away.
        page.evaluate("() => { window.untouched = true }")

    staff = visit(STAFF, "status@demo.example").page
    open_company(staff, business.address(STAFF), "Kirkstall Logistics")
    told = state(staff, SERVICE, "System is down", NOTES)

    expect(customer.locator("#banner")).to_contain_text("System is down", timeout=SOON)
    expect(customer.locator("#banner strong", has_text="cut")).to_be_visible()
    expect(customer.locator("#your-services li").first).to_contain_text(SERVICE)
    expect(other.locator("main")).not_to_contain_text("roundabout")
    smtp_sink.wait_for(told, 60)
    [mail] = smtp_sink.to(KIRKSTALL)
    assert SERVICE in str(mail.headers["Subject"])
    assert smtp_sink.to(HAREWOOD) == []

    assert flaws(customer) == []
    customer.locator("#your-services").get_by_role("link", name=SERVICE).click()
    customer.wait_for_url(re.compile(r"/services/\d+$"))
    now = customer.locator(".service-now")
    expect(now).to_contain_text("System is down")
    expect(now).to_contain_text("The line is cut at the roundabout.")
    assert flaws(customer) == []
    customer.evaluate("() => { window.untouched = true }")
    assert other.evaluate("() => window.untouched") is True
    other.goto(business.address(NORTH) + "/services")
    expect(other.locator("main")).not_to_contain_text("System is down")

    open_company(staff, business.address(STAFF), "Kirkstall Logistics")
    told += state(staff, SERVICE, "Operating normally", BACK)
    expect(customer.locator(".timeline-entry").first).to_contain_text(BACK, timeout=SOON)
    # Work on this line was announced before, and is still ahead: the service is as it was.
    expect(now).to_contain_text("Scheduled service")
    expect(now).not_to_contain_text("System is down")
    assert customer.evaluate("() => window.untouched") is True
    smtp_sink.wait_for(told, 60)
    assert len(smtp_sink.to(KIRKSTALL)) == 2
    assert smtp_sink.to(HAREWOOD) == []


def open_company(staff: Page, address: str, name: str) -> None:
    staff.goto(f"{address}/admin/companies?q={name}")
    staff.get_by_role("main").get_by_role("link", name=name).first.click()
    staff.wait_for_url(re.compile(r"/admin/companies/\d+"))


def state(staff: Page, service: str, status: str, notes: str) -> int:
    """Set the status of a service from the page of its company; returns how many people the button promised to mail."""
    staff.get_by_role("link", name=re.compile(f"^Set status of {service}")).click()
    staff.get_by_role("radio", name=re.compile(f"^{status}")).check(force=True)
    staff.get_by_label("Notes", exact=True).fill(notes)
    button = staff.get_by_role("button", name=re.compile(r"^Set for 1 company and mail \d+ (person|people)$"))
    expect(button).to_be_visible()
    [promised] = re.findall(r"mail (\d+)", button.inner_text())
    button.click()
    expect(staff.locator("main")).to_contain_text(service)
    staff.wait_for_url(re.compile(r"/admin/services/updates/\d+"))
    return int(promised)


def test_in_german_and_without_script(visit: Visits, business: Portal) -> None:
    customer = visit(SOUTH, HUBER).page
    staff = visit(STAFF, "status@demo.example").page
    open_company(staff, business.address(STAFF), "Bäckerei Huber")
    state(staff, OTHER, "Intermittent problems", "Manche Anrufe brechen ab.")
    expect(customer.locator("#banner")).to_contain_text("Zeitweise Probleme", timeout=SOON)
    customer.locator("#your-services").get_by_role("link", name=OTHER).click()
    customer.wait_for_url(re.compile(r"/services/\d+$"))
    assert flaws(customer) == []
    path = customer.url

    plain = visit(SOUTH, HUBER, java_script_enabled=False).page
    plain.goto(path)
    expect(plain.locator(".service-now")).to_contain_text("Zeitweise Probleme")
    plain.get_by_role("button", name="Keine Mails mehr").click()
    expect(plain.locator("main")).to_contain_text("Sie bekommen keine Mails über diesen Dienst.")
    plain.get_by_role("button", name="Mails über diesen Dienst").click()
    expect(plain.locator("main")).to_contain_text("Sie bekommen Mails über diesen Dienst.")
