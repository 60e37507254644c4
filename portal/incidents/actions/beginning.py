"""When a report is said to have begun, corrected afterwards."""

from datetime import datetime

from sqlalchemy import func, select

from portal.audit.rules import Actor
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.incidents.actions.telling import ring
from portal.incidents.actions.writing import note
from portal.incidents.models import Incident, IncidentUpdate
from portal.incidents.rules import Visibility
from portal.incidents.upkeep import settle


def set_beginning(incident: Incident, started_at: datetime, *, version: int, by: Actor, now: datetime) -> None:
    """Have a report begin at another moment, and what it broke with it; nobody is mailed. The same is no change.

    RuleViolation at `started_at` where that is after the first word about it. StaleEdit as everywhere.
    """
    if incident.version != version:
        raise StaleEdit
    before = incident.started_at
    if started_at == before:
        return
    first = db.session.scalar(
        select(func.min(IncidentUpdate.posted_at)).where(
            IncidentUpdate.incident_id == incident.id, IncidentUpdate.state.is_not(None)
        )
    )
    if started_at > now or (first is not None and started_at > first):
        raise RuleViolation("It cannot have begun after the first word about it.", "started_at")
    incident.started_at = started_at
    if incident.visibility is Visibility.PUBLIC:
        incident.public_updated_at = now
    db.session.flush()
    components = settle(incident, now)
    db.session.flush()
    ring(incident, components, incident.audience, now)
    note(
        "incident.edit",
        incident,
        by=by,
        now=now,
        before={"started_at": before.isoformat()},
        after={"started_at": started_at.isoformat()},
    )
