"""external monitors, the words that stand for components, and the conditions they have told of

Every step looks whether it was done already: SQLite keeps what an interrupted migration had changed.

Revision ID: 0029
Revises: 0028
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

TABLES = ("monitor", "monitor_match", "monitor_condition")
STANDS = "over_at IS NULL"


def upgrade() -> None:
    _table(
        "monitor",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("shape", sa.String(length=24), nullable=False),
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("hint", sa.String(length=12), nullable=False),
        sa.Column("severity", sa.String(length=24), nullable=False),
        sa.Column("publishes", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_heard_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_trouble", sa.String(length=300), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_monitor"),
        sa.UniqueConstraint("key_hash", name="uq_monitor_key_hash"),
    )
    _table(
        "monitor_match",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("monitor_id", sa.Integer(), nullable=False),
        sa.Column("word", sa.String(length=200), nullable=False),
        sa.Column("component_id", sa.Integer(), nullable=False),
        sa.Column("severity", sa.String(length=24), nullable=False),
        sa.ForeignKeyConstraint(
            ["component_id"], ["component.id"], name="fk_monitor_match_component_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["monitor_id"], ["monitor.id"], name="fk_monitor_match_monitor_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_monitor_match"),
        sa.UniqueConstraint("monitor_id", "word", "component_id", name="uq_monitor_match_monitor_id_word_component_id"),
    )
    _index("ix_monitor_match_component_id", "monitor_match", ["component_id"])
    _table(
        "monitor_condition",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("monitor_id", sa.Integer(), nullable=False),
        sa.Column("fold", sa.String(length=32), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("over_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("signals", sa.Integer(), nullable=False),
        sa.Column("draft_id", sa.Integer(), nullable=True),
        sa.Column("incident_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["draft_id"], ["incident_draft.id"], name="fk_monitor_condition_draft_id", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incident.id"], name="fk_monitor_condition_incident_id", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["monitor_id"], ["monitor.id"], name="fk_monitor_condition_monitor_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_monitor_condition"),
    )
    _index("ix_monitor_condition_draft_id", "monitor_condition", ["draft_id"])
    _index("ix_monitor_condition_incident_id", "monitor_condition", ["incident_id"])
    _index("ix_monitor_condition_last_at", "monitor_condition", ["last_at"])
    _index(
        "uq_monitor_condition_stands",
        "monitor_condition",
        ["monitor_id", "fold"],
        unique=True,
        sqlite_where=sa.text(STANDS),
        postgresql_where=sa.text(STANDS),
    )


def downgrade() -> None:
    for name in reversed(TABLES):
        if _has_table(name):
            op.drop_table(name)


def _table(name: str, *parts: Any) -> None:
    if not _has_table(name):
        op.create_table(name, *parts)


def _index(name: str, table: str, columns: list[str], **options: Any) -> None:
    if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, columns, **options)


def _has_table(name: str) -> bool:
    return sa.inspect(op.get_bind()).has_table(name)
