"""Planned work that recurs: the same time on the wall all year, each occurrence once, and what is touched is left."""

from datetime import UTC, datetime, timedelta
from itertools import count
from time import perf_counter
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from portal import events
from portal.audit.rules import SYSTEM
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.incidents.actions import announcing, clockwork
from portal.incidents.actions import maintenance as acts
from portal.incidents.actions import series as series_acts
from portal.incidents.actions.series import SeriesPlan, horizon, make_occurrences, plan_series
from portal.incidents.models import Maintenance, MaintenanceSeries, MaintenanceUpdate
from portal.incidents.queries.maintenance import next_occurrences, series_for_staff, series_page
from portal.incidents.rules import MaintenanceState, Visibility
from portal.incidents.rules.maintenance import Notice
from portal.incidents.rules.recurrence import RuleError, checked_rule, happens, moment_of, occurrences, walls
from tests.conftest import NOW, Cast
from tests.incidents.conftest import World

BERLIN = "Europe/Berlin"
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
_keys = count()


def wall(shown: str) -> datetime:
    """What a clock on a wall shows."""
    return datetime.fromisoformat(shown)


# The rule


@pytest.mark.parametrize(
    "rule",
    ["FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=31", "FREQ=DAILY;INTERVAL=7;BYDAY=TU", "FREQ=MONTHLY;BYDAY=5MO;BYMONTHDAY=1"],
)
def test_a_rule_that_no_day_suits_is_not_looked_for_in_all_years(rule: str) -> None:
    began = perf_counter()
    assert not happens(rule, wall("2026-11-23T02:00"), BERLIN)
    assert perf_counter() - began < 2


def test_a_leap_day_stays_one() -> None:
    found = list(walls("FREQ=YEARLY", wall("2028-02-29T02:00"), BERLIN, wall("2037-01-01T00:00")))
    assert found == [wall("2028-02-29T02:00"), wall("2032-02-29T02:00"), wall("2036-02-29T02:00")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RRULE:FREQ=WEEKLY;BYDAY=TU", "FREQ=WEEKLY;BYDAY=TU"),
        (" freq=daily ; interval=2;", "FREQ=DAILY;INTERVAL=2"),
        ("BYMONTHDAY=-1;FREQ=MONTHLY", "FREQ=MONTHLY;BYMONTHDAY=-1"),
        ("FREQ=MONTHLY;BYDAY=2SU;COUNT=12", "FREQ=MONTHLY;COUNT=12;BYDAY=2SU"),
        ("FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU;UNTIL=20301231", "FREQ=YEARLY;UNTIL=20301231;BYDAY=-1SU;BYMONTH=3"),
    ],
)
def test_a_rule_is_kept_in_one_form(text: str, expected: str) -> None:
    assert checked_rule(text) == expected
    assert checked_rule(expected) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "weekly",
        "FREQ=HOURLY",
        "FREQ=MINUTELY;COUNT=3",
        "FREQ=DAILY;BYHOUR=1,2,3",
        "FREQ=DAILY;FREQ=WEEKLY",
        "FREQ=DAILY;COUNT=0",
        "FREQ=DAILY;COUNT=5000",
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=DAILY;COUNT=3;UNTIL=20271231",
        "FREQ=DAILY;UNTIL=tomorrow",
        "FREQ=WEEKLY;BYDAY=1MO",
        "FREQ=MONTHLY;BYDAY=60MO",
        "FREQ=MONTHLY;BYMONTHDAY=32",
        "FREQ=YEARLY;BYMONTH=13",
        "FREQ=MONTHLY;BYSETPOS=1",
        "FREQ=DAILY;EXDATE=20271231",
        "FREQ=DAILY;BYMONTHDAY=13",
        "FREQ=WEEKLY;BYDAY=MO,TU;BYSETPOS=1",
        "FREQ=YEARLY;BYDAY=53MO;BYMONTH=2",
        "FREQ=WEEKLY;BYDAY=" + ",".join(["MO"] * 200),
    ],
)
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(RuleError):
        checked_rule(text)


@given(st.text(alphabet="FREQ=DAILYWKMONTHYUBSP;,0123456789+-:ÄZ \n", max_size=60))
def test_whatever_is_typed_is_a_rule_or_refused(text: str) -> None:
    try:
        rule = checked_rule(text)
    except RuleError:
        return
    try:
        found = occurrences(rule, wall("2027-01-01T02:00"), BERLIN, NOW, NOW + 400 * DAY)
    except RuleError:
        return
    assert len(found) <= 400


