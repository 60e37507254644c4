"""The watch over mails of incidents: when they are late, who is told, how often, and what looking costs."""

import logging
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, text, update

from portal import clock, events
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.notifications import actions, endings, marks, outbound
from portal.notifications.models import Broadcast, Delivery, Relay, RelayUse, Slice
from portal.notifications.profiles import DAY_SPAN, SECOND_SPAN, begin_of_span
from portal.notifications.rules import BroadcastState, DeliveryState, Failure, RelayState
from portal.operation import queries
from portal.operation.models import MailAlarm
from portal.operation.rules import Flow, Verdict, incident_mail_finding, late
from portal.operation.watch import look_after_mails, patience
from tests.conftest import Cast, SignIn, counted_queries
from tests.notifications.outbox import queue

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def flow(waits: timedelta | None, *, per_minute: int = 0, is_paused: bool = False, **relays: int) -> Flow:
    return Flow(NOON - waits if waits is not None else None, per_minute, relays or {"up": 1}, is_paused)


@pytest.mark.parametrize("waits", [None, timedelta(), timedelta(seconds=60), timedelta(seconds=-5)])
def test_nothing_is_late_up_to_a_minute(waits: timedelta | None) -> None:
    found = late(flow(waits), NOON, MINUTE)
    assert found is None
    assert incident_mail_finding(found, NOON).verdict is Verdict.OK


@pytest.mark.parametrize(
    ("found", "words", "is_moving"),
    [
        (flow(2 * MINUTE), "Nothing sends them", False),
        (flow(2 * MINUTE, per_minute=1200), "They go out, 1,200 a minute", True),
        (flow(2 * MINUTE, per_minute=30, up=1, paused=1), "They go out, 30 a minute", True),
        (flow(2 * MINUTE, per_minute=5, paused=2), "No relay takes mails at the moment", False),
        (flow(2 * MINUTE, trying=1, paused=1), "Nothing sends them", False),
        (flow(2 * MINUTE, broken=2), "Every relay refuses us", False),
        (flow(2 * MINUTE, broken=1, full=1), "used up its budget", False),
        (flow(2 * MINUTE, is_paused=True, broken=1), "Sending is paused", False),
    ],
)
def test_what_keeps_them_is_told(found: Flow, words: str, is_moving: bool) -> None:
    told = late(found, NOON, MINUTE)
    assert told is not None
    assert told.since == NOON - 2 * MINUTE
    assert words in told.reason
    assert told.is_moving is is_moving
    finding = incident_mail_finding(told, NOON)
    assert finding.verdict is (Verdict.WARN if is_moving else Verdict.FAIL)
    assert "the oldest by 2 minutes" in finding.text


def incident(key: str, count: int, *, waits: timedelta, now: datetime) -> Broadcast:
    """A broadcast of an incident whose mails could have gone out so long ago."""
    broadcast = queue(key, count, now=now - waits)
    broadcast.kind = "incident"
    db.session.flush()
    return broadcast


def rows(action: str) -> int:
    return db.session.scalar(select(func.count()).where(AuditEntry.action == action)) or 0


def test_an_alarm_is_told_once_and_cleared_when_it_is_over(session: None, caplog: pytest.LogCaptureFixture) -> None:
    now = clock.utcnow()
    broadcast = incident("incident:1", 5, waits=timedelta(seconds=59), now=now)
    caplog.set_level(logging.WARNING, "portal.operation.watch")
    assert look_after_mails(now) is None
    later = now + timedelta(seconds=2)
    for _ in range(3):
        alarm = look_after_mails(later)
        events.commit()
        assert alarm is not None
        assert (alarm.began_at, alarm.due_since) == (later, now - timedelta(seconds=59))
        assert "Nothing sends them" in alarm.reason
    assert [each.name for each in caplog.records].count("portal.operation.watch") == 1
    assert "could have gone out 61 s ago" in caplog.text
    assert rows("alarm.begin") == 1
    told = select(Broadcast.title).where(Broadcast.kind == "alarm").order_by(Broadcast.id)
    assert db.session.scalars(told).all() == ["Mails of incidents are late"]
    db.session.execute(update(Delivery).where(Delivery.broadcast_id == broadcast.id).values(state=DeliveryState.SENT))
    over = later + MINUTE
    for _ in range(2):
        assert look_after_mails(over) is None
        events.commit()
    closed = db.session.scalars(select(MailAlarm)).one()
    assert (closed.is_open, closed.ended_at) == (None, over)
    assert rows("alarm.end") == 1
    assert db.session.scalars(told).all() == ["Mails of incidents are late", "Mails of incidents go out again"]
    incident("incident:2", 1, waits=5 * MINUTE, now=over)
    again = look_after_mails(over)
    assert again is not None
    assert again.id != closed.id


