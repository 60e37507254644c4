"""What is sealed of a channel, and how its address is known again without being kept readable."""

import hmac

from flask import current_app

from portal.config import Settings
from portal.notifications.channels.rules import ChannelKind

ADDRESS = "contact channel address"
SECRET = "contact channel secret"  # noqa: S105 (a purpose, no secret)


def fingerprint(kind: ChannelKind, address: str) -> str:
    """A keyed hash of the address, so that nobody stores one twice."""
    settings: Settings = current_app.config["SETTINGS"]
    key = hmac.digest(settings.secret_key.encode(), b"signalbox contact channel", "sha256")
    return hmac.digest(key, f"{kind.value} {address}".encode(), "sha256").hex()
