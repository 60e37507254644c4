"""Whom an alert may name: e-mail addresses and telephones, and who may name which."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import phonenumbers
from flask import current_app
from flask_babel import gettext as _
from sqlalchemy import Select, exists, or_, select

from portal.accounts.models import Company, Membership, Person
from portal.accounts.rules import is_email, text_key
from portal.alerts.models import Alert, AlertRecipient
from portal.alerts.rules import RecipientKind
from portal.alerts.topics import topic_of
from portal.config import Settings
from portal.domains.queries import companies_with_area_open
from portal.domains.rules import Area
from portal.errors import RuleViolation
from portal.extensions import db
from portal.notifications.channels import dialled
from portal.notifications.channels.gateway import NO_GATEWAY
from portal.notifications.channels.rules import ChannelKind
from portal.notifications.channels.sealed import fingerprint
from portal.notifications.models import ContactChannel
from portal.notifications.queries import suppressed_addresses
from portal.notifications.rules import SuppressionReason

FIELD = "recipients"


@dataclass(frozen=True)
class Named:
    """One recipient as it is stored: a phone in E.164, and whose an address is, where that is somebody known."""

    kind: RecipientKind
    address: str
    person_id: int | None = None


def named_in(
    typed: Sequence[str], *, company_id: int | None, by_customer: bool, kept: Collection[str] = ()
) -> list[Named]:
    """The recipients somebody typed, each an e-mail address or a telephone; RuleViolation on `recipients`.

    Customers may name addresses of people of their company who have signed in, and numbers it is told on already
    (`contacts_of` lists both), staff any; `kept` are those an alert names today, which may stay. A telephone is refused
    where no gateway for texts is set up. Two queries, and two more for a customer.
    """
    found = [_read(each) for each in typed if each.strip()]
    if any(each.kind is RecipientKind.PHONE for each in found):
        check_gateway(by_customer=by_customer)
    once = {(each.kind, text_key(each.address)): each for each in found}
    people = _people_with([key for kind, key in once if kind is RecipientKind.MAIL], company_id)
    named = [
        Named(each.kind, each.address, people.get(key) if kind is RecipientKind.MAIL else None)
        for (kind, key), each in once.items()
    ]
    if by_customer:
        _check_own(named, company_id, {text_key(each) for each in kept})
    return named


def _read(typed: str) -> Named:
    text = typed.strip()
    if "@" in text:
        if not is_email(text):
            raise RuleViolation(_("“%(address)s” is not an e-mail address.", address=text[:80]), FIELD)
        return Named(RecipientKind.MAIL, text)
    return Named(RecipientKind.PHONE, phone(text))


def phone(typed: str) -> str:
    """A telephone number in E.164; RuleViolation for what can be none, in any country."""
    text = typed.strip()
    text = f"+{text[2:]}" if text.startswith("00") else text
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        number = None
    if number is None or number.extension or not phonenumbers.is_valid_number(number):
        raise RuleViolation(
            _(
                "“%(number)s” is neither an e-mail address nor a telephone number. Write a number with its country"
                " code, such as +49 160 1234567.",
                number=text[:40],
            ),
            FIELD,
        )
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def check_gateway(*, by_customer: bool) -> None:
    """RuleViolation where no text can be sent from here."""
    settings: Settings = current_app.config["SETTINGS"]
    if not settings.sms_url:
        sentence = _("Text messages cannot be sent from here. Name an e-mail address instead.")
        raise RuleViolation(sentence if by_customer else NO_GATEWAY, FIELD)


def _people_with(keys: Collection[str], company_id: int | None) -> dict[str, int]:
    """Whose these addresses are, of the staff and of the company's people; others stay plain addresses. One query."""
    if not keys:
        return {}
    acts = exists().where(Membership.person_id == Person.id, Membership.company_id == company_id)
    rows = db.session.execute(
        select(Person.email_key, Person.id).where(
            Person.email_key.in_(keys),
            Person.deactivated_at.is_(None),
            or_(Person.role.is_not(None), acts) if company_id is not None else Person.role.is_not(None),
        )
    )
    return dict(rows.all())


