"""Texts in other languages: checked as they are written, and kept as they were before they are changed."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from portal.audit.rules import Actor
from portal.errors import RuleViolation
from portal.incidents.actions.revisions import keep
from portal.incidents.actions.writing import clean_body, clean_title
from portal.incidents.models import Incident
from portal.incidents.rules.languages import Translations
from portal.incidents.rules.revisions import Revised
from portal.language import IN_ENGLISH, LANGUAGES

FIELD = "translations"
"""Where a form or a request is told what is wrong with them."""


def clean_texts(texts: Mapping[str, str], clean: Callable[[str], str]) -> dict[str, str]:
    """The texts beside one original as they are stored; empty ones are none. RuleViolation at `translations`."""
    found: dict[str, str] = {}
    for code, text in sorted(texts.items()):
        if code not in LANGUAGES:
            known = ", ".join(LANGUAGES)
            raise RuleViolation(f"There is no language {code[:20]} here; there are {known}.", FIELD)
        if not text.strip():
            continue
        try:
            found[code] = clean(text)
        except RuleViolation as violation:
            raise RuleViolation(f"{IN_ENGLISH[code]}: {violation.sentence}", FIELD) from violation
    return found


def clean_translations(translations: Translations) -> tuple[dict[str, str], dict[str, str]]:
    """Titles and texts by language, as they are stored; RuleViolation at `translations`."""
    return (
        clean_texts({code: said.get("title", "") for code, said in translations.items()}, clean_title),
        clean_texts({code: said.get("body", "") for code, said in translations.items()}, clean_body),
    )


def keep_texts(
    incident: Incident,
    what: Revised,
    before: Mapping[str, str],
    after: Mapping[str, str],
    *,
    part_id: int = 0,
    since: datetime,
    was_seen: bool,
    by: Actor,
    now: datetime,
) -> None:
    """Keep the texts of one part of a report in other languages as they were, one change for each language."""
    for code in sorted(before.keys() | after.keys()):
        kept: dict[str, Any] = {"part_id": part_id, "since": since, "by": by, "now": now}
        was, then = before.get(code, ""), after.get(code, "")
        keep(incident, what, was, then, was_seen=was_seen and bool(was), **kept)
