"""R24 and R31 to R34 in full: servers that put off, stall, say nothing, drip, or are away for a day.

Their patience and the lease are shortened, the clock is turned; the servers are real.
"""

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from portal import events
from portal.database import read_only
from portal.extensions import db
from portal.notifications import endings, marks, smtp
from portal.notifications.models import Delivery, Relay, Slice
from portal.notifications.rules import BroadcastState, DeliveryState, RelayState, Stage
from tests.notifications.outbox import TEST_KIND, Outbox, known, relay_to
from tests.support.processes import wait_until
from tests.support.smtp_sink import At, SmtpSink, Step

PATIENCE = 60.0


def addresses(count: int, name: str = "reader") -> list[dict[str, object]]:
    return [{"address": f"{name}{number}@customers.test"} for number in range(count)]


def test_r24_greylisting_by_address_is_outlasted_by_the_third_try(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    """Every address is refused until five minutes after its first try, without a word of when to come back."""
    tries = smtp_sink.greylist(300, lambda: outbox.now().timestamp(), "451 4.7.1 Greylisted")
    outbox.queue("incident:1", addresses(100))
    # A minute and then five more, each a tenth longer at most.
    for minutes in (0.0, 1.11, 6.7):
        outbox.ahead = timedelta(minutes=minutes)
        outbox.send()
    assert outbox.states() == {"sent": 100}
    assert {len(each) for each in tries.values()} <= {2, 3}
    assert Counter(smtp_sink.recipients().values()) == {1: 100}
    assert {each.in_doubt for each in outbox.deliveries()} == {0}


def holds(outbox: Outbox) -> int:
    """How many mails processes have claimed."""
    found = len(marks.held())
    db.session.rollback()
    return found


def in_thread(outbox: Outbox) -> threading.Thread:
    def send() -> None:
        with outbox.app.app_context():
            read_only.set(False)
            outbox.send()

    thread = threading.Thread(target=send)
    thread.start()
    return thread


def test_r31_an_answer_that_comes_too_late_is_waited_for_and_then_in_doubt(
    outbox: Outbox, smtp_sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server answers after eleven minutes, of which ten are waited for; a lease is one fifth of that: here 3.5 s,
    2.5 s and 2 s. Nobody else takes the mail meanwhile."""
    monkeypatch.setitem(smtp.ANSWER_SECONDS, Stage.DOT, 2.5)
    smtp_sink.script("alice@people.test", Step(At.DOT, seconds=3.5, times=1))
    outbox.queue("incident:1", [{"address": "alice@people.test"}])
    sending = in_thread(outbox)
    smtp_sink.wait_for(1)
    others = 0
    while sending.is_alive():
        others += outbox.send()
        time.sleep(0.05)
    assert others == 0
    assert len(smtp_sink.received) == 1
    delivery = outbox.delivery("alice@people.test")
    assert (delivery.state, delivery.in_doubt) == (DeliveryState.PENDING, 1)
    assert delivery.next_attempt_at - outbox.now() > timedelta(minutes=9)
    outbox.ahead = timedelta(minutes=11)
    assert outbox.send() == 1
    assert list(smtp_sink.deliveries().values()) == [2]
    delivery = outbox.delivery("alice@people.test")
    assert (delivery.state, delivery.in_doubt) == (DeliveryState.SENT, 1)


@pytest.fixture
def mute() -> Iterator[int]:
    """The port of a listener that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


def test_r32_a_half_open_relay_is_given_up_and_the_next_one_takes_over(
    outbox: Outbox, smtp_sink: SmtpSink, mute: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "GREETING_SECONDS", 0.5)
    db.session.add(relay_to(f"smtp://127.0.0.1:{mute}", "mute", position=-1))
    events.commit()
    outbox.queue("incident:1", addresses(60))
    assert outbox.send() == 60
    db.session.rollback()
    relay = db.session.scalars(select(Relay).where(Relay.name == "mute")).one()
    assert relay.state is RelayState.PAUSED
    assert {each.in_doubt for each in outbox.deliveries()} == {0}
    assert Counter(smtp_sink.recipients().values()) == {1: 60}
    assert db.session.scalars(select(Slice.id)).all() == []


def test_r32_while_one_process_waits_for_a_mute_relay_another_sends(
    outbox: Outbox, smtp_sink: SmtpSink, mute: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "GREETING_SECONDS", 4.0)
    db.session.add(relay_to(f"smtp://127.0.0.1:{mute}", "mute", position=-1))
    events.commit()
    outbox.queue("incident:1", addresses(600))
    stuck = in_thread(outbox)
    wait_until(lambda: holds(outbox) > 0, PATIENCE, "the first claim")
    other = in_thread(outbox)
    smtp_sink.wait_for(200, PATIENCE)
    assert stuck.is_alive(), "the rest of the broadcast did not wait for the first process"
    for thread in (other, stuck):
        thread.join(PATIENCE)
    assert outbox.states() == {"sent": 600}
    assert Counter(smtp_sink.recipients().values()) == {1: 600}


@pytest.mark.parametrize("pipelining", [True, False])
def test_r33_a_server_that_answers_byte_by_byte_is_slow_and_nothing_else(
    outbox: Outbox, smtp_sink: SmtpSink, pipelining: bool
) -> None:
    smtp_sink.is_pipelining = pipelining
    smtp_sink.script(
        "*",
        Step(At.CONNECT, drip=0.005),
        Step(At.EHLO, drip=0.001),
        Step(At.MAIL, drip=0.002),
        Step(At.DATA, drip=0.002),
        Step(At.DOT, drip=0.005),
    )
    smtp_sink.script("reader7@customers.test", Step(At.DOT, seconds=2.5))
    outbox.queue("incident:1", addresses(40))
    began = time.monotonic()
    assert outbox.send() == 40
    assert time.monotonic() - began > 0.5, "it is as slow as the server"
    assert Counter(smtp_sink.recipients().values()) == {1: 40}
    assert {(each.attempts, each.in_doubt) for each in outbox.deliveries()} == {(1, 0)}
    assert smtp_sink.connections <= 4 + 1
    db.session.rollback()
    assert db.session.scalars(select(Relay.state)).all() == [RelayState.UP]


def test_r34_after_a_day_without_a_relay_everything_goes_out_in_its_order(
    outbox: Outbox, smtp_sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looked at every hour. What lets somebody in is of no use after half an hour; a newsletter waits for reports."""
    for name, priority, lasts in (("way in", 5, 0.5), ("report", 10, 48), ("newsletter", 60, 72)):
        known(monkeypatch, replace(TEST_KIND, name=name, priority=priority, expires_after=timedelta(hours=lasts)))
    smtp_sink.refuse("*", "421 4.3.2 Down", at=At.CONNECT)
    ids = {
        name: outbox.queue(f"{name}:1", addresses(20, name.replace(" ", "")), kind=name)
        for name in ("newsletter", "report", "way in")
    }
    for hour in range(24):
        outbox.ahead = timedelta(hours=hour)
        assert outbox.send() == 0
    assert {each.attempts for each in outbox.deliveries()} == {0}
    assert smtp_sink.connections < 60, "it is tried again after pauses, not all the time"
    smtp_sink.forgive()
    outbox.ahead = timedelta(hours=24)
    endings.expire(outbox.now())
    events.commit()
    assert outbox.send() == 40
    endings.finish(outbox.now())
    events.commit()
    order = [each.recipients[0] for each in smtp_sink.received]
    last_report = max(place for place, address in enumerate(order) if address.startswith("report"))
    early = [address for address in order[:last_report] if address.startswith("newsletter")]
    assert len(early) <= 4, "but for what goes out at the same moment over four connections"
    assert not [address for address in order if address.startswith("wayin")]
    assert outbox.states() == {"sent": 40, "expired": 20}
    assert {outbox.broadcast(each).state for each in ids.values()} == {BroadcastState.DONE}
    expired = select(Delivery.broadcast_id).where(Delivery.state == DeliveryState.EXPIRED).distinct()
    assert db.session.scalars(expired).all() == [ids["way in"]]
