"""What feeds for calendars tell of planned work, and whose they are."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import case, func, or_, select
from sqlalchemy.orm import joinedload

from portal.accounts.models import Company, Membership, Person
from portal.accounts.rules import Viewpoint
from portal.catalogue.hiding import hidden_from
from portal.catalogue.models import Component, Holding, HoldingDependency, Service, ServiceDependency
from portal.catalogue.queries import is_valid
from portal.extensions import db
from portal.incidents.models import CalendarAddress, Maintenance, MaintenanceComponent, MaintenanceUpdate
from portal.incidents.queries.conditions import is_ahead_or_under_way, reaches, visible_to
from portal.incidents.queries.wordings import text_for, titles_for
from portal.incidents.rules import MaintenanceState
from portal.incidents.rules.maintenance import Notice, WorkImpact
from portal.sealing import Unreadable, unseal

PURPOSE = "calendar address"
"""What the secrets of addresses are sealed for."""

KEPT = timedelta(days=30)
"""For how long what is over, or was cancelled, still stands in a feed."""

ENTRIES = 200
"""How many entries a feed has: those to come, soonest first, and then what was last."""


@dataclass(frozen=True)
class PlannedWork:
    """Maintenance as a feed tells of it. `body` is what was last written of it, `objects` (of one company, where it is
    asked for) what of the company's is worked on: the services' names with the company's own references."""

    public_id: str
    title: str
    state: MaintenanceState
    starts_at: datetime
    ends_at: datetime
    starts_itself: bool
    ends_itself: bool
    impact: WorkImpact
    sequence: int
    changed_at: datetime
    body: str
    components: Sequence[str]
    objects: Sequence[tuple[str, str]] = ()


def planned_work(viewpoint: Viewpoint, now: datetime) -> list[PlannedWork]:
    """What a calendar shows from this viewpoint: for a company, what reaches it and what reaches nobody.

    At most seven queries, whatever there is.
    """
    each = Maintenance
    is_live = is_ahead_or_under_way(now)
    wanted = [visible_to(each, viewpoint, now), or_(is_live, each.ends_at > now - KEPT, _ended_lately(now))]
    if viewpoint.company_id is not None:
        wanted.append(or_(reaches(each, now, viewpoint.company_id), ~reaches(each, now)))
    rows = db.session.scalars(
        select(each)
        .where(*wanted)
        .order_by(case((is_live, 0), else_=1), case((is_live, each.starts_at)), each.ends_at.desc(), each.id)
        .limit(ENTRIES)
    ).all()
    if not rows:
        return []
    ids = [row.id for row in rows]
    titles = titles_for(rows, viewpoint)
    bodies, components = _bodies(ids, viewpoint), _components(ids)
    objects = _objects(ids, viewpoint.company_id, now) if viewpoint.company_id is not None else {}
    return [
        PlannedWork(
            public_id=row.public_id,
            title=titles[row.id],
            state=row.state,
            starts_at=row.starts_at,
            ends_at=row.ends_at,
            starts_itself=row.starts_itself,
            ends_itself=row.ends_itself,
            impact=row.impact,
            sequence=row.sequence,
            changed_at=row.public_updated_at,
            body=bodies.get(row.id, ""),
            components=components.get(row.id, ()),
            objects=objects.get(row.id, ()),
        )
        for row in rows
    ]


def _ended_lately(now: datetime) -> Any:
    """Cancelled or completed by hand within the last days."""
    over = Maintenance.state.in_([MaintenanceState.CANCELLED, MaintenanceState.COMPLETED])
    return over & (Maintenance.public_updated_at > now - KEPT)


def _bodies(ids: Sequence[int], viewpoint: Viewpoint) -> dict[int, str]:
    """What was last written of each."""
    last = (
        select(func.max(MaintenanceUpdate.id))
        .where(
            MaintenanceUpdate.maintenance_id.in_(ids),
            MaintenanceUpdate.body != "",
            MaintenanceUpdate.kind != Notice.REMINDED,
        )
        .group_by(MaintenanceUpdate.maintenance_id)
    )
    rows = db.session.execute(
        select(
            MaintenanceUpdate.maintenance_id, text_for(viewpoint, MaintenanceUpdate.body, MaintenanceUpdate.bodies)
        ).where(MaintenanceUpdate.id.in_(last))
    )
    return dict(rows.all())


