"""What the mails that were handed over say of how soon customers were told."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from portal import events
from portal.accounts.rules import text_key
from portal.audit.rules import SYSTEM
from portal.catalogue.models import Holding, Service
from portal.extensions import db
from portal.notifications.models import Broadcast, Delivery
from portal.notifications.rules import BroadcastState, DeliveryState
from portal.services import actions
from portal.services.models import ServiceUpdate, UpdateBroadcast
from portal.services.queries.timeliness import told_since
from portal.services.queries.updates import told_to
from portal.services.rules import Scope, ServiceStatus, Wanted
from portal.services.timeliness import Told
from tests.conftest import NOW, Cast, counted_queries
from tests.incidents.conftest import World

MINUTE = timedelta(minutes=1)
SINCE = NOW - timedelta(days=30)

Tell = Callable[..., ServiceUpdate]


@pytest.fixture
def tell(cast: Cast) -> Tell:
    """State this of these holdings, and have been mailed of it `sent` minutes later (None: not yet)."""
    count = iter(range(10_000))

    def do(
        *holdings: Holding,
        sent: tuple[float | None, ...] = (1,),
        service: Service | None = None,
        at: datetime = NOW,
        state: BroadcastState = BroadcastState.DONE,
        address: str = "alice@people.test",
        **said: Any,
    ) -> ServiceUpdate:
        number = next(count)
        made = actions.set_status(
            [each.id for each in holdings],
            Wanted(**{"status": ServiceStatus.DOWN, "notes": "We are on it.", **said, "notify": False}),
            scope=Scope.CHOSEN,
            chosen={},
            by=SYSTEM,
            author_id=cast.ada.id,
            now=at,
            idempotency_key=f"told-{number}",
        )
        broadcast = Broadcast(
            idempotency_key=f"told-{number}",
            kind="service_status",
            title="Status",
            selector={},
            content={},
            thread_key=f"told-{number}",
            topic="services",
            state=state,
            expires_at=at + timedelta(days=1),
            created_at=at,
        )
        db.session.add(broadcast)
        db.session.flush()
        db.session.add(
            UpdateBroadcast(update_id=made.id, service_id=service.id if service else None, broadcast_id=broadcast.id)
        )
        for place, minutes in enumerate(sent):
            db.session.add(
                Delivery(
                    broadcast_id=broadcast.id,
                    dedupe_key=f"told-{number}-{place}",
                    message_id=f"<told-{number}-{place}@portal.test>",
                    address=address,
                    address_key=text_key(address),
                    state=DeliveryState.PENDING if minutes is None else DeliveryState.SENT,
                    finished_at=None if minutes is None else at + minutes * MINUTE,
                    next_attempt_at=at,
                    created_at=at,
                )
            )
        events.commit()
        return made

    return do


def only(found: list[Told]) -> Told:
    (each,) = found
    return each


def test_the_first_and_the_last_mail_are_those_that_were_handed_over(cast: Cast, world: World, tell: Tell) -> None:
    tell(world.holding_a, sent=(4, 2, 9, None), service=world.telephony, state=BroadcastState.SENDING)
    each = only(told_since(SINCE))
    assert (each.service_id, each.first_at, each.last_at) == (world.telephony.id, NOW + 2 * MINUTE, NOW + 9 * MINUTE)
    assert not each.is_over


def test_what_began_before_it_was_set_counts_from_then(cast: Cast, world: World, tell: Tell) -> None:
    tell(world.holding_a, service=world.telephony, began_at=NOW - 40 * MINUTE)
    each = only(told_since(SINCE))
    assert (each.began_at, each.set_at) == (NOW - 40 * MINUTE, NOW)


def test_the_same_said_again_is_not_judged_and_neither_is_what_was_undone(cast: Cast, world: World, tell: Tell) -> None:
    first = tell(world.holding_a, service=world.telephony)
    tell(world.holding_a, service=world.telephony, at=NOW + 5 * MINUTE, notes="Still down.")
    tell(world.holding_a, service=world.telephony, at=NOW + 9 * MINUTE, status=ServiceStatus.NORMAL)
    assert [each.status for each in told_since(SINCE)] == [ServiceStatus.NORMAL, ServiceStatus.DOWN]
    first.undone_at = NOW
    db.session.commit()
    assert [each.status for each in told_since(SINCE)] == [ServiceStatus.NORMAL]


def test_a_window_is_held_against_its_start(cast: Cast, world: World, tell: Tell) -> None:
    starts = NOW + timedelta(days=3)
    window = {"status": ServiceStatus.SCHEDULED, "starts_at": starts, "ends_at": starts + timedelta(hours=1)}
    tell(world.holding_a, service=world.telephony, **window)
    assert only(told_since(SINCE)).starts_at == starts


def test_one_mail_about_several_services_counts_for_each_of_them(cast: Cast, world: World, tell: Tell) -> None:
    tell(world.holding_a, world.holding_b, sent=(3,))
    found = told_since(SINCE)
    assert {each.service_id for each in found} == {world.telephony.id, world.internet.id}
    assert {each.first_at for each in found} == {NOW + 3 * MINUTE}
    assert only(told_since(SINCE, world.internet.id)).service_id == world.internet.id


def test_a_service_is_told_by_its_own_mail_and_by_that_about_several(cast: Cast, world: World, tell: Tell) -> None:
    made = tell(world.holding_a, world.holding_b, sent=(3,))
    (own,) = db.session.query(UpdateBroadcast).filter_by(update_id=made.id)
    other = tell(world.holding_b, sent=(1, 20), service=world.internet, at=NOW + MINUTE)
    (added,) = db.session.query(UpdateBroadcast).filter_by(update_id=other.id)
    added.update_id = own.update_id
    db.session.commit()
    internet = only(told_since(SINCE, world.internet.id))
    assert (internet.first_at, internet.last_at) == (NOW + 2 * MINUTE, NOW + 21 * MINUTE)
    assert only(told_since(SINCE, world.telephony.id)).last_at == NOW + 3 * MINUTE


def test_what_retention_forgot_the_mails_of_is_left_out(cast: Cast, world: World, tell: Tell) -> None:
    tell(world.holding_a, sent=(), service=world.telephony)
    assert only(told_since(SINCE)).first_at is None
    for each in db.session.query(Broadcast):
        each.counted = {"sent": 4}
    db.session.commit()
    assert told_since(SINCE) == []


def test_older_than_asked_for_is_left_out_and_queries_do_not_grow(cast: Cast, world: World, tell: Tell) -> None:
    tell(world.holding_a, service=world.telephony)
    tell(world.holding_a, world.holding_b, at=NOW + MINUTE, status=ServiceStatus.NORMAL)

    def queries() -> int:
        with counted_queries() as statements:
            told_since(SINCE)
        return len(statements)

    few = queries()
    for number in range(20):
        status = ServiceStatus.INTERMITTENT if number % 2 else ServiceStatus.DOWN
        tell(world.holding_a, world.holding_b, at=NOW + (number + 2) * MINUTE, status=status)
    assert queries() == few <= 2
    assert told_since(NOW + timedelta(days=1)) == []


def test_who_was_told_reads_it_on_their_page_newest_first(cast: Cast, world: World, tell: Tell) -> None:
    tell(world.holding_a, service=world.telephony)
    tell(world.holding_a, at=NOW + 5 * MINUTE, status=ServiceStatus.NORMAL)
    tell(world.holding_b, service=world.internet, address="charlie@people.test")
    found = told_to(" Alice@People.test", SINCE)
    assert [(each.status, each.service) for each in found] == [
        (ServiceStatus.NORMAL, None),
        (ServiceStatus.DOWN, "Hosted telephony"),
    ]
    assert told_to("alice@people.test", NOW + timedelta(days=1)) == []
