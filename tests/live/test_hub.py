"""The hub as it runs: a real process, a real Redis, several open pages."""

import json
import time
from collections.abc import Iterator

import pytest

from portal.live import CHANNEL, MAX_TOPICS, TOKEN_LIFE, read_token, sign_token
from tests.live.pages import ORIGIN, HubProcess
from tests.support.processes import is_alive, pss_of, wait_until
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.processes


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def hub(redis: RedisServer) -> Iterator[HubProcess]:
    with HubProcess(redis) as process:
        yield process


def ring(redis: RedisServer, topic: str, version: int) -> None:
    with redis.client() as client:
        client.publish(CHANNEL, json.dumps({"topic": topic, "version": version}))


def test_a_bell_reaches_who_may_hear_it_and_nobody_else(hub: HubProcess, redis: RedisServer) -> None:
    alice = hub.open(hub.token("public:1", "company:1", "service:3"))
    bob = hub.open(hub.token("public:1", "company:1"))
    charlie = hub.open(hub.token("public:2", "company:2"))
    for page in (alice, bob, charlie):
        assert page.status == 200
        assert page.headers["content-type"].startswith("text/event-stream")
        page.expect_state(late=False)
    assert hub.health() == {"status": "ok", "clients": 3}
    ring(redis, "service:3", 7)
    alice.expect_bell("service:3", 7)
    ring(redis, "company:1", 2)
    alice.expect_bell("company:1", 2)
    bob.expect_bell("company:1", 2)
    ring(redis, "staff", 9)
    assert charlie.hears_nothing()
    assert bob.hears_nothing(0.1)


def test_only_the_page_of_the_tokens_origin_is_answered(hub: HubProcess) -> None:
    token = hub.token("public:1")
    own = hub.open(token)
    assert own.status == 200
    assert own.headers["access-control-allow-origin"] == ORIGIN
    assert own.headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in own.headers
    for origin in ("http://evil.test", "null", ORIGIN + ".evil.test", ORIGIN.upper()):
        refused = hub.open(token, origin)
        assert refused.status == 403
        assert "access-control-allow-origin" not in refused.headers
    behind_a_proxy = hub.open(token, None, Sec_Fetch_Site="same-origin")
    assert behind_a_proxy.status == 200
    assert hub.open(token, None, Sec_Fetch_Site="cross-site").status == 403


def test_a_forged_stale_or_missing_token_is_refused(hub: HubProcess) -> None:
    good = hub.token("public:1")
    other = HubProcess(RedisServer())
    forged = other.token("staff")
    tampered = good[:10] + ("A" if good[10] != "A" else "B") + good[11:]
    for token in ("", "x", forged, tampered, good[:-1], hub.token("public:1", ago=TOKEN_LIFE + 1), "a" * 20_000):
        assert hub.open(token).status == 401, token[:60]
    assert hub.health()["clients"] == 0


def test_the_end_of_a_session_ends_its_streams(hub: HubProcess, redis: RedisServer) -> None:
    first = hub.open(hub.token("staff", ends="session:abc"))
    second = hub.open(hub.token("staff", ends="session:abc"))
    other = hub.open(hub.token("staff", ends="session:def"))
    for page in (first, second, other):
        page.expect_state(late=False)
    ring(redis, "session:abc", 1)
    first.expect_end("session")
    second.expect_end("session")
    ring(redis, "staff", 5)
    other.expect_bell("staff", 5)
    wait_until(lambda: hub.health()["clients"] == 1, 3, "two streams fewer")


def test_a_session_that_has_just_ended_opens_no_stream(hub: HubProcess, redis: RedisServer) -> None:
    ring(redis, "session:abc", 1)
    time.sleep(0.1)
    late = hub.open(hub.token("staff", ends="session:abc"))
    late.expect_state(late=False)
    late.expect_end("session")


def test_a_bell_between_the_page_and_its_stream_is_repeated(hub: HubProcess, redis: RedisServer) -> None:
    ring(redis, "public:1", 3)
    ring(redis, "public:1", 4)
    time.sleep(0.1)
    page = hub.open(hub.token("public:1"))
    page.expect_state(late=False)
    page.expect_bell("public:1", 4)


def test_a_stream_ends_with_its_token(hub: HubProcess) -> None:
    page = hub.open(hub.token("public:1", ago=TOKEN_LIFE - 2))
    page.expect_state(late=False)
    page.expect_end("expired", seconds=5)


