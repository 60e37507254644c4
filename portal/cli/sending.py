"""`portal pause-sending` and `portal resume-sending`: the switch for all mail of the installation."""

import click

from portal import clock, events
from portal.cli.installation import COMMAND_LINE, load
from portal.notifications import outbound
from portal.notifications.queries import pause_of_all


@click.command("pause-sending")
@click.option("--reason", default="Paused on the command line.", show_default=True, help="What staff read about it.")
def pause_sending(reason: str) -> None:
    """Send no mail any more; what waits goes on waiting, and staff see that it does."""
    with load().app_context():
        outbound.pause_all(reason, by=COMMAND_LINE, now=clock.utcnow())
        events.commit()
    click.echo("Sending is paused. `portal resume-sending` lets it go on.")


@click.command("resume-sending")
def resume_sending() -> None:
    """Let this installation send: it is the one copy of the data that should."""
    with load().app_context():
        pause = pause_of_all()
        if pause is None:
            click.echo("Sending is not paused.")
            return
        outbound.resume_all(by=COMMAND_LINE, now=clock.utcnow())
        events.commit()
    click.echo(f"Sending goes on. It was paused since {pause.since:%Y-%m-%d %H:%M} UTC: {pause.reason}")
