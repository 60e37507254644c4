"""Pausing, resuming, cancelling and retrying what was written down."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, or_, select, true, update

from portal import events
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.errors import RuleViolation
from portal.extensions import db
from portal.notifications import marks
from portal.notifications.models import Broadcast, Delivery, Suppression
from portal.notifications.rules import (
    ACTIVE,
    CALLED_OFF,
    TOLD_UP_TO,
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


def cancel_all(broadcasts: Sequence[Broadcast], *, by: Actor, now: datetime) -> int:
    """Call off several, but for those that are over, as `cancel` does; returns how many mails that were.

    Hand them in locked: who held what is sent while waiting for the next of them could wait for somebody who waits for
    that in turn.
    """
    return sum(cancel(each, by=by, now=now) for each in broadcasts if each.state is not BroadcastState.DONE)


Narrowed = Callable[[Mapping[str, Any]], tuple[dict[str, Any], int]]
"""What a kind makes of a selector to tell fewer: the selector that finds them, and the `priority` of the last of them,
as recipients have it."""


def narrow(broadcasts: Sequence[Broadcast], narrowed: Narrowed, *, by: Actor, now: datetime) -> int:
    """Tell only some of those who were to be told; returns how many messages to others were called off.

    Who is not written down yet is looked for anew, what waits for anybody else is called off. What a process is
    offering at this moment is left to it, and goes no more if it comes back; neither does what failed and is tried
    again. Hand in locked what may still send something; whoever claims mails never waits for it.
    """
    for broadcast in broadcasts:
        selector, last = narrowed(broadcast.selector)
        broadcast.selector = {**selector, TOLD_UP_TO: broadcast.priority + last}
    db.session.flush()
    if not broadcasts:
        return 0
    waits = marks.can_be_called_off()
    count = 0
    for broadcast in broadcasts:
        is_beyond = Delivery.priority > broadcast.selector[TOLD_UP_TO]
        found = _close(broadcast.id, waits & is_beyond, CALLED_OFF, now)
        count += found
        if found:
            audit.record(
                "broadcast.narrow",
                object_kind="broadcast",
                object_id=broadcast.id,
                by=by,
                now=now,
                after={"mails": found},
            )
            events.ring(events.broadcast_topic(broadcast.id))
    # Whoever sends closes what has nothing left to send.
    events.wake("deliver")
    return count


def cancel_what_waits(broadcast_id: int, now: datetime) -> int:
    """Close the deliveries of a cancelled broadcast that no server has been offered; returns how many.

    What a sending process is offering at this moment is left to it, and closed if it comes back.
    """
    return _close(broadcast_id, marks.can_be_called_off(), None, now)


def _close(broadcast_id: int, waits: ColumnElement[bool], answer: str | None, now: datetime) -> int:
    # What somebody stores a result of at this moment is theirs: nobody waits for it.
    waiting = select(Delivery.id).where(Delivery.broadcast_id == broadcast_id, waits).with_for_update(skip_locked=True)
    values = {"state": DeliveryState.CANCELLED, "finished_at": now} | ({"answer": answer} if answer else {})
    result = db.session.execute(
        update(Delivery).where(Delivery.id.in_(waiting)).values(values).execution_options(synchronize_session=False)
    )
    return cast(CursorResult[Any], result).rowcount


def retry_failed(broadcast: Broadcast, *, by: Actor, now: datetime) -> int:
    """Try the mails that failed for good once more; returns how many.

    Those whose address is suppressed are left out, and those who are not to be told any more.
    """
    if broadcast.state not in (*ACTIVE, BroadcastState.DONE) or broadcast.expires_at <= now:
        raise RuleViolation("This broadcast is no longer worth sending.")
    last = broadcast.selector.get(TOLD_UP_TO)
    suppressed = select(Suppression.address_key).where(or_(Suppression.until.is_(None), Suppression.until > now))
    result = db.session.execute(
        update(Delivery)
        .where(
            Delivery.broadcast_id == broadcast.id,
            Delivery.state == DeliveryState.FAILED,
            Delivery.address_key.not_in(suppressed),
            Delivery.priority <= last if last is not None else true(),
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
