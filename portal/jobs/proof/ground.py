"""Ground for the leak proof: a connection on which some tables are others than they are for everybody else.

A temporary table goes before a real one of the same name, on SQLite and PostgreSQL alike, and belongs to its connection
alone. So unlikely words are planted in copies: no real row is written, nobody waits for a lock, two proofs at once know
nothing of each other, and all of it is gone when the transaction is given up. On top of that nothing but such copies
can be written on the connection meanwhile, whatever a page tries.
"""

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

from flask import current_app
from flask_sqlalchemy.session import Session as FlaskSession
from sqlalchemy import JSON, Column, MetaData, Select, Table, func, select, text
from sqlalchemy.engine import Connection
from sqlalchemy.sql.schema import CallableColumnDefault, ScalarElementColumnDefault

from portal.database import Base, read_only
from portal.extensions import db
from portal.jobs.proof.words import Words

Row = dict[str, Any]

ROWS_AT_MOST = 5_000
"""Rows of one table that are copied; the newest."""


def blank(model: type[Base]) -> Row:
    """A row with nothing in it but what its columns begin with."""
    return {each.name: _beginning(each) for each in cast(Table, model.__table__).columns}


def _beginning(column: Column[Any]) -> Any:
    begins = column.default
    if isinstance(begins, ScalarElementColumnDefault):
        return begins.arg
    # A list or a mapping begins empty; what is made of other columns is left to whoever fills the row.
    is_made = isinstance(begins, CallableColumnDefault) and isinstance(column.type, JSON)
    return cast(Any, begins).arg(None) if is_made else None


SEVERAL = {"title": "titles", "body": "bodies", "text": "texts"}
"""What a text is called where a row holds it in further languages, each under its code."""


def say(row: Row, **texts: str) -> Row:
    """Have a row hold these texts, in every language it can; and return it."""
    row.update(texts)
    row.update({SEVERAL[name]: {"de": text} for name, text in texts.items() if SEVERAL.get(name) in row})
    return row


class WantedToWriteError(RuntimeError):
    """Something wanted to keep what it was shown by the proof."""


class _Standing(FlaskSession):
    """A session that lives on the ground: what it writes is given up with it, and it can commit nothing."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(db, join_transaction_mode="create_savepoint")
        self.ground = connection

    def get_bind(self, *_arguments: Any, **_more: Any) -> Any:
        return self.ground

    def commit(self) -> None:
        raise WantedToWriteError("it wanted to keep something while the leak proof was looking at it")


class Ground:
    """The connection with its planted copies, until a moment of the monotonic clock; `words` are what was planted."""

    def __init__(self, connection: Connection, until: float) -> None:
        self.connection = connection
        self.until = until
        self.words = Words()

    @property
    def is_over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() > self.until

    @contextmanager
    def standing(self) -> Iterator[None]:
        """An app context of its own whose session lives on the ground, as a request has it."""
        app = cast(Any, current_app)._get_current_object()
        token = read_only.set(True)
        try:
            with app.app_context():
                db.session.registry.set(cast(Any, _Standing(self.connection)))
                yield
        finally:
            read_only.reset(token)

    def copy(self, model: type[Base], rows: Sequence[Mapping[str, Any]] = ()) -> None:
        """Put a table with these rows, and no other, in the place of that of a model."""
        original = cast(Table, model.__table__)
        columns = [
            Column(
                each.name,
                each.type,
                primary_key=each.primary_key,
                server_default=getattr(each.server_default, "arg", None),
            )
            for each in original.columns
        ]
        copied = Table(original.name, MetaData(), *columns, prefixes=["TEMPORARY"])
        copied.create(self.connection, checkfirst=False)
        if rows:
            self.connection.execute(copied.insert(), [dict(row) for row in rows])
            self._go_on_numbering(copied)

    def _go_on_numbering(self, copied: Table) -> None:
        """PostgreSQL numbers further rows from 1 on, whatever ids were given; SQLite goes on by itself."""
        if self.connection.dialect.name == "sqlite" or "id" not in copied.columns:
            return
        sequence = func.pg_get_serial_sequence(f"pg_temp.{copied.name}", "id")
        self.connection.execute(select(func.setval(sequence, select(func.max(copied.c.id)).scalar_subquery())))

    def rows(self, statement: Select[Any]) -> list[Row]:
        """The rows of a statement, by the names of their columns."""
        return [dict(row) for row in self.connection.execute(statement).mappings()]


@contextmanager
def ground(until: float) -> Iterator[Ground]:
    """A transaction that is given up at the end. To be called where nothing waits to be committed."""
    db.session.rollback()
    token = read_only.set(True)
    try:
        connection = db.session.connection()
        with _parsed_anew(connection):
            yield Ground(connection, until)
    finally:
        db.session.rollback()
        read_only.reset(token)


@contextmanager
def sealed(connection: Connection) -> Iterator[None]:
    """From here on only temporary tables can be written on the connection; anything else is an error."""
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name != "sqlite":
        connection.execute(text("SET TRANSACTION READ ONLY"))
        yield
        return
    driver.set_authorizer(_refuse_writes)
    try:
        yield
    finally:
        driver.set_authorizer(None)


_WRITES = frozenset({sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE})


def _refuse_writes(action: int, _what: str | None, _more: str | None, database: str | None, _by: str | None) -> int:
    return sqlite3.SQLITE_DENY if action in _WRITES and database != "temp" else sqlite3.SQLITE_OK


@contextmanager
def _parsed_anew(connection: Connection) -> Iterator[None]:
    """PostgreSQL looks for tables when it prepares a statement, so none that it knows from before may be used."""
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        yield
        return
    before, driver.prepare_threshold = driver.prepare_threshold, None
    try:
        yield
    finally:
        driver.prepare_threshold = before
