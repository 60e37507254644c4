"""Writing many rows with few statements, on both engines."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

from sqlalchemy import CursorResult, Table, bindparam, func, insert, select, update

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
    """Insert these rows and return their ids in the order of the rows.

    The ids are taken first: asking the database for each as it inserts costs more than all the rest.
    """
    if not rows:
        return []
    ids = _ids_for(model, len(rows))
    given = [{**row, "id": row_id} for row, row_id in zip(rows, ids, strict=True)]
    db.session.connection().execute(insert(table_of(model)), given)
    return ids


def _ids_for(model: type[Base], count: int) -> list[int]:
    """So many ids that nobody has, and nobody else gets."""
    column = table_of(model).c.id
    if db.session.get_bind().dialect.name == "sqlite":
        # The write lock of this transaction keeps everybody else from adding a row.
        last = db.session.scalar(select(func.max(column))) or 0
        return list(range(last + 1, last + 1 + count))
    sequence = func.pg_get_serial_sequence(model.__tablename__, "id")
    return list(db.session.scalars(select(func.nextval(sequence)).select_from(func.generate_series(1, count))))


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
