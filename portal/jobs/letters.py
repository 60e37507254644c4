"""What is mailed about jobs and quotes, and to whom: to customers in their words, to staff at once.

Actions queue these in their own transaction; the kinds they go out as are those of `portal.jobs.mails`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from flask_babel import force_locale, format_currency, format_datetime
from sqlalchemy import or_, select

from portal.accounts.models import Company, Membership, Person
from portal.accounts.rules import Role as StaffRole
from portal.extensions import db
from portal.filters import DATES
from portal.jobs.models import WorkItem
from portal.jobs.queries.offers import AnswerRecord
from portal.jobs.rules import PLURALS, WorkKind, written_number
from portal.language import known, zone, zone_word
from portal.notifications.actions import queue_broadcast
from portal.notifications.wordings import render_wordings

RECEIPT = "quote_receipt"
OFFICE = "work_office"
"""Names of the kinds; status mails and messages go out as the kind called like the kind of work."""

TOLD_AT_MOST = 20
"""Items one mail names; the rest is a number."""


@dataclass(frozen=True)
class Reader:
    """Somebody who is mailed for a company."""

    id: int
    name: str
    email: str
    language: str
    time_zone: str


def readers_of(items: Collection[WorkItem]) -> Mapping[int, Sequence[Reader]]:
    """By item who hears of it: its contact, else whoever booked it, else the contacts of the company.

    Only people who act for the company and are active. One query.
    """
    named = {person_id for item in items for person_id in (item.contact_id, item.booked_by_id) if person_id}
    rows = db.session.execute(
        select(
            Membership.company_id,
            Membership.is_contact,
            Person.id,
            Person.name,
            Person.email,
            Person.language,
            Person.time_zone,
        )
        .join(Person, Person.id == Membership.person_id)
        .join(Company, Company.id == Membership.company_id)
        .where(
            Membership.company_id.in_({item.company_id for item in items}),
            or_(Membership.is_contact.is_(True), Membership.person_id.in_(named)),
            Person.deactivated_at.is_(None),
            Company.archived_at.is_(None),
        )
        .order_by(Person.id)
    )
    people: dict[int, dict[int, Reader]] = {}
    contacts: dict[int, list[Reader]] = {}
    for company_id, is_contact, person_id, name, email, language, time_zone in rows:
        reader = Reader(person_id, name, email, language, time_zone)
        people.setdefault(company_id, {})[reader.id] = reader
        if is_contact:
            contacts.setdefault(company_id, []).append(reader)
    found: dict[int, Sequence[Reader]] = {}
    for item in items:
        theirs = people.get(item.company_id, {})
        one = next((theirs[each] for each in (item.contact_id, item.booked_by_id) if each in theirs), None)
        found[item.id] = [one] if one else contacts.get(item.company_id, [])
    return found


def mail_statuses(kind: WorkKind, reader: Reader, changed: Sequence[tuple[WorkItem, str]], now: datetime) -> None:
    """Mail one person what has become of items of one company: one mail, however many there are.

    `changed` are the items with the name of their public status.
    """
    company_id = changed[0][0].company_id
    language = known(reader.language)
    is_one = len(changed) == 1
    item, status = changed[0]
    values = {"number": written_number(kind, item.number), "title": item.title, "status": status}
    if is_one:
        values["window"] = window_of(item, reader)
    else:
        values |= {"items": _listed(kind, changed), "count": str(len(changed))}
    _mail(
        kind.value,
        [(reader, values)],
        company_id,
        key=f"work-status:{kind.value}:{reader.id}:{item.id}:{now.isoformat()}",
        thread=f"{kind.value}:{item.id}" if is_one else f"{kind.value}s:{reader.id}:{now.isoformat()}",
        title=f"{values['number']}: {status}" if is_one else f"{len(changed)} {PLURALS[kind]}",
        now=now,
        languages=[language],
        event="status" if is_one else "statuses",
        kind=kind.value,
        plural=PLURALS[kind],
        has_window=is_one and bool(values["window"]),
    )


def _listed(kind: WorkKind, changed: Sequence[tuple[WorkItem, str]]) -> str:
    lines = [f"{written_number(kind, item.number)} {item.title}: {status}" for item, status in changed[:TOLD_AT_MOST]]
    return "\n".join([*lines, "…"] if len(changed) > TOLD_AT_MOST else lines)


def window_of(item: WorkItem, reader: Reader) -> str:
    """The scheduled window in the reader's language and zone; empty without one."""
    if item.starts_at is None:
        return ""
    language = known(reader.language)
    ends = [item.starts_at] if item.ends_at is None else [item.starts_at, item.ends_at]
    local = [moment.astimezone(zone(reader.time_zone)) for moment in ends]
    with force_locale(language):
        written = [str(format_datetime(moment, DATES[language][1], rebase=False)) for moment in local]
        return f"{' – '.join(written)} {zone_word(local[0])}"


