"""Claims, marks, results and what is left of a process that died: on the session, so on both databases."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NoReturn

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from portal.audit.rules import SYSTEM
from portal.config import Settings
from portal.extensions import db
from portal.notifications import actions, endings, leases, marks, relays, results
from portal.notifications.kinds import Cursor
from portal.notifications.leases import Claim, Taken
from portal.notifications.marks import Sent
from portal.notifications.models import Broadcast, Delivery, DeliveryAttempt, Relay, Slice, SliceAnswers
from portal.notifications.results import Failed
from portal.notifications.rules import BroadcastState, DeliveryState, Failure
from tests.conftest import NOW, counted_queries
from tests.notifications.outbox import TEST_KIND, known, queue, states

SOON = NOW + timedelta(seconds=1)
LATER = NOW + timedelta(minutes=5)


@pytest.fixture
def outbox(session: None, app: Flask) -> Settings:
    settings: Settings = app.config["SETTINGS"]
    relays.prepare_relays(settings)
    return settings


def claim(settings: Settings, owner: str = "one", now: datetime = NOW) -> Claim:
    found = leases.claim(owner, settings, now=now)
    assert found is not None
    return found


def mark(found: Claim, *taken: Taken, sent: tuple[Sent, ...] = (), now: datetime = NOW) -> frozenset[int]:
    return results.store_and_mark(
        db.session.connection(),
        sent,
        taken,
        offered={found.slice_id: {each.id: now for each in taken}},
        relay_id=found.relay_id,
        now=now,
    )


def delivery(taken: Taken) -> Delivery:
    return db.session.scalars(
        select(Delivery).where(Delivery.id == taken.id).execution_options(populate_existing=True)
    ).one()


def test_a_claim_is_leased_and_nobody_else_gets_it(outbox: Settings) -> None:
    queue("incident:1", 5, now=NOW)
    found = claim(outbox)
    assert len(found.deliveries) == 5
    assert states() == {"pending": 5}
    assert leases.claim("two", outbox, now=SOON) is None


def test_a_claim_takes_a_bounded_number_of_queries(outbox: Settings) -> None:
    counts = []
    for number in (10, 400):
        queue(f"incident:{number}", [{"address": f"x{number}-{index}@x.test"} for index in range(number)], now=NOW)
        with counted_queries() as statements:
            leases.close_slices([claim(outbox).slice_id])
        counts.append(len(statements))
        db.session.execute(update(Delivery).values(state=DeliveryState.SENT))
    assert counts[1] <= counts[0]


def test_connections_are_shared_out_and_come_back_with_the_lease(outbox: Settings) -> None:
    settings = replace(outbox, connections_per_relay=3, slice_size=2)
    queue("incident:1", 20, now=NOW)
    assert claim(settings, "one").connections == 3
    assert claim(settings, "one").connections == 3
    assert leases.claim("two", settings, now=SOON) is None
    assert leases.claim("two", settings, now=LATER) is not None


def test_what_a_dead_process_had_only_claimed_is_in_no_doubt(outbox: Settings) -> None:
    queue("incident:1", 3, now=NOW)
    claim(outbox)
    assert leases.release_expired(LATER) == 0
    assert states() == {"pending": 3}
    assert {each.in_doubt for each in db.session.scalars(select(Delivery))} == {0}
    assert db.session.scalar(select(func.count()).select_from(Slice)) == 0


def test_what_a_dead_process_was_sending_is_repeated_once_and_then_left_to_a_human(outbox: Settings) -> None:
    queue("incident:1", 1, now=NOW)
    ids = set()
    for round_number, state in enumerate((DeliveryState.PENDING, DeliveryState.UNKNOWN), start=1):
        at = NOW + timedelta(minutes=10 * round_number)
        found = claim(outbox, now=at)
        (taken,) = found.deliveries
        ids.add(taken.message_id)
        assert mark(found, taken, now=at) == {taken.id}
        assert leases.release_expired(at + timedelta(minutes=5)) == 1
        assert (delivery(taken).state, delivery(taken).in_doubt) == (state, round_number)
        assert delivery(taken).next_attempt_at <= at
    assert len(ids) == 1
    assert db.session.scalar(select(func.count()).select_from(DeliveryAttempt)) == 2
    endings.finish(LATER)
    assert db.session.scalar(select(Broadcast.state)) is BroadcastState.DONE


def test_a_kind_that_must_not_repeat_goes_to_a_human_at_once(outbox: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, replace(TEST_KIND, name="once", repeat_in_doubt=False))
    queue("incident:1", 1, now=NOW, kind="once")
    found = claim(outbox)
    mark(found, *found.deliveries)
    leases.release_expired(LATER)
    assert states() == {"unknown": 1}


def test_a_mark_needs_the_lease(outbox: Settings) -> None:
    queue("incident:1", 1, now=NOW)
    old = claim(outbox)
    leases.release_expired(LATER)
    new = claim(outbox, "two", LATER)
    assert mark(old, *old.deliveries, now=LATER) == frozenset()
    assert mark(new, *new.deliveries, now=LATER) == {old.deliveries[0].id}


def test_a_late_result_of_a_lost_lease_spares_the_second_copy(outbox: Settings) -> None:
    """The process was only slow: its server took the mail, and saying so late is better than sending it twice."""
    queue("incident:1", 2, now=NOW)
    found = claim(outbox)
    first, second = found.deliveries
    mark(found, first, second)
    leases.release_expired(LATER)
    other = claim(outbox, "two", LATER)
    theirs = next(each for each in other.deliveries if each.id == second.id)
    assert theirs.sending_since == NOW
    assert mark(other, theirs, now=LATER) == {second.id}
    results = tuple(Sent(each.id, found.slice_id, NOW, 250, "2.0.0 Ok") for each in (first, second))
    mark(found, sent=results, now=LATER)
    assert delivery(first).state is DeliveryState.SENT
    assert delivery(second).state is DeliveryState.PENDING  # somebody else's by now
    assert mark(other, first, now=LATER) == frozenset()


def test_the_same_result_twice_is_one_result(outbox: Settings) -> None:
    queue("incident:1", 1, now=NOW)
    found = claim(outbox)
    (taken,) = found.deliveries
    mark(found, taken)
    for _ in range(2):
        mark(found, sent=(Sent(taken.id, found.slice_id, NOW, 250, "2.0.0 Ok"),), now=SOON)
    assert states() == {"pending": 1}, "it is noted, and not in its row yet"
    for _ in range(2):
        leases.fold([found.slice_id])
    assert (delivery(taken).state, delivery(taken).attempts) == ("sent", 1)
    assert (delivery(taken).finished_at, delivery(taken).sending_since) == (SOON, NOW)


def test_the_same_marks_twice_after_a_commit_whose_answer_was_lost(outbox: Settings) -> None:
    queue("incident:1", 2, now=NOW)
    found = claim(outbox)
    assert mark(found, *found.deliveries) == mark(found, *found.deliveries)


@pytest.mark.parametrize("failure", [Failure.SOFT, Failure.HARD, Failure.IN_DOUBT, Failure.RELAY])
def test_a_failure_is_stored_only_by_whoever_holds_the_mail(outbox: Settings, failure: Failure) -> None:
    queue("incident:1", 1, now=NOW)
    found = claim(outbox)
    (taken,) = found.deliveries
    leases.release_expired(LATER)
    other = claim(outbox, "two", LATER)
    mark(other, taken, now=LATER)
    results.settle([Failed(taken, found.slice_id, NOW, failure, 451, "4.3.0 x")], "one", LATER)
    assert (delivery(taken).state, delivery(taken).attempts) == (DeliveryState.PENDING, 0)
    assert mark(other, taken, now=LATER) == {taken.id}


def test_what_was_answered_before_a_process_died_is_in_no_doubt(outbox: Settings) -> None:
    """Answers are noted beside the rows; whoever takes the slice back writes them down first."""
    queue("incident:1", 3, now=NOW)
    found = claim(outbox)
    first, second, _third = found.deliveries
    mark(found, first, second)
    results.store_and_mark(
        db.session.connection(),
        (Sent(first.id, found.slice_id, NOW, 250, "2.0.0 Ok"),),
        (),
        offered={found.slice_id: {second.id: NOW}},
        relay_id=found.relay_id,
        now=SOON,
    )
    assert leases.release_expired(LATER) == 1
    assert (delivery(first).state, delivery(first).in_doubt, delivery(first).finished_at) == ("sent", 0, SOON)
    assert (delivery(second).state, delivery(second).in_doubt) == ("pending", 1)
    assert states() == {"sent": 1, "pending": 2}
    assert db.session.scalar(select(func.count()).select_from(SliceAnswers)) == 0


def test_what_was_answered_is_not_called_off_although_its_row_still_waits(outbox: Settings) -> None:
    broadcast = queue("incident:1", 3, now=NOW)
    found = claim(outbox)
    first, second, third = found.deliveries
    mark(found, first, second)
    results.store_and_mark(
        db.session.connection(),
        (Sent(first.id, found.slice_id, NOW, 250, "2.0.0 Ok"),),
        (),
        offered={found.slice_id: {second.id: NOW}},
        relay_id=found.relay_id,
        now=SOON,
    )
    assert actions.cancel(broadcast, by=SYSTEM, now=SOON) == 1
    assert delivery(third).state is DeliveryState.CANCELLED
    assert mark(found, third, now=SOON) == frozenset()
    leases.close_slices([found.slice_id])
    assert states() == {"sent": 1, "cancelled": 2}


@given(st.sets(st.integers(1, 60)))
def test_what_a_slice_holds_is_read_as_it_was_written(ids: set[int]) -> None:
    assert list(marks.unpacked(marks.packed(ids))) == sorted(ids)


def test_a_soft_failure_that_would_be_tried_too_late_is_given_up(outbox: Settings) -> None:
    queue("incident:1", 1, now=NOW)
    at = NOW + timedelta(hours=23, minutes=59, seconds=30)
    found = claim(outbox, now=at)
    (taken,) = found.deliveries
    results.settle([Failed(taken, found.slice_id, None, Failure.SOFT, 451, "4.3.0 later")], "one", at)
    assert delivery(taken).state is DeliveryState.FAILED
    assert delivery(taken).answer == "4.3.0 later"


def test_a_soft_failure_of_a_cancelled_broadcast_is_cancelled(outbox: Settings) -> None:
    broadcast = queue("incident:1", 2, now=NOW)
    found = claim(outbox)
    mark(found, found.deliveries[0])
    assert actions.cancel(broadcast, by=SYSTEM, now=NOW) == 1
    assert states() == {"pending": 1, "cancelled": 1}
    results.settle([Failed(found.deliveries[0], found.slice_id, NOW, Failure.SOFT, 451, "4.3.0 later")], "one", NOW)
    assert states() == {"cancelled": 2}


def test_a_stopped_process_that_comes_back_finds_its_lease_gone(outbox: Settings) -> None:
    queue("incident:1", 1, now=NOW)
    claim(outbox)
    assert leases.renew("one", outbox, now=SOON)
    assert not leases.renew("one", outbox, now=LATER + timedelta(minutes=5))


def test_a_lease_that_is_renewed_is_not_released(outbox: Settings) -> None:
    queue("incident:1", 1, now=NOW)
    claim(outbox)
    at = NOW
    for _ in range(5):
        at += timedelta(seconds=outbox.lease_seconds - 1)
        assert leases.renew("one", outbox, now=at)
        leases.release_expired(at)
    assert states() == {"pending": 1}


def test_a_new_address_of_the_relay_mends_it(outbox: Settings) -> None:
    relay = db.session.scalars(select(Relay)).one()
    relays.rest_relay(relay.id, Failure.CONFIGURATION, "535 5.7.8 bad credentials", NOW)
    relays.prepare_relays(outbox)
    assert relay.state == "broken"
    relays.prepare_relays(replace(outbox, smtp_url="smtp://me:better@127.0.0.1:25"))
    assert relay.state == "up"


def test_a_broadcast_queued_twice_is_one(outbox: Settings) -> None:
    assert queue("incident:1", 3, now=NOW).id == queue("incident:1", 5, now=SOON).id
    assert states() == {"pending": 3}


def test_an_address_that_is_written_in_two_ways_gets_one_mail(outbox: Settings) -> None:
    queue("incident:1", [{"address": "Alice@X.test"}, {"address": "alice@x.TEST"}], now=NOW)
    assert states() == {"pending": 1}


def test_expanding_twice_writes_nothing_twice(outbox: Settings) -> None:
    broadcast = queue("incident:1", 1200, now=NOW)
    actions.expand_step(broadcast.id, NOW)
    broadcast.expand_cursor = None
    while actions.expand_step(broadcast.id, NOW):
        pass
    assert states() == {"pending": 1200}
    assert not actions.expand_step(broadcast.id, NOW)


def test_recipients_worked_out_by_two_at_once_are_written_once(outbox: Settings) -> None:
    broadcast = queue("incident:1", 1200, now=NOW)
    one, other = (actions.next_step(broadcast.id, NOW) for _ in range(2))
    assert one is not None
    assert other is not None
    assert actions.write_step(one, NOW)
    assert actions.write_step(other, NOW), "there are more"
    assert states() == {"pending": 500}
    while actions.expand_step(broadcast.id, NOW):
        pass
    assert states() == {"pending": 1200}
    assert not actions.write_step(one, NOW)


def test_a_broadcast_of_many_is_not_read_by_whoever_queues_it(
    outbox: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(selector: dict[str, Any], after: Cursor | None, limit: int, now: datetime) -> NoReturn:
        raise AssertionError("nobody waits for this")

    kind = replace(TEST_KIND, name="many", recipients=never, goes_beyond=lambda _of, count, _now: count == 1000)
    known(monkeypatch, kind)
    assert queue("incident:1", 5000, now=NOW, kind="many").state is BroadcastState.EXPANDING


def test_a_broadcast_to_nobody_is_done_at_once(outbox: Settings) -> None:
    assert queue("incident:1", 0, now=NOW).state is BroadcastState.DONE


def test_publishing_to_a_thousand_takes_a_bounded_number_of_queries(outbox: Settings) -> None:
    counts = []
    for number in (10, 1000):
        with counted_queries() as statements:
            queue(f"incident:{number}", [{"address": f"x{number}-{index}@x.test"} for index in range(number)], now=NOW)
        counts.append(len([each for each in statements if not each.startswith("INSERT INTO delivery ")]))
    assert counts[0] == counts[1]


def test_an_expired_broadcast_that_was_never_expanded_ends_too(outbox: Settings) -> None:
    broadcast = queue("incident:1", 1200, now=NOW)
    actions.expand_step(broadcast.id, NOW)
    endings.expire(NOW + timedelta(hours=25))
    assert states() == {"expired": 500}
    assert endings.finish(NOW + timedelta(hours=25)) == [broadcast.id]
