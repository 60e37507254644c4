"""whether this copy of the data may send

Revision ID: 0007
Revises: 0006
"""

import secrets
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

MARK = "restored_copy"
"""What `portal restore` leaves in tables that are older than this, so that they begin with sending paused too."""


def upgrade() -> None:
    table = op.create_table(
        "outbound",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("installation_id", sa.String(length=32), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=True),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=True),
        sa.Column("backed_up_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("backup_bytes", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbound")),
        sa.CheckConstraint("id = 1", name=op.f("ck_outbound_only_one")),
    )
    is_restored = sa.inspect(op.get_bind()).has_table(MARK)
    # SQLite keeps moments as plain UTC, PostgreSQL with their zone.
    now = datetime.now(UTC)
    op.bulk_insert(
        table,
        [
            {
                "id": 1,
                "installation_id": secrets.token_hex(16),
                "fingerprint": None,
                "paused_at": (now.replace(tzinfo=None) if op.get_bind().dialect.name == "sqlite" else now)
                if is_restored
                else None,
                "reason": "This is a restored copy." if is_restored else None,
                "backed_up_at": None,
                "backup_bytes": None,
                "version": 1,
            }
        ],
    )
    if is_restored:
        op.drop_table(MARK)


def downgrade() -> None:
    op.drop_table("outbound")
