"""What the supervisor promises: a child that dies is started again, and nothing outlives it."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import Server, children_of, descendants_of, is_alive, wait_until

pytestmark = pytest.mark.processes


class Supervised(Server):
    """A supervisor over two children: one that starts a child of its own, and a command line."""

    stop_seconds = 10

    def __init__(self, folder: Path, body: str) -> None:
        super().__init__(folder / "log")
        self.script = folder / "script.py"
        self.script.write_text(textwrap.dedent(PREAMBLE) + textwrap.dedent(body))

    def command(self) -> list[str | Path]:
        return [sys.executable, self.script]

    def is_ready(self) -> bool:
        return "ready" in self.log()


PREAMBLE = """
    import os, signal, subprocess, sys, time
    from portal.cli.supervisor import Process, Supervisor

    def sleep():
        print("ready", flush=True)
        while True:
            time.sleep(0.05)

    def stubborn():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sleep()

    def with_a_child():
        subprocess.Popen(["sleep", "600"])
        sleep()

    def say(line):
        print(line, flush=True)
"""


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Supervised]:
    body = """
        Supervisor([Process("parent", with_a_child), Process("sleeper", ["sleep", "600"])], say).run()
        say("all ended")
    """
    server = Supervised(tmp_path, body)
    server.start()
    wait_until(lambda: len(descendants_of(server.pid)) == 3, what="the three processes")
    yield server
    server.kill()


def test_a_killed_child_is_started_again(supervised: Supervised) -> None:
    before = children_of(supervised.pid)["sleeper" if "sleeper" in children_of(supervised.pid) else "sleep"]
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: "sleeper | was ended by signal 9; starting it again in 0.5 s" in supervised.log())
    wait_until(lambda: before not in descendants_of(supervised.pid) and len(descendants_of(supervised.pid)) == 3)


def test_what_a_dead_child_started_goes_with_it(supervised: Supervised) -> None:
    parent = children_of(supervised.pid)["parent"]
    (grandchild,) = descendants_of(parent)
    os.kill(parent, signal.SIGKILL)
    wait_until(lambda: not is_alive(grandchild), what="the end of the grandchild")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_everything_ends_in_good_order_when_asked(supervised: Supervised, number: signal.Signals) -> None:
    below = descendants_of(supervised.pid)
    os.kill(supervised.pid, number)
    assert supervised.process is not None
    assert supervised.process.wait(10) == 0
    assert "all ended" in supervised.log()
    wait_until(lambda: not any(is_alive(pid) for pid in below), what="the end of all")


def test_a_child_that_is_just_being_started_hears_that_it_should_end(tmp_path: Path) -> None:
    """The signal comes in the moment between the fork and the start of the command line."""
    body = """
        class Slow(Supervisor):
            def _become(self, process, output):
                os.kill(os.getpid(), signal.SIGTERM)
                super()._become(process, output)

        supervisor = Slow([Process("late", ["sleep", "600"])], say)
        print("ready", flush=True)
        supervisor.run()
    """
    with Supervised(tmp_path, body) as server:
        wait_until(lambda: "late | was ended by signal 15" in server.log())


def test_nothing_outlives_a_supervisor_that_is_killed(supervised: Supervised) -> None:
    children = set(children_of(supervised.pid).values())
    os.kill(supervised.pid, signal.SIGKILL)
    wait_until(lambda: not any(is_alive(pid) for pid in children), what="the end of the children")


def test_each_line_carries_the_name_of_its_process_and_no_control_characters(tmp_path: Path) -> None:
    body = r"""
        def talk():
            sys.stdout.write("\x1b[31mred\x07\nno line end")
            sys.stdout.flush()
            time.sleep(0.3)
            print("\nready", flush=True)
            time.sleep(600)

        Supervisor([Process("talker", talk), Process("x", ["sleep", "600"])], say).run()
    """
    server = Supervised(tmp_path, body)
    with server:
        assert "talker |  [31mred\n" in server.log()
        assert "talker | no line end\n" in server.log()


def test_a_child_that_keeps_dying_is_waited_for_ever_longer(tmp_path: Path) -> None:
    body = """
        def fail():
            print("ready", flush=True)
            sys.exit(3)

        Supervisor([Process("broken", fail)], say).run()
    """
    with Supervised(tmp_path, body) as server:
        wait_until(lambda: "ended with status 3; starting it again in 1 s" in server.log())
        assert "ended with status 3; starting it again in 0.5 s" in server.log()


def test_a_child_that_does_not_end_is_killed_after_its_grace(tmp_path: Path) -> None:
    body = """
        import portal.cli.supervisor
        portal.cli.supervisor.GRACE = 0.5
        Supervisor([Process("stubborn", stubborn)], say).run()
        say("all ended")
    """
    with Supervised(tmp_path, body) as server:
        (pid,) = children_of(server.pid).values()
        started = time.monotonic()
        server.stop()
        assert time.monotonic() - started < 5
        assert not is_alive(pid)
        assert "all ended" in server.log()


def test_one_that_leaves_the_others_some_time_begins_after_them(tmp_path: Path) -> None:
    body = """
        begun = time.monotonic()

        def told(name):
            def run():
                print(f"{name} after {int(time.monotonic() - begun)}", flush=True)
                sleep()
            return run

        Supervisor([Process("late", told("late"), waits=2), Process("web", told("web"))], say).run()
        say("all ended")
    """
    with Supervised(tmp_path, body) as server:
        wait_until(lambda: "late | late after" in server.log())
        assert server.log().index("web after") < server.log().index("late after")
        assert "late after 0" not in server.log()
        assert "late after 1" not in server.log()
        server.stop()
        assert "all ended" in server.log()


def test_what_others_need_ends_after_them(tmp_path: Path) -> None:
    body = """
        def until_asked(name, seconds):
            def end(_number, _frame):
                time.sleep(seconds)
                print(f"{name} ended", flush=True)
                os._exit(0)
            def run():
                signal.signal(signal.SIGTERM, end)
                sleep()
            return run

        Supervisor([Process("redis", until_asked("redis", 0), ends_last=True),
                    Process("worker", until_asked("worker", 0.5))], say).run()
    """
    with Supervised(tmp_path, body) as server:
        wait_until(lambda: server.log().count("ready") == 2)
        server.stop()
        assert server.log().index("worker ended") < server.log().index("redis ended")


def test_an_error_in_a_child_is_told_in_one_line(tmp_path: Path) -> None:
    body = """
        import portal.logs
        portal.logs.set_up()
        def fail():
            print("ready", flush=True)
            raise RuntimeError("no such thing")

        Supervisor([Process("broken", fail)], say).run()
    """
    with Supervised(tmp_path, body) as server:
        wait_until(lambda: "ended with status 1" in server.log())
        (line,) = [line for line in server.log().splitlines() if "no such thing" in line]
        assert line.startswith("broken | ")


def test_a_process_started_by_hand_dies_with_its_parent(tmp_path: Path) -> None:
    script = "import os, time\nfrom portal.cli.supervisor import die_with_parent\ndie_with_parent(1)\ntime.sleep(60)"
    done = subprocess.run([sys.executable, "-c", script], check=False, timeout=20)
    assert done.returncode == 1, "it must not live on when its parent is already gone"


def test_what_is_wanted_at_times_runs_just_then(tmp_path: Path) -> None:
    flag = tmp_path / "wanted"
    body = f"""
        from pathlib import Path
        wanted = Process("guest", stubborn, is_wanted=Path({str(flag)!r}).exists)
        from portal.cli import supervisor
        supervisor.GRACE = 1.5
        Supervisor([Process("host", sleep), wanted], say).run()
    """
    started = Supervised(tmp_path, body)
    started.start()
    try:
        wait_until(lambda: set(children_of(started.pid)) == {"host"}, what="what is always wanted")
        flag.touch()
        wait_until(lambda: "guest" in children_of(started.pid), 5, "what is wanted now")
        guest = children_of(started.pid)["guest"]
        os.kill(guest, signal.SIGKILL)
        wait_until(lambda: children_of(started.pid).get("guest", guest) != guest, 5, "another")
        wait_until(lambda: started.log().count("guest | ready") == 2, what="that it listens to nobody")
        flag.unlink()
        wait_until(lambda: "guest" not in children_of(started.pid), 8, "the end of what is not wanted")
        wait_until(lambda: "guest | ended: it is not wanted at the moment" in started.log(), what="the reason")
        assert started.log().count("starting it again") == 1
        flag.touch()
        wait_until(lambda: "guest" in children_of(started.pid), 5, "what is wanted again")
    finally:
        started.stop()
