"""What the people of a company read of its figures: what each is now, and drawn over a day, week, month or year.

Nothing internal is in it: no trunk, no carrier, and of what staff had measured only what says that it is shown. A
point of a ratio or a mean is made of the sums of its own stretch of time, and so is the whole.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import func, or_, select
from sqlalchemy.orm import joinedload

from portal.accounts.models import Company
from portal.extensions import db
from portal.usage.calls import queries as calls
from portal.usage.calls.queries import Tallied
from portal.usage.calls.rules import NONE, WHOLE, CallStep, Sums
from portal.usage.models import MeasuredSource, Metric, SourceKind
from portal.usage.queries import PER_PAGE, figures_of
from portal.usage.readings import Reading, Subject, readings, said
from portal.usage.rules import Chart, Figure, Measure, Span, chart, joined

SHOWN_AT_MOST = 24
"""Metrics of one company on its page; with more it would be no overview."""

WINDOW = 3600
"""Seconds the present value of a ratio or a mean looks back over."""

PEAK_WINDOW = 300
"""Seconds the present value of calls a second looks back over."""

COUNTED = (Measure.ASR, Measure.NER, Measure.ACD, Measure.PDD)
"""What call records alone say."""

ROW_SECONDS = {Span.DAY: 3600, Span.WEEK: 6 * 3600, Span.MONTH: 86_400, Span.YEAR: 7 * 86_400}
"""The time one row of the table behind a chart stands for: at most about fifty rows."""


class Kind(StrEnum):
    """How what lies in a stretch of time becomes one amount."""

    GAUGE = "gauge"
    PEAK = "peak"
    RATIO = "ratio"


@dataclass(frozen=True)
class Row:
    """What a figure came to from a moment on; `calls` are those behind a ratio or a mean."""

    at: datetime
    value: Decimal
    least: Decimal
    most: Decimal
    calls: int | None = None


@dataclass(frozen=True)
class CompanyFigure:
    """One figure of a company, with its chart and the rows behind it, the newest first.

    `name` is what one of its own is called, `service` of which service of the company it is, "" for all of it. `whole`
    is what it came to over all that is shown; None where nothing was.
    """

    key: str
    measure: Measure
    kind: Kind
    name: str
    service: str
    unit: str
    decimals: int
    reading: Reading
    chart: Chart
    rows: Sequence[Row]
    whole: Row | None


class Over(NamedTuple):
    """What a chart shows, by whose clock."""

    span: Span
    now: datetime
    zone: tzinfo

    def drawn(self, figures: Iterable[Figure], interval: int) -> Chart:
        return chart(figures, self.span, self.now, self.zone, interval)


def company_figures(company_id: int, span: Span, now: datetime, zone: tzinfo) -> list[CompanyFigure]:
    """All figures of a company, money first. At most a dozen queries, however many there are."""
    metrics = shown_metrics_of(company_id)
    subjects = _subjects(company_id, metrics)
    now_read = readings(list(subjects), now)
    begin = span.begins(now)
    sampled = figures_of([each.id for each in metrics], span.step, begin, begin + span.length)
    tallied = _tallied(company_id, span, now) if None in subjects.values() else []
    over = Over(span, now, zone)
    return [
        _of_metric(now_read[subject], subject.measure, metric, sampled.get(metric.id, []), over)
        if metric is not None
        else _of_calls(now_read[subject], subject.measure, tallied, over)
        for subject, metric in subjects.items()
    ]


def shown_metrics_of(company_id: int) -> Sequence[Metric]:
    """The metrics the people of a company may read, in their order: none of a trunk, and of its own only those that
    say so. One query."""
    return db.session.scalars(
        select(Metric)
        .options(joinedload(Metric.service))
        .where(
            Metric.company_id == company_id,
            Metric.archived_at.is_(None),
            Metric.trunk == "",
            or_(Metric.measure != Measure.CUSTOM, Metric.is_shown),
        )
        .order_by(Metric.position, Metric.id)
        .limit(SHOWN_AT_MOST)
    ).all()


def has_calls(company_id: int) -> bool:
    """Whether any calls of a company ever came in. One query."""
    found = select(MeasuredSource.id).where(
        MeasuredSource.company_id == company_id,
        MeasuredSource.kind == SourceKind.CALLS,
        MeasuredSource.metric_id.is_(None),
    )
    return db.session.scalar(found) is not None


ORDER = (Measure.BALANCE, Measure.CREDIT, Measure.CPS, Measure.CHANNELS, *COUNTED, Measure.CUSTOM)
"""In which figures stand: money, what goes on, how well it goes, and what is somebody's own."""

