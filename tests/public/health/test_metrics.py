"""What Prometheus is told, and who else is not."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text, update

from portal import clock, events
from portal.accounts.models import Session
from portal.audit.rules import SYSTEM
from portal.config import Settings
from portal.extensions import db
from portal.incidents.rules import Severity, Visibility
from portal.notifications import actions, outbound
from portal.notifications.models import Delivery
from tests.api.v2.conftest import StatusPage, plan, publish
from tests.conftest import Cast, counted_queries
from tests.notifications.outbox import queue

Visitor = Callable[[str], FlaskClient]
TOKEN = "a-token-of-the-monitoring"


@pytest.fixture
def with_token(app: Flask) -> Iterator[None]:
    before: Settings = app.config["SETTINGS"]
    app.config["SETTINGS"] = type(before)(**{**vars(before), "metrics_token": TOKEN})
    try:
        yield
    finally:
        app.config["SETTINGS"] = before


def scraped(client: FlaskClient) -> dict[str, float]:
    """The samples by name, with the state behind it where there is one."""
    answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    assert answer.headers["Cache-Control"] == "no-store"
    return {
        sample.name + (f":{sample.labels['state']}" if "state" in sample.labels else ""): sample.value
        for family in text_string_to_metric_families(answer.get_data(as_text=True))
        for sample in family.samples
    }


def test_without_a_token_set_there_is_no_such_page(session: None, visitor: Visitor) -> None:
    for given in ({}, {"Authorization": "Bearer "}, {"Authorization": f"Bearer {TOKEN}"}):
        assert visitor("unknown.test").get("/metrics", headers=given).status_code == 404


@pytest.mark.parametrize(
    "given", ["", TOKEN, f"bearer{TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", "Bearer ü"]
)
def test_a_wrong_or_missing_token_is_401(session: None, with_token: None, visitor: Visitor, given: str) -> None:
    answer = visitor("unknown.test").get("/metrics", headers={"Authorization": given} if given else {})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert "signalbox_" not in answer.get_data(as_text=True)


def test_the_figures_are_those_of_the_database(cast: Cast, with_token: None, visitor: Visitor) -> None:
    now = clock.utcnow()
    broadcast = queue("incident:1", 12, now=now)
    queue("incident:2", 3, now=now)
    old = queue("incident:3", 5, now=now - timedelta(days=3))
    actions.cancel(old, by=SYSTEM, now=now - timedelta(days=2))
    mails = update(Delivery).where(Delivery.broadcast_id == broadcast.id)
    db.session.execute(mails.values(next_attempt_at=now - timedelta(minutes=7)))
    outbound.note_backup(4711, now)
    outbound.pause_all("for a test", by=SYSTEM, now=now)
    events.commit()
    found = scraped(visitor("unknown.test"))
    assert found["signalbox_deliveries:pending"] == 15
    assert found["signalbox_deliveries:sent"] == found["signalbox_deliveries:cancelled"] == 0
    assert found["signalbox_broadcasts:sending"] == 2
    assert 420 <= found["signalbox_oldest_due_seconds"] < 500
    assert found["signalbox_relays:broken"] == 0
    assert found["signalbox_incidents_open"] == 0
    assert found["signalbox_sending_paused"] == 1
    assert found["signalbox_database_up"] == found["signalbox_migrations_at_head"] == 1
    assert found["signalbox_redis_up"] == 0
    assert found["signalbox_database_bytes"] > 10_000
    assert found["signalbox_audit_unsealed"] > 0
    assert found["signalbox_backup_timestamp_seconds"] == pytest.approx(now.timestamp(), abs=1)
    assert found["process_open_fds"] > 0
    assert ("signalbox_database_wal_bytes" in found) is (db.engine.dialect.name == "sqlite")


def test_sessions_are_counted_while_they_live(
    cast: Cast, with_token: None, visitor: Visitor, sign_in: Callable[..., FlaskClient]
) -> None:
    client = visitor("unknown.test")
    before = scraped(client)["signalbox_sessions_live"]
    sign_in(cast.ada)
    sign_in(cast.alice)
    assert scraped(client)["signalbox_sessions_live"] == before + 2
    # Staff sessions end sooner when nobody uses them.
    db.session.execute(update(Session).values(last_seen_at=clock.utcnow() - timedelta(hours=1)))
    events.commit()
    assert scraped(client)["signalbox_sessions_live"] == before + 1


def test_a_scrape_costs_the_same_whatever_there_is(cast: Cast, with_token: None, visitor: Visitor) -> None:
    client = visitor("unknown.test")
    counts = []
    for number in range(2):
        for each in range(number * 5):
            queue(f"incident:{each}", 20, now=clock.utcnow())
        events.commit()
        with counted_queries() as statements:
            scraped(client)
        counts.append(len(statements))
    assert counts[0] == counts[1] <= 31


def test_while_the_tables_are_of_another_version_only_that_is_told(
    session: None, with_token: None, visitor: Visitor
) -> None:
    db.session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    events.commit()
    found = scraped(visitor("unknown.test"))
    assert found["signalbox_migrations_at_head"] == 0
    assert found["signalbox_database_up"] == 1
    assert "signalbox_deliveries:pending" not in found


@pytest.mark.usefixtures("at", "with_token")
def test_the_status_of_every_component_is_told_as_staff_see_it(status_page: StatusPage, visitor: Visitor) -> None:
    publish("No dial tone", {status_page.core.id: Severity.MAJOR_OUTAGE})
    publish("Hush", {status_page.trunks.id: Severity.PARTIAL_RTH}, visibility=Visibility.PRIVATE)
    plan("Battery", [status_page.fibre], begin=-timedelta(hours=1), end=timedelta(hours=1))
    text = visitor("unknown.test").get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    statuses = {s.labels["component"]: s.value for s in samples if s.name == "signalbox_component_status"}
    assert statuses == {"Voice core": 4, "SIP trunks": 3, "Fibre": 1}
    impacts = {s.labels["impact"]: s.value for s in samples if s.name == "signalbox_incidents_open_by_impact"}
    assert impacts == {"none": 0, "minor": 0, "major": 1, "critical": 1}
    assert [s.value for s in samples if s.name == "signalbox_maintenance_under_way"] == [1]
    assert status_page.core.public_id in {s.labels.get("component_id") for s in samples}
