"""A thread for what takes a while: a disk to write, a database to answer."""

import threading
from collections.abc import Callable
from queue import SimpleQueue

PATIENCE_SECONDS = 20.0
"""How long the end of a clerk waits for what was begun."""


class Errand:
    """Something that is done in another thread. `trouble` is why it was not, once it `is_over`."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.work = work
        self.is_over = threading.Event()
        self.trouble: Exception | None = None


class Clerk:
    """Does what takes a while (a disk to write, a database to answer) in a thread of its own, one thing at a time.

    `ring` is called whenever something is over.
    """

    def __init__(self, ring: Callable[[], object]) -> None:
        self._ring = ring
        self._given: SimpleQueue[Errand | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def begin(self, work: Callable[[], object]) -> Errand:
        """Begin to do this."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()
        errand = Errand(work)
        self._given.put(errand)
        return errand

    def end(self) -> None:
        """Wait for what is begun, for a while, and end."""
        if self._thread is not None:
            self._given.put(None)
            self._thread.join(PATIENCE_SECONDS)

    def _work(self) -> None:
        while (errand := self._given.get()) is not None:
            try:
                errand.work()
            except Exception as trouble:  # whatever it is, the loop does it over and meets it too
                errand.trouble = trouble
            finally:
                errand.is_over.set()
                self._ring()
