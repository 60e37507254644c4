"""Target 5: the hub with 5,000 open pages beside a bare one, its memory, and a publish that 1,000 pages follow."""

import contextlib
import json
import resource
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import redis

from portal.config import Settings
from portal.live import CHANNEL, sign_token
from tests.bench.figures import Result, Rounds, Spread, at_most, run_rounds
from tests.bench.machine import PORTAL, child, free_port, pss, redis_server, wait_for_port

CLIENTS = 5_000
PUBLISHES = 5
ROUNDS = 6
ORIGIN = "http://a.portal.test"
TOPIC = "public:1"
HERE = Path(__file__).parent


class Crowd:
    """A process full of open streams on one port."""

    def __init__(self, process: "subprocess.Popen[str]", bells: "redis.Redis") -> None:
        self.process = process
        self.bells = bells

    def say(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self) -> list[str]:
        assert self.process.stdout
        words = self.process.stdout.readline().split()
        if not words:
            raise RuntimeError("the crowd is gone")
        return words

    def seconds_to_last(self) -> float:
        """Publish once, and the seconds until the last of them has heard it."""
        self.say(f"{TOPIC} {CLIENTS}")
        self.hear()
        time.sleep(0.05)
        began = time.monotonic()
        self.bells.publish(CHANNEL, json.dumps({"topic": TOPIC, "version": 1}))
        return float(self.hear()[0]) - began


@contextlib.contextmanager
def crowd(port: int, requests: Path, bells: "redis.Redis", clients: int = CLIENTS) -> Iterator[Crowd]:
    """Open that many streams."""
    command = [sys.executable, str(HERE / "crowd.py"), str(port), str(requests), str(clients)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        opened = Crowd(process, bells)
        try:
            word, count = opened.hear()[:2]
            assert (word, int(count)) == ("ready", clients)
            yield opened
        finally:
            process.kill()


def measure(folder: Path) -> list[Result]:
    """The two lines of the table about the hub itself."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # Each hub has a Redis of its own: the bells of one must not lie in the sockets of the other's pages.
    own, other = folder / "own", folder / "other"
    own.mkdir()
    other.mkdir()
    with redis_server(own) as sock, redis_server(other) as other_sock:
        settings = Settings.from_environment(
            {
                "PORTAL_INSTANCE": str(folder),
                "PORTAL_SECRET_KEY": secrets.token_urlsafe(48),
                "PORTAL_REDIS_URL": f"unix://{sock}",
            }
        )
        rounds, memory = _race(folder, sock, other_sock, settings)
    seen = rounds.ratio("hub", "bare")
    ours, bare = rounds.spread("hub"), rounds.spread("bare")
    latency = Result(
        "5a",
        f"hub, last of {CLIENTS:,} clients",
        "bare asyncio hub",
        "≤ 2.0 ×",
        seen.shown(2),
        at_most(2.0, seen),
        f"{ours.median * 1000:.0f} ms against {bare.median * 1000:.0f} ms",
    )
    per_client = Spread.of([memory])
    space = Result(
        "5b",
        "hub, memory a client",
        "–",
        "≤ 60 KiB",
        f"{memory:.1f} KiB",
        at_most(60, per_client),
        "PSS, idle taken off",
    )
    return [latency, space]


def _race(folder: Path, sock: Path, other_sock: Path, settings: Settings) -> tuple[Rounds, float]:
    bells, other_bells = (redis.Redis(unix_socket_path=str(each)) for each in (sock, other_sock))
    port, bare_port = free_port(), free_port()
    token = sign_token(settings, [TOPIC, "company:1", "service:1"], origin=ORIGIN, ends="session:x", now=time.time())
    requests, bare_requests = folder / "requests", folder / "bare_requests"
    requests.write_text(f"GET /live?token={token} HTTP/1.1|Host: a.portal.test|Origin: {ORIGIN}")
    bare_requests.write_text("GET / HTTP/1.1|Host: a.portal.test")
    environment = {
        "PORTAL_INSTANCE": str(folder),
        "PORTAL_SECRET_KEY": settings.secret_key,
        "PORTAL_REDIS_URL": settings.redis_url,
    }
    bare = [sys.executable, str(HERE / "bare_hub.py"), str(bare_port), str(other_sock)]
    portal = [str(PORTAL), "live", "--port", str(port)]
    with child(portal, env=environment) as pid, child(bare):
        wait_for_port(port)
        wait_for_port(bare_port)
        idle = pss(pid)
        with crowd(port, requests, bells) as ours, crowd(bare_port, bare_requests, other_bells) as theirs:
            memory = (pss(pid) - idle) / CLIENTS
            for warm in (ours, theirs):
                _typical(warm)
            contenders = {"hub": lambda: _typical(ours), "bare": lambda: _typical(theirs)}
            return run_rounds(contenders, ROUNDS), memory


def _typical(streams: Crowd) -> float:
    return Spread.of([streams.seconds_to_last() for _ in range(PUBLISHES)]).median
