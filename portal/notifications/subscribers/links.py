"""The links in mails to subscribers: signed, with a purpose and an end, and good for nothing but their own row."""

from dataclasses import dataclass
from datetime import datetime

from flask import current_app
from itsdangerous import BadData, URLSafeSerializer

from portal.config import Settings
from portal.notifications.subscribers.rules import LIVES, Purpose

CONFIRM = "/subscribe/confirm/"
MANAGE = "/subscribe/manage/"


@dataclass(frozen=True)
class Link:
    """What a link says: whose it is, by the key of their row, and what it is for."""

    key: str
    purpose: Purpose


def confirm_path(key: str, now: datetime) -> str:
    """Where somebody says that the address is theirs."""
    return CONFIRM + _token(key, Purpose.CONFIRM, now)


def manage_path(key: str, now: datetime, purpose: Purpose = Purpose.MANAGE) -> str:
    """Where somebody changes what they hear of, or leaves."""
    return MANAGE + _token(key, purpose, now)


def read_link(token: str, purposes: tuple[Purpose, ...], now: datetime) -> Link | None:
    """What a token says; None where it was not signed here, is for something else, or has ended."""
    for purpose in purposes:
        try:
            match _serializer(purpose).loads(token):
                case [str(key), int(until)] if until > now.timestamp():
                    return Link(key, purpose)
        except BadData:
            continue
    return None


def _token(key: str, purpose: Purpose, now: datetime) -> str:
    return str(_serializer(purpose).dumps([key, int((now + LIVES[purpose]).timestamp())]))


def _serializer(purpose: Purpose) -> URLSafeSerializer:
    settings: Settings = current_app.config["SETTINGS"]
    return URLSafeSerializer(
        [*settings.secret_key_fallbacks, settings.secret_key], salt=f"signalbox subscriber {purpose.value}"
    )
