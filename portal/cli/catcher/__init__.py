"""The mail catcher: an SMTP server that delivers nothing, and pages that show what it was given."""

import logging
import os
from pathlib import Path

import click

from portal.cli.catcher.box import Box
from portal.logs import set_up as set_up_logs


def run(folder: Path, host: str, web_port: int, smtp_port: int) -> None:
    """Take mail at `smtp_port` and show it at `web_port`, until SIGTERM. SMTP listens on this machine only."""
    from portal.cli.catcher.smtp import listen
    from portal.cli.catcher.web import serve

    logging.getLogger("mail.log").setLevel(logging.WARNING)
    box = Box(folder)
    controller = listen(box, "127.0.0.1", smtp_port)
    try:
        serve(box, host, web_port)
    finally:
        controller.stop()


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address the pages listen on.")
@click.option("--port", default=8002, show_default=True, type=click.IntRange(1, 65535), help="Port of the pages.")
@click.option("--smtp-port", default=8003, show_default=True, type=click.IntRange(1, 65535), help="Port of SMTP.")
def catcher(host: str, port: int, smtp_port: int) -> None:
    """Take all mail, deliver none, and show the last of it in the browser."""
    set_up_logs()
    folder = Path(os.environ.get("PORTAL_INSTANCE") or "instance").resolve() / "mail"
    click.echo(f"Mail given to 127.0.0.1:{smtp_port} is shown at http://localhost:{port}.")
    run(folder, host, port, smtp_port)
