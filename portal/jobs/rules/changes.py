"""What a save of the settings does to items: which only follow, which are looked at anew, which look different."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from portal.jobs.rules.resolving import PublicStatus, Unseen
from portal.jobs.rules.statuses import StatusTable
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
