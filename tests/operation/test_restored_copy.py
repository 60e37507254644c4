"""R52: a copy of the data never sends what its original sends too, however the copy was made."""

import shutil
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.engine import make_url

from portal import clock, events
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.cli.backups import postgres
from portal.extensions import db
from portal.notifications import leases, marks, outbound, relays
from portal.notifications.models import Broadcast, Delivery, Slice
from portal.notifications.queries import pause_of_all
from tests.cli.installation import Installation
from tests.notifications.outbox import TEST_KIND, queue, states
from tests.operation.conftest import Install
from tests.support import databases
from tests.support.postgres import _on_server_of
from tests.support.product import is_postgres
from tests.support.smtp_sink import SmtpSink
from workers import tasks, worker

MAILS = 20


def work(portal: Installation) -> dict[str, int]:
    """Do what the processes do; the states of all deliveries afterwards."""
    assert TEST_KIND
    with portal.database() as app:
        worker._recognise(app)
        tasks.beat()
        tasks.deliver()
        tasks.work_off()
        found = states()
        events.rollback()
        db.session.remove()
        db.engine.dispose()
    return found


def fill(portal: Installation, key: str) -> None:
    with portal.database():
        queue(key, [{"address": f"{key}-{number}@customers.test"} for number in range(MAILS)], now=clock.utcnow())
        events.commit()


def hold_some(portal: Installation) -> None:
    """A sending process has claimed mails, and was offering one of them."""
    with portal.database():
        relays.prepare_relays(portal.settings)
        claim = leases.claim("a process of the original", portal.settings, now=clock.utcnow())
        assert claim is not None
        offered = marks.written({claim.deliveries[0].id: clock.utcnow()})
        db.session.execute(db.update(Slice).values(offered=offered))
        events.commit()
        assert states() == {"pending": MAILS}
        db.session.remove()
        db.engine.dispose()


def copies_at(sink: SmtpSink, key: str) -> Counter[str]:
    return Counter(to for each in sink.received for to in each.recipients if to.startswith(key))


def test_r52_a_restored_copy_sends_nothing_until_somebody_says_so(
    install: Install, smtp_sink: SmtpSink, tmp_path: Path
) -> None:
    original, copy = install(), install(is_prepared=False)
    copy.variables["PORTAL_SECRET_KEY"] = original.variables["PORTAL_SECRET_KEY"]
    fill(original, "waiting")
    hold_some(original)
    stop = threading.Event()

    def write_on() -> None:
        with original.database():
            number = 0
            while not stop.is_set():
                number += 1
                queue(f"written-{number}", [{"address": f"w{number}-{each}@x.test"} for each in range(7)], now=at)
                events.commit()
                stop.wait(0.01)

    at = clock.utcnow()
    thread = threading.Thread(target=write_on)
    thread.start()
    try:
        done = original.run("backup", str(tmp_path / "saved"))
    finally:
        stop.set()
        thread.join()
    assert done.returncode == 0, done.stderr
    done = copy.run("restore", str(tmp_path / "saved"))
    assert done.returncode == 0, done.stderr

    after = work(copy)
    assert smtp_sink.received == []
    assert set(after) == {"pending"}, "what processes of the original held waits again"
    with copy.database():
        written = db.session.execute(
            select(Broadcast.idempotency_key, func.count(Delivery.id)).join(Delivery).group_by(Broadcast.id)
        )
        assert {count for key, count in written if key.startswith("written")} <= {7}, "whole transactions only"
        assert outbound.outbound().reason == outbound.RESTORED
        assert db.session.scalars(select(Delivery.in_doubt).order_by(Delivery.in_doubt.desc())).first() == 1
        db.session.remove()
        db.engine.dispose()

    done = copy.run("resume-sending")
    assert done.returncode == 0, done.stderr
    assert set(work(copy)) == {"sent"}
    assert set(copies_at(smtp_sink, "waiting").values()) == {1}


