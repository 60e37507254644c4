"""Two processes seal the trail at the same moment, and it can be verified and shortened; a database of its own."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import func, select, text
from sqlalchemy.exc import OperationalError

from portal import create_app, events
from portal.audit import actions as audit
from portal.audit.models import AuditEntry
from portal.audit.queries import chain_state, verify
from portal.audit.rules import SYSTEM
from portal.cli import portal
from portal.config import Settings
from portal.database import read_only
from portal.extensions import db
from tests.conftest import NOW

ENTRIES = 210


@pytest.fixture
def environment(database_url: str, tmp_path: Path) -> dict[str, str]:
    return {
        "PORTAL_INSTANCE": str(tmp_path),
        "PORTAL_SECRET_KEY": "a key that protects nothing but this test",
        "PORTAL_BASE_URL": "http://admin.portal.test",
        "PORTAL_DATABASE_URL": database_url,
        "PORTAL_REDIS_URL": f"unix://{tmp_path}/nobody.sock",
    }


@pytest.fixture
def own_app(environment: dict[str, str]) -> Iterator[Flask]:
    """An app whose sessions really commit, with entries that wait to be sealed."""
    app = create_app(Settings.from_environment(environment))
    with app.app_context():
        read_only.set(False)
        upgrade()
        for number in range(ENTRIES):
            audit.record("probe.look", object_kind="probe", object_id=number, by=SYSTEM, now=NOW, after={"name": "x"})
        events.commit()
    yield app
    with app.app_context():
        db.engine.dispose()


def seal_all(app: Flask, start: threading.Barrier) -> int:
    """Seal a few at a time until nothing waits; how many this one sealed."""
    start.wait()
    sealed = 0
    with app.app_context():
        while True:
            read_only.set(False)
            try:
                here = audit.seal(NOW, limit=7, settled=NOW - NOW)
                events.commit()
            except OperationalError:
                events.rollback()
                continue
            sealed += here
            if not here and not chain_state().waiting:
                events.rollback()
                return sealed
            events.rollback()


def test_two_that_seal_at_once_never_fork_the_chain(own_app: Flask, environment: dict[str, str]) -> None:
    start = threading.Barrier(2)
    with ThreadPoolExecutor(2) as both:
        sealed = [each.result() for each in [both.submit(seal_all, own_app, start) for _ in range(2)]]
    assert sum(sealed) == ENTRIES
    with own_app.app_context():
        numbers = list(db.session.scalars(select(AuditEntry.chain_no).order_by(AuditEntry.chain_no)))
        assert numbers == list(range(1, ENTRIES + 1))
        assert not verify().problem
        db.session.remove()
    the_command_line_tells(own_app, environment)
    the_migration_can_be_taken_back_and_run_again(own_app)


def the_command_line_tells(app: Flask, environment: dict[str, str]) -> None:
    """`portal audit`: the head, that it verifies, and with exit status 1 the first entry that is broken."""
    runner = CliRunner(env=environment)
    head = runner.invoke(portal, ["audit", "head"])
    assert head.output.startswith(f"{ENTRIES}:")
    good = runner.invoke(portal, ["audit", "verify", "--head", head.output.strip()])
    assert (good.exit_code, f"{ENTRIES:,} entries are as they were written" in good.output) == (0, True)
    assert runner.invoke(portal, ["audit", "verify", "--head", "nonsense"]).exit_code == 2
    with app.app_context():
        read_only.set(False)
        for statement in (
            ("DROP TRIGGER audit_entry_sealed",)
            if db.engine.dialect.name == "sqlite"
            else ("ALTER TABLE audit_entry DISABLE TRIGGER USER",)
        ):
            db.session.execute(text(statement))
        db.session.execute(text("UPDATE audit_entry SET action = 'probe.touch' WHERE chain_no = 40"))
        events.commit()
        db.session.remove()
    bad = runner.invoke(portal, ["audit", "verify"])
    assert bad.exit_code == 1
    assert "Entry 40 (id" in bad.output
    assert "was changed" in bad.output


def the_migration_can_be_taken_back_and_run_again(app: Flask) -> None:
    """Back to before the chain and on again: the entries stay, and are sealed anew."""
    with app.app_context():
        read_only.set(False)
        downgrade(revision="0004")
        assert "chain_no" not in {column["name"] for column in db.inspect(db.engine).get_columns("audit_entry")}
        upgrade()
        read_only.set(False)
        assert db.session.scalar(select(func.count()).select_from(AuditEntry)) == ENTRIES
        assert set(db.session.scalars(select(AuditEntry.noun).distinct())) == {"probe"}
        assert audit.seal(NOW, settled=NOW - NOW) == ENTRIES
        assert not verify().problem
        events.commit()
        db.session.remove()
