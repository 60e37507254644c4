"""The only writers of subscribers: signing up, confirming, choosing, leaving; and what staff do for them."""

import secrets
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from flask import current_app
from sqlalchemy import delete, select
from sqlalchemy.orm.attributes import flag_modified

from portal import events
from portal.accounts.actions import throttles
from portal.accounts.rules import is_email, one_line, text_key
from portal.accounts.rules.throttles import HOUR, Limit, ip_subject, mailbox_subject
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.config import Settings
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.language import known
from portal.notifications.actions.inserting import insert_new
from portal.notifications.kinds import told_to_subscribers
from portal.notifications.models import RAW, Strike, Suppression
from portal.notifications.queries import suppressed_addresses
from portal.notifications.rules import EVERY_TOPIC, SuppressionReason, hashed_address
from portal.notifications.subscribers import following, queries, rooms
from portal.notifications.subscribers.forgetting import forget
from portal.notifications.subscribers.letters import Letter, write_to
from portal.notifications.subscribers.models import Subscriber
from portal.notifications.subscribers.rules import (
    KINDS_ONLY,
    TOPICS_AT_MOST,
    Conversation,
    SubscriberKind,
    SubscriberSource,
    SubscriberState,
    kinds_in,
)

BY_ADDRESS = ("subscribe:mailbox", Limit(3, timedelta(days=1)))
BY_IP = ("subscribe:ip", Limit(10, 4 * HOUR))
BY_PORTAL = ("subscribe:portal", Limit(200, HOUR))
"""How often somebody may have a letter written: to one mailbox, from one place, and on one portal by all together."""

BY_HOST = ("challenge:host", Limit(5, timedelta(days=1)))
BY_ROOM = ("challenge:room", Limit(3, timedelta(days=1)))
CHALLENGES = ("challenge:portal", Limit(20, HOUR))
"""How often an address of a machine may be asked: of one host, and on one portal by all together. Rooms all have the
same few hosts, so each is counted by itself, as a mailbox is."""


def take_letter(domain_id: int, address: str, *, ip: str | None, now: datetime) -> int:
    """Take one try at having a letter written to an address; 0, or the seconds until there is one. The caller commits.

    It counts the same whether anybody has the address or not.
    """
    of = (
        (BY_IP, ip_subject(ip)),
        (BY_ADDRESS, f"{domain_id} {mailbox_subject(address)}"),
        (BY_PORTAL, str(domain_id)),
    )
    if wait := max(throttles.waiting(kind, subject, now, limit) for (kind, limit), subject in of):
        return wait
    return max(throttles.take(kind, subject, now, limit) for (kind, limit), subject in of)


def sign_up(
    domain_id: int,
    address: str,
    topics: Collection[str],
    *,
    language: str,
    is_shared: bool = False,
    source: SubscriberSource = SubscriberSource.PAGE,
    by: Actor,
    now: datetime,
) -> Subscriber:
    """Note that somebody wants to hear of something, and ask the address by mail whether that is so.

    Whoever has it already is told that in the mail, and nothing is changed. RuleViolation for what is no address, and
    where nothing is chosen. Ask `take_letter` first.
    """
    address = checked_address(address)
    chosen = checked_topics(topics)
    found = queries.by_address(domain_id, SubscriberKind.EMAIL, text_key(address))
    if found is not None and found.state is SubscriberState.ACTIVE:
        write_to(found, Letter.ALREADY, now)
        return found
    if found is None:
        found = _new(domain_id, address, source, by=by, now=now)
    found.topics, found.language, found.is_shared, found.asked_at = chosen, known(language), is_shared, now
    db.session.flush()
    if not _is_stopped_by_hand(found.address_key, now):
        write_to(found, Letter.CONFIRM, now)
    return found


def sign_up_to_follow(
    domain_id: int,
    address: str,
    conversation: Conversation,
    title: str,
    *,
    language: str,
    is_shared: bool = False,
    source: SubscriberSource = SubscriberSource.PAGE,
    by: Actor,
    now: datetime,
) -> None:
    """Ask an address by mail whether it is to hear of one conversation, which the letter calls `title`.

    Nothing is noted of that before it is confirmed, so whoever is subscribed already stays as they are. RuleViolation
    for what is no address. Ask `take_letter` first.
    """
    address = checked_address(address)
    found = queries.by_address(domain_id, SubscriberKind.EMAIL, text_key(address))
    if found is None:
        found = _new(domain_id, address, source, by=by, now=now)
        found.language, found.is_shared = known(language), is_shared
    found.asked_at = now
    db.session.flush()
    if not _is_stopped_by_hand(found.address_key, now):
        write_to(found, Letter.FOLLOW, now, conversation=conversation, title=title)


