"""Taking away the bytes of what is gone, and finding what lies in the store without a row.

Each step is a transaction of its own, and none is open while the store is spoken to. Whatever dies in between, the
next look finds the rest.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete

from portal import events
from portal.database import read_only
from portal.extensions import db
from portal.files import actions, queries
from portal.files.models import StoredFile
from portal.files.rules import UNFINISHED_FOR
from portal.files.store import FOLDERS, PREVIEW, Store, StoreTroubleError
from portal.notifications.outbound import recognise

log = logging.getLogger(__name__)

AT_ONCE = 100
"""Files taken away between two looks at the clock of whoever calls."""

ASKED_AT_ONCE = 500
"""Names the database is asked about by one statement."""


def may_take_away(now: datetime) -> bool:
    """Whether this is the one copy of the data that may take files away: while sending is paused nobody knows.

    A copy of the database that was brought up beside its original would else empty the bucket of both.
    """
    paused = recognise(now)
    events.commit()
    return paused is None


def clean_some(store: Store, now: datetime) -> bool:
    """Throw away unfinished files that are old, and take away the bytes and rows of some that are gone.

    Returns whether there may be more. A store that does not answer leaves everything for the next time.
    """
    actions.bin_unfinished(now)
    events.commit()
    some = queries.binned(AT_ONCE)
    events.rollback()
    gone = []
    for file_id, name in some:
        try:
            store.delete(name)
        except (OSError, StoreTroubleError) as trouble:
            log.warning("files that are gone stay in the store for now: %s", trouble)
            break
        gone.append(file_id)
    if gone:
        db.session.execute(
            delete(StoredFile).where(StoredFile.id.in_(gone)), execution_options={"synchronize_session": False}
        )
        events.commit()
    return bool(some) and len(gone) == len(some) == AT_ONCE


@dataclass(frozen=True)
class Sweep:
    """What a look through the store has found: files without a row, and what dead processes had begun to write."""

    orphans: int
    incoming: int


def sweep(store: Store, now: datetime) -> Sweep:
    """Take away what has lain in the store for more than a day without a row. Reads a folder of it at a time."""
    before = now - UNFINISHED_FOR
    incoming = store.forget_incoming(before)
    count = 0
    for name in orphans(store, before):
        store.delete(name)
        count += 1
    if count or incoming:
        log.info("%d files without a row and %d begun ones were taken out of the store", count, incoming)
    return Sweep(count, incoming)


def orphans(store: Store, before: datetime) -> Iterator[str]:
    """The names of files in the store that are older than a moment and have no row; small copies go with theirs."""
    for folder in FOLDERS:
        names = sorted({each.name.removesuffix(PREVIEW) for each in store.lying_in(folder) if each.since < before})
        for start in range(0, len(names), ASKED_AT_ONCE):
            some = names[start : start + ASKED_AT_ONCE]
            known = queries.known_names(some)
            if not read_only.get():
                events.rollback()
            yield from (name for name in some if name not in known)


def missing(store: Store) -> Iterator[int]:
    """The ids of files whose bytes do not lie in the store, though their rows say so."""
    last = 0
    while some := queries.names_after(last, ASKED_AT_ONCE):
        events.rollback()
        yield from (file_id for file_id, name in some if not store.has(name))
        last = some[-1][0]
    events.rollback()
