"""What staff see of own words before they save them: the newest notice there was, as the first who got it reads it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from flask import current_app
from flask_babel import force_locale
from sqlalchemy import ColumnElement, select

from portal.accounts.models import Company
from portal.alerts.facts import Facts, gathered
from portal.alerts.letters import STAFF, Own, content_of, text_of
from portal.alerts.mails import recipients
from portal.alerts.models import Alert, AlertEvent, AlertWatch
from portal.alerts.rules import AlertArea, Happening, Level, Operator, gsm
from portal.alerts.words import Thing
from portal.config import Settings
from portal.domains.queries import companies_with_area_open
from portal.domains.rules import Area
from portal.extensions import db
from portal.notifications.actions import values_of
from portal.notifications.kinds import Recipient, wording_key
from portal.notifications.queries import Home, homes_of
from portal.notifications.templates.rules import filled_for
from portal.services.mails.filling import written
from portal.usage.readings import Reading

NO_WAY_OUT = "/u/…"
"""Stands for a reader's own way off the list, which is theirs alone to follow."""


@dataclass(frozen=True)
class Specimen:
    """A notice, and who reads it. It is made up where nothing was ever told."""

    facts: Facts
    reader: Recipient
    has_messages: bool
    home: Home | None
    is_made_up: bool = False


@dataclass(frozen=True)
class Preview:
    """One notice in own words. `html` is the whole document, to be shown in a frame that runs nothing.

    `sms_length` is in places of the text's alphabet, `sms_parts` as how many messages it is sent.
    """

    reader: str
    language: str
    subject: str
    text: str
    html: str
    sms: str
    sms_length: int
    sms_parts: int


def specimen_of(template_id: int | None, now: datetime, *, alert_id: int | None = None) -> Specimen:
    """The newest notice of this alert, of one that uses the template, or of any. A bounded number of queries."""
    for narrowed in _narrowings(template_id, alert_id):
        row = db.session.execute(
            select(AlertEvent, AlertWatch, Alert)
            .join(AlertWatch, AlertWatch.id == AlertEvent.watch_id)
            .join(Alert, Alert.id == AlertWatch.alert_id)
            .where(AlertEvent.kind == Happening.TRIGGERED, Alert.archived_at.is_(None), *narrowed)
            .order_by(AlertEvent.id.desc())
            .limit(1)
        ).first()
        if row is None:
            continue
        event, watch, alert = row
        reading = Reading(event.value, event.count, event.at, is_stale=False, next_at=None)
        facts = gathered(
            alert,
            watch.company_id,
            Happening.TRIGGERED,
            reading,
            since=event.at,
            watch_id=watch.id,
            told="",
            now=now,
        )
        found, _cursor = recipients(_selector(facts), None, 1, now)
        if found:
            return _seen(facts, found[0])
    return _made_up(now)


def _narrowings(template_id: int | None, alert_id: int | None) -> Sequence[list[ColumnElement[bool]]]:
    if alert_id is not None:
        return [[Alert.id == alert_id]]
    return [[Alert.template_id == template_id], []] if template_id is not None else [[]]


def _selector(facts: Facts) -> dict[str, object]:
    return {
        "alert_id": facts.alert.id,
        "company_id": facts.company_id,
        "watch_id": facts.watch_id,
        "only_person_id": None,
        "is_test": False,
        "is_own": True,
        "facts": facts.as_json(),
    }


def _seen(facts: Facts, reader: Recipient, *, is_made_up: bool = False) -> Specimen:
    home = homes_of([facts.company_id]).get(facts.company_id) if reader.company_ids else None
    has_messages = bool(companies_with_area_open(Area.MESSAGES, [facts.company_id]))
    return Specimen(facts, reader, has_messages, home, is_made_up)


def _made_up(now: datetime) -> Specimen:
    company = db.session.execute(
        select(Company.id, Company.name).where(Company.archived_at.is_(None)).order_by(Company.id).limit(1)
    ).first()
    company_id, name = (company.id, company.name) if company is not None else (0, "Your company")
    alert = Alert(
        public_id="example",
        title="Too few calls are answered",
        area=AlertArea.ASR,
        operator=Operator.LESS,
        threshold=Decimal(30),
        reset=Decimal(40),
        window=1800,
        must_be_well=600,
        trunk="",
        level=Level.WARNING,
    )
    since = now - timedelta(minutes=20)
    facts = Facts(
        alert,
        company_id,
        name,
        Happening.TRIGGERED,
        Thing(AlertArea.ASR, unit="%", decimals=2),
        Decimal("28.40"),
        134,
        now,
        since,
        watch_id=1,
    )
    values = {each: written(moment, "en", "UTC") for each, moment in facts.moments.items()}
    reader = Recipient(
        None,
        (company_id,) if company_id else (),
        "reader@example.com",
        "Robin Reader",
        "en",
        {**values, "company": name},
    )
    return _seen(facts, reader, is_made_up=True)


def preview(own: Own | None, specimen: Specimen) -> Preview:
    """The notice in these words, or in our own; WordingError where they do not do, which `letters.checked_own` says
    too, field by field."""
    settings: Settings = current_app.config["SETTINGS"]
    facts, reader = specimen.facts, specimen.reader
    language = reader.language
    content = content_of(facts, own, has_messages=specimen.has_messages)
    values = {**values_of(reader, "alert", specimen.home, settings)}
    values["unsubscribe_url"] = values["portal_url"] + NO_WAY_OUT
    said = filled_for(content[wording_key(language, None, reader.variant)], values)
    with force_locale(language):
        sms = text_of(
            facts,
            own,
            base_url=values["portal_url"],
            moments={name: reader.values[name] for name in facts.moments if name in reader.values},
            is_staff=reader.variant == STAFF,
        )
    return Preview(
        f"{reader.name} <{reader.address}>" if reader.name else reader.address,
        language,
        said["subject"],
        said["text"],
        said["html"],
        sms,
        gsm.length(sms),
        gsm.parts(sms),
    )
