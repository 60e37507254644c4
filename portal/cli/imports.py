"""`portal import`: reading what another system kept. Running an import twice doubles nothing."""

import json
from pathlib import Path
from typing import Any

import click

from portal import clock, events
from portal.cli import Failure
from portal.cli.installation import COMMAND_LINE, load

MOST_BYTES = 200_000_000
"""Bytes of a file that is read; more would not fit into memory beside the rest."""


@click.group("import")
def import_() -> None:
    """Read data from elsewhere. An import never mails anybody."""


@import_.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def statuspage(file: Path) -> None:
    """Read the incidents and maintenances of a Statuspage history, as its API gives them (JSON)."""
    from portal.incidents.imports import import_statuspage

    data = _json(file)
    app = load()
    with app.app_context(), click.progressbar(length=1, label="Reading", show_eta=True) as bar:

        def progress(done: int, total: int) -> None:
            bar.length = max(total, 1)
            bar.update(done - bar.pos)

        outcome = import_statuspage(data, by=COMMAND_LINE, now=clock.utcnow(), progress=progress)
        events.commit()
    click.echo(
        f"Read {outcome.incidents:,} incidents with {outcome.updates:,} updates, {outcome.maintenances:,} maintenances "
        f"and {outcome.components:,} components: {outcome.created:,} rows are new, {outcome.updated:,} were brought in "
        f"line, {outcome.unchanged:,} were known."
    )


def _json(file: Path) -> Any:
    """What the file holds; a Failure that says where it cannot be read."""
    if file.stat().st_size > MOST_BYTES:
        raise Failure(f"{file} has more than {MOST_BYTES // 1_000_000} MB; split it.")
    try:
        return json.loads(file.read_bytes())
    except (ValueError, RecursionError) as problem:
        raise Failure(f"{file} is not JSON: {problem}.") from None