def test_two_at_night_stays_two_at_night_all_year() -> None:
    first = wall("2026-11-22T02:55")
    found = occurrences("FREQ=DAILY", first, BERLIN, NOW, NOW + 365 * DAY)
    assert len(found) == 365
    local = [each.astimezone(ZoneInfo(BERLIN)) for each in found]
    shown = {each.strftime("%H:%M") for each in local if f"{each:%m%d}" != "0328"}
    assert shown == {"02:55"}
    assert {each.utcoffset() for each in local} == {HOUR, 2 * HOUR}
    assert len({each.date() for each in local}) == 365


def test_a_time_clocks_leave_out_comes_as_much_later_as_they_jump() -> None:
    assert moment_of(wall("2027-03-28T02:30"), BERLIN) == datetime(2027, 3, 28, 1, 30, tzinfo=UTC)
    local = moment_of(wall("2027-03-28T02:30"), BERLIN).astimezone(ZoneInfo(BERLIN))
    assert f"{local:%H:%M}" == "03:30"


def test_of_a_time_clocks_show_twice_the_first_counts_and_counts_once() -> None:
    assert moment_of(wall("2026-10-25T02:30"), BERLIN) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    first = wall("2026-10-24T02:30")
    start = datetime(2026, 10, 23, tzinfo=UTC)
    found = occurrences("FREQ=DAILY;COUNT=3", first, BERLIN, start, start + 10 * DAY)
    assert [each.hour for each in found] == [0, 0, 1]


def test_a_rule_ends_by_count_or_by_its_last_day() -> None:
    first, zone = wall("2027-01-04T22:00"), "America/New_York"
    after, until = datetime(2027, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)
    assert len(occurrences("FREQ=WEEKLY;COUNT=5", first, zone, after, until)) == 5
    # Later ones count the earlier ones too.
    assert len(occurrences("FREQ=WEEKLY;COUNT=5", first, zone, after + 30 * DAY, until)) == 1
    assert len(occurrences("FREQ=WEEKLY;UNTIL=20270118", first, zone, after, until)) == 3
    assert len(occurrences("FREQ=WEEKLY;UNTIL=20270119T030000Z", first, zone, after, until)) == 3
    assert len(occurrences("FREQ=WEEKLY;UNTIL=20270119T025959Z", first, zone, after, until)) == 2
    assert list(walls("FREQ=WEEKLY;UNTIL=20260101", first, zone, wall("2030-01-01T00:00"))) == []


def test_a_rule_that_never_comes_is_found_out() -> None:
    assert not happens("FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=31", wall("2027-01-01T00:00"), BERLIN)
    assert happens("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", wall("2027-01-01T00:00"), BERLIN)


# The occurrences


@pytest.fixture
def mailed(monkeypatch: pytest.MonkeyPatch) -> list[Notice]:
    found: list[Notice] = []

    def note(maintenance: Maintenance, update: MaintenanceUpdate, **_: object) -> None:
        found.append(update.kind)

    monkeypatch.setattr(announcing, "tell", note)
    return found


def wanted(world: World, **changes: Any) -> SeriesPlan:
    given: dict[str, Any] = {
        "title": "Patch night",
        "body": "We install updates.",
        "component_ids": frozenset({world.trunk.id}),
        "rule": "FREQ=WEEKLY",
        "starts_on": wall("2026-11-24T02:00"),
        "duration": timedelta(hours=2),
        "zone": BERLIN,
    } | changes
    return SeriesPlan(**given)


def recurring(cast: Cast, world: World, **changes: Any) -> MaintenanceSeries:
    found = plan_series(
        wanted(world, **changes),
        by=SYSTEM,
        author_id=cast.ada.id,
        now=NOW,
        idempotency_key=f"series-{next(_keys)}",
    )
    events.commit()
    return found


def made_of(series: MaintenanceSeries) -> list[Maintenance]:
    return list(
        db.session.scalars(
            select(Maintenance)
            .where(Maintenance.series_id == series.id)
            .order_by(Maintenance.starts_at)
            .execution_options(populate_existing=True)
        )
    )


