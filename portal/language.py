"""Language and time zone of the reader: the person's own, else the portal domain's, else English and UTC.

Whoever is not signed in may choose a language of their own on a portal domain: `?lang=de` in the address of a page
shows it in German, and a cookie that says nothing else remembers that for the next.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, tzinfo
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from flask import Flask, Response, current_app, g, has_request_context, request
from flask_babel import Domain, force_locale, get_locale
from flask_login import current_user

from portal.extensions import babel

LANGUAGES = {"en": "English", "de": "Deutsch"}

IN_ENGLISH = {"en": "English", "de": "German"}
"""What staff, whose screens are English, read of them."""
DEFAULT = "en"

TIME_ZONES = [
    (name, name.replace("_", " "))
    for name in sorted(available_timezones())
    if name == "UTC" or ("/" in name and not name.startswith("Etc/"))
]
"""The zones people choose from, as (name, label): those named after a place, and UTC."""

ZONE_WORDS = {
    "de": {"CET": "MEZ", "CEST": "MESZ", "EET": "OEZ", "EEST": "OESZ", "WET": "WEZ", "WEST": "WESZ"},
}
"""What a language calls zones otherwise than the time zone database, as browsers do: both stand on one page."""

COOKIE = "lang"
"""The cookie that remembers the language somebody signed out has chosen."""

REMEMBERED = 365 * 86400
"""Seconds it is remembered for."""

_for_everybody: ContextVar[str | None] = ContextVar("for_everybody", default=None)
"""The zone of an answer that many people are given, whoever asked for it first."""


class Catalogues(Domain):
    """Translations read from the `.po` files themselves, once a process: nothing to compile, nothing to go stale."""

    def get_translations(self) -> NullTranslations:
        """The texts of the current language; the English source where there is no catalogue of it."""
        language = str(get_locale() or DEFAULT)
        if language not in self.cache:
            files = [Path(folder) / language / "LC_MESSAGES" / "messages.po" for folder in self.translation_directories]
            found = next((file for file in files if file.exists()), None)
            self.cache[language] = _load(found) if found else NullTranslations()
        translations: NullTranslations = self.cache[language]
        return translations


def init_app(app: Flask) -> None:
    babel.init_app(
        app, locale_selector=_language, timezone_selector=_zone_name, default_translation_directories="translations"
    )
    babel.domain_instance = Catalogues()
    app.jinja_env.globals["language"] = current
    app.jinja_env.globals["language_names"] = IN_ENGLISH
    app.after_request(_remember)


def known(language: str | None) -> str:
    """The language itself if there are texts in it, else English."""
    return language if language in LANGUAGES else DEFAULT


def current() -> str:
    """The language of what is being written: a key of LANGUAGES."""
    return known(str(get_locale() or DEFAULT))


def chosen() -> str | None:
    """The language that whoever asks has chosen without signing in: in the address, else in the cookie."""
    for found in (request.args.get(COOKIE), request.cookies.get(COOKIE)):
        if found in LANGUAGES:
            return found
    return None


def zone(name: str | None) -> tzinfo:
    """The IANA zone of this name; UTC for one that no longer exists."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def zone_word(local: datetime) -> str:
    """What a local time's zone is called in the language spoken now: `CET`, in German `MEZ`."""
    name = local.tzname() or "UTC"
    return ZONE_WORDS.get(current(), {}).get(name, name)


def reader_zone() -> tzinfo:
    """The zone times are shown in for whoever reads this answer."""
    return zone(_zone_name())


def _load(file: Path) -> Translations:
    with file.open("rb") as source:
        catalogue = read_po(source)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(compiled)


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


def remember_nothing() -> None:
    """Have the language this request asks for count for its answer alone: it is no page that somebody reads here."""
    g.remembers_language = False


def _remember(response: Response) -> Response:
    """Remember the language a page was asked for in, where a portal domain was asked and nobody is signed in."""
    wanted = request.args.get(COOKIE) if g.get("remembers_language", True) else None
    is_page = request.method == "GET" and response.mimetype == "text/html" and getattr(g, "portal", None) is not None
    if wanted not in LANGUAGES or not is_page or current_user.is_authenticated:
        return response
    response.set_cookie(
        COOKIE,
        wanted,
        max_age=REMEMBERED,
        secure=current_app.config["SETTINGS"].is_https,
        httponly=True,
        samesite="Lax",
    )
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def _zone_name() -> str:
    return _for_everybody.get() or _of_reader("time_zone") or "UTC"


def _of_reader(name: str) -> str | None:
    if not has_request_context():
        return None
    if getattr(g, "host", "") and current_user and current_user.is_authenticated:
        return str(getattr(current_user, name))
    domain = getattr(g, "portal", None)
    if domain is None:
        return None
    return (chosen() if name == "language" else None) or str(getattr(domain, name))
