"""H12, H13, H17, I32: clients that dawdle or crowd, a queue somebody else wrote to, and no way to begin anew."""

import pickle
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from uuid import uuid4

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import func, select

from portal import clock, events
from portal.accounts.models import Person
from portal.audit.rules import SYSTEM
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.events import QUEUE
from portal.extensions import db
from tests.support.processes import free_port, wait_until
from tests.support.product import EXECUTABLE, Portal
from tests.support.redis_server import RedisServer
from tests.support.visitor import Visitor

PUBLIC_HOST = "a.portal.test"
SLACK = 10
"""Times on a machine that also does something else."""


class Web(Portal):
    """One web worker of an installation with a public status page, and nothing else of it."""

    def command(self) -> list[str | Path]:
        return [EXECUTABLE, "web", "--port", str(self.port), "--workers", "1"]

    def is_ready(self) -> bool:
        with closing(socket.socket()) as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def seconds_of(self, path: str, host: str = PUBLIC_HOST) -> float:
        began = time.monotonic()
        assert Visitor(self.port, host, seconds=60).get(path).status == 200
        return time.monotonic() - began


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    portal = Web()
    portal.prepare()
    with portal.database():
        domains.add_domain(f"http://{PUBLIC_HOST}", "Northline", areas=set(Area), by=SYSTEM, now=clock.utcnow())
        events.commit()
    with portal:
        yield portal


def dawdler(port: int, begun: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    connection.sendall(begun)
    return connection


HALF_A_FORM = (
    b"POST /sign-in HTTP/1.1\r\nHost: a.portal.test\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    b"Content-Length: 900\r\n\r\nemail=al"
)


@pytest.mark.processes
def test_h12_others_are_served_while_many_dawdle(web: Web) -> None:
    with ExitStack() as open_connections:
        for begun in [b"GET /status HTTP/1.1\r\nHost: a.por", HALF_A_FORM] * 100:
            open_connections.enter_context(closing(dawdler(web.port, begun)))
        assert web.seconds_of("/status") < 1 * SLACK
        assert web.seconds_of("/sign-in") < 1 * SLACK
        # What half a form has begun holds no lock either: somebody else can sign in.
        visitor = Visitor(web.port, PUBLIC_HOST, seconds=60)
        assert visitor.sign_in("nobody@people.test", "a wrong password 12").status == 422


@pytest.mark.processes
def test_h12_what_was_cut_short_is_not_taken_for_the_whole(web: Web) -> None:
    with closing(dawdler(web.port, HALF_A_FORM)) as connection:
        connection.shutdown(socket.SHUT_WR)
        answered = connection.recv(4096)
    assert not answered or answered.startswith(b"HTTP/1.1 400 ")


@pytest.mark.processes
def test_h13_two_hundred_at_once_get_the_public_page(web: Web) -> None:
    def visit(_number: int) -> tuple[int, str]:
        answer = Visitor(web.port, PUBLIC_HOST, seconds=60).get("/status")
        return answer.status, answer.headers["cache-control"]

    began = time.monotonic()
    with ThreadPoolExecutor(50) as crowd:
        answers = list(crowd.map(visit, range(200)))
    assert time.monotonic() - began < 2 * SLACK
    assert {status for status, _ in answers} == {200}
    (kept,) = {kept for _, kept in answers}
    assert int(re.findall(r"max-age=(\d+)", kept)[0]) >= 5


@pytest.mark.processes
def test_h17_a_pickle_in_the_queue_runs_nothing(web: Web, redis_server: RedisServer, tmp_path: Path) -> None:
    """A job written by somebody who reached Redis: the worker reads JSON, fails it, and goes on with the next."""
    trace = tmp_path / "it-ran"

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (trace,)  # type: ignore[return-value]

    redis = Redis.from_url(redis_server.url)
    data = pickle.dumps(("os.system", None, (Evil(),), {}))
    for payload in (data, b'["os.system", null, ["touch ' + str(trace).encode() + b'"], {}]'):
        job_id = str(uuid4())
        redis.hset(
            f"rq:job:{job_id}",
            mapping={
                "data": payload,
                "created_at": "2026-11-21T12:00:00.000000Z",
                "enqueued_at": "2026-11-21T12:00:00.000000Z",
                "status": "queued",
                "origin": QUEUE,
                "timeout": "30",
            },
        )
        redis.rpush(f"rq:queue:{QUEUE}", job_id)
    environment = {**web.variables, "PORTAL_REDIS_URL": redis_server.url}
    with subprocess.Popen([EXECUTABLE, "worker"], env=environment, stderr=subprocess.PIPE, text=True) as worker:
        try:
            wait_until(lambda: not redis.llen(f"rq:queue:{QUEUE}"), 30, "an empty queue")
            assert worker.poll() is None
        finally:
            worker.terminate()
            worker.communicate(timeout=60)
    assert not trace.exists()


def test_i32_nothing_in_the_web_begins_an_installation(app: Flask, session: None) -> None:
    words = ("setup", "install", "init", "wizard", "first", "bootstrap", "register", "sign-up", "signup")
    assert not [rule.rule for rule in app.url_map.iter_rules() if any(word in rule.rule.split("/") for word in words)]


def test_i32_beginning_again_changes_nothing_and_makes_no_second_admin(tmp_path: Path) -> None:
    portal = Portal()
    portal.prepare()
    made = portal.run(
        "create-admin", "--email", "root@people.test", "--password-stdin", input="correct horse battery\n"
    )
    assert made.returncode == 0, made.stderr
    key = (portal.folder / "instance" / "secret_key").exists()
    portal.prepare()
    again = portal.run(
        "create-admin", "--email", "root@people.test", "--password-stdin", input="another horse battery\n"
    )
    assert again.returncode == 1
    with portal.database():
        assert db.session.scalar(select(func.count()).select_from(Person)) == 1
        db.engine.dispose()
    assert key == (portal.folder / "instance" / "secret_key").exists()


@pytest.mark.processes
def test_i32_without_a_database_nothing_is_offered(tmp_path: Path) -> None:
    portal = Web()
    portal.port = free_port()
    portal.variables["PORTAL_DATABASE_URL"] = f"sqlite:///{tmp_path}/there-is-no-such-folder/portal.db"
    portal.start()
    try:
        for path in ("/", "/sign-in", "/admin/", "/setup", "/install"):
            answer = Visitor(portal.port, "admin.portal.test", seconds=60).get(path)
            assert answer.status in {404, 503}
            assert "password" not in answer.text.lower()
    finally:
        portal.stop()
