"""Bringing in companies, and people with the companies they may act for. Nobody is mailed, nobody gets a password."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from babel import Locale
from sqlalchemy import select

from portal import events
from portal.accounts.models import Company, Membership, Person
from portal.accounts.rules import one_line, text_key
from portal.accounts.rules.imports import (
    Choices,
    KnownCompanies,
    KnownCompany,
    KnownPerson,
    judge_company,
    judge_person,
    names_wanted,
)
from portal.audit import actions as audit
from portal.audit.rules import Actor, Noted
from portal.extensions import db
from portal.language import DEFAULT, LANGUAGES, TIME_ZONES
from portal.records.bulk import insert_all, pieces, update_all
from portal.records.kinds import ImportKind, Option, register
from portal.records.rules import Verdict
from portal.records.rules.columns import Column
from portal.records.rules.judging import Claims, Judged, Row

_GERMAN = {"en": "Englisch", "de": "Deutsch"}
"""Names of languages as German files have them, beside the code and the name in the language itself."""

COMPANY_SYNONYMS = (
    "company",
    "company name",
    "customer",
    "customer name",
    "organisation",
    "organization",
    "account",
    "client",
    "Firma",
    "Firmenname",
    "Unternehmen",
    "Kunde",
    "Kundenname",
)
"""What other systems call the company of a row."""

REFERENCE_SYNONYMS = (
    "customer number",
    "customer no",
    "customer id",
    "company id",
    "account number",
    "account no",
    "Kundennummer",
    "Kunden-Nr",
    "KdNr",
    "Debitor",
    "Debitorennummer",
)

COMPANY_COLUMN = Column(
    "company",
    "Company",
    (*COMPANY_SYNONYMS, *REFERENCE_SYNONYMS),
    is_required=True,
    hint="Its name, or its reference.",
    examples=("Alder Dental", "Birch Logistics"),
)
"""Whose a row is, in files of what companies have: see `companies_named`."""
"""What they call the number of a company."""

COMPANY_COLUMNS = (
    Column(
        "name",
        "Name",
        (*COMPANY_SYNONYMS, "Name 1", "Bezeichnung"),
        is_required=True,
        examples=("Alder Dental", "Birch Logistics"),
    ),
    Column(
        "external_id",
        "Reference",
        ("external id", "external reference", "id", "number", *REFERENCE_SYNONYMS, "Referenz", "Nummer"),
        hint="What your other system calls the company. With it a company is found again even under a new name.",
        examples=("C-1001", "C-1002"),
    ),
)


class CompanyImport:
    """A file of companies, row by row."""

    def __init__(self) -> None:
        self.claims = Claims()

    def judge(self, rows: Sequence[Row]) -> list[Judged]:
        """See `judge_company`; two queries for a piece."""
        known = companies_named((row.get("name") for row in rows), (one_line(row.get("external_id")) for row in rows))
        return [judge_company(row, known, self.claims) for row in rows]

    def write(self, judged: Sequence[Judged], *, by: Actor, now: datetime) -> Mapping[int, int]:
        """Add and change companies; the ids by row."""
        added = [each for each in judged if each.verdict is Verdict.ADDED]
        ids = insert_all(Company, [{**_stored(each), "created_at": now} for each in added])
        new = dict(zip((each.number for each in added), ids, strict=True))
        audit.record_many(
            "company.add",
            (
                Noted(new[each.number], new[each.number], after={"name": each.values["name"], **_reference(each)})
                for each in added
            ),
            object_kind="company",
            by=by,
            now=now,
        )
        changed = [each for each in judged if each.verdict is Verdict.CHANGED]
        self._change(
            [each for each in changed if {change.field for change in each.changes} & {"Name", "Reference"}], by, now
        )
        return new | {each.number: each.row_id for each in changed if each.row_id}

    def _change(self, changed: Sequence[Judged], by: Actor, now: datetime) -> None:
        named = [each for each in changed if each.values["external_id"] is None]
        referred = [each for each in changed if each.values["external_id"] is not None]
        for columns, judged in ((("name", "name_key"), named), (("name", "name_key", "external_id"), referred)):
            update_all(Company, columns, [_row(each) for each in judged])
        audit.record_many(
            "company.edit",
            (Noted(each.row_id or 0, each.row_id, *before_and_after(each)) for each in changed),
            object_kind="company",
            by=by,
            now=now,
        )

    def finish(self, *, by: Actor, now: datetime) -> None:
        """Staff see the companies."""
        events.ring(events.STAFF)


def _stored(judged: Judged) -> dict[str, Any]:
    return {name: judged.values[name] for name in ("name", "name_key", "external_id")}


def _row(judged: Judged) -> dict[str, Any]:
    return {**judged.values, "id": judged.row_id, "version": judged.version}


def _reference(judged: Judged) -> dict[str, Any]:
    return {"external_id": judged.values["external_id"]} if judged.values["external_id"] else {}


def before_and_after(judged: Judged) -> tuple[dict[str, Any], dict[str, Any]]:
    """The changes of a row as the audit trail has them."""
    return {each.field: each.before for each in judged.changes}, {each.field: each.after for each in judged.changes}


def companies_named(names: Iterable[str], external_ids: Iterable[str] = ()) -> KnownCompanies:
    """The companies that these names or external ids may mean; two queries for each few hundred."""
    found: dict[int, KnownCompany] = {}
    columns = (Company.id, Company.name, Company.external_id, Company.archived_at, Company.version)
    for column, wanted in (
        (Company.name_key, {text_key(name) for name in names if name}),
        (Company.external_id, {text for text in external_ids if text}),
    ):
        for piece in pieces(wanted):
            for row in db.session.execute(select(*columns).where(column.in_(piece))):
                found[row.id] = KnownCompany(
                    row.id, row.name, row.external_id, row.archived_at is not None, row.version
                )
    return KnownCompanies(
        {text_key(each.name): each for each in found.values()},
        {each.external_id: each for each in found.values() if each.external_id},
    )


PEOPLE_COLUMNS = (
    Column(
        "email",
        "E-mail address",
        ("email", "mail", "e-mail", "email address", "address", "login", "Mailadresse", "E-Mail-Adresse", "Adresse"),
        is_required=True,
        examples=("alice@alder.example", "bob@birch.example"),
    ),
    Column(
        "name",
        "Name",
        ("full name", "person", "contact", "contact name", "display name", "Ansprechpartner", "Kontakt", "Voller Name"),
        hint="Or choose first and last name below.",
        examples=("Alice Alder", "Bob Birch"),
    ),
    Column("first_name", "First name", ("given name", "forename", "Vorname"), examples=("", "")),
    Column("last_name", "Last name", ("surname", "family name", "Nachname", "Familienname"), examples=("", "")),
    Column(
        "companies",
        "Companies",
        (*COMPANY_SYNONYMS, "Firmen", *REFERENCE_SYNONYMS),
        hint="Names or references; several are parted by |. They are added to those the person has.",
        examples=("Alder Dental", "Birch Logistics|Alder Dental"),
    ),
    Column("language", "Language", ("locale", "lang", "Sprache"), hint="Such as en or German.", examples=("en", "de")),
    Column(
        "time_zone",
        "Time zone",
        ("timezone", "tz", "Zeitzone"),
        hint="Such as Europe/Berlin.",
        examples=("Europe/London", "Europe/Berlin"),
    ),
)


class PeopleImport:
    """A file of people, row by row."""

    def __init__(self, options: Mapping[str, str]) -> None:
        self.claims = Claims()
        language, zone = options.get("language", ""), options.get("time_zone", "")
        zones = _zones()
        self.choices = Choices(
            language if language in LANGUAGES else DEFAULT,
            zones.get(text_key(zone), "Europe/London"),
            _languages(),
            zones,
        )

    def judge(self, rows: Sequence[Row]) -> list[Judged]:
        """See `judge_person`; four queries for a piece."""
        companies = companies_named(*[names_wanted([row.get("companies") for row in rows])] * 2)
        people = people_at({row.get("email") for row in rows})
        return [judge_person(row, people, companies, self.choices, self.claims) for row in rows]

    def write(self, judged: Sequence[Judged], *, by: Actor, now: datetime) -> Mapping[int, int]:
        """Add and change people and who they may act for; the ids of the people by row."""
        added = [each for each in judged if each.verdict is Verdict.ADDED]
        columns = ("name", "email", "email_key", "language", "time_zone")
        ids = insert_all(
            Person, [{name: each.values[name] for name in columns} | {"created_at": now} for each in added]
        )
        new = dict(zip((each.number for each in added), ids, strict=True))
        changed = [each for each in judged if each.verdict is Verdict.CHANGED]
        people = new | {each.number: each.row_id for each in changed if each.row_id}
        edited = [each for each in changed if {change.field for change in each.changes} - {"Companies"}]
        update_all(Person, ("name", "language", "time_zone"), [_row(each) for each in edited])
        joined = [
            {"person_id": people[each.number], "company_id": company_id, "created_at": now}
            for each in (*added, *changed)
            for company_id in each.values["company_ids"]
        ]
        insert_all(Membership, joined)
        self._audit(added, edited, joined, new, by=by, now=now)
        return people

    def _audit(
        self,
        added: Sequence[Judged],
        edited: Sequence[Judged],
        joined: Sequence[Mapping[str, Any]],
        new: Mapping[int, int],
        *,
        by: Actor,
        now: datetime,
    ) -> None:
        for action, noted in (
            (
                "person.add",
                [
                    Noted(
                        new[each.number],
                        after={"name": each.values["name"], "email": each.values["email"], "role": None},
                    )
                    for each in added
                ],
            ),
            ("person.profile", [Noted(each.row_id or 0, None, *before_and_after(each)) for each in edited]),
            ("membership.add", [Noted(each["person_id"], each["company_id"]) for each in joined]),
        ):
            audit.record_many(action, noted, object_kind="person", by=by, now=now)

    def finish(self, *, by: Actor, now: datetime) -> None:
        """Staff see the people."""
        events.ring(events.STAFF)


def people_at(addresses: Collection[str]) -> dict[str, KnownPerson]:
    """The people at these addresses, by compared address; two queries for each few hundred."""
    found: dict[str, KnownPerson] = {}
    for piece in pieces({text_key(address) for address in addresses if address}):
        rows = db.session.execute(
            select(
                Person.id,
                Person.name,
                Person.email,
                Person.email_key,
                Person.language,
                Person.time_zone,
                Person.role,
                Person.deactivated_at,
                Person.version,
            ).where(Person.email_key.in_(piece))
        ).all()
        companies: dict[int, set[int]] = {}
        memberships = select(Membership.person_id, Membership.company_id).where(
            Membership.person_id.in_([row.id for row in rows])
        )
        for person_id, company_id in db.session.execute(memberships):
            companies.setdefault(person_id, set()).add(company_id)
        for row in rows:
            found[row.email_key] = KnownPerson(
                row.id,
                row.name,
                row.email,
                row.language,
                row.time_zone,
                row.role,
                row.deactivated_at is not None,
                frozenset(companies.get(row.id, ())),
                row.version,
            )
    return found


@lru_cache(maxsize=1)
def _languages() -> dict[str, str]:
    """Codes of languages by what people write: "de", "de-DE", "German", "Deutsch"."""
    found = {}
    for code, name in LANGUAGES.items():
        locale = Locale.parse(code)
        words = {code, name, _GERMAN.get(code, name), locale.get_display_name("en") or code}
        words |= {f"{code}{mark}{land}" for mark in "-_" for land in ("de", "at", "ch", "gb", "us", "ie")}
        found.update({text_key(word): code for word in words})
    return found


@lru_cache(maxsize=1)
def _zones() -> dict[str, str]:
    """Names of time zones by how they are compared."""
    return {text_key(name): name for name, _label in TIME_ZONES}


def _languages_offered() -> list[tuple[str, str]]:
    return list(LANGUAGES.items())


def _zones_offered() -> list[tuple[str, str]]:
    first = [zone for zone in TIME_ZONES if zone[0] == "Europe/London"]
    return [*first, *(zone for zone in TIME_ZONES if zone not in first)]


register(
    ImportKind(
        "people",
        "People",
        "person",
        "people",
        "One row for each person, found again by the e-mail address. They come in without a password.",
        PEOPLE_COLUMNS,
        PeopleImport,
        options=(
            Option("language", "Language", "For new people whose row names none.", _languages_offered),
            Option("time_zone", "Time zone", "For new people whose row names none.", _zones_offered),
        ),
        place=20,
    )
)
