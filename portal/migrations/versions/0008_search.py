"""what rows are called, as it is compared, for the search of staff

Revision ID: 0008
Revises: 0007

Every step looks whether it was done already: SQLite keeps what an interrupted migration had changed.
"""

import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

KEYS = {
    "person": "name",
    "holding": "reference",
    "component": "title",
    "incident": "title",
    "broadcast": "title",
}
"""The columns that get a compared form beside them, named after them."""

LENGTH = 250
AT_ONCE = 5_000

INDEXES = {
    "ix_person_name_key": ("person", "name_key"),
    "ix_holding_reference_key": ("holding", "reference_key"),
}
BEGINNINGS = {
    "ix_company_name_beginning": ("company", "name_key"),
    "ix_person_email_beginning": ("person", "email_key"),
}
"""For PostgreSQL, whose unique indexes know nothing of beginnings."""


def upgrade() -> None:
    for table, column in KEYS.items():
        key = f"{column}_key"
        if key not in _columns_of(table):
            op.add_column(table, sa.Column(key, sa.String(length=LENGTH), nullable=False, server_default=""))
        _fill(table, column, key)
    for name, (table, column) in _indexes().items():
        if name not in _indexes_of(table):
            op.create_index(name, table, [column], postgresql_ops={column: "text_pattern_ops"})


def downgrade() -> None:
    for name, (table, _column) in _indexes().items():
        if name in _indexes_of(table):
            op.drop_index(name, table_name=table)
    for table, column in KEYS.items():
        if f"{column}_key" in _columns_of(table):
            op.drop_column(table, f"{column}_key")


def _fill(table: str, column: str, key: str) -> None:
    """The compared forms of what is there, some thousand rows at a time, beginning where it was interrupted."""
    rows = sa.table(table, sa.column("id"), sa.column(column), sa.column(key))
    named, compared = rows.c[column], rows.c[key]
    connection, last = op.get_bind(), 0
    change = rows.update().where(rows.c.id == sa.bindparam("row")).values({key: sa.bindparam("value")})
    while found := connection.execute(
        sa.select(rows.c.id, named)
        .where(rows.c.id > last, compared == "", named != "")
        .order_by(rows.c.id)
        .limit(AT_ONCE)
    ).all():
        connection.execute(change, [{"row": row_id, "value": _key(text)} for row_id, text in found])
        last = found[-1][0]


def _key(text: str) -> str:
    """As names were compared when this was written."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFKC", text).casefold())
    spaced = "".join(" " if char.isspace() else char for char in folded)
    kept = "".join(char for char in spaced if unicodedata.category(char) not in {"Cc", "Cs"})
    return " ".join(kept.split())[:LENGTH]


def _indexes() -> dict[str, tuple[str, str]]:
    return INDEXES | (BEGINNINGS if op.get_bind().dialect.name == "postgresql" else {})


def _indexes_of(table: str) -> set[str | None]:
    return {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}


def _columns_of(table: str) -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}
