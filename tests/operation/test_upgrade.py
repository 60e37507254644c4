"""R50: from the first schema, full of data, to this version: killed at any moment, two at once, no room left."""

import os
import resource
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from flask_migrate import upgrade
from sqlalchemy import Boolean, DateTime, Engine, MetaData, Table, create_engine, event, func, insert, select
from sqlalchemy.engine import make_url
from sqlalchemy.types import JSON, Integer, LargeBinary, Numeric

from portal import create_app
from portal.cli.installation import bring_to_head
from portal.database import read_only
from portal.extensions import db
from portal.operation.queries import schema_state
from portal.operation.rules import Schema
from portal.operation.upgrading import KEPT_COPIES, revision_of
from tests.operation.conftest import Databases
from tests.support.processes import wait_until
from tests.support.product import EXECUTABLE, Portal, is_postgres
from tests.support.visitor import Visitor

FIRST = "0001"
ROWS = 3
"""In each table, so that something points to something."""


@pytest.fixture(scope="module")
def first_schema(fresh_databases: Databases, settings: object) -> Databases:
    """Databases of the first released schema with rows in every table."""
    old = Databases(fresh_databases.server, fresh_databases.folder)
    old.template = url = old.empty()
    portal = Portal(database_url=url)
    app = create_app(portal.settings)
    with app.app_context():
        upgrade(revision=FIRST)
        db.engine.dispose()
    engine = create_engine(url)
    fill(engine)
    engine.dispose()
    portal.__exit__()
    return old


def fill(engine: Engine) -> None:
    """Rows in every table, in the order in which they point to each other."""
    metadata = MetaData()
    metadata.reflect(engine)
    with engine.begin() as connection:
        for table in metadata.sorted_tables:
            if table.name != "alembic_version":
                for number in range(1, ROWS + 1):
                    connection.execute(insert(table).values(row(table, number)))


def row(table: Table, number: int) -> dict[str, Any]:
    return {
        column.name: number if column.foreign_keys else value(table.name, column.name, column.type, number)
        for column in table.columns
        if not (column.primary_key and isinstance(column.type, Integer) and not column.foreign_keys)
    }


KNOWN = {
    ("delivery", "state"): "pending",
    ("broadcast", "state"): "sending",
    ("relay", "state"): "up",
    ("incident", "state"): "fixed",
    ("audit_entry", "action"): "company.add",
}


def value(table: str, column: str, kind: Any, number: int) -> Any:
    if (table, column) in KNOWN:
        return KNOWN[table, column]
    moment = datetime(2026, 11, number, 12, 0, tzinfo=UTC).replace(tzinfo=None)
    plain: tuple[tuple[Any, Any], ...] = (
        (Boolean, False),
        (Integer | Numeric, number),
        (DateTime, moment),
        (JSON, {}),
        (LargeBinary, b"0"),
    )
    text = f"{table[:6]}{number}{column}"[: getattr(kind, "length", None) or 200]
    return next((found for of, found in plain if isinstance(kind, of)), text)


def counts(url: str) -> dict[str, int]:
    engine = create_engine(url)
    metadata = MetaData()
    metadata.reflect(engine)
    with engine.connect() as connection:
        found = {
            name: connection.scalar(select(func.count()).select_from(table)) or 0
            for name, table in metadata.tables.items()
        }
    engine.dispose()
    return found


@contextmanager
def opened(portal: Portal) -> Iterator[None]:
    app = create_app(portal.settings)
    with app.app_context():
        read_only.set(False)
        try:
            yield
        finally:
            db.session.remove()
            db.engine.dispose()


def assert_whole(portal: Portal, before: dict[str, int]) -> None:
    """The tables are those of the models, and no row of before is missing."""
    with opened(portal):
        read_only.set(True)
        assert schema_state() is Schema.OK
        with db.engine.connect() as connection:
            options = {"compare_type": False, "include_object": partial(is_of_engine, connection.dialect.name)}
            context = MigrationContext.configure(connection, opts=options)
            assert compare_metadata(context, db.metadata) == []
    after = counts(portal.variables["PORTAL_DATABASE_URL"])
    assert {name: after.get(name) for name in before} == before


def is_of_engine(dialect: str, item: Any, *_how: object) -> bool:
    """Whether a thing of the models is there on this engine: some indexes are made on one of them only."""
    only = getattr(item, "_ddl_if", None)
    return only is None or only.dialect == dialect


def migrate_until(portal: Portal, statement: int) -> bool:
    """Migrate in a process that is killed at this statement; whether it came to its end before."""
    child = os.fork()
    if child == 0:
        seen = 0

        def count(*_arguments: object) -> None:
            nonlocal seen
            seen += 1
            if seen == statement:
                os.kill(os.getpid(), signal.SIGKILL)

        status = 1
        try:
            with opened(portal):
                event.listen(db.engine, "before_cursor_execute", count)
                bring_to_head()
                status = 0
        finally:
            os._exit(status)
    _pid, status = os.waitpid(child, 0)
    assert status in {0, signal.SIGKILL}, "killed, or at its end"
    return status == 0


