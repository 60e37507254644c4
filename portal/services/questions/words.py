"""An answer in words, in the language and the zone of whoever asks, with the portal domain's own words for a status.

Nothing of the question is said again: what somebody typed may be anything.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

from babel.lists import format_list
from flask_babel import get_locale, gettext, ngettext

from portal.filters import local_time, local_window, look, markdown
from portal.language import DEFAULT, reader_zone, zone_word
from portal.plaintext import from_html
from portal.services.queries import Concern, ServiceLine
from portal.services.questions.queries import Answer
from portal.services.questions.rules import Meaning
from portal.services.rules import PROBLEMS, ServiceStatus

SAID = 5
"""How many services are spoken of one by one."""

LISTED = 20
"""How many are named in a list."""

NOTES_LENGTH = 300


def _(text: str, **values: str) -> str:
    return str(gettext(text, **values))


def in_words(answer: Answer) -> str:
    """The whole answer: a sentence, or one for each service that needs one."""
    if answer.meaning is Meaning.UNSURE:
        return _("Did you mean %(services)s?", services=_listed(answer, "or"))
    if answer.meaning is Meaning.UNKNOWN:
        return " ".join([_("I do not know that service."), _what_there_is(answer)])
    if answer.meaning is Meaning.EVERYTHING:
        return " ".join(_of_everything(answer))
    return " ".join([*_one_by_one(answer.lines, answer), *_elsewhere(answer)])


def no_question() -> str:
    """What is said to something else than a question about a status."""
    return _("I only know how your services are at the moment. Ask for example: “Is email down?”")


def label(line: ServiceLine, answer: Answer) -> str:
    """What a service is called: by its name, and where several have it by the reference too."""
    return f"{line.name} ({line.reference})" if line.reference and line.name in answer.double else line.name


def _what_there_is(answer: Answer) -> str:
    if not answer.total:
        return _("You have no services with us yet.")
    return _("You have %(services)s.", services=_listed(answer, "standard"))


def _of_everything(answer: Answer) -> Iterable[str]:
    if not answer.total:
        yield _("You have no services with us yet.")
        return
    if all(_is_ahead(line, answer.now) for line in answer.lines) and not answer.concerns:
        if answer.has_hidden and (answer.is_watched or not answer.lines):
            yield _("Nothing shown here is wrong at the moment") + "."
        elif answer.is_watched:
            yield _("Everything you use is operating normally.")
        elif not answer.lines:
            yield _("Nothing is reported of what you use.")
    yield from _one_by_one(answer.lines, answer, is_list=True)
    yield from _concerning(answer.concerns, answer.now)


def _one_by_one(lines: Sequence[ServiceLine], answer: Answer, *, is_list: bool = False) -> Iterable[str]:
    for line in lines[:SAID]:
        yield _announced(line, answer) if is_list and _is_ahead(line, answer.now) else _of_one(line, answer)
    if len(lines) > SAID:
        yield str(ngettext("And %(num)d more.", "And %(num)d more.", len(lines) - SAID))


def _elsewhere(answer: Answer) -> Iterable[str]:
    """What may be behind it, where no service is said to have a problem."""
    if not any(line.status in PROBLEMS for line in answer.lines):
        yield from _concerning(answer.concerns, answer.now)


def _concerning(concerns: Sequence[Concern], now: datetime) -> Iterable[str]:
    for each in concerns[:SAID]:
        yield _(
            "“%(title)s”, since %(since)s, may affect any of your services.",
            title=each.incident.title,
            since=_at(each.incident.started_at, now),
        )


def _of_one(line: ServiceLine, answer: Answer) -> str:
    name = label(line, answer)
    if line.status is None:
        return _("Nothing is reported of %(service)s.", service=name)
    if line.status is ServiceStatus.NORMAL:
        return _("%(service)s is operating normally at the moment.", service=name)
    if _is_ahead(line, answer.now):
        calm = [_("%(service)s is operating normally at the moment.", service=name)] if answer.is_watched else []
        return " ".join([*calm, _announced(line, answer)])
    if line.status is ServiceStatus.SCHEDULED:
        return " ".join([_under_way(line, answer), *_notes(line)])
    return " ".join(_of_problem(line, answer))


def _is_ahead(line: ServiceLine, now: datetime) -> bool:
    """Whether it is scheduled service that has yet to begin."""
    return line.status is ServiceStatus.SCHEDULED and line.starts_at is not None and line.starts_at > now


def _announced(line: ServiceLine, answer: Answer) -> str:
    window = local_window(line.starts_at, line.until) if line.starts_at else ""
    said = _(
        "%(status)s for %(service)s: %(window)s.", status=_status(line), service=label(line, answer), window=window
    )
    return " ".join([said, *_notes(line)])


def _under_way(line: ServiceLine, answer: Answer) -> str:
    name, status = label(line, answer), _status(line)
    if line.until:
        return _(
            "%(service)s: %(status)s until %(until)s.", service=name, status=status, until=_at(line.until, answer.now)
        )
    since = line.starts_at or line.since
    if since is None:
        return _("%(service)s: %(status)s.", service=name, status=status)
    return _("%(service)s: %(status)s since %(since)s.", service=name, status=status, since=_at(since, answer.now))


def _of_problem(line: ServiceLine, answer: Answer) -> Iterable[str]:
    name, status = label(line, answer), _status(line)
    if line.since is None:
        yield _("%(service)s: %(status)s.", service=name, status=status)
    else:
        since = _at(line.since, answer.now)
        yield _("%(service)s: %(status)s since %(since)s.", service=name, status=status, since=since)
    if line.reason:
        yield _("“%(title)s”.", title=line.reason)
    yield from _notes(line)
    if line.until:
        yield _("It is estimated to be over by %(until)s.", until=_at(line.until, answer.now))
    if line.holding_id in answer.promised:
        yield _("We’ll send you an update.")


def _notes(line: ServiceLine) -> Iterable[str]:
    """Staff's notes on one line of plain text, the beginning of long ones."""
    text = " ".join(from_html(str(markdown(line.notes))).split())
    if len(text) > NOTES_LENGTH:
        text = text[:NOTES_LENGTH].rsplit(" ", 1)[0].rstrip(" ,.;:") + " …"
    if text:
        yield text


def _status(line: ServiceLine) -> str:
    return str(look("service", line.status.value).label) if line.status else ""


def _listed(answer: Answer, style: Literal["or", "standard"]) -> str:
    names = list(dict.fromkeys(label(line, answer) for line in answer.lines))
    shown, more = names[:LISTED], len(names) - LISTED
    if more > 0:
        shown.append(str(ngettext("%(num)d more", "%(num)d more", more)))
    return format_list(shown, style=style, locale=get_locale() or DEFAULT)


def _at(moment: datetime, now: datetime) -> str:
    """When, in the reader's zone; the day is left out where it is today."""
    zone = reader_zone()
    local = moment.astimezone(zone)
    return f"{local:%H:%M} {zone_word(local)}" if local.date() == now.astimezone(zone).date() else local_time(moment)
