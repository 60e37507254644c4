"""The kind of mail that reminds whoever looks after a report; where they are gone, everybody who may write of it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from portal.accounts.models import Person
from portal.extensions import db
from portal.incidents.queries.nagging import MAY_OWN
from portal.notifications.channels.choosing import ALARMS
from portal.notifications.kinds import Cursor, Kind, Recipient, register


def _recipients(
    selector: dict[str, Any], after: Cursor | None, limit: int, now: datetime
) -> tuple[Sequence[Recipient], Cursor | None]:
    can = select(Person).where(Person.role.in_(MAY_OWN), Person.deactivated_at.is_(None))
    start = after["person_id"] if after else 0
    owner = db.session.scalars(can.where(Person.id == selector["person_id"])).one_or_none()
    people = (
        [owner] if owner else db.session.scalars(can.where(Person.id > start).order_by(Person.id).limit(limit)).all()
    )
    found = [Recipient(each.id, (), each.email, each.name, "en") for each in people]
    return found, {"person_id": people[-1].id} if len(people) == limit and not owner else None


REMINDER = register(
    Kind(
        name="incident_question",
        topic=ALARMS,
        label="Reminders of reports",
        recipients=_recipients,
        expires_after=timedelta(hours=24),
        priority=10,
        is_for_staff=True,
    )
)
