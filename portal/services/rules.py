"""How a holding is: the four service statuses, what staff state and what components imply. Source: DESIGN section 5."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from portal.incidents.rules import ComponentStatus


class ServiceStatus(StrEnum):
    """How a service is for one company, mildest first; `rank` orders them."""

    NORMAL = "operating_normally"
    SCHEDULED = "scheduled_service"
    INTERMITTENT = "intermittent_problems"
    DOWN = "system_is_down"

    @property
    def rank(self) -> int:
        return list(ServiceStatus).index(self)


PROBLEMS = (ServiceStatus.INTERMITTENT, ServiceStatus.DOWN)
"""What is stated of a holding as a period; scheduled service is a window, and normal is no row."""


class UpdateKind(StrEnum):
    """By what an update of a service status was made.

    STATED, ANNOUNCED (of a window), MOVED and CANCELLED by hand; REMINDED and ENDED by the clock; FINISHED by hand
    before or after the window's end; RECOVERED with the incident that was the cause.
    """

    STATED = "stated"
    ANNOUNCED = "announced"
    REMINDED = "reminded"
    MOVED = "moved"
    CANCELLED = "cancelled"
    ENDED = "ended"
    FINISHED = "finished"
    RECOVERED = "recovered"


class Scope(StrEnum):
    """For which holdings an update was: one, some that were chosen, or every holding of a service."""

    ONE = "one"
    CHOSEN = "chosen"
    ALL = "all"


class WindowState(StrEnum):
    """How far a window has come: ANNOUNCED, then STARTED and ENDED by the clock, or CANCELLED, or ENDED by hand."""

    ANNOUNCED = "announced"
    STARTED = "started"
    ENDED = "ended"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Wanted:
    """What an update is to say: the status, `notes` (Markdown), and when what it tells of `began_at` (None: now).

    Scheduled service needs `starts_at` and `ends_at`, in the `zone` they were typed in; of a problem `ends_at` alone is
    when it is estimated to be over. `ticket` is the number of a ticket, here or in another system.
    """

    status: ServiceStatus
    notes: str = ""
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    zone: str = "Europe/London"
    ticket: str = ""
    began_at: datetime | None = None
    notify: bool = True


UNDO_WITHIN = timedelta(minutes=10)
"""How long an update can be undone, if nothing of it was sent yet."""

NOTES_LENGTH = 10_000
TICKET_LENGTH = 60

TARGETS: dict[ServiceStatus, timedelta] = {
    ServiceStatus.NORMAL: timedelta(minutes=1),
    ServiceStatus.SCHEDULED: timedelta(hours=48),
    ServiceStatus.INTERMITTENT: timedelta(minutes=15),
    ServiceStatus.DOWN: timedelta(minutes=5),
}
"""How soon customers are to be told: ahead of the window for scheduled service, else after it began. BRIEF V11."""

NAG_AFTER = tuple(timedelta(hours=hours) for hours in (3, 6, 12, 24))
"""When staff are asked about a problem that still stands; after the last, once a day (status-pages, keep-honest)."""


IMPLIED: dict[ComponentStatus, ServiceStatus] = {
    ComponentStatus.OPERATIONAL: ServiceStatus.NORMAL,
    ComponentStatus.MAINTENANCE: ServiceStatus.SCHEDULED,
    ComponentStatus.PERFORMANCE_ISSUE: ServiceStatus.INTERMITTENT,
    ComponentStatus.PARTIAL_RTH: ServiceStatus.INTERMITTENT,
    ComponentStatus.MAJOR_OUTAGE: ServiceStatus.DOWN,
}


def effective_service_status(stated: ServiceStatus, components: Iterable[ComponentStatus]) -> ServiceStatus:
    """The worse of what staff stated for the holding and what its components imply."""
    return max([stated, *(IMPLIED[status] for status in components)], key=lambda status: status.rank)


@dataclass(frozen=True)
class Cause:
    """Something open that holds components at a status: an incident, maintenance under way, or what is set by hand.

    `public_id` is the incident's, for a link; None where there is no page to link to.
    """

    title: str
    since: datetime
    statuses: Mapping[int, ComponentStatus]
    public_id: str | None = None
    is_by_hand: bool = False

    def on(self, components: Collection[int]) -> ComponentStatus:
        """The worst this does to any of these components (ids)."""
        hit = (self.statuses[each] for each in components if each in self.statuses)
        return max(hit, key=lambda status: status.rank, default=ComponentStatus.OPERATIONAL)


def main_cause(components: Collection[int], causes: Iterable[Cause]) -> Cause | None:
    """The cause to name for a holding that depends on these components: what hits it worst, of equals the oldest.

    What is set by hand has nothing to read, so of equals it comes last.
    """
    hitting = [cause for cause in causes if cause.on(components) is not ComponentStatus.OPERATIONAL]
    return min(hitting, key=lambda cause: (-cause.on(components).rank, cause.is_by_hand, cause.since), default=None)


# What staff may say

AHEAD_AT_MOST = timedelta(days=731)
"""How far ahead scheduled service may lie, and an estimate: what is further off is a slip of the keyboard."""

BACK_AT_MOST = timedelta(days=366)
"""How long ago a problem may have begun."""

# Windows and what is due of them

OVER = (WindowState.ENDED, WindowState.CANCELLED)
"""States after which a window shows nowhere."""

ASK_AFTER = timedelta(minutes=15)
"""How long after the end of a window its owner is asked whether the work is done, if nobody has said so."""

LATE_AFTER = timedelta(minutes=5)
"""A notice that goes out this long after it was due says so."""


def is_live(state: WindowState, ends_at: datetime, now: datetime) -> bool:
    """Whether a window shows on its holdings: from its announcement until its end, whatever a scheduler has done."""
    return state not in OVER and now < ends_at


@dataclass(frozen=True)
class Course:
    """How far a window has come, as far as its notices go."""

    state: WindowState
    starts_at: datetime
    ends_at: datetime
    is_reminded: bool = False
    is_confirmed: bool = False
    is_asked: bool = False


class Step(StrEnum):
    """What a clock does of a window: its reminder, its start, its end, and the question whether the work is done."""

    REMIND = "remind"
    START = "start"
    END = "end"
    ASK = "ask"


def next_step(course: Course, announced_at: datetime, reminder: timedelta) -> tuple[Step, datetime] | None:
    """What is due next of a window, and when; None when nothing is.

    There is no reminder of a window that was announced (or moved to) later than its reminder would have been.
    """
    if course.state is WindowState.CANCELLED or (course.state is WindowState.ENDED and course.is_confirmed):
        return None
    if course.state is WindowState.ENDED:
        return None if course.is_asked else (Step.ASK, course.ends_at + ASK_AFTER)
    if course.state is WindowState.STARTED:
        return Step.END, course.ends_at
    remind_at = course.starts_at - reminder
    if not course.is_reminded and reminder > timedelta() and remind_at > announced_at:
        return Step.REMIND, remind_at
    return Step.START, course.starts_at


# Of what a holding's status is


class CauseKind(StrEnum):
    """What a holding's status comes from: an incident or maintenance of what it depends on, what that is by hand, or
    what staff stated of the holding."""

    INCIDENT = "incident"
    WORK = "work"
    COMPONENT = "component"
    STATED = "stated"
    WINDOW = "window"


@dataclass(frozen=True)
class Stated:
    """What staff state of a holding at this moment: a problem, or scheduled service.

    `since` is when a problem began, of scheduled service when it was announced. `until` is when a problem is estimated
    to be over, of scheduled service when it ends. `window` is the public id of the window.
    """

    status: ServiceStatus
    since: datetime
    notes: str = ""
    ticket: str = ""
    starts_at: datetime | None = None
    until: datetime | None = None
    window: str | None = None


def worst_stated(stated: Iterable[Stated], now: datetime) -> Stated | None:
    """What shows of several: the worst; of windows the one under way that ends last, else the one that starts first."""

    def order(each: Stated) -> tuple[int, bool, float]:
        starts_at, until = each.starts_at or each.since, each.until or each.since
        is_ahead = starts_at > now
        return -each.status.rank, is_ahead, starts_at.timestamp() if is_ahead else -until.timestamp()

    return min(stated, key=order, default=None)


# What can be taken back, and who is asked

BY_HAND = (
    UpdateKind.STATED,
    UpdateKind.ANNOUNCED,
    UpdateKind.MOVED,
    UpdateKind.CANCELLED,
    UpdateKind.FINISHED,
    UpdateKind.RECOVERED,
)
"""What people do, and can undo for a while; the others are a clock's."""


def next_nag(stated_at: datetime, now: datetime) -> datetime:
    """When staff are asked next about a problem that was stated then: after 3, 6, 12 and 24 hours, then once a day.

    What was due while nobody could ask is left out.
    """
    waited = now - stated_at
    for after in NAG_AFTER:
        if after > waited:
            return stated_at + after
    day = NAG_AFTER[-1]
    return stated_at + day * (waited // day + 1)
