"""What the clock does of scheduled service: once each, after whatever has happened to the clock."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from portal import clock, events
from portal.extensions import db
from portal.localtime import moment_of
from portal.notifications.models import Broadcast
from portal.services import mails
from portal.services.actions import Wanted, due_windows, finish_window, look_after, undo
from portal.services.actions.clockwork import nag
from portal.services.actions.settings import change_settings
from portal.services.asking import KIND, QUESTION
from portal.services.models import ServiceSettings, ServiceUpdate, ServiceWindow, StatedPeriod
from portal.services.queries import service_lines
from portal.services.queries.settings import settings
from portal.services.rules import ServiceStatus, UpdateKind, WindowState
from tests.conftest import NOW, Cast
from tests.incidents.conftest import World
from tests.services.acts import HOUR, ada, scheduled, state
from workers import tasks

MINUTE = timedelta(minutes=1)


@pytest.fixture
def window(cast: Cast, world: World) -> ServiceWindow:
    """In 48 hours, for two hours, of both companies, announced to them."""
    wanted = scheduled(starts_at=NOW + 48 * HOUR, ends_at=NOW + 50 * HOUR)
    made = state(cast, [world.holding_a.id, world.holding_b.id], wanted, "announce")
    events.commit()
    found = db.session.get(ServiceWindow, made.window_id)
    assert found is not None
    return found


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[UpdateKind, bool]]:
    """What customers are mailed: the kind of each update, and whether it says that it is late."""
    found: list[tuple[UpdateKind, bool]] = []

    def note(update: ServiceUpdate, **_: object) -> list[Broadcast]:
        found.append((update.kind, update.is_late))
        return []

    monkeypatch.setattr(mails, "tell", note)
    return found


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Have the worker look after services at this moment."""

    def look(after: timedelta) -> None:
        monkeypatch.setattr(clock, "utcnow", lambda: NOW + after)
        monkeypatch.setattr(tasks, "utcnow", lambda: NOW + after)
        tasks.look_after_services()

    return look


Told = list[tuple[UpdateKind, bool]]
At = Callable[[timedelta], None]


def questions() -> list[str]:
    return list(db.session.scalars(select(Broadcast.title).where(Broadcast.kind == KIND).order_by(Broadcast.id)))


def status_of(cast: Cast, now: datetime) -> ServiceStatus | None:
    (line,) = service_lines(cast.a.id, now)
    return line.status


def test_it_reminds_starts_and_ends_by_itself_and_asks_its_owner(
    cast: Cast, window: ServiceWindow, told: Told, at: At
) -> None:
    for minute in range(0, 51 * 60, 30):
        at(minute * MINUTE)
    assert [kind for kind, _ in told] == [UpdateKind.REMINDED, UpdateKind.ENDED]
    assert window.state is WindowState.ENDED
    assert (window.reminded_at is not None, window.started_at is not None) == (True, True)
    assert (window.ended_at, window.due_at) == (NOW + 50 * HOUR, None)
    assert questions() == ["Is the scheduled service finished?"]


def test_each_step_is_on_time_within_a_minute(window: ServiceWindow, told: Told, at: At) -> None:
    at(24 * HOUR - MINUTE)
    assert told == []
    at(24 * HOUR)
    assert told == [(UpdateKind.REMINDED, False)]
    at(48 * HOUR)
    assert (window.state, window.started_at) == (WindowState.STARTED, NOW + 48 * HOUR)
    at(50 * HOUR)
    assert told[1:] == [(UpdateKind.ENDED, False)]
    at(50 * HOUR + 14 * MINUTE)
    assert questions() == []
    at(50 * HOUR + 15 * MINUTE)
    assert len(questions()) == 1


def test_nobody_is_asked_of_what_was_finished(cast: Cast, window: ServiceWindow, told: Told, at: At) -> None:
    at(49 * HOUR)
    finish_window(
        window, "", notify=True, version=window.version, by=ada(cast), now=NOW + 49 * HOUR, idempotency_key="f"
    )
    events.commit()
    at(72 * HOUR)
    assert [kind for kind, _ in told] == [UpdateKind.FINISHED]
    assert questions() == []


def test_r41_a_scheduler_down_over_start_and_end_tells_the_end_once_and_late(
    cast: Cast, window: ServiceWindow, told: Told, at: At
) -> None:
    at(24 * HOUR)
    # Nothing runs from here to one hour after the end; the holdings show what is true all the same.
    assert status_of(cast, NOW + 49 * HOUR) is ServiceStatus.SCHEDULED
    assert status_of(cast, NOW + 50 * HOUR) is ServiceStatus.NORMAL
    told.clear()
    at(51 * HOUR)
    at(51 * HOUR)
    assert told == [(UpdateKind.ENDED, True)]
    assert (window.state, window.ended_at) == (WindowState.ENDED, NOW + 50 * HOUR)


def test_r41_a_reminder_of_what_has_begun_is_left_out(window: ServiceWindow, told: Told, at: At) -> None:
    at(49 * HOUR)
    assert told == []
    assert window.state is WindowState.STARTED


