"""Beginning an installation by the command line, and what it says when a setting or an argument cannot be used."""

import stat
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from portal import clock
from portal.accounts.models import Person
from portal.accounts.rules import Role as StaffRole
from portal.accounts.rules import Viewpoint
from portal.audit.models import AuditEntry
from portal.catalogue.models import Service
from portal.catalogue.rules.services import ICONS
from portal.domains.models import PortalDomain
from portal.domains.rules import BUILT_AREAS, Area
from portal.extensions import db
from portal.jobs.models import QuoteAnswer, WorkItem, WorkNotice
from portal.jobs.queries.outages import delays_of
from portal.jobs.queries.settings import settings_of
from portal.jobs.rules import PublicStatus, Role, WorkKind, resolve
from portal.messages.models import Thread
from portal.notifications.models import Broadcast
from portal.services.actions.clockwork import due_nags, due_windows
from portal.services.models import ServiceUpdate, ServiceWindow, StarterNote, StatedPeriod
from portal.services.queries.acts import Stand, stand_of
from portal.services.queries.uptime import uptimes
from portal.services.rules import PROBLEMS, ServiceStatus
from tests.cli.installation import Installation

PASSWORD = "correct horse battery"


@pytest.fixture
def portal(
    database_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Installation]:
    portal = Installation(database_url, capsys, monkeypatch)
    yield portal
    portal.__exit__()


def test_init_begins_an_installation_once(portal: Installation) -> None:
    del portal.variables["PORTAL_SECRET_KEY"]
    first = portal.run("init")
    assert first.returncode == 0, first.stderr
    key = Path(portal.variables["PORTAL_INSTANCE"]) / "secret_key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    written = key.read_text()
    assert portal.run("init").returncode == 0
    assert key.read_text() == written


def test_init_can_open_a_first_portal_domain(portal: Installation) -> None:
    arguments = ["--portal", "https://status.people.test", "--brand", "Northline", "--area", "status"]
    done = portal.run("init", *arguments)
    assert done.returncode == 0, done.stderr
    with portal.database():
        (domain,) = db.session.scalars(select(PortalDomain)).all()
        assert (domain.host, domain.brand, domain.areas) == ("status.people.test", "Northline", [Area.STATUS])
    again = portal.run("init", *arguments)
    assert again.returncode == 1
    assert "is already a name of a portal domain" in again.stderr


def test_a_portal_domain_starts_with_every_area_off(portal: Installation) -> None:
    assert portal.run("init", "--portal", "https://status.people.test", "--brand", "Northline").returncode == 0
    with portal.database():
        assert db.session.scalars(select(PortalDomain)).one().areas == []


@pytest.mark.parametrize(
    "arguments",
    [["--portal", "https://status.people.test"], ["--area", "status"], ["--area", "nothing"], ["--nothing"]],
)
def test_init_called_wrongly_is_status_2(portal: Installation, arguments: list[str]) -> None:
    done = portal.run("init", *arguments)
    assert done.returncode == 2
    assert "Error:" in done.stderr


def test_an_admin_is_added_and_audited(portal: Installation) -> None:
    portal.prepare()
    done = portal.run("create-admin", "--email", "ada@people.test", "--password-stdin", input=f"{PASSWORD}\n")
    assert done.returncode == 0, done.stderr
    with portal.database():
        ada = db.session.scalars(select(Person)).one()
        assert (ada.email, ada.role) == ("ada@people.test", StaffRole.ADMIN)
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
    portal: Installation, email: str, password: str, status: int, sentence: str
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
    portal: Installation, command: list[str], name: str, value: str, sentence: str
) -> None:
    portal.variables[name] = value
    done = portal.run(*command)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: ")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_commands_before_init_say_what_to_do(portal: Installation) -> None:
    done = portal.run("up", "--port", str(portal.port))
    assert done.returncode == 1
    assert "portal migrate" in done.stderr
    admin = portal.run("create-admin", "--email", "ada@people.test", "--password-stdin", input=f"{PASSWORD}\n")
    assert admin.returncode == 1
    assert "portal doctor" in admin.stderr


def test_demo_fills_an_empty_database_once_and_follows_the_port(portal: Installation) -> None:
    first = portal.run("demo", "--port", "8765", seconds=120)
    assert first.returncode == 0, first.stderr
    assert "demo-signalbox" in first.stdout
    with portal.database():
        people = len(db.session.scalars(select(Person.id)).all())
        has_work_of_every_kind()
        has_said_how_services_are()
        assert db.session.scalars(select(Broadcast.id)).all() == []
        assert db.session.scalars(select(WorkNotice.item_id)).all() == []
    second = portal.run("demo", "--port", "9876")
    assert second.returncode == 0, second.stderr
    with portal.database():
        assert len(db.session.scalars(select(Person.id)).all()) == people
        assert set(db.session.scalars(select(PortalDomain.base_url))) == {
            "http://north.localhost:9876",
            "http://south.localhost:9876",
        }


