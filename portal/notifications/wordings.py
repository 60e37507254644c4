"""Rendering the wordings of a broadcast once per language, from `templates/mail/<folder>/`.

The templates are ours and are rendered with Jinja; what differs per recipient stays in them as `{{ "{{name}}" }}`
and is filled later, by plain substitution. A portal domain with words of its own for states has the mail rendered once
more where they change it; most mails say none of those words, or the same as everybody's, and then there is one.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import current_app, render_template
from flask_babel import force_locale

from portal.domains.queries import wordings_by_domain
from portal.filters import worded
from portal.language import LANGUAGES
from portal.notifications.kinds import FOR_SUBSCRIBERS, Content, wording_key


def render_wordings(
    folder: str,
    languages: Iterable[str] = tuple(LANGUAGES),
    *,
    for_subscribers: bool = False,
    in_language: Callable[[str], Mapping[str, Any]] | None = None,
    **context: Any,
) -> Content:
    """`subject.txt`, `body.txt` and `body.html` of the folder in each language; the subject becomes one line.

    With `for_subscribers` each is rendered once more for those without a login, whose templates see `is_subscriber`.
    `in_language` gives what the templates see in one language only.
    """
    by_language = {each: {**context, **(in_language(each) if in_language else {})} for each in languages}
    content = _rendered_for(folder, by_language, "")
    if for_subscribers:
        theirs = {each: {**seen, "is_subscriber": True} for each, seen in by_language.items()}
        content |= _rendered_for(folder, theirs, FOR_SUBSCRIBERS)
    return content


def _rendered_for(folder: str, by_language: Mapping[str, Mapping[str, Any]], variant: str) -> Content:
    content: Content = {}
    own = wordings_by_domain()
    for language, context in by_language.items():
        with force_locale(language):
            with worded({}):
                usual = content[wording_key(language, None, variant)] = rendered(folder, context)
            for domain_id, wordings in own.items():
                if language not in wordings:
                    continue
                with worded(wordings):
                    own_words = rendered(folder, context)
                if own_words != usual:
                    content[wording_key(language, domain_id, variant)] = own_words
    return content


PLAIN = ("brief", "post")
"""The wordings for a text message and for a room, of those folders that have them."""


def rendered(folder: str, context: Mapping[str, Any]) -> dict[str, str]:
    """One wording, in the language and with the words that are forced around this."""
    plain = {name: render_template(f"mail/{folder}/{name}.txt", **context).strip() for name in _plain_of(folder)}
    return {
        **plain,
        "subject": " ".join(render_template(f"mail/{folder}/subject.txt", **context).split()),
        "text": render_template(f"mail/{folder}/body.txt", **context).strip() + "\n",
        "html": render_template(f"mail/{folder}/body.html", **context),
    }


@lru_cache
def _plain_of(folder: str) -> tuple[str, ...]:
    there = Path(current_app.root_path, "templates", "mail", folder)
    return tuple(name for name in PLAIN if (there / f"{name}.txt").is_file())
