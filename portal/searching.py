"""Finding rows by what they are called: compared by `text_key`, beginnings before what stands inside, no wildcards.

A row that is searched keeps the compared form of its name in a column of its own, written whenever the name is.
Beginnings are found through an index on that column; what stands inside is looked for along the same index, and only
as far as rows are still wanted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Boolean, ColumnElement, Index, Select, String, and_, case, func, literal, not_, or_, select
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from portal.accounts.rules import one_line, text_key
from portal.extensions import db

KEY_LENGTH = 250
"""Characters of a name that are compared: more than a name has, though letters may become two when they are folded."""

INSIDE_FROM = 2
"""Characters from which on a text is looked for inside of names too: one letter stands in nearly all of them."""

LAST_CHARACTER = "\U0010ffff"
"""Stands behind whatever may follow the beginning of a key."""

T = TypeVar("T")


@dataclass(frozen=True)
class Matches(Generic[T]):
    """What was found, best first: `items` of `total`, which is None where nobody counted but `has_more` is known.

    `is_exact` if the first of them is called just what was looked for.
    """

    items: Sequence[T]
    total: int | None
    has_more: bool
    is_exact: bool


NOTHING: Matches[Any] = Matches((), 0, has_more=False, is_exact=False)


def key_of(text: str) -> str:
    """The compared form of a name, as the key columns hold it."""
    return text_key(text)[:KEY_LENGTH]


def prefix_index(name: str, column: str) -> Index:
    """An index for beginnings beside a unique one. Only PostgreSQL needs it: elsewhere the unique one does."""
    return Index(name, column, postgresql_ops={column: "text_pattern_ops"}).ddl_if(dialect="postgresql")


def keyed(name: str) -> Callable[[DefaultExecutionContext], str]:
    """The default of a key column: the compared form of the column `name`, for rows that are inserted in bulk."""

    def default(context: DefaultExecutionContext) -> str:
        return key_of(context.get_current_parameters().get(name) or "")  # type: ignore[no-untyped-call]

    return default


class begins_with(FunctionElement[bool]):  # noqa: N801 (written in statements as functions are)
    """Whether a key column begins with what stands between two bounds; each engine finds it through its index."""

    inherit_cache = True
    name = "begins_with"
    type = Boolean()

    def self_group(self, against: Any = None) -> "begins_with":
        """As it is: SQLite would compare it with 1 else, and then look at every row."""
        return self


@compiles(begins_with)
def _between(element: begins_with, compiler: Any, **options: Any) -> str:
    column, first, last = (compiler.process(each, **options) for each in element.clauses)
    return f"({column} >= {first} AND {column} <= {last})"


@compiles(begins_with, "postgresql")
def _between_bytes(element: begins_with, compiler: Any, **options: Any) -> str:
    """By bytes, as an index with `text_pattern_ops` has them: the order of a language has other neighbours."""
    column, first, last = (compiler.process(each, **options) for each in element.clauses)
    return f"({column} ~>=~ {first} AND {column} ~<=~ {last})"


def reading(*columns: Any) -> Select[*tuple[Any, ...]]:
    """A statement for `find` that selects these columns."""
    return select(*columns)


def find(
    statement: Select[*tuple[Any, ...]],
    keys: Sequence[Any],
    text: str,
    make: Callable[..., T],
    *,
    limit: int,
    offset: int | None = None,
    codes: Sequence[Any] = (),
    also: ColumnElement[bool] | None = None,
    newest_first: Any = None,
    whole_is_enough: bool = False,
) -> Matches[T]:
    """The rows one of whose keys matches a text, best first, then by the first key.

    Best is what is just that, then what begins with it, then what has a word that does, then what holds it anywhere.

    `statement` selects columns, the row's id first, joined and narrowed as the caller needs it; `make` takes those of
    one row. `codes` are columns that are compared as they are, such as what another system calls a row; `also` is a
    condition, never NULL, for rows that come last; `newest_first` is a column to go by instead of the first key.
    `whole_is_enough` is for numbers: whoever types one whole does not mean those that hold it. With `offset` the
    matches are counted and that many are left out; without, it looks only as far as `limit` asks.
    A query for each step, two when counted.
    """
    wanted = key_of(text)
    if not wanted:
        return NOTHING
    row_id = next(iter(statement.selected_columns))
    order = (keys[0], row_id) if newest_first is None else (newest_first.desc(), row_id.desc())
    words_first = case((or_(*(key.contains(f" {wanted}", autoescape=True) for key in keys)), 0), else_=1)
    found: list[Any] = []
    total, left_out, is_exact = 0, offset or 0, False
    for number, condition in enumerate(_steps(keys, wanted, codes, one_line(text), also)):
        if number >= _HOLDING and is_exact and whole_is_enough and offset is None:
            break
        step = statement.where(condition)
        if offset is not None:
            count = db.session.scalar(select(func.count()).select_from(step.order_by(None).subquery())) or 0
            total += count
            if left_out >= count:
                left_out -= count
                continue
        if len(found) <= limit:
            ordered = step.order_by(words_first, *order) if number == _HOLDING else step.order_by(*order)
            found += db.session.execute(ordered.limit(limit + 1 - len(found)).offset(left_out)).all()
            left_out = 0
        is_exact = is_exact or (number == 0 and bool(found))
    items = [make(*row) for row in found[:limit]]
    return Matches(items, total if offset is not None else None, has_more=len(found) > limit, is_exact=is_exact)


_HOLDING = 2
"""The step of `_steps` that looks inside."""


def _steps(
    keys: Sequence[Any], wanted: str, codes: Sequence[Any], typed: str, also: ColumnElement[bool] | None
) -> Sequence[ColumnElement[bool]]:
    """Conditions that exclude each other, the best first."""
    compared = [(key, wanted) for key in keys] + [(code, typed) for code in codes]
    exact = or_(*(and_(column.is_not(None), column == text) for column, text in compared))
    beginning = or_(*(and_(column.is_not(None), _begins(column, text)) for column, text in compared))
    steps = [exact, and_(beginning, not_(exact))]
    if len(wanted) >= INSIDE_FROM:
        holding = or_(*(key.contains(wanted, autoescape=True) for key in keys))
        steps.append(and_(holding, not_(beginning)))
        if also is not None:
            steps.append(and_(also, not_(holding), not_(beginning)))
    return steps


def _begins(column: Any, text: str) -> ColumnElement[bool]:
    return begins_with(column, literal(text, String()), literal(text + LAST_CHARACTER, String()))
