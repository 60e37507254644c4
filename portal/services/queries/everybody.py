"""What may be said of services to somebody who is not signed in: only what is true of everybody who has them."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select

from portal.accounts.models import Company
from portal.catalogue.models import Holding, Service
from portal.catalogue.queries import is_valid
from portal.domains.models import PortalDomain
from portal.extensions import db
from portal.services.models import ServiceUpdate, StatedPeriod
from portal.services.queries.settings import view_of
from portal.services.rules import Scope, ServiceStatus


class GlobalService(NamedTuple):
    """A service of every company with the problem that was stated for all of them, and since when."""

    name: str
    status: ServiceStatus
    since: datetime


def stated_for_all(domain_id: int, now: datetime) -> Sequence[GlobalService]:
    """The services of every company of which one problem was stated for all who hold them, worst first, without notes.

    One that holds for some only, or was stated for them one by one, is theirs, and so is what this portal domain does
    not show of services. Two queries.
    """
    hidden = view_of(domain_id, None).hidden_services
    live = (
        select(Holding.id, Holding.service_id)
        .join(Company, Company.id == Holding.company_id)
        .where(is_valid(Holding, now), Company.archived_at.is_(None))
        .subquery()
    )
    held = select(live.c.service_id, func.count().label("holdings")).group_by(live.c.service_id).subquery()
    hit = (
        select(
            live.c.service_id,
            StatedPeriod.status,
            func.count().label("holdings"),
            func.min(StatedPeriod.began_at).label("since"),
        )
        .join(StatedPeriod, StatedPeriod.holding_id == live.c.id)
        .join(ServiceUpdate, ServiceUpdate.id == StatedPeriod.update_id)
        .where(StatedPeriod.ended_at.is_(None), ServiceUpdate.scope == Scope.ALL)
        .group_by(live.c.service_id, StatedPeriod.status)
        .subquery()
    )
    found = db.session.execute(
        select(Service.name, hit.c.status, hit.c.since)
        .join(hit, hit.c.service_id == Service.id)
        .join(held, held.c.service_id == Service.id)
        .where(
            Service.is_global,
            Service.archived_at.is_(None),
            Service.id.not_in(hidden),
            hit.c.holdings == held.c.holdings,
        )
        .order_by(Service.position, Service.name_key)
    )
    services = [GlobalService(*row) for row in found]
    return sorted(services, key=lambda each: -each.status.rank)


def told_to_all(domain: PortalDomain) -> list[tuple[int, str]]:
    """The services everybody signed out may be told of here, by their ids, in their order: what every company holds and
    the portal domain shows, nothing where it says nothing of services. Two queries, none where it says nothing."""
    if not domain.shows_global_services:
        return []
    hidden = view_of(domain.id, None).hidden_services
    found = db.session.execute(
        select(Service.id, Service.name)
        .where(Service.is_global, Service.archived_at.is_(None), Service.id.not_in(hidden))
        .order_by(Service.position, Service.name_key)
    )
    return [(service_id, name) for service_id, name in found]


def pages_telling(service_ids: Collection[int]) -> list[int]:
    """The portal domains whose public page says how any of these services is. One query."""
    is_told = select(Service.id).where(Service.id.in_(service_ids), Service.is_global).exists()
    return list(db.session.scalars(select(PortalDomain.id).where(PortalDomain.shows_global_services, is_told)))
