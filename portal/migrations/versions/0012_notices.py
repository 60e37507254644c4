"""notices written by hand

Each step looks first whether it was taken, so that a migration that was killed can be run again.

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

IS_SCHEDULED = sa.text("state = 'scheduled'")


def upgrade() -> None:
    if not _has_table("notice"):
        op.create_table(
            "notice",
            sa.Column("id", sa.Integer(), nullable=False),
            sa.Column("title", sa.String(length=250), nullable=False),
            sa.Column("title_key", sa.String(length=250), nullable=False, server_default=""),
            sa.Column("wordings", sa.JSON(), nullable=False),
            sa.Column("chosen", sa.JSON(), nullable=False),
            sa.Column("state", sa.String(length=24), nullable=False),
            sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
            sa.Column("due_zone", sa.String(length=64), nullable=True),
            sa.Column("trouble", sa.String(length=500), nullable=True),
            sa.Column("broadcast_id", sa.Integer(), nullable=True),
            sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
            sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
            sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
            sa.Column("created_by_id", sa.Integer(), nullable=True),
            sa.Column("sent_by_id", sa.Integer(), nullable=True),
            sa.Column("version", sa.Integer(), nullable=False),
            sa.ForeignKeyConstraint(
                ["broadcast_id"], ["broadcast.id"], name="fk_notice_broadcast_id", ondelete="SET NULL"
            ),
            sa.ForeignKeyConstraint(
                ["created_by_id"], ["person.id"], name="fk_notice_created_by_id", ondelete="SET NULL"
            ),
            sa.ForeignKeyConstraint(["sent_by_id"], ["person.id"], name="fk_notice_sent_by_id", ondelete="SET NULL"),
            sa.PrimaryKeyConstraint("id", name="pk_notice"),
            sa.UniqueConstraint("broadcast_id", name="uq_notice_broadcast_id"),
        )
    if not _has_index("notice", "ix_notice_due"):
        op.create_index("ix_notice_due", "notice", ["due_at"], sqlite_where=IS_SCHEDULED, postgresql_where=IS_SCHEDULED)
    if not _has_index("notice", "ix_notice_state"):
        op.create_index("ix_notice_state", "notice", ["state", "id"])


def downgrade() -> None:
    if _has_table("notice"):
        op.drop_table("notice")


def _has_table(name: str) -> bool:
    return sa.inspect(op.get_bind()).has_table(name)


def _has_index(table: str, name: str) -> bool:
    return name in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}
