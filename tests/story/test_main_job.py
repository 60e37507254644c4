"""The main job as people live it: staff publish an outage, and everyone it concerns sees it and is mailed."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.story.conftest import Visits
from tests.story.test_every_page import flaws
from tests.support.product import Portal
from tests.support.smtp_sink import SmtpSink

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.both]

NORTH, SOUTH, STAFF = "north.localhost", "south.localhost", "admin.portal.test"
KIRKSTALL = "customer@kirkstall-logistics.example"
HUBER = "customer@baeckerei-huber.example"
TITLE = "Trunks in London lose their registration"
SOON = 15_000
"""Milliseconds a live change may take here; a second is usual."""


def test_from_publishing_to_the_last_mail(
    visit: Visits, business: Portal, smtp_sink: SmtpSink, picture: Callable[[Page, str], None]
) -> None:
    customer, southern, public = visit(NORTH, KIRKSTALL).page, visit(SOUTH, HUBER).page, visit(NORTH).page
    public.goto(business.address(NORTH) + "/status")
    expect(customer.locator("#banner")).to_contain_text("Calls to the UK connect slowly")
    for page in (customer, southern, public):
        expect(page.locator("main")).not_to_contain_text(TITLE)
        # A mark that a reload would wipe away.
        page.evaluate("() => { window.untouched = true }")

    staff = visit(STAFF, "status@demo.example").page
    told = publish(staff, business.address(STAFF), picture)

    expect(customer.locator("#banner")).to_contain_text(TITLE, timeout=SOON)
    expect(customer.locator("#banner")).to_contain_text("SIP trunks")
    expect(public.locator("main")).to_contain_text(TITLE, timeout=SOON)
    expect(southern.locator("main")).not_to_contain_text(TITLE)
    picture(customer, "customer-home")

    watch_the_mails(staff, smtp_sink, told)
    [mail] = smtp_sink.to(KIRKSTALL)
    assert mail.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert business.address(NORTH) in mail.headers["List-Unsubscribe"]

    leave = visit(NORTH).page
    leave.goto(mail.headers["List-Unsubscribe"].strip("<>"))
    assert flaws(leave) == []

    resolve(staff)
    expect(customer.locator("#banner")).not_to_contain_text(TITLE, timeout=SOON)
    for page in (customer, southern, public):
        assert page.evaluate("() => window.untouched") is True


def publish(staff: Page, address: str, picture: Callable[[Page, str], None]) -> int:
    """Publish a major outage of the London edge; returns how many people the button promised to notify."""
    staff.goto(address + "/admin/")
    staff.get_by_role("link", name=re.compile("^Publish", re.I)).first.click()
    staff.get_by_label("What is wrong").fill(TITLE)
    staff.get_by_label("SIP edge London", exact=True).check()
    staff.get_by_label("Severity of SIP edge London").select_option("major_outage")
    staff.get_by_label("What customers should know").fill(
        "Trunks that register in London lose their registration. **Please do not restart your system**; "
        "calls return by themselves."
    )
    preview = staff.locator("#preview")
    expect(preview).to_contain_text(TITLE)
    expect(preview).to_contain_text(re.compile(r"\d+ companies are affected"))
    expect(preview).to_contain_text("SIP trunks")
    expect(preview).to_contain_text("Please do not restart your system")
    button = staff.get_by_role("button", name=re.compile(r"Publish and notify \d+ people"))
    expect(button).to_be_visible()
    [promised] = re.findall(r"notify ([\d,]+) people", button.inner_text())
    staff.evaluate("() => { document.activeElement.blur(); window.scrollTo(0, 0) }")
    picture(staff, "publish")
    button.click()
    staff.wait_for_url(re.compile(r"/admin/incidents/\d+"))
    return int(promised.replace(",", ""))


def watch_the_mails(staff: Page, smtp_sink: SmtpSink, told: int) -> None:
    """From the report to the progress page, until it says that all is sent; the server has just as many."""
    staff.locator("main").get_by_role("link", name=re.compile("mail|progress", re.I)).first.click()
    staff.wait_for_url(re.compile(r"/admin/broadcasts/\d+"))
    expect(staff.locator("#progress")).to_contain_text("Done", timeout=60_000)
    smtp_sink.wait_for(told, 60)
    assert sum(smtp_sink.deliveries().values()) == told
    assert set(smtp_sink.deliveries().values()) == {1}


def resolve(staff: Page) -> None:
    """The shorter form of the same screen."""
    staff.go_back()
    staff.reload()
    staff.get_by_label("Fixed", exact=True).check()
    staff.get_by_label(re.compile("What customers should know")).fill("All trunks are registered again.")
    staff.get_by_role("button", name=re.compile("^(Publish|Post|Send|Fixed|Resolve|Mark)", re.I)).first.click()
