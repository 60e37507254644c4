"""`portal export`: writing data out, the same as the screen does."""

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, Any

import click

from portal import clock, events
from portal.cli import Failure
from portal.cli.installation import COMMAND_LINE, load
from portal.database import read_only
from portal.records.rules.exports import ExportKind

TO = click.option(
    "--to",
    "target",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    required=True,
    help="File to write, which must not exist; - is standard output.",
)


@click.group()
def export() -> None:
    """Write data out: everything about a company or a person, or a list as the import takes it."""


@export.command()
@click.argument("company")
@TO
def company(company: str, target: Path) -> None:
    """Write everything a company can ask for as a ZIP. COMPANY is its name or its number."""

    def find() -> int | None:
        from portal.accounts.queries.names import company_named
        from portal.catalogue.queries.lists import company_by_id

        number = company.removeprefix("#")
        found = company_named(company) or (company_by_id(int(number)) if _is_id(number) else None)
        return found.id if found else None

    _write(ExportKind.COMPANY, find, f"There is no company {company!r}.", target)


@export.command()
@click.argument("address")
@TO
def person(address: str, target: Path) -> None:
    """Write everything that is kept about a person as a ZIP. ADDRESS is their e-mail address."""

    def find() -> int | None:
        from portal.accounts.queries import person_by_email

        found = person_by_email(address)
        return found.id if found else None

    _write(ExportKind.PERSON, find, f"Nobody has the address {address!r}.", target)


def _list(kind: ExportKind) -> None:
    @export.command(kind.value, help=f"Write all {kind.value} as CSV, as `portal import {kind.value}` takes it.")
    @TO
    def write(target: Path) -> None:
        _write(kind, lambda: None, "", target)


for _kind in (
    ExportKind.COMPANIES,
    ExportKind.PEOPLE,
    ExportKind.COMPONENTS,
    ExportKind.SERVICES,
    ExportKind.HOLDINGS,
):
    _list(_kind)


def _write(kind: ExportKind, find: Any, otherwise: str, target: Path) -> None:
    """Write it, and record that it was written; a file that is there already is never written over."""
    from portal.records.exports import note_command, write_all
    from portal.records.parts import parts_about

    app = load()
    with app.app_context():
        read_only.set(True)
        subject_id, now, rows = find(), clock.utcnow(), 0
        if subject_id is None and otherwise:
            raise Failure(otherwise)
        with (
            _opened(target) as file,
            click.progressbar(length=len(parts_about(kind)), label="Writing", file=sys.stderr) as bar,
        ):
            for done in write_all(file, kind, subject_id, now):
                rows = done
                bar.update(1)
        events.rollback()
        read_only.set(False)
        note_command(kind, subject_id, rows, by=COMMAND_LINE, now=now)
        events.commit()
    click.echo(f"Wrote {rows:,} rows{'' if str(target) == '-' else f' to {target}'}.", err=True)


def _opened(target: Path) -> AbstractContextManager[IO[bytes]]:
    if str(target) == "-":
        return nullcontext(sys.stdout.buffer)
    try:
        return target.open("xb")
    except FileExistsError:
        raise Failure(f"{target} is there already. Name another file.") from None


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10
