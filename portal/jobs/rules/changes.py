"""What a save of the settings does to items: which only follow, which are looked at anew, which look different."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from portal.jobs.rules.checks import Problem
from portal.jobs.rules.defaults import default_row
from portal.jobs.rules.kinds import PLURALS, Role, Showing
from portal.jobs.rules.resolving import PublicStatus, Unseen
from portal.jobs.rules.statuses import StatusRow, StatusTable
from portal.jobs.rules.views import resolutions


@dataclass(frozen=True)
class Carrying:
    """How the stored public status of items follows a save.

    `renamed` says which row lends its look from now on, by the one that did so before. `refolded` are the work
    statuses that customers see together with others now, or apart from them, or not as before: an item that was ever
    in one of them may have other dates now, so its view is made anew. All other items only follow `renamed`.
    """

    renamed: Mapping[int, int]
    refolded: frozenset[int]


def carrying(before: StatusTable, after: StatusTable, weights: Mapping[int, int]) -> Carrying:
    """What follows from saving `after` over `before`. `weights` says how many items are in each status: where two
    parted or became one, the items of the smaller side are those looked at."""
    was, now = resolutions(before), resolutions(after)
    cells: dict[tuple[int, int], set[int]] = defaultdict(set)
    refolded: set[int] = set()
    for status_id, old in was.items():
        new = now[status_id]
        if isinstance(old, PublicStatus) and isinstance(new, PublicStatus):
            cells[old.id, new.id].add(status_id)
        elif old is not new:
            refolded.add(status_id)
    renamed: dict[int, int] = {}
    taken: set[int] = set()
    heaviest = sorted(cells, key=lambda cell: (-sum(weights.get(each, 0) for each in cells[cell]), cell))
    for old_id, new_id in heaviest:
        if old_id in renamed or new_id in taken:
            refolded |= cells[old_id, new_id]
        else:
            renamed[old_id] = new_id
            taken.add(new_id)
    return Carrying(renamed, frozenset(refolded))


def looks_different(old: PublicStatus | None, new: PublicStatus | Unseen | None) -> bool:
    """Whether customers see another badge: another name or another colour."""
    if isinstance(new, Unseen) or old is None or new is None:
        return old is not new
    return (old.name, old.color) != (new.name, new.color)


def reset(table: StatusTable, roles: Iterable[Role]) -> StatusTable:
    """The table with the system statuses of these roles as an installation begins with them, in their places."""
    chosen = set(roles)
    rows = [default_row(row.role, row.id) if row.role in chosen and row.role else row for row in table.rows]
    return StatusTable.of(table.kind, rows)


def without(table: StatusTable, deleted: Mapping[int, int | None]) -> StatusTable:
    """The table once these statuses are deleted: they are archived, and what was shown as one of them is shown as its
    replacement."""

    def left(row: StatusRow) -> StatusRow:
        if row.id in deleted:
            return replace(row, is_archived=True, showing=Showing.ITSELF, mapped_to_id=None)
        if row.mapped_to_id is None or row.mapped_to_id not in deleted:
            return row
        target = deleted[row.mapped_to_id]
        if target == row.id:
            return replace(row, showing=Showing.ITSELF, mapped_to_id=None)
        return replace(row, mapped_to_id=target)

    return StatusTable.of(table.kind, [left(row) for row in table.rows])


def leading_to(table: StatusTable, status_id: int) -> list[StatusRow]:
    """The statuses that are shown as this one."""
    return [row for row in table.rows if row.mapped_to_id == status_id and row.id != status_id]


def check_deleted(table: StatusTable, deleted: Mapping[int, int | None], held: Collection[int]) -> list[Problem]:
    """What stands against deleting these statuses, each with its replacement; `held` are those that items are in."""
    problems = []
    for status_id, target_id in deleted.items():
        doomed, target = table.by_id.get(status_id), table.by_id.get(target_id or 0)
        if doomed is None:
            continue
        if doomed.is_system:
            sentence = f"“{doomed.name}” is a system status. Rename or hide it: it cannot be deleted."
            problems.append(Problem(sentence, status_id, "replacement"))
        elif target is None and (status_id in held or leading_to(table, status_id)):
            sentence = f"Choose where the {PLURALS[table.kind]} of “{doomed.name}” go, and what is shown as it."
            problems.append(Problem(sentence, status_id, "replacement"))
        elif target is not None and (target.id in deleted or target.is_archived):
            problems.append(Problem(f"“{target.name}” does not stay in use. Choose another.", status_id, "replacement"))
    return problems


def differences(before: StatusTable, after: StatusTable) -> dict[str, tuple[Any, Any]]:
    """What a save changes, by the name of the status before it: what was and what is, of those fields that differ.

    None stands for a status that was not there; "order" for the names in their order.
    """
    found: dict[str, tuple[Any, Any]] = {}
    for row in after.rows:
        was = before.by_id.get(row.id)
        if was is None:
            found[row.name] = (None, {"showing": row.showing.value, "portal_name": row.portal_name})
        elif was != row:
            differing = [each.name for each in fields(StatusRow) if getattr(row, each.name) != getattr(was, each.name)]
            found[was.name] = (
                {name: getattr(was, name) for name in differing},
                {name: getattr(row, name) for name in differing},
            )
    order_before = [row.name for row in before.rows if row.id in after.by_id]
    order_after = [before.by_id[row.id].name for row in after.rows if row.id in before.by_id]
    if order_before != order_after:
        found["order"] = (order_before, order_after)
    return found
