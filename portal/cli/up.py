"""`portal up`: everything an installation needs, as children of one supervisor."""

import fcntl
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
from flask import Flask

from portal.cli import Failure, catcher, processes, redis_server
from portal.cli.supervisor import Process, Supervisor
from portal.config import Settings
from portal.services.questions import switch

LIVE_OFFSET, CATCHER_WEB_OFFSET, CATCHER_SMTP_OFFSET, MCP_OFFSET = 1, 2, 3, 4
"""The ports beside the web's own: the live hub's, the mail catcher's page and SMTP, the server of assistants."""

PAGES_FIRST = 0.7
"""Seconds that what works in the background leaves to the pages when all of it starts: somebody waits for those."""

LOCK_PATIENCE = 10.0
"""Seconds to wait for an earlier run on the same instance folder to have ended."""


@click.command()
@click.option(
    "--port",
    envvar="PORT",
    default=8000,
    show_default=True,
    type=click.IntRange(1, 65535 - MCP_OFFSET),
    help="Port of the pages; the live hub takes the next one. Also read from PORT.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--web-workers", default=2, show_default=True, type=click.IntRange(1, 64), help="Processes for pages.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 64), help="Processes for other work.")
@click.option("--catch-mail", is_flag=True, help="Send all mail to a catcher that shows it at port + 2.")
def up(port: int, host: str, web_workers: int, workers: int, *, catch_mail: bool) -> None:
    """Start web, live hub, workers, timetable, pulse and, if none is named, Redis.

    Ctrl-C stops all of it. It works on whatever data is there and makes none.
    """
    environ = dict(os.environ)
    catch_mail = catch_mail and not environ.get("PORTAL_SMTP_URL")
    environ.setdefault("PORTAL_BASE_URL", f"http://localhost:{port}")
    environ.setdefault("PORTAL_LIVE_PORT", str(port + LIVE_OFFSET))
    environ.setdefault("PORTAL_MCP_PORT", str(port + MCP_OFFSET))
    if catch_mail:
        environ["PORTAL_SMTP_URL"] = f"smtp://127.0.0.1:{port + CATCHER_SMTP_OFFSET}"
        environ.setdefault("PORTAL_MAIL_DOMAIN", "demo.example")
    settings = Settings.from_environment(environ)
    redis = [Process("redis", redis_server.command_line(settings), ends_last=True)] if settings.embedded_redis else []
    _lock(settings.instance)
    ports = [port, settings.live_port, *([port + CATCHER_WEB_OFFSET, port + CATCHER_SMTP_OFFSET] if catch_mail else [])]
    _refuse_taken_ports(host, ports)
    app = processes.load_app(settings)
    processes.preload()
    _refuse_old_tables(app)
    # The first beat of the pulse says whether assistants are answered; what an earlier run was told is of no use.
    switch.mark(settings.instance, is_open=False)
    caught = settings.instance / "mail"
    mail = [Process("mail", lambda: catcher.run(caught, host, port + CATCHER_WEB_OFFSET, port + CATCHER_SMTP_OFFSET))]
    plan = [
        *redis,
        *(mail if catch_mail else []),
        Process("web", lambda: processes.run_web(app, host, port, web_workers)),
        Process("live", lambda: processes.run_live(settings, host, settings.live_port)),
        *_numbered("worker", workers, lambda: processes.run_worker(app)),
        Process("timetable", lambda: processes.run_timetable(app), waits=PAGES_FIRST),
        Process("pulse", lambda: processes.run_pulse(app), waits=PAGES_FIRST),
        Process(
            "mcp",
            lambda: processes.run_mcp(app, host, settings.mcp_port),
            is_wanted=lambda: switch.is_marked(settings.instance),
        ),
    ]
    _greet(settings, port, caught if catch_mail else None)
    Supervisor(plan, _say).run()


def _numbered(name: str, count: int, run: Callable[[], None]) -> list[Process]:
    names = [name] if count == 1 else [f"{name}-{number}" for number in range(1, count + 1)]
    return [Process(each, run, waits=PAGES_FIRST) for each in names]


def _lock(instance: Path) -> None:
    """Hold the instance folder for this run and its children, so that two never share a socket or a mail folder.

    The children inherit the lock, Redis too: it is free when the last of them has ended.
    """
    instance.mkdir(parents=True, exist_ok=True)
    held = os.open(instance / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    os.set_inheritable(held, True)
    deadline = time.monotonic() + LOCK_PATIENCE
    told = False
    while True:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise Failure(f"Signalbox is already running on {instance}; stop it first.") from None
            if not told:
                click.echo(f"Waiting for an earlier run on {instance} to end …")
                told = True
            time.sleep(0.2)
        else:
            return


def _refuse_taken_ports(host: str, ports: list[int]) -> None:
    """Say so before anything starts: the web server would silently share a port with a stranger of its own kind."""
    for port in ports:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as problem:
                raise Failure(
                    f"Port {port} on {host} cannot be used ({problem.strerror}); choose others, as with PORT=9000."
                ) from None


def _refuse_old_tables(app: Flask) -> None:
    from portal.cli.installation import is_at_head

    with app.app_context():
        if not is_at_head():
            raise Failure("The tables are not those of this version; run `portal migrate` first.")


def _greet(settings: Settings, port: int, caught: Path | None) -> None:
    lines = [f"Signalbox answers at {settings.base_url}/admin/ for staff and at the addresses of its portal domains."]
    if caught:
        lines.append(f"Mail is caught and shown at http://localhost:{port + CATCHER_WEB_OFFSET}; none of it leaves.")
    lines.append("Ctrl-C stops it.")
    for line in lines:
        click.echo(line)
    sys.stdout.flush()


def _say(line: str) -> None:
    try:
        click.echo(line)
    except OSError:
        # The terminal is gone; SIGHUP follows, and until then there is nobody to tell.
        return
