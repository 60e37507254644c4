"""Writing down what must not be forgotten while the database is away."""

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm.exc import StaleDataError

log = logging.getLogger(__name__)

Result = TypeVar("Result")

PAUSE_SECONDS = 0.2
"""How long a database that did not take something is left alone."""


def persistently(
    attempt: Callable[[], Result], recover: Callable[[], object], *, stop: threading.Event, seconds: float
) -> Result:
    """Try until the database takes it: what servers have answered must not be forgotten because it was away.

    What is tried must bear to be done twice; `recover` is called after each failure. There is an end to patience only
    so many seconds after `stop` was set: then the last failure is raised, and leases say what became of the rest.
    """
    told_at: float | None = None
    while True:
        try:
            return attempt()
        except (OperationalError, InterfaceError, StaleDataError) as trouble:
            recover()
            told_at = told_at or (time.monotonic() if stop.is_set() else None)
            if told_at and time.monotonic() - told_at > seconds:
                raise
            log.warning("the database does not take a result, trying again: %s", trouble.__class__.__name__)
            time.sleep(PAUSE_SECONDS)
