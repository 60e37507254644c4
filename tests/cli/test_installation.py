"""Beginning an installation by the command line, and what it says when a setting or an argument cannot be used."""

import io
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from portal.accounts.models import Person
from portal.accounts.rules import Role
from portal.audit.models import AuditEntry
from portal.cli import run
from portal.domains.models import PortalDomain
from portal.domains.rules import Area
from portal.extensions import db
from tests.support.product import Portal

PASSWORD = "correct horse battery"


class Installation(Portal):
    """A portal whose commands run in this process, which spares each test the start of another."""

    def __init__(self, url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(database_url=url)
        self._capsys, self._monkeypatch = capsys, monkeypatch

    def run(self, *arguments: str, input: str = "", seconds: float = 60) -> subprocess.CompletedProcess[str]:
        with self._monkeypatch.context() as patch:
            for name in [name for name in os.environ if name.startswith("PORT")]:
                patch.delenv(name)
            for name, value in self.variables.items():
                patch.setenv(name, value)
            patch.setattr(sys, "stdin", io.StringIO(input))
            self._capsys.readouterr()
            status = run(list(arguments))
            said = self._capsys.readouterr()
        return subprocess.CompletedProcess(arguments, status, said.out, said.err)


@pytest.fixture
def portal(
    database_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Installation]:
    portal = Installation(database_url, capsys, monkeypatch)
    yield portal
    portal.__exit__()


def test_init_begins_an_installation_once(portal: Portal) -> None:
    del portal.variables["PORTAL_SECRET_KEY"]
    first = portal.run("init")
    assert first.returncode == 0, first.stderr
    key = Path(portal.variables["PORTAL_INSTANCE"]) / "secret_key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    written = key.read_text()
    assert portal.run("init").returncode == 0
    assert key.read_text() == written


def test_init_can_open_a_first_portal_domain(portal: Portal) -> None:
    arguments = ["--portal", "https://status.people.test", "--brand", "Northline", "--area", "status"]
    done = portal.run("init", *arguments)
    assert done.returncode == 0, done.stderr
    with portal.database():
        (domain,) = db.session.scalars(select(PortalDomain)).all()
        assert (domain.host, domain.brand, domain.areas) == ("status.people.test", "Northline", [Area.STATUS])
    again = portal.run("init", *arguments)
    assert again.returncode == 1
    assert "is already a name of a portal domain" in again.stderr


def test_a_portal_domain_starts_with_every_area_off(portal: Portal) -> None:
    assert portal.run("init", "--portal", "https://status.people.test", "--brand", "Northline").returncode == 0
    with portal.database():
        assert db.session.scalars(select(PortalDomain)).one().areas == []


@pytest.mark.parametrize(
    "arguments",
    [["--portal", "https://status.people.test"], ["--area", "status"], ["--area", "nothing"], ["--nothing"]],
)
def test_init_called_wrongly_is_status_2(portal: Portal, arguments: list[str]) -> None:
    done = portal.run("init", *arguments)
    assert done.returncode == 2
    assert "Error:" in done.stderr


def test_an_admin_is_added_and_audited(portal: Portal) -> None:
    portal.prepare()
    done = portal.run("create-admin", "--email", "ada@people.test", "--password-stdin", input=f"{PASSWORD}\n")
    assert done.returncode == 0, done.stderr
    with portal.database():
        ada = db.session.scalars(select(Person)).one()
        assert (ada.email, ada.role) == ("ada@people.test", Role.ADMIN)
        entries = db.session.scalars(select(AuditEntry.actor).where(AuditEntry.action == "person.add"))
        assert entries.all() == ["command line"]
    again = portal.run("create-admin", "--email", "ADA@people.test", "--password-stdin", input=f"{PASSWORD}\n")
    assert again.returncode == 1
    assert "already known" in again.stderr


@pytest.mark.parametrize(
    ("email", "password", "status", "sentence"),
    [
        ("ada@people.test", "short", 1, "at least 12 characters"),
        ("not an address", PASSWORD, 1, "not an e-mail address"),
        ("ada@people.test", "", 2, "no password on standard input"),
    ],
)
def test_an_admin_who_cannot_be_added_is_refused_in_a_sentence(
    portal: Portal, email: str, password: str, status: int, sentence: str
) -> None:
    portal.prepare()
    done = portal.run("create-admin", "--email", email, "--password-stdin", input=f"{password}\n")
    assert done.returncode == status
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PORTAL_SECRET_KEY", "dev", "32 random bytes"),
        ("PORTAL_BASE_URL", "portal.example.com", "must look like https://"),
        ("PORTAL_DATABASE_URL", "mysql://x/y", "runs on sqlite and postgresql"),
        ("PORTAL_REDIS_URL", "http://x", "must begin with redis://"),
        ("PORTAL_SMTP_URL", "mail.example.com", "must look like smtp://"),
        ("PORTAL_PULSE_SECONDS", "soon", "must be a number"),
    ],
)
@pytest.mark.parametrize("command", [["up"], ["migrate"], ["live"]], ids=lambda command: command[0])
def test_a_bad_setting_stops_every_command_with_a_sentence(
    portal: Portal, command: list[str], name: str, value: str, sentence: str
) -> None:
    portal.variables[name] = value
    done = portal.run(*command)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: ")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_commands_before_init_say_what_to_do(portal: Portal) -> None:
    done = portal.run("up", "--port", str(portal.port))
    assert done.returncode == 1
    assert "portal migrate" in done.stderr
    admin = portal.run("create-admin", "--email", "ada@people.test", "--password-stdin", input=f"{PASSWORD}\n")
    assert admin.returncode == 1
    assert "portal doctor" in admin.stderr


