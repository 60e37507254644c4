"""files and messages

Revision ID: 0018
Revises: 0017

Every step looks whether it was done already: SQLite keeps what an interrupted migration had changed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

TABLES = ("stored_file", "thread", "message")
INDEXES = {
    "ix_stored_file_subject_kind_subject_id_id": ("stored_file", ["subject_kind", "subject_id", "id"], None),
    "ix_stored_file_company_id": ("stored_file", ["company_id", "id"], None),
    "ix_stored_file_uploaded_by_id": ("stored_file", ["uploaded_by_id"], None),
    "ix_stored_file_message_id": ("stored_file", ["message_id"], "message_id IS NOT NULL"),
    "ix_stored_file_deleted": ("stored_file", ["id"], "deleted_at IS NOT NULL"),
    "ix_stored_file_unfinished": ("stored_file", ["uploaded_at"], "linked_at IS NULL"),
    "ix_thread_company_id": ("thread", ["company_id"], None),
    "ix_thread_waiting": ("thread", ["waits_since", "id"], "waits_since IS NOT NULL"),
    "ix_message_thread_id_id": ("message", ["thread_id", "id"], None),
    "ix_message_person_id": ("message", ["person_id"], None),
    "ix_message_sent_at": ("message", ["sent_at"], None),
}


def upgrade() -> None:
    there = sa.inspect(op.get_bind()).get_table_names()
    if "stored_file" not in there:
        _create_files()
    if "thread" not in there:
        _create_threads()
    if "message" not in there:
        _create_messages()
    for name, (table, columns, condition) in INDEXES.items():
        if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
            only = sa.text(condition) if condition else None
            op.create_index(name, table, columns, sqlite_where=only, postgresql_where=only)


def _create_files() -> None:
    op.create_table(
        "stored_file",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(length=26), nullable=False),
        sa.Column("company_id", sa.Integer(), nullable=True),
        sa.Column("subject_kind", sa.String(length=24), nullable=True),
        sa.Column("subject_id", sa.Integer(), nullable=True),
        sa.Column("message_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.String(length=160), nullable=False),
        sa.Column("media_type", sa.String(length=100), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("storage_name", sa.String(length=60), nullable=False),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("has_preview", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("is_internal", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("is_by_staff", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("uploaded_by_id", sa.Integer(), nullable=True),
        sa.Column("uploader_name", sa.String(length=200), nullable=False),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("linked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stored_file")),
        sa.UniqueConstraint("public_id", name=op.f("uq_stored_file_public_id")),
        sa.UniqueConstraint("storage_name", name=op.f("uq_stored_file_storage_name")),
        sa.ForeignKeyConstraint(
            ["company_id"], ["company.id"], name=op.f("fk_stored_file_company_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["uploaded_by_id"], ["person.id"], name=op.f("fk_stored_file_uploaded_by_id"), ondelete="SET NULL"
        ),
    )


def _create_threads() -> None:
    op.create_table(
        "thread",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("subject_kind", sa.String(length=24), nullable=False),
        sa.Column("subject_id", sa.Integer(), nullable=False),
        sa.Column("company_id", sa.Integer(), nullable=False),
        sa.Column("waits_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_public_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_thread")),
        sa.UniqueConstraint("subject_kind", "subject_id", name=op.f("uq_thread_subject_kind_subject_id")),
        sa.ForeignKeyConstraint(["company_id"], ["company.id"], name=op.f("fk_thread_company_id"), ondelete="CASCADE"),
    )


def _create_messages() -> None:
    op.create_table(
        "message",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(length=26), nullable=False),
        sa.Column("thread_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=True),
        sa.Column("author_name", sa.String(length=200), nullable=False),
        sa.Column("is_staff", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("is_internal", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("idempotency_key", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message")),
        sa.UniqueConstraint("public_id", name=op.f("uq_message_public_id")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_message_idempotency_key")),
        sa.ForeignKeyConstraint(["thread_id"], ["thread.id"], name=op.f("fk_message_thread_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_message_person_id"), ondelete="SET NULL"),
    )


def downgrade() -> None:
    there = sa.inspect(op.get_bind()).get_table_names()
    for table in reversed(TABLES):
        if table in there:
            op.drop_table(table)
