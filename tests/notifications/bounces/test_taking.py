"""What follows from a report: for the mail, for its address, and for nobody else."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from portal.audit.models import AuditEntry
from portal.extensions import db
from portal.notifications import marks, queries
from portal.notifications.bounces import actions
from portal.notifications.bounces.models import BounceReport
from portal.notifications.bounces.queries import Wanted, counts, newest
from portal.notifications.bounces.rules import CameBy, Outcome
from portal.notifications.models import Broadcast, Delivery, DeliveryAttempt, Relay, Slice, Suppression
from portal.notifications.rules import (
    EVERY_TOPIC,
    BroadcastState,
    DeliveryState,
    Failure,
    SuppressionReason,
    SuppressionSource,
)
from tests.conftest import NOW
from tests.notifications.bounces import reports
from tests.notifications.bounces.conftest import SentMail, token_of
from tests.notifications.bounces.reports import ALICE
from tests.notifications.outbox import queue

LATER = NOW + timedelta(minutes=5)


def take(raw: bytes, *, came_by: CameBy = CameBy.MAILBOX, days: int = 0) -> Outcome:
    return actions.take(raw, came_by, now=LATER + timedelta(days=days))


def stopped() -> list[tuple[str, str, SuppressionReason]]:
    rows = db.session.execute(select(Suppression.address_key, Suppression.scope, Suppression.reason))
    return sorted((address, scope, reason) for address, scope, reason in rows)


def kept() -> list[Outcome]:
    return list(db.session.scalars(select(BounceReport.outcome).order_by(BounceReport.id)))


def test_a_mail_that_came_back_has_failed_and_its_address_is_left_alone(sent: SentMail) -> None:
    delivery = sent()
    assert take(reports.dsn(token=token_of(delivery))) is Outcome.BOUNCED
    db.session.refresh(delivery)
    assert (delivery.state, delivery.failure, delivery.enhanced_code) == (
        DeliveryState.FAILED,
        Failure.HARD,
        "5.1.1",
    )
    assert "User unknown" in (delivery.answer or "")
    (suppression,) = db.session.scalars(select(Suppression)).all()
    assert (suppression.address_key, suppression.scope) == (ALICE, EVERY_TOPIC)
    assert (suppression.reason, suppression.source) == (SuppressionReason.HARD_BOUNCE, SuppressionSource.REPORT)
    assert suppression.until is None
    assert suppression.delivery_id == delivery.id
    assert "User unknown" in (suppression.detail or "")
    broadcast = db.session.get_one(Broadcast, delivery.broadcast_id)
    figures = queries.progress(broadcast, LATER)
    assert (figures.sent, figures.failed) == (0, 1)
    (entry,) = queries.ledger(broadcast.id, 1).items
    assert entry.look == "bounced", "the ledger tells it from one that no server took"
    (audited,) = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "address.bounce")).all()
    assert ALICE in str(audited.after)


def test_the_same_report_is_one_whichever_way_and_however_often_it_comes(sent: SentMail) -> None:
    delivery = sent()
    report = reports.dsn(token=token_of(delivery))
    otherwise = b"Received: by another server\n" + report
    assert {take(report), take(report, came_by=CameBy.HTTP), take(otherwise)} == {Outcome.BOUNCED}
    assert kept() == [Outcome.BOUNCED]
    assert db.session.scalar(select(func.count()).select_from(DeliveryAttempt)) == 1
    assert len(stopped()) == 1


def test_a_mail_that_was_sent_once_more_can_come_back_once_more(sent: SentMail) -> None:
    delivery = sent()
    report = reports.dsn("5.3.4", "smtp; 552 5.3.4 too big", token=token_of(delivery))
    assert take(report) is Outcome.REFUSED
    delivery.state, delivery.attempts = DeliveryState.SENT, 2
    db.session.flush()
    assert take(report) is Outcome.REFUSED
    db.session.refresh(delivery)
    assert delivery.state is DeliveryState.FAILED
    assert kept() == [Outcome.REFUSED, Outcome.REFUSED]


@pytest.mark.parametrize("raw", ["exchange", "qmail", "exim"])
def test_reports_of_other_servers_do_the_same(sent: SentMail, raw: str) -> None:
    delivery = sent()
    report: bytes = getattr(reports, raw.upper()).replace(reports.TOKEN.encode(), token_of(delivery).encode())
    assert take(report) is Outcome.BOUNCED
    assert stopped() == [(ALICE, EVERY_TOPIC, SuppressionReason.HARD_BOUNCE)]


def test_policy_never_stops_an_address_and_the_breaker_counts_it(sent: SentMail) -> None:
    broadcast = queue("incident:9", [{"address": f"reader{number}@customers.test"} for number in range(25)], now=NOW)
    mails = db.session.scalars(select(Delivery).where(Delivery.broadcast_id == broadcast.id)).all()
    for number, delivery in enumerate(mails):
        delivery.state = DeliveryState.SENT if number < 20 else DeliveryState.PENDING
        delivery.attempts, delivery.finished_at = 1, NOW + timedelta(seconds=number)
    db.session.flush()
    for number, delivery in enumerate(mails[:20]):
        assert broadcast.state is BroadcastState.SENDING, f"after {number}"
        words = "smtp; 550 5.7.1 Our system has detected that this message is likely spam"
        assert take(reports.dsn("5.7.1", words, address=delivery.address, token=token_of(delivery))) is Outcome.POLICY
    assert stopped() == []
    assert broadcast.state is BroadcastState.PAUSED
    assert "likely spam" in (broadcast.note or "")


def test_a_full_mailbox_on_three_days_is_a_quarantine(sent: SentMail) -> None:
    full = ("5.2.2", "smtp; 552 5.2.2 mailbox full")
    for day in range(0, 30, 10):
        for number in range(2):
            key = f"incident:{day}{number}"
            delivery = sent(key, at=NOW + timedelta(days=day))
            assert take(reports.dsn(*full, token=token_of(delivery)), days=day) is Outcome.STRIKE
        assert bool(stopped()) is (day == 20), f"on day {day}: several on one day are one strike"
    assert stopped() == [(ALICE, EVERY_TOPIC, SuppressionReason.QUARANTINED)]
    (suppression,) = db.session.scalars(select(Suppression)).all()
    assert suppression.source is SuppressionSource.REPORT
    assert suppression.until is not None


def test_a_delay_and_a_success_change_nothing(sent: SentMail) -> None:
    delivery = sent()
    token = token_of(delivery)
    assert take(reports.dsn("4.4.1", "smtp; 421 later", action="delayed", token=token)) is Outcome.DELAYED
    assert take(reports.dsn("2.1.5", "smtp; 250 ok", action="delivered", token=token)) is Outcome.DELIVERED
    db.session.refresh(delivery)
    assert delivery.state is DeliveryState.SENT
    assert stopped() == []


def test_a_complaint_takes_the_address_off_that_list_alone(sent: SentMail) -> None:
    delivery = sent()
    assert take(reports.complaint(token=token_of(delivery))) is Outcome.COMPLAINT
    db.session.refresh(delivery)
    assert delivery.state is DeliveryState.SENT, "it has arrived"
    assert stopped() == [(ALICE, "incidents", SuppressionReason.COMPLAINT)]
    assert db.session.scalars(select(AuditEntry.action)).all() == ["address.complain"]
    struck_out = sent("incident:2", "bob@customers.test")
    complaint = reports.complaint(to="redacted@customers.test", token=token_of(struck_out))
    assert take(complaint) is Outcome.COMPLAINT, "many receivers hide who complained"
    assert ("bob@customers.test", "incidents", SuppressionReason.COMPLAINT) in stopped()


def test_a_report_without_our_token_changes_nothing(sent: SentMail) -> None:
    delivery = sent()
    guessed = "z" * 26
    for forged in (
        reports.dsn(token=guessed),
        reports.dsn(to="bounces@mail.portal.test", returned="From: a@b.test\nMessage-ID: <1@b.test>"),
        reports.complaint(token=guessed, named=f"Original-Rcpt-To: <{ALICE}>\n"),
        reports.dsn(token=token_of(delivery)[:-1] + "_"),
    ):
        assert take(forged) is Outcome.NOT_OURS
    db.session.refresh(delivery)
    assert delivery.state is DeliveryState.SENT
    assert stopped() == []


def test_the_root_of_a_conversation_is_no_token(sent: SentMail) -> None:
    """Every mail of a thread names it, and it is in no row."""
    delivery = sent()
    returned = (
        reports.original(token_of(delivery)).replace("Message-ID", "X-Former-ID").replace("Return-Path", "X-Path")
    )
    root = returned.replace(token_of(delivery), "a" * 26)
    assert take(reports.dsn(to="bounces@mail.portal.test", returned=root)) is Outcome.NOT_OURS


def test_a_report_about_another_address_changes_nothing(sent: SentMail) -> None:
    """Who got a mail knows its token; that stops their own address and nobody else's."""
    delivery, other = sent(), sent("incident:2", "bob@customers.test")
    token = token_of(delivery)
    for forged in (
        reports.dsn(address="bob@customers.test", token=token),
        reports.complaint(named="Original-Rcpt-To: <bob@customers.test>\n", token=token),
        reports.QMAIL.replace(reports.TOKEN.encode(), token.encode()).replace(b"<alice@", b"<bob@"),
    ):
        assert take(forged) is Outcome.OTHER_ADDRESS
    for each in (delivery, other):
        db.session.refresh(each)
        assert each.state is DeliveryState.SENT
    assert stopped() == []
    assert {report.words for report, _broadcast in newest(Wanted.FOR_A_HUMAN)} == {"About bob@customers.test."}


