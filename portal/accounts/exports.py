"""What goes out of a company's and a person's data: who they are, where they were signed in, what the trail says.

What a company is given names nobody else: staff are "staff", and of an entry of the trail it gets the fields that it
could see itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select

from portal.accounts.models import Company, Membership, Person, Session
from portal.audit.models import AuditEntry
from portal.extensions import db
from portal.records.parts import ROWS_AT_ONCE, Part, Told, in_pieces, register
from portal.records.rules.exports import ExportKind

THEIRS = frozenset({"company", "person", "address", "holding", "portal"})
"""Kinds of object whose entries say what the company or person could see; of others it is told that, not what."""

SEEN_BY_THEM = frozenset(
    {
        "name",
        "email",
        "language",
        "time_zone",
        "reference",
        "area",
        "areas",
        "is_open",
        "is_home",
        "host",
        "topic",
        "address",
        "count",
        "state",
    }
)
"""Fields of an audit entry that the company or person it is about could see on its own screens and mails."""


# A company


def _company(company_id: int | None, now: datetime) -> Iterator[Told]:
    company = db.session.get(Company, company_id)
    if company is not None:
        yield {
            "name": company.name,
            "reference": company.external_id,
            "since": company.created_at,
            "archived_at": company.archived_at,
        }


def _people(company_id: int | None, now: datetime) -> Iterator[Told]:
    statement = (
        select(
            Person.name,
            Person.email,
            Person.language,
            Person.time_zone,
            Person.deactivated_at,
            Membership.created_at.label("since"),
        )
        .join(Membership, Membership.person_id == Person.id)
        .where(Membership.company_id == company_id)
    )
    for row in in_pieces(statement, Membership.id):
        yield row._mapping


def _sessions(condition: ColumnElement[bool]) -> Iterator[Told]:
    statement = (
        select(
            Person.name.label("person"),
            Session.host,
            Session.ip,
            Session.user_agent.label("browser"),
            Session.created_at.label("began_at"),
            Session.last_seen_at,
            Session.revoked_at.label("ended_at"),
        )
        .join(Person, Person.id == Session.person_id)
        .where(condition)
    )
    for row in in_pieces(statement, Session.id):
        yield row._mapping


def _company_sessions(company_id: int | None, now: datetime) -> Iterator[Told]:
    # A session of somebody of staff who looked at what the company sees is staff's own.
    yield from _sessions(and_(Session.company_id == company_id, Person.role.is_(None)))


# The trail


def _entries(condition: ColumnElement[bool], own: set[int]) -> Iterator[Told]:
    """Entries as those they are about may read them; `own` are the people who are named."""
    statement = select(
        AuditEntry.at,
        AuditEntry.action,
        AuditEntry.actor_id,
        AuditEntry.actor,
        AuditEntry.ip,
        AuditEntry.object_kind,
        AuditEntry.before,
        AuditEntry.after,
    ).where(condition)
    for row in in_pieces(statement, AuditEntry.id):
        is_own = row.actor_id in own
        yield {
            "at": row.at,
            "what": row.action,
            "about": row.object_kind,
            "by": row.actor if is_own else "system" if row.actor == "system" else "staff",
            "ip": row.ip if is_own else None,
            "before": _seen(row.object_kind, row.before),
            "after": _seen(row.object_kind, row.after),
        }


def _seen(kind: str, side: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The fields they may read; of what is not theirs (a token that staff named, say) none."""
    if not side or kind not in THEIRS:
        return None
    return {name: value for name, value in side.items() if name.lower() in SEEN_BY_THEM}


def _company_entries(company_id: int | None, now: datetime) -> Iterator[Told]:
    own = set(db.session.scalars(select(Membership.person_id).where(Membership.company_id == company_id)))
    yield from _entries(AuditEntry.company_id == company_id, own)


def _person_entries(person_id: int | None, now: datetime) -> Iterator[Told]:
    about = and_(AuditEntry.object_kind == "person", AuditEntry.object_id == person_id)
    yield from _entries(or_(AuditEntry.actor_id == person_id, about), {person_id or 0})


# A person


def _person(person_id: int | None, now: datetime) -> Iterator[Told]:
    person = db.session.get(Person, person_id)
    if person is not None:
        yield {
            "name": person.name,
            "email": person.email,
            "language": person.language,
            "time_zone": person.time_zone,
            "role": person.role.value if person.role else None,
            "since": person.created_at,
            "deactivated_at": person.deactivated_at,
        }


