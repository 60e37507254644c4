"""What templates need to show things: times in the reader's zone, clean Markdown, and how each state looks.

Labels, tones and shapes of states stand here and in `components/status.html`, never on the enums.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from html import unescape
from itertools import groupby
from typing import Any, NamedTuple
from urllib.parse import urlencode

import nh3
from babel import numbers
from flask import Flask, g, has_app_context, request, url_for
from flask_babel import (
    force_locale,
    format_currency,
    format_date,
    format_datetime,
    format_decimal,
    lazy_gettext,
    ngettext,
)
from flask_babel import gettext as _
from jinja2.runtime import Macro
from markdown_it import MarkdownIt
from markupsafe import Markup

from portal import clock
from portal.brand import status_class
from portal.fragments import form_token
from portal.language import current as language
from portal.language import reader_zone, zone_word


class Look(NamedTuple):
    """How a state is shown: its word, its tone (a CSS name), and its shape (a symbol of the sprite)."""

    label: str
    tone: str
    shape: str


LOOKS: dict[str, dict[str, Look]] = {
    "component": {
        "operational": Look(lazy_gettext("Operational"), "good", "check"),
        "under_maintenance": Look(lazy_gettext("Under maintenance"), "planned", "clock"),
        "degraded_performance": Look(lazy_gettext("Performance issue"), "warn", "bang"),
        "partial_outage": Look(lazy_gettext("Partial outage"), "poor", "part"),
        "major_outage": Look(lazy_gettext("Major outage"), "bad", "cross"),
    },
    "overall": {
        "All Systems Operational": Look(lazy_gettext("All systems operational"), "good", "check"),
        "Service Under Maintenance": Look(lazy_gettext("Maintenance under way"), "planned", "clock"),
        "Partially Degraded Service": Look(lazy_gettext("Some systems are slower than usual"), "warn", "bang"),
        "Degraded System Service": Look(lazy_gettext("All systems are slower than usual"), "warn", "bang"),
        "Minor Service Outage": Look(lazy_gettext("Some systems are partly down"), "poor", "part"),
        "Partial System Outage": Look(lazy_gettext("Some systems are down"), "bad", "cross"),
        "Major System Outage": Look(lazy_gettext("All systems are down"), "bad", "cross"),
    },
    "service": {
        "operating_normally": Look(lazy_gettext("Operating normally"), "good", "check"),
        "scheduled_service": Look(lazy_gettext("Scheduled service"), "planned", "clock"),
        "intermittent_problems": Look(lazy_gettext("Intermittent problems"), "warn", "bang"),
        "system_is_down": Look(lazy_gettext("System is down"), "bad", "cross"),
    },
    "severity": {
        "none": Look(lazy_gettext("None"), "good", "check"),
        "performance_issue": Look(lazy_gettext("Performance issue"), "warn", "bang"),
        "partial_rth": Look(lazy_gettext("Partial outage"), "poor", "part"),
        "major_outage": Look(lazy_gettext("Major outage"), "bad", "cross"),
    },
    "alert": {
        "normal": Look(lazy_gettext("Normal"), "good", "check"),
        "pending": Look(lazy_gettext("Not long enough yet"), "warn", "clock"),
        "triggered": Look(lazy_gettext("Triggered"), "bad", "cross"),
        "no_data": Look(lazy_gettext("No data"), "quiet", "minus"),
        "off": Look(lazy_gettext("Switched off"), "quiet", "pause"),
    },
    "alert_level": {
        "info": Look(lazy_gettext("To know"), "planned", "target"),
        "warning": Look(lazy_gettext("Warning"), "warn", "bang"),
        "critical": Look(lazy_gettext("Critical"), "bad", "cross"),
    },
    "channel": {
        "working": Look("Working", "good", "check"),
        "failing": Look("Failing", "warn", "bang"),
        "disabled": Look("Disabled", "bad", "cross"),
    },
    "staff_severity": {
        "none": Look("None", "good", "check"),
        "performance_issue": Look("Performance Issue", "warn", "bang"),
        "partial_rth": Look("Partial RTH (return traffic handling)", "poor", "part"),
        "major_outage": Look("Major Outage", "bad", "cross"),
    },
    "state": {
        "investigating": Look(lazy_gettext("Investigating"), "bad", "search"),
        "identified": Look(lazy_gettext("Identified"), "poor", "target"),
        "watching": Look(lazy_gettext("Watching"), "planned", "eye"),
        "fixed": Look(lazy_gettext("Fixed"), "good", "check"),
    },
    "maintenance": {
        "scheduled": Look(lazy_gettext("Scheduled"), "planned", "clock"),
        "in_progress": Look(lazy_gettext("In progress"), "planned", "arrow"),
        "verifying": Look(lazy_gettext("Verifying"), "planned", "eye"),
        "completed": Look(lazy_gettext("Completed"), "good", "check"),
        "cancelled": Look(lazy_gettext("Cancelled"), "quiet", "minus"),
    },
    "delivery": {
        "pending": Look("Waiting", "quiet", "clock"),
        "sending": Look("Sending", "planned", "arrow"),
        "retrying": Look("Retrying", "warn", "again"),
        "sent": Look("Sent", "good", "check"),
        "failed": Look("Failed", "bad", "cross"),
        "bounced": Look("Came back", "bad", "again"),
        "suppressed": Look("Suppressed", "quiet", "minus"),
        "cancelled": Look("Cancelled", "quiet", "minus"),
        "expired": Look("Expired", "quiet", "minus"),
        "unknown": Look("Possibly sent", "warn", "bang"),
    },
    "report": {
        "bounced": Look("No such address", "bad", "cross"),
        "strike": Look("Did not arrive", "warn", "bang"),
        "policy": Look("Refused by policy", "bad", "bang"),
        "refused": Look("Mail refused", "warn", "cross"),
        "complaint": Look("Reported as spam", "warn", "bang"),
        "delayed": Look("Still being tried", "quiet", "clock"),
        "delivered": Look("Arrived", "good", "check"),
        "automatic": Look("Automatic answer", "quiet", "minus"),
        "handed_on": Look("Opened or wrote to a report", "quiet", "check"),
        "not_ours": Look("About no mail of ours", "quiet", "minus"),
        "other_address": Look("About another address", "warn", "eye"),
        "unclear": Look("Not understood", "warn", "eye"),
        "broken": Look("Cannot be read", "warn", "eye"),
    },
    "finding": {
        "reaches_us": Look("Leads here", "good", "check"),
        "hidden_name": Look("Leads here under another name", "warn", "bang"),
        "elsewhere": Look("Leads elsewhere", "bad", "cross"),
        "unresolved": Look("Does not resolve", "bad", "cross"),
        "not_public": Look("Not asked", "warn", "bang"),
        "certificate": Look("Certificate refused", "bad", "cross"),
        "unreachable": Look("Does not answer", "bad", "cross"),
    },
    "suppression": {
        "hard_bounce": Look("Bounced", "bad", "cross"),
        "quarantined": Look("In quarantine", "warn", "clock"),
        "unsubscribed": Look("Unsubscribed", "quiet", "minus"),
        "complaint": Look("Reported as spam", "warn", "bang"),
        "by_hand": Look("Stopped by hand", "quiet", "minus"),
    },
    "subscriber": {
        "unconfirmed": Look("Not confirmed", "warn", "clock"),
        "active": Look("Subscribed", "good", "check"),
        "quarantined": Look("In quarantine", "bad", "bang"),
    },
    "source": {
        "delivery": Look("A server’s answer", "quiet", "minus"),
        "report": Look("A bounce report", "quiet", "minus"),
        "complaint": Look("A complaint", "quiet", "minus"),
        "recipient": Look("Whoever reads it", "quiet", "minus"),
        "staff": Look("Staff", "quiet", "minus"),
    },
    "unreached": {
        "deactivated": Look("Deactivated", "quiet", "minus"),
        "bounced": Look("Address bounced", "warn", "bang"),
        "quarantined": Look("In quarantine", "warn", "clock"),
        "complained": Look("Reported as spam", "warn", "bang"),
        "by_hand": Look("Suppressed by hand", "quiet", "minus"),
        "unsubscribed": Look("Unsubscribed", "quiet", "minus"),
        "declined": Look("Does not want to hear of it", "quiet", "minus"),
        "nobody": Look("Nobody can be reached", "bad", "cross"),
        "area_off": Look("Status is off for them", "quiet", "minus"),
    },
    "verdict": {
        "ok": Look("Fine", "good", "check"),
        "warn": Look("To look at", "warn", "bang"),
        "fail": Look("Needs you", "bad", "cross"),
    },
    "relay": {
        "up": Look("Takes mails", "good", "check"),
        "full": Look("Day’s budget used up", "warn", "clock"),
        "paused": Look("Resting", "warn", "pause"),
        "trying": Look("Being tried again", "planned", "again"),
        "broken": Look("Needs you", "bad", "cross"),
        "off": Look("Switched off", "quiet", "minus"),
    },
    "broadcast": {
        "expanding": Look("Preparing", "planned", "clock"),
        "sending": Look("Sending", "planned", "arrow"),
        "paused": Look("Paused", "warn", "pause"),
        "done": Look("Done", "good", "check"),
        "cancelled": Look("Cancelled", "quiet", "minus"),
    },
    "notice": {
        "draft": Look("Draft", "quiet", "minus"),
        "scheduled": Look("Scheduled", "planned", "clock"),
        "sent": Look("Sent", "good", "check"),
    },
    "import": {
        "mapping": Look("Columns to choose", "warn", "pause"),
        "planning": Look("Dry run under way", "planned", "clock"),
        "planned": Look("Dry run made", "planned", "eye"),
        "applying": Look("Being applied", "planned", "arrow"),
        "following": Look("Applied, more to do", "planned", "arrow"),
        "done": Look("Applied", "good", "check"),
        "discarded": Look("Thrown away", "quiet", "minus"),
    },
    "imported": {
        "added": Look("Added", "good", "check"),
        "changed": Look("Changed", "planned", "arrow"),
        "unchanged": Look("Unchanged", "quiet", "minus"),
        "refused": Look("Refused", "bad", "cross"),
    },
    "export": {
        "queued": Look("Waiting", "quiet", "clock"),
        "running": Look("Being made", "planned", "arrow"),
        "ready": Look("Ready", "good", "check"),
        "failed": Look("Failed", "bad", "cross"),
    },
}

DATES = {
    "en": ("EEEE, d MMMM yyyy", "d MMM yyyy, HH:mm", "d MMM, HH:mm"),
    "de": ("EEEE, d. MMMM yyyy", "d. MMM yyyy, HH:mm", "d. MMM, HH:mm"),
}
"""By language: how a day, a moment, and a moment of this year are written."""

_markdown = MarkdownIt("commonmark", {"html": False, "maxNesting": 20}).enable(["table", "strikethrough"])
_TAGS = {
    "p",
    "br",
    "em",
    "strong",
    "s",
    "code",
    "pre",
    "blockquote",
    "ul",
    "ol",
    "li",
    "a",
    "hr",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
}


def init_app(app: Flask) -> None:
    """Give templates the filters and functions below."""
    env = app.jinja_env
    env.trim_blocks = env.lstrip_blocks = True
    env.filters.update(
        local_time=local_time,
        local_window=local_window,
        ago=ago,
        duration=duration,
        full_duration=full_duration,
        short_duration=short_duration,
        markdown=markdown,
        opening=opening,
        iso=iso,
        day_name=day_name,
        month_name=month_name,
        file_size=file_size,
        currency=currency,
        quantity=quantity,
        uptime=uptime,
        amount=amount,
        axis_amount=axis_amount,
        axis_time=axis_time,
    )
    env.globals.update(
        look=look,
        status_class=status_class,
        looks=LOOKS,
        form_token=form_token,
        bar_paths=bar_paths,
        kept=kept,
        bars_sentence=bars_sentence,
        page_address=page_address,
    )


def look(kind: str, value: str) -> Look:
    """The look of a state, such as `look("state", incident.state)`: its word is the portal domain's own, if it has one.

    Only between `speak_as` and the end of the request, or inside `worded`: nothing staff read is ever reworded.
    """
    seen = LOOKS[kind][value]
    own = _own_words()
    word = own.get(WORDED_LIKE.get((kind, value)) or f"{kind}.{value}") if own else None
    return seen._replace(label=word) if word else seen


WORDED_LIKE = {
    ("component", "operational"): "severity.none",
    ("component", "degraded_performance"): "severity.performance_issue",
    ("component", "partial_outage"): "severity.partial_rth",
    ("component", "major_outage"): "severity.major_outage",
}
"""A component is as its incidents make it, so it is called as their severity is."""

Wordings = Mapping[str, Mapping[str, str]]
"""A portal domain's own words by language and key, such as {"en": {"severity.partial_rth": "Calls back fail"}}."""


