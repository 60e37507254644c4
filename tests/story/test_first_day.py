"""The first day of a real installation: nothing but what the commands and screens make, and the banner is there."""

import re

import pytest

from portal import clock, events
from portal.accounts import actions as accounts
from portal.audit.rules import SYSTEM
from portal.domains import actions as domains
from portal.domains.queries import all_domains
from tests.support.product import Portal
from tests.support.smtp_sink import SmtpSink
from tests.support.visitor import Visitor

pytestmark = pytest.mark.processes

STAFF, HOST = "admin.portal.test", "status.firm.test"
PASSWORD = "a long enough password"


def test_one_component_one_report_and_the_status_switch_show_the_banner_to_every_customer(
    product: Portal, smtp_sink: SmtpSink
) -> None:
    made = product.run("init", "--portal", f"http://{HOST}:{product.port}", "--brand", "Firm")
    assert made.returncode == 0, made.stderr
    admin = product.run("create-admin", "--email", "root@firm.test", "--password-stdin", input=PASSWORD + "\n")
    assert admin.returncode == 0, admin.stderr
    customers = two_customers(product)
    staff = Visitor(product.port, STAFF)
    assert staff.sign_in("root@firm.test", PASSWORD).status == 303

    for customer in customers:
        assert customer.get("/status").status == 404
        assert customer.get("/banner").status == 404
    open_status(staff)
    publish(staff)

    for customer in customers:
        home = customer.get("/")
        assert home.status == 200
        assert "Nothing goes through" in home.text
        assert customer.get("/status").status == 200
    smtp_sink.wait_for(2, 30)
    assert set(smtp_sink.recipients()) == {"one@first.test", "two@second.test"}


def two_customers(product: Portal) -> list[Visitor]:
    """People of two companies that hold nothing yet, signed in."""
    addresses = ["one@first.test", "two@second.test"]
    with product.database():
        [domain] = all_domains()
        for number, address in enumerate(addresses):
            company = accounts.add_company(f"Customer {number}", by=SYSTEM, now=clock.utcnow())
            domains.admit(company, domain, is_home=True, by=SYSTEM, now=clock.utcnow())
            person = accounts.add_person(f"Person {number}", address, password=PASSWORD, by=SYSTEM, now=clock.utcnow())
            accounts.add_membership(person, company, by=SYSTEM, now=clock.utcnow())
        events.commit()
    visitors = [Visitor(product.port, HOST) for _ in addresses]
    for visitor, address in zip(visitors, addresses, strict=True):
        assert visitor.sign_in(address, PASSWORD).status == 303
    return visitors


def hidden(page: str, name: str) -> str:
    """The value of a hidden field."""
    found = re.search(rf'<input[^>]*name="{name}"[^>]*value="([^"]*)"', page)
    assert found, f"no field {name}"
    return found.group(1)


def open_status(staff: Visitor) -> None:
    """Setup → Integrations → Portal → the domain → User access area → Status, on the form as it stands."""
    page = staff.get("/admin/settings/portals/1").text
    done = staff.post("/admin/settings/portals/1/areas", {"version": hidden(page, "version"), "status": "y"})
    assert done.status in {200, 303}, done.text


def publish(staff: Visitor) -> None:
    """One component, which nothing depends on, and one report."""
    staff.get("/admin/catalogue/components/new")
    assert staff.post("/admin/catalogue/components/new", {"title": "The only carrier"}).status == 303
    page = staff.get("/admin/incidents/new").text
    done = staff.post(
        "/admin/incidents/new",
        {
            "key": hidden(page, "key"),
            "title": "Nothing goes through",
            "components": "1",
            "components-1": "major_outage",
            "state": "investigating",
            "body": "We are looking into it.",
            "next_update": "30",
            "began": "0",
            "audience": "everyone",
            "visibility": "public",
            "notify": "y",
        },
    )
    assert done.status == 303, done.text
