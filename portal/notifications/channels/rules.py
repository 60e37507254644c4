"""Channels beside mail, pure: kinds, states, when a message is tried again, what an answer means, signatures, masks.

Sources: reliability-security, rows W01, W02 and R54; the Standard Webhooks specification, 1.0.0.
"""

import base64
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from urllib.parse import parse_qs, urlsplit

from portal.notifications.rules import DeliveryState, Failure


class ChannelKind(StrEnum):
    """What a channel is. Its value is the `channel` of its deliveries; that of mails is "mail"."""

    SMS = "sms"
    SLACK = "slack"
    TEAMS = "teams"
    WEBHOOK = "webhook"


MAIL = "mail"
"""The `channel` of deliveries that SMTP takes."""


class ChannelState(StrEnum):
    """FAILING is tried again by itself; DISABLED is left alone until somebody has acted."""

    WORKING = "working"
    FAILING = "failing"
    DISABLED = "disabled"


class Owner(StrEnum):
    """Whose channel it is: STAFF's hear alarms, the others' what their company is told."""

    STAFF = "staff"
    COMPANY = "company"
    PERSON = "person"


LABEL_LENGTH = 80
ADDRESS_LENGTH = 1000

# When to try again.

RETRIES = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
)
"""The waits after the first, second … failure. One more failure after the last is the end (row R54)."""

MOST_TRIES = len(RETRIES) + 1
LONGEST_WISH = timedelta(hours=4)
"""The longest Retry-After that is granted: a receiver must not park its messages for ever."""

OLD_SECRET_LIVES = timedelta(days=7)
"""How long the secret before the last still signs beside the new one, unless it is ended sooner."""


def wait_after(failures: int, asked: timedelta | None = None) -> timedelta | None:
    """How long to wait after so many failures in a row (from 1); None when there is no further try.

    `asked` is what the receiver asked for; it is never tried sooner than that.
    """
    if failures >= MOST_TRIES:
        return None
    wait = RETRIES[max(failures, 1) - 1]
    return max(wait, min(asked, LONGEST_WISH)) if asked is not None else wait


def retry_after(header: str) -> timedelta | None:
    """What a Retry-After header of seconds asks for; its form with a date is not followed."""
    return timedelta(seconds=int(header)) if re.fullmatch(r"[0-9]{1,9}", header.strip()) else None


# What an answer means.


@dataclass(frozen=True)
class Outcome:
    """What became of one try. `failure` is None for success; `is_over` says that the channel is to be disabled.

    `text` is what the other side said, or a sentence on why there was no answer. `asked` is the wait it asked for.
    """

    failure: Failure | None
    code: int | None
    text: str
    is_over: bool = False
    asked: timedelta | None = None


_GONE = 410
_FOR_GOOD = frozenset({401, 403, 404, _GONE})
"""What Slack and Teams answer on an address that was taken back: no later try will fare better."""

_THIS_MESSAGE = frozenset({400, 413, 415, 422})


def outcome_of(kind: ChannelKind, code: int, text: str, asked: timedelta | None = None) -> Outcome:
    """What an HTTP answer means.

    A webhook is tried again after everything but success and 410, which takes it back (Standard Webhooks). Slack and
    Teams say with 401, 403 or 404 too that the address is no more. The login of a gateway for texts is everybody's, so
    its refusal disables nobody.
    """
    if 200 <= code < 300:
        return Outcome(None, code, text)
    if code == _GONE or (kind in {ChannelKind.SLACK, ChannelKind.TEAMS} and code in _FOR_GOOD):
        return Outcome(Failure.HARD, code, text, is_over=True)
    if kind is not ChannelKind.WEBHOOK and code in _THIS_MESSAGE:
        return Outcome(Failure.REFUSED, code, text)
    if 300 <= code < 400:
        text = f"It sends on to another address, which is not followed. {text}".strip()
    return Outcome(Failure.SOFT, code, text, asked=asked)


