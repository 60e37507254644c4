"""The process that works off the queue, and the one that rings by the clock.

Both outlast Redis: while it is away they wait and look again. Nothing is lost meanwhile, since every due thing is
a row and the pulse finds it.
"""

import logging
import signal
import threading
from collections.abc import Callable
from types import FrameType, FunctionType
from typing import Any

import redis
from flask import Flask
from redis.exceptions import RedisError
from rq import Queue, SimpleWorker
from rq.cron import CronJob, CronScheduler
from rq.job import Job
from rq.serializers import JSONSerializer
from sqlalchemy.exc import SQLAlchemyError

from portal import clock, events
from portal.config import Settings
from portal.database import DatabaseReplacedError, read_only
from portal.logs import work_id
from portal.notifications import outbound
from workers import tasks

log = logging.getLogger(__name__)

QUEUE = "portal"
"""The one queue; what goes first is decided by the rows, not by Redis."""

WORKER_TTL = 60
"""Seconds after which a worker that fell silent counts as dead; with RQ's own 420 its job would lie about as long."""

LONGEST_WAIT = 15.0
"""Seconds between two looks whether Redis is back, at most."""


class TaskJob(Job):
    """A job that can be one of `workers.tasks` and nothing else.

    RQ calls whatever dotted name stands in Redis, so whoever can write there could run anything. The callbacks it
    would import in the same way are never ours.
    """

    @property
    def func(self) -> Callable[..., Any]:
        module, _, name = (self.func_name or "").rpartition(".")
        task = getattr(tasks, name, None) if module == tasks.__name__ and not name.startswith("_") else None
        if not isinstance(task, FunctionType) or not task.__module__.startswith("workers."):
            raise LookupError("the queue names something that is no task of ours")
        return task

    @property
    def success_callback(self) -> None:
        return None

    @property
    def failure_callback(self) -> None:
        return None

    @property
    def stopped_callback(self) -> None:
        return None


class PortalWorker(SimpleWorker):
    """Runs each job in this process, inside an app context, with the job's id in every log line.

    No fork per job: that cost two thirds of the throughput, and a job that takes its process down is begun again
    by the lease on its rows, not by RQ.
    """

    max_connection_wait_time = LONGEST_WAIT
    app: Flask
    stopping: threading.Event

    def perform_job(self, job: Job, queue: Queue, execution: Any) -> bool:
        token = work_id.set(f"job:{job.id}")
        read_only.set(False)
        try:
            with self.app.app_context():
                return bool(super().perform_job(job, queue, execution))
        finally:
            work_id.reset(token)

    def handle_exception(self, job: Job, *exc_info: Any) -> None:
        """A database that was replaced is seen only by a process that starts anew, so this one ends."""
        super().handle_exception(job, *exc_info)
        if isinstance(exc_info[1], DatabaseReplacedError):
            log.critical("%s: this process ends, so that it is started again on what is there", exc_info[1])
            self.stopping.set()
            self._stop_requested = True

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Finish what is begun and end. Long tasks look at `current_app.extensions["stopping"]` between two mails."""
        self.stopping.set()
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]


class JSONCronJob(CronJob):
    """Rings as the web does, in JSON; a ring nobody heard before the next one is due is dropped."""

    def enqueue(self, connection: redis.Redis) -> Job:
        queue = Queue(self.queue_name, connection=connection, serializer=JSONSerializer)
        options = {"ttl": self.interval or 3600, **self.job_options, "result_ttl": 0}
        return queue.enqueue(self.func_name, args=self.args, kwargs=self.kwargs, **options)


class Timetable(CronScheduler):
    """RQ's cron over `workers.timetable`."""

    def register(self, func: Callable[..., Any], queue_name: str, *positional: Any, **options: Any) -> CronJob:
        job = JSONCronJob(queue_name, func, None, *positional, **options)
        self._cron_jobs.append(job)
        return job


def run(app: Flask) -> None:
    """Work off the queue until SIGTERM, then finish the job in hand and return."""
    stopping = _stopping(app)
    _recognise(app)

    def work() -> None:
        connection = _redis(app)
        queue = Queue(QUEUE, connection=connection, serializer=JSONSerializer, job_class=TaskJob)
        worker = PortalWorker(
            [queue],
            connection=connection,
            job_class=TaskJob,
            serializer=JSONSerializer,
            worker_ttl=WORKER_TTL,
            maintenance_interval=WORKER_TTL,
            log_job_description=False,
        )
        worker.app, worker.stopping = app, stopping
        worker.work(logging_level=None)

    _outlast_redis(stopping, work)


def run_timetable(app: Flask) -> None:
    """Ring for what `workers.timetable` lists, until SIGTERM."""
    stopping = _stopping(app)

    def ring() -> None:
        timetable = Timetable(_redis(app))
        timetable.load_config_from_file("workers.timetable")
        timetable.start()  # type: ignore[no-untyped-call]
        stopping.set()

    _outlast_redis(stopping, ring)


def _recognise(app: Flask) -> None:
    """Notice at the start that the data is a copy, so that staff read of it at once; each sending looks again."""
    read_only.set(False)
    with app.app_context():
        try:
            if pause := outbound.recognise(clock.utcnow()):
                log.warning("sending is paused: %s", pause.reason)
            events.commit()
        except SQLAlchemyError:
            log.warning("the database does not answer yet")
            events.rollback()


def _stopping(app: Flask) -> threading.Event:
    """The event that is set when this process was asked to end; tasks find it under the same name."""
    event: threading.Event = app.extensions.setdefault("stopping", threading.Event())
    return event


def _redis(app: Flask) -> redis.Redis:
    settings: Settings = app.config["SETTINGS"]
    return redis.Redis.from_url(settings.redis_url, socket_connect_timeout=5)


def _outlast_redis(stopping: threading.Event, work: Callable[[], None]) -> None:
    """Do this until it was asked to end; when Redis goes away, again after a wait that grows."""
    for name in ("rq.worker", "rq.cron", "rq.job"):
        logging.getLogger(name).setLevel(logging.WARNING)
    wait = 0.5
    while not stopping.is_set():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: stopping.set())
        try:
            work()
            wait = 0.5
        except RedisError:
            log.warning("Redis does not answer; looking again in %g s", wait)
        stopping.wait(wait)
        wait = min(wait * 2, LONGEST_WAIT)
