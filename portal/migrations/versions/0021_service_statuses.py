"""what staff state of services: updates, periods, windows, own templates, and what customers see of it

Every step looks whether it was done already: SQLite keeps what an interrupted migration had changed.

Revision ID: 0021
Revises: 0020
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

TABLES = (
    "service_settings",
    "mail_template",
    "service_view",
    "service_window",
    "starter_note",
    "service_update",
    "service_window_holding",
    "service_update_broadcast",
    "service_update_target",
    "stated_period",
)

SERVICE = {
    "icon": lambda: sa.Column("icon", sa.String(length=40), server_default="", nullable=False),
    "aliases": lambda: sa.Column("aliases", sa.JSON(), server_default="[]", nullable=False),
    "alias_keys": lambda: sa.Column("alias_keys", sa.Text(), server_default="", nullable=False),
    "is_global": lambda: sa.Column("is_global", sa.Boolean(), server_default=sa.false(), nullable=False),
    "global_since": lambda: sa.Column("global_since", sa.DateTime(timezone=True), nullable=True),
    "global_up_to": lambda: sa.Column("global_up_to", sa.Integer(), server_default="0", nullable=False),
    "notifies": lambda: sa.Column("notifies", sa.JSON(), nullable=True),
}


def upgrade() -> None:
    for name, column in SERVICE.items():
        if name not in _columns("service"):
            op.add_column("service", column())
    if "status_colors" not in _columns("portal_domain"):
        op.add_column("portal_domain", sa.Column("status_colors", sa.JSON(), server_default="{}", nullable=False))
    _table(
        "service_settings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest_over", sa.Integer(), nullable=False),
        sa.Column("reminder_minutes", sa.Integer(), nullable=False),
        sa.Column("targets", sa.JSON(), nullable=False),
        sa.Column("is_assistant_open", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_service_settings"),
    )
    _table(
        "mail_template",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("domain_id", sa.Integer(), nullable=True),
        sa.Column("language", sa.String(length=10), nullable=False),
        sa.Column("subject", sa.String(length=250), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("html", sa.Text(), nullable=False),
        sa.Column("is_reset", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["person.id"], name="fk_mail_template_created_by_id", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["domain_id"], ["portal_domain.id"], name="fk_mail_template_domain_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_mail_template"),
    )
    _index("ix_mail_template_domain_id", "mail_template", ["domain_id"])
    _index("ix_mail_template_name", "mail_template", ["name", "domain_id", "language", "id"])

    _table(
        "service_view",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("domain_id", sa.Integer(), nullable=False),
        sa.Column("company_id", sa.Integer(), nullable=True),
        sa.Column("hidden_services", sa.JSON(), nullable=False),
        sa.Column("shows_notes", sa.Boolean(), nullable=False),
        sa.Column("shows_history", sa.Boolean(), nullable=False),
        sa.Column("shows_tickets", sa.Boolean(), nullable=False),
        sa.Column("shows_end_times", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["company_id"], ["company.id"], name="fk_service_view_company_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["domain_id"], ["portal_domain.id"], name="fk_service_view_domain_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_service_view"),
        sa.UniqueConstraint("domain_id", "company_id", name="uq_service_view_domain_id_company_id"),
    )
    _index("ix_service_view_company_id", "service_view", ["company_id"])
    _index(
        "uq_service_view_domain",
        "service_view",
        ["domain_id"],
        unique=True,
        sqlite_where=sa.text("company_id IS NULL"),
        postgresql_where=sa.text("company_id IS NULL"),
    )

    _table(
        "service_window",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("ticket", sa.String(length=60), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("notify", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("sequence", sa.Integer(), server_default="0", nullable=False),
        sa.Column("announced_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reminded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["person.id"], name="fk_service_window_owner_id", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_service_window"),
        sa.UniqueConstraint("public_id", name="uq_service_window_public_id"),
    )
    _index(
        "ix_service_window_due",
        "service_window",
        ["due_at"],
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    _index("ix_service_window_ends_at", "service_window", ["ends_at"])

    _table(
        "starter_note",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=24), nullable=False),
        sa.Column("title", sa.String(length=100), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by_id", sa.Integer(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["person.id"], name="fk_starter_note_created_by_id", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_starter_note"),
    )
    _index("ix_starter_note_status", "starter_note", ["status", "id"])

    _table(
        "service_update",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("idempotency_key", sa.String(length=120), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("status", sa.String(length=24), nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("ticket", sa.String(length=60), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("scope", sa.String(length=24), nullable=False),
        sa.Column("chosen", sa.JSON(), nullable=False),
        sa.Column("holdings", sa.Integer(), nullable=False),
        sa.Column("companies", sa.Integer(), nullable=False),
        sa.Column("notify", sa.Boolean(), nullable=False),
        sa.Column("is_late", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("window_id", sa.Integer(), nullable=True),
        sa.Column("incident_id", sa.Integer(), nullable=True),
        sa.Column("author_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undone_by_id", sa.Integer(), nullable=True),
        sa.Column("nags", sa.Integer(), server_default="0", nullable=False),
        sa.Column("nag_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["author_id"], ["person.id"], name="fk_service_update_author_id", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incident.id"], name="fk_service_update_incident_id", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["undone_by_id"], ["person.id"], name="fk_service_update_undone_by_id", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["window_id"], ["service_window.id"], name="fk_service_update_window_id", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_service_update"),
        sa.UniqueConstraint("idempotency_key", name="uq_service_update_idempotency_key"),
    )
    _index("ix_service_update_created_at", "service_update", ["created_at"])
    _index("ix_service_update_incident_id", "service_update", ["incident_id"])
    _index(
        "ix_service_update_nag",
        "service_update",
        ["nag_at"],
        sqlite_where=sa.text("nag_at IS NOT NULL"),
        postgresql_where=sa.text("nag_at IS NOT NULL"),
    )
    _index("ix_service_update_window_id", "service_update", ["window_id"])

    _table(
        "service_window_holding",
        sa.Column("window_id", sa.Integer(), nullable=False),
        sa.Column("holding_id", sa.Integer(), nullable=False),
        sa.Column("company_id", sa.Integer(), nullable=False),
        sa.Column("service_id", sa.Integer(), nullable=False),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["company_id"], ["company.id"], name="fk_service_window_holding_company_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["holding_id"], ["holding.id"], name="fk_service_window_holding_holding_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["service_id"], ["service.id"], name="fk_service_window_holding_service_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["window_id"], ["service_window.id"], name="fk_service_window_holding_window_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("window_id", "holding_id", name="pk_service_window_holding"),
    )
    _index("ix_service_window_holding_company_id", "service_window_holding", ["company_id"])
    _index("ix_service_window_holding_holding_id", "service_window_holding", ["holding_id"])
    _index("ix_service_window_holding_service_id", "service_window_holding", ["service_id"])

    _table(
        "service_update_broadcast",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("update_id", sa.Integer(), nullable=False),
        sa.Column("service_id", sa.Integer(), nullable=True),
        sa.Column("broadcast_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["broadcast_id"], ["broadcast.id"], name="fk_service_update_broadcast_broadcast_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["service_id"], ["service.id"], name="fk_service_update_broadcast_service_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["update_id"], ["service_update.id"], name="fk_service_update_broadcast_update_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_service_update_broadcast"),
    )
    _index("ix_service_update_broadcast_broadcast_id", "service_update_broadcast", ["broadcast_id"])
    _index("ix_service_update_broadcast_update_id", "service_update_broadcast", ["update_id"])

    _table(
        "service_update_target",
        sa.Column("update_id", sa.Integer(), nullable=False),
        sa.Column("holding_id", sa.Integer(), nullable=False),
        sa.Column("company_id", sa.Integer(), nullable=False),
        sa.Column("service_id", sa.Integer(), nullable=False),
        sa.Column("before", sa.String(length=24), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id"], ["company.id"], name="fk_service_update_target_company_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["holding_id"], ["holding.id"], name="fk_service_update_target_holding_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["service_id"], ["service.id"], name="fk_service_update_target_service_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["update_id"], ["service_update.id"], name="fk_service_update_target_update_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("update_id", "holding_id", name="pk_service_update_target"),
    )
    _index("ix_service_update_target_company_id", "service_update_target", ["company_id", "update_id"])
    _index("ix_service_update_target_holding_id", "service_update_target", ["holding_id", "update_id"])
    _index("ix_service_update_target_service_id", "service_update_target", ["service_id", "update_id"])

    _table(
        "stated_period",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("holding_id", sa.Integer(), nullable=False),
        sa.Column("company_id", sa.Integer(), nullable=False),
        sa.Column("service_id", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=24), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("update_id", sa.Integer(), nullable=False),
        sa.Column("ended_by_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["company_id"], ["company.id"], name="fk_stated_period_company_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["ended_by_id"], ["service_update.id"], name="fk_stated_period_ended_by_id", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["holding_id"], ["holding.id"], name="fk_stated_period_holding_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["service_id"], ["service.id"], name="fk_stated_period_service_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["update_id"], ["service_update.id"], name="fk_stated_period_update_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_stated_period"),
    )
    _index("ix_stated_period_ended_by_id", "stated_period", ["ended_by_id"])
    _index("ix_stated_period_holding_id", "stated_period", ["holding_id", "began_at"])
    _index(
        "ix_stated_period_open_company",
        "stated_period",
        ["company_id"],
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    _index(
        "ix_stated_period_open_service",
        "stated_period",
        ["service_id", "status"],
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    _index("ix_stated_period_update_id", "stated_period", ["update_id"])
    _index(
        "uq_stated_period_open",
        "stated_period",
        ["holding_id"],
        unique=True,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )


def downgrade() -> None:
    for name in reversed(TABLES):
        if _has_table(name):
            op.drop_table(name)
    for name in SERVICE:
        if name in _columns("service"):
            op.drop_column("service", name)
    if "status_colors" in _columns("portal_domain"):
        op.drop_column("portal_domain", "status_colors")


def _table(name: str, *parts: Any) -> None:
    if not _has_table(name):
        op.create_table(name, *parts)


def _index(name: str, table: str, columns: list[str], **options: Any) -> None:
    if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, columns, **options)


def _has_table(name: str) -> bool:
    return sa.inspect(op.get_bind()).has_table(name)


def _columns(table: str) -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}