def test_what_is_no_bell_is_passed_over(hub: HubProcess, redis: RedisServer) -> None:
    page = hub.open(hub.token("public:1"))
    page.expect_state(late=False)
    with redis.client() as client:
        for rubbish in (b"", b"{", b"[]", b"7", b'{"topic": 7, "version": 1}', b'{"topic": "public:1"}', b"\xff\xfe"):
            client.publish(CHANNEL, rubbish)
    ring(redis, "public:1", 6)
    page.expect_bell("public:1", 6)


def test_pages_are_told_when_redis_is_away_and_when_it_is_back(hub: HubProcess, redis: RedisServer) -> None:
    page = hub.open(hub.token("public:1"))
    page.expect_state(late=False)
    redis.kill()
    page.expect_state(late=True)
    assert hub.health()["status"] == "late"
    newcomer = hub.open(hub.token("public:1"))
    newcomer.expect_state(late=True)
    redis.start()
    page.expect_state(late=False, seconds=10)
    newcomer.expect_state(late=False, seconds=10)
    ring(redis, "public:1", 8)
    page.expect_bell("public:1", 8)


def test_a_hung_redis_is_noticed(hub: HubProcess, redis: RedisServer) -> None:
    page = hub.open(hub.token("public:1"))
    page.expect_state(late=False)
    redis.hang()
    try:
        page.expect_state(late=True, seconds=20)
    finally:
        redis.resume()
    page.expect_state(late=False, seconds=15)


def test_a_wiped_redis_loses_no_bell(hub: HubProcess, redis: RedisServer) -> None:
    page = hub.open(hub.token("public:1"))
    page.expect_state(late=False)
    redis.flush()
    ring(redis, "public:1", 2)
    page.expect_bell("public:1", 2)


def test_a_page_that_stops_reading_holds_up_nobody(hub: HubProcess, redis: RedisServer) -> None:
    topics = [f"service:{number}" for number in range(200)]
    asleep = hub.open(hub.token(*topics))
    awake = hub.open(hub.token("company:1"))
    awake.expect_state(late=False)
    memory = hub_memory(hub)
    with redis.client() as client, client.pipeline(transaction=False) as pipe:
        for version in range(400):
            for topic in topics:
                pipe.publish(CHANNEL, json.dumps({"topic": topic, "version": version}))
            pipe.execute()
    began = time.monotonic()
    ring(redis, "company:1", 1)
    event = awake.next_event(30)
    assert event is not None
    assert event.data == {"topic": "company:1", "version": 1}
    assert time.monotonic() - began < 20
    assert hub_memory(hub) - memory < 30_000_000
    asleep.close()


def test_clients_that_go_are_forgotten(hub: HubProcess) -> None:
    pages = [hub.open(hub.token("public:1")) for _ in range(50)]
    assert hub.health()["clients"] == 50
    for page in pages:
        page.close()
    wait_until(lambda: hub.health()["clients"] == 0, 5, "an empty hub")


def test_the_hub_stops_at_once_and_says_goodbye(hub: HubProcess) -> None:
    page = hub.open(hub.token("public:1"))
    page.expect_state(late=False)
    pid = hub.pid
    began = time.monotonic()
    hub.stop()
    page.expect_end("restart")
    assert not is_alive(pid)
    assert time.monotonic() - began < 5


def test_anything_else_is_not_found(hub: HubProcess) -> None:
    page = hub.open(hub.token("public:1") + "&token=x")
    assert page.status == 401


def test_a_token_keeps_what_it_was_given_and_no_more_than_fits() -> None:
    hub = HubProcess(RedisServer())
    many = [f"service:{number}" for number in range(1, MAX_TOPICS + 50)]
    text = sign_token(hub.settings, many, origin=ORIGIN, ends="session:x", now=1000.0)
    token = read_token(hub.settings, text, 1000.0 + TOKEN_LIFE - 1)
    assert token is not None
    assert token.topics == tuple(many[:MAX_TOPICS])
    assert (token.origin, token.ends) == (ORIGIN, "session:x")
    assert read_token(hub.settings, text, 1000.0 + TOKEN_LIFE) is None
    assert len(text) < 4_000


def hub_memory(hub: HubProcess) -> int:
    return pss_of([hub.pid])