def test_a_report_about_a_mail_that_was_forgotten_changes_nothing(sent: SentMail) -> None:
    delivery = sent()
    report = reports.dsn(token=token_of(delivery))
    db.session.delete(delivery)
    db.session.flush()
    assert take(report) is Outcome.NOT_OURS
    assert stopped() == []


@pytest.mark.parametrize("is_answered", [False, True])
def test_what_a_sending_process_holds_is_left_to_it(sent: SentMail, *, is_answered: bool) -> None:
    """A report can overtake the result of its own mail; it is offered once more when that is known."""
    delivery = sent(state=DeliveryState.PENDING)
    relay = Relay(name="default")
    db.session.add(relay)
    db.session.flush()
    offered = marks.written({delivery.id: NOW})
    held = Slice(relay_id=relay.id, owner="x", connections=1, leased_until=NOW, created_at=NOW, offered=offered)
    db.session.add(held)
    db.session.flush()
    ledger = marks.Ledger(db.session.connection())
    if is_answered:
        ours = ledger.mark({held.id: {}})
        ledger.note([marks.Sent(delivery.id, held.id, NOW, 250, "2.0.0 Ok")], ours, NOW)
    with pytest.raises(actions.InHandError):
        take(reports.dsn(token=token_of(delivery)))
    assert (kept(), stopped(), delivery.state) == ([], [], DeliveryState.PENDING)
    ledger.mark({held.id: {}})
    ledger.fold([held.id])
    db.session.execute(db.update(Delivery).values(state=DeliveryState.SENT))
    db.session.refresh(delivery)
    assert take(reports.dsn(token=token_of(delivery))) is Outcome.BOUNCED
    db.session.refresh(delivery)
    assert delivery.state is DeliveryState.FAILED


