"""Planned work as calendars are told of it, and (MAINTNOTE) as the programs of customers' networks read it.

The entry in a mail and the one in a feed are the same, so whoever has both sees the work once. Work that touches
something a company holds has an entry for that company, with its own account number and circuits
(draft-gunter-calext-maintenance-notifications); everybody else has the plain one.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from portal.calendars import line
from portal.incidents.rules import OPEN_MAINTENANCE, MaintenanceState
from portal.incidents.rules.maintenance import WorkImpact
from portal.notifications.templates.placeholders import on_one_line

OBJECTS_AT_MOST = 200
"""How many circuits an entry names: whoever has more is told of the account."""

STATUS = {
    MaintenanceState.SCHEDULED: "CONFIRMED",
    **dict.fromkeys(OPEN_MAINTENANCE, "IN-PROCESS"),
    MaintenanceState.COMPLETED: "COMPLETED",
    MaintenanceState.CANCELLED: "CANCELLED",
}
"""What MAINTNOTE calls the states."""

RESCHEDULED = "RE-SCHEDULED"
"""What it says instead where work that is still ahead has been moved."""

IMPACT = {
    WorkImpact.NO_IMPACT: "NO-IMPACT",
    WorkImpact.REDUCED_REDUNDANCY: "REDUCED-REDUNDANCY",
    WorkImpact.DEGRADED: "DEGRADED",
    WorkImpact.OUTAGE: "OUTAGE",
}


@dataclass(frozen=True)
class Note:
    """What MAINTNOTE says of planned work to whomever: `provider` is our domain, `status` and `impact` its words."""

    public_id: str
    provider: str
    status: str
    impact: str


@dataclass(frozen=True)
class Account:
    """One company's part of it: the account number, and what is worked on by its own references."""

    company_id: int
    number: str
    objects: Sequence[str]


def uid_of(public_id: str, provider: str, company_id: int | None = None) -> str:
    """The name of the entry for everybody, or of that for a company; its number cannot be read in it."""
    if company_id is None:
        return f"{public_id}@{provider}"
    return f"{public_id}-{hashlib.sha256(f'{public_id}:{company_id}'.encode()).hexdigest()[:12]}@{provider}"


def sequence_of(sequence: int, state: MaintenanceState) -> int:
    """The number by which programs tell a later word from an earlier one: it also grows as the work goes on.

    `sequence` counts the times it was given, and takes the number on by ten.
    """
    return sequence * 10 + list(MaintenanceState).index(state)


def note_lines(note: Note, account: Account) -> list[tuple[str, str, dict[str, str]]]:
    """What a company's entry says beside what every entry says: names, values, parameters."""
    said: list[tuple[str, str, dict[str, str]]] = [
        ("X-MAINTNOTE-PROVIDER", note.provider, {}),
        ("X-MAINTNOTE-ACCOUNT", on_one_line(account.number), {}),
        ("X-MAINTNOTE-MAINTENANCE-ID", note.public_id, {}),
        ("X-MAINTNOTE-STATUS", note.status, {}),
        # Of a single object, programs take the impact from here and not from its parameter.
        ("X-MAINTNOTE-IMPACT", note.impact, {}),
    ]
    objects = dict.fromkeys(on_one_line(each) for each in account.objects[:OBJECTS_AT_MOST])
    return said + [
        ("X-MAINTNOTE-OBJECT-ID", each, {"X-MAINTNOTE-OBJECT-IMPACT": note.impact}) for each in objects if each
    ]


def own_lines(note: Note, accounts: Sequence[Account]) -> str:
    """The lines of an entry that are the reader's own, for each company they are told for (`compose.OWN_LINES`).

    Somebody who is told for several has an entry for each: an account number stands once in one.
    """
    if not accounts:
        return line("UID", uid_of(note.public_id, note.provider))
    return "\r\n".join(
        line("UID", uid_of(note.public_id, note.provider, account.company_id))
        + "".join(line(name, value, parameters) for name, value, parameters in note_lines(note, account))
        for account in accounts
    )
