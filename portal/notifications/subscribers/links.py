"""The links in what subscribers are sent: signed, with a purpose and an end, and good for nothing but their own row."""

from dataclasses import dataclass
from datetime import datetime

from flask import current_app
from itsdangerous import BadData, URLSafeSerializer

from portal.config import Settings
from portal.notifications.subscribers.rules import LIVES, Conversation, Purpose

CONFIRM = "/subscribe/confirm/"
MANAGE = "/subscribe/manage/"


@dataclass(frozen=True)
class Link:
    """What a link says: whose it is, by the key of their row, what it is for, and what it has them follow, if that."""

    key: str
    purpose: Purpose
    conversation: Conversation | None = None


def confirm_path(key: str, now: datetime, conversation: Conversation | None = None) -> str:
    """Where somebody says that the address is theirs, and that it is to follow this conversation, if one is named."""
    if conversation is None:
        return CONFIRM + _token(key, Purpose.CONFIRM, now)
    return CONFIRM + _token(key, Purpose.FOLLOW, now, *conversation)


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
                case [str(key), int(until), str(followed), str(topic)] if until > now.timestamp():
                    return Link(key, purpose, Conversation(followed, topic))
        except BadData:
            continue
    return None


def _token(key: str, purpose: Purpose, now: datetime, *more: str) -> str:
    return str(_serializer(purpose).dumps([key, int((now + LIVES[purpose]).timestamp()), *more]))


def _serializer(purpose: Purpose) -> URLSafeSerializer:
    settings: Settings = current_app.config["SETTINGS"]
    return URLSafeSerializer(
        [*settings.secret_key_fallbacks, settings.secret_key], salt=f"signalbox subscriber {purpose.value}"
    )
