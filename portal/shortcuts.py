"""What the answers given before Flask have in common: reading without a session, capturing, comparing, conditions.

A shortcut is a piece of WSGI middleware that knows an answer without rendering it. It never decides anything on
its own: what it gives out was rendered by the ordinary route, and it looks up at every turn whether that still holds.
"""

import gzip
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple, Protocol
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask
from sqlalchemy.engine import Connection

from portal.database import read_only
from portal.extensions import db

Headers = list[tuple[str, str]]

PER_ANSWER = frozenset({"content-length", "x-request-id", "date", "content-encoding"})
"""Headers of one answer that say nothing about the next."""

PER_REQUEST = (
    "HTTP_IF_NONE_MATCH",
    "HTTP_IF_MODIFIED_SINCE",
    "HTTP_IF_MATCH",
    "HTTP_IF_UNMODIFIED_SINCE",
    "HTTP_RANGE",
    "HTTP_IF_RANGE",
    "HTTP_ACCEPT_ENCODING",
)
"""Conditions of one request that must not shape an answer kept for others."""


class Reader:
    """Reads on a connection of its own, outside of any request. `connect` is replaced by tests that roll back."""

    def __init__(self, app: Flask) -> None:
        with app.app_context():
            self.connect: Callable[[], AbstractContextManager[Connection]] = db.engine.connect

    @contextmanager
    def opened(self) -> Iterator[Connection]:
        """A connection for reading, in one transaction."""
        before = read_only.set(True)
        try:
            with self.connect() as connection:
                yield connection
        finally:
            read_only.reset(before)


class Shortcut(Protocol):
    """A piece of middleware made of the app, what it wraps, and a reader."""

    def __init__(self, app: Flask, inner: WSGIApplication, reader: Reader) -> None: ...

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]: ...

    def forget(self) -> None:
        """Begin anew, as a process that has just started."""


def init_app(app: Flask, *kinds: type[Shortcut]) -> None:
    """Put these shortcuts before the app; `app.extensions["shortcuts"]` has them by class."""
    reader = Reader(app)
    made = {}
    for kind in kinds:
        made[kind] = shortcut = kind(app, app.wsgi_app, reader)
        app.wsgi_app = shortcut  # type: ignore[method-assign]
    app.extensions["shortcuts"] = made
    app.extensions["shortcut_reader"] = reader


class Captured(NamedTuple):
    """An answer as the application gave it."""

    status: int
    headers: Headers
    body: bytes

    def header(self, name: str) -> str:
        """The value of a header, "" without it."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    @property
    def may_be_kept(self) -> bool:
        """Whether it is a plain page with an ETag and nothing in it for one browser alone."""
        return self.status == HTTPStatus.OK and not self.header("set-cookie") and bool(self.header("etag"))


class Kept:
    """An answer that is given again: whole, packed, or as 304, with its headers made once."""

    def __init__(self, captured: Captured, *, packs: bool) -> None:
        lasting = [(key, value) for key, value in captured.headers if key.lower() not in PER_ANSWER]
        self.etag = captured.header("etag")
        self.body = captured.body
        self.headers = [*lasting, ("Content-Length", str(len(captured.body)))]
        self.bare_headers = [(key, value) for key, value in lasting if key.lower() != "content-type"]
        self.packed = b""
        self.packed_headers: Headers = []
        if packs:
            self.packed = gzip.compress(captured.body, 9, mtime=0)
            self.packed_headers = [
                *lasting,
                ("Content-Encoding", "gzip"),
                ("Content-Length", str(len(self.packed))),
            ]

    def answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer this request: 304 where the client has it already."""
        own = ("X-Request-Id", secrets.token_hex(8))
        condition = environ.get("HTTP_IF_NONE_MATCH")
        if condition and matches(condition, self.etag):
            start_response("304 NOT MODIFIED", [*self.bare_headers, own])
            return ()
        if self.packed and takes_gzip(environ.get("HTTP_ACCEPT_ENCODING", "")):
            body, headers = self.packed, self.packed_headers
        else:
            body, headers = self.body, self.headers
        start_response("200 OK", [*headers, own])
        return () if environ["REQUEST_METHOD"] == "HEAD" else (body,)


def capture(inner: WSGIApplication, environ: WSGIEnvironment, **changes: str) -> Captured:
    """What the application answers to this request as a GET without conditions; `changes` are put into the environ."""
    asked = {key: value for key, value in environ.items() if key not in PER_REQUEST}
    asked.update(changes, REQUEST_METHOD="GET")
    found: list[tuple[int, Headers]] = []
    written: list[bytes] = []

    def start(status: str, headers: Headers, exc_info: object = None) -> Callable[[bytes], object]:
        found.append((int(status.split(" ", 1)[0]), list(headers)))
        return written.append

    chunks = inner(asked, start)
    try:
        written.extend(chunks)
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
    status, headers = found[-1]
    return Captured(status, headers, b"".join(written))


def wants_fragment(environ: WSGIEnvironment) -> bool:
    """The same question as `fragments.wants_fragment`, asked of a bare request."""
    return (
        environ.get("HTTP_HX_REQUEST") == "true"
        and environ.get("HTTP_HX_BOOSTED") != "true"
        and environ.get("HTTP_HX_HISTORY_RESTORE_REQUEST") != "true"
        and environ.get("HTTP_HX_REQUEST_TYPE", "partial") == "partial"
    )


@lru_cache(maxsize=256)
def takes_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding header takes gzip."""
    for part in accepted.lower().split(","):
        name, _, options = part.partition(";")
        if name.strip() in {"gzip", "*"}:
            return not re.fullmatch(r"\s*q=0(\.0*)?\s*", options)
    return False


def matches(condition: str, etag: str) -> bool:
    """Whether an If-None-Match header names this ETag, compared weakly."""
    wanted = etag.removeprefix("W/")
    return any(part.strip().removeprefix("W/") in {wanted, "*"} for part in condition.split(","))
