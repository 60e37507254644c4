"""`make test`: every test on SQLite, then every test that touches a database on PostgreSQL, and the totals.

Many tests drive real processes, browsers and clocks, and share the machine with each other. So the few that failed
are run once more, alone and one after the other: what fails again fails, what passes is named beside the totals.

Arguments are handed to pytest, as in `make test TESTS="tests/incidents -k publish"`.
"""

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, replace

from tests.support.postgres import PostgresServer

NOTHING_COLLECTED = 5
"""pytest's exit status when no test was chosen; fine for one engine, not for both."""

SOME_FAILED = 1
"""pytest's exit status when tests ran and some of them failed."""

LOOKED_AT_AGAIN = 5
"""So many failures at most are looked at again: more are no accident."""


@dataclass(frozen=True)
class Run:
    """How the tests ended on one engine."""

    engine: str
    status: int
    summary: str
    seconds: float
    second_look: tuple[str, ...] = ()


def main(arguments: list[str]) -> int:
    runs = [looked_at_twice("SQLite", arguments)]
    with PostgresServer() as server:
        runs.append(looked_at_twice("PostgreSQL", [f"--database-url={server.url('signalbox_test')}", *arguments]))
    print()
    for each in runs:
        print(f"{each.engine}: {each.summary} in {each.seconds:.0f} s")
        for test in each.second_look:
            print(f"  passed only when run again alone: {test}")
    if all(each.status == NOTHING_COLLECTED for each in runs):
        print("No test was chosen.")
        return 1
    is_good = all(each.status in {0, NOTHING_COLLECTED} for each in runs)
    print("All passed." if is_good else "FAILED: see above.")
    return 0 if is_good else 1


def looked_at_twice(engine: str, arguments: list[str]) -> Run:
    """All tests, spread over the cores; a few that failed once more, alone."""
    print(f"\n=== {engine} ===", flush=True)
    workers = os.environ.get("TEST_WORKERS", str(os.cpu_count() or 1))
    spread = ["-n", workers, "--dist", "worksteal"] if workers not in {"0", "1"} else []
    first, failed = run(engine, [*spread, *arguments])
    if first.status != SOME_FAILED or not spread or not 0 < len(failed) <= LOOKED_AT_AGAIN:
        return first
    print(f"\n=== {engine}: the {len(failed)} that failed, alone ===", flush=True)
    again, _ = run(engine, [*(each for each in arguments if each.startswith("--database-url")), *failed])
    return replace(
        first,
        status=again.status,
        seconds=first.seconds + again.seconds,
        second_look=() if again.status else tuple(failed),
    )


def run(engine: str, arguments: list[str]) -> tuple[Run, list[str]]:
    """Run pytest; its output goes through, its last line and the ids of what failed are kept."""
    started = time.monotonic()
    command = [sys.executable, "-m", "pytest", *arguments]
    last, failed = "", []
    # Hundreds of processes are started from the same sources: none but the first should have to compile them.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL, env=environment
    ) as pytest:
        assert pytest.stdout is not None
        for line in pytest.stdout:
            print(line, end="", flush=True)
            last = line.strip() or last
            if found := re.match(r"(?:FAILED|ERROR) (\S+::.+?)(?: - .*)?$", line.rstrip()):
                failed.append(found[1])
    summary = re.sub(r"\x1b\[[0-9;]*m", "", last).strip("= ")
    summary = re.sub(r" in [\d.]+s.*", "", summary)
    return Run(engine, pytest.returncode, summary, time.monotonic() - started), failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
