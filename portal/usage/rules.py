"""What a sample may be, how samples are gathered into figures, and how a chart of them is drawn. Pure.

Amounts are Decimals to the millionth. A *step* is a length of time by which samples are gathered: five minutes, an
hour, a day of UTC. A figure of a step is made of sums, so that an hour is exact whatever its parts are: an average of
averages is none.
"""

import math
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from enum import StrEnum
from typing import NamedTuple

KEY_LENGTH = 60
NAME_LENGTH = 100
UNIT_LENGTH = 20
TRUNK_LENGTH = 100
DECIMALS_AT_MOST = 6

BATCH_AT_MOST = 10_000
"""Samples taken by one request or one file."""

FUTURE_AT_MOST = timedelta(minutes=5)
"""How far a clock elsewhere may be ahead of ours."""

LARGEST = Decimal("999999999999.999999")
MILLIONTH = Decimal("0.000001")

SHORTEST_INTERVAL, LONGEST_INTERVAL = 1, 86_400

KEY = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?", re.ASCII)
NUMBER = re.compile(r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?: ?(?:[Zz]|UTC|[+-]\d\d:\d\d))?", re.ASCII)

NOT_FINITE = "A value is a number: neither nothing, nor infinite."
TOO_LARGE = "A value has at most twelve digits before the point."
NO_NUMBER = "Write the value as a number, such as 12.5."
NO_MOMENT = "Write the time like 2026-11-21T12:00:00Z."
TOO_EARLY = "This is older than what is still kept sample by sample, so it cannot be counted any more."
AHEAD = "This time is more than five minutes ahead. Look at the clock and the zone of what sends it."


class Step(StrEnum):
    """By which length of time samples are gathered, the finest first."""

    FIVE_MINUTES = "five_minutes"
    HOUR = "hour"
    DAY = "day"

    @property
    def seconds(self) -> int:
        return _SECONDS[self]

    def begin(self, at: datetime) -> datetime:
        """When the step that holds this moment began. Steps are counted in UTC."""
        seconds = math.floor(at.timestamp()) // self.seconds * self.seconds
        return datetime.fromtimestamp(seconds, UTC)


_SECONDS = {Step.FIVE_MINUTES: 300, Step.HOUR: 3600, Step.DAY: 86_400}


class Measure(StrEnum):
    """What a figure of a company says. Each has one definition, by which it is read, shown and watched."""

    BALANCE = "balance"
    CREDIT = "credit"
    CPS = "cps"
    CHANNELS = "channels"
    ASR = "asr"
    NER = "ner"
    ACD = "acd"
    PDD = "pdd"
    ATTEMPTS = "attempts"
    ANSWERED = "answered"
    CUSTOM = "custom"

    @property
    def is_windowed(self) -> bool:
        """Whether it is a figure of a stretch of time; the others are of an instant."""
        return self in _WINDOWED

    @property
    def is_of_calls(self) -> bool:
        """Whether call records tell it. Calls a second and channels come from samples where those are given."""
        return self in _WINDOWED or self is Measure.CHANNELS

    @property
    def is_sampled(self) -> bool:
        """Whether a metric may deliver it.

        A ratio or a mean never comes as samples, or it would be an average of averages; available credit is counted
        from the balance.
        """
        return self in {Measure.BALANCE, Measure.CPS, Measure.CHANNELS, Measure.CUSTOM}

    @property
    def decimals(self) -> int:
        """Digits read behind the point. A metric says itself how many its money, or what is its own, has."""
        return {"balance": 2, "credit": 2, "asr": 2, "ner": 2, "acd": 1}.get(self.value, 0)

    @property
    def unit(self) -> str:
        """What stands behind the amount; a metric names the one of its money, or of what is its own."""
        return {"asr": "%", "ner": "%", "acd": "s", "pdd": "ms"}.get(self.value, "")


_WINDOWED = frozenset(
    {
        Measure.CPS,
        Measure.ASR,
        Measure.NER,
        Measure.ACD,
        Measure.PDD,
        Measure.ATTEMPTS,
        Measure.ANSWERED,
    }
)


class Sample(NamedTuple):
    """One amount at one moment."""

    at: datetime
    value: Decimal


@dataclass(frozen=True)
class Figure:
    """What the samples of one step come to. `last` is the amount of the latest of them, which was at `last_at`."""

    at: datetime
    count: int
    total: Decimal
    least: Decimal
    most: Decimal
    last: Decimal
    last_at: datetime

    @property
    def mean(self) -> Decimal:
        return self.total / self.count


