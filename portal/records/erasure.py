"""Forgetting a person or deleting a company: what every capability does about it, and how much that is.

A lower capability must not know an upper one, so each one registers here what it holds about somebody.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from portal.records.rules.exports import ExportKind


@dataclass(frozen=True)
class Eraser:
    """What one capability holds about a person or a company, and what becomes of it.

    `told` finishes the sentence "12 …" on the screen that asks; `count` takes the id and says how many that are,
    `erase` does it, in the transaction of the whole, and returns how many there were.
    """

    about: ExportKind
    name: str
    told: str
    count: Callable[[int], int]
    erase: Callable[[int, datetime], int]
    place: int = 50


_erasers: dict[tuple[ExportKind, str], Eraser] = {}


def register(eraser: Eraser) -> Eraser:
    """Make known what can be erased; registering it again replaces it."""
    _erasers[eraser.about, eraser.name] = eraser
    return eraser


def erasers_of(kind: ExportKind) -> list[Eraser]:
    """What there is to do about a person or a company, in its order."""
    return sorted((each for each in _erasers.values() if each.about is kind), key=lambda each: each.place)


def touched(kind: ExportKind, subject_id: int) -> list[tuple[int, str]]:
    """What would be touched, as numbers with their words; what there is none of is left out."""
    counted = [(eraser.count(subject_id), eraser.told) for eraser in erasers_of(kind)]
    return [(count, told) for count, told in counted if count]


def erase(kind: ExportKind, subject_id: int, now: datetime) -> dict[str, int]:
    """Do it; what was touched, by name."""
    return {eraser.name: eraser.erase(subject_id, now) for eraser in erasers_of(kind)}
