"""followings: subscribers who hear of one incident, and whether rooms may sign themselves up

Every step looks whether it was done already: SQLite keeps what an interrupted migration had changed.

Revision ID: 0036
Revises: 0035
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _table(
        "subscriber_following",
        sa.Column("subscriber_id", sa.Integer(), nullable=False),
        sa.Column("conversation", sa.String(length=60), nullable=False),
        sa.Column("topic", sa.String(length=60), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscriber.id"], name="fk_subscriber_following_subscriber_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("subscriber_id", "conversation", name="pk_subscriber_following"),
    )
    _index("ix_subscriber_following_conversation", "subscriber_following", ["conversation", "subscriber_id"])
    if "rooms_sign_up" not in _columns("portal_domain"):
        op.add_column(
            "portal_domain", sa.Column("rooms_sign_up", sa.Boolean(), nullable=False, server_default=sa.true())
        )


def downgrade() -> None:
    if "rooms_sign_up" in _columns("portal_domain"):
        op.drop_column("portal_domain", "rooms_sign_up")
    if sa.inspect(op.get_bind()).has_table("subscriber_following"):
        op.drop_table("subscriber_following")


def _table(name: str, *parts: Any) -> None:
    if not sa.inspect(op.get_bind()).has_table(name):
        op.create_table(name, *parts)


def _index(name: str, table: str, columns: list[str]) -> None:
    if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, columns)


def _columns(table: str) -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}