def test_r42_what_was_done_is_not_done_again(window: ServiceWindow, told: Told) -> None:
    assert look_after(window.id, NOW + 24 * HOUR)
    assert not look_after(window.id, NOW + 24 * HOUR)
    assert look_after(window.id, NOW + 50 * HOUR)
    assert not look_after(window.id, NOW + 50 * HOUR)
    assert [kind for kind, _ in told] == [UpdateKind.REMINDED, UpdateKind.ENDED]


@pytest.mark.parametrize("jump", [-HOUR, -72 * HOUR])
def test_a_clock_set_back_sends_nothing_twice(window: ServiceWindow, told: Told, at: At, jump: timedelta) -> None:
    at(24 * HOUR)
    at(48 * HOUR)
    at(50 * HOUR)
    told.clear()
    for moment in (24 * HOUR, 48 * HOUR, 50 * HOUR):
        at(moment + jump)
        at(moment)
    assert told == []
    assert window.state is WindowState.ENDED


def test_the_end_is_told_to_nobody_whose_service_is_still_in_trouble(
    cast: Cast, world: World, window: ServiceWindow, at: At
) -> None:
    state(cast, [world.holding_a.id], Wanted(ServiceStatus.DOWN), "down", NOW + 49 * HOUR)
    events.commit()
    at(50 * HOUR)
    assert status_of(cast, NOW + 50 * HOUR) is ServiceStatus.DOWN
    ended = db.session.scalars(select(ServiceUpdate).where(ServiceUpdate.kind == UpdateKind.ENDED)).one()
    assert (ended.holdings, ended.companies) == (1, 1)


def test_one_whose_announcement_was_undone_does_nothing(cast: Cast, window: ServiceWindow, told: Told, at: At) -> None:
    made = db.session.scalars(select(ServiceUpdate).where(ServiceUpdate.kind == UpdateKind.ANNOUNCED)).one()
    undo(made, by=ada(cast), now=NOW + MINUTE)
    events.commit()
    at(72 * HOUR)
    assert told == []
    assert due_windows(NOW + 100 * HOUR) == []


def test_the_reminder_comes_as_long_before_as_is_set(
    cast: Cast, world: World, window: ServiceWindow, told: Told, at: At
) -> None:
    db.session.add(ServiceSettings(reminder_minutes=60, targets={}))
    events.commit()
    at(24 * HOUR)
    assert told == []
    at(47 * HOUR)
    assert told == [(UpdateKind.REMINDED, False)]


def test_a_reminder_that_is_to_come_earlier_comes_as_soon_as_that_is_set(
    cast: Cast, window: ServiceWindow, told: Told, at: At
) -> None:
    def remind(hours: int, after: timedelta) -> None:
        usual = settings()
        change_settings(
            digest_over=usual.digest_over,
            reminder=hours * HOUR,
            targets=usual.targets,
            version=usual.version,
            by=ada(cast),
            now=NOW + after,
        )
        events.commit()

    remind(1, HOUR)
    at(24 * HOUR)
    assert told == []
    remind(23, 25 * HOUR)
    at(25 * HOUR + MINUTE)
    assert [kind for kind, _ in told] == [UpdateKind.REMINDED]


def test_r38_r39_a_window_over_the_night_clocks_go_back_lasts_as_long_and_is_told_once(
    cast: Cast, world: World, told: Told, at: At
) -> None:
    """From 01:30 to 03:00 in Berlin on 31 October 2027, an hour of which is there twice."""
    berlin = ZoneInfo("Europe/Berlin")
    start = moment_of(datetime.fromisoformat("2027-10-31T01:30"), berlin)
    end = moment_of(datetime.fromisoformat("2027-10-31T03:00"), berlin)
    assert end - start == timedelta(hours=2, minutes=30)
    now = start - 10 * HOUR
    made = state(cast, [world.holding_a.id], scheduled(starts_at=start, ends_at=end), "night", now)
    events.commit()
    told.clear()
    states = []
    for minutes in range(0, 13 * 60, 15):
        at(now - NOW + minutes * MINUTE)
        window = db.session.get(ServiceWindow, made.window_id)
        assert window is not None
        states.append(window.state)
    assert told == [(UpdateKind.ENDED, False)]
    assert states.count(WindowState.STARTED) == 10


