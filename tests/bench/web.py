"""Targets 3 and 4: the public page and the banner's 304 beside nginx with the same bytes, loaded by wrk."""

import contextlib
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from portal import clock
from tests.bench.figures import Result, at_least, run_rounds
from tests.bench.machine import child, fetch, free_port, tool, wait_for_port
from tests.bench.seed import HOST, open_sessions
from tests.support.product import EXECUTABLE, Portal

ROUNDS = 5
SECONDS = 2
CONNECTIONS = 16
WORKERS = 2

BROWSER = {"Host": HOST, "Accept-Encoding": "gzip, deflate, br"}

NGINX = """
worker_processes {workers};
daemon off;
user root;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  etag on;
  keepalive_requests 1000000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    root {folder};
    location = /packed {{ default_type text/html; add_header Content-Encoding gzip; }}
    location / {{ default_type text/html; }}
  }}
}}
"""


def measure(portal: Portal, folder: Path) -> list[Result]:
    """The lines of the table for the public page and the banner. The portal is seeded and not started."""
    wrk, nginx = tool("wrk", "wrk"), tool("nginx", "nginx-light")
    with portal.database():
        cookie = open_sessions([1], 1, clock.utcnow())[1][0]
    with _web(portal) as port, _nginx(nginx, folder) as yard:
        poll = {"Host": HOST, "Cookie": f"sid={cookie}", "HX-Request": "true", "X-Background": "1"}
        _, headers, packed = _expect(port, "/status", BROWSER, 200)
        assert headers["content-encoding"] == "gzip"
        plain = _expect(port, "/status?fresh", BROWSER, 200)[2]
        banner_headers, banner = _expect(port, "/banner", poll, 200)[1:]
        (folder / "packed").write_bytes(packed)
        (folder / "plain").write_bytes(plain)
        (folder / "banner").write_bytes(banner)
        again = {**poll, "If-None-Match": banner_headers["etag"]}
        there = {"If-None-Match": _expect(yard, "/banner", {}, 200)[1]["etag"]}
        _expect(port, "/banner", again, 304)
        _expect(yard, "/banner", there, 304)
        load = _loader(wrk)
        rounds = run_rounds(
            {
                "cached": lambda: load(port, "/status", BROWSER),
                "nginx packed": lambda: load(yard, "/packed", BROWSER),
                "uncached": lambda: load(port, "/status?fresh", BROWSER),
                "nginx plain": lambda: load(yard, "/plain", {}),
                "304": lambda: load(port, "/banner", again),
                "nginx 304": lambda: load(yard, "/banner", there),
            },
            ROUNDS,
        )
    lines = [
        ("3a", f"public page, kept, {len(packed) / 1024:.1f} KiB packed", "cached", "nginx packed", 0.06),
        ("3b", f"public page, rendered, {len(plain) / 1024:.0f} KiB", "uncached", "nginx plain", 0.012),
        ("4", "banner poll answered 304, session checked", "304", "nginx 304", 0.03),
    ]
    results = []
    for target, what, ours, yardstick, wanted in lines:
        ratio = rounds.ratio(ours, yardstick)
        figures = f"{rounds.spread(ours).median:,.0f}/s against {rounds.spread(yardstick).median:,.0f}/s"
        name = {"nginx packed": "nginx, same bytes", "nginx plain": "nginx, uncompressed file"}.get(
            yardstick, yardstick
        )
        results.append(Result(target, what, name, f"≥ {wanted} ×", ratio.shown(4), at_least(wanted, ratio), figures))
    return results


@contextlib.contextmanager
def _web(portal: Portal) -> Iterator[int]:
    """Two web workers of the portal alone, without the rest of the house."""
    port = free_port()
    command = [EXECUTABLE, "web", "--port", str(port), "--workers", str(WORKERS)]
    with child([str(part) for part in command], env=portal.variables):
        wait_for_port(port)
        yield port


@contextlib.contextmanager
def _nginx(program: str, folder: Path) -> Iterator[int]:
    port = free_port()
    (folder / "nginx.conf").write_text(NGINX.format(workers=WORKERS, folder=folder, port=port))
    with child([program, "-p", str(folder), "-c", str(folder / "nginx.conf")]):
        wait_for_port(port)
        yield port


def _loader(wrk: str) -> Callable[[int, str, Mapping[str, str]], float]:
    def load(port: int, path: str, headers: Mapping[str, str]) -> float:
        """Answers a second."""
        options = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
        command = [wrk, "-t2", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--timeout", "30s", *options]
        told = subprocess.run(
            [*command, f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True, check=True, timeout=60
        ).stdout
        if "Non-2xx" in told:
            # wrk counts 304 as wrong; that it is what comes was looked at before, and 304 has no body to read.
            print(told, file=sys.stderr)
            raise RuntimeError(f"{path} was answered with errors")
        found = re.search(r"Requests/sec:\s+([\d.]+)", told)
        assert found, told
        return float(found.group(1))

    return load


def _expect(port: int, path: str, headers: Mapping[str, str], status: int) -> tuple[int, dict[str, str], bytes]:
    found = fetch(port, path, headers)
    assert found[0] == status, (path, found)
    return found
