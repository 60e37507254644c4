"""telephones that are named for one thing, such as an alert, and are nobody's channel

Every step looks whether it was done already: SQLite keeps what an interrupted migration had changed.

Revision ID: 0038
Revises: 0037
"""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

TABLE, COLUMN, INDEX = "contact_channel", "is_dialled", "uq_contact_channel_dialled"


def upgrade() -> None:
    if COLUMN not in _columns():
        op.add_column(TABLE, sa.Column(COLUMN, sa.Boolean(), server_default=sa.false(), nullable=False))
    if INDEX not in _indexes():
        which = sa.text("is_dialled")
        op.create_index(INDEX, TABLE, ["fingerprint"], unique=True, sqlite_where=which, postgresql_where=which)


def downgrade() -> None:
    # What they were told stays in the ledger; without the column they would be the staff's.
    if COLUMN in _columns():
        op.execute(sa.text("DELETE FROM contact_channel WHERE is_dialled"))
    if INDEX in _indexes():
        op.drop_index(INDEX, table_name=TABLE)
    if COLUMN in _columns():
        op.drop_column(TABLE, COLUMN)


def _columns() -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(TABLE)}


def _indexes() -> set[str | None]:
    return {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(TABLE)}
