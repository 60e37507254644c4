"""The watch over mails of incidents: notes when they begin to be late, tells once, and notes when it is over."""

import logging
from datetime import datetime, timedelta

from flask import current_app
from sqlalchemy import update

from portal import events
from portal.audit import actions as audit
from portal.audit.rules import SYSTEM
from portal.config import Settings
from portal.extensions import db
from portal.notifications.actions import insert_new
from portal.notifications.channels.alarms import tell_staff
from portal.operation.models import MailAlarm
from portal.operation.queries import late_now, open_alarm
from portal.operation.rules import Late

log = logging.getLogger(__name__)

TITLE = "Mails of incidents are late"
OVER = "Mails of incidents go out again"


def patience() -> timedelta:
    """How long a mail of an incident may wait before this is told: PORTAL_INCIDENT_ALARM_SECONDS."""
    settings: Settings = current_app.config["SETTINGS"]
    return timedelta(seconds=settings.incident_alarm_seconds)


def look_after_mails(now: datetime) -> MailAlarm | None:
    """Begin or end the alarm as things are now; returns the one that is open. The caller commits.

    Told once however many processes look: on every staff page, in the log, in the audit trail, and through the
    channels of the staff. Mail is left out, because that is what is late.
    """
    found, alarm = late_now(now, patience()), open_alarm()
    if found is not None and alarm is None:
        return _begin(found, now)
    if found is None and alarm is not None:
        _end(alarm, now)
        return None
    if found is not None and alarm is not None and alarm.reason != found.reason:
        alarm.reason = found.reason
        db.session.flush()
        events.ring(events.STAFF)
    return alarm


def _begin(found: Late, now: datetime) -> MailAlarm | None:
    if not insert_new(MailAlarm, is_open=True, began_at=now, due_since=found.since, reason=found.reason):
        return open_alarm()  # somebody else has told it in this moment
    alarm = open_alarm()
    if alarm is None:
        return None
    seconds = (now - found.since).total_seconds()
    log.warning("mails of incidents are late: the oldest could have gone out %.0f s ago. %s", seconds, found.reason)
    _note("alarm.begin", alarm, now, {"due_since": found.since.isoformat(), "reason": found.reason})
    _tell(f"{alarm.id}:begin", TITLE, f"The oldest has waited since {found.since:%H:%M} UTC. {found.reason}", now)
    return alarm


def _end(alarm: MailAlarm, now: datetime) -> None:
    ended = db.session.scalars(
        update(MailAlarm)
        .where(MailAlarm.id == alarm.id, MailAlarm.is_open.is_(True))
        .values(is_open=None, ended_at=now)
        .returning(MailAlarm.id)
    ).first()
    if ended is None:
        return
    log.info("mails of incidents are no longer late; they were for %.0f s", (now - alarm.began_at).total_seconds())
    _note("alarm.end", alarm, now, {"began_at": alarm.began_at.isoformat()})
    _tell(f"{alarm.id}:end", OVER, f"None is late any more. It began at {alarm.began_at:%H:%M} UTC.", now)


def _note(action: str, alarm: MailAlarm, now: datetime, after: dict[str, str]) -> None:
    events.ring(events.STAFF)
    audit.record(action, object_kind="installation", object_id=alarm.id, by=SYSTEM, now=now, after=after)


def _tell(key: str, title: str, text: str, now: datetime) -> None:
    tell_staff(f"mail:{key}", title, text, now=now, path="/admin/sending", by_mail=False)
