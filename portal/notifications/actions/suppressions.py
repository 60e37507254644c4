"""Whom nothing is sent to any more, and who comes back."""

from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update

from portal.accounts.models import Person
from portal.accounts.rules import is_email, text_key
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.errors import RuleViolation
from portal.extensions import db
from portal.notifications.actions.inserting import insert_new
from portal.notifications.kinds import ACCOUNT_TOPIC, topics
from portal.notifications.models import RAW, Strike, Suppression
from portal.notifications.queries import suppressed_addresses, unwanted_by
from portal.notifications.rules import EVERY_TOPIC, USUAL_SOURCE, SuppressionReason, SuppressionSource
from portal.notifications.subscribers.resting import rest_address

TAKES_NO_MAIL = frozenset({SuppressionReason.HARD_BOUNCE, SuppressionReason.QUARANTINED, SuppressionReason.COMPLAINT})
"""Reasons that also put whoever subscribed with the address, without a login, in quarantine."""


def suppress(
    address: str,
    scope: str,
    reason: SuppressionReason,
    *,
    now: datetime,
    source: SuppressionSource | None = None,
    detail: str | None = None,
    delivery_id: int | None = None,
    until: datetime | None = None,
    by_person_id: int | None = None,
) -> bool:
    """Send nothing of this scope to this address any more. Returns whether that is new; twice is harmless.

    `source` is how we know, by default what is usual for the reason. One that has ended, or would end sooner, is taken
    up again with what is known now.
    """
    if scope == EVERY_TOPIC and reason in TAKES_NO_MAIL:
        rest_address(text_key(address), detail or reason.value, now)
    key = {"address_key": text_key(address), "scope": scope, "reason": reason}
    known = {
        "source": source or USUAL_SOURCE[reason],
        "detail": detail,
        "delivery_id": delivery_id,
        "created_by_id": by_person_id,
        "created_at": now,
        "until": until,
    }
    if insert_new(Suppression, **key, **known):
        return True
    has_ended = Suppression.until <= now
    ends_sooner = Suppression.until.is_not(None) if until is None else has_ended
    again = db.session.execute(
        update(Suppression).filter_by(**key).where(ends_sooner).values(**known).returning(Suppression.id)
    )
    return again.first() is not None


def suppress_by_hand(
    address: str,
    scope: str,
    *,
    detail: str,
    until: datetime | None,
    by_person_id: int | None,
    by: Actor,
    now: datetime,
) -> None:
    """Stop mails of this scope to an address because staff say so; `detail` is why.

    Raises RuleViolation for what is no address, no list, no reason, an end that has passed, or what is stopped already.
    """
    if not is_email(address.strip()):
        raise RuleViolation("That is not an e-mail address.", "address")
    if scope != EVERY_TOPIC and scope not in topics():
        raise RuleViolation("There is no such list. Choose another.", "scope")
    if not detail.strip():
        raise RuleViolation("Say why, so that whoever finds this later knows.", "detail")
    if until is not None and until <= now:
        raise RuleViolation("That has passed already. Choose a later day, or none.", "until")
    new = suppress(
        address,
        scope,
        SuppressionReason.BY_HAND,
        detail=detail.strip(),
        until=until,
        by_person_id=by_person_id,
        now=now,
    )
    if not new:
        raise RuleViolation("This address is stopped by hand already.", "address")
    _record(
        "suppression.add",
        text_key(address),
        by,
        now,
        after={"address": text_key(address), "scope": scope, "detail": detail.strip(), "until": _told(until)},
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


def lift_suppression(suppression: Suppression, *, why: str, by: Actor, now: datetime) -> None:
    """Let mails reach this address again, because somebody has found out that they would arrive; `why` they think so.

    What whoever reads it has left, they alone come back to: RuleViolation for an unsubscription, and without a reason.
    """
    if suppression.reason is SuppressionReason.UNSUBSCRIBED:
        raise RuleViolation("Whoever reads this address has left the list. Only they can come back to it.")
    if not why.strip():
        raise RuleViolation("Say why mails will arrive now.", "why")
    _record(
        "suppression.lift",
        suppression.address_key,
        by,
        now,
        before={
            "address": suppression.address_key,
            "scope": suppression.scope,
            "reason": suppression.reason,
            "detail": suppression.detail,
            "until": _told(suppression.until),
        },
        after={"why": why.strip()},
    )
    db.session.execute(delete(Strike).where(Strike.address_key == suppression.address_key), execution_options=RAW)
    db.session.delete(suppression)
    db.session.flush()


def _told(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _record(action: str, address_key: str, by: Actor, now: datetime, **values: Any) -> None:
    """An entry about an address, under the person whose it is if there is one."""
    person_id = db.session.scalar(select(Person.id).where(Person.email_key == address_key))
    kind = "person" if person_id else "address"
    audit.record(action, object_kind=kind, object_id=person_id, by=by, now=now, **values)


def _audit_address(action: str, address: str, topic: str, person: Person | None, now: datetime) -> None:
    audit.record(
        action,
        object_kind="person" if person else "address",
        object_id=person.id if person else None,
        by=Actor(address),
        now=now,
        after={"address": address, "topic": topic},
    )
