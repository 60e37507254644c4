"""What every table shares: naming, UTC times, versions, and how each engine opens its transactions."""

from contextvars import ContextVar
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import DateTime, Dialect, Engine, Enum, MetaData, event
from sqlalchemy.engine import Connection, make_url
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
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


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
    return {"pool_pre_ping": True, "connect_args": {"options": timeouts, "connect_timeout": 5}}


def prepare_engine(engine: Engine) -> None:
    """Give SQLite its journal, its foreign keys and honest transactions.

    The driver's own transaction handling is switched off; a writing transaction begins IMMEDIATE, because
    a deferred one that reads first fails at once when another writer commits in between, whatever the timeout.
    """
    if engine.dialect.name != "sqlite":
        return
    event.listen(engine, "connect", _on_sqlite_connect)
    event.listen(engine, "begin", _on_sqlite_begin)


def _on_sqlite_connect(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000"):
        connection.execute(f"PRAGMA {pragma}")


def _on_sqlite_begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN" if read_only.get() else "BEGIN IMMEDIATE")
