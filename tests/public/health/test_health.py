"""What supervisors and load balancers are told."""

from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from portal import events
from portal.extensions import db
from portal.operation import queries
from portal.operation.rules import WAL_LARGE
from tests.conftest import counted_queries

Visitor = Callable[[str], FlaskClient]


def test_a_living_process_says_so_on_any_host_without_asking_the_database(session: None, visitor: Visitor) -> None:
    for host in ("127.0.0.1:8000", "unknown.test", "a.portal.test"):
        with counted_queries() as statements:
            answer = visitor(host).get("/healthz")
        assert (answer.status_code, answer.json) == (200, {"status": "ok"})
        assert statements == []


def test_without_redis_it_is_ready_but_degraded(session: None, visitor: Visitor) -> None:
    with counted_queries() as statements:
        answer = visitor("unknown.test").get("/readyz")
    assert answer.status_code == 200
    assert answer.json == {"status": "degraded", "database": "ok", "redis": "away", "mail": "ok"}
    assert len(statements) <= 4, (
        "the revision, what it takes to see whether there is one, and whether a report is mailed"
    )


@pytest.mark.parametrize(("revision", "word"), [("0001", "behind"), ("9999", "ahead")])
def test_with_a_schema_that_is_not_ours_it_is_not_ready(
    session: None, visitor: Visitor, revision: str, word: str
) -> None:
    db.session.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
    events.commit()
    answer = visitor("unknown.test").get("/readyz")
    assert answer.status_code == 503
    assert answer.json is not None
    assert (answer.json["status"], answer.json["database"]) == ("not ready", word)


def test_r15_a_write_ahead_log_that_grows_is_told(
    session: None, visitor: Visitor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = tmp_path / "portal.db"
    (tmp_path / "portal.db-wal").touch()
    monkeypatch.setattr(queries, "sqlite_path", lambda: data)
    for size, told in ((WAL_LARGE, None), (WAL_LARGE + 1, "large")):
        with (tmp_path / "portal.db-wal").open("r+b") as log:
            log.truncate(size)
        answer = visitor("unknown.test").get("/readyz")
        assert answer.status_code == 200
        assert answer.json is not None
        assert answer.json.get("wal") == told


def test_nothing_of_it_is_kept_or_sets_a_cookie(session: None, visitor: Visitor) -> None:
    for path in ("/healthz", "/readyz"):
        answer = visitor("unknown.test").get(path)
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Set-Cookie" not in answer.headers
