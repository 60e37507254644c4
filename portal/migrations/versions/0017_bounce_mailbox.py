"""how much lies unread in the mailbox of reports

Revision ID: 0017
Revises: 0016

The step looks whether it was done already: SQLite keeps what an interrupted migration had changed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if "unread" not in _columns():
        op.add_column("bounce_mailbox", sa.Column("unread", sa.Integer(), nullable=True))


def downgrade() -> None:
    if "unread" in _columns():
        with op.batch_alter_table("bounce_mailbox") as table:
            table.drop_column("unread")


def _columns() -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns("bounce_mailbox")}
