"""metrics, where they are shown, their samples, and the figures samples were gathered into

Every step looks whether it was done already: SQLite keeps what an interrupted migration had changed.

Revision ID: 0033
Revises: 0032
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

TABLES = ("metric", "metric_portal", "metric_sample", "metric_figure")


def upgrade() -> None:
    _table(
        "metric",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=60), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("unit", sa.String(length=20), nullable=False),
        sa.Column("decimals", sa.Integer(), nullable=False),
        sa.Column("interval", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("company_id", sa.Integer(), nullable=True),
        sa.Column("service_id", sa.Integer(), nullable=True),
        sa.Column("whole_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["company_id"], ["company.id"], name="fk_metric_company_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["service_id"], ["service.id"], name="fk_metric_service_id", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_metric"),
        sa.UniqueConstraint("key", name="uq_metric_key"),
    )
    _index("ix_metric_company_id", "metric", ["company_id"])
    _index("ix_metric_service_id", "metric", ["service_id"])
    _index("ix_metric_position_id", "metric", ["position", "id"])
    _table(
        "metric_portal",
        sa.Column("metric_id", sa.Integer(), nullable=False),
        sa.Column("domain_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["domain_id"], ["portal_domain.id"], name="fk_metric_portal_domain_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["metric_id"], ["metric.id"], name="fk_metric_portal_metric_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("metric_id", "domain_id", name="pk_metric_portal"),
    )
    _index("ix_metric_portal_domain_id", "metric_portal", ["domain_id"])
    _table(
        "metric_sample",
        sa.Column("metric_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["metric_id"], ["metric.id"], name="fk_metric_sample_metric_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("metric_id", "at", name="pk_metric_sample"),
        sqlite_with_rowid=False,
    )
    _table(
        "metric_figure",
        sa.Column("metric_id", sa.Integer(), nullable=False),
        sa.Column("step", sa.String(length=24), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("total", sa.String(length=40), nullable=False),
        sa.Column("least", sa.BigInteger(), nullable=False),
        sa.Column("most", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["metric_id"], ["metric.id"], name="fk_metric_figure_metric_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("metric_id", "step", "at", name="pk_metric_figure"),
        sqlite_with_rowid=False,
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
