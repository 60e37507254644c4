"""Rows that a statement is given as one parameter a column, however many there are.

A batch has thousands: as values of their own they would be more than SQLite takes, and a statement each too slow.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import BigInteger, Enum, FromClause, String, Table, column, func, literal, select
from sqlalchemy import table as bare_table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import TypeDecorator, TypeEngine

from portal.database import Base
from portal.extensions import db

Values = Sequence[tuple[Any, ...]]


def is_sqlite() -> bool:
    return bool(db.session.get_bind().dialect.name == "sqlite")


def given(columns: Mapping[str, TypeEngine[Any]], rows: Values, name: str = "given") -> FromClause:
    """A table of these rows, to be joined with. Values are numbers and text as the databases hold them."""
    if is_sqlite():
        each = func.json_each(json.dumps(rows, separators=(",", ":"))).table_valued("value", name=f"{name}_rows")
        parts = (
            func.json_extract(each.c.value, f"$[{place}]", type_=kind).label(each_name)
            for place, (each_name, kind) in enumerate(columns.items())
        )
        return select(*parts).subquery(name)
    arrays = _arrays(columns.values(), rows)
    return func.unnest(*arrays).table_valued(*(column(*each) for each in columns.items()), name=name).render_derived()


def write(model: type[Base], names: Sequence[str], rows: Values, *, key: Sequence[str] = ()) -> None:
    """Write rows, whose values are numbers, text and bytes as the databases hold them. One statement.

    With a `key`, a row that is there becomes as it is given; without, there must be none.
    """
    if not rows:
        return
    told = cast(Table, model.__table__)
    plain = bare_table(told.name, *(column(name) for name in names))
    if is_sqlite():
        statement: Any = sqlite.insert(plain)
        values: Any = [dict(zip(names, row, strict=True)) for row in rows]
    else:
        arrays = _arrays((_held_as(told.c[name].type) for name in names), rows)
        statement = postgresql.insert(plain).from_select(list(names), select(*(func.unnest(each) for each in arrays)))
        values = None
    if key:
        others = {name: statement.excluded[name] for name in names if name not in key}
        statement = statement.on_conflict_do_update(index_elements=list(key), set_=others)
    db.session.execute(statement, values)


def _arrays(kinds: Iterable[TypeEngine[Any]], rows: Values) -> list[Any]:
    parts = zip(*rows, strict=True) if rows else ((),) * len(list(kinds))
    return [literal(list(part), postgresql.ARRAY(kind)) for kind, part in zip(kinds, parts, strict=True)]


def _held_as(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    """The type in which the database holds what is declared with one of ours."""
    if isinstance(kind, TypeDecorator):
        return BigInteger()
    return String() if isinstance(kind, Enum) else kind
