"""Making one export, in steps that are each a transaction: a table is read without the lock of those who write."""

import logging
from collections.abc import Callable
from datetime import datetime
from tempfile import SpooledTemporaryFile

from sqlalchemy.exc import SQLAlchemyError

from portal import events
from portal.clock import utcnow
from portal.database import read_only
from portal.records import exports
from portal.records.rules.exports import CHUNK_BYTES

log = logging.getLogger(__name__)

CHUNKS_AT_ONCE = 8
"""Pieces of a file stored by one transaction."""


def make(run_id: int, is_stopping: Callable[[], bool]) -> None:
    """Make this export unless somebody does; one that cannot be made says why, one that was cut short is due again."""
    try:
        _make(run_id, is_stopping)
    except SQLAlchemyError:
        raise
    except Exception as trouble:
        log.exception("export %s cannot be made", run_id)
        events.rollback()
        read_only.set(False)
        exports.fail(run_id, f"{type(trouble).__name__}: {trouble}", utcnow())
        events.commit()
    finally:
        read_only.set(False)


def _make(run_id: int, is_stopping: Callable[[], bool]) -> None:
    began = utcnow()
    run = exports.claim(run_id, began)
    if run is None:
        events.rollback()
        return
    kind, subject_id, lease = run.kind, run.subject_id, run.leased_until
    events.commit()
    with SpooledTemporaryFile(max_size=exports.IN_MEMORY) as file:
        read_only.set(True)
        for done, rows in enumerate(exports.write_all(file, kind, subject_id, began), start=1):
            events.rollback()
            read_only.set(False)
            lease = lease and exports.keep(run_id, lease, utcnow(), parts_done=done, rows=rows)
            events.commit()
            if lease is None or is_stopping():
                return
            read_only.set(True)
        events.rollback()
        read_only.set(False)
        size = file.tell()
        file.seek(0)
        _store(run_id, lease, file.read, size)


def _store(run_id: int, lease: datetime | None, read: Callable[[int], bytes], size: int) -> None:
    number = 0
    while lease and (data := read(CHUNK_BYTES)):
        exports.store(run_id, number, data)
        number += 1
        if number % CHUNKS_AT_ONCE == 0:
            lease = exports.keep(run_id, lease, utcnow())
            if lease is None:
                events.rollback()
                return
            events.commit()
    if lease:
        exports.finish(run_id, lease, size, utcnow())
        events.commit()
