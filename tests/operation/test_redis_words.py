"""R10: a Redis that answers and takes nothing is told from one that is away, in its own words."""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal.events import Bell
from portal.operation import queries
from portal.operation.rules import REDIS_AWAY, Verdict, redis_finding
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.processes


@pytest.fixture
def redis(app: Flask, session: None) -> Iterator[RedisServer]:
    """The app's Redis."""
    usual = app.extensions["bell"]
    with RedisServer() as server:
        app.extensions["bell"] = Bell(server.url)
        yield server
        app.extensions["bell"].redis.close()
        app.extensions["bell"] = usual


@pytest.mark.parametrize(
    ("configuration", "words"),
    [
        (("maxmemory", "1"), "maxmemory"),
        (("min-replicas-to-write", "1"), "replicas"),
        (("requirepass", "another password"), "authenticated"),
    ],
    ids=["full", "read-only", "wrong password"],
)
def test_r10_a_redis_that_refuses_says_why(
    redis: RedisServer, visitor: Callable[[str], FlaskClient], configuration: tuple[str, ...], words: str
) -> None:
    assert queries.redis_trouble() == ""
    with redis.client() as client:
        client.execute_command("CONFIG", "SET", *configuration)
        # Who is in already stays in, whatever the password is by now.
        client.client_kill_filter(_type="normal", skipme=False)
    trouble = queries.redis_trouble()
    assert words in trouble
    finding = redis_finding(trouble)
    assert finding.verdict is Verdict.WARN
    assert "refuses what it is given" in finding.text
    answer = visitor("unknown.test").get("/readyz")
    assert answer.json is not None
    assert (answer.status_code, answer.json["redis"]) == (200, "away")


def test_r06_a_redis_that_was_stopped_or_hangs_is_away(redis: RedisServer) -> None:
    redis.hang()
    assert queries.redis_trouble() == REDIS_AWAY
    redis.resume()
    assert queries.redis_trouble() == ""
    redis.kill()
    assert queries.redis_trouble() == REDIS_AWAY
