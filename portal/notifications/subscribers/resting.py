"""Subscribers whose address does not take mails, or called one spam: they rest until somebody has confirmed anew."""

from datetime import datetime

from sqlalchemy import update

from portal import events
from portal.extensions import db
from portal.notifications.subscribers.models import Subscriber
from portal.notifications.subscribers.rules import SubscriberKind, SubscriberState


def rest_address(address_key: str, reason: str, now: datetime) -> None:
    """Put whoever subscribed with this address in quarantine, on every portal. One statement.

    Written past the version, so that nobody who edits the row at this moment is in the way.
    """
    _rest((Subscriber.kind == SubscriberKind.EMAIL) & (Subscriber.address_key == address_key), reason, now)


def rest_channel(contact_channel_id: int, reason: str, now: datetime) -> None:
    """The same for whoever is told through this channel, which was given up. One statement."""
    _rest(Subscriber.contact_channel_id == contact_channel_id, reason, now)


def _rest(whose: object, reason: str, now: datetime) -> None:
    rested = db.session.execute(
        update(Subscriber)
        .where(whose, Subscriber.state == SubscriberState.ACTIVE)  # type: ignore[arg-type]
        .values(state=SubscriberState.QUARANTINED, quarantined_at=now, reason=reason[:500])
        .returning(Subscriber.id),
        execution_options={"synchronize_session": False},
    )
    if rested.first() is not None:
        events.ring(events.STAFF)
