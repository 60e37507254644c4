"""How soon customers were told: the rules by themselves, then as read from the mails that were handed over."""

from datetime import datetime, timedelta

import pytest

from portal.services.rules import TARGETS, ServiceStatus, UpdateKind
from portal.services.timeliness import Told, Verdict, Why, judge, share, shares
from tests.conftest import NOW

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def told(
    status: ServiceStatus = ServiceStatus.DOWN,
    *,
    began: datetime = NOW,
    set_after: timedelta = MINUTE,
    first: timedelta | None = 3 * MINUTE,
    last: timedelta | None = None,
    starts: datetime | None = None,
    is_over: bool = True,
    is_late: bool = False,
    service_id: int = 1,
) -> Told:
    return Told(
        update_id=1,
        service_id=service_id,
        kind=UpdateKind.ANNOUNCED if status is ServiceStatus.SCHEDULED else UpdateKind.STATED,
        status=status,
        began_at=began,
        starts_at=starts,
        set_at=began + set_after,
        first_at=began + first if first is not None else None,
        last_at=began + (last or first) if first is not None else None,
        is_over=is_over,
        is_late=is_late,
    )


def verdict(each: Told, now: datetime = NOW + HOUR) -> tuple[Verdict, Why | None]:
    found = judge(each, TARGETS[each.status], now)
    return found.verdict, found.why


@pytest.mark.parametrize(
    ("each", "expected"),
    [
        (told(), (Verdict.IN_TIME, None)),
        (told(first=5 * MINUTE), (Verdict.IN_TIME, None)),
        (told(first=5 * MINUTE + timedelta(seconds=1)), (Verdict.MISSED, Why.MAIL)),
        (told(set_after=42 * MINUTE, first=43 * MINUTE), (Verdict.MISSED, Why.SET_LATE)),
        (told(last=20 * MINUTE), (Verdict.LATE_TAIL, Why.MAIL)),
        (told(ServiceStatus.INTERMITTENT, first=15 * MINUTE), (Verdict.IN_TIME, None)),
        (told(ServiceStatus.NORMAL, set_after=timedelta(), first=2 * MINUTE), (Verdict.MISSED, Why.MAIL)),
        (told(ServiceStatus.NORMAL, first=10 * MINUTE, is_late=True), (Verdict.MISSED, Why.CLOCK)),
        (told(first=None), (Verdict.NOBODY, None)),
        (told(first=None, is_over=False), (Verdict.MISSED, Why.MAIL)),
        # A clock that went back: nothing is told before it began.
        (told(first=-MINUTE), (Verdict.IN_TIME, None)),
    ],
)
def test_a_problem_and_its_end_are_to_be_told_soon_after_they_began(
    each: Told, expected: tuple[Verdict, Why | None]
) -> None:
    assert verdict(each) == expected


def test_what_has_not_been_mailed_yet_waits_until_its_time_is_over() -> None:
    waiting = told(first=None, is_over=False)
    assert verdict(waiting, NOW + 4 * MINUTE) == (Verdict.WAITING, None)
    assert verdict(waiting, NOW + 6 * MINUTE) == (Verdict.MISSED, Why.MAIL)


@pytest.mark.parametrize(
    ("ahead", "expected"),
    [
        (timedelta(hours=48, minutes=3), (Verdict.IN_TIME, None)),
        (timedelta(hours=48, minutes=2), (Verdict.MISSED, Why.MAIL)),
        (timedelta(hours=30), (Verdict.MISSED, Why.ANNOUNCED_LATE)),
        (timedelta(), (Verdict.MISSED, Why.ANNOUNCED_LATE)),
    ],
)
def test_scheduled_service_is_to_be_told_ahead_of_its_window(
    ahead: timedelta, expected: tuple[Verdict, Why | None]
) -> None:
    assert verdict(told(ServiceStatus.SCHEDULED, starts=NOW + ahead)) == expected


def test_how_far_ahead_and_how_long_after() -> None:
    planned = judge(told(ServiceStatus.SCHEDULED, starts=NOW + 50 * HOUR), TARGETS[ServiceStatus.SCHEDULED], NOW)
    assert planned.first == 50 * HOUR - 3 * MINUTE
    problem = judge(told(last=9 * MINUTE), TARGETS[ServiceStatus.DOWN], NOW)
    assert (problem.first, problem.last) == (3 * MINUTE, 9 * MINUTE)


def test_a_share_leaves_out_what_waits_and_what_reached_nobody() -> None:
    all_told = [
        told(first=2 * MINUTE),
        told(first=4 * MINUTE),
        told(first=60 * MINUTE),
        told(first=None),
        told(ServiceStatus.SCHEDULED, starts=NOW + 50 * HOUR),
    ]
    found = share(all_told, TARGETS, NOW)
    assert (found.judged, found.in_time, found.percent, found.usual) == (4, 3, 75, 4 * MINUTE)
    nothing = share([told(first=None)], TARGETS, NOW)
    assert (nothing.judged, nothing.percent, nothing.usual) == (0, None, None)


def test_a_percentage_is_never_rounded_up_to_all() -> None:
    assert share([*[told()] * 199, told(first=HOUR)], TARGETS, NOW).percent == 99


def test_each_service_has_a_share_of_its_own() -> None:
    found = shares([told(service_id=1), told(service_id=2, first=HOUR)], TARGETS, NOW)
    assert {service_id: each.percent for service_id, each in found.items()} == {1: 100, 2: 0}
