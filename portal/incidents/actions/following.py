"""Following one incident or muting it, having seen it, and a company's word that it knows of it."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import select

from portal import events
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.extensions import db
from portal.incidents.models import Incident, IncidentAcknowledgement, IncidentFollower, IncidentSighting
from portal.incidents.queries import followers_key
from portal.incidents.queries.following import followers_of
from portal.incidents.rules import Audience
from portal.incidents.rules.telling import FOLLOWED_BY_ALL
from portal.notifications import actions as notifications
from portal.notifications.actions.inserting import insert_new
from portal.notifications.kinds import Content

KIND = "incident_followed"
"""The registered kind of the mails to those who follow an incident."""


def follow(
    incident: Incident, person_id: int, company_id: int, wants: bool | None, *, by: Actor, now: datetime
) -> None:
    """Tell a person of every update of one incident whatever else they have muted, of none of them, or (None) as usual.

    The same again changes nothing.
    """
    mine = select(IncidentFollower).where(
        IncidentFollower.incident_id == incident.id, IncidentFollower.person_id == person_id
    )
    known = db.session.scalars(mine).one_or_none()
    before = known.wants if known is not None else None
    if before is wants:
        return
    if wants is None:
        db.session.delete(known)
    elif known is None:
        row = {"incident_id": incident.id, "person_id": person_id, "company_id": company_id}
        insert_new(IncidentFollower, row | {"wants": wants, "changed_at": now})
    else:
        known.wants, known.company_id, known.changed_at = wants, company_id, now
    db.session.flush()
    audit.record(
        "incident.follow",
        object_kind="incident",
        object_id=incident.id,
        company_id=company_id,
        by=by,
        now=now,
        before={"wants": before},
        after={"wants": wants},
    )


def acknowledge(incident: Incident, company_id: int, person_id: int, *, by: Actor, now: datetime) -> None:
    """Note that a company knows of an incident, once: whoever says so again changes nothing."""
    known = select(IncidentAcknowledgement.id).where(
        IncidentAcknowledgement.incident_id == incident.id, IncidentAcknowledgement.company_id == company_id
    )
    if db.session.scalar(known) is not None:
        return
    row = {"incident_id": incident.id, "company_id": company_id, "person_id": person_id, "acknowledged_at": now}
    insert_new(IncidentAcknowledgement, row)
    note_seen([incident.id], person_id, company_id, now)
    events.ring(events.STAFF, events.company_topic(company_id))
    audit.record(
        "incident.acknowledge",
        object_kind="incident",
        object_id=incident.id,
        company_id=company_id,
        by=by,
        now=now,
    )


def note_seen(incident_ids: Collection[int], person_id: int, company_id: int, now: datetime) -> None:
    """Note that a person had these incidents on a page of theirs, each once; only the first time is kept."""
    of_whom = {"person_id": person_id, "company_id": company_id, "seen_at": now}
    if incident_ids:
        insert_new(IncidentSighting, *({"incident_id": each} | of_whom for each in sorted(incident_ids)))


def followed(incident: Incident) -> dict[str, Any]:
    """What a frozen selector holds of who follows an incident: they are told apart from all others, and only once.

    Those it does not hit are among them where it is for everyone, also when only the affected are mailed.
    """
    people = followers_of(incident.id)
    return {"followers": people, FOLLOWED_BY_ALL: incident.audience is Audience.EVERYONE} if people else {}


def tell_followers(
    selector: dict[str, Any],
    *,
    idempotency_key: str,
    title: str,
    content: Content,
    thread_key: str,
    by: Actor,
    now: datetime,
) -> None:
    """Queue the same mail once more for those who follow the incident, if there are any.

    It is of a kind, and so of a list, of its own: what they have muted of all others, or left, does not touch it.
    """
    if selector.get("followers"):
        notifications.queue_broadcast(
            KIND,
            idempotency_key=followers_key(idempotency_key),
            title=title,
            selector=selector,
            content=content,
            thread_key=thread_key,
            by_person_id=by.person_id,
            now=now,
        )
