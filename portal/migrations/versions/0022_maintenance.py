"""maintenance follows the clock, recurs, and is asked about

Every step looks whether it was done already: SQLite keeps what an interrupted migration had changed.

Revision ID: 0022
Revises: 0021
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

MAINTENANCE = {
    "zone": lambda: sa.Column("zone", sa.String(length=64), server_default="UTC", nullable=False),
    "impact": lambda: sa.Column("impact", sa.String(length=24), server_default="degraded", nullable=False),
    "notify": lambda: sa.Column("notify", sa.Boolean(), server_default=sa.true(), nullable=False),
    "reminders": lambda: sa.Column("reminders", sa.JSON(), server_default="[]", nullable=False),
    "reminded": lambda: sa.Column("reminded", sa.Integer(), server_default="0", nullable=False),
    "starts_itself": lambda: sa.Column("starts_itself", sa.Boolean(), server_default=sa.true(), nullable=False),
    "ends_itself": lambda: sa.Column("ends_itself", sa.Boolean(), server_default=sa.true(), nullable=False),
    "due_at": lambda: sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
    "announced_at": lambda: sa.Column("announced_at", sa.DateTime(timezone=True), nullable=True),
    "started_at": lambda: sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
    "staff_told_at": lambda: sa.Column("staff_told_at", sa.DateTime(timezone=True), nullable=True),
    "asked": lambda: sa.Column("asked", sa.Integer(), server_default="0", nullable=False),
    "sequence": lambda: sa.Column("sequence", sa.Integer(), server_default="0", nullable=False),
    "occurs_at": lambda: sa.Column("occurs_at", sa.DateTime(timezone=True), nullable=True),
    "is_detached": lambda: sa.Column("is_detached", sa.Boolean(), server_default=sa.false(), nullable=False),
}
MAINTENANCE_REFERENCES = {"owner_id": "person", "series_id": "maintenance_series"}

UPDATE = {
    "kind": lambda: sa.Column("kind", sa.String(length=24), server_default="note", nullable=False),
    "starts_at": lambda: sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True),
    "ends_at": lambda: sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
    "notify": lambda: sa.Column("notify", sa.Boolean(), server_default=sa.false(), nullable=False),
    "is_late": lambda: sa.Column("is_late", sa.Boolean(), server_default=sa.false(), nullable=False),
}
UPDATE_REFERENCES = {"author_id": "person"}

KIND_OF_STATE = {
    "scheduled": "announced",
    "in_progress": "started",
    "verifying": "verifying",
    "completed": "completed",
    "cancelled": "cancelled",
}

DUE = sa.text("due_at IS NOT NULL")
OPEN = sa.text("state = 'open'")


def upgrade() -> None:
    _table(
        "maintenance_series",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("rule", sa.String(length=400), nullable=False),
        sa.Column("starts_on", sa.String(length=16), nullable=False),
        sa.Column("duration", sa.Integer(), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("impact", sa.String(length=24), nullable=False),
        sa.Column("visibility", sa.String(length=24), nullable=False),
        sa.Column("audience", sa.String(length=24), nullable=False),
        sa.Column("notify", sa.Boolean(), nullable=False),
        sa.Column("reminders", sa.JSON(), nullable=False),
        sa.Column("starts_itself", sa.Boolean(), nullable=False),
        sa.Column("ends_itself", sa.Boolean(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by_id", sa.Integer(), nullable=True),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["created_by_id"], ["person.id"], name="fk_maintenance_series_created_by_id", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["person.id"], name="fk_maintenance_series_owner_id", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_maintenance_series"),
        sa.UniqueConstraint("public_id", name="uq_maintenance_series_public_id"),
    )
    _index("ix_maintenance_series_due", "maintenance_series", ["due_at"], sqlite_where=DUE, postgresql_where=DUE)
    _table(
        "maintenance_series_component",
        sa.Column("series_id", sa.Integer(), nullable=False),
        sa.Column("component_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["component_id"],
            ["component.id"],
            name="fk_maintenance_series_component_component_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["series_id"],
            ["maintenance_series.id"],
            name="fk_maintenance_series_component_series_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("series_id", "component_id", name="pk_maintenance_series_component"),
    )
    _index("ix_maintenance_series_component_component_id", "maintenance_series_component", ["component_id"])

    _add("maintenance", MAINTENANCE, MAINTENANCE_REFERENCES)
    _index("ix_maintenance_due", "maintenance", ["due_at"], sqlite_where=DUE, postgresql_where=DUE)
    _index("uq_maintenance_occurrence", "maintenance", ["series_id", "occurs_at"], unique=True)
    _add("maintenance_update", UPDATE, UPDATE_REFERENCES)
    update = sa.table("maintenance_update", sa.column("kind", sa.String), sa.column("state", sa.String))
    for state, kind in KIND_OF_STATE.items():
        op.execute(update.update().where(update.c.state == state, update.c.kind == "note").values(kind=kind))

    _table(
        "slot_request",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("maintenance_id", sa.Integer(), nullable=False),
        sa.Column("company_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered_by_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["answered_by_id"], ["person.id"], name="fk_slot_request_answered_by_id", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["company_id"], ["company.id"], name="fk_slot_request_company_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["maintenance_id"], ["maintenance.id"], name="fk_slot_request_maintenance_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_slot_request_person_id", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_slot_request"),
        sa.UniqueConstraint("public_id", name="uq_slot_request_public_id"),
    )
    _index("ix_slot_request_company_id", "slot_request", ["company_id"])
    _index("ix_slot_request_maintenance_id", "slot_request", ["maintenance_id"])
    _index("ix_slot_request_state", "slot_request", ["created_at", "id"], sqlite_where=OPEN, postgresql_where=OPEN)
    _index(
        "uq_slot_request_open",
        "slot_request",
        ["maintenance_id", "company_id"],
        unique=True,
        sqlite_where=OPEN,
        postgresql_where=OPEN,
    )
    _table(
        "freeze",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("company_id", sa.Integer(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by_id", sa.Integer(), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["company_id"], ["company.id"], name="fk_freeze_company_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["created_by_id"], ["person.id"], name="fk_freeze_created_by_id", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_freeze"),
        sa.UniqueConstraint("public_id", name="uq_freeze_public_id"),
    )
    _index("ix_freeze_company_id", "freeze", ["company_id", "ends_at"])
    _index("ix_freeze_ends_at", "freeze", ["ends_at"])


def downgrade() -> None:
    for name in ("freeze", "slot_request"):
        if _has_table(name):
            op.drop_table(name)
    _take_away("maintenance_update", [*UPDATE, *UPDATE_REFERENCES])
    for index in ("ix_maintenance_due", "uq_maintenance_occurrence"):
        if index in _indexes("maintenance"):
            op.drop_index(index, "maintenance")
    _take_away("maintenance", [*MAINTENANCE, *MAINTENANCE_REFERENCES])
    if _has_table("maintenance_series_component"):
        op.drop_table("maintenance_series_component")
    if "series_id" in _columns("maintenance"):
        op.execute("DELETE FROM maintenance_series")
    elif _has_table("maintenance_series"):
        op.drop_table("maintenance_series")


def _add(table: str, columns: dict[str, Any], references: dict[str, str]) -> None:
    for name, column in columns.items():
        if name not in _columns(table):
            op.add_column(table, column())
    missing = {name: other for name, other in references.items() if name not in _columns(table)}
    if not missing:
        return
    # SQLite cannot add a named constraint to a table that is there: it is made anew, once for all of them. Foreign keys
    # are not followed while we migrate, so nothing that refers to it goes with the old one.
    op.execute(f"DROP TABLE IF EXISTS _alembic_tmp_{table}")
    with op.batch_alter_table(table) as batch:
        for name, other in missing.items():
            batch.add_column(sa.Column(name, sa.Integer(), nullable=True))
            batch.create_foreign_key(f"fk_{table}_{name}", other, [name], ["id"], ondelete="SET NULL")


def _take_away(table: str, names: list[str]) -> None:
    """SQLite drops no column that has a foreign key: it stays, empty, with the table it names, for the next upgrade."""
    for name in names:
        if name not in _columns(table):
            continue
        if op.get_bind().dialect.name == "sqlite" and name in {**MAINTENANCE_REFERENCES, **UPDATE_REFERENCES}:
            op.execute(f"UPDATE {table} SET {name} = NULL")
        else:
            op.drop_column(table, name)


def _table(name: str, *parts: Any) -> None:
    if not _has_table(name):
        op.create_table(name, *parts)


def _index(name: str, table: str, columns: list[str], **options: Any) -> None:
    if name not in _indexes(table):
        op.create_index(name, table, columns, **options)


def _indexes(table: str) -> set[str | None]:
    return {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}


def _has_table(name: str) -> bool:
    return sa.inspect(op.get_bind()).has_table(name)


def _columns(table: str) -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}
