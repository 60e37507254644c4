"""Reporting a problem with what an alert watches: the link of a mail, the form it opens, and who gets there."""

import re
from decimal import Decimal
from urllib.parse import urlsplit

import pytest
from bs4 import BeautifulSoup
from sqlalchemy import select

from portal import clock
from portal.accounts.models import Person
from portal.alerts import telling
from portal.alerts.models import Alert, AlertRecipient, AlertWatch
from portal.alerts.rules import AlertArea, AlertState, Happening, Operator, RecipientKind
from portal.audit.rules import SYSTEM
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.extensions import db
from portal.messages.models import Message
from portal.notifications.models import Broadcast
from portal.usage.readings import Reading
from tests.conftest import NOW, Cast, SignIn, token_in

EVIL = "</textarea><script>alert(1)</script>"


@pytest.fixture
def watch(cast: Cast) -> AlertWatch:
    alert = Alert(
        public_id="reported01",
        company_id=cast.a.id,
        title=f"Low ASR {EVIL}",
        title_key="low asr",
        area=AlertArea.ASR,
        operator=Operator.LESS,
        threshold=Decimal(30),
        window=600,
        created_at=NOW,
    )
    alert.recipients = [AlertRecipient(kind=RecipientKind.MAIL, address=cast.alice.email, person_id=cast.alice.id)]
    db.session.add(alert)
    db.session.flush()
    made = AlertWatch(
        alert_id=alert.id,
        company_id=cast.a.id,
        state=AlertState.TRIGGERED,
        since=NOW,
        triggered_at=NOW,
        value=Decimal("11.00"),
        count=90,
        value_at=NOW,
    )
    db.session.add(made)
    db.session.commit()
    return made


def told(watch: AlertWatch) -> str:
    """What was told, and the link of its mail to the report."""
    reading = Reading(Decimal("28.4"), 134, NOW, is_stale=False, next_at=None)
    alert = db.session.get_one(Alert, watch.alert_id)
    broadcast = telling.tell(alert, watch, Happening.TRIGGERED, reading, now=clock.utcnow())
    db.session.commit()
    assert broadcast is not None
    link = re.search(r"\{\{portal_url\}\}(/messages/\S+)", broadcast.content["en"]["text"])
    assert link is not None
    return link[1]


def message_in(page: str) -> str:
    area = BeautifulSoup(page, "html.parser").select_one("textarea[name=body]")
    assert area is not None
    return area.text.replace("\u202f", " ").replace("\r\n", "\n").removeprefix("\n")


def test_the_link_of_a_mail_opens_a_message_with_the_facts_as_they_were(
    cast: Cast, sign_in: SignIn, watch: AlertWatch
) -> None:
    client = sign_in(cast.alice)
    answer = client.get(told(watch))
    assert answer.status_code == 200
    assert EVIL not in answer.text
    lines = message_in(answer.text).split("\n")
    assert lines[0] == f"About the alert “Low ASR {EVIL}”:"
    assert lines[1] == "ASR (answered calls): 28.40 %, and so below 30.00 %."
    assert lines[2].startswith("Measured: 21 Nov 2026, 12:00")
    assert lines[3].startswith("Beyond its line since: 21 Nov 2026, 12:00")
    assert lines[4] == "Calls behind the figure: 134 calls in 10 minutes"


def test_it_is_sent_as_any_message_and_staff_read_it(cast: Cast, sign_in: SignIn, watch: AlertWatch) -> None:
    client, link = sign_in(cast.alice), told(watch)
    page = client.get(link).text
    key = BeautifulSoup(page, "html.parser").select_one("input[name=key]")
    assert key is not None
    body = message_in(page) + "Calls to Spain fail."
    sent = client.post(
        urlsplit(link).path, data={"body": body, "key": key["value"], "csrf_token": token_in(client, link)}
    )
    assert sent.status_code == 303
    message = db.session.scalars(select(Message)).one()
    assert message.body.startswith("About the alert")
    assert message.body.endswith("Calls to Spain fail.")
    staff = sign_in(cast.olaf)
    seen = staff.get(f"/admin/messages/alert/{watch.id}")
    assert "Calls to Spain fail." in seen.text
    assert message_in(client.get(urlsplit(link).path).text) == "", "nothing is filled in where nothing is named"


