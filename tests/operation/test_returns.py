"""The mailbox of reports under watch: on the screen, in the metrics, on the overview, and as an alarm; and the doctor's
look at the gateway for texts."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network

import pytest
from flask import Flask
from sqlalchemy import select

from portal import clock
from portal.config import Settings
from portal.extensions import db
from portal.notifications.bounces import polling
from portal.notifications.channels.gateway import sms_trouble
from portal.notifications.models import Broadcast, Delivery
from portal.operation.rules import Returns, Verdict, mailbox_finding, returns_finding, texts_finding
from tests.conftest import NOW, STAFF_HOST, Cast, SignIn, client_on
from tests.support.receiver import Receiver, Reply

TOKEN = "a-token-of-the-monitoring"
MINUTE = timedelta(minutes=1)
POLLED = Returns(True, False, NOW, None, "", 0)


@pytest.mark.parametrize(
    ("found", "verdict", "said"),
    [
        (replace(POLLED, is_polled=False), Verdict.OK, "nobody reads what comes back"),
        (replace(POLLED, is_polled=False, is_posted=True), Verdict.OK, "taken over HTTP"),
        (replace(POLLED, read_at=None, unread=None), Verdict.OK, "not looked into yet"),
        (replace(POLLED, read_at=NOW - MINUTE), Verdict.OK, "read 1 minute ago, none unread"),
        (replace(POLLED, unread=1000), Verdict.OK, "1,000 unread"),
        (replace(POLLED, unread=1001), Verdict.WARN, "1,001 lie unread"),
        (
            replace(POLLED, read_at=NOW - 16 * MINUTE),
            Verdict.WARN,
            "see whether `portal worker` and `portal pulse` run",
        ),
        (replace(POLLED, failing_since=NOW, answer="LOGIN failed."), Verdict.WARN, "LOGIN failed. See Returned mails."),
    ],
)
def test_what_is_said_of_the_mailbox(found: Returns, verdict: Verdict, said: str) -> None:
    finding = returns_finding(found, NOW)
    assert (finding.verdict, said in finding.text) == (verdict, True), finding.text


def test_what_the_doctor_says_after_signing_in() -> None:
    assert mailbox_finding("", 3) == ("Mailbox", Verdict.OK, "signed in, 3 waiting")
    assert mailbox_finding("It refuses.", None).verdict is Verdict.FAIL
    assert texts_finding("").verdict is Verdict.OK
    assert "check PORTAL_SMS_URL" in texts_finding("It hangs.").text


@pytest.fixture
def polled(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Settings:
    settings: Settings = replace(
        app.config["SETTINGS"], bounce_imap_url="imaps://reports:word@mail.example.com", metrics_token=TOKEN
    )
    monkeypatch.setitem(app.config, "SETTINGS", settings)
    return settings


def look(settings: Settings, ago: timedelta, why: str = "", unread: int = 0) -> None:
    """One look at the mailbox, so long ago, that met this."""
    now = clock.utcnow() - ago
    assert polling.begin(settings, "me", now)
    if why:
        polling.rest(settings, "me", why, now)
    else:
        polling.end(settings, "me", now, unread=unread)


def figures(app: Flask) -> str:
    return client_on(app, STAFF_HOST).get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text


def test_how_the_mailbox_fares_is_seen_and_trouble_that_stays_is_told_once(
    app: Flask, cast: Cast, sign_in: SignIn, polled: Settings
) -> None:
    root = sign_in(cast.root)
    look(polled, 90 * MINUTE, unread=7)
    db.session.commit()
    shown = figures(app)
    assert "signalbox_bounce_mailbox_up 1.0" in shown
    assert "signalbox_bounce_reports_unread 7.0" in shown
    assert "7 unread" in root.get("/admin/operation").text
    assert "see what the mailbox says" not in root.get("/admin/").text
    for ago in (60, 50):
        look(polled, ago * MINUTE, "The mail server refuses: LOGIN failed")
    db.session.commit()
    assert "signalbox_bounce_mailbox_up 0.0" in figures(app)
    assert "LOGIN failed" in root.get("/admin/operation").text
    assert "see what the mailbox says" in root.get("/admin/").text
    assert told() == [], "a hiccup is on screen, and troubles nobody"
    for ago in (40, 20):
        look(polled, ago * MINUTE, "The mail server refuses: LOGIN failed")
    assert told() == [polling.TITLE]
    look(polled, MINUTE)
    assert told() == [polling.TITLE, polling.OVER]
    mailed = db.session.execute(select(Delivery.channel, Delivery.address)).all()
    assert mailed == [("mail", cast.root.email)] * 2


def test_trouble_that_ends_at_once_is_told_to_nobody(cast: Cast, polled: Settings) -> None:
    look(polled, 5 * MINUTE, "The mail server does not answer.")
    look(polled, MINUTE)
    assert told() == []


def told() -> list[str]:
    return list(db.session.scalars(select(Broadcast.title).where(Broadcast.kind == "alarm").order_by(Broadcast.id)))


@pytest.fixture
def gateway(app: Flask) -> Iterator[tuple[Receiver, Settings]]:
    receiver = Receiver()
    settings = replace(
        app.config["SETTINGS"],
        sms_url=f"smseagle://token@127.0.0.1:{receiver.port}",
        outside_allow=(ip_network("127.0.0.1/32"),),
        outside_ports=frozenset({80, receiver.port}),
    )
    yield receiver, settings
    receiver.close()


def test_the_gateway_for_texts_is_looked_at_and_told_nothing(gateway: tuple[Receiver, Settings]) -> None:
    receiver, settings = gateway
    receiver.default = Reply(401, b"who are you?")
    assert sms_trouble(settings) == "", "whatever it answers, it is there"
    (asked,) = receiver.requests
    assert (asked.method, asked.path, asked.body) == ("HEAD", "/", b"")
    assert "token" not in str(asked)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "names no gateway"),
        ("twilio://", "no address its gateway understands"),
        ("smseagle://token@127.0.0.1:9", "port"),
        ("smseagle://token@10.0.0.1", "not an address of the public internet"),
    ],
)
def test_a_gateway_that_cannot_be_used_is_named(gateway: tuple[Receiver, Settings], url: str, said: str) -> None:
    trouble = sms_trouble(replace(gateway[1], sms_url=url))
    assert said in trouble, trouble
    assert "token" not in trouble
