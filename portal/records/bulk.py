"""Writing many rows with few statements, on both engines."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

from sqlalchemy import CursorResult, Table, bindparam, insert, update

from portal.database import Base
from portal.extensions import db
from portal.records.kinds import Moved

T = TypeVar("T")

KEYS_A_QUERY = 500
"""Values asked for by one statement; SQLite takes 32,766 of them, and a plan for 500 is quick on both engines."""


def table_of(model: type[Base]) -> Table:
    """The table of a model, for statements that go past the session."""
    return cast(Table, model.__table__)


def pieces(values: Collection[T], size: int = KEYS_A_QUERY) -> Iterator[list[T]]:
    """The values in lists of at most this many."""
    listed = list(values)
    return (listed[start : start + size] for start in range(0, len(listed), size))


def insert_all(model: type[Base], rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Insert these rows and return their ids in the order of the rows."""
    if not rows:
        return []
    table = table_of(model)
    statement = insert(table).returning(table.c.id, sort_by_parameter_order=True)
    return list(db.session.scalars(statement, [dict(row) for row in rows]))


def update_all(model: type[Base], columns: Collection[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Give each row (its `id` and `version` as they were read, and `columns`) its new values and its next version.

    Moved when one of them was changed or removed by somebody else meanwhile.
    """
    if not rows:
        return
    table = table_of(model)
    statement = (
        update(table)
        .where(table.c.id == bindparam("the_id"), table.c.version == bindparam("the_version"))
        .values({column: bindparam(f"new_{column}") for column in columns} | {"version": table.c.version + 1})
    )
    given = [
        {"the_id": row["id"], "the_version": row["version"], **{f"new_{column}": row[column] for column in columns}}
        for row in rows
    ]
    changed = db.session.connection().execute(statement, given)
    if cast(CursorResult[Any], changed).rowcount != len(rows):
        raise Moved
