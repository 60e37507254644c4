"""Databases of the test run: which engine, and one of its own for every worker and every black-box test."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import make_url

from tests.support.postgres import drop_database, fresh_database


def named(url: str, name: str) -> str:
    """The same server's database of this name."""
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def of_worker(url: str) -> str:
    """The database of this pytest-xdist worker, made empty; without workers the one the URL names."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    return fresh_database(named(url, f"{make_url(url).database}_{worker}") if worker else url)


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
