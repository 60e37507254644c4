"""Copying a PostgreSQL database with its own tools, and putting a copy in its place, in one transaction."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from psycopg import sql
from sqlalchemy.engine import URL, make_url

from portal.cli import Failure
from portal.cli.backups.archive import Archive
from portal.cli.backups.pausing import Found, statements
from portal.cli.progress import Progress
from portal.config import Settings

NAME = "postgresql"
MEMBER = "portal.dump"


def dump(url: str, target: Path) -> Found:
    """Copy the database as it stands now with `pg_dump`; the rows are counted in the same snapshot."""
    target.touch(mode=0o600)
    with _connected(url) as connection:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        tables = _tables(connection)
        if "alembic_version" not in tables:
            raise Failure("The database holds no tables of Signalbox; run `portal init`.")
        snapshot = _one(connection, "SELECT pg_export_snapshot()")
        with Progress("Copying", len(tables)) as progress:
            options = ["--format=custom", "--no-owner", "--no-privileges", "--verbose", f"--snapshot={snapshot}"]
            done = 0
            for line in _run("pg_dump", url, [*options, f"--file={target}"]):
                done += "dumping contents of table" in line
                progress.at(done)
        counts = {name: int(_one(connection, _counting(name))) for name in sorted(tables)}
        revision = _one(connection, "SELECT max(version_num) FROM alembic_version")
    return Found(revision, counts)


def is_empty(url: str) -> bool:
    """Whether nobody would miss what is there: no tables, or neither a person nor a company nor a portal."""
    with _connected(url) as connection:
        tables = _tables(connection) & {"person", "company", "portal_domain"}
        return not any(int(_one(connection, _counting(name))) for name in tables)


def load(settings: Settings, found: Archive, now: datetime) -> Path | None:
    """Put the copy in the place of what is there. All of it, pausing it included, is one transaction.

    Nothing is kept of what was there before.
    """
    url = settings.database_url
    with _connected(url) as connection:
        others = _one(
            connection,
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND backend_type = 'client backend' AND pid <> pg_backend_pid()",
        )
        if int(others):
            raise Failure(f"{others} others are connected to the database: stop Signalbox first, all of its processes.")
        before = _drops(connection)
    settings.instance.mkdir(parents=True, exist_ok=True, mode=0o700)
    with TemporaryDirectory(prefix=".signalbox-", dir=settings.instance) as folder:
        packed, script = Path(folder) / MEMBER, Path(folder) / "restore.sql"
        found.extract(MEMBER, packed)
        script.touch(mode=0o600)
        plain = Path(folder) / "data.sql"
        plain.touch(mode=0o600)
        options = ["--no-owner", "--no-privileges", f"--file={plain}", str(packed)]
        list(_run("pg_restore", None, options))
        with script.open("w", encoding="utf-8") as output:
            output.write("SET statement_timeout = 0;\n")
            output.writelines(f"{statement};\n" for statement in before)
            output.write(f"\\i {plain}\n")
            output.write("SET search_path = public;\n")
            for statement in statements(now, tables=frozenset(found.manifest.counts)):
                output.write(f"{statement};\n")
        total = sum(found.manifest.counts.values())
        with Progress("Restoring", total) as progress:
            options = ["--no-psqlrc", "--single-transaction", "--set=ON_ERROR_STOP=1", f"--file={script}"]
            copied = 0
            for line in _run("psql", url, options):
                if rows := re.fullmatch(r"COPY (\d+)", line.strip()):
                    copied += int(rows.group(1))
                    progress.at(copied)
    return None


@contextmanager
def _connected(url: str) -> Iterator[psycopg.Connection]:
    """A connection without the time-outs of the pages."""
    address, password = _address(url)
    try:
        with psycopg.connect(address, password=password, autocommit=True, connect_timeout=10) as connection:
            yield connection
    except psycopg.OperationalError as problem:
        raise Failure(f"The database cannot be used ({str(problem).strip().splitlines()[0]}).") from None


def _address(url: str) -> tuple[str, str | None]:
    """The URL as PostgreSQL's own programs take it, without the password, and the password."""
    found: URL = make_url(url).set(drivername="postgresql")
    password = str(found.password) if found.password is not None else None
    bare = URL.create(found.drivername, found.username, None, found.host, found.port, found.database, found.query)
    return bare.render_as_string(hide_password=False), password


def _run(program: str, url: str | None, options: list[str]) -> Iterator[str]:
    """The lines a program says while it runs; a Failure with its last words when it fails.

    The password goes through the environment, which other users of the machine cannot read as they can a command line.
    """
    environment = {**os.environ, "PGAPPNAME": "signalbox"}
    command = [_program(program), *options]
    if url is not None:
        address, password = _address(url)
        command.append(f"--dbname={address}")
        environment.pop("PGPASSWORD", None)
        if password is not None:
            environment["PGPASSWORD"] = password
    last: list[str] = []
    with subprocess.Popen(  # noqa: S603 (a program of PostgreSQL, and arguments of ours)
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as running:
        assert running.stdout is not None  # noqa: S101 (a pipe was asked for)
        for line in running.stdout:
            last = [*last[-2:], line.strip()]
            yield line
    if running.returncode:
        raise Failure(f"{program} gave up: {' '.join(last) or 'it said nothing'}")


def _program(name: str) -> str:
    """Where a program of PostgreSQL is: on the PATH, else the newest that Debian has put aside."""
    if found := shutil.which(name):
        return found
    versions = Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
    newest = max(versions, key=lambda path: float(path.parts[-3]), default=None)
    if newest is None:
        raise Failure(f"{name} is not installed; it comes with PostgreSQL's client programs (postgresql-client).")
    return str(newest)


def _tables(connection: psycopg.Connection) -> set[str]:
    rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return {name for (name,) in rows}


def _drops(connection: psycopg.Connection) -> list[str]:
    """Statements that take away all tables and functions of the schema, those of extensions left out."""
    tables = [f'DROP TABLE IF EXISTS public."{name}" CASCADE' for name in sorted(_tables(connection))]
    functions = connection.execute(
        "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace "
        "AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')"
    )
    return [*tables, *(f"DROP ROUTINE IF EXISTS {name} CASCADE" for (name,) in functions)]


def _counting(table: str) -> sql.Composed:
    return sql.SQL("SELECT count(*) FROM public.{}").format(sql.Identifier(table))


def _one(connection: psycopg.Connection, statement: str | sql.Composed) -> str:
    row = connection.execute(statement).fetchone()
    return str(row[0]) if row else ""
