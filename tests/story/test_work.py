"""Work as people live it: the office names its steps, customers read what the office wants, and a quote is signed."""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from email import message_from_bytes
from email.policy import default
from html import unescape
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect
from sqlalchemy import update

from portal import clock, events
from portal.accounts import actions as accounts
from portal.accounts.models import Company, Person
from portal.accounts.rules import Role as StaffRole
from portal.audit.rules import SYSTEM
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.extensions import db
from portal.jobs import actions, queries
from portal.jobs.actions import items
from portal.jobs.models import WorkItem, WorkNotice
from portal.jobs.rules import Role, WorkKind, written_number
from portal.jobs.rules.amounts import LineGiven
from tests.story.conftest import PHONE, Visit, Visits, windows
from tests.story.test_every_page import KNOWN, flaws
from tests.support import databases
from tests.support.processes import wait_until
from tests.support.product import Portal
from tests.support.redis_server import RedisServer
from tests.support.smtp_sink import SmtpSink

pytestmark = [pytest.mark.browser, pytest.mark.processes]

STAFF, HOST = "admin.portal.test", "work.localhost"
PASSWORD = "nine lanterns on the quay"
OFFICE, ALICE = "olaf@firm.test", "alice@alder.test"
SOON = 30_000
"""Milliseconds a worker, a mail or a live change may take here; a second or two is usual."""

TERMS = "Payable within thirty days. What is delivered stays ours until it is paid."
UNTIL = timedelta(days=30)


@pytest.fixture(scope="module")
def smtp_sink() -> Iterator[SmtpSink]:
    """One relay for the stories of this file."""
    with SmtpSink() as sink:
        yield sink


@pytest.fixture(scope="module")
def product(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, smtp_sink: SmtpSink
) -> Iterator[Portal]:
    """One firm for the stories of this file: Olaf of the office, Alice of Alder Dental, and no work yet."""
    server = str(request.config.getoption("--database-url"))
    with (
        databases.empty(server, tmp_path_factory.mktemp("work")) as url,
        RedisServer() as redis,
        Portal(database_url=url, redis_url=redis.url, smtp_url=smtp_sink.url) as portal,
    ):
        with portal.database():
            _people_the_firm(portal)
            events.commit()
        yield portal


def _people_the_firm(portal: Portal) -> None:
    now = clock.utcnow()
    domain = domains.add_domain(portal.address(HOST), "Firm Online", areas=set(Area), by=SYSTEM, now=now)
    alder = accounts.add_company("Alder Dental", by=SYSTEM, now=now)
    domains.admit(alder, domain, is_home=True, by=SYSTEM, now=now)
    accounts.add_person("Olaf", OFFICE, by=SYSTEM, now=now, role=StaffRole.OFFICE, password=PASSWORD)
    alice = accounts.add_person("Alice Alder", ALICE, by=SYSTEM, now=now, password=PASSWORD)
    accounts.add_membership(alice, alder, by=SYSTEM, now=now)


@dataclass
class Desk:
    """Makes work that is there before a story begins, as the office does it, and lets time pass."""

    product: Portal

    def make(
        self,
        kind: WorkKind,
        title: str,
        *roles: Role,
        valid_until: date | None = None,
        price: int = 0,
        is_mine: bool = False,
    ) -> str:
        """An item of Alder Dental that went through the steps of these roles; returns its number."""
        with self.product.database():
            now = clock.utcnow()
            company_id, alice_id, olaf_id = (_id_of(each) for each in ("Alder Dental", ALICE, OFFICE))
            table = queries.settings_of(kind).table
            facts = items.Facts(
                title,
                contact_id=alice_id,
                site="4 Quay Street",
                terms=TERMS if price else "",
                valid_until=valid_until,
                assignee_id=olaf_id if is_mine else None,
                starts_at=now if is_mine else None,
                ends_at=now + timedelta(hours=1) if is_mine else None,
            )
            first, *others = roles
            status_id = table.with_role(first).id
            item = items.add_item(kind, company_id, facts, by=SYSTEM, now=now, status_id=status_id, tell=False)
            if price:
                line = LineGiven("Desk phone", 10_000, price, 2000)
                items.set_lines(item, [line], version=item.version, by=SYSTEM, now=now)
            for role in others:
                actions.move(item, table.with_role(role).id, by=SYSTEM, now=now, tell=False)
            events.commit()
            return written_number(kind, item.number)

    def reprice(self, number: str, price: int) -> None:
        """The office thinks again about what a quote comes to."""
        with self.product.database():
            item = db.session.query(WorkItem).filter_by(kind=WorkKind.QUOTE, number=int(number[2:])).one()
            line = LineGiven("Desk phone", 10_000, price, 2000)
            items.set_lines(item, [line], version=item.version, by=SYSTEM, now=clock.utcnow())
            events.commit()

    def let_notices_be_due(self) -> None:
        """The minutes in which further changes would join a mail have passed."""
        with self.product.database():
            db.session.execute(update(WorkNotice).values(due_at=clock.utcnow()))
            events.commit()


