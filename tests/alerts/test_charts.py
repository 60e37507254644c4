"""Charts of alerts: a reading stands until the next one, nothing is averaged, and what is unknown is a gap."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from portal.alerts.charts import drawn, rows
from portal.usage.readings import Reading
from portal.usage.rules import Span

NOW = datetime(2026, 11, 21, 12, 3, tzinfo=UTC)
BEGINS = Span.DAY.begins(NOW)


def _reading(minutes: float, value: str | None, *, is_stale: bool = False) -> Reading:
    at = BEGINS + timedelta(minutes=minutes)
    return Reading(None if value is None else Decimal(value), None, at, is_stale, None)


def test_what_was_shown_stands_until_something_else_is() -> None:
    chart = drawn([_reading(-500, "40"), _reading(62, "30"), _reading(63, "35")], Span.DAY, NOW, UTC)
    assert chart.points[0].last == 40
    assert [point.last for point in chart.points[11:14]] == [40, 35, 35]
    assert [chart.points[12].least, chart.points[12].most] == [Decimal(30), Decimal(40)]
    assert chart.points[-1].last == 35
    assert len(chart.lines) == 1


def test_it_ends_now_and_not_at_the_end_of_the_axis() -> None:
    chart = drawn([_reading(0, "40")], Span.WEEK, NOW, UTC)
    assert chart.points[-1].at <= NOW < chart.points[-1].at + timedelta(hours=1)


def test_what_is_undefined_or_late_is_a_gap() -> None:
    readings = [_reading(0, "40"), _reading(60, None), _reading(120, "50"), _reading(180, "50", is_stale=True)]
    chart = drawn(readings, Span.DAY, NOW, UTC)
    shown = {(point.at - BEGINS) // timedelta(minutes=5) for point in chart.points}
    assert shown == {*range(12), *range(24, 36)}
    assert len(chart.lines) == 2


def test_a_point_says_what_was_shown_last_and_no_mean() -> None:
    """ASR of 0 and of 100 per cent, by one call and by a thousand: what lies between them says nothing."""
    chart = drawn([_reading(0, "0"), _reading(1, "100"), _reading(2, "90")], Span.DAY, NOW, UTC)
    assert [chart.points[0].mean, chart.points[0].least, chart.points[0].most] == [
        Decimal(90),
        Decimal(0),
        Decimal(100),
    ]


def test_the_table_has_the_newest_first_and_is_short() -> None:
    for span, most in ((Span.DAY, 25), (Span.WEEK, 30), (Span.MONTH, 32)):
        begins = span.begins(NOW)
        chart = drawn([Reading(Decimal(7), None, begins, False, None)], span, NOW, UTC)
        found = rows(chart)
        assert 1 < len(found) <= most
        assert found[0].at > found[-1].at
        assert {each for row in found for each in (row.last, row.least, row.most)} == {Decimal(7)}


def test_nothing_measured_leaves_room_for_the_lines() -> None:
    chart = drawn([], Span.DAY, NOW, UTC, levels=[Decimal(40), Decimal(45)])
    assert (chart.whole, len(chart.levels)) == (None, 2)
    assert rows(chart) == []
