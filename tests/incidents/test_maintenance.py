"""Planned work by hand and by the clock: what it is, who sees it, and what is told of it, once each."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from portal import clock, events
from portal.accounts.rules import SIGNED_OUT, STAFF, Viewpoint
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM, Actor
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.incidents import actions as reports
from portal.incidents import queries
from portal.incidents.actions import announcing, clockwork
from portal.incidents.actions import maintenance as acts
from portal.incidents.actions.by_clock import look_after
from portal.incidents.models import Maintenance, MaintenanceComponent, MaintenanceUpdate
from portal.incidents.queries.conditions import is_ahead_or_under_way, is_under_way
from portal.incidents.queries.maintenance import (
    MaintenanceFilters,
    maintenance_for_staff,
    maintenance_page,
    past_maintenance,
    visible_maintenance,
)
from portal.incidents.queries.open_now import open_work
from portal.incidents.queries.whole import Which, whole_maintenance
from portal.incidents.rules import (
    OPEN_MAINTENANCE,
    Audience,
    ComponentStatus,
    MaintenanceState,
    Severity,
    State,
    Visibility,
)
from portal.incidents.rules.maintenance import (
    ASKED_AFTER,
    SENTENCES,
    Course,
    Notice,
    Plan,
    WorkImpact,
    next_step,
    state_of,
)
from portal.notifications.models import Broadcast
from tests.conftest import NOW, Cast, counted_queries
from tests.incidents.conftest import World
from workers import tasks

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
START, END = NOW + 48 * HOUR, NOW + 50 * HOUR
_keys = count()


def ada(cast: Cast) -> Actor:
    return Actor("Ada", cast.ada.id)


def wanted(components: set[int] | None = None, **changes: Any) -> Plan:
    given: dict[str, Any] = {
        "title": "Exchange upgrade",
        "body": "We replace a card.",
        "component_ids": frozenset(components or ()),
        "starts_at": START,
        "ends_at": END,
        "zone": "Europe/Berlin",
    } | changes
    return Plan(**given)


def plan(cast: Cast, components: set[int] | None = None, now: datetime = NOW, **changes: Any) -> Maintenance:
    return acts.plan(
        wanted(components, **changes),
        by=ada(cast),
        author_id=cast.ada.id,
        now=now,
        idempotency_key=f"plan-{next(_keys)}",
    )


def do(what: Callable[..., Any], cast: Cast, found: Maintenance, now: datetime, *args: Any, **changes: Any) -> Any:
    given: dict[str, Any] = {
        "notify": True,
        "version": found.version,
        "by": ada(cast),
        "author_id": cast.ada.id,
        "now": now,
        "idempotency_key": f"act-{next(_keys)}",
    } | changes
    return what(found, *args, **given)


def told_of(found: Maintenance) -> list[tuple[Notice, MaintenanceState, bool]]:
    rows = db.session.scalars(
        select(MaintenanceUpdate).where(MaintenanceUpdate.maintenance_id == found.id).order_by(MaintenanceUpdate.id)
    )
    return [(each.kind, each.state, each.is_late) for each in rows]


def kinds_of(found: Maintenance) -> list[Notice]:
    return [kind for kind, _, _ in told_of(found)]


def questions() -> list[str]:
    kind = "incident_question"
    return list(db.session.scalars(select(Broadcast.title).where(Broadcast.kind == kind).order_by(Broadcast.id)))


@pytest.fixture
def mailed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Notice, bool]]:
    """What customers are mailed: the kind of each update, and whether it is late."""
    found: list[tuple[Notice, bool]] = []

    def note(maintenance: Maintenance, update: MaintenanceUpdate, **_: object) -> None:
        assert update.id is not None
        found.append((update.kind, update.is_late))

    monkeypatch.setattr(announcing, "tell", note)
    return found


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Have the worker look after incidents at this moment."""

    def look(moment: datetime) -> None:
        monkeypatch.setattr(clock, "utcnow", lambda: moment)
        monkeypatch.setattr(tasks, "utcnow", lambda: moment)
        tasks.look_after_incidents()
        db.session.expire_all()

    return look


At = Callable[[datetime], None]
Mailed = list[tuple[Notice, bool]]


# What it is


