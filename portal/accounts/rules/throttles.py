"""How often something may be tried: token buckets with the figures of reliability-security section 5.

A bucket holds `capacity` tries and fills again evenly within `period`. So a burst is possible once, the pace after it
is slow, and nobody is ever shut out for good.
"""

import ipaddress
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from portal.accounts.rules import text_key

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Throttle(StrEnum):
    """What is counted, and by whom."""

    SIGN_IN_BY_ADDRESS = "sign-in:ip"
    SIGN_IN_BY_ACCOUNT = "sign-in:account"
    SIGN_IN_BY_ACCOUNT_DAILY = "sign-in:account:day"
    RESET_BY_ADDRESS = "reset:ip"
    RESET_BY_ACCOUNT = "reset:account"
    SECOND_FACTOR = "second-factor:account"
    EMAIL_CHANGE = "email-change:account"
    API_FAILURE_BY_ADDRESS = "api-failure:ip"


@dataclass(frozen=True)
class Limit:
    """So many tries at once, and so many again within each period."""

    capacity: int
    period: timedelta

    @property
    def per_second(self) -> float:
        return self.capacity / self.period.total_seconds()


LIMITS: dict[str, Limit] = {
    Throttle.SIGN_IN_BY_ADDRESS: Limit(20, HOUR),
    Throttle.SIGN_IN_BY_ACCOUNT: Limit(10, HOUR),
    Throttle.SIGN_IN_BY_ACCOUNT_DAILY: Limit(20, DAY),
    Throttle.RESET_BY_ADDRESS: Limit(20, HOUR),
    Throttle.RESET_BY_ACCOUNT: Limit(3, HOUR),
    Throttle.SECOND_FACTOR: Limit(96, DAY),
    Throttle.EMAIL_CHANGE: Limit(10, DAY),
    Throttle.API_FAILURE_BY_ADDRESS: Limit(60, HOUR),
}
"""Sign-ins count only when they fail, so that an office behind one address can start its day."""


@dataclass(frozen=True)
class Level:
    """What is left in a bucket at a moment, between 0 and its capacity."""

    tokens: float
    at: datetime


def filled(limit: Limit, level: Level | None, now: datetime) -> float:
    """The tries left now; all of them where nothing was ever taken. A clock that steps back fills nothing."""
    if level is None:
        return limit.capacity
    passed = max(0.0, (now - level.at).total_seconds())
    return min(float(limit.capacity), level.tokens + passed * limit.per_second)


def seconds_until_one(limit: Limit, tokens: float) -> int:
    """Whole seconds until one more try is possible, for Retry-After; 0 when one is possible now."""
    return max(0, math.ceil((1 - tokens) / limit.per_second))


def full_at(limit: Limit, tokens: float, now: datetime) -> datetime:
    """When nothing will be missing any more, so that the bucket need not be remembered."""
    return now + timedelta(seconds=(limit.capacity - tokens) / limit.per_second)


def ip_subject(address: str | None) -> str:
    """Whom an IP address stands for: itself, or for IPv6 its /64, of which anybody may take as many as they like."""
    try:
        ip = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return address or "unknown"
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            return str(ip.ipv4_mapped)
        return str(ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)


def account_subject(email: str) -> str:
    """Whom an e-mail address signs in, however it was typed."""
    return text_key(email)


def mailbox_subject(email: str) -> str:
    """The mailbox an address most likely ends in: without the dots and the +tag by which one person has a thousand."""
    local, at, domain = text_key(email).rpartition("@")
    return f"{local.partition('+')[0].replace('.', '')}{at}{domain}"
