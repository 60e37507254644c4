"""Mails that staff may word themselves, pure: what there is, what may stand in its words, and how they are filled.

A template is a subject, a text and HTML with variables in double braces. Plain substitution fills them; nothing of it
is ever run as a template. Our own frame stands around the HTML and under the text, with why somebody gets the mail and
how they leave, so no words of staff can take that away.
"""

import html as html_module
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from markupsafe import Markup

from portal.filters import MAIL_TAGS, mail_html
from portal.notifications.rules import HeaderError, header_text
from portal.notifications.templates.placeholders import (
    WordingError,
    check_links,
    check_placeholders,
    filled,
    filled_in_html,
    harmless,
    keep_placeholders,
    on_one_line,
    placeholders,
)

SUBJECT_LENGTH = 200
TEXT_LENGTH = 20_000
HTML_LENGTH = 60_000

_TAG = re.compile(r"<[/!?]?\s*([a-zA-Z][a-zA-Z0-9-]*)")
_WHOLE_TAG = re.compile(r"<[a-zA-Z][^>]*>")
_HREF = re.compile(r'href="[^"]*"')
_ADDRESS = re.compile(r"url\s*\(|expression\s*\(|@import", re.IGNORECASE)
_STYLE = re.compile(r"style\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s>]+)", re.IGNORECASE)
_LOADS = re.compile(r"(url|image-set|image|cross-fade|src|expression)\s*\(|@import", re.IGNORECASE)
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

_LOADS_NOTHING = "A mail loads nothing from anywhere: “{}(…)” cannot stand in its styles."


@dataclass(frozen=True)
class Words:
    """What a mail says: one line of a subject, a plain text, and HTML to stand inside our frame."""

    subject: str
    text: str
    html: str


FIELDS = ("subject", "text", "html")


@dataclass(frozen=True)
class Template:
    """A mail that staff may word themselves.

    `label` names it for staff and `meaning` says when it is sent. `variables` are those its words may use, with what
    each becomes; `linkable` are those a link may lead to, `of_many_lines` those that have no place in a subject.
    `builtin` are our own words in a language, used where there are no others.
    """

    name: str
    label: str
    meaning: str
    variables: Mapping[str, str]
    builtin: Callable[[str], Words]
    linkable: frozenset[str] = frozenset()
    of_many_lines: frozenset[str] = field(default=frozenset())


class FieldError(WordingError):
    """Words that cannot be saved; `field` is the one the sentence is about."""

    def __init__(self, sentence: str, named: str) -> None:
        super().__init__(sentence)
        self.field = named


_templates: dict[str, Template] = {}


def register_template(template: Template) -> Template:
    """Make a template known under its name; registering it again replaces it."""
    _templates[template.name] = template
    return template


def template_named(name: str) -> Template:
    """The template of this name; KeyError where there is none."""
    return _templates[name]


def known_templates() -> list[Template]:
    """Every template there is, in the order of registration."""
    return list(_templates.values())


# What may stand in it


def checked(template: Template, words: Words) -> Words:
    """The words as they are kept: trimmed, the HTML cleaned. FieldError says which field cannot stand, and why."""
    subject, text, html = words.subject.strip(), _lines(words.text), _lines(words.html)
    for name, check, value in (
        ("subject", _check_subject, subject),
        ("text", _check_text, text),
        ("html", _check_html, html),
    ):
        try:
            check(template, value)
        except WordingError as refusal:
            raise FieldError(str(refusal), name) from None
    return Words(subject, text, str(cleaned(html)))


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def _check_subject(template: Template, subject: str) -> None:
    if not subject:
        raise WordingError("Write a subject.")
    if len(subject) > SUBJECT_LENGTH:
        raise WordingError(f"The subject has {len(subject):,} characters; {SUBJECT_LENGTH} are allowed.")
    check_placeholders(subject, template.variables)
    try:
        header_text(subject)
    except HeaderError as refusal:
        raise WordingError(f"This cannot be the subject of a mail: {refusal}.") from None
    for name in placeholders(subject):
        if name in template.of_many_lines:
            raise WordingError(f"{{{{{name}}}}} can have many lines, so it cannot stand in a subject.")


