"""The tasks and the pulse: the same work with Redis and without, once or fifty times."""

import importlib
import threading
from collections import Counter
from datetime import timedelta

import pytest
from redis import Redis
from rq import Queue, SimpleWorker, cron
from rq.serializers import JSONSerializer
from sqlalchemy import select

from portal import clock, events
from portal.extensions import db
from portal.notifications import leases, marks, relays
from portal.notifications.kinds import Kind
from portal.notifications.models import Delivery
from portal.notifications.rules import BroadcastState
from tests.notifications.outbox import Outbox, known, queue
from tests.support.redis_server import RedisServer
from tests.support.smtp_sink import SmtpSink
from workers import pulse, tasks, timetable


def test_r06_without_redis_the_pulse_delivers(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    outbox.app.config["SETTINGS"] = outbox.settings
    queue("incident:1", 1300, now=clock.utcnow())
    queue("incident:2", 20, now=clock.utcnow())
    events.commit()
    stop = threading.Event()
    thread = threading.Thread(target=pulse.run, args=(outbox.app, stop))
    thread.start()
    try:
        smtp_sink.wait_for(1320, 40)
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()
    assert outbox.states() == {"sent": 1320}
    assert Counter(smtp_sink.deliveries().values()) == {1: 1320}


def test_r11_tasks_that_run_many_times_do_the_work_once(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    broadcast = queue("incident:1", 1100, now=clock.utcnow())
    events.commit()
    for _ in range(5):
        tasks.expand(broadcast.id)
    for _ in range(5):
        tasks.deliver()
        tasks.beat()
    tasks.expand(999_999)
    assert outbox.states() == {"sent": 1100}
    assert Counter(smtp_sink.deliveries().values()) == {1: 1100}


def test_r11_a_job_that_is_queued_fifty_times_sends_once(
    outbox: Outbox, smtp_sink: SmtpSink, redis_server: RedisServer
) -> None:
    """Through the queue itself, in JSON."""
    outbox.queue("incident:1", 50)
    connection = Redis.from_url(redis_server.url)
    line = Queue("portal", connection=connection, serializer=JSONSerializer)
    for _ in range(50):
        line.enqueue("workers.tasks.deliver")
    worker = SimpleWorker([line], connection=connection, serializer=JSONSerializer)
    worker.work(burst=True, logging_level="ERROR")
    connection.close()
    assert Counter(smtp_sink.deliveries().values()) == {1: 50}
    assert line.failed_job_registry.count == 0


def test_mails_of_a_dead_process_are_taken_up_by_the_next_beat(outbox: Outbox, smtp_sink: SmtpSink) -> None:
    outbox.queue("incident:1", 10)
    long_ago = clock.utcnow() - timedelta(minutes=10)
    relays.prepare_relays(outbox.settings)
    for delivery in db.session.scalars(select(Delivery)):
        delivery.next_attempt_at = long_ago
    assert leases.claim("a dead one", outbox.settings, now=long_ago) is not None
    events.commit()
    assert len(marks.held()) == 10
    events.rollback()
    tasks.work_off()
    assert outbox.states() == {"sent": 10}


def test_recipients_that_cannot_be_worked_out_stop_only_their_own_broadcast(
    outbox: Outbox, smtp_sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object) -> tuple[list[object], None]:
        raise LookupError("no such company")

    queue("incident:1", 1200, now=clock.utcnow())
    bad = queue("incident:2", 1200, now=clock.utcnow())
    bad.kind = known(monkeypatch, Kind("broken", "incidents", "Broken", recipients=broken)).name  # type: ignore[arg-type]
    events.commit()
    tasks.work_off()
    assert outbox.states() == {"sent": 1200}
    broadcast = outbox.broadcast(bad.id)
    assert broadcast.state is BroadcastState.PAUSED
    assert "no such company" in (broadcast.note or "")


def test_the_timetable_names_tasks_that_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    listed: list[str] = []
    monkeypatch.setattr(cron, "register", lambda task, _queue, **_when: listed.append(task.__name__))
    importlib.reload(timetable)
    assert "beat" in listed
    assert all(callable(getattr(tasks, name)) for name in listed)
