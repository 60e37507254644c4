"""Addresses that take mails neither now nor never: after three such days they are left alone for a while.

Source: status-pages, section 4.3, and reliability-security, section 4.5.
"""

from datetime import datetime

from sqlalchemy import delete, exists, func, select

from portal.accounts.rules import text_key
from portal.extensions import db
from portal.notifications.actions.inserting import insert_new
from portal.notifications.actions.suppressions import suppress
from portal.notifications.models import RAW, Delivery, Strike
from portal.notifications.rules import (
    EVERY_TOPIC,
    MAILBOX_FULL_MAILS,
    MAILBOX_FULL_WINDOW,
    QUARANTINE,
    STRIKE_WINDOW,
    STRIKES,
    DeliveryState,
    Failure,
    SuppressionReason,
    SuppressionSource,
)


def strike(
    address: str,
    *,
    detail: str,
    delivery_id: int | None,
    now: datetime,
    source: SuppressionSource = SuppressionSource.DELIVERY,
) -> bool:
    """Note that a mail to this address was given up although the address may be good; whether that was once too often.

    One a day counts, however many mails it was. With three of them in a month and no mail that arrived in between, or
    with three mails of a week that found the mailbox full, the address is in quarantine: nothing is sent to it for
    thirty days. Whoever calls this has written the delivery's own state already.
    """
    key = text_key(address)
    insert_new(Strike, address_key=key, day=now.date(), delivery_id=delivery_id, created_at=now)
    if _days_of(key, now) < STRIKES and _full_mails(key, now) < MAILBOX_FULL_MAILS:
        return False
    # Whoever comes back from quarantine begins anew.
    db.session.execute(delete(Strike).where(Strike.address_key == key), execution_options=RAW)
    return suppress(
        address,
        EVERY_TOPIC,
        SuppressionReason.QUARANTINED,
        source=source,
        detail=detail,
        delivery_id=delivery_id,
        until=now + QUARANTINE,
        now=now,
    )


def _days_of(key: str, now: datetime) -> int:
    """Days with a strike since the last mail that arrived; one that was taken and came back has not."""
    arrived = db.session.scalar(
        select(func.max(Delivery.finished_at)).where(
            Delivery.address_key == key,
            Delivery.state == DeliveryState.SENT,
            Delivery.finished_at > now - STRIKE_WINDOW,
            ~exists().where(Strike.delivery_id == Delivery.id),
        )
    )
    since = max(now - STRIKE_WINDOW, arrived) if arrived else now - STRIKE_WINDOW
    days = select(func.count()).select_from(Strike).where(Strike.address_key == key, Strike.created_at > since)
    return db.session.scalar(days) or 0


def _full_mails(key: str, now: datetime) -> int:
    full = select(func.count()).where(
        Delivery.address_key == key,
        Delivery.failure == Failure.MESSAGE_FULL,
        Delivery.state == DeliveryState.FAILED,
        Delivery.finished_at > now - MAILBOX_FULL_WINDOW,
    )
    return db.session.scalar(full) or 0
