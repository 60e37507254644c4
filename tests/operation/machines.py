"""Several machines, played on one: two of every process on one database and one Redis, behind nginx."""

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection
from pathlib import Path
from typing import Self

from tests.support.processes import Server, free_ports, wait_until
from tests.support.product import EXECUTABLE, Portal

PROCESSES = ("web", "live", "worker", "timetable", "pulse")

NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
worker_processes 1;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream signalbox_web  {{ {web} keepalive 16; }}
    upstream signalbox_live {{ {live} }}
    server {{
        listen 127.0.0.1:{port};
        client_max_body_size 25m;
        proxy_http_version 1.1;
        proxy_set_header Host $http_host;
        proxy_set_header Connection "";
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
        location = /live {{
            proxy_pass http://signalbox_live;
            proxy_buffering off;
            proxy_read_timeout 1h;
        }}
        location / {{
            proxy_pass http://signalbox_web;
            proxy_connect_timeout 2s;
            proxy_next_upstream error timeout http_503;
            proxy_next_upstream_tries 2;
        }}
    }}
}}
"""
"""As in the README, but for the paths and ports of a test."""


class Process(Server):
    """One process of the product, on a machine of its own."""

    def __init__(self, name: str, port: int, variables: Mapping[str, str], folder: Path) -> None:
        self.name, self.port = name, port
        self.variables = {**variables, "PORTAL_INSTANCE": str(folder / secrets.token_hex(4))}
        Path(self.variables["PORTAL_INSTANCE"]).mkdir()
        super().__init__(folder / f"{name}-{secrets.token_hex(4)}.log")

    def command(self) -> Sequence[str | Path]:
        options = {"web": ["--workers", "1"], "worker": ["--processes", "1"]}.get(self.name, [])
        return [EXECUTABLE, self.name, *(["--port", str(self.port)] if self.port else []), *options]

    def environment(self) -> Mapping[str, str]:
        return self.variables

    def is_ready(self) -> bool:
        """Nobody waits for it yet: all of them are started first."""
        return True

    def answers(self) -> bool:
        return not self.port or answers(self.port, "/healthz")

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Proxy(Server):
    """nginx in front of the web processes and the hubs."""

    def __init__(self, web: Sequence[int], live: Sequence[int], port: int) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sb-nginx-"))
        self.port = port
        # Its worker gives up the rights of root, and must reach what stands here all the same.
        self.folder.chmod(0o755)
        super().__init__(self.folder / "log")
        servers = [
            " ".join(f"server 127.0.0.1:{each} max_fails=1 fail_timeout=2s;" for each in ports) for ports in (web, live)
        ]
        text = NGINX.format(folder=self.folder, port=self.port, web=servers[0], live=servers[1])
        user = "user root;\n" if os.geteuid() == 0 else ""
        (self.folder / "nginx.conf").write_text(user + text)

    def command(self) -> Sequence[str | Path]:
        return [shutil.which("nginx") or "/usr/sbin/nginx", "-c", self.folder / "nginx.conf", "-p", self.folder]

    def is_ready(self) -> bool:
        return answers(self.port, "/healthz")


class Machines:
    """Two machines with every process each, and a proxy. Also a context manager."""

    def __init__(self, database_url: str, redis_url: str, smtp_url: str) -> None:
        # All at once, so that none of them is given out twice.
        self.port, *self.ports = free_ports(5)
        self.portal = Portal(database_url=database_url, redis_url=redis_url, smtp_url=smtp_url)
        self.portal.variables |= {
            "PORTAL_BASE_URL": f"http://admin.portal.test:{self.port}",
            "PORTAL_LIVE_PORT": "0",
            "PORTAL_TRUSTED_PROXIES": "1",
        }
        self.folder = self.portal.folder
        self.processes: dict[str, list[Process]] = {}
        self.proxy: Proxy | None = None

    def __enter__(self) -> Self:
        self.portal.prepare()
        for name in PROCESSES:
            ports = [self.ports.pop() if name in {"web", "live"} else 0 for _ in range(2)]
            self.processes[name] = [Process(name, port, self.portal.variables, self.folder) for port in ports]
        try:
            every = [each for pair in self.processes.values() for each in pair]
            for each in every:
                each.start()
            for each in every:
                wait_until(lambda each=each: each.answers() or not each.is_running(), 120, each.name)  # type: ignore[misc]
                assert each.is_running(), each.log()
            web, live = ([each.port for each in self.processes[name]] for name in ("web", "live"))
            self.proxy = Proxy(web, live, self.port)
            self.proxy.start(120)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        running = [each for pair in self.processes.values() for each in pair]
        for each in running:
            if each.process is not None and each.process.poll() is None:
                each.process.terminate()
        for each in running:
            if each.process is not None and not _ended(each):
                each.kill()
        if self.proxy is not None:
            self.proxy.stop()
            shutil.rmtree(self.proxy.folder, ignore_errors=True)
        self.portal.__exit__()


def _ended(process: Process) -> bool:
    try:
        assert process.process is not None
        process.process.wait(30)
    except subprocess.TimeoutExpired:
        return False
    return True


def answers(port: int, path: str) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path, headers={"Host": "nobody.invalid"})
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
