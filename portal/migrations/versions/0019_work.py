"""jobs and quotes: work statuses, items, moves, offers and answers

Every step looks whether it was done already: SQLite keeps what an interrupted migration had changed. The system
statuses are made here, so that every installation has them as soon as it has the tables.

Revision ID: 0019
Revises: 0018
"""

from datetime import datetime, timezone
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

TABLES = (
    "work_number",
    "work_status",
    "work_table",
    "saved_view",
    "work_table_revision",
    "work_item",
    "quote_line",
    "quote_offer",
    "work_move",
    "work_notice",
    "quote_answer",
)

STATUSES = {
    "job": (
        ("requested", "not_begun", "Requested", "#7c4ddb", "itself", False),
        ("scheduled", "not_begun", "Scheduled", "#2e9bd6", "itself", True),
        ("in_progress", "under_way", "In progress", "#2457d6", "itself", True),
        ("on_hold", "waiting", "On hold", "#f2b01e", "itself", True),
        ("completed", "done", "Completed", "#15803d", "itself", True),
        ("cancelled", "called_off", "Cancelled", "#8a7f72", "itself", True),
    ),
    "quote": (
        ("requested", "not_begun", "Requested", "#7c4ddb", "itself", False),
        ("draft", "under_way", "Draft", "#64748b", "hidden", True),
        ("on_hold", "waiting", "On hold", "#f2b01e", "itself", True),
        ("sent", "waiting", "Sent", "#2457d6", "itself", True),
        ("accepted", "done", "Accepted", "#15803d", "itself", False),
        ("declined", "called_off", "Declined", "#dc2626", "itself", False),
        ("cancelled", "called_off", "Cancelled", "#8a7f72", "itself", True),
    ),
}


