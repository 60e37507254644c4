"""Statements that every open page asks, made ready once: their text, the order of their values, and how both are read.

SQLAlchemy finds all of that out anew each time a statement is executed, which costs several times what SQLite takes
to answer. The text and every conversion are still SQLAlchemy's own, so a statement means the same either way.
"""

from collections import namedtuple
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import cycle
from typing import Any, cast

from sqlalchemy import BindParameter, Dialect, Executable, Select
from sqlalchemy.engine import Connection
from sqlalchemy.sql import visitors

Convert = Callable[[Any], Any]


@dataclass(frozen=True)
class _Value:
    """Where a value goes: its `places` among those of the text; more than one of a list, or of what stands twice."""

    name: str
    places: tuple[Any, ...]
    convert: Convert | None
    is_list: bool


@dataclass(frozen=True)
class _Form:
    """The text for one engine and for lists of certain lengths. `fixed` has the values that are always the same."""

    text: str
    fixed: list[Any] | dict[str, Any]
    values: tuple[_Value, ...]
    readers: tuple[Convert | None, ...]
    reads_as_is: bool


class Prepared:
    """A statement that selects columns; its rows are tuples with the names of the columns."""

    def __init__(self, statement: Select[*tuple[Any, ...]]) -> None:
        self.statement = statement
        given = [each for each in visitors.iterate(statement) if isinstance(each, BindParameter) and each.required]
        self._lists = tuple(sorted({each.key for each in given if each.expanding}))
        self._columns = tuple(statement.selected_columns)
        names = [column.key or "" for column in self._columns]
        row: Any = namedtuple("Row", names, rename=True)  # type: ignore[misc]
        self._row: Convert = partial(tuple.__new__, row)
        self._forms: dict[tuple[str, ...], _Form] = {}

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[Any]:
        """All rows for these values, in a transaction of this connection. A value too few is a KeyError."""
        dialect = connection.dialect
        key = (dialect.name, *(str(len(values[name])) for name in self._lists))
        form = self._forms.get(key)
        if form is None:
            form = self._forms[key] = self._form(dialect, values)
            while len(self._forms) > MOST_FORMS:
                self._forms.pop(next(iter(self._forms)), None)
        told: Any = form.fixed.copy()
        for each in form.values:
            value, convert = values[each.name], each.convert
            if each.is_list:
                for place, one in zip(each.places, cycle(map(convert, value) if convert else value), strict=False):
                    told[place] = one
            else:
                converted = convert(value) if convert else value
                for place in each.places:
                    told[place] = converted
        found: Any = connection.exec_driver_sql(
            form.text, told if isinstance(told, dict) else tuple(told)
        ).cursor.fetchall()
        if found and not form.reads_as_is:
            columns = zip(*found, strict=True)
            read = [
                map(reader, column) if reader else column for reader, column in zip(form.readers, columns, strict=True)
            ]
            found = zip(*read, strict=True)
        return list(map(self._row, found))

    def _form(self, dialect: Dialect, values: Mapping[str, Any]) -> _Form:
        compiled: Any = self.statement.compile(dialect=dialect)
        state = compiled.construct_expanded_state(dict(values))
        names = state.parameters if state.positiontup is None else state.positiontup
        places: dict[str, list[Any]] = {}
        for number, name in enumerate(names):
            places.setdefault(name, []).append(name if state.positiontup is None else number)
        fixed: Any = {} if state.positiontup is None else [None] * len(state.positiontup)
        read = []
        for name, bound in {name: bound for bound, name in compiled.bind_names.items()}.items():
            convert = bound.type.dialect_impl(dialect).bind_processor(dialect)
            parts = state.parameter_expansion.get(name)
            # Whole each time: a list may stand twice in the text.
            found = [places.get(part, []) for part in ([name] if parts is None else parts)]
            own = [place for once in zip(*found, strict=True) for place in once]
            if name in values:
                read.append(_Value(name, tuple(own), convert, is_list=parts is not None))
                continue
            constants = [state.parameters[part] for part in ([name] if parts is None else parts)] if own else []
            for place, constant in zip(own, cycle(constants), strict=False):
                fixed[place] = convert(constant) if convert else constant
        readers = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in self._columns]
        return _Form(state.statement, fixed, tuple(read), tuple(readers), not any(readers))


MOST_FORMS = 64
"""Texts kept of one statement, whose lists are now longer and now shorter."""


@lru_cache(maxsize=512)
def prepared(statement: Executable) -> Prepared:
    """This statement made ready; the same one each time. For statements that are built once themselves."""
    return Prepared(cast(Select[*tuple[Any, ...]], statement))
