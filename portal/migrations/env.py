"""Alembic's entry: run the migrations on the app's engine, one process at a time, each in a transaction of its own."""

from typing import Any, Literal

from alembic import context
from alembic.script import ScriptDirectory
from flask import current_app
from sqlalchemy import Connection, Enum

from portal.database import UTCDateTime, read_only
from portal.extensions import db
from portal.operation.upgrading import check_foreign_keys, keep_copy, only_one


def render_item(kind: str, item: Any, _autogen_context: object) -> str | Literal[False]:
    """Write our column types as plain ones, so that an old migration never needs today's code."""
    if kind == "type" and isinstance(item, UTCDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, Enum):
        return f"sa.String(length={item.length})"
    return False


def run_migrations() -> None:
    read_only.set(False)
    head = ScriptDirectory(current_app.extensions["migrate"].directory).get_current_head() or ""
    with current_app.app_context(), only_one(db.engine) as connection:
        keep_copy(connection, head, current_app.config["SETTINGS"].instance / "backups")
        _run_on(connection)


def _run_on(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=db.metadata,
        render_as_batch=True,
        render_item=render_item,
        transaction_per_migration=True,
        on_version_apply=lambda **_step: check_foreign_keys(connection),
    )
    with context.begin_transaction():
        context.run_migrations()


run_migrations()
