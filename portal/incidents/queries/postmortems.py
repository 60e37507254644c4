"""Postmortems: for staff also while they are drafts, for everybody else once they are published."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select

from portal.accounts.rules import Viewpoint
from portal.extensions import db
from portal.incidents.models import Incident, Postmortem
from portal.incidents.queries.conditions import visible_to
from portal.incidents.queries.wordings import worded_postmortems
from portal.incidents.rules.postmortems import notify_key
from portal.notifications.models import Broadcast


def postmortem_for_staff(incident_id: int) -> Postmortem | None:
    """The postmortem of an incident, published or not. One query."""
    return db.session.scalars(select(Postmortem).where(Postmortem.incident_id == incident_id)).one_or_none()


def postmortems_of(incident_ids: Collection[int], viewpoint: Viewpoint, now: datetime) -> dict[int, Postmortem]:
    """The published postmortems of those of these incidents that are fixed and exist from this viewpoint, by incident.

    One query, none for no incident.
    """
    if not incident_ids:
        return {}
    found = db.session.scalars(
        select(Postmortem)
        .execution_options(populate_existing=not viewpoint.is_staff)
        .join(Incident, Incident.id == Postmortem.incident_id)
        .where(
            Postmortem.incident_id.in_(incident_ids),
            Postmortem.published_at.is_not(None),
            Incident.resolved_at.is_not(None),
            visible_to(Incident, viewpoint, now),
        )
    ).all()
    worded_postmortems(found, viewpoint)
    return {each.incident_id: each for each in found}


def postmortem_of(incident_id: int, viewpoint: Viewpoint, now: datetime) -> Postmortem | None:
    """The published postmortem of an incident, as far as it exists from this viewpoint. One query."""
    return postmortems_of([incident_id], viewpoint, now).get(incident_id)


def postmortem_mail(incident_id: int) -> Broadcast | None:
    """The broadcast that tells of a postmortem, if it was told. One query."""
    return db.session.scalars(
        select(Broadcast).where(Broadcast.idempotency_key == notify_key(incident_id))
    ).one_or_none()
