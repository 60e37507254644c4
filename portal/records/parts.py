"""What goes out in bulk: the tables of each kind of export, named by the capabilities that hold the rows.

A lower capability must not know an upper one, so each one's `exports.py` registers its tables here when it is loaded.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select

from portal.extensions import db
from portal.records.rules.exports import ExportKind

ROWS_AT_ONCE = 500
"""Rows of a table that are read and held at once."""

Told = Mapping[str, Any]
"""One row by its columns: text, numbers, moments, yes or no, lists of these, None. What is not in it stays empty."""


@dataclass(frozen=True)
class Part:
    """One table of an export.

    `rows` gives the rows about a company or person (its id), or of the firm's own list (None), as they are at a
    moment. It reads in bounded pieces and gives nothing that is another company's, or for staff only. `columns` are
    those of the CSV file in their order, with their headers; `told` says in a line what a row is.
    """

    about: ExportKind
    name: str
    told: str
    columns: Mapping[str, str]
    rows: Callable[[int | None, datetime], Iterator[Told]]
    place: int = 50
    """Where it stands among the tables of its kind."""


_parts: dict[tuple[ExportKind, str], Part] = {}


def register(part: Part) -> Part:
    """Make a table known under its kind and name; registering it again replaces it."""
    _parts[part.about, part.name] = part
    return part


def parts_about(kind: ExportKind) -> list[Part]:
    """The tables of an export of this kind, in their order."""
    return sorted((part for part in _parts.values() if part.about is kind), key=lambda part: (part.place, part.name))


def in_pieces(statement: Select[*tuple[Any, ...]], key: Any) -> Iterator[Any]:
    """The rows of a statement in the order of a column that is unique among them, read a piece at a time."""
    last: Any = None
    pieces = statement.add_columns(key.label("key")).order_by(key).limit(ROWS_AT_ONCE)
    while True:
        piece = db.session.execute(pieces if last is None else pieces.where(key > last)).all()
        yield from piece
        if len(piece) < ROWS_AT_ONCE:
            return
        last = piece[-1].key
