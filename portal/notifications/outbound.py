"""Whether this copy of the data may send at all: the pause of the whole installation, and how a copy is recognised.

Two copies of one outbox would send everything that waits twice. So the row of `Outbound` remembers where the data
lies; a process that is about to send and finds it elsewhere pauses the sending until a person has confirmed.
"""

import hashlib
import logging
from datetime import datetime
from pathlib import Path

from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError

from portal import events
from portal.audit import actions as audit
from portal.audit.rules import SYSTEM, Actor
from portal.database import file_identity
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from portal.notifications import leases
from portal.notifications.channels import lane
from portal.notifications.models import RAW, Outbound, Slice
from portal.notifications.queries import Pause, pause_of_all

log = logging.getLogger(__name__)

A_COPY = "The data was found in another place than before, so this may be a copy whose original still sends."
RESTORED = "This is a copy restored from a backup; what waited when it was made may have been sent since."


def outbound() -> Outbound:
    """The row itself."""
    return db.session.scalars(select(Outbound)).one()


def fingerprint() -> str:
    """Where the data lies, hashed: a SQLite file by its path, inode and birth; a PostgreSQL table by cluster and oids.

    The table's own oid tells a dump that was read back into the same database. A copy of a whole machine, or a
    physical copy of a PostgreSQL cluster, has the fingerprint of its original.
    """
    if db.engine.dialect.name == "sqlite":
        path = Path(db.engine.engine.url.database or "").resolve()
        place = f"sqlite {path} {file_identity(str(path))}"
    else:
        database, table = db.session.execute(
            text(
                "SELECT oid::bigint, CAST(to_regclass('outbound') AS oid)::bigint "
                "FROM pg_database WHERE datname = current_database()"
            )
        ).one()
        place = f"postgresql {_cluster()} {database} {table}"
    return hashlib.sha256(place.encode()).hexdigest()


def _cluster() -> str:
    """The identifier PostgreSQL gave its cluster; where a hosted one keeps it to itself, the address it answers at."""
    try:
        with db.session.begin_nested():
            return str(db.session.scalar(text("SELECT system_identifier FROM pg_control_system()")))
    except DBAPIError:
        return str(db.session.scalar(text("SELECT concat(inet_server_addr(), ':', inet_server_port())")))


def recognise(now: datetime) -> Pause | None:
    """Look where the data lies before anything is sent, and pause the sending if that is another place than before.

    The first look after an installation began only notes it. What the processes of the original held is released.
    """
    here = fingerprint()
    known = db.session.execute(select(Outbound.fingerprint, Outbound.paused_at)).one()
    if known.fingerprint is None and known.paused_at is None:
        # Two processes that look for the first time see the same place, so it does not matter whose note stays.
        db.session.execute(update(Outbound).values(fingerprint=here), execution_options=RAW)
    elif known.fingerprint != here and known.paused_at is None:
        log.warning("the data lies elsewhere than before: sending is paused until an admin confirms it")
        pause_all(A_COPY, by=SYSTEM, now=now)
        release_everything(now)
    return pause_of_all()


def pause_all(reason: str, *, by: Actor, now: datetime) -> None:
    """Send nothing any more until somebody resumes it; a pause that is there already keeps its time and reason."""
    row = outbound()
    if row.paused_at is not None:
        return
    row.paused_at, row.reason = now, reason[:500]
    db.session.flush()
    events.ring(events.STAFF)
    audit.record(
        "sending.pause",
        object_kind="installation",
        object_id=row.id,
        by=by,
        now=now,
        before={"sending": "on"},
        after={"sending": "paused", "reason": row.reason},
    )


def resume_all(*, by: Actor, now: datetime, version: int | None = None) -> None:
    """Let this copy send, from here on and from this place. `version` is the one the person saw who said so.

    Raises StaleEdit when it was paused anew in between, RuleViolation when nothing is paused.
    """
    row = outbound()
    if version is not None and row.version != version:
        raise StaleEdit
    if row.paused_at is None:
        raise RuleViolation("Sending is not paused.")
    before = {"sending": "paused", "reason": row.reason, "since": row.paused_at.isoformat()}
    row.paused_at, row.reason, row.fingerprint = None, None, fingerprint()
    db.session.flush()
    events.ring(events.STAFF)
    events.wake("deliver")
    audit.record(
        "sending.resume",
        object_kind="installation",
        object_id=row.id,
        by=by,
        now=now,
        before=before,
        after={"sending": "on"},
    )


def release_everything(now: datetime) -> None:
    """End every lease: whoever held it works on another copy, or is not there any more.

    What was only claimed waits again; what was being sent is in doubt, as after a kill.
    """
    db.session.execute(update(Slice).values(leased_until=now), execution_options=RAW)
    leases.release_expired(now)
    lane.let_go_of_everything(now)


def note_backup(size: int, now: datetime) -> None:
    """Remember that a backup was made, for those who look whether there is one."""
    db.session.execute(update(Outbound).values(backed_up_at=now, backup_bytes=size), execution_options=RAW)
    events.ring(events.STAFF)
