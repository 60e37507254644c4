"""A mail as one of those who would get it reads it, before anything is written: for whoever plans or reports."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from flask import current_app
from markupsafe import Markup

from portal.catalogue.queries.hearing import TOPIC, WORK
from portal.config import Settings
from portal.filters import mail_html
from portal.incidents.calendars import Note
from portal.incidents.mails import incidents, maintenance
from portal.incidents.mails.reaching import Reader, Selection, expand
from portal.incidents.mails.wordings import in_own_words
from portal.language import LANGUAGES
from portal.notifications.actions import values_of
from portal.notifications.kinds import Content, Recipient, wording_for
from portal.notifications.queries import homes_of
from portal.notifications.templates.rules import filled_for

OFFERED = 12
"""Of those who would be told so many are offered as readers, the affected first."""

NO_WAY_OUT = "/u/…"
"""Stands for a reader's own way off the list, which is theirs alone to follow."""

_SHEET = re.compile(r'<table role="presentation"[^>]*>\s*<tr><td[^>]*>')
_HEADING = re.compile(r"<(/?)h1\b")

Fill = Callable[[Reader], Mapping[str, str]]
"""Makes what fills the wording for one reader."""


@dataclass(frozen=True)
class Letter:
    """A mail as its reader gets it. `body` is its HTML as screens of staff may show it, without styles.

    `readers` are those among whom the reader was chosen, `languages` those a mail is written in.
    """

    reader: Recipient
    readers: Sequence[Recipient]
    company: str
    language: str
    subject: str
    text: str
    body: Markup
    languages: Mapping[str, str]


def letter_about_work(
    selector: Mapping[str, Any], content: Content, *, reader_id: int | None, language: str
) -> Letter | None:
    """The mail about planned work as it would be told to those of this selector; None where nobody is mailed.

    In the language of the reader unless another is named. At most twenty-four queries.
    """
    wanted, note = Selection.read(selector, maintenance.SUBJECT), Note(**selector["note"])

    def fill(reader: Reader) -> Mapping[str, str]:
        [values] = maintenance.values_of([reader], wanted.moments, note, wanted)
        return values

    return _letter(wanted, content, fill, WORK, reader_id=reader_id, language=language)


def letter_about_incident(
    selector: Mapping[str, Any], content: Content, *, reader_id: int | None, language: str
) -> Letter | None:
    """The same of the mail about an incident, in the wording its reader gets. At most twenty-four queries."""
    wanted = Selection.read(selector, incidents.SUBJECT)

    def fill(reader: Reader) -> Mapping[str, str]:
        [values] = incidents.values_for(wanted)([reader])
        return values

    return _letter(
        wanted,
        content,
        fill,
        TOPIC,
        reader_id=reader_id,
        language=language,
        worded=lambda found: in_own_words(selector, found),
    )


def _letter(
    wanted: Selection,
    content: Content,
    fill: Fill,
    topic: str,
    *,
    reader_id: int | None,
    language: str,
    worded: Callable[[Sequence[Recipient]], Sequence[Recipient]] = list,
) -> Letter | None:
    seen: list[Reader] = []

    def only_seen(readers: Sequence[Reader]) -> list[dict[str, str]]:
        seen.extend(readers)
        return [{} for _ in readers]

    found, _place = expand(wanted, None, OFFERED, only_seen)
    told = [(recipient, reader) for recipient, reader in zip(worded(found), seen, strict=True) if recipient.is_wanted]
    if not told:
        return None
    recipient, reader = next((pair for pair in told if pair[0].person_id == reader_id), told[0])
    spoken = language if language in LANGUAGES else reader.language
    return _written(
        replace(recipient, language=spoken, values=fill(reader._replace(language=spoken))),
        [each for each, _reader in told],
        content,
        topic,
    )


def _written(recipient: Recipient, readers: Sequence[Recipient], content: Content, topic: str) -> Letter:
    settings: Settings = current_app.config["SETTINGS"]
    home = homes_of(recipient.company_ids[:1]).get(recipient.company_ids[0])
    values = values_of(recipient, topic, home, settings)
    values["unsubscribe_url"] = values["portal_url"] + NO_WAY_OUT
    key = wording_for(content, recipient.language, home.domain_id if home else None, recipient.variant)
    whole = filled_for(content[key], values)
    return Letter(
        reader=recipient,
        readers=readers,
        company=values["company"],
        language=recipient.language,
        subject=whole["subject"],
        text=whole["text"],
        body=_shown(whole["html"]),
        languages=LANGUAGES,
    )


def _shown(document: str) -> Markup:
    """What of a mail its reader sees: without its style sheet, what is hidden in it, and the tables that lay it out.

    Its heading stands below those of the screen it is shown on.
    """
    body = _HEADING.sub(r"<\1h3", document.partition("<body")[2].partition("</div>")[2])
    return mail_html(_SHEET.sub("<div>", body), is_plain=True)


def moments_of(moments: Mapping[str, datetime]) -> dict[str, str]:
    """Moments as a selector keeps them."""
    return {name: moment.isoformat() for name, moment in moments.items()}
