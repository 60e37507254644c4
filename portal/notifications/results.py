"""What became of mails, stored with the marks of those that are offered next, and what follows from a failure."""

import random
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select
from sqlalchemy.orm import defer

from portal.accounts.models import Person
from portal.extensions import db
from portal.notifications import actions, leases, marks, relays
from portal.notifications.kinds import kind_named
from portal.notifications.leases import Taken, note_attempt
from portal.notifications.marks import Ledger, Offered, Sent
from portal.notifications.models import Broadcast, Delivery
from portal.notifications.queries import pause_of_all
from portal.notifications.rules import (
    ACTIVE,
    EVERY_TOPIC,
    BroadcastState,
    DeliveryState,
    Failure,
    SuppressionReason,
    enhanced_code,
    verdict,
)


class Failed(NamedTuple):
    """A mail that it has not. `since` is None when the mail was refused before it was marked as being sent."""

    delivery: Taken
    slice_id: int
    since: datetime | None
    failure: Failure
    code: int | None
    text: str


_STILL_OURS = (DeliveryState.PENDING, DeliveryState.UNKNOWN)


def store_and_mark(
    connection: Connection,
    sent: Sequence[Sent],
    next_ones: Collection[Taken],
    *,
    offered: Mapping[int, Offered],
    relay_id: int,
    now: datetime,
    is_bounded: bool = False,
) -> frozenset[int]:
    """Store what was sent and mark what is sent next, in one transaction; returns those that may indeed be sent.

    `offered` is all that is in doubt from here on, slice by slice, the next ones included with `now` as their moment.
    What is offered to a relay that `is_bounded` is counted in the same transaction. The rest was cancelled, paused,
    suppressed, unsubscribed or overtaken in the meantime, or is no longer ours.
    """
    ledger = Ledger(connection)
    ours = ledger.mark(offered)
    ledger.note(sent, ours, now)
    if not next_ones or not ours:
        return frozenset()
    again = [each.id for each in next_ones if each.sending_since is not None]
    held = {delivery_id for slice_id in ours for delivery_id in offered[slice_id]}
    granted = ledger.may_go([each.id for each in next_ones if each.id in held], again, now)
    if is_bounded and granted:
        relays.count_use(connection, relay_id=relay_id, now=now, use={"offered": len(granted)})
    return granted


def settle(failures: Sequence[Failed], worker: str, now: datetime) -> frozenset[int]:
    """Store what was not sent, and what follows from it; returns the broadcasts in which policy was the reason."""
    notes = {each.delivery.id: each for each in failures}
    held = marks.held_by({each.slice_id for each in failures})
    rows = db.session.execute(
        select(Delivery, Broadcast.kind, Broadcast.expires_at)
        .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        .where(Delivery.id.in_(notes))
        .order_by(Delivery.id)
        .with_for_update(of=Delivery)
    ).all()
    refused = set()
    for delivery, kind, expires_at in rows:
        note = notes[delivery.id]
        if not _is_ours(delivery, note, held):
            continue
        if note.since is not None:
            delivery.sending_since = note.since
        delivery.first_attempt_at = delivery.first_attempt_at or note.delivery.first_attempt_at
        note_attempt(delivery, note.failure, note.code, note.text, worker=worker, since=note.since, now=now)
        _apply(delivery, note, kind, expires_at, now)
        if note.failure is Failure.REPUTATION:
            refused.add(delivery.broadcast_id)
    db.session.flush()
    leases.hand_back(notes, {each.slice_id for each in failures})
    return frozenset(refused)


def _is_ours(delivery: Delivery, note: Failed, held: Mapping[int, int]) -> bool:
    is_held = held.get(delivery.id) == note.slice_id
    if note.since is None:
        return delivery.state is DeliveryState.PENDING and is_held
    return delivery.state in _STILL_OURS and (is_held or delivery.sending_since == note.since)