def test_the_reason_of_an_open_alarm_follows_what_happens(session: None) -> None:
    now = clock.utcnow()
    incident("incident:1", 5, waits=2 * MINUTE, now=now)
    look_after_mails(now)
    outbound.pause_all("for a test", by=SYSTEM, now=now)
    alarm = look_after_mails(now)
    assert alarm is not None
    assert alarm.reason == "Sending is paused for the whole installation."
    assert rows("alarm.begin") == 1


@pytest.mark.parametrize(
    "kept",
    ["put off by a server", "paused by a person", "another kind", "expired", "sent"],
)
def test_what_should_not_go_out_now_is_not_late(session: None, kept: str) -> None:
    now = clock.utcnow()
    broadcast = incident("incident:1", 3, waits=10 * MINUTE, now=now)
    mine = update(Delivery).where(Delivery.broadcast_id == broadcast.id)
    match kept:
        case "put off by a server":
            db.session.execute(mine.values(next_attempt_at=now + MINUTE, attempts=1))
        case "paused by a person":
            actions.pause(broadcast, "Paused by Ada.", by=SYSTEM, now=now)
        case "another kind":
            broadcast.kind = "test"
        case "expired":
            broadcast.expires_at = now
        case "sent":
            db.session.execute(mine.values(state=DeliveryState.SENT))
    db.session.flush()
    assert queries.late_now(now, patience()) is None


@pytest.mark.parametrize("kept", ["waiting", "stopped by itself", "held by a process", "not written down"])
def test_whatever_else_keeps_a_mail_is_late(session: None, kept: str) -> None:
    now = clock.utcnow()
    broadcast = incident("incident:1", 3, waits=10 * MINUTE, now=now)
    match kept:
        case "stopped by itself":
            actions.pause(broadcast, f"{endings.STOPPED_BY_ITSELF}: refused.", by=SYSTEM, now=now)
        case "held by a process":
            relay = Relay(name="default")
            db.session.add(relay)
            db.session.flush()
            ids = marks.packed(db.session.scalars(db.select(Delivery.id)))
            held = Slice(relay_id=relay.id, owner="one", connections=1, leased_until=now, ids=ids, created_at=now)
            db.session.add(held)
        case "not written down":
            db.session.execute(update(Delivery).values(state=DeliveryState.SENT))
            broadcast.expanded_at, broadcast.state = None, BroadcastState.EXPANDING
    db.session.flush()
    found = queries.late_now(now, patience())
    assert found is not None
    assert found.since == now - 10 * MINUTE


def took(relay: Relay, count: int, refused: int, now: datetime) -> None:
    for span in (SECOND_SPAN, DAY_SPAN):
        db.session.add(
            RelayUse(
                relay_id=relay.id,
                span=int(span.total_seconds()),
                began_at=begin_of_span(now, span),
                offered=count + refused,
                taken=count,
                refused=refused,
            )
        )
    db.session.flush()


def test_the_screens_tell_how_mail_goes_out(cast: Cast, sign_in: SignIn) -> None:
    now = clock.utcnow()
    broadcast = incident("incident:1", 5, waits=3 * MINUTE, now=now)
    relay = Relay(name="Main relay", host="127.0.0.1", port=1, state=RelayState.UP)
    resting = Relay(name="Second", host="127.0.0.1", port=2, state=RelayState.PAUSED, paused_until=now + 9 * MINUTE)
    db.session.add_all([relay, resting])
    db.session.flush()
    took(relay, 1234, 7, now)
    ids = db.session.scalars(select(Delivery.id).where(Delivery.broadcast_id == broadcast.id)).all()
    fates: list[dict[str, Any]] = [
        {"state": DeliveryState.FAILED, "failure": Failure.HARD},
        {"state": DeliveryState.SENT, "in_doubt": 1},
        {"state": DeliveryState.UNKNOWN, "in_doubt": 2},
    ]
    for delivery_id, fate in zip(ids, fates, strict=False):
        db.session.execute(update(Delivery).where(Delivery.id == delivery_id).values(**fate))
    events.commit()
    overview = words(sign_in(cast.ada), "/admin/")
    assert "Oldest unsent due 3 minutes ago" in overview
    assert "Pace 1,234 in the last minute" in overview
    assert "1,234 taken, 7 refused" in overview
    assert "Main relay Takes mails" in overview
    assert "Second Resting" in overview
    operation = words(sign_in(cast.root), "/admin/operation")
    assert "1 failed (hard), 1 possibly sent twice, 1 possibly sent" in operation
    assert "Mails are late, the oldest by 3 minutes. They go out, 1,234 a minute" in operation


def words(client: FlaskClient, path: str) -> str:
    page = client.get(path)
    assert page.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", page.get_data(as_text=True)).split())