def _id_of(name: str) -> int:
    model, column = (Person, Person.email) if "@" in name else (Company, Company.name)
    return int(db.session.query(model.id).filter(column == name).scalar())


def test_the_office_names_its_steps_and_customers_read_what_it_wants(browser: Browser, product: Portal) -> None:
    """Renamed, mapped, coloured, put in order and hidden while a customer's pages are open, which follow by themselves.

    A name of the office never leaves it, and “Requested” reads “Submitted”.
    """
    desk = Desk(product)
    router = desk.make(WorkKind.JOB, "Move the router", Role.REQUESTED, Role.IN_PROGRESS)
    phones = desk.make(WorkKind.JOB, "Ten desk phones", Role.REQUESTED, Role.IN_PROGRESS, Role.ON_HOLD)
    cable = desk.make(WorkKind.JOB, "A cable to the barn", Role.REQUESTED, Role.SCHEDULED)
    with windows(browser, product) as visit:
        item, listed = _alice(visit, f"/jobs/{router}"), _alice(visit, "/jobs")
        expect(item.locator(".work-status")).to_contain_text("In progress")
        assert _filters(listed) == ["Scheduled", "In progress", "On hold"]
        for page in (item, listed):
            _look_at(page)
            _touch_not(page)

        staff = _olaf(visit, "/admin/settings/job-statuses")
        name_everything_anew(staff)
        # Nothing counts until it is saved.
        expect(item.locator(".work-status")).to_contain_text("In progress")
        _save(staff)

        expect(item.locator(".work-status")).to_contain_text("We are on it", timeout=SOON)
        expect(_line(listed, phones)).to_contain_text("We are on it", timeout=SOON)
        expect(_line(listed, cable)).to_contain_text("Submitted", timeout=SOON)
        assert _filters(listed) == ["We are on it", "Submitted"]
        for badge in (item.locator(".work-status .work-badge"), _line(listed, phones).locator(".work-badge")):
            expect(badge).to_have_css("background-color", "rgb(214, 51, 138)", timeout=SOON)
        _hold_no_word_of_the_office(item, listed)

        staff.goto(f"{product.address(STAFF)}/admin/jobs/{router}")
        _move(staff, "Completed")
        expect(item.locator(".work-status")).to_contain_text("Completed", timeout=SOON)
        expect(_line(listed, router)).to_contain_text("Completed", timeout=SOON)
        for page in (item, listed):
            assert page.evaluate("() => window.untouched") is True

        booked = _ask(item, product.address(HOST) + "/jobs", "Book a job", "A socket in the kitchen")
        expect(item.locator(".work-status")).to_contain_text("Submitted")
        expect(_line(listed, booked)).to_contain_text("Submitted", timeout=SOON)
        staff.goto(f"{product.address(STAFF)}/admin/jobs/{booked}")
        expect(staff.locator(".card", has_text="Move to")).to_contain_text("Requested")
        expect(staff.locator(".card", has_text="The customer sees")).to_contain_text("Submitted")
        _hold_no_word_of_the_office(item, listed)