def sign_up_room(
    domain_id: int,
    kind: SubscriberKind,
    address: str,
    topics: Collection[str],
    *,
    language: str,
    source: SubscriberSource = SubscriberSource.PAGE,
    by: Actor,
    now: datetime,
) -> Subscriber:
    """Note that a machine or a room is to be told. The caller commits, and then sends it `rooms.challenge`.

    Whoever is subscribed already is left as it is. Without any topic it is noted for what its challenge names, a
    conversation it is to follow. RuleViolation for an address that may not be asked. Ask `take_challenge` first.
    """
    chosen = checked_topics(topics) if topics else []
    address, found = rooms.room_at(domain_id, kind, address)
    if found is None:
        found, _secret = rooms.open_room(
            domain_id, kind, address, chosen, language=language, source=source, by=by, now=now
        )
    elif found.state is not SubscriberState.ACTIVE:
        found.asked_at = now
        if chosen:
            found.topics, found.language = chosen, known(language)
            rooms.speak(found)
    db.session.flush()
    return found


def take_challenge(domain_id: int, kind: SubscriberKind, address: str, *, ip: str | None, now: datetime) -> int:
    """Take one try at having an address asked; 0, or the seconds until there is one. The caller commits."""
    if kind is SubscriberKind.WEBHOOK:
        try:
            host = (urlsplit(address.strip()).hostname or "").casefold()
        except ValueError:
            host = ""
        of_one = (BY_HOST, f"{domain_id} {host}")
    else:
        of_one = (BY_ROOM, f"{domain_id} {rooms.key_of(kind, address)}")
    of = ((BY_IP, ip_subject(ip)), of_one, (CHALLENGES, str(domain_id)))
    if wait := max(throttles.waiting(kind, subject, now, limit) for (kind, limit), subject in of):
        return wait
    return max(throttles.take(kind, subject, now, limit) for (kind, limit), subject in of)


def confirm(subscriber: Subscriber, *, by: Actor, now: datetime) -> None:
    """The address is theirs, and they want this: from now on they are told. Confirming twice is harmless.

    What had stopped mails to the address is over, but for what staff have stopped by hand.
    """
    if subscriber.state is SubscriberState.ACTIVE:
        return
    _wake(subscriber, now)
    _note("subscriber.confirm", subscriber, by=by, now=now, after=_told(subscriber))


def confirm_following(subscriber: Subscriber, conversation: Conversation, *, by: Actor, now: datetime) -> None:
    """The address is theirs, and they want to hear of this conversation: nothing else that somebody may have asked for
    with this address is confirmed by it. Confirming twice is harmless. RuleViolation where they follow too many."""
    state = subscriber.state
    if state is SubscriberState.UNCONFIRMED:
        subscriber.topics = []
    if state is not SubscriberState.ACTIVE:
        _wake(subscriber, now, conversation.topic)
    is_new = following.begin(subscriber, conversation, now)
    if is_new or state is not SubscriberState.ACTIVE:
        _note(
            "subscriber.follow", subscriber, by=by, now=now, after={**_told(subscriber), "followed": conversation.key}
        )


def choose(
    subscriber: Subscriber,
    topics: Collection[str],
    *,
    followed: Collection[Conversation] | None = None,
    language: str,
    version: int,
    by: Actor,
    now: datetime,
) -> None:
    """Change what somebody hears of. What they follow from now on is `followed`; None leaves all of it as it is.

    StaleEdit when it was changed meanwhile, RuleViolation where nothing is chosen.
    """
    if subscriber.version != version:
        raise StaleEdit
    had = following.followed_by([subscriber.id]).get(subscriber.id, [])
    has = had if followed is None else [each.key for each in followed]
    before = _told(subscriber) | {"followed": had}
    # Whoever follows something may hear of no kind at all.
    chosen = checked_topics(topics, kept=subscriber.topics) if kinds_in(topics) or not has else []
    following.keep_only(subscriber.id, has)
    _follow(subscriber, [each for each in followed or () if each.key not in had], now)
    if has != had:
        # What is followed counts for the version of the row too.
        flag_modified(subscriber, "topics")
    subscriber.topics, subscriber.language = chosen, known(language)
    if subscriber.contact_channel_id is not None:
        rooms.speak(subscriber)
    db.session.flush()
    after = _told(subscriber) | {"followed": has}
    _note("subscriber.edit", subscriber, by=by, now=now, before=before, after=after)


