"""What supervisors and load balancers are told."""

from collections.abc import Callable

from flask.testing import FlaskClient
from sqlalchemy import text

from portal import events
from portal.extensions import db
from tests.conftest import counted_queries

Visitor = Callable[[str], FlaskClient]


def test_a_living_process_says_so_on_any_host_without_asking_the_database(session: None, visitor: Visitor) -> None:
    for host in ("127.0.0.1:8000", "unknown.test", "a.portal.test"):
        with counted_queries() as statements:
            answer = visitor(host).get("/healthz")
        assert (answer.status_code, answer.json) == (200, {"status": "ok"})
        assert statements == []


def test_without_redis_it_is_ready_but_degraded(session: None, visitor: Visitor) -> None:
    answer = visitor("unknown.test").get("/readyz")
    assert answer.status_code == 200
    assert answer.json == {"status": "degraded", "database": "ok", "redis": "away"}


def test_with_a_schema_that_is_not_ours_it_is_not_ready(session: None, visitor: Visitor) -> None:
    db.session.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    events.commit()
    answer = visitor("unknown.test").get("/readyz")
    assert answer.status_code == 503
    assert answer.json is not None
    assert (answer.json["status"], answer.json["database"]) == ("not ready", "behind")


def test_nothing_of_it_is_kept_or_sets_a_cookie(session: None, visitor: Visitor) -> None:
    for path in ("/healthz", "/readyz"):
        answer = visitor("unknown.test").get(path)
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Set-Cookie" not in answer.headers
