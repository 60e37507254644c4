"""Writing down what is to be told, and to whom."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from flask import current_app
from flask_babel import force_locale
from flask_babel import gettext as _
from sqlalchemy import select

from portal import events
from portal.accounts.rules import text_key
from portal.audit.rules import SYSTEM
from portal.config import Settings
from portal.domains.rules.support import Channels
from portal.errors import RuleViolation
from portal.extensions import db
from portal.language import known
from portal.notifications.actions.channels import write_down_channels
from portal.notifications.actions.inserting import insert_new
from portal.notifications.actions.steering import pause
from portal.notifications.actions.suppressions import reason_in_words
from portal.notifications.kinds import (
    Content,
    Cursor,
    Kind,
    Recipient,
    kind_named,
    wording_for,
    wording_for_subscriber,
)
from portal.notifications.links import unsubscribe_path
from portal.notifications.models import Broadcast, Delivery
from portal.notifications.queries import Home, bounced_today, homes_of, suppressed_addresses
from portal.notifications.rules import (
    ACTIVE,
    OPEN_STATES,
    BroadcastState,
    DeliveryState,
    HeaderError,
    dedupe_key,
    header_text,
    message_id,
    name_key,
)
from portal.notifications.subscribers import hearing
from portal.notifications.subscribers.links import manage_path
from portal.notifications.wishes import declined

WRITTEN_AT_ONCE = 1000
"""Recipients whose deliveries are written with the change itself; more are written by the worker."""

WRITTEN_PER_STEP = 500
"""Recipients the worker writes down in one transaction."""


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
    topic: str | None = None,
) -> Broadcast:
    """Write down that this is to be told, in the transaction of what happened, and wake the worker.

    `kind` names a registered kind; `selector` is what it needs to find the recipients later, frozen as JSON.
    The same `idempotency_key` a second time returns the broadcast there is. `thread_key` is shared by mails that
    belong in one conversation, such as all updates of an incident. `topic` is the list it is of where its kind has
    lists of their own. Raises RuleViolation when the subject cannot stand
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
        topic=topic or registered.topic,
        state=BroadcastState.EXPANDING,
        priority=registered.priority,
        expires_at=now + registered.expires_after,
        created_at=now,
        created_by_id=by_person_id,
    )
    db.session.add(broadcast)
    db.session.flush()
    if not _write_at_once(broadcast, registered, now):
        events.wake("expand", broadcast.id)
    events.ring(events.broadcast_topic(broadcast.id))
    return broadcast


def _write_at_once(broadcast: Broadcast, kind: Kind, now: datetime) -> bool:
    """Write every recipient down, unless there are too many for the change to wait for; whether that was done."""
    if kind.goes_beyond is not None and kind.goes_beyond(broadcast.selector, WRITTEN_AT_ONCE, now):
        return False
    recipients, cursor = _next_of_all(kind, broadcast, None, WRITTEN_AT_ONCE, now)
    if cursor is not None or len(recipients) > WRITTEN_AT_ONCE:
        return False
    _insert(_rows(broadcast, kind, recipients, now))
    write_down_channels(broadcast, kind, now)
    _expanded(broadcast, now)
    events.wake("deliver")
    return True


def _next_of_all(
    kind: Kind, broadcast: Broadcast, after: Cursor | None, limit: int, now: datetime
) -> tuple[Sequence[Recipient], Cursor | None]:
    """The next recipients: everybody the kind names, and then subscribers, of whom none gets a second mail."""
    found: Sequence[Recipient] = ()
    selector = broadcast.selector
    if after is None or hearing.PHASE not in after:
        found, cursor = kind.recipients(selector, after, limit, now)
        if cursor is not None or kind.published is None:
            return found, cursor
        after = {hearing.PHASE: 0}
    published = kind.published(selector, now) if kind.published is not None else None
    if published is None:
        return found, None
    if len(found) >= limit:
        return found, after
    # Those who have a login come first, so an address that has one gets the mail of its person and no other.
    rest, last = limit - len(found), after[hearing.PHASE]
    more, cursor = hearing.next_recipients(broadcast, published, last, rest)
    return [*found, *more], cursor


class Step(NamedTuple):
    """The next recipients of a broadcast, worked out: their deliveries, and the cursors before and after them.

    `version` is that of the broadcast they were worked out of.
    """

    broadcast_id: int
    version: int
    before: Cursor | None
    after: Cursor | None
    rows: Sequence[dict[str, Any]]


def next_step(broadcast_id: int, now: datetime) -> Step | None:
    """Work out the next recipients of a broadcast, which changes nothing; None where it is not being expanded.

    This takes most of the time, so it is done apart: SQLite lets nobody else write while somebody does.
    """
    broadcast = db.session.scalars(select(Broadcast).where(Broadcast.id == broadcast_id)).one_or_none()
    if broadcast is None or broadcast.state is not BroadcastState.EXPANDING:
        return None
    kind, before = kind_named(broadcast.kind), broadcast.expand_cursor
    recipients, after = _next_of_all(kind, broadcast, before, WRITTEN_PER_STEP, now)
    return Step(broadcast_id, broadcast.version, before, after, _rows(broadcast, kind, recipients, now))


