"""Which tests run, in which order, and fixtures over the real servers. Each is started when the first test asks."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import databases
from tests.support.product import Portal
from tests.support.redis_server import RedisServer
from tests.support.smtp_sink import SmtpSink

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NEEDS_DATABASE = {"settings", "database_url", "product"}
"""Fixtures whose tests depend on the database engine; only these run again on PostgreSQL."""

SLOW = ("processes", "browser")
"""Markers of tests that take seconds each."""

ROWS_LOCKED = "postgres"
"""The marker of one about waiting for rows: SQLite has one writer at a time, who waits for nobody."""

LONGEST = "minutes"
"""The marker of one that takes minutes: whoever begins it last, all others wait for."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the slowest files first; with --database-url, run only what depends on it: the rest has had its run."""
    _slowest_first(items)
    if config.getoption("--database-url"):
        chosen = {item for item in items if _depends_on_engine(item)}
    else:
        chosen = {item for item in items if item.get_closest_marker(ROWS_LOCKED) is None}
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = [item for item in items if item in chosen]


def _depends_on_engine(item: pytest.Item) -> bool:
    """Whether a test says anything of the engine: it touches the database, and is no picture of what others hold.

    What a browser shows is the same on both, so of the browsers' stories only the main one is told twice.
    """
    fixtures = set(getattr(item, "fixturenames", ()))
    is_of_browser = "browser" in fixtures or item.get_closest_marker("browser") is not None
    return bool(NEEDS_DATABASE & fixtures) and (not is_of_browser or item.get_closest_marker("both") is not None)


def _slowest_first(items: list[pytest.Item]) -> None:
    """Files with real processes and browsers come first: what is left at the end is small enough to be shared out."""
    slow = Counter(item.path for item in items if any(item.get_closest_marker(name) for name in SLOW))
    longest = {item.path for item in items if item.get_closest_marker(LONGEST)}
    items.sort(key=lambda item: (item.path not in longest, -slow[item.path]))


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of this test's own, on the engine of this run."""
    server = request.config.getoption("--database-url")
    with databases.empty(server, tmp_path) as url:
        yield url


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A Redis of this test's own."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def smtp_sink() -> Iterator[SmtpSink]:
    """An SMTP server of this test's own that accepts all until told otherwise."""
    with SmtpSink() as sink:
        yield sink


@pytest.fixture
def product(database_url: str, redis_server: RedisServer, smtp_sink: SmtpSink) -> Iterator[Portal]:
    """The whole product, started, on a database, a Redis and a relay of this test's own."""
    with Portal(database_url=database_url, redis_url=redis_server.url, smtp_url=smtp_sink.url) as portal:
        yield portal


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """One Chromium for all tests of a run; each test opens a context of its own.

    What is expected may take 30 s: a machine that does other work at the same time is no reason to fail.
    """
    from playwright.sync_api import expect, sync_playwright

    from tests.support.browser import chromium

    expect.set_options(timeout=30_000)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(**chromium())
        yield running
        running.close()
