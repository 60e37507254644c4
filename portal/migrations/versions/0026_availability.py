"""how availability is counted

Every step looks whether it was done already: SQLite keeps what an interrupted migration had changed.

Revision ID: 0026
Revises: 0025
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

TABLES = ("availability_settings", "company_contract")


def upgrade() -> None:
    _table(
        "availability_settings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("from_month", sa.String(length=7), nullable=False),
        sa.Column("partial_weight", sa.Integer(), nullable=False),
        sa.Column("performance_weight", sa.Integer(), nullable=False),
        sa.Column("maintenance_weight", sa.Integer(), nullable=False),
        sa.Column("notice_hours", sa.Integer(), nullable=False),
        sa.Column("counts_maintenance", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("target", sa.Integer(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_availability_settings"),
        sa.UniqueConstraint("from_month", name="uq_availability_settings_from_month"),
    )
    _table(
        "company_contract",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("company_id", sa.Integer(), nullable=False),
        sa.Column("from_month", sa.String(length=7), nullable=False),
        sa.Column("counts_maintenance", sa.Boolean(), nullable=True),
        sa.Column("target", sa.Integer(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id"], ["company.id"], name="fk_company_contract_company_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_company_contract"),
        sa.UniqueConstraint("company_id", "from_month", name="uq_company_contract_company_id_from_month"),
    )


def downgrade() -> None:
    for name in reversed(TABLES):
        if _has_table(name):
            op.drop_table(name)


def _table(name: str, *parts: Any) -> None:
    if not _has_table(name):
        op.create_table(name, *parts)


def _has_table(name: str) -> bool:
    return sa.inspect(op.get_bind()).has_table(name)
