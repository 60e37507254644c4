"""Rendering the wordings of a broadcast once per language, from `templates/mail/<folder>/`.

The templates are ours and are rendered with Jinja; what differs per recipient stays in them as `{{ "{{name}}" }}`
and is filled later, by plain substitution.
"""

from collections.abc import Iterable
from typing import Any

from flask import render_template
from flask_babel import force_locale

from portal.language import LANGUAGES
from portal.notifications.kinds import Content


def render_wordings(folder: str, languages: Iterable[str] = tuple(LANGUAGES), **context: Any) -> Content:
    """`subject.txt`, `body.txt` and `body.html` of the folder in each language; the subject becomes one line."""
    content: Content = {}
    for language in languages:
        with force_locale(language):
            content[language] = {
                "subject": " ".join(render_template(f"mail/{folder}/subject.txt", **context).split()),
                "text": render_template(f"mail/{folder}/body.txt", **context).strip() + "\n",
                "html": render_template(f"mail/{folder}/body.html", **context),
            }
    return content
