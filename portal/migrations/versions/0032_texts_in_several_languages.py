"""texts of incidents and maintenance in several languages, and what their mails began to be called

Every step looks whether it was done already: SQLite keeps what an interrupted migration had changed.

Revision ID: 0032
Revises: 0031
"""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

COLUMNS = {
    "incident": ("titles", "subjects"),
    "incident_update": ("bodies",),
    "incident_wording": ("texts",),
    "postmortem": ("bodies",),
    "incident_template": ("titles", "bodies"),
    "maintenance": ("titles", "subjects"),
    "maintenance_update": ("bodies",),
    "maintenance_series": ("titles", "bodies"),
}
CONVERSATIONS = ("incident", "maintenance")


def upgrade() -> None:
    for table, names in COLUMNS.items():
        for name in names:
            if name not in _columns(table):
                op.add_column(table, sa.Column(name, sa.JSON(), server_default="{}", nullable=False))
    # Conversations there are go on as they are called, whatever is translated later.
    makes = "json_build_object" if op.get_bind().dialect.name == "postgresql" else "json_object"
    for table in CONVERSATIONS:
        op.execute(sa.text(f"UPDATE {table} SET subjects = {makes}('', title) WHERE CAST(subjects AS TEXT) = '{{}}'"))


def downgrade() -> None:
    for table, names in COLUMNS.items():
        for name in names:
            if name in _columns(table):
                op.drop_column(table, name)


def _columns(table: str) -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}
