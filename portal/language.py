"""Language and time zone of the reader: the person's own, else the portal domain's, else English and UTC."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask import Flask, g, has_request_context
from flask_babel import force_locale, get_locale
from flask_login import current_user

from portal.extensions import babel

LANGUAGES = {"en": "English", "de": "Deutsch"}
DEFAULT = "en"

_for_everybody: ContextVar[str | None] = ContextVar("for_everybody", default=None)
"""The zone of an answer that many people are given, whoever asked for it first."""


def init_app(app: Flask) -> None:
    babel.init_app(
        app, locale_selector=_language, timezone_selector=_zone_name, default_translation_directories="translations"
    )
    app.jinja_env.globals["language"] = lambda: str(get_locale() or DEFAULT)


def known(language: str | None) -> str:
    """The language itself if there are texts in it, else English."""
    return language if language in LANGUAGES else DEFAULT


def zone(name: str | None) -> tzinfo:
    """The IANA zone of this name; UTC for one that no longer exists."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def reader_zone() -> tzinfo:
    """The zone times are shown in for whoever reads this answer."""
    return zone(_zone_name())


@contextmanager
def written_for_everybody(language: str, zone_name: str) -> Iterator[None]:
    """What is rendered inside is the same whoever asks: in this language, with times in this zone."""
    token = _for_everybody.set(zone_name)
    try:
        with force_locale(known(language)):
            yield
    finally:
        _for_everybody.reset(token)


def _language() -> str:
    return known(_of_reader("language"))


def _zone_name() -> str:
    return _for_everybody.get() or _of_reader("time_zone") or "UTC"


def _of_reader(name: str) -> str | None:
    if not has_request_context():
        return None
    if getattr(g, "host", "") and current_user and current_user.is_authenticated:
        return str(getattr(current_user, name))
    domain = getattr(g, "portal", None)
    return str(getattr(domain, name)) if domain else None
