"""What a customer sees of a work status: mappings followed to the end, never blank, never what is hidden."""

import hashlib
from dataclasses import dataclass
from enum import Enum

from portal.accounts.rules import text_key
from portal.jobs.rules.colours import text_colour
from portal.jobs.rules.kinds import Showing, WorkKind
from portal.jobs.rules.statuses import StatusRow, StatusTable

NEUTRAL_NAME = "Being handled"
NEUTRAL_COLOUR = "#64748b"
"""Shown where a mapping leads nowhere. No table that was checked holds such a one; the portal goes on anyway."""


class Unseen(Enum):
    """A work status customers do not see: hidden itself, or with the whole item."""

    HIDDEN = "hidden"
    ITEM_HIDDEN = "item_hidden"


@dataclass(frozen=True)
class PublicStatus:
    """What customers see: name, colours and place. To them, statuses with the same name are one.

    `key` is what addresses and class names hold: made of nothing but kind and name. `id` is the work status that
    lends name and colour, for our own rows only: it never leaves the server. `place` counts public statuses, from 0.
    """

    id: int
    key: str
    name: str
    color: str
    text_color: str
    place: int


def public_key(kind: WorkKind, name: str) -> str:
    """The opaque public name of a public status: the same for the same name, telling nothing beyond it."""
    return hashlib.sha256(f"{kind.value}\n{text_key(name)}".encode()).hexdigest()[:12]


def resolve(table: StatusTable, status_id: int) -> PublicStatus | Unseen:
    """The public status of a work status. Ends on any table, also on one that nobody checked."""
    end = _end_of(table, status_id)
    if isinstance(end, Unseen):
        return end
    if end is None:
        return _neutral(table, status_id)
    return _named(table, text_key(end.portal_name))


def public_order(table: StatusTable) -> tuple[PublicStatus, ...]:
    """All public statuses of a table, as customers have them in their filters: in order, each once."""
    return tuple(_named(table, key) for key in table.by_portal_name)


def _end_of(table: StatusTable, status_id: int) -> StatusRow | Unseen | None:
    """The row a chain of mappings ends with, or why nothing is seen; None where it ends nowhere."""
    met: set[int] = set()
    row = table.by_id.get(status_id)
    while row is not None and row.showing is Showing.MAPPED and row.id not in met:
        met.add(row.id)
        row = table.by_id.get(row.mapped_to_id or 0)
    if row is None or row.showing is Showing.MAPPED:
        return None
    if row.showing is Showing.HIDDEN:
        return Unseen.HIDDEN
    if row.showing is Showing.ITEM_HIDDEN:
        return Unseen.ITEM_HIDDEN
    return row if text_key(row.portal_name) else None


def _named(table: StatusTable, key: str) -> PublicStatus:
    """The public status of a name: the first row that has it lends spelling, colour and place."""
    row = table.by_portal_name[key]
    place = list(table.by_portal_name).index(key)
    return _public(table.kind, row.id, row.portal_name, row.shown_color, place)


def _neutral(table: StatusTable, status_id: int) -> PublicStatus:
    return _public(table.kind, status_id, NEUTRAL_NAME, NEUTRAL_COLOUR, len(table.by_portal_name))


def _public(kind: WorkKind, status_id: int, name: str, color: str, place: int) -> PublicStatus:
    return PublicStatus(status_id, public_key(kind, name), name, color, text_colour(color), place)