def test_r50_a_migration_that_is_killed_again_and_again_comes_to_its_end(first_schema: Databases) -> None:
    with_data = Portal(database_url=first_schema.prepared())
    before = counts(with_data.variables["PORTAL_DATABASE_URL"])
    assert min(count for name, count in before.items() if name != "alembic_version") == ROWS
    statement, kills = 4, 0
    while not migrate_until(with_data, statement):
        kills += 1
        statement += 3 + kills * 2
    assert kills >= 5
    assert_whole(with_data, before)
    with_data.__exit__()


def start_migrating(portal: Portal, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [EXECUTABLE, "migrate"],
        env=portal.variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


@pytest.mark.processes
def test_r50_two_migrations_at_once_do_the_work_once(first_schema: Databases) -> None:
    portal = Portal(database_url=first_schema.prepared())
    before = counts(portal.variables["PORTAL_DATABASE_URL"])
    both = [start_migrating(portal) for _ in range(2)]
    said = [each.communicate(timeout=120)[0] for each in both]
    assert [each.returncode for each in both] == [0, 0], said
    assert_whole(portal, before)
    portal.__exit__()


@pytest.mark.processes
def test_r50_without_room_the_tables_stay_as_they_were(first_schema: Databases) -> None:
    """No file may grow beyond what the database has: neither the copy nor the tables find room."""
    portal = Portal(database_url=first_schema.prepared())
    url = portal.variables["PORTAL_DATABASE_URL"]
    before = counts(url)
    if is_postgres(url):
        engine = create_engine(url)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            name = make_url(url).database
            connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET temp_file_limit = 0')
            # A server that takes no writes is the nearest to a full one that a test may make of a shared cluster.
            connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        done = start_migrating(portal)
        said = done.communicate(timeout=60)[0]
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("SET default_transaction_read_only = off")
            connection.exec_driver_sql(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
        engine.dispose()
    else:
        size = 100_000
        done = start_migrating(portal, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))
        said = done.communicate(timeout=60)[0]
    assert done.returncode == 1, said
    assert "Traceback" not in said
    assert {name: each for name, each in counts(url).items() if name in before} == before
    done = start_migrating(portal)
    assert done.communicate(timeout=60)[0]
    assert done.returncode == 0
    assert_whole(portal, before)
    portal.__exit__()


def test_before_an_upgrade_sqlite_is_copied_and_old_copies_go(first_schema: Databases) -> None:
    portal = Portal(database_url=first_schema.prepared())
    folder = Path(portal.variables["PORTAL_INSTANCE"]) / "backups"
    url = portal.variables["PORTAL_DATABASE_URL"]
    before = counts(url)
    if not is_postgres(url):
        folder.mkdir(parents=True)
        for number in range(KEPT_COPIES + 1):
            (folder / f"before-old{number}.db").touch()
            os.utime(folder / f"before-old{number}.db", (number, number))
    assert migrate_until(portal, 10**6)
    if is_postgres(url):
        assert not folder.exists(), "there `portal backup` is the way"
    else:
        kept = sorted(path.name for path in folder.iterdir())
        assert len(kept) == KEPT_COPIES
        (copy,) = [path for path in folder.iterdir() if not path.name.startswith("before-old")]
        assert revision_of(copy) == FIRST
        with closing(sqlite3.connect(copy)) as database:
            assert database.execute("SELECT count(*) FROM company").fetchone() == (before["company"],)
    portal.__exit__()


@pytest.mark.processes
def test_tables_of_an_older_version_are_answered_in_words(first_schema: Databases, tmp_path: Path) -> None:
    """The new version on the old tables: it says what to do, and pages say that it will be a moment."""
    portal = Portal(database_url=first_schema.prepared())
    up = portal.run("up", "--port", str(portal.port))
    assert up.returncode == 1
    assert "run `portal migrate` first" in up.stderr
    command = [str(EXECUTABLE), "web", "--port", str(portal.port), "--workers", "1"]
    with (tmp_path / "log").open("wb") as log:
        web = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *command], env=portal.variables, stdout=log, stderr=log
        )
    try:
        visitor = Visitor(portal.port, "admin.portal.test")

        def answers() -> bool:
            try:
                return visitor.get("/healthz").status == 200
            except OSError:
                return False

        wait_until(answers, 60, "the web process")
        ready = visitor.get("/readyz")
        assert ready.status == 503
        assert '"behind"' in ready.text
        for path in ("/sign-in", "/admin/"):
            page = visitor.get(path)
            assert page.status in {200, 302, 503}, page.text
            assert "Traceback" not in page.text
        visitor.get("/sign-in")
        refused = visitor.post("/sign-in", {"email": "ada@people.test", "password": "correct horse battery"})
        assert refused.status == 503, refused.text
        assert "Being brought up to date" in refused.text
        assert int(refused.headers["retry-after"]) > 0
    finally:
        web.terminate()
        web.wait(60)
    portal.__exit__()


def test_tables_of_a_newer_version_are_left_alone(fresh_databases: Databases) -> None:
    portal = Portal(database_url=fresh_databases.prepared())
    with opened(portal), db.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    done = portal.run("migrate")
    assert done.returncode == 1
    assert "newer version" in done.stderr
    assert "Traceback" not in done.stderr
    portal.__exit__()
