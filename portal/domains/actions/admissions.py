"""Who is admitted: which companies may sign in on a portal domain, and which have their home there."""

from datetime import datetime

from sqlalchemy import delete, select

from portal import events
from portal.accounts.models import Company
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.domains.models import Admission, AreaOverride, PortalDomain
from portal.errors import RuleViolation
from portal.extensions import db


def admit(company: Company, domain: PortalDomain, *, is_home: bool, by: Actor, now: datetime) -> None:
    """Let the people of a company sign in on a domain; its home is where its links lead. Twice is harmless.

    A company whose home moves may go on signing in on the old one, so links it has been sent keep working.
    """
    admission = db.session.scalars(
        select(Admission).where(Admission.company_id == company.id, Admission.domain_id == domain.id)
    ).one_or_none()
    old_home = db.session.scalars(
        select(Admission).where(Admission.company_id == company.id, Admission.is_home)
    ).one_or_none()
    if admission is not None and (admission.is_home or not is_home):
        return
    if is_home and old_home is not None:
        old_home.is_home = False
        db.session.flush()
    if admission is None:
        admission = Admission(company_id=company.id, domain_id=domain.id)
        db.session.add(admission)
    admission.is_home = is_home
    db.session.flush()
    events.ring(events.company_topic(company.id), events.STAFF)
    audit.record(
        "portal.admit",
        object_kind="portal",
        object_id=domain.id,
        company_id=company.id,
        by=by,
        now=now,
        before={"home_id": old_home.domain_id if old_home else None} if is_home else None,
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