def speak_as(wordings: Wordings) -> None:
    """Whoever reads the answer of this request is a customer of the portal domain with these words."""
    g.wordings = wordings


@contextmanager
def worded(wordings: Wordings) -> Iterator[None]:
    """What is rendered inside is for customers of the portal domain with these words, whoever caused it."""
    before = g.get("wordings")
    g.wordings = wordings
    try:
        yield
    finally:
        g.wordings = before


def default_words(spoken: str) -> dict[str, str]:
    """By key, what the states of LOOKS that may be worded are called where nobody chose otherwise."""
    with force_locale(spoken):
        words = {
            f"{kind}.{value}": str(LOOKS[kind][value].label)
            for kind in ("severity", "state", "service")
            for value in LOOKS[kind]
        }
        return words | {"severity.none": str(LOOKS["component"]["operational"].label)}


def _own_words() -> Mapping[str, str]:
    """The words of the portal domain in the language of what is being written; empty where there are none."""
    wordings: Wordings | None = g.get("wordings") if has_app_context() else None
    return wordings.get(language(), {}) if wordings else {}


@lru_cache(maxsize=2048)
def currency(minor: int, code: str) -> str:
    """An amount of money in the reader's language, from minor units that are hundredths."""
    return str(format_currency(Decimal(minor).scaleb(-2), code))