def upgrade() -> None:
    _table(
        "work_number",
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("last", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("kind", name="pk_work_number"),
    )
    _table(
        "work_status",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("role", sa.String(length=24), nullable=True),
        sa.Column("category", sa.String(length=24), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("name_key", sa.String(length=250), nullable=False),
        sa.Column("showing", sa.String(length=24), nullable=False),
        sa.Column("mapped_to_id", sa.Integer(), nullable=True),
        sa.Column("portal_name", sa.String(length=60), nullable=False),
        sa.Column("color", sa.String(length=7), nullable=False),
        sa.Column("portal_color", sa.String(length=7), nullable=True),
        sa.Column("is_mailed", sa.Boolean(), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["mapped_to_id"], ["work_status.id"], name="fk_work_status_mapped_to_id"),
        sa.PrimaryKeyConstraint("id", name="pk_work_status"),
        sa.UniqueConstraint("kind", "role", name="uq_work_status_kind_role"),
    )
    _index("ix_work_status_mapped_to_id", "work_status", ["mapped_to_id"])
    _index(
        "uq_work_status_name",
        "work_status",
        ["kind", "name_key"],
        unique=True,
        sqlite_where=sa.text("archived_at IS NULL"),
        postgresql_where=sa.text("archived_at IS NULL"),
    )
    _table(
        "work_table",
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("kind", name="pk_work_table"),
    )
    _table(
        "saved_view",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("query", sa.String(length=1000), nullable=False),
        sa.Column("is_shared", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_saved_view_person_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_saved_view"),
        sa.UniqueConstraint("person_id", "kind", "name", name="uq_saved_view_person_id_kind_name"),
    )
    _table(
        "work_table_revision",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("statuses", sa.JSON(), nullable=False),
        sa.Column("unveiled", sa.JSON(), nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("saved_by_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["saved_by_id"], ["person.id"], name="fk_work_table_revision_saved_by_id", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_work_table_revision"),
        sa.UniqueConstraint("kind", "number", name="uq_work_table_revision_kind_number"),
    )
    _table(
        "work_item",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("external_number", sa.String(length=120), nullable=True),
        sa.Column("company_id", sa.Integer(), nullable=False),
        sa.Column("contact_id", sa.Integer(), nullable=True),
        sa.Column("site", sa.String(length=300), nullable=False),
        sa.Column("holding_id", sa.Integer(), nullable=True),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("title_key", sa.String(length=250), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("assignee_id", sa.Integer(), nullable=True),
        sa.Column("status_id", sa.Integer(), nullable=False),
        sa.Column("status_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("public_status_id", sa.Integer(), nullable=True),
        sa.Column("public_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("public_revision", sa.Integer(), nullable=False),
        sa.Column("booked_by_id", sa.Integer(), nullable=True),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("idempotency_key", sa.String(length=80), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by_id", sa.Integer(), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["assignee_id"], ["person.id"], name="fk_work_item_assignee_id", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["booked_by_id"], ["person.id"], name="fk_work_item_booked_by_id", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["company_id"], ["company.id"], name="fk_work_item_company_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["contact_id"], ["person.id"], name="fk_work_item_contact_id", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["person.id"], name="fk_work_item_created_by_id", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["holding_id"], ["holding.id"], name="fk_work_item_holding_id", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["public_status_id"], ["work_status.id"], name="fk_work_item_public_status_id"),
        sa.ForeignKeyConstraint(["status_id"], ["work_status.id"], name="fk_work_item_status_id"),
        sa.PrimaryKeyConstraint("id", name="pk_work_item"),
        sa.UniqueConstraint("idempotency_key", name="uq_work_item_idempotency_key"),
        sa.UniqueConstraint("kind", "external_number", name="uq_work_item_kind_external_number"),
        sa.UniqueConstraint("kind", "number", name="uq_work_item_kind_number"),
    )
    _index(
        "ix_work_item_assignee",
        "work_item",
        ["assignee_id", "starts_at"],
        sqlite_where=sa.text("assignee_id IS NOT NULL"),
        postgresql_where=sa.text("assignee_id IS NOT NULL"),
    )
    _index("ix_work_item_company", "work_item", ["company_id", "kind", "id"])
    _index(
        "ix_work_item_holding",
        "work_item",
        ["holding_id"],
        sqlite_where=sa.text("holding_id IS NOT NULL"),
        postgresql_where=sa.text("holding_id IS NOT NULL"),
    )
    _index(
        "ix_work_item_open",
        "work_item",
        ["kind", "status_id", "public_status_id", "company_id"],
        sqlite_where=sa.text("finished_at IS NULL"),
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    _index("ix_work_item_public", "work_item", ["company_id", "kind", "public_since", "id"])
    _index("ix_work_item_public_status", "work_item", ["public_status_id", "company_id"])
    _index("ix_work_item_status", "work_item", ["kind", "status_id", "id"])
    _index("ix_work_item_title_key", "work_item", ["title_key"], postgresql_ops={"title_key": "text_pattern_ops"})
    _index("ix_work_item_window", "work_item", ["kind", "starts_at", "id"])
    _table(
        "quote_line",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("description", sa.String(length=500), nullable=False),
        sa.Column("quantity_thousandths", sa.BigInteger(), nullable=False),
        sa.Column("unit_price_minor", sa.BigInteger(), nullable=False),
        sa.Column("tax_hundredths", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["work_item.id"], name="fk_quote_line_item_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_quote_line"),
    )
    _index("ix_quote_line_item_id", "quote_line", ["item_id", "position"])
    _table(
        "quote_offer",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_by_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["item_id"], ["work_item.id"], name="fk_quote_offer_item_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["sent_by_id"], ["person.id"], name="fk_quote_offer_sent_by_id", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_quote_offer"),
        sa.UniqueConstraint("item_id", "number", name="uq_quote_offer_item_id_number"),
    )
    _table(
        "work_move",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("from_status_id", sa.Integer(), nullable=True),
        sa.Column("status_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("by_id", sa.Integer(), nullable=True),
        sa.Column("by_name", sa.String(length=254), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("told_status_id", sa.Integer(), nullable=True),
        sa.Column("told_name", sa.String(length=60), nullable=True),
        sa.ForeignKeyConstraint(["by_id"], ["person.id"], name="fk_work_move_by_id", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["from_status_id"], ["work_status.id"], name="fk_work_move_from_status_id"),
        sa.ForeignKeyConstraint(["item_id"], ["work_item.id"], name="fk_work_move_item_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["status_id"], ["work_status.id"], name="fk_work_move_status_id"),
        sa.ForeignKeyConstraint(["told_status_id"], ["work_status.id"], name="fk_work_move_told_status_id"),
        sa.PrimaryKeyConstraint("id", name="pk_work_move"),
    )
    _index("ix_work_move_item_id", "work_move", ["item_id", "id"])
    _index("ix_work_move_status_id", "work_move", ["status_id", "item_id"])
    _table(
        "work_notice",
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("from_public_status_id", sa.Integer(), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["from_public_status_id"], ["work_status.id"], name="fk_work_notice_from_public_status_id"
        ),
        sa.ForeignKeyConstraint(["item_id"], ["work_item.id"], name="fk_work_notice_item_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("item_id", name="pk_work_notice"),
    )
    _index("ix_work_notice_due_at", "work_notice", ["due_at"])
    _table(
        "quote_answer",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("offer_id", sa.Integer(), nullable=False),
        sa.Column("is_accepted", sa.Boolean(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("signature", sa.JSON(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("address", sa.String(length=45), nullable=False),
        sa.Column("agent", sa.String(length=300), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("withdrawn_by_id", sa.Integer(), nullable=True),
        sa.Column("withdrawn_reason", sa.String(length=500), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["work_item.id"], name="fk_quote_answer_item_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["offer_id"], ["quote_offer.id"], name="fk_quote_answer_offer_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_quote_answer_person_id", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(
            ["withdrawn_by_id"], ["person.id"], name="fk_quote_answer_withdrawn_by_id", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_quote_answer"),
    )
    _index("ix_quote_answer_item_id", "quote_answer", ["item_id", "id"])
    _index("ix_quote_answer_person_id", "quote_answer", ["person_id"])
    _index(
        "uq_quote_answer_standing",
        "quote_answer",
        ["item_id"],
        unique=True,
        sqlite_where=sa.text("withdrawn_at IS NULL"),
        postgresql_where=sa.text("withdrawn_at IS NULL"),
    )
    for kind in STATUSES:
        _seed(kind)


def downgrade() -> None:
    for name in reversed(TABLES):
        if _has_table(name):
            op.drop_table(name)


def _seed(kind: str) -> None:
    """The system statuses of this kind, their first revision, and where numbers begin."""
    bind, now = op.get_bind(), datetime.now(timezone.utc)
    meta = sa.MetaData()
    status, revisions, table, numbers = (
        sa.Table(name, meta, autoload_with=bind)
        for name in ("work_status", "work_table_revision", "work_table", "work_number")
    )
    there = set(bind.scalars(sa.select(status.c.role).where(status.c.kind == kind)))
    for position, (role, category, name, color, showing, is_mailed) in enumerate(STATUSES[kind]):
        if role not in there:
            bind.execute(
                status.insert().values(
                    kind=kind,
                    role=role,
                    category=category,
                    position=position,
                    name=name,
                    name_key=name.casefold(),
                    showing=showing,
                    portal_name=name,
                    color=color,
                    is_mailed=is_mailed,
                )
            )
    if not bind.scalar(sa.select(sa.func.count()).select_from(revisions).where(revisions.c.kind == kind)):
        rows = bind.execute(sa.select(status).where(status.c.kind == kind).order_by(status.c.position)).mappings()
        stored = [_stored(row) for row in rows]
        bind.execute(revisions.insert().values(kind=kind, number=1, statuses=stored, unveiled=[], saved_at=now))
    if not bind.scalar(sa.select(sa.func.count()).select_from(table).where(table.c.kind == kind)):
        bind.execute(table.insert().values(kind=kind, version=1))
    if not bind.scalar(sa.select(sa.func.count()).select_from(numbers).where(numbers.c.kind == kind)):
        bind.execute(numbers.insert().values(kind=kind, last=1000))


def _stored(row: Any) -> dict[str, Any]:
    """A row as a revision holds it."""
    kept = ("id", "role", "category", "name", "showing", "mapped_to_id", "portal_name", "color", "portal_color")
    return {name: row[name] for name in kept} | {"is_mailed": bool(row["is_mailed"]), "is_archived": False}


def _table(name: str, *parts: Any) -> None:
    if not _has_table(name):
        op.create_table(name, *parts)


def _index(name: str, table: str, columns: list[str], **options: Any) -> None:
    if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, columns, **options)


def _has_table(name: str) -> bool:
    return sa.inspect(op.get_bind()).has_table(name)
