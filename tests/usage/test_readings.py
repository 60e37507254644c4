"""What figures are and were: as they are shown, undefined or late where they are that, and in few queries."""

import random
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.accounts.models import Company
from portal.audit.rules import SYSTEM
from portal.usage.actions import Wanted, add_metric, archive_metric, take_samples
from portal.usage.calls.actions import take_calls
from portal.usage.calls.rules import Call, Outcome, Sums, milliseconds
from portal.usage.models import Metric
from portal.usage.readings import Reading, Subject, _parts, history, readings, sliding
from portal.usage.rules import Measure, Sample, highest_within, rounded
from tests.conftest import NOW, Cast, counted_queries

MINUTE = timedelta(minutes=1)
NUMBERS = count()


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
        assert (late.value, late.is_stale, late.next_at) == (Decimal(1), True, None)

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


def _call(
    company: Company, ago: int, rings: float | None = None, talk: float | None = None, *, lasts: float = 10, **rest: Any
) -> tuple[int, Call]:
    """A call that started so many seconds ago, rang after some, was answered then, and ended."""
    started = milliseconds(NOW) - ago * 1000
    ringing = None if rings is None else started + int(rings * 1000)
    answered = ringing if talk is not None else None
    ended = started + int(lasts * 1000) if answered is None else answered + int((talk or 0) * 1000)
    told = {"outcome": Outcome.FAILED if answered is None else Outcome.ANSWERED, "ended": ended, "trunk": ""} | rest
    number = next(NUMBERS)
    return company.id, Call(
        f"call-{number}", "441", "442", started, ringing, answered, code=None, carrier="", service_id=None, **told
    )


