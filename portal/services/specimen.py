"""A mail about a service status as a real reader would get it: for whoever words it, before anybody gets it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from flask import current_app
from markupsafe import Markup
from sqlalchemy import Select, select

from portal.accounts.models import Company, Membership, Person
from portal.catalogue.models import Holding, Service
from portal.catalogue.queries import is_valid
from portal.config import Settings
from portal.domains.models import Admission
from portal.extensions import db
from portal.filters import mail_html
from portal.language import known
from portal.notifications.actions import values_of
from portal.notifications.kinds import Recipient
from portal.notifications.queries import homes_of
from portal.notifications.templates.placeholders import filled_in_html
from portal.notifications.templates.rules import Words, filled_for
from portal.services.letters import BY_STATUS, DIGEST, Facts, mailed_as, wording_of
from portal.services.mails.filling import Firm, Held, values_for, written
from portal.services.mails.telling import moments_of, told_lately
from portal.services.models import ServiceUpdate
from portal.services.queries.hearing import TOPIC
from portal.services.rules import ServiceStatus, UpdateKind

LOOKED_AT = 30
"""Of the latest updates, so many are looked at to find one that was mailed in a template."""

NO_WAY_OUT = "/u/…"
"""Stands for a reader's own way off the list, which is theirs alone to follow."""


@dataclass(frozen=True)
class Specimen:
    """What a template is shown with: what there is to say, who reads it, and where it comes from: the moment of a real
    `update`, or real services with made-up words."""

    facts: Facts
    reader: Recipient
    zone: str
    told_at: datetime | None


@dataclass(frozen=True)
class Letter:
    """A mail as one reader gets it. `body` is its HTML as staff's screens may show it, without styles; `document` the
    whole HTML part."""

    subject: str
    text: str
    body: Markup
    document: str


def specimen_of(name: str, domain_id: int | None, now: datetime) -> Specimen:
    """The latest update that is told in this template, with a reader at home on the portal domain if one is named.

    Without such an update it is real services of a real company, and without those it is all made up. A bounded number
    of queries.
    """
    for update in _latest(name):
        told = told_lately(update, now, is_digest=name == DIGEST)
        if told is None:
            continue
        facts, found = told
        readers = found if domain_id is None else _at_home(found, domain_id)
        if readers:
            return Specimen(facts, readers[0], _zone_of(readers[0]), update.created_at)
    return _made_up(name, domain_id, now)


def _latest(name: str) -> list[ServiceUpdate]:
    rows = db.session.scalars(
        select(ServiceUpdate)
        .where(ServiceUpdate.undone_at.is_(None))
        .order_by(ServiceUpdate.id.desc())
        .limit(LOOKED_AT)
    )
    if name == DIGEST:
        fitting = [row for row in rows if row.holdings > 1]
    else:
        fitting = [row for row in rows if BY_STATUS[mailed_as(row.kind, row.status)] == name]
    return fitting[:3]


def _at_home(readers: Sequence[Recipient], domain_id: int) -> list[Recipient]:
    homes = homes_of({each.company_ids[0] for each in readers})
    return [each for each in readers if homes[each.company_ids[0]].domain_id == domain_id]


def _zone_of(reader: Recipient) -> str:
    return db.session.scalar(select(Person.time_zone).where(Person.id == reader.person_id)) or "UTC"


def _made_up(name: str, domain_id: int | None, now: datetime) -> Specimen:
    status = next((status for status, each in BY_STATUS.items() if each == name), ServiceStatus.DOWN)
    is_window = status is ServiceStatus.SCHEDULED
    is_over = status is ServiceStatus.NORMAL
    facts = Facts(
        kind=UpdateKind.ANNOUNCED if is_window else UpdateKind.STATED,
        status=status,
        service_name=None if name == DIGEST else "Email",
        notes="These are the **notes** of an update.",
        ticket="T-1042",
        starts_at=now + timedelta(days=2) if is_window else now - timedelta(hours=1),
        ends_at=now + timedelta(days=2, hours=2) if is_window else now if is_over else now + timedelta(hours=1),
        lasted=timedelta(hours=1) if is_over else None,
    )
    row = db.session.execute(_someone(domain_id, now)).first() or db.session.execute(_someone(None, now)).first()
    if row is None:
        firm = Firm(0, "Your company")
        person = Recipient(None, (), "reader@example.com", "Robin Reader", "en")
        zone, held = "UTC", [Held(0, "Email", ""), Held(1, "Internet", "")]
    else:
        firm, zone = Firm(row.company_id, row.company_name), row.time_zone
        person = Recipient(row.person_id, (row.company_id,), row.email, row.name, known(row.language))
        held = _held_by(row.company_id, now)
    named = [(firm, each) for each in (held if name == DIGEST else held[:1])]
    moments = {name: datetime.fromisoformat(moment) for name, moment in moments_of(facts).items()}
    values = values_for(person.language, zone, named, moments, is_digest=name == DIGEST)
    return Specimen(facts, replace(person, values=values), zone, None)


def _someone(domain_id: int | None, now: datetime) -> Select[int, str, str, str, str, int, str]:
    """Somebody of a company that holds something."""
    statement: Select[int, str, str, str, str, int, str] = (
        select(
            Person.id.label("person_id"),
            Person.name,
            Person.email,
            Person.language,
            Person.time_zone,
            Company.id.label("company_id"),
            Company.name.label("company_name"),
        )
        .join(Membership, Membership.person_id == Person.id)
        .join(Company, Company.id == Membership.company_id)
        .join(Holding, Holding.company_id == Company.id)
        .where(Person.deactivated_at.is_(None), Company.archived_at.is_(None), is_valid(Holding, now))
        .order_by(Company.id, Person.id)
        .limit(1)
    )
    if domain_id is None:
        return statement
    return statement.join(Admission, Admission.company_id == Company.id).where(
        Admission.is_home, Admission.domain_id == domain_id
    )


def _held_by(company_id: int, now: datetime) -> list[Held]:
    rows = db.session.execute(
        select(Service.id, Service.name, Holding.reference)
        .join(Service, Service.id == Holding.service_id)
        .where(Holding.company_id == company_id, is_valid(Holding, now))
        .order_by(Service.position, Service.name_key, Holding.reference)
        .limit(10)
    )
    return [Held(*row) for row in rows]


def letter_of(specimen: Specimen, words: Words, language: str, domain_id: int | None) -> Letter:
    """The mail in these words, in this language, as the reader of the specimen would get it. Three queries."""
    own: Settings = current_app.config["SETTINGS"]
    moments = {name: datetime.fromisoformat(moment) for name, moment in moments_of(specimen.facts).items()}
    told = {name: written(moment, language, specimen.zone) for name, moment in moments.items()}
    reader = replace(specimen.reader, language=language, values={**specimen.reader.values, **told})
    home = homes_of(reader.company_ids[:1]).get(reader.company_ids[0]) if reader.company_ids else None
    values = values_of(reader, TOPIC, home, own)
    values["unsubscribe_url"] = values["portal_url"] + NO_WAY_OUT
    wording, inner = wording_of(specimen.facts, words, language, domain_id)
    whole = filled_for(wording, values)
    body = mail_html(filled_in_html(inner, values), is_plain=True)
    return Letter(whole["subject"], whole["text"], body, whole["html"])
