"""What the clock does about alerts: the tasks call these one after the other, and commit after each."""

from datetime import datetime

from sqlalchemy import or_, select

from portal.alerts.actions.evaluating import STAFF_TOLD_EVERY, evaluate, is_unsaid, tell_staff
from portal.alerts.actions.following import SWEPT_EVERY, follow
from portal.alerts.models import Alert, AlertClock, AlertWatch
from portal.alerts.queries.muting import fingerprint, troubles
from portal.extensions import db
from portal.usage.models import MeasuredSource

__all__ = ["evaluate", "follow", "is_anything_due", "tell_staff"]


def is_anything_due(now: datetime) -> bool:
    """Whether anything came in, happened or is due that alerts hang on. At most seven small queries.

    Where there are no alerts what comes in is left lying: the first one reads it.
    """
    if db.session.scalar(select(Alert.id).limit(1)) is None:
        return False
    waiting = or_(
        select(MeasuredSource.id).where(MeasuredSource.unread_since.is_not(None)).exists(),
        select(AlertWatch.id).where(AlertWatch.due_at <= now).exists(),
    )
    if db.session.scalar(select(waiting)):
        return True
    clock = db.session.scalars(select(AlertClock)).one_or_none()
    if clock is None or clock.swept_at is None or now - clock.swept_at >= SWEPT_EVERY:
        return True
    if fingerprint(troubles(now)) != clock.muting:
        return True
    may_tell = clock.staff_told_at is None or now - clock.staff_told_at >= STAFF_TOLD_EVERY
    return may_tell and is_unsaid()
