"""What becomes of the rows of an import of companies or people. An empty cell says nothing and changes nothing."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from portal.accounts.rules import Role, is_email, one_line, text_key
from portal.records.rules.columns import names_in
from portal.records.rules.judging import Change, Claims, Judged, Refusal, Row, refused, verdict_of

NAME_LENGTH = 200
EXTERNAL_ID_LENGTH = 120


@dataclass(frozen=True, slots=True)
class KnownCompany:
    """A company as it stands."""

    id: int
    name: str
    external_id: str | None
    is_archived: bool
    version: int


@dataclass(frozen=True)
class KnownCompanies:
    """Those of the companies that a piece of a file may mean, by compared name and by the id another system gave."""

    by_name: Mapping[str, KnownCompany] = field(default_factory=dict)
    by_external_id: Mapping[str, KnownCompany] = field(default_factory=dict)

    def meant_by(self, text: str) -> KnownCompany:
        """The company of this name, else of this external id; Refusal when there is none, or it is archived."""
        found = self.by_name.get(text_key(text)) or self.by_external_id.get(text)
        if found is None:
            raise Refusal(f"there is no company called {shortened(text)}, add it or import companies first")
        if found.is_archived:
            raise Refusal(f"the company {found.name} is in the archive, take it back first")
        return found


@dataclass(frozen=True, slots=True)
class KnownPerson:
    """A person as they stand, with the companies they may act for."""

    id: int
    name: str
    email: str
    language: str
    time_zone: str
    role: Role | None
    is_deactivated: bool
    company_ids: frozenset[int]
    version: int


@dataclass(frozen=True)
class Choices:
    """What a person gets whose row does not say: code of the language, name of the zone. Names by what people write."""

    language: str
    time_zone: str
    languages: Mapping[str, str]
    time_zones: Mapping[str, str]


def judge_company(row: Row, known: KnownCompanies, claims: Claims) -> Judged:
    """A company is found by its external id if the row has one, else by its name, which then may be spelled anew."""
    try:
        name, external_id = _company_name(row.get("name")), external_id_of(row.get("external_id"))
        name_key = text_key(name)
        found = _company_meant(name, external_id, known)
        keys = [("name", name_key), *([("external", external_id)] if external_id else [])]
        claims.claim(row.number, f"the company {name}", *keys, *([("id", found.id)] if found else []))
    except Refusal as refusal:
        return refused(row.number, shortened(one_line(row.get("name") or row.get("external_id"))), refusal)
    changes = []
    if found and found.name != name:
        changes.append(Change("Name", found.name, name))
    if found and external_id and found.external_id != external_id:
        changes.append(Change("Reference", found.external_id or "", external_id))
    return Judged(
        row.number,
        verdict_of(found.id if found else None, changes),
        name,
        changes=tuple(changes),
        row_id=found.id if found else None,
        version=found.version if found else None,
        values={"name": name, "name_key": name_key, "external_id": external_id},
    )


def _company_meant(name: str, external_id: str | None, known: KnownCompanies) -> KnownCompany | None:
    by_id = known.by_external_id.get(external_id) if external_id else None
    by_name = known.by_name.get(text_key(name))
    found = by_id or by_name
    if found and found.is_archived:
        raise Refusal(f"the company {found.name} is in the archive, take it back first")
    if by_id and by_name and by_id.id != by_name.id:
        raise Refusal(f"{by_id.name} has the reference {external_id}, and there is another company called {name}")
    if by_id is None and by_name and external_id and by_name.external_id:
        raise Refusal(f"the company {by_name.name} has the reference {by_name.external_id} already")
    return found


def judge_person(
    row: Row, known: Mapping[str, KnownPerson], companies: KnownCompanies, choices: Choices, claims: Claims
) -> Judged:
    """A person is found by their address, whatever its case. Companies are added to those they have, never taken away.

    Staff are changed by hand only, and somebody shut out is not let in by a file.
    """
    email = row.get("email")
    try:
        if not is_email(email):
            raise Refusal(
                f"“{shortened(one_line(email))}” is not an e-mail address" if email else "the address is missing"
            )
        found = known.get(text_key(email))
        name = _person_name(row, found)
        given = [companies.meant_by(each) for each in names_in(row.get("companies"))]
        language = _choice("language", row.get("language"), choices.languages)
        time_zone = _choice("time zone", row.get("time_zone"), choices.time_zones)
        if found is None and not given:
            raise Refusal("a new person needs a company to act for")
        if found and found.role is not None:
            raise Refusal(f"{found.name} is staff, and staff are changed under People")
        if found and found.is_deactivated:
            raise Refusal(f"{found.name} is deactivated, let them in again first")
        claims.claim(row.number, f"the address {email}", text_key(email))
    except Refusal as refusal:
        return refused(row.number, shortened(one_line(email or row.get("name"))), refusal)
    joined = {each.id: each.name for each in given if found is None or each.id not in found.company_ids}
    values: dict[str, Any] = {"email": email, "email_key": text_key(email), "name": name, "company_ids": sorted(joined)}
    values |= {
        "language": language or (found.language if found else choices.language),
        "time_zone": time_zone or (found.time_zone if found else choices.time_zone),
    }
    changes = []
    if found:
        present = {"Name": found.name, "Language": found.language, "Time zone": found.time_zone}
        wanted = {"Name": name, "Language": values["language"], "Time zone": values["time_zone"]}
        changes = [Change(each, present[each], wanted[each]) for each in present if present[each] != wanted[each]]
        if joined:
            changes.append(Change("Companies", "", "also " + ", ".join(joined.values())))
    return Judged(
        row.number,
        verdict_of(found.id if found else None, changes),
        f"{name} ({email})",
        changes=tuple(changes),
        row_id=found.id if found else None,
        version=found.version if found else None,
        values=values,
    )


def _company_name(text: str) -> str:
    name = one_line(text)
    if not name:
        raise Refusal("the name is missing")
    if max(len(name), len(text_key(name))) > NAME_LENGTH:
        raise Refusal(f"the name has more than {NAME_LENGTH} characters")
    return name


def _person_name(row: Row, found: KnownPerson | None) -> str:
    """The name as given, whole or in two parts; the known one when the row has none."""
    name = one_line(row.get("name") or f"{row.get('first_name')} {row.get('last_name')}")
    if not name and found is None:
        raise Refusal("the name of a new person is missing")
    if len(name) > NAME_LENGTH:
        raise Refusal(f"the name has more than {NAME_LENGTH} characters")
    return name or (found.name if found else "")


def external_id_of(text: str) -> str | None:
    """The reference of another system as it is stored, None where there is none; refused when too long."""
    external_id = one_line(text)
    if len(external_id) > EXTERNAL_ID_LENGTH:
        raise Refusal(f"the reference has more than {EXTERNAL_ID_LENGTH} characters")
    return external_id or None


def _choice(what: str, text: str, offered: Mapping[str, str]) -> str:
    """What the text stands for, "" for an empty one; refused when nobody knows it."""
    if not text:
        return ""
    found = offered.get(text_key(text))
    if found is None:
        raise Refusal(f"“{shortened(one_line(text))}” is no {what} we know")
    return found


def shortened(text: str, most: int = 80) -> str:
    """A text from a file as a sentence quotes it: never so long that the sentence is lost in it."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def names_wanted(cells: Collection[str]) -> set[str]:
    """Every name in these cells, each of which may hold several."""
    return {name for cell in cells for name in names_in(cell)}
