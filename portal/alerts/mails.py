"""Who hears of an alert: those it names and, where it says so, the contacts of the company; by mail and by telephone.

Whoever is named hears of it whatever topics they have muted, and leaves it by the link in its mails. All of it is told
from the portal of the company it is about, and stops where the area Alerts is closed there; the staff hear of it all
the same, from a screen of their own.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from flask import current_app
from flask_babel import force_locale, lazy_gettext
from sqlalchemy import select

from portal.accounts.models import Company, Membership, Person
from portal.accounts.rules import text_key
from portal.alerts.facts import Facts, read_back
from portal.alerts.letters import OF_READERS, STAFF, own_of, text_of
from portal.alerts.models import Alert, AlertRecipient, AlertTemplate
from portal.alerts.rules import RecipientKind
from portal.alerts.topics import TOPIC
from portal.config import Settings
from portal.domains.models import Admission, PortalDomain
from portal.domains.queries import companies_with_area_open
from portal.domains.rules import Area
from portal.extensions import db
from portal.language import known
from portal.notifications.kinds import Cursor, Dialled, Kind, Recipient, register
from portal.notifications.queries import homes_of
from portal.services.mails.filling import written

KIND, TEST = "alert", "alert_test"

FORGOTTEN: dict[str, Any] = {"alert_id": 0, "company_id": 0, "watch_id": None, "only_person_id": None, "facts": None}
"""The selector of a notice about a company that was forgotten: it is for nobody."""

CONTACTS_AT_MOST = 200
"""Contacts of one company that are told."""


class _Heard(NamedTuple):
    """Somebody a broadcast about an alert is for. `person` is None for an address nobody here has."""

    address: str
    name: str
    language: str
    time_zone: str
    person_id: int | None
    is_staff: bool


def recipients(
    selector: dict[str, Any], after: Cursor | None, limit: int, now: datetime
) -> tuple[Sequence[Recipient], Cursor | None]:
    """The mail addresses of an alert, each once; they are few. At most six queries."""
    facts = read_back(selector)
    if facts is None:
        return [], None
    found = {text_key(each.address): each for each in _mailed(selector, facts)}
    return [_recipient(each, facts) for each in found.values()], None


def _recipient(heard: _Heard, facts: Facts) -> Recipient:
    with force_locale(heard.language):
        values = {
            name: written(moment, heard.language, heard.time_zone) if moment else ""
            for name, moment in {**dict.fromkeys(OF_READERS), **facts.moments}.items()
        }
    return Recipient(
        person_id=heard.person_id,
        # The staff hear of every company, whatever is open to it.
        company_ids=() if heard.is_staff else (facts.company_id,),
        address=heard.address,
        name=heard.name,
        language=heard.language,
        values={**values, "company": facts.company},
        variant=STAFF if heard.is_staff else "",
    )


def _mailed(selector: Mapping[str, Any], facts: Facts) -> Iterable[_Heard]:
    """Whom the selector names: one person who tries it out, or all whom the alert names now."""
    company_id = facts.company_id
    if selector["only_person_id"] is not None:
        return _people([selector["only_person_id"]], company_id)
    rows = _named(facts.alert, RecipientKind.MAIL)
    ids = [each.person_id for each in rows if each.person_id is not None]
    if facts.alert.tells_contacts:
        ids += _contacts(company_id)
    language, time_zone = _home_of(company_id)
    plain = [_Heard(each.address, "", language, time_zone, None, False) for each in rows if each.person_id is None]
    return [*plain, *_people(ids, company_id)]


def _named(alert: Alert, kind: RecipientKind) -> Sequence[AlertRecipient]:
    return db.session.scalars(
        select(AlertRecipient)
        .where(AlertRecipient.alert_id == alert.id, AlertRecipient.kind == kind)
        .order_by(AlertRecipient.id)
    ).all()


def _contacts(company_id: int) -> list[int]:
    return list(
        db.session.scalars(
            select(Membership.person_id)
            .where(Membership.company_id == company_id, Membership.is_contact)
            .order_by(Membership.id)
            .limit(CONTACTS_AT_MOST)
        )
    )


def _people(ids: Sequence[int], company_id: int) -> list[_Heard]:
    """Those of these people who may hear of this company now: its own, and the staff. Two queries."""
    if not ids:
        return []
    acting = frozenset(
        db.session.scalars(
            select(Membership.person_id).where(Membership.company_id == company_id, Membership.person_id.in_(ids))
        )
    )
    people = db.session.scalars(select(Person).where(Person.id.in_(ids), Person.deactivated_at.is_(None)))
    return [
        _Heard(each.email, each.name, known(each.language), each.time_zone, each.id, each.id not in acting)
        for each in people
        if each.id in acting or each.role is not None
    ]


def _home_of(company_id: int) -> tuple[str, str]:
    """The language and zone of those of whom nothing else is known: those of the company's portal. One query."""
    row = db.session.execute(
        select(PortalDomain.language, PortalDomain.time_zone)
        .join(Admission, Admission.domain_id == PortalDomain.id)
        .where(Admission.company_id == company_id, Admission.is_home)
    ).one_or_none()
    return (known(row.language), row.time_zone) if row is not None else ("en", "UTC")


