"""Taking samples: figures always what is kept comes to, twice the same as once, late ones, and what is forgotten."""

import random
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from sqlalchemy import func, select

from portal.audit.rules import SYSTEM
from portal.database import text_of
from portal.errors import RuleViolation
from portal.extensions import db
from portal.records import retention
from portal.usage import actions
from portal.usage.actions import BadSamplesError, Taken, Wanted, add_metric, archive_metric, take_file, take_samples
from portal.usage.models import Metric, MetricFigure, MetricSample
from portal.usage.queries import DAYS, FIVE_MINUTES, HOURS, SAMPLES, earliest_taken, metric_by_id, series
from portal.usage.rules import AHEAD, BATCH_AT_MOST, TOO_EARLY, Figure, Sample, Step, coarser, gathered
from tests.conftest import NOW, counted_queries

ZONE = timezone(timedelta(hours=1))
LONG_AGO, SOON = datetime(2000, 1, 1, tzinfo=UTC), NOW + timedelta(days=2)


@pytest.fixture
def metric(session: None) -> Metric:
    return add_metric(Wanted("pdd", "Post-dial delay", "ms"), by=SYSTEM, now=NOW - timedelta(days=60))


def _take(metric: Metric, *samples: tuple[timedelta, str | int]) -> Taken:
    return take_samples([(metric.id, Sample(NOW - ago, Decimal(value))) for ago, value in samples], NOW)


def _kept(metric: Metric) -> list[Sample]:
    rows = db.session.execute(select(MetricSample.at, MetricSample.value).where(MetricSample.metric_id == metric.id))
    return [Sample(at, value) for at, value in rows]


def _stored(metric: Metric) -> list[list[Figure]]:
    return [list(series(metric.id, step, LONG_AGO, SOON)) for step in Step]


def _expected(metric: Metric) -> list[list[Figure]]:
    five = gathered(_kept(metric), Step.FIVE_MINUTES)
    return [five, coarser(five, Step.HOUR), coarser(five, Step.DAY)]


def test_figures_are_what_the_kept_samples_come_to_however_they_came(metric: Metric) -> None:
    """Many batches in any order, with corrections, late ones and the same again."""
    dice = random.Random(7)  # noqa: S311 (the same samples every time)
    sent: list[tuple[timedelta, str]] = []
    for _round in range(12):
        batch = [
            (timedelta(seconds=dice.randrange(9 * 86_400)), f"{dice.uniform(-5, 900):.6f}")
            for _number in range(dice.randrange(1, 60))
        ]
        again = dice.sample(sent, min(5, len(sent)))
        corrected = [(ago, f"{dice.uniform(0, 9):.3f}") for ago, _value in dice.sample(sent, min(5, len(sent)))]
        _take(metric, *batch, *again, *corrected)
        sent += batch
        assert _stored(metric) == _expected(metric)


def test_the_same_batch_again_changes_nothing_and_writes_no_figure(metric: Metric) -> None:
    batch = [(timedelta(minutes=number), number) for number in range(100)]
    assert _take(metric, *batch) == Taken(100, 0)
    before = _stored(metric)
    with counted_queries() as statements:
        assert _take(metric, *batch) == Taken(0, 100)
    assert not any("metric_figure" in statement for statement in statements)
    assert _stored(metric) == before


@pytest.mark.parametrize("at", [NOW, NOW - timedelta(microseconds=1), (NOW - timedelta(hours=1)).astimezone(ZONE)])
def test_rows_are_held_as_the_models_would_write_them(metric: Metric, at: datetime) -> None:
    """Samples and figures are written past the types of their columns, and found by them."""
    value = Decimal("-12.500001")
    take_samples([(metric.id, Sample(at, value))], NOW)
    (found,) = db.session.scalars(select(MetricSample).where(MetricSample.at == at))
    assert (found.metric_id, found.value) == (metric.id, value)
    whole = select(MetricFigure).where(MetricFigure.last_at == at, MetricFigure.total == value)
    assert {(each.step, each.at) for each in db.session.scalars(whole)} == {(step, step.begin(at)) for step in Step}


