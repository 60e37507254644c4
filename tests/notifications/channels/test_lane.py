"""The lane of channels: what a receiver gets, when it is tried again, and what a failure makes of its channel."""

import json
import threading
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from portal import events
from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.notifications import outbound
from portal.notifications.actions import cancel, pause, resume
from portal.notifications.channels import gateway
from portal.notifications.channels import lane as rows
from portal.notifications.channels.actions import remove_channel
from portal.notifications.channels.rules import MOST_TRIES, RETRIES, ChannelKind, ChannelState
from portal.notifications.models import Broadcast, ContactChannel, Delivery, DeliveryAttempt
from portal.notifications.queries import progress
from portal.notifications.rules import BroadcastState, DeliveryState
from tests.notifications.channels.lane import Lane
from tests.notifications.outbox import queue
from tests.support.receiver import Reply, Request

MOMENT = timedelta(seconds=1)
NUMBER = "+491601234567"


def ids_of(requests: list[Request]) -> set[str]:
    return {each.headers["webhook-id"] for each in requests}


def test_a_webhook_is_told_with_the_broadcast(lane: Lane) -> None:
    channel_id, _secret = lane.channel()
    broadcast_id = lane.queue("one")
    assert lane.send() == 1
    request = lane.receiver.wait_for(1)[0]
    told = json.loads(request.body)
    assert (request.method, request.path, told["type"]) == ("POST", "/hook", "incident.identified")
    assert request.headers["content-type"] == "application/json"
    assert told["data"]["incident"]["title"] == "SIP trunks: Störung"
    assert told["data"]["url"] == "http://admin.portal.test/incidents/abc"
    delivery = lane.delivery(channel_id)
    assert (delivery.state, delivery.channel, delivery.code) == (DeliveryState.SENT, "webhook", 200)
    assert lane.receiver.url() not in delivery.address
    assert lane.stored(channel_id).last_sent_at is not None
    assert lane.broadcast(broadcast_id).state is BroadcastState.DONE
    assert progress(lane.broadcast(broadcast_id), lane.now()).sent == 1


def test_the_same_event_is_told_once(lane: Lane) -> None:
    lane.channel()
    assert lane.queue("one") == lane.queue("one")
    assert (lane.send(), lane.send()) == (1, 0)
    assert len(lane.receiver.requests) == 1


def test_r54_a_receiver_that_fails_is_tried_on_the_schedule_then_given_up_and_told_of(lane: Lane) -> None:
    lane.receiver.default = Reply(500, b"out of <b>order</b>")
    channel_id, _secret = lane.channel()
    staff_id, _ = lane.staff("/staff")
    lane.receiver.replies["/staff"] = Reply()
    broadcast_id = lane.queue("one")
    lane.send()
    for number, wait in enumerate(RETRIES, start=1):
        assert len(lane.receiver.to("/hook")) == number
        assert lane.stored(channel_id).state is ChannelState.FAILING
        lane.later(wait - MOMENT)
        lane.send()
        assert len(lane.receiver.to("/hook")) == number, "not before its time"
        lane.later(MOMENT)
        lane.send()
    assert len(lane.receiver.to("/hook")) == MOST_TRIES == 8
    assert len(ids_of(lane.receiver.to("/hook"))) == 1
    delivery, channel = lane.delivery(channel_id, broadcast_id), lane.stored(channel_id)
    assert (delivery.state, delivery.attempts) == (DeliveryState.FAILED, MOST_TRIES)
    assert (channel.state, channel.code, channel.reason) == (ChannelState.DISABLED, 500, "out of <b>order</b>")
    assert lane.broadcast(broadcast_id).state is BroadcastState.DONE
    attempts = db.session.scalar(select(func.count()).where(DeliveryAttempt.delivery_id == delivery.id))
    assert attempts == MOST_TRIES
    lane.send()
    alarm = json.loads(lane.receiver.wait_for(1, "/staff")[0].body)
    assert alarm["type"] == "alarm"
    assert "Their monitoring" in alarm["data"]["title"]
    assert lane.delivery(staff_id).state is DeliveryState.SENT


def test_w01_410_gives_a_channel_up_at_once_and_leaves_out_what_comes_after(lane: Lane) -> None:
    lane.receiver.default = Reply(410, b"gone")
    channel_id, _secret = lane.channel()
    first, second = lane.queue("one"), lane.queue("two")
    lane.send()
    assert len(lane.receiver.requests) == 1
    assert lane.stored(channel_id).state is ChannelState.DISABLED
    assert lane.delivery(channel_id, first).state is DeliveryState.FAILED
    waiting = lane.delivery(channel_id, second)
    assert (waiting.state, waiting.answer) == (DeliveryState.FAILED, "The channel was disabled. gone")
    third = lane.queue("three")
    assert lane.delivery(channel_id, third).state is DeliveryState.SUPPRESSED
    assert "disabled" in (lane.delivery(channel_id, third).answer or "")
    assert lane.broadcast(third).state is BroadcastState.DONE