def name_everything_anew(staff: Page) -> None:
    """Renamed, mapped, coloured, put in order by keyboard and hidden: the page says what comes of it before saving."""
    for present, name in (("In progress", "Fettling"), ("On hold", "Landlord sulks"), ("Scheduled", "Pencilled")):
        staff.get_by_label(f"Name of {present}", exact=True).fill(name)
    staff.get_by_label("Name of In progress in the portal", exact=True).fill("We are on it")
    staff.get_by_label("Name of Requested in the portal", exact=True).fill("Submitted")
    staff.get_by_label("What customers see of On hold").select_option(label="Fettling")
    staff.get_by_label("What customers see of Scheduled").select_option(label="Hidden")
    _choose_colour(staff, "Colour of In progress in the portal", "Pink")
    staff.get_by_role("button", name="Move Requested down").focus()
    for _time in range(3):
        staff.keyboard.press("ArrowDown")
    row = staff.get_by_role("row", name=re.compile("Landlord sulks"))
    expect(row.locator(".work-seen")).to_contain_text("We are on it")
    expect(staff.locator("#bar-words")).to_contain_text("3 open jobs of 1 company look different to customers")
    _look_at(staff)


def test_a_quote_is_asked_for_priced_signed_and_undone(browser: Browser, product: Portal, smtp_sink: SmtpSink) -> None:
    """From asking to the receipt, with what goes otherwise: changed meanwhile, declined, expired, taken back."""
    desk, site = Desk(product), product.address(HOST)
    with windows(browser, product) as visit:
        window = _window(visit, HOST, ALICE, "/quotes")
        customer, other = window.page, _alice(visit, "/quotes")
        staff = _olaf(visit, "/admin/quotes")
        on_hold_reads_sent(staff, customer, product, desk)
        name_what_is_sent(staff, product.address(STAFF))

        number = _ask(customer, site + "/quotes", "Ask for a quote", "Ten phones for the new office")
        price_it(staff, product.address(STAFF), number)
        expect(customer.locator(".work-status")).to_contain_text("Ready for you", timeout=SOON)
        desk.let_notices_be_due()
        letter = _mail(smtp_sink, ALICE, f"{number} Ten phones for the new office: Ready for you")
        assert f"{site}/quotes/{number}" in letter

        other.goto(f"{site}/quotes/{number}/accept")
        sign_by_hand(customer, f"{site}/quotes/{number}")
        receipt = _mail(smtp_sink, ALICE, f"{number} Ten phones for the new office: you have accepted")
        assert "Alice Alder" in receipt
        assert "£1,200.00" in receipt
        assert f"{number} Ten phones" in _mail(
            smtp_sink, OFFICE, f"{number} was accepted by Alice Alder (Alder Dental)"
        )
        accept_once_more(other, number)

        take_it_back(staff, product.address(STAFF), number)
        expect(customer.locator("#answer")).to_contain_text("Firm Online took this back", timeout=SOON)
        expect(customer.locator("#answer")).to_contain_text("Accepted by Alice Alder")
        expect(customer.get_by_role("link", name="Accept…")).to_be_visible()

        changed_meanwhile(window, site, desk)
        declined_with_a_reason(customer, site, desk, smtp_sink)
        # What was accepted in two windows was told of once.
        assert receipt == _mail(smtp_sink, ALICE, f"{number} Ten phones for the new office: you have accepted")
        expired = desk.make(
            WorkKind.QUOTE, "Last year's price", Role.SENT, price=100, valid_until=_today() - timedelta(days=2)
        )
        customer.goto(f"{site}/quotes/{expired}/accept")
        expect(customer).to_have_url(f"{site}/quotes/{expired}")
        expect(customer.locator(".offer-expired")).to_contain_text("can no longer be accepted")
        expect(customer.get_by_role("link", name="Accept…")).to_have_count(0)


def on_hold_reads_sent(staff: Page, customer: Page, product: Portal, desk: Desk) -> None:
    """On hold mapped to Sent: the customer sees Sent with its name, colour and place, and nothing ever happened."""
    number = desk.make(WorkKind.QUOTE, "A second line", Role.DRAFT, Role.SENT, price=5_000, valid_until=_later())
    customer.goto(f"{product.address(HOST)}/quotes/{number}")
    sent = customer.locator(".work-status .work-badge")
    expect(sent).to_have_text("Sent")
    look = sent.get_attribute("class")
    staff.goto(product.address(STAFF) + "/admin/settings/quote-statuses")
    staff.get_by_label("What customers see of On hold").select_option(label="Sent")
    expect(staff.get_by_role("row", name=re.compile("On hold")).locator(".work-seen")).to_contain_text("Sent")
    _save(staff)
    staff.goto(f"{product.address(STAFF)}/admin/quotes/{number}")
    _move(staff, "On hold")
    expect(staff.locator(".card", has_text="The customer sees")).to_contain_text("Sent")
    customer.reload()
    expect(sent).to_have_text("Sent")
    assert sent.get_attribute("class") == look
    expect(sent).to_have_css("background-color", "rgb(36, 87, 214)")
    expect(customer.locator(".timeline-entry")).to_have_count(1)
    assert "On hold" not in customer.content()
    customer.goto(product.address(HOST) + "/quotes")
    assert "On hold" not in customer.content()
    expect(_line(customer, number)).to_contain_text("Sent")


