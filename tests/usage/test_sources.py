"""Sources that are unread: marked by every ingest in its own transaction, looked at once, and never missed."""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from portal.audit.rules import SYSTEM
from portal.errors import RuleViolation
from portal.extensions import db
from portal.usage import sources
from portal.usage.actions import Wanted, add_metric, archive_metric, edit_metric, restore_metric, take_samples
from portal.usage.models import MeasuredSource, Metric, SourceKind
from portal.usage.queries import metric_by_id
from portal.usage.rules import Measure, Sample
from portal.usage.sources import Told
from tests.conftest import NOW, Cast, counted_queries


def _metric(cast: Cast, key: str = "balance", measure: Measure = Measure.BALANCE, trunk: str = "") -> Metric:
    wanted = Wanted(key, "Anything", company_id=cast.a.id, measure=measure, trunk=trunk)
    made = add_metric(wanted, by=SYSTEM, now=NOW)
    return _read(made.id)


def _read(metric_id: int) -> Metric:
    found = metric_by_id(metric_id)
    assert found is not None
    return found


def _take(metric: Metric, *samples: tuple[int, int], now: datetime = NOW) -> None:
    take_samples([(metric.id, Sample(NOW - timedelta(minutes=ago), Decimal(value))) for ago, value in samples], now)


def _source(metric: Metric) -> MeasuredSource:
    return db.session.scalars(
        select(MeasuredSource).where(MeasuredSource.metric_id == metric.id).execution_options(populate_existing=True)
    ).one()


class TestMarking:
    def test_samples_mark_their_metric_with_the_latest_of_them(self, cast: Cast) -> None:
        metric = _metric(cast)
        _take(metric, (3, 10), (1, 30), (2, 20))
        found = _source(metric)
        assert (found.company_id, found.kind, found.last_at, found.last_value, found.unread_since) == (
            cast.a.id,
            SourceKind.METRIC,
            NOW - timedelta(minutes=1),
            Decimal(30),
            NOW,
        )

    def test_a_late_sample_is_unread_too_and_takes_nothing_from_the_latest(self, cast: Cast) -> None:
        metric = _metric(cast)
        _take(metric, (1, 30))
        sources.mark_read([_source(metric).id])
        _take(metric, (9, 5), now=NOW + timedelta(minutes=1))
        found = _source(metric)
        assert (found.last_at, found.last_value) == (NOW - timedelta(minutes=1), Decimal(30))
        assert found.unread_since == NOW + timedelta(minutes=1)

    def test_a_correction_of_the_latest_sample_is_the_latest(self, cast: Cast) -> None:
        metric = _metric(cast)
        _take(metric, (1, 30))
        _take(metric, (1, 31))
        assert _source(metric).last_value == 31

    def test_what_brought_nothing_new_stays_read(self, cast: Cast) -> None:
        metric = _metric(cast)
        _take(metric, (1, 30))
        sources.mark_read([_source(metric).id])
        _take(metric, (1, 30))
        assert _source(metric).unread_since is None

    def test_a_metric_for_everybody_is_no_source(self, session: None) -> None:
        metric = add_metric(Wanted("pdd", "Post-dial delay"), by=SYSTEM, now=NOW)
        _take(metric, (1, 30))
        assert db.session.scalars(select(MeasuredSource)).all() == []

    def test_a_thousand_metrics_are_marked_by_one_statement(self, cast: Cast) -> None:
        metrics = [_metric(cast, f"own-{number}", Measure.CUSTOM) for number in range(40)]
        with counted_queries() as statements:
            take_samples([(each.id, Sample(NOW, Decimal(1))) for each in metrics], NOW)
        assert sum("INTO measured_source" in statement for statement in statements) == 1
        assert len(sources.unread(100)) == 40

    def test_whoever_changes_what_a_metric_says_has_it_looked_at_again(self, cast: Cast) -> None:
        metric = _metric(cast)
        _take(metric, (1, 30))
        wanted = Wanted("balance", "Anything", company_id=cast.a.id, measure=Measure.BALANCE, debit_limit=Decimal(50))
        acts: tuple[Callable[[Metric], None], ...] = (
            lambda found: edit_metric(found, wanted, version=found.version, by=SYSTEM, now=NOW),
            lambda found: archive_metric(found, version=found.version, by=SYSTEM, now=NOW),
            lambda found: restore_metric(found, version=found.version, by=SYSTEM, now=NOW),
        )
        for act in acts:
            sources.mark_read([_source(metric).id])
            act(_read(metric.id))
            assert _source(metric).unread_since == NOW

    def test_calls_mark_the_company_once_whatever_is_told_how_often(self, cast: Cast) -> None:
        sources.note(cast.a.id, "calls", None, NOW - timedelta(minutes=5), now=NOW)
        sources.note(cast.a.id, SourceKind.CALLS, None, NOW - timedelta(minutes=9), now=NOW + timedelta(minutes=1))
        (found,) = sources.unread(10)
        assert (found.kind, found.metric_id, found.last_at) == (SourceKind.CALLS, None, NOW - timedelta(minutes=5))
        assert found.unread_since == NOW