def quantity(thousandths: int) -> str:
    """A quantity in the reader's language, from thousandths."""
    return str(format_decimal(Decimal(thousandths).scaleb(-3)))


def uptime(thousandths: int) -> str:
    """A share of time from thousandths of a percent, always with three places, so that the figures of a column
    compare at a glance: `99.890 %`."""
    return str(format_decimal(Decimal(thousandths).scaleb(-3), "0.000")) + "\u202f%"


def amount(value: Decimal, decimals: int, unit: str = "") -> str:
    """What was measured, with so many places and its unit: `1,204.5 ms`."""
    places = f".{'0' * decimals}" if decimals else ""
    shown = str(format_decimal(value, f"#,##0{places}"))
    return f"{shown}\u202f{unit}" if unit else shown


def axis_amount(value: Decimal) -> str:
    """A round amount at an axis, with no more places than it has."""
    return str(format_decimal(value, "#,##0.######"))


def axis_time(moment: datetime, span: str) -> str:
    """A moment at the axis of a chart over a day, week, month or year, by the reader's clock and in few letters."""
    local = moment.astimezone(reader_zone()).replace(tzinfo=None)
    if span == "day":
        return f"{local:%H:%M}"
    return str(format_date(local.date(), {"week": "EEE", "month": "d MMM", "year": "LLL"}[span], rebase=False))


