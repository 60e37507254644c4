"""Secrets that must be read again, such as the password of a mail relay: sealed in the database with the secret key."""

import base64
import hashlib
import hmac

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from flask import current_app

from portal.config import Settings


class Unreadable(ValueError):  # noqa: N818 (it is what the sealed text is)
    """Sealed with a key this installation no longer has, or not by it at all."""


def seal(secret: str, purpose: str) -> str:
    """The secret as it may stand in a row. What was sealed for one purpose is not opened for another."""
    return _box(purpose).encrypt(secret.encode()).decode("ascii")


def unseal(sealed: str, purpose: str) -> str:
    """The secret again. Opens what the secret keys before today's sealed; raises Unreadable."""
    try:
        return _box(purpose).decrypt(sealed.encode("ascii")).decode()
    except (InvalidToken, UnicodeError):
        raise Unreadable(f"sealed with another secret key than today's, for {purpose}") from None


def _box(purpose: str) -> MultiFernet:
    settings: Settings = current_app.config["SETTINGS"]
    keys = (settings.secret_key, *settings.secret_key_fallbacks)
    return MultiFernet([Fernet(_key_of(key, purpose)) for key in keys])


def _key_of(secret_key: str, purpose: str) -> bytes:
    key = hmac.digest(hashlib.sha256(secret_key.encode()).digest(), purpose.encode(), "sha256")
    return base64.urlsafe_b64encode(key)
