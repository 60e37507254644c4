"""What an import would do with each row, as values: no database, no words of any one kind."""

import hashlib
import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from portal.records.rules import Verdict


class Refusal(Exception):  # noqa: N818 (refusals are named as one says them)
    """A row cannot come in; the sentence says why and what to do. It begins with a small letter: "row 17: …"."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Row:
    """The mapped cells of one row by the name of their column; a cell without text is left out."""

    number: int
    cells: Mapping[str, str]

    def get(self, column: str) -> str:
        """The text of a cell, "" where there is none: an empty cell says nothing and changes nothing."""
        return self.cells.get(column, "")


@dataclass(frozen=True, slots=True)
class Change:
    """One field of what a row speaks of: from what to what, in words."""

    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Judged:
    """What would become of a row; `values` are for its writer, `row_id` and `version` are of what exists."""

    number: int
    verdict: Verdict
    label: str
    sentence: str = ""
    changes: tuple[Change, ...] = ()
    row_id: int | None = None
    version: int | None = None
    values: Mapping[str, Any] = field(default_factory=dict)

    def stored(self) -> dict[str, Any]:
        """What is kept of it for lists and pages: plain JSON."""
        changes = [[each.field, each.before, each.after] for each in self.changes]
        return {
            "row": self.number,
            "label": self.label,
            "sentence": self.sentence,
            "changes": changes,
            "id": self.row_id,
        }


class Claims:
    """Who speaks of what: two rows of one file never mean the same thing."""

    def __init__(self) -> None:
        self._rows: dict[Hashable, int] = {}

    def claim(self, number: int, what: str, *keys: Hashable) -> None:
        """Take these keys for a row; Refusal names the row that has one of them already."""
        for key in keys:
            if key in self._rows:
                raise Refusal(f"{what} stands in row {self._rows[key]:,} already; each may stand in one row only")
        for key in keys:
            self._rows[key] = number


def verdict_of(row_id: int | None, changes: Sequence[Change]) -> Verdict:
    """What a row that is not refused comes to."""
    if row_id is None:
        return Verdict.ADDED
    return Verdict.CHANGED if changes else Verdict.UNCHANGED


def refused(number: int, label: str, refusal: Refusal) -> Judged:
    """The row with the reason it cannot come in."""
    return Judged(number, Verdict.REFUSED, label, f"Row {number:,}: {refusal.sentence}.")


class PlanHash:
    """Stands for a whole dry run: two of them are equal when every row comes to the same in both."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, judged: Iterable[Judged]) -> None:
        """Take in the next rows of the file; the pieces must be cut alike in both."""
        self._digest.update(json.dumps([[each.verdict, each.stored()] for each in judged]).encode())

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


def seconds_left(done: int, total: int, seconds: float) -> float | None:
    """How long the rest takes at the pace so far; None before there is one."""
    if done <= 0 or total <= 0 or seconds <= 0:
        return None
    return max(0.0, (total - done) * seconds / done)
