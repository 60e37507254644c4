"""One look at one alert of one company: how it stood, what was read, how it stands now, and what is said. Pure.

What is true is followed first, whatever may be said of it: a value, or none, moves the state. Then what recipients
believe is held against that, and they are told where it differs, unless the alert is muted or unstable. So whatever
kept a notice back, what is said when it may be is right, and is said once.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from portal.alerts.rules import (
    AlertState,
    Condition,
    Happened,
    Happening,
    Lack,
    Measured,
    Operator,
    Repeat,
    Standing,
    Step,
    Told,
)
from portal.localtime import around_gap, readings

UNSTABLE_AFTER = 3
"""Changes within `UNSTABLE_WITHIN` after which an alert is unstable."""

UNSTABLE_WITHIN = timedelta(hours=1)
STEADY_AFTER = timedelta(hours=1)
"""How long an unstable one must not have changed until it is spoken of again."""

RETRY_FIRST = timedelta(minutes=5)
"""When one whose notice reached nobody is said again; twice as long each time, and never longer than it repeats."""

ANSWER_SOONEST, ANSWER_LATEST = timedelta(seconds=30), timedelta(minutes=15)
"""How soon, and at the latest how late, it is asked whether a notice has reached anybody."""

BETWEEN_AT_LEAST = timedelta(hours=1)
"""What lies between two notices of one that repeats at an hour of the day: none follows the first on its heels."""

SOONEST = timedelta(seconds=1)
"""The shortest time between two looks at one alert while nothing comes in."""


def begun(now: datetime) -> Standing:
    """How an alert stands before anybody has looked."""
    return Standing(AlertState.NORMAL, now)


def cleared(standing: Standing, now: datetime) -> Standing:
    """Normal without a word: after an edit of what is watched, or when it is watched no more. It may stay muted."""
    return replace(begun(now), muted_since=standing.muted_since)


def is_bad(condition: Condition, value: Decimal) -> bool:
    """Whether the condition is true of this value."""
    return condition.threshold is not None and condition.operator.holds(value, condition.threshold)


def is_well(condition: Condition, value: Decimal) -> bool:
    """Whether a triggered alert may be normal again: it is not bad, and has reached the reset value if there is one."""
    if is_bad(condition, value):
        return False
    if condition.reset is None or not (condition.operator.is_low or condition.operator.is_high):
        return True
    return value >= condition.reset if condition.operator.is_low else value <= condition.reset


def lack_of(condition: Condition, reading: Measured) -> Lack | None:
    """Why a reading says nothing, None where it does."""
    if reading.is_stale:
        return Lack.STALE
    if condition.operator is Operator.ALWAYS:
        return None
    if reading.value is None:
        return Lack.NOTHING
    return Lack.FEW if reading.count is not None and reading.count < condition.least_count else None


def answered(standing: Standing, sent_at: datetime | None) -> Standing:
    """It is known what became of the last notice: somebody got it at `sent_at`, or with None nobody ever will."""
    if sent_at is None:
        return replace(standing, is_on_its_way=False, failures=standing.failures + 1)
    return replace(standing, is_on_its_way=False, failures=0, sent_at=sent_at)


def step(condition: Condition, standing: Standing, reading: Measured, now: datetime, *, is_muted: bool = False) -> Step:
    """Look once. `is_muted` while an incident or planned work on what it is about keeps it silent."""
    if condition.operator is Operator.ALWAYS:
        return _reported(condition, standing, reading, now)
    happened: list[Happened] = []
    standing = _followed(condition, standing, reading, now, happened)
    has_changed = any(each.what in {Happening.TRIGGERED, Happening.NORMAL} for each in happened)
    standing = _muted(standing, now, happened, is_muted=is_muted)
    if standing.muted_since is None and has_changed:
        standing = _counted(standing, now, happened)
    standing = _told(condition, standing, now, happened)
    return Step(standing, tuple(happened), due_at(condition, standing, reading, now))


# What is true


def _followed(
    condition: Condition, standing: Standing, reading: Measured, now: datetime, happened: list[Happened]
) -> Standing:
    """The state after this reading."""
    lack = lack_of(condition, reading)
    if lack is not None or reading.value is None:
        return _without_data(standing, lack or Lack.NOTHING, now, happened)
    standing = _with_data(standing, now, happened)
    if standing.state is AlertState.TRIGGERED:
        return _while_triggered(condition, standing, reading.value, now, happened)
    if not is_bad(condition, reading.value):
        since = standing.since if standing.state is AlertState.NORMAL else now
        return replace(standing, state=AlertState.NORMAL, since=since, pending_since=None)
    pending_since = standing.pending_since or now
    if now - pending_since < condition.must_last:
        return replace(standing, state=AlertState.PENDING, since=pending_since, pending_since=pending_since)
    happened.append(Happened(Happening.TRIGGERED))
    return replace(standing, state=AlertState.TRIGGERED, since=now, pending_since=None, triggered_at=now)


def _while_triggered(
    condition: Condition, standing: Standing, value: Decimal, now: datetime, happened: list[Happened]
) -> Standing:
    if not is_well(condition, value):
        return replace(standing, well_since=None)
    well_since = standing.well_since or now
    if now - well_since < condition.must_be_well:
        return replace(standing, well_since=well_since)
    happened.append(Happened(Happening.NORMAL))
    return replace(standing, state=AlertState.NORMAL, since=now, well_since=None, triggered_at=None)


def _without_data(standing: Standing, lack: Lack, now: datetime, happened: list[Happened]) -> Standing:
    """Nothing to judge by: the state beneath stays, with its clocks. Of what does not come in staff are told."""
    says = Happening.NO_DATA if lack is Lack.STALE else None
    if standing.state is not AlertState.NO_DATA:
        happened.append(Happened(Happening.NO_DATA, says))
        return replace(standing, state=AlertState.NO_DATA, kept=standing.state, lack=lack, since=now)
    if lack is not standing.lack and says:
        happened.append(Happened(Happening.NO_DATA, says))
    return replace(standing, lack=lack)


def _with_data(standing: Standing, now: datetime, happened: list[Happened]) -> Standing:
    """There is something to judge by: on from the state there was."""
    if standing.state is not AlertState.NO_DATA:
        return standing
    happened.append(Happened(Happening.DATA_AGAIN))
    state = standing.kept or AlertState.NORMAL
    since = {AlertState.TRIGGERED: standing.triggered_at, AlertState.PENDING: standing.pending_since}.get(state)
    return replace(standing, state=state, kept=None, lack=None, since=since or now)


def _muted(standing: Standing, now: datetime, happened: list[Happened], *, is_muted: bool) -> Standing:
    if is_muted and standing.muted_since is None:
        happened.append(Happened(Happening.MUTED))
        return replace(standing, muted_since=now)
    if not is_muted and standing.muted_since is not None:
        happened.append(Happened(Happening.UNMUTED))
        return replace(standing, muted_since=None)
    return standing


def _counted(standing: Standing, now: datetime, happened: list[Happened]) -> Standing:
    """A change is counted; with the third within an hour it is unstable, and with each further one for longer."""
    changes = (*(each for each in standing.changes if now - each < UNSTABLE_WITHIN), now)[-UNSTABLE_AFTER:]
    standing = replace(standing, changes=changes)
    if standing.held_until is not None and now < standing.held_until:
        return replace(standing, held_until=now + STEADY_AFTER)
    if len(changes) < UNSTABLE_AFTER:
        return standing
    happened.append(Happened(Happening.UNSTABLE, Happening.UNSTABLE))
    standing = replace(standing, held_until=now + STEADY_AFTER)
    return _said(standing, Happening.UNSTABLE, now)


# What is said


def _told(condition: Condition, standing: Standing, now: datetime, happened: list[Happened]) -> Standing:
    """Tell recipients what they do not know yet, or again what they do, where it is time for it."""
    if standing.muted_since is not None or standing.state is AlertState.NO_DATA:
        return standing
    if standing.held_until is not None:
        if now < standing.held_until:
            return standing
        happened.append(Happened(Happening.STEADY))
        standing = replace(standing, held_until=None)
    believed, news = (Told.TRIGGERED, Happening.TRIGGERED) if standing.is_triggered else (Told.NORMAL, Happening.NORMAL)
    if standing.told is not believed:
        is_said = news is Happening.TRIGGERED or condition.tells_normal
        if is_said:
            _attach(happened, news)
        return _said(standing, news, now) if is_said else replace(standing, told=believed)
    next_at = _again_at(condition, standing)
    if next_at is not None and now >= next_at:
        happened.append(Happened(Happening.REPEATED, Happening.REPEATED))
        return _said(standing, Happening.REPEATED, now)
    return standing


def _attach(happened: list[Happened], says: Happening) -> None:
    """Say it with what made it so: the change itself, or that it may be said again."""
    causes = ({says}, {Happening.UNMUTED}, {Happening.STEADY}, {Happening.DATA_AGAIN})
    for cause in causes:
        for place, each in enumerate(happened):
            if each.what in cause:
                happened[place] = Happened(each.what, says)
                return
    happened.append(Happened(says, says))


def _said(standing: Standing, says: Happening, now: datetime) -> Standing:
    """A notice was written. Repeats are counted anew from the first of what is news."""
    if says in {Happening.REPEATED, Happening.REPORTED}:
        return replace(standing, told_at=now)
    told = {
        Happening.TRIGGERED: Told.TRIGGERED,
        Happening.NORMAL: Told.NORMAL,
        Happening.UNSTABLE: Told.UNSTABLE,
    }[says]
    return replace(standing, told=told, told_at=now, sent_at=None, is_on_its_way=False, failures=0)


def _again_at(condition: Condition, standing: Standing) -> datetime | None:
    """When it is said again, None while it is not: only what is bad and was told, and not before the last arrived."""
    if standing.told is not Told.TRIGGERED or not standing.is_triggered or standing.told_at is None:
        return None
    return _next_notice(condition, standing.told_at, standing)


def _next_notice(condition: Condition, told_at: datetime, standing: Standing) -> datetime | None:
    """When the notice after that of `told_at` is due: counted from when the last was sent, or soon if it never was."""
    every = condition.repeat.every
    if every is None or standing.is_on_its_way:
        return None
    if standing.failures:
        return told_at + min(every, RETRY_FIRST * (1 << min(standing.failures - 1, 10)))
    last = max(standing.sent_at or told_at, told_at)
    if condition.repeat is Repeat.DAILY and condition.repeat_hour is not None:
        return next_hour(last + BETWEEN_AT_LEAST, condition.repeat_hour, condition.zone)
    return last + every


def next_hour(after: datetime, hour: int, zone_name: str) -> datetime:
    """The first moment from `after` on at which a clock in the zone shows this hour.

    On a day on which clocks leave it out it is when they have gone forward, and where they show it twice the first.
    """
    zone = ZoneInfo(zone_name)
    day = after.astimezone(zone).date()
    while True:
        wall = datetime(day.year, day.month, day.day, hour)  # noqa: DTZ001 (the time on a wall)
        shown = readings(wall, zone) or readings(around_gap(wall, zone)[1], zone)
        if shown[0] >= after:
            return shown[0]
        day += timedelta(days=1)


def _reported(condition: Condition, standing: Standing, reading: Measured, now: datetime) -> Step:
    """What is always sent: a report by the clock, no alarm. It waits for what does not come in; nothing mutes it."""
    happened: list[Happened] = []
    if lack_of(condition, reading) is not None:
        standing = _without_data(standing, Lack.STALE, now, happened)
        return Step(standing, tuple(happened), due_at(condition, standing, reading, now))
    standing = _with_data(standing, now, happened)
    next_at = _report_at(condition, standing)
    if next_at is not None and now >= next_at:
        happened.append(Happened(Happening.REPORTED, Happening.REPORTED))
        standing = _said(standing, Happening.REPORTED, now)
    return Step(standing, tuple(happened), due_at(condition, standing, reading, now))


def _report_at(condition: Condition, standing: Standing) -> datetime | None:
    """When the next report is due: the first at once, or at its hour."""
    if standing.told_at is not None:
        return _next_notice(condition, standing.told_at, standing)
    if condition.repeat is Repeat.DAILY and condition.repeat_hour is not None:
        return next_hour(standing.since, condition.repeat_hour, condition.zone)
    return standing.since if condition.repeat.every is not None else None


# When to look again


def due_at(condition: Condition, standing: Standing, reading: Measured, now: datetime) -> datetime | None:
    """The first moment at which looking again may find something although nothing comes in."""
    answer_at = _answer_at(standing, now)
    if condition.operator is Operator.ALWAYS:
        is_waiting = standing.state is AlertState.NO_DATA
        return _soonest(now, reading.next_at if is_waiting else _report_at(condition, standing), answer_at)
    if standing.state is AlertState.NO_DATA:
        return _soonest(now, reading.next_at, answer_at)
    triggers_at = standing.pending_since + condition.must_last if standing.pending_since else None
    well_at = standing.well_since + condition.must_be_well if standing.well_since else None
    speaks_at = None
    if standing.muted_since is None:
        speaks_at = standing.held_until or _again_at(condition, standing)
    return _soonest(now, reading.next_at, triggers_at, well_at, speaks_at, answer_at)


def _answer_at(standing: Standing, now: datetime) -> datetime | None:
    """When to ask what became of a notice that is on its way: less and less often."""
    if not standing.is_on_its_way or standing.told_at is None:
        return None
    return now + min(max(now - standing.told_at, ANSWER_SOONEST), ANSWER_LATEST)


def _soonest(now: datetime, *moments: datetime | None) -> datetime | None:
    return max(min(found), now + SOONEST) if (found := [each for each in moments if each is not None]) else None
