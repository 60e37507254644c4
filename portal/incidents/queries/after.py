"""What was told of incidents after they were fixed, as plain rows: for machines, beside `whole`."""

from collections.abc import Collection, Mapping
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, select

from portal.extensions import rows
from portal.incidents.models import Incident, Postmortem


class ToldPostmortem(NamedTuple):
    """A published postmortem."""

    public_id: str
    body: str
    published_at: datetime
    changed_at: datetime
    notify: bool


def told_postmortems(incident_ids: Collection[int]) -> Mapping[int, ToldPostmortem]:
    """The published postmortems of these incidents, by incident; whoever asks may see the incidents. One query."""
    found = rows(_told(), ids=list(incident_ids)) if incident_ids else ()
    return {incident_id: ToldPostmortem(*told) for incident_id, *told in found}


@cache
def _told() -> Select[*tuple[Any, ...]]:
    """The columns of ToldPostmortem, in its order, after the id of the incident."""
    each = Postmortem
    return (
        select(each.incident_id, each.public_id, each.body, each.published_at, each.changed_at, each.notify)
        .join(Incident, Incident.id == each.incident_id)
        .where(
            each.incident_id.in_(bindparam("ids", expanding=True)),
            each.published_at.is_not(None),
            Incident.resolved_at.is_not(None),
        )
    )
