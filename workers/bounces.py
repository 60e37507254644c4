"""Looking into the mailbox reports come back to: each is written down, and only then put away."""

import logging
import os
import secrets
import time
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from portal import events
from portal.clock import utcnow
from portal.config import Settings
from portal.notifications.bounces import actions, polling
from portal.notifications.bounces.mailbox import (
    MOST_AT_ONCE,
    PROCESSED,
    UNCLEAR,
    MailboxTrouble,
    Place,
    Waiting,
    opened,
)
from portal.notifications.bounces.rules import FOR_A_HUMAN, CameBy, Outcome

log = logging.getLogger(__name__)

LOOK_SECONDS = 15.0
"""How long one look reads before it makes room for what else is due; the rest is read in the next."""


def poll(settings: Settings, is_stopping: Callable[[], bool]) -> bool:
    """Look into the mailbox if it is due and nobody does; whether there was more than one look takes."""
    owner = f"{os.getpid()}-{secrets.token_hex(4)}"
    is_ours = polling.begin(settings, owner, utcnow())
    events.commit()
    if not is_ours:
        return False
    try:
        with opened(Place.of(settings.bounce_imap_url)) as waiting:
            is_more, left = _take_all(waiting, is_stopping)
    except MailboxTrouble as trouble:
        events.rollback()
        log.warning("the mailbox of reports is left alone for a while: %s", trouble)
        polling.rest(settings, owner, str(trouble), utcnow())
        events.commit()
        return False
    polling.end(settings, owner, utcnow(), is_more=is_more, unread=left)
    events.commit()
    return is_more


def _take_all(waiting: Waiting, is_stopping: Callable[[], bool]) -> tuple[bool, int]:
    """Read what one look takes; whether there is more to read now, and how many reports are left where they were."""
    began, uids = time.monotonic(), waiting.uids()
    left = len(uids)
    for uid in uids[:MOST_AT_ONCE]:
        if is_stopping() or time.monotonic() - began > LOOK_SECONDS:
            return True, left
        raw = waiting.read(uid)
        if raw is None:
            left -= 1
            continue
        outcome = _take(raw)
        if outcome is not None:
            waiting.put_away(uid, UNCLEAR if outcome in FOR_A_HUMAN else PROCESSED)
            left -= 1
    return len(uids) > MOST_AT_ONCE, left


def _take(raw: bytes) -> Outcome | None:
    """Write one report down, with what follows, in a transaction of its own; one that cannot be read is noted as such.

    None for one that has to wait until its mail is sent. A database that does not answer is another matter: then the
    report stays where it is too, and the look is over.
    """
    try:
        outcome = actions.take(raw, CameBy.MAILBOX, now=utcnow())
        events.commit()
    except SQLAlchemyError:
        raise
    except actions.InHandError:
        events.rollback()
        return None
    except Exception as trouble:
        log.exception("a report cannot be read")
        events.rollback()
        outcome = actions.note_broken(raw, CameBy.MAILBOX, f"{type(trouble).__name__}: {trouble}", now=utcnow())
        events.commit()
    return outcome
