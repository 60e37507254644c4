"""Portal domains and their access areas: what may be shown where, and what an address may look like."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import urlsplit


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


BUILT_AREAS = (Area.STATUS, Area.PUBLIC_STATUS, Area.SERVICES, Area.JOBS, Area.QUOTES, Area.MESSAGES, Area.ALERTS)
"""The areas that have screens so far, in the order the switches stand; the others join as they are built."""

PER_COMPANY = frozenset(Area) - {Area.PUBLIC_STATUS}
"""Areas that can be overridden for one company; the public page has no company to ask for."""


class AreaWords(NamedTuple):
    """What staff read of an area: its name, and one sentence about what appears when it is open."""

    name: str
    sentence: str


AREA_WORDS: dict[Area, AreaWords] = {
    Area.STATUS: AreaWords(
        "Status",
        "The status page, outage banners and incident mails, for customers who are signed in.",
    ),
    Area.PUBLIC_STATUS: AreaWords(
        "Public status",
        "The same status page for everybody who knows the address, without signing in.",
    ),
    Area.SERVICES: AreaWords(
        "Services",
        "Each customer’s own services with their references, and how each of them is right now.",
    ),
    Area.JOBS: AreaWords("Jobs", "Each customer’s jobs with their public status, and booking new ones."),
    Area.QUOTES: AreaWords("Quotes", "Each customer’s quotes, to read, accept or decline."),
    Area.MESSAGES: AreaWords("Messages", "Writing to and fro with your staff about jobs, quotes and anything else."),
    Area.ALERTS: AreaWords(
        "Alerts", "Each customer’s figures and calls, thresholds on them, and the notices they raise."
    ),
    Area.TICKETS: AreaWords("Tickets", "Reporting a problem, and following what becomes of it."),
    Area.CHAT: AreaWords("Chat", "A live conversation with your staff, from every page."),
}


def area_is_open(area: Area, domain_areas: frozenset[Area], overrides: Mapping[Area, bool]) -> bool:
    """Whether an area is open: the company's override if there is one, else the portal domain's switch."""
    if area in PER_COMPANY and area in overrides:
        return overrides[area]
    return area in domain_areas


_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_PORT = re.compile(r":[0-9]{1,5}\Z")
DEFAULT_PORTS = {"http": 80, "https": 443}


def normal_host(raw: str) -> str:
    """A Host header or a typed host name as it is compared: lower case, without port and final dot.

    Returns "" for anything that is no host name: user info, spaces, an address in brackets, letters beyond ASCII
    (an international name is compared as browsers send it, in its xn-- form).
    """
    bare = raw.strip()
    if not bare.isascii():
        return ""
    host = _PORT.sub("", bare.lower()).removesuffix(".")
    return host if len(host) <= 253 and _HOST.fullmatch(host) else ""


class Address(NamedTuple):
    """Where a portal domain is reached: the start of every link to it, and its host as it is compared."""

    base_url: str
    host: str


def normal_address(raw: str) -> Address | None:
    """The address people typed, as scheme, host and port and nothing else; https where they left the scheme out.

    None for what is no such address: another scheme, user info, a path, a query, an impossible port.
    """
    typed = raw.strip()
    try:
        parts = urlsplit(typed if "://" in typed else f"https://{typed}")
        port = parts.port
    except ValueError:
        return None
    host = normal_host(parts.netloc)
    has_more = parts.path not in {"", "/"} or parts.query or parts.fragment or any(char.isspace() for char in typed)
    if parts.scheme not in DEFAULT_PORTS or not host or has_more or port == 0:
        return None
    shown_port = "" if port in {None, DEFAULT_PORTS[parts.scheme]} else f":{port}"
    return Address(f"{parts.scheme}://{host}{shown_port}", host)
