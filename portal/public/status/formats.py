"""The feeds, the badge and the frame for other sites, kept: all are given the same, whatever cookie they bring."""

from datetime import datetime, timedelta
from urllib.parse import parse_qsl, urlencode
from wsgiref.types import WSGIEnvironment

from portal.kept import KeptAnswers
from portal.language import COOKIE, LANGUAGES

SWITCHES = {COOKIE: frozenset(LANGUAGES), "theme": frozenset({"light", "dark"}), "well": frozenset({"show"})}
"""What may be asked for, by parameter, and with which words; each combination is a copy of its own."""

PATHS = {
    "/status/feed.atom": (COOKIE,),
    "/status/badge.svg": (COOKIE,),
    "/status/embed": (COOKIE, "theme", "well"),
    "/status/maintenance.ics": (COOKIE,),
}
"""What is kept, with the parameters that shape it. Others that come along make no difference, so they make no copy."""


class PublicFormats(KeptAnswers):
    """Answers for these addresses. A badge of one component is made anew each time: there are as many as components."""

    def wanted(self, environ: WSGIEnvironment) -> str | None:
        path: str = environ["PATH_INFO"]
        if path not in PATHS or environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
            return None
        query = environ.get("QUERY_STRING", "")
        if not query:
            return path
        try:
            given = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=10))
        except ValueError:
            return None
        if "component" in given:
            return None
        asked = {name: given[name] for name in PATHS[path] if given.get(name) in SWITCHES[name]}
        return f"{path}?{urlencode(asked)}" if asked else path

    def brings(self, name: str) -> dict[str, str]:
        return {"QUERY_STRING": name.partition("?")[2]}

    def dies_at(self, now: datetime) -> datetime:
        """With the minute: the frame says how long ago something began."""
        return now.replace(second=0, microsecond=0) + timedelta(minutes=1)
