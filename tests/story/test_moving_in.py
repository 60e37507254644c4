"""A firm moves in: an admin makes its portal, brings its customers by file, lets them in, and connects a machine."""

import json
import re
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.story.conftest import Visit, windows
from tests.story.test_every_page import flaws
from tests.support.processes import wait_until
from tests.support.product import Portal
from tests.support.smtp_sink import SmtpSink

pytestmark = [pytest.mark.browser, pytest.mark.processes]

STAFF, HOST = "admin.portal.test", "status.localhost"
PASSWORD = "nine lanterns on the quay"
ADMIN, ALICE = "root@firm.test", "alice@alder.test"
SOON = 30_000
"""Milliseconds a worker, a mail or a live change may take here; a second or two is usual."""

COMPANIES = "Firma;Kundennummer\nAlder Dental;C-1\nBirch Logistics;C-2\nalder dental;C-3\n"
COMPONENTS = "Title,Group,Reference\nNorth ring,Network,NET-1\nVoice core,Voice,SBC-1\n"
SERVICES = "Name,Category,Components\nInternet access,Connections,North ring\nHosted telephony,Voice,Voice core\n"
HOLDINGS = "Company,Service,Circuit\nAlder Dental,Internet access,CIR-7\nBirch Logistics,Hosted telephony,\n"
PEOPLE = "E-mail,Name,Company\nalice@alder.test,Alice Alder,Alder Dental\nbob@birch.test,Bob Birch,Birch Logistics\n"


def test_a_firm_moves_in(browser: Browser, product: Portal, smtp_sink: SmtpSink, tmp_path: Path) -> None:
    made = product.run("create-admin", "--email", ADMIN, "--password-stdin", input=PASSWORD + "\n")
    assert made.returncode == 0, made.stderr
    with windows(browser, product) as visit:
        staff = visit(STAFF, ADMIN, PASSWORD).page
        staff.set_default_timeout(SOON)
        address = product.address(STAFF)
        make_the_portal(staff, address, product.address(HOST))
        bring_the_catalogue(staff, address, tmp_path)
        let_the_people_in(staff, address, tmp_path)

        invitation = link_mailed_to(smtp_sink, ALICE, product.address(HOST))
        window = visit(HOST)
        customer = window.page
        customer.set_default_timeout(SOON)
        accept(customer, invitation)

        token = make_a_token(staff, address)
        publish(product, token, "North ring")
        expect(customer.locator("#banner")).to_contain_text("Cut on the north ring", timeout=SOON)

        look_as_the_customer(staff, address)
        close_services_for(staff, address, "Alder Dental")
        assert customer.goto(product.address(HOST) + "/services").status == 404  # type: ignore[union-attr]
        find_it_in_the_audit(staff, address)
        refused_on_purpose(window)


def make_the_portal(staff: Page, address: str, portal: str) -> None:
    staff.goto(address + "/admin/settings/portals")
    staff.get_by_role("link", name=re.compile("Add", re.I)).first.click()
    staff.get_by_label("Address").fill(portal)
    staff.get_by_label("Brand", exact=True).fill("Firm Online")
    expect(staff.locator("#preview")).to_contain_text("Firm Online")
    assert flaws(staff) == []
    for area in ("Status", "Services"):
        staff.get_by_label(area, exact=True).check()
    staff.get_by_role("button", name="Add portal domain").click()
    staff.wait_for_url(re.compile(r"/portals/\d+"))


def bring_the_catalogue(staff: Page, address: str, folder: Path) -> None:
    """Companies with a row that cannot come in, which is named before anything is written; then the rest."""
    plan(staff, address, folder, "Companies", COMPANIES)
    result = staff.locator("#result")
    expect(result).to_contain_text("2 rows would come in")
    expect(result.get_by_role("link", name=re.compile("Refused"))).to_contain_text("1")
    result.get_by_role("link", name=re.compile("Refused")).click()
    expect(staff.locator("#result")).to_contain_text("stands in row 2 already")
    assert flaws(staff) == []
    apply(staff, "Apply the 2 good rows")
    for kind, text, rows in (("Components", COMPONENTS, 2), ("Services", SERVICES, 2), ("Holdings", HOLDINGS, 2)):
        plan(staff, address, folder, kind, text)
        apply(staff, f"Apply {rows} rows")
    plan(staff, address, folder, "Holdings", HOLDINGS)
    expect(staff.locator("#result")).to_contain_text("Everything in this file is known already")


def let_the_people_in(staff: Page, address: str, folder: Path) -> None:
    """People by file, each with an invitation."""
    plan(staff, address, folder, "People", PEOPLE, invite=True)
    apply(staff, "Apply 2 rows")


def plan(staff: Page, address: str, folder: Path, kind: str, text: str, *, invite: bool = False) -> None:
    """From the file to the end of its dry run."""
    file = folder / f"{kind}.csv"
    file.write_text(text, encoding="utf-8")
    staff.goto(address + "/admin/imports/new")
    staff.get_by_role("radio", name=re.compile(f"^{kind}")).check()
    staff.get_by_label("File", exact=True).set_input_files(file)
    staff.get_by_role("button", name="Read the file").click()
    expect(staff.get_by_role("heading", name="Which column is which?")).to_be_visible()
    if kind == "Companies":
        assert flaws(staff) == []
    if invite:
        staff.get_by_label("Invitations").select_option("now")
    staff.get_by_role("button", name="Make a dry run").click()
    expect(staff.locator("#result")).to_be_visible()