def _apply(delivery: Delivery, note: Failed, kind: str, expires_at: datetime, now: datetime) -> None:
    doubts = delivery.in_doubt + (note.failure is Failure.IN_DOUBT)
    tries = delivery.attempts + 1
    ruling = verdict(
        note.failure,
        tries=tries,
        doubts=doubts,
        repeat_in_doubt=kind_named(kind).repeat_in_doubt,
        jitter=random.uniform(-1, 1),  # noqa: S311 (spreads retries, hides nothing)
        text=note.text,
    )
    state = ruling.state
    if ruling.is_counted:
        # Where the relay is at fault the mail goes on waiting since it could have gone out first.
        delivery.next_attempt_at = now + ruling.delay
    if state is DeliveryState.PENDING and ruling.is_counted and delivery.next_attempt_at >= expires_at:
        state = DeliveryState.FAILED
    delivery.state, delivery.failure, delivery.in_doubt = state, note.failure, doubts
    delivery.attempts = tries if ruling.is_counted else delivery.attempts
    delivery.code, delivery.enhanced_code, delivery.answer = note.code, enhanced_code(note.text), note.text[:500]
    delivery.finished_at = None if state is DeliveryState.PENDING else now
    if note.failure is Failure.HARD:
        actions.suppress(
            delivery.address,
            EVERY_TOPIC,
            SuppressionReason.HARD_BOUNCE,
            detail=note.text,
            delivery_id=delivery.id,
            now=now,
        )
    elif state is DeliveryState.FAILED and note.failure in {Failure.MESSAGE_FULL, Failure.SOFT}:
        db.session.flush()
        actions.strike(delivery.address, detail=note.text, delivery_id=delivery.id, now=now)


class TurnedAway(NamedTuple):
    """What turning mails away came to: those that may be sent after all, and the broadcasts that were stopped."""

    left: frozenset[int]
    stopped: frozenset[int]


def turn_away(ids: Collection[int], slices: Collection[int], now: datetime) -> TurnedAway:
    """Close, or give back, deliveries of these slices that may not be sent now, each with its reason."""
    held = marks.held_by(slices)
    rows = db.session.execute(
        select(Delivery, Broadcast, Person.id, Person.deactivated_at)
        .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        .outerjoin(Person, Person.id == Delivery.person_id)
        .options(defer(Broadcast.content), defer(Broadcast.selector))
        .where(Delivery.id.in_([each for each in ids if each in held]))
        .with_for_update(of=Delivery)
    ).all()
    left, given_back, stopped = set(), set(), set()
    is_paused = pause_of_all() is not None
    for delivery, broadcast, person_id, deactivated_at in rows:
        has_login = delivery.person_id is None or (person_id is not None and deactivated_at is None)
        if is_paused or broadcast.state not in ACTIVE or broadcast.expires_at <= now:
            stopped.add(broadcast.id)
        if delivery.state is not DeliveryState.PENDING:
            continue
        ruling = _why_not(delivery, broadcast, has_login, now)
        if ruling is None and is_paused:
            ruling = DeliveryState.PENDING, None
        if ruling is None:
            left.add(delivery.id)
            continue
        delivery.state = ruling[0]
        delivery.answer = ruling[1] or delivery.answer
        if delivery.state is DeliveryState.PENDING:
            given_back.add(delivery.id)
        else:
            delivery.finished_at = now
    db.session.flush()
    marks.give_back(given_back, slices)
    return TurnedAway(frozenset(left), frozenset(stopped))


def _why_not(
    delivery: Delivery, broadcast: Broadcast, has_login: bool, now: datetime
) -> tuple[DeliveryState, str | None] | None:
    """The state of a delivery that may not be sent, and the reason where the state alone does not tell it."""
    if broadcast.state is BroadcastState.PAUSED:
        return DeliveryState.PENDING, None
    if broadcast.state not in ACTIVE:
        return DeliveryState.CANCELLED, None
    if broadcast.expires_at <= now:
        return (DeliveryState.FAILED if delivery.attempts else DeliveryState.EXPIRED), None
    if not has_login:
        return DeliveryState.CANCELLED, "This person no longer has a login."
    reason = actions.why_suppressed(delivery.address_key, delivery.person_id, broadcast.topic, now)
    return (DeliveryState.SUPPRESSED, reason) if reason else None
