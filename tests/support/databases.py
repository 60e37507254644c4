"""Databases of the test run: which engine, and one of its own for every worker and every black-box test."""

import atexit
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from flask_migrate import upgrade
from sqlalchemy.engine import make_url

from portal import create_app
from portal.config import Settings
from portal.extensions import db
from tests.support.postgres import copy_database, drop_database, fresh_database, has_tables


def named(url: str, name: str) -> str:
    """The same server's database of this name."""
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def of_worker(url: str) -> str:
    """The database of this pytest-xdist worker, made empty; without workers the one the URL names."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    return fresh_database(named(url, f"{make_url(url).database}_{worker}") if worker else url)


def give_tables(url: str) -> None:
    """Give the database of this address the tables of this version: copied, not migrated. It keeps those it has."""
    is_file = make_url(url).get_backend_name() == "sqlite"
    if Path(make_url(url).database or "").exists() if is_file else has_tables(url):
        return
    copy(_migrated_file() if is_file else _migrated_database(named(url, "postgres")), url)


def copy(source: str, target: str) -> None:
    """Make the empty database `target` a copy of `source`, which nobody uses, as its engine copies best."""
    if make_url(source).get_backend_name() == "sqlite":
        shutil.copy(make_url(source).database or "", make_url(target).database or "")
    else:
        copy_database(source, target)


@cache
def _migrated_file() -> str:
    folder = Path(tempfile.mkdtemp(prefix="sb-tables-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    url = f"sqlite:///{folder / 'portal.db'}"
    _migrate(url)
    return url


@cache
def _migrated_database(server: str) -> str:
    """One of this worker's own on each server: nobody may be connected to what is copied."""
    url = fresh_database(named(server, f"tables_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"))
    _migrate(url)
    return url


def _migrate(url: str) -> None:
    with tempfile.TemporaryDirectory() as instance:
        environment = {
            "PORTAL_INSTANCE": instance,
            "PORTAL_SECRET_KEY": secrets.token_urlsafe(48),
            "PORTAL_DATABASE_URL": url,
            "PORTAL_REDIS_URL": f"unix://{instance}/nobody.sock",
        }
        with create_app(Settings.from_environment(environment)).app_context():
            upgrade()
            db.engine.dispose()


@contextmanager
def empty(server: str, folder: Path) -> Iterator[str]:
    """An empty database: a file in the folder, or one on the PostgreSQL server the URL names, dropped afterwards."""
    if not server:
        yield f"sqlite:///{folder / 'portal.db'}"
        return
    url = fresh_database(named(server, f"test_{secrets.token_hex(6)}"))
    try:
        yield url
    finally:
        drop_database(url)
