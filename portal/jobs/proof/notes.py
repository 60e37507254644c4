"""What a proof came to, written into the audit trail and read from there: the screen shows the last one to everybody.

The entry belongs to no company, because it names work statuses as the office does.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from portal.accounts.models import Company, Membership, Person
from portal.audit import actions as audit
from portal.audit.models import AuditEntry
from portal.audit.rules import Actor
from portal.domains.models import Admission
from portal.extensions import db
from portal.jobs.models import WorkItem
from portal.jobs.proof import Proof

NOUN = "leak_proof"

NOTED_AT_MOST = 100
"""Leaks, and things that could not be looked at, that are written down; of the rest, how many there are."""

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Noted:
    """A proof that was run, as it was written down.

    `counts` says how many of each sort were looked at, `leaks` where what was found, `unproven` what could not be
    looked at and why, `nothing` where there was nothing to look at. `company_name` is "" once the company is gone.
    """

    at: datetime
    by: str
    company_name: str
    words: int
    seconds: float
    counts: Mapping[str, int]
    leaks: Pairs
    leak_count: int
    unproven: Pairs
    unproven_count: int
    nothing: Sequence[str]


def note(company_id: int, proof: Proof, *, by: Actor, now: datetime) -> None:
    """Record that a proof was run, and what it found."""
    unproven = [each for each in proof.unproven if not each.is_nothing]
    told: dict[str, Any] = {
        "company_id": company_id,
        "words": proof.words,
        "seconds": proof.seconds,
        "counts": {sort.value: count for sort, count in proof.counts.items()},
        "leaks": [[readable(leak.where), leak.what] for leak in proof.leaks[:NOTED_AT_MOST]],
        "leak_count": len(proof.leaks),
        "unproven": [[readable(each.where), each.why] for each in unproven[:NOTED_AT_MOST]],
        "unproven_count": len(unproven),
        "nothing": [readable(each.where) for each in proof.unproven if each.is_nothing][:NOTED_AT_MOST],
    }
    audit.record(f"{NOUN}.run", object_kind=NOUN, object_id=None, by=by, now=now, after=told)


def readable(where: str) -> str:
    """Where something is, with the arguments of a rule as people read them: `/jobs/…`."""
    return _ARGUMENT.sub("…", where)


_ARGUMENT = re.compile(r"<[^<>]*>")


def last_proof() -> Noted | None:
    """The last proof that was run. Two queries."""
    newest = select(AuditEntry).where(AuditEntry.noun == NOUN).order_by(AuditEntry.at.desc(), AuditEntry.id.desc())
    entry = db.session.scalars(newest.limit(1)).first()
    if entry is None:
        return None
    told = entry.after or {}
    company = db.session.get(Company, told["company_id"])
    return Noted(
        at=entry.at,
        by=entry.actor,
        company_name=company.name if company else "",
        words=told["words"],
        seconds=told["seconds"],
        counts=told["counts"],
        leaks=[(where, what) for where, what in told["leaks"]],
        leak_count=told["leak_count"],
        unproven=[(where, why) for where, why in told["unproven"]],
        unproven_count=told["unproven_count"],
        nothing=told["nothing"],
    )


def likely_company() -> Company | None:
    """A company a proof can be run about: of those with a home portal and somebody who signs in, the one whose work
    is newest. One query."""
    newest = select(func.max(WorkItem.id)).where(WorkItem.company_id == Company.id).scalar_subquery()
    people = (
        select(Membership.id)
        .join(Person, Person.id == Membership.person_id)
        .where(Membership.company_id == Company.id, Person.deactivated_at.is_(None), Person.role.is_(None))
    )
    return db.session.scalars(
        select(Company)
        .join(Admission, (Admission.company_id == Company.id) & Admission.is_home)
        .where(Company.archived_at.is_(None), people.exists())
        .order_by(newest.desc().nulls_last(), Company.id)
        .limit(1)
    ).first()
