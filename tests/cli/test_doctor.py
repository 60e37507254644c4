"""What the doctor says about an installation that is well, and about each thing that is not."""

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.product import Portal
from tests.support.redis_server import RedisServer
from tests.support.smtp_sink import At, SmtpSink, Step

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def installation() -> Iterator[Portal]:
    """An installation on SQLite that is not started, for what the doctor says of everything but the database."""
    portal = Portal()
    portal.prepare()
    yield portal
    portal.__exit__()


@pytest.fixture
def portal(
    installation: Portal, redis_server: RedisServer, smtp_sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> Portal:
    """The installation with a Redis and a relay of this test's own."""
    servers = {"PORTAL_REDIS_URL": redis_server.url, "PORTAL_SMTP_URL": smtp_sink.url}
    monkeypatch.setattr(installation, "variables", {**installation.variables, **servers})
    return installation


def lines(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """The doctor's lines by subject; two of one subject are joined."""
    found: dict[str, str] = {}
    for line in done.stdout.splitlines():
        verdict, rest = line[:4].strip(), line[6:]
        subject = rest[:11].strip()
        found[subject] = f"{found.get(subject, '')}{verdict} {rest[12:]}"
    return found


def test_a_good_installation_is_well(database_url: str, redis_server: RedisServer, smtp_sink: SmtpSink) -> None:
    portal = Portal(database_url=database_url, redis_url=redis_server.url, smtp_url=smtp_sink.url)
    portal.prepare()
    done = portal.run("doctor")
    portal.__exit__()
    assert done.returncode == 0, done.stdout + done.stderr
    found = lines(done)
    assert {"Secret key", "Database", "Migrations", "Redis", "Relay", "Disk"} <= set(found)
    assert "fail" not in " ".join(found.values())
    assert "0 failed" in done.stdout


def test_tables_of_another_version_fail(database_url: str, redis_server: RedisServer, smtp_sink: SmtpSink) -> None:
    portal = Portal(database_url=database_url, redis_url=redis_server.url, smtp_url=smtp_sink.url)
    Path(portal.variables["PORTAL_INSTANCE"]).mkdir()
    done = portal.run("doctor")
    assert done.returncode == 1
    assert "run `portal migrate`" in lines(done)["Migrations"]
    portal.__exit__()


def test_a_mailbox_and_a_gateway_that_are_not_there_fail(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = socket.create_server(("127.0.0.1", 0))
    port = nobody.getsockname()[1]
    nobody.close()
    more = {
        "PORTAL_BOUNCE_IMAP_URL": f"imap://reports:secretword@127.0.0.1:{port}/",
        "PORTAL_SMS_URL": f"smseagle://secretword@127.0.0.1:{port}",
        "PORTAL_OUTSIDE_ALLOW": "127.0.0.1",
        "PORTAL_OUTSIDE_PORTS": str(port),
    }
    monkeypatch.setattr(portal, "variables", {**portal.variables, **more})
    done = portal.run("doctor")
    assert done.returncode == 1
    found = lines(done)
    assert found["Mailbox"].startswith("fail cannot be read")
    assert found["Texts"].startswith("fail cannot be sent")
    assert "secretword" not in done.stdout + done.stderr


def test_a_redis_that_is_gone_fails(portal: Portal, redis_server: RedisServer) -> None:
    redis_server.kill()
    done = portal.run("doctor")
    assert done.returncode == 1
    assert lines(done)["Redis"].startswith("fail does not answer")
    assert lines(done)["Relay"].startswith("ok")


@pytest.mark.parametrize(
    "step", [Step(At.CONNECT, reply="421 4.3.2 Not now"), Step(At.CONNECT, drop=True), Step(At.CONNECT, hang=True)]
)
def test_a_relay_that_does_not_greet_fails(portal: Portal, smtp_sink: SmtpSink, step: Step) -> None:
    smtp_sink.script("*", step)
    done = portal.run("doctor")
    assert done.returncode == 1
    assert "check PORTAL_SMTP_URL" in lines(done)["Relay"]


def test_a_setting_that_cannot_be_used_fails_with_its_sentence(portal: Portal) -> None:
    portal.variables["PORTAL_SECRET_KEY"] = "changeme"
    done = portal.run("doctor")
    assert done.returncode == 1
    assert "32 random bytes" in lines(done)["Settings"]


def test_a_database_that_is_gone_fails(portal: Portal) -> None:
    portal.variables["PORTAL_DATABASE_URL"] = "postgresql://nobody@/nothing?host=/nowhere"
    done = portal.run("doctor")
    assert done.returncode == 1
    assert "check PORTAL_DATABASE_URL" in lines(done)["Database"]
    assert "Traceback" not in done.stderr
