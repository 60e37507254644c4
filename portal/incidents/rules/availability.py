"""How much of a time something was up: what counts as down, by how much, and what a contract leaves out.

A moment counts once, as the worst that lay on it. Planned work never masks a problem: what was reported while work
was under way counts as it would without it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple, Self
from zoneinfo import ZoneInfo

from portal.incidents.rules import Interval, Severity

NOTHING = timedelta()
_TICK = timedelta(microseconds=1)

TARGET_WHOLE = 100_000
"""A target of 100 %: targets are thousandths of a percent."""

WEIGHT_WHOLE = 100
"""What counts as down in full: weights are percent."""

NOTICE_AT_MOST = 90 * 24
"""Hours ahead that maintenance may have to be announced to be agreed."""

FIRST_YEAR = 2000
"""The year of the earliest month anybody can ask for."""


class Counts(StrEnum):
    """What a moment counts as, mildest first.

    LEFT_OUT is agreed maintenance: it is not measured at all. WORK is maintenance that is not left out.
    """

    LEFT_OUT = "left_out"
    WORK = "work"
    PERFORMANCE_ISSUE = "performance_issue"
    PARTIAL = "partial"
    DOWN = "down"


_RANKS = {kind: rank for rank, kind in enumerate(Counts)}

COUNTED_AS: Mapping[Severity, Counts] = {
    Severity.PERFORMANCE_ISSUE: Counts.PERFORMANCE_ISSUE,
    Severity.PARTIAL_RTH: Counts.PARTIAL,
    Severity.MAJOR_OUTAGE: Counts.DOWN,
}


@dataclass(frozen=True)
class Weights:
    """How much of a time counts as down, in percent, by what it was; a major outage counts in full."""

    partial: int = 30
    performance: int = 0
    maintenance: int = 0

    def of(self, kind: Counts) -> int:
        """The weight of what a moment counts as, 0 to 100."""
        match kind:
            case Counts.DOWN:
                return WEIGHT_WHOLE
            case Counts.PARTIAL:
                return self.partial
            case Counts.PERFORMANCE_ISSUE:
                return self.performance
            case Counts.WORK:
                return self.maintenance
            case Counts.LEFT_OUT:
                return 0


USUAL = Weights()
"""The rule until somebody sets another: that which Instatus publishes."""


@dataclass(frozen=True)
class Terms:
    """What is agreed: the weights, and of maintenance whether it `counts_maintenance` as down or leaves it out.

    Left out is what was announced at least `notice` before it started. `target` is the availability that was promised,
    in thousandths of a percent; None where nothing was.
    """

    weights: Weights = USUAL
    notice: timedelta = timedelta(hours=48)
    counts_maintenance: bool = False
    target: int | None = None

    @property
    def notice_hours(self) -> int:
        """The notice in hours."""
        return self.notice // timedelta(hours=1)

    @property
    def in_contract(self) -> Weights:
        """The weights by which a contract counts: maintenance that it does not leave out is down in full."""
        return replace(self.weights, maintenance=WEIGHT_WHOLE)


class Layer(NamedTuple):
    """From–to, this lay on something."""

    kind: Counts
    from_at: datetime
    to_at: datetime


@dataclass(frozen=True)
class Account:
    """A span of time by what it was. What is in none of `by_kind` was well; `down` is weighted."""

    span: timedelta = NOTHING
    by_kind: tuple[tuple[Counts, timedelta], ...] = ()
    down: timedelta = NOTHING

    def of(self, kind: Counts) -> timedelta:
        """How long it was this."""
        return next((time for each, time in self.by_kind if each == kind), NOTHING)

    @cached_property
    def measured(self) -> timedelta:
        """What is left of the span without what is left out."""
        return self.span - self.of(Counts.LEFT_OUT)

    @property
    def share(self) -> float:
        """The share of the measured time it was up, 0 to 1; 1 where nothing was measured."""
        return 1 - self.down / self.measured if self.measured else 1.0

    @property
    def thousandths(self) -> int:
        """The share in thousandths of a percent, cut, so that only a perfect record is 100 %."""
        if not self.measured:
            return TARGET_WHOLE
        return (self.measured - self.down) // _TICK * TARGET_WHOLE // (self.measured // _TICK)

    def meets(self, target: int | None) -> bool:
        """Whether this is no less than what was promised, to the microsecond; nothing promised is met."""
        if target is None:
            return True
        down, measured = self.down // _TICK, self.measured // _TICK
        return down * TARGET_WHOLE <= measured * (TARGET_WHOLE - target)

    def __add__(self, other: Self) -> "Account":
        """Two spans as one, such as those of two holdings."""
        both = dict(self.by_kind)
        for kind, time in other.by_kind:
            both[kind] = both.get(kind, NOTHING) + time
        return Account(self.span + other.span, tuple(both.items()), self.down + other.down)


def account(layers: Iterable[Layer], begin: datetime, end: datetime, weights: Weights = USUAL) -> Account:
    """What the time between two moments was. Of what lies on a moment, that with the most weight counts, once."""
    if end <= begin:
        return Account()
    edges: list[tuple[datetime, int, Counts]] = []
    for kind, from_at, to_at in layers:
        start, stop = max(from_at, begin), min(to_at, end)
        if start < stop:
            edges += [(start, 1, kind), (stop, -1, kind)]
    if not edges:
        return Account(end - begin)
    heaviest = sorted(Counts, key=lambda kind: (weights.of(kind), _RANKS[kind]), reverse=True)
    running = dict.fromkeys(Counts, 0)
    lasted = dict.fromkeys(Counts, NOTHING)
    edges.sort(key=lambda edge: edge[0])
    for (at, step, kind), following in pairwise(edges):
        running[kind] += step
        if following[0] > at:
            now_is = next((each for each in heaviest if running[each]), None)
            if now_is is not None:
                lasted[now_is] += following[0] - at
    by_kind = tuple((kind, time) for kind, time in lasted.items() if time)
    down = sum((time * weights.of(kind) / WEIGHT_WHOLE for kind, time in by_kind), NOTHING)
    return Account(end - begin, by_kind, min(down, end - begin))


def layers_of(stretches: Iterable[Interval], until: datetime) -> Iterator[Layer]:
    """What incidents did to a component, as layers; one that lasts reaches to `until`."""
    for each in stretches:
        if each.severity in COUNTED_AS:
            yield Layer(COUNTED_AS[each.severity], each.from_at, each.to_at or until)


def down_seconds(stretches: Iterable[Interval], begin: datetime, end: datetime, weights: Weights = USUAL) -> int:
    """Seconds a component counts as down between two moments.

    Where several incidents overlap, that with the most weight counts, once.
    """
    return round(account(layers_of(stretches, end), begin, end, weights).down.total_seconds())


# Maintenance


class Work(NamedTuple):
    """Planned work that is felt: the window as it was announced, and when it really began and ended.

    `announced_at` is None of what was taken over from elsewhere: nobody knows, and it counts as announced in time.
    `kind` is what it counts as where it is not left out: work that only makes something slow is a performance issue.
    """

    announced_at: datetime | None
    starts_at: datetime
    ends_at: datetime
    began_at: datetime
    ended_at: datetime
    kind: Counts = Counts.WORK

    def is_agreed(self, notice: timedelta) -> bool:
        """Whether it was announced early enough to be left out."""
        return self.announced_at is None or self.announced_at + notice <= self.starts_at


def work_layers(work: Work, terms: Terms) -> Iterator[Layer]:
    """What work counts as by a contract: agreed, its window is left out; what ran over it never is."""
    if terms.counts_maintenance or not work.is_agreed(terms.notice):
        yield Layer(work.kind, work.began_at, work.ended_at)
        return
    yield Layer(Counts.LEFT_OUT, max(work.began_at, work.starts_at), min(work.ended_at, work.ends_at))
    yield Layer(work.kind, work.began_at, min(work.ended_at, work.starts_at))
    yield Layer(work.kind, max(work.began_at, work.ends_at), work.ended_at)


# Months


class Month(NamedTuple):
    """A calendar month, in whatever zone it is looked at."""

    year: int
    number: int

    @classmethod
    def of(cls, moment: datetime, zone: ZoneInfo) -> "Month":
        """The month a moment lies in."""
        local = moment.astimezone(zone)
        return cls(local.year, local.month)

    @classmethod
    def read(cls, text: str) -> "Month | None":
        """The month written like 2026-10; None for anything else."""
        year, dash, number = text.partition("-")
        if not (dash and len(year) == 4 and len(number) == 2 and text.isascii() and (year + number).isdecimal()):
            return None
        found = cls(int(year), int(number))
        return found if found.year >= FIRST_YEAR and 1 <= found.number <= 12 else None

    def __str__(self) -> str:
        return f"{self.year:04}-{self.number:02}"

    def moved(self, months: int) -> "Month":
        """So many months later, or earlier."""
        place = self.year * 12 + self.number - 1 + months
        return Month(place // 12, place % 12 + 1)

    def agreed_from(self) -> list["Month"]:
        """From which months something may begin to hold in this one: a year back, agreed late, to some ahead."""
        return [self.moved(offset) for offset in range(-12, 4)]

    @property
    def first_day(self) -> date:
        """Its first day."""
        return date(self.year, self.number, 1)

    def bounds(self, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """Its first moment in this zone, and the first of the next, in UTC: clocks that are moved are in between."""
        first, after = (datetime(each.year, each.number, 1, tzinfo=zone) for each in (self, self.moved(1)))
        return first.astimezone(UTC), after.astimezone(UTC)
