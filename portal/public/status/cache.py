"""The public status page, kept for whoever is signed out; those signed in have pages of their own.

A copy also dies with the minute, for relative times and new days.
"""

from datetime import datetime, timedelta
from wsgiref.types import WSGIApplication, WSGIEnvironment

from flask import Flask

from portal import shortcuts
from portal.access import cookie_name
from portal.kept import KeptAnswers
from portal.shortcuts import Reader

PATH = "/status"


class PublicPages(KeptAnswers):
    """Answers for the public status page and its fragment."""

    def __init__(self, app: Flask, inner: WSGIApplication, reader: Reader) -> None:
        super().__init__(app, inner, reader)
        with app.app_context():
            self._cookie = cookie_name() + "="

    def wanted(self, environ: WSGIEnvironment) -> str | None:
        if environ["PATH_INFO"] != PATH or environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
            return None
        if environ.get("QUERY_STRING") or self._cookie in environ.get("HTTP_COOKIE", ""):
            return None
        return "fragment" if shortcuts.wants_fragment(environ) else "page"

    def dies_at(self, now: datetime) -> datetime:
        return now.replace(second=0, microsecond=0) + timedelta(minutes=1)
