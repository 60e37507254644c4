"""Where monitors deliver: who gets in, what they are answered, and that nothing comes of the same twice."""

import pytest
from flask import Flask
from sqlalchemy import select

from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.incidents.actions.monitors import add_monitor
from portal.incidents.models import IncidentDraft, Monitor
from portal.incidents.rules import Severity
from portal.incidents.rules.monitors import Shape
from portal.public.inbound import monitors
from tests.conftest import NOW, Cast, client_on
from tests.incidents.test_monitor_rules import alerts, kuma

ADDRESS = "/inbound/monitors"


@pytest.fixture
def key(cast: Cast) -> str:
    _monitor, key = add_monitor("Prometheus", Shape.ALERTMANAGER, Severity.MAJOR_OUTAGE, [], by=SYSTEM, now=NOW)
    db.session.commit()
    return key


def test_an_alert_opens_a_draft_once(app: Flask, cast: Cast, key: str) -> None:
    client = client_on(app, "admin.portal.test")
    first = client.post(f"{ADDRESS}/{key}", json=alerts())
    again = client.post(ADDRESS, json=alerts(), headers={"Authorization": f"Bearer {key}"})
    assert (first.status_code, first.json) == (202, {"opened": 1, "folded": 0, "over": 0})
    assert (again.status_code, again.json) == (202, {"opened": 0, "folded": 1, "over": 0})
    assert first.headers["Cache-Control"] == "no-store"
    assert [each.title for each in db.session.scalars(select(IncidentDraft))] == ["SIP edge does not answer"]


def test_a_key_nobody_has_is_no_address(app: Flask, cast: Cast, key: str) -> None:
    client = client_on(app, "admin.portal.test")
    for address in (f"{ADDRESS}/{key}x", ADDRESS, f"{ADDRESS}/{'k' * 4000}"):
        assert client.post(address, json=alerts()).status_code == 404
    assert client_on(app, "a.portal.test").post(f"{ADDRESS}/{key}", json=alerts()).status_code == 404
    assert client.get(f"{ADDRESS}/{key}").status_code in {404, 405}


def test_what_is_not_understood_is_said_to_both(app: Flask, cast: Cast, key: str) -> None:
    client = client_on(app, "admin.portal.test")
    for body in (b"", b"{", b"\xff\xfe", b'{"alerts": 1}'):
        answer = client.post(f"{ADDRESS}/{key}", data=body, content_type="application/json")
        assert answer.status_code == 422
    assert client.post(f"{ADDRESS}/{key}", json=kuma()).status_code == 422
    (monitor,) = db.session.scalars(select(Monitor))
    assert monitor.last_trouble == "There is no list “alerts” in it."
    client.post(f"{ADDRESS}/{key}", json=alerts())
    assert db.session.scalars(select(Monitor.last_trouble)).one() == ""


def test_too_much_and_too_often(app: Flask, cast: Cast, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = client_on(app, "admin.portal.test")
    big = alerts(annotations={"summary": "x" * (monitors.LONGEST_BODY + 1)})
    assert client.post(f"{ADDRESS}/{key}", json=big).status_code == 413
    monkeypatch.setattr(monitors, "MOST_PER_MINUTE", 3)
    answers = [client.post(f"{ADDRESS}/{key}", json=alerts()) for _number in range(4)]
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["Retry-After"]) > 0
    tries = [client.post(f"{ADDRESS}/wrong", json={}).status_code for _number in range(monitors.TRIES_PER_MINUTE + 1)]
    assert set(tries[:-1]) == {404}
    assert tries[-1] == 429