class TestCalls:
    """The figures as worked by hand; `now` is a full minute, and records may be a minute late."""

    def _asked(self, company: Company, window: int = 600, **place: Any) -> dict[Measure, Reading]:
        subjects = {each: Subject(each, company.id, window=window, **place) for each in Measure if each.is_of_calls}
        found = readings(list(subjects.values()), NOW)
        return {measure: found[subject] for measure, subject in subjects.items()}

    def test_each_is_counted_from_the_calls_of_its_window(self, cast: Cast) -> None:
        take_calls(
            [
                _call(
                    cast.a, 61, 2, None
                ),  # not answered, in the last second of the window, and still ringing as it ends
                _call(cast.a, 300, 1, 30),
                _call(cast.a, 300, 3, 60.2),
                _call(cast.a, 301, None, None, outcome=Outcome.BUSY),
                _call(cast.a, 660, 9, None),  # at its very beginning
                _call(cast.a, 661, 9, None),  # before it
                _call(cast.a, 60, 9, 1),  # after it
                _call(cast.b, 300, 9, None),
            ],
            NOW,
        )
        found = self._asked(cast.a)
        values = {measure: (reading.value, reading.count) for measure, reading in found.items()}
        assert values == {
            Measure.ASR: (Decimal("40.00"), 5),
            Measure.NER: (Decimal("60.00"), 5),
            Measure.ACD: (Decimal("45.1"), 2),
            Measure.PDD: (Decimal("3750"), 4),
            Measure.CPS: (2, None),
            Measure.CHANNELS: (1, None),
            Measure.ATTEMPTS: (5, 5),
            Measure.ANSWERED: (2, 5),
        }
        assert {reading.at for reading in found.values()} == {NOW - MINUTE}

    def test_no_call_is_undefined_or_a_true_zero_and_no_feed_at_all_is_neither(self, cast: Cast) -> None:
        take_calls([_call(cast.a, 7200, 1, 30)], NOW)
        zero = {Measure.CPS, Measure.CHANNELS, Measure.ATTEMPTS, Measure.ANSWERED}
        for measure, reading in self._asked(cast.a).items():
            assert (reading.value, reading.is_stale) == (0 if measure in zero else None, False), measure
            assert reading.next_at is None, "nothing is left that could change it"
        for reading in self._asked(cast.b).values():
            assert (reading.value, reading.is_stale) == (None, True)

    def test_while_calls_are_in_the_window_it_changes_as_that_slides(self, cast: Cast) -> None:
        take_calls([_call(cast.a, 300, 1, 30)], NOW)
        subject = Subject(Measure.ASR, cast.a.id, window=600)
        assert _read(subject).next_at == NOW + MINUTE
        assert _read(subject, NOW + timedelta(seconds=59)).at == NOW - MINUTE
        assert _read(subject, NOW + 30 * MINUTE) == Reading(None, 0, NOW + 29 * MINUTE, is_stale=False, next_at=None)

    def test_channels_hold_calls_in_progress_and_in_setup(self, cast: Cast) -> None:
        setup: dict[str, Any] = {"ended": None, "outcome": None}
        talking: dict[str, Any] = {"ended": None}
        take_calls([_call(cast.a, 90, None, None, **setup), _call(cast.a, 4000, 1, 1, **talking)], NOW)
        subject = Subject(Measure.CHANNELS, cast.a.id)
        assert _read(subject).value == 2
        assert _read(subject, NOW + timedelta(hours=26)).value == 0, "nobody saw their end, a day later they are over"

    def test_a_trunk_and_a_service_have_their_own(self, cast: Cast) -> None:
        take_calls([_call(cast.a, 300, 1, 30, trunk="London"), _call(cast.a, 300, None, None, trunk="Paris")], NOW)
        assert self._asked(cast.a, trunk="London")[Measure.ASR].value == 100
        assert self._asked(cast.a, trunk="Paris")[Measure.ASR].value == 0
        assert self._asked(cast.a, service_id=5)[Measure.ASR].value is None
        assert self._asked(cast.a)[Measure.ASR].value == 50

    def test_live_samples_go_before_records_for_channels_and_calls_a_second(self, cast: Cast) -> None:
        take_calls([_call(cast.a, 300, 1, 30)], NOW)
        for measure, value in ((Measure.CPS, 40), (Measure.CHANNELS, 70)):
            _take(_metric(cast, measure, key=f"live-{measure}"), (MINUTE, value))
        found = self._asked(cast.a)
        assert (found[Measure.CPS].value, found[Measure.CHANNELS].value) == (Decimal(40), Decimal(70))
        assert found[Measure.ATTEMPTS].value == 1

    @pytest.mark.parametrize("measure", [each for each in Measure if each.is_of_calls])
    def test_the_history_says_at_each_minute_what_was_read_then(self, cast: Cast, measure: Measure) -> None:
        dice = random.Random(5)  # noqa: S311 (the same calls every time)
        batch = [
            _call(cast.a, dice.randrange(120, 7200), dice.choice([None, 1.5, 3]), None, lasts=dice.randrange(4, 118))
            for _number in range(60)
        ]
        batch += [_call(cast.a, dice.randrange(1000, 7200), 2, dice.randrange(1, 900)) for _number in range(60)]
        take_calls(batch, NOW)
        subject = Subject(measure, cast.a.id, window=900)
        with counted_queries() as statements:
            found = history(subject, NOW - timedelta(hours=2), NOW - MINUTE)
        assert len(statements) <= 2
        said = {each.at: (each.value, each.count) for each in found}
        now: tuple[Decimal | None, int | None] | None = None
        for minute in range(119):
            at = NOW - timedelta(hours=2) + minute * MINUTE
            now = said.get(at, now)
            reading = _read(subject, at + MINUTE)
            assert now == (reading.value, reading.count), (minute, measure)


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

    def test_calls_of_many_are_read_in_as_many_statements_as_of_one(self, cast: Cast) -> None:
        take_calls([_call(company, 300, 1, 30, trunk=f"t{n}") for company in (cast.a, cast.b) for n in range(40)], NOW)
        asked = [
            Subject(measure, company.id, trunk=f"t{number}", window=window)
            for measure in Measure
            if measure.is_of_calls
            for company in (cast.a, cast.b)
            for number in range(40)
            for window in (300, 86_400)
        ]
        with counted_queries() as statements:
            found = readings(asked, NOW)
        assert len(statements) <= 4
        assert len(found) == len(asked)


class TestHistory:
    def test_of_a_gauge_it_is_the_last_of_each_minute_and_where_it_was_late(self, cast: Cast) -> None:
        metric = _metric(cast)
        _take(metric, (10 * MINUTE, 1), (9.5 * MINUTE, 2), (9 * MINUTE, 3), (4 * MINUTE, 4), (3 * MINUTE, 5))
        found = history(Subject(Measure.BALANCE, cast.a.id), NOW - 10 * MINUTE, NOW)
        assert [(NOW - each.at, each.value, each.is_stale) for each in found] == [
            (9.5 * MINUTE, Decimal(2), False),
            (9 * MINUTE, Decimal(3), False),
            (7 * MINUTE, Decimal(3), True),
            (4 * MINUTE, Decimal(4), False),
            (3 * MINUTE, Decimal(5), False),
            (MINUTE, Decimal(5), True),
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