@pytest.mark.parametrize(
    "name", ["now", "triggered-20200101T000000-000000", "x" * 5000, "%00", "'; drop table alert; --"]
)
def test_what_names_no_notice_of_it_gives_the_facts_of_this_moment_and_nothing_of_the_link(
    cast: Cast, sign_in: SignIn, watch: AlertWatch, name: str
) -> None:
    answer = sign_in(cast.alice).get(f"/messages/alert/{watch.id}", query_string={"told": name})
    assert answer.status_code == 200
    assert "ASR (answered calls): 11.00 %" in message_in(answer.text)
    assert name[:3] == "now" or name not in answer.text


def test_a_notice_of_another_alert_is_not_read_through_ones_own(cast: Cast, sign_in: SignIn, watch: AlertWatch) -> None:
    other = Alert(
        public_id="other00001",
        company_id=cast.b.id,
        title="Secret of Birch",
        title_key="secret of birch",
        area=AlertArea.CPS,
        operator=Operator.MORE,
        threshold=Decimal(30),
        created_at=NOW,
    )
    other.recipients = [AlertRecipient(kind=RecipientKind.MAIL, address=cast.charlie.email, person_id=cast.charlie.id)]
    db.session.add(other)
    db.session.flush()
    theirs = AlertWatch(
        alert_id=other.id, company_id=cast.b.id, state=AlertState.TRIGGERED, since=NOW, triggered_at=NOW
    )
    db.session.add(theirs)
    db.session.commit()
    name = urlsplit(told(theirs)).query
    client = sign_in(cast.alice)
    assert "Secret" not in client.get(f"/messages/alert/{watch.id}?{name}").text
    foreign = client.get(f"/messages/alert/{theirs.id}?{name}")
    missing = client.get(f"/messages/alert/99999?{name}")
    assert foreign.status_code == missing.status_code == 404
    assert BeautifulSoup(foreign.text, "html.parser").body == BeautifulSoup(missing.text, "html.parser").body


@pytest.mark.parametrize("key", ["0", "-1", "01", "x", "1e3", "٣", "9" * 30])
def test_what_is_no_number_is_not_there(cast: Cast, sign_in: SignIn, key: str) -> None:
    assert sign_in(cast.alice).get(f"/messages/alert/{key}").status_code == 404


@pytest.mark.parametrize("area", [Area.ALERTS, Area.MESSAGES])
def test_without_either_area_there_is_no_such_page(cast: Cast, sign_in: SignIn, watch: AlertWatch, area: Area) -> None:
    link = told(watch)
    domains.set_override(cast.domain_a, cast.a, area, False, by=SYSTEM, now=NOW)
    db.session.commit()
    assert sign_in(cast.alice).get(link).status_code == 404


def test_a_german_reader_gets_the_facts_in_german(cast: Cast, sign_in: SignIn, watch: AlertWatch) -> None:
    db.session.get_one(Person, cast.alice.id).language = "de"
    db.session.commit()
    body = message_in(sign_in(cast.alice).get(told(watch)).text)
    assert body.startswith("Zum Alarm „Low ASR")
    assert "ASR (angenommene Anrufe): 28,40 %, also unter 30,00 %." in body


def test_an_archived_alert_is_no_subject_of_customers_any_more(cast: Cast, sign_in: SignIn, watch: AlertWatch) -> None:
    link = told(watch)
    db.session.get_one(Alert, watch.alert_id).archived_at = NOW
    db.session.commit()
    assert sign_in(cast.alice).get(link).status_code == 404
    assert sign_in(cast.olaf).get(f"/admin/messages/alert/{watch.id}").status_code == 200
    assert db.session.scalar(select(Broadcast.id)) is not None
