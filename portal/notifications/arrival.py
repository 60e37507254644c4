"""When mails will have arrived, pure: over several relays, each with its pace, its budget of a day, and its pauses.

An estimate: it knows what waits and what each relay takes, not how long a server will think about a mail.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

HORIZON = timedelta(days=14)
"""Beyond this nothing is said: every mail has expired by then."""

STEP = 600.0
"""Seconds a budget is looked at in one piece; what was given in them comes back together a day later."""

DAY_SECONDS = 86_400.0
_NOTHING = 1e-6


@dataclass(frozen=True)
class Way:
    """One relay as an estimate sees it. `per_second` is its pace; one that `is_paced` by the minute leaves others the
    rest meanwhile, any other takes all there is until its budget is used up.

    It takes mails from `from_at` on; `left` is what is left of its day (None: not bounded), `per_day` the whole of it,
    `returns` what of it comes back when (oldest first).
    """

    name: str
    per_second: float
    is_paced: bool
    from_at: datetime
    per_day: int | None = None
    left: int | None = None
    returns: Sequence[tuple[datetime, int]] = ()


@dataclass(frozen=True)
class Share:
    """What goes over one relay: how many mails, rounded, and between when and when."""

    name: str
    mails: int
    begins_at: datetime
    ends_at: datetime


@dataclass(frozen=True)
class Arrival:
    """When mails go out, asked at a moment: the first of them, the last of them, and over what. `begins_at` is None
    where no relay takes mails unless somebody acts, `ends_at` also where it is further off than the horizon.
    """

    asked_at: datetime
    begins_at: datetime | None
    ends_at: datetime | None
    shares: tuple[Share, ...] = ()

    @property
    def seconds(self) -> int | None:
        """Seconds until the last of them, None where nothing can be said."""
        return None if self.ends_at is None else max(1, round((self.ends_at - self.asked_at).total_seconds()))


@dataclass
class _Course:
    """A relay under way in the estimate. Times are seconds from its beginning."""

    way: Way
    begins: float
    budget: float
    returns: deque[tuple[float, float]]
    mails: float = 0.0
    first: float = 0.0
    last: float = 0.0
    is_used: bool = field(default=False)

    def take_back(self, at: float) -> None:
        while self.returns and self.returns[0][0] <= at + _NOTHING:
            self.budget += self.returns.popleft()[1]

    def takes_some(self, at: float) -> bool:
        return self.begins <= at + _NOTHING and self.budget > _NOTHING

    def next_change(self, at: float) -> float:
        """When it begins to take mails, or gets some of its budget back."""
        changes = [self.begins] if self.begins > at + _NOTHING else []
        if self.returns:
            changes.append(self.returns[0][0])
        return min(changes, default=float("inf"))


def estimate(count: int, ways: Sequence[Way], now: datetime, *, ahead: int = 0) -> Arrival:
    """When `count` mails will have gone out over these relays, in their order, behind `ahead` others."""
    if not count:
        return Arrival(now, now, now)
    courses = [_course(way, now) for way in ways]
    at, gone, total = 0.0, 0.0, float(ahead + count)
    begins: float | None = None
    while total - gone > _NOTHING and at <= HORIZON.total_seconds():
        for each in courses:
            each.take_back(at)
        active, change = _active(courses, at), min((each.next_change(at) for each in courses), default=float("inf"))
        if not active:
            at = change
            continue
        pace = sum(each.way.per_second for each in active)
        is_ours = gone >= ahead - _NOTHING
        begins = at if is_ours and begins is None else begins
        # A step ends where the first of ours begins, so that it is known when and over what that is.
        goal = (total if is_ours else ahead) - gone
        seconds = min(goal / pace, change - at, *(_seconds_of(each) for each in active))
        for each in active:
            _send(each, at, seconds, is_ours=is_ours)
        gone += pace * seconds
        at += seconds
    if total - gone > _NOTHING:
        return Arrival(now, _moment(now, begins), None)
    return Arrival(now, _moment(now, begins), _moment(now, at), _shares(courses, now))


def _course(way: Way, now: datetime) -> _Course:
    returns = deque(((moment - now).total_seconds(), float(amount)) for moment, amount in way.returns)
    budget = float("inf") if way.left is None else float(way.left)
    return _Course(way, max(0.0, (way.from_at - now).total_seconds()), budget, returns)


def _active(courses: Sequence[_Course], at: float) -> list[_Course]:
    """Those that take mails at this moment: in their order, down to the first that takes all there is."""
    active = []
    for each in courses:
        if each.takes_some(at):
            active.append(each)
            if not each.way.is_paced:
                break
    return active


def _seconds_of(course: _Course) -> float:
    """For how long a relay goes on as it does, as far as its budget is concerned."""
    return min(course.budget / course.way.per_second, STEP) if course.budget != float("inf") else float("inf")


def _send(course: _Course, at: float, seconds: float, *, is_ours: bool) -> None:
    amount = course.way.per_second * seconds
    if course.budget != float("inf"):
        course.budget -= amount
        course.returns.append((at + DAY_SECONDS, amount))
    if is_ours:
        course.first = course.first if course.is_used else at
        course.is_used, course.last = True, at + seconds
        course.mails += amount


def _moment(now: datetime, seconds: float | None) -> datetime | None:
    return None if seconds is None else now + timedelta(seconds=seconds)


def _shares(courses: Sequence[_Course], now: datetime) -> tuple[Share, ...]:
    return tuple(
        Share(
            each.way.name,
            max(1, round(each.mails)),
            now + timedelta(seconds=each.first),
            now + timedelta(seconds=each.last),
        )
        for each in courses
        if each.is_used
    )
