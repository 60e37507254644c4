"""How the documents are given out: kept, the same for everybody, true within a second, and readable from anywhere."""

import gzip
import json
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal import events
from portal.api.v2.cache import PublicDocuments
from portal.api.v2.documents import DOCUMENTS
from portal.audit.rules import SYSTEM
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.incidents.rules import Severity
from portal.kept import LOOK_EVERY
from portal.public.status.cache import PublicPages
from tests.api.v2.conftest import HOST, StatusPage, plan, publish, read
from tests.conftest import NOW, STAFF_HOST, Cast, counted_queries

Visitor = Callable[[str], FlaskClient]
Turn = Callable[[datetime], None]
pytestmark = pytest.mark.usefixtures("at")

SUMMARY = "/api/v2/summary.json"
PATHS = [f"/api/v2/{name}.json" for name in DOCUMENTS]


@pytest.mark.parametrize("path", PATHS)
def test_a_document_is_made_once_and_given_to_everybody(status_page: StatusPage, visitor: Visitor, path: str) -> None:
    first = visitor(HOST).get(path)
    with counted_queries() as statements:
        second = visitor(HOST).get(f"{path}?_=12345")
    assert len(statements) == 1
    assert first.data == second.data
    for answer in (first, second):
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
        assert answer.headers["Cache-Control"] == "public, max-age=5, stale-while-revalidate=30"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("path", PATHS)
def test_who_has_it_is_told_304_and_head_has_no_body(status_page: StatusPage, visitor: Visitor, path: str) -> None:
    first = visitor(HOST).get(path)
    again = visitor(HOST).get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["Access-Control-Allow-Origin"] == "*"
    head = visitor(HOST).head(path)
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == first.headers["Content-Length"]
    packed = visitor(HOST).get(path, headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(packed.data) == first.data


def test_a_browser_of_another_site_may_ask(status_page: StatusPage, visitor: Visitor) -> None:
    asked = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "GET"}
    answer = visitor(HOST).options(SUMMARY, headers=asked | {"Access-Control-Request-Headers": "x-client"})
    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == answer.headers["Access-Control-Allow-Headers"] == "*"
    assert set(answer.headers["Access-Control-Allow-Methods"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert visitor(HOST).get(SUMMARY, headers=asked).headers["Cross-Origin-Resource-Policy"] == "cross-origin"


def test_a_change_shows_at_the_next_look_and_a_look_is_shared_for_a_moment(
    app: Flask, status_page: StatusPage, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = 1000.0
    monkeypatch.setattr("portal.kept.time.monotonic", lambda: moment)
    shortcuts = app.extensions["shortcuts"]
    shortcuts[PublicDocuments].look_every = LOOK_EVERY
    assert shortcuts[PublicPages].look_every == LOOK_EVERY < 1
    visitor(HOST).get("/status")
    before = visitor(HOST).get(SUMMARY)
    with counted_queries() as statements:
        for path in (SUMMARY, "/status"):
            visitor(HOST).get(path)
    assert statements == []
    publish("No dial tone", {status_page.core.id: Severity.MAJOR_OUTAGE})
    assert visitor(HOST).get(SUMMARY).data == before.data
    moment += LOOK_EVERY
    after = visitor(HOST).get(SUMMARY, headers={"If-None-Match": before.headers["ETag"]})
    assert [each["name"] for each in json.loads(after.data)["incidents"]] == ["No dial tone"]


def test_planned_work_begins_and_ends_by_the_clock_alone(app: Flask, status_page: StatusPage, at: Turn) -> None:
    plan("New battery", [status_page.core], begin=timedelta(seconds=10), end=timedelta(seconds=20))
    found = []
    for second in (0, 9, 10, 19, 20, 300):
        at(NOW + timedelta(seconds=second))
        with counted_queries() as statements:
            summary = read(app, "summary")
        work = [each["status"] for each in summary["scheduled_maintenances"]]
        found.append((summary["status"]["indicator"], work))
        assert (len(statements) > 1) == (second in {0, 10, 20}), second
    assert found == [
        ("none", ["scheduled"]),
        ("none", ["scheduled"]),
        ("maintenance", ["in_progress"]),
        ("maintenance", ["in_progress"]),
        ("none", []),
        ("none", []),
    ]


def test_only_an_open_public_status_answers(cast: Cast, status_page: StatusPage, visitor: Visitor) -> None:
    assert visitor(HOST).get(SUMMARY).status_code == 200
    domains.set_areas(cast.domain_a, [Area.STATUS], version=cast.domain_a.version, by=SYSTEM, now=NOW)
    events.commit()
    for path in PATHS:
        closed, missing = visitor(HOST).get(path), visitor(HOST).get("/api/v2/nothing.json")
        assert closed.status_code == missing.status_code == 404
        assert closed.get_json() == missing.get_json()
        assert set(dict(closed.headers)) == set(dict(missing.headers))
        assert visitor(HOST).options(path).status_code == 404
        assert visitor("b.portal.test").get(path).status_code == 200
        assert visitor(STAFF_HOST).get(path).status_code == 404
        assert visitor("evil.test").get(path).status_code == 400


def test_nothing_is_written_through_it(status_page: StatusPage, visitor: Visitor) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert visitor(HOST).open(SUMMARY, method=method).status_code in {400, 405}
