"""The mail of an act as one reader gets it, before anything is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flask import current_app
from flask_babel import force_locale

from portal import plaintext
from portal.config import Settings
from portal.filters import look, markdown
from portal.notifications.actions import values_of
from portal.notifications.kinds import Recipient
from portal.notifications.queries import homes_of
from portal.notifications.templates.placeholders import filled, on_one_line
from portal.notifications.templates.queries import own_words
from portal.notifications.templates.rules import told
from portal.services.letters import Facts, what_changed
from portal.services.mails.filling import written
from portal.services.queries.hearing import TOPIC, Audience
from portal.services.rules import ServiceStatus, UpdateKind

LANGUAGE = "en"
"""The language of staff's screens, and of the wording that is shown."""

NO_WAY_OUT = "/u/…"
"""Stands for a reader's own way off the list, which is theirs alone to follow."""

KINDS = {ServiceStatus.SCHEDULED: UpdateKind.ANNOUNCED}


@dataclass(frozen=True)
class Letter:
    """What stands in the mail: its subject and its text, read by somebody of `company`."""

    company: str
    subject: str
    text: str


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

    In staff's own words, if they wrote any. Two queries.
    """
    if not audience.people:
        return None
    company, reader = audience.named_companies[0], audience.named_people[0]
    facts = Facts(
        kind=said.kind or KINDS.get(said.status, UpdateKind.STATED),
        status=said.status,
        service_name=None if said.is_digest else on_one_line(said.services[0]),
        notes=said.notes,
        ticket=said.ticket,
        starts_at=said.starts_at,
        ends_at=said.ends_at,
    )
    notes = markdown(said.notes) if said.notes.strip() else ""
    times = {"start_time": said.starts_at, "end_time": said.ends_at}
    with force_locale(LANGUAGE):
        words = told(
            own_words(facts.template).words(LANGUAGE, None),
            {
                "status": str(look("service", facts.mailed_as.value).label),
                "what_changed": what_changed(facts),
                "notes": plaintext.from_html(notes) if notes else "",
                "ticket_number": said.ticket,
                "lasted": "",
            },
            rich={"notes": str(notes)},
            links={"incident_url": ""},
            empty={name for name, moment in times.items() if moment is None},
        )
    recipient = Recipient(None, (company.company_id,), reader.email, reader.name, LANGUAGE, {})
    settings: Settings = current_app.config["SETTINGS"]
    values = values_of(recipient, TOPIC, homes_of([company.company_id]).get(company.company_id), settings)
    values["unsubscribe_url"] = values["portal_url"] + NO_WAY_OUT
    values |= {name: written(moment, LANGUAGE, zone) for name, moment in times.items() if moment is not None}
    values |= {"service_name": ", ".join(said.services[:3]), "services": "\n".join(said.services)}
    values["company_name"] = company.name
    return Letter(company.name, on_one_line(filled(words.subject, values)), filled(words.text, values))
