"""What is measured of an installation. A fixed number of queries, each bounded by what is open or recent."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import current_app
from redis.exceptions import AuthenticationError, RedisError, ResponseError
from sqlalchemy import ColumnElement, Select, and_, func, literal_column, or_, select, text
from sqlalchemy.exc import SQLAlchemyError

from portal import events
from portal.accounts.models import Person, Session
from portal.accounts.rules import LIFETIMES
from portal.audit.models import UNSEALED, AuditEntry
from portal.config import Settings
from portal.extensions import db
from portal.incidents.models import Incident
from portal.notifications.bounces.queries import mailbox
from portal.notifications.endings import STOPPED_BY_ITSELF
from portal.notifications.models import IS_MAIL, IS_PENDING, Broadcast, Delivery, Outbound, Relay, Suppression
from portal.notifications.outlook import Health, health_of, relays_in_order
from portal.notifications.queries import Pause, pause_of_all
from portal.notifications.relays import IN_USE
from portal.notifications.rules import ACTIVE, OPEN_STATES, BroadcastState, DeliveryState
from portal.operation.models import MailAlarm
from portal.operation.rules import INCIDENT_KINDS, REDIS_AWAY, Flow, Late, Returns, Schema, late

RECENT = timedelta(days=1)
"""How old a finished broadcast may be for its deliveries to be counted still; a year of them would take seconds."""


@dataclass(frozen=True)
class Measures:
    """The figures of one moment. Counts by state hold every state that occurs; sizes are bytes.

    `deliveries` are those of broadcasts that are open or began within RECENT. `wal_bytes` is None but on SQLite.
    """

    deliveries: Mapping[str, int]
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
    returns: Returns

    @property
    def waiting(self) -> int:
        """Mails that are not at their end yet."""
        return sum(self.deliveries.get(state.value, 0) for state in OPEN_STATES)


def measure(now: datetime) -> Measures:
    """All of it. Nine queries and two looks at the disk."""
    counted = _counted(now)
    deliveries = db.session.execute(
        select(Delivery.state, func.count())
        .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        .where(counted)
        .group_by(Delivery.state)
    )
    broadcasts = db.session.execute(select(Broadcast.state, func.count()).where(counted).group_by(Broadcast.state))
    relays = db.session.execute(select(Relay.state, func.count()).where(IN_USE).group_by(Relay.state))
    outbound = db.session.execute(
        select(Outbound.paused_at, Outbound.reason, Outbound.backed_up_at, Outbound.backup_bytes)
    ).one()
    return Measures(
        deliveries={state.value: count for state, count in deliveries},
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
        returns=returns(),
    )


def returns() -> Returns:
    """How what comes back is read. One query, where a mailbox is polled."""
    settings: Settings = current_app.config["SETTINGS"]
    is_posted = bool(settings.bounce_http_secrets)
    if not settings.bounce_imap_url:
        return Returns(False, is_posted, None, None, "", None)
    found = mailbox()
    return Returns(
        True,
        is_posted,
        found.polled_at,
        found.failing_since,
        found.last_answer,
        found.unread,
    )


# How mails go out.

ON_ITS_WAY = or_(
    Broadcast.state.in_(ACTIVE),
    and_(Broadcast.state == BroadcastState.PAUSED, Broadcast.note.startswith(STOPPED_BY_ITSELF)),
)
"""The broadcasts whose mails should go out: not those a person has paused, but those that stopped by themselves."""


@dataclass(frozen=True)
class Outgoing:
    """How mails go out now. `due_since` tells by kind of broadcast since when the mail that waits longest could have
    gone out; `relays` are those in use, in their order; `pause` is that of the whole installation."""

    due_since: Mapping[str, datetime]
    relays: Sequence[Health]
    pause: Pause | None

    @property
    def oldest_due(self) -> datetime | None:
        """Since when the oldest of all could have gone out."""
        return min(self.due_since.values(), default=None)

    @property
    def per_minute(self) -> int:
        """How many mails servers took in the last minute."""
        return sum(each.minute.taken for each in self.relays)

    @property
    def refused_in_a_day(self) -> int:
        """How many mails servers did not take in the last 24 hours, for now or for good."""
        return sum(each.day.refused for each in self.relays)

    @property
    def taken_in_a_day(self) -> int:
        """How many mails servers took in the last 24 hours."""
        return sum(each.day.taken for each in self.relays)

    @property
    def incidents(self) -> Flow:
        """The same of the mails of incidents, for the rule that tells whether they are late."""
        waiting = [since for kind, since in self.due_since.items() if kind in INCIDENT_KINDS]
        return Flow(
            min(waiting, default=None),
            self.per_minute,
            Counter(each.look for each in self.relays),
            self.pause is not None,
        )


def outgoing(now: datetime) -> Outgoing:
    """How mails go out now. Nine queries, bounded by what is open and by the last day's use of the relays."""
    relays = [each for each in relays_in_order() if each.switched_off_at is None]
    return Outgoing(due_since(now), health_of(relays, now), pause_of_all())