def exact(value: Decimal | float | int | str) -> Decimal:
    """An amount as it is stored, to the millionth; ValueError with the sentence that says what is wrong with it."""
    if isinstance(value, str):
        text = value.strip()
        if not NUMBER.fullmatch(text) or len(text) > 60:
            raise ValueError(NO_NUMBER)
        value = text.replace(",", ".")
    try:
        found = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    except InvalidOperation:
        raise ValueError(NO_NUMBER) from None
    if not found.is_finite():
        raise ValueError(NOT_FINITE)
    if abs(found) > LARGEST:
        raise ValueError(TOO_LARGE)
    return found.quantize(MILLIONTH) + 0


def rounded(value: Decimal, decimals: int) -> Decimal:
    """An amount as it is shown: half of the last digit goes to the even one, as where amounts are written out."""
    return value.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_EVEN) + 0


def highest_within(samples: Sequence[Sample], length: timedelta) -> Iterator[Sample]:
    """Of samples in the order of time: at the moment of each, the highest amount of the stretch that ends with it.

    The stretch is half-open: what is just its length old is out. One pass, however long it is.
    """
    still: deque[Sample] = deque()
    for sample in samples:
        while still and still[-1].value <= sample.value:
            still.pop()
        still.append(sample)
        while still[0].at <= sample.at - length:
            still.popleft()
        yield Sample(sample.at, still[0].value)


def moment(text: str) -> datetime:
    """A moment out of a file: ISO 8601, in UTC where it names no zone. ValueError with a sentence."""
    written = text.strip()
    if not MOMENT.fullmatch(written):
        raise ValueError(NO_MOMENT)
    try:
        found = datetime.fromisoformat(re.sub(r" ?(?:UTC|[Zz])$", "+00:00", written.replace(" +", "+").upper()))
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(NO_MOMENT) from None


def taken_from(now: datetime, days: int, whole_from: datetime | None) -> datetime:
    """From which moment on samples are taken: of whole days that are still kept sample by sample.

    `whole_from` is where what is kept begins, as far as something was forgotten already. A day of which samples are
    gone is never counted anew, or a late one would stand for all of them.
    """
    kept = Step.DAY.begin(now - timedelta(days=days))
    return max(kept, whole_from) if whole_from else kept


def refusal(at: datetime, now: datetime, earliest: datetime) -> str | None:
    """Why a sample of this moment is not taken, None where it is."""
    if at > now + FUTURE_AT_MOST:
        return AHEAD
    return TOO_EARLY if at < earliest else None


def gathered(samples: Iterable[Sample], step: Step) -> list[Figure]:
    """The figures of samples, in the order of time. Of two samples at one moment there is only one: the store's."""
    found: dict[datetime, list[Sample]] = {}
    for sample in samples:
        found.setdefault(step.begin(sample.at), []).append(sample)
    return [_figure(at, each) for at, each in sorted(found.items())]


def _figure(at: datetime, samples: Sequence[Sample]) -> Figure:
    values = [sample.value for sample in samples]
    latest = max(samples, key=lambda sample: sample.at)
    return Figure(at, len(values), sum(values, Decimal()), min(values), max(values), latest.value, latest.at)


class Sums(NamedTuple):
    """A figure while it is made: the same, its amounts as whole millionths, of so many `samples`."""

    samples: int
    total: int
    least: int
    most: int
    last: int
    last_at: datetime


def summed(samples: Mapping[datetime, int]) -> Sums:
    """What samples come to: millionths by their moment, at least one."""
    values, last_at = samples.values(), max(samples)
    return Sums(len(values), sum(values), min(values), max(values), samples[last_at], last_at)


def moved(whole: Sums | None, before: Sums | None, after: Sums) -> tuple[Sums, bool]:
    """What a longer step comes to once a part of it, which came to `before`, comes to `after`.

    Nothing that was measured is ever taken away, so the latest of a part stays or becomes later. Whether least and
    most have to be looked for among all parts is said with it: the one that stood for the whole may be gone.
    """
    if whole is None:
        return after, False
    before_count, before_total = (before.samples, before.total) if before else (0, 0)
    latest = after if after.last_at >= whole.last_at else whole
    is_loose = before is not None and (
        before.least == whole.least < after.least or before.most == whole.most > after.most
    )
    found = Sums(
        whole.samples - before_count + after.samples,
        whole.total - before_total + after.total,
        min(whole.least, after.least),
        max(whole.most, after.most),
        latest.last,
        latest.last_at,
    )
    return found, is_loose


def coarser(figures: Iterable[Figure], step: Step) -> list[Figure]:
    """The figures of a longer step, out of those of a shorter one that fits into it."""
    found: dict[datetime, list[Figure]] = {}
    for figure in figures:
        found.setdefault(step.begin(figure.at), []).append(figure)
    return [joined(at, each) for at, each in sorted(found.items())]