def test_occurrences_are_made_up_to_the_horizon_and_the_first_is_announced(
    cast: Cast, world: World, mailed: list[Notice]
) -> None:
    series = recurring(cast, world)
    found = made_of(series)
    assert [each.starts_at for each in found] == [
        datetime(2026, 11, 24, 1, 0, tzinfo=UTC) + number * 7 * DAY for number in range(9)
    ]
    assert {each.ends_at - each.starts_at for each in found} == {2 * HOUR}
    assert {each.zone for each in found} == {BERLIN}
    assert all(each.due_at is not None for each in found)
    assert mailed == [Notice.ANNOUNCED]
    assert next_occurrences([series.id], NOW) == {series.id: found[0].starts_at}
    page = series_page(1)
    assert page is not None
    assert page.items == [series]
    loaded = series_for_staff(series.id)
    assert loaded is not None
    assert [each.component.title for each in loaded.components] == ["Trunk"]


def test_the_clock_makes_further_ones_each_once_whatever_happens(
    cast: Cast, world: World, mailed: list[Notice]
) -> None:
    series = recurring(cast, world)
    key = {"by": SYSTEM, "author_id": cast.ada.id, "now": NOW}
    assert plan_series(wanted(world), idempotency_key="again", **key) is plan_series(  # type: ignore[arg-type]
        wanted(world),
        idempotency_key="again",
        **key,  # type: ignore[arg-type]
    )
    for days in (1, 1, 3, 2, 30, 29):
        moment = NOW + days * DAY
        for do, row_id in clockwork.due(moment):
            if do is make_occurrences:
                do(row_id, moment)
        events.commit()
    found = made_of(series)
    assert len({each.occurs_at for each in found}) == len(found)
    assert found[-1].starts_at <= NOW + 30 * DAY + horizon() < found[-1].starts_at + 7 * DAY
    # After a month without a clock nothing is made of what is past.
    later = NOW + 200 * DAY
    assert make_occurrences(series.id, later)
    assert not make_occurrences(series.id, later)
    assert all(not (NOW + 91 * DAY < each.starts_at < later) for each in made_of(series))


def test_r40_a_year_of_nights_keeps_its_time_while_the_clock_starts_anew_each_day(
    cast: Cast, world: World, mailed: list[Notice]
) -> None:
    """Row R40. Each day another start of the scheduler, a little later each time, which knows what the rows say."""
    made = recurring(cast, world, rule="FREQ=DAILY", starts_on=wall("2026-11-24T02:55"), duration=timedelta(minutes=30))
    series_id = made.id
    for days in range(1, 366):
        db.session.expunge_all()
        moment = NOW + days * DAY + timedelta(minutes=days % 180, seconds=days)
        for act, row_id in clockwork.due(moment):
            if act is make_occurrences:
                act(row_id, moment)
        events.commit()
    found = db.session.scalars(
        select(Maintenance).where(Maintenance.series_id == series_id).order_by(Maintenance.starts_at)
    ).all()
    local = [each.starts_at.astimezone(ZoneInfo(BERLIN)) for each in found]
    days_of_a_year = [local[0].date() + number * DAY for number in range(365)]
    assert [each.date() for each in local][:365] == days_of_a_year
    # On the last Sunday of March clocks leave 02:55 out; it comes as much later as they jump.
    assert {f"{each:%H:%M:%S}" for each in local if f"{each:%m%d}" != "0328"} == {"02:55:00"}
    assert [f"{each:%H:%M:%S}" for each in local if f"{each:%Y%m%d}" == "20270328"] == ["03:55:00"]
    assert {each.ends_at - each.starts_at for each in found} == {timedelta(minutes=30)}
    assert mailed.count(Notice.ANNOUNCED) == 1


def test_a_bounded_series_is_done_at_its_end(cast: Cast, world: World) -> None:
    series = recurring(cast, world, rule="FREQ=WEEKLY;COUNT=2")
    assert len(made_of(series)) == 2
    assert series.due_at is None
    series = recurring(cast, world, rule="FREQ=WEEKLY;COUNT=20")
    assert series.due_at is not None