def test_r37_a_window_that_starts_in_the_hour_clocks_leave_out_starts_once(
    cast: Cast, world: World, told: Told, at: At
) -> None:
    """What `zoneinfo` makes of 02:30 on 28 March 2027 in Berlin is 03:30 there: no clock shows the other."""
    start = datetime(2027, 3, 28, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    made = state(cast, [world.holding_a.id], scheduled(starts_at=start, ends_at=start.astimezone(UTC) + HOUR), "gap")
    events.commit()
    assert made.starts_at == datetime(2027, 3, 28, 1, 30, tzinfo=UTC)
    told.clear()
    for minutes in range(-120, 180, 30):
        at(start.astimezone(UTC) - NOW + minutes * MINUTE)
    assert [kind for kind, _ in told] == [UpdateKind.REMINDED, UpdateKind.ENDED]


def test_one_window_that_cannot_be_looked_after_holds_up_no_other(
    cast: Cast, world: World, window: ServiceWindow, at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = state(cast, [world.holding_a.id], scheduled(ends_at=NOW + 2 * HOUR), "second")
    events.commit()

    def broken(update: ServiceUpdate, **_: object) -> list[Broadcast]:
        if update.window_id == second.window_id:
            raise ValueError("a wording that cannot be read")
        return []

    monkeypatch.setattr(mails, "tell", broken)
    at(50 * HOUR)
    assert window.state is WindowState.ENDED
    assert second.window_id in due_windows(NOW + 50 * HOUR)


# Problems that were forgotten


def test_staff_are_asked_about_a_problem_after_3_6_12_and_24_hours_then_daily(cast: Cast, world: World, at: At) -> None:
    made = state(cast, [world.holding_a.id], Wanted(ServiceStatus.DOWN), "down")
    events.commit()
    asked = []
    for hour in range(80):
        before = len(questions())
        at(hour * HOUR)
        if len(questions()) > before:
            asked.append(hour)
    assert asked == [3, 6, 12, 24, 48, 72]
    assert made.nags == 6
    people, _ = QUESTION.recipients({"person_id": cast.ada.id}, None, 10, NOW)
    assert [each.person_id for each in people] == [cast.ada.id]


def test_who_is_gone_is_not_asked_but_everybody_who_may_answer(cast: Cast) -> None:
    cast.ada.deactivated_at = NOW
    db.session.flush()
    people, _ = QUESTION.recipients({"person_id": cast.ada.id}, None, 10, NOW)
    assert [each.person_id for each in people] == [cast.root.id]


def test_after_a_long_silence_staff_are_asked_once(cast: Cast, world: World, at: At) -> None:
    made = state(cast, [world.holding_a.id], Wanted(ServiceStatus.DOWN), "down")
    events.commit()
    at(30 * HOUR)
    at(31 * HOUR)
    assert len(questions()) == 1
    assert made.nag_at == NOW + 48 * HOUR


def test_what_is_over_or_was_said_anew_is_not_asked_about(cast: Cast, world: World, at: At) -> None:
    over = state(cast, [world.holding_b.id], Wanted(ServiceStatus.DOWN), "1")
    state(cast, [world.holding_b.id], Wanted(ServiceStatus.NORMAL), "2", NOW + HOUR)
    older = state(cast, [world.holding_a.id], Wanted(ServiceStatus.DOWN), "3")
    newer = state(cast, [world.holding_a.id], Wanted(ServiceStatus.DOWN, "Still."), "4", NOW + 2 * HOUR)
    events.commit()
    at(4 * HOUR)
    assert questions() == []
    assert {"over": over.nag_at, "older": older.nag_at} == {"over": None, "older": None}
    at(5 * HOUR)
    assert len(questions()) == 1
    assert not nag(newer.id, NOW + 5 * HOUR)


def test_a_problem_that_was_undone_is_not_asked_about(cast: Cast, world: World, at: At) -> None:
    made = state(cast, [world.holding_a.id], Wanted(ServiceStatus.DOWN), "down")
    undo(made, by=ada(cast), now=NOW + MINUTE)
    events.commit()
    at(4 * HOUR)
    assert questions() == []


def test_a_problem_ends_with_the_holding_it_was_stated_of(cast: Cast, world: World, at: At) -> None:
    both = [world.holding_a.id, world.holding_b.id]
    state(cast, both, Wanted(ServiceStatus.DOWN), "1")
    world.holding_a.valid_to = NOW + HOUR
    events.commit()
    at(4 * HOUR)
    ended = dict(db.session.execute(select(StatedPeriod.holding_id, StatedPeriod.ended_at)).all())
    assert ended == {world.holding_a.id: NOW + HOUR, world.holding_b.id: None}
    world.telephony.archived_at = world.internet.archived_at = NOW + 5 * HOUR
    events.commit()
    at(24 * HOUR)
    assert len(questions()) == 1


def test_what_stands_again_is_asked_about_again(cast: Cast, world: World, at: At) -> None:
    first = state(cast, [world.holding_a.id], Wanted(ServiceStatus.DOWN), "1")
    second = state(cast, [world.holding_a.id], Wanted(ServiceStatus.NORMAL), "2", NOW + 3 * HOUR - MINUTE)
    events.commit()
    at(3 * HOUR)
    assert first.nag_at is None
    undo(second, by=ada(cast), now=NOW + 3 * HOUR + MINUTE)
    events.commit()
    at(6 * HOUR + MINUTE)
    assert len(questions()) == 1


def test_the_beat_finds_what_is_due(cast: Cast, window: ServiceWindow, monkeypatch: pytest.MonkeyPatch) -> None:
    woken: list[str] = []
    monkeypatch.setattr(events, "wake", lambda name, *_: woken.append(name))
    for now, is_due in ((NOW, False), (NOW + 24 * HOUR, True)):
        woken.clear()
        monkeypatch.setattr(tasks, "utcnow", lambda now=now: now)
        tasks.beat()
        assert ("look_after_services" in woken) is is_due
