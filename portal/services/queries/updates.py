"""What staff did to service statuses, newest first: of a service, a company or a holding; what a person was told."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Select, func, select
from sqlalchemy.orm import joinedload

from portal.accounts.models import Person
from portal.accounts.rules import text_key
from portal.catalogue.models import Service
from portal.extensions import db
from portal.incidents.models import Incident
from portal.notifications.models import Delivery
from portal.notifications.rules import DeliveryState
from portal.services.models import ServiceUpdate, UpdateBroadcast, UpdateTarget
from portal.services.rules import ServiceStatus

PER_PAGE = 20
TOLD_SHOWN = 20


@dataclass(frozen=True)
class Mailed:
    """What became of an update's mails: a broadcast to look at, how many mails are sent, and how many there are."""

    broadcast_id: int
    sent: int
    total: int


@dataclass(frozen=True)
class Act:
    """An update with what it was for, as a history shows it.

    `before` is what was stated of the holding before, where the history is that of one. `services` are the names of
    those it was for, `mailed` None where nobody was mailed, `incident` (id, title) what it was set with.
    """

    update: ServiceUpdate
    services: tuple[str, ...]
    before: ServiceStatus | None
    mailed: Mailed | None
    incident: tuple[int, str] | None


class Told(NamedTuple):
    """A mail about service statuses to one address."""

    update_id: int
    status: ServiceStatus
    service: str | None
    broadcast_id: int
    state: DeliveryState
    created_at: datetime


@dataclass(frozen=True)
class Acts:
    """A page of a history, as the pager takes it."""

    items: Sequence[Act]
    page: int
    pages: int
    total: int


def updates_of(
    page: int, *, service_id: int | None = None, company_id: int | None = None, holding_id: int | None = None
) -> Acts | None:
    """A page of what was done to a service, a company's services or one holding; None for a page there is not.

    What was undone stays in it and is marked. At most five queries.
    """
    each = UpdateTarget
    target = select(each.holding_id).where(each.update_id == ServiceUpdate.id)
    for column, wanted in ((each.service_id, service_id), (each.company_id, company_id), (each.holding_id, holding_id)):
        if wanted is not None:
            target = target.where(column == wanted)
    total = db.session.scalar(select(func.count()).select_from(ServiceUpdate).where(target.exists())) or 0
    pages = max(1, -(-total // PER_PAGE))
    if page > pages:
        return None
    updates = db.session.scalars(
        select(ServiceUpdate)
        .options(joinedload(ServiceUpdate.author))
        .where(target.exists())
        .order_by(ServiceUpdate.id.desc())
        .limit(PER_PAGE)
        .offset((page - 1) * PER_PAGE)
    ).all()
    return Acts(_acts(updates, holding_id, company_id), page, pages, total)


def told_to(email: str, since: datetime) -> list[Told]:
    """What was mailed to this address about service statuses since then, newest first, the first few. One query."""
    found = db.session.execute(
        select(
            ServiceUpdate.id,
            ServiceUpdate.status,
            Service.name,
            UpdateBroadcast.broadcast_id,
            Delivery.state,
            Delivery.created_at,
        )
        .join(UpdateBroadcast, UpdateBroadcast.broadcast_id == Delivery.broadcast_id)
        .join(ServiceUpdate, ServiceUpdate.id == UpdateBroadcast.update_id)
        .outerjoin(Service, Service.id == UpdateBroadcast.service_id)
        .where(Delivery.address_key == text_key(email), Delivery.created_at >= since)
        .order_by(Delivery.id.desc())
        .limit(TOLD_SHOWN)
    )
    return [Told._make(row) for row in found]


@dataclass(frozen=True)
class Heads:
    """The names of services by id, and who made an update, by its id."""

    services: Mapping[int, str]
    authors: Mapping[int, str]


def heads_of(update_ids: Collection[int], service_ids: Collection[int]) -> Heads:
    """What lists of updates name. Two queries."""
    services = db.session.execute(select(Service.id, Service.name).where(Service.id.in_(service_ids))).all()
    authors = db.session.execute(
        select(ServiceUpdate.id, Person.name)
        .join(Person, Person.id == ServiceUpdate.author_id)
        .where(ServiceUpdate.id.in_(update_ids))
    ).all()
    return Heads(dict(services), dict(authors))


def _acts(updates: Sequence[ServiceUpdate], holding_id: int | None, company_id: int | None) -> list[Act]:
    ids = [each.id for each in updates]
    if not ids:
        return []
    mailed = _mailed(ids)
    before = _before(ids, holding_id) if holding_id is not None else {}
    services = _services(ids, company_id)
    incidents = _incidents({each.incident_id for each in updates if each.incident_id is not None})
    return [
        Act(
            each,
            services.get(each.id, ()),
            before.get(each.id),
            mailed.get(each.id),
            incidents.get(each.incident_id or 0),
        )
        for each in updates
    ]


def _services(update_ids: Sequence[int], company_id: int | None) -> dict[int, tuple[str, ...]]:
    """By update, the names of the services it was for. One query: a service is looked for in each update's targets."""
    target = select(UpdateTarget.holding_id).where(
        UpdateTarget.update_id == ServiceUpdate.id, UpdateTarget.service_id == Service.id
    )
    if company_id is not None:
        target = target.where(UpdateTarget.company_id == company_id)
    found: dict[int, list[str]] = {}
    for update_id, name in db.session.execute(
        select(ServiceUpdate.id, Service.name)
        .join(Service, target.exists())
        .where(ServiceUpdate.id.in_(update_ids))
        .order_by(Service.position, Service.name_key)
    ):
        found.setdefault(update_id, []).append(name)
    return {update_id: tuple(names) for update_id, names in found.items()}


def _before(update_ids: Sequence[int], holding_id: int) -> dict[int, ServiceStatus]:
    return dict(
        db.session.execute(
            select(UpdateTarget.update_id, UpdateTarget.before).where(
                UpdateTarget.update_id.in_(update_ids), UpdateTarget.holding_id == holding_id
            )
        ).all()
    )


def _mailed(update_ids: Sequence[int]) -> dict[int, Mailed]:
    """By update, its first broadcast and how its mails fare. One query."""
    in_state: Select[Any] = select(func.count()).where(Delivery.broadcast_id == UpdateBroadcast.broadcast_id)
    found: dict[int, Mailed] = {}
    for update_id, broadcast_id, sent, total in db.session.execute(
        select(
            UpdateBroadcast.update_id,
            UpdateBroadcast.broadcast_id,
            in_state.where(Delivery.state == DeliveryState.SENT).scalar_subquery(),
            in_state.scalar_subquery(),
        )
        .where(UpdateBroadcast.update_id.in_(update_ids))
        .order_by(UpdateBroadcast.id)
    ):
        known = found.get(update_id, Mailed(broadcast_id, 0, 0))
        found[update_id] = Mailed(known.broadcast_id, known.sent + sent, known.total + total)
    return found


def _incidents(ids: set[int]) -> dict[int, tuple[int, str]]:
    if not ids:
        return {}
    found = db.session.execute(select(Incident.id, Incident.title).where(Incident.id.in_(ids)))
    return {incident_id: (incident_id, title) for incident_id, title in found}
