"""relays with a profile each, their secrets sealed

Revision ID: 0009
Revises: 0008

Every step looks whether it was done already: SQLite keeps what an interrupted migration had changed.
"""

from urllib.parse import SplitResult, unquote, urlsplit

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

COUNTERS = ("minute_began_at", "minute_count", "day_began_at", "day_count")
"""Counted in windows of the clock, of which two together hold twice what a relay takes; counted by the second now."""

SECURITIES = {"smtps": ("tls", 465), "smtp+starttls": ("starttls", 587)}
SEE_AGAIN = "Its address was taken over from an earlier version. Enter its password again, if it has one."


def upgrade() -> None:
    there = _columns_of("relay")
    for column in (
        sa.Column("host", sa.String(length=253), nullable=True),
        sa.Column("port", sa.Integer(), nullable=True),
        sa.Column("security", sa.String(length=24), nullable=False, server_default="none"),
        sa.Column("username", sa.String(length=254), nullable=True),
        sa.Column("password_sealed", sa.Text(), nullable=True),
        sa.Column("sender", sa.String(length=254), nullable=True),
        sa.Column("profile", sa.String(length=24), nullable=False, server_default="unlimited"),
        sa.Column("state_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("switched_off_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("test", sa.JSON(), nullable=True),
    ):
        if column.name not in there:
            op.add_column("relay", column)
    if "url" in there:
        op.execute("UPDATE relay SET profile = 'custom' WHERE per_minute IS NOT NULL OR per_day IS NOT NULL")
        _take_over_addresses()
        op.drop_column("relay", "url")
    for name in COUNTERS:
        if name in there:
            op.drop_column("relay", name)
    if "relay_use" not in _tables():
        op.create_table(
            "relay_use",
            sa.Column("relay_id", sa.Integer(), nullable=False),
            sa.Column("span", sa.Integer(), nullable=False),
            sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
            sa.Column("offered", sa.Integer(), nullable=False),
            sa.Column("taken", sa.Integer(), nullable=False),
            sa.Column("refused", sa.Integer(), nullable=False),
            sa.ForeignKeyConstraint(["relay_id"], ["relay.id"], name=op.f("fk_relay_use_relay_id"), ondelete="CASCADE"),
            sa.PrimaryKeyConstraint("relay_id", "span", "began_at", name=op.f("pk_relay_use")),
        )


def downgrade() -> None:
    """Relays that were entered by hand do not come back: the version before knows the one of the settings alone."""
    if "relay_use" in _tables():
        op.drop_table("relay_use")
    there = _columns_of("relay")
    moment = sa.DateTime(timezone=True)
    for column in (
        sa.Column("url", sa.String(length=500), nullable=True),
        sa.Column("minute_began_at", moment, nullable=True),
        sa.Column("minute_count", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("day_began_at", moment, nullable=True),
        sa.Column("day_count", sa.Integer(), nullable=False, server_default="0"),
    ):
        if column.name not in there:
            op.add_column("relay", column)
    if "host" in there:
        op.execute("DELETE FROM relay WHERE host IS NOT NULL")
    # The host goes last, because it tells which rows the step above is about.
    for name in (
        *("test", "removed_at", "switched_off_at", "next_at", "state_since", "profile"),
        *("sender", "password_sealed", "username", "security", "port", "host"),
    ):
        if name in there:
            op.drop_column("relay", name)


def _take_over_addresses() -> None:
    """No screen ever made such a row, so there is hardly one. Its password must not stand in the open any longer."""
    relay = sa.table(
        "relay",
        *(sa.column(name) for name in ("id", "url", "host", "port", "security", "username", "state", "last_answer")),
    )
    connection = op.get_bind()
    for row_id, url in connection.execute(sa.select(relay.c.id, relay.c.url).where(relay.c.url.is_not(None))).all():
        parts = urlsplit(str(url))
        security, port = SECURITIES.get(parts.scheme, ("none", 25))
        values = {
            "host": parts.hostname or "localhost",
            "port": _port_of(parts) or port,
            "security": security,
            "username": unquote(parts.username)[:254] if parts.username else None,
            "state": "broken",
            "last_answer": SEE_AGAIN,
            "url": None,
        }
        connection.execute(relay.update().where(relay.c.id == row_id).values(values))


def _port_of(parts: SplitResult) -> int | None:
    try:
        return parts.port
    except ValueError:
        return None


def _columns_of(table: str) -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}


def _tables() -> set[str]:
    return set(sa.inspect(op.get_bind()).get_table_names())
