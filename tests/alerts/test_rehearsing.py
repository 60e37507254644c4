"""Trying an alert on the past of a company: from samples and calls that are kept, in few queries, without a trace."""

import time
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from flask_babel import force_locale
from sqlalchemy import func, insert, select

from portal.alerts import rehearsing, scripts
from portal.alerts.models import AlertEvent, AlertWatch
from portal.alerts.rehearsing import rehearsed, sentences
from portal.alerts.rules import AlertArea, Happening, Operator, Repeat
from portal.alerts.rules.checks import Wanted, tidied
from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.usage.actions import Wanted as WantedMetric
from portal.usage.actions import add_metric, take_samples
from portal.usage.calls.models import CallTally
from portal.usage.calls.rules import CallStep
from portal.usage.models import Metric
from portal.usage.readings import Reading
from portal.usage.rules import Measure, Sample
from tests.conftest import NOW, Cast, counted_queries

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def _metric(cast: Cast, measure: Measure, key: str, interval: int = 3600) -> Metric:
    wanted = WantedMetric(key, "Anything", company_id=cast.a.id, measure=measure, decimals=2, interval=interval)
    return add_metric(wanted, by=SYSTEM, now=NOW - timedelta(days=40))


def _take(metric: Metric, *samples: tuple[timedelta, int]) -> None:
    take_samples([(metric.id, Sample(NOW - ago, Decimal(value))) for ago, value in samples], NOW)


def _wanted(cast: Cast, area: AlertArea, **more: object) -> Wanted:
    given: dict[str, object] = {"operator": Operator.LESS, "company_id": cast.a.id, "recipients": ("a@b.example",)}
    return tidied(Wanted("Low", area, **{**given, **more}))  # type: ignore[arg-type]


def _balances(cast: Cast) -> None:
    """Every hour of six days: 100, but for three hours of 9, an hour of 11, and an hour of 9 again."""
    low = {60: 9, 59: 9, 58: 9, 57: 11, 56: 9}
    _take(_metric(cast, Measure.BALANCE, "balance"), *((ago * HOUR, low.get(ago, 100)) for ago in range(1, 145)))


def test_a_balance_that_was_low_twice(cast: Cast) -> None:
    _balances(cast)
    found = rehearsed(_wanted(cast, AlertArea.BALANCE, threshold=Decimal(10)), cast.a.id, NOW)
    assert [(mail.at, mail.says) for mail in found.mails] == [
        (NOW - 60 * HOUR, Happening.TRIGGERED),
        (NOW - 57 * HOUR, Happening.NORMAL),
        (NOW - 56 * HOUR, Happening.TRIGGERED),
        (NOW - 55 * HOUR, Happening.NORMAL),
    ]
    assert sentences(found) == [
        "Looking back 6 days, it would have sent 4 mails.",
        "The longest alert lasted 3 hours.",
    ]


def test_what_a_reset_would_have_held_back_is_said_in_either_language(cast: Cast) -> None:
    _balances(cast)
    wanted = _wanted(cast, AlertArea.BALANCE, threshold=Decimal(10), reset=Decimal(50))
    found = rehearsed(wanted, cast.a.id, NOW)
    assert sentences(found) == [
        "Looking back 6 days, it would have sent 2 mails.",
        "The longest alert lasted 5 hours.",
        "2 more were held back by the reset value.",
    ]
    with force_locale("de"):
        assert sentences(found) == [
            "Im Rückblick (6 Tage) wären 2 E-Mails verschickt worden.",
            "Der längste Alarm dauerte: 5 Stunden.",
            "2 weitere hat der Rücksetzwert zurückgehalten.",
        ]


def test_one_still_triggered_and_what_came_too_late(cast: Cast) -> None:
    _take(_metric(cast, Measure.BALANCE, "balance"), (8 * HOUR, 100), (4 * HOUR, 9), (3 * HOUR, 9))
    found = rehearsed(_wanted(cast, AlertArea.BALANCE, threshold=Decimal(10)), cast.a.id, NOW)
    assert sentences(found) == [
        "Looking back 8 hours, it would have sent 1 mail.",
        "The longest alert has lasted 4 hours and would still be there.",
        "For 3 hours there was nothing to judge by.",
    ]


def test_nothing_is_known_of_the_past(cast: Cast) -> None:
    found = rehearsed(_wanted(cast, AlertArea.BALANCE, threshold=Decimal(10)), cast.a.id, NOW)
    assert found.begins is None
    assert sentences(found) == ["There are no figures of the last 30 days to try this on."]


