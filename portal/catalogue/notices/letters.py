"""What staff typed as the mail it becomes: Markdown, our frame around it, and the variables in their places."""

import re
from collections.abc import Mapping

from markupsafe import Markup, escape

from portal import plaintext
from portal.catalogue.notices.rules import FIRST, TEST_PREFIX, check_links
from portal.filters import markdown
from portal.notifications.kinds import Content
from portal.notifications.templates.placeholders import Kept, WordingError, filled_in_html, keep_placeholders
from portal.notifications.templates.placeholders import filled as filled_plain
from portal.notifications.wordings import render_wordings

BEGINNING = 110
"""Characters of the text that mail programs show behind the subject."""

_PLACE = re.compile(r"\{\{([a-z][a-z0-9_]{0,39})\}\}")


def body_of(text: str) -> tuple[Markup, str]:
    """The text as clean HTML and as plain text, the variables in their places.

    Raises WordingError when a link leads where a variable says that is no address of ours.
    """
    kept = keep_placeholders(text)
    made = markdown(kept.text)
    check_links(str(made), kept)
    return kept.back(made), kept.back(plaintext.from_html(made))


def content_of(wordings: Mapping[str, Mapping[str, str]], *, is_test: bool = False) -> Content:
    """The mail in every language it was written in, frame and way out included."""
    content: Content = {}
    for language, wording in wordings.items():
        body_html, body_text = body_of(wording["body"])
        content |= render_wordings(
            "notice",
            (language,),
            subject=(TEST_PREFIX if is_test else "") + one_form(wording["subject"]),
            body_html=body_html,
            body_text=body_text,
            beginning=beginning_of(body_text),
        )
    return content


def beginning_of(text: str) -> str:
    """What mail programs show behind the subject: the first words, and no variable torn apart."""
    line = " ".join(text.split())
    if len(line) <= BEGINNING:
        return line
    cut = line[:BEGINNING].rpartition(" ")[0] or line[:BEGINNING]
    opened = cut.rfind("{{")
    return f"{cut[:opened].rstrip() if opened > cut.rfind('}}') else cut}…"


def wording_for(wordings: Mapping[str, Mapping[str, str]], language: str) -> str:
    """The language a reader of this one gets it in."""
    return language if language in wordings else FIRST


def one_form(text: str) -> str:
    """The text with its variables written in one way, without spaces inside the braces."""
    kept: Kept = keep_placeholders(text)
    return kept.back(kept.text)


def filled_body(body: Markup, values: Mapping[str, str]) -> Markup:
    """The clean HTML of a text with its values set in, escaped; none of them is looked into again."""
    pieces: list[str] = []
    place = 0
    for found in _PLACE.finditer(body):
        pieces += [body[place : found.start()], values.get(found[1], found[0])]
        place = found.end()
    return escape("").join([*pieces, body[place:]])


def filled(wording: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    """Subject, text and HTML as one reader gets them: values are plain text, escaped in the HTML."""
    return {
        "subject": filled_plain(wording["subject"], values),
        "text": filled_plain(wording["text"], values),
        "html": filled_in_html(wording["html"], values),
    }


__all__ = ["WordingError", "body_of", "content_of", "filled", "filled_body", "one_form", "wording_for"]
