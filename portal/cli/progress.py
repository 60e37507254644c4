"""The progress bar of a command: it appears only when the work takes longer than two seconds."""

import time
from types import TracebackType
from typing import Self

import click

PATIENCE = 2.0
"""Seconds after which somebody who waits wants to see how far it is."""


class Progress:
    """A bar over `total` steps of whatever kind, set with `at(done)`. A context manager, so that its line is ended."""

    def __init__(self, label: str, total: int) -> None:
        self._began = time.monotonic()
        self._bar = click.progressbar(length=max(total, 1), label=label, show_eta=True)
        self._is_shown = False

    def at(self, done: int, total: int | None = None) -> None:
        """So many steps are done, of `total` if that has become known only now."""
        if not self._is_shown and time.monotonic() - self._began < PATIENCE:
            return
        if not self._is_shown:
            self._is_shown = True
            self._bar.__enter__()
        if total is not None:
            self._bar.length = max(total, 1)
        self._bar.update(done - self._bar.pos)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_shown:
            self._bar.__exit__(kind, problem, trace)