def leave(subscriber: Subscriber, topic: str, *, by: Actor, now: datetime) -> bool:
    """Hear no more of one kind, with all of it that is followed, or of one conversation; whoever hears of nothing then
    is forgotten. Returns whether they are still there."""
    has_followed = topic != EVERY_TOPIC and following.leave(subscriber.id, topic)
    if topic not in subscriber.topics and topic != EVERY_TOPIC and not has_followed:
        return True
    rest = [each for each in subscriber.topics if each != topic]
    if topic == EVERY_TOPIC or not (kinds_in(rest) or following.followed_by([subscriber.id])):
        remove(subscriber, by=by, now=now)
        return False
    if not kinds_in(rest):
        # What narrowed the kinds means nothing without one.
        rest = []
    before = _told(subscriber)
    subscriber.topics = rest
    db.session.flush()
    _note("subscriber.edit", subscriber, by=by, now=now, before=before, after=_told(subscriber))
    return True


def remove(subscriber: Subscriber, *, by: Actor, now: datetime) -> None:
    """Forget a subscriber and their address."""
    _note("subscriber.remove", subscriber, by=by, now=now, before=_told(subscriber))
    db.session.flush()
    forget([subscriber.id], now)


def mail_link(subscriber: Subscriber, now: datetime) -> None:
    """Mail the way to what somebody hears of; to whom has not confirmed yet, what they have to confirm."""
    if _is_stopped_by_hand(subscriber.address_key, now):
        return
    is_active = subscriber.state is SubscriberState.ACTIVE
    subscriber.asked_at = now
    write_to(subscriber, Letter.CHANGE if is_active else Letter.CONFIRM, now)


# What staff do


def add(
    domain_id: int,
    address: str,
    topics: Collection[str],
    *,
    language: str,
    is_shared: bool,
    consent: str,
    followed: Collection[Conversation] = (),
    source: SubscriberSource = SubscriberSource.STAFF,
    by: Actor,
    now: datetime,
) -> Subscriber:
    """Add an address for somebody: told from now on where they have agreed (`consent` says how), else asked by mail.

    Whoever follows something may hear of no kind. RuleViolation where it is there already.
    """
    address, chosen = checked_address(address), checked_topics(topics) if topics or not followed else []
    if queries.by_address(domain_id, SubscriberKind.EMAIL, text_key(address)) is not None:
        raise RuleViolation("This address is subscribed at this portal already.", "address")
    subscriber = _new(domain_id, address, source, by=by, now=now)
    subscriber.topics, subscriber.language, subscriber.is_shared = chosen, known(language), is_shared
    subscriber.consent = one_line(consent)[:500]
    if subscriber.consent:
        subscriber.state, subscriber.confirmed_at = SubscriberState.ACTIVE, now
    db.session.flush()
    _follow(subscriber, followed, now)
    if not subscriber.consent and not _is_stopped_by_hand(subscriber.address_key, now):
        write_to(subscriber, Letter.CONFIRM, now)
    _note("subscriber.add", subscriber, by=by, now=now, after={**_told(subscriber), "consent": subscriber.consent})
    return subscriber


def add_room(
    domain_id: int,
    kind: SubscriberKind,
    address: str,
    topics: Collection[str],
    *,
    language: str,
    consent: str,
    followed: Collection[Conversation] = (),
    by: Actor,
    now: datetime,
) -> tuple[Subscriber, str | None]:
    """A webhook, or a room of Slack or Teams, set up by staff and told from now on; and the secret of a webhook, once.

    RuleViolation where it is there already, or nothing could ever be sent to it.
    """
    chosen = checked_topics(topics) if topics or not followed else []
    address, found = rooms.room_at(domain_id, kind, address)
    if found is not None:
        raise RuleViolation("This address is subscribed at this portal already.", "address")
    subscriber, secret = rooms.open_room(
        domain_id, kind, address, chosen, language=language, source=SubscriberSource.STAFF, by=by, now=now
    )
    subscriber.state, subscriber.confirmed_at = SubscriberState.ACTIVE, now
    subscriber.consent = one_line(consent)[:500]
    db.session.flush()
    _follow(subscriber, followed, now)
    _note("subscriber.add", subscriber, by=by, now=now, after={**_told(subscriber), "consent": subscriber.consent})
    return subscriber, secret if kind is SubscriberKind.WEBHOOK else None


