"""announcements and what the public page shows

Every step looks whether it was done already: SQLite keeps what an interrupted migration had changed.

Revision ID: 0027
Revises: 0026
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

ADDED = {
    "portal_domain": {
        "is_indexed": lambda: sa.Column("is_indexed", sa.Boolean(), server_default=sa.true(), nullable=False),
        "says_maintenance": lambda: sa.Column("says_maintenance", sa.Boolean(), server_default=sa.true(), nullable=False),
        "shows_global_services": lambda: sa.Column(
            "shows_global_services", sa.Boolean(), server_default=sa.false(), nullable=False
        ),
    },
    "component_group": {
        "fold": lambda: sa.Column("fold", sa.String(length=24), server_default="open", nullable=False),
    },
    "component": {
        "only_if_degraded": lambda: sa.Column(
            "only_if_degraded", sa.Boolean(), server_default=sa.false(), nullable=False
        ),
    },
}


def upgrade() -> None:
    for table, columns in ADDED.items():
        for name, column in columns.items():
            if name not in _columns(table):
                op.add_column(table, column())
    _table(
        "announcement",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("domain_id", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(length=160), nullable=False),
        sa.Column("wordings", sa.JSON(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_pinned", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by_id", sa.Integer(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["person.id"], name="fk_announcement_created_by_id", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["domain_id"], ["portal_domain.id"], name="fk_announcement_domain_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_announcement"),
        sa.UniqueConstraint("public_id", name="uq_announcement_public_id"),
    )
    _index("ix_announcement_domain_id", "announcement", ["domain_id", "starts_at"])


def downgrade() -> None:
    if _has_table("announcement"):
        op.drop_table("announcement")
    for table, columns in ADDED.items():
        for name in columns:
            if name in _columns(table):
                op.drop_column(table, name)


def _table(name: str, *parts: Any) -> None:
    if not _has_table(name):
        op.create_table(name, *parts)


def _index(name: str, table: str, columns: list[str], **options: Any) -> None:
    if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, columns, **options)


def _has_table(name: str) -> bool:
    return sa.inspect(op.get_bind()).has_table(name)


def _columns(table: str) -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}