WINDOWS = {Measure.CPS: PEAK_WINDOW} | dict.fromkeys(COUNTED, WINDOW)


def _subjects(company_id: int, metrics: Sequence[Metric]) -> dict[Subject, Metric | None]:
    """What is asked for, in the order it is shown in, each with the metric that delivers it; None for calls."""
    found: dict[Subject, Metric | None] = {}
    for metric in metrics:
        measures = [metric.measure or Measure.CUSTOM]
        if metric.debit_limit is not None:
            measures.append(Measure.CREDIT)
        for measure in measures:
            own = metric.id if measure is Measure.CUSTOM else None
            window = WINDOWS.get(measure, 0)
            found[Subject(measure, company_id, metric.service_id, metric_id=own, window=window)] = metric
    if has_calls(company_id):
        for measure in (Measure.CPS, Measure.CHANNELS, *COUNTED):
            found.setdefault(Subject(measure, company_id, window=WINDOWS.get(measure, 0)), None)
    return dict(sorted(found.items(), key=lambda each: ORDER.index(each[0].measure)))


# What samples say


def _of_metric(
    reading: Reading, measure: Measure, metric: Metric, figures: Iterable[Figure], over: Over
) -> CompanyFigure:
    is_peak = measure is Measure.CPS
    more = (metric.debit_limit or Decimal()) if measure is Measure.CREDIT else Decimal()
    drawn = over.drawn([_peak(each) if is_peak else _raised(each, more) for each in figures], metric.interval)
    if is_peak:
        drawn = replace(drawn, bands=())
    has_own = measure in {Measure.BALANCE, Measure.CREDIT, Measure.CUSTOM}
    return CompanyFigure(
        f"{measure}-{metric.id}",
        measure,
        Kind.PEAK if is_peak else Kind.GAUGE,
        metric.name if measure is Measure.CUSTOM else "",
        metric.service.name if metric.service else "",
        metric.unit if has_own else measure.unit,
        metric.decimals if has_own else measure.decimals,
        reading,
        drawn,
        [_row(each, is_peak=is_peak) for each in _by_row(drawn)],
        _row(drawn.whole, is_peak=is_peak) if drawn.whole else None,
    )


def _raised(figure: Figure, more: Decimal) -> Figure:
    """The same with so much on top of each sample."""
    if not more:
        return figure
    total, amounts = figure.total + figure.count * more, (figure.least + more, figure.most + more, figure.last + more)
    return Figure(figure.at, figure.count, total, *amounts, figure.last_at)


def _peak(figure: Figure) -> Figure:
    """The same with its highest amount as the only one: a mean of calls a second is another figure."""
    return _figure(figure.at, figure.most)


def _row(figure: Figure, *, is_peak: bool) -> Row:
    return Row(figure.at, figure.most if is_peak else figure.mean, figure.least, figure.most)


def _by_row(drawn: Chart) -> list[Figure]:
    """The points of a chart by the stretches the rows of the table stand for, the newest first."""
    return [joined(at, each) for at, each in sorted(_by(drawn.points, ROW_SECONDS[drawn.span]).items(), reverse=True)]


# What calls say


def _tallied(company_id: int, span: Span, now: datetime) -> list[Tallied]:
    step = {Span.DAY: CallStep.MINUTE, Span.YEAR: CallStep.DAY}.get(span, CallStep.HOUR)
    return calls.steps(company_id, WHOLE, step, span.begins(now), now)


def _of_calls(reading: Reading, measure: Measure, tallied: Sequence[Tallied], over: Over) -> CompanyFigure:
    if measure is Measure.CHANNELS:
        points = _in_progress(tallied, over.span, reading.at)
    else:
        points = _said_by_point(measure, tallied, over.span, reading.at)
    drawn = over.drawn(points, over.span.point_seconds)
    kind = {Measure.CHANNELS: Kind.GAUGE, Measure.CPS: Kind.PEAK}.get(measure, Kind.RATIO)
    if kind is Kind.RATIO:
        rows, whole = _ratio_rows(measure, tallied, drawn)
    else:
        rows = [_row(each, is_peak=kind is Kind.PEAK) for each in _by_row(drawn)]
        whole = _row(drawn.whole, is_peak=kind is Kind.PEAK) if drawn.whole else None
    words = measure.value, measure, kind, "", "", measure.unit, measure.decimals
    return CompanyFigure(*words, reading, drawn, rows, whole)


