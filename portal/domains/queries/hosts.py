"""The names of portal domains."""

from collections.abc import Sequence

from sqlalchemy import select

from portal.domains.models import PortalDomain, PortalHost
from portal.extensions import db


def hosts_of(domain: PortalDomain) -> Sequence[PortalHost]:
    """Every name of the domain, its main one first, then as they were added. One query; there are few."""
    found = db.session.scalars(
        select(PortalHost).where(PortalHost.domain_id == domain.id).order_by(PortalHost.id)
    ).all()
    return sorted(found, key=lambda each: (each.host != domain.host, each.id))


def host_to_check(host_id: int) -> tuple[str, str] | None:
    """A name and the base URL of its domain, as plain text; None when it was taken away."""
    found = db.session.execute(
        select(PortalHost.host, PortalDomain.base_url)
        .join(PortalDomain, PortalDomain.id == PortalHost.domain_id)
        .where(PortalHost.id == host_id)
    ).one_or_none()
    return (found.host, found.base_url) if found else None


def checks_wait() -> bool:
    """Whether any name waits to be asked."""
    return db.session.scalar(select(PortalHost.id).where(PortalHost.check_wanted_at.is_not(None)).limit(1)) is not None
