"""The command line: `portal COMMAND`. Exit status 0 is success, 1 a failure that is told, 2 a mistake in the call."""

from __future__ import annotations

import importlib
import sys
from typing import Any, NoReturn

import click

from portal.cli.loading import for_good, take_process
from portal.config import ConfigError

COMMANDS = {
    "up": ("portal.cli.up:up", "Start everything an installation needs; Ctrl-C stops it."),
    "init": ("portal.cli.installation:init", "Begin an installation."),
    "create-admin": ("portal.cli.installation:create_admin", "Add a person with every right."),
    "create-token": ("portal.cli.tokens:create_token", "Make a token of the API."),
    "migrate": ("portal.cli.installation:migrate", "Bring the tables to this version."),
    "import": ("portal.cli.imports:import_", "Read data from elsewhere."),
    "export": ("portal.cli.exports:export", "Write data out."),
    "audit": ("portal.cli.audit:audit", "Prove that the audit trail is what was written."),
    "backup": ("portal.cli.backups:backup", "Write all data into one file while everything goes on."),
    "restore": ("portal.cli.backups:restore", "Put the data of a backup into this installation."),
    "pause-sending": ("portal.cli.sending:pause_sending", "Send no mail any more."),
    "resume-sending": ("portal.cli.sending:resume_sending", "Let this copy of the data send."),
    "doctor": ("portal.cli.doctor:doctor", "Check the installation and say what to do."),
    "demo": ("portal.cli.installation:demo", "Fill an empty database with a demo business."),
    "web": ("portal.cli.processes:web", "Answer pages."),
    "live": ("portal.cli.processes:live", "Ring open pages when something they show has changed."),
    "worker": ("portal.cli.processes:worker", "Send mail and do other work in the background."),
    "timetable": ("portal.cli.processes:timetable", "Ring for what is due by the clock."),
    "pulse": ("portal.cli.processes:pulse", "Find due work in the database and do it."),
    "mcp": ("portal.cli.processes:mcp", "Answer assistants about service statuses."),
    "catcher": ("portal.cli.catcher:catcher", "Take all mail, deliver none, show it in the browser."),
}
"""Where each command lives, and its line in the help; it is loaded when called, so that the hub loads no web."""


class Commands(click.Group):
    """A group that imports a command when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        with for_good():
            command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_target, line) in COMMANDS.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="signalbox", prog_name="Signalbox")
def portal() -> None:
    """Signalbox, the customer portal of a service business."""


class Failure(click.ClickException):
    """The command could not do what was asked; the message is a sentence that says what to do. Exit status 1."""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run a command and end with its exit status; what goes wrong is told in a sentence, never as a trace."""
    take_process()
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run a command in this process and return its exit status."""
    try:
        outcome: Any = portal.main(arguments, prog_name="portal", standalone_mode=False)
    except ConfigError as problem:
        return _tell(str(problem), 2)
    except click.ClickException as problem:
        problem.show()
        return problem.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _tell("Stopped.", 1)
    except BrokenPipeError:
        return 1
    except Exception as problem:
        sentence = _sentence_for(problem)
        if sentence is None:
            raise
        return _tell(sentence, 1)
    return outcome if isinstance(outcome, int) else 0


def _sentence_for(problem: Exception) -> str | None:
    """What to say about a problem that is nobody's bug; None for one that is ours and deserves its trace."""
    import sqlite3

    from sqlalchemy.exc import InternalError, OperationalError, ProgrammingError

    from portal.database import DatabaseReplacedError
    from portal.errors import RuleViolation

    if isinstance(problem, RuleViolation):
        return problem.sentence
    if isinstance(problem, OperationalError | ProgrammingError | InternalError):
        reason = str(problem.orig).strip().splitlines()[0] if problem.orig else "no reason given"
        return f"The database cannot be used ({reason}). `portal doctor` says what to do."
    if isinstance(problem, sqlite3.Error | DatabaseReplacedError):
        return f"The database cannot be used ({problem}). `portal doctor` says what to do."
    if isinstance(problem, OSError):
        return f"{problem.strerror or problem}" + (f": {problem.filename}" if problem.filename else "") + "."
    return None


def _tell(sentence: str, status: int) -> int:
    click.echo(f"Error: {sentence}", err=True)
    return status
