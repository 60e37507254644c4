"""R15, R18, R19, R20, R59: SQLite when its disk is full, its files are taken away, or the power goes."""

import os
import random
import resource
import secrets
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from werkzeug import formparser

from portal.database import DatabaseReplacedError, read_only
from portal.extensions import db
from portal.operation.queries import wal_bytes
from tests.conftest import STAFF_HOST, client_on, token_in
from tests.operation.firm import FORM, Firm, found
from tests.support.processes import wait_until
from tests.support.product import Portal
from workers import pulse


def on_sqlite(folder: Path) -> Firm:
    portal = Portal(database_url=f"sqlite:///{folder / 'portal.db'}")
    portal.prepare()
    return found(portal)


@pytest.fixture
def firm(tmp_path: Path) -> Iterator[Firm]:
    made = on_sqlite(tmp_path)
    yield made
    made.let_go()
    shutil.rmtree(made.portal.folder, ignore_errors=True)


def data_of(firm: Firm) -> Path:
    return Path(firm.portal.settings.database_url.removeprefix("sqlite:///"))


def is_sound(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as database:
        return bool(database.execute("PRAGMA integrity_check").fetchone() == ("ok",))


class Disk:
    """A small disk: a memory file system where that may be mounted, else a bound on the size of every file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        mounting = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
        self.is_mounted = subprocess.run(mounting, check=False, capture_output=True).returncode == 0
        self._before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self, *files: Path) -> None:
        """Leave no room: not for a byte more in these files, nor for new ones."""
        if self.is_mounted:
            with suppress(OSError), (self.folder / "ballast").open("wb", buffering=0) as ballast:
                for size in (100_000, 4096, 512, 1):
                    with suppress(OSError):
                        while True:
                            ballast.write(b"x" * size)
            return
        most = max((path.stat().st_size for path in files), default=0)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, self._before[1]))

    def free(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._before)
        (self.folder / "ballast").unlink(missing_ok=True)

    def close(self) -> None:
        self.free()
        if self.is_mounted:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    made = Disk(folder)
    yield made
    made.close()


def test_r18_a_full_disk_refuses_writes_in_words_and_goes_on_once_there_is_room(disk: Disk) -> None:
    firm = on_sqlite(disk.folder)
    client = firm.ada()
    assert firm.publish(client, "Before").status_code == 303
    token = token_in(client, FORM)
    disk.fill(data_of(firm))
    statuses = set()
    for number in range(20):
        form = {"csrf_token": token, **firm.report("No room", f"full-{number}", body="long " * 3000)}
        answer = client.post(FORM, data=form)
        statuses.add(answer.status_code)
        if answer.status_code == 507:
            break
    assert 507 in statuses, statuses
    assert "no room left to store this" in answer.get_data(as_text=True)
    assert "Traceback" not in answer.get_data(as_text=True)
    assert client.get("/admin/incidents").status_code == 200, "reading goes on"
    assert client_on(firm.app, STAFF_HOST).get("/readyz").status_code == 200
    disk.free()
    stored = firm.count("No room")
    assert stored[1] == 2 * stored[0], "no report without its mails"
    assert firm.publish(client, "After").status_code == 303
    assert firm.count("After") == (1, 2)
    firm.let_go()
    assert is_sound(data_of(firm))


def test_r19_without_room_for_temporary_files_only_uploads_are_refused(
    firm: Firm, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = firm.ada()
    head = 'Content-Disposition: form-data; name="file"; filename="companies.csv"\r\n\r\n'
    # Put together by hand, because the test client itself would pass it through a temporary file.
    upload = f"--edge\r\n{head}{'x' * 900_000}\r\n--edge--\r\n".encode()
    opened = []

    def spooled(*arguments: Any, **options: Any) -> Any:
        """Werkzeug leaves such a file to the collector, which would tell a later test of it."""
        opened.append(file := tempfile.SpooledTemporaryFile(*arguments, **options))  # noqa: SIM115 (closed below)
        return file

    monkeypatch.setattr(formparser, "SpooledTemporaryFile", spooled)
    monkeypatch.setattr(tempfile, "tempdir", str(disk.folder))
    disk.fill()
    try:
        answer = client.post("/sign-in", data=upload, content_type="multipart/form-data; boundary=edge")
        assert answer.status_code == 507, answer.get_data(as_text=True)
        assert "no room left to store this" in answer.get_data(as_text=True)
        if disk.is_mounted:
            assert firm.publish(client, "The rest works").status_code == 303
    finally:
        disk.free()
    answer = client.post("/sign-in", data=upload, content_type="multipart/form-data; boundary=edge")
    assert answer.status_code == 400, "it has no form token, and that is all that is wrong with it"
    for each in opened:
        with suppress(OSError):
            each.close()


def test_r15_the_log_gives_its_room_back_after_a_long_reader(firm: Firm) -> None:
    """Thirty megabytes are written while somebody reads; the alert itself is tested in tests/public/health."""
    with firm.app.app_context(), closing(sqlite3.connect(data_of(firm), isolation_level=None)) as reader:
        read_only.set(False)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM person").fetchone()

        def write(size: int) -> None:
            words = {"words": secrets.token_hex(size // 2)}
            db.session.execute(text("UPDATE component SET description = :words"), words)
            db.session.connection().commit()

        for _ in range(10):
            write(3_000_000)
        assert (wal_bytes() or 0) > 25_000_000
        reader.execute("COMMIT")
        for _ in range(3):
            write(10)
            db.session.connection().exec_driver_sql("SELECT 1")

        def has_shrunk() -> bool:
            write(10)
            return (wal_bytes() or 0) < 17_000_000

        wait_until(has_shrunk, 20, "the log to shrink")
        db.session.remove()


def test_r20_copies_at_random_moments_hold_every_acknowledged_write(firm: Firm, tmp_path: Path) -> None:
    """The writing process is stopped at random, its files are copied as a power cut would leave them, and opened."""
    with firm.app.app_context():
        assert db.session.execute(text("PRAGMA synchronous")).scalar() == 2, "FULL: each commit reaches the disk"
        db.session.execute(text("CREATE TABLE written (number INTEGER)"))
        db.session.connection().commit()
    firm.let_go()
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(told)
        write_numbers(firm, tell)
    os.close(tell)
    dice = random.Random(20)  # noqa: S311 (repeatable)
    acknowledged = 0
    try:
        for copy in range(8):
            target = acknowledged + dice.randrange(1, 15)
            while acknowledged < target:
                acknowledged = max(acknowledged, int.from_bytes(os.read(told, 4), "big"))
            os.kill(child, signal.SIGSTOP)
            os.waitpid(child, os.WUNTRACED)
            os.set_blocking(told, False)
            with suppress(BlockingIOError):
                while chunk := os.read(told, 4):
                    acknowledged = int.from_bytes(chunk, "big")
            os.set_blocking(told, True)
            place = tmp_path / f"copy{copy}"
            place.mkdir()
            for suffix in ("", "-wal"):
                shutil.copy(f"{data_of(firm)}{suffix}", place / f"portal.db{suffix}")
            os.kill(child, signal.SIGCONT)
            assert is_sound(place / "portal.db")
            with closing(sqlite3.connect(place / "portal.db")) as database:
                (stored,) = database.execute("SELECT max(number) FROM written").fetchone()
            assert stored in {acknowledged, acknowledged + 1}
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(told)


def write_numbers(firm: Firm, tell: int) -> None:
    """Commit one number after another, and tell of each when it is stored."""
    try:
        with firm.app.app_context():
            read_only.set(False)
            for number in range(1, 100_000):
                db.session.execute(text("INSERT INTO written VALUES (:number)"), {"number": number})
                db.session.connection().commit()
                os.write(tell, number.to_bytes(4, "big"))
    finally:
        os._exit(1)


def another_file(path: Path) -> None:
    """Somebody puts a copy back while the product runs."""
    shutil.copy(path, path.with_suffix(".copy"))
    os.replace(path.with_suffix(".copy"), path)


def no_file(path: Path) -> None:
    path.rename(path.with_suffix(".away"))


def no_log(path: Path) -> None:
    """Somebody tidies up what looks like a left-over."""
    Path(f"{path}-wal").unlink()


@contextmanager
def keeps_it_open(firm: Firm) -> Iterator[None]:
    """As in service, where some process always has the files open."""
    with firm.app.app_context():
        connection = db.engine.connect()
        yield
        connection.close()


@pytest.mark.parametrize("harm", [another_file, no_file, no_log], ids=lambda each: each.__name__)
def test_r59_files_that_are_taken_away_are_noticed_and_not_written(firm: Firm, harm: Callable[[Path], None]) -> None:
    client = firm.ada()
    with keeps_it_open(firm):
        assert firm.publish(client, "Before").status_code == 303
        token = token_in(client, FORM)
        harm(data_of(firm))
        answer = client.post(FORM, data={"csrf_token": token, **firm.report("Lost", "lost")})
        assert answer.status_code == 503
        assert "must start it again" in answer.get_data(as_text=True)
        assert int(answer.headers["Retry-After"]) > 0
        with pytest.raises(SystemExit):
            pulse.run(firm.app, threading.Event())
    firm.let_go()
    if harm is no_file:
        data_of(firm).with_suffix(".away").rename(data_of(firm))
    again = found_again(firm)
    assert again.count("Lost") == (0, 0)
    assert again.publish(again.ada(), "After").status_code == 303
    again.let_go()
    assert is_sound(data_of(firm))


def found_again(firm: Firm) -> Firm:
    """The same firm, seen by a process that has just started."""
    from portal import create_app  # noqa: PLC0415 (only here)

    return Firm(firm.portal, create_app(firm.portal.settings), firm.component_id, firm.token)


def test_r59_a_new_connection_to_another_file_is_refused_too(firm: Firm) -> None:
    with firm.app.app_context():
        read_only.set(True)
        assert db.session.execute(text("SELECT 1")).scalar() == 1
        another_file(data_of(firm))
        db.session.remove()
        db.engine.dispose()
        with pytest.raises(DatabaseReplacedError):
            db.session.execute(text("SELECT 1"))
        db.session.remove()
