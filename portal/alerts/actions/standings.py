"""How a watch stands, as the pure rules know it and as its row holds it; and closing those that are watched no more."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, insert, literal, select, update

from portal.alerts.models import AlertEvent, AlertWatch
from portal.alerts.rules import AlertState, Happening, Measured, Standing, Told
from portal.extensions import db

RAW: Any = {"synchronize_session": False}

AT_ONCE = 5000
"""Rows named by one statement; SQLite takes 32,766 values in one."""

NORMAL: dict[str, Any] = {
    "state": AlertState.NORMAL,
    "kept": None,
    "lack": None,
    "pending_since": None,
    "well_since": None,
    "triggered_at": None,
    "told": Told.NORMAL,
    "told_at": None,
    "last_sent_at": None,
    "broadcast_id": None,
    "failures": 0,
    "changes": [],
    "held_until": None,
    "staff_told_at": None,
}
"""What a watch is that nobody has looked at, or that was made normal without a word."""

LOOKED = (*NORMAL, "since", "value", "count", "value_at", "muted_since", "muted_openly", "due_at", "closed_at")
"""The columns one look may change."""


def standing_of(watch: AlertWatch) -> Standing:
    """What the row says."""
    return Standing(
        state=watch.state,
        since=watch.since,
        kept=watch.kept,
        lack=watch.lack,
        pending_since=watch.pending_since,
        well_since=watch.well_since,
        triggered_at=watch.triggered_at,
        told=watch.told,
        told_at=watch.told_at,
        sent_at=watch.last_sent_at,
        is_on_its_way=watch.broadcast_id is not None,
        failures=watch.failures,
        changes=tuple(datetime.fromisoformat(each) for each in watch.changes),
        held_until=watch.held_until,
        muted_since=watch.muted_since,
    )


def keep(watch: AlertWatch, standing: Standing, reading: Measured) -> None:
    """Have the row say this, and what was read."""
    watch.state, watch.since, watch.kept, watch.lack = standing.state, standing.since, standing.kept, standing.lack
    watch.pending_since, watch.well_since = standing.pending_since, standing.well_since
    watch.triggered_at = standing.triggered_at
    watch.told, watch.told_at, watch.last_sent_at = standing.told, standing.told_at, standing.sent_at
    watch.failures, watch.held_until, watch.muted_since = standing.failures, standing.held_until, standing.muted_since
    watch.changes = [each.isoformat() for each in standing.changes]
    if not standing.is_on_its_way:
        watch.broadcast_id = None
    if standing.lack is None:
        watch.staff_told_at = None
    watch.value, watch.count, watch.value_at = reading.value, reading.count, reading.at


def columns_of(watch: AlertWatch) -> dict[str, Any]:
    """The columns of the row that a look may change."""
    return {name: getattr(watch, name) for name in LOOKED}


def write(watches: Iterable[AlertWatch]) -> None:
    """Store rows that the session does not hold. One statement, given many rows."""
    rows = [
        {"row_id": each.id, **{f"new_{name}": value for name, value in columns_of(each).items()}} for each in watches
    ]
    if not rows:
        return
    table: Any = AlertWatch.__table__
    db.session.execute(
        update(table)
        .where(table.c.id == bindparam("row_id"))
        .values({name: bindparam(f"new_{name}") for name in LOOKED}),
        rows,
    )


def locked(statement: Any) -> list[int]:
    """The ids of watches that a statement selects, locked in the one order in which everybody locks several."""
    ordered = statement.order_by(AlertWatch.id).with_for_update(of=AlertWatch)
    return list(db.session.scalars(ordered))


def change(watch_ids: Sequence[int], values: dict[str, Any]) -> None:
    """Set the same in many watches."""
    for start in range(0, len(watch_ids), AT_ONCE):
        some = watch_ids[start : start + AT_ONCE]
        db.session.execute(update(AlertWatch).where(AlertWatch.id.in_(some)).values(**values), execution_options=RAW)


def clear(watch_ids: Sequence[int], now: datetime, *, why: str, due_at: datetime | None, closes: bool = False) -> None:
    """Make watches normal without a word, and look at them anew at `due_at`, or never where that is None.

    Of those that were anything else the log says so.
    """
    for start in range(0, len(watch_ids), AT_ONCE):
        some = watch_ids[start : start + AT_ONCE]
        other = select(
            AlertWatch.id, literal(now, AlertEvent.at.type), literal(Happening.CLEARED.value), literal(why)
        ).where(AlertWatch.id.in_(some), AlertWatch.state != AlertState.NORMAL)
        db.session.execute(insert(AlertEvent).from_select(["watch_id", "at", "kind", "note"], other))
    values: dict[str, Any] = {**NORMAL, "since": now, "due_at": due_at}
    if closes:
        values |= {"closed_at": now, "muted_since": None, "muted_openly": False}
    change(watch_ids, values)
