"""When whoever looks after an open report is reminded that customers are waiting to hear more."""

from datetime import datetime, timedelta

from portal.incidents.rules import update_due_at

NAG_AFTER = (timedelta(hours=3), timedelta(hours=6), timedelta(hours=12), timedelta(hours=24))
"""How long after the last public update a forgotten report is asked about again; later once a day."""


def next_nag(last_public_at: datetime, promised_at: datetime | None, now: datetime) -> datetime:
    """When the owner of an open public report is reminded next, after `now`.

    First when the next update is due, then 3, 6, 12 and 24 hours after the last one, then once a day; never before it
    is due. What was due while nobody could be reminded is left out.
    """
    due = update_due_at(last_public_at, promised_at)
    if due > now:
        return due
    for after in NAG_AFTER:
        if last_public_at + after > max(now, due):
            return last_public_at + after
    day = NAG_AFTER[-1]
    return last_public_at + day * ((max(now, due) - last_public_at) // day + 1)


def late_by(last_public_at: datetime, promised_at: datetime | None, now: datetime) -> timedelta | None:
    """How long the next update of an open public report has been due; None while it is not."""
    due = update_due_at(last_public_at, promised_at)
    return now - due if due < now else None
