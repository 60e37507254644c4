"""Polls of the home's banner, answered without rendering it while nothing has changed.

Every open home of a company asks for the same fragment again and again. The session is checked for every request,
as the ordinary route would; then the versions of all topics the banner depends on are compared with those the kept
fragment was rendered under. All pages of one company that read the same language in the same zone share a copy.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask
from sqlalchemy import String, bindparam, cast, literal, select, union_all
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.http import parse_cookie

from portal import clock, shortcuts
from portal.access import cookie_name
from portal.accounts.actions import token_hash
from portal.accounts.models import Company, Membership, Person, Session
from portal.accounts.rules import session_is_live
from portal.catalogue.models import Holding
from portal.catalogue.queries import is_valid
from portal.database import UTCDateTime
from portal.domains.models import Admission, PortalDomain
from portal.domains.rules import normal_host
from portal.events import LiveTopic, company_topic, public_topic
from portal.prepared import prepared
from portal.services.queries import next_boundary
from portal.shortcuts import Captured, Kept, Reader, capture

PATH = "/banner"

MOST_COPIES = 2_000
"""Fragments kept in each process, about 3 KB each; the one not asked for longest goes first."""

LOCKS = 64

_VISITOR = (
    select(
        Session.created_at,
        Session.last_seen_at,
        Session.revoked_at,
        Session.company_id,
        Person.role,
        Person.language,
        Person.time_zone,
        PortalDomain.id.label("domain_id"),
        PortalDomain.version.label("domain_version"),
    )
    .join(Person, Person.id == Session.person_id)
    .join(Company, Company.id == Session.company_id)
    .join(Membership, (Membership.person_id == Person.id) & (Membership.company_id == Company.id))
    .join(PortalDomain, PortalDomain.host == Session.host)
    .join(Admission, (Admission.company_id == Company.id) & (Admission.domain_id == PortalDomain.id))
    .where(
        Session.token_hash == bindparam("token_hash"),
        Session.host == bindparam("host"),
        Session.revoked_at.is_(None),
        Session.is_view_as.is_(False),
        Person.deactivated_at.is_(None),
        Company.archived_at.is_(None),
    )
)
"""The session with everything that must hold for it; no row where any of it does not."""


class Copy(NamedTuple):
    """A fragment under the versions it was rendered for, until a moment of the clock."""

    versions: tuple[Any, ...]
    dies_at: datetime
    fragment: Kept


class BannerPolls:
    """WSGI middleware: answers the banner's polls of signed-in customers; everything else goes through."""

    def __init__(self, app: Flask, inner: WSGIApplication, reader: Reader) -> None:
        self.app = app
        self.inner = inner
        self.reader = reader
        with app.app_context():
            self._cookie = cookie_name()
        self._copies: OrderedDict[tuple[Any, ...], Copy] = OrderedDict()
        self._guard = threading.Lock()
        self._rendering = [threading.Lock() for _ in range(LOCKS)]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] != PATH or not _is_poll(environ):
            return self.inner(environ, start_response)
        now = clock.utcnow()
        try:
            known = self._look(environ, now)
        except SQLAlchemyError:
            known = None  # the ordinary route will say what is the matter
        if known is None:
            return self.inner(environ, start_response)
        key, versions = known
        fragment = self._kept(key, versions, now)
        if fragment is None:
            with self._rendering[hash(key) % LOCKS]:
                fragment = self._kept(key, versions, now) or self._render(key, versions, environ, now)
        if fragment is None:
            return self.inner(environ, start_response)
        return fragment.answer(environ, start_response)

    def forget(self) -> None:
        """Begin anew, as a process that has just started."""
        with self._guard:
            self._copies.clear()

    def _look(self, environ: WSGIEnvironment, now: datetime) -> tuple[tuple[Any, ...], tuple[Any, ...]] | None:
        """Whose banner this is and the versions it depends on now; None for whom the ordinary route must answer."""
        token = parse_cookie(environ.get("HTTP_COOKIE", "")).get(self._cookie)
        host = normal_host(environ.get("HTTP_HOST", ""))
        if not token or not host:
            return None
        with self.reader.opened() as connection:
            found = prepared(_VISITOR).rows(connection, {"token_hash": token_hash(token), "host": host})
            visitor = found[0] if found else None
            if visitor is None or not session_is_live(
                is_staff=visitor.role is not None,
                created_at=visitor.created_at,
                last_seen_at=visitor.last_seen_at,
                revoked_at=visitor.revoked_at,
                now=now,
            ):
                return None
            values = {
                "public": public_topic(visitor.domain_id),
                "company": company_topic(visitor.company_id),
                "company_id": visitor.company_id,
                "now": now,
            }
            versions = sorted(prepared(_VERSIONS).rows(connection, values))
        key = (host, visitor.company_id, visitor.language, visitor.time_zone)
        return key, (visitor.domain_id, visitor.domain_version, *versions)

    def _kept(self, key: tuple[Any, ...], versions: tuple[Any, ...], now: datetime) -> Kept | None:
        with self._guard:
            copy = self._copies.get(key)
            if copy is None or copy.versions != versions or now >= copy.dies_at:
                return None
            self._copies.move_to_end(key)
            return copy.fragment

    def _render(
        self, key: tuple[Any, ...], versions: tuple[Any, ...], environ: WSGIEnvironment, now: datetime
    ) -> Kept | None:
        captured: Captured = capture(self.inner, environ)
        if not captured.may_be_kept:
            return None
        with self.app.app_context():
            boundary = next_boundary(now)
        minute = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
        fragment = Kept(captured, packs=False)
        with self._guard:
            self._copies[key] = Copy(versions, min(minute, boundary) if boundary else minute, fragment)
            while len(self._copies) > MOST_COPIES:
                self._copies.popitem(last=False)
        return fragment


def _is_poll(environ: WSGIEnvironment) -> bool:
    return (
        environ["REQUEST_METHOD"] == "GET"
        and environ.get("HTTP_X_BACKGROUND") == "1"
        and not environ.get("QUERY_STRING")
        and shortcuts.wants_fragment(environ)
    )


def _versions() -> Any:
    """The versions of the topics that ring for a company, those of all it holds among them. Every part by its key."""
    moment: Any = bindparam("now", type_=UTCDateTime())
    held = select(literal("service:") + cast(Holding.service_id, String)).where(
        Holding.company_id == bindparam("company_id"), is_valid(Holding, moment)
    )
    own = [bindparam("public", type_=String()), bindparam("company", type_=String())]
    columns = (LiveTopic.name, LiveTopic.version)
    return union_all(select(*columns).where(LiveTopic.name.in_(own)), select(*columns).where(LiveTopic.name.in_(held)))


_VERSIONS = _versions()
