"""`portal import`: reading what another system kept. Running an import twice doubles nothing."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from portal import clock, events
from portal.cli import Failure
from portal.cli.installation import COMMAND_LINE, load

if TYPE_CHECKING:
    from portal.records.kinds import ImportKind
    from portal.records.models import ImportRun
    from portal.records.working import Progress

KINDS = {
    "companies": "Read companies, each with its reference and home portal (CSV).",
    "people": "Read people and which companies they act for (CSV). Nobody is mailed.",
    "components": "Read components and their groups (CSV).",
    "services": "Read services and the components they depend on (CSV).",
    "holdings": "Read which company holds which service, under which reference (CSV).",
    "jobs": "Read jobs, each by its number in the system it comes from (CSV).",
    "quotes": "Read quotes, each by its number in the system it comes from (CSV).",
}
"""What can be read from a CSV file, with the first line of its help."""

QUIET_SECONDS = 2.0
"""A bar is shown for what takes longer than this."""

SHOWN = 20
"""Refused rows that are printed; `--refused` writes all of them to a file."""

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


def _command(name: str, line: str) -> click.Command:
    """The command that reads one kind of CSV file."""

    @click.command(name, help=line)
    @click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
    @click.option("--dry-run", is_flag=True, help="Say what would change, and write nothing.")
    @click.option(
        "--column",
        "columns",
        multiple=True,
        metavar="COLUMN=HEADER",
        help="Which header of the file a column is read from, such as --column name=Firma. May be given several times.",
    )
    @click.option(
        "--choose",
        "choices",
        multiple=True,
        metavar="CHOICE=VALUE",
        help="A choice for the whole file, such as --choose language=de. May be given several times.",
    )
    @click.option("--leave-out-refused", is_flag=True, help="Apply the good rows although others cannot come in.")
    @click.option(
        "--refused",
        type=click.Path(dir_okay=False, writable=True, path_type=Path),
        help="Write the rows that cannot come in to this file, each with the reason.",
    )
    def command(
        file: Path,
        *,
        dry_run: bool,
        columns: tuple[str, ...],
        choices: tuple[str, ...],
        leave_out_refused: bool,
        refused: Path | None,
    ) -> None:
        app = load()
        with app.app_context():
            run_id = _begin(name, file, _pairs(columns, "--column"), _pairs(choices, "--choose"))
            with _bar("Looking at every row") as progress:
                run = _work(run_id, progress)
            _tell_plan(run)
            if refused and run.counts["refused"]:
                _write_refused(run, refused)
            if not dry_run and _may_apply(run, leave_out_refused=leave_out_refused):
                _apply(run, leave_out_refused=leave_out_refused)
                with _bar("Writing") as progress:
                    run = _work(run_id, progress)
                _tell_outcome(run)
            elif dry_run:
                _discard(run)

    return command


for _name, _line in KINDS.items():
    import_.add_command(_command(_name, _line))


def _begin(name: str, file: Path, columns: dict[str, str], choices: dict[str, str]) -> int:
    """Take in the file and ask for its dry run; the id of the import."""
    from portal.records import actions
    from portal.records.kinds import kind_named
    from portal.records.rules.columns import named
    from portal.records.rules.files import MOST_BYTES as MOST
    from portal.records.rules.files import Unreadable

    kind = kind_named(name)
    with file.open("rb") as opened:
        content = opened.read(MOST + 1)
    try:
        run = actions.begin(name, file.name, content, by=COMMAND_LINE, now=clock.utcnow())
        said = named(kind.columns, run.headers, columns)
    except Unreadable as problem:
        raise Failure(problem.sentence) from None
    except ValueError as problem:
        raise click.UsageError(str(problem)) from None
    guessed = {column: place for column, place in run.mapping.items() if place not in said.values()}
    wrong = actions.plan(
        run, {**guessed, **said}, _choices(kind, choices), version=run.version, by=COMMAND_LINE, now=clock.utcnow()
    )
    if wrong:
        headers = ", ".join(run.headers)
        raise click.UsageError(f"{' '.join(wrong.values())} The file has {headers}; say --column COLUMN=HEADER.")
    run_id = run.id
    events.commit()
    return run_id


def _choices(kind: "ImportKind", said: dict[str, str]) -> dict[str, str]:
    """What is chosen for the whole file: as said, else what stands first."""
    from portal.records.actions import options_of

    options = {option.name: [value for value, _label in option.values()] for option in options_of(kind)}
    for name, value in said.items():
        if name not in options:
            raise click.UsageError(f"There is no choice {name!r}; there are {', '.join(options) or 'none'}.")
        if value not in options[name]:
            raise click.UsageError(f"{name} cannot be {value!r}.")
    return {name: said.get(name, values[0] if values else "") for name, values in options.items()}


def _work(run_id: int, progress: "Progress") -> "ImportRun":
    """Do what the import waits for here, in this process, until it waits for somebody."""
    from portal.extensions import db
    from portal.records.models import ImportRun
    from portal.records.queries import WORKING, run_by_id
    from portal.records.rules import ImportState
    from portal.records.working import Work

    settings = _settings()
    while db.session.get_one(ImportRun, run_id).state in WORKING:
        events.rollback()
        Work(run_id, now=clock.utcnow, lease_seconds=settings.lease_seconds, progress=progress).run()
    found = run_by_id(run_id)
    if found is None or found.state is ImportState.MAPPING:
        raise Failure(found.note or "This file cannot be read." if found else "The import is gone.")
    return found


def _settings() -> Any:
    from flask import current_app

    return current_app.config["SETTINGS"]


def _tell_plan(run: "ImportRun") -> None:
    from portal.records.queries import judged_page
    from portal.records.rules import Verdict

    if run.encoding == "cp1252":
        click.echo("The letters of this file are not Unicode; they were read as Windows-1252.", err=True)
    if run.note:
        click.echo(run.note, err=True)
    counts = run.counts
    click.echo(
        f"{run.total:,} rows: {counts['added']:,} added, {counts['changed']:,} changed, "
        f"{counts['unchanged']:,} unchanged, {counts['refused']:,} refused."
    )
    for row in judged_page(run, Verdict.REFUSED, 1).items[:SHOWN]:
        click.echo(f"  {row['sentence']}", err=True)
    if counts["refused"] > SHOWN:
        click.echo(f"  … and {counts['refused'] - SHOWN:,} more; --refused FILE writes all of them.", err=True)


def _may_apply(run: "ImportRun", *, leave_out_refused: bool) -> bool:
    """Whether there is something to write; a Failure where rows are bad and were not said to be left out."""
    from portal.records.actions import good_rows

    bad, good = run.counts["refused"], good_rows(run)
    if bad and not leave_out_refused:
        _discard(run)
        raise Failure(
            f"Nothing was written, because {bad:,} rows cannot come in. Correct them, or say --leave-out-refused."
        )
    if not good:
        _discard(run)
        click.echo("Nothing to write.")
    return bool(good)


def _apply(run: "ImportRun", *, leave_out_refused: bool) -> None:
    from portal.records import actions

    actions.apply(
        run,
        leave_out_refused=leave_out_refused,
        plan_hash=run.plan_hash or "",
        version=run.version,
        by=COMMAND_LINE,
        now=clock.utcnow(),
    )
    events.commit()


def _tell_outcome(run: "ImportRun") -> None:
    from portal.records.rules import ImportState

    if run.state is not ImportState.DONE:
        _discard(run)
        raise Failure(f"{run.note} Run the command again.")
    left_out = f", {run.counts['refused']:,} left out" if run.counts["refused"] else ""
    click.echo(f"Written: {run.counts['added']:,} added, {run.counts['changed']:,} changed{left_out}.")


def _discard(run: "ImportRun") -> None:
    """A dry run on the command line leaves nothing behind."""
    from portal.records import actions

    actions.discard(run, version=run.version, by=COMMAND_LINE, now=clock.utcnow())
    events.commit()


def _write_refused(run: "ImportRun", path: Path) -> None:
    from portal.records.queries import parts_of
    from portal.records.rules import Verdict
    from portal.records.rules.files import refused_lines

    with path.open("w", encoding="utf-8", newline="") as opened:
        opened.writelines(refused_lines(run.headers, parts_of(run.id, Verdict.REFUSED)))


def _pairs(given: tuple[str, ...], option: str) -> dict[str, str]:
    """The pairs of an option that is given as NAME=VALUE."""
    for each in given:
        if "=" not in each:
            raise click.UsageError(f"{option} takes NAME=VALUE, not {each!r}.")
    return {name.strip(): value.strip() for name, _equals, value in (each.partition("=") for each in given)}


@contextmanager
def _bar(label: str) -> "Iterator[Callable[[int, int], None]]":
    """A progress bar; what is over at once shows none."""
    began = time.monotonic()
    shown: list[Any] = []
    with ExitStack() as stack:

        def progress(done: int, total: int) -> None:
            if not shown and time.monotonic() - began > QUIET_SECONDS:
                shown.append(
                    stack.enter_context(
                        click.progressbar(length=max(total, 1), label=label, show_eta=True, file=sys.stderr)
                    )
                )
            for bar in shown:
                bar.length = max(total, 1)
                bar.update(done - bar.pos)

        yield progress


def _json(file: Path) -> Any:
    """What the file holds; a Failure that says where it cannot be read."""
    if file.stat().st_size > MOST_BYTES:
        raise Failure(f"{file} has more than {MOST_BYTES // 1_000_000} MB; split it.")
    try:
        return json.loads(file.read_bytes())
    except (ValueError, RecursionError) as problem:
        raise Failure(f"{file} is not JSON: {problem}.") from None
