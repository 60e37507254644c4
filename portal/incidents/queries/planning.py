"""What the lists of whoever plans work count: how much is ahead, who asks for another slot, and who wants quiet."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, func, not_, select
from sqlalchemy.orm import joinedload

from portal.catalogue.queries.lists import Page, paged
from portal.extensions import db
from portal.incidents.models import Freeze, Maintenance, SlotRequest
from portal.incidents.queries.conditions import is_ahead_or_under_way, is_under_way
from portal.incidents.rules.maintenance import Notice, SlotState
from portal.notifications.models import Broadcast

REQUESTS_SHOWN = 10
"""So many wishes stand on the page of a company; more than that are history."""


class Counted(NamedTuple):
    """How much there is of what whoever plans work looks at."""

    ahead: int
    under_way: int
    requests: int
    freezes: int


def planned_counted(now: datetime) -> Counted:
    """Maintenance ahead and under way, wishes that wait for an answer, and freezes that stand. Three queries."""
    under_way = is_under_way(now)
    ahead, begun = db.session.execute(
        select(
            func.count(Maintenance.id).filter(and_(is_ahead_or_under_way(now), not_(under_way))),
            func.count(Maintenance.id).filter(under_way),
        ).where(is_ahead_or_under_way(now))
    ).one()
    waiting = select(func.count()).select_from(SlotRequest).where(SlotRequest.state == SlotState.OPEN)
    frozen = select(func.count()).select_from(Freeze).where(Freeze.removed_at.is_(None), Freeze.ends_at > now)
    return Counted(ahead, begun, db.session.scalar(waiting) or 0, db.session.scalar(frozen) or 0)


def open_requests_counted(maintenance_ids: Collection[int]) -> dict[int, int]:
    """How many companies ask for another slot of each of these, as far as any do. One query."""
    found = db.session.execute(
        select(SlotRequest.maintenance_id, func.count())
        .where(SlotRequest.maintenance_id.in_(maintenance_ids), SlotRequest.state == SlotState.OPEN)
        .group_by(SlotRequest.maintenance_id)
    )
    return dict(found.all())


def freezes_page(page: int, now: datetime) -> Page[Freeze]:
    """When any company wants nothing touched, ahead and under way, soonest first. Two queries; NotFound for a page
    that does not exist."""
    return paged(
        select(Freeze)
        .options(joinedload(Freeze.company), joinedload(Freeze.created_by))
        .where(Freeze.removed_at.is_(None), Freeze.ends_at > now)
        .order_by(Freeze.starts_at, Freeze.id),
        page,
    )


def requests_of_company(company_id: int) -> Sequence[SlotRequest]:
    """What this company has asked of other slots, what waits for an answer first, then the newest, at most 10. One
    query."""
    return db.session.scalars(
        select(SlotRequest)
        .options(joinedload(SlotRequest.maintenance), joinedload(SlotRequest.person))
        .where(SlotRequest.company_id == company_id)
        .order_by((SlotRequest.state == SlotState.OPEN).desc(), SlotRequest.created_at.desc(), SlotRequest.id.desc())
        .limit(REQUESTS_SHOWN)
    ).all()


def broadcasts_with(idempotency_keys: Collection[str]) -> Sequence[Broadcast]:
    """The broadcasts with these keys. One query."""
    return db.session.scalars(select(Broadcast).where(Broadcast.idempotency_key.in_(idempotency_keys))).all()


def announced_text(maintenance: Maintenance) -> str:
    """What a maintenance whose timeline is loaded was announced with; the first that was said where none was."""
    told = sorted(maintenance.updates, key=lambda update: update.id)
    announcements = [update for update in told if update.kind is Notice.ANNOUNCED]
    return next((update.body for update in announcements or told), "")


def announced_texts(maintenance: Maintenance) -> dict[str, str]:
    """The same in other languages."""
    told = sorted(maintenance.updates, key=lambda update: update.id)
    announcements = [update for update in told if update.kind is Notice.ANNOUNCED]
    return next((dict(update.bodies) for update in announcements or told), {})
