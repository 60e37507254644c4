"""R13, R16 and R20 while mails go out: the database is locked, crashes, or loses its power; the senders go on."""

import secrets
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.engine import make_url

from portal import clock, events
from portal.extensions import db
from portal.notifications import outbound
from portal.notifications.models import Delivery
from tests.notifications.outbox import Outbox, opened, relay_to
from tests.support.databases import empty
from tests.support.postgres import PostgresServer, fresh_database, program
from tests.support.processes import wait_until
from tests.support.smtp_sink import At, SmtpSink, Step
from tests.workers.senders import PATIENCE, Senders, connections_of

pytestmark = pytest.mark.processes

LEASE = 15.0
"""An eighth of an installation's two minutes, so everything that a row measures in seconds is an eighth of it here."""

LOCKED = 60 / 8
"""Seconds, by the same measure, of a lock that row R13 has held for a minute; longer than anybody waits for one."""

AWAY = 10 / 8
"""Seconds, by the same measure, for which row R16 has the database gone; its start and recovery come on top."""

CONNECTIONS = 3
MAILS = 600


def environment(url: str, sink: SmtpSink, folder: Path) -> dict[str, str]:
    return {
        "PORTAL_INSTANCE": str(folder),
        "PORTAL_SECRET_KEY": secrets.token_urlsafe(48),
        "PORTAL_BASE_URL": "http://admin.portal.test",
        "PORTAL_MAIL_DOMAIN": "portal.test",
        "PORTAL_DATABASE_URL": url,
        "PORTAL_REDIS_URL": f"unix://{folder}/nobody.sock",
        "PORTAL_SMTP_URL": sink.url,
        "PORTAL_LEASE_SECONDS": str(LEASE),
        "PORTAL_PULSE_SECONDS": "0.2",
        "PORTAL_CONNECTIONS_PER_RELAY": str(CONNECTIONS),
        "PORTAL_SLICE_SIZE": "50",
    }


