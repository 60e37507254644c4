"""A Redis of the test's own, which may be stopped, killed, hung and emptied."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import redis
from redis.exceptions import RedisError

from portal.cli.redis_server import find_server
from tests.support.processes import Server


class RedisServer(Server):
    """Redis on a socket in a short-named folder, storing nothing."""

    def __init__(self, *options: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sb-redis-"))
        self.socket = self.folder / "redis.sock"
        self.options = options
        super().__init__(self.folder / "log")

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def command(self) -> Sequence[str | Path]:
        server = find_server()
        assert server, "no Redis on this machine"
        return [
            *(server, "--port", "0", "--unixsocket", self.socket, "--dir", self.folder),
            *("--save", "", "--appendonly", "no", *self.options),
        ]

    def is_ready(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except (RedisError, OSError):
            return False

    def client(self) -> redis.Redis:
        """A connection with a time-out of 2 s."""
        return redis.Redis.from_url(self.url, socket_timeout=2, retry=None)

    def flush(self) -> None:
        """Forget everything, as FLUSHALL does."""
        with self.client() as client:
            client.flushall()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