def due_since(now: datetime, kinds: Collection[str] | None = None) -> dict[str, datetime]:
    """By kind of broadcast (of these, or of all), since when the oldest unsent mail could have gone out.

    Two queries: what waits, a sending process may hold it or not, and recipients that are not written down yet.
    """
    mine = [ON_ITS_WAY, Broadcast.expires_at > now]
    if kinds is not None:
        mine.append(Broadcast.kind.in_(kinds))
    waiting = (
        select(Broadcast.kind, func.min(Delivery.next_attempt_at))
        .join(Delivery, Delivery.broadcast_id == Broadcast.id)
        .where(IS_PENDING, IS_MAIL, Delivery.next_attempt_at <= now)
    )
    unwritten = select(Broadcast.kind, func.min(Broadcast.created_at)).where(Broadcast.expanded_at.is_(None))
    found: dict[str, datetime] = {}
    for statement in (waiting, unwritten):
        for kind, since in db.session.execute(statement.where(*mine).group_by(Broadcast.kind)):
            found[kind] = min(since, found.get(kind, since))
    return found


def late_now(now: datetime, patience: timedelta) -> Late | None:
    """Whether mails of incidents are late, for every staff page: one query while no report is being mailed."""
    on_its_way = select(Broadcast.id).where(ON_ITS_WAY, Broadcast.kind.in_(INCIDENT_KINDS)).limit(1)
    if db.session.scalar(on_its_way) is None:
        return None
    waiting = due_since(now, INCIDENT_KINDS).values()
    return late(outgoing(now).incidents, now, patience) if any(now - each > patience for each in waiting) else None


def open_alarm() -> MailAlarm | None:
    """The alarm that is not over. One small query."""
    return db.session.scalars(select(MailAlarm).where(MailAlarm.is_open.is_(True))).one_or_none()


def failures(now: datetime) -> dict[str, int]:
    """How many mails failed for good, by class of failure, of broadcasts that are open or began within RECENT."""
    rows = db.session.execute(
        select(Delivery.failure, func.count())
        .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        .where(_counted(now), Delivery.state == DeliveryState.FAILED)
        .group_by(Delivery.failure)
    )
    return {failure.value if failure else "unnamed": count for failure, count in rows}


def in_doubt(now: datetime) -> dict[str, int]:
    """How many mails may have arrived twice ("sent"), or once, twice or never ("unknown"), of the same broadcasts."""
    rows = db.session.execute(
        select(Delivery.state, func.count())
        .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        .where(_counted(now), Delivery.in_doubt > literal_column("0"))
        .group_by(Delivery.state)
    )
    return {state.value: count for state, count in rows}


def suppressed(now: datetime) -> dict[str, int]:
    """How many addresses get nothing of one list or of all, by reason."""
    rows = db.session.execute(
        select(Suppression.reason, func.count())
        .where(or_(Suppression.until.is_(None), Suppression.until > now))
        .group_by(Suppression.reason)
    )
    return {reason.value: count for reason, count in rows}


@dataclass(frozen=True)
class MailFigures:
    """The figures of mail for monitoring: how it goes out, what failed, what is in doubt, what is suppressed, and since
    when mails of incidents are late (None: they are not)."""

    outgoing: Outgoing
    failures: Mapping[str, int]
    in_doubt: Mapping[str, int]
    suppressed: Mapping[str, int]
    late: Late | None


def mail_figures(now: datetime, patience: timedelta) -> MailFigures:
    """All of them. Thirteen queries."""
    found = outgoing(now)
    return MailFigures(found, failures(now), in_doubt(now), suppressed(now), late(found.incidents, now, patience))


def _counted(now: datetime) -> ColumnElement[bool]:
    return or_(Broadcast.state.in_((*ACTIVE, BroadcastState.PAUSED)), Broadcast.created_at > now - RECENT)


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
    """Whether Redis takes what it is given; without it pages poll and the pulse does the work, a little later."""
    return not redis_trouble()


def redis_trouble() -> str:
    """What is wrong with Redis: REDIS_AWAY, or its own words if it is full, read-only or wants a password; else ""."""
    bell = events.bell()
    try:
        # Only writing tells a full one, and one that is read-only, from one that works.
        bell.redis.set("portal:health", "1", ex=60)
    except (ResponseError, AuthenticationError) as refusal:
        return str(refusal)
    except (RedisError, OSError):
        return REDIS_AWAY
    return REDIS_AWAY if bell.is_delayed else ""


@lru_cache(maxsize=4)
def _revisions(directory: str) -> tuple[frozenset[str], frozenset[str]]:
    """The heads of the migrations this version brings, and all of their revisions."""
    scripts = ScriptDirectory(directory)
    return frozenset(scripts.get_heads()), frozenset(each.revision for each in scripts.walk_revisions())