def test_one_that_is_possibly_sent_is_known_to_have_failed(sent: SentMail) -> None:
    delivery = sent(state=DeliveryState.UNKNOWN)
    take(reports.dsn(token=token_of(delivery)))
    db.session.refresh(delivery)
    assert delivery.state is DeliveryState.FAILED


@pytest.mark.parametrize(
    ("raw", "outcome"),
    [
        (reports.answer("Auto-Submitted: auto-replied"), Outcome.AUTOMATIC),
        (reports.RECEIPT, Outcome.AUTOMATIC),
        (reports.OWN_MAIL, Outcome.AUTOMATIC),
        (reports.answer(body="What is this mail? Call me."), Outcome.UNCLEAR),
        (b"", Outcome.UNCLEAR),
        (b"Content-Type: multipart/mixed; boundary=b\n" * 100, Outcome.BROKEN),
    ],
)
def test_what_is_no_report_is_kept_and_changes_nothing(sent: SentMail, raw: bytes, outcome: Outcome) -> None:
    sent()
    assert take(raw) is outcome
    assert take(raw) is outcome
    assert kept() == [outcome]
    assert stopped() == []
    assert counts(NOW) == {outcome: 1}


def test_of_automatic_answers_nothing_is_kept_that_says_who_is_away(sent: SentMail) -> None:
    take(reports.answer("Auto-Submitted: auto-replied", subject="Alice is on leave", body="Back on Monday."))
    (report,) = db.session.scalars(select(BounceReport)).all()
    assert (report.subject, report.words, report.address_key) == ("", "", None)


def test_a_complaint_of_a_mail_about_an_account_keeps_nobody_out(bouncing: Flask, sent: SentMail) -> None:
    delivery = sent()
    db.session.execute(update(Broadcast).where(Broadcast.id == delivery.broadcast_id).values(topic="account"))
    take(reports.complaint(token=token_of(delivery)))
    assert queries.bounced_today([ALICE], "account", LATER) == {}
