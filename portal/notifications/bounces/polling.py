"""Whose turn it is to poll the mailbox, and how it fares: a lease on its one row, a rest that grows with trouble."""

import hashlib
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, or_, select, update

from portal import events
from portal.config import Settings
from portal.extensions import db
from portal.notifications.bounces.models import BounceMailbox
from portal.notifications.channels.alarms import tell_staff
from portal.notifications.models import RAW
from portal.notifications.rules import next_pause

POLL_EVERY = timedelta(seconds=45)
"""From the end of one look to the next; whoever is rung once a minute looks every time."""

TOLD_AFTER = timedelta(minutes=15)
"""For how long it may fail before the staff are told: the third look that met the same or so."""

TITLE = "The mailbox of reports cannot be read"
OVER = "The mailbox of reports is read again"

LEASE = timedelta(minutes=3)
"""Longer than a look can take (`mailbox.LONGEST_LOOK`), so that nobody else begins while somebody reads."""


def is_due(settings: Settings, now: datetime) -> bool:
    """Whether the mailbox should be looked into now, and nobody does. One small query."""
    if not settings.bounce_imap_url:
        return False
    return db.session.scalar(select(BounceMailbox.id).where(_is_due(settings, now))) is not None


def begin(settings: Settings, owner: str, now: datetime) -> bool:
    """Take the mailbox for this process, if it is due and nobody has it; whether it was."""
    if not settings.bounce_imap_url:
        return False
    taken = db.session.execute(
        update(BounceMailbox)
        .where(_is_due(settings, now))
        .values(owner=owner, leased_until=now + LEASE)
        .returning(BounceMailbox.id),
        execution_options=RAW,
    )
    return taken.first() is not None


def end(settings: Settings, owner: str, now: datetime, *, is_more: bool = False, unread: int = 0) -> None:
    """Give the mailbox back after a look that went well; it is due again at once if there is more.

    `unread` is how many reports were left in it. The staff, if they were told of trouble, are told that it is over.
    """
    failing_since = db.session.scalar(select(BounceMailbox.failing_since))
    db.session.execute(
        update(BounceMailbox)
        .where(BounceMailbox.owner == owner)
        .values(
            owner=None,
            leased_until=None,
            fingerprint=_fingerprint(settings),
            next_poll_at=now if is_more else now + POLL_EVERY,
            pause_seconds=0,
            failing_since=None,
            last_answer=None,
            polled_at=now,
            unread=unread,
        ),
        execution_options=RAW,
    )
    if failing_since is not None:
        events.ring(events.STAFF)
        if is_told(failing_since, now):
            text = f"It could not be read since {failing_since:%Y-%m-%d %H:%M} UTC, and is read again now."
            _tell(f"{failing_since.isoformat()}:end", OVER, text, now)


def rest(settings: Settings, owner: str, why: str, now: datetime) -> None:
    """Give the mailbox back because it does not do what it is asked: it is tried again later, and later each time."""
    row = db.session.scalars(select(BounceMailbox).where(BounceMailbox.owner == owner).with_for_update()).one_or_none()
    if row is None:
        return
    pause = next_pause(timedelta(seconds=row.pause_seconds))
    if row.failing_since is None:
        events.ring(events.STAFF)
    row.owner, row.leased_until, row.fingerprint = None, None, _fingerprint(settings)
    row.pause_seconds, row.next_poll_at = int(pause.total_seconds()), now + pause
    row.failing_since, row.last_answer = row.failing_since or now, why[:500]
    if is_told(row.failing_since, now):
        waits = "Reports of mails that did not arrive wait there, so addresses that are dead go on being written to."
        _tell(f"{row.failing_since.isoformat()}:begin", TITLE, f"{row.last_answer} {waits}", now)
    db.session.flush()


def is_told(failing_since: datetime, now: datetime) -> bool:
    """Whether the mailbox has failed for so long that it is no hiccup."""
    return now - failing_since >= TOLD_AFTER


def _tell(key: str, title: str, text: str, now: datetime) -> None:
    """Tell the staff, by mail too, for mails go out all the while. The same key a second time tells nothing."""
    tell_staff(f"bounces:{key}", title, text, now=now, path="/admin/bounces")


def _is_due(settings: Settings, now: datetime) -> ColumnElement[bool]:
    is_free = or_(BounceMailbox.leased_until.is_(None), BounceMailbox.leased_until <= now)
    is_time = or_(BounceMailbox.next_poll_at.is_(None), BounceMailbox.next_poll_at <= now)
    was_corrected = or_(BounceMailbox.fingerprint.is_(None), BounceMailbox.fingerprint != _fingerprint(settings))
    return and_(is_free, or_(is_time, was_corrected))


def _fingerprint(settings: Settings) -> str:
    return hashlib.sha256(settings.bounce_imap_url.encode()).hexdigest()