def test_a_receiver_that_mends_is_forgiven(lane: Lane) -> None:
    lane.receiver.default = Reply(503, headers={"Retry-After": "120"})
    channel_id, _secret = lane.channel()
    lane.queue("one")
    lane.send()
    lane.later(timedelta(seconds=119))
    lane.send()
    assert len(lane.receiver.requests) == 1, "it asked for two minutes"
    lane.receiver.default = Reply(204, b"")
    lane.later(MOMENT)
    assert lane.send() == 1
    channel = lane.stored(channel_id)
    assert (channel.state, channel.failures, channel.failing_since) == (ChannelState.WORKING, 0, None)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give receivers two seconds instead of ten."""
    monkeypatch.setattr(gateway, "SECONDS", 2.0)


def test_r54_a_hanging_receiver_holds_up_nobody_else(lane: Lane) -> None:
    lane.receiver.replies["/hangs"] = Reply(hangs=True)
    hanging, _ = lane.channel(address=lane.receiver.url("/hangs"), label="Hangs")
    others = [lane.channel(address=lane.receiver.url(f"/fine{number}"), label=f"Fine {number}")[0] for number in (1, 2)]
    lane.queue("one")
    stop = threading.Event()
    db.session.rollback()
    runner = threading.Thread(target=lane.sender(stop).run)
    runner.start()
    try:
        lane.receiver.wait_for(1, "/hangs")
        for number in (1, 2):
            lane.receiver.wait_for(1, f"/fine{number}")
        # Mail goes meanwhile too: nothing but rows is shared.
        queue("mail", 3, now=lane.now())
        events.commit()
        assert lane.outbox.send() == 3
        assert lane.delivery(hanging).state is DeliveryState.SENDING
    finally:
        stop.set()
        lane.receiver.released.set()
        runner.join()
    assert {lane.delivery(each).state for each in others} == {DeliveryState.SENT}
    assert lane.delivery(hanging).state is DeliveryState.PENDING, "it was asked again later, with the same id"


@pytest.mark.usefixtures("quick")
def test_a_hanging_webhook_is_tried_again_with_the_same_id(lane: Lane) -> None:
    lane.receiver.replies["/hook"] = Reply(hangs=True)
    channel_id, _secret = lane.channel()
    lane.queue("one")
    lane.send()
    delivery = lane.delivery(channel_id)
    assert (delivery.state, delivery.in_doubt) == (DeliveryState.PENDING, 0)
    assert "does not answer in time" in (delivery.answer or "")
    lane.receiver.replies.clear()
    lane.later(RETRIES[0])
    assert lane.send() == 1
    assert len(ids_of(lane.receiver.to("/hook"))) == 1


def test_a_text_whose_answer_was_never_heard_is_repeated_once_and_then_left_to_a_human(lane: Lane) -> None:
    lane.receiver.default = Reply(drops=True)
    channel_id, _ = lane.channel(ChannelKind.SMS, NUMBER)
    lane.queue("one")
    lane.send()
    delivery = lane.delivery(channel_id)
    assert (delivery.state, delivery.in_doubt) == (DeliveryState.PENDING, 1)
    for _again in range(3):
        lane.later(timedelta(hours=1))
        lane.send()
    delivery = lane.delivery(channel_id)
    assert (delivery.state, delivery.in_doubt) == (DeliveryState.UNKNOWN, 2)
    assert len(lane.receiver.requests) == 2


def test_a_text_goes_through_the_gateway_short_and_to_one_number(lane: Lane) -> None:
    lane.receiver.default = Reply(body=b'{"result": [{"message_id": 1, "status": "ok"}]}')
    channel_id, _ = lane.channel(ChannelKind.SMS, "0049 160 / 123-4567")
    lane.queue("one")
    assert lane.send() == 1
    asked = json.loads(lane.receiver.wait_for(1)[0].body)
    assert asked["params"]["to"] == NUMBER
    text = asked["params"]["message"]
    assert "calls through Hosted telephony fail" in text
    assert text.endswith("http://admin.portal.test/incidents/abc")
    assert len(text) <= 300
    assert lane.delivery(channel_id).address == "+49…567"


def test_paused_nothing_goes_and_cancelled_nothing_comes_back(lane: Lane) -> None:
    channel_id, _secret = lane.channel()
    broadcast_id = lane.queue("one")
    pause(lane.broadcast(broadcast_id), "wait", by=SYSTEM, now=lane.now())
    events.commit()
    assert lane.send() == 0
    resume(lane.broadcast(broadcast_id), by=SYSTEM, now=lane.now())
    events.commit()
    outbound.pause_all("a copy", by=SYSTEM, now=lane.now())
    events.commit()
    assert lane.send() == 0
    outbound.resume_all(by=SYSTEM, now=lane.now())
    events.commit()
    lane.receiver.default = Reply(500)
    lane.send()
    assert cancel(lane.broadcast(broadcast_id), by=SYSTEM, now=lane.now()) == 1
    events.commit()
    lane.later(timedelta(days=1))
    lane.send()
    assert len(lane.receiver.requests) == 1
    assert lane.delivery(channel_id).state is DeliveryState.CANCELLED


def test_what_comes_back_after_it_was_cancelled_stays_cancelled(lane: Lane) -> None:
    channel_id, _secret = lane.channel()
    broadcast_id = lane.queue("one")
    released = threading.Event()

    def reply(_request: Request) -> Reply:
        released.wait()
        return Reply(500)

    lane.receiver.default = reply
    db.session.rollback()
    runner = threading.Thread(target=lane.sender().run)
    runner.start()
    try:
        lane.receiver.wait_for(1)
        assert cancel(lane.broadcast(broadcast_id), by=SYSTEM, now=lane.now()) == 0
        events.commit()
    finally:
        released.set()
        runner.join()
    assert lane.delivery(channel_id).state is DeliveryState.CANCELLED


def test_a_removed_channel_is_told_nothing_more(lane: Lane) -> None:
    channel_id, _secret = lane.channel()
    broadcast_id = lane.queue("one")
    channel = db.session.get_one(ContactChannel, channel_id)
    assert remove_channel(channel, version=channel.version, by=SYSTEM, now=lane.now()) == 1
    events.commit()
    assert lane.send() == 0
    db.session.rollback()
    assert db.session.get(ContactChannel, channel_id) is None
    assert db.session.scalars(select(Delivery.state).where(Delivery.broadcast_id == broadcast_id)).one() is (
        DeliveryState.CANCELLED
    )


@pytest.mark.parametrize(("status", "state"), [(200, DeliveryState.SENT), (500, DeliveryState.CANCELLED)])
def test_a_channel_that_is_removed_while_it_is_asked_leaves_nothing_open(
    lane: Lane, status: int, state: DeliveryState
) -> None:
    channel_id, _secret = lane.channel()
    broadcast_id = lane.queue("one")
    released = threading.Event()

    def reply(_request: Request) -> Reply:
        released.wait()
        return Reply(status)

    lane.receiver.default = reply
    db.session.rollback()
    runner = threading.Thread(target=lane.sender().run)
    runner.start()
    try:
        lane.receiver.wait_for(1)
        channel = db.session.get_one(ContactChannel, channel_id)
        remove_channel(channel, version=channel.version, by=SYSTEM, now=lane.now())
        events.commit()
    finally:
        released.set()
        runner.join()
    assert lane.delivery(channel_id).state is state
    assert lane.broadcast(broadcast_id).state is BroadcastState.DONE


def test_old_news_is_not_texted_but_told_to_machines(lane: Lane) -> None:
    lane.receiver.default = Reply(500)
    text_id, _ = lane.channel(ChannelKind.SMS, NUMBER)
    hook_id, _secret = lane.channel(label="A machine")
    lane.queue("one")
    lane.send()
    lane.later(timedelta(hours=25))
    rows.expire(lane.now())
    events.commit()
    lane.receiver.default = Reply()
    assert lane.send() == 1
    assert lane.delivery(text_id).state is DeliveryState.FAILED
    assert lane.delivery(hook_id).state is DeliveryState.SENT


def test_a_text_without_a_gateway_is_unreachable_and_counts_as_left_out(lane: Lane) -> None:
    channel_id, _ = lane.channel(ChannelKind.SMS, NUMBER)
    settings = lane.outbox.app.config["SETTINGS"]
    object.__setattr__(settings, "sms_url", "")
    broadcast_id = lane.queue("one")
    delivery = lane.delivery(channel_id)
    assert (delivery.state, delivery.answer) == (DeliveryState.SUPPRESSED, gateway.NO_GATEWAY)
    assert progress(lane.broadcast(broadcast_id), lane.now()).sent == 0
    assert lane.send() == 0


def test_what_a_gateway_answers_but_does_not_take_is_no_success(lane: Lane) -> None:
    lane.receiver.default = Reply(body=b'{"result": [{"status": "no such number"}]}')
    channel_id, _ = lane.channel(ChannelKind.SMS, NUMBER)
    lane.queue("one")
    assert lane.send() == 0
    delivery = lane.delivery(channel_id)
    assert (delivery.state, delivery.code) == (DeliveryState.FAILED, 200)
    assert lane.stored(channel_id).state is ChannelState.WORKING, "it was about this message"


def test_each_channel_gets_its_turn(lane: Lane) -> None:
    """More messages than a turn takes, and more channels than threads: all arrive, and none twice."""
    for number in range(10):
        lane.channel(address=lane.receiver.url(f"/hook{number}"), label=f"Machine {number}")
    for number in range(3):
        lane.queue(f"event{number}")
    assert lane.send() == 30
    assert len(ids_of(lane.receiver.requests)) == len(lane.receiver.requests) == 30
    db.session.rollback()
    assert set(db.session.scalars(select(Broadcast.state))) == {BroadcastState.DONE}
    assert db.session.scalar(select(func.count()).where(ContactChannel.leased_until.is_not(None))) == 0
