"""What is measured of an installation. A fixed number of queries, each bounded by what is open or recent."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import current_app
from redis.exceptions import RedisError
from sqlalchemy import Select, and_, func, or_, select, text
from sqlalchemy.exc import SQLAlchemyError

from portal import events
from portal.accounts.models import Person, Session
from portal.accounts.rules import LIFETIMES
from portal.audit.models import UNSEALED, AuditEntry
from portal.extensions import db
from portal.incidents.models import Incident
from portal.notifications.models import IS_PENDING, Broadcast, Delivery, Outbound, Relay
from portal.notifications.rules import ACTIVE, OPEN_STATES, BroadcastState
from portal.operation.models import MailAlarm
from portal.operation.rules import Schema

RECENT = timedelta(days=1)
"""How old a finished broadcast may be for its deliveries to be counted still; a year of them would take seconds."""


@dataclass(frozen=True)
class Measures:
    """The figures of one moment. Counts by state hold every state that occurs; sizes are bytes.

    `deliveries` are those of broadcasts that are open or began within RECENT. `oldest_due` is since when the mail that
    waits longest could have gone out. `wal_bytes` is None but on SQLite.
    """

    deliveries: Mapping[str, int]
    oldest_due: datetime | None
    broadcasts: Mapping[str, int]
    relays: Mapping[str, int]
    sessions_live: int
    incidents_open: int
    audit_unsealed: int
    database_bytes: int
    wal_bytes: int | None
    paused_since: datetime | None
    paused_reason: str
    backed_up_at: datetime | None
    backup_bytes: int | None
    revision: str

    @property
    def waiting(self) -> int:
        """Mails that are not at their end yet."""
        return sum(self.deliveries.get(state.value, 0) for state in OPEN_STATES)


def measure(now: datetime) -> Measures:
    """All of it. Nine queries and two looks at the disk."""
    counted = or_(
        Broadcast.state.in_((*ACTIVE, BroadcastState.PAUSED)),
        Broadcast.created_at > now - RECENT,
    )
    deliveries = db.session.execute(
        select(Delivery.state, func.count())
        .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        .where(counted)
        .group_by(Delivery.state)
    )
    broadcasts = db.session.execute(select(Broadcast.state, func.count()).where(counted).group_by(Broadcast.state))
    relays = db.session.execute(select(Relay.state, func.count()).group_by(Relay.state))
    outbound = db.session.execute(
        select(Outbound.paused_at, Outbound.reason, Outbound.backed_up_at, Outbound.backup_bytes)
    ).one()
    return Measures(
        deliveries={state.value: count for state, count in deliveries},
        oldest_due=_oldest_due(now),
        broadcasts={state.value: count for state, count in broadcasts},
        relays={state.value: count for state, count in relays},
        sessions_live=db.session.scalar(_live_sessions(now)) or 0,
        incidents_open=db.session.scalar(select(func.count(Incident.id)).where(Incident.resolved_at.is_(None))) or 0,
        audit_unsealed=db.session.scalar(select(func.count(AuditEntry.id)).where(UNSEALED)) or 0,
        database_bytes=database_bytes(),
        wal_bytes=wal_bytes(),
        paused_since=outbound.paused_at,
        paused_reason=outbound.reason or "",
        backed_up_at=outbound.backed_up_at,
        backup_bytes=outbound.backup_bytes,
        revision=revision(),
    )


def _oldest_due(now: datetime) -> datetime | None:
    due = db.session.scalar(
        select(func.min(Delivery.next_attempt_at))
        .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        .where(IS_PENDING, Broadcast.state.in_(ACTIVE), Broadcast.expires_at > now)
    )
    return due if due is not None and due <= now else None


def _live_sessions(now: datetime) -> Select[int]:
    is_staff = Person.role.is_not(None)
    live = [
        and_(
            is_staff if staff else ~is_staff,
            Session.last_seen_at > now - lifetime.idle,
            Session.created_at > now - lifetime.absolute,
        )
        for staff, lifetime in LIFETIMES.items()
    ]
    return (
        select(func.count(Session.id))
        .join(Person, Person.id == Session.person_id)
        .where(Session.revoked_at.is_(None), Person.deactivated_at.is_(None), or_(*live))
    )


def database_bytes() -> int:
    """Bytes the data takes on disk, the write-ahead log left out."""
    if path := sqlite_path():
        return _size(path)
    return db.session.scalar(text("SELECT pg_database_size(current_database())")) or 0


def wal_bytes() -> int | None:
    """Bytes of SQLite's write-ahead log; None on PostgreSQL. Asks the disk and not the database."""
    path = sqlite_path()
    return _size(Path(f"{path}-wal")) if path else None


def sqlite_path() -> Path | None:
    """The file of a SQLite database, None on PostgreSQL."""
    return Path(db.engine.engine.url.database or "") if db.engine.dialect.name == "sqlite" else None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def revision() -> str:
    """The revision of the tables, "" where there are none."""
    return ", ".join(sorted(MigrationContext.configure(db.session.connection()).get_current_heads()))


def schema_state() -> Schema:
    """How the tables stand to this version; AWAY when the database does not answer or was replaced. One query."""
    try:
        found = frozenset(MigrationContext.configure(db.session.connection()).get_current_heads())
    except SQLAlchemyError:
        db.session.rollback()
        return Schema.AWAY
    wanted, known = _revisions(current_app.extensions["migrate"].directory)
    if found == wanted:
        return Schema.OK
    return Schema.BEHIND if found <= known else Schema.AHEAD


def redis_answers() -> bool:
    """Whether Redis answers; without it pages poll and the pulse does the work, a little later."""
    bell = events.bell()
    if bell.is_delayed:
        return False
    try:
        bell.redis.ping()
    except (RedisError, OSError):
        return False
    return True


@lru_cache(maxsize=4)
def _revisions(directory: str) -> tuple[frozenset[str], frozenset[str]]:
    """The heads of the migrations this version brings, and all of their revisions."""
    scripts = ScriptDirectory(directory)
    return frozenset(scripts.get_heads()), frozenset(each.revision for each in scripts.walk_revisions())
