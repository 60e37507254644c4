"""Variables in what staff type, such as `{{name}}`: pure. It is never a template language.

A variable is replaced by plain substitution, once; everything else that looks like a template is refused as it is
saved, so that nobody finds it in their mail.
"""

import html as html_module
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeVar, cast

AnyText = TypeVar("AnyText", bound=str)

PLACEHOLDERS_AT_MOST = 100

_PLACE = re.compile(r"\{\{[^\S\r\n]*([a-z][a-z0-9_]{0,39})[^\S\r\n]*\}\}")
_SUSPECT = re.compile(r"\{\{|\{%|\{#")
_NAMED = re.compile(r"\{\{([^{}]{0,60})\}\}")
_TARGET = re.compile(r'href="([^"]*)"')
_PAIR = re.compile(r"\{(?=\{)")

JOINER = "\u2060"
"""Takes no room, and keeps two braces from being read as one mark."""


class WordingError(ValueError):
    """This text cannot be sent; the sentence says why, and what could stand there instead."""


def check_placeholders(text: str, variables: Collection[str]) -> None:
    """WordingError unless everything in double braces is one of these variables, and nothing looks like a template.

    Linear in the length of the text.
    """
    places = list(_PLACE.finditer(text))
    if len(places) > PLACEHOLDERS_AT_MOST:
        raise WordingError(f"There are {len(places):,} variables in this; {PLACEHOLDERS_AT_MOST} can be filled.")
    for place in places:
        if place[1] not in variables:
            raise WordingError(_unknown(place[1], variables))
    known = {place.start() for place in places}
    for found in _SUSPECT.finditer(text):
        if found.start() in known:
            continue
        if found[0] != "{{":
            raise WordingError(
                f"“{found[0]}” is of a template language. Nothing here is one: only variables such as {{{{name}}}} "
                "are filled."
            )
        named = _NAMED.match(text, found.start())
        if named is None:
            raise WordingError("A variable is opened with “{{” and not closed with “}}”.")
        raise WordingError(_unknown(" ".join(named[1].split()), variables))


def _unknown(name: str, variables: Collection[str]) -> str:
    known = ", ".join(f"{{{{{each}}}}}" for each in variables)
    return f"There is no variable “{name}”. These can be used: {known}."


def placeholders(text: str) -> list[str]:
    """The names of the variables in a text, in their order."""
    return [place[1] for place in _PLACE.finditer(text)]


@dataclass(frozen=True)
class Kept:
    """A text with marks for its variables: of letters and digits, which Markdown and HTML leave as they are."""

    text: str
    marks: Mapping[str, str]

    def back(self, text: AnyText) -> AnyText:
        """What was made of it, with the variables in their places again; markup stays markup."""
        for mark, name in self.marks.items():
            text = cast(AnyText, text.replace(mark, f"{{{{{name}}}}}"))
        return text

    def names_in(self, text: str) -> list[str]:
        """The names of the variables whose marks stand in this."""
        return [name for mark, name in self.marks.items() if mark in text]


def keep_placeholders(text: str) -> Kept:
    """The text with a mark for each variable. The marks stand nowhere else in it."""
    stem = "z" + "q" * max((len(run) for run in re.findall("zq*", text)), default=1)
    names = sorted(set(placeholders(text)))
    marks = {f"{stem}x{number}x": name for number, name in enumerate(names)}
    by_name = {name: mark for mark, name in marks.items()}
    return Kept(_PLACE.sub(lambda found: by_name.get(found[1], found[0]), text), marks)


def check_links(html: str, kept: Kept, linkable: Collection[str]) -> None:
    """WordingError when a link of this (made of a kept text) leads where a variable says that is no address of ours."""
    for target in _TARGET.findall(html):
        names = kept.names_in(target)
        leads = kept.back(target)
        if any(name not in linkable for name in names):
            culprit = next(name for name in names if name not in linkable)
            raise WordingError(f"A link cannot lead to {{{{{culprit}}}}}. It can begin with {{{{portal_url}}}}.")
        if names and not leads.startswith(tuple(f"{{{{{name}}}}}" for name in linkable)):
            raise WordingError(f"{{{{{names[0]}}}}} can only stand at the beginning of a link.")


def filled(text: str, values: Mapping[str, str]) -> str:
    """A plain text with its variables filled, once; what has no value stays as it is typed."""
    return _PLACE.sub(lambda found: values.get(found[1], found[0]), text)


def filled_in_html(text: str, values: Mapping[str, str]) -> str:
    """The same of HTML: values are plain text, escaped, their lines broken."""

    def told(found: re.Match[str]) -> str:
        value = values.get(found[1])
        return found[0] if value is None else "<br>".join(html_module.escape(value).splitlines() or [""])

    return _PLACE.sub(told, text)


def harmless(text: str) -> str:
    """What somebody typed as a value, such that nothing in it is taken for a variable when the mail is filled."""
    return _PAIR.sub("{" + JOINER, text)


def on_one_line(text: str) -> str:
    """A value as it may stand in a header: one line, nothing in it that is not to be read, and no encoded word."""
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return line.replace("=?", "= ?")
