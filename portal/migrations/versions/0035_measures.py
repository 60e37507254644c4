"""which figure a metric delivers, what delivers figures and was not looked at yet, and the tags of companies

Every step looks whether it was done already: SQLite keeps what an interrupted migration had changed.

Revision ID: 0035
Revises: 0034
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

COLUMNS = {
    "measure": lambda: sa.Column("measure", sa.String(length=24), nullable=True),
    "trunk": lambda: sa.Column("trunk", sa.String(length=100), server_default="", nullable=False),
    "is_shown": lambda: sa.Column("is_shown", sa.Boolean(), server_default=sa.false(), nullable=False),
    "debit_limit": lambda: sa.Column("debit_limit", sa.BigInteger(), nullable=True),
}
ONE_A_MEASURE = {
    "uq_metric_measure_of_company": ("service_id IS NULL", ["company_id", "trunk", "measure"]),
    "uq_metric_measure_of_service": ("service_id IS NOT NULL", ["company_id", "service_id", "trunk", "measure"]),
}
TABLES = ("measured_source", "company_tag")


def upgrade() -> None:
    for name, column in COLUMNS.items():
        if name not in _columns("metric"):
            op.add_column("metric", column())
    op.execute(sa.text("UPDATE metric SET measure = 'custom' WHERE company_id IS NOT NULL AND measure IS NULL"))
    for name, (place, columns) in ONE_A_MEASURE.items():
        which = sa.text(f"{place} AND archived_at IS NULL AND measure <> 'custom'")
        _index(name, "metric", columns, unique=True, sqlite_where=which, postgresql_where=which)
    _sources()
    _table(
        "company_tag",
        sa.Column("company_id", sa.Integer(), nullable=False),
        sa.Column("tag_key", sa.String(length=40), nullable=False),
        sa.Column("tag", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["company_id"], ["company.id"], name="fk_company_tag_company_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("company_id", "tag_key", name="pk_company_tag"),
    )
    _index("ix_company_tag_tag_key", "company_tag", ["tag_key"])


def _sources() -> None:
    _table(
        "measured_source",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("company_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("metric_id", sa.Integer(), nullable=True),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_value", sa.BigInteger(), nullable=True),
        sa.Column("unread_since", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["company_id"], ["company.id"], name="fk_measured_source_company_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["metric_id"], ["metric.id"], name="fk_measured_source_metric_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_measured_source"),
    )
    of_metric, of_none = sa.text("metric_id IS NOT NULL"), sa.text("metric_id IS NULL")
    unread = sa.text("unread_since IS NOT NULL")
    _index(
        "uq_measured_source_metric_id",
        "measured_source",
        ["metric_id"],
        unique=True,
        sqlite_where=of_metric,
        postgresql_where=of_metric,
    )
    _index(
        "uq_measured_source_kind",
        "measured_source",
        ["company_id", "kind"],
        unique=True,
        sqlite_where=of_none,
        postgresql_where=of_none,
    )
    _index("ix_measured_source_company_id", "measured_source", ["company_id"])
    _index(
        "ix_measured_source_unread",
        "measured_source",
        ["unread_since", "id"],
        sqlite_where=unread,
        postgresql_where=unread,
    )
    # What metrics of companies told last, so that their present values stand at once.
    op.execute(
        sa.text(
            "INSERT INTO measured_source (company_id, kind, metric_id, last_at, last_value) "
            "SELECT m.company_id, 'metric', m.id, f.last_at, f.last FROM metric m JOIN metric_figure f "
            "ON f.metric_id = m.id AND f.step = 'day' AND f.at = "
            "(SELECT max(n.at) FROM metric_figure n WHERE n.metric_id = m.id AND n.step = 'day') "
            "WHERE m.company_id IS NOT NULL AND NOT EXISTS "
            "(SELECT 1 FROM measured_source s WHERE s.metric_id = m.id)"
        )
    )


def downgrade() -> None:
    for name in TABLES:
        if _has_table(name):
            op.drop_table(name)
    for name in ONE_A_MEASURE:
        if name in _indexes("metric"):
            op.drop_index(name, "metric")
    for name in COLUMNS:
        if name in _columns("metric"):
            op.drop_column("metric", name)


def _table(name: str, *parts: Any, **options: Any) -> None:
    if not _has_table(name):
        op.create_table(name, *parts, **options)


def _index(name: str, table: str, columns: list[str], **options: Any) -> None:
    if name not in _indexes(table):
        op.create_index(name, table, columns, **options)


def _indexes(table: str) -> set[str]:
    return {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}


def _columns(table: str) -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}


def _has_table(name: str) -> bool:
    return sa.inspect(op.get_bind()).has_table(name)