def test_one_occurrence_is_moved_or_cancelled_without_the_series(
    cast: Cast, world: World, mailed: list[Notice]
) -> None:
    series = recurring(cast, world)
    first, second, third, *_ = made_of(series)
    given: dict[str, Any] = {"notify": True, "by": SYSTEM, "author_id": None, "now": NOW}
    acts.move(
        first,
        first.starts_at + HOUR,
        first.ends_at + HOUR,
        BERLIN,
        "",
        version=first.version,
        idempotency_key="m",
        **given,
    )
    acts.cancel(second, "", version=second.version, idempotency_key="c", **given)
    events.commit()
    make_occurrences(series.id, NOW + 2 * DAY)
    series_acts.edit_series(
        series,
        wanted(world, title="Patch night again", starts_on=wall("2026-11-24T03:00")),
        notify=True,
        version=series.version,
        by=SYSTEM,
        now=NOW + HOUR,
    )
    events.commit()
    found = made_of(series)
    by_id = {each.id: each for each in found}
    assert by_id[first.id].starts_at == datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
    assert by_id[first.id].title == "Patch night"
    assert by_id[second.id].state is MaintenanceState.CANCELLED
    assert by_id[third.id].title == "Patch night again"
    moved = [each for each in found if each.title == "Patch night again"]
    assert {f"{each.starts_at.astimezone(ZoneInfo(BERLIN)):%H:%M}" for each in moved} == {"03:00"}
    assert mailed.count(Notice.MOVED) == 1 + len([each for each in moved if each.sequence])


def test_editing_a_series_keeps_places_cancels_what_is_too_many_and_makes_what_is_missing(
    cast: Cast, world: World, mailed: list[Notice]
) -> None:
    series = recurring(cast, world)
    before = made_of(series)
    given: dict[str, Any] = {"by": SYSTEM, "now": NOW + HOUR}
    series_acts.edit_series(
        series, wanted(world, rule="FREQ=WEEKLY;INTERVAL=2"), notify=True, version=series.version, **given
    )
    events.commit()
    alive = [each for each in made_of(series) if each.state is MaintenanceState.SCHEDULED]
    assert [each.id for each in alive] == [each.id for each in before[: len(alive)]]
    assert [each.starts_at for each in alive] == [
        datetime(2026, 11, 24, 1, 0, tzinfo=UTC) + number * 14 * DAY for number in range(5)
    ]
    assert mailed.count(Notice.CANCELLED) == len(before) - len(alive)
    assert mailed.count(Notice.MOVED) == len(alive) - 1
    version = series.version
    series_acts.edit_series(series, wanted(world, rule="FREQ=WEEKLY;INTERVAL=2"), notify=True, version=version, **given)
    assert series.version == version
    series_acts.edit_series(
        series,
        wanted(world, visibility=Visibility.PRIVATE, component_ids=frozenset({world.fibre.id})),
        notify=True,
        version=series.version,
        **given,
    )
    alive = [each for each in made_of(series) if each.state is MaintenanceState.SCHEDULED]
    assert len(alive) == 9
    assert {each.visibility for each in alive} == {Visibility.PRIVATE}
    with pytest.raises(StaleEdit):
        series_acts.edit_series(series, wanted(world, title="x"), notify=True, version=version, **given)


def test_stopped_what_is_ahead_and_untouched_is_cancelled(cast: Cast, world: World, mailed: list[Notice]) -> None:
    series = recurring(cast, world)
    first, *_ = made_of(series)
    acts.begin(
        first,
        "",
        notify=False,
        version=first.version,
        by=SYSTEM,
        author_id=None,
        now=first.starts_at - HOUR,
        idempotency_key="b",
    )
    now = first.starts_at + HOUR
    count = series_acts.stop_series(series, "No more.", notify=False, version=series.version, by=SYSTEM, now=now)
    events.commit()
    assert count == 8
    assert series_acts.stop_series(series, "", notify=True, version=0, by=SYSTEM, now=now) == 0
    found = made_of(series)
    assert found[0].state is MaintenanceState.IN_PROGRESS
    assert {each.state for each in found[1:]} == {MaintenanceState.CANCELLED}
    assert mailed == [Notice.ANNOUNCED]
    assert not make_occurrences(series.id, now + 10 * DAY)
    with pytest.raises(RuleViolation):
        series_acts.edit_series(series, wanted(world), notify=True, version=series.version, by=SYSTEM, now=now)
    stopped = series_page(1, is_stopped=True)
    assert stopped is not None
    assert stopped.total == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"rule": "FREQ=HOURLY"}, "rule"),
        ({"rule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}, "rule"),
        ({"duration": timedelta()}, "duration"),
        ({"duration": timedelta(days=40)}, "duration"),
        ({"zone": "Nowhere"}, "zone"),
        ({"starts_on": wall("2031-01-01T00:00")}, "starts_on"),
        ({"title": ""}, "title"),
    ],
)
def test_what_cannot_recur_says_where(cast: Cast, world: World, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(RuleViolation) as refused:
        recurring(cast, world, **changes)
    assert refused.value.field == field
