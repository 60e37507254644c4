"""Subscribers that are told beside mail: a webhook of a machine, and rooms of Slack and Teams.

What is sent, signed, tried again and given up is the business of the channels; here a subscriber gets one.
What signs up by itself is asked first, at the address it named: only what reads there can confirm it. A room is asked
by a post in it, through the same guarded way as all that follows, at the hosts of Slack and of Microsoft alone.
"""

import secrets
from collections.abc import Collection
from datetime import datetime

from flask import current_app
from flask_babel import force_locale
from flask_babel import gettext as _
from sqlalchemy import select

from portal import events, sealing
from portal.audit.rules import Actor
from portal.config import Settings
from portal.domains.queries import domain_by_id
from portal.errors import RuleViolation
from portal.extensions import db
from portal.language import known
from portal.notifications.channels import gateway
from portal.notifications.channels.rules import (
    SECRET_BYTES,
    AddressError,
    ChannelKind,
    ChannelState,
    masked,
    post_text,
    secret_text,
    slack_address,
    teams_address,
    webhook_id,
)
from portal.notifications.channels.sealed import ADDRESS, SECRET, fingerprint
from portal.notifications.models import ContactChannel
from portal.notifications.subscribers import queries
from portal.notifications.subscribers.links import confirm_path, manage_path
from portal.notifications.subscribers.models import Subscriber
from portal.notifications.subscribers.rules import Conversation, SubscriberKind, SubscriberSource, SubscriberState

KINDS = {
    SubscriberKind.WEBHOOK: ChannelKind.WEBHOOK,
    SubscriberKind.SLACK: ChannelKind.SLACK,
    SubscriberKind.TEAMS: ChannelKind.TEAMS,
}


def room_at(domain_id: int, kind: SubscriberKind, typed: str) -> tuple[str, Subscriber | None]:
    """The address as it is stored, and whoever subscribed with it at this portal already.

    RuleViolation where nothing could ever be sent there. Names are looked up when it is asked, not here.
    """
    settings: Settings = current_app.config["SETTINGS"]
    try:
        address = gateway.check_address(KINDS[kind], typed, settings)
    except AddressError as refusal:
        raise RuleViolation(str(refusal), "address") from None
    return address, queries.by_address(domain_id, kind, fingerprint(KINDS[kind], address))


def kind_at(typed: str) -> SubscriberKind:
    """Whose room this address leads into; RuleViolation where it is neither one of Slack nor one of Teams."""
    for kind, read in ((SubscriberKind.SLACK, slack_address), (SubscriberKind.TEAMS, teams_address)):
        try:
            read(typed.strip())
        except AddressError:
            continue
        return kind
    raise RuleViolation("Paste the URL that Slack or Teams shows for incoming webhooks.", "address")


def key_of(kind: SubscriberKind, typed: str) -> str:
    """By what an address is known again, and counted, without being kept readable."""
    return fingerprint(KINDS[kind], typed.strip())


