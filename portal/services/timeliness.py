"""How soon customers were told: from when something began to the first and the last mail, against targets. Pure.

Scheduled service is to be told ahead of its window, everything else soon after it began. An update is in time when
its first mail was handed over within the target; that the last one was not is said beside it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from statistics import median

from portal.services.rules import PROBLEMS, ServiceStatus, UpdateKind

JUDGED = (
    UpdateKind.STATED,
    UpdateKind.ANNOUNCED,
    UpdateKind.ENDED,
    UpdateKind.FINISHED,
    UpdateKind.RECOVERED,
)
"""What is held against a target; reminders, moves and cancellations have none."""


class Verdict(StrEnum):
    """IN_TIME; LATE_TAIL: the first mail was in time and the last was not; MISSED; WAITING: no mail yet, and there is
    time; NOBODY: it is over and reached nobody, so there is nothing to judge."""

    IN_TIME = "in_time"
    LATE_TAIL = "late_tail"
    MISSED = "missed"
    WAITING = "waiting"
    NOBODY = "nobody"


class Why(StrEnum):
    """Why a target was missed: it was SET_LATE, ANNOUNCED_LATE (too short before the window), told late by the CLOCK
    because the scheduler was down, or the MAIL left late."""

    SET_LATE = "set_late"
    ANNOUNCED_LATE = "announced_late"
    CLOCK = "clock"
    MAIL = "mail"


@dataclass(frozen=True)
class Told:
    """What was told of one service by one update.

    `first_at` and `last_at` are when its first and last mail were handed over, `is_over` that no more go out.
    """

    update_id: int
    service_id: int
    kind: UpdateKind
    status: ServiceStatus
    began_at: datetime
    starts_at: datetime | None
    set_at: datetime
    first_at: datetime | None
    last_at: datetime | None
    is_over: bool
    is_late: bool = False


@dataclass(frozen=True)
class Judgement:
    """How an update fares against its target.

    `first` and `last` are how long its first and last mail took, for scheduled service how far ahead of the window they
    came (negative: after it started); None while there is none.
    """

    verdict: Verdict
    first: timedelta | None
    last: timedelta | None
    why: Why | None


def judge(told: Told, target: timedelta, now: datetime) -> Judgement:
    """Hold what was told against its target."""
    first, last = _taken(told, told.first_at), _taken(told, told.last_at)
    if first is None:
        if told.is_over:
            return Judgement(Verdict.NOBODY, None, None, None)
        so_far = _taken(told, now)
        if so_far is not None and _is_met(told, so_far, target):
            return Judgement(Verdict.WAITING, None, None, None)
        return Judgement(Verdict.MISSED, None, None, _why(told, target))
    if not _is_met(told, first, target):
        return Judgement(Verdict.MISSED, first, last, _why(told, target))
    if last is not None and not _is_met(told, last, target):
        return Judgement(Verdict.LATE_TAIL, first, last, Why.MAIL)
    return Judgement(Verdict.IN_TIME, first, last, None)


@dataclass(frozen=True)
class Share:
    """Of what was judged, how much was in time, and how long the first mail about a problem usually takes."""

    judged: int
    in_time: int
    usual: timedelta | None

    @property
    def percent(self) -> int | None:
        """In time, in full percent, never rounded up to all; None when nothing was judged."""
        return self.in_time * 100 // self.judged if self.judged else None


def share(all_told: Iterable[Told], targets: Mapping[ServiceStatus, timedelta], now: datetime) -> Share:
    """How much of this was in time; what waits, or reached nobody, is left out."""
    judged = in_time = 0
    taken: list[float] = []
    for told in all_told:
        found = judge(told, targets[told.status], now)
        if found.verdict in (Verdict.WAITING, Verdict.NOBODY):
            continue
        judged += 1
        in_time += found.verdict is not Verdict.MISSED
        if told.status in PROBLEMS and found.first is not None:
            taken.append(found.first.total_seconds())
    return Share(judged, in_time, timedelta(seconds=median(taken)) if taken else None)


def shares(all_told: Iterable[Told], targets: Mapping[ServiceStatus, timedelta], now: datetime) -> dict[int, Share]:
    """The same for each service by itself."""
    by_service: dict[int, list[Told]] = {}
    for told in all_told:
        by_service.setdefault(told.service_id, []).append(told)
    return {service_id: share(each, targets, now) for service_id, each in by_service.items()}


def _taken(told: Told, at: datetime | None) -> timedelta | None:
    """How long until this moment from when it began, or ahead of the window it is; nothing is told before it began."""
    if at is None:
        return None
    if told.status is ServiceStatus.SCHEDULED:
        return (told.starts_at or told.began_at) - at
    return max(at - told.began_at, timedelta())


def _is_met(told: Told, taken: timedelta, target: timedelta) -> bool:
    return taken >= target if told.status is ServiceStatus.SCHEDULED else taken <= target


def _why(told: Told, target: timedelta) -> Why:
    if told.is_late:
        return Why.CLOCK
    at_setting = _taken(told, told.set_at)
    if at_setting is None or _is_met(told, at_setting, target):
        return Why.MAIL
    return Why.ANNOUNCED_LATE if told.status is ServiceStatus.SCHEDULED else Why.SET_LATE
