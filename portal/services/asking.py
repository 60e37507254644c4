"""Asking staff: whether scheduled service that ended is done, and whether a problem that was stated still stands.

Whoever stated it is asked by mail; where they are gone, everybody who may state services.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from portal.accounts.models import Person
from portal.accounts.rules import ALLOWED, Permission
from portal.extensions import db
from portal.notifications.actions import queue_broadcast
from portal.notifications.channels.choosing import ALARMS
from portal.notifications.kinds import Cursor, Kind, Recipient, register
from portal.notifications.models import Broadcast
from portal.notifications.wordings import render_wordings

KIND = "service_question"

MAY_ANSWER = sorted(role for role, allowed in ALLOWED.items() if Permission.SERVICES_SET in allowed)


def ask(key: str, title: str, text: str, *, person_id: int | None, path: str, now: datetime) -> Broadcast:
    """Ask this once, in the transaction of what it is about; the same `key` a second time changes nothing.

    `path` is the staff screen on which it is answered.
    """
    return queue_broadcast(
        KIND,
        idempotency_key=f"{KIND}:{key}"[:120],
        title=title,
        selector={"person_id": person_id},
        content=render_wordings("alarm", ("en",), title=title, text=text, path=path),
        thread_key=f"{KIND}:{key.partition(':')[0]}"[:120],
        by_person_id=None,
        now=now,
    )


def _recipients(
    selector: dict[str, Any], after: Cursor | None, limit: int, now: datetime
) -> tuple[Sequence[Recipient], Cursor | None]:
    """Whom it is to, if they may still answer; else everybody who may."""
    can = select(Person).where(Person.role.in_(MAY_ANSWER), Person.deactivated_at.is_(None))
    start = after["person_id"] if after else 0
    owner = db.session.scalars(can.where(Person.id == selector["person_id"])).one_or_none()
    people = (
        [owner] if owner else db.session.scalars(can.where(Person.id > start).order_by(Person.id).limit(limit)).all()
    )
    found = [Recipient(each.id, (), each.email, each.name, "en") for each in people]
    return found, {"person_id": people[-1].id} if len(people) == limit and not owner else None


QUESTION = register(
    Kind(
        name=KIND,
        topic=ALARMS,
        label="Questions to the staff",
        recipients=_recipients,
        expires_after=timedelta(hours=24),
        priority=10,
        is_for_staff=True,
    )
)
