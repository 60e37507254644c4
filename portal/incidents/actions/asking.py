"""Asking whoever looks after planned work: by mail, once for each occasion."""

from datetime import datetime

from portal import events
from portal.audit.rules import SYSTEM
from portal.incidents.actions.entries import note
from portal.incidents.actions.nagging import KIND
from portal.incidents.models import Maintenance
from portal.notifications.actions import queue_broadcast
from portal.notifications.wordings import render_wordings


def ask_owner(maintenance: Maintenance, occasion: str, title: str, text: str, *, now: datetime) -> None:
    """Ask the owner, or where they are gone everybody who may plan, once for the times the maintenance has.

    `occasion` says what for; the same one a second time changes nothing.
    """
    queue_broadcast(
        KIND,
        idempotency_key=f"maintenance_question:{maintenance.id}:{maintenance.sequence}:{occasion}"[:120],
        title=title[:250],
        selector={"person_id": maintenance.owner_id},
        content=render_wordings(
            "alarm", ("en",), title=title[:250], text=text, path=f"/admin/maintenances/{maintenance.id}"
        ),
        thread_key=f"maintenance_question:{maintenance.id}",
        by_person_id=None,
        now=now,
    )
    note("ask", maintenance, by=SYSTEM, now=now, after={"title": title})
    events.ring(events.STAFF)
