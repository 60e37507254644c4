"""texts, chats and webhooks beside mail

Revision ID: 0013
Revises: 0012

Every step looks whether it was done already: SQLite keeps what an interrupted migration had changed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_contact_channel_company_id": "company_id",
    "ix_contact_channel_person_id": "person_id",
    "ix_contact_channel_fingerprint": "fingerprint",
}
LANE = "ix_delivery_contact_channel_id"
IS_BESIDE_MAIL = sa.text("contact_channel_id IS NOT NULL")


def upgrade() -> None:
    if not sa.inspect(op.get_bind()).has_table("contact_channel"):
        op.create_table(
            "contact_channel",
            sa.Column("id", sa.Integer(), nullable=False),
            sa.Column("company_id", sa.Integer(), nullable=True),
            sa.Column("person_id", sa.Integer(), nullable=True),
            sa.Column("kind", sa.String(length=24), nullable=False),
            sa.Column("label", sa.String(length=80), nullable=False),
            sa.Column("address", sa.Text(), nullable=False),
            sa.Column("hint", sa.String(length=120), nullable=False),
            sa.Column("fingerprint", sa.String(length=64), nullable=False),
            sa.Column("language", sa.String(length=10), nullable=False),
            sa.Column("topics", sa.JSON(), nullable=False),
            sa.Column("secret", sa.Text(), nullable=True),
            sa.Column("old_secret", sa.Text(), nullable=True),
            sa.Column("old_secret_until", sa.DateTime(timezone=True), nullable=True),
            sa.Column("state", sa.String(length=24), nullable=False),
            sa.Column("failures", sa.Integer(), nullable=False),
            sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
            sa.Column("rests_until", sa.DateTime(timezone=True), nullable=True),
            sa.Column("reason", sa.String(length=500), nullable=True),
            sa.Column("code", sa.Integer(), nullable=True),
            sa.Column("last_sent_at", sa.DateTime(timezone=True), nullable=True),
            sa.Column("served_at", sa.DateTime(timezone=True), nullable=True),
            sa.Column("lease_owner", sa.String(length=80), nullable=True),
            sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
            sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
            sa.Column("created_by_id", sa.Integer(), nullable=True),
            sa.Column("version", sa.Integer(), nullable=False),
            sa.PrimaryKeyConstraint("id", name=op.f("pk_contact_channel")),
            sa.ForeignKeyConstraint(
                ["company_id"], ["company.id"], name=op.f("fk_contact_channel_company_id"), ondelete="CASCADE"
            ),
            sa.ForeignKeyConstraint(
                ["person_id"], ["person.id"], name=op.f("fk_contact_channel_person_id"), ondelete="CASCADE"
            ),
            sa.CheckConstraint("company_id IS NULL OR person_id IS NULL", name=op.f("ck_contact_channel_one_owner")),
        )
    for name, column in INDEXES.items():
        if name not in _indexes_of("contact_channel"):
            op.create_index(name, "contact_channel", [column])
    if "contact_channel_id" not in _columns_of("delivery"):
        op.add_column("delivery", sa.Column("contact_channel_id", sa.Integer(), nullable=True))
    if LANE not in _indexes_of("delivery"):
        op.create_index(
            LANE,
            "delivery",
            ["contact_channel_id", "state", "next_attempt_at", "id"],
            sqlite_where=IS_BESIDE_MAIL,
            postgresql_where=IS_BESIDE_MAIL,
        )


def downgrade() -> None:
    if LANE in _indexes_of("delivery"):
        op.drop_index(LANE, table_name="delivery")
    if "contact_channel_id" in _columns_of("delivery"):
        op.drop_column("delivery", "contact_channel_id")
    if sa.inspect(op.get_bind()).has_table("contact_channel"):
        op.drop_table("contact_channel")


def _indexes_of(table: str) -> set[str | None]:
    return {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}


def _columns_of(table: str) -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}
