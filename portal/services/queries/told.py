"""What one holding's own company is told of it: what was said so far, and the windows that are ahead or under way."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, func, select

from portal.accounts.rules import Viewpoint
from portal.extensions import db
from portal.incidents.models import Incident
from portal.incidents.queries import Page
from portal.incidents.queries.conditions import visible_to
from portal.services.models import ServiceUpdate, ServiceWindow, UpdateTarget, WindowHolding
from portal.services.queries.settings import View
from portal.services.rules import ServiceStatus, UpdateKind, WindowState

PER_PAGE = 20

REPEATS = (UpdateKind.REMINDED,)
"""Kinds of updates that say again what was said before: they are mailed, and no part of what happened."""


class Told(NamedTuple):
    """One update as its company may read it, without who wrote it. `incident` is the public id of one it may open."""

    kind: UpdateKind
    status: ServiceStatus
    notes: str
    ticket: str
    began_at: datetime
    starts_at: datetime | None
    ends_at: datetime | None
    told_at: datetime
    incident: str | None


class Ahead(NamedTuple):
    """Scheduled service on a holding that is not over. `ends_at` is None where end times are not shown."""

    public_id: str
    starts_at: datetime
    ends_at: datetime | None
    notes: str
    ticket: str
    sequence: int
    announced_at: datetime


def told_of(
    holding_id: int, viewpoint: Viewpoint, view: View, page: int, now: datetime, *, shows_incidents: bool = True
) -> Page[Told] | None:
    """A page of what was said of a holding, newest first; None where there is no such page. Two queries, or none.

    What was undone was never said. Of what `view` does not show there is nothing in it; without history it is empty.
    """
    if not view.shows_history:
        return Page([], 1, 1, 0, PER_PAGE) if page == 1 else None
    said = and_(
        UpdateTarget.holding_id == holding_id,
        ServiceUpdate.undone_at.is_(None),
        ServiceUpdate.kind.not_in(REPEATS),
    )
    total = (
        db.session.scalar(
            select(func.count())
            .select_from(UpdateTarget)
            .join(ServiceUpdate, ServiceUpdate.id == UpdateTarget.update_id)
            .where(said)
        )
        or 0
    )
    pages = max(1, -(-total // PER_PAGE))
    if not 1 <= page <= pages:
        return None
    rows = db.session.execute(
        select(
            ServiceUpdate.kind,
            ServiceUpdate.status,
            ServiceUpdate.notes,
            ServiceUpdate.ticket,
            ServiceUpdate.began_at,
            ServiceUpdate.starts_at,
            ServiceUpdate.ends_at,
            ServiceUpdate.created_at,
            Incident.public_id,
        )
        .select_from(UpdateTarget)
        .join(ServiceUpdate, ServiceUpdate.id == UpdateTarget.update_id)
        .outerjoin(Incident, and_(Incident.id == ServiceUpdate.incident_id, visible_to(Incident, viewpoint, now)))
        .where(said)
        .order_by(ServiceUpdate.created_at.desc(), ServiceUpdate.id.desc())
        .limit(PER_PAGE)
        .offset((page - 1) * PER_PAGE)
    )
    return Page([_cut(Told._make(row), view, shows_incidents) for row in rows], page, pages, total, PER_PAGE)


def windows_of(holding_id: int, view: View, now: datetime) -> Sequence[Ahead]:
    """The windows of a holding that are announced or under way by the clock, soonest first. One query."""
    rows = db.session.execute(
        select(
            ServiceWindow.public_id,
            ServiceWindow.starts_at,
            ServiceWindow.ends_at,
            ServiceWindow.notes,
            ServiceWindow.ticket,
            ServiceWindow.sequence,
            ServiceWindow.announced_at,
        )
        .join(WindowHolding, WindowHolding.window_id == ServiceWindow.id)
        .where(
            WindowHolding.holding_id == holding_id,
            WindowHolding.left_at.is_(None),
            ServiceWindow.state.not_in([WindowState.ENDED, WindowState.CANCELLED]),
            ServiceWindow.announced_at <= now,
            ServiceWindow.ends_at > now,
        )
        .order_by(ServiceWindow.starts_at, ServiceWindow.id)
    )
    return [
        each._replace(
            ends_at=each.ends_at if view.shows_end_times else None,
            notes=each.notes if view.shows_notes else "",
            ticket=each.ticket if view.shows_tickets else "",
        )
        for each in map(Ahead._make, rows)
    ]


def _cut(told: Told, view: View, shows_incidents: bool) -> Told:
    return told._replace(
        notes=told.notes if view.shows_notes else "",
        ticket=told.ticket if view.shows_tickets else "",
        ends_at=told.ends_at if view.shows_end_times else None,
        incident=told.incident if shows_incidents else None,
    )
