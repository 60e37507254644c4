"""A process of the lane is killed while it sends: nothing is lost, and what was on its way is repeated once."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from threading import Event

import pytest
from sqlalchemy import func, select

from portal import clock, create_app
from portal.config import Settings
from portal.extensions import db
from portal.notifications.channels.rules import ChannelKind
from portal.notifications.channels.sending import THREADS, ChannelSender
from portal.notifications.models import Delivery
from portal.notifications.rules import DeliveryState
from tests.notifications.channels.lane import Lane
from tests.support.receiver import Reply, Request

pytestmark = pytest.mark.processes

OK_OF_A_GATEWAY = Reply(body=b'{"result": [{"status": "ok"}]}')


@pytest.fixture
def start(environment: dict[str, str]) -> Callable[[], int]:
    """Start a process of the lane, and return its id."""

    def started() -> int:
        db.session.rollback()
        db.engine.dispose()
        child = os.fork()
        if child == 0:
            try:
                app = create_app(Settings.from_environment(environment))
                ChannelSender(app, now=clock.utcnow, stop=Event(), soon=timedelta(seconds=20)).run()
            finally:
                os._exit(0)
        return child

    return started


def kill(child: int) -> None:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_a_webhook_whose_process_was_killed_is_repeated_with_its_id(lane: Lane, start: Callable[[], int]) -> None:
    lane.receiver.replies["/hook"] = Reply(hangs=True)
    channel_id, _secret = lane.channel()
    lane.queue("one")
    child = start()
    lane.receiver.wait_for(1)
    kill(child)
    assert lane.delivery(channel_id).state is DeliveryState.SENDING
    assert lane.send() == 0, "its lease is still live"
    lane.receiver.replies.clear()
    # Two seconds of a lease and ten of a receiver, as the clock of the child went.
    lane.later(timedelta(minutes=2))
    assert lane.send() == 1
    delivery = lane.delivery(channel_id)
    assert (delivery.state, delivery.in_doubt) == (DeliveryState.SENT, 1)
    assert len({each.headers["webhook-id"] for each in lane.receiver.requests}) == 1
    assert len(lane.receiver.requests) == 2


def test_a_text_whose_process_was_killed_twice_is_left_to_a_human(lane: Lane, start: Callable[[], int]) -> None:
    lane.receiver.default = Reply(hangs=True)
    channel_id, _ = lane.channel(ChannelKind.SMS, "+491601234567")
    lane.queue("one")
    for number in (1, 2):
        child = start()
        lane.receiver.wait_for(number)
        kill(child)
        lane.expire_leases()
    assert lane.send() == 0
    delivery = lane.delivery(channel_id)
    assert (delivery.state, delivery.in_doubt) == (DeliveryState.UNKNOWN, 2)
    assert len(lane.receiver.requests) == 2


def test_many_kills_lose_nothing_and_repeat_little(lane: Lane, start: Callable[[], int]) -> None:
    """0 lost, and at most one repeat per receiver that is asked at the moment of a kill, under the same id."""
    channels, broadcasts, kills = 12, 5, 8
    chance = random.Random(4)  # noqa: S311 (the same moments in every run)

    def reply(_request: Request) -> Reply:
        return Reply(after=0.02)

    lane.receiver.default = reply
    for number in range(channels):
        lane.channel(address=lane.receiver.url(f"/hook{number}"), label=f"Machine {number}")
    for number in range(broadcasts):
        lane.queue(f"event{number}")
    for _kill in range(kills):
        seen = len(lane.receiver.requests)
        child = start()
        lane.receiver.wait_for(min(seen + 1, channels * broadcasts))
        time.sleep(chance.uniform(0, 0.15))
        kill(child)
        lane.expire_leases()
    lane.later(timedelta(hours=1))
    lane.send()
    db.session.rollback()
    states = dict(db.session.execute(select(Delivery.state, func.count()).group_by(Delivery.state)).all())
    assert states == {DeliveryState.SENT: channels * broadcasts}
    copies = Counter(each.headers["webhook-id"] for each in lane.receiver.requests)
    assert len(copies) == channels * broadcasts
    assert sum(copies.values()) - len(copies) <= kills * THREADS
