"""The chart of an alert at one company: what it watches, its lines, and what happened, with the table behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flask import abort, request

from portal.admin.alerts.words import HAPPENED, thing
from portal.alerts.actions.evaluating import subject_of
from portal.alerts.charts import SPANS, Row, drawn, rows
from portal.alerts.models import Alert, AlertEvent, AlertWatch
from portal.alerts.queries import events_between
from portal.alerts.rules import AlertArea, Happening
from portal.filters import local_time
from portal.language import reader_zone
from portal.usage.readings import history
from portal.usage.rules import Chart, Span

DOTS = {Happening.TRIGGERED: ("bad", True), Happening.NORMAL: ("good", False), Happening.UNSTABLE: ("warn", True)}
"""What stands as a dot at the axis of time: its tone, and whether it is filled."""

Level = tuple[str, str, str, str]
Dot = tuple[float, str, bool, str]


@dataclass(frozen=True)
class Picture:
    """A chart as the template draws it; `spans` are the links to other lengths of time."""

    chart: Chart
    rows: Sequence[Row]
    spans: Sequence[tuple[str, str, bool]]
    levels: Sequence[Level]
    dots: Sequence[Dot]


def span_wanted() -> Span:
    """How much of the past the address asks for."""
    asked = request.args.get("span", Span.DAY.value)
    return next((each for each in SPANS if each.value == asked), None) or abort(404)


def picture(alert: Alert, watch: AlertWatch, span: Span, now: datetime, at: str) -> Picture | None:
    """What the alert watches at this company; None where it watches no figure that has a past."""
    begins = span.begins(now)
    if alert.area is AlertArea.SCRIPT:
        return None
    readings = history(subject_of(alert, watch.company_id), begins, now)
    lines = [each for each in (alert.threshold, alert.reset) if each is not None]
    chart = drawn(readings, span, now, reader_zone(), levels=lines)
    happened = events_between(alert.id, watch.company_id, begins, now)
    whose = "" if alert.company_id is not None else f"&company={watch.company_id}"
    return Picture(
        chart,
        rows(chart),
        [(each.value.capitalize(), f"{at}?span={each}{whose}#shown", each is span) for each in SPANS],
        _levels(alert),
        [_dot(each, chart) for each in happened if each.kind in DOTS],
    )


def _levels(alert: Alert) -> list[Level]:
    """The words at the lines: the threshold on its bad side, the other on its good one."""
    written = thing(alert).written
    bad, good = ("below", "above") if alert.operator.is_low else ("above", "below")
    found: list[Level] = []
    if alert.threshold is not None:
        found.append((f"Threshold {written(alert.threshold)}", "bad", "7 4", bad))
    if alert.reset is not None:
        found.append((f"Normal again at {written(alert.reset)}", "good", "2 4", good))
    return found


def _dot(event: AlertEvent, chart: Chart) -> Dot:
    tone, is_filled = DOTS[event.kind]
    share = 100 * ((event.at - chart.begins) / (chart.ends - chart.begins))
    return share, tone, is_filled, f"{HAPPENED[event.kind]}, {local_time(event.at)}"
