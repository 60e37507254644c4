"""The public view of an item: the single way in which customers see its status and history.

A fold over the item's moves and the revisions of the settings. An event is shown if customers could see its status
then and can see it now; it is called as it is called now; neighbours that are called the same are one. A settings
save that un-hides a status is an event of the items in it at that moment, and never reveals what was before.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from portal.jobs.rules.resolving import PublicStatus, Unseen, resolve
from portal.jobs.rules.statuses import StatusTable

Resolver = Callable[[int], PublicStatus | Unseen]
"""From a work status to what is seen of it, in one table."""


class Move(NamedTuple):
    """An item came to a work status; `revision` is the number of the settings that were in force then."""

    status_id: int
    at: datetime
    revision: int


@dataclass(frozen=True)
class Revision:
    """The settings as they were saved for the `number`th time."""

    number: int
    saved_at: datetime
    table: StatusTable


class KnownMove(NamedTuple):
    """A move of which it is known whether customers could see its status at that moment."""

    status_id: int
    at: datetime
    revision: int
    was_seen: bool


@dataclass(frozen=True)
class Unveiling:
    """A save of the settings from which on customers see statuses they did not see before."""

    number: int
    at: datetime
    status_ids: frozenset[int]


class PublicEvent(NamedTuple):
    """From this moment on the customer read this status."""

    at: datetime
    status: PublicStatus


@dataclass(frozen=True)
class PublicView:
    """What a customer may know of an item's status: nothing else leaves the office.

    `events` begin with the oldest. An item that is not in the portal has neither status nor events.
    """

    events: tuple[PublicEvent, ...] = ()

    @property
    def status(self) -> PublicStatus | None:
        return self.events[-1].status if self.events else None

    @property
    def since(self) -> datetime | None:
        return self.events[-1].at if self.events else None

    @property
    def is_in_portal(self) -> bool:
        return bool(self.events)


def fold(moves: Sequence[Move | KnownMove], revisions: Sequence[Revision]) -> PublicView:
    """The public view of an item with these moves, under the last of these revisions. Both begin with the oldest.

    Moves made under later revisions than those given count as made under the last of them.
    """
    if not moves or not revisions:
        return PublicView()
    tables = {revision.number: revision.table for revision in revisions}
    first, last = revisions[0].number, revisions[-1].number

    def known(move: Move | KnownMove) -> KnownMove:
        number = min(max(move.revision, first), last)
        was_seen = not isinstance(resolve(tables[number], move.status_id), Unseen)
        return KnownMove(move.status_id, move.at, number, was_seen)

    saves = [
        Unveiling(after.number, after.saved_at, unveiled(before.table, after.table))
        for before, after in pairwise(revisions)
    ]
    return view_of([known(move) for move in moves], saves, lambda status_id: resolve(revisions[-1].table, status_id))


def view_of(moves: Sequence[KnownMove], unveilings: Iterable[Unveiling], seen_as: Resolver) -> PublicView:
    """The same fold from what is kept for it: what each move showed, and the saves that un-hid something.

    `seen_as` says how a work status is seen now.
    """
    if not moves or seen_as(moves[-1].status_id) is Unseen.ITEM_HIDDEN:
        return PublicView()
    events: list[PublicEvent] = []
    for status_id, at in _candidates(moves, sorted(unveilings, key=lambda save: save.number)):
        status = seen_as(status_id)
        if not isinstance(status, Unseen) and not (events and events[-1].status.key == status.key):
            events.append(PublicEvent(at, status))
    return PublicView(tuple(events))


def _candidates(moves: Sequence[KnownMove], saves: Sequence[Unveiling]) -> Iterator[tuple[int, datetime]]:
    """For each move, from when on its status could be seen: at once, or from a save while the item was in it."""
    for place, move in enumerate(moves):
        if move.was_seen:
            yield move.status_id, move.at
            continue
        until = moves[place + 1].revision if place + 1 < len(moves) else None
        for save in saves:
            is_during = move.revision < save.number and (until is None or save.number <= until)
            if is_during and move.status_id in save.status_ids:
                yield move.status_id, save.at
                break


def unveiled(before: StatusTable, after: StatusTable) -> frozenset[int]:
    """The work statuses that customers see after a save and did not see before it."""
    return seen_in(after) - seen_in(before)


def seen_in(table: StatusTable) -> frozenset[int]:
    """The work statuses of a table that customers see in some way."""
    return frozenset(row.id for row in table.rows if not isinstance(resolve(table, row.id), Unseen))


def resolutions(table: StatusTable) -> Mapping[int, PublicStatus | Unseen]:
    """What is seen of every work status of a table: for those who ask about many items."""
    return {row.id: resolve(table, row.id) for row in table.rows}
