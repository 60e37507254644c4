"""Merging a report into another that tells of the same trouble."""

from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm.attributes import flag_modified

from portal import events
from portal.audit.rules import Actor
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.incidents.actions.telling import cancel_mail, ring_customers
from portal.incidents.actions.updating import post_update
from portal.incidents.actions.writing import note, standing_of
from portal.incidents.models import (
    Incident,
    IncidentAcknowledgement,
    IncidentFollower,
    IncidentSighting,
)
from portal.incidents.queries.merging import refusal
from portal.incidents.queries.postmortems import postmortem_for_staff
from portal.incidents.rules import State, Visibility
from portal.incidents.rules.merging import joined
from portal.incidents.upkeep import settle

RAW: Any = {"synchronize_session": False}


def merge(
    duplicate: Incident,
    into: Incident,
    body: str,
    *,
    notify: bool,
    version: int,
    by: Actor,
    author_id: int | None,
    now: datetime,
    idempotency_key: str | None = None,
) -> None:
    """Merge a report into another, which goes on for both. The same again changes nothing.

    The other names what this one named, at the worse severity, in an update with this text, mailed only if `notify`
    says so. This one is over: it holds no component any more, its address leads to the other, its timeline is kept, and
    so is how long it hit what it hit, for those who could see it. Mails about it that still wait are called off; who
    follows it, has seen it or knows of it does so of the other. `version` is that of the duplicate. Raises
    RuleViolation where somebody would lose sight of it.
    """
    if duplicate.merged_into_id == into.id:
        return
    if why := refusal(duplicate, into):
        raise RuleViolation(why, "into")
    if duplicate.version != version:
        raise StaleEdit
    written = postmortem_for_staff(duplicate.id)
    if written is not None and written.published_at is not None:
        raise RuleViolation("It has a postmortem that customers read: it cannot be merged any more.", "into")
    standing = standing_of(duplicate.id)
    before = {"state": duplicate.state, "into": None}
    duplicate.merged_into_id, duplicate.merged_at = into.id, now
    duplicate.next_update_due_at = duplicate.nag_at = None
    if duplicate.resolved_at is None:
        duplicate.resolved_at, duplicate.state = now, State.FIXED
    # What was merged into this one before belongs to the other, too.
    db.session.execute(update(Incident).where(Incident.merged_into_id == duplicate.id).values(merged_into_id=into.id))
    db.session.flush()
    cancel_mail(duplicate.id, by=by, now=now)
    settle(duplicate, now)
    post_update(
        into,
        None,
        body,
        joined(standing_of(into.id), standing),
        notify=notify,
        version=into.version,
        by=by,
        author_id=author_id,
        now=now,
        idempotency_key=idempotency_key,
    )
    for row in (IncidentFollower, IncidentSighting, IncidentAcknowledgement):
        _move(row, duplicate.id, into.id)
    flag_modified(into, "title")
    db.session.flush()
    events.ring(events.STAFF)
    if duplicate.visibility is Visibility.PUBLIC:
        ring_customers(frozenset(standing), {duplicate.audience, into.audience}, now)
    note(
        "incident.merge",
        duplicate,
        by=by,
        now=now,
        before=before,
        after={"state": duplicate.state, "into": into.id, "notify": notify},
    )


def _move(row: Any, from_id: int, to_id: int) -> None:
    """Have what is noted of people and companies for one report stand for the other, where that has no word of them."""
    whose = row.company_id if row is IncidentAcknowledgement else row.person_id
    known = select(whose).where(row.incident_id == to_id)
    db.session.execute(
        update(row).where(row.incident_id == from_id, whose.not_in(known)).values(incident_id=to_id),
        execution_options=RAW,
    )
    db.session.execute(delete(row).where(row.incident_id == from_id), execution_options=RAW)
