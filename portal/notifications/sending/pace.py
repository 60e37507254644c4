"""How many mails a sending process claims at once."""

import time

FIRST_CLAIM, LEAST_CLAIM = 64, 8
QUICK_SECONDS, LONG_SECONDS = 0.5, 2.0
"""A claim that is gone this quickly is followed by one twice as big, one that lasts so long by one half as big: what is
more urgent has to wait for what is claimed already, and with a slow relay that must not be minutes."""


class Pace:
    """As many at once as go out in about a second, and never more than `most`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._claimed_at: float | None = None
        self.batch = FIRST_CLAIM

    def follow(self) -> None:
        """What was claimed last is gone."""
        if self._claimed_at is None:
            return
        lasted = time.monotonic() - self._claimed_at
        if lasted < QUICK_SECONDS:
            self.batch = min(self.batch * 2, max(self._most, LEAST_CLAIM))
        elif lasted > LONG_SECONDS:
            self.batch = max(self.batch // 2, LEAST_CLAIM)

    def claimed(self, mails: int) -> None:
        """So many were claimed now; a claim that was not filled says nothing of the pace."""
        self._claimed_at = time.monotonic() if mails == self.batch else None
