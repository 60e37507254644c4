"""Copying a SQLite database while it is written to, and putting a copy in its place."""

import os
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

from sqlalchemy.engine import make_url

from portal.cli import Failure
from portal.cli.backups.archive import SQLITE_DATA as MEMBER
from portal.cli.backups.archive import Archive
from portal.cli.backups.pausing import Found, statements
from portal.cli.progress import Progress
from portal.config import Settings

__all__ = ["MEMBER", "NAME", "dump", "is_empty", "load"]

NAME = "sqlite"
PAGES_AT_A_TIME = 2000


def dump(url: str, target: Path) -> Found:
    """Copy the database as it stands now into a new file of one piece.

    The copy is read in one transaction, so writers neither wait for it nor make it begin anew.
    """
    source = _path(url)
    if not source.exists():
        raise Failure(f"There is no database {source}; run `portal init`.")
    target.touch(mode=0o600)
    with (
        closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, isolation_level=None, timeout=30)) as here,
        closing(sqlite3.connect(target, isolation_level=None)) as there,
        Progress("Copying", 1) as progress,
    ):
        here.execute("BEGIN")
        here.execute("SELECT count(*) FROM sqlite_master").fetchone()
        here.backup(
            there, pages=PAGES_AT_A_TIME, progress=lambda _s, left, total: progress.at(total - left, total), sleep=0
        )
        here.execute("ROLLBACK")
        there.execute("PRAGMA journal_mode = DELETE")
        _check(there, source)
        tables = _tables(there)
        counts = {name: there.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in sorted(tables)}  # noqa: S608
        if "alembic_version" not in counts:
            raise Failure(f"{source} holds no tables of Signalbox; run `portal init`.")
        revision = there.execute("SELECT version_num FROM alembic_version").fetchone()
    return Found(revision[0] if revision else "", counts)


def is_empty(url: str) -> bool:
    """Whether nobody would miss what is there: no file, no tables, or neither a person nor a company nor a portal."""
    path = _path(url)
    if not path.exists():
        return True
    with closing(sqlite3.connect(path)) as database:
        tables = _tables(database) & {"person", "company", "portal_domain"}
        return all(database.execute(f"SELECT 1 FROM {name} LIMIT 1").fetchone() is None for name in tables)  # noqa: S608


def load(settings: Settings, found: Archive, now: datetime) -> Path | None:
    """Put the copy in the place of the database; returns where that is kept, if there was one.

    It is paused before it gets its name, so there is no moment in which it could send.
    """
    target = _path(settings.database_url)
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = target.with_name(f".{target.name}.restoring")
    fresh.unlink(missing_ok=True)
    try:
        found.extract(MEMBER, fresh)
        with closing(sqlite3.connect(fresh, isolation_level=None)) as database:
            _check(database, found.file)
            database.execute("BEGIN IMMEDIATE")
            for statement in statements(now, tables=frozenset(_tables(database))):
                database.execute(statement)
            database.execute("COMMIT")
            database.execute("PRAGMA journal_mode = DELETE")
        kept = _put_aside(target, settings.instance / "backups" / f"replaced-{now:%Y%m%d-%H%M%S}.db")
        os.replace(fresh, target)
    finally:
        fresh.unlink(missing_ok=True)
    return kept


def _put_aside(target: Path, kept: Path) -> Path | None:
    """Move the database that is there to `kept`, whole and in one piece, if nobody has it open."""
    if not target.exists():
        return None
    with closing(sqlite3.connect(target, isolation_level=None, timeout=0)) as database:
        try:
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
            database.execute("BEGIN EXCLUSIVE")
            database.execute("COMMIT")
            database.execute("PRAGMA journal_mode = DELETE").fetchone()
        except sqlite3.OperationalError:
            raise Failure(f"{target} is in use: stop Signalbox first, all of its processes.") from None
    kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.replace(target, kept)
    return kept


def _check(database: sqlite3.Connection, source: Path) -> None:
    try:
        verdict = database.execute("PRAGMA integrity_check").fetchone()[0]
    except sqlite3.DatabaseError as problem:
        verdict = str(problem)
    if verdict != "ok":
        raise Failure(f"{source} is damaged: {verdict}.")


def _tables(database: sqlite3.Connection) -> set[str]:
    rows = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    return {name for (name,) in rows}


def _path(url: str) -> Path:
    return Path(make_url(url).database or "").absolute()
