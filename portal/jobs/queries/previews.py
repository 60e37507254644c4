"""What a table of work statuses would do before it is saved: to each status, and to whom."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from sqlalchemy import ColumnElement, and_, case, func, literal, or_, select

from portal.accounts.models import Company
from portal.extensions import db
from portal.jobs.models import WorkItem
from portal.jobs.queries.settings import NONE, Counted, Stored, open_counts, stored_counts
from portal.jobs.rules import (
    Problem,
    PublicStatus,
    StatusTable,
    Unseen,
    check,
    check_deleted,
    looks_different,
    resolutions,
    warnings,
    without,
)

NOTHING: Mapping[int, int | None] = MappingProxyType({})

NAMED_AT_MOST = 3
"""Companies that are named for each change, those with most items first."""

Seen = PublicStatus | Unseen | None
"""What customers see of an item: Unseen.HIDDEN is the last status they could see before, None is nothing at all."""


@dataclass(frozen=True)
class Change:
    """Open items that look different: from what to what, how many, of how many companies, and some of these."""

    old: PublicStatus | None
    new: Seen
    items: int
    companies: int
    names: tuple[str, ...]


@dataclass(frozen=True)
class Preview:
    """A table as it would be: what is seen of each status and how many items are in it, and what changes for whom.

    `items` and `companies` count open items that look different, and whose they are.
    """

    seen: Mapping[int, PublicStatus | Unseen]
    counts: Mapping[int, Counted]
    changes: tuple[Change, ...]
    items: int
    companies: int
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]

    def count(self, status_id: int) -> Counted:
        """How many items are in a status."""
        return self.counts.get(status_id, NONE)


def preview(before: StatusTable, edited: StatusTable, deleted: Mapping[int, int | None] = NOTHING) -> Preview:
    """What saving `edited`, a normal table, over `before` would come to, with some statuses deleted. Five queries."""
    counts = open_counts(before.kind)
    held = [status_id for status_id in deleted if counts.get(status_id, NONE).items]
    after = without(edited, deleted)
    problems = (*check_deleted(edited, deleted, held), *check(after))
    changes, items, companies = _changes(before, after, deleted)
    return Preview(
        seen=resolutions(after),
        counts=counts,
        changes=changes,
        items=items,
        companies=companies,
        problems=problems,
        warnings=() if problems else tuple(warnings(after)),
    )


def _changes(
    before: StatusTable, edited: StatusTable, deleted: Mapping[int, int | None]
) -> tuple[tuple[Change, ...], int, int]:
    was, now = resolutions(before), dict(resolutions(edited))
    # What is deleted is moved: its items are seen as those of the replacement are.
    now |= {doomed: now[target] for doomed, target in deleted.items() if target in now}
    differing: dict[tuple[PublicStatus | None, Seen], list[Stored]] = {}
    for stored in stored_counts(before.kind):
        old = was.get(stored.public_status_id or 0)
        shown = old if isinstance(old, PublicStatus) else None
        new = _seen_then(stored, was, now)
        if looks_different(shown, new):
            differing.setdefault((shown, new), []).append(stored)
    if not differing:
        return (), 0, 0
    found = _whose(before, list(differing.values()))
    changes = [
        Change(old, new, sum(each.items for each in stored), *found.get(number, (0, ())))
        for number, ((old, new), stored) in enumerate(differing.items())
    ]
    changes.sort(key=lambda change: -change.items)
    return tuple(changes), sum(change.items for change in changes), _companies(before, list(differing.values()))


def _seen_then(
    stored: Stored, was: Mapping[int, PublicStatus | Unseen], now: Mapping[int, PublicStatus | Unseen]
) -> Seen:
    """What customers would see of items that are in this status and shown as that one."""
    new = now.get(stored.status_id, Unseen.HIDDEN)
    if new is Unseen.ITEM_HIDDEN:
        return None
    if new is not Unseen.HIDDEN:
        return new
    if was.get(stored.status_id) is not Unseen.HIDDEN:
        return Unseen.HIDDEN
    # It was hidden before: the status they could see last is shown as it is shown then.
    if stored.public_status_id is None:
        return None
    last = now.get(stored.public_status_id, Unseen.HIDDEN)
    return Unseen.HIDDEN if isinstance(last, Unseen) else last


def _is_one_of(stored: Sequence[Stored]) -> ColumnElement[bool]:
    return or_(
        *(
            and_(
                WorkItem.status_id == each.status_id,
                WorkItem.public_status_id.is_(None)
                if each.public_status_id is None
                else WorkItem.public_status_id == each.public_status_id,
            )
            for each in stored
        )
    )


def _whose(table: StatusTable, groups: Sequence[Sequence[Stored]]) -> dict[int, tuple[int, tuple[str, ...]]]:
    """For each group of items how many companies have some, and the names of a few. One query."""
    number = case(*((_is_one_of(stored), literal(place)) for place, stored in enumerate(groups)))
    each = (
        select(number.label("number"), WorkItem.company_id, func.count().label("held"))
        .where(WorkItem.kind == table.kind, WorkItem.finished_at.is_(None), number.is_not(None))
        .group_by(number, WorkItem.company_id)
        .subquery()
    )
    most_first = (each.c.held.desc(), each.c.company_id)
    ranked = select(
        each.c.number,
        each.c.company_id,
        func.count().over(partition_by=each.c.number).label("companies"),
        func.row_number().over(partition_by=each.c.number, order_by=most_first).label("place"),
    ).subquery()
    rows = db.session.execute(
        select(ranked.c.number, ranked.c.companies, Company.name)
        .join(Company, Company.id == ranked.c.company_id)
        .where(ranked.c.place <= NAMED_AT_MOST)
        .order_by(ranked.c.number, ranked.c.place)
    )
    found: dict[int, tuple[int, tuple[str, ...]]] = {}
    for place, companies, name in rows:
        found[place] = companies, (*found.get(place, (0, ()))[1], name)
    return found


def _companies(table: StatusTable, groups: Sequence[Sequence[Stored]]) -> int:
    """How many companies have an item in any of these groups."""
    wanted = select(func.count(WorkItem.company_id.distinct())).where(
        WorkItem.kind == table.kind,
        WorkItem.finished_at.is_(None),
        _is_one_of([each for stored in groups for each in stored]),
    )
    return db.session.scalar(wanted) or 0
