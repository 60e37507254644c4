"""Open reports of which customers are owed the next word."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Select, select

from portal.accounts.models import Person
from portal.accounts.rules import ALLOWED, Permission
from portal.extensions import db
from portal.incidents.models import Incident
from portal.incidents.queries import last_public_update_at
from portal.incidents.rules import Visibility
from portal.incidents.rules.nagging import late_by

OWNERS_AT_MOST = 500
"""So many people are offered when a report is handed over."""

MAY_OWN = sorted(role for role, allowed in ALLOWED.items() if Permission.INCIDENTS_PUBLISH in allowed)
"""The roles of those who can see to it that customers hear more."""


def due_nags(now: datetime, limit: int) -> list[int]:
    """The reports whose owners are to be reminded, the one that has waited longest first. One query."""
    waiting = select(Incident.id).where(Incident.nag_at <= now).order_by(Incident.nag_at, Incident.id).limit(limit)
    return list(db.session.scalars(waiting))


def is_nag_due(now: datetime) -> bool:
    """Whether anybody is to be reminded. One query."""
    return db.session.scalar(select(Incident.id).where(Incident.nag_at <= now).limit(1)) is not None


def lateness(incidents: Iterable[Incident], now: datetime) -> Mapping[int, timedelta]:
    """By id, how long the next update of those of these reports that are open and public has been due. One query."""
    owed = {each.id: each for each in incidents if each.resolved_at is None and each.visibility is Visibility.PUBLIC}
    if not owed:
        return {}
    said = last_public_update_at(owed)
    found = {
        incident_id: late_by(said[incident_id], each.next_update_due_at, now)
        for incident_id, each in owed.items()
        if incident_id in said
    }
    return {incident_id: late for incident_id, late in found.items() if late is not None}


def owner_of(incident: Incident) -> Person | None:
    """Whoever looks after a report, if they are still there and still may. One query."""
    return db.session.scalars(_who_may().where(Person.id == incident.owner_id)).one_or_none()


def possible_owners() -> Sequence[Person]:
    """Everybody a report can be handed to, by name. One query."""
    return db.session.scalars(_who_may().order_by(Person.name_key, Person.id).limit(OWNERS_AT_MOST)).all()


def may_own(person_id: int) -> bool:
    """Whether a report can be handed to this person. One query."""
    return db.session.scalar(select(_who_may().where(Person.id == person_id).exists())) or False


def _who_may() -> Select[Person]:
    return select(Person).where(Person.role.in_(MAY_OWN), Person.deactivated_at.is_(None))
