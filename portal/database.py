"""What every table shares: naming, UTC times, versions, and how each engine opens its transactions."""

import ctypes
import os
import struct
import threading
from contextvars import ContextVar
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import DateTime, Dialect, Engine, Enum, MetaData, event
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column, registry
from sqlalchemy.types import TypeDecorator

NAMING = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

read_only: ContextVar[bool] = ContextVar("read_only", default=False)
"""True while a request that may not write is answered, so that SQLite takes no write lock for it."""


class UTCDateTime(TypeDecorator[datetime]):
    """A moment: aware on both sides, stored as UTC. A naive value is a bug and raises ValueError."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a time zone cannot be stored")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else moment_of(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """Text of SQLite becomes a moment in one step: every row of every page holds some."""
        return _read_text if dialect.name == "sqlite" else super().result_processor(dialect, coltype)


def moment_of(read: str | datetime) -> datetime:
    """The moment a column of UTCDateTime holds, as the database has it: SQLite as text, PostgreSQL as a moment."""
    moment = datetime.fromisoformat(read) if isinstance(read, str) else read
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def text_of(moment: datetime) -> str:
    """What SQLite holds of a moment: the inverse of `moment_of`."""
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone cannot be stored")
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def _read_text(read: str | None) -> datetime | None:
    return None if read is None else datetime.fromisoformat(f"{read}+00:00")


class Base(DeclarativeBase):
    registry = registry(
        metadata=MetaData(naming_convention=NAMING),
        type_annotation_map={
            datetime: UTCDateTime(),
            StrEnum: Enum(
                StrEnum, native_enum=False, length=24, values_callable=lambda kind: [member.value for member in kind]
            ),
        },
    )


class Versioned:
    """A row people edit: forms carry `version`, every UPDATE names and raises it, an older one is refused with 409."""

    version: Mapped[int] = mapped_column(default=1)

    @declared_attr.directive
    @classmethod
    def __mapper_args__(cls) -> dict[str, Any]:
        return {"version_id_col": cls.__dict__.get("version", cls.version)}


def engine_options(database_url: str) -> dict[str, Any]:
    """What create_engine needs for this URL: time-outs that keep a stuck statement from holding the house."""
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": 5, "check_same_thread": False}}
    timeouts = "-c statement_timeout=15s -c lock_timeout=3s -c idle_in_transaction_session_timeout=30s -c timezone=UTC"
    # Compiling a statement takes PostgreSQL up to half a second, and none of ours runs as long.
    options = f"{timeouts} -c jit=off"
    return {"pool_pre_ping": True, "connect_args": {"options": options, "connect_timeout": 5}}


class DatabaseReplacedError(SQLAlchemyError):
    """The file of the database, or its write-ahead log, is not the one this process opened: nothing may be written.

    What would be written to a file that was moved away or deleted is lost, and two logs beside one file ruin it.
    """


class Trouble(StrEnum):
    """Why the database does not do what it was asked, as far as people can do something about it."""

    FULL = "full"
    OUTDATED = "outdated"
    AWAY = "away"
    BUSY = "busy"


_SQLITE_TROUBLE = {
    "SQLITE_FULL": Trouble.FULL,
    "SQLITE_IOERR_WRITE": Trouble.FULL,
    "SQLITE_IOERR_FSYNC": Trouble.FULL,
    "SQLITE_IOERR_SHMSIZE": Trouble.FULL,
    "SQLITE_IOERR_TRUNCATE": Trouble.FULL,
    "SQLITE_CANTOPEN": Trouble.AWAY,
}
_POSTGRES_TROUBLE = {
    "53100": Trouble.FULL,
    "42P01": Trouble.OUTDATED,
    "42703": Trouble.OUTDATED,
    "25006": Trouble.AWAY,
    "55P03": Trouble.BUSY,
    "40P01": Trouble.BUSY,
    "40001": Trouble.BUSY,
    "57014": Trouble.BUSY,
}


def trouble_of(error: DBAPIError) -> Trouble | None:
    """What is the matter with the database; None for a statement that is wrong in itself, which is our own bug."""
    if (name := getattr(error.orig, "sqlite_errorname", None)) is not None:
        if str(error.orig).startswith(("no such table", "no such column")):
            return Trouble.OUTDATED
        known = _SQLITE_TROUBLE.get(name)
        return known or (Trouble.BUSY if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) else None)
    state = getattr(error.orig, "sqlstate", None)
    if state in _POSTGRES_TROUBLE:
        return _POSTGRES_TROUBLE[state]
    # Without a state no server has answered; classes 08, 53 and 57 are connections cut, resources short, shutting down.
    return Trouble.AWAY if state is None or state[:2] in {"08", "53", "57"} else None


TURN_SECONDS = 5.0
"""How long a writer waits for the others of its process before it asks SQLite all the same."""

PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "busy_timeout=5000",
    # A log that grew while somebody read for long gives its room back once it was emptied.
    "journal_size_limit=16777216",
)


def prepare_engine(engine: Engine) -> None:
    """Give SQLite its journal, its foreign keys and honest transactions, and have it notice when its file is replaced.

    The driver's own transaction handling is switched off; a writing transaction begins IMMEDIATE, because
    a deferred one that reads first fails at once when another writer commits in between, whatever the timeout.
    """
    if engine.dialect.name != "sqlite":
        return
    place = _Place(engine.url.database or "")
    event.listen(engine, "connect", place.on_connect)
    event.listen(engine, "begin", place.on_begin)
    for end in ("commit", "rollback"):
        event.listen(engine, end, place.on_end)
    event.listen(engine, "reset", place.on_reset)
    for end in ("close", "invalidate", "detach"):
        event.listen(engine, end, place.on_let_go)


class _Place:
    """The file that an engine opened first. Each of its connections has the log it opened with it.

    While a connection is open, SQLite itself never moves either, so another inode is somebody else's doing.
    Those of one process that want to write take turns, because SQLite lets whoever asks at the right moment go first,
    and under many writers the unlucky one would be told that the database is busy.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.file: tuple[int, int] | None = None
        self.turn = threading.Lock()
        os.register_at_fork(after_in_child=self._begin_turns_anew)

    def _begin_turns_anew(self) -> None:
        """Whoever had the turn at a fork is not there in the child to give it back."""
        self.turn = threading.Lock()

    def on_connect(self, connection: Any, record: Any) -> None:
        connection.isolation_level = None
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        found = _inode(self.path)
        self.file = self.file or found
        if found != self.file:
            connection.close()
            raise DatabaseReplacedError(f"{self.path} is another file than the one this process opened")
        record.info["log"] = _inode(f"{self.path}-wal")

    def on_begin(self, connection: Connection) -> None:
        if read_only.get():
            connection.exec_driver_sql("BEGIN")
            return
        log = f"{self.path}-wal"
        known = connection.info["log"]
        if _inode(self.path) != self.file:
            raise DatabaseReplacedError(f"{self.path} is another file than the one this process opened")
        if known and _inode(log) != known:
            raise DatabaseReplacedError(f"{log} is another file than the one this process opened")
        # Who waits in vain tries all the same: the turn is a courtesy, the lock is SQLite's.
        connection.info["turn"] = self.turn if self.turn.acquire(timeout=TURN_SECONDS) else None
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        except BaseException:
            self._give_back(connection.info)
            raise
        if not known:
            # An empty database has no log before its first transaction.
            connection.info["log"] = _inode(log)

    def on_end(self, connection: Connection) -> None:
        self._give_back(connection.info)

    def on_reset(self, connection: Any, record: Any, _state: object) -> None:
        self.on_let_go(connection, record)

    def on_let_go(self, _connection: Any, record: Any, *_more: object) -> None:
        if record is not None:
            self._give_back(record.info)

    @staticmethod
    def _give_back(info: Any) -> None:
        turn = info.pop("turn", None)
        if turn is not None:
            turn.release()


def _inode(path: str) -> tuple[int, int] | None:
    """Which file a path leads to at this moment, None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


_AT_FDCWD, _STATX_BTIME, _BTIME_AT = -100, 0x800, 80
_libc = ctypes.CDLL(None, use_errno=True)


def file_identity(path: str) -> str:
    """What tells this file from every other that was or will be at its path: inode, and when that came into being.

    The inode alone does not, because a file system gives the number of a deleted file to the next one. Where it
    keeps no time of birth, or the C library cannot ask for it, the inode has to do.
    """
    found = ctypes.create_string_buffer(256)
    born = (0, 0)
    ask = getattr(_libc, "statx", None)
    if ask is not None and ask(_AT_FDCWD, os.fsencode(path), 0, _STATX_BTIME, found) == 0:
        (told,) = struct.unpack_from("I", found)
        born = struct.unpack_from("qI", found, _BTIME_AT) if told & _STATX_BTIME else born
    return f"{os.stat(path).st_ino} {born[0]}.{born[1]:09}"