def outcome_of_silence(kind: ChannelKind, text: str, *, was_asked: bool) -> Outcome:
    """What it means that no answer came. Once it was asked the message may have arrived.

    A webhook may be asked again as often as need be: its receiver tells repeats by their id.
    """
    if was_asked and kind is not ChannelKind.WEBHOOK:
        return Outcome(Failure.IN_DOUBT, None, text)
    return Outcome(Failure.SOFT, None, text)


@dataclass(frozen=True)
class Ruling:
    """What becomes of a delivery after a failure: its state, and when it is tried again."""

    state: DeliveryState
    wait: timedelta = timedelta(0)


def ruling(outcome: Outcome, *, tries: int, doubts: int) -> Ruling:
    """What becomes of a delivery. `tries` and `doubts` count this one."""
    if outcome.failure in {Failure.SOFT, Failure.IN_DOUBT} and not outcome.is_over:
        if doubts >= 2:
            return Ruling(DeliveryState.UNKNOWN)
        wait = wait_after(tries, outcome.asked)
        if wait is not None:
            return Ruling(DeliveryState.PENDING, wait)
    return Ruling(DeliveryState.FAILED)


# Webhooks are signed.

SECRET_PREFIX = "whsec_"  # noqa: S105 (a prefix, no secret)
SECRET_BYTES = 32


def secret_text(key: bytes) -> str:
    """A secret as receivers put it into their library."""
    return SECRET_PREFIX + base64.b64encode(key).decode("ascii")


