"""What arrives at a real SMTP server, and what the ledger says of it."""

import threading
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from email import policy
from email.parser import BytesParser
from typing import Any

import pytest
from sqlalchemy import func, select, text

from portal import events
from portal.accounts import actions as accounts
from portal.accounts.models import Person
from portal.audit.rules import SYSTEM
from portal.database import read_only
from portal.extensions import db
from portal.notifications import actions, endings, kinds
from portal.notifications.models import Delivery, DeliveryAttempt, Relay, Suppression
from portal.notifications.rules import BroadcastState, DeliveryState, RelayState
from tests.notifications.outbox import CLOSED, TEST_KIND, Outbox, states
from tests.support.processes import wait_until
from tests.support.smtp_sink import At, SmtpSink, Step


def one(outbox: Outbox, address: str = "alice@people.test", **more: Any) -> int:
    return outbox.queue("incident:1", [{"address": address, "name": "Alice", **more}])


LETTER = kinds.register(replace(TEST_KIND, name="test_letter", topic=kinds.ACCOUNT_TOPIC))
"""What somebody needs to get in: no list, and not stopped by what stops lists."""


def relay() -> Relay:
    db.session.rollback()
    return db.session.scalars(select(Relay)).one()


def addresses(count: int) -> list[dict[str, Any]]:
    return [{"address": f"reader{index}@customers.test"} for index in range(count)]


# --- all is well ----------------------------------------------------------------------------------------------------