def test_demo_fills_an_empty_database_once_and_follows_the_port(portal: Portal) -> None:
    first = portal.run("demo", "--port", "8765", seconds=120)
    assert first.returncode == 0, first.stderr
    assert "demo-signalbox" in first.stdout
    with portal.database():
        people = len(db.session.scalars(select(Person.id)).all())
    second = portal.run("demo", "--port", "9876")
    assert second.returncode == 0, second.stderr
    with portal.database():
        assert len(db.session.scalars(select(Person.id)).all()) == people
        assert set(db.session.scalars(select(PortalDomain.base_url))) == {
            "http://north.localhost:9876",
            "http://south.localhost:9876",
        }


def test_demo_leaves_a_real_installation_alone(portal: Portal) -> None:
    portal.run("init", "--portal", "https://status.people.test", "--brand", "Northline")
    portal.run("create-admin", "--email", "ada@people.test", "--password-stdin", input=f"{PASSWORD}\n")
    assert portal.run("demo", "--port", "9876").returncode == 0
    with portal.database():
        assert db.session.scalars(select(PortalDomain.base_url)).all() == ["https://status.people.test"]
        assert db.session.scalars(select(Person.email)).all() == ["ada@people.test"]


COMMANDS = ["up", "init", "create-admin", "migrate", "import", "import statuspage", "doctor", "demo"]
PROCESSES = ["web", "live", "worker", "timetable", "pulse", "catcher"]


@pytest.mark.parametrize("command", ["", *COMMANDS, *PROCESSES])
def test_every_command_has_help(portal: Portal, command: str) -> None:
    done = portal.run(*command.split(), "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Usage: portal")
    assert all(name in done.stdout for name in ([*COMMANDS[:5], *PROCESSES] if not command else ["--help"]))


def test_an_unknown_command_is_status_2(portal: Portal) -> None:
    assert portal.run("nothing").returncode == 2


@pytest.mark.parametrize("content", ["", "not json", "[" * 100_000, '{"incidents": 7}'])
def test_a_file_that_cannot_be_imported_is_refused_in_a_sentence(portal: Portal, content: str) -> None:
    portal.prepare()
    file = portal.folder / "history.json"
    file.write_text(content)
    done = portal.run("import", "statuspage", str(file))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("Error: ")


def test_an_import_of_no_file_is_status_2(portal: Portal) -> None:
    assert portal.run("import", "statuspage", "/nowhere.json").returncode == 2
