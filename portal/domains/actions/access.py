"""What customers can use: the switches of a portal domain, and the exceptions from them."""

from collections.abc import Iterable
from datetime import datetime
from types import EllipsisType

from sqlalchemy import delete, select

from portal import events
from portal.accounts.models import Company
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.domains.models import AreaOverride, PortalDomain
from portal.domains.queries import is_admitted
from portal.domains.rules import PER_COMPANY, Area
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db


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
    domain: PortalDomain,
    company: Company,
    area: Area,
    is_open: bool | None,
    *,
    by: Actor,
    now: datetime,
    was: bool | EllipsisType | None = ...,
) -> None:
    """Open or close one area for one company on this domain; None takes the exception away again.

    `was` is what stood there when this was decided, if that matters: StaleEdit when something else does by now.
    """
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
    if was is not ... and was is not before:
        raise StaleEdit
    if before is is_open:
        return
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
