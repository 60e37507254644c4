"""One look at one alert: every line of work-alerts-tickets 5.2 that is about state, and a slow model beside it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.alerts.rules import (
    AlertState,
    Condition,
    Happened,
    Happening,
    Lack,
    Operator,
    Repeat,
    Standing,
    Told,
)
from portal.alerts.rules.stepping import answered, begun, cleared, next_hour, step
from tests.conftest import NOW

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class Read:
    """A reading, as small as may be."""

    value: Decimal | None
    count: int | None = None
    at: datetime = NOW
    is_stale: bool = False
    next_at: datetime | None = None


def read(value: float | str | None, count: int | None = None, *, is_stale: bool = False) -> Read:
    return Read(None if value is None else Decimal(str(value)), count, is_stale=is_stale)


LOW = Condition(Operator.AT_MOST, Decimal(30), Decimal(31))
"""The worked example: ASR at most 30, reset 31."""


class Course:
    """An alert over time: looks minute by minute, and what was said."""

    def __init__(self, condition: Condition, start: datetime = NOW) -> None:
        self.condition, self.now, self.standing = condition, start, begun(start)
        self.log: list[tuple[datetime, Happened]] = []
        self.due: datetime | None = None

    def look(self, value: Read | float | str | None, after: timedelta = MINUTE, *, muted: bool = False) -> list[str]:
        """Look once, `after` the last time; what was said."""
        reading = value if isinstance(value, Read) else read(value)
        self.now += after
        found = step(self.condition, self.standing, replace(reading, at=self.now), self.now, is_muted=muted)
        self.standing, self.due = found.standing, found.due_at
        self.log += [(self.now, each) for each in found.happenings]
        return [each.says.value for each in found.happenings if each.says is not None]

    def looks(self, values: Iterable[Read | float | None], after: timedelta = MINUTE) -> list[str]:
        return [said for each in values for said in self.look(each, after)]

    def sent(self, after: timedelta = timedelta()) -> None:
        """The last notice has arrived."""
        self.standing = answered(self.standing, self.now + after)

    @property
    def state(self) -> AlertState:
        return self.standing.state


# Line by line


def test_whenever_the_condition_is_true_it_is_triggered_but_told_only_on_entering() -> None:
    course = Course(LOW)
    assert course.looks([50, 30, 29, 12, 30]) == ["triggered"]
    assert course.state is AlertState.TRIGGERED


def test_re_armed_only_by_a_measured_good_value() -> None:
    course = Course(LOW)
    assert course.looks([20, None, None, 20]) == ["triggered"], "nothing measured makes nothing well"
    assert course.looks([40, 20]) == ["normal", "unstable"], "the third change within the hour"


def test_without_a_reset_threshold_it_is_normal_as_soon_as_the_condition_is_not_true() -> None:
    course = Course(replace(LOW, reset=None))
    assert course.looks([30, Read(Decimal("30.01"))]) == ["triggered", "normal"]


@pytest.mark.parametrize(
    ("operator", "reset", "between", "reached"),
    [
        (Operator.AT_MOST, 31, "30.5", 31),
        (Operator.LESS, 31, 30, 31),
        (Operator.MORE, 20, 25, 20),
        (Operator.AT_LEAST, 20, 25, 20),
    ],
)
def test_with_one_it_is_normal_where_the_value_has_reached_it(
    operator: Operator, reset: int, between: str, reached: int
) -> None:
    bad = 5 if operator.is_low else 99
    course = Course(Condition(operator, Decimal(30), Decimal(reset)))
    assert course.looks([bad]) == ["triggered"]
    assert course.look(between) == [], "not bad, and not well either"
    assert course.state is AlertState.TRIGGERED
    assert course.look(reached) == ["normal"], "reached is enough: inclusive"


def test_a_reset_equal_to_the_threshold_degrades_to_the_simple_rule() -> None:
    course = Course(Condition(Operator.AT_MOST, Decimal(30), Decimal(30)))
    assert course.looks([30]) == ["triggered"]
    assert course.look(30) == [], "30 is still bad"
    assert course.look("30.01") == ["normal"]


def test_equal_is_equal_as_shown_and_reset_is_not_equal() -> None:
    course = Course(Condition(Operator.EQUAL, Decimal("0.3"), Decimal(99)))
    assert course.look(Read(Decimal("0.30"))) == ["triggered"]
    assert course.look(Read(Decimal("0.31"))) == ["normal"], "another value is another value, whatever reset says"


def test_every_operator() -> None:
    expected = {"<": (1, 0, 0), "<=": (1, 1, 0), "=": (0, 1, 0), ">=": (0, 1, 1), ">": (0, 0, 1), "always": (1, 1, 1)}
    for operator in Operator:
        found = tuple(int(operator.holds(Decimal(each), Decimal(5))) for each in (4, 5, 6))
        assert found == expected[operator.value], operator


def test_no_calls_in_the_window_neither_triggers_nor_resets_and_is_shown_as_no_data_since() -> None:
    course = Course(LOW)
    course.look(None)
    assert (course.state, course.standing.lack, course.standing.since) == (
        AlertState.NO_DATA,
        Lack.NOTHING,
        NOW + MINUTE,
    )
    assert course.looks([None, None]) == []
    assert course.standing.since == NOW + MINUTE
    assert course.look(20) == ["triggered"]
    course.look(None)
    assert course.standing.is_triggered, "it stays what it was, beneath"
    assert course.look(31) == ["normal"]


def test_channels_of_no_calls_are_a_true_zero_and_do_count() -> None:
    course = Course(Condition(Operator.LESS, Decimal(1)))
    assert course.look(Read(Decimal(0))) == ["triggered"]


def test_few_calls_are_treated_as_no_data() -> None:
    course = Course(replace(LOW, least_count=20))
    assert course.look(read(0, 19)) == []
    assert (course.state, course.standing.lack) == (AlertState.NO_DATA, Lack.FEW)
    assert course.look(read(0, 20)) == ["triggered"]
    assert course.look(read(100, 1)) == [], "one answered call of one makes nothing well"
    assert course.standing.is_triggered


def test_a_stale_feed_is_no_data_and_staff_are_told_once_and_customers_not() -> None:
    course = Course(LOW)
    assert course.look(read(50, is_stale=True)) == ["no_data"]
    assert course.looks([read(50, is_stale=True)] * 5) == []
    assert course.look(50) == []
    assert course.state is AlertState.NORMAL
    assert course.log[-1][1] == Happened(Happening.DATA_AGAIN)


def test_nothing_that_becomes_stale_is_told_to_staff_then() -> None:
    course = Course(LOW)
    assert course.look(None) == []
    assert course.look(read(None, is_stale=True)) == ["no_data"]
    assert course.standing.lack is Lack.STALE


def test_an_alert_made_while_it_is_bad_already_triggers_at_the_first_look() -> None:
    assert Course(LOW).look(10) == ["triggered"]


def test_edited_while_triggered_it_is_normal_silently_and_looked_at_anew() -> None:
    course = Course(LOW)
    course.look(10)
    course.standing = cleared(course.standing, course.now)
    assert (course.state, course.standing.told) == (AlertState.NORMAL, Told.NORMAL)
    assert course.look(10) == ["triggered"]


def test_must_last_waits_and_a_good_value_between_begins_anew() -> None:
    course = Course(replace(LOW, must_last=5 * MINUTE))
    assert course.look(10) == []
    assert (course.state, course.due) == (AlertState.PENDING, course.now + 5 * MINUTE)
    assert course.looks([10, 10, 50, 10]) == []
    assert course.look(10, 4 * MINUTE) == []
    assert course.look(10) == ["triggered"], "five minutes after it was bad again"


def test_must_be_well_waits_and_a_value_that_is_not_well_begins_anew() -> None:
    course = Course(replace(LOW, must_be_well=5 * MINUTE))
    course.look(10)
    assert course.looks([40, 40, Decimal("30.5"), 40]) == []  # type: ignore[list-item]
    assert course.due == course.now + 5 * MINUTE
    assert course.look(40, 5 * MINUTE) == ["normal"]


def test_repeat_none_says_it_once() -> None:
    course = Course(LOW)
    course.look(10)
    course.sent()
    assert course.looks([10] * 50, HOUR) == []


@pytest.mark.parametrize(("repeat", "hours"), [(Repeat.HOURLY, 1), (Repeat.FOUR_HOURLY, 4), (Repeat.DAILY, 24)])
def test_repeats_only_while_triggered_counted_from_the_last_successful_send(repeat: Repeat, hours: int) -> None:
    course = Course(replace(LOW, repeat=repeat))
    course.look(10)
    course.sent(7 * MINUTE)
    assert course.look(10, hours * HOUR) == [], "an hour after it was written, not after it was sent"
    assert course.look(10, 7 * MINUTE) == ["repeated"]
    course.sent()
    assert course.look(40, hours * HOUR) == ["normal"]
    assert course.look(40, hours * HOUR) == []


def test_while_a_notice_is_on_its_way_none_follows() -> None:
    course = Course(replace(LOW, repeat=Repeat.HOURLY))
    course.look(10)
    course.standing = replace(course.standing, is_on_its_way=True)
    assert course.looks([10] * 12, HOUR) == []
    course.sent()
    assert course.look(10, HOUR) == ["repeated"]


def test_a_failed_send_is_retried_with_backoff_and_not_counted() -> None:
    course = Course(replace(LOW, repeat=Repeat.HOURLY))
    course.look(10)
    waited = []
    for _attempt in range(5):
        course.standing = answered(course.standing, None)
        began = course.now
        while course.look(10) != ["repeated"]:
            assert course.now - began <= HOUR
        waited.append((course.now - began) / MINUTE)
    assert waited == [5, 10, 20, 40, 60]
    course.sent()
    assert course.look(10, 59 * MINUTE) == []
    assert course.look(10) == ["repeated"]


def test_nobody_to_tell_counts_as_told() -> None:
    course = Course(replace(LOW, repeat=Repeat.HOURLY))
    course.look(10)
    assert course.look(10, 59 * MINUTE) == []
    assert course.look(10) == ["repeated"]
    assert course.look(10) == []


def test_flapping_after_three_changes_in_an_hour_it_is_unstable_once_and_held() -> None:
    """Row R55: a metric crosses its threshold a hundred times within ten minutes."""
    course = Course(replace(LOW, reset=None))
    said = course.looks([10, 50] * 50, timedelta(seconds=6))
    assert said == ["triggered", "normal", "unstable"]
    assert course.state is AlertState.NORMAL
    assert course.look(50, 59 * MINUTE) == []
    assert course.look(50, MINUTE) == ["normal"], "an hour after the last change it is said how it is"
    assert course.standing.told is Told.NORMAL


def test_flapping_that_ends_bad_says_so_at_the_end() -> None:
    course = Course(replace(LOW, reset=None, repeat=Repeat.HOURLY))
    course.looks([10, 50] * 50 + [10])
    assert course.standing.told is Told.UNSTABLE
    assert course.look(10, 30 * MINUTE) == [], "no repeats while it is unstable"
    assert course.look(10, 30 * MINUTE) == ["triggered"]
    course.sent()
    assert course.look(10, HOUR) == ["repeated"]


def test_two_changes_in_an_hour_are_not_unstable() -> None:
    course = Course(replace(LOW, reset=None))
    assert course.looks([10, 50]) == ["triggered", "normal"]
    assert course.look(10, HOUR) == ["triggered"], "the first change is an hour old by now"


def test_muted_it_is_tracked_and_at_the_end_it_is_sent_if_still_bad() -> None:
    course = Course(LOW)
    assert course.look(50, muted=True) == []
    assert course.look(10, muted=True) == []
    assert (course.state, course.standing.muted_since) == (AlertState.TRIGGERED, NOW + MINUTE)
    assert course.look(10) == ["triggered"]
    assert course.log[-1][1] == Happened(Happening.UNMUTED, Happening.TRIGGERED)


def test_muted_and_well_again_before_the_end_nothing_is_ever_said() -> None:
    course = Course(LOW)
    assert [*course.look(10, muted=True), *course.look(50, muted=True), *course.look(50)] == []


def test_told_and_then_muted_it_is_well_again_at_the_end() -> None:
    course = Course(replace(LOW, repeat=Repeat.HOURLY))
    assert course.look(10) == ["triggered"]
    assert [*course.look(10, 3 * HOUR, muted=True), *course.look(50, muted=True)] == [], "no repeats, and no all-clear"
    assert course.look(50) == ["normal"]


def test_flapping_while_muted_is_nobodys_trouble() -> None:
    course = Course(replace(LOW, reset=None))
    for each in [10, 50] * 10:
        assert course.look(each, muted=True) == []
    assert course.look(10) == ["triggered"]


def test_a_mute_that_ends_without_data_waits_for_some() -> None:
    course = Course(LOW)
    course.look(10, muted=True)
    course.look(None, muted=True)
    assert course.look(None) == [], "whether it is still bad is not known"
    assert course.look(10) == ["triggered"]


def test_one_that_says_no_all_clear_is_armed_again_all_the_same() -> None:
    course = Course(replace(LOW, tells_normal=False))
    assert course.looks([10, 50]) == ["triggered"]
    assert course.look(10, 2 * HOUR) == ["triggered"]


# Reports


def test_always_is_a_report_by_the_clock_and_needs_no_threshold() -> None:
    course = Course(Condition(Operator.ALWAYS, repeat=Repeat.HOURLY))
    assert course.look(12) == ["reported"]
    course.sent()
    assert course.due == course.now + HOUR
    assert course.look(12, 59 * MINUTE, muted=True) == []
    assert course.look(None, MINUTE, muted=True) == ["reported"], "neither muted nor kept back by no calls"
    assert course.state is AlertState.NORMAL


def test_a_report_waits_for_what_does_not_come_in() -> None:
    course = Course(Condition(Operator.ALWAYS, repeat=Repeat.HOURLY))
    assert course.look(read(3, is_stale=True)) == ["no_data"]
    assert course.due is None
    assert course.look(3) == ["reported"]


def test_a_daily_report_comes_at_its_hour_and_not_at_once() -> None:
    course = Course(Condition(Operator.ALWAYS, repeat=Repeat.DAILY, repeat_hour=9, zone="Europe/Berlin"))
    assert course.look(12) == []
    assert course.due == datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
    assert course.look(12, datetime(2026, 11, 22, 8, 0, tzinfo=UTC) - course.now) == ["reported"]
    course.sent(timedelta(seconds=40))
    course.look(12)
    assert course.due == datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


# Daily repeat and daylight saving


def test_a_daily_repeat_keeps_its_hour_in_the_companys_zone_over_both_changes() -> None:
    """Berlin: clocks went forward on 29 March 2026 at 2, and go back on 25 October 2026 at 3."""
    zone = ZoneInfo("Europe/Berlin")
    for day in (datetime(2026, 3, 27, 12, tzinfo=UTC), datetime(2026, 10, 23, 12, tzinfo=UTC)):
        course = Course(replace(LOW, repeat=Repeat.DAILY, repeat_hour=9, zone="Europe/Berlin"), day)
        course.look(10)
        course.sent()
        shown = []
        for _ in range(5):
            assert course.due is not None
            assert course.look(10, course.due - course.now) == ["repeated"]
            course.sent(timedelta(minutes=3))
            course.look(10)
            shown.append(course.log[-1][0].astimezone(zone).strftime("%d %H:%M"))
        assert [each[3:] for each in shown] == ["09:00"] * 5
        assert len(set(shown)) == 5, "once a day"


def test_an_hour_clocks_leave_out_is_when_they_have_gone_forward_and_one_shown_twice_is_the_first() -> None:
    forward = next_hour(datetime(2026, 3, 28, 12, tzinfo=UTC), 2, "Europe/Berlin")
    assert forward == datetime(2026, 3, 29, 1, 0, tzinfo=UTC), "03:00 there"
    back = next_hour(datetime(2026, 10, 24, 12, tzinfo=UTC), 2, "Europe/Berlin")
    assert back == datetime(2026, 10, 25, 0, 0, tzinfo=UTC), "the first 02:00"


def test_the_first_notice_is_not_followed_by_a_repeat_on_its_heels() -> None:
    course = Course(replace(LOW, repeat=Repeat.DAILY, repeat_hour=12, zone="UTC"), NOW - 10 * MINUTE)
    course.look(10)
    course.sent()
    assert course.look(10, 9 * MINUTE) == [], "at twelve it was said nine minutes ago"
    assert course.look(10, DAY) == ["repeated"]


# The slow, obvious model


@dataclass(frozen=True)
class Seen:
    at: datetime
    reading: Read
    is_muted: bool


class Model:
    """The same by thinking over the whole past each time, with nothing kept but what was seen and said."""

    def __init__(self, condition: Condition) -> None:
        self.condition = condition
        self.seen: list[Seen] = []
        self.said: list[tuple[datetime, str]] = []

    def bad(self, value: Decimal) -> bool:
        threshold = self.condition.threshold
        assert threshold is not None
        return {
            "<": value < threshold,
            "<=": value <= threshold,
            "=": value == threshold,
            ">=": value >= threshold,
            ">": value > threshold,
        }[self.condition.operator.value]

    def well(self, value: Decimal) -> bool:
        if self.bad(value):
            return False
        reset, sign = self.condition.reset, self.condition.operator.value
        if reset is None or sign == "=":
            return True
        return value >= reset if "<" in sign else value <= reset

    def measured(self) -> list[Seen]:
        return [each for each in self.seen if self.is_measured(each.reading)]

    def is_measured(self, reading: Read) -> bool:
        if reading.is_stale or reading.value is None:
            return False
        return reading.count is None or reading.count >= self.condition.least_count

    def changes(self) -> list[tuple[datetime, bool, bool]]:
        """When it was triggered (True) or normal again, from the first look on, and whether it was muted then."""
        found: list[tuple[datetime, bool, bool]] = []
        is_triggered, run_began = False, None
        for each in self.measured():
            assert each.reading.value is not None
            counts = self.well(each.reading.value) if is_triggered else self.bad(each.reading.value)
            if not counts:
                run_began = None
                continue
            run_began = run_began or each.at
            needed = self.condition.must_be_well if is_triggered else self.condition.must_last
            if each.at - run_began >= needed:
                is_triggered, run_began = not is_triggered, None
                found.append((each.at, is_triggered, each.is_muted))
        return found

    def look(self, at: datetime, reading: Read, is_muted: bool) -> list[str]:
        self.seen.append(Seen(at, reading, is_muted))
        said = self._what_is_said(at, reading, is_muted)
        self.said += [(at, each) for each in said]
        return said

    def _what_is_said(self, at: datetime, reading: Read, is_muted: bool) -> list[str]:
        stale_before = len(self.seen) > 1 and self.seen[-2].reading.is_stale
        staff = ["no_data"] if reading.is_stale and not stale_before else []
        if is_muted or not self.is_measured(reading):
            return staff
        heard = [(when, each) for when, is_triggered, muted in self.changes() if not muted for each in [is_triggered]]
        until = self.held_until(at, heard)
        if heard and heard[-1][0] == at and until == at + HOUR and not self.was_held(at, heard):
            return [*staff, "unstable"]
        if until is not None and at < until:
            return staff
        is_triggered = bool(self.changes()) and self.changes()[-1][1]
        last = next(
            (each for _when, each in reversed(self.said) if each in {"triggered", "normal", "unstable"}), "normal"
        )
        wanted = "triggered" if is_triggered else "normal"
        return [*staff, wanted] if wanted != last else staff

    def held_until(self, at: datetime, heard: list[tuple[datetime, bool]]) -> datetime | None:
        until: datetime | None = None
        moments = [when for when, _ in heard]
        for number, when in enumerate(moments):
            is_held = until is not None and when < until
            if is_held or len([each for each in moments[: number + 1] if when - each < HOUR]) >= 3:
                until = when + HOUR
        return until

    def was_held(self, at: datetime, heard: list[tuple[datetime, bool]]) -> bool:
        until = self.held_until(at, heard[:-1])
        return until is not None and at < until


VALUES = st.one_of(st.none(), st.integers(0, 10).map(Decimal), st.sampled_from([Decimal("4.99"), Decimal("5.01")]))
LOOKS = st.lists(
    st.tuples(
        VALUES,
        st.sampled_from([None, 19, 20, 100]),
        st.sampled_from([False] * 6 + [True]),
        st.sampled_from([False] * 4 + [True]),
        st.sampled_from([1, 1, 1, 2, 5, 29, 30, 59, 60, 61, 180]),
    ),
    max_size=40,
)
CONDITIONS = st.builds(
    Condition,
    st.sampled_from([each for each in Operator if each is not Operator.ALWAYS]),
    st.just(Decimal(5)),
    st.sampled_from([None, Decimal(4), Decimal(5), Decimal(7)]),
    least_count=st.sampled_from([0, 20]),
    must_last=st.sampled_from([0, 2, 30]).map(lambda each: each * MINUTE),
    must_be_well=st.sampled_from([0, 2, 30]).map(lambda each: each * MINUTE),
)


@settings(max_examples=400)
@given(condition=CONDITIONS, looks=LOOKS)
def test_it_says_what_a_slow_and_obvious_model_says(condition: Condition, looks: list[tuple[object, ...]]) -> None:
    course, model = Course(condition), Model(condition)
    for value, count, is_stale, is_muted, minutes in looks:
        reading = Read(value, count, is_stale=bool(is_stale))  # type: ignore[arg-type]
        said = course.look(reading, int(minutes) * MINUTE, muted=bool(is_muted))  # type: ignore[call-overload]
        assert said == model.look(course.now, reading, bool(is_muted)), course.now
        triggered = model.changes()[-1][1] if model.changes() else False
        assert course.standing.is_triggered == triggered
        assert (course.state is AlertState.NO_DATA) != model.is_measured(reading)
        assert (course.standing.muted_since is not None) == bool(is_muted)


@settings(max_examples=200)
@given(
    condition=CONDITIONS,
    looks=LOOKS,
    repeat=st.sampled_from([Repeat.HOURLY, Repeat.FOUR_HOURLY, Repeat.DAILY]),
    outcomes=st.lists(st.sampled_from(["sent", "failed", "waits"]), min_size=40, max_size=40),
)
def test_repeats_are_said_only_while_it_is_bad_told_and_neither_muted_nor_unstable(
    condition: Condition, looks: list[tuple[object, ...]], repeat: Repeat, outcomes: list[str]
) -> None:
    course = Course(replace(condition, repeat=repeat))
    last_sent: datetime | None = None
    for (value, count, is_stale, is_muted, minutes), outcome in zip(looks, outcomes, strict=False):
        before = course.standing
        reading = Read(value, count, is_stale=bool(is_stale))  # type: ignore[arg-type]
        said = course.look(reading, int(minutes) * MINUTE, muted=bool(is_muted))  # type: ignore[call-overload]
        if "repeated" in said:
            assert said == ["repeated"]
            assert before.told is Told.TRIGGERED
            assert course.state is AlertState.TRIGGERED
            assert not is_muted
            assert not before.is_on_its_way
            assert course.standing.held_until is None
            every = repeat.every
            assert every is not None
            assert before.failures or last_sent is None or course.now - last_sent >= every
        if said and said[-1] != "no_data":
            if said[-1] != "repeated":
                last_sent = None
            if outcome == "sent":
                course.sent()
                last_sent = course.now
            elif outcome == "failed":
                course.standing = answered(course.standing, None)
            else:
                course.standing = replace(course.standing, is_on_its_way=True)
        elif course.standing.is_on_its_way and outcome == "sent":
            course.sent()
            last_sent = course.now


@settings(max_examples=200)
@given(condition=CONDITIONS, looks=LOOKS)
def test_it_asks_to_be_looked_at_later_and_what_waits_for_the_clock_is_found_then(
    condition: Condition, looks: list[tuple[object, ...]]
) -> None:
    course = Course(condition)
    for value, count, is_stale, is_muted, minutes in looks:
        reading = Read(value, count, is_stale=bool(is_stale))  # type: ignore[arg-type]
        course.look(reading, int(minutes) * MINUTE, muted=bool(is_muted))  # type: ignore[call-overload]
        assert course.due is None or course.due > course.now
        waits = course.standing.pending_since or course.standing.well_since or course.standing.held_until
        if waits and not is_muted and course.state is not AlertState.NO_DATA:
            assert course.due is not None


def test_a_standing_says_what_lies_beneath() -> None:
    assert Standing(AlertState.NO_DATA, NOW, kept=AlertState.TRIGGERED).is_triggered
    assert not Standing(AlertState.NO_DATA, NOW, kept=AlertState.PENDING).is_triggered