def test_every_recipient_gets_one_mail_and_the_broadcast_is_done(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    broadcast_id = outbox.queue("incident:1", 250)
    assert outbox.send() == 250
    assert Counter(smtp_sink.recipients().values()) == {1: 250}
    assert outbox.states() == {"sent": 250}
    broadcast = outbox.broadcast(broadcast_id)
    assert broadcast.state is BroadcastState.DONE
    assert broadcast.finished_at is not None
    assert {each.answer for each in outbox.deliveries()} == {"2.0.0 Queued"}
    assert db.session.scalar(select(func.count()).select_from(DeliveryAttempt)) == 0
    assert smtp_sink.connections <= 4


def test_a_server_without_pipelining_is_spoken_to_step_by_step(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    smtp_sink.is_pipelining = False
    outbox.queue("incident:1", 60)
    assert outbox.send() == 60
    assert smtp_sink.ahead == 0
    assert Counter(smtp_sink.recipients().values()) == {1: 60}


def test_the_mail_is_the_one_that_was_written(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    people: list[dict[str, Any]] = [
        {"address": "zoë@bücher.test", "name": "x"},
        {"address": "zoe@bücher.test", "name": "Zoë Ärmel", "language": "de", "values": {"service": "Büro <1>"}},
    ]
    outbox.queue("incident:1", people)
    outbox.send()
    (received,) = smtp_sink.received
    assert received.recipients == ("zoe@xn--bcher-kva.test",)
    message = BytesParser(policy=policy.default).parsebytes(received.content)
    assert message["Subject"] == "SIP-Trunks: Registrierung gestört"
    plain = message.get_body(("plain",))
    assert plain is not None
    assert plain.get_content().splitlines() == [
        "Guten Tag Zoë Ärmel,",
        "",
        "Anrufe über Büro <1> schlagen fehl.",
    ]
    html = message.get_body(("html",))
    assert html is not None
    assert "<b>Büro &lt;1&gt;</b>" in html.get_content()
    assert outbox.delivery("zoë@bücher.test").state is DeliveryState.FAILED


def test_all_mails_of_one_incident_hang_together(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    for key in ("incident_update:1", "incident_update:2"):
        outbox.queue(key, [{"address": "alice@people.test"}])
    outbox.send()
    first, second = smtp_sink.received
    assert first.message_id != second.message_id
    assert first.headers["References"] == second.headers["References"]
    assert first.headers["Subject"] == second.headers["Subject"]


def test_the_affected_are_sent_to_first(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    outbox.queue("incident:1", 90)
    outbox.send()
    places = {address: place for place, (address,) in enumerate(each.recipients for each in smtp_sink.received)}
    affected = [places[f"person{index}@customers.test"] for index in range(90) if index % 3]
    others = [places[f"person{index}@customers.test"] for index in range(0, 90, 3)]
    assert sum(place > min(others) for place in affected) <= 4  # as many as there are connections


def test_two_broadcasts_of_one_priority_take_turns(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    """A long one does not keep a short one waiting: slices are taken in turn."""
    outbox.queue("long:1", addresses(400))
    outbox.queue("short:1", [{"address": f"short{index}@customers.test"} for index in range(10)])
    outbox.send()
    place = next(index for index, each in enumerate(smtp_sink.received) if each.recipients[0].startswith("short"))
    assert place < 210  # a slice has 100


def test_a_thousand_are_written_at_once_and_more_by_the_worker(outbox: Outbox) -> None:
    small = outbox.queue("incident:1", 1000)
    assert outbox.broadcast(small).state is BroadcastState.SENDING
    broadcast = actions.queue_broadcast(
        "test",
        idempotency_key="incident:2",
        title="t",
        selector={"count": 1700},
        content={"en": {"subject": "s", "text": "t", "html": "h"}},
        thread_key="t",
        by_person_id=None,
        now=outbox.now(),
    )
    events.commit()
    counts = []
    while True:
        counts.append(db.session.scalar(select(func.count()).where(Delivery.broadcast_id == broadcast.id)))
        is_more = actions.expand_step(broadcast.id, outbox.now())
        events.commit()
        if not is_more:
            break
    assert counts == [0, 500, 1000, 1500]
    assert outbox.states() == {"pending": 2700}
    assert outbox.broadcast(broadcast.id).state is BroadcastState.SENDING


# --- the server refuses ---------------------------------------------------------------------------------------------


def test_r24_greylisted_mails_arrive_on_a_later_try_once(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    one(outbox)
    smtp_sink.refuse("alice@people.test", "451 4.7.1 Greylisted, please try again in 300 seconds")
    outbox.send()
    delivery = outbox.delivery("alice@people.test")
    assert (delivery.state, delivery.attempts, delivery.code) == (DeliveryState.PENDING, 1, 451)
    assert timedelta(seconds=290) < delivery.next_attempt_at - outbox.now() < timedelta(seconds=335)
    smtp_sink.forgive()
    assert outbox.send() == 0
    outbox.ahead = timedelta(minutes=6)
    assert outbox.send() == 1
    assert smtp_sink.recipients() == {"alice@people.test": 1}
    delivery = outbox.delivery("alice@people.test")
    assert (delivery.state, delivery.attempts) == (DeliveryState.SENT, 2)


def test_the_date_of_a_mail_is_that_of_its_first_try(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    one(outbox)
    smtp_sink.refuse("alice@people.test", "451 4.3.0 later", at=At.DOT, times=1)
    outbox.send()
    first = outbox.delivery("alice@people.test").first_attempt_at
    outbox.ahead = timedelta(minutes=2)
    outbox.send()
    (received,) = smtp_sink.received
    assert first is not None
    assert received.headers["Date"] == f"{first:%a, %d %b %Y %H:%M:%S} +0000"


def test_r25_a_full_mailbox_is_tried_three_times_and_not_suppressed(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    smtp_sink.refuse("alice@people.test", "452 4.2.2 Mailbox full")
    one(outbox)
    for _ in range(4):
        outbox.send()
        outbox.ahead += timedelta(minutes=10)
    delivery = outbox.delivery("alice@people.test")
    assert (delivery.state, delivery.attempts) == (DeliveryState.FAILED, 3)
    assert db.session.scalar(select(func.count()).select_from(Suppression)) == 0


def test_r25_three_mails_of_a_week_that_find_it_full_suppress_for_a_while(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    smtp_sink.refuse("alice@people.test", "552 5.2.2 Mailbox full")
    for index in range(3):
        outbox.queue(f"incident:{index}", [{"address": "alice@people.test"}])
    for _ in range(4):
        outbox.send()
        outbox.ahead += timedelta(minutes=10)
    (found,) = db.session.scalars(select(Suppression))
    assert found.until is not None


def test_r26_no_such_address_is_suppressed_at_once_and_left_out_next_time(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    """Ten of a thousand. What somebody needs to get in is tried all the same, once a day."""
    for index in range(0, 1000, 100):
        smtp_sink.refuse(f"reader{index}@customers.test", "550 5.1.1 No such user")
    outbox.queue("incident:1", addresses(1000))
    assert outbox.send() == 990
    assert outbox.states() == {"sent": 990, "failed": 10}
    assert db.session.scalar(select(func.count()).select_from(Suppression)) == 10
    outbox.queue("incident:2", addresses(1000))
    assert outbox.states() == {"sent": 990, "failed": 10, "pending": 990, "suppressed": 10}
    letters = [outbox.queue(f"reset:{number}", addresses(1), kind=LETTER.name) for number in range(2)]
    assert [states(each) for each in letters] == [{"pending": 1}, {"suppressed": 1}]
    outbox.ahead += timedelta(days=1, minutes=1)
    assert states(outbox.queue("reset:2", addresses(1), kind=LETTER.name)) == {"pending": 1}
    db.session.rollback()
    attempt = db.session.scalars(select(DeliveryAttempt)).first()
    assert attempt is not None
    assert (attempt.outcome, attempt.code, attempt.answer) == ("hard", 550, "5.1.1 No such user")


def test_r27_refusals_by_policy_open_the_breaker_and_suppress_nobody(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    smtp_sink.refuse("*", "550 5.7.1 Blocked by policy")
    broadcast_id = outbox.queue("incident:1", addresses(300))
    outbox.send()
    found = outbox.states()
    assert 20 <= found["failed"] <= 28  # those under way on four connections are still answered
    assert found["failed"] + found["pending"] == 300
    broadcast = outbox.broadcast(broadcast_id)
    assert broadcast.state is BroadcastState.PAUSED
    assert "5.7.1 Blocked by policy" in (broadcast.note or "")
    assert db.session.scalar(select(func.count()).select_from(Suppression)) == 0
    smtp_sink.forgive()
    actions.resume(broadcast, by=SYSTEM, now=outbox.now())
    events.commit()
    outbox.send()
    assert outbox.states() == {"failed": found["failed"], "sent": 300 - found["failed"]}


def test_r35_a_refused_recipient_does_not_touch_the_next_mail(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    for pipelining in (True, False):
        smtp_sink.is_pipelining = pipelining
        kind = f"p{pipelining}"
        people = [{"address": f"{kind}{index}@x.test"} for index in range(40)]
        for index in range(0, 40, 4):
            smtp_sink.refuse(f"{kind}{index}@x.test", "550 5.1.1 No such user")
            smtp_sink.refuse(f"{kind}{index + 1}@x.test", "554 5.6.0 Not this one", at=At.DOT)
        outbox.queue(f"incident:{kind}", people)
        assert outbox.send() == 20
    assert Counter(smtp_sink.recipients().values()) == {1: 40}
    assert outbox.states() == {"sent": 40, "failed": 40}


def test_a_server_that_takes_data_for_nobody_is_given_an_empty_end(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    """RFC 2920: DATA was sent along; where it is answered 354 though no recipient was taken, nothing may arrive."""
    smtp_sink.script("bad@x.test", Step(At.RCPT, reply="550 5.1.1 No such user"))
    outbox.queue("incident:1", [{"address": "bad@x.test"}, *addresses(5)])
    assert outbox.send() == 5
    assert "bad@x.test" not in smtp_sink.recipients()


# --- the relay is at fault ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [At.CONNECT, At.EHLO, At.MAIL])
def test_r23_a_relay_that_says_421_rests_and_no_try_is_counted(outbox: Outbox, smtp_sink: SmtpSink, at: At) -> None:
    smtp_sink.refuse("*", "421 4.3.2 Shutting down", at=at)
    outbox.queue("incident:1", 50)
    pauses = []
    for _ in range(3):
        outbox.send()
        found = relay()
        assert found.state is RelayState.PAUSED
        assert found.paused_until is not None
        pauses.append(found.pause_seconds)
        outbox.ahead += timedelta(seconds=found.pause_seconds + 1)
    assert pauses == [60, 120, 240]
    assert "421" in str(relay().last_answer) or "Shutting down" in str(relay().last_answer)
    assert outbox.states() == {"pending": 50}
    assert {each.attempts for each in outbox.deliveries()} == {0}
    smtp_sink.forgive()
    assert outbox.send() == 50
    assert (relay().state, relay().pause_seconds) == (RelayState.UP, 0)


def test_r23_a_server_that_ends_a_good_conversation_is_asked_again(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    smtp_sink.script("reader30@customers.test", Step(At.RCPT, reply="421 4.7.0 Enough for one connection", times=1))
    outbox.queue("incident:1", addresses(60))
    assert outbox.send() == 60
    assert relay().state is RelayState.UP
    assert {each.in_doubt for each in outbox.deliveries()} == {0}


def test_nobody_listens_where_the_relay_should_be(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    smtp_sink.stop()
    outbox.queue("incident:1", 10)
    assert outbox.send() == 0
    assert relay().state is RelayState.PAUSED
    smtp_sink.start(smtp_sink.port)
    assert outbox.send() == 0
    outbox.ahead += timedelta(seconds=61)
    assert outbox.send() == 10


def test_r28_a_relay_that_refuses_the_sender_waits_for_an_admin(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    smtp_sink.refuse("*", "550 5.7.60 Not allowed to send as this sender", at=At.MAIL)
    outbox.queue("incident:1", 10)
    outbox.send()
    outbox.ahead += timedelta(hours=1)
    outbox.send()
    found = relay()
    assert found.state is RelayState.BROKEN
    assert outbox.states() == {"pending": 10}
    smtp_sink.forgive()
    actions.mend_relay(found.id, by=SYSTEM, now=outbox.now())
    events.commit()
    assert outbox.send() == 10


def test_r34_after_a_day_without_a_relay_what_is_too_old_is_expired(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    smtp_sink.refuse("*", "421 4.3.2 Down", at=At.CONNECT)
    old = outbox.queue("incident:1", 10)
    outbox.send()
    outbox.ahead = timedelta(hours=25)
    young = outbox.queue("incident:2", 10)
    smtp_sink.forgive()
    assert outbox.send() == 10
    endings.expire(outbox.now())
    endings.finish(outbox.now())
    events.commit()
    assert outbox.states() == {"expired": 10, "sent": 10}
    assert outbox.broadcast(old).state is outbox.broadcast(young).state is BroadcastState.DONE


def test_the_next_relay_takes_over_while_the_first_rests(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    with SmtpSink() as other:
        other.refuse("*", "421 4.3.2 Down", at=At.CONNECT)
        db.session.add(Relay(name="first", host="127.0.0.1", port=other.port, position=-1))
        events.commit()
        outbox.queue("incident:1", addresses(20))
        assert outbox.send() == 20
    assert len(smtp_sink.received) == 20


# --- the line is cut ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [At.MAIL, At.RCPT, At.DATA, At.BODY])
@pytest.mark.parametrize("pipelining", [True, False])
def test_r29_a_line_cut_before_the_dot_leaves_no_doubt(
    outbox: Outbox, smtp_sink: SmtpSink, at: At, pipelining: bool
) -> None:
    smtp_sink.is_pipelining = pipelining
    whom = "*" if at is At.MAIL else "reader5@customers.test"
    smtp_sink.script(whom, Step(at, drop=True, times=1))
    outbox.queue("incident:1", addresses(20))
    outbox.send()
    outbox.ahead = timedelta(minutes=2)
    outbox.send()
    outbox.ahead = timedelta(minutes=12)
    outbox.send()
    assert outbox.states() == {"sent": 20}
    assert Counter(smtp_sink.recipients().values()) == {1: 20}
    assert {each.in_doubt for each in outbox.deliveries()} == {0}


def test_a_line_cut_after_the_dot_is_repeated_once_with_the_same_message_id(
    outbox: Outbox, smtp_sink: SmtpSink
) -> None:
    smtp_sink.script("alice@people.test", Step(At.DOT, drop=True, times=1))
    one(outbox)
    outbox.send()
    delivery = outbox.delivery("alice@people.test")
    assert (delivery.state, delivery.in_doubt) == (DeliveryState.PENDING, 1)
    assert timedelta(minutes=9) < delivery.next_attempt_at - outbox.now() <= timedelta(minutes=10)
    outbox.ahead = timedelta(minutes=11)
    assert outbox.send() == 1
    assert smtp_sink.deliveries() == {delivery.message_id: 2}


def test_a_second_doubt_is_left_to_a_human(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    smtp_sink.script("alice@people.test", Step(At.DOT, drop=True))
    broadcast_id = one(outbox)
    for minutes in (0, 11, 22, 60):
        outbox.ahead = timedelta(minutes=minutes)
        outbox.send()
    assert outbox.states() == {"unknown": 1}
    assert len(smtp_sink.received) == 2
    assert outbox.broadcast(broadcast_id).state is BroadcastState.DONE


def test_r33_a_slow_connection_does_not_hold_up_the_rest(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    smtp_sink.script("reader0@customers.test", Step(At.DOT, seconds=1.5))
    outbox.queue("incident:1", addresses(100))
    assert outbox.send() == 100
    began = min(each.arrived for each in smtp_sink.received)
    # But for the mail whose envelope went ahead over that very connection.
    assert sum(each.arrived - began > 1.4 for each in smtp_sink.received) <= 1
    assert Counter(smtp_sink.recipients().values()) == {1: 100}


def test_a_broadcast_ends_with_its_last_answer_however_late_that_comes(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    """Open pages are rung about once a second: what is answered after the last time is rung, and closed, too."""
    smtp_sink.script("reader0@customers.test", Step(At.DOT, seconds=2.5))
    broadcast_id = outbox.queue("incident:1", addresses(1))
    assert outbox.send() == 1
    assert outbox.broadcast(broadcast_id).state is BroadcastState.DONE


# --- what stops a mail ----------------------------------------------------------------------------------------------


def test_whoever_leaves_between_writing_down_and_sending_gets_nothing(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    outbox.queue("incident:1", addresses(30))
    for index in range(0, 30, 3):
        actions.unsubscribe(f"READER{index}@customers.test", TEST_KIND.topic, None, now=outbox.now())
    actions.unsubscribe("reader1@customers.test", "another-list", None, now=outbox.now())
    events.commit()
    assert outbox.send() == 20
    assert outbox.states() == {"sent": 20, "suppressed": 10}


def test_r46_nothing_goes_to_people_who_are_gone_or_deactivated(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    people = [accounts.add_person(f"P{index}", f"p{index}@x.test", by=SYSTEM, now=outbox.now()) for index in range(4)]
    outbox.queue("incident:1", [{"address": each.email, "person_id": each.id} for each in people])
    people[0].deactivated_at = outbox.now()
    db.session.delete(db.session.get_one(Person, people[1].id))
    events.commit()
    assert outbox.send() == 2
    assert outbox.states() == {"sent": 2, "cancelled": 2}


def test_a_closed_area_stops_its_mails_also_those_written_down_already(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    people: list[dict[str, Any]] = [
        {"address": f"c{company}@x.test", "company_ids": (company,)} for company in (1, 2, 3)
    ]
    people.append({"address": "both@x.test", "company_ids": (1, 2)})
    CLOSED.add(3)
    outbox.queue("incident:1", people)
    assert outbox.states() == {"pending": 3}
    CLOSED.add(1)
    assert outbox.send() == 2
    assert set(smtp_sink.recipients()) == {"c2@x.test", "both@x.test"}
    assert outbox.states() == {"sent": 2, "cancelled": 1}


def test_a_paused_broadcast_sends_nothing_until_it_goes_on(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    broadcast_id = outbox.queue("incident:1", 20)
    actions.pause(outbox.broadcast(broadcast_id), "", by=SYSTEM, now=outbox.now())
    events.commit()
    assert outbox.send() == 0
    actions.resume(outbox.broadcast(broadcast_id), by=SYSTEM, now=outbox.now())
    events.commit()
    assert outbox.send() == 20


@pytest.mark.parametrize("action", ["pause", "cancel"])
def test_r48_steering_takes_effect_while_mails_are_going_out(outbox: Outbox, smtp_sink: SmtpSink, action: str) -> None:
    smtp_sink.script("*", Step(At.DOT, seconds=0.02))
    broadcast_id = outbox.queue("incident:1", addresses(600))
    sending = threading.Thread(target=send_in_thread, args=(outbox,))
    sending.start()
    smtp_sink.wait_for(40)
    broadcast = outbox.broadcast(broadcast_id)
    if action == "pause":
        actions.pause(broadcast, "", by=SYSTEM, now=outbox.now())
    else:
        actions.cancel(broadcast, by=SYSTEM, now=outbox.now())
    events.commit()
    at_that_moment = len(smtp_sink.received)
    sending.join(20)
    assert not sending.is_alive()
    assert len(smtp_sink.received) - at_that_moment <= 8
    found = outbox.states()
    assert found["sent"] == len(smtp_sink.received)
    assert found["pending" if action == "pause" else "cancelled"] == 600 - found["sent"]
    if action == "pause":
        actions.resume(outbox.broadcast(broadcast_id), by=SYSTEM, now=outbox.now())
        events.commit()
        outbox.send()
        assert outbox.states() == {"sent": 600}
    assert Counter(smtp_sink.recipients().values()).keys() == {1}


def send_in_thread(outbox: Outbox, **options: object) -> None:
    with outbox.app.app_context():
        read_only.set(False)
        outbox.send(**options)


# --- poison ---------------------------------------------------------------------------------------------------------


def test_i25_a_mail_that_cannot_be_made_fails_alone(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    people = addresses(100)
    people[50]["values"] = {}
    people[51]["address"] = "not an address"
    people[52]["values"] = {"service": "x" * 1_200_000}
    broadcast_id = outbox.queue("incident:1", people)
    assert outbox.send() == 97
    assert outbox.states() == {"sent": 97, "failed": 3}
    assert "no value for 'service'" in str(outbox.delivery("reader50@customers.test").answer)
    assert outbox.broadcast(broadcast_id).state is BroadcastState.DONE


def test_i22_i23_i26_nothing_that_is_typed_breaks_out_of_a_mail(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    nasty = [
        "x\r\nBcc: v@e.test",
        "x\nBcc: v@e.test",
        "x\rBcc: v@e.test",
        "%0d%0aBcc: v@e.test",
        "x\u2028Bcc: v@e.test",
        "x\u0085Bcc: v@e.test",
        "ä =?UTF-8?Q?=0A?=Bcc: injected@e.test",
        "\r\n.\r\nMAIL FROM:<v@e.test>\r\nRCPT TO:<v@e.test>\r\nDATA\r\n\r\nx\r\n.\r\n",
        ".",
        "\n.\n",
        "x" * 1200,
        "a bell \x07 and 電 8-bit",
        "<script>alert(1)</script>",
        "{{unsubscribe_url}} {{config}} {{7*7}}",
    ]
    people = [
        {"address": f"n{index}@x.test", "name": name[:200], "values": {"service": name}}
        for index, name in enumerate(nasty)
    ]
    outbox.queue("incident:1", people)
    assert outbox.send() == len(nasty)
    assert Counter(smtp_sink.recipients().values()) == {1: len(nasty)}
    usual = {name.lower() for name in smtp_sink.to("n8@x.test")[0].headers}
    for index, name in enumerate(nasty):
        (received,) = smtp_sink.to(f"n{index}@x.test")
        assert {header.lower() for header in received.headers} == usual
        message = BytesParser(policy=policy.default).parsebytes(received.content)
        plain = message.get_body(("plain",))
        assert plain is not None
        shown = "\n".join(name.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
        payload = plain.get_payload(decode=True)
        assert isinstance(payload, bytes)
        assert f"calls through {shown} fail." in payload.decode().replace("\r\n", "\n")
        assert message["Subject"] == "SIP trunks: registration failures"


# --- several processes, and the end of one --------------------------------------------------------------------------


def test_r11_two_at_once_send_nothing_twice_and_keep_to_the_relays_connections(
    outbox: Outbox, smtp_sink: SmtpSink
) -> None:
    smtp_sink.script("*", Step(At.DOT, seconds=0.005))
    outbox.queue("incident:1", addresses(300))
    threads = [threading.Thread(target=send_in_thread, args=(outbox,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    most = 0
    while any(thread.is_alive() for thread in threads):
        most = max(most, smtp_sink.open_connections)
    assert most <= 4
    assert outbox.states() == {"sent": 300}
    assert Counter(smtp_sink.recipients().values()) == {1: 300}


def test_r04_asked_to_stop_it_finishes_what_it_has_offered_and_gives_the_rest_back(
    outbox: Outbox, smtp_sink: SmtpSink
) -> None:
    smtp_sink.script("*", Step(At.DOT, seconds=0.05))
    outbox.queue("incident:1", addresses(200))
    stop = threading.Event()
    sending = threading.Thread(target=send_in_thread, args=(outbox,), kwargs={"stop": stop})
    sending.start()
    smtp_sink.wait_for(20)
    stop.set()
    sending.join(5)
    assert not sending.is_alive()
    found = outbox.states()
    assert found == {"sent": len(smtp_sink.received), "pending": 200 - len(smtp_sink.received)}
    assert {each.in_doubt for each in outbox.deliveries()} == {0}
    smtp_sink.forgive()
    outbox.send()
    assert Counter(smtp_sink.recipients().values()) == {1: 200}


def test_r31_a_lease_is_renewed_while_a_server_takes_its_time(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    """The lease is 2 s here and the answer takes longer: nobody else takes the mail meanwhile."""
    smtp_sink.script("alice@people.test", Step(At.DOT, seconds=3.5))
    one(outbox)
    sending = threading.Thread(target=send_in_thread, args=(outbox,))
    sending.start()
    smtp_sink.wait_for(1)
    wait_until(lambda: outbox.send() == 0 and not sending.is_alive(), 10)
    assert smtp_sink.recipients() == {"alice@people.test": 1}
    assert outbox.states() == {"sent": 1}


def test_r13_r16_a_database_that_is_away_for_a_while_loses_and_doubles_nothing(
    outbox: Outbox, smtp_sink: SmtpSink
) -> None:
    """On SQLite somebody holds the write lock for longer than anybody waits; PostgreSQL cuts every connection.

    Nobody waits for longer than the five seconds of `busy_timeout`, so six are to a sender what the row's sixty are:
    it is refused and tries again. How that is with a lease, and with real processes, is in tests/workers.
    """
    smtp_sink.script("*", Step(At.DOT, seconds=0.01))
    outbox.queue("incident:1", addresses(300))
    sending = threading.Thread(target=send_in_thread, args=(outbox,))
    sending.start()
    smtp_sink.wait_for(30)
    if db.engine.dialect.name == "sqlite":
        with db.engine.connect() as other:
            other.execute(text("SELECT 1"))
            threading.Event().wait(6)
    else:
        with db.engine.connect() as other:
            other.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
    sending.join(30)
    assert not sending.is_alive()
    assert outbox.states() == {"sent": 300}
    assert Counter(smtp_sink.recipients().values()) == {1: 300}
