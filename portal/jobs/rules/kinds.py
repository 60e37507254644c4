"""The kinds of work, and what a work status is behind its name."""

import re
from collections.abc import Mapping
from enum import StrEnum


class WorkKind(StrEnum):
    """A job is work done for a company; a quote is an offer of it. Each has a table of work statuses of its own."""

    JOB = "job"
    QUOTE = "quote"


PREFIXES: Mapping[WorkKind, str] = {WorkKind.JOB: "J", WorkKind.QUOTE: "Q"}
PLURALS: Mapping[WorkKind, str] = {WorkKind.JOB: "jobs", WorkKind.QUOTE: "quotes"}

_NUMBER = re.compile(r"([JQ])-([1-9][0-9]{0,8})", re.IGNORECASE | re.ASCII)


def written_number(kind: WorkKind, number: int) -> str:
    """A number as everybody reads it, such as J-1042; it stands in addresses too."""
    return f"{PREFIXES[kind]}-{number}"


def number_of(kind: WorkKind, written: str) -> int | None:
    """The number of a job written like J-1042, or of a quote like Q-1007; None for anything else."""
    found = _NUMBER.fullmatch(written.strip())
    return int(found[2]) if found and found[1].upper() == PREFIXES[kind] else None


class Role(StrEnum):
    """What a system status is, whatever the office calls it: logic asks for roles, never for names."""

    REQUESTED = "requested"
    DRAFT = "draft"
    SENT = "sent"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    SCHEDULED = "scheduled"
    IN_PROGRESS = "in_progress"
    ON_HOLD = "on_hold"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class Category(StrEnum):
    """What a work status means, for those the office adds. Work in a terminal one is finished, the rest is open."""

    NOT_BEGUN = "not_begun"
    UNDER_WAY = "under_way"
    WAITING = "waiting"
    DONE = "done"
    CALLED_OFF = "called_off"

    @property
    def is_terminal(self) -> bool:
        return self in {Category.DONE, Category.CALLED_OFF}


class Showing(StrEnum):
    """How a work status is shown in the customer portal.

    HIDDEN hides the status, and the item keeps the last one its customer could see. ITEM_HIDDEN hides the whole item
    for as long as it is in this status.
    """

    ITSELF = "itself"
    MAPPED = "mapped"
    HIDDEN = "hidden"
    ITEM_HIDDEN = "item_hidden"


ROLES: Mapping[WorkKind, tuple[Role, ...]] = {
    WorkKind.JOB: (
        Role.REQUESTED,
        Role.SCHEDULED,
        Role.IN_PROGRESS,
        Role.ON_HOLD,
        Role.COMPLETED,
        Role.CANCELLED,
    ),
    WorkKind.QUOTE: (
        Role.REQUESTED,
        Role.DRAFT,
        Role.ON_HOLD,
        Role.SENT,
        Role.ACCEPTED,
        Role.DECLINED,
        Role.CANCELLED,
    ),
}
"""The system statuses of each kind, in the order in which they are first listed."""

CATEGORIES: Mapping[Role, Category] = {
    Role.REQUESTED: Category.NOT_BEGUN,
    Role.SCHEDULED: Category.NOT_BEGUN,
    Role.DRAFT: Category.UNDER_WAY,
    Role.IN_PROGRESS: Category.UNDER_WAY,
    Role.ON_HOLD: Category.WAITING,
    Role.SENT: Category.WAITING,
    Role.ACCEPTED: Category.DONE,
    Role.COMPLETED: Category.DONE,
    Role.DECLINED: Category.CALLED_OFF,
    Role.CANCELLED: Category.CALLED_OFF,
}
"""What each role means; a system status keeps it."""

CATEGORY_WORDS: Mapping[Category, str] = {
    Category.NOT_BEGUN: "Not begun",
    Category.UNDER_WAY: "Under way",
    Category.WAITING: "Waiting",
    Category.DONE: "Done (finished)",
    Category.CALLED_OFF: "Called off (finished)",
}
"""What staff read when they choose one."""

ARCHIVABLE = frozenset({Role.ON_HOLD})
"""System statuses nothing relies on: the office may take them out of use. The others are needed by what customers and
staff can do: book, send, accept, decline, plan, begin, complete, cancel."""