def test_a_script_is_gone_through_by_all_its_figures(cast: Cast) -> None:
    _balances(cast)
    _take(_metric(cast, Measure.CUSTOM, "queue"), *((ago * HOUR, 1 if ago != 59 else 5) for ago in range(1, 145)))
    script = 'balance() < 10 && metric("queue") < 3 && metric("gone") < 3 || balance() < 10 && metric("queue") >= 3'
    found = rehearsed(_wanted(cast, AlertArea.SCRIPT, script=script), cast.a.id, NOW)
    # Of what hangs on the metric that is not there nothing can be said; the other half is true for an hour.
    assert [(moment.at, moment.what) for moment in found.moments] == [
        (NOW - 60 * HOUR, Happening.NO_DATA),
        (NOW - 59 * HOUR, Happening.DATA_AGAIN),
        (NOW - 59 * HOUR, Happening.TRIGGERED),
        (NOW - 58 * HOUR, Happening.NO_DATA),
        (NOW - 57 * HOUR, Happening.DATA_AGAIN),
        (NOW - 57 * HOUR, Happening.NORMAL),
        (NOW - 56 * HOUR, Happening.NO_DATA),
        (NOW - 55 * HOUR, Happening.DATA_AGAIN),
    ]
    assert sentences(found)[0] == "Looking back 6 days, it would have sent 2 mails."


def test_of_a_script_of_many_figures_the_past_is_shorter(cast: Cast) -> None:
    script = " || ".join(f'cps("{minutes}m") > 5' for minutes in range(1, 7))
    _calls(cast.a.id, 5 * 24 * 60, each=60)
    found = rehearsed(_wanted(cast, AlertArea.SCRIPT, script=script), cast.a.id, NOW)
    assert found.begins == NOW - timedelta(days=10)


def test_it_reads_little_and_writes_nothing(cast: Cast) -> None:
    _balances(cast)
    wanted = _wanted(cast, AlertArea.BALANCE, threshold=Decimal(10), repeat=Repeat.DAILY, repeat_hour=8)
    with counted_queries() as statements:
        assert rehearsed(wanted, cast.a.id, NOW).mails
    assert len(statements) <= 5
    script = 'balance() < 10 || metric("queue") > 3'
    with counted_queries() as statements:
        assert rehearsed(_wanted(cast, AlertArea.SCRIPT, script=script), cast.a.id, NOW).mails
    assert len(statements) <= 6
    assert not any(statement.lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE")) for statement in statements)
    for table in (AlertEvent, AlertWatch):
        assert db.session.scalar(select(func.count()).select_from(table)) == 0


def test_only_metrics_of_the_company_are_named(cast: Cast) -> None:
    ours = _metric(cast, Measure.CUSTOM, "queue")
    assert rehearsing.metric_ids(cast.a.id, {"queue"}) == {"queue": ours.id}
    assert rehearsing.metric_ids(cast.b.id, {"queue"}) == {}
    with counted_queries() as statements:
        assert rehearsing.metric_ids(cast.a.id, set()) == {}
    assert statements == []


def test_what_is_no_script_is_refused(cast: Cast) -> None:
    with pytest.raises(scripts.ScriptError):
        rehearsed(_wanted(cast, AlertArea.SCRIPT, script="print()"), cast.a.id, NOW)


def _calls(company_id: int, minutes: int, each: int = 1) -> None:
    """What calls came to in so many minutes, the last of every `each`."""
    rows = [
        {
            "company_id": company_id,
            "scope": "",
            "step": CallStep.MINUTE,
            "at": NOW - ago * MINUTE,
            **{"attempts": 40, "answered": ago * 7919 % 40, "effective": 40, "rung": 40, "pdd_ms": 40_000},
            **{"ended": 20, "talk_ms": 1_200_000, "closed": 40, "open": 0, "peak": 3, "seconds": b""},
        }
        for ago in range(1, minutes + 1, each)
    ]
    db.session.execute(insert(CallTally), rows)


def test_thirty_days_with_calls_in_each_minute_are_no_long_wait(cast: Cast) -> None:
    """Two seconds by the clock of the process are wanted; ten times that is a time-out for a busy machine."""
    _calls(cast.a.id, 43_200)
    wanted = _wanted(
        cast,
        AlertArea.ASR,
        threshold=Decimal(45),
        reset=Decimal(55),
        window=300,
        must_last=120,
        must_be_well=120,
        repeat=Repeat.HOURLY,
    )
    began = time.process_time()
    found = rehearsed(wanted, cast.a.id, NOW)
    spent = time.process_time() - began
    assert found.begins == NOW - timedelta(days=30)
    assert found.moments
    assert spent < 2 * 10, spent


def test_the_last_reading_of_a_minute_counts_for_a_script() -> None:
    script = scripts.read("balance() < 10")
    wanted = scripts.subjects(script, 1, None, "", {})
    (subject,) = wanted.values()

    def at(seconds: int, value: int) -> Reading:
        return Reading(Decimal(value), None, _base() + timedelta(seconds=seconds), False, None)

    found = rehearsing.joined(script, wanted, {subject: [at(0, 100), at(61, 5), at(110, 50), at(130, 5), at(190, 6)]})
    assert [(each.at - _base(), each.value) for each in found] == [
        (timedelta(), Decimal(0)),
        (timedelta(seconds=130), Decimal(1)),
    ]


def _base() -> datetime:
    return NOW.replace(minute=0, second=0, microsecond=0)
