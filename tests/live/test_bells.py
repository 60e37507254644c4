"""What `events` rings and when, with a Redis that works, hangs, stops and is wiped (R06, R08, R10)."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from rq import Queue
from rq.job import Job, JobStatus

from portal import events
from portal.events import Bell
from portal.extensions import db
from portal.live import CHANNEL
from tests.conftest import counted_queries
from tests.support.processes import wait_until
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.processes


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def bell(app: Flask, session: None, redis: RedisServer) -> Iterator[Bell]:
    """The app's bell, on this Redis."""
    usual = app.extensions["bell"]
    app.extensions["bell"] = Bell(redis.url)
    yield app.extensions["bell"]
    app.extensions["bell"].redis.close()
    app.extensions["bell"] = usual


class Ear:
    """Hears every bell of a Redis."""

    def __init__(self, redis: RedisServer) -> None:
        self.client = redis.client()
        self.subscription = self.client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        self.subscription.subscribe(CHANNEL)
        self.subscription.get_message(timeout=2)

    def heard(self, seconds: float = 0.3) -> list[tuple[str, int]]:
        bells = []
        while message := self.subscription.get_message(timeout=seconds):
            bell: dict[str, Any] = json.loads(message["data"])
            bells.append((bell["topic"], bell["version"]))
        return bells

    def close(self) -> None:
        self.subscription.close()
        self.client.close()


@pytest.fixture
def ear(redis: RedisServer) -> Iterator[Ear]:
    ear = Ear(redis)
    yield ear
    ear.close()


def jobs(redis: RedisServer) -> list[str]:
    with redis.client() as client:
        return list(Queue(events.QUEUE, connection=client, serializer="json").job_ids)


def test_bells_ring_after_the_commit_and_not_before(bell: Bell, ear: Ear) -> None:
    events.ring("company:1", "staff")
    db.session.flush()
    assert ear.heard() == []
    events.commit()
    assert ear.heard() == [("company:1", 1), ("staff", 1)]
    events.ring("staff")
    events.commit()
    assert ear.heard() == [("staff", 2)]
    assert events.versions_of(["staff", "company:1", "company:2"]) == {"staff": 2, "company:1": 1}
    events.commit()
    assert ear.heard() == []


def test_what_is_rolled_back_rings_nothing(bell: Bell, ear: Ear, redis: RedisServer) -> None:
    events.ring("staff")
    events.wake("send_deliveries", 1)
    db.session.execute(db.text("SELECT 1"))
    db.session.rollback()
    events.commit()
    events.ring("staff")
    db.session.execute(db.text("SELECT 1"))
    events.rollback()
    events.commit()
    assert ear.heard() == []
    assert jobs(redis) == []
    assert events.versions_of(["staff"]) == {}


def test_a_savepoint_rolled_back_inside_keeps_the_bells_of_the_whole(bell: Bell, ear: Ear) -> None:
    events.ring("staff")
    inner = db.session.begin_nested()
    inner.rollback()
    events.commit()
    assert ear.heard() == [("staff", 1)]


def test_many_topics_are_raised_by_few_statements(bell: Bell, ear: Ear) -> None:
    topics = [f"service:{number}" for number in range(1200)]
    events.ring(*topics)
    with counted_queries() as statements:
        events.commit()
    assert len(statements) == 2
    assert len(ear.heard()) == 1200


def test_r06_a_hung_redis_delays_one_request_by_a_second_and_no_other(bell: Bell, ear: Ear, redis: RedisServer) -> None:
    events.ring("staff")
    events.commit()
    redis.hang()
    try:
        assert _seconds_to_commit("company:1") < 1.3
        assert bell.failures == 1
        assert bell.is_delayed
        assert _seconds_to_commit("company:2") < 0.2
    finally:
        redis.resume()
    ear.heard(0.1)
    wait_until(lambda: not bell.is_delayed, 8, "an end of the silence")
    assert _seconds_to_commit("company:3") < 0.5
    assert bell.failures == 1


def test_r06_without_redis_everything_is_committed_and_bells_come_later(
    bell: Bell, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "QUIET_AFTER_FAILURE", 0.5)
    redis.kill()
    assert _seconds_to_commit("company:1") < 1
    assert events.versions_of(["company:1"]) == {"company:1": 1}
    redis.start()
    ear = Ear(redis)
    try:
        assert ear.heard(3)[0] == ("company:1", 1)
    finally:
        ear.close()


def test_r08_a_wiped_redis_is_rung_and_woken_again(bell: Bell, ear: Ear, redis: RedisServer) -> None:
    for _ in range(2):
        events.wake("send_deliveries", 4)
        events.ring("staff")
        events.commit()
        assert jobs(redis) == ["send_deliveries-4"]
        redis.flush()
        assert jobs(redis) == []
    assert ear.heard() == [("staff", 1), ("staff", 2)]
    assert bell.failures == 0


@pytest.mark.parametrize(
    "configuration",
    [("maxmemory", "1"), ("min-replicas-to-write", "1"), ("requirepass", "secret")],
    ids=["full", "read-only", "wrong password"],
)
def test_r10_a_redis_that_refuses_is_a_redis_that_is_away(
    bell: Bell, redis: RedisServer, configuration: tuple[str, ...]
) -> None:
    with redis.client() as client:
        client.execute_command("CONFIG", "SET", *configuration)
    events.ring("staff")
    events.wake("expand_broadcast", 4)
    began = time.monotonic()
    events.commit()
    assert time.monotonic() - began < 1.3
    assert events.versions_of(["staff"]) == {"staff": 1}
    assert bell.failures == 1
    assert bell.is_delayed


def test_a_task_that_waits_is_not_woken_twice(bell: Bell, redis: RedisServer) -> None:
    for _ in range(3):
        events.wake("expand_broadcast", 4)
        events.wake("expand_broadcast", 5)
        events.commit()
    assert jobs(redis) == ["expand_broadcast-4", "expand_broadcast-5"]
    with redis.client() as client:
        job = Job.fetch("expand_broadcast-4", connection=client, serializer="json")
        assert job.func_name == "workers.tasks.expand_broadcast"
        assert job.args == [4]


def test_a_task_that_runs_already_is_woken_once_more(bell: Bell, redis: RedisServer) -> None:
    events.wake("expand_broadcast", 4)
    events.commit()
    with redis.client() as client:
        queue = Queue(events.QUEUE, connection=client, serializer="json")
        client.lpop(queue.key)
        Job.fetch("expand_broadcast-4", connection=client, serializer="json").set_status(JobStatus.STARTED)
    for _ in range(3):
        events.wake("expand_broadcast", 4)
        events.commit()
    assert jobs(redis) == ["expand_broadcast-4-next"]


def _seconds_to_commit(topic: str) -> float:
    events.ring(topic)
    began = time.monotonic()
    events.commit()
    return time.monotonic() - began
