"""Reports that were merged into another: what is left of them, and what merging one would touch."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import selectinload

from portal.accounts.rules import Viewpoint
from portal.catalogue.models import Component
from portal.catalogue.queries import company_reached_select
from portal.extensions import db
from portal.incidents.models import Incident, IncidentFollower, IncidentUpdate
from portal.incidents.queries import broadcast_keys, unfinished_broadcasts
from portal.incidents.queries.conditions import visible_to, would_see
from portal.incidents.rules import Severity, Visibility
from portal.incidents.rules.merging import joined, narrows
from portal.notifications.models import Delivery
from portal.notifications.rules import OPEN_STATES

OFFERED_AT_MOST = 100
"""So many reports are offered to merge another into: what is open, then the newest."""


@dataclass(frozen=True)
class Touched:
    """What merging one report into another touches. `refusal` is why it cannot be done, else None.

    `components` are those the other names from then on, with their severity, or names as worse than now;
    `companies` how many companies it concerns only from then on.
    """

    updates: int
    components: Sequence[tuple[str, Severity]]
    companies: int
    followers: int
    mails_waiting: int
    refusal: str | None


def refusal(duplicate: Incident, into: Incident) -> str | None:
    """Why this report cannot be merged into the other, in a sentence; None where it can."""
    if duplicate.id == into.id:
        return "Choose another report: this is the same."
    if duplicate.merged_into_id is not None:
        return "This report was merged into another already."
    if into.merged_into_id is not None:
        return "The other was merged into another itself: choose that one."
    if duplicate.resolved_at is None and into.resolved_at is not None:
        return "The other is fixed, and this report is open: reopen the other first."
    return narrows(duplicate.visibility, duplicate.audience, into.visibility, into.audience)


def touched_by(duplicate: Incident, into: Incident, now: datetime) -> Touched:
    """What would happen; both with their components loaded. At most six queries."""
    severities = {each.component_id: each.severity for each in duplicate.components}
    news = joined({each.component_id: each.severity for each in into.components}, severities)
    updates = select(func.count()).where(IncidentUpdate.incident_id == duplicate.id)
    waiting = [each.id for each in unfinished_broadcasts(broadcast_keys(duplicate.id))]
    mails = select(func.count()).where(Delivery.broadcast_id.in_(waiting), Delivery.state.in_(OPEN_STATES))
    followers = select(func.count()).where(IncidentFollower.incident_id == duplicate.id)
    theirs = company_reached_select([each.component_id for each in into.components], now)
    added = company_reached_select(sorted(severities), now).subquery()
    companies = select(func.count()).select_from(added).where(added.c.company_id.not_in(theirs))
    titles = db.session.execute(
        select(Component.id, Component.title).where(Component.id.in_(news)).order_by(Component.title)
    )
    return Touched(
        updates=db.session.scalar(updates) or 0,
        components=[(title, news[component_id]) for component_id, title in titles],
        companies=db.session.scalar(companies) or 0,
        followers=db.session.scalar(followers) or 0,
        mails_waiting=(db.session.scalar(mails) or 0) if waiting else 0,
        refusal=refusal(duplicate, into),
    )


def could_take(incident: Incident) -> Sequence[Incident]:
    """The reports this one could be merged into: what is open first, then the newest. One query."""
    return db.session.scalars(
        select(Incident)
        .where(Incident.id != incident.id, Incident.merged_into_id.is_(None), Incident.is_backfill.is_(False))
        .order_by(Incident.resolved_at.is_(None).desc(), Incident.started_at.desc(), Incident.id.desc())
        .limit(OFFERED_AT_MOST)
    ).all()


def merged_into(incident_id: int, viewpoint: Viewpoint, now: datetime) -> Sequence[Incident]:
    """The reports that were merged into this one, as far as this viewpoint could see them, with their updates. At most
    two queries."""
    updates = Incident.updates
    if not viewpoint.is_staff:
        updates = Incident.updates.and_(IncidentUpdate.visibility == Visibility.PUBLIC)  # type: ignore[assignment]
    return db.session.scalars(
        select(Incident)
        .options(selectinload(updates))
        .where(Incident.merged_into_id == incident_id, would_see(Incident, viewpoint, now))
        .order_by(Incident.started_at, Incident.id)
        .execution_options(populate_existing=True)
    ).all()


def led_to(viewpoint: Viewpoint, public_id: str, now: datetime) -> str | None:
    """The public id of the report that one with this public id was merged into, where this viewpoint may see both.

    At most two queries.
    """
    target = db.session.scalar(
        select(Incident.merged_into_id)
        .where(
            Incident.public_id == public_id,
            Incident.merged_into_id.is_not(None),
            would_see(Incident, viewpoint, now),
        )
        .order_by(Incident.id)
        .limit(1)
    )
    if target is None:
        return None
    seen = select(Incident.public_id).where(Incident.id == target, visible_to(Incident, viewpoint, now))
    return db.session.scalar(seen)
