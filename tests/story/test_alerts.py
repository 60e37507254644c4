"""Too many calls at once: an alert of one company is triggered, its people see and hear it, and then it is normal."""

import json
import re
from datetime import datetime, timedelta
from typing import Any
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from portal import clock, events
from portal.accounts.actions.tokens import make_token
from portal.accounts.models import Company
from portal.accounts.rules.tokens import Scope
from portal.audit.rules import SYSTEM
from portal.extensions import db
from tests.story.conftest import Visits
from tests.story.test_every_page import flaws
from tests.support.processes import wait_until
from tests.support.product import Portal
from tests.support.smtp_sink import SmtpSink

pytestmark = [pytest.mark.browser, pytest.mark.processes]

NORTH, STAFF, COMPANY = "north.localhost", "admin.portal.test", "Hebden Community Radio"
CUSTOMER = "customer@hebden-community-radio.example"
TITLE = "More calls than lines"
SOON = 20_000
"""Milliseconds a live change may take here; a second or two is usual."""


def test_triggered_and_normal_again(visit: Visits, business: Portal, smtp_sink: SmtpSink) -> None:
    public_id = alert_made(visit, business)
    customer = visit(NORTH, CUSTOMER).page
    customer.get_by_role("link", name="Alerts", exact=True).click()
    line = customer.locator(f"#alert-{public_id}")
    expect(line).to_contain_text("Channels in use: above 50")
    expect(line).to_contain_text("No data", timeout=SOON)
    # A mark that a reload would wipe away.
    customer.evaluate("() => { window.untouched = true }")

    company_id, secret = token(business)
    begun = clock.utcnow() - timedelta(minutes=6)
    tell_calls(business, secret, [record(company_id, number, begun) for number in range(60)])
    expect(line).to_contain_text("Triggered", timeout=SOON)
    expect(customer.locator("#alerts")).to_contain_text("1 alert is triggered.")
    assert customer.evaluate("() => window.untouched") is True
    smtp_sink.wait_for(1, 60)
    [mail] = smtp_sink.to(CUSTOMER)
    assert TITLE in str(mail.headers["Subject"])
    assert flaws(customer) == []

    line.get_by_role("link", name=TITLE).click()
    customer.wait_for_url(re.compile(rf"/alerts/{public_id}$"))
    now = customer.locator(".service-now")
    expect(now).to_contain_text("Triggered")
    expect(customer.locator(".chart-drawing")).to_be_visible()
    assert flaws(customer) == []
    customer.evaluate("() => { window.untouched = true }")

    ended = clock.utcnow() - timedelta(minutes=3)
    tell_calls(business, secret, [record(company_id, number, begun, ended) for number in range(60)])
    expect(now).to_contain_text("Normal", timeout=SOON)
    expect(customer.locator("#events")).to_contain_text("Normal again")
    assert customer.evaluate("() => window.untouched") is True
    smtp_sink.wait_for(2, 60)
    assert len(smtp_sink.to(CUSTOMER)) == 2

    ask_for_a_test(visit, business, smtp_sink, public_id)


def alert_made(visit: Visits, business: Portal) -> str:
    """Have staff make it, and return its public id."""
    staff = visit(STAFF, "admin@demo.example").page
    staff.goto(f"{business.address(STAFF)}/admin/alerts/new?company={COMPANY}")
    staff.get_by_label("Title").fill(TITLE)
    staff.locator("[name=area]").select_option("channels")
    staff.locator("[name=operator]").select_option(">")
    staff.locator("[name=threshold]").fill("50")
    staff.locator("[name=reset]").fill("20")
    staff.locator("[name=recipients]").fill(CUSTOMER)
    staff.get_by_role("button", name="Add the alert").click()
    staff.wait_for_url(re.compile(r"/admin/alerts/[a-z0-9]{16,}$"))
    return staff.url.rsplit("/", maxsplit=1)[-1]


def ask_for_a_test(visit: Visits, business: Portal, smtp_sink: SmtpSink, public_id: str) -> None:
    plain = visit(NORTH, CUSTOMER, java_script_enabled=False).page
    plain.goto(f"{business.address(NORTH)}/alerts/{public_id}")
    expect(plain.locator(".chart-drawing")).to_be_visible()
    plain.get_by_role("button", name="Send me a test").click()
    expect(plain.locator("body")).to_contain_text("A test is on its way to you.")
    wait_until(lambda: any("[TEST]" in str(mail.headers["Subject"]) for mail in smtp_sink.to(CUSTOMER)), 60, "the test")


def token(business: Portal) -> tuple[int, str]:
    """The id of the company, and a secret by which its calls may be told."""
    with business.database():
        company_id = db.session.scalars(select(Company.id).where(Company.name == COMPANY)).one()
        _token, secret = make_token("Switch", Scope.CALLS, by=SYSTEM, now=clock.utcnow())
        events.commit()
    return company_id, secret


def record(company_id: int, number: int, begun: datetime, ended: datetime | None = None) -> dict[str, Any]:
    answered = (begun + timedelta(seconds=2)).isoformat()
    whole = {"company_id": company_id, "call_id": f"story-{number}@sbc", "from": "+441134960000", "to": "+442079460000"}
    whole |= {"started_at": begun.isoformat(), "answered_at": answered, "result": 200}
    return whole | ({"ended_at": ended.isoformat()} if ended else {})


def tell_calls(business: Portal, secret: str, records: list[dict[str, Any]]) -> None:
    request = Request(
        f"http://127.0.0.1:{business.port}/api/v1/call-records",
        data=json.dumps({"records": records}).encode(),
        headers={
            "Host": f"{STAFF}:{business.port}",
            "Authorization": f"Bearer {secret}",
            "Content-Type": "application/json",
        },
    )
    with urlopen(request, timeout=20) as answer:  # noqa: S310 (our own address)
        assert answer.status == 200
