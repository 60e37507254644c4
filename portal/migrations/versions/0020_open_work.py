"""open work is found among much that is finished

Every step looks whether it was done already: SQLite keeps what an interrupted migration had changed.

Revision ID: 0020
Revises: 0019
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_work_item_open_number": (["kind", "number"], "finished_at IS NULL"),
    "ix_work_item_open_planned": (["kind", "status_id", "starts_at", "id"], "finished_at IS NULL"),
    "ix_work_item_open_assignee": (
        ["assignee_id", "starts_at", "id"],
        "finished_at IS NULL AND assignee_id IS NOT NULL",
    ),
}


def upgrade() -> None:
    there = {index["name"] for index in sa.inspect(op.get_bind()).get_indexes("work_item")}
    for name, (columns, condition) in INDEXES.items():
        if name not in there:
            where = sa.text(condition)
            op.create_index(name, "work_item", columns, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    there = {index["name"] for index in sa.inspect(op.get_bind()).get_indexes("work_item")}
    for name in INDEXES:
        if name in there:
            op.drop_index(name, "work_item")