def test_the_notice_is_for_those_who_can_act_on_every_page(cast: Cast, sign_in: SignIn) -> None:
    notice = "Mails of incidents are late."
    assert notice not in words(sign_in(cast.ada), "/admin/companies")
    incident("incident:1", 3, waits=3 * MINUTE, now=clock.utcnow())
    events.commit()
    for person, link in ((cast.ada, "See the broadcasts"), (cast.root, "What to do")):
        for path in ("/admin/companies", "/admin/incidents"):
            page = words(sign_in(person), path)
            assert notice in page
            assert link in page
    assert notice not in words(sign_in(cast.olaf), "/admin/companies")
    assert notice not in words(sign_in(cast.alice), "/")
    outbound.pause_all("for a test", by=SYSTEM, now=clock.utcnow())
    events.commit()
    page = words(sign_in(cast.root), "/admin/companies")
    assert notice not in page, "one notice says it all"
    assert "No mail goes out: sending is paused." in page


def test_readiness_and_figures_tell_it(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.root)
    assert client.get("/readyz").json == {"status": "degraded", "database": "ok", "redis": "away", "mail": "ok"}
    now = clock.utcnow()
    incident("incident:1", 3, waits=3 * MINUTE, now=now)
    events.commit()
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json and answer.json["mail"]) == (200, "late")
    found = queries.mail_figures(now, patience())
    assert found.outgoing.due_since == {"incident": now - 3 * MINUTE}
    assert found.late is not None


FINISHED = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT i FROM n",
    "postgresql": "SELECT i FROM generate_series(1, 100000) AS n(i)",
}


@pytest.fixture
def short_log(app: Flask) -> Iterator[None]:
    """SQLite's write-ahead log is as short afterwards as it was, for those who look at its size."""
    yield
    with app.app_context():
        if path := queries.sqlite_path():
            db.engine.dispose()
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def test_a_hundred_thousand_finished_mails_slow_nothing(short_log: None, session: None) -> None:
    """What staff pages and `/readyz` ask, before and after, side by side."""
    now = clock.utcnow()
    incident("incident:1", 50, waits=2 * MINUTE, now=now)
    done = queue("incident:2", 1, now=now - timedelta(hours=1))
    done.kind, done.state, done.finished_at = "incident", BroadcastState.DONE, now - MINUTE
    db.session.execute(
        update(Delivery).where(Delivery.broadcast_id == done.id).values(state=DeliveryState.SENT, finished_at=now)
    )
    events.commit()
    before = cost(now)
    copied = ", ".join(
        f'"{column.name}"'
        for column in Delivery.__table__.columns
        if column.name not in {"id", "dedupe_key", "message_id"}
    )
    db.session.execute(
        text(
            f"INSERT INTO delivery (dedupe_key, message_id, {copied}) "  # noqa: S608 (names of columns)
            f"SELECT 'd' || i, 'm' || i, {copied} FROM delivery, ({FINISHED[db.engine.dialect.name]}) AS numbers "
            "WHERE broadcast_id = :id"
        ),
        {"id": done.id},
    )
    events.commit()
    assert db.session.scalar(select(func.count()).select_from(Delivery)) == 100_051
    after = cost(now)
    assert after[0] == before[0]
    assert after[1] < 3 * before[1] + 0.005


def cost(now: datetime) -> tuple[int, float]:
    """How many queries it takes, and the seconds of the fastest of some tries."""
    seconds = []
    for _ in range(8):
        with counted_queries() as statements:
            began = time.perf_counter()
            assert queries.late_now(now, patience()) is not None
            queries.outgoing(now)
            seconds.append(time.perf_counter() - began)
    return len(statements), min(seconds)


def test_what_was_offered_twice_is_shown_as_possibly_twice(cast: Cast, sign_in: SignIn) -> None:
    """On the broadcast's page as a number that leads there, in the ledger beside each."""
    broadcast = queue("incident:1", 4, now=clock.utcnow())
    ids = db.session.scalars(select(Delivery.id).where(Delivery.broadcast_id == broadcast.id)).all()
    for delivery_id, state, doubts in zip(ids, ("sent", "sent", "unknown"), (1, 0, 2), strict=False):
        values = {
            "state": DeliveryState(state),
            "in_doubt": doubts,
            "finished_at": clock.utcnow(),
            "attempts": doubts + 1,
        }
        db.session.execute(update(Delivery).where(Delivery.id == delivery_id).values(values))
    events.commit()
    client = sign_in(cast.ada)
    page = client.get(f"/admin/broadcasts/{broadcast.id}").get_data(as_text=True)
    assert "1 possibly twice</a>: the line broke" in page
    shown = client.get(f"/admin/broadcasts/{broadcast.id}?show=twice").get_data(as_text=True)
    assert shown.count('class="ledger-row"') == 1
    assert '<span class="quiet">possibly twice</span>' in shown
    unknown = client.get(f"/admin/broadcasts/{broadcast.id}?show=doubtful").get_data(as_text=True)
    assert unknown.count('class="ledger-row"') == 1
    assert "Possibly sent" in unknown
