"""When mails arrive over several relays: rules, without a database."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.notifications.arrival import Way, estimate

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
HOURS = timedelta(hours=1)

SLOW = Way("Office 365", 0.5, True, NOW, 10_000, 10_000)
OWN = Way("own", 100.0, False, NOW)


def seconds(count: int, *ways: Way, ahead: int = 0) -> int | None:
    return estimate(count, ways, NOW, ahead=ahead).seconds


@pytest.mark.parametrize(
    ("count", "ways", "ahead", "expected"),
    [
        (600, [SLOW], 0, 1_200),
        (600, [SLOW], 300, 1_800),
        (1_000, [OWN], 0, 10),
        (1_000, [OWN], 99_000, 1_000),
        # The slow one takes its share, the quick one the rest.
        (6_000, [SLOW, OWN], 0, 60),
        # 2,000 at once, the others half a second each.
        (3_000, [Way("google", 100.0, False, NOW, 2_000, 2_000), SLOW], 0, 20 + 2_000),
        # What is used up hands over.
        (100, [Way("google", 100.0, False, NOW, 2_000, 0), OWN], 0, 1),
        # The first rests for five minutes; nothing else is there.
        (100, [Way("own", 100.0, False, NOW + timedelta(minutes=5))], 0, 301),
        (100, [Way("first", 100.0, False, NOW + timedelta(minutes=5)), SLOW], 0, 200),
    ],
)
def test_how_long_it_takes(count: int, ways: list[Way], ahead: int, expected: int) -> None:
    assert seconds(count, *ways, ahead=ahead) == pytest.approx(expected, abs=1)


def test_a_budget_of_a_day_comes_back_a_day_after_it_was_used() -> None:
    arrival = estimate(25_000, [SLOW], NOW)
    # 10,000 in 5 h 33 min, the next ones from a day after on, the rest from two days after on.
    assert arrival.ends_at is not None
    assert timedelta(hours=48) < arrival.ends_at - NOW < timedelta(hours=52)


def test_what_was_used_earlier_today_comes_back_earlier() -> None:
    used_up = Way("google", 100.0, False, NOW, 2_000, 0, [(NOW + 3 * HOURS, 100), (NOW + 4 * HOURS, 500)])
    assert estimate(100, [used_up], NOW).ends_at == pytest.approx(NOW + 3 * HOURS, abs=timedelta(seconds=2))
    begins = estimate(300, [used_up], NOW)
    assert begins.begins_at == NOW + 3 * HOURS
    assert begins.ends_at == pytest.approx(NOW + 4 * HOURS, abs=timedelta(seconds=3))


def test_nothing_is_said_where_no_relay_takes_mails() -> None:
    assert seconds(1) is None
    assert seconds(1, Way("google", 100.0, False, NOW, 2_000, 0)) is None
    assert seconds(10**9, SLOW) is None
    assert estimate(0, [], NOW).ends_at == NOW


def test_it_says_what_goes_over_which_relay_and_when_the_first_does() -> None:
    arrival = estimate(1_000, [SLOW, Way("google", 100.0, False, NOW, 2_000, 500), OWN], NOW, ahead=100)
    assert [share.name for share in arrival.shares] == ["Office 365", "google", "own"]
    assert sum(share.mails for share in arrival.shares) == pytest.approx(1_000, abs=2)
    assert arrival.begins_at is not None
    assert arrival.begins_at - NOW == pytest.approx(timedelta(seconds=1), abs=timedelta(seconds=0.1))


@given(
    st.integers(1, 5_000),
    st.integers(0, 5_000),
    st.lists(st.tuples(st.floats(0.1, 200), st.booleans(), st.one_of(st.none(), st.integers(0, 3_000))), max_size=4),
)
def test_more_mails_never_arrive_sooner_and_another_relay_never_delays_them(
    count: int, ahead: int, relays: list[tuple[float, bool, int | None]]
) -> None:
    ways = [
        Way(str(number), pace, is_paced, NOW, None if left is None else 3_000, left)
        for number, (pace, is_paced, left) in enumerate(relays)
    ]
    never = 10**9
    took = seconds(count, *ways, ahead=ahead) or never
    assert (seconds(count + 50, *ways, ahead=ahead) or never) >= took - 1
    assert (seconds(count, *ways, OWN, ahead=ahead) or never) <= took + 1
    assert sum(share.mails for share in estimate(count, ways, NOW, ahead=ahead).shares) <= count + len(ways)
