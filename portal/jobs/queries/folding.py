"""The public view of very many items at once: the fold of `rules.views`, said in SQL.

A save of the settings may hide the status of a hundred thousand items, and nobody may move anything meanwhile. What
the fold decides for one item the database decides here for all of them; that both say the same is held by tests that
walk at random.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, and_, case, column, func, null, or_, select, values
from sqlalchemy.orm import aliased

from portal.database import UTCDateTime
from portal.jobs.models import WorkItem, WorkMove
from portal.jobs.rules import PublicStatus, StatusTable, Unseen, Unveiling, resolutions


def views_at_once(wanted: Select[int], table: StatusTable, saves: Sequence[Unveiling]) -> Select[Any]:
    """What customers see under this table of the items that `wanted` selects the ids of; those in the portal only.

    Selects the `id` of each, and the `status_id` and `since` that are to be stored with it. `saves` are all those of
    the kind that let customers see something, the oldest first.
    """
    seen = resolutions(table)
    ids = {status_id: status.id for status_id, status in seen.items() if isinstance(status, PublicStatus)}
    gone = [status_id for status_id, status in seen.items() if status is Unseen.ITEM_HIDDEN]
    look = _by_status(_looks(seen))
    unveiled_at = _unveiled_at(saves)
    is_seen = and_(WorkMove.status_id.in_(ids), or_(WorkMove.told_status_id.is_not(None), unveiled_at.is_not(None)))
    move = (
        select(
            WorkMove.id,
            WorkMove.item_id,
            look.label("look"),
            func.lag(look).over(partition_by=WorkMove.item_id, order_by=WorkMove.id).label("before"),
        )
        .where(WorkMove.item_id.in_(wanted), is_seen)
        .subquery("moves")
    )
    # Neighbours that are called the same are one event, which began with the first of them.
    last = (
        select(move.c.item_id, func.max(move.c.id).label("move_id"))
        .where(or_(move.c.before.is_(None), move.c.before != move.c.look))
        .group_by(move.c.item_id)
        .subquery("last_events")
    )
    since = case((WorkMove.told_status_id.is_not(None), WorkMove.at), else_=unveiled_at)
    return (
        select(WorkItem.id, _by_status(ids).label("status_id"), since.label("since"))
        .select_from(last)
        .join(WorkMove, WorkMove.id == last.c.move_id)
        .join(WorkItem, WorkItem.id == last.c.item_id)
        .where(WorkItem.status_id.not_in(gone))
    )


def _looks(seen: Mapping[int, PublicStatus | Unseen]) -> Mapping[int, int]:
    """A number for each status that is seen now, the same for those that are called the same."""
    found: dict[str, int] = {}
    return {
        status_id: found.setdefault(status.key, len(found))
        for status_id, status in seen.items()
        if isinstance(status, PublicStatus)
    }


def _by_status(wanted: Mapping[int, int]) -> ColumnElement[Any]:
    """What is wanted for the status of a move."""
    return case(dict(wanted), value=WorkMove.status_id) if wanted else null()


def _unveiled_at(saves: Sequence[Unveiling]) -> ColumnElement[Any]:
    """When the status of a move was un-hidden while the item was still in it; NULL if never."""
    rows = [(save.number, status_id, save.at) for save in saves for status_id in sorted(save.status_ids)]
    if not rows:
        return null()
    columns = (column("number", Integer), column("status_id", Integer), column("at", UTCDateTime))
    save = values(*columns, name="unveiled").data(rows).cte("unveiled")
    later = aliased(WorkMove)
    until = (
        select(later.revision)
        .where(later.item_id == WorkMove.item_id, later.id > WorkMove.id)
        .order_by(later.id)
        .limit(1)
        .correlate(WorkMove)
        .scalar_subquery()
    )
    return (
        select(save.c.at)
        .where(
            save.c.status_id == WorkMove.status_id,
            save.c.number > WorkMove.revision,
            save.c.number <= func.coalesce(until, saves[-1].number),
        )
        .order_by(save.c.number)
        .limit(1)
        .correlate(WorkMove)
        .scalar_subquery()
    )
