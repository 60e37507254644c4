"""Portal domains: where they are reached, how they look, and how customers reach a human."""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from sqlalchemy import delete, select

from portal import events
from portal.accounts.actions import end_session
from portal.accounts.models import Session
from portal.accounts.rules import is_email, one_line
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.domains.actions.hosts import host_is_taken, move_main_host
from portal.domains.models import AreaOverride, PortalDomain, PortalHost
from portal.domains.queries.admissions import homes_on, what_hangs_on
from portal.domains.rules import Address, Area, normal_address
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.language import LANGUAGES

SEEN = (
    "base_url",
    "brand",
    "tagline",
    "accent",
    "language",
    "time_zone",
    "support_email",
    "support_phone",
    "support_hours",
    "help_url",
)
"""What of a domain the audit trail remembers beside its areas and wordings."""

NAMED_AT_MOST = 5
"""How many companies a refusal names; the rest is a number."""

_ACCENT = re.compile(r"#[0-9a-f]{6}")
_PHONE = re.compile(r"\+?[0-9][0-9 ()./-]*")


def add_domain(
    base_url: str,
    brand: str,
    *,
    areas: Iterable[Area],
    by: Actor,
    now: datetime,
    accent: str = "#2457d6",
    language: str = "en",
    time_zone: str = "Europe/London",
    support_email: str | None = None,
    support_phone: str | None = None,
    support_hours: str | None = None,
    help_url: str | None = None,
    tagline: str | None = None,
) -> PortalDomain:
    """Add a portal domain with just these areas open. `base_url` is its address as customers type it."""
    address = _address(base_url)
    if host_is_taken(address.host):
        raise RuleViolation(f"{address.host} is already a name of a portal domain.", "base_url")
    domain = PortalDomain(
        host=address.host,
        base_url=address.base_url,
        brand=_brand(brand),
        tagline=_line(tagline, 160, "tagline"),
        accent=_accent(accent),
        support_email=_email(support_email),
        support_phone=_phone(support_phone),
        support_hours=_line(support_hours, 120, "support_hours"),
        help_url=_help_url(help_url),
        language=_language(language),
        time_zone=_time_zone(time_zone),
        areas=sorted(areas),
        wordings={},
        created_at=now,
    )
    db.session.add(domain)
    db.session.flush()
    db.session.add(PortalHost(domain_id=domain.id, host=domain.host, created_at=now))
    db.session.flush()
    audit.record(
        "portal.add",
        object_kind="portal",
        object_id=domain.id,
        by=by,
        now=now,
        after=_seen(domain) | {"areas": domain.areas},
    )
    return domain


def edit_domain(
    domain: PortalDomain,
    base_url: str,
    brand: str,
    *,
    accent: str,
    language: str,
    time_zone: str,
    support_email: str | None,
    support_phone: str | None,
    version: int,
    by: Actor,
    now: datetime,
    support_hours: str | None = None,
    help_url: str | None = None,
    tagline: str | None = None,
) -> None:
    """Change where a portal domain is reached and how it looks: every field as it should be.

    A main name that is replaced stays with the domain and leads to the new one, so links already sent keep working.
    """
    if domain.version != version:
        raise StaleEdit
    before = _seen(domain)
    address = _address(base_url)
    if host_is_taken(address.host, other_than=domain.id):
        raise RuleViolation(f"{address.host} is already a name of a portal domain.", "base_url")
    after = {
        "base_url": address.base_url,
        "brand": _brand(brand),
        "tagline": _line(tagline, 160, "tagline"),
        "accent": _accent(accent),
        "language": _language(language),
        "time_zone": _time_zone(time_zone),
        "support_email": _email(support_email),
        "support_phone": _phone(support_phone),
        "support_hours": _line(support_hours, 120, "support_hours"),
        "help_url": _help_url(help_url),
    }
    if before == after:
        return
    if address.host != domain.host:
        move_main_host(domain, address.host, now=now)
    for name, value in after.items():
        setattr(domain, name, value)
    db.session.flush()
    events.ring(events.public_topic(domain.id), events.STAFF)
    audit.record("portal.edit", object_kind="portal", object_id=domain.id, by=by, now=now, before=before, after=after)


