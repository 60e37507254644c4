"""What one channel was told, with every try of it, and telling it one of these once more.

A replay is the same message: a webhook gets the same `webhook-id` and the same body, so that whoever has it
knows it again, under a new time and signature (Standard Webhooks, "retries"). The ledger keeps one row of it.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from portal import events
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.errors import NotFound, RuleViolation
from portal.extensions import db
from portal.notifications.channels.rules import ChannelKind, ChannelState
from portal.notifications.models import RAW, Broadcast, ContactChannel, Delivery, DeliveryAttempt
from portal.notifications.rules import ACTIVE, BroadcastState, DeliveryState

TRIES_SHOWN = 400
"""Tries that are read for the messages of a page: each is tried eight times, and once more with each replay."""

OVER = frozenset({DeliveryState.SENT, DeliveryState.FAILED, DeliveryState.UNKNOWN, DeliveryState.EXPIRED})
"""What may be sent again; of the rest nothing was sent on purpose, or it is on its way."""


def tries_of(delivery_ids: Collection[int]) -> Mapping[int, Sequence[DeliveryAttempt]]:
    """The tries of these messages that were no plain success, the newest first. One query."""
    found: dict[int, list[DeliveryAttempt]] = {}
    rows = db.session.scalars(
        select(DeliveryAttempt)
        .where(DeliveryAttempt.delivery_id.in_(delivery_ids))
        .order_by(DeliveryAttempt.delivery_id.desc(), DeliveryAttempt.number.desc())
        .limit(TRIES_SHOWN)
    )
    for each in rows:
        found.setdefault(each.delivery_id, []).append(each)
    return found


def may_replay(delivery: Delivery, channel: ContactChannel) -> bool:
    """Whether a message can be sent to its channel once more, as far as the two of them say."""
    return delivery.state in OVER and channel.state is not ChannelState.DISABLED and bool(delivery.values)


def replay(channel: ContactChannel, delivery_id: int, *, by: Actor, now: datetime) -> Delivery:
    """Send a message of this channel once more, as soon as the channel is served. The caller holds the channel.

    RuleViolation where it is on its way, was called off, or nobody would take it; NotFound for what is not of this
    channel. What had become of it stands in the audit trail.
    """
    row = db.session.execute(
        select(Delivery, Broadcast)
        .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        .where(Delivery.id == delivery_id, Delivery.contact_channel_id == channel.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    if row is None:
        raise NotFound
    delivery, broadcast = row
    _check(delivery, broadcast, channel, now)
    before = _told(delivery)
    delivery.state, delivery.next_attempt_at, delivery.finished_at = DeliveryState.PENDING, now, None
    delivery.in_doubt = 0
    if broadcast.state is BroadcastState.DONE:
        broadcast.state, broadcast.finished_at, broadcast.resumed_at = BroadcastState.SENDING, None, now
    # It is asked now, though it may be resting: somebody says that it answers again.
    db.session.execute(
        update(ContactChannel).where(ContactChannel.id == channel.id).values(rests_until=None), execution_options=RAW
    )
    db.session.flush()
    audit.record(
        "delivery.replay",
        object_kind="delivery",
        object_id=delivery.id,
        by=by,
        now=now,
        before=before,
        after={"title": broadcast.title, "address": delivery.address, "state": delivery.state},
    )
    events.ring(events.STAFF, events.broadcast_topic(broadcast.id))
    events.wake("deliver_channels")
    return delivery


def _check(delivery: Delivery, broadcast: Broadcast, channel: ContactChannel, now: datetime) -> None:
    if delivery.state in (DeliveryState.PENDING, DeliveryState.SENDING):
        raise RuleViolation("It is on its way already.")
    if delivery.state not in OVER:
        raise RuleViolation("It was called off, so there is nothing to send again.")
    if channel.state is ChannelState.DISABLED:
        raise RuleViolation("Nothing is sent there now. Reactivate it first.")
    if not delivery.values:
        raise RuleViolation("What it said is no longer kept.")
    if broadcast.state not in (*ACTIVE, BroadcastState.DONE):
        raise RuleViolation("The broadcast it belongs to is paused or was cancelled.")
    if broadcast.expires_at <= now and channel.kind is not ChannelKind.WEBHOOK:
        raise RuleViolation("It is too old to be told to people once more.")


def _told(delivery: Delivery) -> dict[str, Any]:
    return {
        "state": delivery.state,
        "code": delivery.code,
        "answer": (delivery.answer or "")[:200],
        "tries": delivery.attempts,
        "finished_at": delivery.finished_at.isoformat() if delivery.finished_at else None,
    }
