"""Whom nothing is sent to any more, and who comes back."""

from datetime import datetime

from sqlalchemy import delete

from portal.accounts.models import Person
from portal.accounts.rules import text_key
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.errors import RuleViolation
from portal.extensions import db
from portal.notifications.actions.inserting import insert_new
from portal.notifications.kinds import ACCOUNT_TOPIC
from portal.notifications.models import Suppression
from portal.notifications.queries import suppressed_addresses, unwanted_by
from portal.notifications.rules import (
    SuppressionReason,
)


def suppress(
    address: str,
    scope: str,
    reason: SuppressionReason,
    *,
    now: datetime,
    detail: str | None = None,
    delivery_id: int | None = None,
    until: datetime | None = None,
) -> bool:
    """Send nothing of this scope to this address any more. Returns whether that is new; twice is harmless."""
    return insert_new(
        Suppression,
        address_key=text_key(address),
        scope=scope,
        reason=reason,
        detail=detail,
        delivery_id=delivery_id,
        until=until,
        created_at=now,
    )


def why_suppressed(address_key: str, person_id: int | None, topic: str, now: datetime) -> str | None:
    """Why an address gets no mail of this topic, as its deliveries say it; None when nothing speaks against it.

    Whether a mail about an account goes was decided when it was written down.
    """
    if topic == ACCOUNT_TOPIC:
        return None
    if found := suppressed_addresses([address_key], topic, now).get(address_key):
        return reason_in_words(*found)
    return reason_in_words() if person_id and unwanted_by([person_id], topic) else None


def reason_in_words(reason: SuppressionReason | None = None, detail: str | None = None) -> str:
    return (detail or (reason.value if reason else "Not wanted, by this person's own choice."))[:500]


def unsubscribe(address: str, topic: str, person_id: int | None, *, now: datetime) -> None:
    """Take an address off one list, or off all with `EVERY_TOPIC`, because whoever reads it said so. Idempotent.

    A person who has another address by now is meant too: the link is theirs, and they do not want these mails.
    """
    person = db.session.get(Person, person_id) if person_id else None
    addresses = {text_key(address)} | ({person.email_key} if person else set())
    for each in sorted(addresses):
        if suppress(each, topic, SuppressionReason.UNSUBSCRIBED, now=now, detail="Unsubscribed by the recipient."):
            _audit_address("address.unsubscribe", each, topic, person, now)


def subscribe_again(address: str, topic: str, person_id: int | None, *, now: datetime) -> None:
    """Take back an unsubscription of this scope; a hard bounce or a complaint stays."""
    person = db.session.get(Person, person_id) if person_id else None
    addresses = {text_key(address)} | ({person.email_key} if person else set())
    for each in sorted(addresses):
        db.session.execute(
            delete(Suppression).where(
                Suppression.address_key == each,
                Suppression.scope == topic,
                Suppression.reason == SuppressionReason.UNSUBSCRIBED,
            )
        )
        _audit_address("address.subscribe", each, topic, person, now)


def lift_suppression(suppression: Suppression, person: Person, *, by: Actor, now: datetime) -> None:
    """Let mails reach this person's address again, because somebody has found out that they would arrive.

    What whoever reads it has left, they alone come back to: RuleViolation for an unsubscription.
    """
    if suppression.reason is SuppressionReason.UNSUBSCRIBED:
        raise RuleViolation(f"{person.name} has left this list. Only they can come back to it.")
    audit.record(
        "suppression.lift",
        object_kind="person",
        object_id=person.id,
        by=by,
        now=now,
        before={
            "address": suppression.address_key,
            "scope": suppression.scope,
            "reason": suppression.reason,
            "detail": suppression.detail,
        },
    )
    db.session.delete(suppression)
    db.session.flush()


def _audit_address(action: str, address: str, topic: str, person: Person | None, now: datetime) -> None:
    audit.record(
        action,
        object_kind="person" if person else "address",
        object_id=person.id if person else None,
        by=Actor(address),
        now=now,
        after={"address": address, "topic": topic},
    )
