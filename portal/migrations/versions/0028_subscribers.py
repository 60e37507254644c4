"""subscribers: addresses without a login

Every step looks whether it was done already: SQLite keeps what an interrupted migration had changed.

Revision ID: 0028
Revises: 0027
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _table(
        "subscriber",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("domain_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("key", sa.String(length=32), nullable=False),
        sa.Column("address", sa.String(length=254), nullable=False),
        sa.Column("address_key", sa.String(length=254), nullable=False),
        sa.Column("contact_channel_id", sa.Integer(), nullable=True),
        sa.Column("language", sa.String(length=10), nullable=False),
        sa.Column("topics", sa.JSON(), nullable=False),
        sa.Column("is_shared", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("source", sa.String(length=24), nullable=False),
        sa.Column("consent", sa.String(length=500), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by_id", sa.Integer(), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("quarantined_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["domain_id"], ["portal_domain.id"], name="fk_subscriber_domain_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_subscriber"),
        sa.UniqueConstraint("domain_id", "kind", "address_key", name="uq_subscriber_domain_id_kind_address_key"),
        sa.UniqueConstraint("key", name="uq_subscriber_key"),
    )
    _index("ix_subscriber_state", "subscriber", ["state", "kind", "id"])
    _index("ix_subscriber_address_key", "subscriber", ["address_key"])
    _index("ix_subscriber_contact_channel_id", "subscriber", ["contact_channel_id"])
    if "subscriber_id" not in _columns("delivery"):
        op.add_column("delivery", sa.Column("subscriber_id", sa.Integer(), nullable=True))
    _index(
        "ix_delivery_subscriber_id",
        "delivery",
        ["subscriber_id"],
        sqlite_where=sa.text("subscriber_id IS NOT NULL"),
        postgresql_where=sa.text("subscriber_id IS NOT NULL"),
    )
    if "subscriber_id" not in _columns("contact_channel"):
        op.add_column("contact_channel", sa.Column("subscriber_id", sa.Integer(), nullable=True))
    _index("ix_contact_channel_subscriber_id", "contact_channel", ["subscriber_id"])


def downgrade() -> None:
    for table in ("contact_channel", "delivery"):
        if "subscriber_id" in _columns(table):
            op.drop_index(f"ix_{table}_subscriber_id", table)
            op.drop_column(table, "subscriber_id")
    if _has_table("subscriber"):
        op.drop_table("subscriber")


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