def open_room(
    domain_id: int,
    kind: SubscriberKind,
    address: str,
    topics: Collection[str],
    *,
    language: str,
    source: SubscriberSource,
    by: Actor,
    now: datetime,
) -> tuple[Subscriber, str]:
    """A subscriber with a channel of its own, not confirmed yet, and the secret that signs what a webhook is sent."""
    secret = secret_text(secrets.token_bytes(SECRET_BYTES))
    hint = masked(KINDS[kind], address)
    subscriber = Subscriber(
        domain_id=domain_id,
        kind=kind,
        key=secrets.token_hex(16),
        address=hint,
        address_key=fingerprint(KINDS[kind], address),
        language=known(language),
        topics=list(topics),
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
    db.session.flush()
    channel = ContactChannel(
        kind=KINDS[kind],
        label=hint[:80],
        address=sealing.seal(address, ADDRESS),
        hint=hint,
        fingerprint=subscriber.address_key,
        subscriber_id=subscriber.id,
        language=subscriber.language,
        topics=list(topics),
        secret=sealing.seal(secret, SECRET),
        state=ChannelState.WORKING,
        failures=0,
        created_at=now,
        created_by_id=by.person_id,
    )
    db.session.add(channel)
    db.session.flush()
    subscriber.contact_channel_id = channel.id
    db.session.flush()
    return subscriber, secret


def speak(subscriber: Subscriber) -> None:
    """Give the channel of a subscriber what they chose."""
    channel = _channel(subscriber)
    if channel is not None:
        channel.topics, channel.language = list(subscriber.topics), subscriber.language


def begin_anew(subscriber: Subscriber) -> None:
    """Let the channel of a subscriber work again, without the failures it had."""
    channel = _channel(subscriber)
    if channel is not None:
        channel.state, channel.failures, channel.failing_since = ChannelState.WORKING, 0, None
        channel.rests_until, channel.reason = None, None
        events.wake("deliver_channels")


def renew_secret(subscriber: Subscriber) -> str:
    """A new secret for the webhook of a subscriber, returned once; the old one signs nothing any more."""
    channel = _channel(subscriber)
    if channel is None:
        raise LookupError("this subscriber has no channel")
    secret = secret_text(secrets.token_bytes(SECRET_BYTES))
    channel.secret, channel.old_secret, channel.old_secret_until = sealing.seal(secret, SECRET), None, None
    db.session.flush()
    return secret


def challenge(
    subscriber: Subscriber, now: datetime, conversation: Conversation | None = None, title: str = ""
) -> gateway.Parcel | None:
    """What is sent to a webhook or a room to ask whether it is meant; None where its address can no longer be read.

    It holds the link that confirms, or for one that is confirmed the way to change or end it. With a `conversation`,
    called `title`, it asks whether that is to be followed, whatever is confirmed already.
    """
    channel, domain = _channel(subscriber), domain_by_id(subscriber.domain_id)
    if channel is None or domain is None:
        return None
    is_known = subscriber.state is SubscriberState.ACTIVE and conversation is None
    path = manage_path(subscriber.key, now) if is_known else confirm_path(subscriber.key, now, conversation)
    told = {"brand": domain.brand, "manage_url" if is_known else "confirm_url": domain.base_url + path}
    if conversation is not None:
        told["about"] = title
    event = "subscription.exists" if is_known else "subscription.challenge"
    with force_locale(subscriber.language):
        text = "\n\n".join(_question(domain.brand, title, domain.base_url + path, is_known=is_known))
    try:
        return gateway.Parcel(
            KINDS[subscriber.kind],
            sealing.unseal(channel.address, ADDRESS),
            post_text(text, ""),
            gateway.webhook_body(event, told, now),
            webhook_id(f"challenge{subscriber.id}x{int(now.timestamp() * 1000)}"),
            [sealing.unseal(channel.secret, SECRET)] if channel.secret else [],
        )
    except sealing.Unreadable:
        return None


def _question(brand: str, title: str, link: str, *, is_known: bool) -> list[str]:
    """What is asked in a room, in the language that is spoken."""
    if is_known:
        return [
            _("Somebody asked %(brand)s to tell this room, which is told already. Nothing was changed.", brand=brand),
            _("Change or end this subscription:") + " " + link,
        ]
    if title:
        asked = _("Somebody asked %(brand)s to tell this room what becomes of “%(title)s”.", brand=brand, title=title)
    else:
        asked = _("Somebody asked %(brand)s to tell this room when something breaks or is worked on.", brand=brand)
    return [
        asked,
        _("If that is wanted, confirm it:") + " " + link,
        _("The link works for two days.")
        + " "
        + _("If nobody here asked for it, do nothing: without the link nothing else is posted."),
    ]


def ask(parcel: gateway.Parcel, now: datetime) -> None:
    """Send a challenge, outside of any transaction; what comes of it is told to nobody, who could learn from it what
    answers where. Takes `gateway.SECONDS` at most."""
    settings: Settings = current_app.config["SETTINGS"]
    gateway.send(parcel, gateway.Guard(settings), now)


def _channel(subscriber: Subscriber) -> ContactChannel | None:
    return db.session.scalars(
        select(ContactChannel).where(ContactChannel.id == subscriber.contact_channel_id).with_for_update()
    ).one_or_none()
