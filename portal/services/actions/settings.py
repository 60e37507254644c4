"""What is usual of service statuses in this installation, and what customers of a portal domain see of them."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from portal import events
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.catalogue.models import Service
from portal.domains.models import PortalDomain
from portal.domains.queries import is_admitted
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.services.actions.clockwork import reckon_anew
from portal.services.models import ServiceSettings, ServiceView
from portal.services.queries.settings import DIGEST_OVER, REMINDER, settings
from portal.services.rules import TARGETS, ServiceStatus

DIGEST_AT_MOST = 100
REMINDER_AT_MOST = timedelta(days=30)
TARGET_AT_MOST = timedelta(days=60)

SHOWN = ("shows_notes", "shows_history", "shows_tickets", "shows_end_times")
"""What of its services a company sees or does not, beside which ones."""


def change_settings(
    *,
    digest_over: int,
    reminder: timedelta,
    targets: Mapping[ServiceStatus, timedelta],
    version: int,
    by: Actor,
    now: datetime,
) -> None:
    """Have statuses be told so from now on. `version` is that of `queries.settings`, 0 while nobody changed anything.

    RuleViolation names the field: `digest_over`, `reminder`, or a status's value for its target.
    """
    if not 1 <= digest_over <= DIGEST_AT_MOST:
        raise RuleViolation(f"Between 1 and {DIGEST_AT_MOST} services.", "digest_over")
    if not timedelta() <= reminder <= REMINDER_AT_MOST:
        raise RuleViolation(f"Between 0 and {REMINDER_AT_MOST.days} days ahead.", "reminder")
    for status, target in targets.items():
        if not timedelta(seconds=1) <= target <= TARGET_AT_MOST:
            raise RuleViolation(f"Between a minute and {TARGET_AT_MOST.days} days.", status.value)
    before = settings()
    row = settings_row(version)
    kept = {status.value: round(target.total_seconds()) for status, target in targets.items()}
    after = {
        "digest_over": digest_over,
        "reminder_minutes": round(reminder.total_seconds() / 60),
        "targets": {status.value: kept.get(status.value, round(TARGETS[status].total_seconds())) for status in TARGETS},
    }
    was = {
        "digest_over": before.digest_over,
        "reminder_minutes": round(before.reminder.total_seconds() / 60),
        "targets": {status.value: round(before.targets[status].total_seconds()) for status in TARGETS},
    }
    if after == was:
        return
    for name, value in after.items():
        setattr(row, name, value)
    db.session.flush()
    if after["reminder_minutes"] != was["reminder_minutes"]:
        reckon_anew(now)
    events.ring(events.STAFF)
    audit.record(
        "service_settings.edit",
        object_kind="service_settings",
        object_id=row.id,
        by=by,
        now=now,
        before=was,
        after=after,
    )


def settings_row(version: int) -> ServiceSettings:
    """The one row, made where there is none; StaleEdit when it is not the version that was looked at."""
    row = db.session.scalars(select(ServiceSettings).order_by(ServiceSettings.id).limit(1)).one_or_none()
    if row is not None:
        if row.version != version:
            raise StaleEdit
        return row
    if version:
        raise StaleEdit
    made = ServiceSettings(
        id=1, digest_over=DIGEST_OVER, reminder_minutes=round(REMINDER.total_seconds() / 60), targets={}
    )
    _add(made)
    return made


def set_view(
    domain: PortalDomain,
    company_id: int | None,
    *,
    hidden_services: Collection[int],
    shows: Mapping[str, bool],
    version: int,
    by: Actor,
    now: datetime,
) -> None:
    """Have customers of this domain, or of one company there, see this of their services from now on.

    `shows` says of each of SHOWN whether it is shown. A company with a view of its own no longer follows the domain's.
    `version` is that of the view that is replaced, 0 where there is none yet. Rings whoever sees it.
    """
    if company_id is not None and not is_admitted(company_id, domain.id):
        raise RuleViolation(f"This company does not use {domain.host}, so there is nothing to except.")
    hidden = sorted(set(hidden_services))
    known = set(db.session.scalars(select(Service.id).where(Service.id.in_(hidden))))
    if known != set(hidden):
        raise RuleViolation("One of these services no longer exists. Load the page again.", "services")
    row = _view_row(domain.id, company_id)
    if (row.version if row else 0) != version:
        raise StaleEdit
    after: dict[str, Any] = {"hidden_services": hidden, **{name: bool(shows[name]) for name in SHOWN}}
    before = _seen(row) if row else None
    if before == after:
        return
    if row is None:
        row = ServiceView(domain_id=domain.id, company_id=company_id, **after)
        _add(row)
    else:
        for name, value in after.items():
            setattr(row, name, value)
        db.session.flush()
    _told(domain, company_id, "service_view.edit", before, after, by=by, now=now)


def remove_view(domain: PortalDomain, company_id: int, *, version: int, by: Actor, now: datetime) -> None:
    """Have the company follow what is set for its domain again."""
    row = _view_row(domain.id, company_id)
    if row is None or row.version != version:
        raise StaleEdit
    before = _seen(row)
    db.session.delete(row)
    db.session.flush()
    _told(domain, company_id, "service_view.remove", before, None, by=by, now=now)


def _view_row(domain_id: int, company_id: int | None) -> ServiceView | None:
    is_whose = ServiceView.company_id.is_(None) if company_id is None else ServiceView.company_id == company_id
    return db.session.scalars(select(ServiceView).where(ServiceView.domain_id == domain_id, is_whose)).one_or_none()


def _add(row: ServiceSettings | ServiceView) -> None:
    """Add a row of which there may be one; StaleEdit when somebody else has just added it."""
    try:
        with db.session.begin_nested():
            db.session.add(row)
            db.session.flush()
    except IntegrityError as taken:
        raise StaleEdit from taken


def _seen(row: ServiceView) -> dict[str, Any]:
    return {"hidden_services": list(row.hidden_services), **{name: getattr(row, name) for name in SHOWN}}


def _told(
    domain: PortalDomain,
    company_id: int | None,
    action: str,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    *,
    by: Actor,
    now: datetime,
) -> None:
    seen_by = events.public_topic(domain.id) if company_id is None else events.company_topic(company_id)
    events.ring(events.STAFF, seen_by)
    audit.record(
        action,
        object_kind="portal",
        object_id=domain.id,
        company_id=company_id,
        by=by,
        now=now,
        before=before,
        after=after,
    )
