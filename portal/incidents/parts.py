"""What of the capabilities above hangs on a report, so that it can go with one that is merged into another.

They hold keys to reports, and reports know nothing of them; so whoever does makes known how much of it there is, and
how it moves, in the transaction of the merge.
"""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple


class Part(NamedTuple):
    """Something that hangs on a report: a sentence after the number, for one and for many, how many there are of it,
    and what moves it from one report to another (None where it follows by itself)."""

    one: str
    many: str
    how_many: Callable[[int, datetime], int]
    move: Callable[[int, int], None] | None = None


_parts: dict[str, Part] = {}


def register(name: str, part: Part) -> None:
    """Make a part known; the same name again replaces it."""
    _parts[name] = part


def registered() -> list[Part]:
    """Every part there is, in the order of their names."""
    return [_parts[name] for name in sorted(_parts)]