def add_many(
    domain_id: int,
    addresses: Iterable[str],
    topics: Collection[str],
    *,
    language: str,
    consent: str,
    by: Actor,
    now: datetime,
) -> tuple[int, Sequence[tuple[str, str]]]:
    """Add addresses that have all agreed in the same way; returns how many were new, and why the others were not.

    RuleViolation without a word on how they agreed: a list of addresses is not asked by mail one by one.
    """
    if not one_line(consent):
        raise RuleViolation("Say how they have agreed to be told.", "consent")
    chosen, refused = checked_topics(topics), []
    good: dict[str, str] = {}
    for typed in dict.fromkeys(addresses):
        try:
            address = checked_address(typed)
        except RuleViolation as violation:
            refused.append((typed, violation.sentence))
        else:
            good.setdefault(text_key(address), address)
    there = queries.known_addresses(domain_id, good)
    refused += [(good[key], "It is subscribed at this portal already.") for key in good if key in there]
    same = {
        "domain_id": domain_id,
        "kind": SubscriberKind.EMAIL,
        "language": known(language),
        "topics": chosen,
        "is_shared": False,
        "state": SubscriberState.ACTIVE,
        "source": SubscriberSource.IMPORT,
        "consent": one_line(consent)[:500],
        "reason": "",
        "created_at": now,
        "created_by_id": by.person_id,
        "asked_at": now,
        "confirmed_at": now,
    }
    rows = [
        {**same, "key": secrets.token_hex(16), "address": address, "address_key": key}
        for key, address in good.items()
        if key not in there
    ]
    if rows:
        insert_new(Subscriber, *rows)
    events.ring(events.STAFF)
    audit.record(
        "subscriber.import",
        object_kind="subscriber",
        object_id=None,
        by=by,
        now=now,
        after={"count": len(rows), "portal_id": domain_id, "consent": same["consent"], "topics": chosen},
    )
    return len(rows), refused


def quarantine(subscriber: Subscriber, *, why: str, version: int, by: Actor, now: datetime) -> None:
    """Tell somebody nothing for now. RuleViolation without a reason, or where they are told nothing anyway."""
    if subscriber.version != version:
        raise StaleEdit
    if not one_line(why):
        raise RuleViolation("Say why, so that whoever finds this later knows.", "why")
    if subscriber.state is not SubscriberState.ACTIVE:
        raise RuleViolation("Nothing is sent there as it is.", "why")
    subscriber.state, subscriber.reason, subscriber.quarantined_at = (
        SubscriberState.QUARANTINED,
        one_line(why)[:500],
        now,
    )
    db.session.flush()
    _note("subscriber.quarantine", subscriber, by=by, now=now, after={"why": subscriber.reason, **_told(subscriber)})


def reactivate(subscriber: Subscriber, *, why: str, version: int, by: Actor, now: datetime) -> None:
    """Tell somebody again, because staff have found out that it would arrive. RuleViolation without a reason."""
    if subscriber.version != version:
        raise StaleEdit
    if not one_line(why):
        raise RuleViolation("Say why it will arrive now.", "why")
    if subscriber.state is not SubscriberState.QUARANTINED:
        raise RuleViolation("Only what is in quarantine can be taken out of it.", "why")
    before = {"state": subscriber.state, "reason": subscriber.reason}
    _wake(subscriber, now)
    _note(
        "subscriber.reactivate",
        subscriber,
        by=by,
        now=now,
        before=before,
        after={**_told(subscriber), "why": one_line(why)[:500]},
    )


# Checks and parts


def checked_address(typed: str) -> str:
    """The address as it is stored; RuleViolation for what is none."""
    address = one_line(typed)
    if not is_email(address):
        raise RuleViolation("That is not an e-mail address.", "address")
    return address


