"""Mails in the mailbox of reports that are for somebody else: what a higher capability takes by mail.

A door's address is the bounce address with `+<name>-<key>` before the @. The capability registers what opens it; with a
key nobody has the mail is read as a report, like everything else that lies there.
"""

import re
from collections.abc import Callable
from datetime import datetime
from email import message_from_bytes, policy

from portal.notifications.bounces.rules import DELIVERED_TO, within_bounds

Door = Callable[[str, bytes, datetime], str | None]
"""Takes the key, the mail as it came, and now. Returns in a few words what was made of it; None: not a key of mine.
Works in the caller's transaction, and makes nothing of the same mail a second time."""

_doors: dict[str, Door] = {}


def register(name: str, door: Door) -> None:
    """Make a door known under its name, letters only; registering it again replaces it."""
    _doors[name] = door


def address_of(name: str, key: str, bounce_address: str) -> str:
    """The address of a door; "" where the installation has no mailbox of its own."""
    local, _, domain = bounce_address.rpartition("@")
    return f"{local}+{name}-{key}@{domain}" if domain else ""


def take(raw: bytes, bounce_address: str, now: datetime) -> str | None:
    """Give a mail to the door it is addressed to; what was made of it, None for a mail that is for no door."""
    local, _, domain = bounce_address.rpartition("@")
    if not domain or not _doors:
        return None
    pattern = re.compile(
        rf"(?<![A-Za-z0-9.+_-]){re.escape(local)}\+([a-z]+)-([a-z0-9]+)@{re.escape(domain)}(?![A-Za-z0-9.-])",
        re.IGNORECASE,
    )
    message = message_from_bytes(within_bounds(raw), policy=policy.compat32)
    for header in DELIVERED_TO:
        for value in (message.get_all(header) or [])[:5]:
            for name, key in pattern.findall(str(value))[:5]:
                door = _doors.get(name.lower())
                if door is not None and (made := door(key.lower(), raw, now)) is not None:
                    return made
    return None