def name_what_is_sent(staff: Page, address: str) -> None:
    """From here on customers read their own word for it."""
    staff.goto(address + "/admin/settings/quote-statuses")
    staff.get_by_label("Name of Sent in the portal", exact=True).fill("Ready for you")
    _save(staff)


def price_it(staff: Page, address: str, number: str) -> None:
    """The office finds what was asked for, says what it comes to and until when, and sends it."""
    staff.goto(address + "/admin/quotes")
    staff.get_by_role("link", name=number).click()
    staff.get_by_role("link", name="Add lines").click()
    staff.get_by_label("What", exact=True).first.fill("Desk phone")
    for label, value in (("Quantity", "10"), ("Price of one", "100"), ("Tax in %", "20")):
        staff.get_by_label(label).first.fill(value)
    _look_at(staff)
    staff.get_by_role("button", name="Save").click()
    expect(staff.locator("#item")).to_contain_text("GBP 1,200.00")
    staff.get_by_role("link", name="Edit", exact=True).click()
    staff.get_by_label("Terms").fill(TERMS)
    staff.get_by_label("Valid until").fill(_later().isoformat())
    staff.get_by_role("button", name="Save").click()
    staff.get_by_role("button", name="Send the quote").click()
    expect(staff.locator(".jobs-status").first).to_contain_text("Sent")
    _look_at(staff)


def sign_by_hand(customer: Page, address: str) -> None:
    """Read, agree, and draw a signature with the mouse."""
    customer.goto(address)
    _look_at(customer)
    customer.get_by_role("link", name="Accept…").click()
    expect(customer.locator(".offer")).to_contain_text("£1,200.00")
    _look_at(customer)
    customer.get_by_label("I have read the terms").check()
    customer.get_by_label("Your name").fill("Alice Alder")
    pad = customer.get_by_role("img", name="A field to draw your signature in")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    assert box
    for stroke in (((0.1, 0.8), (0.2, 0.2), (0.3, 0.8)), ((0.4, 0.5), (0.7, 0.3), (0.9, 0.6))):
        points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
        customer.mouse.move(*points[0])
        customer.mouse.down()
        for point in points[1:]:
            customer.mouse.move(*point, steps=8)
        customer.mouse.up()
    customer.get_by_role("button", name="Accept for £1,200.00").click()
    expect(customer.locator(".flash, .toast").first).to_contain_text("A receipt is on its way to you by mail")
    drawn = customer.get_by_role("img", name="Signature of Alice Alder").locator("path")
    assert str(drawn.get_attribute("d")).count("M") == 2
    expect(customer.get_by_role("link", name="Accept…")).to_have_count(0)
    _look_at(customer)


def accept_once_more(other: Page, number: str) -> None:
    """In another window, where the page stood open: it is accepted already, and stays as it was."""
    other.get_by_label("I have read the terms").check()
    other.get_by_label("Your name").fill("Alice Alder")
    other.get_by_label("Your signature", exact=True).fill("Alice Alder")
    other.get_by_role("button", name="Accept for £1,200.00").click()
    other.wait_for_url(re.compile(rf"/quotes/{number}(#answer)?$"))
    expect(other.locator(".answer-record")).to_have_count(1)
    expect(other.get_by_role("img", name="Signature of Alice Alder")).to_be_visible()


def take_it_back(staff: Page, address: str, number: str) -> None:
    """The answer stays on record as taken back, with who did it and why."""
    staff.goto(f"{address}/admin/quotes/{number}/answers")
    expect(staff.get_by_role("img", name="Signature of Alice Alder")).to_be_visible()
    _look_at(staff)
    staff.get_by_text("Take back", exact=True).first.click()
    staff.get_by_label("Why").fill("She meant the other quote.")
    staff.get_by_role("button", name="Take back").click()
    expect(staff.locator("#answers")).to_contain_text("took this back")
    expect(staff.locator("#answers")).to_contain_text("Accepted by Alice Alder")


