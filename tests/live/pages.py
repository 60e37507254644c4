"""An open page for the tests of the hub: a socket that reads server-sent events, and the hub as a process."""

import json
import os
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self

from portal.config import Settings
from portal.live import sign_token
from tests.support.processes import Server, free_port
from tests.support.product import EXECUTABLE
from tests.support.redis_server import RedisServer

ORIGIN = "http://a.portal.test:8000"


class HubProcess(Server):
    """`portal live` on a port of its own, with the given Redis."""

    stop_seconds = 10.0

    def __init__(self, redis: RedisServer) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sb-hub-"))
        super().__init__(self.folder / "log")
        self.port = free_port()
        self.variables = {
            "PORTAL_INSTANCE": str(self.folder),
            "PORTAL_SECRET_KEY": secrets.token_urlsafe(48),
            "PORTAL_REDIS_URL": redis.url,
        }
        self.settings = Settings.from_environment(self.variables)
        self.pages: list[Page] = []

    def command(self) -> Sequence[str | Path]:
        return [EXECUTABLE, "live", "--port", str(self.port)]

    def environment(self) -> Mapping[str, str]:
        return {**os.environ, **self.variables}

    def is_ready(self) -> bool:
        try:
            return bool(self.health()["status"] == "ok")
        except (OSError, ValueError):
            return False

    def health(self) -> dict[str, Any]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request("GET", "/healthz")
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    def token(self, *topics: str, ends: str = "", ago: float = 0.0) -> str:
        """A token of this hub, signed this many seconds ago."""
        return sign_token(self.settings, topics, origin=ORIGIN, ends=ends, now=time.time() - ago)

    def open(self, token: str, origin: str | None = ORIGIN, **headers: str) -> "Page":
        page = Page(self.port, token, {**({"Origin": origin} if origin else {}), **headers})
        self.pages.append(page)
        return page

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        for page in self.pages:
            page.close()
        self.kill()
        shutil.rmtree(self.folder)


@dataclass(frozen=True)
class Event:
    """One event of a stream; a bell has no name."""

    name: str
    data: dict[str, Any]


class Page:
    """One stream. `status` and `headers` (lower case) are those of the answer; `next_event` waits for an event."""

    def __init__(self, port: int, token: str, headers: Mapping[str, str]) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 5)
        lines = [f"GET /live?token={token} HTTP/1.1", "Host: a.portal.test"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self.file = self.socket.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        self.headers: dict[str, str] = {}
        while line := self.file.readline().strip():
            name, _, value = line.decode().partition(":")
            self.headers[name.lower()] = value.strip()
        self._events: list[Event] = []

    def next_event(self, seconds: float = 5.0) -> Event | None:
        """The next event; None when the hub ends the stream. TimeoutError when nothing comes in time."""
        self.socket.settimeout(seconds)
        while not self._events:
            size = int(self.file.readline().strip() or b"0", 16)
            if size == 0:
                return None
            self._take(self.file.read(size).decode())
            self.file.readline()
        return self._events.pop(0)

    def _take(self, text: str) -> None:
        for block in text.split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
            if "data" in fields:
                self._events.append(Event(fields.get("event", ""), json.loads(fields["data"])))

    def expect_bell(self, topic: str, version: int) -> None:
        event = self.next_event()
        assert event == Event("", {"topic": topic, "version": version}), event

    def expect_state(self, *, late: bool, seconds: float = 5.0) -> None:
        event = self.next_event(seconds)
        assert event == Event("state", {"late": late}), event

    def expect_end(self, reason: str, seconds: float = 5.0) -> None:
        assert self.next_event(seconds) == Event("end", {"reason": reason})
        assert self.next_event(seconds) is None

    def hears_nothing(self, seconds: float = 0.3) -> bool:
        try:
            return self.next_event(seconds) is None
        except TimeoutError:
            return True

    def close(self) -> None:
        self.file.close()
        self.socket.close()
