"""The public view of items, made of their moves and the saves of the settings."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import select

from portal.extensions import db
from portal.jobs.models import WorkItem, WorkMove
from portal.jobs.queries.settings import revisions, settings_of, unveilings
from portal.jobs.rules import (
    KnownMove,
    PublicView,
    StatusTable,
    Unveiling,
    WorkKind,
    fold,
    resolutions,
    resolve,
    view_of,
)


def public_view(item: WorkItem, at: datetime | None = None) -> PublicView:
    """What the customer of an item may know of its status: now, or as they saw it at a moment. Three queries."""
    if at is None:
        return views_of(item.kind, [item.id], settings_of(item.kind).table).get(item.id, PublicView())
    moves = [move for move in moves_of([item.id]).get(item.id, []) if move.at <= at]
    return fold(moves, revisions(item.kind, at))


def views_of(
    kind: WorkKind, item_ids: Collection[int], table: StatusTable, saves: Sequence[Unveiling] | None = None
) -> dict[int, PublicView]:
    """The public views of many items of a kind under this table. One query, and one for the saves unless given."""
    moves = moves_of(item_ids)
    if saves is None:
        first = min((known[0].revision for known in moves.values()), default=0)
        saves = unveilings(kind, first)
    seen = resolutions(table)
    return {
        item_id: view_of(known, saves, lambda status_id: seen.get(status_id) or resolve(table, status_id))
        for item_id, known in moves.items()
    }


def moves_of(item_ids: Collection[int]) -> dict[int, list[KnownMove]]:
    """The moves of these items, each item's oldest first. One query."""
    found: dict[int, list[KnownMove]] = {}
    rows = db.session.execute(
        select(WorkMove.item_id, WorkMove.status_id, WorkMove.at, WorkMove.revision, WorkMove.told_status_id)
        .where(WorkMove.item_id.in_(item_ids))
        .order_by(WorkMove.item_id, WorkMove.id)
    )
    for item_id, status_id, at, revision, told in rows:
        found.setdefault(item_id, []).append(KnownMove(status_id, at, revision, told is not None))
    return found