def mail_message(item: WorkItem, *, author: str, body: str, files: Sequence[str], key: str, now: datetime) -> None:
    """Mail the customer of an item what staff wrote about it."""
    readers = readers_of([item])[item.id]
    values = {
        "number": written_number(item.kind, item.number),
        "title": item.title,
        "author": author,
        "message": body,
        "files": ", ".join(files),
    }
    _mail(
        item.kind.value,
        [(reader, values) for reader in readers],
        item.company_id,
        key=f"work-message:{key}",
        thread=f"{item.kind.value}:{item.id}",
        title=f"{values['number']}: message",
        now=now,
        languages=sorted({known(reader.language) for reader in readers}),
        event="message",
        kind=item.kind.value,
        plural=PLURALS[item.kind],
        has_files=bool(files),
        has_body=bool(body),
    )


def mail_receipt(item: WorkItem, answer: AnswerRecord, person: Person, now: datetime) -> None:
    """Mail whoever answered a quote that they did: what, for how much, when, and the hash it is bound to."""
    reader = Reader(person.id, person.name, person.email, person.language, person.time_zone)
    language = known(reader.language)
    with force_locale(language):
        at = answer.at.astimezone(zone(reader.time_zone))
        when = f"{format_datetime(at, DATES[language][1], rebase=False)} {zone_word(at)}"
        total = format_currency(Decimal(answer.offered.totals.gross).scaleb(-2), answer.offered.currency)
    values = {
        "number": answer.offered.number,
        "title": answer.offered.title,
        "total": str(total),
        "signed": answer.name,
        "when": when,
        "hash": answer.hash,
        "reason": answer.reason,
    }
    _mail(
        RECEIPT,
        [(reader, values)],
        item.company_id,
        key=f"quote-receipt:{answer.id}",
        thread=f"quote:{item.id}",
        title=f"{answer.offered.number}: receipt",
        now=now,
        languages=[language],
        event="accepted" if answer.is_accepted else "declined",
        kind=item.kind.value,
        plural=PLURALS[item.kind],
    )


def _mail(
    name: str,
    readers: Iterable[tuple[Reader, Mapping[str, str]]],
    company_id: int,
    *,
    key: str,
    thread: str,
    title: str,
    now: datetime,
    languages: Sequence[str],
    **context: Any,
) -> None:
    people = [
        {
            "id": reader.id,
            "address": reader.email,
            "name": reader.name,
            "language": known(reader.language),
            "values": values,
        }
        for reader, values in readers
    ]
    if not people:
        return
    queue_broadcast(
        name,
        idempotency_key=key[:120],
        title=title,
        selector={"company_id": company_id, "people": people},
        content=render_wordings("work", languages, **context),
        thread_key=thread[:120],
        by_person_id=None,
        now=now,
    )


def tell_office(item: WorkItem, words: str, text: str, *, key: str, now: datetime, only_assignee: bool = False) -> None:
    """Tell staff by mail, at once, what a customer did: who is assigned, else everybody of the office.

    `words` go on after the number: “was accepted”. With `only_assignee` nobody hears of what nobody is assigned to.
    """
    people = _office(item, only_assignee=only_assignee)
    company = db.session.scalar(select(Company.name).where(Company.id == item.company_id))
    number = written_number(item.kind, item.number)
    if not people:
        return
    values = {"number": number, "title": item.title, "company": company or "", "words": words, "text": text}
    queue_broadcast(
        OFFICE,
        idempotency_key=f"work-office:{key}"[:120],
        title=f"{number} {words}",
        selector={
            "company_id": None,
            "people": [
                {"id": each.id, "address": each.email, "name": each.name, "language": "en", "values": values}
                for each in people
            ],
        },
        content=render_wordings("work_office", ("en",), plural=PLURALS[item.kind], has_text=bool(text)),
        thread_key=f"office:{item.kind.value}:{item.id}",
        by_person_id=None,
        now=now,
    )


def _office(item: WorkItem, *, only_assignee: bool) -> Sequence[Person]:
    staff = select(Person).where(Person.deactivated_at.is_(None), Person.role.is_not(None)).order_by(Person.id)
    if item.assignee_id is not None:
        assigned = db.session.scalars(staff.where(Person.id == item.assignee_id)).all()
        if assigned or only_assignee:
            return assigned
    if only_assignee:
        return []
    for role in (StaffRole.OFFICE, StaffRole.ADMIN):
        if people := db.session.scalars(staff.where(Person.role == role)).all():
            return people
    return []
