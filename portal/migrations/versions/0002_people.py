"""passwords, mailed links, second factors, throttles, viewing as a customer

Every step looks whether it was done already: SQLite keeps what an interrupted migration had changed.

Revision ID: 0002
Revises: 0001
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

COLUMNS = {
    "person": (
        sa.Column("password_stamp", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("password_changed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_signed_in_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("anonymised_at", sa.DateTime(timezone=True), nullable=True),
    ),
    "session": (
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("second_factor_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_view_as", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("opened_from_id", sa.Integer(), nullable=True),
    ),
}


def upgrade() -> None:
    for table, columns in COLUMNS.items():
        there = _columns_of(table)
        for column in columns:
            if column.name not in there:
                op.add_column(table, column._copy())
    _remember_last_sign_ins()
    _partial_index("session", "ix_session_opened_from_id", "opened_from_id")
    _table(
        "mailed_link",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.String(length=24), nullable=False),
        sa.Column("nonce", sa.String(length=64), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("address", sa.String(length=254), nullable=False),
        sa.Column("password_stamp", sa.Integer(), nullable=True),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("created_by_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_mailed_link_person_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mailed_link")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_mailed_link_token_hash")),
    )
    _index("mailed_link", "ix_mailed_link_person_id_purpose", ["person_id", "purpose"])
    _index("mailed_link", "ix_mailed_link_expires_at", ["expires_at"])
    _table(
        "account_mail",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("address", sa.String(length=254), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=True),
        sa.Column("link_id", sa.Integer(), nullable=True),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("handled_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_account_mail_person_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["link_id"], ["mailed_link.id"], name=op.f("fk_account_mail_link_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_mail")),
    )
    waiting = sa.text("handled_at IS NULL")
    _index("account_mail", "ix_account_mail_waiting", ["id"], sqlite_where=waiting, postgresql_where=waiting)
    _index("account_mail", "ix_account_mail_handled_at", ["handled_at"])
    _index("account_mail", "ix_account_mail_person_id", ["person_id"])
    _index("account_mail", "ix_account_mail_link_id", ["link_id"])
    _table(
        "throttle_bucket",
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("level", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("full_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("kind", "subject", name=op.f("pk_throttle_bucket")),
    )
    _index("throttle_bucket", "ix_throttle_bucket_full_at", ["full_at"])
    _table(
        "second_factor",
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("sealed_secret", sa.String(length=300), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_second_factor_person_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_second_factor")),
    )
    _table(
        "recovery_code",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_recovery_code_person_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_code")),
        sa.UniqueConstraint("person_id", "code_hash", name=op.f("uq_recovery_code_person_id_code_hash")),
    )
    _table(
        "sign_in_policy",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("second_factor_required", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_in_policy")),
    )


def downgrade() -> None:
    tables = set(sa.inspect(op.get_bind()).get_table_names())
    for table in ("sign_in_policy", "recovery_code", "second_factor", "throttle_bucket", "account_mail", "mailed_link"):
        if table in tables:
            op.drop_table(table)
    if "ix_session_opened_from_id" in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes("session")}:
        op.drop_index("ix_session_opened_from_id", "session")
    for table, columns in COLUMNS.items():
        there = _columns_of(table)
        for column in columns:
            if column.name in there:
                op.drop_column(table, column.name)


def _table(name: str, *parts: Any) -> None:
    if name not in sa.inspect(op.get_bind()).get_table_names():
        op.create_table(name, *parts)


def _columns_of(table: str) -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}


def _index(table: str, name: str, columns: list[str], **options: Any) -> None:
    if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, columns, **options)


def _partial_index(table: str, name: str, column: str) -> None:
    if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
        there = sa.text(f"{column} IS NOT NULL")
        op.create_index(name, table, [column], sqlite_where=there, postgresql_where=there)


def _remember_last_sign_ins() -> None:
    """From the audit, which has told of every session opened since the first release."""
    op.execute(
        "UPDATE person SET last_signed_in_at = (SELECT max(audit_entry.at) FROM audit_entry"
        " WHERE audit_entry.action = 'session.open' AND audit_entry.object_kind = 'person'"
        " AND audit_entry.object_id = person.id) WHERE last_signed_in_at IS NULL"
    )
