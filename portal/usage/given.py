"""Rows that a statement is given as one parameter a column, however many there are.

A batch has thousands: as values of their own they would be more than SQLite takes, and a statement each too slow.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, cast

from sqlalchemy import DateTime, Enum, FromClause, String, Table, column, func, literal, select
from sqlalchemy import table as bare_table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import TypeDecorator, TypeEngine

from portal.database import Base, text_of
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


def moment_type() -> TypeEngine[Any]:
    """The type of a moment among given rows."""
    return String() if is_sqlite() else DateTime(timezone=True)


def holder() -> Callable[[datetime], Any]:
    """Makes moments what the database holds of them. Rows of one batch share most: each is written out once."""
    return cache(text_of) if is_sqlite() else lambda moment: moment


def write(model: type[Base], names: Sequence[str], rows: Values, *, key: Sequence[str] = ()) -> None:
    """Write rows, whose values are numbers, text, bytes and moments as the databases hold them. One statement.

    With a `key`, a row that is there becomes as it is given; without, there must be none.
    """
    if not rows:
        return
    told = cast(Table, model.__table__)
    if is_sqlite():
        # By the driver alone: what looks at each value of each row costs more than writing it.
        db.session.connection().exec_driver_sql(_sqlite_insert(told, tuple(names), tuple(key)), list(rows))
        return
    arrays = _arrays((_held_as(told.c[name].type) for name in names), rows)
    new = postgresql.insert(_plain(told, names)).from_select(
        list(names), select(*(func.unnest(each) for each in arrays))
    )
    db.session.execute(_replacing(new, names, key))


@cache
def _sqlite_insert(told: Table, names: tuple[str, ...], key: tuple[str, ...]) -> str:
    return str(_replacing(sqlite.insert(_plain(told, names)), names, key).compile(dialect=sqlite.dialect()))


def _plain(told: Table, names: Iterable[str]) -> Any:
    return bare_table(told.name, *(column(name) for name in names))


def _replacing(insert: Any, names: Iterable[str], key: Sequence[str]) -> Any:
    if not key:
        return insert
    others = {name: insert.excluded[name] for name in names if name not in key}
    return insert.on_conflict_do_update(index_elements=list(key), set_=others)


def _arrays(kinds: Iterable[TypeEngine[Any]], rows: Values) -> list[Any]:
    parts = zip(*rows, strict=True) if rows else ((),) * len(list(kinds))
    return [literal(list(part), postgresql.ARRAY(kind)) for kind, part in zip(kinds, parts, strict=True)]


def _held_as(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    """The type in which the database holds what is declared with one of ours."""
    if isinstance(kind, TypeDecorator):
        return kind.impl_instance
    return String() if isinstance(kind, Enum) else kind
