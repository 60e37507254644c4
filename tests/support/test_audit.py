"""H16: a known weakness turns the audit red, and a service that does not answer is told apart from a clean bill."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.support import audit
from tests.support.audit import Outcome, Verdict, judge_npm, judge_pip

KNOWN_BAD = "jinja2==2.4.1 --hash=sha256:" + "0" * 64 + "\n"


class Advisories(BaseHTTPRequestHandler):
    """The part of the OSV service that is asked: one weakness of jinja2 2.4.1, and none of anything else."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        package = asked["package"]["name"]
        found = []
        if (package, asked["version"]) == ("jinja2", "2.4.1"):
            ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.8.1"}]}]
            affected = {"package": {"name": "jinja2", "ecosystem": "PyPI"}, "ranges": ranges, "versions": ["2.4.1"]}
            found = [{"id": "PYSEC-2019-220", "summary": "Sandbox escape", "details": "…", "affected": [affected]}]
        body = json.dumps({"vulns": found} if found else {}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def advisories() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Advisories)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1/query"
    server.shutdown()
    thread.join()
    server.server_close()


def test_h16_a_known_bad_version_turns_the_audit_red(advisories: str, tmp_path: Path) -> None:
    """The real auditor, asking a service of ours."""
    lock = tmp_path / "bad.lock"
    lock.write_text(KNOWN_BAD)
    outcome = audit.audit_lock(str(lock), "--vulnerability-service=osv", f"--osv-url={advisories}")
    assert outcome.verdict is Verdict.FINDINGS, outcome
    assert "jinja2 2.4.1: PYSEC-2019-220, mended in 2.8.1" in outcome.lines
    lock.write_text(KNOWN_BAD.replace("2.4.1", "3.1.6"))
    outcome = audit.audit_lock(str(lock), "--vulnerability-service=osv", f"--osv-url={advisories}")
    assert outcome.verdict is Verdict.CLEAN, outcome


def unknown(name: str) -> dict[str, str]:
    return {"name": name, "skip_reason": f"Dependency not found on PyPI and could not be audited: {name} (1.0)"}


def known(name: str, *weaknesses: str) -> dict[str, object]:
    return {"name": name, "version": "1.0", "vulns": [{"id": each, "fix_versions": ["1.1"]} for each in weaknesses]}


def pip(*packages: dict[str, object] | dict[str, str]) -> str:
    return json.dumps({"dependencies": list(packages), "fixes": []})


@pytest.mark.parametrize(
    ("stdout", "stderr", "status", "verdict"),
    [
        (pip(known("a"), known("b")), "No known vulnerabilities found", 0, Verdict.CLEAN),
        (pip(known("a"), known("b", "PYSEC-1")), "Found 1 known vulnerability", 1, Verdict.FINDINGS),
        (pip(unknown("a"), known("b", "PYSEC-1")), "", 1, Verdict.FINDINGS),
        (pip(unknown("a"), unknown("b")), "No known vulnerabilities found", 0, Verdict.AWAY),
        (pip(unknown("a"), known("b")), "", 0, Verdict.BROKEN),
        (pip({"name": "a", "skip_reason": "no version"}), "", 0, Verdict.BROKEN),
        (pip(), "", 0, Verdict.BROKEN),
        (pip(known("a")), "", 1, Verdict.BROKEN),
        ("", "requests.exceptions.ConnectionError: HTTPSConnectionPool: Max retries exceeded", 1, Verdict.AWAY),
        ("", "pip-audit timed out", 124, Verdict.AWAY),
        ("", "pip-audit is not installed", 127, Verdict.BROKEN),
        ("", "ERROR: requirements.lock: unpinned requirement", 1, Verdict.BROKEN),
        ("[]", "", 0, Verdict.BROKEN),
        ("", "", 0, Verdict.BROKEN),
    ],
)
def test_h16_what_pip_audit_says_is_read_strictly(stdout: str, stderr: str, status: int, verdict: Verdict) -> None:
    assert judge_pip(stdout, stderr, status).verdict is verdict


def npm(**vulnerabilities: str) -> str:
    found = {name: {"name": name, "severity": severity} for name, severity in vulnerabilities.items()}
    return json.dumps({"vulnerabilities": found, "metadata": {"dependencies": {"total": 12}}})


REFUSED = {
    "message": "405 Method Not Allowed - POST https://registry/-/npm/v1/security/advisories/bulk",
    "statusCode": 405,
}


@pytest.mark.parametrize(
    ("stdout", "stderr", "status", "verdict"),
    [
        (npm(), "", 0, Verdict.CLEAN),
        (npm(lodash="low"), "", 1, Verdict.FINDINGS),
        (npm(lodash="low"), "", 0, Verdict.FINDINGS),
        (npm(), "", 1, Verdict.BROKEN),
        (json.dumps(REFUSED), "npm error audit endpoint returned an error", 1, Verdict.AWAY),
        (json.dumps({"statusCode": 503, "message": "503"}), "", 1, Verdict.AWAY),
        (
            json.dumps({"statusCode": 400, "message": "400 Bad Request"}),
            "audit endpoint returned an error",
            1,
            Verdict.BROKEN,
        ),
        (json.dumps({"message": "request failed, reason: connect ECONNREFUSED 127.0.0.1:1"}), "", 1, Verdict.AWAY),
        (
            json.dumps({"error": {"code": "ENOLOCK", "summary": "This command requires a lockfile."}}),
            "",
            1,
            Verdict.BROKEN,
        ),
        ("", "npm is not installed", 127, Verdict.BROKEN),
        ("null", "", 0, Verdict.BROKEN),
    ],
)
def test_h16_what_npm_audit_says_is_read_strictly(stdout: str, stderr: str, status: int, verdict: Verdict) -> None:
    assert judge_npm(stdout, stderr, status).verdict is verdict


@pytest.mark.parametrize(
    ("verdict", "status"), [(Verdict.CLEAN, 0), (Verdict.AWAY, 0), (Verdict.FINDINGS, 1), (Verdict.BROKEN, 1)]
)
def test_h16_only_findings_and_what_cannot_be_read_fail(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], verdict: Verdict, status: int
) -> None:
    monkeypatch.setattr(
        audit, "audits", lambda: [("one", Outcome(Verdict.CLEAN, ["fine"])), ("two", Outcome(verdict, ["words"]))]
    )
    assert audit.main() == status
    assert capsys.readouterr().out.splitlines()[-1] == f"two: {verdict}: words"
