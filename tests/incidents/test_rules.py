"""The pure rules: no app, no database."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.accounts.rules import SIGNED_OUT, STAFF, Viewpoint
from portal.incidents.rules import (
    Audience,
    ComponentStatus,
    Entry,
    Impact,
    Interval,
    MaintenanceState,
    Move,
    Severity,
    State,
    Visibility,
    concerns,
    effective_status,
    impact_of,
    impact_of_life,
    intervals,
    is_visible,
    maintenance_state,
    move,
    overlaid,
    pack_days,
    public_id_for,
    roll_up,
    severities_after,
    standing_severities,
    update_due_at,
)
from portal.incidents.rules.availability import down_seconds

T0 = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NONE, SLOW, PARTIAL, MAJOR = Severity
OK, WORK, DEGRADED, PART, DOWN = ComponentStatus
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("current", "target", "expected"),
    [
        (State.INVESTIGATING, State.IDENTIFIED, Move.MOVES),
        (State.WATCHING, State.INVESTIGATING, Move.MOVES),
        (State.WATCHING, State.FIXED, Move.FIXES),
        (State.INVESTIGATING, State.FIXED, Move.FIXES),
        (State.FIXED, State.INVESTIGATING, Move.REOPENS),
        (State.FIXED, State.WATCHING, Move.REOPENS),
        (State.FIXED, State.FIXED, Move.STAYS),
        (State.FIXED, None, Move.STAYS),
        (State.IDENTIFIED, None, Move.STAYS),
    ],
)
def test_what_an_update_does_to_the_state(current: State, target: State | None, expected: Move) -> None:
    assert move(current, target) is expected


@pytest.mark.parametrize(
    ("standing", "named", "state", "expected"),
    [
        ({}, {1: MAJOR}, State.INVESTIGATING, {1: MAJOR}),
        ({1: MAJOR, 2: SLOW}, {2: PARTIAL}, State.IDENTIFIED, {1: MAJOR, 2: PARTIAL}),
        ({1: MAJOR, 2: SLOW}, {1: NONE}, None, {1: NONE, 2: SLOW}),
        ({1: MAJOR}, {2: MAJOR}, State.FIXED, {1: NONE, 2: NONE}),
    ],
    ids=["names", "keeps the others", "none clears one", "fixed clears all"],
)
def test_severities_after_an_update(
    standing: dict[int, Severity], named: dict[int, Severity], state: State | None, expected: dict[int, Severity]
) -> None:
    assert severities_after(standing, named, state) == expected


@pytest.mark.parametrize(
    ("impacts", "baseline", "is_worked_on", "expected"),
    [
        ([], OK, False, OK),
        ([], OK, True, WORK),
        ([SLOW], OK, True, DEGRADED),
        ([SLOW, MAJOR, PARTIAL], OK, False, DOWN),
        ([SLOW], PART, True, PART),
        ([NONE], WORK, False, WORK),
    ],
)
def test_maintenance_never_masks_an_outage(
    impacts: list[Severity], baseline: ComponentStatus, is_worked_on: bool, expected: ComponentStatus
) -> None:
    assert effective_status(impacts, under_maintenance=is_worked_on, baseline=baseline) is expected


def at(minutes: int) -> datetime:
    return T0 + timedelta(minutes=minutes)


def test_a_timeline_folds_into_the_stretches_of_each_component() -> None:
    timeline = [
        Entry(at(0), State.INVESTIGATING, {1: MAJOR, 2: NONE}),
        Entry(at(10), State.IDENTIFIED, {1: MAJOR, 3: SLOW}),
        Entry(at(20), State.WATCHING, {1: SLOW}),
        Entry(at(30), State.FIXED, {}),
        Entry(at(40), State.INVESTIGATING, {3: PARTIAL}),
    ]
    assert intervals(timeline) == {
        1: [Interval(MAJOR, at(0), at(20)), Interval(SLOW, at(20), at(30))],
        3: [Interval(SLOW, at(10), at(30)), Interval(PARTIAL, at(40), None)],
    }
    assert standing_severities(timeline) == {1: NONE, 2: NONE, 3: PARTIAL}


def test_the_first_entry_counts_from_when_it_began() -> None:
    timeline = [Entry(at(10), State.INVESTIGATING, {1: SLOW}), Entry(at(20), State.FIXED, {})]
    assert intervals(timeline, at(0)) == {1: [Interval(SLOW, at(0), at(20))]}


def test_what_begins_fixed_was_broken_until_then() -> None:
    assert intervals([Entry(at(10), State.FIXED, {1: SLOW})], at(0)) == {1: [Interval(SLOW, at(0), at(10))]}
    assert intervals([Entry(at(10), State.FIXED, {1: SLOW})]) == {}


def test_two_updates_of_one_moment_leave_no_stretch_without_length() -> None:
    timeline = [Entry(at(0), None, {1: MAJOR}), Entry(at(0), None, {1: SLOW}), Entry(at(0), None, {1: NONE})]
    assert intervals(timeline[:2]) == {1: [Interval(SLOW, at(0), None)]}
    assert intervals(timeline) == {}


severities = st.sampled_from(Severity)
entries = st.lists(
    st.builds(
        Entry,
        at=st.integers(0, 500).map(at),
        state=st.sampled_from([None, *State]),
        named=st.dictionaries(st.integers(1, 4), severities, max_size=4),
    ),
    max_size=12,
).map(lambda found: sorted(found, key=lambda entry: entry.at))


@given(entries)
def test_stretches_are_in_order_apart_and_end_as_the_timeline_does(timeline: list[Entry]) -> None:
    folded = intervals(timeline)
    standing = standing_severities(timeline)
    for component_id, stretches in folded.items():
        for stretch in stretches:
            assert stretch.severity is not NONE
            assert stretch.to_at is None or stretch.from_at < stretch.to_at
        for before, after in pairwise(stretches):
            assert before.to_at is not None
            assert before.to_at < after.from_at or (
                before.to_at == after.from_at and before.severity is not after.severity
            )
        lasting = [stretch.severity for stretch in stretches if stretch.to_at is None]
        assert lasting == ([standing[component_id]] if standing[component_id] is not NONE else [])
    assert {each for each, severity in standing.items() if severity is not NONE} <= set(folded)


@given(entries, st.integers(0, 500))
def test_at_any_moment_the_stretches_say_what_the_timeline_said(timeline: list[Entry], minute: int) -> None:
    moment = at(minute)
    known = standing_severities([entry for entry in timeline if entry.at <= moment])
    held = {
        component_id: stretch.severity
        for component_id, stretches in intervals(timeline).items()
        for stretch in stretches
        if stretch.from_at <= moment and (stretch.to_at is None or moment < stretch.to_at)
    }
    assert held == {component_id: severity for component_id, severity in known.items() if severity is not NONE}


@pytest.mark.parametrize(
    ("stretches", "expected"),
    [
        ([], "000"),
        ([Interval(SLOW, T0, T0 + HOUR)], "010"),
        ([Interval(SLOW, T0, None)], "011"),
        ([Interval(MAJOR, T0 - 400 * HOUR, None), Interval(SLOW, T0, None)], "333"),
        ([Interval(PARTIAL, datetime(2026, 11, 20, 23, tzinfo=UTC), datetime(2026, 11, 21, 0, tzinfo=UTC))], "200"),
        (
            [Interval(PARTIAL, datetime(2026, 11, 21, 0, tzinfo=UTC), datetime(2026, 11, 22, 0, 0, 1, tzinfo=UTC))],
            "022",
        ),
        ([Interval(MAJOR, T0 - 400 * HOUR, T0 - 399 * HOUR)], "000"),
        ([Interval(MAJOR, T0 + 400 * HOUR, None)], "000"),
    ],
    ids=["nothing", "an hour", "lasting", "worst wins", "until midnight", "from midnight", "before", "after"],
)
def test_days_are_packed_by_utc_day(stretches: list[Interval], expected: str) -> None:
    assert pack_days(stretches, date(2026, 11, 20), date(2026, 11, 22)) == expected


def test_two_packed_histories_lie_over_each_other() -> None:
    assert overlaid("0123", "3100") == "3123"


def test_overlapping_outages_count_once_and_partial_ones_at_their_weight() -> None:
    stretches = [
        Interval(MAJOR, T0, T0 + HOUR),
        Interval(MAJOR, T0 + HOUR / 2, T0 + HOUR),
        Interval(PARTIAL, T0, T0 + 2 * HOUR),
        Interval(SLOW, T0, None),
    ]
    assert down_seconds(stretches, T0 - HOUR, T0 + 10 * HOUR) == 3600 + round(0.3 * 3600)
    assert down_seconds(stretches, T0 + 3 * HOUR, T0 + 10 * HOUR) == 0
    assert down_seconds([Interval(MAJOR, T0, None)], T0 - HOUR, T0 + 2 * HOUR) == 7200


A, B = Viewpoint(company_id=1), Viewpoint(company_id=2)


@pytest.mark.parametrize(
    ("visibility", "audience", "reached", "seen_by"),
    [
        (Visibility.PUBLIC, Audience.EVERYONE, {1}, {STAFF, A, B, SIGNED_OUT}),
        (Visibility.PUBLIC, Audience.AFFECTED, {1}, {STAFF, A}),
        (Visibility.PUBLIC, Audience.AFFECTED, set(), {STAFF, A, B}),
        (Visibility.PRIVATE, Audience.EVERYONE, {1}, {STAFF}),
        (Visibility.PRIVATE, Audience.AFFECTED, set(), {STAFF}),
    ],
)
def test_who_an_incident_exists_for(
    visibility: Visibility, audience: Audience, reached: set[int], seen_by: set[Viewpoint]
) -> None:
    seen = {each for each in (STAFF, A, B, SIGNED_OUT) if is_visible(visibility, audience, reached, each)}
    assert seen == seen_by


def test_what_reaches_nobody_concerns_everybody() -> None:
    assert concerns(frozenset(), 1)
    assert concerns({1}, 1)
    assert not concerns({2}, 1)


@pytest.mark.parametrize(
    ("statuses", "impacts", "indicator", "description"),
    [
        ([], [], "none", "All Systems Operational"),
        ([OK, OK], [], "none", "All Systems Operational"),
        ([DOWN, DOWN], [], "critical", "Major System Outage"),
        ([DOWN, OK], [], "major", "Partial System Outage"),
        ([DOWN, PART, DEGRADED], [], "major", "Partial System Outage"),
        ([PART, PART], [], "major", "Partial System Outage"),
        ([PART, OK], [], "minor", "Minor Service Outage"),
        ([DEGRADED, DEGRADED], [], "minor", "Degraded System Service"),
        ([DEGRADED, OK], [], "minor", "Partially Degraded Service"),
        ([DEGRADED], [], "minor", "Partially Degraded Service"),
        ([PART], [], "major", "Partial System Outage"),
        ([DOWN], [], "critical", "Major System Outage"),
        ([WORK, OK], [], "maintenance", "Service Under Maintenance"),
        ([WORK, DEGRADED], [], "minor", "Partially Degraded Service"),
        ([], [Impact.MINOR, Impact.CRITICAL], "critical", "Major System Outage"),
        ([OK], [Impact.MAJOR], "major", "Partial System Outage"),
        ([OK, WORK], [Impact.MINOR], "minor", "Partially Degraded Service"),
        ([OK], [Impact.NONE], "none", "All Systems Operational"),
    ],
)
def test_the_roll_up_of_a_page(
    statuses: list[ComponentStatus], impacts: list[Impact], indicator: str, description: str
) -> None:
    found = roll_up(statuses, impacts)
    assert (found.indicator, found.description) == (indicator, description)


@pytest.mark.parametrize(
    ("severities", "override", "expected"),
    [
        ([], None, Impact.NONE),
        ([NONE], None, Impact.NONE),
        ([SLOW, NONE], None, Impact.MINOR),
        ([SLOW, PARTIAL], None, Impact.MAJOR),
        ([MAJOR], None, Impact.CRITICAL),
        ([MAJOR], Impact.MINOR, Impact.MINOR),
        ([], Impact.MAJOR, Impact.MAJOR),
    ],
)
def test_the_impact_of_an_incident(severities: list[Severity], override: Impact | None, expected: Impact) -> None:
    assert impact_of(severities, override) is expected


def test_a_fixed_incident_shows_the_worst_it_ever_was() -> None:
    assert impact_of_life([NONE], [SLOW, MAJOR], State.FIXED) is Impact.CRITICAL
    assert impact_of_life([SLOW], [SLOW, MAJOR], State.WATCHING) is Impact.MINOR
    assert impact_of_life([NONE], [MAJOR], State.FIXED, Impact.NONE) is Impact.NONE


@pytest.mark.parametrize(
    ("state", "hours", "expected"),
    [
        (MaintenanceState.SCHEDULED, -1, MaintenanceState.SCHEDULED),
        (MaintenanceState.SCHEDULED, 0, MaintenanceState.IN_PROGRESS),
        (MaintenanceState.SCHEDULED, 2, MaintenanceState.COMPLETED),
        (MaintenanceState.IN_PROGRESS, -1, MaintenanceState.IN_PROGRESS),
        (MaintenanceState.VERIFYING, 1, MaintenanceState.VERIFYING),
        (MaintenanceState.VERIFYING, 2, MaintenanceState.COMPLETED),
        (MaintenanceState.CANCELLED, 1, MaintenanceState.CANCELLED),
        (MaintenanceState.COMPLETED, 1, MaintenanceState.COMPLETED),
    ],
)
def test_maintenance_follows_the_clock_unless_moved_by_hand(
    state: MaintenanceState, hours: int, expected: MaintenanceState
) -> None:
    at = T0 + hours * HOUR
    assert maintenance_state(state, T0, T0 + 2 * HOUR, at, starts_itself=True, ends_itself=True) is expected


def test_an_update_is_owed_when_promised_else_after_the_usual_gap() -> None:
    assert update_due_at(T0, None) == T0 + timedelta(minutes=14)
    assert update_due_at(T0, T0 + HOUR) == T0 + HOUR


def test_a_public_id_is_opaque_and_the_same_for_the_same_key() -> None:
    assert public_id_for("a") == public_id_for("a") != public_id_for("b")
    assert public_id_for("a").isalnum()
    assert len(public_id_for("a")) <= 40
