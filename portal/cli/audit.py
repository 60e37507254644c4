"""`portal audit`: proving that the audit trail is what was written."""

import re

import click

from portal import clock
from portal.cli import Failure
from portal.cli.installation import load
from portal.database import read_only


@click.group()
def audit() -> None:
    """Verify the audit trail, and keep its head elsewhere."""


@audit.command()
@click.option("--head", help="NUMBER:HASH from `portal audit head`, kept elsewhere: nothing up to it was written anew.")
def verify(head: str | None) -> None:
    """Recompute the chain of hashes over every entry.

    Exit status 1 when it does not hold; the first entry that was changed, removed or inserted is named.
    """
    from portal.audit.queries import chain_state
    from portal.audit.queries import verify as verify_chain

    kept = _head(head) if head else None
    app = load()
    with app.app_context(), click.progressbar(length=1, label="Verifying", show_eta=True) as bar:
        read_only.set(True)

        def progress(done: int, total: int) -> None:
            bar.length = max(total, 1)
            bar.update(done - bar.pos)

        verdict, state = verify_chain(kept, progress), chain_state()
    if verdict.problem:
        raise Failure(f"{verdict.problem} The {verdict.checked:,} entries before it are as they were written.")
    click.echo(f"{verdict.checked:,} entries are as they were written, up to {verdict.number}:{verdict.hash}.")
    if kept:
        click.echo(f"The chain had the hash that was kept at number {kept[0]:,}.")
    if state.forgotten:
        click.echo(f"The first {state.forgotten:,} were forgotten by retention; the chain goes on from their hash.")
    if verdict.erased:
        click.echo(f"{verdict.erased:,} name a person whose data was erased.")
    if state.waiting:
        click.echo(f"{state.waiting:,} wait to be sealed.")


@audit.command()
def head() -> None:
    """Print number and hash of the last sealed entry, to be kept elsewhere. First seals what waits."""
    from portal import events
    from portal.audit.actions import seal
    from portal.audit.queries import chain_state

    app = load()
    with app.app_context():
        read_only.set(False)
        while seal(clock.utcnow()):
            events.commit()
        events.commit()
        state = chain_state()
    click.echo(f"{state.number}:{state.hash}")


def _head(text: str) -> tuple[int, str]:
    """The number and the hash that were kept; a mistake in the call when this is neither."""
    match = re.fullmatch(r"(\d{1,10}):([0-9a-f]{64})", text.strip())
    if match is None:
        raise click.UsageError("--head is NUMBER:HASH, as `portal audit head` prints it.")
    return int(match[1]), match[2]
