"""Moving, cancelling and finishing scheduled service by hand, and what is refused."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.services.actions import Wanted, cancel_window, finish_window, move_window
from portal.services.models import ServiceUpdate, ServiceWindow, UpdateTarget
from portal.services.queries import service_lines
from portal.services.rules import ServiceStatus, UpdateKind, WindowState
from tests.conftest import NOW, Cast
from tests.customer.outages import Outage
from tests.incidents.conftest import World
from tests.services.acts import HOUR, ada, scheduled, state


@pytest.fixture
def window(cast: Cast, world: World) -> ServiceWindow:
    """In 48 hours, for two hours, of both companies."""
    wanted = scheduled(starts_at=NOW + 48 * HOUR, ends_at=NOW + 50 * HOUR, notes="New disks.")
    made = state(cast, [world.holding_a.id, world.holding_b.id], wanted, "announce")
    found = db.session.get(ServiceWindow, made.window_id)
    assert found is not None
    return found


def move(cast: Cast, window: ServiceWindow, start: timedelta, end: timedelta, **changes: Any) -> ServiceUpdate:
    given = {"notify": True, "version": window.version, "idempotency_key": "move", "now": NOW, **changes}
    return move_window(window, NOW + start, NOW + end, "Europe/Berlin", "Moved.", by=ada(cast), **given)


def cancel(cast: Cast, window: ServiceWindow, **changes: Any) -> ServiceUpdate:
    given = {"notify": True, "version": window.version, "idempotency_key": "cancel", "now": NOW, **changes}
    return cancel_window(window, "Not needed.", by=ada(cast), **given)


def finish(cast: Cast, window: ServiceWindow, **changes: Any) -> ServiceUpdate | None:
    given = {"notify": True, "version": window.version, "idempotency_key": "finish", "now": NOW, **changes}
    return finish_window(window, "", by=ada(cast), **given)


def stand(window: ServiceWindow, **values: Any) -> None:
    for name, value in values.items():
        setattr(window, name, value)
    db.session.flush()


def targets(made: ServiceUpdate | None) -> list[tuple[int, ServiceStatus]]:
    assert made is not None
    rows = db.session.execute(
        select(UpdateTarget.holding_id, UpdateTarget.before)
        .where(UpdateTarget.update_id == made.id)
        .order_by(UpdateTarget.holding_id)
    )
    return [(row.holding_id, row.before) for row in rows]


def test_a_moved_window_has_new_times_and_reminds_anew(cast: Cast, world: World, window: ServiceWindow) -> None:
    stand(window, reminded_at=NOW)
    made = move(cast, window, 72 * HOUR, 73 * HOUR)
    assert (made.kind, made.status) == (UpdateKind.MOVED, ServiceStatus.SCHEDULED)
    assert (made.starts_at, made.ends_at) == (NOW + 72 * HOUR, NOW + 73 * HOUR)
    after = {"sequence": window.sequence, "reminded_at": window.reminded_at, "due_at": window.due_at}
    assert after == {"sequence": 1, "reminded_at": None, "due_at": NOW + 48 * HOUR}
    assert window.notes == "Moved."
    both = sorted([world.holding_a.id, world.holding_b.id])
    assert targets(made) == [(each, ServiceStatus.SCHEDULED) for each in both]


def test_who_is_told_of_new_times_late_is_not_reminded_of_them(cast: Cast, window: ServiceWindow) -> None:
    move(cast, window, 2 * HOUR, 3 * HOUR)
    assert (window.reminded_at, window.due_at) == (NOW, NOW + 2 * HOUR)


def test_the_same_key_moves_once(cast: Cast, window: ServiceWindow) -> None:
    first = move(cast, window, 72 * HOUR, 73 * HOUR, version=1)
    assert move(cast, window, 72 * HOUR, 73 * HOUR, version=1) is first
    with pytest.raises(RuleViolation, match="sent already"):
        move(cast, window, 96 * HOUR, 97 * HOUR, version=1)
    assert window.starts_at == NOW + 72 * HOUR


def test_a_key_is_of_one_act_on_one_window(cast: Cast, world: World, window: ServiceWindow) -> None:
    made = state(cast, [world.holding_a.id], scheduled(), "other")
    other = db.session.get(ServiceWindow, made.window_id)
    assert other is not None
    move(cast, window, 72 * HOUR, 73 * HOUR)
    for act in (cancel, finish):
        with pytest.raises(RuleViolation, match="sent already"):
            act(cast, window, idempotency_key="move")
    cancel(cast, window)
    with pytest.raises(RuleViolation, match="sent already"):
        cancel(cast, other)
    assert other.state is WindowState.ANNOUNCED


def test_of_one_under_way_only_the_end_moves(cast: Cast, window: ServiceWindow) -> None:
    at = NOW + 49 * HOUR
    with pytest.raises(RuleViolation) as refusal:
        move(cast, window, 49 * HOUR, 60 * HOUR, now=at)
    assert refusal.value.field == "starts_at"
    move(cast, window, 48 * HOUR, 60 * HOUR, now=at)
    assert (window.state, window.ends_at, window.due_at) == (WindowState.STARTED, NOW + 60 * HOUR, NOW + 60 * HOUR)


@pytest.mark.parametrize(
    ("start", "end", "field"),
    [(72 * HOUR, 71 * HOUR, "ends_at"), (48 * HOUR, 50 * HOUR, None), (-2 * HOUR, -HOUR, "ends_at")],
)
def test_bad_times_are_refused(
    cast: Cast, window: ServiceWindow, start: timedelta, end: timedelta, field: str | None
) -> None:
    if field is None:
        stand(window, notes="Moved.")
    with pytest.raises(RuleViolation) as refusal:
        move(cast, window, start, end)
    assert refusal.value.field == (field or "starts_at")
    assert window.sequence == 0


def test_two_who_change_one_window_do_not_overwrite_each_other(cast: Cast, window: ServiceWindow) -> None:
    seen = window.version
    move(cast, window, 72 * HOUR, 73 * HOUR, version=seen)
    for act in (cancel, finish):
        with pytest.raises(StaleEdit):
            act(cast, window, version=seen)
    with pytest.raises(StaleEdit):
        move(cast, window, 80 * HOUR, 81 * HOUR, version=seen, idempotency_key="other")


def test_a_cancelled_window_shows_nowhere_and_cannot_be_moved(cast: Cast, window: ServiceWindow) -> None:
    made = cancel(cast, window)
    assert (made.kind, window.state, window.due_at, window.sequence) == (
        UpdateKind.CANCELLED,
        WindowState.CANCELLED,
        None,
        1,
    )
    (line,) = service_lines(cast.a.id, NOW)
    assert line.status is ServiceStatus.NORMAL
    with pytest.raises(RuleViolation):
        move(cast, window, HOUR, 2 * HOUR)
    with pytest.raises(RuleViolation):
        finish(cast, window)


def test_finished_early_it_is_over_for_everybody(cast: Cast, world: World, window: ServiceWindow) -> None:
    at = NOW + 49 * HOUR
    made = finish(cast, window, now=at)
    assert made is not None
    assert (made.kind, made.status, made.began_at) == (UpdateKind.FINISHED, ServiceStatus.NORMAL, at)
    assert (window.state, window.ended_at, window.confirmed_at, window.due_at) == (WindowState.ENDED, at, at, None)
    (line,) = service_lines(cast.a.id, at)
    assert line.status is ServiceStatus.NORMAL
    both = sorted([world.holding_a.id, world.holding_b.id])
    assert targets(made) == [(each, ServiceStatus.SCHEDULED) for each in both]


def test_only_who_is_well_again_is_told_so(cast: Cast, world: World, window: ServiceWindow, outage_of: Outage) -> None:
    state(cast, [world.holding_a.id], Wanted(ServiceStatus.INTERMITTENT), "problem", NOW + HOUR)
    outage_of(world.fibre)
    made = finish(cast, window, now=NOW + 49 * HOUR)
    assert targets(made) == []
    assert made is not None
    assert made.holdings == 0


def test_one_that_ended_by_itself_is_confirmed_and_nobody_is_told(cast: Cast, window: ServiceWindow) -> None:
    stand(window, state=WindowState.ENDED, ended_at=window.ends_at)
    assert finish(cast, window, now=NOW + 51 * HOUR) is None
    assert window.confirmed_at == NOW + 51 * HOUR
    for key in ("finish", "again"):
        assert finish(cast, window, version=1, now=NOW + 52 * HOUR, idempotency_key=key) is None
    assert window.confirmed_at == NOW + 51 * HOUR


def test_who_finishes_what_somebody_else_has_finished_is_told(cast: Cast, window: ServiceWindow) -> None:
    seen, at = window.version, NOW + 49 * HOUR
    finish(cast, window, now=at)
    with pytest.raises(StaleEdit):
        finish(cast, window, version=seen, now=at, idempotency_key="again")


def test_one_that_has_not_begun_cannot_be_finished(cast: Cast, window: ServiceWindow) -> None:
    with pytest.raises(RuleViolation):
        finish(cast, window)


def test_one_that_ended_and_was_not_finished_goes_on(cast: Cast, window: ServiceWindow) -> None:
    stand(window, state=WindowState.ENDED, ended_at=window.ends_at, asked_at=NOW + 50 * HOUR)
    move(cast, window, 48 * HOUR, 55 * HOUR, now=NOW + 51 * HOUR)
    after = {"state": window.state, "ended_at": window.ended_at, "asked_at": window.asked_at}
    assert after == {"state": WindowState.STARTED, "ended_at": None, "asked_at": None}
    (line,) = service_lines(cast.a.id, NOW + 51 * HOUR)
    assert line.status is ServiceStatus.SCHEDULED
