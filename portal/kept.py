"""Answers for everybody signed out, kept: made once for each change, given to everybody until the next.

They are kept under the version of the domain's public topic and of the domain itself. Both are looked up a few times
a second for all domains at once, so a change shows within a second on every web process; a copy also dies when planned
work or an announcement starts or ends, and when its kind says so.
"""

import threading
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask
from sqlalchemy import String, cast, func, literal, select
from sqlalchemy.exc import SQLAlchemyError

from portal import clock
from portal.domains.announcements import queries as announcements
from portal.domains.models import PortalDomain
from portal.domains.rules import Area, normal_host
from portal.events import LiveTopic
from portal.incidents.queries import next_boundary
from portal.shortcuts import Captured, Kept, Reader, capture

LOOK_EVERY = 0.25
"""Seconds between two looks at the versions, in each process."""

NEVER = datetime.max.replace(tzinfo=UTC)

_VERSIONS = select(
    PortalDomain.host, PortalDomain.id, PortalDomain.version, PortalDomain.areas, func.coalesce(LiveTopic.version, 0)
).outerjoin(LiveTopic, LiveTopic.name == literal("public:") + cast(PortalDomain.id, String))


class Version(NamedTuple):
    """What a kept answer depends on."""

    domain_id: int
    domain_version: int
    topic_version: int


class Copy(NamedTuple):
    """An answer under its version, until a moment of the clock."""

    version: Version
    dies_at: datetime
    answer: Kept


class Versions:
    """The versions of all portal domains with a public page, by host; looked up at most every `look_every` seconds.

    One for all kinds of kept answers of a process. `look_every` is LOOK_EVERY in service; 0 looks every time.
    """

    def __init__(self, reader: Reader) -> None:
        self.look_every = LOOK_EVERY
        self._reader = reader
        self._looking = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """Know nothing."""
        self._by_host: Mapping[str, Version] = {}
        self._looked_at = float("-inf")

    def __contains__(self, host: str) -> bool:
        return host in self._by_host

    def of(self, host: str) -> Version | None:
        """The version of this host's public page; None where there is no such page, or no telling."""
        if time.monotonic() - self._looked_at >= self.look_every:
            with self._looking:
                if time.monotonic() - self._looked_at >= self.look_every:
                    self._look()
        return self._by_host.get(host)

    def _look(self) -> None:
        try:
            with self._reader.opened() as connection:
                rows = connection.execute(_VERSIONS).all()
        except SQLAlchemyError:
            # The ordinary route will say what is the matter, and a kept answer may be wrong by now.
            self._by_host = {}
            return
        self._by_host = {
            host: Version(domain_id, version, topic_version)
            for host, domain_id, version, areas, topic_version in rows
            if Area.PUBLIC_STATUS in areas
        }
        self._looked_at = time.monotonic()


class KeptAnswers:
    """WSGI middleware that gives the answers of one kind from copies; everything else goes through.

    A kind says which requests are its own, and what they ask for; an answer is made by the ordinary route, as to
    somebody who brings nothing but the name of the host, and kept where that marks it as public.
    """

    def __init__(self, app: Flask, inner: WSGIApplication, reader: Reader) -> None:
        self.app = app
        self.inner = inner
        self.versions: Versions = app.extensions.setdefault("public_versions", Versions(reader))
        self._copies: dict[tuple[str, str], Copy] = {}
        self._making: dict[tuple[str, str], threading.Lock] = {}

    def wanted(self, environ: WSGIEnvironment) -> str | None:
        """What this request asks for, one of few names; None for what is not of this kind."""
        raise NotImplementedError

    def brings(self, name: str) -> dict[str, str]:
        """What of the request the answer of this name is made from, beside the name of the host; else it is bare."""
        return {}

    def dies_at(self, now: datetime) -> datetime:
        """When an answer made now must be made anew though nothing was written; NEVER if it need not."""
        return NEVER

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        name = self.wanted(environ)
        if name is None:
            return self.inner(environ, start_response)
        host = _host(environ.get("HTTP_HOST", ""))
        version = self.versions.of(host)
        kept = self._kept((host, name), version, environ) if version else None
        if kept is None:
            return self.inner(environ, start_response)
        return kept.answer(environ, start_response)

    @property
    def look_every(self) -> float:
        """Seconds between two looks at the versions."""
        return self.versions.look_every

    @look_every.setter
    def look_every(self, seconds: float) -> None:
        self.versions.look_every = seconds

    def forget(self) -> None:
        """Begin anew, as a process that has just started."""
        self.versions.forget()
        self._copies.clear()

    def _kept(self, key: tuple[str, str], version: Version, environ: WSGIEnvironment) -> Kept | None:
        if found := self._valid(key, version):
            return found
        with self._making.setdefault(key, threading.Lock()):
            return self._valid(key, version) or self._make(key, version, environ)

    def _valid(self, key: tuple[str, str], version: Version) -> Kept | None:
        copy = self._copies.get(key)
        return copy.answer if copy and copy.version == version and clock.utcnow() < copy.dies_at else None

    def _make(self, key: tuple[str, str], version: Version, environ: WSGIEnvironment) -> Kept | None:
        now = clock.utcnow()
        bare = {"HTTP_HOST": key[0], "HTTP_COOKIE": "", "QUERY_STRING": ""}
        captured = capture(self.inner, environ, **(bare | self.brings(key[1])))
        if not captured.may_be_kept or not captured.header("cache-control").startswith("public"):
            return None
        answer = Kept(_packable(captured), packs=True)
        for gone in [each for each in list(self._copies) if each[0] not in self.versions]:
            self._copies.pop(gone, None)
        self._copies[key] = Copy(version, self._death(now), answer)
        return answer

    def _death(self, now: datetime) -> datetime:
        with self.app.app_context():
            boundaries = next_boundary(now), announcements.next_boundary(now)
        return min(self.dies_at(now), *(each or NEVER for each in boundaries))


def _packable(captured: Captured) -> Captured:
    """The answer as one that is given packed or not: its tag is weak, and it varies by what the reader takes."""
    etag = captured.header("etag").removeprefix("W/")
    vary = [captured.header("vary")] if captured.header("vary") else []
    if not any("accept-encoding" in each.lower() for each in vary):
        vary.append("Accept-Encoding")
    others = [(name, value) for name, value in captured.headers if name.lower() not in {"etag", "vary"}]
    return captured._replace(headers=[*others, ("ETag", f"W/{etag}"), ("Vary", ", ".join(vary))])


@lru_cache(maxsize=1024)
def _host(raw: str) -> str:
    return normal_host(raw)
