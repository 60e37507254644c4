"""reports of mails that did not arrive

Revision ID: 0011
Revises: 0010

Every step looks whether it was done already: SQLite keeps what an interrupted migration had changed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_bounce_report_received_at": ["received_at"],
    "ix_bounce_report_address_key": ["address_key"],
    "ix_bounce_report_delivery_id": ["delivery_id"],
}


def upgrade() -> None:
    if not _has("bounce_report"):
        op.create_table(
            "bounce_report",
            sa.Column("id", sa.Integer(), nullable=False),
            sa.Column("digest", sa.String(length=64), nullable=False),
            sa.Column("came_by", sa.String(length=24), nullable=False),
            sa.Column("outcome", sa.String(length=24), nullable=False),
            sa.Column("delivery_id", sa.Integer(), nullable=True),
            sa.Column("address_key", sa.String(length=254), nullable=True),
            sa.Column("enhanced_code", sa.String(length=12), nullable=True),
            sa.Column("subject", sa.String(length=200), nullable=False),
            sa.Column("words", sa.String(length=500), nullable=False),
            sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
            sa.PrimaryKeyConstraint("id", name=op.f("pk_bounce_report")),
            sa.UniqueConstraint("digest", name=op.f("uq_bounce_report_digest")),
        )
    for name, columns in INDEXES.items():
        if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes("bounce_report")}:
            op.create_index(name, "bounce_report", columns)
    if not _has("bounce_mailbox"):
        op.create_table(
            "bounce_mailbox",
            sa.Column("id", sa.Integer(), nullable=False),
            sa.Column("fingerprint", sa.String(length=64), nullable=True),
            sa.Column("owner", sa.String(length=80), nullable=True),
            sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
            sa.Column("next_poll_at", sa.DateTime(timezone=True), nullable=True),
            sa.Column("pause_seconds", sa.Integer(), nullable=False),
            sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
            sa.Column("last_answer", sa.String(length=500), nullable=True),
            sa.Column("polled_at", sa.DateTime(timezone=True), nullable=True),
            sa.PrimaryKeyConstraint("id", name=op.f("pk_bounce_mailbox")),
            sa.CheckConstraint("id = 1", name=op.f("ck_bounce_mailbox_only_one")),
        )
    mailbox = sa.table("bounce_mailbox", sa.column("id"), sa.column("pause_seconds"))
    if op.get_bind().scalar(sa.select(mailbox.c.id)) is None:
        op.execute(mailbox.insert().values(id=1, pause_seconds=0))


def downgrade() -> None:
    for table in ("bounce_mailbox", "bounce_report"):
        if _has(table):
            op.drop_table(table)


def _has(table: str) -> bool:
    return sa.inspect(op.get_bind()).has_table(table)