def has_said_how_services_are() -> None:
    """Problems of both kinds that stand, windows behind, under way and ahead, and nobody to be asked about any."""
    now = clock.utcnow()
    services = db.session.scalars(select(Service)).all()
    assert all(service.icon in ICONS and service.aliases for service in services)
    periods = db.session.scalars(select(StatedPeriod)).all()
    assert {each.status for each in periods if each.ended_at is None} == set(PROBLEMS)
    assert min(each.began_at for each in periods) < now - timedelta(days=120)
    stands = {stand_of(window, now) for window in db.session.scalars(select(ServiceWindow))}
    assert stands == {Stand.PAST, Stand.UNDER_WAY, Stand.AHEAD}
    assert due_windows(now) == due_nags(now) == []
    assert {each.status for each in db.session.scalars(select(ServiceUpdate))} == set(ServiceStatus)
    uptime = uptimes([each.holding_id for each in periods], Viewpoint(is_staff=True), now)
    assert 0.9 < min(each.share for each in uptime.values()) < 1
    assert db.session.scalars(select(StarterNote)).all()


def has_work_of_every_kind() -> None:
    """Work in every status but those a customer's own words lead to, spread over the year, some of it waited for."""
    now = clock.utcnow()
    found = db.session.scalars(select(WorkItem).order_by(WorkItem.created_at)).all()
    for kind, missing in ((WorkKind.JOB, set()), (WorkKind.QUOTE, {Role.ON_HOLD, Role.CANCELLED})):
        table = settings_of(kind).table
        items = [item for item in found if item.kind is kind]
        assert {row.role for row in table} - {table.by_id[item.status_id].role for item in items} == missing
        assert [item.number for item in items] == sorted(item.number for item in items)
        assert any(item.booked_by_id for item in items)
    jobs = {item.id: item for item in found if item.kind is WorkKind.JOB}
    assert jobs[min(jobs)].created_at < now - timedelta(days=180)
    assert max(item.starts_at for item in jobs.values() if item.starts_at) > now
    assert max(item.status_since for item in found) <= now
    assert delays_of(jobs.values(), Viewpoint(is_staff=True), now)
    shown = [
        resolve(settings_of(WorkKind.JOB).table, row.id) for row in settings_of(WorkKind.JOB).table if not row.role
    ]
    assert [each.name for each in shown if isinstance(each, PublicStatus)] == ["On hold"]
    office = db.session.scalars(select(Person).where(Person.email == "office@demo.example")).one()
    assert {item.kind for item in found if item.assignee_id == office.id and not item.finished_at} == set(WorkKind)
    assert {answer.is_accepted for answer in db.session.scalars(select(QuoteAnswer))} == {True, False}
    assert len({thread.subject_kind for thread in db.session.scalars(select(Thread)) if thread.waits_since}) == 2
    assert {area for portal in db.session.scalars(select(PortalDomain)) for area in portal.areas} == set(BUILT_AREAS)


def test_demo_leaves_a_real_installation_alone(portal: Installation) -> None:
    portal.run("init", "--portal", "https://status.people.test", "--brand", "Northline")
    portal.run("create-admin", "--email", "ada@people.test", "--password-stdin", input=f"{PASSWORD}\n")
    assert portal.run("demo", "--port", "9876").returncode == 0
    with portal.database():
        assert db.session.scalars(select(PortalDomain.base_url)).all() == ["https://status.people.test"]
        assert db.session.scalars(select(Person.email)).all() == ["ada@people.test"]


COMMANDS = ["up", "init", "create-admin", "migrate", "import", "import statuspage", "doctor", "demo"]
CARE = ["backup", "restore", "pause-sending", "resume-sending"]
PROCESSES = ["web", "live", "worker", "timetable", "pulse", "catcher"]


@pytest.mark.parametrize("command", ["", *COMMANDS, *CARE, *PROCESSES])
def test_every_command_has_help(portal: Installation, command: str) -> None:
    done = portal.run(*command.split(), "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Usage: portal")
    assert all(name in done.stdout for name in ([*COMMANDS[:5], *CARE, *PROCESSES] if not command else ["--help"]))


def test_an_unknown_command_is_status_2(portal: Installation) -> None:
    assert portal.run("nothing").returncode == 2


@pytest.mark.parametrize("content", ["", "not json", "[" * 100_000, '{"incidents": 7}'])
def test_a_file_that_cannot_be_imported_is_refused_in_a_sentence(portal: Installation, content: str) -> None:
    portal.prepare()
    file = portal.folder / "history.json"
    file.write_text(content)
    done = portal.run("import", "statuspage", str(file))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("Error: ")


def test_an_import_of_no_file_is_status_2(portal: Installation) -> None:
    assert portal.run("import", "statuspage", "/nowhere.json").returncode == 2
