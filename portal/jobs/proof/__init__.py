"""The leak proof: unlikely internal words are planted, everything a company's people can get is rendered, and every
place where one of them surfaces is reported. Nothing of it stays.

Planted are the name, the colour and the place in the order of every work status, today's and those of earlier saves;
the reasons and names of moves; notes of staff to staff, their files, and saved views. The order itself is the same on
both sides, because the office decides one: it is the numbers it is kept by that must not surface.
"""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from portal.accounts.models import Membership, Person
from portal.domains.queries import home_of
from portal.errors import RuleViolation
from portal.extensions import db
from portal.jobs.models import WorkItem
from portal.jobs.proof.ground import Ground, ground, sealed
from portal.jobs.proof.planting import plant
from portal.jobs.proof.posting import Posting
from portal.jobs.proof.walking import NOTHING, TIME_WAS_UP, As, Door, Guest, Look, Sort, Walk
from portal.jobs.rules import PLURALS, WorkKind, written_number

__all__ = ["NOTHING", "SECONDS", "As", "Door", "Leak", "Proof", "Sort", "Unproven", "prove"]

SECONDS = 30.0
"""How long a proof may take. What is left by then is reported as not proven."""

TRIED_AT_MOST = 5
"""Items of each kind that are not in the portal and whose addresses are tried all the same; the newest."""


@dataclass(frozen=True)
class Leak:
    """Something internal was found: where (an address, a mail, a file), as what that was asked, and what was found."""

    where: str
    sort: Sort
    what: str


@dataclass(frozen=True)
class Unproven:
    """Something that could not be looked at, and why."""

    where: str
    why: str

    @property
    def is_nothing(self) -> bool:
        """Whether it is only that there was nothing to look at."""
        return self.why == NOTHING


@dataclass(frozen=True)
class Proof:
    """What a proof came to. `counts` says how many of each sort were looked at, `words` how many were planted.

    `looked_at` names all of it, also what was answered with a refusal. `seconds` is how long it took.
    """

    words: int
    seconds: float
    counts: dict[Sort, int]
    looked_at: tuple[tuple[Sort, str], ...]
    leaks: tuple[Leak, ...]
    unproven: tuple[Unproven, ...]


_turn = threading.Lock()
"""One proof at a time in a process: it is work, and other requests are waiting for the processor."""


def prove(company_id: int, doors: Sequence[Door], now: datetime, *, seconds: float = SECONDS) -> Proof:
    """Look through everything the people of this company, and machines of theirs, can open or are sent.

    Takes no lock, writes to no table, file or mailbox, and rings nobody: see `ground`. To be called where nothing
    waits to be committed. RuleViolation when the company has no people or no portal to look at, or a proof runs.
    """
    if not _turn.acquire(blocking=False):
        raise RuleViolation("The proof is running at this moment. Wait until it is done.")
    try:
        # In a context of its own, because answering requests leaves traces in it.
        return copy_context().run(_proved, company_id, doors, now, seconds)
    finally:
        _turn.release()


def _proved(company_id: int, doors: Sequence[Door], now: datetime, seconds: float) -> Proof:
    begun = time.monotonic()
    with ground(begun + seconds) as found:
        guest = _guest(company_id)
        further = [*_addresses(found, company_id), f"/api/v1/availability/{company_id}/{now:%Y-%m}"]
        plant(found, company_id, guest.person_id, now)
        walk = Walk(found, guest, {door.rule: door for door in doors}, now)
        walk.make_keys()
        walk.make_links()
        posting = Posting(found, guest, now)
        looked_at: list[tuple[Sort, str]] = []
        leaks: list[Leak] = []
        with sealed(found.connection):
            for look in _looks(walk, posting, further):
                looked_at.append((look.sort, look.where))
                leaks += [Leak(look.where, look.sort, what) for what in found.words.found_in(look.text)]
        return Proof(
            words=len(found.words),
            seconds=round(time.monotonic() - begun, 1),
            counts=dict(walk.looked_at),
            looked_at=tuple(looked_at),
            leaks=tuple(dict.fromkeys(leaks)),
            unproven=tuple(_unproven(walk, posting)),
        )


def _looks(walk: Walk, posting: Posting, further: Iterable[str]) -> Iterator[Look]:
    """Mails and exports first: there are few, and the walk takes what is left of the time."""
    for source in (posting.mails, posting.exports):
        for look in source():
            walk.looked_at[look.sort] += 1
            yield look
    yield from walk.looks(further)


def _unproven(walk: Walk, posting: Posting) -> Iterator[Unproven]:
    told = {**posting.troubles, **walk.troubles}
    yield from (Unproven(where, why) for where, why in told.items())
    yield from (
        Unproven(rule, f"{TIME_WAS_UP} with {count} of its addresses left") for rule, count in walk.left.items()
    )
    for rule in sorted(walk.doors.keys() - walk.answered - walk.troubles.keys() - walk.left.keys()):
        yield Unproven(rule, NOTHING if rule in walk.visited else TIME_WAS_UP)


def _guest(company_id: int) -> Guest:
    home = home_of(company_id)
    person = db.session.scalars(
        select(Person)
        .join(Membership, Membership.person_id == Person.id)
        .where(Membership.company_id == company_id, Person.deactivated_at.is_(None), Person.role.is_(None))
        .order_by(Person.id)
        .limit(1)
    ).one_or_none()
    if home is None or person is None:
        raise RuleViolation("Choose a company that has a home portal and somebody who signs in.", "company")
    return Guest(company_id, person.id, person.email, person.password_stamp, home.id, home.host, home.base_url)


def _addresses(found: Ground, company_id: int) -> Iterator[str]:
    """Those of the company's items that are not in the portal: nothing may lead there, and nothing be said of them."""
    for kind in WorkKind:
        unseen = WorkItem.kind == kind, WorkItem.company_id == company_id, WorkItem.public_status_id.is_(None)
        wanted = select(WorkItem.number).where(*unseen)
        for number in found.connection.scalars(wanted.order_by(WorkItem.id.desc()).limit(TRIED_AT_MOST)):
            written = written_number(kind, number)
            yield f"/{PLURALS[kind]}/{written}"
            yield f"/messages/{kind.value}/{written}"
            yield f"/api/v1/{PLURALS[kind]}/{written}"
