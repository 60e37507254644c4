"""Lists that a machine reads piece by piece: each piece begins after the last row of the one before.

Rows are found through the index of the order they are in, so the thousandth piece costs what the first does, and a
row that comes or goes in between moves no other one out of sight.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import Integer, Select, literal, tuple_

from portal.database import UTCDateTime
from portal.extensions import db

T = TypeVar("T")

LARGEST = 2**31 - 1
"""The largest number a row can have; beyond it a database refuses to compare."""


class BadPlaceError(ValueError):
    """A place in a list that was not made by this module, or for another order."""


@dataclass(frozen=True)
class Order:
    """The columns a list is sorted by, none of which may be NULL, the last one unique."""

    columns: tuple[Any, ...]
    is_descending: bool = False

    def place_of(self, row: Any) -> str:
        """Where this row stands, as text for an address: the values it is sorted by. It holds nothing else."""
        values = [getattr(row, column.key) for column in self.columns]
        plain = [value.isoformat() if isinstance(value, datetime) else value for value in values]
        return base64.urlsafe_b64encode(json.dumps(plain, separators=(",", ":")).encode()).decode().rstrip("=")

    def values_at(self, place: str) -> list[Any]:
        """The values of a place; BadPlaceError for any text that `place_of` did not make for these columns."""
        try:
            raw = base64.b64decode(place.encode("ascii") + b"=" * (-len(place) % 4), altchars=b"-_", validate=True)
            plain = json.loads(raw)
        except (ValueError, binascii.Error, RecursionError):
            raise BadPlaceError from None
        if not isinstance(plain, list) or len(plain) != len(self.columns):
            raise BadPlaceError
        return [_typed(value, column) for value, column in zip(plain, self.columns, strict=True)]


@dataclass(frozen=True)
class Wanted:
    """Which piece of a list is asked for: its order, the place it begins after ("": the beginning), how many rows."""

    order: Order
    after: str = ""
    limit: int = 50


@dataclass(frozen=True)
class Piece(Generic[T]):
    """A piece of a list; `next` is the place where the following one begins, None at the end."""

    items: Sequence[T]
    next: str | None


def piece_of(statement: Select[T], wanted: Wanted) -> Piece[T]:
    """The rows of the statement that are asked for. One query, and those of its eager loads."""
    order = wanted.order
    if wanted.after:
        bound = [
            literal(value, column.type)
            for value, column in zip(order.values_at(wanted.after), order.columns, strict=True)
        ]
        here, there = tuple_(*order.columns), tuple_(*bound)
        statement = statement.where(here < there if order.is_descending else here > there)
    ways = [column.desc() if order.is_descending else column.asc() for column in order.columns]
    found = db.session.scalars(statement.order_by(*ways).limit(wanted.limit + 1)).unique().all()
    items = found[: wanted.limit]
    return Piece(items, order.place_of(items[-1]) if len(found) > len(items) else None)


def piece_among(found: Sequence[T], wanted: Wanted) -> Piece[T]:
    """The same of what was counted in memory: the rows that are asked for, by attributes named as the columns are."""
    order = wanted.order

    def place(row: T) -> list[Any]:
        return [getattr(row, column.key) for column in order.columns]

    rows = sorted(found, key=place, reverse=order.is_descending)
    if wanted.after:
        after = order.values_at(wanted.after)
        rows = [row for row in rows if (place(row) < after if order.is_descending else place(row) > after)]
    items = rows[: wanted.limit]
    return Piece(items, order.place_of(items[-1]) if len(rows) > len(items) else None)


def _typed(value: Any, column: Any) -> Any:
    if isinstance(column.type, UTCDateTime):
        return _moment(value)
    wanted = int if isinstance(column.type, Integer) else str
    if type(value) is not wanted or (isinstance(value, int) and abs(value) > LARGEST):
        raise BadPlaceError
    if isinstance(value, str) and ("\x00" in value or not value.isprintable()):
        raise BadPlaceError
    return value


def _moment(value: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise BadPlaceError
        # The first and the last day there are have no moment in UTC in every zone.
        return moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise BadPlaceError from None