def _said_by_point(measure: Measure, tallied: Iterable[Tallied], span: Span, until: datetime) -> list[Figure]:
    """What calls say at each point of a chart; nothing where it is undefined."""
    sums = {at: _added(each) for at, each in _by(tallied, span.point_seconds).items()}
    if measure is Measure.CPS and sums:
        sums = {at: sums.get(at, NONE) for at in _points(min(sums), until, span)}
    found = []
    for at, each in sorted(sums.items()):
        value, _count = said(measure, each)
        if value is not None:
            found.append(_figure(at, value))
    return found


def _in_progress(tallied: Sequence[Tallied], span: Span, until: datetime) -> list[Figure]:
    """How many calls were in progress as each point began: the same until the next step in which anything happened."""
    found: list[Figure] = []
    if not tallied:
        return found
    coming, now = deque(tallied), tallied[0].open
    for at in _points(_begin(tallied[0].at, span.point_seconds), until, span):
        seen = [now]
        while coming and coming[0].at < at + timedelta(seconds=span.point_seconds):
            now = coming.popleft().left
            seen.append(now)
        total = sum(map(Decimal, seen), Decimal())
        found.append(Figure(at, len(seen), total, Decimal(min(seen)), Decimal(max(seen)), Decimal(now), at))
    return found


def _ratio_rows(measure: Measure, tallied: Iterable[Tallied], drawn: Chart) -> tuple[list[Row], Row | None]:
    """The rows behind a ratio and what it is over all of it, each of the sums of its own stretch of time."""
    seconds = ROW_SECONDS[drawn.span]
    points = _by(drawn.points, seconds)
    within = [each for each in tallied if drawn.begins <= each.at < drawn.ends]
    rows = []
    for at, each in sorted(_by(within, seconds).items(), reverse=True):
        row = _ratio(measure, at, each, points.get(at, ()))
        if row is not None:
            rows.append(row)
    return rows, _ratio(measure, drawn.begins, within, drawn.points)


def _ratio(measure: Measure, at: datetime, tallied: Iterable[Tallied], points: Iterable[Figure]) -> Row | None:
    value, count = said(measure, _added(tallied))
    if value is None:
        return None
    shown = [each.last for each in points]
    return Row(at, value, min(shown, default=value), max(shown, default=value), count)


def _added(tallied: Iterable[Tallied]) -> Sums:
    return sum((each.sums for each in tallied), NONE)


# Small steps


def _figure(at: datetime, value: Decimal) -> Figure:
    return Figure(at, 1, value, value, value, value, at)


def _points(first: datetime, until: datetime, span: Span) -> Iterable[datetime]:
    """The beginnings of the points of a chart, from one to before a moment."""
    at = first
    while at < until:
        yield at
        at += timedelta(seconds=span.point_seconds)


def _begin(at: datetime, seconds: int) -> datetime:
    return datetime.fromtimestamp(int(at.timestamp()) // seconds * seconds, UTC)


def _by(items: Iterable[Any], seconds: int) -> Mapping[datetime, list[Any]]:
    """What has a moment, by the stretches of so many seconds these are in."""
    found: dict[datetime, list[Any]] = {}
    for each in items:
        found.setdefault(_begin(each.at, seconds), []).append(each)
    return found


# Which companies have calls


@dataclass(frozen=True)
class Delivering:
    """A page of the companies whose calls come in. `pages` is at least 1."""

    items: Sequence[tuple[Company, datetime]]
    page: int
    pages: int
    total: int


def companies_with_calls(page: int, text: str = "") -> Delivering | None:
    """Companies whose calls come in, by name, each with the latest moment they told of; 50 a page.

    None for a page there is not. Two queries.
    """
    of_calls = [MeasuredSource.kind == SourceKind.CALLS, MeasuredSource.metric_id.is_(None)]
    if text:
        of_calls.append(Company.name.icontains(text, autoescape=True))
    joined_to = select(func.count()).select_from(MeasuredSource).join(Company, Company.id == MeasuredSource.company_id)
    total = db.session.scalar(joined_to.where(*of_calls)) or 0
    pages = max(1, -(-total // PER_PAGE))
    if not 1 <= page <= pages:
        return None
    rows = db.session.execute(
        select(Company, MeasuredSource.last_at)
        .join(MeasuredSource, MeasuredSource.company_id == Company.id)
        .where(*of_calls)
        .order_by(Company.name_key)
        .offset((page - 1) * PER_PAGE)
        .limit(PER_PAGE)
    )
    return Delivering([(company, last_at) for company, last_at in rows], page, pages, total)
