"""The processes that send, started from the nursery, and everything that can be done to them."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

from tests.conftest import REPOSITORY
from tests.support.processes import descendants_of, is_alive, wait_until

PATIENCE = 60.0
"""Seconds that anything may take on a machine that does much else."""


class Senders:
    """The sending processes of one installation. Also a context manager, which leaves none behind.

    `log` is a file with everything they say.
    """

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self.log_path = folder / f"senders-{os.urandom(4).hex()}.log"
        self.environment = environment
        self.roots: dict[int, str] = {}
        self._nursery: subprocess.Popen[str] | None = None

    def start(self, kind: str, *arguments: int) -> int:
        """Start `worker N` (a parent with so many children; with 1 only itself), `pulse` or `timetable`; its id."""
        assert self._nursery is not None
        assert self._nursery.stdin is not None
        assert self._nursery.stdout is not None
        command = " ".join([kind, *(str(each) for each in arguments)])
        self._nursery.stdin.write(f"{command}\n")
        self._nursery.stdin.flush()
        answer = self._nursery.stdout.readline()
        assert answer.strip(), f"the nursery is dead:\n{self.log()}"
        self.roots[int(answer)] = command
        return int(answer)

    def again(self, command: str) -> int:
        """Start what this command had started."""
        kind, *arguments = command.split()
        return self.start(kind, *(int(each) for each in arguments))

    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def tree(self, root: int) -> list[int]:
        """A process and everything below it that is alive."""
        return [pid for pid in (root, *descendants_of(root)) if is_alive(pid)]

    def kill(self, pids: Iterable[int], port: int) -> int:
        """SIGKILL these, with which all below them end; returns how many connections to this port that cut."""
        pids = list(pids)
        ending = {each for pid in pids for each in self.tree(pid)}
        _signal(ending, signal.SIGSTOP)
        held = sum(len(connections_of(pid, port)) for pid in ending)
        _signal(pids, signal.SIGKILL)
        wait_until(lambda: not any(is_alive(pid) for pid in ending), PATIENCE, "the end of what was killed")
        for pid in pids:
            self.roots.pop(pid, None)
        return held

    @staticmethod
    def signal(pid: int, number: int) -> None:
        """Send it a signal; harmless when it has ended."""
        _signal([pid], number)

    def end(self, root: int, seconds: float = PATIENCE) -> None:
        """SIGTERM, and wait until it and all below it have ended."""
        pids = self.tree(root)
        _signal([root], signal.SIGTERM)
        wait_until(lambda: not any(is_alive(pid) for pid in pids), seconds, "the end of what was asked to end")
        self.roots.pop(root, None)

    def end_all(self) -> None:
        """SIGTERM to every one, and wait for the last."""
        pids = [pid for root in self.roots for pid in self.tree(root)]
        _signal(self.roots, signal.SIGTERM)
        wait_until(lambda: not any(is_alive(pid) for pid in pids), PATIENCE, "the end of the senders")
        self.roots.clear()

    def __enter__(self) -> Self:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
        with self.log_path.open("ab") as output:
            self._nursery = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", sys.executable, "-m", "tests.workers.nursery"],
                cwd=REPOSITORY,
                env={**inherited, **self.environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
            )
        return self

    def __exit__(self, *_exception: object) -> None:
        assert self._nursery is not None
        with suppress(AssertionError):
            self.end_all()
        _signal([pid for root in self.roots for pid in self.tree(root)], signal.SIGKILL)
        self._nursery.kill()
        self._nursery.communicate()


def connections_of(pid: int, port: int) -> set[str]:
    """The sockets of a process that are connected to this port of 127.0.0.1."""
    held = set()
    with suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                if found := re.fullmatch(r"socket:\[(\d+)\]", str(entry.readlink())):
                    held.add(found[1])
    peer = f"0100007F:{port:04X}"
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return held & {row[9] for row in rows if row[2] == peer and row[3] == "01"}


def _signal(pids: Iterable[int], number: int) -> None:
    for pid in list(pids):
        with suppress(ProcessLookupError):
            os.kill(pid, number)