def test_what_stood_for_an_hour_or_a_day_and_is_corrected_stands_no_longer(metric: Metric) -> None:
    """At noon, so an hour and a day hold what is before and after it."""
    _take(metric, *((timedelta(minutes=7 * number), number) for number in range(30)))
    for ago, value in ((0, 15), (29, 3), (28, 40), (28, 1), (0, 0)):
        _take(metric, (timedelta(minutes=7 * ago), value))
        assert _stored(metric) == _expected(metric)


def test_a_moment_without_a_zone_is_not_held() -> None:
    with pytest.raises(ValueError, match="time zone"):
        text_of(datetime(2026, 11, 21))  # noqa: DTZ001 (that is the point)
    assert text_of(datetime(2026, 11, 21, 13, 0, 0, 5, ZONE)) == "2026-11-21 12:00:00.000005"


def test_of_one_moment_the_last_stands_and_a_correction_counts_as_taken(metric: Metric) -> None:
    assert _take(metric, (timedelta(), 1), (timedelta(), 2)) == Taken(1, 1)
    assert _take(metric, (timedelta(), 3)) == Taken(1, 0)
    assert [each.last for each in series(metric.id, Step.DAY, LONG_AGO, SOON)] == [3]


def test_sums_larger_than_any_whole_number_of_a_database_are_exact(metric: Metric) -> None:
    large = "999999999999.999999"
    _take(metric, *((timedelta(seconds=number), large) for number in range(50)))
    (day,) = series(metric.id, Step.DAY, LONG_AGO, SOON)
    assert day.total == 50 * Decimal(large)
    assert day.mean == Decimal(large)


def test_a_batch_is_taken_whole_or_not_at_all(metric: Metric) -> None:
    gone = add_metric(Wanted("gone", "Gone"), by=SYSTEM, now=NOW)
    archive_metric(gone, version=1, by=SYSTEM, now=NOW)
    batch = [
        (metric.id, Sample(NOW, Decimal(1))),
        (metric.id, Sample(NOW + timedelta(minutes=6), Decimal(1))),
        (metric.id, Sample(NOW - timedelta(days=40), Decimal(1))),
        (metric.id + 1000, Sample(NOW, Decimal(1))),
        (gone.id, Sample(NOW, Decimal(1))),
    ]
    with pytest.raises(BadSamplesError) as refused:
        take_samples(batch, NOW)
    assert refused.value.sentences == {
        1: AHEAD,
        2: TOO_EARLY,
        3: "There is no such metric.",
        4: "This metric is archived.",
    }
    assert not _kept(metric)


def test_a_batch_has_an_end(metric: Metric) -> None:
    one = (metric.id, Sample(NOW, Decimal(1)))
    assert take_samples([one] * BATCH_AT_MOST, NOW) == Taken(1, BATCH_AT_MOST - 1)
    with pytest.raises(RuleViolation, match="10,000"):
        take_samples([one] * (BATCH_AT_MOST + 1), NOW)


def test_a_batch_costs_the_same_statements_whatever_there_is(metric: Metric) -> None:
    def cost(begin: int) -> int:
        with counted_queries() as statements:
            _take(metric, *((timedelta(minutes=begin + number), number) for number in range(300)))
        return len(statements)

    db.session.commit()
    cost(0)
    first = cost(400)
    _take(metric, *((timedelta(minutes=10_000 + number), 1) for number in range(5000)))
    assert cost(2000) == first


def test_a_batch_of_many_metrics_costs_no_statements_for_each(metric: Metric) -> None:
    """A machine sends all it measures in one request; no other writer waits for thousands of statements."""
    ids = [metric.id, *(add_metric(Wanted(f"m{each}", "M"), by=SYSTEM, now=NOW).id for each in range(150))]

    def cost(some: list[int]) -> int:
        with counted_queries() as statements:
            taken = take_samples([(each, Sample(NOW, Decimal(len(some)))) for each in some], NOW)
        assert taken == Taken(len(some), 0)
        return len(statements)

    db.session.commit()
    cost(ids[:2])
    assert cost(ids) == cost(ids[:1])
    assert [[figure.last for figure in series(each, Step.DAY, LONG_AGO, SOON)] for each in ids[:2]] == [[1], [151]]