def file_size(size: int) -> str:
    """Bytes for people: "830 B", "12 kB", "3.4 MB", with the reader's decimal mark."""
    if size < 1000:
        return f"{size} B"
    if size < 999_500:
        return f"{format_decimal(round(size / 1000))} kB"
    return f"{format_decimal(round(size / 1_000_000, 1))} MB"


def percent(share: float, spoken: str) -> str:
    """A share of time as it is shown in a language: two places, and never rounded up to a perfect record."""
    shown = min(share, 0.9999) if share < 1 else 1.0
    return _percent(int(shown * 10_000), spoken)


@lru_cache(maxsize=1024)
def _percent(hundredths: int, spoken: str) -> str:
    return str(numbers.format_decimal(hundredths / 100, "0.00", locale=spoken)) + "\u202f%"


def markdown(text: str) -> Markup:
    """Markdown as clean HTML: no raw HTML, no images, links only to http, https and mailto.

    The element that holds it carries `hx-ignore`, so that htmx looks at nothing inside.
    """
    return _read_by_many(text) if len(text) <= READ_BY_MANY else _cleaned(text)


READ_BY_MANY = 4_000
"""Characters of a text up to which it is kept as it was made: what is said of an outage is on a thousand pages."""


@lru_cache(maxsize=256)
def _read_by_many(text: str) -> Markup:
    return _cleaned(text)


