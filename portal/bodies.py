"""What a request brings is read whole before anything is begun for it.

A client that sends a byte every few seconds would else hold one of the few places at work, and on SQLite the write
lock a POST begins with. So many requests are waited for, and few are worked on at a time. The server cannot be told
to give up on a body, so who wants dawdlers thrown out puts a proxy in front (`client_body_timeout` of nginx).
"""

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from tempfile import SpooledTemporaryFile
from typing import IO
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask, Request, abort, request
from werkzeug.exceptions import HTTPException, ServiceUnavailable
from werkzeug.wsgi import ClosingIterator

MOST_BYTES = 1_000_000
"""What a form or a call of the API may bring."""

WITH_FILES = 25_100_000
WITH_CALLS = 8_000_000
"""Ten thousand call records take half of it."""

MOST_BYTES_UNDER = {
    "/admin/imports": WITH_FILES,
    "/admin/files": WITH_FILES,
    "/admin/messages": WITH_FILES,
    "/files": WITH_FILES,
    "/messages": WITH_FILES,
    "/jobs": WITH_FILES,
    "/quotes": WITH_FILES,
    "/admin/calls": WITH_CALLS,
    "/api/v1/call-records": WITH_CALLS,
}
"""Where files and large batches are sent, by the beginning of the path: so much."""

LARGE_AT_ONCE = 8
"""Bodies of more than MOST_BYTES a web worker holds at once; a further one is refused.

Anybody can send them, because who may is known only when they have arrived: without this they could fill the disk.
"""

MOST_WAITING = 256
"""Requests a web worker reads or works on at once; further ones wait in the server's queue."""

_REFUSAL = "portal.refusal"
_PIECE = 65_536


def most_bytes(path: str) -> int:
    """How many bytes a request to this path may bring."""
    return next((most for start, most in MOST_BYTES_UNDER.items() if path.startswith(start)), MOST_BYTES)


class NoRoomError(HTTPException):
    """What is longer than the memory takes has no place on the disk either."""

    code = 507


class Bodies:
    """WSGI middleware: hands on requests with their bodies read, `at_once` at a time; one cut short is refused."""

    def __init__(self, inner: WSGIApplication, at_once: int) -> None:
        self.inner = inner
        self._room = threading.BoundedSemaphore(at_once)
        self._room_for_large = threading.BoundedSemaphore(LARGE_AT_ONCE)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        leave: list[Callable[[], None]] = []
        try:
            _arrive(environ, self._room_for_large, leave)
            self._room.acquire()
            leave.append(self._room.release)
            answer = self.inner(environ, start_response)
        except BaseException:
            _all(leave)
            raise
        if isinstance(answer, list | tuple):
            _all(leave)
            return answer
        return ClosingIterator(answer, leave)


class TidyRequest(Request):
    """A request that closes the files it brought when it is over, those too of a form that could not be read."""

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        stream = super()._get_file_stream(total_content_length, content_type, filename, content_length)
        self.__dict__.setdefault("brought", []).append(stream)
        return stream

    def close(self) -> None:
        """Close every file of the form."""
        for stream in self.__dict__.get("brought", ()):
            # On a full disk closing fails as writing did; the file is gone all the same.
            with suppress(OSError):
                stream.close()


def init_app(app: Flask) -> None:
    """Refuse what the middleware could not read, in the words and with the headers of every other refusal."""
    app.request_class = TidyRequest

    @app.teardown_request
    def _tidy(_error: BaseException | None) -> None:
        request.close()

    @app.before_request
    def _refuse() -> None:
        if code := request.environ.get(_REFUSAL):
            if code == 503:
                raise ServiceUnavailable(retry_after=5)
            if code == 507:
                raise NoRoomError
            abort(code)


def _arrive(
    environ: WSGIEnvironment, room_for_large: threading.BoundedSemaphore, leave: list[Callable[[], None]]
) -> None:
    """Read the body and put it in place of the stream it came from, unless there is none, or one too long to be read.

    `leave` is given what is to be done when the request is over.
    """
    announced = environ.get("CONTENT_LENGTH") or ""
    most = most_bytes(environ["PATH_INFO"])
    if "HTTP_TRANSFER_ENCODING" not in environ and (not announced.isdecimal() or not 0 < int(announced) <= most):
        return
    body: IO[bytes] = SpooledTemporaryFile(max_size=MOST_BYTES)  # noqa: SIM115 (closed with the answer)
    leave.append(body.close)
    size, is_large = 0, False
    while size <= most and (piece := _read(environ, min(most + 1 - size, _PIECE))):
        if most > MOST_BYTES and not is_large and size + len(piece) > MOST_BYTES:
            is_large = room_for_large.acquire(blocking=False)
            if not is_large:
                environ[_REFUSAL] = 503
                break
            leave.append(room_for_large.release)
        try:
            size += body.write(piece)
        except OSError:
            # The disk for what is too long for the memory is full.
            environ[_REFUSAL] = 507
            break
    else:
        if announced and size < int(announced):
            environ[_REFUSAL] = 400
    body.seek(0)
    environ["wsgi.input"], environ["CONTENT_LENGTH"] = body, str(size)


def _read(environ: WSGIEnvironment, most: int) -> bytes:
    """The next of what came; nothing at the end, and where the client has gone."""
    try:
        piece: bytes = environ["wsgi.input"].read(most)
    except OSError:
        environ[_REFUSAL] = 400
        return b""
    return piece


def _all(calls: Iterable[Callable[[], None]]) -> None:
    for call in calls:
        call()
