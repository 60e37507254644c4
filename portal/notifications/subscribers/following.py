"""Following one conversation without a login, such as that of an incident: who does, since when, and that it ends.

What a conversation is about, who may see it and when it is over is the business of the capability that tells of it.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.orm import aliased

from portal import events
from portal.errors import RuleViolation
from portal.extensions import db
from portal.notifications.actions.inserting import insert_new
from portal.notifications.models import RAW
from portal.notifications.subscribers.forgetting import forget
from portal.notifications.subscribers.models import Subscriber, SubscriberFollowing
from portal.notifications.subscribers.rules import FOLLOWED_AT_MOST, Conversation, kinds_in

ENDED_AT_ONCE = 500
"""Subscribers whose following of a conversation that is over is ended in one transaction."""


def followed_by(subscriber_ids: Collection[int]) -> dict[int, list[str]]:
    """The conversations that each of these follows, by their ids, the earliest first. One query."""
    found: dict[int, list[str]] = {}
    rows = db.session.execute(
        select(SubscriberFollowing.subscriber_id, SubscriberFollowing.conversation)
        .where(SubscriberFollowing.subscriber_id.in_(subscriber_ids))
        .order_by(SubscriberFollowing.since, SubscriberFollowing.conversation)
    )
    for subscriber_id, conversation in rows:
        found.setdefault(subscriber_id, []).append(conversation)
    return found


def count_following(conversation: str) -> int:
    """How many subscribers follow a conversation, whatever state they are in. One query."""
    following = select(func.count()).where(SubscriberFollowing.conversation == conversation)
    return db.session.scalar(following) or 0


def conversations_followed() -> Sequence[str]:
    """Every conversation that somebody follows. One query, whose cost is their number and not that of subscribers."""
    one, key = aliased(SubscriberFollowing), SubscriberFollowing.conversation
    steps = select(func.min(key).label("key")).cte(recursive=True)
    after = select(func.min(one.conversation)).where(one.conversation > steps.c.key).correlate(steps).scalar_subquery()
    steps = steps.union_all(select(after).where(steps.c.key.is_not(None)))
    return db.session.scalars(select(steps.c.key).where(steps.c.key.is_not(None))).all()


def begin(subscriber: Subscriber, conversation: Conversation, now: datetime) -> bool:
    """Have a subscriber follow a conversation; whether that is new. RuleViolation where they follow too many."""
    mine = select(SubscriberFollowing.conversation).where(SubscriberFollowing.subscriber_id == subscriber.id)
    known = set(db.session.scalars(mine))
    if conversation.key in known:
        return False
    if len(known) >= FOLLOWED_AT_MOST:
        raise RuleViolation("That is more than can be followed one by one. Choose all instead.", "followed")
    insert_new(
        SubscriberFollowing,
        {
            "subscriber_id": subscriber.id,
            "conversation": conversation.key,
            "topic": conversation.topic,
            "since": now,
        },
    )
    return True


def keep_only(subscriber_id: int, conversations: Collection[str]) -> None:
    """Follow none but these any more."""
    _delete(SubscriberFollowing.subscriber_id == subscriber_id, SubscriberFollowing.conversation.not_in(conversations))


def leave(subscriber_id: int, topic: str) -> bool:
    """Follow this conversation, or any of this list, no more; whether there was one."""
    return _delete(
        SubscriberFollowing.subscriber_id == subscriber_id,
        (SubscriberFollowing.conversation == topic) | (SubscriberFollowing.topic == topic),
    )


def carry_over(conversation: str, into: str) -> int:
    """Whoever follows one conversation follows the other instead; returns how many did."""
    other = aliased(SubscriberFollowing)
    follows_both = exists().where(other.subscriber_id == SubscriberFollowing.subscriber_id, other.conversation == into)
    count = count_following(conversation)
    if count:
        db.session.execute(
            update(SubscriberFollowing)
            .where(SubscriberFollowing.conversation == conversation, ~follows_both)
            .values(conversation=into),
            execution_options=RAW,
        )
        _delete(SubscriberFollowing.conversation == conversation)
    return count


def end(conversation: str, now: datetime) -> int:
    """Nobody follows this any more, because it is over: so many at a time. Returns how many that were.

    Whoever hears of nothing else is forgotten, as who leaves the last list is.
    """
    ids = db.session.scalars(
        select(SubscriberFollowing.subscriber_id)
        .where(SubscriberFollowing.conversation == conversation)
        .order_by(SubscriberFollowing.subscriber_id)
        .limit(ENDED_AT_ONCE)
    ).all()
    if not ids:
        return 0
    _delete(SubscriberFollowing.subscriber_id.in_(ids), SubscriberFollowing.conversation == conversation)
    others = followed_by(ids)
    rows = db.session.execute(select(Subscriber.id, Subscriber.topics).where(Subscriber.id.in_(ids)))
    forget([row.id for row in rows if not kinds_in(row.topics) and row.id not in others], now)
    events.ring(events.STAFF)
    return len(ids)


def _delete(*conditions: object) -> bool:
    deleted = delete(SubscriberFollowing).where(*conditions)  # type: ignore[arg-type]
    found = db.session.execute(deleted.returning(SubscriberFollowing.subscriber_id), execution_options=RAW).first()
    return found is not None
