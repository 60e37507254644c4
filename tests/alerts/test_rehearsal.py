"""What an alert would have done in the past: the same as looking every minute, and quickly."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.alerts.rules import Condition, Happening, Operator, Repeat
from portal.alerts.rules.rehearsal import Moment, Rehearsal, rehearse
from portal.alerts.rules.stepping import begun, step

BEGINS = datetime(2026, 10, 24, tzinfo=UTC)

SLACK = 10
"""So many times as long as is wanted may be what a busy machine makes of it."""
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Seen:
    value: Decimal | None
    at: datetime
    count: int | None = None
    is_stale: bool = False
    next_at: datetime | None = None


def at(minute: float) -> datetime:
    return BEGINS + minute * MINUTE


def values(*found: float | None, counts: Sequence[int] = ()) -> list[Seen]:
    """A value each minute; 0.5 and the like are exact as written."""
    return [
        Seen(None if value is None else Decimal(str(value)), at(minute), counts[minute] if counts else None)
        for minute, value in enumerate(found)
    ]


LOW = Condition(Operator.LESS, Decimal(40))


def rehearsed(condition: Condition, readings: Sequence[Seen], minutes: int | None = None) -> Rehearsal:
    return rehearse(condition, readings, at(len(readings) if minutes is None else minutes))


def test_nothing_to_go_through() -> None:
    found = rehearsed(LOW, [], 10)
    assert found == Rehearsal(None, at(10))
    assert (found.mails, found.longest, found.by_reset) == ((), None, None)


def test_mails_stretches_and_the_longest() -> None:
    found = rehearsed(LOW, values(50, 39, 39, 39, 50, 50, 30, 50))
    assert list(found.mails) == [
        Moment(at(1), Happening.TRIGGERED, Happening.TRIGGERED, Decimal(39), None),
        Moment(at(4), Happening.NORMAL, Happening.NORMAL, Decimal(50), None),
        Moment(at(6), Happening.UNSTABLE, Happening.UNSTABLE, Decimal(30), None),
    ]
    assert [(stretch.begins, stretch.ends, stretch.is_over) for stretch in found.stretches] == [
        (at(1), at(4), True),
        (at(6), at(7), True),
    ]
    assert found.longest
    assert found.longest.length == 3 * MINUTE
    assert (found.by_reset, found.by_must_last, found.by_must_be_well, found.by_least_count) == (None, None, None, None)


def test_bad_from_the_beginning_to_the_end() -> None:
    found = rehearsed(replace(LOW, repeat=Repeat.HOURLY), values(30), 150)
    assert [(mail.at, mail.says) for mail in found.mails] == [
        (at(0), Happening.TRIGGERED),
        (at(60), Happening.REPEATED),
        (at(120), Happening.REPEATED),
    ]
    assert found.sent(Happening.REPEATED) == 2
    assert found.longest
    assert (found.longest.ends, found.longest.is_over) == (at(150), False)


def test_what_the_reset_holds_back() -> None:
    """39 and 41 in turn, two hours apart: without a reset of 45 each turn is a mail of its own."""
    turns = [Seen(Decimal(39 if turn % 2 == 0 else 41), at(turn * 120)) for turn in range(6)]
    found = rehearsed(replace(LOW, reset=Decimal(45)), turns, 720)
    assert (len(found.mails), found.by_reset) == (1, 5)


def test_what_must_last_holds_back() -> None:
    short = [Seen(Decimal(value), at(minute)) for minute, value in ((0, 50), (60, 39), (62, 50), (180, 39), (190, 50))]
    found = rehearsed(replace(LOW, must_last=5 * MINUTE), short, 300)
    assert [(mail.at, mail.says) for mail in found.mails] == [
        (at(185), Happening.TRIGGERED),
        (at(190), Happening.NORMAL),
    ]
    # Without it the first is told as well, and the second, which follows it after an hour, as any other.
    assert found.by_must_last == 2


def test_what_must_be_well_holds_back() -> None:
    turns = [Seen(Decimal(39 if turn % 2 == 0 else 50), at(turn * 120)) for turn in range(4)]
    found = rehearsed(replace(LOW, must_be_well=180 * MINUTE), turns, 480)
    assert ([mail.says for mail in found.mails], found.by_must_be_well) == ([Happening.TRIGGERED], 3)


def test_what_the_least_number_of_calls_holds_back() -> None:
    found = rehearsed(replace(LOW, least_count=20), values(50, 0, 50, counts=(30, 1, 30)))
    assert (found.mails, found.by_least_count) == ((), 2)
    assert found.without_data == MINUTE


def test_no_data_is_told_to_nobody_here_and_counted() -> None:
    stale = replace(values(30)[0], at=at(5), is_stale=True)
    found = rehearsed(LOW, [*values(30), stale], 20)
    assert [mail.says for mail in found.mails] == [Happening.TRIGGERED]
    assert found.without_data == 15 * MINUTE
    assert [moment.says for moment in found.moments] == [Happening.TRIGGERED, Happening.NO_DATA]
    assert found.longest
    assert found.longest.length == 20 * MINUTE


def test_a_report_is_sent_by_the_clock_and_holds_nothing_back() -> None:
    daily = Condition(Operator.ALWAYS, repeat=Repeat.DAILY, repeat_hour=8, zone="Europe/Berlin", must_last=MINUTE)
    found = rehearsed(daily, values(30), 3 * 1440)
    # Summer time ends on the 25th: eight o'clock is 06:00 UTC, then 07:00.
    assert [mail.at for mail in found.mails] == [at(360), at(1440 + 420), at(2880 + 420)]
    assert found.by_must_last is None


def slow(condition: Condition, readings: Sequence[Seen], ends: datetime) -> list[Moment]:
    """Look at each full minute, whatever is there then."""
    standing, found, now, place = begun(readings[0].at), [], readings[0].at, 0
    while now < ends:
        while place + 1 < len(readings) and readings[place + 1].at <= now:
            place += 1
        seen = readings[place]
        looked = step(condition, standing, seen, now)
        standing = looked.standing
        found += [Moment(now, each.what, each.says, seen.value, seen.count) for each in looked.happenings]
        now += MINUTE
    return found


_MINUTES = st.integers(0, 40).map(lambda minutes: minutes * MINUTE)
_CONDITIONS = st.builds(
    Condition,
    operator=st.sampled_from(list(Operator)),
    threshold=st.just(Decimal(5)),
    reset=st.none() | st.sampled_from([Decimal(5)]),
    least_count=st.sampled_from([0, 5]),
    must_last=_MINUTES,
    must_be_well=_MINUTES,
    repeat=st.sampled_from(list(Repeat)),
    repeat_hour=st.none() | st.integers(0, 23),
    zone=st.sampled_from(["UTC", "Europe/Berlin"]),
    tells_normal=st.booleans(),
).flatmap(
    lambda condition: st.sampled_from(
        [condition, replace(condition, reset=Decimal(8 if condition.operator.is_low else 2))]
    )
)
_READINGS = st.lists(
    st.tuples(
        st.integers(1, 50), st.none() | st.integers(0, 10).map(Decimal), st.none() | st.integers(0, 10), st.booleans()
    ),
    min_size=1,
    max_size=60,
)


@given(_CONDITIONS, _READINGS, st.integers(1, 300))
def test_it_does_what_looking_every_minute_would(
    condition: Condition, found: list[tuple[int, Decimal | None, int | None, bool]], more: int
) -> None:
    readings, minute = [], 0
    for gap, value, count, is_stale in found:
        minute += gap
        readings.append(Seen(value, at(minute), count, is_stale and minute % 3 == 0))
    ends = at(minute + more)
    assert list(rehearse(condition, readings, ends).moments) == slow(condition, readings, ends)


def test_a_month_of_minutes_takes_a_moment() -> None:
    """Each setting that holds mails back is gone through once more; two seconds are the limit for all with reading."""
    condition = Condition(
        Operator.LESS,
        Decimal(40),
        reset=Decimal(45),
        least_count=20,
        must_last=3 * MINUTE,
        must_be_well=2 * MINUTE,
        repeat=Repeat.HOURLY,
    )
    readings = [
        Seen(Decimal(35 + minute * 7919 % 1200) / 100 + 30, at(minute), 15 + minute % 30) for minute in range(43_200)
    ]
    began = time.process_time()
    found = rehearsed(condition, readings)
    spent = time.process_time() - began
    assert found.moments
    assert spent < 1.5 * SLACK, spent


@pytest.mark.parametrize("operator", list(Operator))
def test_a_value_that_never_changes_costs_nothing(operator: Operator) -> None:
    began = time.process_time()
    rehearsed(Condition(operator, Decimal(5), repeat=Repeat.HOURLY), values(*[5] * 43_200))
    assert time.process_time() - began < 1 * SLACK
