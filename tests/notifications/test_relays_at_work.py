"""Relays as a sending process uses them, with real SMTP servers."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from portal import events
from portal.audit.rules import SYSTEM
from portal.database import read_only
from portal.extensions import db
from portal.notifications import relays
from portal.notifications.actions.relays import Address, Load, add_relay, switch_relay
from portal.notifications.models import Relay, RelayUse, Slice
from portal.notifications.profiles import Profile, Security
from portal.notifications.sending import Sender
from tests.notifications.outbox import TEST_KIND, Outbox, known
from tests.support.processes import wait_until
from tests.support.smtp_sink import At, SmtpSink, Step


@pytest.fixture(autouse=True)
def lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind that is more urgent than the usual one and one that is less."""
    known(monkeypatch, replace(TEST_KIND, name="report", priority=10))
    known(monkeypatch, replace(TEST_KIND, name="newsletter", topic="news", priority=60))


def people(count: int, mark: str) -> list[dict[str, Any]]:
    return [{"address": f"{mark}{number}@x.test"} for number in range(count)]


def limit(outbox: Outbox, **values: Any) -> None:
    relays.prepare_relays(outbox.settings)
    db.session.execute(update(Relay).values(profile=Profile.CUSTOM, **values))
    events.commit()


@contextmanager
def at_work(outbox: Outbox) -> Iterator[Callable[[], int]]:
    """A sending process in a thread; asked to stop at the end. Yields how many mails it has sent so far."""
    stop, found = threading.Event(), []

    def work() -> None:
        with outbox.app.app_context():
            read_only.set(False)
            sender = Sender(outbox.settings, now=outbox.now, stop=stop)
            found.append(sender)
            sender.run()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield lambda: found[0].sent if found else 0
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture
def other() -> Iterator[SmtpSink]:
    with SmtpSink() as found:
        yield found


def test_a_bounded_relay_is_kept_busy_at_an_even_pace_over_kept_connections(
    outbox: Outbox, smtp_sink: SmtpSink
) -> None:
    limit(outbox, per_minute=600)
    outbox.queue("incident:1", people(25, "x"))
    assert outbox.send() == 25
    claimed = [each.first_attempt_at for each in outbox.deliveries() if each.first_attempt_at]
    # Ten a second, of which a second's worth may be claimed at once: so the last is claimed a second later at least.
    assert max(claimed) - min(claimed) > timedelta(seconds=1)
    assert smtp_sink.connections < 25
    db.session.rollback()
    assert db.session.scalar(select(func.sum(RelayUse.offered)).where(RelayUse.span == 1)) == 25
    assert db.session.scalar(select(func.sum(RelayUse.taken)).where(RelayUse.span == 600)) == 25
    assert db.session.scalar(select(func.count()).select_from(Slice)) == 0


def test_a_budget_that_is_used_up_ends_the_wait_of_the_process_and_no_mail(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    limit(outbox, per_day=7)
    outbox.queue("incident:1", people(12, "x"))
    assert outbox.send() == 7
    assert outbox.send() == 0
    assert outbox.states() == {"pending": 5, "sent": 7}


def test_what_exceeds_the_budget_goes_over_the_next(outbox: Outbox, smtp_sink: SmtpSink, other: SmtpSink) -> None:
    limit(outbox, per_day=7)
    add_relay("second", Address("127.0.0.1", other.port, Security.NONE), Load(), by=SYSTEM, now=outbox.now())
    events.commit()
    outbox.queue("incident:1", people(20, "x"))
    assert outbox.send() == 20
    assert (len(smtp_sink.received), len(other.received)) == (7, 13)


def test_an_incident_overtakes_a_newsletter_at_a_slow_server(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    smtp_sink.script("*", Step(At.DOT, seconds=0.15))
    outbox.queue("news:1", people(400, "news"), kind="newsletter")
    with at_work(outbox) as sent:
        wait_until(lambda: sent() > 40, 60, "the newsletter to be under way")
        before = len(smtp_sink.received)
        outbox.queue("incident:1", people(3, "urgent"), kind="report")
        wait_until(lambda: smtp_sink.to("urgent2@x.test"), 60, "the incident to arrive")
        between = [each for each in smtp_sink.received[before:] if "news" in each.recipients[0]]
    # What is claimed already goes first, and that is what goes out in some seconds; not the 350 that are left.
    assert len(between) < 200


def test_a_relay_that_is_switched_off_hands_over_what_waits_for_it(
    outbox: Outbox, smtp_sink: SmtpSink, other: SmtpSink
) -> None:
    smtp_sink.script("*", Step(At.DOT, seconds=0.3))
    limit(outbox)
    add_relay("second", Address("127.0.0.1", other.port, Security.NONE), Load(), by=SYSTEM, now=outbox.now())
    events.commit()
    outbox.queue("incident:1", people(120, "x"))
    with at_work(outbox) as sent:
        wait_until(lambda: sent() > 4, 60, "the first mails")
        first = db.session.scalars(select(Relay).order_by(Relay.position)).first()
        assert first is not None
        switch_relay(first, off=True, version=first.version, by=SYSTEM, now=outbox.now())
        events.commit()
        wait_until(lambda: sent() == 120, 60, "the rest over the other")
    assert len(other.received) > 60
    assert sum(smtp_sink.deliveries().values()) + sum(other.deliveries().values()) == 120


def test_mails_come_from_the_address_of_the_relay(outbox: Outbox, smtp_sink: SmtpSink, other: SmtpSink) -> None:
    limit(outbox, per_day=2)
    mine = Address("127.0.0.1", other.port, Security.NONE, sender="mailbox@other.test")
    add_relay("second", mine, Load(), by=SYSTEM, now=outbox.now())
    events.commit()
    outbox.queue("incident:1", people(5, "x"))
    assert outbox.send() == 5
    assert {each.sender for each in smtp_sink.received} == {"status@portal.test"}
    assert {each.sender for each in other.received} == {"mailbox@other.test"}
    assert all("mailbox@other.test" in str(each.headers["From"]) for each in other.received)


def test_connections_that_are_kept_count_for_other_processes(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    limit(outbox, per_minute=60, connections=1)
    outbox.queue("incident:1", people(4, "x"))
    with at_work(outbox) as sent:
        wait_until(lambda: sent() >= 1, 60, "the first mail")
        assert outbox.send(seconds=1.0) == 0
        wait_until(lambda: sent() == 4, 60, "all of them by the first process")
    assert smtp_sink.connections == 1
