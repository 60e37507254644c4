"""How a figure is made: rounds in shuffled order, a ratio per round, and the median of the ratios.

A machine that drifts, drifts for both sides of a round; absolute figures of different rounds are never compared.
"""

import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Spread:
    """Least, median and most of some figures."""

    least: float
    median: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(min(values), statistics.median(values), max(values))

    def shown(self, digits: int = 3) -> str:
        return f"{self.median:.{digits}f} ({self.least:.{digits}f}–{self.most:.{digits}f})"


@dataclass(frozen=True)
class Result:
    """One line of the table. `is_met` is None where nothing could be measured; `note` says why, or gives figures."""

    target: str
    what: str
    yardstick: str
    wanted: str
    seen: str
    is_met: bool | None
    note: str = ""


@dataclass
class Rounds:
    """The figures of every contender, round by round."""

    figures: dict[str, list[float]] = field(default_factory=dict)

    def ratio(self, name: str, yardstick: str) -> Spread:
        """The spread of the per-round ratios of one contender to another."""
        pairs = zip(self.figures[name], self.figures[yardstick], strict=True)
        return Spread.of([ours / theirs for ours, theirs in pairs])

    def spread(self, name: str) -> Spread:
        """The spread of one contender's own figures."""
        return Spread.of(self.figures[name])


def run_rounds(contenders: Mapping[str, Callable[[], float]], rounds: int, seed: int = 7) -> Rounds:
    """Measure every contender once a round, in an order shuffled anew each round."""
    shuffle = random.Random(seed)  # noqa: S311  # an order, not a secret
    names = list(contenders)
    result = Rounds({name: [] for name in names})
    for _ in range(rounds):
        shuffle.shuffle(names)
        for name in names:
            result.figures[name].append(contenders[name]())
    return result


def at_least(wanted: float, seen: Spread) -> bool:
    """Whether a ratio that should be high is high enough, by its median."""
    return seen.median >= wanted


def at_most(wanted: float, seen: Spread) -> bool:
    """Whether a ratio that should be low is low enough, by its median."""
    return seen.median <= wanted
