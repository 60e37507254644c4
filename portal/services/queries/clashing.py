"""What else a company has while planned work is on: scheduled service at that time, and what is broken already.

For whoever plans the work.
"""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select

from portal.accounts.models import Company
from portal.catalogue.models import Service
from portal.catalogue.queries import company_reached_select
from portal.extensions import db
from portal.incidents.models import IncidentComponent
from portal.incidents.queries import open_incident_heads
from portal.incidents.rules import Severity
from portal.services.models import ServiceWindow, WindowHolding
from portal.services.rules import WindowState

INCIDENTS_ASKED = 5
"""How many of the open incidents, the worst first, are looked at."""


class Scheduled(NamedTuple):
    """Scheduled service of a company: its window, and on how many services, one of them by name."""

    company_id: int
    company: str
    window_id: int
    starts_at: datetime
    ends_at: datetime
    service: str
    services: int


def scheduled_meanwhile(
    component_ids: Collection[int], starts_at: datetime, ends_at: datetime, now: datetime, limit: int
) -> list[Scheduled]:
    """Windows that lie over this time, of companies these components reach now, by company; at most `limit`.

    One query.
    """
    inside = WindowHolding
    found = db.session.execute(
        select(
            Company.id,
            Company.name,
            ServiceWindow.id,
            ServiceWindow.starts_at,
            ServiceWindow.ends_at,
            func.min(Service.name),
            func.count(inside.service_id.distinct()),
        )
        .join(inside, inside.window_id == ServiceWindow.id)
        .join(Company, Company.id == inside.company_id)
        .join(Service, Service.id == inside.service_id)
        .where(
            ServiceWindow.state.not_in([WindowState.CANCELLED, WindowState.ENDED]),
            ServiceWindow.confirmed_at.is_(None),
            ServiceWindow.starts_at < ends_at,
            ServiceWindow.ends_at > starts_at,
            ServiceWindow.ends_at > now,
            inside.left_at.is_(None),
            inside.company_id.in_(company_reached_select(component_ids, now)),
        )
        .group_by(Company.id, Company.name, Company.name_key, ServiceWindow.id)
        .order_by(Company.name_key, ServiceWindow.starts_at)
        .limit(limit)
    )
    return [Scheduled(*row) for row in found]


class Troubled(NamedTuple):
    """A company that an open incident hits."""

    company_id: int
    company: str
    incident_id: int
    title: str
    started_at: datetime


def troubled_now(component_ids: Collection[int], now: datetime, limit: int) -> list[Troubled]:
    """Which of the companies that these components reach the worst open incidents hit, the first `limit` of each.

    At most two queries and one for each of the INCIDENTS_ASKED incidents.
    """
    heads = open_incident_heads(INCIDENTS_ASKED)
    if not heads:
        return []
    hit: dict[int, list[int]] = {}
    standing = select(IncidentComponent.incident_id, IncidentComponent.component_id).where(
        IncidentComponent.incident_id.in_([each.id for each in heads]), IncidentComponent.severity != Severity.NONE
    )
    for incident_id, component_id in db.session.execute(standing):
        hit.setdefault(incident_id, []).append(component_id)
    return [
        Troubled(company_id, name, each.id, each.title, each.started_at)
        for each in heads
        if each.id in hit
        for company_id, name in db.session.execute(
            select(Company.id, Company.name)
            .where(
                Company.id.in_(company_reached_select(hit[each.id], now)),
                Company.id.in_(company_reached_select(component_ids, now)),
            )
            .order_by(Company.name_key)
            .limit(limit)
        )
    ]
