"""The screen of returned mails: what came back, what is to be looked at, and how the mailbox fares."""

from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from portal import clock
from portal.accounts.actions.anonymise import NOWHERE
from portal.extensions import db
from portal.notifications.bounces import actions, records
from portal.notifications.bounces.models import BounceMailbox, BounceReport
from portal.notifications.bounces.rules import CameBy
from portal.notifications.models import Delivery
from portal.notifications.rules import DeliveryState
from portal.records.erasure import erase, touched
from portal.records.retention import forget_some
from portal.records.rules.exports import ExportKind
from tests.conftest import Cast, SignIn, counted_queries
from tests.notifications.bounces import reports
from tests.notifications.outbox import queue

SCREEN = "/admin/bounces"


@pytest.fixture
def bouncing(app: Flask, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Flask:
    imap = "imaps://me:geheim@mail.test/INBOX"
    changed = replace(app.config["SETTINGS"], bounce_address=reports.BOUNCES, bounce_imap_url=imap)
    monkeypatch.setitem(app.config, "SETTINGS", changed)
    return app


def returned(person_id: int, address: str, key: str = "incident:1") -> Delivery:
    """A mail that was sent to this person and came back."""
    broadcast = queue(key, [{"person_id": person_id, "address": address}], now=clock.utcnow())
    delivery = db.session.scalars(select(Delivery).where(Delivery.broadcast_id == broadcast.id)).one()
    delivery.state, delivery.attempts = DeliveryState.SENT, 1
    db.session.flush()
    take(reports.dsn(address=address, token=delivery.message_id[1:27]))
    return delivery


def take(raw: bytes) -> None:
    actions.take(raw, CameBy.MAILBOX, now=clock.utcnow())
    db.session.commit()


def test_what_came_back_stands_there_with_its_words_and_leads_to_its_broadcast(
    bouncing: Flask, sign_in: SignIn, cast: Cast
) -> None:
    delivery = returned(cast.alice.id, "alice@people.test")
    take(reports.answer(subject="<script>alert(1)</script>", body="Who <b>are</b> you?"))
    take(reports.answer("Auto-Submitted: auto-replied"))
    client = sign_in(cast.olaf)
    page = client.get(SCREEN).get_data(as_text=True)
    assert f'href="/admin/broadcasts/{delivery.broadcast_id}?q=alice@people.test"' in page
    assert "User unknown" in page
    assert "&lt;script&gt;alert(1)" in page
    assert "Who &lt;b&gt;are&lt;/b&gt; you?" in page
    assert "geheim" not in page
    assert reports.BOUNCES in page
    only = client.get(f"{SCREEN}?show=look").get_data(as_text=True)
    assert "alert(1)" in only
    assert "User unknown" not in only
    assert "Automatic answer" in client.get(SCREEN, headers={"HX-Request": "true"}).get_data(as_text=True)
    assert client.get(f"{SCREEN}?show=nonsense").status_code == 404
    ledger = client.get(f"/admin/broadcasts/{delivery.broadcast_id}").get_data(as_text=True)
    assert "Came back" in ledger


def test_it_says_what_is_missing_and_costs_the_same_however_many_there_are(
    app: Flask, sign_in: SignIn, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = sign_in(cast.ada)
    assert "Nobody listens for returned mails yet" in client.get(SCREEN).get_data(as_text=True)
    monkeypatch.setitem(app.config, "SETTINGS", replace(app.config["SETTINGS"], bounce_http_secrets=[b"x" * 24]))
    assert "Nothing has come back" in client.get(SCREEN).get_data(as_text=True)

    def cost() -> int:
        with counted_queries() as statements:
            assert client.get(SCREEN).status_code == 200
        return len(statements)

    few = cost()
    for number in range(60):
        take(reports.answer(subject=f"Question {number}"))
    assert cost() == few
    page = client.get(SCREEN).get_data(as_text=True)
    assert "Question 59" in page
    assert "Question 9<" not in page
    assert "The newest 50 of 60" in page


def test_a_mailbox_in_trouble_is_told_with_its_words(bouncing: Flask, sign_in: SignIn, cast: Cast) -> None:
    now = clock.utcnow()
    trouble = {"failing_since": now - timedelta(hours=2), "last_answer": "The mail server refuses: no <such> user"}
    db.session.execute(update(BounceMailbox).values(next_poll_at=now + timedelta(minutes=4), **trouble))
    db.session.commit()
    page = sign_in(cast.ada).get(SCREEN).get_data(as_text=True)
    assert "The mailbox cannot be read" in page
    assert "no &lt;such&gt; user" in page


def test_who_is_forgotten_leaves_no_words_in_a_report(bouncing: Flask, cast: Cast) -> None:
    returned(cast.alice.id, "alice@people.test")
    returned(cast.bob.id, "bob@people.test", "incident:2")
    assert (1, "reports of returned mails lose name and words") in touched(ExportKind.PERSON, cast.alice.id)
    (told,) = list(records._told(cast.alice.id, clock.utcnow()))
    assert told["address"] == "alice@people.test"
    erase(ExportKind.PERSON, cast.alice.id, clock.utcnow())
    found = db.session.scalars(select(BounceReport).order_by(BounceReport.id))
    kept = [(each.address_key, bool(each.words)) for each in found]
    assert kept == [(f"former-{cast.alice.id}@{NOWHERE}", False), ("bob@people.test", True)]
    assert "alice@people.test" not in str([vars(each) for each in db.session.scalars(select(BounceReport))])


def test_old_reports_are_forgotten_and_what_followed_stays(bouncing: Flask, cast: Cast) -> None:
    returned(cast.alice.id, "alice@people.test")
    assert forget_some("bounce_reports", clock.utcnow() + timedelta(days=89)) == 0
    assert forget_some("bounce_reports", clock.utcnow() + timedelta(days=91)) == 1
    assert db.session.scalars(select(Delivery.state)).all() == [DeliveryState.FAILED]
