"""The public status page, kept for whoever is signed out; those signed in have pages of their own.

There is a copy for each language that somebody has chosen, beside the one in the portal domain's own.

A copy also dies with the minute, for relative times and new days.
"""

import re
from datetime import datetime, timedelta
from wsgiref.types import WSGIApplication, WSGIEnvironment

from flask import Flask

from portal import shortcuts
from portal.access import cookie_name
from portal.kept import KeptAnswers
from portal.language import COOKIE, LANGUAGES
from portal.shortcuts import Reader

PATH = "/status"

_CHOICE = re.compile(rf"(?:^|;\s*)({COOKIE}=(?:{'|'.join(LANGUAGES)}))(?=;|$)")


class PublicPages(KeptAnswers):
    """Answers for the public status page and its fragment."""

    def __init__(self, app: Flask, inner: WSGIApplication, reader: Reader) -> None:
        super().__init__(app, inner, reader)
        with app.app_context():
            self._cookie = cookie_name() + "="

    def wanted(self, environ: WSGIEnvironment) -> str | None:
        if environ["PATH_INFO"] != PATH or environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
            return None
        cookies = environ.get("HTTP_COOKIE", "")
        if environ.get("QUERY_STRING") or self._cookie in cookies:
            return None
        name = "fragment" if shortcuts.wants_fragment(environ) else "page"
        return name + _chosen(cookies) if cookies else name

    def brings(self, name: str) -> dict[str, str]:
        _, _, chosen = name.partition(";")
        return {"HTTP_COOKIE": chosen} if chosen else {}

    def dies_at(self, now: datetime) -> datetime:
        return now.replace(second=0, microsecond=0) + timedelta(minutes=1)


def _chosen(cookies: str) -> str:
    """What of the cookies chooses a language, behind a semicolon; nothing else of them makes a copy of its own."""
    found = _CHOICE.search(cookies)
    return f";{found[1]}" if found else ""