# What customers may name


@dataclass(frozen=True)
class Contact:
    """Somebody, or a telephone, a company may have told: `address` is what is named, `label` how it is offered."""

    address: str
    label: str


def contacts_of(company_id: int) -> list[Contact]:
    """Whom the people of a company may name: those of them who have signed in, in the order of their names. A query."""
    rows = db.session.execute(_verified(company_id).order_by(Person.name_key, Person.id).limit(200))
    return [Contact(row.email, f"{row.name} ({row.email})") for row in rows]


def _verified(company_id: int | None) -> Select[int, str, str, str]:
    """People of a company who have shown that they read their mail: the way in was sent there."""
    return (
        select(Person.id, Person.name, Person.email, Person.email_key)
        .join(Membership, Membership.person_id == Person.id)
        .where(
            Membership.company_id == company_id,
            Person.deactivated_at.is_(None),
            Person.last_signed_in_at.is_not(None),
        )
    )


def _check_own(named: Collection[Named], company_id: int | None, kept: Collection[str]) -> None:
    new = [each for each in named if text_key(each.address) not in kept]
    if not new:
        return
    mails = [text_key(each.address) for each in new if each.kind is RecipientKind.MAIL]
    theirs = {row.email_key for row in db.session.execute(_verified(company_id).where(Person.email_key.in_(mails)))}
    numbers = _numbers_told(company_id, [each.address for each in new if each.kind is RecipientKind.PHONE])
    for each in new:
        if text_key(each.address) not in theirs and each.address not in numbers:
            raise RuleViolation(
                _(
                    "“%(address)s” cannot be told from here: name somebody of your company who has signed in, or a"
                    " telephone on which it gets messages already.",
                    address=each.address[:80],
                ),
                FIELD,
            )


def _numbers_told(company_id: int | None, numbers: Collection[str]) -> frozenset[str]:
    """Those of the numbers on which this company, or somebody of it, has got a text already. One query."""
    marks = {fingerprint(ChannelKind.SMS, each): each for each in numbers}
    if not marks:
        return frozenset()
    people = select(Membership.person_id).where(Membership.company_id == company_id)
    rows = db.session.scalars(
        select(ContactChannel.fingerprint).where(
            ContactChannel.fingerprint.in_(marks),
            ContactChannel.kind == ChannelKind.SMS,
            ContactChannel.last_sent_at.is_not(None),
            or_(ContactChannel.company_id == company_id, ContactChannel.person_id.in_(people)),
        )
    )
    return frozenset(marks[each] for each in rows)


def shown_to(company_id: int, recipients: Collection[AlertRecipient], *, own: Collection[int]) -> dict[int, str]:
    """Those of these recipients that the people of a company are shown, by id, as they are called: people of it, and
    telephones that alerts it made itself (`own`) name or on which it is told already. At most two queries."""
    mails = [each for each in recipients if each.kind is RecipientKind.MAIL]
    people: dict[int, str] = {}
    keys: dict[str, str] = {}
    for person_id, key, name in db.session.execute(_people_of(company_id, mails)) if mails else ():
        people[person_id] = keys[key] = name
    phones = [each for each in recipients if each.kind is RecipientKind.PHONE]
    told = _numbers_told(company_id, [each.address for each in phones if each.alert_id not in own])
    found = {each.id: people.get(each.person_id or 0) or keys.get(text_key(each.address), "") for each in mails}
    found |= {each.id: each.address for each in phones if each.alert_id in own or each.address in told}
    return {recipient_id: name for recipient_id, name in found.items() if name}


