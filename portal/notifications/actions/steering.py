"""Pausing, resuming, cancelling and retrying what was written down."""

from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, or_, select, update

from portal import events
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.errors import RuleViolation
from portal.extensions import db
from portal.notifications import marks
from portal.notifications.models import Broadcast, Delivery, Suppression
from portal.notifications.rules import (
    ACTIVE,
    BroadcastState,
    DeliveryState,
)


def pause(broadcast: Broadcast, note: str, *, by: Actor, now: datetime) -> None:
    """Stop a broadcast where it is; what a server already has is finished. Pausing one that is over is refused."""
    if broadcast.state is BroadcastState.PAUSED:
        return
    if broadcast.state not in ACTIVE:
        raise RuleViolation("This broadcast is over; there is nothing left to pause.")
    _steer(broadcast, BroadcastState.PAUSED, "broadcast.pause", by=by, now=now)
    broadcast.note = note[:500]
    db.session.flush()


def resume(broadcast: Broadcast, *, by: Actor, now: datetime) -> None:
    """Let a paused broadcast go on where it stopped."""
    if broadcast.state in ACTIVE:
        return
    if broadcast.state is not BroadcastState.PAUSED:
        raise RuleViolation("This broadcast is over; it cannot go on.")
    state = BroadcastState.SENDING if broadcast.expanded_at else BroadcastState.EXPANDING
    _steer(broadcast, state, "broadcast.resume", by=by, now=now)
    broadcast.resumed_at = now
    broadcast.note = None
    db.session.flush()
    events.wake("deliver") if broadcast.expanded_at else events.wake("expand", broadcast.id)


def cancel(broadcast: Broadcast, *, by: Actor, now: datetime) -> int:
    """Call off what has not been offered to a server yet; returns how many mails that were. The rest is finished."""
    if broadcast.state is BroadcastState.CANCELLED:
        return 0
    if broadcast.state is BroadcastState.DONE:
        raise RuleViolation("This broadcast is over; there is nothing left to cancel.")
    _steer(broadcast, BroadcastState.CANCELLED, "broadcast.cancel", by=by, now=now)
    broadcast.finished_at = now
    db.session.flush()
    return cancel_what_waits(broadcast.id, now)


def cancel_what_waits(broadcast_id: int, now: datetime) -> int:
    """Close the deliveries of a cancelled broadcast that no server has been offered; returns how many.

    What a sending process is offering at this moment is left to it, and closed if it comes back.
    """
    waiting = (
        select(Delivery.id)
        .where(
            Delivery.broadcast_id == broadcast_id,
            marks.can_be_called_off(),
        )
        .with_for_update(skip_locked=True)
    )
    result = db.session.execute(
        update(Delivery)
        .where(Delivery.id.in_(waiting))
        .values(state=DeliveryState.CANCELLED, finished_at=now)
        .execution_options(synchronize_session=False)
    )
    return cast(CursorResult[Any], result).rowcount


def retry_failed(broadcast: Broadcast, *, by: Actor, now: datetime) -> int:
    """Try the mails that failed for good once more, those whose address is suppressed left out; returns how many."""
    if broadcast.state not in (*ACTIVE, BroadcastState.DONE) or broadcast.expires_at <= now:
        raise RuleViolation("This broadcast is no longer worth sending.")
    suppressed = select(Suppression.address_key).where(or_(Suppression.until.is_(None), Suppression.until > now))
    result = db.session.execute(
        update(Delivery)
        .where(
            Delivery.broadcast_id == broadcast.id,
            Delivery.state == DeliveryState.FAILED,
            Delivery.address_key.not_in(suppressed),
        )
        .values(state=DeliveryState.PENDING, next_attempt_at=now, finished_at=None)
        .execution_options(synchronize_session=False)
    )
    count = cast(CursorResult[Any], result).rowcount
    if count:
        _steer(broadcast, BroadcastState.SENDING, "broadcast.retry", by=by, now=now, mails=count)
        broadcast.finished_at = None
        broadcast.resumed_at = now
        db.session.flush()
        events.wake("deliver")
    return count


def _steer(
    broadcast: Broadcast, state: BroadcastState, action: str, *, by: Actor, now: datetime, **details: Any
) -> None:
    before = broadcast.state
    broadcast.state = state
    events.ring(events.broadcast_topic(broadcast.id))
    audit.record(
        action,
        object_kind="broadcast",
        object_id=broadcast.id,
        by=by,
        now=now,
        before={"state": before},
        after={"state": state, **details},
    )