def changed_meanwhile(window: Visit, site: str, desk: Desk) -> None:
    """What was read is not what stands there now: refused with the difference, then signed by keyboard alone."""
    customer = window.page
    number = desk.make(WorkKind.QUOTE, "Phones for the barn", Role.SENT, price=10_000, valid_until=_later())
    customer.goto(f"{site}/quotes/{number}/accept")
    desk.reprice(number, 9_000)
    _sign_by_keyboard(customer)
    changes = customer.locator(".offer-changes")
    expect(changes).to_contain_text("£1,200.00")
    expect(changes).to_contain_text("£1,080.00")
    _look_at(customer)
    # The browser tells of the refusal, and of nothing else.
    assert {re.findall(r"status of (\d+)", line)[0] for line in window.complaints} == {"422"}
    window.complaints.clear()
    _sign_by_keyboard(customer)
    expect(customer.locator("#answer")).to_contain_text("For £1,080.00")
    expect(customer.locator(".signature-typed")).to_have_text("Alice Alder")


def declined_with_a_reason(customer: Page, site: str, desk: Desk, smtp_sink: SmtpSink) -> None:
    number = desk.make(WorkKind.QUOTE, "Gold-plated phones", Role.SENT, price=900_000, valid_until=_later())
    customer.goto(f"{site}/quotes/{number}")
    customer.get_by_role("link", name="Decline…").click()
    _look_at(customer)
    customer.get_by_label("Why not?").fill("Plastic will do.")
    customer.get_by_role("button", name="Decline").click()
    expect(customer.locator("#answer")).to_contain_text("Declined by Alice Alder")
    expect(customer.locator("#answer")).to_contain_text("Plastic will do.")
    assert "Plastic will do." in _mail(smtp_sink, OFFICE, f"{number} was declined by Alice Alder (Alder Dental)")


def test_a_day_on_the_road_with_a_telephone(
    browser: Browser, product: Portal, smtp_sink: SmtpSink, tmp_path: Path
) -> None:
    """My work: the next job, its status, a message and a photo; the customer sees all of it come in."""
    number = Desk(product).make(WorkKind.JOB, "Hang the phone in the hall", Role.IN_PROGRESS, is_mine=True)
    photo = tmp_path / "hall.png"
    photo.write_bytes(_picture())
    with windows(browser, product) as visit:
        customer = _alice(visit, f"/jobs/{number}")
        _touch_not(customer)
        phone = _olaf(visit, "/admin/my-work", has_touch=True)
        phone.set_viewport_size(PHONE)
        _look_at(phone)
        phone.get_by_role("link", name="Hang the phone in the hall").tap()
        phone.get_by_role("button", name="Completed").tap()
        expect(customer.locator(".work-status")).to_contain_text("Completed", timeout=SOON)

        phone.get_by_label("Write a message").fill("It hangs, and it rings.")
        phone.get_by_label("Take a photo").set_input_files(photo)
        expect(phone.locator("[data-upload-done]")).to_contain_text("hall.png", timeout=SOON)
        _look_at(phone)
        phone.get_by_role("button", name="Send to the customer").tap()
        expect(phone.locator(".message", has_text="It hangs, and it rings.")).to_be_visible()

        told = customer.locator(".message", has_text="It hangs, and it rings.")
        expect(told).to_be_visible(timeout=SOON)
        picture = told.get_by_role("link", name=re.compile("hall.png")).locator("img")
        picture.scroll_into_view_if_needed()
        expect(picture).not_to_have_js_property("naturalWidth", 0)
        assert "It hangs, and it rings." in _mail(smtp_sink, ALICE, f"{number} Hang the phone in the hall: a message")
        phone.get_by_label("Write a message").fill("Their ladder is rotten.")
        phone.get_by_role("button", name="Note for staff only").tap()
        expect(phone.locator(".message", has_text="Their ladder is rotten.")).to_be_visible()
        assert customer.evaluate("() => window.untouched") is True
        customer.reload()
        assert "ladder" not in customer.content()


# --- what several stories do ----------------------------------------------------------------------------------------


def _alice(visit: Visits, path: str) -> Page:
    return _window(visit, HOST, ALICE, path).page


def _olaf(visit: Visits, path: str, **options: bool) -> Page:
    return _window(visit, STAFF, OFFICE, path, **options).page