def numbers(selector: dict[str, Any], now: datetime) -> Sequence[Dialled]:
    """The telephones of an alert, each with its whole text. One query where it names none, else at most seven."""
    if selector["only_person_id"] is not None:
        return ()
    facts = read_back(selector)
    rows = _named(facts.alert, RecipientKind.PHONE) if facts is not None else ()
    if facts is None or not rows:
        return ()
    settings: Settings = current_app.config["SETTINGS"]
    home = homes_of([facts.company_id]).get(facts.company_id)
    base_url = (home and home.base_url) or settings.base_url
    language, time_zone = _home_of(facts.company_id)
    template_id = facts.alert.template_id if selector["is_own"] else None
    own = own_of(db.session.get(AlertTemplate, template_id)) if template_id is not None else None
    people = {
        each.person_id: each for each in _people([each.person_id for each in rows if each.person_id], facts.company_id)
    }
    found = []
    for each in rows:
        person = people.get(each.person_id) if each.person_id is not None else None
        if each.person_id is not None and person is None:
            continue
        spoken, zone = (person.language, person.time_zone) if person else (language, time_zone)
        is_staff = person is not None and person.is_staff
        with force_locale(spoken):
            moments = {name: written(moment, spoken, zone) for name, moment in facts.moments.items()}
            text = text_of(
                facts,
                own,
                base_url=settings.base_url if is_staff else base_url,
                moments=moments,
                is_staff=is_staff,
                is_test=selector["is_test"],
            )
        found.append(Dialled(each.address, spoken, text, None if is_staff else facts.company_id, each.person_id))
    return found


def is_anybody_told(selector: dict[str, Any], now: datetime) -> bool:
    """Whether somebody hears of it now, by mail or by telephone, whose company it is still open to."""
    found, _cursor = recipients(selector, None, 1, now)
    dialled = numbers(selector, now)
    companies = {each for one in found for each in one.company_ids} | {
        each.company_id for each in dialled if each.company_id is not None
    }
    is_open = bool(companies) and bool(_allowed(companies))
    of_staff = any(not each.company_ids for each in found) or any(each.company_id is None for each in dialled)
    return is_open or of_staff


def _allowed(company_ids: Iterable[int]) -> frozenset[int]:
    """Those of the companies that still are customers and whose area Alerts is open."""
    open_to = companies_with_area_open(Area.ALERTS, list(company_ids))
    return frozenset(
        db.session.scalars(select(Company.id).where(Company.id.in_(open_to), Company.archived_at.is_(None)))
    )


LABEL = lazy_gettext("Alerts")

_kind = partial(
    Kind,
    topic=TOPIC,
    label=LABEL,
    recipients=recipients,
    numbers=numbers,
    allowed=_allowed,
    variables=OF_READERS | {"sms"},
    has_own_lists=True,
)

ALERT = register(_kind(name=KIND, expires_after=timedelta(hours=24), priority=8))
ALERT_TEST = register(_kind(name=TEST, expires_after=timedelta(hours=1), priority=5))
