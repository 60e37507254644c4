"""what people and companies want to hear of, and why nothing reaches an address

Revision ID: 0010
Revises: 0009

Every step looks whether it was done already: SQLite keeps what an interrupted migration had changed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_suppression_reason": ("suppression", ["reason"]),
    "ix_preference_changed_at": ("preference", ["changed_at"]),
    "ix_company_preference_changed_at": ("company_preference", ["changed_at"]),
    "ix_strike_created_at": ("strike", ["created_at"]),
}


def upgrade() -> None:
    _add_column("membership", sa.Column("is_contact", sa.Boolean(), nullable=False, server_default=sa.false()))
    _add_column("preference", sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True))
    _add_column("suppression", sa.Column("source", sa.String(length=24), nullable=False, server_default="staff"))
    _add_column("suppression", sa.Column("created_by_id", sa.Integer(), nullable=True))
    # How we knew of those there are follows from the reason.
    for reason, source in (("hard_bounce", "delivery"), ("unsubscribed", "recipient"), ("complaint", "complaint")):
        op.execute(
            sa.text("UPDATE suppression SET source = :source WHERE reason = :reason AND source = 'staff'").bindparams(
                source=source, reason=reason
            )
        )
    # Until now a full mailbox was a bounce that ends.
    op.execute(
        "UPDATE suppression SET reason = 'quarantined' WHERE reason = 'hard_bounce' AND until IS NOT NULL "
        "AND NOT EXISTS (SELECT 1 FROM suppression AS other WHERE other.address_key = suppression.address_key "
        "AND other.scope = suppression.scope AND other.reason = 'quarantined')"
    )
    tables = _tables()
    if "company_preference" not in tables:
        op.create_table(
            "company_preference",
            sa.Column("id", sa.Integer(), nullable=False),
            sa.Column("company_id", sa.Integer(), nullable=False),
            sa.Column("topic", sa.String(length=60), nullable=False),
            sa.Column("channel", sa.String(length=20), nullable=False),
            sa.Column("wanted", sa.Boolean(), nullable=False),
            sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
            sa.ForeignKeyConstraint(
                ["company_id"], ["company.id"], name=op.f("fk_company_preference_company_id"), ondelete="CASCADE"
            ),
            sa.PrimaryKeyConstraint("id", name=op.f("pk_company_preference")),
            sa.UniqueConstraint(
                "company_id", "topic", "channel", name=op.f("uq_company_preference_company_id_topic_channel")
            ),
        )
    if "strike" not in tables:
        op.create_table(
            "strike",
            sa.Column("id", sa.Integer(), nullable=False),
            sa.Column("address_key", sa.String(length=254), nullable=False),
            sa.Column("day", sa.Date(), nullable=False),
            sa.Column("delivery_id", sa.Integer(), nullable=True),
            sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
            sa.PrimaryKeyConstraint("id", name=op.f("pk_strike")),
            sa.UniqueConstraint("address_key", "day", name=op.f("uq_strike_address_key_day")),
        )
    for name, (table, columns) in INDEXES.items():
        if name not in _indexes_of(table):
            op.create_index(name, table, columns)
    if "ix_suppression_until" not in _indexes_of("suppression"):
        limited = sa.text("until IS NOT NULL")
        op.create_index(
            "ix_suppression_until", "suppression", ["until"], sqlite_where=limited, postgresql_where=limited
        )


def downgrade() -> None:
    for name in ("ix_suppression_until", "ix_suppression_reason"):
        if name in _indexes_of("suppression"):
            op.drop_index(name, table_name="suppression")
    if "ix_preference_changed_at" in _indexes_of("preference"):
        op.drop_index("ix_preference_changed_at", table_name="preference")
    # The version before knows no such reason; what rested was a bounce that ends.
    op.execute(
        "DELETE FROM suppression WHERE reason = 'quarantined' AND EXISTS (SELECT 1 FROM suppression AS other "
        "WHERE other.address_key = suppression.address_key AND other.scope = suppression.scope "
        "AND other.reason = 'hard_bounce')"
    )
    op.execute("UPDATE suppression SET reason = 'hard_bounce' WHERE reason = 'quarantined'")
    for table in ("strike", "company_preference"):
        if table in _tables():
            op.drop_table(table)
    for table, column in (
        ("suppression", "created_by_id"),
        ("suppression", "source"),
        ("preference", "changed_at"),
        ("membership", "is_contact"),
    ):
        if column in _columns_of(table):
            op.drop_column(table, column)


def _add_column(table: str, column: sa.Column) -> None:
    if column.name not in _columns_of(table):
        op.add_column(table, column)


def _indexes_of(table: str) -> set[str | None]:
    return {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}


def _columns_of(table: str) -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}


def _tables() -> set[str]:
    return set(sa.inspect(op.get_bind()).get_table_names())
