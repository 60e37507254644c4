"""Reading the lines somebody pastes to invite several people at once: `Name <address>`, one person a line."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from portal.accounts.rules import is_email, one_line, text_key

MOST_LINES = 200
"""People invited at once; who has more imports a file, which is done in the background."""

_IN_BRACKETS = re.compile(r"(?P<name>[^<>]*)<(?P<email>[^<>]*)>\W*")
_IN_COLUMNS = re.compile(r"(?P<name>.*?)[\t,;]\W*(?P<email>[^\s,;]+@[^\s,;]+)\W*")


@dataclass(frozen=True)
class Line:
    """One pasted line: its number from 1, what it said, and either a person or what is wrong with it."""

    number: int
    text: str
    name: str = ""
    email: str = ""
    fault: str = ""

    @property
    def email_key(self) -> str:
        return text_key(self.email)


def read_lines(text: str) -> list[Line]:
    """Every line that is not blank, in order; none is dropped, and each that cannot be used says why.

    Besides `Name <address>` it takes what a spreadsheet or an address book gives: name and address parted by a tab,
    a comma or a semicolon, in quotes or not.
    """
    written = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [_read(number, line) for number, line in enumerate(written, 1) if one_line(line)]


def _read(number: int, written: str) -> Line:
    """One line as a person. As it was written it still has its tabs, which part columns."""
    line = one_line(written)
    found = _IN_BRACKETS.fullmatch(line) or _IN_COLUMNS.fullmatch(written.strip())
    if found is None:
        fault = "This line has an address but no name." if is_email(line) else "This is no name with an address."
        return Line(number, line, fault=f"{fault} Write it as Name <address>.")
    return line_of(found["name"].strip().strip("\"'"), found["email"].strip(), number=number, text=line)


def line_of(name: str, email: str, *, number: int = 1, text: str = "") -> Line:
    """One person as a line, held to the same rules however they were typed."""
    name, shown = one_line(name), text or f"{name} <{email}>"
    if not name:
        return Line(number, shown, name, email, "This line has an address but no name. Write it as Name <address>.")
    if len(name) > 200:
        return Line(number, shown, name, email, "A name has at most 200 characters.")
    if not is_email(email):
        return Line(number, shown, name, email, "That is not an e-mail address.")
    return Line(number, shown, name, email)


class Outcome(StrEnum):
    """What inviting one person comes to."""

    INVITED = "invited"
    JOINS = "joins"
    MEMBER = "member"
    REPEATED = "repeated"
    REFUSED = "refused"


@dataclass(frozen=True)
class Planned:
    """What will become of one line. `person_id` is who has the address already; `why` says more in one sentence."""

    line: Line
    outcome: Outcome
    person_id: int | None = None
    why: str = ""


@dataclass(frozen=True)
class Plan:
    """What inviting these lines will do, before anything is done."""

    rows: Sequence[Planned]

    @property
    def refused(self) -> list[Planned]:
        return [row for row in self.rows if row.outcome is Outcome.REFUSED]

    @property
    def to_do(self) -> list[Planned]:
        """The rows that change something."""
        return [row for row in self.rows if row.outcome in {Outcome.INVITED, Outcome.JOINS}]

    def count(self, outcome: Outcome) -> int:
        return sum(row.outcome is outcome for row in self.rows)

    @property
    def seal(self) -> str:
        """What was agreed to, as text: a plan that reads the same does the same."""
        return "\n".join(f"{row.line.email_key} {row.outcome} {row.person_id or ''}" for row in self.rows)


@dataclass(frozen=True)
class Known:
    """Somebody who already has one of the addresses."""

    person_id: int
    name: str
    is_staff: bool
    is_member: bool
    deactivated_at: datetime | None


def plan_for_company(lines: Sequence[Line], known: dict[str, Known], company: str) -> Plan:
    """What inviting these people to act for a company does. `known` is keyed by compared address."""

    def row(line: Line) -> Planned:
        person = known.get(line.email_key)
        if person is None:
            return Planned(line, Outcome.INVITED)
        if person.deactivated_at:
            return Planned(line, Outcome.REFUSED, person.person_id, f"{person.name} is deactivated.")
        if person.is_member:
            return Planned(line, Outcome.MEMBER, person.person_id, f"{person.name} already acts for {company}.")
        whose = " on our staff" if person.is_staff else ""
        return Planned(line, Outcome.JOINS, person.person_id, f"{person.name} is known{whose} and keeps that name.")

    return _plan(lines, row)


def plan_for_staff(lines: Sequence[Line], known: dict[str, Known]) -> Plan:
    """What inviting these people to the staff does. Whoever is known has a page of their own to change the role on."""

    def row(line: Line) -> Planned:
        person = known.get(line.email_key)
        if person is None:
            return Planned(line, Outcome.INVITED)
        if person.is_staff:
            return Planned(line, Outcome.MEMBER, person.person_id, f"{person.name} is on the staff already.")
        why = f"{person.name} is a customer with this address. Change the role on their page."
        return Planned(line, Outcome.REFUSED, person.person_id, why)

    return _plan(lines, row)


def _plan(lines: Sequence[Line], row: Callable[[Line], Planned]) -> Plan:
    first: dict[str, int] = {}
    rows: list[Planned] = []
    for line in lines:
        if line.fault:
            rows.append(Planned(line, Outcome.REFUSED, why=line.fault))
        elif line.email_key in first:
            rows.append(Planned(line, Outcome.REPEATED, why=f"The same address as line {first[line.email_key]}."))
        else:
            first[line.email_key] = line.number
            rows.append(row(line))
    return Plan(rows)