def apply(staff: Page, button: str) -> None:
    staff.get_by_role("button", name=re.compile(button)).click()
    expect(staff.locator("#result")).to_contain_text(re.compile("came in"), timeout=SOON)


def link_mailed_to(sink: SmtpSink, address: str, portal: str) -> str:
    """The link of the first mail to this address; it leads to the portal its person belongs to."""
    wait_until(lambda: sink.to(address), SOON / 1000, f"a mail to {address}")
    mail = message_from_bytes(sink.to(address)[0].content, policy=default)
    text = mail.get_body(("plain",))
    assert text is not None
    found = re.findall(rf"{re.escape(portal)}/\S+", text.get_content())
    assert found, text.get_content()
    return str(found[0])


def accept(customer: Page, link: str) -> None:
    """From the mailed link to the own services, with a password of one's own."""
    customer.goto(link)
    assert flaws(customer) == []
    customer.locator("input[name=password]").fill("firm")
    customer.get_by_role("button", name="Save and sign in").click()
    expect(customer.locator("main")).to_contain_text("12")
    customer.locator("input[name=password]").fill("seven grey herons by the canal")
    customer.get_by_role("button", name="Save and sign in").click()
    expect(customer.locator("main")).to_contain_text("Everything you use is operating normally")
    expect(customer.locator("main")).to_contain_text("Internet access")


def make_a_token(staff: Page, address: str) -> str:
    """A key for the monitoring, shown once, after typing one's password again."""
    staff.goto(address + "/admin/settings/tokens/new")
    confirm(staff)
    staff.get_by_label("Name").fill("Monitoring")
    staff.get_by_label("incidents", exact=True).check()
    staff.get_by_role("button", name="Make the token").click()
    secret = staff.locator("#token-secret")
    expect(secret).to_be_visible()
    assert flaws(staff) == []
    return secret.inner_text()


def confirm(staff: Page) -> None:
    """Type one's password again where the portal asks for it."""
    if "/confirm" in staff.url:
        staff.locator("input[name=password]").fill(PASSWORD)
        staff.locator("input[name=password]").press("Enter")
        staff.wait_for_url(lambda url: "/confirm" not in url)


def publish(product: Portal, token: str, component: str) -> None:
    """As the monitoring does it."""
    [found] = [each for each in call(product, token, "components")["items"] if each["title"] == component]
    made = call(
        product,
        token,
        "incidents",
        {
            "title": "Cut on the north ring",
            "state": "investigating",
            "body": "We are looking for the place.",
            "components": [{"component_id": found["id"], "severity": "major_outage"}],
        },
    )
    assert made["title"] == "Cut on the north ring"


def call(product: Portal, token: str, resource: str, body: dict[str, object] | None = None) -> dict[str, Any]:
    request = Request(
        f"http://127.0.0.1:{product.port}/api/v1/{resource}",
        json.dumps(body).encode() if body else None,
        {"Host": STAFF, "Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urlopen(request, timeout=60) as answer:  # noqa: S310
        found: dict[str, Any] = json.load(answer)
    return found


def look_as_the_customer(staff: Page, address: str) -> None:
    """Staff see what Alder Dental sees, and can change nothing there."""
    company(staff, address, "Alder Dental")
    staff.get_by_role("link", name=re.compile("View as", re.I)).click()
    staff.get_by_role("button", name="View as Alder Dental").click()
    bar = staff.get_by_text("You are looking at this portal as Alder Dental")
    expect(bar).to_be_visible()
    expect(staff.locator("#banner")).to_contain_text("Cut on the north ring")
    assert flaws(staff) == []
    staff.get_by_role("button", name=re.compile("Stop", re.I)).click()
    staff.wait_for_url(re.compile(re.escape(STAFF) + "|sign-in"))


def company(staff: Page, address: str, name: str) -> None:
    """Found by the search, with the keyboard alone."""
    staff.goto(address + "/admin/")
    staff.keyboard.press("/")
    expect(staff.locator("#palette-input")).to_be_focused()
    staff.keyboard.type(name[:5].lower())
    expect(staff.get_by_role("option", name=re.compile(name)).first).to_be_visible()
    staff.keyboard.press("ArrowDown")
    staff.keyboard.press("ArrowUp")
    staff.keyboard.press("Enter")
    expect(staff.get_by_role("heading", level=1)).to_contain_text(name)


def close_services_for(staff: Page, address: str, name: str) -> None:
    """An exception under the switch it belongs to."""
    staff.goto(address + "/admin/settings/portals/1")
    row = staff.locator("#area-services")
    row.get_by_text("Close it for a company").click()
    row.get_by_role("searchbox").fill(name)
    row.get_by_role("button", name="Close for them").click()
    expect(staff.locator("#area-services")).to_contain_text("closed by an exception")


def refused_on_purpose(window: Visit) -> None:
    """The browser tells of the weak password and of the closed services, and of nothing else."""
    assert {re.findall(r"status of (\d+)", line)[0] for line in window.complaints} == {"404", "422"}
    window.complaints.clear()


def find_it_in_the_audit(staff: Page, address: str) -> None:
    staff.goto(address + "/admin/audit?text=Alder+Dental")
    expect(staff.locator("main")).to_contain_text("began to view status.localhost as Alder Dental")
