"""The main job as people live it: staff publish an outage, and everyone it concerns sees it and is mailed."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.story.conftest import Visits
from tests.support.product import Portal
from tests.support.smtp_sink import SmtpSink

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.processes]

NORTH, SOUTH, STAFF = "north.localhost", "south.localhost", "admin.portal.test"
KIRKSTALL = "customer@kirkstall-logistics.example"
HUBER = "customer@baeckerei-huber.example"
TITLE = "Trunks in London lose their registration"


def test_from_publishing_to_the_last_mail(
    visit: Visits, business: Portal, smtp_sink: SmtpSink, picture: Callable[["Page", str], None]
) -> None:
    from playwright.sync_api import expect

    customer = visit(NORTH, KIRKSTALL).page
    southern = visit(SOUTH, HUBER).page
    public = visit(NORTH).page
    public.goto(business.address(NORTH) + "/status")
    expect(customer.locator("#banner")).to_contain_text("Calls to the UK connect slowly")
    expect(customer.locator("#banner")).not_to_contain_text(TITLE)
    # A mark that a reload would wipe away.
    for page in (customer, southern, public):
        page.evaluate("() => { window.untouched = true }")

    staff = visit(STAFF, "status@demo.example").page
    staff.goto(business.address(STAFF) + "/admin/")
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
    button = staff.get_by_role("button", name=re.compile(r"Publish and notify \d+ people"))
    expect(button).to_be_visible()
    told = int(re.findall(r"notify ([\d,]+) people", button.inner_text())[0].replace(",", ""))
    picture(staff, "publish")
    button.click()
    staff.wait_for_url(re.compile(r"/admin/incidents/\d+"))

    banner = customer.locator("#banner")
    expect(banner).to_contain_text(TITLE, timeout=15_000)
    expect(banner).to_contain_text("SIP trunks")
    expect(public.locator("main")).to_contain_text(TITLE, timeout=15_000)
    expect(southern.locator("main")).not_to_contain_text(TITLE)
    for page in (customer, southern, public):
        assert page.evaluate("() => window.untouched") is True
    picture(customer, "customer-home")

    staff.get_by_role("link", name=re.compile("mail|progress", re.I)).first.click()
    staff.wait_for_url(re.compile(r"/admin/broadcasts/\d+"))
    expect(staff.locator("#progress")).to_contain_text(re.compile("Done|Sent", re.I), timeout=60_000)
    smtp_sink.wait_for(told, 60)
    assert sum(smtp_sink.deliveries().values()) == told
    [mail] = smtp_sink.to(KIRKSTALL)
    assert mail.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert business.address(NORTH) in mail.headers["List-Unsubscribe"]

    staff.go_back()
    staff.reload()
    staff.get_by_label("Fixed", exact=True).check()
    staff.get_by_label(re.compile("What customers should know")).fill("All trunks are registered again.")
    staff.get_by_role("button", name=re.compile("^(Publish|Post|Send|Fixed|Resolve|Mark)", re.I)).first.click()
    expect(banner).not_to_contain_text(TITLE, timeout=15_000)
    assert customer.evaluate("() => window.untouched") is True