def checked_topics(topics: Collection[str], kept: Collection[str] = ()) -> list[str]:
    """What somebody chose, as stored: the kinds there are, in their order, and what narrows them.

    RuleViolation without a kind. `kept` may stay though it is no longer offered.
    """
    offered = told_to_subscribers()
    kinds = [each for each in [*offered, *kinds_in(kept)] if each in topics]
    if not kinds:
        raise RuleViolation("Choose what to hear of.", "kinds")
    finer = [each for each in dict.fromkeys(topics) if KINDS_ONLY in each and len(each) <= 60]
    if len(finer) > TOPICS_AT_MOST:
        raise RuleViolation("That is more than can be chosen one by one. Choose all instead.", "components")
    return [*dict.fromkeys(kinds), *finer]


def _follow(subscriber: Subscriber, followed: Collection[Conversation], now: datetime) -> None:
    for conversation in followed:
        following.begin(subscriber, conversation, now)


def _new(domain_id: int, address: str, source: SubscriberSource, *, by: Actor, now: datetime) -> Subscriber:
    subscriber = Subscriber(
        domain_id=domain_id,
        kind=SubscriberKind.EMAIL,
        key=secrets.token_hex(16),
        address=address,
        address_key=text_key(address),
        topics=[],
        state=SubscriberState.UNCONFIRMED,
        source=source,
        consent="",
        reason="",
        is_shared=False,
        created_at=now,
        created_by_id=by.person_id,
        asked_at=now,
    )
    db.session.add(subscriber)
    return subscriber


def _wake(subscriber: Subscriber, now: datetime, *lists: str) -> None:
    subscriber.state, subscriber.confirmed_at = SubscriberState.ACTIVE, now
    subscriber.quarantined_at, subscriber.reason = None, ""
    db.session.flush()
    if subscriber.kind is SubscriberKind.EMAIL:
        _let_mails_through(subscriber, lists)
    else:
        rooms.begin_anew(subscriber)


def _let_mails_through(subscriber: Subscriber, lists: Collection[str]) -> None:
    """What stopped mails of these kinds to the address is over; whoever had left a list has asked for it anew.

    Who asked for one conversation of `lists` alone has not, where they sign in: there they would get all of it.
    """
    settings: Settings = current_app.config["SETTINGS"]
    key = subscriber.address_key
    asked = lists if lists and not queries.has_login(key) else ()
    hashes = {hashed_address(secret, key) for secret in (settings.secret_key, *settings.secret_key_fallbacks)}
    db.session.execute(
        delete(Suppression).where(
            Suppression.address_key.in_({key, *hashes}),
            Suppression.scope.in_({EVERY_TOPIC, *kinds_in(subscriber.topics), *asked}),
            Suppression.reason != SuppressionReason.BY_HAND,
        ),
        execution_options=RAW,
    )
    db.session.execute(delete(Strike).where(Strike.address_key == key), execution_options=RAW)


def _is_stopped_by_hand(address_key: str, now: datetime) -> bool:
    found = suppressed_addresses([address_key], EVERY_TOPIC, now).get(address_key)
    if found is None:
        return False
    by_hand = select(Suppression.id).where(
        Suppression.address_key == address_key,
        Suppression.scope == EVERY_TOPIC,
        Suppression.reason == SuppressionReason.BY_HAND,
        Suppression.until.is_(None) | (Suppression.until > now),
    )
    return db.session.scalar(by_hand) is not None


def masked_address(address: str) -> str:
    """An address as the audit trail keeps it, which outlives the subscriber: enough to recognise, not to write to."""
    local, at, domain = address.rpartition("@")
    return f"{local[:1]}…{at}{domain}"


def _told(subscriber: Subscriber) -> dict[str, Any]:
    is_mail = subscriber.kind is SubscriberKind.EMAIL
    return {
        "address": masked_address(subscriber.address) if is_mail else subscriber.address,
        "kind": subscriber.kind,
        "topics": list(subscriber.topics),
        "language": subscriber.language,
        "state": subscriber.state,
        "portal_id": subscriber.domain_id,
    }


def _note(
    action: str,
    subscriber: Subscriber,
    *,
    by: Actor,
    now: datetime,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    events.ring(events.STAFF)
    audit.record(action, object_kind="subscriber", object_id=subscriber.id, by=by, now=now, before=before, after=after)