class TestForgetting:
    def _forget(self, metric: Metric) -> None:
        for name in (SAMPLES, FIVE_MINUTES, HOURS, DAYS):
            while retention.forget_some(name, NOW):
                pass

    def test_samples_go_and_figures_stay(self, metric: Metric) -> None:
        for ago in (0, 29, 30):
            _take(metric, (timedelta(days=ago), 1))
        then = NOW + timedelta(days=1)
        before = _stored(metric)
        assert retention.forget_some(SAMPLES, then) == 1
        assert retention.forget_some(SAMPLES, then) == 0
        assert len(_kept(metric)) == 2
        assert _stored(metric) == before

    def test_of_a_forgotten_day_nothing_is_counted_anew(self, metric: Metric) -> None:
        """Else a late sample would stand for all that was there, even when samples are kept longer from now on."""
        _take(metric, *((timedelta(days=30, seconds=number), 5) for number in range(10)))
        before = _stored(metric)
        assert retention.forget_some(SAMPLES, NOW + timedelta(days=1)) == 10
        retention.change(SAMPLES, 90, version=0, by=SYSTEM, now=NOW)
        retention.change(FIVE_MINUTES, 90, version=0, by=SYSTEM, now=NOW)
        with pytest.raises(BadSamplesError):
            _take(metric, (timedelta(days=30), 1))
        assert _stored(metric) == before

    def test_a_shorter_life_of_any_figure_shortens_what_is_taken(self, metric: Metric) -> None:
        assert earliest_taken(metric, NOW) == datetime(2026, 10, 22, tzinfo=UTC)
        retention.change(FIVE_MINUTES, 10, version=0, by=SYSTEM, now=NOW)
        assert earliest_taken(metric, NOW) == datetime(2026, 11, 11, tzinfo=UTC)

    def test_figures_go_by_their_own_clocks_in_bounded_pieces(self, metric: Metric) -> None:
        _take(metric, *((timedelta(days=day), 1) for day in range(29)))
        assert actions.forget_figures(Step.FIVE_MINUTES, NOW - timedelta(days=4), 10) == 10
        assert actions.forget_figures(Step.FIVE_MINUTES, NOW - timedelta(days=4), 1000) == 14
        assert actions.forget_figures(Step.FIVE_MINUTES, NOW - timedelta(days=4), 1000) == 0
        count = select(func.count()).select_from(MetricFigure)
        assert db.session.scalar(count.where(MetricFigure.step == Step.FIVE_MINUTES)) == 5
        assert db.session.scalar(count.where(MetricFigure.step == Step.DAY)) == 29

    def test_a_year_of_days_stays(self, session: None) -> None:
        days = {each.keeping.name: each.days for each in retention.settings()}
        assert days[DAYS] >= 366
        assert days[HOURS] >= 31


def test_a_file_is_taken_line_by_line_and_written_down(metric: Metric) -> None:
    rows = [["2026-11-21T11:00:00Z", "1"], ["2026-11-21T11:01:00Z", "x"], ["2026-11-21T11:02:00Z", "2"]]
    taken, wrong = take_file(metric, rows, by=SYSTEM, now=NOW)
    assert (taken, [each.number for each in wrong]) == (Taken(2, 0), [2])
    assert take_file(metric, rows, by=SYSTEM, now=NOW)[0] == Taken(0, 2)
    with pytest.raises(RuleViolation, match="no sample"):
        take_file(metric, [["time", "value"]], by=SYSTEM, now=NOW)


def test_a_key_that_somebody_else_takes_at_the_same_moment_is_refused_in_words(
    metric: Metric, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who looks first and writes second finds no row of a transaction that is not over yet."""
    other_id = actions.add_metric(Wanted("other", "Other"), by=SYSTEM, now=NOW).id
    db.session.commit()
    looked: list[str] = []

    def is_taken(key: str, _but: int | None) -> bool:
        looked.append(key)
        return len(looked) > 1

    monkeypatch.setattr(actions, "is_key_taken", is_taken)
    with pytest.raises(RuleViolation, match="already"):
        actions.add_metric(Wanted(metric.key, "Again"), by=SYSTEM, now=NOW)
    looked.clear()
    other = metric_by_id(other_id)
    assert other is not None
    with pytest.raises(RuleViolation, match="already"):
        actions.edit_metric(other, Wanted(metric.key, "Other"), version=other.version, by=SYSTEM, now=NOW)
    db.session.commit()
    assert [each.key for each in db.session.scalars(select(Metric).order_by(Metric.id))] == [metric.key, "other"]
