"""The only writers of portal domains, their areas, and who is admitted."""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from zoneinfo import available_timezones

from sqlalchemy import delete, select

from portal import events
from portal.accounts.models import Company
from portal.accounts.rules import is_email, one_line
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.domains.models import Admission, AreaOverride, PortalDomain
from portal.domains.queries import is_admitted
from portal.domains.rules import PER_COMPANY, Address, Area, normal_address
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.language import LANGUAGES

_ACCENT = re.compile(r"#[0-9a-f]{6}")


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
) -> PortalDomain:
    """Add a portal domain with just these areas open. `base_url` is its address as customers type it."""
    address = _address(base_url)
    domain = PortalDomain(
        host=address.host,
        base_url=address.base_url,
        brand=_brand(brand),
        accent=_accent(accent),
        support_email=_support(support_email, 254, "support_email"),
        support_phone=_support(support_phone, 40, "support_phone"),
        language=_language(language),
        time_zone=_time_zone(time_zone),
        areas=sorted(areas),
        created_at=now,
    )
    db.session.add(domain)
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
) -> None:
    """Change where a portal domain is reached and how it looks. Links already sent keep the old address."""
    if domain.version != version:
        raise StaleEdit
    before = _seen(domain)
    address = _address(base_url, other_than=domain.id)
    after = {
        "base_url": address.base_url,
        "brand": _brand(brand),
        "accent": _accent(accent),
        "language": _language(language),
        "time_zone": _time_zone(time_zone),
        "support_email": _support(support_email, 254, "support_email"),
        "support_phone": _support(support_phone, 40, "support_phone"),
    }
    if before == after:
        return
    domain.host = address.host
    for name, value in after.items():
        setattr(domain, name, value)
    db.session.flush()
    events.ring(events.public_topic(domain.id), events.STAFF)
    audit.record("portal.edit", object_kind="portal", object_id=domain.id, by=by, now=now, before=before, after=after)


def admit(company: Company, domain: PortalDomain, *, is_home: bool, by: Actor, now: datetime) -> None:
    """Let the people of a company sign in on a domain; its home is where its links lead. Twice is harmless."""
    admission = db.session.scalars(
        select(Admission).where(Admission.company_id == company.id, Admission.domain_id == domain.id)
    ).one_or_none()
    if is_home:
        for other in db.session.scalars(select(Admission).where(Admission.company_id == company.id, Admission.is_home)):
            other.is_home = False
        db.session.flush()
    if admission is None:
        admission = Admission(company_id=company.id, domain_id=domain.id)
        db.session.add(admission)
    admission.is_home = is_home or bool(admission.is_home)
    db.session.flush()
    audit.record(
        "portal.admit",
        object_kind="portal",
        object_id=domain.id,
        company_id=company.id,
        by=by,
        now=now,
        after={"is_home": is_home},
    )


def dismiss(company: Company, domain: PortalDomain, *, by: Actor, now: datetime) -> None:
    """Let a company no longer use a domain; its exceptions there go too. Its home stays until another is chosen."""
    admission = db.session.scalars(
        select(Admission).where(Admission.company_id == company.id, Admission.domain_id == domain.id)
    ).one_or_none()
    if admission is None:
        return
    if admission.is_home:
        raise RuleViolation(f"{domain.host} is the home of {company.name}. Choose another home first.", "domain_id")
    db.session.delete(admission)
    db.session.execute(
        delete(AreaOverride).where(AreaOverride.domain_id == domain.id, AreaOverride.company_id == company.id)
    )
    db.session.flush()
    events.ring(events.company_topic(company.id), events.STAFF)
    audit.record("portal.dismiss", object_kind="portal", object_id=domain.id, company_id=company.id, by=by, now=now)


def set_areas(domain: PortalDomain, areas: Iterable[Area], *, version: int, by: Actor, now: datetime) -> None:
    """Open exactly these areas on the domain; it takes effect on the next request of everybody there."""
    if domain.version != version:
        raise StaleEdit
    before = list(domain.areas)
    domain.areas = sorted(areas)
    db.session.flush()
    events.ring(events.public_topic(domain.id), events.STAFF)
    audit.record(
        "portal.areas",
        object_kind="portal",
        object_id=domain.id,
        by=by,
        now=now,
        before={"areas": before},
        after={"areas": domain.areas},
    )


def set_override(
    domain: PortalDomain, company: Company, area: Area, is_open: bool | None, *, by: Actor, now: datetime
) -> None:
    """Open or close one area for one company on this domain; None takes the exception away again."""
    if not is_admitted(company.id, domain.id):
        raise RuleViolation(f"{company.name} does not use {domain.host}, so there is nothing to except.", "company_id")
    if area not in PER_COMPANY:
        raise RuleViolation("The public page is the same for everybody; it has no exceptions.", "area")
    matching = (
        AreaOverride.domain_id == domain.id,
        AreaOverride.company_id == company.id,
        AreaOverride.area == area,
    )
    override = db.session.scalars(select(AreaOverride).where(*matching)).one_or_none()
    before = None if override is None else override.is_open
    if is_open is None:
        db.session.execute(delete(AreaOverride).where(*matching))
    elif override is None:
        db.session.add(AreaOverride(domain_id=domain.id, company_id=company.id, area=area, is_open=is_open))
    else:
        override.is_open = is_open
    db.session.flush()
    events.ring(events.company_topic(company.id), events.STAFF)
    audit.record(
        "portal.override",
        object_kind="portal",
        object_id=domain.id,
        company_id=company.id,
        by=by,
        now=now,
        before={area: before},
        after={area: is_open},
    )


def _address(raw: str, other_than: int = 0) -> Address:
    address = normal_address(raw)
    if address is None:
        advice = "" if raw.isascii() else " Write an international name in its xn-- form."
        raise RuleViolation(f"The address must look like https://status.example.com.{advice}", "base_url")
    taken = select(PortalDomain.id).where(PortalDomain.host == address.host, PortalDomain.id != other_than)
    if db.session.scalar(taken):
        raise RuleViolation(f"{address.host} is already a portal domain.", "base_url")
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


def _support(text: str | None, length: int, field: str) -> str | None:
    text = one_line(text or "")
    if len(text) > length:
        raise RuleViolation(f"This has at most {length} characters.", field)
    if field == "support_email" and text and not is_email(text):
        raise RuleViolation("That is not an e-mail address.", field)
    return text or None


def _seen(domain: PortalDomain) -> dict[str, Any]:
    """What of a domain the audit trail remembers beside its areas."""
    return {
        name: getattr(domain, name)
        for name in ("base_url", "brand", "accent", "language", "time_zone", "support_email", "support_phone")
    }
