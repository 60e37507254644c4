"""The writers of the outbox as the rest of the house knows it: queue, expand, steer, suppress.

What the sending process writes stands in `leases.py`.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, cast

from flask import current_app
from flask_babel import force_locale
from flask_babel import gettext as _
from sqlalchemy import CursorResult, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from portal import events
from portal.accounts.models import Person
from portal.accounts.rules import text_key
from portal.audit import actions as audit
from portal.audit.rules import SYSTEM, Actor
from portal.config import Settings
from portal.database import Base
from portal.domains.rules.support import Channels
from portal.errors import NotFound, RuleViolation
from portal.extensions import db
from portal.language import known
from portal.notifications.kinds import ACCOUNT_TOPIC, Content, Kind, Recipient, kind_named, wording_key
from portal.notifications.links import unsubscribe_path
from portal.notifications.models import Broadcast, Delivery, Relay, Suppression
from portal.notifications.queries import Home, bounced_today, homes_of, suppressed_addresses, unwanted_by
from portal.notifications.rules import (
    ACTIVE,
    OPEN_STATES,
    BroadcastState,
    DeliveryState,
    HeaderError,
    RelayState,
    SuppressionReason,
    dedupe_key,
    header_text,
    message_id,
    name_key,
)

WRITTEN_AT_ONCE = 1000
"""Recipients whose deliveries are written with the change itself; more are written by the worker."""

WRITTEN_PER_STEP = 500


def queue_broadcast(
    kind: str,
    *,
    idempotency_key: str,
    title: str,
    selector: dict[str, Any],
    content: Content,
    thread_key: str,
    by_person_id: int | None,
    now: datetime,
) -> Broadcast:
    """Write down that this is to be told, in the transaction of what happened, and wake the worker.

    `kind` names a registered kind; `selector` is what it needs to find the recipients later, frozen as JSON.
    The same `idempotency_key` a second time returns the broadcast there is. `thread_key` is shared by mails that
    belong in one conversation, such as all updates of an incident. Raises RuleViolation when the subject cannot stand
    in a mail, before anything is written.
    """
    known = db.session.scalars(select(Broadcast).where(Broadcast.idempotency_key == idempotency_key)).one_or_none()
    if known is not None:
        return known
    registered = kind_named(kind)
    for wording in content.values():
        try:
            header_text(wording["subject"])
        except HeaderError as refusal:
            raise RuleViolation(f"The title cannot be the subject of a mail: {refusal}.", "title") from None
    broadcast = Broadcast(
        idempotency_key=idempotency_key,
        kind=kind,
        title=title[:250],
        selector=selector,
        content=content,
        thread_key=thread_key,
        topic=registered.topic,
        state=BroadcastState.EXPANDING,
        priority=registered.priority,
        expires_at=now + registered.expires_after,
        created_at=now,
        created_by_id=by_person_id,
    )
    db.session.add(broadcast)
    db.session.flush()
    recipients, cursor = registered.recipients(selector, None, WRITTEN_AT_ONCE, now)
    if cursor is None and len(recipients) <= WRITTEN_AT_ONCE:
        _write_down(broadcast, registered, recipients, now)
        _expanded(broadcast, now)
        events.wake("deliver")
    else:
        events.wake("expand", broadcast.id)
    events.ring(events.broadcast_topic(broadcast.id))
    return broadcast


def expand_step(broadcast_id: int, now: datetime) -> bool:
    """Write down the next recipients of a broadcast and move its cursor with them; whether there are more.

    Safe to run twice and by two workers at once: the second waits for the row, and goes on where the first stopped.
    """
    broadcast = db.session.scalars(
        select(Broadcast).where(Broadcast.id == broadcast_id).with_for_update()
    ).one_or_none()
    if broadcast is None or broadcast.state is not BroadcastState.EXPANDING:
        return False
    kind = kind_named(broadcast.kind)
    recipients, cursor = kind.recipients(broadcast.selector, broadcast.expand_cursor, WRITTEN_PER_STEP, now)
    _write_down(broadcast, kind, recipients, now)
    broadcast.expand_cursor = cursor
    if cursor is None:
        _expanded(broadcast, now)
    db.session.flush()
    events.ring(events.broadcast_topic(broadcast.id))
    return cursor is not None


def give_up_expanding(broadcast_id: int, reason: str, now: datetime) -> None:
    """Pause a broadcast whose recipients cannot be worked out; a human decides what becomes of it."""
    broadcast = db.session.get(Broadcast, broadcast_id)
    if broadcast is not None and broadcast.state in ACTIVE:
        pause(broadcast, f"Its recipients could not be worked out: {reason}", by=SYSTEM, now=now)


def _expanded(broadcast: Broadcast, now: datetime) -> None:
    """Every recipient has their delivery; without any that is open the broadcast is over."""
    broadcast.expanded_at = now
    broadcast.expand_cursor = None
    waits = select(Delivery.id).where(Delivery.broadcast_id == broadcast.id, Delivery.state.in_(OPEN_STATES)).limit(1)
    if db.session.scalar(waits) is None:
        broadcast.state = BroadcastState.DONE
        broadcast.finished_at = now
    else:
        broadcast.state = BroadcastState.SENDING
    db.session.flush()


def _write_down(broadcast: Broadcast, kind: Kind, recipients: Sequence[Recipient], now: datetime) -> None:
    """One delivery per address; those whose area is closed get none, those who do not want it one that says so."""
    allowed = kind.allowed({company_id for each in recipients for company_id in each.company_ids})
    reached = [each for each in recipients if not each.company_ids or allowed.intersection(each.company_ids)]
    if not reached:
        return
    keys = [text_key(each.address) for each in reached]
    suppressed = (suppressed_addresses if kind.is_list else bounced_today)(keys, broadcast.topic, now)
    unwanted = unwanted_by([each.person_id for each in reached if each.person_id], broadcast.topic)
    homes = homes_of(allowed)
    settings: Settings = current_app.config["SETTINGS"]
    secret = name_key(settings.secret_key)
    rows = []
    for recipient, address_key in zip(reached, keys, strict=True):
        companies = [each for each in recipient.company_ids if each in allowed]
        home = homes.get(companies[0]) if companies else None
        row = _row(broadcast, recipient, address_key, companies)
        row["wording"] = _wording_for(broadcast, recipient.language, home)
        row["message_id"] = message_id(secret, row["dedupe_key"], settings.mail_domain)
        row["values"] = _values(broadcast, recipient, home, settings)
        row |= {"created_at": now, "next_attempt_at": now, "state": DeliveryState.PENDING, "answer": None}
        row["finished_at"] = None
        if address_key in suppressed or recipient.person_id in unwanted:
            why = _reason(*suppressed.get(address_key, (None, None)))
            row |= {"state": DeliveryState.SUPPRESSED, "finished_at": now, "answer": why}
        rows.append(row)
    insert_new(Delivery, *rows)


def _row(broadcast: Broadcast, recipient: Recipient, address_key: str, companies: list[int]) -> dict[str, Any]:
    return {
        "broadcast_id": broadcast.id,
        "dedupe_key": dedupe_key(broadcast.idempotency_key, "mail", address_key),
        "channel": "mail",
        "address": recipient.address,
        "address_key": address_key,
        "name": recipient.name[:200],
        "person_id": recipient.person_id,
        "company_id": companies[0] if companies else None,
        "company_ids": companies,
        "priority": broadcast.priority + recipient.priority,
    }


def _wording_for(broadcast: Broadcast, language: str, home: Home | None) -> str:
    """The key of the recipient's wording: that of their home portal where it has its own, else their language's."""
    spoken = language if language in broadcast.content else "en"
    if spoken not in broadcast.content:
        spoken = next(iter(broadcast.content))
    own = wording_key(spoken, home.domain_id) if home and home.domain_id else ""
    return own if own in broadcast.content else spoken


@lru_cache(maxsize=1024)
def _support_sentence(channels: Channels, language: str) -> str:
    """How to reach a human, in the language of the mail; empty where no channel is named."""
    named = channels.in_words()
    with force_locale(known(language)):
        return str(_("Questions? %(channels)s", channels=named)) if named else ""


def _values(broadcast: Broadcast, recipient: Recipient, home: Home | None, settings: Settings) -> dict[str, str]:
    """The kind's variables with the built-in ones; every link leads to the home portal of the recipient's company."""
    base_url = (home and home.base_url) or settings.base_url
    path = unsubscribe_path(recipient.address, broadcast.topic, recipient.person_id)
    return {
        "company": home.company if home else "",
        **recipient.values,
        "name": recipient.name,
        "address": recipient.address,
        "brand": (home and home.brand) or settings.mail_domain,
        "portal_url": base_url,
        "unsubscribe_url": base_url + path,
        "support": _support_sentence(home.support, recipient.language) if home else "",
    }


# Steering.


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

    A row that a sending process holds locked at this moment is left to it, and closed when it comes back.
    """
    waiting = (
        select(Delivery.id)
        .where(
            Delivery.broadcast_id == broadcast_id,
            Delivery.state.in_((DeliveryState.PENDING, DeliveryState.CLAIMED)),
        )
        .with_for_update(skip_locked=True)
    )
    result = db.session.execute(
        update(Delivery)
        .where(Delivery.id.in_(waiting))
        .values(state=DeliveryState.CANCELLED, finished_at=now, slice_id=None)
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


def mend_relay(relay_id: int, *, by: Actor, now: datetime) -> None:
    """Let a paused or broken relay be tried again at once, because somebody has acted."""
    relay = db.session.get(Relay, relay_id)
    if relay is None:
        raise NotFound
    before = relay.state
    relay.state, relay.paused_until, relay.pause_seconds, relay.failing_since = RelayState.UP, None, 0, None
    db.session.flush()
    events.wake("deliver")
    audit.record(
        "relay.mend", object_kind="relay", object_id=relay.id, by=by, now=now, before={"state": before}, after={}
    )


# Suppressions.


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


def insert_new(model: type[Base], *rows: dict[str, Any], **values: Any) -> bool:
    """Add rows that may be there already, or may be added by somebody else at this moment; whether any was new."""
    insert = sqlite.insert if db.session.get_bind().dialect.name == "sqlite" else postgresql.insert
    statement = insert(model).on_conflict_do_nothing().returning(*model.__table__.primary_key)
    return db.session.execute(statement, list(rows) or [values]).first() is not None


def why_suppressed(address_key: str, person_id: int | None, topic: str, now: datetime) -> str | None:
    """Why an address gets no mail of this topic, as its deliveries say it; None when nothing speaks against it.

    Whether a mail about an account goes was decided when it was written down.
    """
    if topic == ACCOUNT_TOPIC:
        return None
    if found := suppressed_addresses([address_key], topic, now).get(address_key):
        return _reason(*found)
    return _reason() if person_id and unwanted_by([person_id], topic) else None


def _reason(reason: SuppressionReason | None = None, detail: str | None = None) -> str:
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
