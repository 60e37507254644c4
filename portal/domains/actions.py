"""The only writers of portal domains, their areas, and who is admitted."""

import re
from collections.abc import Iterable
from datetime import datetime
from urllib.parse import urlsplit

from sqlalchemy import delete, select

from portal import events
from portal.accounts.models import Company
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.domains.models import Admission, AreaOverride, PortalDomain
from portal.domains.rules import PER_COMPANY, Area, normal_host
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db

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
    parts = urlsplit(base_url.strip())
    host = normal_host(parts.netloc)
    if parts.scheme not in {"http", "https"} or not host or parts.path not in {"", "/"}:
        raise RuleViolation("The address must look like https://status.example.com.", "base_url")
    if db.session.scalar(select(PortalDomain.id).where(PortalDomain.host == host)):
        raise RuleViolation(f"{host} is already a portal domain.", "base_url")
    if not _ACCENT.fullmatch(accent.lower()):
        raise RuleViolation("The colour must be written like #2457d6.", "accent")
    if not 1 <= len(brand.strip()) <= 100:
        raise RuleViolation("Give the brand a name of at most 100 characters.", "brand")
    domain = PortalDomain(
        host=host,
        base_url=f"{parts.scheme}://{parts.netloc.lower()}",
        brand=" ".join(brand.split()),
        accent=accent.lower(),
        support_email=support_email,
        support_phone=support_phone,
        language=language,
        time_zone=time_zone,
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
        after={"host": host, "areas": domain.areas},
    )
    return domain


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