class TestReading:
    def test_the_longest_waiting_come_first_and_only_so_many(self, cast: Cast) -> None:
        told = [Told(company.id, SourceKind.CALLS, None, NOW) for company in (cast.b, cast.a)]
        sources.note_all(told[:1], now=NOW + timedelta(minutes=1))
        sources.note_all(told[1:], now=NOW)
        assert [each.company_id for each in sources.unread(10)] == [cast.a.id, cast.b.id]
        assert [each.company_id for each in sources.unread(1)] == [cast.a.id]

    def test_what_was_looked_at_is_read_until_something_comes_in(self, cast: Cast) -> None:
        sources.note(cast.a.id, "calls", None, NOW, now=NOW)
        sources.mark_read([each.id for each in sources.unread(10)])
        assert sources.unread(10) == []
        sources.note(cast.a.id, "calls", None, NOW, now=NOW)
        assert len(sources.unread(10)) == 1


class TestMeasures:
    def test_of_one_measure_at_one_place_there_is_one_live_metric(self, cast: Cast) -> None:
        first = _metric(cast)
        with pytest.raises(RuleViolation, match="delivers balance"):
            _metric(cast, "other")
        assert _metric(cast, "of-trunk", trunk="London").trunk == "London"
        archive_metric(first, version=first.version, by=SYSTEM, now=NOW)
        _metric(cast, "second")
        with pytest.raises(RuleViolation, match="delivers balance"):
            restore_metric(first, version=first.version, by=SYSTEM, now=NOW)

    def test_the_database_holds_it_where_two_look_at_the_same_moment(
        self, cast: Cast, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _metric(cast)
        answers = iter([False, True])
        monkeypatch.setattr("portal.usage.actions.is_measured", lambda *_rest: next(answers))
        with pytest.raises(RuleViolation, match="delivers balance"):
            _metric(cast, "other")

    def test_of_its_own_a_company_has_as_many_as_it_likes(self, cast: Cast) -> None:
        for key in ("one", "two"):
            assert _metric(cast, key, Measure.CUSTOM).measure is Measure.CUSTOM
        without = add_metric(Wanted("three", "Three", company_id=cast.a.id), by=SYSTEM, now=NOW)
        assert without.measure is Measure.CUSTOM

    @pytest.mark.parametrize("measure", [Measure.ASR, Measure.NER, Measure.ACD, Measure.PDD, Measure.CREDIT])
    def test_what_is_counted_is_never_sampled(self, cast: Cast, measure: Measure) -> None:
        with pytest.raises(RuleViolation, match="no samples are taken"):
            _metric(cast, measure=measure)

    @pytest.mark.parametrize(
        ("wanted", "field"),
        [
            (Wanted("x", "X", measure=Measure.BALANCE), "measure"),
            (Wanted("x", "X", trunk="London"), "measure"),
            (Wanted("x", "X", debit_limit=Decimal(1)), "measure"),
            (Wanted("x", "X", company_id=1, measure=Measure.CPS, debit_limit=Decimal(1)), "debit_limit"),
            (Wanted("x", "X", company_id=1, measure=Measure.BALANCE, debit_limit=Decimal(10) ** 13), "debit_limit"),
            (Wanted("x", "X", company_id=1, trunk="t" * 101), "trunk"),
            (Wanted("x", "X", company_id=1, measure=Measure.CPS, is_shown=True), "is_shown"),
            (Wanted("x", "X", company_id=1, trunk="London", is_shown=True), "is_shown"),
        ],
    )
    def test_what_does_not_fit_is_refused_where_it_was_typed(self, cast: Cast, wanted: Wanted, field: str) -> None:
        wanted = Wanted(**{**vars(wanted), "company_id": wanted.company_id and cast.a.id})
        with pytest.raises(RuleViolation) as refused:
            add_metric(wanted, by=SYSTEM, now=NOW)
        assert refused.value.field == field

    def test_what_it_delivers_may_be_said_later(self, cast: Cast) -> None:
        metric = _metric(cast, measure=Measure.CUSTOM)
        wanted = Wanted("balance", "Anything", company_id=cast.a.id, measure=Measure.BALANCE, debit_limit=Decimal("-5"))
        edit_metric(metric, wanted, version=metric.version, by=SYSTEM, now=NOW)
        found = _read(metric.id)
        assert (found.measure, found.debit_limit) == (Measure.BALANCE, Decimal(-5))
