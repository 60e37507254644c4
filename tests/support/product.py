"""The product as it is run: `portal up` on free ports, on a given database, with a given Redis and relay."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Self

from flask import Flask
from sqlalchemy.engine import make_url

from portal import create_app
from portal.config import Settings
from portal.database import read_only
from portal.extensions import db
from tests.support.databases import give_tables
from tests.support.processes import Server, children_of, free_ports, wait_until

EXECUTABLE = Path(sys.executable).with_name("portal")


class Portal(Server):
    """One installation: a folder, a database, and its processes while it is started.

    `database_url` None is SQLite in the folder; `redis_url` None starts the embedded Redis. Staff reach it at
    `base_url`, customers at any portal domain by Host header, both at 127.0.0.1 and `port`. More settings come by
    `environment`, as the names of the README. What a test writes goes through `database()`, an app of this process
    on the same data.
    """

    def __init__(
        self,
        *,
        database_url: str | None = None,
        redis_url: str | None = None,
        smtp_url: str | None = None,
        staff_host: str = "admin.portal.test",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sb-portal-"))
        super().__init__(self.folder / "log")
        self.port, self.live_port = free_ports(2)
        given = {"PORTAL_DATABASE_URL": database_url, "PORTAL_REDIS_URL": redis_url, "PORTAL_SMTP_URL": smtp_url}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PORTAL_", "PORT"))}
        self.variables = {
            **inherited,
            "PORTAL_INSTANCE": str(self.folder / "instance"),
            "PORTAL_SECRET_KEY": secrets.token_urlsafe(48),
            "PORTAL_BASE_URL": f"http://{staff_host}:{self.port}",
            "PORTAL_LIVE_PORT": str(self.live_port),
            "PORTAL_MAIL_DOMAIN": "portal.test",
            "PORTAL_PULSE_SECONDS": "1",
            **{name: value for name, value in given.items() if value},
            **(environment or {}),
        }
        self._app: Flask | None = None

    @property
    def base_url(self) -> str:
        return self.variables["PORTAL_BASE_URL"]

    @property
    def settings(self) -> Settings:
        return Settings.from_environment(self.variables)

    def address(self, host: str) -> str:
        """The base URL of a portal domain of this installation."""
        return f"http://{host}:{self.port}"

    def run(self, *arguments: str, input: str = "", seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a `portal` command on this installation and return what it printed and its exit status."""
        return subprocess.run(
            [EXECUTABLE, *arguments],
            input=input,
            capture_output=True,
            text=True,
            env=self.variables,
            check=False,
            timeout=seconds,
        )

    def prepare(self) -> None:
        """What `portal init` comes to, without starting it: the folder, and the tables in a database without."""
        settings = self.settings
        settings.instance.mkdir(parents=True, exist_ok=True, mode=0o700)
        give_tables(settings.database_url)

    @contextmanager
    def database(self) -> Iterator[Flask]:
        """An app context on the installation's data, with writing allowed; the test commits with `events.commit()`."""
        if self._app is None:
            self._app = create_app(self.settings)
        with self._app.app_context():
            read_only.set(False)
            try:
                yield self._app
            finally:
                db.session.remove()

    def command(self) -> Sequence[str | Path]:
        return [EXECUTABLE, "up", "--port", str(self.port)]

    def environment(self) -> Mapping[str, str]:
        return self.variables

    def is_ready(self) -> bool:
        return _answers(self.port) and _answers(self.live_port) and "pulse" in self.pids()

    def pids(self) -> dict[str, int]:
        """The processes of the supervisor by name: redis, web, live, worker-1, worker-2, timetable, pulse."""
        return children_of(self.pid)

    def kill_process(self, name: str) -> int:
        """SIGKILL one process by name; returns the id it had. The supervisor starts another."""
        pid = self.pids()[name]
        os.kill(pid, signal.SIGKILL)
        return pid

    def wait_for_restart(self, name: str, old: int, seconds: float = 15.0) -> int:
        """Wait until a process of this name runs that is not the old one."""
        wait_until(lambda: self.pids().get(name, old) != old, seconds, f"a new {name}")
        return self.pids()[name]

    def __enter__(self) -> Self:
        self.prepare()
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        try:
            self.stop()
        finally:
            if self._app is not None:
                with self._app.app_context():
                    db.engine.dispose()
            shutil.rmtree(self.folder, ignore_errors=True)


def is_postgres(url: str | None) -> bool:
    return bool(url) and make_url(str(url)).get_backend_name() == "postgresql"


def _answers(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/healthz", headers={"Host": "nobody.invalid"})
        return connection.getresponse().status > 0
    except OSError:
        return False
    finally:
        connection.close()
