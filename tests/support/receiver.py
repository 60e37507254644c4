"""A real HTTP server that receives what channels are told: scripted answers, every request kept byte by byte."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Request:
    """What was asked: `headers` in lower case, `body` as it came over the wire."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Reply:
    """How a request is answered. With `hangs` it is not, until the receiver is closed; `drops` ends the connection
    without a word once everything was read."""

    status: int = 200
    body: bytes = b"ok"
    headers: Mapping[str, str] = field(default_factory=dict)
    hangs: bool = False
    drops: bool = False
    after: float = 0.0


class Receiver:
    """Answers each request with what `script` says of it (its path, or a default). Ends with `close`."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.replies: dict[str, Reply | Callable[[Request], Reply]] = {}
        self.default: Reply | Callable[[Request], Reply] = Reply()
        self.released = threading.Event()
        self._changed = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver._answer(self)

            do_GET = do_HEAD = do_POST  # noqa: N815 (the names http.server calls)

            def log_message(self, *_arguments: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_arguments: Any) -> None:
                pass  # who hangs up on us has done so on purpose

        self._server = Server(("127.0.0.1", 0), Handler)
        if context is not None:
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def wait_for(self, count: int, path: str | None = None, seconds: float = 60.0) -> list[Request]:
        """The requests to this path, once there are so many of them."""
        ends_at = time.monotonic() + seconds
        with self._changed:
            while len(found := self.to(path)) < count:
                if not self._changed.wait(ends_at - time.monotonic()) and time.monotonic() >= ends_at:
                    raise AssertionError(f"{len(found)} of {count} requests came")
        return found

    def to(self, path: str | None = None) -> list[Request]:
        return [each for each in self.requests if path is None or each.path.partition("?")[0] == path]

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        request = Request(handler.command, handler.path, headers, body)
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
        found = self.replies.get(handler.path.partition("?")[0], self.default)
        reply = found(request) if callable(found) else found
        if reply.hangs:
            self.released.wait()
        if reply.after:
            self.released.wait(reply.after)
        handler.close_connection = True
        if reply.drops or reply.hangs:
            with contextlib.suppress(OSError):
                handler.connection.shutdown(socket.SHUT_RDWR)
            return
        with contextlib.suppress(OSError):
            handler.send_response(reply.status)
            for name, value in reply.headers.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(reply.body)))
            handler.end_headers()
            if handler.command != "HEAD":
                handler.wfile.write(reply.body)
