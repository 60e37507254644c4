"""`make audit`: known weaknesses in what we depend on, from the lock files and from package-lock.json.

A finding is exit status 1. Where the service that knows the advisories does not answer, which is no news about the
packages, one line says so and the status is 0. What is neither of the two, such as output that cannot be read, is 1:
silence must not pass for a clean bill.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

LOCKS = ("requirements.lock", "requirements-dev.lock", "tests/support/maintnote.lock")
REPOSITORY = Path(__file__).parent.parent.parent
PATIENCE = 300
"""Seconds an auditor may take."""

AWAY = (
    "ECONNREFUSED",
    "ECONNRESET",
    "EAI_AGAIN",
    "ENOTFOUND",
    "ENETUNREACH",
    "ETIMEDOUT",
    "Connection refused",
    "ConnectionError",
    "Failed to resolve",
    "Max retries exceeded",
    "Name or service not known",
    "Network is unreachable",
    "Temporary failure in name resolution",
    "ReadTimeout",
    "timed out",
)
"""What the auditors say when nobody answers them."""

NO_AUDITS_HERE = 405
"""What a mirror that only hands out packages answers to the question for advisories."""

NOT_FOUND = "not found on PyPI"
"""pip-audit's reason for a package of which the service knows nothing; all of them at once: there is no service."""


class Verdict(StrEnum):
    CLEAN = "clean"
    FINDINGS = "findings"
    AWAY = "away"
    BROKEN = "broken"


@dataclass(frozen=True)
class Outcome:
    """What an audit came to, with a line for each weakness, or one that says why there is no answer."""

    verdict: Verdict
    lines: list[str] = field(default_factory=list)


def judge_pip(stdout: str, stderr: str, status: int) -> Outcome:
    """What `pip-audit --format=json` has found."""
    try:
        packages = json.loads(stdout)["dependencies"]
        found = [
            f"{each['name']} {each['version']}: {weakness['id']}" + _mended(weakness.get("fix_versions", []))
            for each in packages
            for weakness in each.get("vulns", [])
        ]
        skipped = [each for each in packages if "skip_reason" in each]
    except (ValueError, TypeError, KeyError):
        return _unread("pip-audit", stderr or stdout)
    if found:
        return Outcome(Verdict.FINDINGS, found)
    if packages and len(skipped) == len(packages) and all(NOT_FOUND in each["skip_reason"] for each in skipped):
        return Outcome(Verdict.AWAY, [f"PyPI's advisories do not answer: none of {len(packages)} packages is known"])
    if skipped:
        names = ", ".join(sorted(each["name"] for each in skipped)[:10])
        return Outcome(Verdict.BROKEN, [f"{len(skipped)} of {len(packages)} packages were not looked at: {names}"])
    if not packages or status:
        return Outcome(Verdict.BROKEN, [f"pip-audit looked at {len(packages)} packages and ended with {status}"])
    return Outcome(Verdict.CLEAN, [f"{len(packages)} packages without a known weakness"])


def judge_npm(stdout: str, stderr: str, status: int) -> Outcome:
    """What `npm audit --json` has found."""
    try:
        answer = json.loads(stdout)
    except ValueError:
        return _unread("npm audit", stderr or stdout)
    if not isinstance(answer, dict) or "vulnerabilities" not in answer:
        return _npm_without_answer(answer, stderr)
    found = [f"{name}: {each.get('severity', 'unknown')}" for name, each in sorted(answer["vulnerabilities"].items())]
    if found:
        return Outcome(Verdict.FINDINGS, found)
    if status:
        return Outcome(Verdict.BROKEN, [f"npm audit found nothing and yet ended with {status}"])
    total = answer.get("metadata", {}).get("dependencies", {}).get("total", 0)
    return Outcome(Verdict.CLEAN, [f"{total} packages without a known weakness"])


def _npm_without_answer(answer: object, stderr: str) -> Outcome:
    code = answer.get("statusCode") if isinstance(answer, dict) else None
    if isinstance(code, int) and (code == NO_AUDITS_HERE or code >= 500):
        return Outcome(Verdict.AWAY, [f"npm audit: the advisory service does not answer ({code})"])
    return _unread("npm audit", f"{json.dumps(answer)} {stderr}")


def _mended(versions: Iterable[str]) -> str:
    known = ", ".join(versions)
    return f", mended in {known}" if known else ""


def _unread(program: str, said: str) -> Outcome:
    words = " ".join(said.split())
    away = next((sign for sign in AWAY if sign in words), None)
    if away:
        return Outcome(Verdict.AWAY, [f"{program}: the advisory service does not answer ({away})"])
    return Outcome(Verdict.BROKEN, [f"{program} could not be understood: {words[:300] or 'it said nothing'}"])


def run(command: Sequence[str]) -> tuple[str, str, int]:
    """Output, errors and status of an auditor; one that is missing or does not end says so in its errors."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        return "", f"{command[0]} is not installed", 127
    except subprocess.TimeoutExpired:
        return "", f"{command[0]} timed out", 124
    return done.stdout, done.stderr, done.returncode


def audit_lock(lock: str, *more: str) -> Outcome:
    """Audit one lock file; `more` are options of pip-audit, such as another service to ask."""
    pip_audit = str(Path(sys.executable).with_name("pip-audit"))
    options = ["--disable-pip", "--require-hashes", "--format=json", "--progress-spinner=off", *more]
    return judge_pip(*run([pip_audit, *options, "--requirement", lock]))


def audits() -> Iterable[tuple[str, Outcome]]:
    """Every audit by the file it is about."""
    for lock in LOCKS:
        yield lock, audit_lock(lock)
    yield "package-lock.json", judge_npm(*run(["npm", "audit", "--audit-level=low", "--json"]))


def main() -> int:
    status = 0
    for name, outcome in audits():
        for line in outcome.lines:
            print(f"{name}: {outcome.verdict}: {line}", flush=True)
        if outcome.verdict in {Verdict.FINDINGS, Verdict.BROKEN}:
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
