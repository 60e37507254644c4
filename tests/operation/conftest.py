"""Installations for the tests of running it: one on the engine of the run, and others beside it."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.installation import Installation
from tests.notifications.conftest import environment, outbox
from tests.support.databases import copy, give_tables, named
from tests.support.postgres import drop_database, fresh_database
from tests.support.smtp_sink import SmtpSink

__all__ = ["environment", "outbox"]

Install = Callable[..., Installation]


class Databases:
    """Empty and prepared databases. Those that are prepared are copies of `template`, where one is named."""

    def __init__(self, server: str, folder: Path, template: str = "") -> None:
        self.server, self.folder = server, folder
        self.template = template
        self._made: list[str] = []

    def empty(self) -> str:
        """The address of one that has no tables."""
        name = f"operation_{secrets.token_hex(6)}"
        if not self.server:
            folder = self.folder / name
            folder.mkdir()
            return f"sqlite:///{folder / 'portal.db'}"
        self._made.append(url := fresh_database(named(self.server, name)))
        return url

    def prepared(self) -> str:
        """The address of one that has the tables of this version, or what the template has."""
        url = self.empty()
        if self.template:
            copy(self.template, url)
        else:
            give_tables(url)
        return url

    def drop(self) -> None:
        for url in self._made:
            drop_database(url)


@pytest.fixture(scope="module")
def fresh_databases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    made = Databases(str(request.config.getoption("--database-url")), tmp_path_factory.mktemp("data"))
    yield made
    made.drop()


@pytest.fixture
def install(
    settings: object,
    fresh_databases: Databases,
    smtp_sink: SmtpSink,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Install]:
    """Make an installation of its own, on a database of the engine of this run or on `url`, with this relay."""
    with ExitStack() as stack:

        def make(url: str = "", *, is_prepared: bool = True) -> Installation:
            if not url:
                url = fresh_databases.prepared() if is_prepared else fresh_databases.empty()
            portal = Installation(url, capsys, monkeypatch)
            portal.variables["PORTAL_SMTP_URL"] = smtp_sink.url
            portal.variables["PORTAL_REDIS_URL"] = f"unix://{portal.folder}/nobody.sock"
            Path(portal.variables["PORTAL_INSTANCE"]).mkdir()
            stack.callback(portal.__exit__)
            return portal

        yield make