def _components(ids: Sequence[int]) -> dict[int, list[str]]:
    """The titles of what each is worked on."""
    found: dict[int, list[str]] = {}
    for maintenance_id, title in db.session.execute(
        select(MaintenanceComponent.maintenance_id, Component.title)
        .join(Component, Component.id == MaintenanceComponent.component_id)
        .where(MaintenanceComponent.maintenance_id.in_(ids))
        .order_by(Component.title_key, Component.id)
    ):
        found.setdefault(maintenance_id, []).append(title)
    return found


def _objects(ids: Sequence[int], company_id: int, now: datetime) -> dict[int, list[tuple[str, str]]]:
    """What each touches of what the company holds and is shown: names of services, and references."""
    hidden = hidden_from([company_id]).get(company_id, frozenset())
    found: dict[int, dict[int, tuple[str, str]]] = {}
    for dependency, joined in (
        (ServiceDependency, Holding.service_id == ServiceDependency.service_id),
        (HoldingDependency, Holding.id == HoldingDependency.holding_id),
    ):
        rows = db.session.execute(
            select(MaintenanceComponent.maintenance_id, Holding.id, Service.id, Service.name, Holding.reference)
            .select_from(MaintenanceComponent)
            .join(dependency, dependency.component_id == MaintenanceComponent.component_id)
            .join(Holding, joined)
            .join(Service, Service.id == Holding.service_id)
            .where(
                MaintenanceComponent.maintenance_id.in_(ids),
                Holding.company_id == company_id,
                is_valid(dependency, now),
                is_valid(Holding, now),
            )
        )
        for maintenance_id, holding_id, service_id, name, reference in rows:
            if service_id not in hidden:
                found.setdefault(maintenance_id, {})[holding_id] = (name, reference)
    return {maintenance_id: sorted(held.values()) for maintenance_id, held in found.items()}


def account_numbers(company_ids: Collection[int]) -> Mapping[int, str]:
    """What these companies' accounts are called: the number they have with us, else their names. One query."""
    if not company_ids:
        return {}
    rows = db.session.execute(select(Company.id, Company.external_id, Company.name).where(Company.id.in_(company_ids)))
    return {company_id: number or name for company_id, number, name in rows}


# Secret addresses


def hash_of(secret: str) -> str:
    """What an address is found by."""
    return hashlib.sha256(secret.encode()).hexdigest()


def address_of(company_id: int) -> CalendarAddress | None:
    """The address of a company's calendar, with whoever made it. One query."""
    return db.session.scalars(
        select(CalendarAddress)
        .options(joinedload(CalendarAddress.created_by))
        .where(CalendarAddress.company_id == company_id)
    ).one_or_none()


def address_with(secret: str) -> CalendarAddress | None:
    """The address with this secret, of a company that is not archived and for which somebody acts. One query.

    It is the company's, not that of whoever made it: colleagues keep it when somebody leaves. When the last one has
    left, nobody is meant to read it any more.
    """
    acts_for_it = (
        select(Membership.id)
        .join(Person, Person.id == Membership.person_id)
        .where(Membership.company_id == CalendarAddress.company_id, Person.deactivated_at.is_(None))
    )
    return db.session.scalars(
        select(CalendarAddress)
        .join(Company, Company.id == CalendarAddress.company_id)
        .where(CalendarAddress.secret_hash == hash_of(secret), Company.archived_at.is_(None), acts_for_it.exists())
    ).one_or_none()


def secret_of(address: CalendarAddress) -> str | None:
    """Its secret; None where it was sealed with a key this installation no longer has."""
    try:
        return unseal(address.sealed, PURPOSE)
    except Unreadable:
        return None
