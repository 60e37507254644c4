"""Reports that were merged into another: what is left of them, and what merging one would touch."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import distinct, func, select
from sqlalchemy.orm import selectinload, with_expression

from portal.accounts.rules import Viewpoint
from portal.catalogue.models import Component
from portal.catalogue.queries import company_reached_select
from portal.extensions import db
from portal.incidents.models import (
    Incident,
    IncidentAcknowledgement,
    IncidentDraft,
    IncidentFollower,
    IncidentSighting,
    IncidentUpdate,
    MonitorCondition,
    Postmortem,
)
from portal.incidents.parts import Part, registered
from portal.incidents.queries import broadcast_keys, unfinished_broadcasts
from portal.incidents.queries.conditions import visible_to, would_see
from portal.incidents.queries.wordings import own_words_for, worded_incidents
from portal.incidents.rules import Severity, Visibility
from portal.incidents.rules.conversations import thread_key
from portal.incidents.rules.merging import joined, narrows, promised
from portal.notifications.models import Delivery
from portal.notifications.rules import OPEN_STATES
from portal.notifications.subscribers.following import count_following

OFFERED_AT_MOST = 100
"""So many reports are offered to merge another into: what is open, then the newest."""


@dataclass(frozen=True)
class Touched:
    """What merging one report into another touches. `refusal` is why it cannot be done, else None.

    `components` are those the other names from then on, with their severity, or names as worse than now;
    `companies` how many companies it concerns only from then on. `moved` is what goes with it, a number and the rest of
    a sentence each, and `promised` when customers are still promised to hear next.
    """

    updates: int
    components: Sequence[tuple[str, Severity]]
    companies: int
    followers: int
    mails_waiting: int
    moved: Sequence[tuple[int, str]]
    promised: datetime | None
    refusal: str | None


def refusal(duplicate: Incident, into: Incident) -> str | None:
    """Why this report cannot be merged into the other, in a sentence; None where it can. At most one query."""
    if duplicate.id == into.id:
        return "Choose another report: this is the same."
    if duplicate.merged_into_id is not None:
        return "This report was merged into another already."
    if into.merged_into_id is not None:
        return "The other was merged into another itself: choose that one."
    if duplicate.resolved_at is None and into.resolved_at is not None:
        return "The other is fixed, and this report is open: reopen the other first."
    sight = narrows(duplicate.visibility, duplicate.audience, into.visibility, into.audience)
    return sight or _of_postmortems(duplicate.id, into.id)


def _of_postmortems(duplicate_id: int, into_id: int) -> str | None:
    written = dict(
        db.session.execute(
            select(Postmortem.incident_id, Postmortem.published_at.is_not(None)).where(
                Postmortem.incident_id.in_([duplicate_id, into_id])
            )
        ).all()
    )
    if written.get(duplicate_id):
        return "It has a postmortem that customers read: it cannot be merged any more."
    if len(written) > 1:
        return "Both have a postmortem: discard the draft of this one first."
    return None


def touched_by(duplicate: Incident, into: Incident, now: datetime) -> Touched:
    """What would happen; both with their components loaded. Seven queries, and one for each sort of what moves."""
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
        moved=_moved(duplicate.id, now),
        promised=promised(into.next_update_due_at, duplicate.next_update_due_at, now),
        refusal=refusal(duplicate, into),
    )


OWN = (
    Part(
        "person who has seen it counts for the other.",
        "people who have seen it count for the other.",
        lambda incident_id, _now: _number(
            func.count(distinct(IncidentSighting.person_id)), IncidentSighting, incident_id
        ),
    ),
    Part(
        "company that says it knows of it says so of the other.",
        "companies that say they know of it say so of the other.",
        lambda incident_id, _now: _number(func.count(), IncidentAcknowledgement, incident_id),
    ),
    Part(
        "signal of a monitor about it is about the other.",
        "signals of monitors about it are about the other.",
        lambda incident_id, _now: _number(func.count(), MonitorCondition, incident_id),
    ),
    Part(
        "draft it was published from leads to the other.",
        "drafts it was published from lead to the other.",
        lambda incident_id, _now: _number(func.count(), IncidentDraft, incident_id),
    ),
    Part(
        "draft of a postmortem becomes that of the other.",
        "drafts of a postmortem become those of the other.",
        lambda incident_id, _now: _number(func.count(), Postmortem, incident_id),
    ),
    Part(
        "subscriber without a login who follows it follows the other.",
        "subscribers without a login who follow it follow the other.",
        lambda incident_id, _now: count_following(thread_key(incident_id)),
    ),
)
"""What this capability itself keeps under a report, beside those who follow it; `actions.merging` moves it."""


def _moved(incident_id: int, now: datetime) -> list[tuple[int, str]]:
    """What goes with a report, as far as there is any of it: a number, and the rest of a sentence."""
    counts = [(each.how_many(incident_id, now), each) for each in (*OWN, *registered())]
    return [(number, each.one if number == 1 else each.many) for number, each in counts if number]


def _number(counted: Any, row: Any, incident_id: int) -> int:
    return db.session.scalar(select(counted).select_from(row).where(row.incident_id == incident_id)) or 0


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
    own_words = with_expression(IncidentUpdate.own_words, own_words_for(viewpoint))
    found = db.session.scalars(
        select(Incident)
        .options(selectinload(updates).options(own_words))
        .where(Incident.merged_into_id == incident_id, would_see(Incident, viewpoint, now))
        .order_by(Incident.started_at, Incident.id)
        .execution_options(populate_existing=True)
    ).all()
    worded_incidents(found, viewpoint)
    return found


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
