"""A mail as its reader sees it: its parts, and the colours of every text on the ground it stands on."""

import re
from collections.abc import Iterator
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from html.parser import HTMLParser
from typing import Literal, NamedTuple

from bs4 import BeautifulSoup, Tag

Scheme = Literal["light", "dark", "without style sheet"]

VOID = {"br", "meta", "hr", "img", "link", "input", "col", "area", "base", "source", "wbr"}
_DARK = "@media (prefers-color-scheme: dark) {"


def parsed(raw: bytes) -> EmailMessage:
    """The mail as the standard library reads it."""
    message = BytesParser(policy=policy.default).parsebytes(raw)
    assert isinstance(message, EmailMessage)
    return message


class Balance(HTMLParser):
    """Whether every element is closed, and in its order: `faults` says what is not."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.faults: list[str] = []
        self.feed(text)
        self.close()
        self.faults += [f"<{tag}> stays open" for tag in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _value in attrs]
        if len(names) != len(set(names)):
            self.faults.append(f"<{tag}> has an attribute twice")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes something else")


class Colours(NamedTuple):
    """A piece of text with its colour and ground, as #rrggbb."""

    text: str
    colour: str
    ground: str

    @property
    def contrast(self) -> float:
        """The contrast ratio of WCAG 2.2, from 1 to 21."""
        lighter, darker = sorted((_luminance(self.colour), _luminance(self.ground)), reverse=True)
        return (lighter + 0.05) / (darker + 0.05)


def colours(page: BeautifulSoup, scheme: Scheme) -> Iterator[Colours]:
    """Every text that is seen, with its colours in this scheme: the sheet's rules in their order, then inline ones,
    then what is important. What nobody colours is as mail programs have it: black on white, and links blue."""
    styles = _styles(page, scheme)
    for node in page.body.find_all(string=True) if page.body else []:
        text = node.strip()
        ancestors = [each for each in node.parents if isinstance(each, Tag)]
        if not text or any("display:none" in str(each.get("style", "")).replace(" ", "") for each in ancestors):
            continue
        colour = next((styles[id(each)]["color"] for each in ancestors if "color" in styles.get(id(each), {})), "")
        if not colour:
            colour = "#0000ee" if any(each.name == "a" for each in ancestors) else "#000000"
        grounds = (styles[id(each)]["background"] for each in ancestors if "background" in styles.get(id(each), {}))
        yield Colours(text, colour, next(grounds, "#ffffff"))


def _styles(page: BeautifulSoup, scheme: Scheme) -> dict[int, dict[str, str]]:
    sheet = "" if scheme == "without style sheet" else "".join(each.get_text() for each in page.find_all("style"))
    plain, dark = _split(sheet)
    rules = _rules(plain) + (_rules(dark) if scheme == "dark" else [])
    found: dict[int, dict[str, str]] = {}
    for important in (False, True):
        for selector, declarations in rules:
            wanted = {name: value for name, (value, is_important) in declarations.items() if is_important is important}
            for element in page.select(selector) if wanted and ":" not in selector else []:
                found.setdefault(id(element), {}).update(wanted)
        if not important:
            for element in page.find_all(style=True):
                inline = {name: value for name, (value, _) in _declarations(str(element["style"])).items()}
                found.setdefault(id(element), {}).update(inline)
    return found


def _split(sheet: str) -> tuple[str, str]:
    """The rules for everybody, and those for the dark alone."""
    start = sheet.find(_DARK)
    if start < 0:
        return sheet, ""
    depth, end = 1, start + len(_DARK)
    while depth:
        depth += {"{": 1, "}": -1}.get(sheet[end], 0)
        end += 1
    return sheet[:start] + sheet[end:], sheet[start + len(_DARK) : end - 1]


def _rules(sheet: str) -> list[tuple[str, dict[str, tuple[str, bool]]]]:
    return [
        (selector.strip(), _declarations(body))
        for selectors, body in re.findall(r"([^{}]+)\{([^{}]*)\}", sheet)
        for selector in selectors.split(",")
    ]


def _declarations(body: str) -> dict[str, tuple[str, bool]]:
    """The colours among the declarations, and whether each is important."""
    found = {}
    for declaration in body.split(";"):
        name, _, value = declaration.partition(":")
        if name.strip() in {"color", "background", "background-color"}:
            bare = value.replace("!important", "").strip().lower()
            assert re.fullmatch(r"#[0-9a-f]{6}", bare), f"a colour that is no plain one: {declaration}"
            found["color" if name.strip() == "color" else "background"] = (bare, "!important" in value)
    return found


def _luminance(colour: str) -> float:
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