@pytest.mark.parametrize(
    ("state", "starts_itself", "ends_itself", "hours", "expected"),
    [
        (MaintenanceState.SCHEDULED, False, True, 1, MaintenanceState.SCHEDULED),
        (MaintenanceState.SCHEDULED, False, True, 30, MaintenanceState.SCHEDULED),
        (MaintenanceState.SCHEDULED, False, False, 30, MaintenanceState.SCHEDULED),
        (MaintenanceState.SCHEDULED, True, False, 30, MaintenanceState.IN_PROGRESS),
        (MaintenanceState.IN_PROGRESS, False, True, 1, MaintenanceState.IN_PROGRESS),
        (MaintenanceState.IN_PROGRESS, False, True, 2, MaintenanceState.COMPLETED),
        (MaintenanceState.IN_PROGRESS, True, False, 30, MaintenanceState.IN_PROGRESS),
        (MaintenanceState.VERIFYING, True, False, 30, MaintenanceState.VERIFYING),
        (MaintenanceState.CANCELLED, True, True, 1, MaintenanceState.CANCELLED),
        (MaintenanceState.COMPLETED, False, False, 1, MaintenanceState.COMPLETED),
    ],
)
def test_what_does_not_start_or_end_by_itself_waits_for_somebody(
    state: MaintenanceState, starts_itself: bool, ends_itself: bool, hours: int, expected: MaintenanceState
) -> None:
    course = Course(state, NOW, NOW + 2 * HOUR, starts_itself, ends_itself)
    assert state_of(course, NOW + hours * HOUR) is expected


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    state=st.sampled_from(MaintenanceState),
    itself=st.tuples(st.booleans(), st.booleans()),
    window=st.tuples(st.integers(-3, 3), st.integers(1, 3)),
)
def test_the_conditions_and_the_rule_agree(
    world: World, state: MaintenanceState, itself: tuple[bool, bool], window: tuple[int, int]
) -> None:
    starts_itself, ends_itself = itself
    start, length = window
    with db.session.begin_nested() as savepoint:
        row = Maintenance(
            public_id=f"agree-{next(_keys)}",
            title="x",
            state=state,
            starts_at=NOW + start * HOUR,
            ends_at=NOW + (start + length) * HOUR,
            starts_itself=starts_itself,
            ends_itself=ends_itself,
            created_at=NOW,
            public_updated_at=NOW,
        )
        db.session.add(row)
        db.session.flush()
        is_it = Maintenance.id == row.id
        under_way = db.session.scalar(select(Maintenance.id).where(is_it, is_under_way(NOW))) is not None
        goes_on = db.session.scalar(select(Maintenance.id).where(is_it, is_ahead_or_under_way(NOW))) is not None
        found = state_of(row, NOW)
        boundary = queries.next_boundary(NOW)
        for moment in (NOW + hours * HOUR for hours in range(1, 8)):
            if state_of(row, moment) is not found:
                assert boundary is not None
                assert boundary <= moment
                break
        savepoint.rollback()
    assert under_way is (found in OPEN_MAINTENANCE)
    assert goes_on is (found in (*OPEN_MAINTENANCE, MaintenanceState.SCHEDULED))


@given(
    state=st.sampled_from(MaintenanceState),
    itself=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    reminders=st.lists(st.integers(1, 100).map(lambda hours: hours * HOUR), max_size=4, unique=True),
    done=st.tuples(st.integers(0, 4), st.integers(0, len(ASKED_AFTER))),
)
def test_something_is_due_until_it_is_over_and_nobody_is_left_to_ask(
    state: MaintenanceState, itself: tuple[bool, bool, bool], reminders: list[timedelta], done: tuple[int, int]
) -> None:
    starts_itself, ends_itself, is_staff_told = itself
    reminded, asked = done
    course = Course(
        state,
        START,
        END,
        starts_itself,
        ends_itself,
        sorted(reminders, reverse=True),
        min(reminded, len(reminders)),
        is_staff_told,
        asked,
    )
    step = next_step(course)
    if state in (MaintenanceState.COMPLETED, MaintenanceState.CANCELLED):
        assert step is None
    elif state in OPEN_MAINTENANCE:
        assert (step is not None) is (ends_itself or asked < len(ASKED_AFTER))
        assert step is None or step[1] >= END
    elif starts_itself:
        assert step is not None
        assert step[1] <= START


def test_every_notice_has_a_sentence_for_machines() -> None:
    assert set(SENTENCES) == set(Notice)
    assert [kind for kind, sentence in SENTENCES.items() if not sentence] == [Notice.NOTE]


