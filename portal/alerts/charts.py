"""What an alert watches, drawn for one company, with the lines it is held against.

A reading stands until the next one, so a point of the chart is what was shown at its end, with the least and the most
that was shown while it lasted around it. Readings are never averaged: a mean of ratios is none.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal

from portal.usage.readings import Reading
from portal.usage.rules import Chart, Figure, Span, chart

SPANS = (Span.DAY, Span.WEEK, Span.MONTH)
"""What a chart of an alert may show: as far as the past is kept by the minute."""

ROW_HOURS = {Span.DAY: 1, Span.WEEK: 6, Span.MONTH: 24}


@dataclass(frozen=True)
class Row:
    """A line of the table behind a chart: from when on, and what was shown until the next one."""

    at: datetime
    last: Decimal
    least: Decimal
    most: Decimal


def drawn(
    readings: Iterable[Reading], span: Span, now: datetime, zone: tzinfo, *, levels: Sequence[Decimal] = ()
) -> Chart:
    """The chart of these readings, which are in the order of time."""
    begins = span.begins(now)
    figures = _held(readings, begins, min(begins + span.length, now), timedelta(seconds=span.point_seconds))
    return chart(figures, span, now, zone, span.point_seconds, levels=levels)


def rows(chart: Chart) -> list[Row]:
    """The figures behind a chart, the newest first: at most about fifty."""
    found: dict[int, list[Figure]] = {}
    seconds = ROW_HOURS[chart.span] * 3600
    for each in chart.points:
        found.setdefault(int(each.at.timestamp()) // seconds * seconds, []).append(each)
    return [
        Row(
            datetime.fromtimestamp(at, UTC),
            each[-1].last,
            min(point.least for point in each),
            max(point.most for point in each),
        )
        for at, each in sorted(found.items(), reverse=True)
    ]


def _held(readings: Iterable[Reading], begins: datetime, ends: datetime, length: timedelta) -> list[Figure]:
    """A figure for each point of time in which something was shown, also where nothing changed."""
    coming = iter(readings)
    ahead = next(coming, None)
    shown: Decimal | None = None
    found = []
    while ahead is not None and ahead.at < begins:
        shown, ahead = _shown(ahead), next(coming, None)
    at = begins
    while at < ends:
        values = [shown] if shown is not None and (ahead is None or ahead.at > at) else []
        while ahead is not None and ahead.at < at + length:
            shown, ahead = _shown(ahead), next(coming, None)
            values += [] if shown is None else [shown]
        if values:
            found.append(Figure(at, 1, values[-1], min(values), max(values), values[-1], at))
        at += length
    return found


def _shown(reading: Reading) -> Decimal | None:
    return None if reading.is_stale else reading.value
