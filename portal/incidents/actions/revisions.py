"""Keeping what a report said before it is changed, in the transaction of the change."""

from datetime import datetime

from portal.audit.rules import Actor
from portal.extensions import db
from portal.incidents.models import Incident, IncidentRevision
from portal.incidents.queries.revisions import last_changes
from portal.incidents.rules.revisions import Revised


def keep(
    incident: Incident,
    what: Revised,
    before: str,
    after: str,
    *,
    part_id: int = 0,
    since: datetime,
    was_seen: bool,
    by: Actor,
    now: datetime,
) -> None:
    """Keep one part of a report as it was. The same content is no change, and keeps nothing.

    `part_id` tells several of the same sort apart. `since` is when it was first written, `was_seen` whether customers
    could read it until now: then it is told from when to when they did.
    """
    if before == after:
        return
    seen_from = None
    if was_seen:
        moments = (since, last_changes(incident.id, what, part_id), last_changes(incident.id, Revised.VISIBILITY, 0))
        seen_from = max(each for each in moments if each is not None)
    db.session.add(
        IncidentRevision(
            incident_id=incident.id,
            what=what,
            part_id=part_id,
            before=before,
            after=after,
            seen_from=seen_from,
            changed_at=now,
            by_id=by.person_id,
            by_label="" if by.person_id else by.label[:120],
        )
    )
    db.session.flush()
