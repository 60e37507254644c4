"""The chart of an alert at one company, for staff and customers: its lines, what happened, and the table behind it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from flask_babel import gettext as _

from portal.alerts.actions.evaluating import subject_of
from portal.alerts.charts import SPANS, Row, drawn, rows
from portal.alerts.models import Alert, AlertEvent, AlertWatch
from portal.alerts.queries import events_between
from portal.alerts.rules import AlertArea, Happening
from portal.alerts.words import Thing
from portal.filters import local_time
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


def span_called(text: str) -> Span | None:
    """The length of time of this name; None for one a chart of an alert cannot show."""
    return next((each for each in SPANS if each.value == text), None)


def picture(
    alert: Alert,
    watch: AlertWatch,
    thing: Thing,
    span: Span,
    *,
    now: datetime,
    zone: tzinfo,
    happened: Callable[[Happening], str],
    address: Callable[[Span], str],
) -> Picture | None:
    """What the alert watches at this company; None where it watches no figure that has a past.

    `happened` says what a dot stands for, `address` where another length of time is shown.
    """
    if alert.area is AlertArea.SCRIPT:
        return None
    begins = span.begins(now)
    lines = [each for each in (alert.threshold, alert.reset) if each is not None]
    chart = drawn(history(subject_of(alert, watch.company_id), begins, now), span, now, zone, levels=lines)
    found = events_between(alert.id, watch.company_id, begins, now)
    words = {Span.DAY: _("Day"), Span.WEEK: _("Week"), Span.MONTH: _("Month")}
    return Picture(
        chart,
        rows(chart),
        [(words[each], address(each), each is span) for each in SPANS],
        _levels(alert, thing),
        [_dot(each, chart, happened) for each in found if each.kind in DOTS],
    )


def _levels(alert: Alert, thing: Thing) -> list[Level]:
    """The words at the lines: the threshold on its bad side, the other on its good one."""
    bad, good = ("below", "above") if alert.operator.is_low else ("above", "below")
    found: list[Level] = []
    if alert.threshold is not None:
        found.append((_("Threshold %(amount)s", amount=thing.written(alert.threshold)), "bad", "7 4", bad))
    if alert.reset is not None:
        found.append((_("Normal again at %(amount)s", amount=thing.written(alert.reset)), "good", "2 4", good))
    return found


def _dot(event: AlertEvent, chart: Chart, happened: Callable[[Happening], str]) -> Dot:
    tone, is_filled = DOTS[event.kind]
    share = 100 * ((event.at - chart.begins) / (chart.ends - chart.begins))
    return share, tone, is_filled, f"{happened(event.kind)}, {local_time(event.at)}"
