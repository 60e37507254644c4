"""Live topics: what rings an open page or a worker, and when.

A topic has a version in the database, which is the truth; Redis only carries the bell. Actions say
`ring(topic)`; `commit()` raises the versions in the same transaction, commits, and then rings. Routes and
tasks commit through here and nowhere else.
"""

import json
import logging
import re
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import redis
from flask import Flask, current_app
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue
from rq.exceptions import DuplicateJobError
from rq.job import Job, JobStatus
from sqlalchemy import String, event, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, SessionTransaction, mapped_column

from portal.database import Base
from portal.extensions import db
from portal.live import CHANNEL

log = logging.getLogger(__name__)

REDIS_TIMEOUT = 0.5
"""Seconds for connecting to Redis, and again for its answer: a web request waits a second for it at most."""

JOB_SECONDS = 900
"""Seconds after which a task is given up: more than the ten minutes a server may take to answer a mail."""

QUIET_AFTER_FAILURE = 5.0
"""Seconds for which Redis is not asked again after it failed, so that a hung one delays one request and not all."""

MISSED_AT_MOST = 10_000
"""Bells kept for a Redis that does not answer. Beyond it they are dropped: pages notice by polling."""

QUEUE = "portal"
"""The RQ queue of everything that is woken."""

NAMES_AT_MOST = 8
"""Jobs of one task and one set of arguments that may be there at once, one of them waiting."""

STAFF = "staff"


def public_topic(domain_id: int) -> str:
    """Rings when anything changes that everyone on this portal domain may see."""
    return f"public:{domain_id}"


def service_topic(service_id: int) -> str:
    """Rings the holders of one service."""
    return f"service:{service_id}"


def company_topic(company_id: int) -> str:
    """Rings the people of one company."""
    return f"company:{company_id}"


def broadcast_topic(broadcast_id: int) -> str:
    """Rings the progress page of one broadcast."""
    return f"broadcast:{broadcast_id}"


def import_topic(run_id: int) -> str:
    """Rings the progress page of one import."""
    return f"import:{run_id}"


def item_topic(kind: str, key: str) -> str:
    """Rings the open pages of customers that show one thing of theirs: a job, say, by the text its address has."""
    return f"item:{kind}:{key}"


def session_topic(token_hash: str) -> str:
    """Rings once, when this session has ended."""
    return f"session:{token_hash}"


class LiveTopic(Base):
    """The version of one topic; a topic nobody ever rang has none and counts as 0."""

    __tablename__ = "live_topic"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    version: Mapped[int] = mapped_column(default=1)


def ring(*topics: str) -> None:
    """Note that these topics have changed; `commit()` makes it true."""
    db.session.info.setdefault("topics", set()).update(topics)


def wake(task: str, *arguments: Any) -> None:
    """Note that a task (a name of `workers.tasks`) is worth running now; the pulse would find its work anyway."""
    db.session.info.setdefault("tasks", {})[(task, *arguments)] = None


def commit() -> None:
    """Commit the transaction with the raised versions of its topics, then ring Redis. Redis may be gone.

    Rings only what was really committed: an exception from the database leaves nothing noted.
    """
    topics: set[str] = db.session.info.pop("topics", set())
    tasks: dict[tuple[Any, ...], None] = db.session.info.pop("tasks", {})
    versions = _raise_versions(topics)
    db.session.commit()
    if versions or tasks:
        bell().announce(versions, tasks)


def rollback() -> None:
    """Give up the transaction and what was noted in it."""
    db.session.rollback()


def versions_of(topics: Iterable[str]) -> dict[str, int]:
    """The versions of those of the topics that ever rang. One query."""
    names = sorted(set(topics))
    rows = db.session.execute(select(LiveTopic.name, LiveTopic.version).where(LiveTopic.name.in_(names)))
    return {row.name: row.version for row in rows}


def bell() -> "Bell":
    """The way to Redis of the current app; `is_delayed` and `failures` say how it fares."""
    found: Bell = current_app.extensions["bell"]
    return found


def init_app(app: Flask) -> None:
    """Give the app its bell."""
    app.extensions["bell"] = Bell(app.config["SETTINGS"].redis_url)


def _raise_versions(topics: Collection[str]) -> dict[str, int]:
    """Raise each topic by one, in the order of names so that two transactions never wait for each other in a ring."""
    insert = sqlite.insert if db.session.get_bind().dialect.name == "sqlite" else postgresql.insert
    statement = (
        insert(LiveTopic)
        .on_conflict_do_update(index_elements=["name"], set_={"version": LiveTopic.version + 1})
        .returning(LiveTopic.name, LiveTopic.version)
    )
    rows = [{"name": name, "version": 1} for name in sorted(topics)]
    return {row.name: row.version for row in db.session.execute(statement, rows)} if rows else {}


