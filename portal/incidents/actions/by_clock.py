"""Planned work by the clock: it is told of again, starts and ends by itself, and its owner is asked where it does not.

What it *is* follows from its times without this. Here are the notices, each of them once: see `clockwork`.
"""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import select

from portal import events
from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.incidents.actions.asking import ask_owner
from portal.incidents.actions.entries import course_of, reckon, reminders_of, ring, tell, update_with, write
from portal.incidents.models import Maintenance
from portal.incidents.rules import OPEN_MAINTENANCE, MaintenanceState, public_id_for
from portal.incidents.rules.maintenance import (
    LATE_AFTER,
    Notice,
    Step,
    asked_by,
    next_step,
    reminders_past,
)


def look_after(maintenance_id: int, now: datetime) -> bool:
    """Do everything that is due of this maintenance; False when somebody else is at it, or nothing is.

    What was missed while no clock ran is made up for as far as it still helps: a reminder or a start of what is over is
    left out, of several reminders the last one counts, and the end is told once and says that it is late.
    The caller commits.
    """
    maintenance = db.session.scalars(
        select(Maintenance)
        .where(Maintenance.id == maintenance_id, Maintenance.due_at <= now)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if maintenance is None:
        return False
    while (due := next_step(course_of(maintenance))) and due[1] <= now:
        _STEPS[due[0]](maintenance, due[1], now)
    reckon(maintenance)
    db.session.flush()
    return True


def _remind(maintenance: Maintenance, due_at: datetime, now: datetime) -> None:
    reminders = reminders_of(maintenance)
    maintenance.reminded = max(reminders_past(reminders, maintenance.starts_at, now), maintenance.reminded + 1)
    if now >= maintenance.starts_at:
        return
    last = reminders[maintenance.reminded - 1]
    _notify(maintenance, Notice.REMINDED, maintenance.starts_at - last, now, of=f":{maintenance.reminders}:{last}")


def _tell_staff(maintenance: Maintenance, due_at: datetime, now: datetime) -> None:
    maintenance.staff_told_at = now
    if now >= maintenance.starts_at:
        return
    itself = "It starts by itself." if maintenance.starts_itself else "It starts when you say so."
    ask_owner(
        maintenance,
        "staff",
        f"Maintenance starts soon: {maintenance.title}",
        f"It is planned from {_at(maintenance.starts_at)} to {_at(maintenance.ends_at)}. {itself}",
        now=now,
    )


def _start(maintenance: Maintenance, due_at: datetime, now: datetime) -> None:
    maintenance.state, maintenance.started_at, maintenance.asked = MaintenanceState.IN_PROGRESS, due_at, 0
    if not maintenance.ends_itself or now < maintenance.ends_at:
        _notify(maintenance, Notice.STARTED, due_at, now)


def _end(maintenance: Maintenance, due_at: datetime, now: datetime) -> None:
    maintenance.state, maintenance.completed_at = MaintenanceState.COMPLETED, due_at
    _notify(maintenance, Notice.COMPLETED, due_at, now)


def _ask(maintenance: Maintenance, due_at: datetime, now: datetime) -> None:
    has_begun = maintenance.state in OPEN_MAINTENANCE
    since = maintenance.ends_at if has_begun else maintenance.starts_at
    maintenance.asked = max(asked_by(since, now), maintenance.asked + 1)
    if has_begun:
        title = f"Is the maintenance done? {maintenance.title}"
        text = f"Its window ended {_at(since)}, and it is still in progress. Complete it, or give it a later end."
    else:
        title = f"Has the maintenance begun? {maintenance.title}"
        text = f"It was to start {_at(since)}, and customers still read that it is scheduled. Begin, move or cancel it."
    ask_owner(maintenance, f"{'end' if has_begun else 'start'}:{maintenance.asked}", title, text, now=now)


_STEPS: dict[Step, Callable[[Maintenance, datetime, datetime], None]] = {
    Step.REMIND: _remind,
    Step.TELL_STAFF: _tell_staff,
    Step.START: _start,
    Step.END: _end,
    Step.ASK: _ask,
}


def _notify(maintenance: Maintenance, kind: Notice, due_at: datetime, now: datetime, *, of: str = "") -> None:
    """The entry of what the clock tells, once for the times the maintenance has."""
    public_id = public_id_for(f"clock:{maintenance.public_id}:{kind}:{maintenance.sequence}{of}")
    db.session.flush()
    if update_with(maintenance.id, public_id) is not None:
        ring(maintenance, {maintenance.audience}, now)
        return
    update = write(
        maintenance,
        kind,
        "",
        notify=maintenance.notify,
        is_late=now - due_at > LATE_AFTER,
        author_id=None,
        now=now,
        public_id=public_id,
    )
    tell(maintenance, update, by=SYSTEM, now=now)
    events.wake("deliver")


def _at(moment: datetime) -> str:
    return f"{moment:%d %B %Y %H:%M} UTC"
