"""`portal up`: the whole set starts, mends itself, and goes as one."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from rq import Queue
from rq.serializers import JSONSerializer

from tests.support.processes import descendants_of, free_ports, is_alive, pss_of, wait_until
from tests.support.product import Portal
from tests.support.redis_server import RedisServer
from tests.support.visitor import Visitor

pytestmark = pytest.mark.processes

EVERYTHING = {"redis", "web", "live", "worker-1", "worker-2", "timetable", "pulse"}

MOST_IDLE_BYTES = 350_000_000
"""DESIGN section 9, target 10: PSS of the whole set, the mail catcher apart."""


@pytest.fixture
def portal(database_url: str) -> Iterator[Portal]:
    """A started installation with a Redis of its own."""
    with Portal(database_url=database_url) as portal:
        yield portal


def names(portal: Portal) -> set[str]:
    return {"redis" if name.startswith("redis") else name for name in portal.pids()}


def answers(portal: Portal) -> bool:
    try:
        return Visitor(portal.port, "admin.portal.test", seconds=2).get("/sign-in").status == 200
    except OSError:
        return False


def test_everything_runs_and_stays_within_its_memory(portal: Portal) -> None:
    wait_until(lambda: names(portal) == EVERYTHING, what="every process")
    wait_until(lambda: answers(portal), 30, "an answer")
    assert pss_of([portal.pid, *descendants_of(portal.pid)]) < MOST_IDLE_BYTES
    log = portal.log()
    assert "Traceback" not in log
    assert "starting it again" not in log


def test_what_is_killed_comes_back(portal: Portal) -> None:
    wait_until(lambda: names(portal) == EVERYTHING, what="every process")
    killed = {name: portal.kill_process(name) for name in sorted(EVERYTHING - {"redis"})}
    for name, old in killed.items():
        portal.wait_for_restart(name, old)
        assert f"{name:<9} | was ended by signal 9; starting it again in 0.5 s" in portal.log()
    wait_until(lambda: answers(portal), what="an answer")


def test_redis_comes_back_and_work_goes_on(portal: Portal) -> None:
    wait_until(lambda: names(portal) == EVERYTHING, what="every process")
    (old,) = [pid for name, pid in portal.pids().items() if name.startswith("redis")]
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: names(portal) == EVERYTHING and old not in portal.pids().values(), what="a new Redis")
    wait_until(lambda: answers(portal), 30, "an answer")
    wait_until(lambda: portal.run("doctor").stdout.count("ok    Redis") == 1, 20, "an answer of Redis")


def test_nothing_is_left_when_it_is_asked_to_end(portal: Portal) -> None:
    everything = descendants_of(portal.pid)
    assert portal.stop() == 0
    wait_until(lambda: not any(is_alive(pid) for pid in everything), what="the end of all")


def test_nothing_is_left_when_the_supervisor_is_killed(portal: Portal) -> None:
    everything = descendants_of(portal.pid)
    assert len(everything) > len(EVERYTHING), "the web has workers of its own"
    portal.kill()
    wait_until(lambda: not any(is_alive(pid) for pid in everything), what="the end of all")
    portal.start()
    wait_until(lambda: answers(portal), 30, "an answer")


def test_a_named_redis_is_used_and_none_is_started(database_url: str, redis_server: RedisServer) -> None:
    with Portal(database_url=database_url, redis_url=redis_server.url) as portal:
        wait_until(lambda: names(portal) == EVERYTHING - {"redis"}, what="every process")
        with redis_server.client() as client:
            wait_until(lambda: client.scard("rq:workers") == 2, what="both workers at the named Redis")


def test_workers_outlast_a_redis_that_goes_and_comes(database_url: str, redis_server: RedisServer) -> None:
    with Portal(database_url=database_url, redis_url=redis_server.url) as portal:
        wait_until(lambda: names(portal) == EVERYTHING - {"redis"}, what="every process")
        before = portal.pids()
        redis_server.kill()
        assert answers(portal), "pages need no Redis"
        redis_server.start()
        with redis_server.client() as client:
            queue = Queue("portal", connection=client, serializer=JSONSerializer)
            queue.enqueue("workers.tasks.deliver", result_ttl=0)
            wait_until(queue.is_empty, 40, "the work that was rung for")
        assert portal.pids()["web"] == before["web"]


def test_a_job_that_fails_is_logged_under_its_id(database_url: str, redis_server: RedisServer) -> None:
    with Portal(database_url=database_url, redis_url=redis_server.url) as portal, redis_server.client() as client:
        queue = Queue("portal", connection=client, serializer=JSONSerializer)
        job = queue.enqueue("workers.tasks.no_such_task", result_ttl=0)
        wait_until(lambda: f"job:{job.id}" in portal.log(), what="a log line with the id of the job")
        assert any(name.startswith("worker-") for name in portal.pids()), "the worker lives on"


def test_a_second_run_on_the_same_folder_is_refused(portal: Portal) -> None:
    port, live_port = free_ports(2)
    variables = {**portal.variables, "PORTAL_LIVE_PORT": str(live_port)}
    second = subprocess.run(
        [*portal.command()[:-1], str(port)], env=variables, capture_output=True, text=True, check=False, timeout=60
    )
    assert second.returncode == 1
    assert "already running" in second.stderr
    wait_until(lambda: answers(portal), 30, "an answer")


def test_a_port_that_is_taken_is_named(database_url: str, portal: Portal) -> None:
    other = Portal(database_url=database_url)
    other.prepare()
    other.port = portal.port
    done = other.run("up", "--port", str(portal.port))
    assert done.returncode == 1
    assert f"Port {portal.port} on 127.0.0.1 cannot be used" in done.stderr
    other.__exit__()


def test_a_folder_too_deep_for_a_socket_is_named(tmp_path: Path) -> None:
    portal = Portal(environment={"PORTAL_INSTANCE": str(tmp_path / ("deep" * 30))})
    done = portal.run("up", "--port", str(portal.port))
    assert done.returncode == 2
    assert "choose a shorter one" in done.stderr
    portal.__exit__()


def test_the_mail_catcher_takes_what_the_product_sends(database_url: str) -> None:
    class WithCatcher(Portal):
        def command(self) -> list[str | Path]:
            return [*super().command(), "--catch-mail"]

    with WithCatcher(database_url=database_url) as portal:
        catcher = Visitor(portal.port + 2, "localhost")
        wait_until(lambda: "mail" in portal.pids(), what="the catcher")
        wait_until(lambda: _status(catcher) == 200, what="its page")
        assert "No mail yet" in catcher.get("/").text


def _status(visitor: Visitor) -> int:
    try:
        return visitor.get("/").status
    except OSError:
        return 0
