"""The words of a template: variables, blanks, and how both are filled. Plain substitution, never Jinja.

A variable is `{{name}}`. Some are filled from what is known (`KNOWN`); every other is a field of the template's own,
which is asked when the template is used. A blank, such as [time], is what staff fill by hand in the text. A text in
which either is left open is not published.
"""

import re
from collections.abc import Iterable, Mapping

KNOWN = {
    "components": "the components that are chosen",
    "date": "the date it begins",
    "time": "the time it begins",
    "zone": "the time zone of both",
}
"""Variables that are filled from the report itself, with what they stand for."""

FIELDS_AT_MOST = 8
"""Own variables of one template: each is a field to fill under stress."""

VALUE_LENGTH = 500

_VARIABLE = re.compile(r"\{\{[ \t]*([^\W\d]\w{0,39}(?:[ _-]\w{1,40}){0,5})[ \t]*\}\}")
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)
_BLANK = re.compile(r"(?<![\]\\])\[([^\[\]]{1,200})\](?![(\[:])")
_DEFINITION = re.compile(r"^ {0,3}\[([^\[\]]{1,200})\]:", re.MULTILINE)
_OPEN = re.compile(r"\[[ \t]*(?:…|\.\.\.)[ \t]*\]")


def key_of_variable(name: str) -> str:
    """One name for every way to write it: `{{ Ticket number }}` and `{{ticket_number}}` are the same."""
    return re.sub(r"[ -]", "_", name.strip()).lower()


def variables(*texts: str) -> list[str]:
    """The variables in these texts, each once, in their order."""
    return list(dict.fromkeys(key_of_variable(name) for text in texts for name in _VARIABLE.findall(text)))


def own_fields(*texts: str) -> list[str]:
    """Those of the variables that nobody but who uses the template can fill, in their order."""
    return [name for name in variables(*texts) if name not in KNOWN]


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with these values, once: what a value holds is not looked at again. Empty values fill nothing."""

    def value(found: re.Match[str]) -> str:
        return values.get(key_of_variable(found[1]), "").strip() or found[0]

    return _VARIABLE.sub(value, text)


def blanks(notes: str) -> list[str]:
    """The blanks of a text that nobody has filled, such as [time] or […], in their order.

    What Markdown makes something else of is none: a link `[text](address)` or `[text][name]`, the box of a list to
    tick, code, and what is escaped. A blank holds words or dots, so [1] is none either.
    """
    text = _CODE.sub(" ", notes)
    named = {" ".join(name.split()).casefold() for name in _DEFINITION.findall(text)}
    found = (" ".join(each.group(1).split()) for each in _BLANK.finditer(text))
    return [
        each
        for each in found
        if _OPEN.fullmatch(f"[{each}]")
        or (each.casefold() not in {"x", *named} and any(character.isalpha() for character in each))
    ]


def still_open(texts: Iterable[str]) -> str:
    """A sentence on what is left to fill in these texts; "" if nothing is."""
    given = list(texts)
    if names := variables(*given):
        listed = ", ".join(f"{{{{{name}}}}}" for name in names)
        return f"Nobody has filled {listed} yet. Fill it in, or take it out of the text."
    if found := [each for text in given for each in blanks(text)]:
        return f"Fill in the blank [{found[0]}], or take it out of the text."
    return ""