def _check_text(template: Template, text: str) -> None:
    if not text:
        raise WordingError("Write a text: some people read no HTML.")
    if len(text) > TEXT_LENGTH:
        raise WordingError(f"The text has {len(text):,} characters; {TEXT_LENGTH:,} are allowed.")
    if _CONTROLS.search(text):
        raise WordingError("The text holds a control character. Paste it once more as plain text.")
    check_placeholders(text, template.variables)


def _check_html(template: Template, html: str) -> None:
    if not html:
        raise WordingError("Write the HTML: most people read that.")
    if len(html) > HTML_LENGTH:
        raise WordingError(f"The HTML has {len(html):,} characters; {HTML_LENGTH:,} are allowed.")
    if _CONTROLS.search(html):
        raise WordingError("The HTML holds a control character. Paste it once more as plain text.")
    _check_tags(html)
    check_placeholders(html, template.variables)
    kept = keep_placeholders(html)
    clean = str(mail_html(kept.text))
    # Cleaning has resolved the escapes of CSS and of HTML: what loads something can be read now.
    _check_styles(clean)
    if "{{" in clean:
        # Nothing that was typed as a variable: those are marks by now. Cleaning put these braces together.
        raise WordingError("Type the braces of a variable as they are, “{{” and “}}”, with nothing between them.")
    check_links(clean, kept, template.linkable)
    for tag in _WHOLE_TAG.finditer(clean):
        names = kept.names_in(_HREF.sub("", tag[0]))
        if names:
            raise WordingError(
                f"{{{{{names[0]}}}}} stands inside a tag. A variable can stand between tags, or begin a link."
            )


def _check_tags(html: str) -> None:
    for found in _TAG.finditer(html):
        if found[1].lower() not in MAIL_TAGS:
            raise WordingError(
                f"“<{found[1]}>” cannot stand in a mail. The frame around it is there already; inside it these can "
                f"stand: {', '.join(sorted(MAIL_TAGS))}."
            )
    if _ADDRESS.search(html):
        raise WordingError(_LOADS_NOTHING.format("url"))
    _check_styles(html)


def _check_styles(html: str) -> None:
    for style in _STYLE.finditer(html):
        found = _LOADS.search(html_module.unescape(style[1]))
        if found:
            raise WordingError(_LOADS_NOTHING.format(found[1] or "url"))


def cleaned(html: str) -> Markup:
    """The HTML with nothing in it that does not belong in a mail, the variables in their places."""
    kept = keep_placeholders(html)
    return kept.back(mail_html(kept.text))


# How it is filled


def told(
    words: Words,
    values: Mapping[str, str],
    *,
    rich: Mapping[str, str],
    links: Mapping[str, str],
    empty: Collection[str] = frozenset(),
) -> Words:
    """The words with these values in them, which every reader of a wording shares; what is a reader's own stays open.

    A value is plain text: escaped in the HTML, where `rich` has clean HTML for some instead. `links` are addresses of
    ours, which may begin with a variable of the reader's. A line whose variables are all empty is left out: those of
    `values` and `links` that are, and those of `empty`, which have no value for anybody.
    """
    nothing = {name for name, value in {**values, **links}.items() if not value} | set(empty)
    plain = {**dict.fromkeys(empty, ""), **{name: harmless(value) for name, value in values.items()}, **links}
    in_html = {name: _in_html(value) for name, value in plain.items()}
    in_html |= {name: harmless(value) for name, value in rich.items()}
    return Words(
        subject=on_one_line(filled(words.subject, plain)),
        text=_without_gaps(filled(line, plain) for line in _with_values(words.text, nothing)),
        html="\n".join(filled(line, in_html) for line in _with_values(words.html, nothing)),
    )


def _with_values(text: str, nothing: Collection[str]) -> list[str]:
    lines = []
    for line in text.split("\n"):
        names = placeholders(line)
        if not names or not all(name in nothing for name in names):
            lines.append(line)
    return lines


def _without_gaps(lines: Iterable[str]) -> str:
    """The lines with no more than one empty one between two."""
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _in_html(value: str) -> str:
    return "<br>".join(html_module.escape(value).splitlines() or [""])


def filled_for(wording: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    """A whole wording as one reader gets it, such as a preview shows it."""
    return {
        "subject": on_one_line(filled(wording["subject"], values)),
        "text": filled(wording["text"], values),
        "html": filled_in_html(wording["html"], values),
    }
