"""imports, exports, and how long things are kept

Each step looks first whether it was taken, so that a migration that was killed can be run again.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

OPEN_RUNS = sa.text("state IN ('planning', 'applying', 'following')")


def upgrade() -> None:
    _upgrade_imports()


def downgrade() -> None:
    _downgrade_imports()


def _upgrade_imports() -> None:
    if not _has_table("import_run"):
        op.create_table(
            "import_run",
            sa.Column("id", sa.Integer(), nullable=False),
            sa.Column("kind", sa.String(length=24), nullable=False),
            sa.Column("state", sa.String(length=24), nullable=False),
            sa.Column("filename", sa.String(length=200), nullable=False),
            sa.Column("size", sa.Integer(), nullable=False),
            sa.Column("encoding", sa.String(length=20), nullable=False),
            sa.Column("delimiter", sa.String(length=1), nullable=False),
            sa.Column("headers", sa.JSON(), nullable=False),
            sa.Column("samples", sa.JSON(), nullable=False),
            sa.Column("mapping", sa.JSON(), nullable=False),
            sa.Column("choices", sa.JSON(), nullable=False),
            sa.Column("total", sa.Integer(), nullable=False),
            sa.Column("done", sa.Integer(), nullable=False),
            sa.Column("counts", sa.JSON(), nullable=False),
            sa.Column("plan_hash", sa.String(length=64), nullable=True),
            sa.Column("leave_out_refused", sa.Boolean(), nullable=False),
            sa.Column("note", sa.String(length=500), nullable=True),
            sa.Column("created_by_id", sa.Integer(), nullable=True),
            sa.Column("created_by", sa.String(length=254), nullable=False),
            sa.Column("asked_by", sa.JSON(), nullable=False),
            sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
            sa.Column("began_at", sa.DateTime(timezone=True), nullable=True),
            sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
            sa.Column("lease_owner", sa.String(length=40), nullable=True),
            sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
            sa.Column("stop_asked", sa.Boolean(), nullable=False),
            sa.Column("version", sa.Integer(), nullable=False),
            sa.ForeignKeyConstraint(
                ["created_by_id"], ["person.id"], name="fk_import_run_created_by_id", ondelete="SET NULL"
            ),
            sa.PrimaryKeyConstraint("id", name="pk_import_run"),
        )
    if not _has_index("import_run", "ix_import_run_open"):
        op.create_index(
            "ix_import_run_open", "import_run", ["id"], sqlite_where=OPEN_RUNS, postgresql_where=OPEN_RUNS
        )
    if not _has_table("import_file"):
        op.create_table(
            "import_file",
            sa.Column("run_id", sa.Integer(), nullable=False),
            sa.Column("content", sa.LargeBinary(), nullable=False),
            sa.ForeignKeyConstraint(["run_id"], ["import_run.id"], name="fk_import_file_run_id", ondelete="CASCADE"),
            sa.PrimaryKeyConstraint("run_id", name="pk_import_file"),
        )
    if not _has_table("import_part"):
        op.create_table(
            "import_part",
            sa.Column("run_id", sa.Integer(), nullable=False),
            sa.Column("verdict", sa.String(length=24), nullable=False),
            sa.Column("number", sa.Integer(), nullable=False),
            sa.Column("rows", sa.JSON(), nullable=False),
            sa.ForeignKeyConstraint(["run_id"], ["import_run.id"], name="fk_import_part_run_id", ondelete="CASCADE"),
            sa.PrimaryKeyConstraint("run_id", "verdict", "number", name="pk_import_part"),
        )
    if not _has_table("import_mapping"):
        op.create_table(
            "import_mapping",
            sa.Column("kind", sa.String(length=24), nullable=False),
            sa.Column("headers", sa.JSON(), nullable=False),
            sa.PrimaryKeyConstraint("kind", name="pk_import_mapping"),
        )
    for table in ("company", "component"):
        if "external_id" not in {column["name"] for column in _look().get_columns(table)}:
            op.add_column(table, sa.Column("external_id", sa.String(length=120), nullable=True))
        if not _has_index(table, f"ix_{table}_external_id"):
            op.create_index(f"ix_{table}_external_id", table, ["external_id"], unique=True)


def _downgrade_imports() -> None:
    for table in ("component", "company"):
        if _has_index(table, f"ix_{table}_external_id"):
            op.drop_index(f"ix_{table}_external_id", table_name=table)
        if "external_id" in {column["name"] for column in _look().get_columns(table)}:
            op.drop_column(table, "external_id")
    for table in ("import_mapping", "import_part", "import_file", "import_run"):
        if _has_table(table):
            op.drop_table(table)


def _look() -> sa.Inspector:
    return sa.inspect(op.get_bind())


def _has_table(name: str) -> bool:
    return _look().has_table(name)


def _has_index(table: str, name: str) -> bool:
    return name in {index["name"] for index in _look().get_indexes(table)}