def write_step(step: Step, now: datetime) -> bool:
    """Write down the recipients of a step and move the cursor with them; whether there are more.

    Safe to run twice and by two workers at once: the second waits for the row, and finds that it has moved. So does
    who worked recipients out that are not to be told any more.
    """
    mine = select(Broadcast).where(Broadcast.id == step.broadcast_id).with_for_update()
    broadcast = db.session.scalars(mine, execution_options={"populate_existing": True}).one_or_none()
    if broadcast is None or broadcast.state is not BroadcastState.EXPANDING:
        return False
    if (broadcast.version, broadcast.expand_cursor) != (step.version, step.before):
        return True
    if step.before is None:
        write_down_channels(broadcast, kind_named(broadcast.kind), now)
    _insert(step.rows)
    broadcast.expand_cursor = step.after
    if step.after is None:
        _expanded(broadcast, now)
    db.session.flush()
    events.ring(events.broadcast_topic(broadcast.id))
    return step.after is not None


def expand_step(broadcast_id: int, now: datetime) -> bool:
    """Work out the next recipients of a broadcast and write them down, in one transaction; whether there are more."""
    step = next_step(broadcast_id, now)
    return step is not None and write_step(step, now)


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


def _insert(rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        insert_new(Delivery, *rows)


def _rows(broadcast: Broadcast, kind: Kind, recipients: Sequence[Recipient], now: datetime) -> Sequence[dict[str, Any]]:
    """One delivery per address; those whose area is closed get none, those who do not want it one that says so."""
    allowed = kind.allowed({company_id for each in recipients for company_id in each.company_ids})
    reached = [each for each in recipients if not each.company_ids or allowed.intersection(each.company_ids)]
    if not reached:
        return []
    keys = [text_key(each.address) for each in reached]
    suppressed = (suppressed_addresses if kind.is_list else bounced_today)(keys, broadcast.topic, now)
    unwanted = declined(reached, broadcast.topic) if kind.is_list else {}
    homes = homes_of(allowed)
    signed_up_at = {each.subscription.domain_id for each in reached if each.subscription is not None}
    places = hearing.places(signed_up_at) if signed_up_at else {}
    settings: Settings = current_app.config["SETTINGS"]
    secret = name_key(settings.secret_key)
    rows = []
    for recipient, address_key in zip(reached, keys, strict=True):
        companies = [each for each in recipient.company_ids if each in allowed]
        home = homes.get(companies[0]) if companies else None
        if recipient.subscription is not None:
            place = places.get(recipient.subscription.domain_id)
            if place is None:
                continue
            home = place.home
        row = _row(broadcast, recipient, address_key, companies)
        domain_id = home.domain_id if home else None
        if recipient.subscription is not None:
            row["wording"] = wording_for_subscriber(broadcast.content, recipient.language, domain_id)
        else:
            row["wording"] = wording_for(broadcast.content, recipient.language, domain_id, recipient.variant)
        row["message_id"] = message_id(secret, row["dedupe_key"], settings.mail_domain)
        row["values"] = values_of(recipient, broadcast.topic, home, settings)
        if recipient.subscription is not None:
            row["values"]["manage_url"] = row["values"]["portal_url"] + manage_path(recipient.subscription.key, now)
        row |= {"created_at": now, "next_attempt_at": now, "state": DeliveryState.PENDING, "answer": None}
        row["finished_at"] = None
        if address_key in suppressed or recipient.address in unwanted:
            stopped = suppressed.get(address_key)
            why = reason_in_words(*stopped) if stopped else unwanted[recipient.address]
            row |= {"state": DeliveryState.SUPPRESSED, "finished_at": now, "answer": why}
        rows.append(row)
    return rows


def _row(broadcast: Broadcast, recipient: Recipient, address_key: str, companies: list[int]) -> dict[str, Any]:
    return {
        "broadcast_id": broadcast.id,
        "dedupe_key": dedupe_key(broadcast.idempotency_key, "mail", address_key),
        "channel": "mail",
        "address": recipient.address,
        "address_key": address_key,
        "name": recipient.name[:200],
        "person_id": recipient.person_id,
        "subscriber_id": recipient.subscription.subscriber_id if recipient.subscription else None,
        "company_id": companies[0] if companies else None,
        "company_ids": companies,
        "priority": broadcast.priority + recipient.priority,
    }


@lru_cache(maxsize=1024)
def _support_sentence(channels: Channels, language: str) -> str:
    """How to reach a human, in the language of the mail; empty where no channel is named."""
    named = channels.in_words()
    with force_locale(known(language)):
        return str(_("Questions? %(channels)s", channels=named)) if named else ""


def values_of(recipient: Recipient, topic: str, home: Home | None, settings: Settings) -> dict[str, str]:
    """The kind's variables with the built-in ones; every link leads to the home portal of the recipient's company."""
    base_url = (home and home.base_url) or settings.base_url
    key = recipient.subscription.key if recipient.subscription else ""
    left = (recipient.subscription and recipient.subscription.follows) or topic
    path = unsubscribe_path(recipient.address, left, recipient.person_id, key)
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
