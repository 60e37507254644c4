"""What the sender of channels holds and stores: one channel at a time under a lease, one message of it in doubt.

A message is marked as being sent before its receiver hears of it; whatever became of it is stored only under the moment
of that mark, so a late result finds its row after the lease was lost and never overwrites somebody else's.
Everything here works in the caller's transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, literal_column, or_, select, update
from sqlalchemy.orm import defer

from portal import events
from portal.accounts.models import Company, Person
from portal.extensions import db
from portal.notifications.channels.rules import (
    MAIL,
    ChannelKind,
    ChannelState,
    Outcome,
    ruling,
    wait_after,
)
from portal.notifications.kinds import kind_named
from portal.notifications.leases import note_attempt
from portal.notifications.models import LAST_TOLD, RAW, Broadcast, ContactChannel, Delivery
from portal.notifications.queries import pause_of_all
from portal.notifications.rules import ACTIVE, CALLED_OFF, BroadcastState, DeliveryState, Failure
from portal.notifications.subscribers import hearing
from portal.notifications.subscribers.resting import rest_channel

AREA_CLOSED = "The area this is about is closed for this company."
PROCESS_ENDED = "The sending process ended."
REMOVED = "The channel was removed."

_WAITS = and_(
    Delivery.contact_channel_id == ContactChannel.id,
    Delivery.state == literal_column("'pending'"),
)
_STILL_OURS = (DeliveryState.SENDING, DeliveryState.PENDING, DeliveryState.UNKNOWN)


def _may_go(now: datetime) -> ColumnElement[bool]:
    """The condition that the broadcast of a delivery still goes out. A machine is told of old news too."""
    return (
        exists()
        .where(
            Broadcast.id == Delivery.broadcast_id,
            Broadcast.state.in_(ACTIVE),
            or_(Broadcast.expires_at > now, Delivery.channel == ChannelKind.WEBHOOK.value),
        )
        .correlate(Delivery)
    )


def _has_due(now: datetime) -> ColumnElement[bool]:
    """The condition that something is due for a channel."""
    return exists().where(_WAITS, Delivery.next_attempt_at <= now, _may_go(now)).correlate(ContactChannel)


def _is_free(now: datetime) -> ColumnElement[bool]:
    return and_(
        ContactChannel.state != ChannelState.DISABLED,
        or_(ContactChannel.rests_until.is_(None), ContactChannel.rests_until <= now),
        or_(ContactChannel.leased_until.is_(None), ContactChannel.leased_until <= now),
    )


def count_due(now: datetime, at_most: int) -> int:
    """How many channels have something to be told now, at most so many. One query."""
    if pause_of_all() is not None:
        return 0
    due = select(ContactChannel.id).where(_is_free(now), _has_due(now)).limit(at_most)
    return len(db.session.scalars(due).all())


def next_due(now: datetime) -> datetime | None:
    """When the next channel has something to be told, None when nothing waits. One query."""
    if pause_of_all() is not None:
        return None
    first = (
        select(func.min(Delivery.next_attempt_at)).where(_WAITS, _may_go(now)).correlate(ContactChannel)
    ).scalar_subquery()
    moments = [
        max(waits, rests or waits)
        for waits, rests in db.session.execute(
            select(first, ContactChannel.rests_until).where(
                ContactChannel.state != ChannelState.DISABLED,
                or_(ContactChannel.leased_until.is_(None), ContactChannel.leased_until <= now),
                exists().where(_WAITS).correlate(ContactChannel),
            )
        )
        if waits is not None
    ]
    return min(moments, default=None)


def claim(owner: str, seconds: float, now: datetime) -> int | None:
    """Take the channel that has waited longest for its turn; None when none has anything due."""
    if pause_of_all() is not None:
        return None
    chosen = db.session.scalar(
        select(ContactChannel.id)
        .where(_is_free(now), _has_due(now))
        .order_by(ContactChannel.served_at.is_not(None), ContactChannel.served_at, ContactChannel.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if chosen is None:
        return None
    db.session.execute(
        update(ContactChannel)
        .where(ContactChannel.id == chosen)
        .values(lease_owner=owner, leased_until=now + timedelta(seconds=seconds), served_at=now),
        execution_options=RAW,
    )
    return chosen


@dataclass(frozen=True)
class Message:
    """One delivery on its way: what is needed to make it and to tell what became of it."""

    id: int
    broadcast_id: int
    message_id: str
    kind: ChannelKind
    sealed_address: str
    sealed_secrets: tuple[str, ...]
    values: dict[str, Any]
    wording: dict[str, str]
    since: datetime
    written_at: datetime


def mark_next(channel_id: int, owner: str, seconds: float, now: datetime) -> Message | None:
    """Mark the next message of a channel this process holds as being sent; None when there is none, or it is lost.

    Those that must not go any more are closed on the way.
    """
    channel = db.session.scalars(
        select(ContactChannel)
        .where(
            ContactChannel.id == channel_id,
            ContactChannel.lease_owner == owner,
            ContactChannel.leased_until > now,
            ContactChannel.state != ChannelState.DISABLED,
            or_(ContactChannel.rests_until.is_(None), ContactChannel.rests_until <= now),
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    if channel is None or pause_of_all() is not None:
        return None
    while found := _next_of(channel, now):
        delivery, broadcast, last = found
        if _close_if_unwanted(delivery, broadcast, channel, last, now):
            continue
        delivery.state, delivery.sending_since = DeliveryState.SENDING, now
        delivery.first_attempt_at = delivery.first_attempt_at or now
        _keep(channel_id, owner, leased_until=now + timedelta(seconds=seconds))
        db.session.flush()
        return Message(
            delivery.id,
            delivery.broadcast_id,
            delivery.message_id,
            channel.kind,
            channel.address,
            secrets_of(channel, now),
            delivery.values,
            broadcast.content.get(delivery.wording, {}),
            now,
            broadcast.created_at,
        )
    return None


def _next_of(channel: ContactChannel, now: datetime) -> tuple[Delivery, Broadcast, int | None] | None:
    row = db.session.execute(
        select(Delivery, Broadcast, LAST_TOLD)
        .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        .options(defer(Broadcast.selector))
        .where(
            Delivery.contact_channel_id == channel.id,
            Delivery.state == literal_column("'pending'"),
            Delivery.next_attempt_at <= now,
            _may_go(now),
        )
        .order_by(Delivery.next_attempt_at, Delivery.id)
        .limit(1)
        .with_for_update(of=Delivery)
    ).first()
    return (row[0], row[1], row[2]) if row else None


def _close_if_unwanted(
    delivery: Delivery, broadcast: Broadcast, channel: ContactChannel, last: int | None, now: datetime
) -> bool:
    """Close a message whose area, topic or owner is gone since it was written down, or that is to go no further than
    to `last`; whether it was."""
    kind = kind_named(broadcast.kind)
    why = None
    if delivery.company_ids and not kind.allowed(delivery.company_ids):
        why = AREA_CLOSED
    elif last is not None and delivery.priority > last:
        why = CALLED_OFF
    elif not _chooses_itself(channel) and broadcast.topic not in channel.topics and kind.is_list:
        why = "This channel no longer wants to hear of this."
    elif channel.subscriber_id is not None and not hearing.is_told(
        channel.subscriber_id, broadcast.topic, broadcast.thread_key
    ):
        why = "Whoever subscribed with this channel is not told any more."
    elif not _owner_is_there(channel):
        why = "The owner of this channel is no longer a customer."
    if why is None:
        return False
    delivery.state, delivery.answer, delivery.finished_at = DeliveryState.CANCELLED, why, now
    db.session.flush()
    return True


def _chooses_itself(channel: ContactChannel) -> bool:
    """Whether its topics do not say what a channel hears of: its subscriber does, or whoever named the number."""
    return channel.subscriber_id is not None or channel.is_dialled


def _owner_is_there(channel: ContactChannel) -> bool:
    if channel.company_id is not None:
        gone = select(Company.id).where(Company.id == channel.company_id, Company.archived_at.is_(None))
    elif channel.person_id is not None:
        gone = select(Person.id).where(Person.id == channel.person_id, Person.deactivated_at.is_(None))
    else:
        return True
    return db.session.scalar(gone) is not None


def secrets_of(channel: ContactChannel, now: datetime) -> tuple[str, ...]:
    """The sealed secrets that sign now, the newest first."""
    old_lives = channel.old_secret_until is not None and channel.old_secret_until > now
    found = (channel.secret, channel.old_secret if old_lives else None)
    return tuple(each for each in found if each)


def _keep(channel_id: int, owner: str, **values: Any) -> None:
    db.session.execute(
        update(ContactChannel)
        .where(ContactChannel.id == channel_id, ContactChannel.lease_owner == owner)
        .values(**values),
        execution_options=RAW,
    )


def release(channel_id: int, owner: str) -> None:
    """Give a channel back."""
    _keep(channel_id, owner, lease_owner=None, leased_until=None)


def settle(message: Message, channel_id: int, outcome: Outcome, *, worker: str, now: datetime) -> bool:
    """Store what became of a message, and what follows for its channel; whether the channel was disabled by it."""
    delivery = db.session.scalars(
        select(Delivery)
        .where(
            Delivery.id == message.id,
            Delivery.sending_since == message.since,
            Delivery.state.in_(_STILL_OURS),
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    events.ring(events.broadcast_topic(message.broadcast_id))
    if delivery is not None:
        _store(delivery, outcome, worker=worker, now=now)
    return _judge(channel_id, outcome, now)


def _store(delivery: Delivery, outcome: Outcome, *, worker: str, now: datetime) -> None:
    delivery.code, delivery.answer, delivery.failure = outcome.code, outcome.text[:500], outcome.failure
    if outcome.failure is None:
        delivery.state, delivery.finished_at = DeliveryState.SENT, now
        delivery.attempts += 1
        db.session.flush()
        return
    since = delivery.sending_since if delivery.state is DeliveryState.SENDING else None
    note_attempt(delivery, outcome.failure, outcome.code, outcome.text, worker=worker, since=since, now=now)
    delivery.attempts += 1
    delivery.in_doubt += outcome.failure is Failure.IN_DOUBT
    found = ruling(outcome, tries=delivery.attempts, doubts=delivery.in_doubt)
    delivery.state = found.state
    delivery.next_attempt_at = now + found.wait
    delivery.finished_at = None if found.state is DeliveryState.PENDING else now
    db.session.flush()
    _close_if_cancelled(delivery, now)


def _close_if_cancelled(delivery: Delivery, now: datetime) -> None:
    """What comes back to a broadcast that was cancelled in the meantime is not sent any more."""
    if delivery.state is not DeliveryState.PENDING:
        return
    state = db.session.scalar(select(Broadcast.state).where(Broadcast.id == delivery.broadcast_id))
    if state is BroadcastState.CANCELLED:
        delivery.state, delivery.finished_at = DeliveryState.CANCELLED, now
        db.session.flush()


def _judge(channel_id: int, outcome: Outcome, now: datetime) -> bool:
    """What an outcome says of the channel. A message that was refused for itself says that it works."""
    channel = db.session.scalars(
        select(ContactChannel)
        .where(ContactChannel.id == channel_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    if channel is None:
        # It was removed while it was asked: what would be tried again has nobody to go to.
        close_what_waits(channel_id, DeliveryState.CANCELLED, REMOVED, now)
        return False
    if channel.state is ChannelState.DISABLED:
        return False
    if outcome.failure in {None, Failure.REFUSED, Failure.POISON}:
        _works(channel_id, outcome, now)
        return False
    failures = channel.failures + 1
    wait = None if outcome.is_over else wait_after(failures, outcome.asked)
    values: dict[str, Any] = {
        "failures": failures,
        "failing_since": channel.failing_since or now,
        "state": ChannelState.FAILING if wait is not None else ChannelState.DISABLED,
        "rests_until": now + wait if wait is not None else None,
        "reason": outcome.text[:500],
        "code": outcome.code,
    }
    db.session.execute(
        update(ContactChannel).where(ContactChannel.id == channel_id).values(**values), execution_options=RAW
    )
    events.ring(events.STAFF)
    if wait is None:
        close_what_waits(channel_id, DeliveryState.FAILED, f"The channel was disabled. {outcome.text}", now)
        rest_channel(channel_id, outcome.text or "The channel was disabled.", now)
    return wait is None


def _works(channel_id: int, outcome: Outcome, now: datetime) -> None:
    changed = db.session.scalars(
        update(ContactChannel)
        .where(ContactChannel.id == channel_id, ContactChannel.state == ChannelState.FAILING)
        .values(state=ChannelState.WORKING, failures=0, failing_since=None, rests_until=None, reason=None)
        .returning(ContactChannel.id),
        execution_options=RAW,
    ).first()
    values: dict[str, Any] = {"code": outcome.code}
    if outcome.failure is None:
        values["last_sent_at"] = now
    db.session.execute(
        update(ContactChannel).where(ContactChannel.id == channel_id).values(**values), execution_options=RAW
    )
    if changed is not None:
        events.ring(events.STAFF)


def close_of_removed(channel_id: int, now: datetime) -> int:
    """Call off what waits for a channel that is being removed; returns how many messages that were.

    What is on its way counts as possibly sent, until its answer is heard.
    """
    db.session.execute(
        update(Delivery)
        .where(Delivery.contact_channel_id == channel_id, Delivery.state == DeliveryState.SENDING)
        .values(state=DeliveryState.UNKNOWN, answer=REMOVED, finished_at=now),
        execution_options=RAW,
    )
    return close_what_waits(channel_id, DeliveryState.CANCELLED, REMOVED, now)


def close_what_waits(channel_id: int, state: DeliveryState, answer: str, now: datetime) -> int:
    """Close what a channel will not be told any more; returns how many messages that were."""
    closed = db.session.execute(
        update(Delivery)
        .where(Delivery.contact_channel_id == channel_id, Delivery.state == literal_column("'pending'"))
        .values(state=state, answer=answer[:500], finished_at=now)
        .returning(Delivery.broadcast_id),
        execution_options=RAW,
    ).all()
    events.ring(*{events.broadcast_topic(row[0]) for row in closed})
    return len(closed)


def release_expired(now: datetime) -> int:
    """Take back what dead processes held; returns how many messages that left in doubt.

    Such a message may have arrived: it is repeated once, at once. A webhook is repeated as its schedule says, because
    its receiver tells repeats by their id.
    """
    expired: Sequence[int] = db.session.scalars(
        select(ContactChannel.id).where(ContactChannel.leased_until <= now).with_for_update(skip_locked=True)
    ).all()
    if not expired:
        return 0
    doubtful = db.session.scalars(
        select(Delivery)
        .where(Delivery.contact_channel_id.in_(expired), Delivery.state == DeliveryState.SENDING)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    for delivery in doubtful:
        since = delivery.sending_since
        note_attempt(delivery, Failure.IN_DOUBT, None, PROCESS_ENDED, worker="", since=since, now=now)
        delivery.attempts += 1
        is_told_by_id = delivery.channel == ChannelKind.WEBHOOK.value
        delivery.in_doubt += 1
        outcome = Outcome(Failure.IN_DOUBT, None, PROCESS_ENDED)
        found = ruling(outcome, tries=delivery.attempts, doubts=0 if is_told_by_id else delivery.in_doubt)
        delivery.state, delivery.failure, delivery.next_attempt_at = found.state, Failure.IN_DOUBT, now
        delivery.finished_at = None if found.state is DeliveryState.PENDING else now
        db.session.flush()
        _close_if_cancelled(delivery, now)
    db.session.execute(
        update(ContactChannel).where(ContactChannel.id.in_(expired)).values(lease_owner=None, leased_until=None),
        execution_options=RAW,
    )
    return len(doubtful)


def expire(now: datetime) -> None:
    """Close texts and posts that are no longer worth sending: expired if never tried, failed if every try failed."""
    overdue = exists().where(Broadcast.id == Delivery.broadcast_id, Broadcast.expires_at <= now).correlate(Delivery)
    for state, tried in (
        (DeliveryState.EXPIRED, Delivery.attempts == 0),
        (DeliveryState.FAILED, Delivery.attempts > 0),
    ):
        db.session.execute(
            update(Delivery)
            .where(
                Delivery.contact_channel_id.in_(select(ContactChannel.id)),
                Delivery.channel.not_in((MAIL, ChannelKind.WEBHOOK.value)),
                Delivery.state == literal_column("'pending'"),
                tried,
                overdue,
            )
            .values(state=state, finished_at=now),
            execution_options=RAW,
        )


def let_go_of_everything(now: datetime) -> None:
    """End every lease: whoever held one works on another copy of the data, or is not there any more."""
    db.session.execute(
        update(ContactChannel).where(ContactChannel.leased_until.is_not(None)).values(leased_until=now),
        execution_options=RAW,
    )
    release_expired(now)
