"""What was stated of services with a report, where that is merged into another: it stands with the other then."""

from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update

from portal.extensions import db
from portal.incidents.parts import Part, register
from portal.services.models import ServiceUpdate
from portal.services.queries.stated import is_stated_under

RAW: Any = {"synchronize_session": False}


def _updates(incident_id: int, now: datetime) -> int:
    return db.session.scalar(select(func.count()).where(ServiceUpdate.incident_id == incident_id)) or 0


def _move(from_id: int, to_id: int) -> None:
    db.session.execute(
        update(ServiceUpdate).where(ServiceUpdate.incident_id == from_id).values(incident_id=to_id),
        execution_options=RAW,
    )


def _stated(incident_id: int, now: datetime) -> int:
    return db.session.scalar(select(func.count()).where(*is_stated_under(incident_id, now))) or 0


register(
    "service updates",
    Part(
        "service status that was stated with it stands with the other.",
        "service statuses that were stated with it stand with the other.",
        _updates,
        _move,
    ),
)
# Those follow the components, which the other names from then on.
register(
    "stated periods",
    Part(
        "holding with a problem that is stated is asked about when the other is marked Fixed.",
        "holdings with a problem that is stated are asked about when the other is marked Fixed.",
        _stated,
    ),
)