def _window(visit: Visits, host: str, email: str, path: str, **options: bool) -> Visit:
    window = visit(host, email, PASSWORD, **options)
    window.page.set_default_timeout(SOON)
    window.open(path)
    return window


def _look_at(page: Page) -> None:
    """Nothing is wrong with it, wide and light or narrow and dark; then it is as it was."""
    size = page.viewport_size
    assert flaws(page, KNOWN) == []
    page.emulate_media(color_scheme="light")
    if size:
        page.set_viewport_size(size)


def _touch_not(page: Page) -> None:
    """A mark that a reload would wipe away."""
    page.evaluate("() => { window.untouched = true }")


def _line(listed: Page, number: str) -> Locator:
    return listed.locator(f"#work-{number.lower()}")


def _filters(listed: Page) -> list[str]:
    """The names of the statuses a list can be narrowed to, in their order."""
    links = listed.locator(".work-filters a").all_inner_texts()
    return [re.sub(r"\s*\d+$", "", link.strip()) for link in links][1:]


def _hold_no_word_of_the_office(*pages: Page) -> None:
    for page in pages:
        seen = unescape(page.content())
        for word in ("Fettling", "Landlord sulks", "Pencilled", "Requested", "Scheduled", "On hold"):
            assert word not in seen


def _choose_colour(staff: Page, label: str, name: str) -> None:
    palette = staff.locator(".work-colour", has=staff.get_by_label(label, exact=True))
    palette.locator("summary").click()
    palette.get_by_role("button", name=name).click()
    staff.keyboard.press("Escape")


def _save(staff: Page) -> None:
    staff.get_by_role("button", name="Save", exact=True).click()
    expect(staff.get_by_text(re.compile(r"^Saved\."))).to_be_visible()


def _move(staff: Page, status: str) -> None:
    """Move the item whose page is open."""
    staff.get_by_label("Move to").select_option(label=status)
    staff.get_by_role("button", name="Move", exact=True).click()
    expect(staff.locator(".jobs-status").first).to_contain_text(status)


def _ask(customer: Page, address: str, send: str, title: str) -> str:
    """Ask for work with a double click, while what is sent is sent once more beside it; one comes of it."""
    customer.goto(address + "/new")
    _look_at(customer)
    customer.get_by_label("What is it about?").fill(title)
    customer.get_by_label("Where?").fill("4 Quay Street")
    customer.evaluate(
        "() => { const form = document.querySelector('#booking form');"
        " window.again = fetch(form.action, {method: 'POST', body: new FormData(form)}); }"
    )
    customer.get_by_role("button", name=send).dblclick()
    customer.wait_for_url(re.compile(r"/[JQ]-\d+$"))
    number = customer.url.rpartition("/")[2]
    expect(customer.get_by_role("heading", level=1)).to_have_text(title)
    found = customer.evaluate("address => fetch(address).then(answer => answer.text())", address + "?q=" + title)
    assert re.findall(r'id="work-(\S+)"', found) == [number.lower()]
    return number


def _sign_by_keyboard(customer: Page) -> None:
    customer.get_by_label("I have read the terms").focus()
    if not customer.get_by_label("I have read the terms").is_checked():
        customer.keyboard.press("Space")
    for word in ("Alice Alder", "Alice Alder"):
        customer.keyboard.press("Tab")
        customer.keyboard.press("Control+A")
        customer.keyboard.type(word)
    customer.keyboard.press("Enter")


def _mail(sink: SmtpSink, address: str, subject: str) -> str:
    """The text of the one mail to this address whose subject begins so."""

    def found() -> list[str]:
        mails = (message_from_bytes(each.content, policy=default) for each in sink.to(address))
        texts = [mail.get_body(("plain",)) for mail in mails if str(mail["Subject"]).startswith(subject)]
        return [text.get_content() for text in texts if text is not None]

    wait_until(lambda: bool(found()), SOON / 1000, f"a mail to {address}: {subject}")
    [text] = found()
    return text


def _picture() -> bytes:
    """A photograph, near enough."""
    made = io.BytesIO()
    Image.linear_gradient("L").resize((640, 480)).save(made, "PNG")
    return made.getvalue()


def _today() -> date:
    return clock.utcnow().date()


def _later() -> date:
    return _today() + UNTIL
