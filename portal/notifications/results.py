"""What became of mails, stored with the marks of those that are offered next, and what follows from a failure."""

import random
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, exists, or_, select, update
from sqlalchemy.orm import defer

from portal.accounts.models import Person
from portal.extensions import db
from portal.notifications import actions, relays
from portal.notifications.kinds import ACCOUNT_TOPIC, kind_named
from portal.notifications.leases import Taken, close_cancelled, note_attempt
from portal.notifications.models import Broadcast, Delivery, Preference, Suppression
from portal.notifications.queries import MAY_SEND, pause_of_all
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


class Sent(NamedTuple):
    """A mail that a server has taken."""

    id: int
    since: datetime
    code: int
    text: str


class Failed(NamedTuple):
    """A mail that it has not. `since` is None when the mail was refused before it was marked as being sent."""

    delivery: Taken
    slice_id: int
    since: datetime | None
    failure: Failure
    code: int | None
    text: str


_STILL_OURS = (DeliveryState.SENDING, DeliveryState.PENDING, DeliveryState.CLAIMED, DeliveryState.UNKNOWN)

_STORE = (
    update(Delivery.__table__)  # type: ignore[arg-type]
    .where(
        Delivery.id == bindparam("b_id"),
        Delivery.sending_since == bindparam("b_since"),
        # Spelled out, because an IN list cannot be given to many rows at once.
        or_(*[Delivery.state == state for state in _STILL_OURS]),
    )
    .values(
        state=DeliveryState.SENT,
        attempts=Delivery.attempts + 1,
        finished_at=bindparam("b_now"),
        code=bindparam("b_code"),
        enhanced_code=bindparam("b_enhanced"),
        answer=bindparam("b_text"),
        failure=None,
        slice_id=None,
    )
)

# Stands two levels below the UPDATE, where nothing is correlated by itself: without a word it would be any broadcast's.
_TOPIC = (
    select(Broadcast.topic).where(Broadcast.id == Delivery.broadcast_id).correlate(Delivery.__table__).scalar_subquery()
)
_MAY_GO = (
    MAY_SEND,
    exists().where(
        Broadcast.id == Delivery.broadcast_id,
        Broadcast.state.in_(ACTIVE),
        Broadcast.expires_at > bindparam("b_now"),
    ),
    ~exists().where(
        Suppression.address_key == Delivery.address_key,
        _TOPIC != ACCOUNT_TOPIC,
        or_(Suppression.scope == EVERY_TOPIC, Suppression.scope == _TOPIC),
        or_(Suppression.until.is_(None), Suppression.until > bindparam("b_now")),
    ),
    or_(
        Delivery.person_id.is_(None),
        exists().where(Person.id == Delivery.person_id, Person.deactivated_at.is_(None))
        & ~exists().where(
            Preference.person_id == Delivery.person_id,
            Preference.topic == _TOPIC,
            Preference.channel == "mail",
            Preference.wanted.is_(False),
        ),
    ),
)
_MARK = (
    update(Delivery.__table__)  # type: ignore[arg-type]
    .where(
        Delivery.id.in_(bindparam("b_ids", expanding=True)),
        Delivery.slice_id.in_(bindparam("b_slices", expanding=True)),
        # "sending" too: after a commit whose answer was lost the same marks are made once more.
        Delivery.state.in_((DeliveryState.CLAIMED, DeliveryState.SENDING)),
        *_MAY_GO,
    )
    .values(state=DeliveryState.SENDING, sending_since=bindparam("b_now"), relay_id=bindparam("b_relay"))
    .returning(Delivery.id)
)


def store_and_mark(
    connection: Connection,
    sent: Sequence[Sent],
    ids: Collection[int],
    *,
    slices: Collection[int],
    relay_id: int,
    now: datetime,
    is_bounded: bool = False,
) -> frozenset[int]:
    """Store what was sent and mark what is sent next, in one transaction; returns those that may indeed be sent.

    What is offered to a relay that `is_bounded` is counted in the same transaction. The rest was cancelled, paused,
    suppressed, unsubscribed or overtaken in the meantime, or is no longer ours. `now` becomes their `sending_since`.
    """
    if sent:
        connection.execute(
            _STORE,
            [
                {
                    "b_id": each.id,
                    "b_since": each.since,
                    "b_now": now,
                    "b_code": each.code,
                    "b_enhanced": enhanced_code(each.text),
                    "b_text": each.text,
                }
                for each in sent
            ],
        )
    if not ids:
        return frozenset()
    marked = connection.execute(
        _MARK, {"b_ids": sorted(ids), "b_slices": list(slices), "b_now": now, "b_relay": relay_id}
    )
    granted = frozenset(marked.scalars())
    if is_bounded:
        relays.count_use(connection, relay_id=relay_id, now=now, use={"offered": len(granted)})
    return granted


def settle(failures: Sequence[Failed], worker: str, now: datetime) -> frozenset[int]:
    """Store what was not sent, and what follows from it; returns the broadcasts in which policy was the reason."""
    notes = {each.delivery.id: each for each in failures}
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
        if not _is_ours(delivery, note):
            continue
        note_attempt(delivery, note.failure, note.code, note.text, worker=worker, now=now)
        _apply(delivery, note, kind, expires_at, now)
        if note.failure is Failure.REPUTATION:
            refused.add(delivery.broadcast_id)
    db.session.flush()
    close_cancelled()
    return frozenset(refused)


def _is_ours(delivery: Delivery, note: Failed) -> bool:
    if note.since is None:
        return delivery.state is DeliveryState.CLAIMED and delivery.slice_id == note.slice_id
    return delivery.state in _STILL_OURS and delivery.sending_since == note.since


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
    delivery.state, delivery.failure, delivery.in_doubt, delivery.slice_id = state, note.failure, doubts, None
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
    """Close, or give back, claimed deliveries that may not be sent now, each with its reason."""
    rows = db.session.execute(
        select(Delivery, Broadcast, Person.id, Person.deactivated_at)
        .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        .outerjoin(Person, Person.id == Delivery.person_id)
        .options(defer(Broadcast.content), defer(Broadcast.selector))
        .where(Delivery.id.in_(ids), Delivery.slice_id.in_(slices), Delivery.state == DeliveryState.CLAIMED)
        .with_for_update(of=Delivery)
    ).all()
    left, stopped = set(), set()
    is_paused = pause_of_all() is not None
    for delivery, broadcast, person_id, deactivated_at in rows:
        has_login = delivery.person_id is None or (person_id is not None and deactivated_at is None)
        if is_paused or broadcast.state not in ACTIVE or broadcast.expires_at <= now:
            stopped.add(broadcast.id)
        ruling = _why_not(delivery, broadcast, has_login, now)
        if ruling is None and is_paused:
            ruling = DeliveryState.PENDING, None
        if ruling is None:
            left.add(delivery.id)
            continue
        delivery.slice_id = None
        delivery.state = ruling[0]
        delivery.answer = ruling[1] or delivery.answer
        delivery.finished_at = None if delivery.state is DeliveryState.PENDING else now
    db.session.flush()
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
