"""Alembic's entry: run the migrations on the app's engine, one process at a time."""

from typing import Any, Literal

from alembic import context
from flask import current_app
from sqlalchemy import Enum, text

from portal.database import UTCDateTime, read_only
from portal.extensions import db

LOCK = 7_205_183
"""The PostgreSQL advisory lock that keeps two migrations from running at once; SQLite's write lock does it there."""


def render_item(kind: str, item: Any, _autogen_context: object) -> str | Literal[False]:
    """Write our column types as plain ones, so that an old migration never needs today's code."""
    if kind == "type" and isinstance(item, UTCDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, Enum):
        return f"sa.String(length={item.length})"
    return False


def run_migrations() -> None:
    read_only.set(False)
    with current_app.app_context(), db.engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            # Lock and time-out are of this connection: it must end with the migration, not go back to the pool.
            connection.detach()
            connection.execute(text("SET statement_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": LOCK})
            connection.commit()
        context.configure(
            connection=connection,
            target_metadata=db.metadata,
            render_as_batch=True,
            render_item=render_item,
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()


run_migrations()
