"""Stating how holdings are: what stands afterwards, what is kept of it, and what is refused."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select

from portal import events
from portal.audit.models import AuditEntry
from portal.catalogue.models import Holding
from portal.errors import RuleViolation
from portal.extensions import db
from portal.services.actions import Wanted
from portal.services.models import ServiceUpdate, ServiceWindow, StatedPeriod, UpdateTarget, WindowHolding
from portal.services.rules import ServiceStatus, UpdateKind, WindowState
from tests.conftest import NOW, Cast, counted_queries
from tests.incidents.conftest import World
from tests.services.acts import HOUR, scheduled, state


@pytest.fixture
def ours(cast: Cast, world: World) -> Holding:
    """What company A holds."""
    return db.session.scalars(select(Holding).where(Holding.company_id == cast.a.id)).one()


def periods(holding_id: int) -> list[tuple[ServiceStatus, datetime, datetime | None]]:
    rows = db.session.execute(
        select(StatedPeriod.status, StatedPeriod.began_at, StatedPeriod.ended_at)
        .where(StatedPeriod.holding_id == holding_id)
        .order_by(StatedPeriod.id)
    )
    return [(row.status, row.began_at, row.ended_at) for row in rows]


def test_a_problem_is_a_period_from_when_it_began(cast: Cast, ours: Holding) -> None:
    wanted = Wanted(ServiceStatus.DOWN, "We are **aware**.", ticket=" T-1 ", began_at=NOW - HOUR)
    made = state(cast, [ours.id], wanted, "1")
    assert periods(ours.id) == [(ServiceStatus.DOWN, NOW - HOUR, None)]
    assert (made.kind, made.status, made.holdings, made.companies) == (UpdateKind.STATED, ServiceStatus.DOWN, 1, 1)
    assert (made.ticket, made.began_at, made.nag_at) == ("T-1", NOW - HOUR, NOW + 3 * HOUR)
    target = db.session.scalars(select(UpdateTarget).where(UpdateTarget.update_id == made.id)).one()
    assert (target.holding_id, target.company_id, target.before) == (ours.id, cast.a.id, ServiceStatus.NORMAL)


def test_another_problem_follows_the_first_and_the_same_again_leaves_it(cast: Cast, ours: Holding) -> None:
    state(cast, [ours.id], Wanted(ServiceStatus.DOWN), "1")
    again = state(cast, [ours.id], Wanted(ServiceStatus.DOWN, "Still."), "2", NOW + HOUR)
    assert periods(ours.id) == [(ServiceStatus.DOWN, NOW, None)]
    assert again.notes == "Still."
    state(cast, [ours.id], Wanted(ServiceStatus.INTERMITTENT), "3", NOW + 2 * HOUR)
    assert periods(ours.id) == [
        (ServiceStatus.DOWN, NOW, NOW + 2 * HOUR),
        (ServiceStatus.INTERMITTENT, NOW + 2 * HOUR, None),
    ]


def test_the_same_again_from_earlier_begins_earlier_and_never_later(cast: Cast, ours: Holding) -> None:
    state(cast, [ours.id], Wanted(ServiceStatus.DOWN), "1")
    state(cast, [ours.id], Wanted(ServiceStatus.DOWN, began_at=NOW - 5 * HOUR), "2", NOW + HOUR)
    assert periods(ours.id) == [(ServiceStatus.DOWN, NOW - 5 * HOUR, None)]
    state(cast, [ours.id], Wanted(ServiceStatus.DOWN, began_at=NOW - HOUR), "3", NOW + HOUR)
    assert periods(ours.id) == [(ServiceStatus.DOWN, NOW - 5 * HOUR, None)]


def test_operating_normally_ends_it_but_never_before_it_began(cast: Cast, ours: Holding) -> None:
    state(cast, [ours.id], Wanted(ServiceStatus.DOWN), "1")
    wanted = Wanted(ServiceStatus.NORMAL, began_at=NOW - HOUR)
    made = state(cast, [ours.id], wanted, "2", NOW + HOUR)
    assert periods(ours.id) == [(ServiceStatus.DOWN, NOW, NOW)]
    assert db.session.scalar(select(StatedPeriod.ended_by_id)) == made.id
    target = db.session.scalars(select(UpdateTarget).where(UpdateTarget.update_id == made.id)).one()
    assert target.before is ServiceStatus.DOWN


def test_the_same_key_again_is_the_same_update(cast: Cast, ours: Holding) -> None:
    wanted = Wanted(ServiceStatus.DOWN, " Wait. ", ends_at=NOW + timedelta(minutes=5))
    first = state(cast, [ours.id], wanted, "1")
    assert state(cast, [ours.id], wanted, "1", NOW + HOUR) is first
    assert periods(ours.id) == [(ServiceStatus.DOWN, NOW, None)]
    window = state(cast, [ours.id], scheduled(), "2")
    assert state(cast, [ours.id], scheduled(), "2", NOW + HOUR) is window


@pytest.mark.parametrize(
    "other",
    [
        Wanted(ServiceStatus.NORMAL, "Wait."),
        Wanted(ServiceStatus.DOWN, "Wait longer."),
        Wanted(ServiceStatus.DOWN, "Wait.", ticket="T-1"),
        Wanted(ServiceStatus.DOWN, "Wait.", began_at=NOW - HOUR),
        Wanted(ServiceStatus.DOWN, "Wait.", ends_at=NOW + HOUR),
        Wanted(ServiceStatus.DOWN, "Wait.", notify=False),
        scheduled(notes="Wait."),
    ],
)
def test_the_same_key_for_something_else_is_refused(cast: Cast, ours: Holding, other: Wanted) -> None:
    state(cast, [ours.id], Wanted(ServiceStatus.DOWN, "Wait."), "1")
    with pytest.raises(RuleViolation, match="sent already"):
        state(cast, [ours.id], other, "1", NOW + timedelta(minutes=1))
    assert periods(ours.id) == [(ServiceStatus.DOWN, NOW, None)]


def test_the_same_key_for_others_is_refused(cast: Cast, world: World, ours: Holding) -> None:
    state(cast, [ours.id], Wanted(ServiceStatus.DOWN), "1")
    with pytest.raises(RuleViolation, match="sent already"):
        state(cast, [ours.id, world.holding_b.id], Wanted(ServiceStatus.DOWN), "1")


def test_scheduled_service_is_a_window_and_leaves_a_problem_alone(cast: Cast, ours: Holding) -> None:
    state(cast, [ours.id], Wanted(ServiceStatus.DOWN), "1")
    made = state(cast, [ours.id], scheduled(notes="New disks."), "2", NOW + timedelta(minutes=1))
    assert periods(ours.id) == [(ServiceStatus.DOWN, NOW, None)]
    window = db.session.get(ServiceWindow, made.window_id)
    assert window is not None
    assert (window.state, window.starts_at, window.ends_at) == (WindowState.ANNOUNCED, NOW + HOUR, NOW + 3 * HOUR)
    assert (window.zone, window.notes, window.owner_id) == ("Europe/Berlin", "New disks.", cast.ada.id)
    assert window.due_at == NOW + HOUR  # it is too late for a reminder
    assert db.session.scalars(select(WindowHolding.holding_id)).all() == [ours.id]
    assert made.kind is UpdateKind.ANNOUNCED


def test_operating_normally_leaves_a_window_under_way_and_not_one_ahead(cast: Cast, ours: Holding) -> None:
    under_way = state(cast, [ours.id], scheduled(), "1")
    ahead = state(cast, [ours.id], scheduled(starts_at=NOW + 48 * HOUR, ends_at=NOW + 50 * HOUR), "2")
    state(cast, [ours.id], Wanted(ServiceStatus.NORMAL), "3", NOW + 2 * HOUR)
    states = dict(db.session.execute(select(ServiceWindow.id, ServiceWindow.state)).all())
    assert states == {under_way.window_id: WindowState.ENDED, ahead.window_id: WindowState.ANNOUNCED}
    left = dict(db.session.execute(select(WindowHolding.window_id, WindowHolding.left_at)).all())
    assert left == {under_way.window_id: NOW + 2 * HOUR, ahead.window_id: None}
    window = db.session.get(ServiceWindow, under_way.window_id)
    assert window is not None
    assert (window.ended_at, window.confirmed_at, window.due_at) == (NOW + 2 * HOUR, NOW + 2 * HOUR, None)


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (Wanted(ServiceStatus.DOWN, "Back at [time]."), "notes"),
        (Wanted(ServiceStatus.DOWN, "x" * 10_001), "notes"),
        (Wanted(ServiceStatus.DOWN, ticket="x" * 61), "ticket"),
        (Wanted(ServiceStatus.DOWN, began_at=NOW + HOUR), "began_at"),
        (Wanted(ServiceStatus.DOWN, began_at=NOW - timedelta(days=400)), "began_at"),
        (Wanted(ServiceStatus.DOWN, ends_at=NOW - HOUR), "ends_at"),
        (Wanted(ServiceStatus.DOWN, ends_at=NOW + timedelta(days=1000)), "ends_at"),
        (scheduled(starts_at=None), "starts_at"),
        (scheduled(ends_at=None), "ends_at"),
        (scheduled(ends_at=NOW + HOUR), "ends_at"),
        (scheduled(starts_at=NOW - 2 * HOUR, ends_at=NOW), "ends_at"),
        (scheduled(starts_at=NOW - timedelta(days=400)), "starts_at"),
        (scheduled(ends_at=NOW + timedelta(days=1000)), "ends_at"),
        (scheduled(zone="Nowhere/Atlantis"), "zone"),
        (scheduled(zone="Zulu"), "zone"),
        (scheduled(zone="Etc/GMT+5"), "zone"),
    ],
)
def test_what_cannot_be_said_is_refused_at_its_field(cast: Cast, ours: Holding, wanted: Wanted, field: str) -> None:
    with pytest.raises(RuleViolation) as refusal:
        state(cast, [ours.id], wanted, "1")
    assert refusal.value.field == field
    assert db.session.scalar(select(func.count()).select_from(ServiceUpdate)) == 0


def test_a_holding_that_is_gone_refuses_all_of_them(cast: Cast, ours: Holding) -> None:
    with pytest.raises(RuleViolation) as refusal:
        state(cast, [ours.id, 999_999], Wanted(ServiceStatus.DOWN), "1")
    assert refusal.value.field == "holdings"
    with pytest.raises(RuleViolation):
        state(cast, [], Wanted(ServiceStatus.DOWN), "2")
    assert periods(ours.id) == []


def test_it_rings_the_company_and_stands_in_the_trail(cast: Cast, ours: Holding) -> None:
    made = state(cast, [ours.id], Wanted(ServiceStatus.DOWN), "1")
    assert {events.STAFF, events.company_topic(cast.a.id)} <= db.session.info["topics"]
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "service_update.stated")).one()
    assert (entry.object_id, entry.company_id, entry.actor_id) == (made.id, cast.a.id, cast.ada.id)


def test_many_holdings_take_no_more_statements_than_one(cast: Cast, ours: Holding) -> None:
    more = [
        Holding(company_id=cast.a.id, service_id=ours.service_id, reference=f"N-{number}", valid_from=NOW)
        for number in range(100)
    ]
    db.session.add_all(more)
    db.session.flush()
    with counted_queries() as one:
        state(cast, [ours.id], Wanted(ServiceStatus.DOWN), "1")
    with counted_queries() as many:
        state(cast, [each.id for each in more], Wanted(ServiceStatus.DOWN), "2")
    assert len(many) <= len(one)
    assert db.session.scalar(select(func.count()).select_from(StatedPeriod)) == 101
