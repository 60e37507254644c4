"""What goes out of the outbox: what was sent to people, as they got it, and what they want."""

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select

from portal.accounts.models import Membership, Person
from portal.extensions import db
from portal.notifications.models import Broadcast, CompanyPreference, Delivery, Preference, Suppression
from portal.records.parts import Part, Told, in_pieces, register
from portal.records.rules.exports import ExportKind

LINKS = frozenset({"unsubscribe_url", "manage_url"})
"""Variables that are keys: whoever has the link can unsubscribe somebody, or choose for them; no export has them."""

_PLACE = re.compile(r"{{\s*(\w+)\s*}}")


def _to(addresses: Collection[str], company_id: int | None) -> Iterator[Told]:
    """What was sent to these addresses. Of a mail that was about other companies too a company gets no text."""
    for address in addresses:
        statement = (
            select(
                Delivery.name,
                Delivery.address,
                Delivery.company_ids,
                Delivery.wording,
                Delivery.values,
                Delivery.state,
                Delivery.finished_at,
                Delivery.created_at.label("written_at"),
                Broadcast.content,
                Broadcast.topic,
            )
            .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
            .where(Delivery.address_key == address)
        )
        for row in in_pieces(statement, Delivery.id):
            if company_id is not None and company_id not in row.company_ids:
                continue
            is_shared = company_id is not None and set(row.company_ids) != {company_id}
            wording = row.content.get(row.wording, {})
            subject, text = (_filled(wording.get(part, ""), row.values) for part in ("subject", "text"))
            yield {
                "to": row.name,
                "address": row.address,
                "topic": row.topic,
                "state": row.state,
                "written_at": row.written_at,
                "finished_at": row.finished_at,
                "subject": "" if is_shared else subject,
                "text": "(was about other companies too)" if is_shared else text,
            }


def _filled(text: str, values: Mapping[str, Any]) -> str:
    def value(match: re.Match[str]) -> str:
        name = match[1]
        return "…" if name in LINKS else str(values.get(name, match[0]))

    return _PLACE.sub(value, text)


def _members(company_id: int | None) -> Any:
    return select(Membership.person_id).where(Membership.company_id == company_id)


def _addresses(condition: Any) -> list[str]:
    return list(db.session.scalars(select(Person.email_key).where(condition).order_by(Person.id)))


def _company_deliveries(company_id: int | None, now: datetime) -> Iterator[Told]:
    yield from _to(_addresses(Person.id.in_(_members(company_id))), company_id)


def _person_deliveries(person_id: int | None, now: datetime) -> Iterator[Told]:
    yield from _to(_addresses(Person.id == person_id), None)


def _preferences(condition: Any) -> Iterator[Told]:
    statement = (
        select(Person.name.label("person"), Preference.topic, Preference.channel, Preference.wanted)
        .join(Person, Person.id == Preference.person_id)
        .where(condition)
    )
    for row in in_pieces(statement, Preference.id):
        yield row._mapping


def _company_preferences(company_id: int | None, now: datetime) -> Iterator[Told]:
    """What the company wants for its people, then what each of them has said."""
    statement = select(CompanyPreference.topic, CompanyPreference.channel, CompanyPreference.wanted).where(
        CompanyPreference.company_id == company_id
    )
    for row in in_pieces(statement, CompanyPreference.id):
        yield {"person": "(everybody who says nothing else)", **row._mapping}
    yield from _preferences(Person.id.in_(_members(company_id)))


def _suppressions(condition: Any) -> Iterator[Told]:
    statement = (
        select(
            Suppression.address_key.label("address"),
            Suppression.scope.label("topic"),
            Suppression.reason,
            Suppression.source,
            Suppression.created_at.label("since"),
            Suppression.until,
        )
        .join(Person, Person.email_key == Suppression.address_key)
        .where(condition)
    )
    for row in in_pieces(statement, Suppression.id):
        yield row._mapping


def _of_company(rows: Any) -> Any:
    return lambda company_id, now: rows(Person.id.in_(_members(company_id)))


def _of_person(rows: Any) -> Any:
    return lambda person_id, now: rows(Person.id == person_id)


_MAIL = {
    "to": "To",
    "address": "Address",
    "topic": "Topic",
    "state": "State",
    "written_at": "Written",
    "finished_at": "Finished",
    "subject": "Subject",
    "text": "Text",
}
_WISH = {"person": "Person", "topic": "Topic", "channel": "Channel", "wanted": "Wanted"}
_STOP = {
    "address": "Address",
    "topic": "Topic",
    "reason": "Reason",
    "source": "Source",
    "detail": "Detail",
    "since": "Since",
    "until": "Until",
}

for _kind, _mails, _wishes, _whose in (
    (ExportKind.COMPANY, _company_deliveries, _company_preferences, _of_company),
    (ExportKind.PERSON, _person_deliveries, _of_person(_preferences), _of_person),
):
    register(Part(_kind, "mails", "what was mailed, as it was read", _MAIL, _mails, 30))
    register(Part(_kind, "preferences", "which mails are wanted", _WISH, _wishes, 31))
    register(Part(_kind, "suppressions", "addresses nothing is mailed to, and why", _STOP, _whose(_suppressions), 32))
