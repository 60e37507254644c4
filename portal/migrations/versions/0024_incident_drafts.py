"""drafts, templates and wordings of incidents

Every step looks whether it was done already: SQLite keeps what an interrupted migration had changed.

Revision ID: 0024
Revises: 0023
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

TABLES = ("incident_template", "incident_draft", "incident_wording")
IS_OPEN = sa.text("published_at IS NULL AND discarded_at IS NULL")


def upgrade() -> None:
    _table(
        "incident_template",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=True),
        sa.Column("audience", sa.String(length=24), nullable=True),
        sa.Column("severities", sa.JSON(), nullable=False),
        sa.Column("notify", sa.Boolean(), nullable=False),
        sa.Column("promise", sa.Integer(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("starter", sa.String(length=40), nullable=True),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by_id", sa.Integer(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["person.id"], name="fk_incident_template_created_by_id", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_incident_template"),
    )
    is_starter = sa.text("starter IS NOT NULL")
    _index(
        "uq_incident_template_starter",
        "incident_template",
        ["starter"],
        unique=True,
        sqlite_where=is_starter,
        postgresql_where=is_starter,
    )
    _table(
        "incident_draft",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("idempotency_key", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("origin", sa.String(length=24), nullable=False),
        sa.Column("origin_name", sa.String(length=120), nullable=False),
        sa.Column("fold_key", sa.String(length=200), nullable=True),
        sa.Column("signals", sa.Integer(), nullable=False),
        sa.Column("first_signal", sa.Text(), nullable=False),
        sa.Column("last_signal", sa.Text(), nullable=False),
        sa.Column("signalled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("publish_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("trouble", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by_id", sa.Integer(), nullable=True),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("incident_id", sa.Integer(), nullable=True),
        sa.Column("discarded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by_id", sa.Integer(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["person.id"], name="fk_incident_draft_created_by_id", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["closed_by_id"], ["person.id"], name="fk_incident_draft_closed_by_id", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incident.id"], name="fk_incident_draft_incident_id", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["person.id"], name="fk_incident_draft_owner_id", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_incident_draft"),
        sa.UniqueConstraint("idempotency_key", name="uq_incident_draft_idempotency_key"),
    )
    _index(
        "uq_incident_draft_fold_key",
        "incident_draft",
        ["fold_key"],
        unique=True,
        sqlite_where=IS_OPEN,
        postgresql_where=IS_OPEN,
    )
    _index("ix_incident_draft_open", "incident_draft", ["id"], sqlite_where=IS_OPEN, postgresql_where=IS_OPEN)
    is_planned = sa.text("publish_at IS NOT NULL")
    _index(
        "ix_incident_draft_publish_at",
        "incident_draft",
        ["publish_at"],
        sqlite_where=is_planned,
        postgresql_where=is_planned,
    )
    _table(
        "incident_wording",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("update_id", sa.Integer(), nullable=False),
        sa.Column("company_id", sa.Integer(), nullable=True),
        sa.Column("domain_id", sa.Integer(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.CheckConstraint("(company_id IS NULL) <> (domain_id IS NULL)", name="ck_incident_wording_one_audience"),
        sa.ForeignKeyConstraint(
            ["update_id"], ["incident_update.id"], name="fk_incident_wording_update_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["company_id"], ["company.id"], name="fk_incident_wording_company_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["domain_id"], ["portal_domain.id"], name="fk_incident_wording_domain_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_incident_wording"),
    )
    for column in ("company_id", "domain_id"):
        _index(f"ix_incident_wording_{column}", "incident_wording", [column])
        is_set = sa.text(f"{column} IS NOT NULL")
        _index(
            f"uq_incident_wording_{column.removesuffix('_id')}",
            "incident_wording",
            ["update_id", column],
            unique=True,
            sqlite_where=is_set,
            postgresql_where=is_set,
        )


def downgrade() -> None:
    for name in reversed(TABLES):
        if _has_table(name):
            op.drop_table(name)


def _table(name: str, *parts: Any) -> None:
    if not _has_table(name):
        op.create_table(name, *parts)


def _index(name: str, table: str, columns: list[str], **options: Any) -> None:
    if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, columns, **options)


def _has_table(name: str) -> bool:
    return sa.inspect(op.get_bind()).has_table(name)
