"""Amounts, figures against a slow and obvious model, charts without lines across nothing, and files line by line."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.usage.rules import (
    AHEAD,
    HEIGHT,
    LARGEST,
    NO_MOMENT,
    NO_NUMBER,
    NOT_FINITE,
    TOO_EARLY,
    TOO_LARGE,
    WIDTH,
    Figure,
    Sample,
    Span,
    Step,
    Sums,
    chart,
    coarser,
    exact,
    gathered,
    moment,
    moved,
    read_lines,
    refusal,
    summed,
    taken_from,
)

NOW = datetime(2026, 11, 21, 12, 3, 20, tzinfo=UTC)
AMOUNTS = st.decimals(min_value=-LARGEST, max_value=LARGEST, places=6)
MOMENTS = st.integers(0, 3 * 86_400).map(lambda second: NOW - timedelta(seconds=second))


class TestAmounts:
    @pytest.mark.parametrize(
        ("written", "amount"),
        [
            ("12.5", "12.5"),
            (" 12,5 ", "12.5"),
            ("-0", "0"),
            (0.1, "0.1"),
            (1e-7, "0"),
            ("1e3", "1000"),
            (3, "3"),
            (Decimal("0.0000005"), "0"),
            ("999999999999.999999", "999999999999.999999"),
        ],
    )
    def test_to_the_millionth(self, written: str | float | Decimal, amount: str) -> None:
        assert exact(written) == Decimal(amount)
        assert not exact(written).is_signed() or Decimal(amount) < 0

    @pytest.mark.parametrize(
        ("written", "sentence"),
        [
            (float("nan"), NOT_FINITE),
            (float("inf"), NOT_FINITE),
            (float("-inf"), NOT_FINITE),
            (Decimal("sNaN"), NOT_FINITE),
            (1e12, TOO_LARGE),
            ("-1000000000000", TOO_LARGE),
            ("1e999", TOO_LARGE),
            (10**400, TOO_LARGE),
            ("nan", NO_NUMBER),
            ("Infinity", NO_NUMBER),
            ("", NO_NUMBER),
            ("0x10", NO_NUMBER),
            ("1_000", NO_NUMBER),
            ("1.000,5", NO_NUMBER),
            ("٣", NO_NUMBER),
            ("9" * 100, NO_NUMBER),
        ],
    )
    def test_what_is_none_is_refused_with_a_sentence(self, written: str | float | Decimal, sentence: str) -> None:
        with pytest.raises(ValueError, match=re.escape(sentence)):
            exact(written)

    @pytest.mark.parametrize(
        ("written", "at"),
        [
            ("2026-11-21T12:00:00Z", datetime(2026, 11, 21, 12, tzinfo=UTC)),
            ("2026-11-21 12:00", datetime(2026, 11, 21, 12, tzinfo=UTC)),
            ("2026-11-21t12:00:00.5z", datetime(2026, 11, 21, 12, microsecond=500_000, tzinfo=UTC)),
            ("2026-11-21 12:00:00 UTC", datetime(2026, 11, 21, 12, tzinfo=UTC)),
            ("2026-11-21 13:00:00 +01:00", datetime(2026, 11, 21, 12, tzinfo=UTC)),
            ("2026-11-21T13:00:00+01:00", datetime(2026, 11, 21, 12, tzinfo=UTC)),
        ],
    )
    def test_moments_without_a_zone_are_in_utc(self, written: str, at: datetime) -> None:
        assert moment(written) == at

    @pytest.mark.parametrize(
        "written", ["", "now", "21.11.2026", "2026-13-01T00:00:00Z", "1763726400", "0001-01-01T00:00:00+14:00"]
    )
    def test_what_is_no_moment(self, written: str) -> None:
        with pytest.raises(ValueError, match=re.escape(NO_MOMENT)):
            moment(written)


class TestWhatIsTaken:
    def test_ahead_by_five_minutes_and_no_more(self) -> None:
        earliest = taken_from(NOW, 30, None)
        assert refusal(NOW + timedelta(minutes=5), NOW, earliest) is None
        assert refusal(NOW + timedelta(minutes=5, microseconds=1), NOW, earliest) == AHEAD

    def test_late_ones_as_long_as_their_day_is_whole(self) -> None:
        earliest = taken_from(NOW, 30, None)
        assert earliest == datetime(2026, 10, 22, tzinfo=UTC)
        assert refusal(earliest, NOW, earliest) is None
        assert refusal(earliest - timedelta(microseconds=1), NOW, earliest) == TOO_EARLY

    def test_keeping_longer_brings_nothing_back(self) -> None:
        forgotten_to = datetime(2026, 11, 1, tzinfo=UTC)
        assert taken_from(NOW, 90, forgotten_to) == forgotten_to
        assert taken_from(NOW, 2, forgotten_to) == datetime(2026, 11, 19, tzinfo=UTC)


class TestFigures:
    @given(st.dictionaries(MOMENTS, AMOUNTS, max_size=60))
    def test_each_step_is_what_its_samples_come_to(self, measured: dict[datetime, Decimal]) -> None:
        """The model: for every step ask of every sample whether it is in it."""
        samples = [Sample(at, value) for at, value in measured.items()]
        five = gathered(samples, Step.FIVE_MINUTES)
        hours = coarser(five, Step.HOUR)
        for step, made in ((Step.FIVE_MINUTES, five), (Step.HOUR, hours), (Step.DAY, coarser(hours, Step.DAY))):
            length = timedelta(seconds=step.seconds)
            assert [each.at for each in made] == sorted({each.at for each in made})
            assert sum(each.count for each in made) == len(samples)
            for figure in made:
                inside = [(at, value) for at, value in measured.items() if figure.at <= at < figure.at + length]
                values = [value for _at, value in inside]
                assert figure.at.timestamp() % step.seconds == 0
                assert (figure.count, figure.total) == (len(values), sum(values))
                assert (figure.least, figure.most) == (min(values), max(values))
                assert (figure.last_at, figure.last) == max(inside)

    def test_a_mean_of_an_hour_is_no_mean_of_means(self) -> None:
        begin = datetime(2026, 11, 21, 10, tzinfo=UTC)
        many = [Sample(begin + timedelta(seconds=n), Decimal(1)) for n in range(9)]
        one = [Sample(begin + timedelta(minutes=30), Decimal(11))]
        (hour,) = coarser(gathered(many + one, Step.FIVE_MINUTES), Step.HOUR)
        assert hour.mean == 2


def _figures(span: Span, present: list[bool], value: Decimal = Decimal(5)) -> list[Figure]:
    begin = span.begins(NOW)
    return [
        Figure(at, 1, value, value, value, value, at)
        for number, there in enumerate(present)
        if there and (at := begin + timedelta(seconds=number * span.point_seconds))
    ]


class TestCharts:
    @given(st.sampled_from(Span), st.lists(st.booleans(), max_size=120))
    def test_no_line_crosses_what_was_not_measured(self, span: Span, present: list[bool]) -> None:
        drawn = chart(_figures(span, present), span, NOW, UTC, 60)
        runs = [run for run in "".join("x" if each else " " for each in present).split(" ") if run]
        assert [line.count("L") + 1 for line in drawn.lines] == [len(run) for run in runs]
        assert len(drawn.points) == sum(present)

    def test_a_slow_metric_is_joined_and_its_gap_is_not(self) -> None:
        """One every twenty minutes, a little early or late; then one that is missing."""
        begin = Span.DAY.begins(NOW)
        seconds = [0, 1190, 2410, 3600, 6000, 7199]
        samples = [Sample(begin + timedelta(seconds=each), Decimal(1)) for each in seconds]
        drawn = chart(gathered(samples, Step.FIVE_MINUTES), Span.DAY, NOW, UTC, 1200)
        assert [line.count("L") + 1 for line in drawn.lines] == [4, 2]

    def test_what_comes_a_second_late_is_no_gap(self) -> None:
        begin = Span.DAY.begins(NOW)
        samples = [Sample(begin + timedelta(seconds=each), Decimal(1)) for each in (0, 299, 601, 901)]
        drawn = chart(gathered(samples, Step.FIVE_MINUTES), Span.DAY, NOW, UTC, 300)
        assert len(drawn.lines) == 1

    def test_one_alone_is_a_dot(self) -> None:
        drawn = chart(_figures(Span.DAY, [True]), Span.DAY, NOW, UTC, 60)
        assert drawn.lines == ("M2 50h0",)

    @given(AMOUNTS, st.integers(-300, 300))
    def test_large_amounts_that_differ_by_little_have_an_axis(self, value: Decimal, millionths: int) -> None:
        other = min(max(value + Decimal(millionths).scaleb(-6), -LARGEST), LARGEST)
        drawn = chart(
            gathered([Sample(NOW, value), Sample(NOW - timedelta(hours=1), other)], Step.FIVE_MINUTES),
            Span.DAY,
            NOW,
            UTC,
            60,
        )
        assert drawn.ticks[0].value <= min(value, other)
        assert drawn.ticks[-1].value >= max(value, other)
        assert len(drawn.ticks) <= 7

    def test_nothing_measured_draws_nothing(self) -> None:
        drawn = chart([], Span.WEEK, NOW, UTC, 60)
        assert (drawn.lines, drawn.bands, drawn.ticks, drawn.whole) == ((), (), (), None)

    @given(st.lists(st.tuples(AMOUNTS, AMOUNTS), min_size=1, max_size=20))
    def test_everything_lies_inside_between_round_amounts(self, pairs: list[tuple[Decimal, Decimal]]) -> None:
        begin = Span.DAY.begins(NOW)
        figures = []
        for number, pair in enumerate(pairs):
            at = begin + timedelta(minutes=5 * number)
            figures.append(Figure(at, 2, sum(pair, Decimal()), min(pair), max(pair), pair[0], at))
        drawn = chart(figures, Span.DAY, NOW, UTC, 60)
        for path in (*drawn.lines, *drawn.bands):
            numbers = [float(each) for each in re.findall(r"-?\d+(?:\.\d+)?", path.removesuffix("h0"))]
            assert all(0 <= x <= WIDTH for x in numbers[::2])
            assert all(-0.1 <= y <= HEIGHT + 0.1 for y in numbers[1::2])
        values = [tick.value for tick in drawn.ticks]
        assert 2 <= len(values) <= 7
        assert values == sorted(values)
        assert all(0 <= tick.share <= 100 for tick in drawn.ticks)

    @pytest.mark.parametrize(
        ("least", "most", "values"),
        [
            ("0", "100", ["0", "50", "100"]),
            ("3", "97", ["0", "50", "100"]),
            ("95", "99", ["95", "96", "97", "98", "99"]),
            ("-2", "2", ["-2", "-1", "0", "1", "2"]),
            ("0", "0", ["0", "0.5", "1.0"]),
        ],
    )
    def test_the_axis(self, least: str, most: str, values: list[str]) -> None:
        at = Span.DAY.begins(NOW)
        low, high = Decimal(least), Decimal(most)
        drawn = chart([Figure(at, 2, low + high, low, high, high, at)], Span.DAY, NOW, UTC, 60)
        shown = [tick.value for tick in drawn.ticks]
        assert (shown[0], shown[-1]) == (Decimal(values[0]), Decimal(values[-1]))
        assert set(map(Decimal, values)) <= set(shown)

    def test_there_is_room_for_levels_far_from_what_was_measured(self) -> None:
        at = Span.DAY.begins(NOW)
        few = [Figure(at, 1, Decimal(3), Decimal(3), Decimal(3), Decimal(3), at)]
        drawn = chart(few, Span.DAY, NOW, UTC, 60, levels=[Decimal(40), Decimal(31)])
        assert [level.value for level in drawn.levels] == [40, 31]
        assert [tick.value for tick in drawn.ticks] == [0, 10, 20, 30, 40]
        assert [level.share for level in drawn.levels] == [0, 22.5]
        nothing = chart([], Span.DAY, NOW, UTC, 60, levels=[Decimal(40), Decimal(0)])
        assert [level.share for level in nothing.levels] == [0, 100]
        below = chart(few, Span.DAY, NOW, UTC, 60, levels=[Decimal(-20)])
        assert below.levels[0].share == 100
        assert chart(few, Span.DAY, NOW, UTC, 60).levels == ()

    def test_marks_stand_at_the_readers_midnight_when_the_clocks_change(self) -> None:
        """Berlin left summer time on 25 October 2026: that day had 25 hours."""
        zone = ZoneInfo("Europe/Berlin")
        drawn = chart([], Span.WEEK, datetime(2026, 10, 28, 9, tzinfo=UTC), zone, 60)
        local = [mark.at.astimezone(zone) for mark in drawn.marks]
        assert [(each.day, each.hour) for each in local] == [(day, 0) for day in range(22, 29)]

    def test_marks_of_a_year_begin_months(self) -> None:
        drawn = chart([], Span.YEAR, NOW, UTC, 60)
        assert [mark.at.month for mark in drawn.marks] == [1, 3, 5, 7, 9, 11]
        assert all(mark.at.day == 1 for mark in drawn.marks)


class TestFiles:
    def test_lines_are_taken_or_told_one_by_one(self) -> None:
        rows = [
            ["time", "value"],
            ["2026-11-21T12:00:00Z", "1"],
            [],
            ["2026-11-21T12:01:00Z", "many"],
            ["yesterday", "1"],
            ["2026-11-21T12:30:00Z", "1"],
            ["2026-01-01T12:30:00Z", "1"],
            ["2026-11-21T12:02:00Z"],
            ["2026-11-21 12:03", "-2,5"],
        ]
        samples, wrong = read_lines(rows, NOW, taken_from(NOW, 30, None))
        assert [each.value for each in samples] == [1, Decimal("-2.5")]
        assert [(each.number, each.sentence) for each in wrong] == [
            (4, NO_NUMBER),
            (5, NO_MOMENT),
            (6, AHEAD),
            (7, TOO_EARLY),
            (8, "A line has a time and a value."),
        ]


PARTS_OF_SAMPLES = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(-3, 3)), min_size=1, max_size=12
)


@given(PARTS_OF_SAMPLES)
def test_a_longer_step_moves_with_its_parts(told: list[tuple[int, int, int]]) -> None:
    """Samples come one by one, some again with another amount: the whole is what all parts come to."""
    parts: dict[int, dict[datetime, int]] = {}
    whole: Sums | None = None
    for part, minute, value in told:
        before = parts.get(part)
        after = {**(before or {}), NOW + timedelta(minutes=5 * part + minute): value}
        parts[part] = after
        whole, is_loose = moved(whole, summed(before) if before else None, summed(after))
        expected = summed({at: each for some in parts.values() for at, each in some.items()})
        if is_loose:
            whole = whole._replace(least=expected.least, most=expected.most)
        assert whole == expected


def test_only_what_may_have_stood_for_the_whole_has_it_looked_at_again() -> None:
    first, second = summed({NOW: 1}), summed({NOW + timedelta(minutes=5): 9})
    whole, is_loose = moved(first, None, second)
    assert (whole, is_loose) == (Sums(2, 10, 1, 9, 9, NOW + timedelta(minutes=5)), False)
    assert moved(whole, first, summed({NOW: 2}))[1]
    assert moved(whole, second, summed({NOW + timedelta(minutes=5): 8}))[1]
    assert not moved(whole, first, summed({NOW: 0}))[1]
    assert not moved(whole, second, summed({NOW + timedelta(minutes=5): 10}))[1]