def file_beside(original: Installation, tmp_path: Path) -> str:
    """The file copied by SQLite's own means, as a backup tool does it."""
    source = str(make_url(original.settings.database_url).database)
    target = tmp_path / "elsewhere" / "portal.db"
    target.parent.mkdir()
    with closing(sqlite3.connect(source)) as here, closing(sqlite3.connect(target)) as there:
        here.backup(there)
    return f"sqlite:///{target}"


def same_place(original: Installation, tmp_path: Path) -> str:
    """The file put back in its old place: the path is the same, the file is not."""
    source = Path(str(make_url(original.settings.database_url).database))
    shutil.copy(source, tmp_path / "kept.db")
    source.unlink()
    shutil.copy(tmp_path / "kept.db", source)
    return original.settings.database_url


def reread(original: Installation, tmp_path: Path) -> str:
    """A dump of PostgreSQL's own read back into the database it came from."""
    url = original.settings.database_url
    dump = f"--file={tmp_path / 'portal.dump'}"
    list(postgres._run("pg_dump", url, ["--format=custom", dump]))
    list(postgres._run("pg_restore", url, ["--clean", "--no-owner", str(tmp_path / "portal.dump")]))
    return url


@pytest.mark.parametrize("copied", [file_beside, same_place], ids=["elsewhere", "in its place"])
def test_r52_a_copy_made_by_other_means_is_recognised(
    install: Install, smtp_sink: SmtpSink, tmp_path: Path, request: pytest.FixtureRequest, copied: Callable[..., str]
) -> None:
    original = install()
    work(original)
    fill(original, "waiting")
    hold_some(original)
    server = request.config.getoption("--database-url")
    if is_postgres(original.settings.database_url):
        url = databases.named(str(server), f"{make_url(original.settings.database_url).database}_copy")
        source, target = make_url(original.settings.database_url).database, make_url(url).database
        if copied is same_place:
            url = reread(original, tmp_path)
        else:
            _on_server_of(url, f'CREATE DATABASE "{target}" TEMPLATE "{source}"')
    else:
        url = copied(original, tmp_path)
    copy = install(url, is_prepared=False)
    try:
        after = work(copy)
        assert smtp_sink.received == []
        assert set(after) == {"pending"}
        with copy.database():
            pause = pause_of_all()
            assert pause is not None
            assert pause.reason == outbound.A_COPY
            entries = db.session.scalars(select(AuditEntry.actor).where(AuditEntry.action == "sending.pause")).all()
            assert entries == ["system"]
            db.session.remove()
            db.engine.dispose()
        assert "Sending is paused" in copy.run("pause-sending").stdout, "a second pause changes nothing"
        done = copy.run("resume-sending")
        assert done.returncode == 0
        assert outbound.A_COPY in done.stdout
        assert work(copy) == {"sent": MAILS}
        assert set(copies_at(smtp_sink, "waiting").values()) == {1}
        assert "is not paused" in copy.run("resume-sending").stdout
    finally:
        copy.__exit__()
        if is_postgres(url):
            _on_server_of(url, f'DROP DATABASE IF EXISTS "{make_url(url).database}" WITH (FORCE)')


def test_an_installation_that_stays_where_it_is_sends_on(install: Install, smtp_sink: SmtpSink) -> None:
    portal = install()
    for key in ("one", "two"):
        fill(portal, key)
        assert work(portal) == {"sent": MAILS * (1 if key == "one" else 2)}
    with portal.database():
        assert pause_of_all() is None
        assert outbound.outbound().fingerprint == outbound.fingerprint()


def test_a_pause_stops_a_process_that_is_sending(install: Install, smtp_sink: SmtpSink) -> None:
    """What was offered is finished; what was only claimed waits again."""
    portal = install()
    fill(portal, "waiting")
    hold_some(portal)
    with portal.database():
        outbound.pause_all("for a test", by=SYSTEM, now=clock.utcnow())
        outbound.release_everything(clock.utcnow())
        events.commit()
    assert work(portal) == {"pending": MAILS}
    assert smtp_sink.received == []
