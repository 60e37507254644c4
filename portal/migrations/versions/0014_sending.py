"""the sending process at speed

Revision ID: 0014
Revises: 0013

Every step looks whether it was done already: SQLite keeps what an interrupted migration had changed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

DUE = "ix_delivery_due"
DUE_COLUMNS = ["broadcast_id", "priority", "next_attempt_at", "id"]
MAILS_DUE = sa.text("state = 'pending' AND channel = 'mail'")
ALL_DUE = sa.text("state = 'pending'")

BY_BROADCAST = "ix_delivery_broadcast_id"
"""What `ix_delivery_progress` begins with, so it answered nothing that the other does not, and cost every write."""


def upgrade() -> None:
    _due_index(MAILS_DUE)
    if BY_BROADCAST in _indexes():
        op.drop_index(BY_BROADCAST, table_name="delivery")
    if "offered" not in _columns_of_slices():
        op.add_column("delivery_slice", sa.Column("offered", sa.Text(), nullable=True))


def downgrade() -> None:
    _due_index(ALL_DUE)
    if BY_BROADCAST not in _indexes():
        op.create_index(BY_BROADCAST, "delivery", ["broadcast_id"])
    if "offered" in _columns_of_slices():
        op.drop_column("delivery_slice", "offered")


def _due_index(condition: sa.TextClause) -> None:
    if DUE in _indexes():
        op.drop_index(DUE, table_name="delivery")
    op.create_index(DUE, "delivery", DUE_COLUMNS, sqlite_where=condition, postgresql_where=condition)


def _indexes() -> set[str | None]:
    return {index["name"] for index in sa.inspect(op.get_bind()).get_indexes("delivery")}


def _columns_of_slices() -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns("delivery_slice")}
