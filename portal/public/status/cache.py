"""The public status page, kept: rendered once for each change, given to everybody until the next.

It is kept under the version of the domain's public topic and of the domain itself. Both are looked up a few times a
second for all domains at once, so a change shows within a second on every web process; the copy also dies with the
minute, for relative times and new days, and when planned work starts or ends.
"""

import threading
import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask
from sqlalchemy import String, cast, func, literal, select
from sqlalchemy.exc import SQLAlchemyError

from portal import clock, shortcuts
from portal.access import cookie_name
from portal.domains.models import PortalDomain
from portal.domains.rules import Area, normal_host
from portal.events import LiveTopic
from portal.incidents.queries import next_boundary
from portal.shortcuts import Kept, Reader, capture

LOOK_EVERY = 0.25
"""Seconds between two looks at the versions, in each process."""

PATH = "/status"

_VERSIONS = select(
    PortalDomain.host, PortalDomain.id, PortalDomain.version, PortalDomain.areas, func.coalesce(LiveTopic.version, 0)
).outerjoin(LiveTopic, LiveTopic.name == literal("public:") + cast(PortalDomain.id, String))


class Version(NamedTuple):
    """What a kept page depends on."""

    domain_id: int
    domain_version: int
    topic_version: int


class Copy(NamedTuple):
    """A page under its version, until a moment of the clock."""

    version: Version
    dies_at: datetime
    page: Kept


class PublicPages:
    """WSGI middleware: answers for the public status page to whoever is signed out; everything else goes through.

    `look_every` is LOOK_EVERY in service; 0 looks at every request.
    """

    def __init__(self, app: Flask, inner: WSGIApplication, reader: Reader) -> None:
        self.app = app
        self.inner = inner
        self.reader = reader
        self.look_every = LOOK_EVERY
        with app.app_context():
            self._cookie = cookie_name() + "="
        self._versions: Mapping[str, Version] = {}
        self._looked_at = float("-inf")
        self._looking = threading.Lock()
        self._copies: dict[tuple[str, bool], Copy] = {}
        self._rendering: dict[tuple[str, bool], threading.Lock] = {}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] != PATH or not self._may_answer(environ):
            return self.inner(environ, start_response)
        host = _host(environ.get("HTTP_HOST", ""))
        version = self._version_of(host)
        page = self._page(host, version, environ) if version else None
        if page is None:
            return self.inner(environ, start_response)
        return page.answer(environ, start_response)

    def forget(self) -> None:
        """Begin anew, as a process that has just started."""
        self._versions, self._looked_at = {}, float("-inf")
        self._copies.clear()

    def _may_answer(self, environ: WSGIEnvironment) -> bool:
        return (
            environ["REQUEST_METHOD"] in {"GET", "HEAD"}
            and not environ.get("QUERY_STRING")
            and self._cookie not in environ.get("HTTP_COOKIE", "")
        )

    def _version_of(self, host: str) -> Version | None:
        """The version of this host's public page; None where there is no such page, or no telling."""
        if time.monotonic() - self._looked_at >= self.look_every:
            with self._looking:
                if time.monotonic() - self._looked_at >= self.look_every:
                    self._look()
        return self._versions.get(host)

    def _look(self) -> None:
        try:
            with self.reader.opened() as connection:
                rows = connection.execute(_VERSIONS).all()
        except SQLAlchemyError:
            # The ordinary route will say what is the matter, and a kept page may be wrong by now.
            self._versions = {}
            return
        self._versions = {
            host: Version(domain_id, version, topic_version)
            for host, domain_id, version, areas, topic_version in rows
            if Area.PUBLIC_STATUS in areas
        }
        self._looked_at = time.monotonic()
        for key in [key for key in list(self._copies) if key[0] not in self._versions]:
            self._copies.pop(key, None)

    def _page(self, host: str, version: Version, environ: WSGIEnvironment) -> Kept | None:
        key = (host, shortcuts.wants_fragment(environ))
        copy = self._copies.get(key)
        if copy and copy.version == version and clock.utcnow() < copy.dies_at:
            return copy.page
        with self._rendering.setdefault(key, threading.Lock()):
            copy = self._copies.get(key)
            if copy and copy.version == version and clock.utcnow() < copy.dies_at:
                return copy.page
            return self._render(key, version, environ)

    def _render(self, key: tuple[str, bool], version: Version, environ: WSGIEnvironment) -> Kept | None:
        """Have the ordinary route answer as to somebody who brings nothing but the name of the host."""
        now = clock.utcnow()
        captured = capture(self.inner, environ, HTTP_HOST=key[0], HTTP_COOKIE="")
        if not captured.may_be_kept or not captured.header("cache-control").startswith("public"):
            return None
        etag = captured.header("etag").removeprefix("W/")
        headers = [
            (
                name,
                _with_encoding(value) if name.lower() == "vary" else f"W/{etag}" if name.lower() == "etag" else value,
            )
            for name, value in captured.headers
        ]
        page = Kept(captured._replace(headers=headers), packs=True)
        self._copies[key] = Copy(version, self._death(now), page)
        return page

    def _death(self, now: datetime) -> datetime:
        with self.app.app_context():
            boundary = next_boundary(now)
        minute = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
        return min(minute, boundary) if boundary else minute


def _with_encoding(vary: str) -> str:
    """Vary with Accept-Encoding: each copy is given packed or not."""
    return vary if "accept-encoding" in vary.lower() else f"{vary}, Accept-Encoding"


@lru_cache(maxsize=1024)
def _host(raw: str) -> str:
    return normal_host(raw)
