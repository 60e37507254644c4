"""The processes of an installation, one by one: web, live, worker, timetable, pulse, and the assistants' server.

`portal up` runs them together; in production each is started by itself, as often as wanted.
"""

from __future__ import annotations

import importlib
import logging
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from portal.cli.loading import for_good
from portal.cli.supervisor import Process, Supervisor, die_with_parent
from portal.config import Settings
from portal.logs import set_up as set_up_logs

if TYPE_CHECKING:
    from flask import Flask

WEB_THREADS = min(8, 2 * (os.cpu_count() or 1) + 1)
"""Requests a web worker works on at a time; below the 15 connections of its database pool."""

MCP_PORT = 8004
"""Where assistants are answered unless somebody says otherwise."""

QUIET_LOGS = {
    "loggers": {"_granian": {"handlers": [], "propagate": True}, "granian.access": {"handlers": [], "propagate": True}}
}
"""The server's log lines go through ours."""


def load_app(settings: Settings | None = None) -> Flask:
    """The app, with logs set up."""
    set_up_logs()
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with for_good():
        from portal import create_app

        return create_app(settings)


def preload() -> None:
    """Import what the processes will need, so that forks of this one share it instead of each having its own."""
    with for_good():
        for name in ("granian.server.mp", "portal.live", "uvicorn", "workers.worker", "workers.tasks", "workers.pulse"):
            importlib.import_module(name)
        from sqlalchemy.orm import configure_mappers

        # With the first query each process would do it for itself, and hold some ten megabytes of its own for it.
        configure_mappers()


def run_web(app: Flask, host: str, port: int, workers: int) -> None:
    """Answer pages until SIGTERM: granian with this many worker processes, each a fork of this one."""
    from granian.constants import Interfaces

    from portal.bodies import MOST_WAITING, Bodies

    served = Bodies(app, WEB_THREADS)
    _serve(lambda: served, host, port, workers, interface=Interfaces.WSGI, blocking_threads=MOST_WAITING)


def run_live(settings: Settings, host: str, port: int) -> None:
    """Ring open pages until SIGTERM."""
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    _named("portal.live:serve")(settings, host, port)


def run_mcp(app: Flask, host: str, port: int) -> None:
    """Answer assistants until SIGTERM."""
    for name in ("uvicorn", "mcp", "sse_starlette"):
        logging.getLogger(name).setLevel(logging.WARNING)
    _named("portal.mcp.server:serve")(app, host, port)


def run_worker(app: Flask) -> None:
    """Work off what Redis rings for until SIGTERM."""
    _named("workers.worker:run")(app)


def run_timetable(app: Flask) -> None:
    """Ring for what is due by the clock until SIGTERM."""
    _named("workers.worker:run_timetable")(app)


def run_pulse(app: Flask) -> None:
    """Look for due rows and do their work without Redis, until SIGTERM."""
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    _named("workers.pulse:run")(app, stop)


def _named(target: str) -> Any:
    """A function of a package beside this one, named like an entry point because it must not be imported here."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _serve(load: Callable[[], Any], host: str, port: int, workers: int, **options: Any) -> None:
    from granian.log import LogLevels
    from granian.server.mp import MPServer

    parent = os.getpid()

    def load_in_worker(*_arguments: object) -> Any:
        # The supervisor's children end with it, and these with their own parent: each link of the chain must hold.
        die_with_parent(parent)
        return load()

    MPServer(
        target="portal",
        address=host,
        port=port,
        workers=workers,
        log_level=LogLevels.error,
        log_dictconfig=QUIET_LOGS,
        respawn_failed_workers=True,
        workers_kill_timeout=20,
        **options,
    ).serve(target_loader=load_in_worker, wrap_loader=False)


_host = click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")


@click.command()
@_host
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535), help="Port to listen on.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 64), help="Worker processes.")
def web(host: str, port: int, workers: int) -> None:
    """Answer pages."""
    run_web(load_app(), host, port, workers)


@click.command()
@_host
@click.option("--port", default=8001, show_default=True, type=click.IntRange(1, 65535), help="Port to listen on.")
def live(host: str, port: int) -> None:
    """Ring open pages when something they show has changed."""
    set_up_logs()
    run_live(Settings.from_environment(os.environ), host, port)


@click.command()
@_host
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Port to listen on, instead of PORTAL_MCP_PORT (else 8004)."
)
@click.option("--stdio", is_flag=True, help="Answer the program that starts this, for the token in PORTAL_MCP_TOKEN.")
def mcp(host: str, port: int | None, *, stdio: bool) -> None:
    """Answer assistants in the Model Context Protocol, while Service status access is switched on."""
    app = load_app()
    if stdio:
        secret = os.environ.get("PORTAL_MCP_TOKEN", "").strip()
        if not secret:
            raise click.UsageError("Set PORTAL_MCP_TOKEN to a token of the company whose services are asked about.")
        logging.getLogger().setLevel(logging.WARNING)
        _named("portal.mcp.server:serve_here")(app, secret)
        return
    settings: Settings = app.config["SETTINGS"]
    run_mcp(app, host, port or settings.mcp_port or MCP_PORT)


@click.command()
@click.option("--processes", default=1, show_default=True, type=click.IntRange(1, 64), help="How many at once.")
def worker(processes: int) -> None:
    """Send mail and do other work in the background."""
    app = load_app()
    if processes == 1:
        run_worker(app)
        return
    pool = [Process(f"worker-{number}", lambda: run_worker(app)) for number in range(1, processes + 1)]
    Supervisor(pool, click.echo).run()


@click.command()
def timetable() -> None:
    """Ring for what is due by the clock. One per installation is enough, two do no harm."""
    run_timetable(load_app())


@click.command()
def pulse() -> None:
    """Find due work in the database and do it, also while Redis is away."""
    run_pulse(load_app())
