"""Taking back what was said by mistake: exactly as before, or not at all."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from portal.audit.models import AuditEntry
from portal.errors import RuleViolation
from portal.extensions import db
from portal.incidents.rules import State
from portal.notifications.kinds import register
from portal.notifications.models import Broadcast, Delivery
from portal.notifications.rules import BroadcastState, DeliveryState
from portal.services import mails
from portal.services.actions import (
    Wanted,
    cancel_window,
    finish_window,
    fix_and_recover,
    look_after,
    move_window,
    recover_with,
    undo,
)
from portal.services.actions.clockwork import due_nags, nag
from portal.services.models import ServiceUpdate, ServiceWindow, StatedPeriod, UpdateTarget, WindowHolding
from portal.services.queries import service_lines, stated_under, undoable, why_not_undone
from portal.services.rules import NAG_AFTER, UNDO_WITHIN, ServiceStatus, UpdateKind
from tests.conftest import NOW, Cast
from tests.customer.outages import Outage
from tests.incidents.conftest import World
from tests.services.acts import HOUR, ada, scheduled, state

MINUTE = timedelta(minutes=1)
UNLIKE = {"version", "due_at"}
"""Columns of a window that an undone act may leave otherwise: its version rises, what is due is reckoned anew."""


@pytest.fixture(autouse=True)
def _kinds() -> None:
    register(mails.SERVICE_STATUS)


def picture(world: World) -> dict[str, Any]:
    """Everything that stands of the two holdings."""

    def rows(model: Any) -> list[dict[str, Any]]:
        found = db.session.execute(select(*model.__table__.columns).order_by(*model.__table__.primary_key)).mappings()
        return [{name: value for name, value in row.items() if name not in UNLIKE} for row in found]

    db.session.flush()
    return {model.__tablename__: rows(model) for model in (StatedPeriod, ServiceWindow, WindowHolding)}


def window_of(made: ServiceUpdate) -> ServiceWindow:
    found = db.session.get(ServiceWindow, made.window_id)
    assert found is not None
    return found


def broadcasts() -> list[Broadcast]:
    return list(db.session.scalars(select(Broadcast).order_by(Broadcast.id)))


def test_an_undone_problem_never_was_and_its_mails_are_called_off(cast: Cast, world: World) -> None:
    before = picture(world)
    made = state(cast, [world.holding_a.id, world.holding_b.id], Wanted(ServiceStatus.DOWN), "1")
    waiting = db.session.scalars(select(Delivery.state)).all()
    assert waiting
    assert set(waiting) == {DeliveryState.PENDING}
    assert undoable(made, NOW + MINUTE)
    undo(made, by=ada(cast), now=NOW + MINUTE)
    assert picture(world) == before
    assert set(db.session.scalars(select(Delivery.state))) == {DeliveryState.CANCELLED}
    assert {each.state for each in broadcasts()} == {BroadcastState.CANCELLED}
    assert (made.undone_at, made.undone_by_id) == (NOW + MINUTE, cast.ada.id)
    assert db.session.scalars(select(AuditEntry.action).where(AuditEntry.action == "service_update.undo")).all()
    (line,) = service_lines(cast.a.id, NOW + MINUTE)
    assert line.status is ServiceStatus.NORMAL
    with pytest.raises(RuleViolation):
        undo(made, by=ada(cast), now=NOW + 2 * MINUTE)


def test_an_undone_recovery_leaves_the_problem_and_the_windows_as_they_were(cast: Cast, world: World) -> None:
    both = [world.holding_a.id, world.holding_b.id]
    state(cast, both, Wanted(ServiceStatus.DOWN), "1")
    state(cast, [world.holding_a.id], Wanted(ServiceStatus.INTERMITTENT), "2", NOW + MINUTE)
    state(cast, both, scheduled(), "3", NOW + 2 * MINUTE)
    before = picture(world)
    made = state(cast, both, Wanted(ServiceStatus.NORMAL), "4", NOW + 2 * HOUR)
    assert picture(world) != before
    undo(made, by=ada(cast), now=NOW + 2 * HOUR + MINUTE)
    assert picture(world) == before


def test_an_undone_earlier_beginning_leaves_the_problems_as_they_began(cast: Cast, world: World) -> None:
    both = [world.holding_a.id, world.holding_b.id]
    for number, each in enumerate(both):
        state(cast, [each], Wanted(ServiceStatus.DOWN, began_at=NOW - number * MINUTE), f"{number}")
    before = picture(world)
    made = state(cast, both, Wanted(ServiceStatus.DOWN, began_at=NOW - HOUR), "earlier", NOW + MINUTE)
    assert set(db.session.scalars(select(StatedPeriod.began_at))) == {NOW - HOUR}
    undo(made, by=ada(cast), now=NOW + 2 * MINUTE)
    assert picture(world) == before


def test_after_an_undone_recovery_the_newest_update_asks_whether_it_stands(cast: Cast, world: World) -> None:
    first = state(cast, [world.holding_a.id], Wanted(ServiceStatus.DOWN), "1")
    second = state(cast, [world.holding_a.id], Wanted(ServiceStatus.DOWN, "Still."), "2", NOW + HOUR)
    over = NOW + 5 * HOUR
    recovery = state(cast, [world.holding_a.id], Wanted(ServiceStatus.NORMAL), "3", over)
    for update_id in due_nags(over):
        assert not nag(update_id, over)
    assert (first.nag_at, second.nag_at) == (None, None)
    undo(recovery, by=ada(cast), now=over + MINUTE)
    asked = over + MINUTE + NAG_AFTER[0]
    assert (first.nag_at, second.nag_at) == (None, asked)
    assert nag(second.id, asked)


def test_undone_acts_on_a_window_leave_it_as_it_was(cast: Cast, world: World) -> None:
    made = state(cast, [world.holding_a.id], scheduled(), "1")
    window, by = window_of(made), ada(cast)
    db.session.flush()
    before = picture(world)
    moved = move_window(
        window,
        NOW + 5 * HOUR,
        NOW + 6 * HOUR,
        "Europe/London",
        "Later.",
        notify=True,
        version=window.version,
        by=by,
        now=NOW + MINUTE,
        idempotency_key="m",
    )
    undo(moved, by=by, now=NOW + 2 * MINUTE)
    assert picture(world) == before
    cancelled = cancel_window(
        window, "", notify=True, version=window.version, by=by, now=NOW + 3 * MINUTE, idempotency_key="c"
    )
    undo(cancelled, by=by, now=NOW + 4 * MINUTE)
    assert picture(world) == before
    at = NOW + 2 * HOUR
    finished = finish_window(window, "", notify=True, version=window.version, by=by, now=at, idempotency_key="f")
    assert finished is not None
    undo(finished, by=by, now=at + MINUTE)
    assert picture(world) == before


def test_an_undone_announcement_shows_nowhere(cast: Cast, world: World) -> None:
    made = state(cast, [world.holding_a.id], scheduled(), "1")
    undo(made, by=ada(cast), now=NOW + MINUTE)
    (line,) = service_lines(cast.a.id, NOW + MINUTE)
    assert line.status is ServiceStatus.NORMAL


@pytest.mark.parametrize("sent", [DeliveryState.SENT, DeliveryState.SENDING, DeliveryState.UNKNOWN])
def test_what_somebody_was_mailed_stands(cast: Cast, world: World, sent: DeliveryState) -> None:
    made = state(cast, [world.holding_a.id], Wanted(ServiceStatus.DOWN), "1")
    first = db.session.scalars(select(Delivery.id).order_by(Delivery.id)).first()
    db.session.execute(update(Delivery).where(Delivery.id == first).values(state=sent))
    db.session.expire_all()
    before = picture(world)
    assert not undoable(made, NOW + MINUTE)
    with pytest.raises(RuleViolation):
        undo(made, by=ada(cast), now=NOW + MINUTE)
    assert picture(world) == before
    assert made.undone_at is None
    assert DeliveryState.PENDING in set(db.session.scalars(select(Delivery.state)))


def test_after_ten_minutes_it_stands(cast: Cast, world: World) -> None:
    made = state(cast, [world.holding_a.id], Wanted(ServiceStatus.DOWN), "1")
    assert undoable(made, NOW + UNDO_WITHIN)
    assert not undoable(made, NOW + UNDO_WITHIN + timedelta(seconds=1))


def test_what_something_newer_was_said_of_stands_until_that_is_undone(cast: Cast, world: World) -> None:
    first = state(cast, [world.holding_a.id, world.holding_b.id], Wanted(ServiceStatus.DOWN), "1")
    second = state(cast, [world.holding_a.id], Wanted(ServiceStatus.NORMAL), "2", NOW + MINUTE)
    assert why_not_undone(first, NOW + MINUTE) == "Something newer was said of these services since."
    undo(second, by=ada(cast), now=NOW + MINUTE)
    undo(first, by=ada(cast), now=NOW + MINUTE)
    assert picture(world)["stated_period"] == []


ACTS = [
    Wanted(ServiceStatus.NORMAL, notify=False),
    Wanted(ServiceStatus.INTERMITTENT, notify=False),
    Wanted(ServiceStatus.DOWN, notify=False),
    Wanted(ServiceStatus.DOWN, began_at=NOW - HOUR, notify=False),
    scheduled(notify=False),
    scheduled(starts_at=NOW - HOUR, notify=False),
]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(st.tuples(st.sampled_from(ACTS), st.sampled_from(["a", "b", "ab"])), min_size=1, max_size=5))
def test_undoing_restores_exactly_what_stood_whatever_went_before(
    cast: Cast, world: World, history: list[tuple[Wanted, str]]
) -> None:
    named = {"a": [world.holding_a.id], "b": [world.holding_b.id]}
    named["ab"] = named["a"] + named["b"]
    with db.session.begin_nested() as savepoint:
        for number, (wanted, whose) in enumerate(history):
            before = picture(world)
            made = state(cast, named[whose], wanted, f"{number}", NOW + number * MINUTE)
        undo(made, by=ada(cast), now=NOW + len(history) * MINUTE)
        after = picture(world)
        if made.kind is UpdateKind.ANNOUNCED:
            # The window stays in the books, called off; and its holdings in it.
            after["service_window"].pop()
            gone = made.window_id
            after["service_window_holding"] = [
                each for each in after["service_window_holding"] if each["window_id"] != gone
            ]
        assert after == before
        savepoint.rollback()
    db.session.expire_all()


def test_nobody_goes_back_into_a_window_that_was_told_of_since(cast: Cast, world: World) -> None:
    window = window_of(state(cast, [world.holding_a.id, world.holding_b.id], scheduled(), "1"))
    end = window.ends_at
    for number, told in enumerate(("moved", "ended")):
        at = end - MINUTE
        normal = state(cast, [world.holding_a.id], Wanted(ServiceStatus.NORMAL), f"n{number}", at)
        assert undoable(normal, at)
        if told == "moved":
            moved = move_window(
                window,
                window.starts_at,
                end + HOUR,
                "UTC",
                "",
                notify=True,
                version=window.version,
                by=ada(cast),
                now=at + MINUTE / 2,
                idempotency_key="m",
            )
        else:
            look_after(window.id, end + MINUTE)
        assert why_not_undone(normal, end + 2 * MINUTE) == "Something newer was said of these services since."
        if told == "moved":
            undo(moved, by=ada(cast), now=at + MINUTE)
            undo(normal, by=ada(cast), now=at + MINUTE)
    left = select(WindowHolding.holding_id).where(WindowHolding.left_at.is_not(None))
    assert db.session.scalars(left).all() == [world.holding_a.id]


# Recovering with the incident


def test_fixing_an_incident_recovers_what_still_stands_in_the_same_step(
    cast: Cast, world: World, outage_of: Outage
) -> None:
    incident = outage_of(world.trunk)
    both = [world.holding_a.id, world.holding_b.id]
    state(cast, both, Wanted(ServiceStatus.DOWN), "1")
    posted, recovered = fix_and_recover(
        incident,
        "All calls work.",
        both,
        version=incident.version,
        by=ada(cast),
        author_id=cast.ada.id,
        now=NOW + HOUR,
        idempotency_key="fix",
    )
    assert posted.state is State.FIXED
    assert recovered is not None
    assert (recovered.kind, recovered.incident_id, recovered.holdings) == (UpdateKind.RECOVERED, incident.id, 1)
    # What does not depend on it is not its to recover.
    open_now = db.session.scalars(select(StatedPeriod.holding_id).where(StatedPeriod.ended_at.is_(None))).all()
    assert open_now == [world.holding_b.id]
    assert stated_under(incident.id, NOW + HOUR) == []


def test_recovering_twice_is_recovering_once(cast: Cast, world: World, outage_of: Outage) -> None:
    incident = outage_of(world.trunk)
    state(cast, [world.holding_a.id], Wanted(ServiceStatus.DOWN), "1")

    def recover(key: str) -> ServiceUpdate | None:
        return recover_with(
            incident,
            [world.holding_a.id],
            by=ada(cast),
            author_id=cast.ada.id,
            now=NOW + HOUR,
            idempotency_key=key,
        )

    first = recover("once")
    assert first is not None
    assert recover("once") is first
    assert recover("other") is None


def test_what_another_incident_still_hits_is_recovered_without_a_mail(
    cast: Cast, world: World, outage_of: Outage
) -> None:
    first, _second = outage_of(world.trunk), outage_of(world.exchange, title="Exchange")
    state(cast, [world.holding_a.id], Wanted(ServiceStatus.DOWN), "1")
    told = len(broadcasts_of_statuses())
    _posted, recovered = fix_and_recover(
        first,
        "Fixed.",
        [world.holding_a.id],
        version=first.version,
        by=ada(cast),
        author_id=cast.ada.id,
        now=NOW + HOUR,
        idempotency_key="fix",
    )
    assert recovered is not None
    assert (recovered.kind, recovered.notify, recovered.holdings) == (UpdateKind.RECOVERED, False, 1)
    assert db.session.scalar(select(StatedPeriod.ended_at)) == NOW + HOUR
    assert len(broadcasts_of_statuses()) == told
    (line,) = service_lines(cast.a.id, NOW + HOUR)
    assert line.status is ServiceStatus.DOWN


def test_who_is_well_is_told_while_another_incident_hits_others(cast: Cast, world: World, outage_of: Outage) -> None:
    both = [world.holding_a.id, world.holding_b.id]
    first = outage_of(world.trunk, world.fibre)
    outage_of(world.exchange, title="Exchange")
    state(cast, both, Wanted(ServiceStatus.DOWN), "1")
    _posted, recovered = fix_and_recover(
        first,
        "Fixed.",
        both,
        version=first.version,
        by=ada(cast),
        author_id=cast.ada.id,
        now=NOW + HOUR,
        idempotency_key="fix",
    )
    made = db.session.scalars(
        select(ServiceUpdate).where(ServiceUpdate.kind == UpdateKind.RECOVERED).order_by(ServiceUpdate.id)
    ).all()
    assert recovered is made[0]
    assert [each.notify for each in made] == [True, False]
    assert [_target(each) for each in made] == [world.holding_b.id, world.holding_a.id]
    assert db.session.scalars(select(StatedPeriod.id).where(StatedPeriod.ended_at.is_(None))).all() == []


def broadcasts_of_statuses() -> list[Broadcast]:
    return [each for each in broadcasts() if each.kind == mails.SERVICE_STATUS.name]


def _target(made: ServiceUpdate) -> int | None:
    return db.session.scalar(select(UpdateTarget.holding_id).where(UpdateTarget.update_id == made.id))
