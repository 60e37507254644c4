"""The database as the sending loop uses it: patiently, and with commits made durable beside the loop."""

import threading
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, Transaction

from portal import events
from portal.extensions import db
from portal.notifications.persistence import persistently
from portal.notifications.sending.clerk import Clerk, Errand

Result = TypeVar("Result")

LAST_PATIENCE_SECONDS = 20.0
"""How long a process that is told to stop still tries."""


class Store:
    """Transactions of one loop: through the session, or on a connection of its own, which spares the session's
    bookkeeping.

    What is done here must bear to be done twice: it is tried until the database takes it, because what servers have
    answered must not be forgotten while it is away. Only once `stop` is set is there an end to patience. `ring` is
    called from another thread whenever a commit is durable.
    """

    def __init__(self, stop: threading.Event, ring: Callable[[], object]) -> None:
        self._stop = stop
        self._scribe = Clerk(ring)
        self._connection: Connection | None = None
        self._commit: Errand | None = None

    def in_session(self, work: Callable[[], Result]) -> Result:
        """Do something in a transaction of the session."""

        def attempt() -> Result:
            self._await_commit()
            result = work()
            events.commit()
            return result

        return self._persistently(attempt, events.rollback)

    def in_transaction(self, work: Callable[[Connection], Result]) -> Result:
        """Do something in a transaction of the loop's own connection."""

        def attempt() -> Result:
            self._await_commit()
            connection = self._connected()
            with connection.begin():
                return work(connection)

        return self._persistently(attempt, self._reconnect)

    def begin(self, work: Callable[[Connection], Result]) -> tuple[Result, Errand]:
        """Do something, and have it made durable in another thread; what it gave, and the commit that is on its way."""

        def attempt() -> tuple[Transaction, Result]:
            connection = self._connected()
            return connection.begin(), work(connection)

        transaction, result = self._persistently(attempt, self._reconnect)
        self._commit = self._scribe.begin(transaction.commit)
        return result, self._commit

    def again(self, work: Callable[[Connection], Result]) -> Result:
        """Do it over after a commit that failed, on a new connection."""
        self._reconnect()
        return self.in_transaction(work)

    def close(self) -> None:
        """Wait for the last commit and let go of the connection."""
        self._scribe.end()
        if self._connection is not None:
            self._connection.close()
        events.rollback()

    def _await_commit(self) -> None:
        """Two writers at once would only wait for each other."""
        if self._commit is not None:
            self._commit.is_over.wait()

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = db.engine.connect()
        return self._connection

    def _reconnect(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
        self._connection = None

    def _persistently(self, attempt: Callable[[], Result], recover: Callable[[], None]) -> Result:
        return persistently(attempt, recover, stop=self._stop, seconds=LAST_PATIENCE_SECONDS)
