"""The time on a wall and the moments it stands for: gaps, overlaps, and zones that change by less than an hour."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.localtime import LocalTimeError, Reading, SkippedError, TwiceError, around_gap, moment_of, readings

BERLIN = ZoneInfo("Europe/Berlin")


def wall(*parts: int) -> datetime:
    """A time as a clock on a wall shows it: of no zone."""
    return datetime(*parts, tzinfo=UTC).replace(tzinfo=None)  # type: ignore[arg-type, misc]


PLACES = sorted(name for name in available_timezones() if "/" in name and not name.startswith("Etc/"))


def test_a_plain_time_is_one_moment() -> None:
    assert moment_of(wall(2027, 1, 15, 9, 30), BERLIN) == datetime(2027, 1, 15, 8, 30, tzinfo=UTC)
    assert moment_of(wall(2027, 7, 15, 9, 30), BERLIN) == datetime(2027, 7, 15, 7, 30, tzinfo=UTC)
    # Which of two is meant says nothing of a time that comes once.
    assert moment_of(wall(2027, 1, 15, 9, 30), BERLIN, Reading.SECOND) == datetime(2027, 1, 15, 8, 30, tzinfo=UTC)


def test_r37_what_clocks_leave_out_is_refused_with_the_times_around_it() -> None:
    with pytest.raises(SkippedError, match=r"Europe/Berlin go forward.*02:30 does not exist.*01:59.*03:00"):
        moment_of(wall(2027, 3, 28, 2, 30), BERLIN)
    assert moment_of(wall(2027, 3, 28, 1, 59), BERLIN) == datetime(2027, 3, 28, 0, 59, tzinfo=UTC)
    assert moment_of(wall(2027, 3, 28, 3, 0), BERLIN) == datetime(2027, 3, 28, 1, 0, tzinfo=UTC)


def test_r37_half_an_hour_left_out() -> None:
    lord_howe = ZoneInfo("Australia/Lord_Howe")
    assert around_gap(wall(2026, 10, 4, 2, 15), lord_howe) == (
        wall(2026, 10, 4, 1, 59),
        wall(2026, 10, 4, 2, 30),
    )


def test_r38_what_clocks_show_twice_is_asked() -> None:
    shown = wall(2026, 10, 25, 2, 30)
    with pytest.raises(TwiceError, match="02:30 comes twice"):
        moment_of(shown, BERLIN)
    assert moment_of(shown, BERLIN, Reading.FIRST) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert moment_of(shown, BERLIN, Reading.SECOND) == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


def test_r39_hours_are_reckoned_in_utc() -> None:
    began = moment_of(wall(2026, 10, 25, 1, 0), BERLIN)
    ended = (began + timedelta(hours=3)).astimezone(BERLIN)
    assert f"{ended:%H:%M}" == "03:00"


@pytest.mark.parametrize("shown", [wall(1, 1, 1), wall(9999, 12, 31, 23, 59)])
@pytest.mark.parametrize("name", ["Asia/Tokyo", "America/New_York"])
def test_the_ends_of_the_calendar_are_no_fault(shown: datetime, name: str) -> None:
    with pytest.raises(LocalTimeError):
        moment_of(shown, ZoneInfo(name))


@given(
    st.datetimes(wall(1990, 1, 1), wall(2035, 1, 1)).map(lambda each: each.replace(second=0, microsecond=0)),
    st.sampled_from(PLACES),
)
def test_every_reading_is_shown_by_a_clock_of_the_zone(shown: datetime, name: str) -> None:
    zone = ZoneInfo(name)
    found = readings(shown, zone)
    assert len(found) in {0, 1, 2}
    assert [moment.astimezone(zone).replace(tzinfo=None, fold=0) for moment in found] == [shown] * len(found)
    if not found:
        before, after = around_gap(shown, zone)
        assert before < shown < after
        assert readings(before, zone)
        assert readings(after, zone)


@given(st.datetimes(wall(2000, 1, 1), wall(2035, 1, 1), timezones=st.just(UTC)), st.sampled_from(PLACES))
def test_no_moment_is_lost(moment: datetime, name: str) -> None:
    zone = ZoneInfo(name)
    assert moment in readings(moment.astimezone(zone).replace(tzinfo=None), zone)
