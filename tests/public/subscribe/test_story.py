"""The whole way in a real browser and over a real relay: subscribe, confirm, an incident, one click, forgotten."""

import re
from email import message_from_bytes
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from portal import events
from portal.audit.rules import SYSTEM
from portal.catalogue.models import Component
from portal.database import read_only
from portal.domains import actions as domains
from portal.domains.announcements.actions import announce
from portal.domains.models import PortalDomain
from portal.domains.rules import Area
from portal.extensions import db
from portal.incidents import actions as incidents
from portal.incidents.rules import Audience, Severity, State, Visibility
from portal.notifications.models import Delivery
from portal.notifications.subscribers import actions, announcing
from portal.notifications.subscribers.models import Subscriber
from tests.conftest import client_on
from tests.notifications.conftest import environment, outbox
from tests.notifications.outbox import Outbox
from tests.story.conftest import violations
from tests.support.browser import answered_page
from tests.support.smtp_sink import Received, SmtpSink

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["environment", "outbox"]

pytestmark = pytest.mark.browser

HOST = "status.portal.test"
PHONE = {"width": 360, "height": 740}


def publish(component: Component, outbox: Outbox, key: str) -> None:
    incidents.publish(
        title="Calls fail",
        state=State.INVESTIGATING,
        body="We **look** into it.",
        severities={component.id: Severity.MAJOR_OUTAGE},
        visibility=Visibility.PUBLIC,
        audience=Audience.EVERYONE,
        notify=True,
        mail_affected_only=False,
        by=SYSTEM,
        author_id=None,
        now=outbox.now(),
        idempotency_key=key,
    )
    events.commit()


def texts(mail: Received) -> list[str]:
    """The parts of a mail that can be read, plain first."""
    parts = [part for part in message_from_bytes(mail.content).walk() if part.get_content_maintype() == "text"]
    return [bytes(part.get_payload(decode=True) or b"").decode() for part in parts]


def link_in(mail: Received, path: str) -> str:
    return str(re.findall(rf"http://{HOST}/subscribe/{path}/\S+", texts(mail)[0])[0])


@pytest.fixture
def parts(outbox: Outbox) -> tuple[Component, Component]:
    """A portal whose public page is open, and two components on it."""
    now = outbox.now()
    domains.add_domain(f"http://{HOST}", "Acme", areas=[Area.PUBLIC_STATUS], by=SYSTEM, now=now)
    trunks, phones = (
        Component(title=title, public_id=title.lower(), position=place, created_at=now, updated_at=now)
        for place, title in enumerate(("Trunks", "Phones"))
    )
    db.session.add_all([trunks, phones])
    events.commit()
    return trunks, phones


def sign_up(page: "Page") -> None:
    """Choose one component and ask to be told."""
    page.get_by_role("link", name="Be told by mail").first.click()
    assert violations(page) == []
    page.get_by_label("E-mail address").fill("rita@reader.test")
    page.locator("input[name=kinds][value=maintenance]").uncheck()
    page.get_by_role("radio", name="Only what I tick").check()
    page.get_by_role("checkbox", name="Trunks").check()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    page.get_by_role("button", name="Subscribe").click()
    page.get_by_role("heading", name="Look into your mailbox").wait_for()
    read_only.set(False)


def confirm(page: "Page", letter: Received) -> None:
    """Follow the link of the letter."""
    assert letter.headers["List-Unsubscribe"] is None
    page.goto(link_in(letter, "confirm"))
    assert violations(page) == []
    page.get_by_role("button", name="Confirm").click()
    page.get_by_role("heading", name="Your subscription").wait_for()
    assert violations(page) == []
    read_only.set(False)


def test_from_the_public_page_to_a_mail_and_out_again(
    browser: "Browser", outbox: Outbox, smtp_sink: SmtpSink, parts: tuple[Component, Component]
) -> None:
    trunks, phones = parts
    client = client_on(outbox.app, HOST)
    with answered_page(browser, client, f"http://{HOST}/status", viewport=PHONE) as page:
        sign_up(page)
        assert outbox.send() == 1
        confirm(page, smtp_sink.to("rita@reader.test")[0])
        publish(phones, outbox, "phones")
        publish(trunks, outbox, "trunks")
        assert outbox.send() == 1
        mail = smtp_sink.to("rita@reader.test")[1]
        plain = " ".join(texts(mail)[0].split())
        assert "Trunks" in plain
        assert "because this address was subscribed" in plain
        assert "{{" not in "".join(texts(mail))
        page.goto(link_in(mail, "manage"))
        page.get_by_role("button", name="End the subscription").wait_for()
    assert mail.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    address = str(mail.headers["List-Unsubscribe"]).strip("<>").removeprefix(f"http://{HOST}")
    assert client.post(address, data={"List-Unsubscribe": "One-Click"}).status_code == 200
    db.session.rollback()
    named = select(func.count()).select_from(Delivery).where(Delivery.address.contains("rita"))
    assert db.session.scalar(select(func.count()).select_from(Subscriber)) == db.session.scalar(named) == 0
    read_only.set(False)
    publish(trunks, outbox, "again")
    assert outbox.send() == 0


@pytest.mark.usefixtures("parts")
def test_an_announcement_is_mailed_with_the_way_out_of_its_own_list(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    domain = db.session.scalars(select(PortalDomain).where(PortalDomain.brand == "Acme")).one()
    chosen: Any = {"language": "de", "is_shared": False, "consent": "Am Telefon", "by": SYSTEM, "now": outbox.now()}
    actions.add(domain.id, "rita@reader.test", ["incidents", "announcements"], **chosen)
    words = {
        "en": {"title": "We move", "body": "To Leeds."},
        "de": {"title": "Wir ziehen um", "body": "Nach **Leeds**."},
    }
    announced = announce(
        domain,
        words,
        starts_at=outbox.now(),
        ends_at=None,
        is_pinned=False,
        tells_subscribers=True,
        by=SYSTEM,
        author_id=None,
        now=outbox.now(),
        idempotency_key="move",
    )
    public_id = announced.public_id
    events.commit()
    assert [do(row_id, outbox.now()) for do, row_id in announcing.due(outbox.now())] == [True]
    events.commit()
    assert outbox.send() == 1
    mail = smtp_sink.to("rita@reader.test")[0]
    plain = " ".join(texts(mail)[0].split())
    assert str(mail.headers["Subject"]) == "[Acme] Wir ziehen um"
    assert "Nach Leeds." in plain
    assert f"http://{HOST}/announcements/{public_id}" in plain
    assert "{{" not in "".join(texts(mail))
    assert "announcements" in str(mail.headers["List-Id"])
    assert mail.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    client = client_on(outbox.app, HOST)
    assert client.get(f"/announcements/{public_id}").status_code == 200
    address = str(mail.headers["List-Unsubscribe"]).strip("<>").removeprefix(f"http://{HOST}")
    for _ in range(2):
        assert client.post(address, data={"List-Unsubscribe": "One-Click"}).status_code == 200
    db.session.rollback()
    assert [each.topics for each in db.session.scalars(select(Subscriber))] == [["incidents"]]
