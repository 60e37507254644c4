"""the watch over mails: its alarms, and which mails are in doubt

Revision ID: 0015
Revises: 0014

Every step looks whether it was done already: SQLite keeps what an interrupted migration had changed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

DOUBTFUL = "ix_delivery_in_doubt"
IS_DOUBTFUL = sa.text("in_doubt > 0")


def upgrade() -> None:
    if "mail_alarm" not in sa.inspect(op.get_bind()).get_table_names():
        op.create_table(
            "mail_alarm",
            sa.Column("id", sa.Integer(), nullable=False),
            sa.Column("is_open", sa.Boolean(), nullable=True),
            sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
            sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
            sa.Column("due_since", sa.DateTime(timezone=True), nullable=False),
            sa.Column("reason", sa.String(length=500), nullable=False),
            sa.PrimaryKeyConstraint("id", name=op.f("pk_mail_alarm")),
            sa.UniqueConstraint("is_open", name=op.f("uq_mail_alarm_is_open")),
        )
    if DOUBTFUL not in _indexes():
        op.create_index(
            DOUBTFUL, "delivery", ["broadcast_id", "state"], sqlite_where=IS_DOUBTFUL, postgresql_where=IS_DOUBTFUL
        )


def downgrade() -> None:
    if DOUBTFUL in _indexes():
        op.drop_index(DOUBTFUL, table_name="delivery")
    if "mail_alarm" in sa.inspect(op.get_bind()).get_table_names():
        op.drop_table("mail_alarm")


def _indexes() -> set[str | None]:
    return {index["name"] for index in sa.inspect(op.get_bind()).get_indexes("delivery")}
