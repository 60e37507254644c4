"""What components imply for a holding, and which cause is named, with no app."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.incidents.rules import ComponentStatus
from portal.incidents.rules.templates import blanks
from portal.services.rules import (
    ASK_AFTER,
    Cause,
    Course,
    ServiceStatus,
    Stated,
    Step,
    WindowState,
    effective_service_status,
    is_live,
    main_cause,
    next_nag,
    next_step,
    worst_stated,
)

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("component", "service"),
    [
        (ComponentStatus.OPERATIONAL, ServiceStatus.NORMAL),
        (ComponentStatus.MAINTENANCE, ServiceStatus.SCHEDULED),
        (ComponentStatus.PERFORMANCE_ISSUE, ServiceStatus.INTERMITTENT),
        (ComponentStatus.PARTIAL_RTH, ServiceStatus.INTERMITTENT),
        (ComponentStatus.MAJOR_OUTAGE, ServiceStatus.DOWN),
    ],
)
def test_each_component_status_implies_one_service_status(component: ComponentStatus, service: ServiceStatus) -> None:
    assert effective_service_status(ServiceStatus.NORMAL, [component]) is service


def test_the_worse_of_stated_and_implied_wins_both_ways() -> None:
    assert effective_service_status(ServiceStatus.DOWN, [ComponentStatus.MAINTENANCE]) is ServiceStatus.DOWN
    assert effective_service_status(ServiceStatus.SCHEDULED, [ComponentStatus.MAJOR_OUTAGE]) is ServiceStatus.DOWN


def test_a_holding_that_depends_on_nothing_is_as_stated() -> None:
    assert effective_service_status(ServiceStatus.NORMAL, []) is ServiceStatus.NORMAL


def test_maintenance_never_masks_an_outage() -> None:
    both = [ComponentStatus.MAINTENANCE, ComponentStatus.PERFORMANCE_ISSUE]
    assert effective_service_status(ServiceStatus.NORMAL, both) is ServiceStatus.INTERMITTENT


def cause(title: str, minutes_ago: int, **statuses: ComponentStatus) -> Cause:
    return Cause(
        title, NOW - timedelta(minutes=minutes_ago), {int(key[1:]): status for key, status in statuses.items()}
    )


def test_the_cause_named_is_the_one_that_hits_worst() -> None:
    slow = cause("slow", 90, c1=ComponentStatus.PERFORMANCE_ISSUE)
    down = cause("down", 5, c2=ComponentStatus.MAJOR_OUTAGE)
    assert main_cause({1, 2}, [slow, down]) is down


def test_of_equals_the_older_cause_is_named() -> None:
    old = cause("old", 90, c1=ComponentStatus.PARTIAL_RTH)
    new = cause("new", 5, c2=ComponentStatus.PARTIAL_RTH)
    assert main_cause({1, 2}, [new, old]) is old


def test_what_hits_other_components_is_no_cause() -> None:
    assert main_cause({1}, [cause("elsewhere", 5, c9=ComponentStatus.MAJOR_OUTAGE)]) is None


def test_a_component_that_is_well_again_is_no_cause() -> None:
    assert main_cause({1}, [cause("over", 5, c1=ComponentStatus.OPERATIONAL)]) is None


# What is stated


@given(
    stated=st.sampled_from(ServiceStatus), components=st.lists(st.sampled_from(ComponentStatus)), extra=st.booleans()
)
def test_the_effective_status_is_the_worst_and_announcing_never_hides_any(
    stated: ServiceStatus, components: list[ComponentStatus], extra: bool
) -> None:
    found = effective_service_status(stated, components)
    assert found.rank >= stated.rank
    implied = [effective_service_status(ServiceStatus.NORMAL, [each]).rank for each in components]
    assert found.rank == max([stated.rank, *implied])
    announced = effective_service_status(
        max(stated, ServiceStatus.SCHEDULED, key=lambda status: status.rank), components
    )
    assert announced.rank == max(found.rank, ServiceStatus.SCHEDULED.rank)


moments = st.integers(-1000, 1000).map(lambda minutes: NOW + timedelta(minutes=minutes))


@given(
    problems=st.lists(st.sampled_from([ServiceStatus.INTERMITTENT, ServiceStatus.DOWN]), max_size=1),
    windows=st.lists(st.tuples(moments, st.integers(1, 600)), max_size=4),
)
def test_of_what_is_stated_a_problem_shows_first_then_what_is_under_way(
    problems: list[ServiceStatus], windows: list[tuple[datetime, int]]
) -> None:
    stated = [Stated(status, NOW) for status in problems]
    stated += [
        Stated(ServiceStatus.SCHEDULED, NOW, starts_at=start, until=start + timedelta(minutes=minutes), window="w")
        for start, minutes in windows
    ]
    found = worst_stated(stated, NOW)
    if found is None:
        assert not stated
    elif problems:
        assert found.status is problems[0]
    else:
        begun = [each for each in stated if each.starts_at is not None and each.starts_at <= NOW]
        assert (found in begun) if begun else found.starts_at == min(start for start, _ in windows)


@pytest.mark.parametrize(
    ("state", "is_shown"),
    [
        (WindowState.ANNOUNCED, True),
        (WindowState.STARTED, True),
        (WindowState.ENDED, False),
        (WindowState.CANCELLED, False),
    ],
)
def test_a_window_shows_until_its_end_whatever_a_scheduler_has_done(state: WindowState, is_shown: bool) -> None:
    assert is_live(state, NOW + timedelta(seconds=1), NOW) is is_shown
    assert not is_live(state, NOW, NOW)


# Blanks


@pytest.mark.parametrize(
    ("notes", "unfilled"),
    [
        ("Work on [service] from [start\ntime].", ["service", "start time"]),
        ("[Expected impact]", ["Expected impact"]),
        ("See [our page](https://example.test) and [this][ref].\n\n[ref]: https://example.test", []),
        ("![a picture](https://example.test/a.png)", []),
        ("- [ ] to do\n- [x] done\n- [X] done", []),
        ("A footnote [1], an empty [], a dash [-].", []),
        ("`list[index]` and\n\n```\nrow[key]\n```", []),
        ("Literally \\[this\\].", []),
        ("See [our page].\n\n[our page]: https://example.test", []),
        ("[" * 5000 + "x", []),
        ("", []),
    ],
)
def test_blanks_are_what_nobody_has_filled_and_nothing_of_markdown(notes: str, unfilled: list[str]) -> None:
    assert blanks(notes) == unfilled


@given(st.text(alphabet="[]()x \n`:\\", max_size=60))
def test_looking_for_blanks_ends_whatever_is_typed(notes: str) -> None:
    assert all(each.strip() for each in blanks(notes))


# What a clock does


DAY = timedelta(days=1)


@given(
    starts=st.integers(1, 5000),
    lasts=st.integers(1, 3000),
    reminder=st.integers(0, 3000),
    gaps=st.lists(st.integers(1, 900)),
)
def test_a_window_takes_each_step_once_and_in_order_however_the_clock_ticks(
    starts: int, lasts: int, reminder: int, gaps: list[int]
) -> None:
    begin, end = NOW + timedelta(minutes=starts), NOW + timedelta(minutes=starts + lasts)
    course = Course(WindowState.ANNOUNCED, begin, end)
    now, done = NOW, []
    for gap in [*gaps, 10_000]:
        now += timedelta(minutes=gap)
        while (due := next_step(course, NOW, timedelta(minutes=reminder))) and due[1] <= now:
            done.append(due[0])
            course = {
                Step.REMIND: replace(course, is_reminded=True),
                Step.START: replace(course, state=WindowState.STARTED),
                Step.END: replace(course, state=WindowState.ENDED),
                Step.ASK: replace(course, is_asked=True),
            }[due[0]]
    reminds = [Step.REMIND] if 0 < reminder < starts else []
    assert done == [*reminds, Step.START, Step.END, Step.ASK]


def test_nothing_is_due_of_what_was_called_off_or_confirmed() -> None:
    course = Course(WindowState.CANCELLED, NOW, NOW + DAY)
    assert next_step(course, NOW, DAY) is None
    assert next_step(replace(course, state=WindowState.ENDED, is_confirmed=True), NOW, DAY) is None
    ended = replace(course, state=WindowState.ENDED)
    assert next_step(ended, NOW, DAY) == (Step.ASK, NOW + DAY + ASK_AFTER)


@given(st.integers(0, 400))
def test_staff_are_asked_again_later_and_never_in_the_past(hours: int) -> None:
    now = NOW + timedelta(hours=hours)
    asked = next_nag(NOW, now)
    assert now < asked <= now + DAY
    assert (asked - NOW) // timedelta(hours=1) in {3, 6, 12, *range(24, 500, 24)}
