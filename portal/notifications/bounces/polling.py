"""Whose turn it is to poll the mailbox, and how it fares: a lease on its one row, a rest that grows with trouble."""

import hashlib
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, or_, select, update

from portal import events
from portal.config import Settings
from portal.extensions import db
from portal.notifications.bounces.models import BounceMailbox
from portal.notifications.models import RAW
from portal.notifications.rules import next_pause

POLL_EVERY = timedelta(seconds=45)
"""From the end of one look to the next; whoever is rung once a minute looks every time."""

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


def end(settings: Settings, owner: str, now: datetime, *, is_more: bool = False) -> None:
    """Give the mailbox back after a look that went well; it is due again at once if there is more."""
    was_failing = db.session.scalar(select(BounceMailbox.failing_since)) is not None
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
        ),
        execution_options=RAW,
    )
    if was_failing:
        events.ring(events.STAFF)


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
    db.session.flush()


def _is_due(settings: Settings, now: datetime) -> ColumnElement[bool]:
    is_free = or_(BounceMailbox.leased_until.is_(None), BounceMailbox.leased_until <= now)
    is_time = or_(BounceMailbox.next_poll_at.is_(None), BounceMailbox.next_poll_at <= now)
    was_corrected = or_(BounceMailbox.fingerprint.is_(None), BounceMailbox.fingerprint != _fingerprint(settings))
    return and_(is_free, or_(is_time, was_corrected))


def _fingerprint(settings: Settings) -> str:
    return hashlib.sha256(settings.bounce_imap_url.encode()).hexdigest()
