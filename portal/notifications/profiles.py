"""Relays, pure: how they are reached, what each takes in a minute and a day, and when there is room for another mail.

The limits of the two big providers: status-pages, section 4.1. Both count what they were given in the last minute and
the last 24 hours, not in the minute of the clock and not on the day of the calendar, and so does this.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import ip_address
from urllib.parse import quote

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)

SECOND_SPAN = timedelta(seconds=1)
DAY_SPAN = timedelta(minutes=10)
"""What is counted together: a second for the last minute, ten minutes for the last day."""


class Security(StrEnum):
    """How a relay is spoken to. STARTTLS and TLS are never fallen back from."""

    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


SCHEMES = {Security.NONE: "smtp", Security.STARTTLS: "smtp+starttls", Security.TLS: "smtps"}
PORTS = {Security.NONE: 25, Security.STARTTLS: 587, Security.TLS: 465}
"""The port of each where none was named."""


class Profile(StrEnum):
    """Whose relay it is, which says how much it takes."""

    MICROSOFT_365 = "microsoft_365"
    GOOGLE_WORKSPACE = "google_workspace"
    UNLIMITED = "unlimited"
    CUSTOM = "custom"


@dataclass(frozen=True)
class Limits:
    """What a relay takes in any minute and in any 24 hours; None for what is not bounded."""

    per_minute: int | None = None
    per_day: int | None = None

    @property
    def is_bounded(self) -> bool:
        return self.per_minute is not None or self.per_day is not None


PROFILES = {
    Profile.MICROSOFT_365: Limits(30, 10_000),
    Profile.GOOGLE_WORKSPACE: Limits(None, 2_000),
    Profile.UNLIMITED: Limits(),
}
"""The limits of each profile but the custom one, which has its own."""


# How much goes through, and when.


@dataclass(frozen=True)
class Spent:
    """What a relay was given lately: how many mails in each second of the last minute and in each ten minutes of the
    last day (oldest first, by the beginning of the span), and how many are claimed for it and were not offered yet.
    """

    seconds: Sequence[tuple[datetime, int]] = ()
    tens: Sequence[tuple[datetime, int]] = ()
    claimed: int = 0


def room(limits: Limits, spent: Spent, next_at: datetime | None, now: datetime) -> int | None:
    """How many mails may be claimed for a relay now; None for as many as one likes.

    What is claimed counts until it is offered or given back, and from then on as of the moment at which it was
    offered. So whatever becomes of a claim, however late its mails go out, and however many processes there are: in no
    minute and in no 24 hours is the relay given more than it takes.
    """
    left = []
    if limits.per_minute is not None:
        left.append(_left(limits.per_minute, spent.seconds, spent.claimed, MINUTE + SECOND_SPAN, now))
        left.append(_by_pace(limits.per_minute, next_at, now))
    if limits.per_day is not None:
        left.append(_left(limits.per_day, spent.tens, spent.claimed, DAY + DAY_SPAN, now))
    return max(0, min(left)) if left else None


def left_today(limits: Limits, spent: Spent, now: datetime) -> int | None:
    """What is left of the last 24 hours' budget; None where there is none."""
    if limits.per_day is None:
        return None
    return max(0, _left(limits.per_day, spent.tens, spent.claimed, DAY + DAY_SPAN, now))


def room_again(limits: Limits, spent: Spent, next_at: datetime | None, now: datetime) -> datetime:
    """The earliest moment at which there is room for another mail; `now` where there is some."""
    moments = [now]
    if limits.per_minute is not None:
        moments.append(_free_at(limits.per_minute, spent.seconds, spent.claimed, MINUTE + SECOND_SPAN, now))
        if next_at is not None and next_at - now <= MINUTE:
            moments.append(next_at)
    if limits.per_day is not None:
        moments.append(_free_at(limits.per_day, spent.tens, spent.claimed, DAY + DAY_SPAN, now))
    return max(moments)


def next_pace(limits: Limits, count: int, next_at: datetime | None, now: datetime) -> datetime | None:
    """When the next mail is due after `count` were claimed, so that they are spread evenly over the minute."""
    if limits.per_minute is None:
        return None
    return _pace_from(limits.per_minute, next_at, now) + count * _spacing(limits.per_minute)


def begin_of_span(moment: datetime, span: timedelta) -> datetime:
    """The beginning of the span a moment lies in, counted from 1970."""
    seconds = int(span.total_seconds())
    return datetime.fromtimestamp(moment.timestamp() // seconds * seconds, moment.tzinfo)


def _left(limit: int, spans: Sequence[tuple[datetime, int]], claimed: int, window: timedelta, now: datetime) -> int:
    return limit - claimed - sum(count for began, count in spans if began > now - window)


def _free_at(
    limit: int, spans: Sequence[tuple[datetime, int]], claimed: int, window: timedelta, now: datetime
) -> datetime:
    over = 1 - _left(limit, spans, claimed, window, now)
    for began, count in spans:
        if over <= 0:
            break
        if began > now - window:
            over -= count
            if over <= 0:
                return began + window
    # What is claimed is offered or given back soon; nobody knows when.
    return now if over <= 0 else now + SECOND_SPAN


def _spacing(per_minute: int) -> timedelta:
    return MINUTE / per_minute


def _pace_from(per_minute: int, next_at: datetime | None, now: datetime) -> datetime:
    """What was not used of the last second, or of the time between two mails, is not lost; what is older is."""
    earliest = now - max(_spacing(per_minute), SECOND_SPAN)
    # Further off than a minute it was written by a clock that has been set back since.
    if next_at is None or next_at - now > MINUTE:
        return earliest
    return max(next_at, earliest)


def _by_pace(per_minute: int, next_at: datetime | None, now: datetime) -> int:
    begin = _pace_from(per_minute, next_at, now)
    return 0 if begin > now else int((now - begin) / _spacing(per_minute)) + 1


# What people type.


class Unusable(ValueError):  # noqa: N818 (it is what was typed)
    """What was typed cannot be used; the text is a sentence that says what to type instead."""


LONGEST_HOST = 253
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def has_controls(text: str) -> bool:
    """Whether a text holds line breaks or other control characters."""
    return bool(_CONTROLS.search(text))


def checked_host(typed: str) -> str:
    """A host name or IP address as it is stored, in lower case and letters any resolver takes; raises Unusable."""
    host = typed.strip(" ")
    if not host:
        raise Unusable("Say which host takes the mails, such as smtp.example.com.")
    if "://" in host:
        raise Unusable("Only the name of the host, such as smtp.example.com, without anything before it.")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        return str(ip_address(bare))
    except ValueError:
        pass
    try:
        name = host.encode("idna").decode("ascii").lower().removesuffix(".") if not has_controls(host) else ""
    except UnicodeError:
        name = ""
    if len(name) > LONGEST_HOST or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise Unusable("That is no name of a host: letters, digits, dots and hyphens, such as smtp.example.com.")
    return name


def is_loopback(host: str) -> bool:
    """Whether a host is this machine itself, by its name or address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def address_of(host: str, port: int) -> str:
    """Host and port as people read them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def url_of(security: Security, host: str, port: int, username: str, password: str) -> str:
    """The SMTP URL of a relay, as PORTAL_SMTP_URL has it. Holds the password: for the sending process alone."""
    login = f"{quote(username, safe='')}:{quote(password, safe='')}@" if username else ""
    return f"{SCHEMES[security]}://{login}{address_of(host, port)}"
