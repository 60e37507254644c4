"""What figures are and were: as they are shown, undefined or late where they are that, and in few queries."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from portal.audit.rules import SYSTEM
from portal.usage.actions import Wanted, add_metric, archive_metric, take_samples
from portal.usage.calls.rules import Sums
from portal.usage.models import Metric
from portal.usage.readings import Reading, Subject, _parts, history, readings, sliding
from portal.usage.rules import Measure, Sample, highest_within, rounded
from tests.conftest import NOW, Cast, counted_queries

MINUTE = timedelta(minutes=1)


def _metric(cast: Cast, measure: Measure = Measure.BALANCE, *, key: str = "figure", **rest: object) -> Metric:
    wanted = Wanted(key, "Anything", company_id=cast.a.id, measure=measure, **{"decimals": 2, **rest})  # type: ignore[arg-type]
    return add_metric(wanted, by=SYSTEM, now=NOW - timedelta(days=40))


def _take(metric: Metric, *samples: tuple[timedelta, str | int]) -> None:
    take_samples([(metric.id, Sample(NOW - ago, Decimal(value))) for ago, value in samples], NOW)


def _read(subject: Subject, now: datetime = NOW) -> Reading:
    return readings([subject], now)[subject]


class TestGauges:
    def test_the_last_sample_stands_as_it_is_shown(self, cast: Cast) -> None:
        _take(_metric(cast), (2 * MINUTE, 100), (MINUTE, "12.345"))
        found = _read(Subject(Measure.BALANCE, cast.a.id))
        assert found == Reading(Decimal("12.34"), None, NOW - MINUTE, is_stale=False, next_at=NOW + MINUTE)

    def test_available_credit_is_the_balance_and_the_debit_limit(self, cast: Cast) -> None:
        _take(_metric(cast, debit_limit=Decimal("-5")), (MINUTE, "12.50"))
        assert _read(Subject(Measure.CREDIT, cast.a.id)).value == Decimal("7.50")
        assert _read(Subject(Measure.BALANCE, cast.a.id)).value == Decimal("12.50")

    def test_without_a_limit_the_credit_ends_with_the_balance(self, cast: Cast) -> None:
        _take(_metric(cast), (MINUTE, "12.50"))
        assert _read(Subject(Measure.CREDIT, cast.a.id)).value == Decimal("12.50")

    def test_two_intervals_after_the_last_it_is_late_and_says_when_that_will_be(self, cast: Cast) -> None:
        _take(_metric(cast, interval=300), (MINUTE, 1))
        subject = Subject(Measure.BALANCE, cast.a.id)
        fresh = _read(subject)
        assert (fresh.is_stale, fresh.next_at) == (False, NOW + 9 * MINUTE)
        assert not _read(subject, NOW + 9 * MINUTE - timedelta(seconds=1)).is_stale
        late = _read(subject, NOW + 9 * MINUTE)
        assert (late.value, late.is_stale, late.next_at) == (1, True, None)

    def test_before_the_first_sample_it_is_undefined_and_soon_late(self, cast: Cast) -> None:
        _metric(cast, interval=60)
        subject = Subject(Measure.BALANCE, cast.a.id)
        made = NOW - timedelta(days=40)
        assert _read(subject, made) == Reading(None, None, made, is_stale=False, next_at=made + 2 * MINUTE)
        assert _read(subject).is_stale

    def test_what_nothing_delivers_is_late_whatever_it_is(self, cast: Cast) -> None:
        for measure in Measure:
            found = _read(Subject(measure, cast.a.id, metric_id=77, window=300))
            assert found == Reading(None, None, NOW, is_stale=True, next_at=None), measure

    def test_an_archived_metric_delivers_nothing(self, cast: Cast) -> None:
        metric = _metric(cast)
        _take(metric, (MINUTE, 1))
        archive_metric(metric, version=metric.version, by=SYSTEM, now=NOW)
        assert _read(Subject(Measure.BALANCE, cast.a.id)).value is None

    def test_one_of_a_service_or_trunk_is_not_that_of_the_company(self, cast: Cast) -> None:
        _take(_metric(cast, Measure.CHANNELS, trunk="London"), (MINUTE, 7))
        assert _read(Subject(Measure.CHANNELS, cast.a.id, trunk="London")).value == 7
        assert _read(Subject(Measure.CHANNELS, cast.a.id)).is_stale

    def test_a_custom_one_answers_to_its_own_company_alone(self, cast: Cast) -> None:
        metric = _metric(cast, Measure.CUSTOM)
        _take(metric, (MINUTE, 7))
        assert _read(Subject(Measure.CUSTOM, cast.a.id, metric_id=metric.id)).value == 7
        assert _read(Subject(Measure.CUSTOM, cast.b.id, metric_id=metric.id)).value is None

    def test_a_balance_is_not_read_as_a_custom_one(self, cast: Cast) -> None:
        metric = _metric(cast)
        _take(metric, (MINUTE, 7))
        assert _read(Subject(Measure.CUSTOM, cast.a.id, metric_id=metric.id)).value is None


class TestPeaks:
    def test_calls_a_second_are_the_highest_sample_of_the_window(self, cast: Cast) -> None:
        _take(_metric(cast, Measure.CPS), (6 * MINUTE, 90), (5 * MINUTE, 70), (4 * MINUTE, 50), (MINUTE, 8))
        assert _read(Subject(Measure.CPS, cast.a.id, window=300)).value == 50, "the window is half-open"
        assert _read(Subject(Measure.CPS, cast.a.id, window=301)).value == 70
        assert _read(Subject(Measure.CPS, cast.a.id, window=3600)).value == 90
        assert _read(Subject(Measure.CPS, cast.a.id, window=60)).value == 8, "the last stands until it is late"

    @given(
        st.lists(st.tuples(st.integers(0, 30 * 3600), st.integers(0, 99)), min_size=1, max_size=60),
        st.integers(60, 30 * 3600),
    )
    def test_the_parts_of_a_window_are_all_of_it_once(self, samples: list[tuple[int, int]], window: int) -> None:
        """However it is cut, what lies within is what is looked at."""
        begin, end = NOW - timedelta(seconds=window), NOW
        parts = sorted(_parts(begin, end), key=lambda each: each[1])
        assert parts[0][1] == begin
        assert parts[-1][2] == end
        assert all(one[2] == other[1] for one, other in pairwise(parts))
        for step, start, stop in parts:
            assert step is None or (step.begin(start), step.begin(stop)) == (start, stop)
        assert len(parts) <= 5

    def test_a_long_window_is_read_by_figures_and_says_the_same(self, cast: Cast) -> None:
        metric = _metric(cast, Measure.CPS, interval=600)
        values = [(number * 7919) % 83 for number in range(200)]
        _take(metric, *((number * 11 * MINUTE, value) for number, value in enumerate(values)))
        for window in (1000, 5000, 20_000, 90_000):
            within = [value for number, value in enumerate(values) if number * 660 < window]
            with counted_queries() as statements:
                found = _read(Subject(Measure.CPS, cast.a.id, window=window))
            assert found.value == max(within), window
            assert len(statements) <= 4


class TestMany:
    def test_statements_are_as_many_for_a_hundred_as_for_one(self, cast: Cast) -> None:
        metrics = [_metric(cast, Measure.CUSTOM, key=f"m-{number}") for number in range(100)]
        cps = [_metric(cast, Measure.CPS, key=f"c-{number}", trunk=str(number)) for number in range(100)]
        take_samples([(each.id, Sample(NOW, Decimal(each.id))) for each in (*metrics, *cps)], NOW)
        asked = [Subject(Measure.CUSTOM, cast.a.id, metric_id=each.id) for each in metrics]
        asked += [
            Subject(Measure.CPS, cast.a.id, trunk=each.trunk, window=window)
            for each in cps
            for window in (60, 7200, 99_999)
        ]
        with counted_queries() as statements:
            found = readings(asked, NOW)
        assert len(statements) <= 5
        assert [found[each].value for each in asked[:100]] == [each.id for each in metrics]
        assert {found[each].value for each in asked[100:]} == {each.id for each in cps}


class TestHistory:
    def test_of_a_gauge_it_is_the_last_of_each_minute_and_where_it_was_late(self, cast: Cast) -> None:
        metric = _metric(cast)
        _take(metric, (10 * MINUTE, 1), (9.5 * MINUTE, 2), (9 * MINUTE, 3), (4 * MINUTE, 4), (3 * MINUTE, 5))
        found = history(Subject(Measure.BALANCE, cast.a.id), NOW - 10 * MINUTE, NOW)
        assert [(NOW - each.at, each.value, each.is_stale) for each in found] == [
            (9.5 * MINUTE, 2, False),
            (9 * MINUTE, 3, False),
            (7 * MINUTE, 3, True),
            (4 * MINUTE, 4, False),
            (3 * MINUTE, 5, False),
            (MINUTE, 5, True),
        ]

    def test_of_calls_a_second_it_is_the_peak_of_each_window(self, cast: Cast) -> None:
        metric = _metric(cast, Measure.CPS)
        _take(metric, *((ago * MINUTE, value) for ago, value in ((6, 9), (5, 3), (4, 4), (3, 1), (2, 1), (1, 2))))
        found = history(Subject(Measure.CPS, cast.a.id, window=180), NOW - 5 * MINUTE, NOW)
        assert [each.value for each in found] == [9, 9, 4, 4, 2]

    def test_what_comes_every_second_is_read_by_figures(self, cast: Cast) -> None:
        metric = _metric(cast, interval=1)
        _take(metric, *((timedelta(seconds=ago), ago) for ago in range(1, 3600)))
        with counted_queries() as statements:
            found = history(Subject(Measure.BALANCE, cast.a.id), NOW - timedelta(hours=1), NOW)
        assert not any("metric_sample" in each for each in statements)
        assert [each.value for each in found] == [Decimal(300 * number + 1) for number in range(11, -1, -1)]

    def test_nothing_delivered_is_no_history(self, cast: Cast) -> None:
        assert history(Subject(Measure.BALANCE, cast.a.id), NOW - MINUTE, NOW) == []


class TestPureSteps:
    @given(st.lists(st.tuples(st.integers(0, 500), st.integers(-5, 5)), max_size=60), st.integers(1, 100))
    def test_the_highest_of_each_window_is_what_looking_at_all_of_it_finds(
        self, given_samples: list[tuple[int, int]], length: int
    ) -> None:
        at = dict(given_samples)
        samples = [Sample(NOW + timedelta(seconds=each), Decimal(at[each])) for each in sorted(at)]
        within = timedelta(seconds=length)
        obvious = [max(other.value for other in samples if each.at - within < other.at <= each.at) for each in samples]
        assert [each.value for each in highest_within(samples, within)] == obvious

    @given(st.dictionaries(st.integers(-60, 60), st.tuples(*[st.integers(0, 9)] * 9), max_size=30), st.integers(1, 40))
    def test_running_sums_are_what_adding_each_window_finds(
        self, told: dict[int, tuple[int, ...]], length: int
    ) -> None:
        minutes = [(NOW + minute * MINUTE, Sums(*told[minute])) for minute in sorted(told)]
        begin, end = NOW, NOW + 50 * MINUTE
        found = dict(sliding(minutes, begin, end, length * MINUTE))
        now = None
        for number in range(50):
            at = begin + number * MINUTE
            now = found.get(at, now)
            assert now == _added(sums for minute, sums in minutes if at - length * MINUTE <= minute < at)

    def test_half_goes_to_the_even_digit_as_where_it_is_written_out(self) -> None:
        assert [rounded(Decimal(each), 1) for each in ("0.25", "0.35", "-0.04")] == [
            Decimal("0.2"),
            Decimal("0.4"),
            Decimal("0.0"),
        ]
        assert str(rounded(Decimal("-0.04"), 1)) == "0.0"


def _added(several: Iterable[Sums]) -> Sums:
    whole = Sums()
    for each in several:
        whole += each
    return whole
