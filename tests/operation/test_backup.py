"""`portal backup` and `portal restore`: one file, whole, private, and back again."""

import io
import json
import os
import shutil
import sqlite3
import stat
import zipfile
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import func, select

from portal import clock, events
from portal.accounts import actions as accounts
from portal.accounts.models import Company, Person
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.cli import Failure
from portal.cli.backups import postgres
from portal.cli.backups.archive import Archive, Manifest
from portal.extensions import db
from portal.files import store
from portal.files.actions import Giver, keep
from portal.files.taking import take
from portal.notifications.queries import pause_of_all
from tests.cli.installation import Installation
from tests.operation.conftest import Install
from tests.support.product import is_postgres


def add_company(portal: Installation, name: str = "Alder Dental") -> None:
    with portal.database():
        accounts.add_company(name, by=SYSTEM, now=clock.utcnow())
        events.commit()
    release(portal)


def release(portal: Installation) -> None:
    """Close the connections the test itself holds, which would count as somebody at work, and forget the file."""
    with portal.database():
        db.session.remove()
        db.engine.dispose()
    portal._app = None


def companies(portal: Installation) -> list[str]:
    with portal.database():
        found = list(db.session.scalars(select(Company.name).order_by(Company.name)))
    release(portal)
    return found


def made(portal: Installation, path: Path, *options: str) -> Path:
    done = portal.run("backup", str(path), *options)
    assert done.returncode == 0, done.stderr
    return path


def manifest_of(path: Path) -> dict[str, object]:
    with zipfile.ZipFile(path) as packed:
        found: dict[str, object] = json.loads(packed.read("manifest.json"))
    return found


def test_a_backup_is_one_private_file_with_a_manifest(install: Install, tmp_path: Path) -> None:
    portal = install()
    add_company(portal)
    done = portal.run("backup", str(tmp_path / "night.backup"))
    assert done.returncode == 0, done.stderr
    assert "The secret key is not in it" in done.stdout
    path = tmp_path / "night.backup"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    manifest = manifest_of(path)
    counts = manifest["counts"]
    assert isinstance(counts, dict)
    assert counts["company"] == 1
    assert manifest["engine"] == ("postgresql" if is_postgres(portal.settings.database_url) else "sqlite")
    assert portal.variables["PORTAL_SECRET_KEY"].encode() not in path.read_bytes()
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == [], "nothing is left over"
    with portal.database():
        entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "backup.make")).one()
        assert entry.after == {"file": str(path), "bytes": path.stat().st_size, "with_secret_key": False}


def test_a_backup_is_never_written_over_a_file(install: Install, tmp_path: Path) -> None:
    portal = install()
    (tmp_path / "there").write_text("precious")
    done = portal.run("backup", str(tmp_path / "there"))
    assert done.returncode == 1
    assert "never written over" in done.stderr
    assert (tmp_path / "there").read_text() == "precious"
    assert portal.run("backup", str(tmp_path / "no" / "folder")).returncode == 1


def test_what_was_saved_comes_back_on_another_machine(install: Install, tmp_path: Path) -> None:
    old, new = install(), install(is_prepared=False)
    add_company(old)
    path = made(old, tmp_path / "saved", "--with-secret-key")
    del new.variables["PORTAL_SECRET_KEY"]
    done = new.run("restore", str(path))
    assert done.returncode == 0, done.stderr
    assert "Sending is paused" in done.stdout
    key = Path(new.variables["PORTAL_INSTANCE"]) / "secret_key"
    assert key.read_text() == old.variables["PORTAL_SECRET_KEY"]
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert companies(new) == ["Alder Dental"]
    with new.database():
        assert pause_of_all() is not None
        assert db.session.scalar(select(func.count()).where(AuditEntry.action == "backup.restore")) == 1


def test_without_the_secret_key_it_is_said_what_is_lost(install: Install, tmp_path: Path) -> None:
    old, new = install(), install(is_prepared=False)
    done = new.run("restore", str(made(old, tmp_path / "saved")))
    assert done.returncode == 0, done.stderr
    assert "has another secret key" in done.stdout
    assert "Second factors" in done.stdout


def test_data_that_is_there_is_replaced_only_when_asked(install: Install, tmp_path: Path) -> None:
    old, other = install(), install()
    add_company(old, "Alder Dental")
    add_company(other, "Birch Logistics")
    path = made(old, tmp_path / "saved")
    done = other.run("restore", str(path))
    assert done.returncode == 1
    assert "--replace" in done.stderr
    assert companies(other) == ["Birch Logistics"]
    done = other.run("restore", str(path), "--replace")
    assert done.returncode == 0, done.stderr
    assert companies(other) == ["Alder Dental"]
    if not is_postgres(other.settings.database_url):
        (kept,) = (Path(other.variables["PORTAL_INSTANCE"]) / "backups").glob("replaced-*.db")
        with closing(sqlite3.connect(kept)) as before:
            assert before.execute("SELECT name FROM company").fetchall() == [("Birch Logistics",)]


def test_an_installation_at_work_is_not_replaced(install: Install, tmp_path: Path) -> None:
    old, other = install(), install()
    add_company(other)
    path = made(old, tmp_path / "saved")
    with other.database():
        db.session.scalar(select(func.count(Person.id)))
        done = other.run("restore", str(path), "--replace")
        assert done.returncode == 1
        assert "stop Signalbox first" in done.stderr
    release(other)
    assert companies(other) == ["Alder Dental"]


