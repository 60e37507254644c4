"""What becomes of a subscriber who is gone: the row, the address in the ledger, and how long each state is kept."""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any

from flask import current_app
from sqlalchemy import ColumnElement, String, delete, exists, func, literal, select, update
from sqlalchemy import cast as sql_cast

from portal import events
from portal.accounts.actions.anonymise import NOWHERE
from portal.accounts.models import Person
from portal.extensions import db
from portal.notifications import marks
from portal.notifications.channels import lane
from portal.notifications.models import RAW, ContactChannel, Delivery, DeliveryAttempt, Strike, Suppression
from portal.notifications.rules import DeliveryState, hashed_address
from portal.notifications.subscribers.models import Subscriber, SubscriberFollowing
from portal.notifications.subscribers.rules import QUARANTINE_LIVES, UNCONFIRMED_LIVES, SubscriberState
from portal.records import retention
from portal.records.retention import COUNTED_AT_MOST, Keeping


def forget(subscriber_ids: Collection[int], now: datetime) -> int:
    """Take subscribers away: what waits for them is called off, and no row names their address any more.

    That a mail was sent, and how it ended, stays. Where nobody else has the address, what it did not take or want is
    kept as a hash, so that it still holds. Returns how many there were.
    """
    ids = sorted(subscriber_ids)
    if not ids:
        return 0
    rows = db.session.execute(
        select(Subscriber.address_key, Subscriber.contact_channel_id).where(Subscriber.id.in_(ids)).with_for_update()
    ).all()
    _call_off(ids, now)
    _blank(ids)
    for each in rows:
        if each.contact_channel_id is not None:
            lane.close_of_removed(each.contact_channel_id, now)
    channels = [each.contact_channel_id for each in rows if each.contact_channel_id is not None]
    db.session.execute(delete(ContactChannel).where(ContactChannel.id.in_(channels)), execution_options=RAW)
    followed = delete(SubscriberFollowing).where(SubscriberFollowing.subscriber_id.in_(ids))
    db.session.execute(followed, execution_options=RAW)
    db.session.execute(delete(Subscriber).where(Subscriber.id.in_(ids)), execution_options=RAW)
    _hash({each.address_key for each in rows})
    db.session.expire_all()
    events.ring(events.STAFF)
    return len(rows)


def _call_off(ids: Collection[int], now: datetime) -> None:
    theirs = select(Delivery.id).where(Delivery.subscriber_id.in_(ids), Delivery.state == DeliveryState.PENDING)
    if db.session.scalar(theirs.limit(1)) is None:
        return
    waiting = select(Delivery.id).where(Delivery.subscriber_id.in_(ids), marks.can_be_called_off())
    cancelled = db.session.execute(
        update(Delivery)
        .where(Delivery.id.in_(waiting.with_for_update(skip_locked=True, of=Delivery)))
        .values(state=DeliveryState.CANCELLED, finished_at=now)
        .returning(Delivery.broadcast_id),
        execution_options=RAW,
    ).all()
    events.ring(*{events.broadcast_topic(broadcast_id) for (broadcast_id,) in cancelled})


def _blank(ids: Collection[int]) -> None:
    theirs = select(Delivery.id).where(Delivery.subscriber_id.in_(ids))
    db.session.execute(
        update(DeliveryAttempt).where(DeliveryAttempt.delivery_id.in_(theirs)).values(answer=None),
        execution_options=RAW,
    )
    nobody: Any = literal("former-subscriber-") + sql_cast(Delivery.subscriber_id, String) + literal(f"@{NOWHERE}")
    db.session.execute(
        update(Delivery)
        .where(Delivery.subscriber_id.in_(ids))
        .values(
            address=nobody,
            address_key=nobody,
            name="",
            values={},
            answer=None,
            dedupe_key=literal("erased:") + sql_cast(Delivery.id, String),
        ),
        execution_options=RAW,
    )


def _hash(address_keys: Collection[str]) -> None:
    """Keep what is known of these addresses as hashes, but for those that somebody else here has."""
    others = exists().where(Person.email_key == Suppression.address_key) | exists().where(
        Subscriber.address_key == Suppression.address_key
    )
    secret: str = current_app.config["SETTINGS"].secret_key
    for row in db.session.scalars(select(Suppression).where(Suppression.address_key.in_(address_keys), ~others)):
        row.address_key, row.detail, row.delivery_id = hashed_address(secret, row.address_key), None, None
    has_other = exists().where(Person.email_key == Strike.address_key) | exists().where(
        Subscriber.address_key == Strike.address_key
    )
    db.session.execute(delete(Strike).where(Strike.address_key.in_(address_keys), ~has_other), execution_options=RAW)
    db.session.flush()


def _keeping(  # one per state that ends
    name: str,
    label: str,
    told: str,
    lives: timedelta,
    is_old: Callable[[datetime], ColumnElement[bool]],
    *,
    least_days: int,
    place: int,
) -> None:
    def count(before: datetime) -> int:
        found = select(Subscriber.id).where(is_old(before)).limit(COUNTED_AT_MOST).subquery()
        return db.session.scalar(select(func.count()).select_from(found)) or 0

    def go(before: datetime, limit: int) -> int:
        some = db.session.scalars(
            select(Subscriber.id).where(is_old(before)).order_by(Subscriber.id).limit(limit)
        ).all()
        # What is called off ends now; the moment before which it is old is the only clock that is handed in here.
        return forget(some, before + lives)

    retention.register(Keeping(name, label, told, lives.days, least_days, count=count, forget=go, place=place))


_keeping(
    "unconfirmed_subscribers",
    "Unconfirmed subscribers",
    "Addresses that were typed on a public page and never confirmed, from when that was last done.",
    UNCONFIRMED_LIVES,
    lambda before: (Subscriber.state == SubscriberState.UNCONFIRMED) & (Subscriber.asked_at < before),
    least_days=2,
    place=33,
)
_keeping(
    "quarantined_subscribers",
    "Subscribers in quarantine",
    "Addresses and channels that took nothing, or called a mail spam, from when they were put there.",
    QUARANTINE_LIVES,
    lambda before: (Subscriber.state == SubscriberState.QUARANTINED) & (Subscriber.quarantined_at < before),
    least_days=7,
    place=34,
)