def signature_header(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> str:
    """The `webhook-signature` header: one signature per secret, over id, time and the exact bytes of the body."""
    signed = b".".join((message_id.encode("ascii"), str(timestamp).encode("ascii"), body))
    marks = []
    for secret in secrets:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
        marks.append("v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode("ascii"))
    return " ".join(marks)


def webhook_id(message_id: str) -> str:
    """The `webhook-id` of a delivery, made of its Message-ID: stable over retries, and not to be guessed."""
    return "msg_" + message_id.strip("<>").partition("@")[0]


# Addresses.


class AddressError(ValueError):
    """An address of a channel that cannot be used; the message is a sentence for whoever typed it."""


@dataclass(frozen=True)
class SlackAddress:
    """An incoming webhook of Slack, as its three tokens."""

    tokens: tuple[str, str, str]


@dataclass(frozen=True)
class TeamsAddress:
    """A workflow of Power Automate that posts to Teams, as the parts of its address."""

    host: str
    port: int | None
    workflow: str
    signature: str
    version: str
    is_power_automate: bool
    routing_id: str | None


_SLACK = re.compile(
    r"https://hooks\.slack\.com/services/([A-Za-z0-9]{1,24})/([A-Za-z0-9]{1,24})/([A-Za-z0-9]{1,48})/?", re.ASCII
)
_TEAMS_PATH = re.compile(
    r"(/powerautomate/automations/direct(?:/cu/([0-9]{1,12}))?)?"
    r"/workflows/([A-Za-z0-9_-]{1,128})/triggers/manual/paths/invoke/?",
    re.ASCII,
)
_TEAMS_HOST = re.compile(
    r"[a-z0-9.-]{1,200}\.(?:logic\.azure\.(?:com|us|cn)|api\.(?:gov\.)?powerplatform\.(?:com|us))", re.ASCII
)
_SIGNATURE = re.compile(r"[A-Za-z0-9_-]{16,128}", re.ASCII)
_API_VERSION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:-preview)?|1", re.ASCII)
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_PHONE_FILLING = re.compile(r"[\s().\-/]+")


def slack_address(address: str) -> SlackAddress:
    """The parts of a Slack address; AddressError for anything else."""
    found = _SLACK.fullmatch(address)
    if found is None:
        raise AddressError("Paste the webhook URL that Slack shows: https://hooks.slack.com/services/….")
    return SlackAddress((found[1], found[2], found[3]))


def teams_address(address: str) -> TeamsAddress:
    """The parts of a Teams address, on a host of Microsoft; AddressError for anything else."""
    refusal = AddressError(
        "Paste the URL that Teams shows for the workflow “Post to a channel when a webhook request is received”."
    )
    try:
        parts = urlsplit(address)
        host, port = (parts.hostname or "").lower(), parts.port
        query = parse_qs(parts.query, strict_parsing=True)
    except ValueError:
        raise refusal from None
    path = _TEAMS_PATH.fullmatch(parts.path)
    is_theirs = _TEAMS_HOST.fullmatch(host) is not None and port in {None, 443}
    is_theirs = is_theirs and parts.scheme == "https" and "@" not in parts.netloc and not parts.fragment
    signature, version = (query.get(name, [""])[0] for name in ("sig", "api-version"))
    if path is None or not is_theirs:
        raise refusal
    if not _SIGNATURE.fullmatch(signature) or (version and not _API_VERSION.fullmatch(version)):
        raise refusal
    return TeamsAddress(host, port, path[3], signature, version, bool(path[1]), path[2])


def phone_number(typed: str) -> str:
    """A telephone number as gateways take it (E.164); AddressError for anything else."""
    number = _PHONE_FILLING.sub("", typed.strip())
    number = "+" + number[2:] if number.startswith("00") else number
    if not _PHONE.fullmatch(number):
        raise AddressError("Write the number with its country code, such as +49 160 1234567.")
    return number


def masked(kind: ChannelKind, address: str) -> str:
    """What may be shown of an address once it is stored: enough to tell two apart, too little to use it."""
    if kind is ChannelKind.SMS:
        return f"{address[:3]}…{address[-3:]}"
    parts = urlsplit(address)
    end = f" …{address[-4:]}" if kind is not ChannelKind.WEBHOOK and len(address) > 40 else ""
    return f"{parts.scheme}://{(parts.hostname or '')[:90]}/…{end}"


# Texts.

TEXT_LENGTH = 300
"""Characters of a text message, its link included: two parts of it with plain letters, hardly ever more than four."""

POST_LENGTH = 2500
"""Characters of a message to Slack or Teams."""


def short_text(sentence: str, link: str, length: int = TEXT_LENGTH) -> str:
    """One line for a telephone: the sentence, cut where it must be, and the link whole."""
    sentence = " ".join(sentence.split())
    room = length - len(link) - 1 if link else length
    if len(sentence) > room:
        sentence = sentence[: max(0, room - 1)].rstrip() + "…"
    return f"{sentence} {link}".strip()


def post_text(text: str, link: str, length: int = POST_LENGTH) -> str:
    """Paragraphs for a room, cut where they must be, and the link on a line of its own."""
    text = text.strip()
    room = length - len(link) - 2 if link else length
    if len(text) > room:
        text = text[: max(0, room - 1)].rstrip() + "…"
    return f"{text}\n\n{link}".strip()


_TEAMS_MARKS = re.compile(r"([\\`*_{}\[\]#|~])")
_MENTION = re.compile(r"<(?=/?at\b)", re.IGNORECASE)


def literal_for_slack(text: str) -> str:
    """The text so that Slack shows it and reads no mention, link or group call in it (its three control characters)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


_LINK = re.compile(r"(https?://[A-Za-z0-9.:/_-]+)", re.ASCII)
"""Addresses as they are written here: of what has a meaning in Markdown there is only the line below in them."""


def literal_for_teams(text: str) -> str:
    """The text so that an adaptive card shows it and reads no Markdown or mention in it. A link stays what it is: with
    a backslash in it, it would lead nowhere."""
    parts = _LINK.split(text)
    parts[::2] = [_TEAMS_MARKS.sub(r"\\\1", part) for part in parts[::2]]
    return _MENTION.sub("<\u200b", "".join(parts))
