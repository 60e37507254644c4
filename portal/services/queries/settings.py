"""What is usual in this installation, and what customers may see of their services."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import Select, select

from portal.catalogue import hiding
from portal.domains.models import Admission
from portal.extensions import db
from portal.services.models import ServiceSettings, ServiceView
from portal.services.rules import TARGETS, ServiceStatus

DIGEST_OVER = 3
REMINDER = timedelta(hours=24)


@dataclass(frozen=True)
class Usual:
    """How service statuses are told here: `targets` by status, `reminder` ahead of scheduled service.

    `version` is 0 while nobody has changed anything.
    """

    digest_over: int = DIGEST_OVER
    reminder: timedelta = REMINDER
    targets: Mapping[ServiceStatus, timedelta] = field(default_factory=lambda: dict(TARGETS))
    is_assistant_open: bool = False
    version: int = 0


@dataclass(frozen=True)
class View:
    """What customers see of their services; `version` is 0 where everything is as usual: all of it."""

    hidden_services: frozenset[int] = frozenset()
    shows_notes: bool = True
    shows_history: bool = True
    shows_tickets: bool = True
    shows_end_times: bool = True
    version: int = 0


EVERYTHING = View()


def settings() -> Usual:
    """What is usual. One query."""
    row = db.session.scalars(select(ServiceSettings).order_by(ServiceSettings.id).limit(1)).one_or_none()
    if row is None:
        return Usual()
    own = {ServiceStatus(status): timedelta(seconds=seconds) for status, seconds in row.targets.items()}
    return Usual(
        digest_over=row.digest_over,
        reminder=timedelta(minutes=row.reminder_minutes),
        targets={**TARGETS, **own},
        is_assistant_open=row.is_assistant_open,
        version=row.version,
    )


def view_of(domain_id: int, company_id: int | None) -> View:
    """What a company sees on this portal domain: its own row, else that of the domain, else everything. One query.

    For None, what the domain's row says.
    """
    rows = db.session.scalars(
        select(ServiceView).where(
            ServiceView.domain_id == domain_id,
            ServiceView.company_id.is_(None) | (ServiceView.company_id == company_id),
        )
    )
    by_company = {row.company_id: _view(row) for row in rows}
    return by_company.get(company_id) or by_company.get(None) or EVERYTHING


def own_view(domain_id: int, company_id: int | None) -> View | None:
    """The view that is set for just this company on this domain, or (None) for the domain itself. One query."""
    is_whose = ServiceView.company_id.is_(None) if company_id is None else ServiceView.company_id == company_id
    row = db.session.scalars(select(ServiceView).where(ServiceView.domain_id == domain_id, is_whose)).one_or_none()
    return None if row is None else _view(row)


def views_of(company_ids: Collection[int]) -> dict[int, View]:
    """What each of these companies sees on its home domain. Two queries."""
    views = {(row.domain_id, row.company_id): _view(row) for row in db.session.scalars(_views_for(company_ids))}
    homes = db.session.execute(
        select(Admission.company_id, Admission.domain_id).where(
            Admission.is_home, Admission.company_id.in_(company_ids)
        )
    )
    domains: dict[int, int] = {each.company_id: each.domain_id for each in homes}
    found = {}
    for company_id in company_ids:
        domain_id = domains.get(company_id, 0)
        found[company_id] = views.get((domain_id, company_id)) or views.get((domain_id, None)) or EVERYTHING
    return found


@hiding.register
def hidden_from(company_ids: Collection[int]) -> dict[int, frozenset[int]]:
    """By company the services that it does not see at home. One query where nothing is hidden, else three."""
    rows = db.session.scalars(
        select(ServiceView.hidden_services).where(
            ServiceView.company_id.is_(None) | ServiceView.company_id.in_(company_ids)
        )
    )
    if not any(rows):
        return {}
    return {each: view.hidden_services for each, view in views_of(company_ids).items() if view.hidden_services}


def _views_for(company_ids: Collection[int]) -> Select[ServiceView]:
    return select(ServiceView).where(ServiceView.company_id.is_(None) | ServiceView.company_id.in_(company_ids))


def _view(row: ServiceView) -> View:
    return View(
        hidden_services=frozenset(row.hidden_services),
        shows_notes=row.shows_notes,
        shows_history=row.shows_history,
        shows_tickets=row.shows_tickets,
        shows_end_times=row.shows_end_times,
        version=row.version,
    )
