"""R16 and R58: the database server goes away and comes back; a process has hardly any file descriptors."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from sqlalchemy import text

from portal.extensions import db
from tests.operation.conftest import Databases
from tests.operation.firm import FORM, Firm, found
from tests.operation.machines import Process
from tests.support.postgres import PostgresServer, fresh_database
from tests.support.processes import free_port, wait_until
from tests.support.product import Portal, is_postgres
from tests.support.visitor import Visitor

SLACK = 10
FEW = 64
"""File descriptors, of which a web process needs about forty for itself."""


@contextmanager
def web(firm: Firm, *, descriptors: int = 0) -> Iterator[Process]:
    """A web process of the firm, with so many file descriptors if that is said."""
    process = Process("web", free_port(), firm.portal.variables, firm.portal.folder)
    process.start()
    try:
        wait_until(lambda: process.answers() or not process.is_running(), 120, "the web process")
        assert process.is_running(), process.log()
        if descriptors:
            limit_workers(process.pid, descriptors)
        yield process
    finally:
        process.stop()


def limit_workers(pid: int, descriptors: int) -> None:
    """Bound the descriptors of the server and of the workers below it."""
    below = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()
    for each in [str(pid), *below]:
        subprocess.run(["prlimit", f"--nofile={descriptors}:{descriptors}", "--pid", each], check=True)


def ada_of(firm: Firm, process: Process) -> Visitor:
    ada = Visitor(process.port, "admin.portal.test", seconds=60)
    ada.cookies["sid"] = firm.token
    return ada


@pytest.mark.processes
def test_r58_with_few_descriptors_a_process_refuses_and_recovers(fresh_databases: Databases, settings: object) -> None:
    firm = found(Portal(database_url=fresh_databases.prepared()))
    with web(firm, descriptors=FEW) as process:
        ada = ada_of(firm, process)
        assert ada.get("/admin/").status == 200
        with ExitStack() as stack:
            for _ in range(FEW * 2):
                line = stack.enter_context(socket.socket())
                line.settimeout(1)
                try:
                    line.connect(("127.0.0.1", process.port))
                except OSError:
                    break
            assert process.is_running()
        wait_until(lambda: answers(ada), 60 * SLACK, "the process to answer again")
        ada.get(FORM)
        answer = ada.post(FORM, list(firm.report("After the rush", "rush").items()))
        assert answer.status == 303
        assert "Traceback" not in process.log()
    assert firm.count("After the rush") == (1, 2)
    firm.let_go()
    firm.portal.__exit__()


def answers(visitor: Visitor) -> bool:
    try:
        return visitor.get("/admin/").status == 200
    except OSError:
        return False


def test_r16_connections_that_are_cut_are_made_anew(fresh_databases: Databases, settings: object) -> None:
    """Somebody ends every connection of the product; the next request opens another and nobody notices."""
    firm = found(Portal(database_url=fresh_databases.prepared()))
    client = firm.ada()
    assert firm.publish(client, "Before").status_code == 303
    if is_postgres(firm.portal.settings.database_url):
        with firm.app.app_context():
            db.session.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
            db.session.remove()
    else:
        firm.let_go()
    assert firm.publish(client, "After").status_code == 303
    assert firm.count("After") == (1, 2)
    firm.let_go()
    firm.portal.__exit__()


@pytest.mark.processes
def test_r16_while_postgresql_is_away_pages_say_so_and_recover_alone() -> None:
    """A cluster of its own, killed as a crash would and started again."""
    with PostgresServer(durable=True) as server:
        portal = Portal(database_url=fresh_database(server.url("portal")))
        portal.prepare()
        firm = found(portal)
        client = firm.ada()
        assert firm.publish(client, "Before").status_code == 303
        token = client.get(FORM).get_data(as_text=True).split('name="csrf-token" content="', 1)[1].split('"', 1)[0]
        server.kill()
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json and ready.json["database"]) == (503, "away")
        for answer in (
            client.get("/admin/incidents"),
            client.post(FORM, data={"csrf_token": token, **firm.report("Meanwhile", "meanwhile")}),
        ):
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) > 0
            assert "Traceback" not in answer.get_data(as_text=True)
        (server.data / "postmaster.pid").unlink(missing_ok=True)
        server.start(60)
        assert client.get("/readyz").status_code == 200
        assert firm.count("Before") == (1, 2)
        assert firm.count("Meanwhile") == (0, 0)
        answer = client.post(FORM, data={"csrf_token": token, **firm.report("Meanwhile", "meanwhile")})
        assert answer.status_code == 303
        assert firm.count("Meanwhile") == (1, 2)
        firm.let_go()
        portal.__exit__()
