"""What the feed for a company's calendar tells of scheduled service."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, case, or_, select

from portal.catalogue.models import Holding, Service
from portal.extensions import db
from portal.services.models import ServiceWindow, WindowHolding
from portal.services.queries.settings import View
from portal.services.rules import WindowState

KEPT = timedelta(days=30)
"""For how long what is over, or was cancelled, still stands in a feed."""

ROWS = 200
"""How many holdings in windows a feed tells of: of those to come, soonest first, and then of what was last."""


@dataclass
class Window:
    """Scheduled service on the holdings of one service: `references` are those the company holds it under."""

    public_id: str
    service_id: int
    service: str
    starts_at: datetime
    ends_at: datetime
    is_cancelled: bool
    notes: str
    ticket: str
    sequence: int
    changed_at: datetime
    references: list[str]


def windows_of_company(company_id: int, view: View, now: datetime) -> list[Window]:
    """The windows of a company, one for each service, without what `view` does not show. One query.

    None at all where end times are not shown: an entry of a calendar has an end.
    """
    if not view.shows_end_times:
        return []
    is_ahead = and_(ServiceWindow.ends_at > now, ServiceWindow.state.not_in([WindowState.ENDED, WindowState.CANCELLED]))
    rows = db.session.execute(
        select(ServiceWindow, Service.id, Service.name, Holding.reference)
        .join(WindowHolding, WindowHolding.window_id == ServiceWindow.id)
        .join(Service, Service.id == WindowHolding.service_id)
        .join(Holding, Holding.id == WindowHolding.holding_id)
        .where(
            WindowHolding.company_id == company_id,
            WindowHolding.left_at.is_(None),
            Service.id.not_in(view.hidden_services),
            ServiceWindow.announced_at <= now,
            or_(ServiceWindow.ends_at > now - KEPT, ServiceWindow.ended_at > now - KEPT),
        )
        .order_by(
            case((is_ahead, 0), else_=1),
            case((is_ahead, ServiceWindow.starts_at)),
            ServiceWindow.ends_at.desc(),
            ServiceWindow.id,
            Service.position,
            Service.name_key,
            Holding.reference,
        )
        .limit(ROWS)
    )
    found: dict[tuple[int, int], Window] = {}
    for window, service_id, name, reference in rows:
        is_cancelled = window.state is WindowState.CANCELLED
        entry = found.setdefault(
            (window.id, service_id),
            Window(
                public_id=window.public_id,
                service_id=service_id,
                service=name,
                starts_at=window.starts_at,
                ends_at=window.ends_at,
                is_cancelled=is_cancelled,
                notes=window.notes if view.shows_notes else "",
                ticket=window.ticket if view.shows_tickets else "",
                sequence=window.sequence,
                changed_at=(window.ended_at if is_cancelled else None) or window.announced_at,
                references=[],
            ),
        )
        if reference:
            entry.references.append(reference)
    return list(found.values())
