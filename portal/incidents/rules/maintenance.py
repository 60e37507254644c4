"""Planned work by the clock: what it is at a moment, what is due of it next, and what is told of it.

What a maintenance *is* follows from its times and `now` alone (`state_of`), so a clock that was stopped never shows a
wrong state. `next_step` is about the notices.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from portal.incidents.rules import (
    OPEN_MAINTENANCE,
    Audience,
    MaintenanceState,
    Visibility,
    maintenance_state,
)
from portal.incidents.rules.languages import Translations


class WorkImpact(StrEnum):
    """What those who use the components will notice while the work lasts, mildest first."""

    NO_IMPACT = "no_impact"
    REDUCED_REDUNDANCY = "reduced_redundancy"
    DEGRADED = "degraded"
    OUTAGE = "outage"


class Notice(StrEnum):
    """What an update of planned work tells."""

    ANNOUNCED = "announced"
    REMINDED = "reminded"
    MOVED = "moved"
    STARTED = "started"
    VERIFYING = "verifying"
    COMPLETED = "completed"
    EXTENDED = "extended"
    CANCELLED = "cancelled"
    NOTE = "note"


SENTENCES: dict[Notice, str] = {
    Notice.ANNOUNCED: "This maintenance has been scheduled.",
    Notice.REMINDED: "This maintenance starts soon.",
    Notice.MOVED: "This maintenance has been moved.",
    Notice.STARTED: "Scheduled maintenance is currently in progress. We will provide updates as necessary.",
    Notice.VERIFYING: "Verification is currently underway for the maintenance items.",
    Notice.COMPLETED: "The scheduled maintenance has been completed.",
    Notice.EXTENDED: "The maintenance takes longer than planned.",
    Notice.CANCELLED: "This maintenance has been cancelled.",
    Notice.NOTE: "",
}
"""What a machine is told, in English, by an update that nobody wrote a text for."""

NOTICE_OF_STATE: dict[MaintenanceState, Notice] = {
    MaintenanceState.SCHEDULED: Notice.ANNOUNCED,
    MaintenanceState.IN_PROGRESS: Notice.STARTED,
    MaintenanceState.VERIFYING: Notice.VERIFYING,
    MaintenanceState.COMPLETED: Notice.COMPLETED,
    MaintenanceState.CANCELLED: Notice.CANCELLED,
}
"""What an update of which only the state is known has told: one that was imported, say."""


@dataclass(frozen=True)
class Plan:
    """Planned work as somebody enters it. `reminders` are how long before the start customers are told again,
    `translations` title and text in other languages.
    """

    title: str
    body: str
    component_ids: frozenset[int]
    starts_at: datetime
    ends_at: datetime
    zone: str
    impact: WorkImpact = WorkImpact.DEGRADED
    visibility: Visibility = Visibility.PUBLIC
    audience: Audience = Audience.EVERYONE
    notify: bool = True
    reminders: tuple[timedelta, ...] = (timedelta(hours=24), timedelta(hours=1))
    starts_itself: bool = True
    ends_itself: bool = True
    translations: Translations = field(default_factory=dict)


class Timed(Protocol):
    """What the state of planned work follows from: an entity or a row."""

    @property
    def state(self) -> MaintenanceState: ...
    @property
    def starts_at(self) -> datetime: ...
    @property
    def ends_at(self) -> datetime: ...
    @property
    def starts_itself(self) -> bool: ...
    @property
    def ends_itself(self) -> bool: ...


def state_of(work: Timed, now: datetime) -> MaintenanceState:
    """What this maintenance is at this moment."""
    return maintenance_state(
        work.state,
        work.starts_at,
        work.ends_at,
        now,
        starts_itself=work.starts_itself,
        ends_itself=work.ends_itself,
    )


def is_under_way(work: Timed, now: datetime) -> bool:
    """Whether this maintenance is being worked on at this moment."""
    return state_of(work, now) in OPEN_MAINTENANCE


# What a clock does of it


LATE_AFTER = timedelta(minutes=5)
"""A notice a clock sends later than this after it was due says so."""

STAFF_TOLD_BEFORE = timedelta(hours=3)
"""How long before the start whoever looks after a maintenance is told of it, as Statuspage does."""

ASKED_AFTER = (timedelta(), timedelta(hours=3), timedelta(hours=6), timedelta(hours=12), timedelta(hours=24))
"""How long after the moment at which somebody should have begun or ended the work by hand they are asked for it."""

REMINDERS_AT_MOST = 5
REMINDER_AT_LEAST, REMINDER_AT_MOST = timedelta(minutes=5), timedelta(days=30)


class Step(StrEnum):
    """What a clock does of a maintenance. The question is asked of staff: has it begun, is it done."""

    REMIND = "remind"
    TELL_STAFF = "tell_staff"
    START = "start"
    END = "end"
    ASK = "ask"


@dataclass(frozen=True)
class Course:
    """How far a maintenance has come. `reminders` are the longest first, `reminded` of them are done.

    `asked` counts the questions of its present stage, and those that were left out because nobody ran the clock.
    """

    state: MaintenanceState
    starts_at: datetime
    ends_at: datetime
    starts_itself: bool = True
    ends_itself: bool = True
    reminders: Sequence[timedelta] = ()
    reminded: int = 0
    is_staff_told: bool = False
    asked: int = 0


def next_step(course: Course) -> tuple[Step, datetime] | None:
    """What is due next of a maintenance, and when; None when nothing is."""
    if course.state in (MaintenanceState.COMPLETED, MaintenanceState.CANCELLED):
        return None
    if course.state in OPEN_MAINTENANCE:
        return (Step.END, course.ends_at) if course.ends_itself else _question(course.ends_at, course.asked)
    steps: list[tuple[Step, datetime]] = []
    if course.reminded < len(course.reminders):
        steps.append((Step.REMIND, course.starts_at - course.reminders[course.reminded]))
    if not course.is_staff_told:
        steps.append((Step.TELL_STAFF, course.starts_at - STAFF_TOLD_BEFORE))
    if course.starts_itself:
        steps.append((Step.START, course.starts_at))
    elif question := _question(course.starts_at, course.asked):
        steps.append(question)
    return min(steps, key=lambda step: step[1], default=None)


def _question(since: datetime, asked: int) -> tuple[Step, datetime] | None:
    return (Step.ASK, since + ASKED_AFTER[asked]) if asked < len(ASKED_AFTER) else None


def asked_by(since: datetime, now: datetime) -> int:
    """How many of the questions about what should have happened at `since` are due by now."""
    return sum(1 for after in ASKED_AFTER if since + after <= now)


def reminders_past(reminders: Sequence[timedelta], starts_at: datetime, now: datetime) -> int:
    """How many of the reminders, the longest first, lie at or before this moment."""
    return sum(1 for before in reminders if starts_at - before <= now)


# Other slots


class SlotState(StrEnum):
    """What became of a customer's wish for another slot."""

    OPEN = "open"
    ACCEPTED = "accepted"
    DECLINED = "declined"


FREEZE_AT_MOST = timedelta(days=92)
"""How long a company may ask for nothing to be worked on at a stretch."""

FREEZES_AT_MOST = 20
"""How many freezes of one company may be ahead or under way."""
