"""what components are said to be by hand, without an incident

Every step looks whether it was done already: SQLite keeps what an interrupted migration had changed.

Revision ID: 0031
Revises: 0030
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

TABLE = "base_status"
IS_DUE = sa.text("due_at IS NOT NULL")


def upgrade() -> None:
    if not _has_table():
        op.create_table(
            TABLE,
            sa.Column("id", sa.Integer(), nullable=False),
            sa.Column("component_id", sa.Integer(), nullable=False),
            sa.Column("severity", sa.String(length=24), nullable=False),
            sa.Column("from_at", sa.DateTime(timezone=True), nullable=False),
            sa.Column("to_at", sa.DateTime(timezone=True), nullable=True),
            sa.Column("note", sa.String(length=500), nullable=False),
            sa.Column("set_by_id", sa.Integer(), nullable=True),
            sa.Column("nagged", sa.Integer(), nullable=False),
            sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
            sa.Column("version", sa.Integer(), nullable=False),
            sa.ForeignKeyConstraint(
                ["component_id"], ["component.id"], name="fk_base_status_component_id", ondelete="CASCADE"
            ),
            sa.ForeignKeyConstraint(["set_by_id"], ["person.id"], name="fk_base_status_set_by_id", ondelete="SET NULL"),
            sa.PrimaryKeyConstraint("id", name="pk_base_status"),
        )
    _index("ix_base_status_component_id", ["component_id", "from_at"])
    _index("ix_base_status_to_at", ["to_at"])
    _index("ix_base_status_due", ["due_at"], sqlite_where=IS_DUE, postgresql_where=IS_DUE)


def downgrade() -> None:
    if _has_table():
        op.drop_table(TABLE)


def _index(name: str, columns: list[str], **options: Any) -> None:
    if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(TABLE)}:
        op.create_index(name, TABLE, columns, **options)


def _has_table() -> bool:
    return sa.inspect(op.get_bind()).has_table(TABLE)
