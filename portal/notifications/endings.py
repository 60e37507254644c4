"""How broadcasts end: complete, too old, or stopped by the breaker."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import exists, or_, select, update

from portal import events
from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.notifications import actions, leases, marks
from portal.notifications.channels.alarms import tell_of_stopped
from portal.notifications.channels.rules import ChannelKind
from portal.notifications.models import (
    IS_PENDING,
    RAW,
    Broadcast,
    Delivery,
    Slice,
)
from portal.notifications.rules import (
    ACTIVE,
    BREAKER_WINDOW,
    OPEN_STATES,
    BroadcastState,
    DeliveryState,
    Failure,
    breaker_opens,
)

STOPPED_BY_ITSELF = "Stopped by itself"
"""How the note of a broadcast begins that nobody has paused."""


def trip_breaker(broadcast_id: int, now: datetime) -> bool:
    """Pause a broadcast in which relays refuse too much by policy, and tell the staff; nobody's address is at fault.

    Returns whether it was.
    """
    broadcast = db.session.get(Broadcast, broadcast_id)
    if broadcast is None or broadcast.state not in ACTIVE:
        return False
    # What other mails met a moment ago counts too.
    leases.fold(db.session.scalars(select(Slice.id)).all())
    results: list[tuple[datetime, int, bool]] = []
    for state in (DeliveryState.SENT, DeliveryState.FAILED):
        rows = db.session.execute(
            select(Delivery.finished_at, Delivery.id, Delivery.failure)
            .where(
                Delivery.broadcast_id == broadcast_id,
                Delivery.state == state,
                Delivery.finished_at > (broadcast.resumed_at or broadcast.created_at),
            )
            .order_by(Delivery.finished_at.desc())
            .limit(BREAKER_WINDOW)
        )
        results += [(at, delivery_id, failure is Failure.REPUTATION) for at, delivery_id, failure in rows if at]
    results.sort(reverse=True)
    if not breaker_opens([refused for _at, _id, refused in results]):
        return False
    answer = db.session.scalar(
        select(Delivery.answer)
        .where(Delivery.id.in_([delivery_id for _at, delivery_id, refused in results if refused][:1]))
        .limit(1)
    )
    note = f"{STOPPED_BY_ITSELF}: too many mails were refused by policy. The last answer was: {answer}"
    actions.pause(broadcast, note, by=SYSTEM, now=now)
    tell_of_stopped(broadcast, answer, now)
    events.ring(events.STAFF)
    return True


def finish(now: datetime, broadcast_ids: Collection[int] | None = None) -> list[int]:
    """Close the broadcasts that have nothing open any more (of these, or of all); returns which."""
    statement = (
        update(Broadcast)
        .where(
            Broadcast.state.in_((BroadcastState.SENDING, BroadcastState.PAUSED)),
            Broadcast.expanded_at.is_not(None),
            ~exists().where(Delivery.broadcast_id == Broadcast.id, Delivery.state.in_(OPEN_STATES)),
        )
        .values(state=BroadcastState.DONE, finished_at=now, note=None)
        .returning(Broadcast.id)
    )
    if broadcast_ids is not None:
        statement = statement.where(Broadcast.id.in_(broadcast_ids))
    done = list(db.session.scalars(statement, execution_options=RAW))
    events.ring(*[events.broadcast_topic(each) for each in done])
    return done


def expire(now: datetime) -> None:
    """Close what is no longer worth sending: expired if it was never tried, failed if every try was put off.

    A machine is told of old news too: what waits for one is closed when its channel is given up, and no earlier.
    """
    is_late = IS_PENDING & (Delivery.channel != ChannelKind.WEBHOOK.value)
    overdue = db.session.scalars(
        select(Broadcast)
        .where(
            Broadcast.state.in_((*ACTIVE, BroadcastState.PAUSED)),
            Broadcast.expires_at <= now,
            or_(
                Broadcast.expanded_at.is_(None),
                exists().where(Delivery.broadcast_id == Broadcast.id, is_late),
            ),
        )
        # Somebody else steers what is locked, and may wait for what is locked next.
        .order_by(Broadcast.id)
        .with_for_update(skip_locked=True)
    ).all()
    waits = marks.can_be_called_off() if overdue else IS_PENDING
    for broadcast in overdue:
        for state, tried in (
            (DeliveryState.EXPIRED, Delivery.attempts == 0),
            (DeliveryState.FAILED, Delivery.attempts > 0),
        ):
            db.session.execute(
                update(Delivery)
                .where(Delivery.broadcast_id == broadcast.id, is_late, waits, tried)
                .values(state=state, finished_at=now),
                execution_options=RAW,
            )
        if broadcast.expanded_at is None:
            broadcast.expanded_at, broadcast.state = now, BroadcastState.SENDING
        events.ring(events.broadcast_topic(broadcast.id))
    db.session.flush()
