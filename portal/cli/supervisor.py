"""One parent that starts processes, prefixes what they say, restarts what dies, and takes them all with it.

A process is either a command line or a function. A function runs in a fork of this process, so that all of them
share the pages of what was imported before; each process leads a group of its own, is told by the kernel when the
supervisor is gone, and so never outlives it, whatever ends it.
"""

import ctypes
import gc
import logging
import os
import selectors
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType

log = logging.getLogger(__name__)

FIRST_WAIT = 0.5
"""Seconds before a process that died is started again; doubled each time it dies young."""

LONGEST_WAIT = 30.0
"""Seconds that are waited at most."""

GROWN_UP = 20.0
"""Seconds after which a process counts as having worked, so that the next wait is short again."""

GRACE = 25.0
"""Seconds a process has to end after SIGTERM before it is killed with everything it started."""

WATCHED_EVERY = 1.0
"""Seconds after which a process that is not always wanted is asked about again."""

_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15
_LINE_LIMIT = 65_536
_OURS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD})
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent (whose id is given) ends, whatever ended that.

    A parent that ends in good order has ended its children before. Where it could not, everything stored survives
    a kill, while a process left over would hold ports and locks against the next start.
    """
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


@dataclass(frozen=True)
class Process:
    """What to run: a function or a command line, under the name its log lines carry.

    `ends_last` is for what the others need until they have ended, such as Redis. `waits` are the seconds it leaves to
    the others at the beginning. `is_wanted` says whether it is to run at this moment, None that it always is; it is
    asked often, and must answer at once.
    """

    name: str
    run: Callable[[], None] | Sequence[str]
    ends_last: bool = False
    waits: float = 0.0
    is_wanted: Callable[[], bool] | None = None


@dataclass
class _Child:
    process: Process
    pid: int = 0
    output: int = -1
    started: float = 0.0
    wait: float = FIRST_WAIT
    start_at: float = 0.0
    killed_at: float | None = None
    unfinished: bytes = field(default=b"")


class Supervisor:
    """Runs its processes until SIGTERM, SIGINT or SIGHUP.

    `say` is given every line of output, already prefixed.
    """

    def __init__(self, processes: Sequence[Process], say: Callable[[str], None]) -> None:
        self._children = [_Child(process) for process in processes]
        self._say = say
        self._width = max(len(process.name) for process in processes)
        self._selector = selectors.DefaultSelector()
        self._is_ending = False
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._pid = os.getpid()

    def run(self) -> None:
        """Start everything and look after it; return when all of it has ended."""
        self._listen_for_signals()
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        # What is alive now stays alive: the collector must not touch, and thereby copy, the pages shared by the forks.
        # Whatever was loaded for good before is looked through once for all of them.
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        for child in self._children:
            child.start_at = time.monotonic() + child.process.waits
        self._start_due()
        while not self._is_ending:
            self._pause(self._seconds_to_next_start())
            self._reap()
            self._end_unwanted()
            self._start_due()
        self._end([child for child in self._children if not child.process.ends_last])
        self._end([child for child in self._children if child.process.ends_last])

    def _listen_for_signals(self) -> None:
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_end)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)

    def _on_end(self, _number: int, _frame: FrameType | None) -> None:
        self._is_ending = True

    def _start(self, child: _Child) -> None:
        read, write = os.pipe2(os.O_CLOEXEC)
        sys.stdout.flush()
        sys.stderr.flush()
        # A signal that reached the fork while it still has our handlers would be swallowed there, so it waits.
        signal.pthread_sigmask(signal.SIG_BLOCK, _OURS)
        try:
            pid = os.fork()
            if pid == 0:
                os.close(read)
                self._become(child.process, write)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _OURS)
        os.close(write)
        os.set_blocking(read, False)
        self._selector.register(read, selectors.EVENT_READ, child)
        child.pid, child.output, child.started = pid, read, time.monotonic()

    def _become(self, process: Process, output: int) -> None:
        """The child's side of the fork; never returns."""
        status = 1
        try:
            os.setpgid(0, 0)
            signal.set_wakeup_fd(-1)
            for number in _OURS:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _OURS)
            die_with_parent(self._pid)
            _libc.prctl(_PR_SET_NAME, process.name.encode(), 0, 0, 0)
            self._selector.close()
            os.close(self._wake_read)
            os.close(self._wake_write)
            for sibling in self._children:
                if sibling.output >= 0:
                    os.close(sibling.output)
            nothing = os.open(os.devnull, os.O_RDONLY)
            os.dup2(nothing, 0)
            os.dup2(output, 1)
            os.dup2(output, 2)
            if callable(process.run):
                process.run()
            else:
                os.execvp(process.run[0], list(process.run))  # noqa: S606 (a fixed command line of ours)
            status = 0
        except SystemExit as ending:
            status = ending.code if isinstance(ending.code, int) else 1
        except KeyboardInterrupt:
            status = 0
        except BaseException:
            log.exception("%s ended with an error", process.name)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _seconds_to_next_start(self) -> float | None:
        now = time.monotonic()
        moments = [child.start_at for child in self._children if not child.pid and not child.process.is_wanted]
        if any(child.process.is_wanted for child in self._children):
            moments.append(now + WATCHED_EVERY)
        return max(0.0, min(moments) - now) if moments else None

    def _start_due(self) -> None:
        for child in self._children:
            is_due = not child.pid and child.start_at <= time.monotonic()
            if is_due and not self._is_ending and _is_wanted(child.process):
                self._start(child)

    def _end_unwanted(self) -> None:
        """Ask what is no longer wanted to end, and kill it when it has not after the grace."""
        for child in self._children:
            if not child.pid or (child.killed_at is None and _is_wanted(child.process)):
                continue
            if child.killed_at is None:
                child.killed_at = time.monotonic() + GRACE
                _signal(child.pid, signal.SIGTERM)
            elif child.killed_at <= time.monotonic():
                _signal_group(child.pid, signal.SIGKILL)

    def _pause(self, seconds: float | None) -> None:
        """Wait for output, a signal or the time to pass, and print what was said."""
        for key, _events in self._selector.select(seconds):
            if key.data is None:
                os.read(self._wake_read, 4096)
            else:
                self._read(key.data)

    def _read(self, child: _Child) -> None:
        try:
            chunk = os.read(child.output, _LINE_LIMIT)
        except BlockingIOError:
            return
        if not chunk:
            self._hang_up(child)
            return
        *lines, child.unfinished = (child.unfinished + chunk).split(b"\n")
        if len(child.unfinished) > _LINE_LIMIT:
            lines, child.unfinished = [*lines, child.unfinished], b""
        for line in lines:
            self._tell(child, line)

    def _hang_up(self, child: _Child) -> None:
        if child.output < 0:
            return
        if child.unfinished:
            self._tell(child, child.unfinished)
        self._selector.unregister(child.output)
        os.close(child.output)
        child.output, child.unfinished = -1, b""

    def _tell(self, child: _Child, line: bytes) -> None:
        text = "".join(c if c.isprintable() else " " for c in line.decode("utf-8", "replace"))
        self._say(f"{child.process.name:<{self._width}} | {text}".rstrip())

    def _reap(self) -> None:
        """Collect whoever ended and note when to start it again."""
        for child in self._children:
            if not child.pid:
                continue
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                self._bury(child, status)

    def _bury(self, child: _Child, status: int) -> None:
        # What it started and left behind would hold its ports and its locks.
        _signal_group(child.pid, signal.SIGKILL)
        if child.output >= 0:
            self._read(child)
            self._hang_up(child)
        age = time.monotonic() - child.started
        child.pid = 0
        if self._is_ending:
            return
        if child.killed_at is not None:
            self._say(f"{child.process.name:<{self._width}} | ended: it is not wanted at the moment")
            child.killed_at, child.wait, child.start_at = None, FIRST_WAIT, 0.0
            return
        child.wait = FIRST_WAIT if age >= GROWN_UP else min(child.wait, LONGEST_WAIT)
        code = os.waitstatus_to_exitcode(status)
        how = f"was ended by signal {-code}" if code < 0 else f"ended with status {code}"
        self._say(f"{child.process.name:<{self._width}} | {how}; starting it again in {child.wait:g} s")
        child.start_at = time.monotonic() + child.wait
        child.wait *= 2

    def _end(self, children: Sequence[_Child]) -> None:
        """Ask these to end, wait for them, and kill what is left after the grace."""
        deadline = time.monotonic() + GRACE
        for child in children:
            if child.pid:
                _signal(child.pid, signal.SIGTERM)
        while any(child.pid for child in children):
            left = deadline - time.monotonic()
            if left <= 0:
                for child in children:
                    if child.pid:
                        _signal_group(child.pid, signal.SIGKILL)
                left = 1.0
            self._pause(min(left, 0.5))
            self._reap()


def _is_wanted(process: Process) -> bool:
    return process.is_wanted is None or process.is_wanted()


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return
