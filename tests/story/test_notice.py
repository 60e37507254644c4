"""A notice by hand: written, read with a customer's eyes, tried, sent, and watched to the last mail."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.story.conftest import PHONE, Visits, violations
from tests.support.product import Portal
from tests.support.smtp_sink import SmtpSink

pytestmark = [pytest.mark.browser, pytest.mark.processes]

STAFF, STATUS = "admin.portal.test", "status@demo.example"
HUBER = "customer@baeckerei-huber.example"
WAIT = 60_000


def test_from_the_first_word_to_the_last_mail(visit: Visits, business: Portal, smtp_sink: SmtpSink) -> None:
    staff = visit(STAFF, STATUS).page
    promised = write(staff, business.address(STAFF))

    staff.get_by_role("button", name="Send a test to me").click()
    expect(staff.locator("body")).to_contain_text(f"On its way to {STATUS}")
    smtp_sink.wait_for(1, 60)
    [trial] = smtp_sink.to(STATUS)
    assert trial.headers["Subject"].startswith("[Test]")

    words = re.compile(r"^Send to [\d,]+ people( and [\d,]+ channels?)? at [\d,]+ companies$")
    staff.get_by_role("button", name=words).click()
    staff.wait_for_url(re.compile(r"/admin/broadcasts/\d+$"))
    expect(staff.locator("#progress")).to_contain_text("Done", timeout=WAIT)
    shown = figures(staff)
    assert shown["sent"] == promised
    staff.reload()
    assert figures(staff) == shown
    smtp_sink.wait_for(promised + 1, 60)
    mailed = {address: count for address, count in smtp_sink.recipients().items() if address != STATUS}
    assert (sum(mailed.values()), set(mailed.values())) == (promised, {1})
    [mail] = smtp_sink.to(HUBER)
    assert "unsubscribe" in mail.headers["List-Unsubscribe-Post"].lower()
    assert business.address("south.localhost") in mail.headers["List-Unsubscribe"]

    staff.locator("#ledger summary").first.click()
    expect(staff.locator("#ledger details[open]")).to_contain_text("The server said")
    staff.get_by_role("searchbox", name=re.compile("Search by address")).fill("huber")
    expect(staff.locator("#ledger .ledger-row").filter(has_not_text=re.compile("huber", re.I))).to_have_count(0)
    expect(staff.locator("#ledger .ledger-row").first).to_be_visible()
    assert violations(staff) == []


def write(staff: Page, address: str) -> int:
    """Write to a portal domain and a company, look at it on the way; returns how many people the button promises."""
    staff.goto(address + "/admin/broadcasts")
    staff.get_by_role("link", name="Write a notice").click()
    expect(staff.locator("#preview")).to_contain_text("Nobody is chosen yet")
    staff.locator("summary", has_text="Companies").click()
    staff.get_by_role("searchbox", name="Search companies").press_sequentially("kirk")
    staff.get_by_label("Kirkstall Logistics").check()
    expect(staff.locator(".companies-chosen")).to_contain_text("Kirkstall Logistics")
    expect(staff.locator("#preview")).to_contain_text("1 company")
    staff.locator("summary", has_text="at home on a portal domain").click()
    staff.get_by_label("Südwerk IT").check()
    staff.get_by_label("Subject", exact=True).fill("A word to {{company}}")
    staff.get_by_label("Text", exact=True).fill("Dear **{{name}}**,\n\nwe are [there]({{portal_url}}) as always.")
    staff.locator("summary", has_text="In German too").click()
    staff.get_by_label("Subject in German").fill("Ein Wort an {{company}}")
    staff.get_by_label("Text in German").fill("Guten Tag **{{name}}**,\n\nwir sind da wie immer.")
    preview = staff.locator("#preview")
    expect(preview.locator(".letter-subject")).to_contain_text("A word to Kirkstall Logistics")
    staff.get_by_label("Read it as").fill(HUBER)
    expect(preview.locator(".letter-subject")).to_contain_text("Ein Wort an Bäckerei Huber")
    # What no reader should see is said while it is typed.
    staff.get_by_label("Text", exact=True).fill("Dear {{nobody}}")
    expect(preview).to_contain_text("There is no variable “nobody”")
    staff.get_by_label("Text", exact=True).fill("Dear **{{name}}**,\n\nwe are [there]({{portal_url}}) as always.")
    expect(preview.locator(".letter")).to_be_visible()
    assert violations(staff) == []
    staff.get_by_role("button", name="Save and look it over").click()
    staff.wait_for_url(re.compile(r"/admin/broadcasts/notices/\d+$"))
    frame = staff.frame_locator(".letter-frame")
    expect(frame.locator("h1")).to_contain_text("A word to")
    assert violations(staff) == []
    staff.set_viewport_size(PHONE)
    assert staff.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert violations(staff) == []
    button = staff.get_by_role("button", name=re.compile("^Send to")).inner_text()
    [people] = re.findall(r"Send to ([\d,]+) people", button)
    return int(people.replace(",", ""))


def figures(staff: Page) -> dict[str, int]:
    """The numbers beneath the bar, by their words."""
    lines = staff.locator("#progress .progress-legend li").all_inner_texts()
    found = [re.fullmatch(r"([\d,]+) (.+)", " ".join(line.split())) for line in lines]
    return {each[2]: int(each[1].replace(",", "")) for each in found if each}
