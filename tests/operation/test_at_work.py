"""R14, R21, R41, R42: much at once, processes that die in the middle of a request, and clocks that were stopped."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from redis import Redis
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer
from sqlalchemy import event
from sqlalchemy.orm import Session

from portal import clock, events
from portal.incidents.models import Incident
from portal.notifications import endings
from tests.conftest import token_in
from tests.notifications.outbox import Outbox, queue
from tests.operation.conftest import Databases
from tests.operation.firm import FORM, Firm, found
from tests.support.product import Portal
from tests.support.redis_server import RedisServer
from tests.support.smtp_sink import SmtpSink
from workers.worker import Timetable

SLACK = 10
"""Times on a machine that also does something else."""


@pytest.fixture
def firm(fresh_databases: Databases, settings: object) -> Iterator[Firm]:
    made = found(Portal(database_url=fresh_databases.prepared()))
    yield made
    made.let_go()
    made.portal.__exit__()


def test_r14_many_who_publish_at_once_all_succeed_and_readers_are_not_held_up(firm: Firm) -> None:
    """Shortened: two dozen reports by four people at a time, while others read."""
    titles = [f"Storm {number:02}" for number in range(24)]
    reads: list[float] = []

    def publish(title: str) -> tuple[int, float]:
        client = firm.ada()
        token = token_in(client, FORM)
        began = time.perf_counter()
        status = client.post(FORM, data={"csrf_token": token, **firm.report(title, f"key-{title}")}).status_code
        return status, time.perf_counter() - began

    def read(_number: int) -> int:
        client = firm.ada()
        began = time.perf_counter()
        status = client.get("/admin/incidents").status_code
        reads.append(time.perf_counter() - began)
        return status

    with ThreadPoolExecutor(4) as writers, ThreadPoolExecutor(2) as readers:
        published = writers.map(publish, titles)
        looked = list(readers.map(read, range(20)))
        answers = list(published)
    assert Counter(status for status, _seconds in answers) == {303: len(titles)}, (
        "nobody was told that the database is busy"
    )
    assert set(looked) == {200}
    assert sorted(seconds for _status, seconds in answers)[int(0.95 * len(answers))] < SLACK
    assert sorted(reads)[int(0.95 * len(reads))] < SLACK
    assert [firm.count(title) for title in titles[:3]] == [(1, 2)] * 3


def die_at(firm: Firm, moment: str) -> None:
    """Have this process killed around the commit that stores a report; requests make other commits too."""
    written: list[Incident] = []

    def note(session: Session, _context: object) -> None:
        written.extend(each for each in session.new if isinstance(each, Incident))

    def die(*_arguments: object) -> None:
        if written:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Session, "after_flush", note)
    if moment == "before_commit":
        event.listen(Session, "before_commit", die)
    else:
        # What is stored is announced next, before anything is answered.
        firm.app.extensions["bell"].announce = die


@pytest.mark.parametrize("moment", ["before_commit", "after_commit"])
def test_r21_a_web_process_killed_in_a_request_does_all_of_it_or_nothing(firm: Firm, moment: str) -> None:
    """The process dies before the commit, or after it and before the answer; the person sends the form again."""
    title, client = f"Killed {moment}", firm.ada()
    form = {"csrf_token": token_in(client, FORM), **firm.report(title, "the-same-form")}
    firm.let_go()
    child = os.fork()
    if child == 0:
        try:
            die_at(firm, moment)
            client.post(FORM, data=form)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert firm.count(title) == ((0, 0) if moment == "before_commit" else (1, 2))
    again = client.post(FORM, data=form)
    assert again.status_code == 303
    assert firm.count(title) == (1, 2)


def ring(connection: Redis, count: int) -> None:
    """What so many timetables put into the queue within a minute."""
    for _ in range(count):
        timetable = Timetable(connection)
        timetable.load_config_from_file("workers.timetable")
        for job in timetable._cron_jobs:
            job.enqueue(connection)


def work(connection: Redis) -> None:
    worker = SimpleWorker(
        [Queue("portal", connection=connection, serializer=JSONSerializer)],
        connection=connection,
        serializer=JSONSerializer,
    )
    worker.work(burst=True, logging_level="ERROR")


def test_r42_what_is_due_is_done_once_however_many_timetables_ring(
    outbox: Outbox, smtp_sink: SmtpSink, redis_server: RedisServer
) -> None:
    outbox.queue("incident:1", 40)
    with Redis.from_url(redis_server.url) as connection:
        ring(connection, 2)
        outbox.send()
        ring(connection, 2)
        work(connection)
    assert Counter(smtp_sink.deliveries().values()) == {1: 40}
    assert outbox.states() == {"sent": 40}


def test_r41_after_a_pause_of_the_clocks_what_is_due_is_done_once_and_what_is_over_is_left(
    outbox: Outbox, smtp_sink: SmtpSink, redis_server: RedisServer
) -> None:
    """Nothing rang for three hours. One broadcast was worth sending for one of them only."""
    now = clock.utcnow()
    late = queue("incident:1", 10, now=now - timedelta(hours=3))
    over = queue("incident:2", 10, now=now - timedelta(hours=3))
    over.expires_at = now - timedelta(hours=2)
    events.commit()
    with Redis.from_url(redis_server.url) as connection:
        ring(connection, 3)
        work(connection)
    endings.expire(clock.utcnow())
    events.commit()
    outbox.send()
    outbox.send()
    assert Counter(smtp_sink.deliveries().values()) == {1: 10}
    assert outbox.states() == {"sent": 10, "expired": 10}
    assert outbox.broadcast(late.id).finished_at is not None