def _cleaned(text: str) -> Markup:
    html = _markdown.render(text)
    clean = nh3.clean(
        html,
        tags=_TAGS,
        attributes={"a": {"href"}},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
    return Markup(clean)  # noqa: S704 (what nh3 cleaned is what it is for)


OPENING = 140
"""Characters of the beginning of a text that is shown where there is room for one line of it."""


def opening(text: str) -> str:
    """How Markdown begins, as plain text of one line, cut after a whole word."""
    words = unescape(nh3.clean(_markdown.render(text), tags=set())).split()
    line = " ".join(words)
    if len(line) <= OPENING:
        return line
    return line[: line.rfind(" ", 0, OPENING) if " " in line[:OPENING] else OPENING].rstrip(" ,;:–-") + "…"


MAIL_TAGS = {
    "a",
    "abbr",
    "b",
    "blockquote",
    "br",
    "code",
    "del",
    "div",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "hr",
    "i",
    "li",
    "ol",
    "p",
    "pre",
    "s",
    "small",
    "span",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "tr",
    "u",
    "ul",
}
"""What may stand in the HTML of a mail that staff word themselves. It loads nothing and runs nothing."""

MAIL_STYLES = {
    "background-color",
    "border",
    "border-bottom",
    "border-collapse",
    "border-color",
    "border-left",
    "border-radius",
    "border-right",
    "border-top",
    "color",
    "display",
    "font-size",
    "font-style",
    "font-weight",
    "letter-spacing",
    "line-height",
    "margin",
    "margin-bottom",
    "margin-left",
    "margin-right",
    "margin-top",
    "padding",
    "padding-bottom",
    "padding-left",
    "padding-right",
    "padding-top",
    "text-align",
    "text-decoration",
    "text-transform",
    "vertical-align",
    "white-space",
    "width",
}
"""The properties of CSS that may stand inline there: mail programs read no others of a paragraph anyway."""


def mail_html(html: str, *, is_plain: bool = False) -> Markup:
    """HTML of a mail, clean: links to http, https, mailto and tel, styles inline; with `is_plain` no styles at all."""
    attributes = {"a": {"href"}, "td": {"colspan", "rowspan"}, "th": {"colspan", "rowspan"}}
    clean = nh3.clean(
        html,
        tags=MAIL_TAGS,
        attributes=attributes if is_plain else {**attributes, "*": {"style", "class"}},
        url_schemes={"http", "https", "mailto", "tel"},
        filter_style_properties=MAIL_STYLES,
        link_rel="noopener noreferrer nofollow",
    )
    return Markup(clean)  # noqa: S704 (what nh3 cleaned is what it is for)


def local_time(moment: datetime, style: str = "medium") -> str:
    """A moment in the reader's zone with the zone named, such as `21 Nov 2026, 14:05 GMT`."""
    local = moment.astimezone(reader_zone())
    return f"{_clock_time(local.replace(tzinfo=None), language(), style)} {zone_word(local)}"


def local_window(start: datetime, end: datetime | None) -> str:
    """From when to when in the reader's zone, the day once where both are of the same one: `21 Nov 2026, 14:00 – 16:00
    GMT`. Where clocks change between them, each says which of them it is read from. The script of the
    pages writes the same."""
    if end is None:
        return local_time(start)
    begins, ends = (each.astimezone(reader_zone()) for each in (start, end))
    if begins.tzname() != ends.tzname():
        return f"{local_time(start)} – {local_time(end)}"
    ending = f"{ends:%H:%M} {zone_word(ends)}" if begins.date() == ends.date() else local_time(end)
    return f"{_clock_time(begins.replace(tzinfo=None), language(), 'medium')} – {ending}"


@lru_cache(maxsize=2048)
def _clock_time(local: datetime, spoken: str, style: str) -> str:
    """What a clock shows, in the language spoken now. Not a moment, which is the same in every zone."""
    return str(format_datetime(local, DATES[spoken][1 if style == "medium" else 2], rebase=False))


def day_name(day: date) -> str:
    """A day as a heading, such as `Saturday, 21 November 2026`."""
    return str(format_date(day, DATES[language()][0], rebase=False))


def month_name(day: date) -> str:
    """The month of a day as a heading, such as `November 2026`."""
    return str(format_date(day, "LLLL y", rebase=False))


def iso(moment: datetime) -> str:
    """A moment in UTC as machines read it, such as `2026-11-21T14:05:00Z`."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def ago(moment: datetime) -> str:
    """How long ago, or how long until, in one unit."""
    seconds = (clock.utcnow() - moment).total_seconds()
    if -60 < seconds < 60:
        return str(_("just now") if seconds >= 0 else _("in a moment"))
    return _past(int(seconds // 60)) if seconds > 0 else _ahead(int(-seconds // 60))


def _past(minutes: int) -> str:
    """Whole sentences, because languages bend the unit after "ago" and "in"."""
    if minutes < 60:
        return str(ngettext("%(num)d minute ago", "%(num)d minutes ago", minutes))
    if minutes < 48 * 60:
        return str(ngettext("%(num)d hour ago", "%(num)d hours ago", minutes // 60))
    return str(ngettext("%(num)d day ago", "%(num)d days ago", minutes // 1440))


def _ahead(minutes: int) -> str:
    if minutes < 60:
        return str(ngettext("in %(num)d minute", "in %(num)d minutes", minutes))
    if minutes < 48 * 60:
        return str(ngettext("in %(num)d hour", "in %(num)d hours", minutes // 60))
    return str(ngettext("in %(num)d day", "in %(num)d days", minutes // 1440))


def duration(span: timedelta) -> str:
    """A length of time in its largest unit, rounded down: minutes, hours or days."""
    minutes = max(0, int(span.total_seconds() // 60))
    if minutes < 60:
        return str(ngettext("%(num)d minute", "%(num)d minutes", minutes))
    if minutes < 48 * 60:
        return str(ngettext("%(num)d hour", "%(num)d hours", minutes // 60))
    return str(ngettext("%(num)d day", "%(num)d days", minutes // 1440))


def full_duration(span: timedelta) -> str:
    """A length of time for the record, in its two largest units: "2 hours 5 minutes", "1 day 3 hours"."""
    minutes = max(0, int(span.total_seconds() // 60))
    hours, days = minutes // 60 % 24, minutes // 1440
    parts = [
        str(ngettext("%(num)d day", "%(num)d days", days)) if days else "",
        str(ngettext("%(num)d hour", "%(num)d hours", hours)) if hours else "",
        str(ngettext("%(num)d minute", "%(num)d minutes", minutes % 60)) if minutes % 60 else "",
    ]
    return " ".join([part for part in parts if part][:2]) or duration(span)


def short_duration(span: timedelta) -> str:
    """The same for a column of figures, in the signs every language has for hours and minutes: `2 h 05 min`."""
    hours, minutes = divmod(max(0, int(span.total_seconds() // 60)), 60)
    return f"{hours}\u00a0h\u00a0{minutes:02}\u00a0min" if hours else f"{minutes}\u00a0min"


BARS = {"-": ("none", 6), "0": ("good", 20), "1": ("warn", 24), "2": ("poor", 28), "3": ("bad", 32)}
"""The tone and height of a day in the history bars by its digit; "-" is a day before the component existed.

The height says what the colour says.
"""


@lru_cache(maxsize=4096)
def bar_paths(days: str) -> list[tuple[str, int, str]]:
    """History bars as one SVG path per tone: (tone, stroke width, path data).

    A run of days is one stroke, dashed 3 by 1 so that it shows a bar a day; its width is the height of the bars,
    which stand on the line at 32. Ninety days take a hundred characters this way, and not ten for each of them.
    """
    paths: dict[str, list[str]] = {}
    heights: dict[str, int] = {}
    place = 0
    for day, run in groupby(days):
        length = len(list(run))
        tone, heights[tone] = BARS.get(day, BARS["-"])
        paths.setdefault(tone, []).append(f"M{place * 4} {32 - heights[tone] // 2}h{length * 4 - 1}")
        place += length
    return [(tone, heights[tone], "".join(parts)) for tone, parts in paths.items()]


_kept: OrderedDict[tuple[Hashable, ...], Markup] = OrderedDict()
_keeping = threading.Lock()
KEPT_AT_MOST = 4_000_000
"""Characters of pieces of pages kept in each process; the one not asked for longest goes first."""


def kept(macro: Macro, key: Hashable, *arguments: Any) -> Markup:
    """What a macro makes of its arguments, made once for each key.

    For macros that stand in long lists. The key holds everything that shows: values and not ids, the language, and
    where there are times also the zone and the minute. The portal domain's own words are added to it here.
    """
    return kept_piece(macro.name, key, lambda: macro(*arguments))


def kept_piece(name: str, key: Hashable, make: Callable[[], str]) -> Markup:
    """The same for any piece of HTML: `make` renders it, and everything it holds has been escaped."""
    own = _own_words()
    place = (name, key, tuple(own.items()) if own else ())
    with _keeping:
        found = _kept.get(place)
        if found is not None:
            _kept.move_to_end(place)
            return found
    made = Markup(make())  # noqa: S704  # templates and their macros escape what they are given
    with _keeping:
        _keep(place, made)
    return made


_kept_size = 0


def forget_pieces() -> None:
    """Keep nothing of what was made, as a process that has just started."""
    global _kept_size  # noqa: PLW0603  # it says how large the pieces beside it are together
    with _keeping:
        _kept.clear()
        _kept_size = 0


def _keep(place: tuple[Hashable, ...], made: Markup) -> None:
    global _kept_size  # noqa: PLW0603  # it says how large the pieces beside it are together
    before = _kept.pop(place, None)
    _kept[place] = made
    _kept_size += len(made) - (len(before) if before is not None else 0)
    while _kept_size > KEPT_AT_MOST:
        _kept_size -= len(_kept.popitem(last=False)[1])


def bars_sentence(days: str, label: str = "") -> str:
    """What the history bars show, in words: for those who do not see them."""
    known = [day for day in days if day != "-"]
    troubled = sum(day not in {"0", "-"} for day in days)
    if not troubled:
        sentence = ngettext("no problems in %(num)d day", "no problems in %(num)d days", len(known))
    else:
        sentence = ngettext(
            "problems on %(num)d day of %(known)d", "problems on %(num)d days of %(known)d", troubled, known=len(known)
        )
    return f"{label}: {sentence}" if label else str(sentence)


def page_address(number: int) -> str:
    """This page's own address with another `page`, its other filters kept.

    What was asked for stays out of `url_for`, to which some names, such as `_method`, mean something else.
    """
    kept = [(name, value) for name, value in request.args.items(multi=True) if name != "page"]
    query = urlencode([*kept, ("page", str(number))] if number > 1 else kept)
    return url_for(request.endpoint or "", **(request.view_args or {})) + (f"?{query}" if query else "")
