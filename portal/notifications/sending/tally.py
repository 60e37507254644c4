"""What a sending process holds and knows of its slices: what is left, what is in doubt, what was answered."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, KeysView
from datetime import datetime

from sqlalchemy import Connection

from portal.extensions import db
from portal.notifications.marks import Ledger
from portal.notifications.sending.clerk import Clerk, Errand

FOLDED_AT_ONCE, FOLDED_AFTER_SECONDS = 1_000, 0.5
"""So many answers are noted, for at most so long, before they are written into the rows of their deliveries."""

Work = Callable[[Connection], object]


class Tally:
    """The slices of one process.

    A slice may be closed once what became of every mail of it is stored. A mail is in doubt from its mark until its
    answer is known; the marks of a slice are stored whole whenever they have changed. Answers are noted in rows of
    their own and folded into the deliveries meanwhile, in another thread, which calls `ring` when it is done.
    """

    def __init__(self, ring: Callable[[], object]) -> None:
        self._left: dict[int, int] = {}
        self._in_doubt: dict[int, dict[int, datetime]] = {}
        self._changed: set[int] = set()
        self._noted: Counter[int] = Counter()
        self._bookkeeper = Clerk(ring)
        self._folding: tuple[Errand, Counter[int]] | None = None
        self._folded_at = 0.0

    @property
    def slice_ids(self) -> KeysView[int]:
        """The slices that are held."""
        return self._left.keys()

    def take_up(self, slice_id: int, mails: int) -> None:
        """Hold a slice with so many mails to send."""
        self._left[slice_id] = mails

    def give_up(self) -> None:
        """The slices are held by somebody else."""
        self._left.clear()

    def settle(self, slice_id: int) -> None:
        """What became of one of its mails is stored."""
        if slice_id in self._left:
            self._left[slice_id] -= 1

    def store_answer(self, slice_id: int) -> None:
        """The answer to one of its mails is stored, in a row that is still to be folded."""
        self.settle(slice_id)
        self._noted[slice_id] += 1

    def mark(self, slice_id: int, delivery_id: int, now: datetime) -> None:
        """It is about to be offered."""
        self._in_doubt.setdefault(slice_id, {})[delivery_id] = now
        self._changed.add(slice_id)

    def unmark(self, slice_id: int, delivery_id: int) -> None:
        """It is in no doubt any more: the next commit takes its mark away."""
        if self._in_doubt.get(slice_id, {}).pop(delivery_id, None) is not None:
            self._changed.add(slice_id)

    def changed_marks(self) -> dict[int, dict[int, datetime]]:
        """The marks of the slices whose marks have changed since this was asked, to be stored now."""
        changed, self._changed = self._changed, set()
        return {slice_id: dict(self._in_doubt.get(slice_id, {})) for slice_id in changed}

    def finished(self, kept: Collection[int]) -> list[int]:
        """The slices that may be closed, without those that are kept."""
        return [slice_id for slice_id, left in self._left.items() if left <= 0 and slice_id not in kept]

    def forget(self, slice_ids: Iterable[int]) -> None:
        """They are closed, and what was noted of them is folded."""
        for slice_id in slice_ids:
            self._left.pop(slice_id, None)
            self._noted.pop(slice_id, None)
            self._in_doubt.pop(slice_id, None)
            self._changed.discard(slice_id)

    def fold_when_due(self) -> None:
        """Begin to fold where enough is noted, or something for long."""
        if self._noted.total() < FOLDED_AT_ONCE and time.monotonic() - self._folded_at <= FOLDED_AFTER_SECONDS:
            return
        if self._folding is not None and not self._folding[0].is_over.is_set():
            return
        self.await_fold()
        self._folded_at = time.monotonic()
        if self._noted:
            noted, self._noted = self._noted, Counter()
            engine = db.engine

            def fold() -> None:
                with engine.begin() as connection:
                    Ledger(connection).fold(list(noted))

            self._folding = self._bookkeeper.begin(fold), noted

    def await_fold(self) -> None:
        """Wait until what is being folded is; what could not be written is noted still."""
        if self._folding is not None:
            (errand, noted), self._folding = self._folding, None
            errand.is_over.wait()
            if errand.trouble is not None:
                self._noted += noted

    def fold(self, do: Callable[[Work], object]) -> None:
        """Fold all that is noted, now, through what does such work in a transaction."""
        self.await_fold()
        if self._noted:
            noted = list(self._noted)
            do(lambda connection: Ledger(connection).fold(noted))
            self._noted.clear()

    def close(self) -> None:
        """Wait for what is being folded."""
        self._bookkeeper.end()
