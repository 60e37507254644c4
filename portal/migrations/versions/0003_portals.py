"""what a portal domain says in its own words, and whether its host reaches us

Every step looks whether it was done already: SQLite keeps what an interrupted migration had changed.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

COLUMNS = ("tagline", "support_hours", "help_url", "wordings")


def upgrade() -> None:
    there = _columns_of("portal_domain")
    for column in (
        sa.Column("tagline", sa.String(length=160), nullable=True),
        sa.Column("support_hours", sa.String(length=120), nullable=True),
        sa.Column("help_url", sa.String(length=300), nullable=True),
        sa.Column("wordings", sa.JSON(), nullable=False, server_default="{}"),
    ):
        if column.name not in there:
            op.add_column("portal_domain", column)
    if "portal_host" not in _tables():
        op.create_table(
            "portal_host",
            sa.Column("id", sa.Integer(), nullable=False),
            sa.Column("domain_id", sa.Integer(), nullable=False),
            sa.Column("host", sa.String(length=253), nullable=False),
            sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
            sa.Column("check_wanted_at", sa.DateTime(timezone=True), nullable=True),
            sa.Column("check_began_at", sa.DateTime(timezone=True), nullable=True),
            sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
            sa.Column("finding", sa.String(length=24), nullable=True),
            sa.Column("detail", sa.String(length=300), nullable=True),
            sa.Column("certificate_until", sa.DateTime(timezone=True), nullable=True),
            sa.Column("version", sa.Integer(), nullable=False),
            sa.ForeignKeyConstraint(
                ["domain_id"], ["portal_domain.id"], name=op.f("fk_portal_host_domain_id"), ondelete="CASCADE"
            ),
            sa.PrimaryKeyConstraint("id", name=op.f("pk_portal_host")),
            sa.UniqueConstraint("host", name=op.f("uq_portal_host_host")),
        )
    indexes = {index["name"] for index in sa.inspect(op.get_bind()).get_indexes("portal_host")}
    if "ix_portal_host_domain_id" not in indexes:
        op.create_index("ix_portal_host_domain_id", "portal_host", ["domain_id"])
    if "ix_portal_host_check_wanted_at" not in indexes:
        is_wanted = sa.text("check_wanted_at IS NOT NULL")
        op.create_index(
            "ix_portal_host_check_wanted_at",
            "portal_host",
            ["check_wanted_at"],
            sqlite_where=is_wanted,
            postgresql_where=is_wanted,
        )
    # Every portal domain has had one name so far: its main one.
    op.execute(
        "INSERT INTO portal_host (domain_id, host, created_at, version) "
        "SELECT id, host, created_at, 1 FROM portal_domain WHERE host NOT IN (SELECT host FROM portal_host)"
    )


def downgrade() -> None:
    if "portal_host" in _tables():
        op.drop_table("portal_host")
    there = _columns_of("portal_domain")
    for name in COLUMNS:
        if name in there:
            op.drop_column("portal_domain", name)


def _columns_of(table: str) -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}


def _tables() -> set[str]:
    return set(sa.inspect(op.get_bind()).get_table_names())
