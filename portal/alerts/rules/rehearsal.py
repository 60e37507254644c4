"""What an alert would have done: readings of the past, gone through by the same steps that judge those of now. Pure.

It begins as if the alert had been switched on then, reaches everybody at once, and leaves out what may have kept it
silent, such as an incident.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from portal.alerts.rules import Condition, Happening, Lack, Measured, Operator, Standing
from portal.alerts.rules.stepping import begun, is_bad, is_well, lack_of, step

TO_STAFF_ONLY = frozenset({Happening.NO_DATA})
"""Of this recipients are told nothing."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that would have happened, with the figure of that moment; `says` is as what recipients were told."""

    at: datetime
    what: Happening
    says: Happening | None
    value: Decimal | None
    count: int | None

    @property
    def is_sent(self) -> bool:
        return self.says is not None and self.says not in TO_STAFF_ONLY


class Stretch(NamedTuple):
    """A time for which it would have been triggered; not `is_over` where the past ended before it."""

    begins: datetime
    ends: datetime
    is_over: bool

    @property
    def length(self) -> timedelta:
        return self.ends - self.begins


@dataclass(frozen=True)
class Rehearsal:
    """What would have happened from `begins` to `ends`.

    `begins` is where the figures do; None says there are none. The last four are how many mails more it would have
    sent without that setting, None where the setting is not used. As an alert that is unstable is silent, that may be
    none although it would have been triggered more often.
    """

    begins: datetime | None
    ends: datetime
    moments: tuple[Moment, ...] = ()
    stretches: tuple[Stretch, ...] = ()
    without_data: timedelta = timedelta()
    by_reset: int | None = None
    by_must_last: int | None = None
    by_must_be_well: int | None = None
    by_least_count: int | None = None

    @property
    def mails(self) -> tuple[Moment, ...]:
        """What recipients would have been told, in the order of time."""
        return tuple(moment for moment in self.moments if moment.is_sent)

    @property
    def longest(self) -> Stretch | None:
        return max(self.stretches, key=lambda stretch: stretch.length, default=None)

    def sent(self, says: Happening) -> int:
        """How many mails would have said this."""
        return sum(1 for moment in self.moments if moment.says is says)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A reading of the past: what comes next is known, so nothing has to be expected of it."""

    value: Decimal | None
    count: int | None
    at: datetime
    is_stale: bool
    next_at: datetime | None = None


def rehearse(condition: Condition, readings: Sequence[Measured], ends: datetime) -> Rehearsal:
    """Go through readings in the order of time. Each holds until the next; the last until `ends`."""
    if not readings:
        return Rehearsal(None, ends)
    moments = tuple(_moments(condition, readings, ends))
    sent = _sent(moments)

    def more(without: Condition) -> int | None:
        if without == condition or condition.operator is Operator.ALWAYS:
            return None
        return max(0, _sent(_moments(without, readings, ends)) - sent)

    return Rehearsal(
        readings[0].at,
        ends,
        moments,
        tuple(_stretches(moments, ends)),
        _without_data(moments, ends),
        by_reset=more(replace(condition, reset=None)),
        by_must_last=more(replace(condition, must_last=timedelta())),
        by_must_be_well=more(replace(condition, must_be_well=timedelta())),
        by_least_count=more(replace(condition, least_count=0)),
    )


def _sent(moments: Iterable[Moment]) -> int:
    return sum(1 for moment in moments if moment.is_sent)


def _moments(condition: Condition, readings: Sequence[Measured], ends: datetime) -> Iterator[Moment]:
    """What happens, one thing after the other.

    It is looked only where something may come of it: where a reading is of another kind than the one before, or the
    clock is up. Between these a look changes nothing, for it makes no more of a reading than its kind.
    """
    standing, due_at = begun(readings[0].at), None
    seen, kind = readings[0], _Kind(None, None, None)
    kinds: dict[Decimal, _Kind] = {}
    for reading in readings:
        while due_at is not None and due_at < reading.at:
            standing, due_at = yield from _look(condition, standing, seen, due_at)
        before, seen, kind = kind, reading, _kind(condition, reading, kinds)
        if kind.differs(before, standing) or (due_at is not None and due_at <= reading.at):
            standing, due_at = yield from _look(condition, standing, reading, reading.at)
    while due_at is not None and due_at < ends:
        standing, due_at = yield from _look(condition, standing, seen, due_at)


class _Kind(NamedTuple):
    """All that a look makes of a reading; of what was never read nothing at all."""

    lack: Lack | None
    is_bad: bool | None
    is_well: bool | None

    def differs(self, other: "_Kind", standing: Standing) -> bool:
        """Whether a look at one leads elsewhere than at the other: of what is triggered it is asked whether it is
        well, of what is not whether it is bad."""
        if self is other:
            return False
        if self.lack is not other.lack or other.is_bad is None:
            return True
        return self.is_well is not other.is_well if standing.is_triggered else self.is_bad is not other.is_bad


_LACKING = {lack: _Kind(lack, False, False) for lack in Lack}
_REPORTED = _Kind(None, False, False)


def _kind(condition: Condition, reading: Measured, kinds: dict[Decimal, _Kind]) -> _Kind:
    """`kinds` are those of values that were there before."""
    value = reading.value
    if (lack := lack_of(condition, reading)) is not None:
        return _LACKING[lack]
    if value is None:
        return _REPORTED
    if (found := kinds.get(value)) is None:
        found = kinds[value] = _Kind(None, is_bad(condition, value), is_well(condition, value))
    return found


def _look(
    condition: Condition, standing: Standing, reading: Measured, now: datetime
) -> Generator[Moment, None, tuple[Standing, datetime | None]]:
    """One look: what happened, and then how it stands and when the clock is up."""
    found = step(condition, standing, _Seen(reading.value, reading.count, reading.at, reading.is_stale), now)
    for each in found.happenings:
        yield Moment(now, each.what, each.says, reading.value, reading.count)
    return found.standing, found.due_at


def _stretches(moments: Sequence[Moment], ends: datetime) -> Iterator[Stretch]:
    begins = None
    for moment in moments:
        if moment.what is Happening.TRIGGERED:
            begins = begins or moment.at
        elif moment.what is Happening.NORMAL and begins is not None:
            yield Stretch(begins, moment.at, True)
            begins = None
    if begins is not None:
        yield Stretch(begins, ends, False)


def _without_data(moments: Sequence[Moment], ends: datetime) -> timedelta:
    """For how long there was nothing to judge by."""
    total, since = timedelta(), None
    for moment in moments:
        if moment.what is Happening.NO_DATA:
            since = since or moment.at
        elif moment.what is Happening.DATA_AGAIN and since is not None:
            total, since = total + (moment.at - since), None
    return total + (ends - since if since is not None else timedelta())
