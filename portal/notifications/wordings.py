"""Rendering the wordings of a broadcast once per language, from `templates/mail/<folder>/`.

The templates are ours and are rendered with Jinja; what differs per recipient stays in them as `{{ "{{name}}" }}`
and is filled later, by plain substitution. A portal domain with words of its own for states has the mail rendered once
more where they change it; most mails say none of those words, or the same as everybody's, and then there is one.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from flask import current_app, render_template
from flask_babel import force_locale

from portal.domains.queries import wordings_by_domain
from portal.filters import worded
from portal.language import LANGUAGES
from portal.notifications.kinds import Content, wording_key


def render_wordings(folder: str, languages: Iterable[str] = tuple(LANGUAGES), **context: Any) -> Content:
    """`subject.txt`, `body.txt` and `body.html` of the folder in each language; the subject becomes one line."""
    content: Content = {}
    own = wordings_by_domain()
    for language in languages:
        with force_locale(language):
            with worded({}):
                content[language] = _rendered(folder, context)
            for domain_id, wordings in own.items():
                if language not in wordings:
                    continue
                with worded(wordings):
                    rendered = _rendered(folder, context)
                if rendered != content[language]:
                    content[wording_key(language, domain_id)] = rendered
    return content


PLAIN = ("brief", "post")
"""The wordings for a text message and for a room, of those folders that have them."""


def _rendered(folder: str, context: dict[str, Any]) -> dict[str, str]:
    plain = {name: render_template(f"mail/{folder}/{name}.txt", **context).strip() for name in _plain_of(folder)}
    return {
        **plain,
        "subject": " ".join(render_template(f"mail/{folder}/subject.txt", **context).split()),
        "text": render_template(f"mail/{folder}/body.txt", **context).strip() + "\n",
        "html": render_template(f"mail/{folder}/body.html", **context),
    }


@lru_cache
def _plain_of(folder: str) -> tuple[str, ...]:
    known = set(current_app.jinja_env.list_templates())
    return tuple(name for name in PLAIN if f"mail/{folder}/{name}.txt" in known)
