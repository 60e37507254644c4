"""How often something may be asked: counted in Redis for all processes together, without Redis in each by itself.

Nothing is written to the database. While Redis is away every process allows the full number, which is bounded by
the number of processes and better than refusing whoever keeps to the limit.
"""

import logging
import threading
import time
from dataclasses import dataclass

import redis
from flask import Flask
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

log = logging.getLogger(__name__)

WINDOW = 60
"""Seconds after which the count begins anew."""

REDIS_TIMEOUT = 0.25
"""Seconds Redis has for an answer before this process counts by itself."""

QUIET_AFTER_FAILURE = 5.0
"""Seconds for which Redis is not asked again after it failed."""

REMEMBERED_AT_MOST = 10_000


@dataclass(frozen=True)
class Allowance:
    """What is left of a limit in this window; `reset` is in seconds from now."""

    limit: int
    remaining: int
    reset: int
    is_over: bool


class Limiter:
    """Counts what is asked in windows of a minute."""

    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(
            url, socket_timeout=REDIS_TIMEOUT, socket_connect_timeout=REDIS_TIMEOUT, retry=Retry(NoBackoff(), 0)
        )
        self._silent_until = 0.0
        self._counts: dict[str, int] = {}
        self._window = 0
        self._lock = threading.Lock()

    def take(self, subject: str, limit: int, at: float) -> Allowance:
        """Count one more for this subject at this moment (seconds since 1970), and say what is left."""
        window, passed = divmod(int(at), WINDOW)
        count = self._count_together(subject, window)
        if count is None:
            count = self._count_alone(subject, window)
        return Allowance(limit, max(0, limit - count), WINDOW - passed, count > limit)

    def forget(self) -> None:
        """Begin anew, as a process that has just started."""
        with self._lock:
            self._counts = {}

    def _count_together(self, subject: str, window: int) -> int | None:
        if time.monotonic() < self._silent_until:
            return None
        key = f"limit:{subject}:{window}"
        try:
            with self._redis.pipeline(transaction=False) as pipe:
                pipe.incr(key)
                pipe.expire(key, WINDOW * 2)
                return int(pipe.execute()[0])
        except (RedisError, OSError):
            self._silent_until = time.monotonic() + QUIET_AFTER_FAILURE
            log.debug("Redis does not answer; this process counts by itself")
            return None

    def _count_alone(self, subject: str, window: int) -> int:
        with self._lock:
            if self._window != window or len(self._counts) > REMEMBERED_AT_MOST:
                self._window, self._counts = window, {}
            self._counts[subject] = self._counts.get(subject, 0) + 1
            return self._counts[subject]


def init_app(app: Flask) -> None:
    """Give the app its limiter."""
    app.extensions["limiter"] = Limiter(app.config["SETTINGS"].redis_url)
