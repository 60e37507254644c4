"""alerts, their templates and recipients, how each stands for each company, and what happened

Every step looks whether it was done already: SQLite keeps what an interrupted migration had changed.

Revision ID: 0037
Revises: 0036
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

TABLES = ("alert_template", "alert", "alert_recipient", "alert_watch", "alert_event", "alert_rights", "alert_clock")


def upgrade() -> None:
    _table(
        "alert_template",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("name_key", sa.String(length=200), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("html", sa.Text(), nullable=False),
        sa.Column("sms", sa.String(length=480), nullable=False),
        sa.Column("trouble", sa.String(length=500), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alert_template"),
    )
    _index(
        "uq_alert_template_name_key",
        "alert_template",
        ["name_key"],
        unique=True,
        sqlite_where=sa.text("archived_at IS NULL"),
        postgresql_where=sa.text("archived_at IS NULL"),
    )
    _table(
        "alert",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("company_id", sa.Integer(), nullable=True),
        sa.Column("tag", sa.String(length=40), nullable=True),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("title_key", sa.String(length=250), nullable=False),
        sa.Column("area", sa.String(length=24), nullable=False),
        sa.Column("service_id", sa.Integer(), nullable=True),
        sa.Column("trunk", sa.String(length=100), nullable=False),
        sa.Column("metric_id", sa.Integer(), nullable=True),
        sa.Column("operator", sa.String(length=24), nullable=False),
        sa.Column("threshold", sa.BigInteger(), nullable=True),
        sa.Column("reset", sa.BigInteger(), nullable=True),
        sa.Column("window", sa.Integer(), nullable=False),
        sa.Column("least_count", sa.Integer(), nullable=False),
        sa.Column("must_last", sa.Integer(), nullable=False),
        sa.Column("must_be_well", sa.Integer(), nullable=False),
        sa.Column("repeat", sa.String(length=24), nullable=False),
        sa.Column("repeat_hour", sa.Integer(), nullable=True),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("template_id", sa.Integer(), nullable=True),
        sa.Column("level", sa.String(length=24), nullable=False),
        sa.Column("script", sa.String(length=500), nullable=False),
        sa.Column("is_on", sa.Boolean(), nullable=False),
        sa.Column("tells_normal", sa.Boolean(), nullable=False),
        sa.Column("tells_contacts", sa.Boolean(), nullable=False),
        sa.Column("opens_draft", sa.Boolean(), nullable=False),
        sa.Column("draft_id", sa.Integer(), nullable=True),
        sa.Column("made_by", sa.String(length=24), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("(company_id IS NULL) != (tag IS NULL)", name="ck_alert_one_subject"),
        sa.ForeignKeyConstraint(["company_id"], ["company.id"], name="fk_alert_company_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["draft_id"], ["incident_draft.id"], name="fk_alert_draft_id", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["metric_id"], ["metric.id"], name="fk_alert_metric_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["service_id"], ["service.id"], name="fk_alert_service_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["template_id"], ["alert_template.id"], name="fk_alert_template_id", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_alert"),
        sa.UniqueConstraint("public_id", name="uq_alert_public_id"),
    )
    _index("ix_alert_company_id", "alert", ["company_id"])
    _index("ix_alert_draft_id", "alert", ["draft_id"])
    _index("ix_alert_metric_id", "alert", ["metric_id"])
    _index("ix_alert_service_id", "alert", ["service_id"])
    _index("ix_alert_template_id", "alert", ["template_id"])
    _index(
        "uq_alert_company_id_title_key",
        "alert",
        ["company_id", "title_key"],
        unique=True,
        sqlite_where=sa.text("archived_at IS NULL AND company_id IS NOT NULL"),
        postgresql_where=sa.text("archived_at IS NULL AND company_id IS NOT NULL"),
    )
    _index(
        "uq_alert_tag_title_key",
        "alert",
        ["tag", "title_key"],
        unique=True,
        sqlite_where=sa.text("archived_at IS NULL AND tag IS NOT NULL"),
        postgresql_where=sa.text("archived_at IS NULL AND tag IS NOT NULL"),
    )
    _table(
        "alert_recipient",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("alert_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("address", sa.String(length=254), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["alert_id"], ["alert.id"], name="fk_alert_recipient_alert_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_alert_recipient_person_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_alert_recipient"),
        sa.UniqueConstraint("alert_id", "address", name="uq_alert_recipient_alert_id_address"),
    )
    _index("ix_alert_recipient_person_id", "alert_recipient", ["person_id"])
    _table(
        "alert_watch",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("alert_id", sa.Integer(), nullable=False),
        sa.Column("company_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("kept", sa.String(length=24), nullable=True),
        sa.Column("lack", sa.String(length=24), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("pending_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("well_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("value", sa.BigInteger(), nullable=True),
        sa.Column("count", sa.Integer(), nullable=True),
        sa.Column("value_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("triggered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("told", sa.String(length=24), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("broadcast_id", sa.Integer(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("changes", sa.JSON(), nullable=False),
        sa.Column("held_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("muted_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("muted_openly", sa.Boolean(), nullable=False),
        sa.Column("staff_told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["alert_id"], ["alert.id"], name="fk_alert_watch_alert_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["company_id"], ["company.id"], name="fk_alert_watch_company_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_alert_watch"),
        sa.UniqueConstraint("alert_id", "company_id", name="uq_alert_watch_alert_id_company_id"),
    )
    _index(
        "ix_alert_watch_bad",
        "alert_watch",
        ["triggered_at", "id"],
        sqlite_where=sa.text("state = 'triggered' OR kept = 'triggered'"),
        postgresql_where=sa.text("state = 'triggered' OR kept = 'triggered'"),
    )
    _index(
        "ix_alert_watch_broadcast_id",
        "alert_watch",
        ["broadcast_id"],
        sqlite_where=sa.text("broadcast_id IS NOT NULL"),
        postgresql_where=sa.text("broadcast_id IS NOT NULL"),
    )
    _index("ix_alert_watch_company_id", "alert_watch", ["company_id"])
    _index(
        "ix_alert_watch_due_at",
        "alert_watch",
        ["due_at", "id"],
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    _index(
        "ix_alert_watch_muted",
        "alert_watch",
        ["id"],
        sqlite_where=sa.text("muted_since IS NOT NULL"),
        postgresql_where=sa.text("muted_since IS NOT NULL"),
    )
    _index(
        "ix_alert_watch_unsaid",
        "alert_watch",
        ["id"],
        sqlite_where=sa.text("lack = 'stale' AND staff_told_at IS NULL"),
        postgresql_where=sa.text("lack = 'stale' AND staff_told_at IS NULL"),
    )
    _table(
        "alert_event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("watch_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=True),
        sa.Column("count", sa.Integer(), nullable=True),
        sa.Column("note", sa.String(length=300), nullable=False),
        sa.Column("broadcast_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["watch_id"], ["alert_watch.id"], name="fk_alert_event_watch_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_alert_event"),
    )
    _index("ix_alert_event_at", "alert_event", ["at"])
    _index("ix_alert_event_watch_id", "alert_event", ["watch_id", "id"])
    _table(
        "alert_rights",
        sa.Column("company_id", sa.Integer(), nullable=False),
        sa.Column("may", sa.String(length=24), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["company_id"], ["company.id"], name="fk_alert_rights_company_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("company_id", name="pk_alert_rights"),
    )
    _table(
        "alert_clock",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("muting", sa.String(length=64), nullable=False),
        sa.Column("swept_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("staff_told_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("id = 1", name="ck_alert_clock_only_one"),
        sa.PrimaryKeyConstraint("id", name="pk_alert_clock"),
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