@contextmanager
def two_pulses(url: str, sink: SmtpSink, folder: Path) -> Iterator[tuple[Outbox, Senders]]:
    """An outbox of two relays that two processes work off, and a batch a quarter of which has arrived."""
    settings = environment(url, sink, folder)
    sink.script("*", Step(At.DOT, seconds=0.02))
    with opened(settings) as outbox, Senders(settings, folder) as senders:
        db.session.add(relay_to(sink.url, "second", position=1))
        events.commit()
        for _ in range(2):
            senders.start("pulse")
        outbox.queue("incident:1", [{"address": f"reader{number}@x.test"} for number in range(MAILS)])
        db.session.remove()
        sink.wait_for(MAILS // 4, PATIENCE)
        yield outbox, senders


def test_r13_r16_a_database_that_goes_away_in_the_middle_of_a_batch(
    request: pytest.FixtureRequest, settings: object, smtp_sink: SmtpSink, tmp_path: Path
) -> None:
    """PostgreSQL ends as in a crash, and every connection with it; a SQLite file is locked for longer than anybody
    waits. The processes stay, and go on by themselves.

    The rows say 60 s and 10 s against a lease of two minutes. Here a lease is 15 s, and both are shortened with it:
    what they ask is whether a sender lives through it and keeps its lease, and that depends on the ratio alone.
    """
    server = str(request.config.getoption("--database-url"))
    if server:
        with PostgresServer(durable=True) as cluster:
            _away_and_back(fresh_database(cluster.url("portal")), smtp_sink, tmp_path, cluster)
    else:
        with empty(server, tmp_path) as url:
            _away_and_back(url, smtp_sink, tmp_path, None)


def _away_and_back(url: str, sink: SmtpSink, folder: Path, cluster: PostgresServer | None) -> None:
    with two_pulses(url, sink, folder) as (outbox, senders):
        roots = list(senders.roots)
        db.engine.dispose()
        cut = sum(len(connections_of(pid, sink.port)) for pid in roots)
        if cluster is not None:
            stop_immediately(cluster)
            arrived = len(sink.received)
            time.sleep(AWAY)
            assert len(sink.received) - arrived <= 2 * CONNECTIONS * 2, "without marks nothing is offered"
            cluster.start(60)
        else:
            lock(url, LOCKED)
        wait_until(lambda: outbox.states() == {"sent": MAILS}, PATIENCE, "the rest")
        assert all(senders.tree(root) for root in roots), "they are the same processes"
    copies = sink.deliveries()
    assert len(copies) == MAILS
    assert max(copies.values()) <= 2
    assert sum(copies.values()) - MAILS <= (cut if cluster else 0), (
        "one repeat for each connection that was cut at most"
    )


def stop_immediately(cluster: PostgresServer) -> None:
    """`pg_ctl stop -m immediate`: nothing is written down, and recovery follows at the next start."""
    command: list[str | Path] = [program("pg_ctl"), "stop", "-D", cluster.data, "-m", "immediate"]
    subprocess.run(
        ["setpriv", *cluster.identity(), "--", *command], check=True, capture_output=True, cwd=cluster.folder
    )
    assert cluster.process is not None
    cluster.process.wait(PATIENCE)
    (cluster.data / "postmaster.pid").unlink(missing_ok=True)


def lock(url: str, seconds: float) -> None:
    """Hold the lock of all who write."""
    with closing(sqlite3.connect(str(make_url(url).database), isolation_level=None)) as holder:
        holder.execute("PRAGMA busy_timeout = 10000")
        holder.execute("BEGIN IMMEDIATE")
        time.sleep(seconds)
        holder.rollback()


def test_r20_after_a_power_cut_no_mail_that_left_counts_as_never_offered(
    request: pytest.FixtureRequest, settings: object, smtp_sink: SmtpSink, tmp_path: Path
) -> None:
    """The senders are stopped at random in the middle of a batch, and what the database holds then is opened
    elsewhere: a copy of the files of SQLite, what PostgreSQL recovers after a crash.

    What had reached the server by then is sent, or in doubt and so repeated once: never silently once more.
    """
    server = str(request.config.getoption("--database-url"))
    if server:
        with PostgresServer(durable=True) as cluster:
            url = fresh_database(cluster.url("portal"))
            with two_pulses(url, smtp_sink, tmp_path) as (outbox, senders):
                db.engine.dispose()
                with stopped(senders):
                    left = set(smtp_sink.deliveries())
                    stop_immediately(cluster)
                    cluster.start(60)
                    check(outbox, left)
        return
    with empty(server, tmp_path) as url, two_pulses(url, smtp_sink, tmp_path) as (_outbox, senders):
        for number in range(4):
            smtp_sink.wait_for(MAILS // 4 + number * MAILS // 8, PATIENCE)
            place = tmp_path / f"copy{number}"
            place.mkdir()
            with stopped(senders):
                left = set(smtp_sink.deliveries())
                for suffix in ("", "-wal"):
                    shutil.copy(f"{make_url(url).database}{suffix}", place / f"portal.db{suffix}")
            with closing(sqlite3.connect(place / "portal.db")) as copy:
                assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            copied = environment(f"sqlite:///{place / 'portal.db'}", smtp_sink, place)
            with opened(copied) as elsewhere:
                check(elsewhere, left)


@contextmanager
def stopped(senders: Senders) -> Iterator[None]:
    """Nothing of theirs moves meanwhile; what the server had in hand has arrived."""
    pids = [pid for root in senders.roots for pid in senders.tree(root)]
    for pid in pids:
        senders.signal(pid, signal.SIGSTOP)
    time.sleep(0.1)
    try:
        yield
    finally:
        for pid in pids:
            senders.signal(pid, signal.SIGCONT)


def check(outbox: Outbox, left: set[str]) -> None:
    """What left is known as sent or as in doubt, once what the stopped processes held is released."""
    db.session.remove()
    outbound.release_everything(clock.utcnow())
    rows = db.session.execute(select(Delivery.message_id, Delivery.state, Delivery.in_doubt)).all()
    db.session.rollback()
    known = {message_id for message_id, state, in_doubt in rows if state == "sent" or in_doubt}
    assert len(rows) == MAILS
    assert left
    assert left <= known
    doubtful = known - {message_id for message_id, state, _in_doubt in rows if state == "sent"}
    assert len(doubtful) <= 2 * CONNECTIONS
