"""A PostgreSQL cluster of the test run's own, on a socket in a folder of its own, and the databases in it."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import psycopg
from sqlalchemy.engine import make_url

from tests.support.processes import Server

SUPERUSER = "portal"
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}
"""What makes tests quick; a test of what survives a power cut passes `durable=True`."""


def program(name: str) -> str:
    """The path of one of PostgreSQL's programs: from the PATH, else the newest version Debian installed."""
    if found := shutil.which(name):
        return found
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
    assert installed, "PostgreSQL is not installed; `make test` installs it"
    return str(installed[-1])


class PostgresServer(Server):
    """PostgreSQL refuses to run as root, so then it runs as the user `postgres`, or as `nobody`."""

    stop_signal = signal.SIGINT

    def __init__(self, *, durable: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sb-pg-"))
        self.data = self.folder / "data"
        self.settings = {} if durable else FAST
        super().__init__(self.folder / "log")
        if user := self._user():
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        initdb: list[str | Path] = [program("initdb"), "-D", self.data, "-U", SUPERUSER]
        options = ["-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        done = subprocess.run(
            ["setpriv", *self.identity(), "--", *initdb, *options],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            cwd=self.folder,
        )
        assert done.returncode == 0, done.stderr

    def identity(self) -> Sequence[str]:
        user = self._user()
        return ("--reuid", str(user.pw_uid), "--regid", str(user.pw_gid), "--clear-groups") if user else ()

    def command(self) -> Sequence[str | Path]:
        settings = {"listen_addresses": "", "max_connections": "200", "unix_socket_directories": str(self.folder)}
        options = [part for name, value in {**settings, **self.settings}.items() for part in ("-c", f"{name}={value}")]
        return [program("postgres"), "-D", self.data, *options]

    def is_ready(self) -> bool:
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def url(self, database: str = "postgres") -> str:
        """The address of one of its databases, as PORTAL_DATABASE_URL takes it."""
        return f"postgresql+psycopg://{SUPERUSER}@/{database}?host={self.folder}"

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Run one statement by itself, outside a transaction."""
        with psycopg.connect(
            dbname=database, user=SUPERUSER, host=str(self.folder), autocommit=True, connect_timeout=5
        ) as connection:
            connection.execute(statement.encode())

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @staticmethod
    def _user() -> pwd.struct_passwd | None:
        if os.geteuid() != 0:
            return None
        try:
            return pwd.getpwnam("postgres")
        except KeyError:
            return pwd.getpwnam("nobody")


def fresh_database(url: str) -> str:
    """Make the PostgreSQL database this URL names, empty, in place of one that has the name; returns the URL."""
    drop_database(url)
    _on_server_of(url, f'CREATE DATABASE "{make_url(url).database}"')
    return url


def copy_database(source: str, target: str) -> None:
    """Make the database `target` names a copy of the one `source` does, to which nobody may be connected."""
    drop_database(target)
    _on_server_of(target, f'CREATE DATABASE "{make_url(target).database}" TEMPLATE "{make_url(source).database}"')


def has_tables(url: str) -> bool:
    """Whether the database this URL names was migrated."""
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address) as connection:
        found = connection.execute("SELECT to_regclass('alembic_version')").fetchone()
    return found != (None,)


def drop_database(url: str) -> None:
    """Drop the database this URL names, cutting whoever is connected; harmless when it is not there."""
    _on_server_of(url, f'DROP DATABASE IF EXISTS "{make_url(url).database}" WITH (FORCE)')


def _on_server_of(url: str, statement: str) -> None:
    address = make_url(url).set(drivername="postgresql", database="postgres")
    with psycopg.connect(address.render_as_string(hide_password=False), autocommit=True) as connection:
        connection.execute(statement.encode())