# By hand


def test_planning_announces_it_once_whatever_is_sent_again(cast: Cast, world: World, mailed: Mailed) -> None:
    given: dict[str, Any] = {"by": ada(cast), "author_id": cast.ada.id, "now": NOW, "idempotency_key": "once"}
    made = acts.plan(wanted({world.trunk.id}), **given)
    again = acts.plan(wanted({world.trunk.id}), **given)
    events.commit()
    assert again is made
    assert (made.owner_id, made.reminders, made.zone) == (cast.ada.id, [1440, 60], "Europe/Berlin")
    assert mailed == [(Notice.ANNOUNCED, False)]
    assert made.due_at == START - 24 * HOUR
    trail = db.session.scalars(select(AuditEntry.action).where(AuditEntry.object_kind == "maintenance")).all()
    assert trail == ["maintenance.plan"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"title": " "}, "title"),
        ({"body": ""}, "body"),
        ({"zone": "Mars/Olympus"}, "zone"),
        ({"ends_at": START}, "ends_at"),
        ({"starts_at": NOW - 2 * HOUR, "ends_at": NOW}, "ends_at"),
        ({"ends_at": START + timedelta(days=32)}, "ends_at"),
        ({"starts_at": NOW + timedelta(days=800), "ends_at": NOW + timedelta(days=801)}, "ends_at"),
        ({"component_ids": frozenset({999_999})}, "components"),
        ({"reminders": (timedelta(minutes=1),)}, "reminders"),
        ({"reminders": tuple(hours * HOUR for hours in range(1, 8))}, "reminders"),
    ],
)
def test_what_cannot_be_planned_says_where(cast: Cast, world: World, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(RuleViolation) as refused:
        plan(cast, **changes)
    assert refused.value.field == field
    assert db.session.scalar(select(Maintenance.id)) is None


def test_a_window_that_has_begun_is_under_way_at_once_and_told_once(
    cast: Cast, world: World, mailed: Mailed, at: At
) -> None:
    made = plan(cast, {world.trunk.id}, starts_at=NOW - HOUR, ends_at=NOW + HOUR)
    events.commit()
    assert (made.state, made.started_at) == (MaintenanceState.IN_PROGRESS, NOW - HOUR)
    at(NOW + MINUTE)
    assert mailed == [(Notice.ANNOUNCED, False)]
    assert questions() == []


def test_by_hand_it_begins_is_verified_and_completed(cast: Cast, world: World, mailed: Mailed) -> None:
    made = plan(cast, {world.trunk.id}, starts_itself=False, ends_itself=False)
    assert queries.statuses_of([world.trunk.id], STAFF, START + HOUR)[world.trunk.id] is ComponentStatus.OPERATIONAL
    early = START - HOUR
    with pytest.raises(RuleViolation):
        do(acts.verify, cast, made, early, "")
    do(acts.begin, cast, made, early, "We are at it.")
    assert made.started_at == early
    assert queries.statuses_of([world.trunk.id], STAFF, early)[world.trunk.id] is ComponentStatus.MAINTENANCE
    with pytest.raises(RuleViolation):
        do(acts.begin, cast, made, early, "")
    do(acts.verify, cast, made, START, "")
    do(acts.complete, cast, made, END + HOUR, "Done.", notify=False)
    assert (made.state, made.completed_at, made.due_at) == (MaintenanceState.COMPLETED, END + HOUR, None)
    assert queries.statuses_of([world.trunk.id], STAFF, END + HOUR)[world.trunk.id] is ComponentStatus.OPERATIONAL
    assert [kind for kind, _ in mailed] == [Notice.ANNOUNCED, Notice.STARTED, Notice.VERIFYING]
    with pytest.raises(RuleViolation):
        do(acts.cancel, cast, made, END + HOUR, "")
    do(acts.add_note, cast, made, END + 2 * HOUR, "The old card is sent back.")
    assert kinds_of(made)[-1] is Notice.NOTE


def test_moving_tells_of_the_new_times_and_reminds_anew(cast: Cast, world: World, mailed: Mailed, at: At) -> None:
    made = plan(cast, {world.trunk.id})
    events.commit()
    at(START - 24 * HOUR)
    before = made.sequence
    update = do(acts.move, cast, made, START - HOUR, START + 72 * HOUR, END + 72 * HOUR, "UTC", "The part is late.")
    events.commit()
    assert (update.kind, update.starts_at, made.zone) == (Notice.MOVED, START + 72 * HOUR, "UTC")
    assert made.sequence == before + 1
    at(START)
    assert made.state is MaintenanceState.SCHEDULED
    at(START + 48 * HOUR)
    assert [kind for kind, _ in mailed] == [Notice.ANNOUNCED, Notice.REMINDED, Notice.MOVED, Notice.REMINDED]


def test_under_way_only_the_end_moves_and_what_the_clock_ended_goes_on(
    cast: Cast, world: World, mailed: Mailed, at: At
) -> None:
    made = plan(cast, {world.trunk.id}, reminders=())
    events.commit()
    at(START)
    with pytest.raises(RuleViolation) as refused:
        do(acts.move, cast, made, START + MINUTE, START + HOUR, END, "UTC", "")
    assert refused.value.field == "starts_at"
    at(END)
    assert made.state is MaintenanceState.COMPLETED
    do(acts.move, cast, made, END + MINUTE, START, END + HOUR, "UTC", "It takes longer.")
    events.commit()
    assert (made.state, made.completed_at) == (MaintenanceState.IN_PROGRESS, None)
    at(END + HOUR)
    told = [Notice.ANNOUNCED, Notice.STARTED, Notice.COMPLETED, Notice.EXTENDED, Notice.COMPLETED]
    assert [kind for kind, _ in mailed] == told
    do(acts.move, cast, made, END + HOUR, START, END + 2 * HOUR, "UTC", "")
    do(acts.complete, cast, made, END + HOUR + MINUTE, "")
    with pytest.raises(RuleViolation):
        do(acts.move, cast, made, END + HOUR + MINUTE, START, END + 3 * HOUR, "UTC", "")


def test_cancelled_it_is_told_and_the_clock_leaves_it_alone(cast: Cast, world: World, mailed: Mailed, at: At) -> None:
    made = plan(cast, {world.trunk.id})
    do(acts.cancel, cast, made, NOW + HOUR, "No part.")
    events.commit()
    at(END + HOUR)
    assert [kind for kind, _ in mailed] == [Notice.ANNOUNCED, Notice.CANCELLED]
    assert state_of(made, START) is MaintenanceState.CANCELLED
    with pytest.raises(RuleViolation):
        do(acts.move, cast, made, NOW + HOUR, START, END + HOUR, "UTC", "")


@pytest.mark.parametrize("name", ["begin", "verify", "complete", "cancel", "add_note"])
def test_an_act_is_done_once_by_its_key_and_refuses_what_is_stale(cast: Cast, world: World, name: str) -> None:
    made = plan(cast, {world.trunk.id}, starts_at=NOW - HOUR, ends_at=NOW + HOUR)
    if name == "begin":
        made = plan(cast, {world.trunk.id})
    version = made.version
    act = getattr(acts, name)
    moment = NOW + MINUTE
    first = do(act, cast, made, moment, "Text.", idempotency_key="same", version=version)
    assert do(act, cast, made, moment, "Text.", idempotency_key="same", version=version) is first
    with pytest.raises(StaleEdit):
        do(act, cast, made, moment, "Text.", version=version)
    assert len(told_of(made)) == 2


def test_editing_changes_what_is_said_and_who_sees_it_and_mails_nobody(
    cast: Cast, world: World, mailed: Mailed
) -> None:
    made = plan(cast, {world.trunk.id})
    given: dict[str, Any] = {
        "title": "Card upgrade",
        "body": "We replace two cards.",
        "component_ids": {world.fibre.id},
        "impact": WorkImpact.OUTAGE,
        "visibility": Visibility.PRIVATE,
        "audience": Audience.AFFECTED,
        "notify": False,
        "reminders": [2 * HOUR],
        "starts_itself": True,
        "ends_itself": False,
        "owner_id": cast.root.id,
        "by": ada(cast),
        "now": NOW + MINUTE,
    }
    acts.edit(made, version=made.version, **given)
    events.commit()
    assert (made.title, made.impact, made.reminders, made.owner_id) == (
        "Card upgrade",
        WorkImpact.OUTAGE,
        [120],
        cast.root.id,
    )
    assert visible_maintenance(Viewpoint(company_id=cast.a.id), made.public_id, NOW) is None
    loaded = maintenance_for_staff(made.id)
    assert loaded is not None
    assert [each.component_id for each in loaded.components] == [world.fibre.id]
    assert loaded.updates[0].body == "We replace two cards."
    assert mailed == [(Notice.ANNOUNCED, False)]
    version = made.version
    acts.edit(made, version=version, **given)
    assert made.version == version
    with pytest.raises(StaleEdit):
        acts.edit(made, version=version - 1, **given)


def test_what_the_clock_began_stays_begun_when_it_is_no_longer_its_to_begin(cast: Cast, world: World) -> None:
    made = plan(cast, {world.trunk.id})
    acts.edit(
        made,
        title=made.title,
        body="x",
        component_ids={world.trunk.id},
        impact=made.impact,
        visibility=made.visibility,
        audience=made.audience,
        notify=True,
        reminders=[],
        starts_itself=False,
        ends_itself=True,
        owner_id=None,
        version=made.version,
        by=SYSTEM,
        now=START + MINUTE,
    )
    assert state_of(made, START + MINUTE) is MaintenanceState.IN_PROGRESS


def test_past_work_is_written_down_and_mails_nobody_ever(cast: Cast, world: World, mailed: Mailed, at: At) -> None:
    past = wanted({world.trunk.id}, starts_at=NOW - 10 * HOUR, ends_at=NOW - 8 * HOUR)
    given: dict[str, Any] = {"by": ada(cast), "author_id": cast.ada.id, "now": NOW, "idempotency_key": "past"}
    made = acts.backfill(past, **given)
    assert acts.backfill(past, **given) is made
    events.commit()
    at(NOW + HOUR)
    do(acts.add_note, cast, made, NOW + HOUR, "More.")
    assert mailed == []
    assert (made.state, made.completed_at, made.due_at) == (MaintenanceState.COMPLETED, NOW - 8 * HOUR, None)
    with pytest.raises(RuleViolation):
        acts.backfill(wanted(), **given | {"idempotency_key": "ahead"})


# Never masks an outage


def test_maintenance_never_masks_an_outage(cast: Cast, world: World) -> None:
    plan(cast, {world.trunk.id}, starts_at=NOW - HOUR, ends_at=NOW + HOUR)
    assert queries.component_statuses(STAFF, NOW)[world.trunk.id] is ComponentStatus.MAINTENANCE
    reports.publish(
        "Slow",
        State.INVESTIGATING,
        "It is slow.",
        {world.trunk.id: Severity.PERFORMANCE_ISSUE},
        by=SYSTEM,
        author_id=None,
        now=NOW,
        idempotency_key="slow",
        notify=False,
    )
    assert queries.component_statuses(STAFF, NOW)[world.trunk.id] is ComponentStatus.PERFORMANCE_ISSUE
    assert queries.component_statuses(STAFF, NOW + 2 * HOUR)[world.trunk.id] is ComponentStatus.PERFORMANCE_ISSUE


# By the clock


def test_the_clock_reminds_starts_and_ends_it_and_tells_its_owner(
    cast: Cast, world: World, mailed: Mailed, at: At
) -> None:
    made = plan(cast, {world.trunk.id})
    events.commit()
    for moment in (NOW + HOUR, START - 24 * HOUR, START - 3 * HOUR, START - HOUR, START, START + HOUR, END, END + HOUR):
        at(moment)
        at(moment)
    told = [Notice.ANNOUNCED, Notice.REMINDED, Notice.REMINDED, Notice.STARTED, Notice.COMPLETED]
    assert mailed == [(kind, False) for kind in told]
    assert kinds_of(made) == told
    assert (made.started_at, made.completed_at, made.due_at) == (START, END, None)
    assert questions() == ["Maintenance starts soon: Exchange upgrade"]


def test_after_downtime_what_is_over_is_left_out_and_the_end_says_that_it_is_late(
    cast: Cast, world: World, mailed: Mailed, at: At
) -> None:
    made = plan(cast, {world.trunk.id})
    events.commit()
    assert state_of(made, START + HOUR) is MaintenanceState.IN_PROGRESS
    assert queries.component_statuses(STAFF, START + HOUR)[world.trunk.id] is ComponentStatus.MAINTENANCE
    at(END + 3 * HOUR)
    assert mailed == [(Notice.ANNOUNCED, False), (Notice.COMPLETED, True)]
    assert questions() == []
    at(END + 4 * HOUR)
    assert len(mailed) == 2


def test_of_reminders_that_were_missed_the_last_one_counts(cast: Cast, world: World, mailed: Mailed, at: At) -> None:
    plan(cast, {world.trunk.id})
    events.commit()
    at(START - 30 * MINUTE)
    assert mailed == [(Notice.ANNOUNCED, False), (Notice.REMINDED, True)]
    at(START + 30 * MINUTE)
    assert mailed[2:] == [(Notice.STARTED, True)]


def test_no_reminder_of_what_was_planned_later_than_it_would_have_come(
    cast: Cast, world: World, mailed: Mailed, at: At
) -> None:
    plan(cast, {world.trunk.id}, starts_at=NOW + 2 * HOUR, ends_at=NOW + 3 * HOUR)
    events.commit()
    at(NOW + MINUTE)
    at(NOW + HOUR)
    assert mailed == [(Notice.ANNOUNCED, False), (Notice.REMINDED, False)]
    assert questions() == []


def test_a_clock_set_back_sends_nothing_twice(cast: Cast, world: World, mailed: Mailed, at: At) -> None:
    made = plan(cast, {world.trunk.id}, reminders=(HOUR,))
    events.commit()
    for moment in (START, START - 2 * HOUR, START - HOUR, START, END, START, END):
        at(moment)
    assert mailed == [(Notice.ANNOUNCED, False), (Notice.STARTED, False), (Notice.COMPLETED, False)]
    posted = db.session.scalars(
        select(MaintenanceUpdate.posted_at)
        .where(MaintenanceUpdate.maintenance_id == made.id)
        .order_by(MaintenanceUpdate.id)
    ).all()
    assert posted == sorted(posted)


def test_what_needs_a_hand_is_asked_for_until_somebody_lends_it(
    cast: Cast, world: World, mailed: Mailed, at: At
) -> None:
    made = plan(cast, {world.trunk.id}, starts_itself=False, ends_itself=False, reminders=())
    events.commit()
    at(START - 3 * HOUR)
    at(START)
    at(START + MINUTE)
    assert questions() == [
        "Maintenance starts soon: Exchange upgrade",
        "Has the maintenance begun? Exchange upgrade",
    ]
    # Nobody ran the clock for half a day: one question, not three.
    at(START + 13 * HOUR)
    assert len(questions()) == 3
    do(acts.begin, cast, made, START + 13 * HOUR, "")
    events.commit()
    at(START + 13 * HOUR + MINUTE)
    assert questions()[3:] == ["Is the maintenance done? Exchange upgrade"]
    at(END + 400 * HOUR)
    at(END + 800 * HOUR)
    assert len(questions()) == 5
    assert made.due_at is None
    assert state_of(made, END + 800 * HOUR) is MaintenanceState.IN_PROGRESS
    assert [kind for kind, _ in mailed] == [Notice.ANNOUNCED, Notice.STARTED]


def test_imported_work_is_nothing_for_the_clock(cast: Cast, world: World, mailed: Mailed, at: At) -> None:
    row = Maintenance(
        public_id="theirs",
        source="statuspage:x",
        title="Theirs",
        state=MaintenanceState.SCHEDULED,
        starts_at=START,
        ends_at=END,
        created_at=NOW,
        public_updated_at=NOW,
    )
    db.session.add(row)
    events.commit()
    at(END)
    assert mailed == []
    assert state_of(row, END) is MaintenanceState.COMPLETED


def test_private_work_follows_the_clock_and_tells_staff_alone(cast: Cast, world: World, mailed: Mailed, at: At) -> None:
    made = plan(cast, {world.trunk.id}, visibility=Visibility.PRIVATE)
    events.commit()
    rung = db.session.info.get("topics")
    at(START - 3 * HOUR)
    at(START)
    assert not rung
    assert mailed == []
    assert made.state is MaintenanceState.IN_PROGRESS
    assert questions() == ["Maintenance starts soon: Exchange upgrade"]


def test_the_clock_knows_what_is_due_and_looks_after_it_once(cast: Cast, world: World) -> None:
    made = plan(cast, {world.trunk.id})
    events.commit()
    assert not clockwork.is_anything_due(START - 25 * HOUR)
    assert clockwork.is_anything_due(START - 24 * HOUR)
    assert (look_after, made.id) in clockwork.due(START - 24 * HOUR)
    assert look_after(made.id, START - 24 * HOUR)
    assert not look_after(made.id, START - 24 * HOUR)
    assert not clockwork.is_anything_due(START - 24 * HOUR)


# Who sees it


def test_who_sees_planned_work_and_whose_pages_ring(cast: Cast, world: World) -> None:
    a, b = Viewpoint(company_id=cast.a.id), Viewpoint(company_id=cast.b.id)
    cases = [
        ({world.trunk.id}, Visibility.PUBLIC, Audience.EVERYONE, {STAFF, a, b, SIGNED_OUT}),
        ({world.trunk.id}, Visibility.PUBLIC, Audience.AFFECTED, {STAFF, a}),
        ({world.spare.id}, Visibility.PUBLIC, Audience.AFFECTED, {STAFF, a, b}),
        ({world.trunk.id}, Visibility.PRIVATE, Audience.EVERYONE, {STAFF}),
    ]
    for components, visibility, audience, expected in cases:
        made = plan(cast, components, visibility=visibility, audience=audience)
        topics = set(db.session.info.pop("topics"))
        for viewpoint in (STAFF, a, b, SIGNED_OUT):
            seen = visible_maintenance(viewpoint, made.public_id, NOW) is not None
            assert seen is (viewpoint in expected)
            assert seen is (made.public_id in {each.public_id for each in open_work(viewpoint, NOW)})
            assert seen is (made.public_id in {each.public_id for each in whole_maintenance(viewpoint, NOW, limit=50)})
        assert events.STAFF in topics
        assert any(each.startswith("public:") for each in topics) is (
            visibility is Visibility.PUBLIC and (audience is Audience.EVERYONE or components == {world.spare.id})
        )
        assert (events.service_topic(world.telephony.id) in topics) is (
            visibility is Visibility.PUBLIC and components == {world.trunk.id}
        )


def test_reminders_are_no_entries_customers_read(cast: Cast, world: World, at: At) -> None:
    made = plan(cast, {world.trunk.id})
    events.commit()
    at(START - HOUR)
    assert Notice.REMINDED in kinds_of(made)
    for viewpoint in (SIGNED_OUT, Viewpoint(company_id=cast.a.id)):
        (work,) = open_work(viewpoint, START - HOUR)
        (whole,) = whole_maintenance(viewpoint, START - HOUR, limit=5)
        seen = visible_maintenance(viewpoint, made.public_id, START - HOUR)
        assert seen is not None
        for updates in (work.updates, whole.updates, seen.updates):
            assert [each.kind for each in updates] == [Notice.ANNOUNCED]


def test_lists_are_paged_and_cost_the_same_whatever_their_length(cast: Cast, world: World) -> None:
    for number in range(30):
        plan(cast, {world.trunk.id, world.fibre.id}, title=f"Work {number:02}", notify=False)
    plan(cast, {world.spare.id}, title="Under way", starts_at=NOW - HOUR, notify=False)
    over = plan(cast, {world.spare.id}, title="Called off", notify=False)
    do(acts.cancel, cast, over, NOW, "")
    db.session.expunge_all()
    with counted_queries() as queries_made:
        page = maintenance_page(MaintenanceFilters(which=Which.NOT_OVER), 1, NOW)
    assert page is not None
    assert (page.total, page.pages, page.items[0].title) == (31, 2, "Under way")
    assert len(queries_made) <= 3
    assert maintenance_page(MaintenanceFilters(), 3, NOW) is None
    for filters, total in (
        (MaintenanceFilters(text="work 07"), 1),
        (MaintenanceFilters(which=Which.AHEAD), 30),
        (MaintenanceFilters(which=Which.UNDER_WAY), 1),
        (MaintenanceFilters(is_over=True), 1),
        (MaintenanceFilters(component_id=world.fibre.id), 30),
        (MaintenanceFilters(visibility=Visibility.PRIVATE), 0),
    ):
        found = maintenance_page(filters, 1, NOW)
        assert found is not None
        assert found.total == total
    past = past_maintenance(SIGNED_OUT, 1, NOW)
    assert past is not None
    assert [each.title for each in past.items] == ["Called off"]
    parts = db.session.scalars(select(MaintenanceComponent.id)).all()
    assert len(parts) == 62
