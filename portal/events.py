"""Live topics: what rings an open page or a worker, and when.

A topic has a version in the database, which is the truth; Redis only carries the bell. Actions say
`ring(topic)`; `commit()` raises the versions in the same transaction, commits, and then rings. Routes and
tasks commit through here and nowhere else.
"""

import json
import logging
import time
from collections.abc import Iterable
from typing import Any

import redis
from flask import current_app
from redis.exceptions import RedisError
from rq import Queue
from sqlalchemy import String, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base
from portal.extensions import db

log = logging.getLogger(__name__)

CHANNEL = "portal:live"
"""The one Redis channel; a message is {"topic": str, "version": int}."""

REDIS_TIMEOUT = 1.0
"""Seconds a web request may wait for Redis at most."""

QUIET_AFTER_FAILURE = 5.0
"""Seconds for which Redis is not asked again after it failed, so that a hung one delays one request and not all."""

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
    """Commit the transaction with the raised versions of its topics, then ring Redis. Redis may be gone."""
    topics: set[str] = db.session.info.pop("topics", set())
    tasks: dict[tuple[Any, ...], None] = db.session.info.pop("tasks", {})
    versions = _raise_versions(topics)
    db.session.commit()
    if versions or tasks:
        _bell().announce(versions, tasks)


def rollback() -> None:
    db.session.info.pop("topics", None)
    db.session.info.pop("tasks", None)
    db.session.rollback()


def versions_of(topics: Iterable[str]) -> dict[str, int]:
    """The versions of those of the topics that ever rang. One query."""
    names = sorted(set(topics))
    rows = db.session.execute(select(LiveTopic.name, LiveTopic.version).where(LiveTopic.name.in_(names)))
    return {name: version for name, version in rows}


def _raise_versions(topics: set[str]) -> dict[str, int]:
    """Raise each topic by one, in the order of names so that two transactions never wait for each other in a ring."""
    insert = sqlite.insert if db.session.get_bind().dialect.name == "sqlite" else postgresql.insert
    versions = {}
    for name in sorted(topics):
        statement = (
            insert(LiveTopic)
            .values(name=name, version=1)
            .on_conflict_do_update(index_elements=["name"], set_={"version": LiveTopic.version + 1})
            .returning(LiveTopic.version)
        )
        versions[name] = db.session.execute(statement).scalar_one()
    return versions


class Bell:
    """The way to Redis: short time-outs, no retries, and silence for a while after a failure."""

    def __init__(self, url: str) -> None:
        self.redis = redis.Redis.from_url(
            url, socket_timeout=REDIS_TIMEOUT, socket_connect_timeout=REDIS_TIMEOUT, retry=None
        )
        self.silent_until = 0.0

    @property
    def is_delayed(self) -> bool:
        """True while Redis is not answering: bells are late, nothing is lost."""
        return time.monotonic() < self.silent_until

    def announce(self, versions: dict[str, int], tasks: Iterable[tuple[Any, ...]]) -> None:
        if self.is_delayed:
            return
        try:
            with self.redis.pipeline(transaction=False) as pipe:
                for topic, version in versions.items():
                    pipe.publish(CHANNEL, json.dumps({"topic": topic, "version": version}))
                pipe.execute()
            for name, *arguments in tasks:
                queue = Queue("portal", connection=self.redis, serializer="json")
                queue.enqueue(f"workers.tasks.{name}", *arguments, result_ttl=0, failure_ttl=86400)
        except (RedisError, OSError):
            self.silent_until = time.monotonic() + QUIET_AFTER_FAILURE
            log.warning("Redis does not answer; open pages and workers notice by polling")


def _bell() -> Bell:
    bell: Bell = current_app.extensions["bell"]
    return bell
