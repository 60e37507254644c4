"""`make test`: every test on SQLite, then every test that touches a database on PostgreSQL, and the totals.

Arguments are handed to pytest, as in `make test TESTS="tests/incidents -k publish"`.
"""

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass

from tests.support.postgres import PostgresServer

NOTHING_COLLECTED = 5
"""pytest's exit status when no test was chosen; fine for one engine, not for both."""


@dataclass(frozen=True)
class Run:
    """How the tests ended on one engine."""

    engine: str
    status: int
    summary: str
    seconds: float


def main(arguments: list[str]) -> int:
    runs = [run("SQLite", arguments)]
    with PostgresServer() as server:
        runs.append(run("PostgreSQL", [f"--database-url={server.url('signalbox_test')}", *arguments]))
    print()
    for each in runs:
        print(f"{each.engine}: {each.summary} in {each.seconds:.0f} s")
    if all(each.status == NOTHING_COLLECTED for each in runs):
        print("No test was chosen.")
        return 1
    is_good = all(each.status in {0, NOTHING_COLLECTED} for each in runs)
    print("All passed." if is_good else "FAILED: see above.")
    return 0 if is_good else 1


def run(engine: str, arguments: list[str]) -> Run:
    """Run pytest with a worker for each core; its output goes through, its last line is kept."""
    print(f"\n=== {engine} ===", flush=True)
    started = time.monotonic()
    workers = os.environ.get("TEST_WORKERS", str(os.cpu_count() or 1))
    spread = ["-n", workers, "--dist", "loadfile"] if workers not in {"0", "1"} else []
    command = [sys.executable, "-m", "pytest", *spread, *arguments]
    last = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL) as pytest:
        assert pytest.stdout is not None
        for line in pytest.stdout:
            print(line, end="", flush=True)
            last = line.strip() or last
    summary = re.sub(r"\x1b\[[0-9;]*m", "", last).strip("= ")
    return Run(engine, pytest.returncode, re.sub(r" in [\d.]+s.*", "", summary), time.monotonic() - started)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
