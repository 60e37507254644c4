"""Trying a channel out: one message at once, and what came back. The same for staff on screen and for machines."""

from datetime import datetime

from flask import current_app

from portal import events, sealing
from portal.config import Settings
from portal.errors import RuleViolation
from portal.notifications.channels import gateway
from portal.notifications.channels.lane import secrets_of
from portal.notifications.channels.rules import ChannelKind, Outcome, webhook_id
from portal.notifications.channels.sealed import ADDRESS, SECRET
from portal.notifications.models import ContactChannel

TEXT = "This is a test from {brand}. Nothing is wrong."

SEALED_ELSEWHERE = "Its address was sealed with a secret key that is gone. Enter it anew."


def try_out(channel: ContactChannel, now: datetime) -> Outcome:
    """Send a test and tell what came of it; `actions.note_test` stores it. Takes `gateway.SECONDS` at most.

    It ends the caller's transaction before it asks, so that nobody waits for a receiver that hangs: read the channel
    again afterwards. A channel that was given up may be tried out too: that is how it is mended. RuleViolation where
    nothing can be sent at all.
    """
    settings: Settings = current_app.config["SETTINGS"]
    if channel.kind is ChannelKind.SMS and not settings.sms_url:
        raise RuleViolation(gateway.NO_GATEWAY)
    try:
        parcel = _parcel(channel, settings, now)
    except sealing.Unreadable:
        raise RuleViolation(SEALED_ELSEWHERE) from None
    events.rollback()
    return gateway.send(parcel, gateway.Guard(settings), now)


def _parcel(channel: ContactChannel, settings: Settings, now: datetime) -> gateway.Parcel:
    text = TEXT.format(brand=settings.mail_domain)
    return gateway.Parcel(
        channel.kind,
        sealing.unseal(channel.address, ADDRESS),
        text,
        gateway.webhook_body("test", {"text": text}, now),
        webhook_id(f"test{channel.id}x{int(now.timestamp() * 1000)}"),
        [sealing.unseal(each, SECRET) for each in secrets_of(channel, now)],
    )
