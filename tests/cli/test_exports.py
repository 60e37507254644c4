"""`portal export`: the same files as the screen's, written once and recorded."""

import csv
import io
from pathlib import Path
from zipfile import ZipFile

import pytest
from click.testing import CliRunner, Result
from flask_migrate import upgrade
from sqlalchemy import select

from portal import create_app, events
from portal.accounts import actions as accounts
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.cli import portal
from portal.config import Settings
from portal.database import read_only
from portal.extensions import db
from tests.conftest import NOW


@pytest.fixture
def environment(database_url: str, tmp_path: Path) -> dict[str, str]:
    """An installation with one company and one person of it, on a database of its own."""
    settings = {
        "PORTAL_INSTANCE": str(tmp_path),
        "PORTAL_SECRET_KEY": "a key that protects nothing but this test",
        "PORTAL_BASE_URL": "http://admin.portal.test",
        "PORTAL_DATABASE_URL": database_url,
        "PORTAL_REDIS_URL": f"unix://{tmp_path}/nobody.sock",
    }
    app = create_app(Settings.from_environment(settings))
    with app.app_context():
        read_only.set(False)
        upgrade()
        company = accounts.add_company("=Alder", by=SYSTEM, now=NOW)
        person = accounts.add_person("Alice", "alice@people.test", by=SYSTEM, now=NOW)
        accounts.add_membership(person, company, by=SYSTEM, now=NOW)
        events.commit()
        db.session.remove()
        db.engine.dispose()
    return settings


def test_it_writes_files_once_and_records_that_it_did(environment: dict[str, str], tmp_path: Path) -> None:
    def run(*arguments: object) -> Result:
        return CliRunner(env=environment).invoke(portal, ["export", *map(str, arguments)])

    target = tmp_path / "company.zip"
    assert run("company", "=alder", "--to", target).exit_code == 0
    with ZipFile(target) as archive:
        assert "alice@people.test" in archive.read("json/people.json").decode()
    assert run("company", "#1", "--to", target).exit_code == 1, "a file that is there is left alone"
    assert run("person", "alice@people.test", "--to", tmp_path / "person.zip").exit_code == 0
    assert run("person", "nobody@people.test", "--to", tmp_path / "nobody.zip").exit_code == 1
    assert not (tmp_path / "nobody.zip").exists()
    listed = run("companies", "--to", "-")
    assert list(csv.reader(io.StringIO(listed.stdout)))[:2] == [["Name", "Reference"], ["'=Alder", ""]]
    assert run("companies").exit_code == 2
    app = create_app(Settings.from_environment(environment))
    with app.app_context():
        told = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "export.command")).all()
        assert [(each.actor, each.object_kind) for each in told] == [
            ("command line", "company"),
            ("command line", "person"),
            ("command line", "export"),
        ]
        db.session.remove()
        db.engine.dispose()
