"""The pure rules of availability: what counts, how much, what is left out, and how long a month is."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.incidents.rules import Interval, Severity
from portal.incidents.rules.availability import (
    NOTHING,
    USUAL,
    Account,
    Counts,
    Layer,
    Month,
    Terms,
    Weights,
    Work,
    account,
    down_seconds,
    work_layers,
)

T0 = datetime(2026, 10, 1, tzinfo=UTC)
END = T0 + timedelta(days=31)
HOUR = timedelta(hours=1)
BERLIN = ZoneInfo("Europe/Berlin")

moments = st.integers(-5 * 24 * 60, 36 * 24 * 60).map(lambda minutes: T0 + timedelta(minutes=minutes))
layers = st.lists(st.builds(Layer, st.sampled_from(Counts), moments, moments), max_size=12)
percents = st.integers(0, 100)
weights = st.builds(Weights, percents, percents, percents)
works = st.builds(
    Work,
    st.none() | moments,
    moments,
    moments,
    moments,
    moments,
    st.sampled_from([Counts.WORK, Counts.PERFORMANCE_ISSUE]),
)
terms = st.builds(Terms, weights, st.integers(0, 200).map(lambda hours: timedelta(hours=hours)), st.booleans())


def by_the_minute(told: Sequence[Layer], rule: Weights) -> tuple[dict[Counts, int], float]:
    """The same, counted slowly: of each minute the heaviest of what lies on it."""
    found, down = dict.fromkeys(Counts, 0), 0.0
    order = list(Counts)
    edges = sorted({T0, END, *(min(max(at, T0), END) for each in told for at in each[1:])})
    for start, stop in pairwise(edges):
        lying = [each.kind for each in told if each.from_at <= start < each.to_at]
        if lying:
            kind = max(lying, key=lambda each: (rule.of(each), order.index(each)))
            minutes = round((stop - start).total_seconds() / 60)
            found[kind] += minutes
            down += minutes * rule.of(kind) / 100
    return found, down


@given(layers, weights)
def test_each_moment_counts_once_as_the_heaviest_that_lay_on_it(told: list[Layer], rule: Weights) -> None:
    counted = account(told, T0, END, rule)
    slowly, down = by_the_minute(told, rule)
    assert {kind: counted.of(kind) for kind in Counts} == {
        kind: timedelta(minutes=minutes) for kind, minutes in slowly.items()
    }
    assert counted.down.total_seconds() / 60 == pytest.approx(down)


@given(layers, weights)
def test_a_share_is_never_below_nothing_nor_above_all(told: list[Layer], rule: Weights) -> None:
    counted = account(told, T0, END, rule)
    assert 0 <= counted.share <= 1
    assert NOTHING <= counted.down <= counted.measured <= counted.span == END - T0
    assert sum((time for _, time in counted.by_kind), NOTHING) <= counted.span


@given(layers, moments, weights)
def test_two_parts_of_a_time_add_up_to_the_whole(told: list[Layer], cut: datetime, rule: Weights) -> None:
    middle = min(max(cut, T0), END)
    both = account(told, T0, middle, rule) + account(told, middle, END, rule)
    whole = account(told, T0, END, rule)
    assert both.span == whole.span
    assert {kind: both.of(kind) for kind in Counts} == {kind: whole.of(kind) for kind in Counts}
    assert abs(both.down - whole.down) <= timedelta(microseconds=10)


@given(layers, weights)
def test_what_is_said_twice_or_in_another_order_counts_the_same(told: list[Layer], rule: Weights) -> None:
    assert account([*reversed(told), *told], T0, END, rule) == account(told, T0, END, rule)


@given(layers, st.builds(Layer, st.sampled_from([Counts.DOWN, Counts.PARTIAL]), moments, moments), weights)
def test_another_problem_never_makes_it_better(told: list[Layer], more: Layer, rule: Weights) -> None:
    assert account([*told, more], T0, END, rule).down >= account(told, T0, END, rule).down


@given(layers, percents, percents)
def test_a_heavier_partial_outage_never_makes_it_better(told: list[Layer], one: int, other: int) -> None:
    lighter, heavier = sorted((one, other))
    assert account(told, T0, END, Weights(lighter)).down <= account(told, T0, END, Weights(heavier)).down


@given(works, terms)
def test_nothing_is_left_out_but_what_was_announced_in_time(work: Work, agreed: Terms) -> None:
    lay = list(work_layers(work, agreed))
    counted = account(lay, T0, END, agreed.in_contract)
    left_out = counted.of(Counts.LEFT_OUT)
    if agreed.counts_maintenance or not work.is_agreed(agreed.notice):
        assert left_out == NOTHING
    overlap = min(work.ends_at, work.ended_at, END) - max(work.starts_at, work.began_at, T0)
    assert left_out <= max(overlap, NOTHING)
    assert counted.of(work.kind) + left_out <= max(min(work.ended_at, END) - max(work.began_at, T0), NOTHING)


@given(layers, works)
def test_maintenance_never_masks_a_problem(told: list[Layer], work: Work) -> None:
    agreed = Terms(notice=NOTHING)
    without = account([each for each in told if each.kind is Counts.DOWN], T0, END, agreed.in_contract)
    during = account([*told, *work_layers(work, agreed)], T0, END, agreed.in_contract)
    assert during.of(Counts.DOWN) + during.of(Counts.WORK) >= without.of(Counts.DOWN)


def test_work_that_ran_over_its_window_counts_from_its_announced_end() -> None:
    starts, ends = T0 + 10 * HOUR, T0 + 12 * HOUR
    work = Work(T0 - timedelta(days=5), starts, ends, starts - HOUR, ends + 2 * HOUR)
    counted = account(work_layers(work, Terms()), T0, END, Terms().in_contract)
    assert counted.of(Counts.LEFT_OUT) == 2 * HOUR
    assert counted.down == 3 * HOUR
    assert counted.measured == END - T0 - 2 * HOUR


@pytest.mark.parametrize(("hours_ahead", "left_out"), [(48, 2 * HOUR), (47, NOTHING), (-1, NOTHING)])
def test_work_counts_as_down_unless_it_was_announced_in_time(hours_ahead: int, left_out: timedelta) -> None:
    starts = T0 + timedelta(days=10)
    work = Work(starts - hours_ahead * HOUR, starts, starts + 2 * HOUR, starts, starts + 2 * HOUR)
    counted = account(work_layers(work, Terms()), T0, END, Terms().in_contract)
    assert (counted.of(Counts.LEFT_OUT), counted.down) == (left_out, 2 * HOUR - left_out)


def test_work_taken_over_from_elsewhere_is_left_out() -> None:
    work = Work(None, T0, T0 + HOUR, T0, T0 + HOUR)
    assert account(work_layers(work, Terms()), T0, END).of(Counts.LEFT_OUT) == HOUR


def test_the_weights_are_a_setting() -> None:
    hit = [Layer(Counts.PARTIAL, T0, T0 + 10 * HOUR), Layer(Counts.PERFORMANCE_ISSUE, T0, T0 + 20 * HOUR)]
    assert account(hit, T0, END, USUAL).down == 3 * HOUR
    assert account(hit, T0, END, Weights(50, 10)).down == 6 * HOUR
    assert down_seconds([Interval(Severity.PARTIAL_RTH, T0, None)], T0, T0 + HOUR, Weights(100)) == 3600


@pytest.mark.parametrize(("target", "is_met"), [(None, True), (99_000, True), (99_001, False), (100_000, False)])
def test_a_target_is_met_to_the_last_moment(target: int | None, is_met: bool) -> None:
    counted = Account(timedelta(hours=100), ((Counts.DOWN, HOUR),), HOUR)
    assert counted.meets(target) is is_met
    assert Account().meets(100_000)


# Months


@given(st.integers(2000, 2100), st.integers(1, 12), st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]))
def test_months_follow_each_other_without_a_gap(year: int, number: int, name: str) -> None:
    zone, month = ZoneInfo(name), Month(year, number)
    begin, end = month.bounds(zone)
    assert month.moved(1).bounds(zone)[0] == end
    assert Month.of(begin, zone) == month == Month.of(end - timedelta(microseconds=1), zone)
    assert Month.read(str(month)) == month == month.moved(25).moved(-25)


def test_a_month_is_as_long_as_its_clocks_say() -> None:
    for number, length in ((3, 31 * 24 * HOUR - HOUR), (10, 31 * 24 * HOUR + HOUR), (11, 30 * 24 * HOUR)):
        begin, end = Month(2026, number).bounds(BERLIN)
        assert end - begin == length


@pytest.mark.parametrize("text", ["", "2026", "2026-13", "2026-00", "1999-12", "26-10", "2026-1", "2026-1²", "x-y"])
def test_what_is_no_month_is_none(text: str) -> None:
    assert Month.read(text) is None
