"""Mailed links: what for, for how long, and how the token of one is made and compared."""

import base64
import hashlib
import hmac
from datetime import datetime, timedelta
from enum import StrEnum


class Purpose(StrEnum):
    """What a mailed link opens."""

    INVITATION = "invitation"
    RESET = "reset"
    EMAIL_CHANGE = "email-change"
    EMAIL_UNDO = "email-undo"
    VIEW_AS = "view-as"


class Letter(StrEnum):
    """The mails about an account: those that carry a link, and those that tell its owner what was done."""

    INVITATION = "invitation"
    MEMBERSHIP = "membership"
    RESET = "reset"
    EMAIL_CHANGE = "email-change"
    EMAIL_CHANGED = "email-changed"
    EMAIL_TAKEN = "email-taken"
    PASSWORD_CHANGED = "password-changed"  # noqa: S105 (names a mail)
    THROTTLED = "throttled"
    CODES_THROTTLED = "codes-throttled"
    SECOND_FACTOR_ON = "second-factor-on"
    SECOND_FACTOR_OFF = "second-factor-off"


LIVES = {
    Purpose.INVITATION: timedelta(days=7),
    Purpose.RESET: timedelta(minutes=30),
    Purpose.EMAIL_CHANGE: timedelta(hours=24),
    Purpose.EMAIL_UNDO: timedelta(days=7),
    Purpose.VIEW_AS: timedelta(minutes=1),
}
"""For how long a link of each purpose opens anything (reliability-security, section 5)."""

UNBOUND = frozenset({Purpose.EMAIL_UNDO})
"""Purposes whose links outlive a change of password, and a newer link of their own kind.

The way back must stay open when a thief has changed the password too, and the address once more.
"""


def derived_token(secret_key: str, purpose: Purpose, person_id: int, nonce: str) -> str:
    """The token of a link, 256 bits as URL-safe text. Another purpose, person or installation makes another token."""
    key = hashlib.sha256(b"mailed link\0" + secret_key.encode()).digest()
    message = f"{purpose}\0{person_id}\0{nonce}".encode()
    return base64.urlsafe_b64encode(hmac.digest(key, message, "sha256")).rstrip(b"=").decode("ascii")


def hashed(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def opens(
    *,
    now: datetime,
    expires_at: datetime,
    used_at: datetime | None,
    revoked_at: datetime | None,
    bound_stamp: int | None,
    stamp: int,
) -> bool:
    """Whether a link still opens anything: unused, not replaced, in time, made under the password that still holds."""
    is_bound = bound_stamp is None or bound_stamp == stamp
    return used_at is None and revoked_at is None and now < expires_at and is_bound
