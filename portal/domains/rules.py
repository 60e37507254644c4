"""Portal domains and their access areas: what may be shown where, and what an address may look like."""

import re
from collections.abc import Mapping
from enum import StrEnum


class Area(StrEnum):
    """An access area: a part of the portal that a portal domain shows or does not."""

    STATUS = "status"
    PUBLIC_STATUS = "public_status"
    SERVICES = "services"
    JOBS = "jobs"
    QUOTES = "quotes"
    MESSAGES = "messages"
    ALERTS = "alerts"
    TICKETS = "tickets"
    CHAT = "chat"


BUILT_AREAS = (Area.STATUS, Area.PUBLIC_STATUS, Area.SERVICES)
"""The areas that have screens so far, in the order the switches stand; the others join as they are built."""

PER_COMPANY = frozenset(Area) - {Area.PUBLIC_STATUS}
"""Areas that can be overridden for one company; the public page has no company to ask for."""


def area_is_open(area: Area, domain_areas: frozenset[Area], overrides: Mapping[Area, bool]) -> bool:
    """Whether an area is open: the company's override if there is one, else the portal domain's switch."""
    if area in PER_COMPANY and area in overrides:
        return overrides[area]
    return area in domain_areas


_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


def normal_host(raw: str) -> str:
    """A Host header or a typed host name as it is compared: lower case, without port and final dot.

    Returns "" for anything that is no host name (user info, spaces, an address in brackets).
    """
    host = raw.strip().lower().rpartition(":")[0] if re.fullmatch(r".*:\d{1,5}", raw.strip()) else raw.strip().lower()
    host = host.removesuffix(".")
    return host if len(host) <= 253 and _HOST.fullmatch(host) else ""
