"""Who follows an incident, who has seen it, and which companies say that they know of it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from portal.accounts.models import Person
from portal.accounts.rules import Viewpoint
from portal.extensions import db
from portal.incidents.models import (
    Incident,
    IncidentAcknowledgement,
    IncidentFollower,
    IncidentSighting,
    Postmortem,
)
from portal.incidents.queries.conditions import visible_to

FOLLOWERS_AT_MOST = 5_000
"""So many are told as followers; whoever follows beyond that is told as everybody else is."""


@dataclass(frozen=True)
class Standing:
    """How a person stands to an incident: `wants` is True for who follows it, False for who mutes it, None for neither.

    `acknowledged_at` is when their company said that it knows of it. `is_over` once nothing more is to come of it,
    `is_seen` where it is noted that they have seen it.
    """

    wants: bool | None
    acknowledged_at: datetime | None
    is_over: bool
    is_seen: bool


def standing_of_person(incident: Incident, person_id: int, company_id: int) -> Standing:
    """How this person of this company stands to this incident. Four queries."""
    wants = db.session.scalar(
        select(IncidentFollower.wants).where(
            IncidentFollower.incident_id == incident.id, IncidentFollower.person_id == person_id
        )
    )
    is_told = db.session.scalar(
        select(Postmortem.published_at).where(
            Postmortem.incident_id == incident.id, Postmortem.published_at.isnot(None)
        )
    )
    acknowledged_at = acknowledged([incident.id], company_id).get(incident.id)
    seen = select(IncidentSighting.id).where(
        IncidentSighting.incident_id == incident.id,
        IncidentSighting.person_id == person_id,
        IncidentSighting.company_id == company_id,
    )
    is_over = incident.resolved_at is not None and is_told is not None
    return Standing(wants, acknowledged_at, is_over, db.session.scalar(seen) is not None)


def acknowledged(incident_ids: Collection[int], company_id: int) -> dict[int, datetime]:
    """When this company said that it knows of these incidents, by incident. One query, none for no incident."""
    if not incident_ids:
        return {}
    rows = db.session.execute(
        select(IncidentAcknowledgement.incident_id, IncidentAcknowledgement.acknowledged_at).where(
            IncidentAcknowledgement.company_id == company_id, IncidentAcknowledgement.incident_id.in_(incident_ids)
        )
    )
    return dict(rows.all())


def incident_named(viewpoint: Viewpoint, public_id: str, now: datetime) -> Incident | None:
    """The incident with this public id, if it exists from this viewpoint, without its parts. One query."""
    return db.session.scalars(
        select(Incident)
        .where(Incident.public_id == public_id, visible_to(Incident, viewpoint, now))
        .order_by(Incident.id)
        .limit(1)
    ).one_or_none()


def unseen(viewpoint: Viewpoint, public_ids: Collection[str], person_id: int, now: datetime) -> Sequence[int]:
    """Those of these incidents that exist from this viewpoint and that this person has not been noted to have seen, for
    their company. One query."""
    known = (
        select(IncidentSighting.id)
        .where(
            IncidentSighting.incident_id == Incident.id,
            IncidentSighting.person_id == person_id,
            IncidentSighting.company_id == viewpoint.company_id,
        )
        .exists()
    )
    return db.session.scalars(
        select(Incident.id)
        .where(Incident.public_id.in_(public_ids), visible_to(Incident, viewpoint, now), ~known)
        .order_by(Incident.id)
    ).all()


def followers_of(incident_id: int) -> list[int]:
    """The active people who follow an incident, by id. One query."""
    return list(
        db.session.scalars(
            select(IncidentFollower.person_id)
            .join(Person, Person.id == IncidentFollower.person_id)
            .where(
                IncidentFollower.incident_id == incident_id,
                IncidentFollower.wants.is_(True),
                Person.deactivated_at.is_(None),
            )
            .order_by(IncidentFollower.person_id)
            .limit(FOLLOWERS_AT_MOST)
        )
    )


def muted_by(incident_id: int, person_ids: Collection[int]) -> frozenset[int]:
    """Those of these people who have muted this one incident. One query."""
    return frozenset(
        db.session.scalars(
            select(IncidentFollower.person_id).where(
                IncidentFollower.incident_id == incident_id,
                IncidentFollower.wants.is_(False),
                IncidentFollower.person_id.in_(person_ids),
            )
        )
    )