def joined(at: datetime, figures: Sequence[Figure]) -> Figure:
    """Several figures as one that begins at this moment."""
    latest = max(figures, key=lambda each: each.last_at)
    return Figure(
        at,
        sum(each.count for each in figures),
        sum((each.total for each in figures), Decimal()),
        min(each.least for each in figures),
        max(each.most for each in figures),
        latest.last,
        latest.last_at,
    )


# Charts


class Span(StrEnum):
    """How much of the past a chart shows."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"

    @property
    def length(self) -> timedelta:
        return timedelta(days={"day": 1, "week": 7, "month": 30, "year": 365}[self.value])

    @property
    def step(self) -> Step:
        """The step whose figures it is made of."""
        return {"day": Step.FIVE_MINUTES, "week": Step.HOUR, "month": Step.HOUR, "year": Step.DAY}[self.value]

    @property
    def point_seconds(self) -> int:
        """The time one point of it stands for: at most about 370 points are drawn."""
        return {"day": 300, "week": 3600, "month": 3 * 3600, "year": 86_400}[self.value]

    def begins(self, now: datetime) -> datetime:
        """When its first point begins."""
        first = (now - self.length).timestamp() // self.point_seconds + 1
        return datetime.fromtimestamp(first * self.point_seconds, UTC)


WIDTH, HEIGHT = 1000, 100
"""The units a chart is drawn in. It is stretched to whatever room there is; lines keep their thickness."""

SHARE_FROM_NOTHING = Decimal("0.7")
"""Of the largest amount: where the least is below that, the axis begins at nothing."""


class Tick(NamedTuple):
    """A place on an axis: `share` of its length, 0 to 100, and what stands there."""

    share: float
    value: Decimal


class Mark(NamedTuple):
    """A moment on the axis of time: `share` of its length, 0 to 100."""

    share: float
    at: datetime


@dataclass(frozen=True)
class Chart:
    """A chart, drawn: `lines` are paths of what was measured without a gap, `bands` of least to most around them.

    `points` are the figures it was drawn of, in the order of time. Nothing is drawn where nothing was measured.
    `levels` are amounts a line is drawn at, whatever was measured, in the order they were asked for.
    """

    span: Span
    begins: datetime
    ends: datetime
    points: tuple[Figure, ...]
    lines: tuple[str, ...]
    bands: tuple[str, ...]
    ticks: tuple[Tick, ...]
    marks: tuple[Mark, ...]
    levels: tuple[Tick, ...] = ()

    @property
    def whole(self) -> Figure | None:
        """All that was measured, as one figure; None where nothing was."""
        return joined(self.begins, self.points) if self.points else None


def chart(
    figures: Iterable[Figure],
    span: Span,
    now: datetime,
    zone: tzinfo,
    interval: int,
    *,
    levels: Sequence[Decimal] = (),
) -> Chart:
    """Draw figures of the span's step. `interval` is after how many seconds the next sample is due.

    There is room for `levels`, amounts such as a threshold, even where nothing that was measured comes near them.
    Two neighbours are joined only while nothing is missing between them; a figure without neighbours is a dot.
    """
    begins = span.begins(now)
    ends = begins + span.length
    points = tuple(_points((each for each in figures if begins <= each.at < ends), span.point_seconds))
    bottom, top, ticks = _scale(points, levels)

    def x(at: datetime) -> str:
        middle = (at - begins).total_seconds() + span.point_seconds / 2
        return f"{WIDTH * middle / span.length.total_seconds():.0f}"

    def height(value: Decimal) -> float:
        return HEIGHT * (1 - float((value - bottom) / (top - bottom)))

    def y(value: Decimal) -> str:
        return f"{height(value):.1f}".removesuffix(".0")

    pieces = _pieces(points, span.point_seconds, interval)
    lines = ["M" + "L".join(f"{x(each.at)} {y(each.mean)}" for each in piece) for piece in pieces]
    bands = [
        "M" + "L".join([f"{x(e.at)} {y(e.most)}" for e in piece] + [f"{x(e.at)} {y(e.least)}" for e in piece[::-1]])
        for piece in pieces
        if len(piece) > 1 and any(each.least != each.most for each in piece)
    ]
    return Chart(
        span,
        begins,
        ends,
        points,
        tuple(line + "h0" if "L" not in line else line for line in lines),
        tuple(f"{band}Z" for band in bands),
        tuple(ticks),
        tuple(Mark(100 * ((at - begins) / span.length), at) for at in _marks(span, begins, ends, zone)),
        tuple(Tick(round(height(each), 2), each) for each in levels),
    )


def rows_of(drawn: Chart) -> list[Figure]:
    """The figures behind a chart as the rows of a table, the newest first: at most about fifty."""
    hours = {Span.DAY: 1, Span.WEEK: 6, Span.MONTH: 24, Span.YEAR: 7 * 24}[drawn.span]
    return _points(drawn.points, hours * 3600)[::-1]


def _points(figures: Iterable[Figure], seconds: int) -> list[Figure]:
    """Figures as the points of a chart, each standing for so many seconds."""
    found: dict[int, list[Figure]] = {}
    for each in figures:
        found.setdefault(int(each.at.timestamp()) // seconds, []).append(each)
    return [joined(datetime.fromtimestamp(number * seconds, UTC), each) for number, each in sorted(found.items())]


def _pieces(points: Sequence[Figure], seconds: int, interval: int) -> list[list[Figure]]:
    """The points in runs without a gap: no point is empty in one, but for what comes a little early or late."""
    neighbour, late = timedelta(seconds=max(seconds, interval)), timedelta(seconds=interval * 1.75)
    pieces: list[list[Figure]] = []
    for point in points:
        before = pieces[-1][-1] if pieces else None
        if before and (point.at - before.at <= neighbour or point.last_at - before.last_at <= late):
            pieces[-1].append(point)
        else:
            pieces.append([point])
    return pieces


def _scale(points: Sequence[Figure], levels: Sequence[Decimal] = ()) -> tuple[Decimal, Decimal, list[Tick]]:
    """From where to where the axis of amounts goes, and what stands at it: three to six round amounts.

    It begins at nothing unless all amounts are far from it, so that a small change does not look like a large one.
    Exact: floats have no room between large amounts that differ by little.
    """
    if not points and not levels:
        return Decimal(), Decimal(1), []
    least, most = min([each.least for each in points] + [*levels]), max([each.most for each in points] + [*levels])
    if least > 0 and least < most * SHARE_FROM_NOTHING:
        least = Decimal()
    if most < 0 and most > least * SHARE_FROM_NOTHING:
        most = Decimal()
    if most == least:
        apart = abs(most) / 10 or Decimal(1)
        least, most = (Decimal() if least == 0 else least - apart), most + apart
    room = _round_step(float(most - least) / 4)
    first, last = math.floor(least / room), math.ceil(most / room)
    ticks = [
        Tick(round(100 * (1 - (number - first) / (last - first)), 2), number * room)
        for number in range(first, last + 1)
    ]
    return first * room, last * room, ticks


def _round_step(wanted: float) -> Decimal:
    """The smallest of 1, 2, 5, 10, 20, … (and their tenths) that is at least so much."""
    power = Decimal(10) ** math.floor(math.log10(wanted))
    return next(power * each for each in (1, 2, 5, 10) if float(power * each) >= wanted * 0.999999)


def _marks(span: Span, begins: datetime, ends: datetime, zone: tzinfo) -> list[datetime]:
    """The moments named at the axis of time, by the reader's clock: hours, days, or beginnings of months."""
    local = begins.astimezone(zone).replace(minute=0, second=0, microsecond=0, tzinfo=None)
    found = []
    for hours in range(int(span.length.total_seconds()) // 3600 + 2):
        # By the clock on the wall: where an hour is left out or comes twice, midnight stays midnight.
        wall = local + timedelta(hours=hours)
        if _is_named(span, wall):
            at = wall.replace(tzinfo=zone).astimezone(UTC)
            if begins <= at < ends:
                found.append(at)
    return found


def _is_named(span: Span, wall: datetime) -> bool:
    if span is Span.DAY:
        return wall.hour % 6 == 0
    if wall.hour:
        return False
    if span is Span.WEEK:
        return True
    if span is Span.MONTH:
        return wall.weekday() == 0
    return wall.day == 1 and wall.month % 2 == 1


# Files


@dataclass(frozen=True)
class Line:
    """One line of a file that was not taken: its number, and why."""

    number: int
    sentence: str


def read_lines(rows: Iterable[Sequence[str]], now: datetime, earliest: datetime) -> tuple[list[Sample], list[Line]]:
    """The samples of a file of times and amounts, and the lines that are wrong. A heading is known by its words."""
    samples: list[Sample] = []
    wrong: list[Line] = []
    for number, row in enumerate(rows, 1):
        if not any(cell.strip() for cell in row) or (number == 1 and _is_heading(row)):
            continue
        try:
            if len(row) < 2:
                raise ValueError("A line has a time and a value.")
            at, value = moment(row[0]), exact(row[1])
            if sentence := refusal(at, now, earliest):
                raise ValueError(sentence)
            samples.append(Sample(at, value))
        except ValueError as error:
            wrong.append(Line(number, str(error)))
    return samples, wrong


def _is_heading(row: Sequence[str]) -> bool:
    return not any(character.isdigit() for character in row[0])


def latest_of(samples: Iterable[Sample]) -> Mapping[datetime, Decimal]:
    """Of samples of one moment the one that came last."""
    return {sample.at: sample.value for sample in samples}
