"""The mail of an act as one reader gets it, in each language, before anything is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flask import current_app
from flask_babel import force_locale

from portal.config import Settings
from portal.domains.queries import wordings_by_domain
from portal.filters import worded
from portal.language import IN_ENGLISH
from portal.notifications.actions import values_of
from portal.notifications.kinds import Recipient
from portal.notifications.queries import Home, homes_of
from portal.notifications.templates.placeholders import filled, on_one_line
from portal.notifications.templates.queries import own_words
from portal.services.letters import Facts, words_of
from portal.services.mails.filling import written
from portal.services.queries.hearing import TOPIC, Audience
from portal.services.rules import ServiceStatus, UpdateKind

NO_WAY_OUT = "/u/…"
"""Stands for a reader's own way off the list, which is theirs alone to follow."""

KINDS = {ServiceStatus.SCHEDULED: UpdateKind.ANNOUNCED}


@dataclass(frozen=True)
class Wording:
    """What stands in the mail in one language. `spoken` is what staff call that language."""

    language: str
    spoken: str
    subject: str
    text: str


@dataclass(frozen=True)
class Letter:
    """The mail somebody of `company` reads, in every language: that of staff's screens first."""

    company: str
    wordings: Sequence[Wording]


@dataclass(frozen=True)
class Said:
    """What an act tells, as `letters.Facts` does, of the services of whoever reads it."""

    status: ServiceStatus
    services: Sequence[str]
    notes: str = ""
    ticket: str = ""
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    kind: UpdateKind | None = None
    is_digest: bool = False


def letter_of(said: Said, audience: Audience, zone: str) -> Letter | None:
    """The mail as the first company that is told reads it, its times in this zone; None where nobody is told.

    In the words of that company's home portal, where it has some of its own. Three queries.
    """
    if not audience.people:
        return None
    company = audience.named_companies[0]
    facts = Facts(
        kind=said.kind or KINDS.get(said.status, UpdateKind.STATED),
        status=said.status,
        service_name=None if said.is_digest else on_one_line(said.services[0]),
        notes=said.notes,
        ticket=said.ticket,
        starts_at=said.starts_at,
        ends_at=said.ends_at,
    )
    home = homes_of([company.company_id]).get(company.company_id)
    domain_id = home.domain_id if home else None
    own, states = own_words(facts.template), wordings_by_domain().get(domain_id or 0, {})
    wordings = []
    for language, spoken in IN_ENGLISH.items():
        with force_locale(language), worded(states):
            words = words_of(facts, own.words(language, domain_id))
            values = _values(said, audience, home, language, zone)
        subject = on_one_line(filled(words.subject, values))
        wordings.append(Wording(language, spoken, subject, filled(words.text, values)))
    return Letter(company.name, wordings)


def _values(said: Said, audience: Audience, home: Home | None, language: str, zone: str) -> dict[str, str]:
    """What is the reader's own in the mail."""
    company, reader = audience.named_companies[0], audience.named_people[0]
    recipient = Recipient(None, (company.company_id,), reader.email, reader.name, language, {})
    settings: Settings = current_app.config["SETTINGS"]
    values = values_of(recipient, TOPIC, home, settings)
    values["unsubscribe_url"] = values["portal_url"] + NO_WAY_OUT
    moments = {"start_time": said.starts_at, "end_time": said.ends_at}
    values |= {name: written(moment, language, zone) for name, moment in moments.items() if moment is not None}
    values |= {"service_name": ", ".join(said.services[:3]), "services": "\n".join(said.services)}
    values["company_name"] = company.name
    return values
