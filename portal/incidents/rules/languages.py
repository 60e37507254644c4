"""One report in several languages: which text of it somebody reads.

The text that is written first is the original, in whatever language its author writes; nobody declares which. Beside it
there may be a text for each language of the product, kept as a mapping by its code ("de"). Whose language has none
reads the original.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

Texts = Mapping[str, str]
"""The texts of one original by language; a language without one is not in it."""

Translations = Mapping[str, Mapping[str, str]]
"""The texts of a form or a request: by language, then by what they stand beside ("title", "body")."""

NO_TEXTS: Texts = MappingProxyType({})
NO_TRANSLATIONS: Translations = MappingProxyType({})
"""Texts in no language beside the original."""

ORIGINAL = ""
"""What the original is filed under among texts by language."""


def told_in(language: str, original: str, texts: Texts, own: Sequence[tuple[str, Texts]] = ()) -> str:
    """What somebody who reads this language is told: the first wording of their own there is, else the general text.

    `own` are the wordings for their company and for its home, each with its texts; of each, and of the general text,
    that of the language comes before the original. `queries.wordings` says the same in SQL.
    """
    for wording, in_languages in own:
        return in_languages.get(language) or wording
    return texts.get(language) or original


def texts_of(translations: Translations, name: str) -> dict[str, str]:
    """The texts that stand beside one original ("title"), by language; empty ones are none."""
    return {code: said[name] for code, said in sorted(translations.items()) if said.get(name, "").strip()}


def translations_of(**texts: Texts) -> dict[str, dict[str, str]]:
    """The other way round: all there is in each language, by what it stands beside."""
    found: dict[str, dict[str, str]] = {}
    for name, in_languages in texts.items():
        for code, text in in_languages.items():
            found.setdefault(code, {})[name] = text
    return dict(sorted(found.items()))


def subjects_after(subjects: Texts, title: str, titles: Texts) -> dict[str, str]:
    """What the mails of one conversation are called, by language, once one more is written.

    Mail programs keep together what has one subject. So a conversation keeps the titles it began with: a title that is
    translated afterwards changes nothing for whoever already reads it. Only a new original begins another one.
    """
    if subjects.get(ORIGINAL) == title:
        return dict(subjects)
    return {ORIGINAL: title, **titles}


def subject_in(language: str, subjects: Texts) -> str:
    """What the mails of a conversation are called for somebody who reads this language."""
    return subjects.get(language) or subjects[ORIGINAL]