def _person_companies(person_id: int | None, now: datetime) -> Iterator[Told]:
    statement = (
        select(Company.name.label("company"), Membership.created_at.label("since"))
        .join(Company, Company.id == Membership.company_id)
        .where(Membership.person_id == person_id)
    )
    for row in in_pieces(statement, Membership.id):
        yield row._mapping


def _person_sessions(person_id: int | None, now: datetime) -> Iterator[Told]:
    yield from _sessions(Session.person_id == person_id)


# The firm's own lists, as the import takes them


def _all_companies(_subject: int | None, now: datetime) -> Iterator[Told]:
    statement = select(Company.name, Company.external_id).where(Company.archived_at.is_(None))
    for row in in_pieces(statement, Company.id):
        yield row._mapping


def _all_people(_subject: int | None, now: datetime) -> Iterator[Told]:
    """People of companies; staff are no customers, and an import makes none."""
    statement = select(Person.id, Person.email, Person.name, Person.language, Person.time_zone).where(
        Person.role.is_(None), Person.anonymised_at.is_(None), Person.deactivated_at.is_(None)
    )
    piece: list[Any] = []
    for row in in_pieces(statement, Person.id):
        piece.append(row)
        if len(piece) == ROWS_AT_ONCE:
            yield from _with_companies(piece)
            piece = []
    yield from _with_companies(piece)


def _with_companies(people: Sequence[Any]) -> Iterator[Told]:
    names: dict[int, list[str]] = {}
    for person_id, name, reference in db.session.execute(
        select(Membership.person_id, Company.name, Company.external_id)
        .join(Company, Company.id == Membership.company_id)
        .where(Membership.person_id.in_([person.id for person in people]), Company.archived_at.is_(None))
        .order_by(Membership.person_id, Membership.id)
    ):
        # A name with a parting sign in it would be read as two; the reference has none.
        names.setdefault(person_id, []).append(reference if reference and {"|", ";"} & set(name) else name)
    for person in people:
        yield {**person._mapping, "companies": names.get(person.id, [])}


_ENTRY = {
    "at": "At",
    "what": "What",
    "about": "About",
    "by": "By",
    "ip": "Address",
    "before": "Before",
    "after": "After",
}
_SESSION = {
    "person": "Person",
    "host": "Host",
    "ip": "Address",
    "browser": "Browser",
    "began_at": "Began",
    "last_seen_at": "Last seen",
    "ended_at": "Ended",
}
_OWNER = {"language": "Language", "time_zone": "Time zone", "since": "Since", "deactivated_at": "Deactivated"}

COMPANY, PERSON = ExportKind.COMPANY, ExportKind.PERSON
COMPANY_NAMES = {"name": "Name", "reference": "Reference", "since": "Since", "archived_at": "Archived"}
PEOPLE_NAMES = {"name": "Name", "email": "E-mail address", **_OWNER}

for _part in (
    Part(COMPANY, "company", "the company itself", COMPANY_NAMES, _company, 0),
    Part(COMPANY, "people", "everybody who may act for it", PEOPLE_NAMES, _people, 1),
    Part(COMPANY, "sessions", "where its people were signed in for it", _SESSION, _company_sessions, 2),
    Part(COMPANY, "audit", "what was done about it, by whom and when", _ENTRY, _company_entries, 90),
    Part(PERSON, "person", "the person", {**PEOPLE_NAMES, "role": "Role"}, _person, 0),
    Part(PERSON, "companies", "for whom they act", {"company": "Company", "since": "Since"}, _person_companies, 1),
    Part(PERSON, "sessions", "where they were signed in", _SESSION, _person_sessions, 2),
    Part(PERSON, "audit", "what they did, and what was done about them", _ENTRY, _person_entries, 90),
    Part(
        ExportKind.COMPANIES,
        "companies",
        "a company",
        {"name": "Name", "external_id": "Reference"},
        _all_companies,
    ),
    Part(
        ExportKind.PEOPLE,
        "people",
        "a person",
        {
            "email": "E-mail address",
            "name": "Name",
            "companies": "Companies",
            "language": "Language",
            "time_zone": "Time zone",
        },
        _all_people,
    ),
):
    register(_part)
