"""Incidents by their titles, and by what was written in them."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import exists, or_

from portal.accounts.rules import Viewpoint, one_line
from portal.incidents.models import Incident, IncidentUpdate
from portal.incidents.queries.conditions import visible_to
from portal.incidents.queries.wordings import body_for, text_for
from portal.incidents.rules import State, Visibility
from portal.searching import Matches, find, reading


class IncidentHit(NamedTuple):
    """An incident that was found."""

    id: int
    public_id: str
    title: str
    state: State
    visibility: Visibility
    started_at: datetime


def search_incidents(
    viewpoint: Viewpoint, text: str, limit: int, now: datetime, offset: int | None = None
) -> Matches[IncidentHit]:
    """Incidents that exist from this viewpoint: by title, by their public id, or by a text of their visible updates.

    Of equal matches the newest comes first.
    """
    told = exists().where(
        IncidentUpdate.incident_id == Incident.id, body_for(viewpoint).icontains(one_line(text), autoescape=True)
    )
    if not viewpoint.is_staff:
        told = told.where(IncidentUpdate.visibility == Visibility.PUBLIC)
    title = text_for(viewpoint, Incident.title, Incident.titles)
    return find(
        reading(
            Incident.id,
            Incident.public_id,
            title.label("title"),
            Incident.state,
            Incident.visibility,
            Incident.started_at,
        ).where(visible_to(Incident, viewpoint, now)),
        [Incident.title_key],
        text,
        IncidentHit,
        codes=[Incident.public_id],
        also=told if viewpoint.is_staff else or_(told, title.icontains(one_line(text), autoescape=True)),
        newest_first=Incident.started_at,
        limit=limit,
        offset=offset,
    )
