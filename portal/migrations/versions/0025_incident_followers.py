"""postmortems, followers and merged incidents; owners who are reminded; what a report said before it was changed

Every step looks whether it was done already: SQLite keeps what an interrupted migration had changed.

Revision ID: 0025
Revises: 0024
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

TABLES = ("postmortem", "incident_follower", "incident_sighting", "incident_acknowledgement", "incident_revision")

INCIDENT = {
    "owner_id": lambda: sa.Column("owner_id", sa.Integer(), nullable=True),
    "nag_at": lambda: sa.Column("nag_at", sa.DateTime(timezone=True), nullable=True),
    "merged_into_id": lambda: sa.Column("merged_into_id", sa.Integer(), nullable=True),
    "merged_at": lambda: sa.Column("merged_at", sa.DateTime(timezone=True), nullable=True),
}


def upgrade() -> None:
    for name, column in INCIDENT.items():
        if name not in _columns("incident"):
            op.add_column("incident", column())
    for name in ("nag_at", "merged_into_id"):
        _index(
            f"ix_incident_{name}",
            "incident",
            [name],
            sqlite_where=sa.text(f"{name} IS NOT NULL"),
            postgresql_where=sa.text(f"{name} IS NOT NULL"),
        )
    _table(
        "postmortem",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("incident_id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("author_id", sa.Integer(), nullable=True),
        sa.Column("notify", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["author_id"], ["person.id"], name="fk_postmortem_author_id", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.id"], name="fk_postmortem_incident_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_postmortem"),
        sa.UniqueConstraint("incident_id", name="uq_postmortem_incident_id"),
    )
    _table(
        "incident_follower",
        sa.Column("id", sa.Integer(), nullable=False),
        *_of_whom("incident_follower"),
        sa.Column("wants", sa.Boolean(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_incident_follower"),
        sa.UniqueConstraint("incident_id", "person_id", name="uq_incident_follower_incident_id_person_id"),
    )
    _table(
        "incident_sighting",
        sa.Column("id", sa.Integer(), nullable=False),
        *_of_whom("incident_sighting"),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_incident_sighting"),
        sa.UniqueConstraint(
            "incident_id", "person_id", "company_id", name="uq_incident_sighting_incident_id_person_id_company_id"
        ),
    )
    for table in ("incident_follower", "incident_sighting"):
        for column in ("person_id", "company_id"):
            _index(f"ix_{table}_{column}", table, [column])
    _table(
        "incident_acknowledgement",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("incident_id", sa.Integer(), nullable=False),
        sa.Column("company_id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.Integer(), nullable=True),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["company_id"], ["company.id"], name="fk_incident_acknowledgement_company_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incident.id"], name="fk_incident_acknowledgement_incident_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name="fk_incident_acknowledgement_person_id", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_incident_acknowledgement"),
        sa.UniqueConstraint("incident_id", "company_id", name="uq_incident_acknowledgement_incident_id_company_id"),
    )
    _index("ix_incident_acknowledgement_company_id", "incident_acknowledgement", ["company_id"])
    _table(
        "incident_revision",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("incident_id", sa.Integer(), nullable=False),
        sa.Column("what", sa.String(length=24), nullable=False),
        sa.Column("part_id", sa.Integer(), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("seen_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by_id", sa.Integer(), nullable=True),
        sa.Column("by_label", sa.String(length=120), nullable=False),
        sa.ForeignKeyConstraint(["by_id"], ["person.id"], name="fk_incident_revision_by_id", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incident.id"], name="fk_incident_revision_incident_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_incident_revision"),
    )
    _index("ix_incident_revision_incident_id", "incident_revision", ["incident_id", "what", "part_id"])


def downgrade() -> None:
    for name in reversed(TABLES):
        if _has_table(name):
            op.drop_table(name)
    for name in ("nag_at", "merged_into_id"):
        if f"ix_incident_{name}" in _indexes("incident"):
            op.drop_index(f"ix_incident_{name}", "incident")
    for name in INCIDENT:
        if name in _columns("incident"):
            op.drop_column("incident", name)


def _of_whom(table: str) -> list[Any]:
    """The columns of a row of one person about one incident, through one company."""
    others = {"incident_id": "incident", "person_id": "person", "company_id": "company"}
    return [
        *(sa.Column(name, sa.Integer(), nullable=False) for name in others),
        *(
            sa.ForeignKeyConstraint([name], [f"{other}.id"], name=f"fk_{table}_{name}", ondelete="CASCADE")
            for name, other in others.items()
        ),
    ]


def _table(name: str, *parts: Any) -> None:
    if not _has_table(name):
        op.create_table(name, *parts)


def _index(name: str, table: str, columns: list[str], **options: Any) -> None:
    if name not in _indexes(table):
        op.create_index(name, table, columns, **options)


def _indexes(table: str) -> set[Any]:
    return {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}


def _has_table(name: str) -> bool:
    return sa.inspect(op.get_bind()).has_table(name)


def _columns(table: str) -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}
