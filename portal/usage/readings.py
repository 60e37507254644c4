"""What figures of companies are, now and back then: of many at once, in as many statements for thousands as for one.

A reading is what a screen shows and an alert judges, rounded as it is shown. A windowed figure is of the half-open
stretch of `window` seconds that ends at the last full minute `calls_delay` seconds ago, since records of calls come a
little late; where a metric delivers samples of it, it ends now. Nothing read here grows with what is stored.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from decimal import Decimal
from operator import add, attrgetter, sub
from typing import Any, NamedTuple, TypeVar

from flask import current_app
from sqlalchemy import ColumnElement, Integer, and_, column, func, or_, select, values

from portal.config import Settings
from portal.database import UTCDateTime
from portal.extensions import db
from portal.usage.calls import queries as calls
from portal.usage.calls.queries import Stretch
from portal.usage.calls.rules import NONE, WHOLE, CallStep, Sums, scope_of_service, scope_of_trunk
from portal.usage.models import MeasuredSource, Metric, MetricFigure, MetricSample, SourceKind
from portal.usage.queries import figures_of
from portal.usage.rules import Measure, Sample, Step, highest_within, rounded

T = TypeVar("T")

ADDED = tuple(each.name for each in fields(Sums) if each.name != "peak")
"""What of two stretches is added, and so can be taken away again: the first fields, in their order."""

_added: Callable[[Sums], tuple[int, ...]] = attrgetter(*ADDED)

HISTORY_AT_MOST = 43_200
"""Readings of one history: a month of minutes."""

AT_ONCE = 5_000
"""Companies or metrics asked of by one statement: databases take some 32,000 values in one."""

MINUTE = timedelta(minutes=1)
AN_INSTANT = timedelta(microseconds=1)

SHORTEST_FIGURED = timedelta(minutes=15)
"""Windows up to here are read sample by sample; longer ones by the figures in their middle."""

EVERY_SAMPLE_FROM = 30
"""Seconds of interval from which on a history reads each sample; of more frequent ones it reads five-minute figures."""


class Subject(NamedTuple):
    """A figure somebody asks for: of a company, or of one service or one trunk of it.

    `window` is how many seconds it looks back over where it is of a stretch of time, and says nothing else. Of a trunk
    and a service together it is of the trunk. A figure that is somebody's own is named by its metric.
    """

    measure: Measure
    company_id: int
    service_id: int | None = None
    trunk: str = ""
    metric_id: int | None = None
    window: int = 0


@dataclass(frozen=True)
class Reading:
    """What a figure was at a moment: `value` as it is shown, None where it is undefined, as a ratio of no calls is.

    `count` is the calls behind it, None where none are. `is_stale` says that what should deliver it does not: it is
    late, or nothing delivers it at all. `next_at` is when it may change although nothing comes in; None for not before
    something does.
    """

    value: Decimal | None
    count: int | None
    at: datetime
    is_stale: bool
    next_at: datetime | None


class Delivery(NamedTuple):
    """The metric that delivers a figure, and the last sample of it; None and None before the first."""

    metric_id: int
    interval: int
    decimals: int
    debit_limit: Decimal | None
    created_at: datetime
    whole_from: datetime | None
    last_at: datetime | None
    last_value: Decimal | None

    @property
    def late_at(self) -> datetime:
        """When the next sample is late: two intervals after the last."""
        return (self.last_at or self.created_at) + timedelta(seconds=2 * self.interval)

    def shown(self, measure: Measure, value: Decimal) -> Decimal:
        """What a sample says of a measure, as it is read."""
        more = self.debit_limit or Decimal() if measure is Measure.CREDIT else Decimal()
        has_own = measure in {Measure.BALANCE, Measure.CREDIT, Measure.CUSTOM}
        return rounded(value + more, self.decimals if has_own else measure.decimals)


def readings(subjects: Collection[Subject], now: datetime) -> dict[Subject, Reading]:
    """What these figures are now. At most eight queries and those of calls, for every 5,000 companies or metrics."""
    wanted = dict.fromkeys(subjects)
    delivered = deliveries(wanted)
    found = {
        subject: _gauge(subject.measure, each, now)
        for subject, each in delivered.items()
        if subject.measure is not Measure.CPS
    }
    peaks = {subject: each for subject, each in delivered.items() if subject.measure is Measure.CPS}
    found.update(_peaks(peaks, now))
    found.update(_of_calls([each for each in wanted if each.measure.is_of_calls and each not in delivered], now))
    return {subject: found.get(subject) or _of_nothing(now) for subject in wanted}


def history(subject: Subject, begin: datetime, end: datetime) -> list[Reading]:
    """What a figure was, from `begin` to before `end`: one reading at each minute at which it may have changed.

    At most 43,200, the latest ones, in the order of time; of what is still kept. At most four queries.
    """
    begin = max(begin, end - HISTORY_AT_MOST * MINUTE)
    delivery = deliveries([subject]).get(subject)
    if delivery is not None:
        return list(_of_samples(subject, delivery, begin, end))[-HISTORY_AT_MOST:]
    return list(_of_minutes(subject, begin, end))[-HISTORY_AT_MOST:] if subject.measure.is_of_calls else []


def deliveries(subjects: Iterable[Subject]) -> dict[Subject, Delivery]:
    """Which live metric delivers each of these, of those that one delivers. At most one query for 5,000 companies."""
    by_place: dict[tuple[Any, ...], list[Subject]] = {}
    for subject in subjects:
        if subject.measure is Measure.CUSTOM:
            by_place.setdefault((subject.company_id, subject.metric_id), []).append(subject)
        elif (measure := _delivers(subject.measure)).is_sampled:
            place = subject.company_id, subject.service_id, subject.trunk, measure
            by_place.setdefault(place, []).append(subject)
    found: dict[Subject, Delivery] = {}
    for some in _some({place[0] for place in by_place}):
        for company_id, service_id, trunk, measure, *rest in db.session.execute(_metrics_of(some, by_place)):
            each = Delivery(*rest)
            where = (each.metric_id,) if measure is Measure.CUSTOM else (service_id, trunk, measure)
            found.update(dict.fromkeys(by_place.get((company_id, *where), ()), each))
    return found


def _delivers(measure: Measure) -> Measure:
    return Measure.BALANCE if measure is Measure.CREDIT else measure


def _metrics_of(company_ids: Sequence[int], places: Iterable[tuple[Any, ...]]) -> Any:
    """The metrics at these places of these companies, with the last sample of each. Custom ones are asked for by id."""
    ids, measures, wanted = set(), set(), set(company_ids)
    for place in places:
        if place[0] in wanted and len(place) == 2:
            ids.add(place[1])
        elif place[0] in wanted:
            measures.add(place[3])
    which: list[ColumnElement[bool]] = []
    if measures:
        which.append(and_(Metric.company_id.in_(company_ids), Metric.measure.in_(measures)))
    if ids:
        which.append(and_(Metric.id.in_(ids), Metric.measure == Measure.CUSTOM))
    return (
        select(
            Metric.company_id,
            Metric.service_id,
            Metric.trunk,
            Metric.measure,
            Metric.id,
            Metric.interval,
            Metric.decimals,
            Metric.debit_limit,
            Metric.created_at,
            Metric.whole_from,
            MeasuredSource.last_at,
            MeasuredSource.last_value,
        )
        .outerjoin(MeasuredSource, MeasuredSource.metric_id == Metric.id)
        .where(Metric.archived_at.is_(None), or_(*which))
    )


def _of_nothing(now: datetime) -> Reading:
    return Reading(None, None, now, is_stale=True, next_at=None)


# Samples


def _gauge(measure: Measure, delivery: Delivery, now: datetime) -> Reading:
    """The last sample; it may be late though nothing comes in, and even because of that."""
    value = None if delivery.last_value is None else delivery.shown(measure, delivery.last_value)
    is_stale = now >= delivery.late_at
    return Reading(value, None, delivery.last_at or now, is_stale, None if is_stale else delivery.late_at)


def _peaks(delivered: Mapping[Subject, Delivery], now: datetime) -> dict[Subject, Reading]:
    """The highest sample of each window that ends now. At most three queries for 5,000 stretches of each kind."""
    highest_of: dict[tuple[int, datetime], Decimal] = {}
    begun = {
        (each.metric_id, now - timedelta(seconds=subject.window) + AN_INSTANT) for subject, each in delivered.items()
    }
    stretches: dict[Step | None, list[tuple[int, datetime, datetime, datetime]]] = {}
    for metric_id, begin in begun:
        for step, start, stop in _parts(begin, now + AN_INSTANT):
            stretches.setdefault(step, []).append((metric_id, begin, start, stop))
    for step, asked in stretches.items():
        for some in _some(asked):
            for metric_id, begin, most in db.session.execute(_most(step, some)):
                known = highest_of.get((metric_id, begin), most)
                highest_of[metric_id, begin] = max(known, most)
    found = {}
    for subject, each in delivered.items():
        begin = now - timedelta(seconds=subject.window) + AN_INSTANT
        found[subject] = _peak(each, highest_of.get((each.metric_id, begin)), now)
    return found


def _peak(delivery: Delivery, most: Decimal | None, now: datetime) -> Reading:
    reading = _gauge(Measure.CPS, delivery, now)
    if most is None:
        # The window is shorter than the interval: what was measured last still stands, until it is late.
        return reading
    moments = [each for each in (reading.next_at, _minute(now) + MINUTE) if each is not None]
    return Reading(delivery.shown(Measure.CPS, most), None, now, reading.is_stale, min(moments))


def _parts(begin: datetime, end: datetime) -> Iterator[tuple[Step | None, datetime, datetime]]:
    """A window as stretches that are each read by one kind of figure, or sample by sample (None)."""
    steps: tuple[Step | None, ...] = (Step.HOUR, Step.FIVE_MINUTES) if end - begin > SHORTEST_FIGURED else ()
    inner: tuple[datetime, datetime] | None = None
    for step in steps:
        assert step is not None  # noqa: S101
        length = timedelta(seconds=step.seconds)
        start, stop = step.begin(begin - AN_INSTANT) + length, step.begin(end)
        if inner is None and start < stop:
            yield step, start, stop
            inner = start, stop
        elif inner is not None:
            yield from ((step, *each) for each in ((start, inner[0]), (inner[1], stop)) if each[0] < each[1])
            inner = start, stop
    outer = ((begin, inner[0]), (inner[1], end)) if inner else ((begin, end),)
    yield from ((None, *each) for each in outer if each[0] < each[1])


def _most(step: Step | None, asked: Sequence[tuple[int, datetime, datetime, datetime]]) -> Any:
    moment = UTCDateTime()
    wanted = (
        values(column("metric_id", Integer), column("begun", moment), column("start", moment), column("stop", moment))
        .data(list(asked))
        .cte("wanted")
    )
    table: Any = MetricSample if step is None else MetricFigure
    amount = MetricSample.value if step is None else MetricFigure.most
    within = [table.metric_id == wanted.c.metric_id, table.at >= wanted.c.start, table.at < wanted.c.stop]
    if step is not None:
        within.append(MetricFigure.step == step)
    return (
        select(wanted.c.metric_id, wanted.c.begun, func.max(amount))
        .join(table, and_(*within))
        .group_by(wanted.c.metric_id, wanted.c.begun)
    )


def _of_samples(subject: Subject, delivery: Delivery, begin: datetime, end: datetime) -> Iterator[Reading]:
    """What samples said, and where they were late that they were."""
    measure, length = subject.measure, timedelta(seconds=subject.window)
    is_peak = measure is Measure.CPS
    taken, apart = _samples(delivery, begin - length if is_peak else begin, end, is_peak)
    late = 2 * max(timedelta(seconds=delivery.interval), apart)
    before: Reading | None = None
    for sample in highest_within(taken, length) if is_peak and length else taken:
        if before and begin <= before.at + late <= sample.at:
            yield replace(before, at=before.at + late, is_stale=True)
        before = Reading(delivery.shown(measure, sample.value), None, sample.at, is_stale=False, next_at=None)
        if sample.at >= begin:
            yield before
    if before and before.at + late < end:
        yield replace(before, at=max(before.at + late, begin), is_stale=True)


def _samples(delivery: Delivery, begin: datetime, end: datetime, is_peak: bool) -> tuple[list[Sample], timedelta]:
    """What is kept of a metric: the last sample of each minute, or five minutes where those are gone or too many.

    Of peaks it is the highest amount instead. And how far apart they are at most while none is missing.
    """
    is_frequent = delivery.interval < EVERY_SAMPLE_FROM
    whole_from = end if is_frequent else min(max(delivery.whole_from or begin, begin), end)
    found: list[Sample] = []
    apart = MINUTE
    if begin < whole_from:
        apart = 5 * MINUTE
        figures = figures_of([delivery.metric_id], Step.FIVE_MINUTES, begin, whole_from).get(delivery.metric_id, [])
        found = [Sample(each.last_at, each.most if is_peak else each.last) for each in figures]
    if whole_from < end:
        found += _each_minute(delivery.metric_id, whole_from, end, is_peak)
    return found, apart


def _each_minute(metric_id: int, begin: datetime, end: datetime, is_peak: bool) -> Iterable[Sample]:
    """The last sample of each minute, with the highest amount of it where that is asked for. One query."""
    found: dict[datetime, Sample] = {}
    rows = db.session.execute(
        select(MetricSample.at, MetricSample.value)
        .where(MetricSample.metric_id == metric_id, MetricSample.at >= begin, MetricSample.at < end)
        .order_by(MetricSample.at)
    )
    for at, value in rows:
        known = found.get(_minute(at))
        found[_minute(at)] = Sample(at, max(known.value, value) if known and is_peak else value)
    return found.values()


# Calls


def _of_calls(subjects: Sequence[Subject], now: datetime) -> dict[Subject, Reading]:
    """What calls say, of the companies of which any ever came in."""
    delay = _delay()
    end = _minute(now - delay)
    last = _last_calls({each.company_id for each in subjects})
    known = [each for each in subjects if each.company_id in last]
    stretches = {each: _stretch(each, end) for each in known if each.measure is not Measure.CHANNELS}
    sums = calls.sums_over(set(stretches.values())) if stretches else {}
    places = {(each.company_id, _scope(each)) for each in known if each.measure is Measure.CHANNELS}
    open_now = calls.channels_at(places, end) if places else {}
    found = {}
    value: Decimal | None
    for subject in known:
        if subject.measure is Measure.CHANNELS:
            in_progress, count = open_now.get((subject.company_id, _scope(subject)), 0), None
            value, may_change = Decimal(in_progress), in_progress > 0 or last[subject.company_id] >= end
        else:
            stretch = stretches[subject]
            value, count = said(subject.measure, sums.get(stretch, NONE))
            may_change = last[subject.company_id] >= stretch.begin
        next_at = end + MINUTE + delay if may_change else None
        found[subject] = Reading(value, count, end, is_stale=False, next_at=next_at)
    return found


def said(measure: Measure, sums: Sums) -> tuple[Decimal | None, int | None]:
    """What calls say of a measure, as it is shown, and how many of them are behind it."""
    value_of, count_of = _SAID[measure]
    value = value_of(sums)
    return None if value is None else rounded(Decimal(value), measure.decimals), count_of and count_of(sums)


_attempts, _ended, _rung = attrgetter("attempts"), attrgetter("ended"), attrgetter("rung")
_SAID: dict[Measure, tuple[Callable[[Sums], Decimal | int | None], Callable[[Sums], int] | None]] = {
    Measure.ASR: (attrgetter("asr"), _attempts),
    Measure.NER: (attrgetter("ner"), _attempts),
    Measure.ACD: (attrgetter("acd"), _ended),
    Measure.PDD: (attrgetter("pdd"), _rung),
    Measure.CPS: (attrgetter("peak"), None),
    Measure.ATTEMPTS: (_attempts, _attempts),
    Measure.ANSWERED: (attrgetter("answered"), _attempts),
}
"""Where each measure is said by sums, and which of them counts the calls behind it. A history asks for thousands."""


def _last_calls(company_ids: Collection[int]) -> dict[int, datetime]:
    """The latest moment calls of these companies told of. One query for 5,000 companies."""
    found: dict[int, datetime] = {}
    for some in _some(company_ids):
        rows = db.session.execute(
            select(MeasuredSource.company_id, MeasuredSource.last_at).where(
                MeasuredSource.company_id.in_(some),
                MeasuredSource.kind == SourceKind.CALLS,
                MeasuredSource.metric_id.is_(None),
            )
        )
        found.update((company_id, last_at) for company_id, last_at in rows)
    return found


def _stretch(subject: Subject, end: datetime) -> Stretch:
    """The window that ends then, in full minutes."""
    return Stretch(subject.company_id, _scope(subject), end - _length(subject), end)


def _length(subject: Subject) -> timedelta:
    return -(-subject.window // 60) * MINUTE


def _scope(subject: Subject) -> str:
    if subject.trunk:
        return scope_of_trunk(subject.trunk)
    return WHOLE if subject.service_id is None else scope_of_service(subject.service_id)


def _of_minutes(subject: Subject, begin: datetime, end: datetime) -> Iterator[Reading]:
    begin = _minute(begin + MINUTE - AN_INSTANT)
    if subject.measure is Measure.CHANNELS:
        yield from _channels(subject, begin, end)
        return
    length = _length(subject)
    rows = calls.steps(subject.company_id, _scope(subject), CallStep.MINUTE, begin - length, end)
    before = None
    for at, sums in sliding([(each.at, each.sums) for each in rows], begin, end, length):
        value, count = said(subject.measure, sums)
        if (value, count) != before:
            before = value, count
            yield Reading(value, count, at, is_stale=False, next_at=None)


def _channels(subject: Subject, begin: datetime, end: datetime) -> Iterator[Reading]:
    minutes = calls.steps(subject.company_id, _scope(subject), CallStep.MINUTE, begin, end - MINUTE)
    before = minutes[0].open
    yield Reading(Decimal(before), None, begin, is_stale=False, next_at=None)
    for each in minutes:
        if each.left != before:
            before = each.left
            yield Reading(Decimal(before), None, each.at + MINUTE, is_stale=False, next_at=None)


def sliding(
    minutes: Sequence[tuple[datetime, Sums]], begin: datetime, end: datetime, length: timedelta
) -> Iterator[tuple[datetime, Sums]]:
    """What calls come to in the window that ends at each full minute from `begin` to before `end` at which it changes.

    `minutes` are those in which anything happened, in the order of time. Running sums: one pass, however long it is.
    """
    moments = {begin} | {at + MINUTE for at, _sums in minutes} | {at + length + MINUTE for at, _sums in minutes}
    running = [0] * len(ADDED)
    peaks: deque[tuple[datetime, int]] = deque()
    first = last = 0
    for at in sorted(moment for moment in moments if begin <= moment < end):
        while last < len(minutes) and minutes[last][0] + MINUTE <= at:
            minute, sums = minutes[last]
            running = list(map(add, running, _added(sums)))
            while peaks and peaks[-1][1] <= sums.peak:
                peaks.pop()
            peaks.append((minute, sums.peak))
            last += 1
        while first < last and minutes[first][0] < at - length:
            running = list(map(sub, running, _added(minutes[first][1])))
            first += 1
        while peaks and peaks[0][0] < at - length:
            peaks.popleft()
        yield at, Sums(*[*running, peaks[0][1] if peaks else 0])


# Small steps


def _delay() -> timedelta:
    settings: Settings = current_app.config["SETTINGS"]
    return timedelta(seconds=settings.calls_delay)


def _minute(at: datetime) -> datetime:
    """The full minute a moment is in."""
    return at.replace(second=0, microsecond=0)


def _some(items: Collection[T]) -> Iterator[Sequence[T]]:
    """So many at once as one statement asks of."""
    asked = list(items)
    for start in range(0, len(asked), AT_ONCE):
        yield asked[start : start + AT_ONCE]
