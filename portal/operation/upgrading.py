"""What surrounds a migration: one at a time, a copy of the data first, and no row that points nowhere afterwards."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection, Engine, text

LOCK = 7_205_183
"""PostgreSQL's advisory lock while a migration runs. It vanishes with its connection, so it only makes the second one
wait: what really lets none run twice is that each step moves the one row of `alembic_version` on, in its transaction.
"""

KEPT_COPIES = 3
"""Files `before-<revision>.db` that stay, the newest."""


@contextmanager
def only_one(engine: Engine) -> Iterator[Connection]:
    """A connection to migrate on, for one process at a time; the others wait until it has ended, killed or not.

    It is never given back to the pool: it has no time-outs, and on SQLite it does not follow foreign keys, because
    a table that is rebuilt is dropped in between, and would take the rows that point to it along.
    """
    if engine.dialect.name == "sqlite":
        with _file_lock(Path(f"{engine.url.database}.migrating")), engine.connect() as connection:
            connection.detach()
            _outside_of_transactions(connection, "PRAGMA foreign_keys = OFF")
            yield connection
        return
    with engine.connect() as connection:
        connection.detach()
        for setting in ("statement_timeout = 0", "lock_timeout = 0", "idle_in_transaction_session_timeout = 0"):
            connection.execute(text(f"SET {setting}"))
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": LOCK})
        # A page that is just being read may hold a table; one that is forgotten must not stop the upgrade for ever.
        connection.execute(text("SET lock_timeout = '60s'"))
        connection.commit()
        yield connection


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    """Hold a lock that the kernel takes back when this process ends, however it ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    held = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def _outside_of_transactions(connection: Connection, statement: str) -> None:
    """SQLite takes this setting between transactions only, and SQLAlchemy's connections begin one by themselves."""
    driver = connection.connection.dbapi_connection
    if driver is None:
        raise RuntimeError("the connection to migrate on is closed")
    driver.execute(statement)


def check_foreign_keys(connection: Connection) -> None:
    """Raise, which rolls the migration back, if it has left a row that points to none. PostgreSQL sees to it itself."""
    if connection.dialect.name != "sqlite":
        return
    astray = connection.execute(text("PRAGMA foreign_key_check")).first()
    if astray is not None:
        raise RuntimeError(f"the migration would leave a row of {astray[0]} that points to no {astray[2]}")


def keep_copy(connection: Connection, head: str, folder: Path) -> Path | None:
    """Before SQLite tables are brought to this revision, keep what they hold as `before-<revision>.db`.

    One that was made for an upgrade which was interrupted half-way stays as it is: it is the one from before.
    None where there is nothing to keep. PostgreSQL has `portal backup`.
    """
    if connection.dialect.name != "sqlite":
        return None
    source = Path(connection.engine.url.database or "")
    current = revision_of(source)
    if current in {None, head}:
        return None
    kept = folder / f"before-{head}.db"
    if kept.exists() and revision_of(kept) != current:
        return kept
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    unfinished = kept.with_suffix(".unfinished")
    try:
        unfinished.touch(mode=0o600)
        with closing(sqlite3.connect(source)) as here, closing(sqlite3.connect(unfinished)) as there:
            here.backup(there)
        os.replace(unfinished, kept)
    finally:
        unfinished.unlink(missing_ok=True)
    for old in sorted(folder.glob("before-*.db"), key=lambda each: each.stat().st_mtime)[:-KEPT_COPIES]:
        with suppress(OSError):
            old.unlink()
    return kept


def revision_of(path: Path) -> str | None:
    """The revision of the tables in a SQLite file; None where there are none."""
    if not path.exists():
        return None
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        try:
            row = database.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.OperationalError:
            return None
    return str(row[0]) if row else None