@event.listens_for(Session, "after_soft_rollback")
def _forget(session: Session, rolled_back: SessionTransaction) -> None:
    """What a transaction noted goes with it. A savepoint's notes stay: a bell too many only costs a 304."""
    if not rolled_back.nested:
        session.info.pop("topics", None)
        session.info.pop("tasks", None)


class Bell:
    """The way to Redis: short time-outs, no retries, and silence for a while after a failure.

    Bells that could not be rung are kept and rung when Redis is back; tasks are not, because the pulse finds
    their work in the database. `failures` counts what was swallowed since the process began.
    """

    def __init__(self, url: str) -> None:
        self.redis = redis.Redis.from_url(
            url,
            socket_timeout=REDIS_TIMEOUT,
            socket_connect_timeout=REDIS_TIMEOUT,
            retry=Retry(NoBackoff(), 0),
        )
        self.queue = Queue(QUEUE, connection=self.redis, serializer="json")
        self.failures = 0
        self._silent_until = 0.0
        self._is_down = False
        self._missed: dict[str, int] = {}
        self._lock = threading.Lock()
        self._waiting: threading.Timer | None = None

    @property
    def is_delayed(self) -> bool:
        """True while Redis is not answering: bells are late, nothing is lost."""
        return time.monotonic() < self._silent_until

    def is_away(self) -> bool:
        """Whether Redis is known not to answer, for whoever shows that. Costs nothing while it answers.

        While it does not, it is asked again every few seconds, which takes a second at most.
        """
        if self._is_down and not self.is_delayed:
            try:
                self.redis.ping()
            except (RedisError, OSError):
                self._fall_silent({})
            else:
                self._is_down = False
                log.info("Redis answers again")
        return self._is_down

    def announce(self, versions: Mapping[str, int], tasks: Iterable[tuple[Any, ...]] = ()) -> None:
        """Ring these topics and wake these tasks. Takes a second at most, and raises nothing."""
        if self.is_delayed:
            self._keep(versions)
            return
        try:
            self._publish(versions)
            for name, *arguments in tasks:
                self._enqueue(name, arguments)
        except (RedisError, OSError):
            self._fall_silent(versions)
        else:
            if self._is_down:
                self._is_down = False
                log.info("Redis answers again")

    def _publish(self, versions: Mapping[str, int]) -> None:
        if not versions:
            return
        with self.redis.pipeline(transaction=False) as pipe:
            for topic, version in versions.items():
                pipe.publish(CHANNEL, json.dumps({"topic": topic, "version": version}))
            pipe.execute()

    def _enqueue(self, name: str, arguments: list[Any]) -> None:
        """Enqueue a task once: one that waits already will see the new work, one that runs may have missed it.

        What was running when its worker was killed keeps its name for a while, so there is more than one next name.
        """
        job_id = re.sub(r"[^A-Za-z0-9_-]", "_", "-".join([name, *(str(argument) for argument in arguments)]))
        for suffix in ("", "-next", *(f"-next{number}" for number in range(2, NAMES_AT_MOST))):
            try:
                self._enqueue_unique(job_id + suffix, name, arguments)
            except DuplicateJobError:
                if self.redis.hget(Job.key_for(job_id + suffix), "status") == JobStatus.QUEUED.value.encode():
                    log.debug("%s waits already", job_id)
                    return
            else:
                return

    def _enqueue_unique(self, job_id: str, name: str, arguments: list[Any]) -> None:
        self.queue.enqueue(
            f"workers.tasks.{name}",
            *arguments,
            job_id=job_id,
            unique=True,
            job_timeout=JOB_SECONDS,
            result_ttl=0,
            failure_ttl=60,
        )

    def _fall_silent(self, versions: Mapping[str, int]) -> None:
        self.failures += 1
        self._silent_until = time.monotonic() + QUIET_AFTER_FAILURE
        if not self._is_down:
            self._is_down = True
            log.warning("Redis does not answer; open pages and workers notice by polling")
        self._keep(versions)

    def _keep(self, versions: Mapping[str, int]) -> None:
        with self._lock:
            room = MISSED_AT_MOST - len(self._missed)
            self._missed.update(list(versions.items())[: max(room, 0)])
            if self._missed and self._waiting is None:
                self._waiting = threading.Timer(QUIET_AFTER_FAILURE + 0.1, self._ring_missed)
                self._waiting.daemon = True
                self._waiting.start()

    def _ring_missed(self) -> None:
        with self._lock:
            missed, self._missed, self._waiting = self._missed, {}, None
        self.announce(missed)
