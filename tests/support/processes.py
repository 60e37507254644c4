"""Starting, watching and ending real processes; each is killed by the kernel when the test run dies."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


def free_ports(count: int = 1) -> list[int]:
    """Ports nobody listens on at this moment, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def free_port() -> int:
    return free_ports(1)[0]


def wait_until(condition: Callable[[], object], seconds: float = 10.0, what: str = "the condition") -> None:
    """Look until the condition holds; AssertionError naming `what` when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come about within {seconds:g} s"
        time.sleep(0.02)


def children_of(pid: int) -> dict[str, int]:
    """The process ids of a process's children by the names they gave themselves (`ps -o comm`)."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            name, _, rest = (entry / "stat").read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue
        if int(rest.split()[1]) == pid and rest.split()[0] != "Z":
            found[name] = int(entry.name)
    return found


def descendants_of(pid: int) -> set[int]:
    """Every process below this one."""
    below: set[int] = set()
    fresh = {pid}
    parents = _parents()
    while fresh:
        fresh = {child for child, parent in parents.items() if parent in fresh} - below
        below |= fresh
    return below


def _parents() -> dict[int, int]:
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    return parents


def is_alive(pid: int) -> bool:
    """Whether the process is there and has not ended; one that nobody has collected yet counts as ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def pss_of(pids: Sequence[int]) -> int:
    """Bytes these processes hold, each shared page counted once over all that share it."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


class Server:
    """A process of the test run with its output in a file. Also a context manager that starts and stops it."""

    stop_signal = signal.SIGTERM
    stop_seconds = 30.0

    def __init__(self, log: Path) -> None:
        self.log_path = log
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> Sequence[str | Path]:
        raise NotImplementedError

    def is_ready(self) -> bool:
        """Whether it answers."""
        raise NotImplementedError

    def environment(self) -> Mapping[str, str] | None:
        return None

    def start(self, seconds: float = 60.0) -> None:
        """Start it and wait until it answers."""
        with self.log_path.open("ab") as output:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *self.identity(), "--", *self.command()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.environment(),
                cwd=self.log_path.parent,
            )
        deadline = time.monotonic() + seconds
        while not self.is_ready():
            assert self.process.poll() is None, f"{type(self).__name__} ended at once:\n{self.log()}"
            assert time.monotonic() < deadline, f"{type(self).__name__} does not answer:\n{self.log()}"
            time.sleep(0.02)

    def identity(self) -> Sequence[str]:
        """As whom it runs, as options of setpriv; nothing for whoever runs the tests."""
        return ()

    def log(self) -> str:
        """What it said so far."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def stop(self) -> int:
        """End it in good order; returns its exit status. Harmless when it has ended."""
        return self._end(self.stop_signal)

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would."""
        self._end(signal.SIGKILL)

    def hang(self) -> None:
        """Stop it from answering, connections open; `resume` lets it go on."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def _end(self, number: int) -> int:
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
            try:
                self.process.wait(self.stop_seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"{type(self).__name__} did not end in {self.stop_seconds:g} s") from None
        return self.process.returncode

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()