def tampered(path: Path, target: Path, **changes: bytes) -> Path:
    """The same file with members changed."""
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as changed:
        for name in source.namelist():
            changed.writestr(name, changes.get(name.partition(".")[0], source.read(name)))
    return target


def test_a_damaged_file_is_refused_before_anything_is_touched(install: Install, tmp_path: Path) -> None:
    old, other = install(), install()
    add_company(other)
    path = made(old, tmp_path / "saved")
    manifest = manifest_of(path)
    cut = tmp_path / "cut"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    text = tmp_path / "text"
    text.write_text("not a backup")
    stranger = tmp_path / "stranger"
    with zipfile.ZipFile(stranger, "w") as packed:
        packed.writestr("readme", "hello")
    newer = json.dumps({**manifest, "revision": "9999"}).encode()
    for file, sentence in (
        (tampered(path, tmp_path / "bits", portal=b"SQLite format 3\0 or nearly"), "is damaged"),
        (tampered(path, tmp_path / "list", manifest=b"{"), "cannot be read"),
        (tampered(path, tmp_path / "new", manifest=newer), "newer version"),
        (tampered(path, tmp_path / "form", manifest=json.dumps({**manifest, "format": 9}).encode()), "format 9"),
        (cut, "damaged"),
        (text, "not a backup"),
        (stranger, "not a backup"),
    ):
        done = other.run("restore", str(file), "--replace")
        assert done.returncode == 1, file
        assert sentence in done.stderr, file
        assert "Traceback" not in done.stderr
    assert companies(other) == ["Alder Dental"]


def test_data_of_the_other_engine_is_refused(install: Install, tmp_path: Path) -> None:
    portal = install()
    path = made(portal, tmp_path / "saved")
    manifest = manifest_of(path)
    other = json.dumps({**manifest, "engine": "oracle"}).encode()
    done = portal.run("restore", str(tampered(path, tmp_path / "other", manifest=other)))
    assert done.returncode == 1
    assert "goes back into the kind of database it came from" in done.stderr


def test_a_copy_made_before_an_upgrade_can_be_restored_too(install: Install, tmp_path: Path) -> None:
    portal, other = install(), install()
    if is_postgres(portal.settings.database_url):
        done = other.run("restore", str(Path(__file__)))
        assert done.returncode == 1, "there are no such files on PostgreSQL"
        return
    add_company(portal)
    bare = tmp_path / "before-0007.db"
    database = str(portal.settings.database_url).removeprefix("sqlite:///")
    with closing(sqlite3.connect(database)) as here, closing(sqlite3.connect(bare)) as there:
        here.backup(there)
    assert other.run("restore", str(bare)).returncode == 0
    assert companies(other) == ["Alder Dental"]
    (tmp_path / "strange.db").write_bytes(b"SQLite format 3\0" + b"\0" * 2000)
    assert other.run("restore", str(tmp_path / "strange.db"), "--replace").returncode == 1


def test_the_password_of_postgresql_never_stands_on_a_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "pg_dump"
    fake.write_text('#!/bin/sh\necho "$@"\necho "password=$PGPASSWORD"\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    url = "postgresql+psycopg://joe:s3cr%40t@db.test:5433/portal?sslmode=require"
    command, password = [line.strip() for line in postgres._run("pg_dump", url, ["--format=custom"])]
    assert password == "password=s3cr@t"
    assert "s3cr" not in command
    assert "postgresql://joe@db.test:5433/portal?sslmode=require" in command


def test_a_program_that_is_missing_or_fails_is_told_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Failure, match="postgresql-client"):
        postgres._program("pg_nothing_of_this_name")
    fake = tmp_path / "pg_dump"
    fake.write_text("#!/bin/sh\necho 'pg_dump: error: server version mismatch' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(Failure, match="server version mismatch"):
        list(postgres._run("pg_dump", None, []))


def test_a_backup_holds_the_uploads_and_a_restore_puts_them_back(install: Install, tmp_path: Path) -> None:
    portal = install()
    content = b"%PDF-1.7 the plan"
    with portal.database():
        company = accounts.add_company("Alder Dental", by=SYSTEM, now=clock.utcnow())
        taken = take(io.BytesIO(content), "plan.pdf", store.of_app(), most_bytes=1000)
        keep(taken, Giver(None, "Alice", company.id), clock.utcnow())
        events.commit()
        folder = store.of_app().directory
    release(portal)
    assert folder is not None
    backup = made(portal, tmp_path / "night.backup")
    shutil.rmtree(folder)
    assert "the bytes of 1 are not there" in portal.run("doctor").stdout
    done = portal.run("restore", str(backup), "--replace")
    assert done.returncode == 0, done.stderr
    assert (folder / taken.storage_name).read_bytes() == content
    assert f"1 file, 0.0 MB in {folder}" in portal.run("doctor").stdout


def test_nothing_of_a_backup_is_put_where_no_upload_lies(tmp_path: Path) -> None:
    path = tmp_path / "forged.backup"
    names = ["files/../../evil", "files//etc/passwd", "files/ab/readme", f"files/ab/{'0' * 32}"]
    told: dict[str, dict[str, str | int]] = {name: {"sha256": "", "bytes": 0} for name in names}
    manifest = Manifest(clock.utcnow(), "sqlite", "", "", "", files=told)
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("manifest.json", manifest.text())
    with Archive.opened(path) as found:
        assert found.uploads() == [f"ab/{'0' * 32}"]
