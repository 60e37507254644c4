"""announcements that subscribers are told of, and when they were

Every step looks whether it was done already: SQLite keeps what an interrupted migration had changed.

Revision ID: 0030
Revises: 0029
"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

COLUMNS = {
    "tells_subscribers": lambda: sa.Column(
        "tells_subscribers", sa.Boolean(), server_default=sa.false(), nullable=False
    ),
    "told_at": lambda: sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
}
INDEX = "ix_announcement_to_tell"


def upgrade() -> None:
    for name, column in COLUMNS.items():
        if name not in _columns():
            op.add_column("announcement", column())
    if INDEX not in _indexes():
        waits = sa.text("tells_subscribers AND told_at IS NULL")
        op.create_index(INDEX, "announcement", ["starts_at"], sqlite_where=waits, postgresql_where=waits)


def downgrade() -> None:
    if INDEX in _indexes():
        op.drop_index(INDEX, "announcement")
    for name in COLUMNS:
        if name in _columns():
            op.drop_column("announcement", name)


def _columns() -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns("announcement")}


def _indexes() -> set[str | None]:
    return {index["name"] for index in sa.inspect(op.get_bind()).get_indexes("announcement")}
