"""Merging a report into another that tells of the same trouble."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, delete, exists, update
from sqlalchemy.orm import aliased
from sqlalchemy.orm.attributes import flag_modified

from portal import events
from portal.audit.rules import Actor
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.incidents.actions.telling import cancel_mail, ring_customers
from portal.incidents.actions.updating import post_update
from portal.incidents.actions.writing import await_update, note, standing_of
from portal.incidents.models import (
    Incident,
    IncidentAcknowledgement,
    IncidentDraft,
    IncidentFollower,
    IncidentSighting,
    MonitorCondition,
    Postmortem,
)
from portal.incidents.parts import registered
from portal.incidents.queries.merging import refusal
from portal.incidents.queries.postmortems import postmortem_for_staff
from portal.incidents.rules import State, Visibility
from portal.incidents.rules.conversations import thread_key
from portal.incidents.rules.merging import joined, promised
from portal.incidents.upkeep import settle
from portal.notifications.subscribers import following

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
    so is how long it hit what it hit, for those who could see it. Mails about it that still wait are called off. What
    hangs on it hangs on the other from then on: who follows it, has seen it or knows of it, what monitors say of it,
    drafts, what was stated of services with it; the earlier promise to tell more is kept, unless the other is fixed.
    Its own words stay what they were, with their wordings for some and what was changed of them. `version` is that of
    the duplicate. Raises RuleViolation where somebody would lose sight of it.
    """
    if duplicate.merged_into_id == into.id:
        return
    if why := refusal(duplicate, into):
        raise RuleViolation(why, "into")
    if duplicate.version != version:
        raise StaleEdit
    standing = standing_of(duplicate.id)
    before = {"state": duplicate.state, "into": None}
    due_at = promised(into.next_update_due_at, duplicate.next_update_due_at, now)
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
    if into.resolved_at is None and due_at is not None:
        into.next_update_due_at = due_at
        await_update(into, now)
    moved = _move_all(duplicate.id, into.id)
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
        after={"state": duplicate.state, "into": into.id, "notify": notify, "moved": moved},
    )


OF_WHOM: Mapping[Any, Sequence[str]] = {
    IncidentFollower: ("person_id",),
    IncidentSighting: ("person_id", "company_id"),
    IncidentAcknowledgement: ("company_id",),
}
"""What is noted for a report once for each of these."""


def _move_all(from_id: int, to_id: int) -> dict[str, int]:
    """Have what hangs on one report hang on the other; how many rows of each kind that were."""
    moved = {row.__tablename__: _move_those(row, names, from_id, to_id) for row, names in OF_WHOM.items()}
    # Past the versions: neither is anything that somebody has open to change.
    moved |= {row.__tablename__: _move(row, from_id, to_id) for row in (MonitorCondition, IncidentDraft)}
    if (written := postmortem_for_staff(from_id)) is not None:
        written.incident_id = to_id
        moved[Postmortem.__tablename__] = 1
    if followed := following.carry_over(thread_key(from_id), thread_key(to_id)):
        moved["subscriber_following"] = followed
    for part in registered():
        if part.move is not None:
            part.move(from_id, to_id)
    return {name: count for name, count in moved.items() if count}


def _move_those(row: Any, names: Sequence[str], from_id: int, to_id: int) -> int:
    """What is noted of people and companies, where the other has no word of them; what it has counts."""
    other = aliased(row)
    is_known = exists().where(
        other.incident_id == to_id, *(getattr(other, name) == getattr(row, name) for name in names)
    )
    count = _move(row, from_id, to_id, ~is_known)
    db.session.execute(delete(row).where(row.incident_id == from_id), execution_options=RAW)
    return count


def _move(row: Any, from_id: int, to_id: int, *conditions: ColumnElement[bool]) -> int:
    moved = db.session.execute(
        update(row).where(row.incident_id == from_id, *conditions).values(incident_id=to_id), execution_options=RAW
    )
    return cast(CursorResult[Any], moved).rowcount
