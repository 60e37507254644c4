"""Who looks after a report, and reminding them when customers are owed the next word."""

from datetime import datetime, timedelta

from sqlalchemy import select, update

from portal import events
from portal.audit.rules import Actor
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.incidents.actions.writing import note
from portal.incidents.models import Incident
from portal.incidents.queries import last_public_update_at
from portal.incidents.queries.nagging import may_own
from portal.incidents.rules.nagging import late_by, next_nag
from portal.notifications.actions import queue_broadcast
from portal.notifications.wordings import render_wordings

KIND = "incident_question"
"""The registered kind of the reminders."""


def remind(incident_id: int, now: datetime) -> bool:
    """Remind the owner of a report whose next update is due, once for each such moment; whether they were."""
    incident = db.session.scalars(
        select(Incident)
        .where(Incident.id == incident_id, Incident.nag_at <= now)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if incident is None or incident.nag_at is None:
        return False
    said = last_public_update_at([incident.id]).get(incident.id)
    moment = incident.nag_at
    if incident.resolved_at is not None or said is None:
        _ask_next(incident.id, None)
        return False
    late = late_by(said, incident.next_update_due_at, now)
    _ask_next(incident.id, next_nag(said, incident.next_update_due_at, now))
    queue_broadcast(
        KIND,
        idempotency_key=f"{KIND}:{incident.id}:{moment:%Y%m%d%H%M%S}",
        title=f"Customers wait for an update: {incident.title}"[:250],
        selector={"person_id": incident.owner_id},
        content=render_wordings(
            "alarm",
            ("en",),
            title=f"Customers wait for an update: {incident.title}",
            text=_sentence(now - said, late, is_promised=incident.next_update_due_at is not None),
            path=f"/admin/incidents/{incident.id}#update",
        ),
        thread_key=f"{KIND}:{incident.id}",
        by_person_id=None,
        now=now,
    )
    events.ring(events.STAFF)
    return True


def _ask_next(incident_id: int, at: datetime | None) -> None:
    """Past the version: a reminder is nothing anybody has written, so whoever has the report open may still post."""
    db.session.execute(update(Incident).where(Incident.id == incident_id).values(nag_at=at))


def _sentence(silent: timedelta, late: timedelta | None, *, is_promised: bool) -> str:
    heard = f"Customers last heard of it {_span(silent)} ago"
    if is_promised:
        due = f", and were promised the next word {_span(late)} ago" if late and late >= timedelta(minutes=1) else ""
        due = due or ", and were promised the next word by now"
    else:
        due = ", and it is still open"
    return f"{heard}{due}. Tell them how it stands, even if nothing has changed, or that it is fixed."


def _span(span: timedelta) -> str:
    minutes = int(span / timedelta(minutes=1))
    if minutes < 120:
        return "a minute" if minutes == 1 else f"{minutes} minutes"
    return f"{minutes // 60} hours" if minutes < 48 * 60 else f"{minutes // 1440} days"


def hand_over(incident: Incident, person_id: int | None, *, version: int, by: Actor, now: datetime) -> None:
    """Have somebody else look after a report, or (None) nobody by name. The same person again is no change."""
    if incident.version != version:
        raise StaleEdit
    if person_id is not None and not may_own(person_id):
        raise RuleViolation("This person cannot write of incidents any more: choose somebody else.", "owner")
    before = incident.owner_id
    if before == person_id:
        return
    incident.owner_id = person_id
    db.session.flush()
    events.ring(events.STAFF)
    note("incident.hand_over", incident, by=by, now=now, before={"owner_id": before}, after={"owner_id": person_id})
