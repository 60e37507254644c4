"""The signed link that takes an address off a list: for years, without signing in, and nothing else."""

from dataclasses import dataclass

from flask import current_app
from itsdangerous import BadData, URLSafeSerializer

from portal.config import Settings


@dataclass(frozen=True)
class Unsubscription:
    """Whom an unsubscribe link is about: an address, a topic, and the person it was, if it was one.

    `subscriber_key` is that of the subscriber's row where it went to somebody without a login.
    """

    address: str
    topic: str
    person_id: int | None
    subscriber_key: str = ""


def unsubscribe_path(address: str, topic: str, person_id: int | None, subscriber_key: str = "") -> str:
    """The path of the link on any portal domain, such as /u/WyJh….Xy."""
    told = [address, topic, person_id, subscriber_key] if subscriber_key else [address, topic, person_id]
    return f"/u/{_serializer().dumps(told)}"


def read_unsubscribe_token(token: str) -> Unsubscription | None:
    """What the token says, None when this installation did not sign it."""
    try:
        match _serializer().loads(token):
            case [str(address), str(topic), int() | None as person_id]:
                return Unsubscription(address, topic, person_id)
            case [str(address), str(topic), None, str(key)]:
                return Unsubscription(address, topic, None, key)
    except BadData:
        pass
    return None


def _serializer() -> URLSafeSerializer:
    settings: Settings = current_app.config["SETTINGS"]
    return URLSafeSerializer([*settings.secret_key_fallbacks, settings.secret_key], salt="unsubscribe")