def remove_domain(domain: PortalDomain, *, version: int, by: Actor, now: datetime) -> None:
    """Take a portal domain away with its names, exceptions and admissions; its sessions end.

    Refused while it is the home of any company, archived ones included: their links would lead nowhere.
    """
    if domain.version != version:
        raise StaleEdit
    homes = homes_on(domain.id, NAMED_AT_MOST)
    if homes.total:
        more = homes.total - len(homes.names)
        named = ", ".join(homes.names) + (f" and {more:,} more" if more else "")
        raise RuleViolation(f"{domain.brand} is the home of {named}. Give them another home first.")
    before = _seen(domain) | {"areas": domain.areas, "wordings": domain.wordings, **what_hangs_on(domain.id)._asdict()}
    open_sessions = select(Session.id).where(Session.host == domain.host, Session.revoked_at.is_(None))
    for session_id in db.session.scalars(open_sessions.where(Session.company_id.is_not(None))).all():
        end_session(session_id, by=by, now=now)
    domain_id = domain.id
    for table in (AreaOverride, PortalHost):
        db.session.execute(delete(table).where(table.domain_id == domain_id))
    db.session.delete(domain)
    db.session.flush()
    events.ring(events.public_topic(domain_id), events.STAFF)
    audit.record("portal.remove", object_kind="portal", object_id=domain_id, by=by, now=now, before=before)


def _address(raw: str) -> Address:
    address = normal_address(raw)
    if address is None:
        advice = "" if raw.isascii() else " Write an international name in its xn-- form."
        raise RuleViolation(f"The address must look like https://status.example.com.{advice}", "base_url")
    return address


def _brand(brand: str) -> str:
    brand = one_line(brand)
    if not 1 <= len(brand) <= 100:
        raise RuleViolation("Give the brand a name of at most 100 characters.", "brand")
    return brand


def _accent(accent: str) -> str:
    accent = accent.strip().lower()
    if not _ACCENT.fullmatch(accent):
        raise RuleViolation("The colour must be written like #2457d6.", "accent")
    return accent


def _language(language: str) -> str:
    if language not in LANGUAGES:
        raise RuleViolation("Choose one of the languages in the list.", "language")
    return language


def _time_zone(time_zone: str) -> str:
    if time_zone not in available_timezones():
        raise RuleViolation("Choose one of the time zones in the list.", "time_zone")
    return time_zone


def _line(text: str | None, length: int, field: str) -> str | None:
    line = one_line(text or "")
    if len(line) > length:
        raise RuleViolation(f"This has at most {length} characters.", field)
    return line or None


def _email(email: str | None) -> str | None:
    line = _line(email, 254, "support_email")
    if line and not is_email(line):
        raise RuleViolation("That is not an e-mail address.", "support_email")
    return line


def _phone(phone: str | None) -> str | None:
    line = _line(phone, 40, "support_phone")
    if line and not _PHONE.fullmatch(line):
        raise RuleViolation("Write the number with digits, such as +44 20 7946 0000.", "support_phone")
    return line


def _help_url(url: str | None) -> str | None:
    """A link for people to follow, never fetched from here: http or https, a host, and nothing to mislead with."""
    line = _line(url, 300, "help_url")
    if not line:
        return None
    refusal = RuleViolation("The help page must look like https://help.example.com/start.", "help_url")
    try:
        parts = urlsplit(line)
        host = normal_address(f"{parts.scheme}://{parts.netloc}")
    except ValueError:
        raise refusal from None
    if host is None or "\\" in line or any(char.isspace() for char in line):
        raise refusal
    return line


def _seen(domain: PortalDomain) -> dict[str, Any]:
    return {name: getattr(domain, name) for name in SEEN}