def _people_of(company_id: int, mails: Collection[AlertRecipient]) -> Select[int, str, str]:
    """Those of the company's people whom these recipients are, or whose addresses they have."""
    ids = [each.person_id for each in mails if each.person_id is not None]
    return (
        select(Person.id, Person.email_key, Person.name)
        .join(Membership, Membership.person_id == Person.id)
        .where(
            Membership.company_id == company_id,
            or_(Person.id.in_(ids), Person.email_key.in_({text_key(each.address) for each in mails})),
        )
    )


# Who hears nothing


def unreachable(alert: Alert, recipients: Collection[AlertRecipient], now: datetime) -> Mapping[int, str]:
    """Why those of these recipients who hear nothing hear nothing, by id: sentences for whoever owns the alert.

    At most seven queries.
    """
    found: dict[int, str] = {}
    people = _people_by_id([each.person_id for each in recipients if each.person_id is not None])
    acting = _acting_for(alert.company_id, people) if alert.company_id is not None else frozenset(people)
    mails = {each.id: _address_of(each, people) for each in recipients if each.kind is RecipientKind.MAIL}
    stopped = suppressed_addresses([text_key(each) for each in mails.values()], topic_of(alert), now) if mails else {}
    gone = dialled.given_up([each.address for each in recipients if each.kind is RecipientKind.PHONE])
    settings: Settings = current_app.config["SETTINGS"]
    for each in recipients:
        if each.kind is RecipientKind.PHONE:
            why = _why_silent(each, gone, settings)
        else:
            why = _why_unread(each, people, acting) or _in_words(stopped, mails[each.id])
        if why:
            found[each.id] = why
    if alert.company_id is not None and not companies_with_area_open(Area.ALERTS, [alert.company_id]):
        closed = _("The area Alerts is closed for this company, so nothing is sent to it.")
        staff = {person.id for person in people.values() if person.role is not None}
        found |= {each.id: found.get(each.id, closed) for each in recipients if each.person_id not in staff}
    return found


def _people_by_id(ids: Collection[int]) -> dict[int, Person]:
    if not ids:
        return {}
    return {each.id: each for each in db.session.scalars(select(Person).where(Person.id.in_(ids)))}


def _acting_for(company_id: int, people: Collection[int]) -> frozenset[int]:
    if not people:
        return frozenset()
    return frozenset(
        db.session.scalars(
            select(Membership.person_id)
            .join(Company, Company.id == Membership.company_id)
            .where(Membership.company_id == company_id, Membership.person_id.in_(people), Company.archived_at.is_(None))
        )
    )


def _address_of(recipient: AlertRecipient, people: Mapping[int, Person]) -> str:
    person = people.get(recipient.person_id or 0)
    return person.email if person is not None else recipient.address


def _why_silent(recipient: AlertRecipient, gone: Mapping[str, str], settings: Settings) -> str:
    if not settings.sms_url:
        return str(_("Text messages cannot be sent from here."))
    if recipient.address in gone:
        return str(_("The gateway gave this number up. It is tried again after a month."))
    return ""


def _why_unread(recipient: AlertRecipient, people: Mapping[int, Person], acting: Collection[int]) -> str:
    person = people.get(recipient.person_id or 0)
    if person is None:
        return ""
    if person.deactivated_at is not None:
        return str(_("This person is deactivated."))
    if person.role is None and person.id not in acting:
        return str(_("This person is not of the company any more."))
    return ""


def _in_words(stopped: Mapping[str, tuple[SuppressionReason, str | None]], address: str) -> str:
    reason = stopped.get(text_key(address))
    if reason is None:
        return ""
    return str(
        {
            SuppressionReason.HARD_BOUNCE: _("The mail server says that there is no such address."),
            SuppressionReason.QUARANTINED: _(
                "Mails to this address failed too often, so it is left alone for a while."
            ),
            SuppressionReason.UNSUBSCRIBED: _("Whoever reads this address has left this alert."),
            SuppressionReason.COMPLAINT: _("Whoever reads this address has called our mails spam."),
            SuppressionReason.BY_HAND: _("Nothing is sent to this address."),
        }[reason[0]]
    )
