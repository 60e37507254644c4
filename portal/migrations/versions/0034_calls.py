"""call records, what they come to by minutes, hours and days, and where what is kept of them begins

Every step looks whether it was done already: SQLite keeps what an interrupted migration had changed.

Revision ID: 0034
Revises: 0033
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

TABLES = ("call_record", "call_tally", "call_book")


def upgrade() -> None:
    _table(
        "call_record",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("company_id", sa.Integer(), nullable=False),
        sa.Column("call_id", sa.String(length=200), nullable=False),
        sa.Column("from_number", sa.String(length=100), nullable=False),
        sa.Column("to_number", sa.String(length=100), nullable=False),
        sa.Column("from_tail", sa.String(length=24), nullable=False),
        sa.Column("to_tail", sa.String(length=24), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ringing_at", sa.BigInteger(), nullable=True),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.String(length=24), nullable=True),
        sa.Column("code", sa.Integer(), nullable=True),
        sa.Column("trunk", sa.String(length=100), nullable=False),
        sa.Column("carrier", sa.String(length=100), nullable=False),
        sa.Column("service_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["company_id"], ["company.id"], name="fk_call_record_company_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_call_record"),
    )
    _index("uq_call_record_company_id_call_id", "call_record", ["company_id", "call_id"], unique=True)
    _index("ix_call_record_company_id_started_at", "call_record", ["company_id", "started_at"])
    _index("ix_call_record_company_id_outcome_started_at", "call_record", ["company_id", "outcome", "started_at"])
    _index("ix_call_record_company_id_from_tail", "call_record", ["company_id", "from_tail"])
    _index("ix_call_record_company_id_to_tail", "call_record", ["company_id", "to_tail"])
    _table(
        "call_tally",
        sa.Column("company_id", sa.Integer(), nullable=False),
        sa.Column("scope", sa.String(length=110), nullable=False),
        sa.Column("step", sa.String(length=24), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("answered", sa.Integer(), nullable=False),
        sa.Column("effective", sa.Integer(), nullable=False),
        sa.Column("rung", sa.Integer(), nullable=False),
        sa.Column("pdd_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.Integer(), nullable=False),
        sa.Column("talk_ms", sa.BigInteger(), nullable=False),
        sa.Column("closed", sa.Integer(), nullable=False),
        sa.Column("open", sa.Integer(), nullable=False),
        sa.Column("peak", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["company_id"], ["company.id"], name="fk_call_tally_company_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("company_id", "scope", "step", "at", name="pk_call_tally"),
        sqlite_with_rowid=False,
    )
    _index("ix_call_tally_step_at", "call_tally", ["step", "at"])
    _table(
        "call_book",
        sa.Column("company_id", sa.Integer(), nullable=False),
        sa.Column("whole_from", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["company_id"], ["company.id"], name="fk_call_book_company_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("company_id", name="pk_call_book"),
    )


def downgrade() -> None:
    for name in reversed(TABLES):
        if _has_table(name):
            op.drop_table(name)


def _table(name: str, *parts: Any, **options: Any) -> None:
    if not _has_table(name):
        op.create_table(name, *parts, **options)


def _index(name: str, table: str, columns: list[str], **options: Any) -> None:
    if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, columns, **options)


def _has_table(name: str) -> bool:
    return sa.inspect(op.get_bind()).has_table(name)
