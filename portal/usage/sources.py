"""What delivers figures of companies, and whether what it delivered was looked at.

Whoever takes samples or call records marks their source in the same transaction; whoever looks at figures takes the
sources that are unread under a lock, and marks them read in the transaction that holds what came of it. So nothing
that came in is ever missed, and two who look do not look at the same.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, cast

from sqlalchemy import case, func, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from portal import events
from portal.extensions import db
from portal.usage.models import MeasuredSource, SourceKind


def topic(company_id: int) -> str:
    """Rings the open pages that show figures or calls of a company: others need not ask again with every sample."""
    return events.item_topic("figures", str(company_id))


class Told(NamedTuple):
    """What an ingest brought of one source: the latest moment it told of, and of a metric the sample of that moment."""

    company_id: int
    kind: SourceKind
    metric_id: int | None
    last_at: datetime
    last_value: Decimal | None = None


def note(company_id: int, kind: SourceKind | str, metric_id: int | None, last_at: datetime, *, now: datetime) -> None:
    """Mark one source as having brought something. One statement."""
    note_all([Told(company_id, SourceKind(kind), metric_id, last_at)], now=now)


def note_all(told: Iterable[Told], *, now: datetime) -> None:
    """Mark sources as having brought something, each named once. At most one statement of a kind.

    They are written in one order whoever writes, so that two ingests never wait for each other in a ring.
    """
    told = list(told)
    events.ring(*{topic(each.company_id) for each in told})
    rows = [{**each._asdict(), "unread_since": now} for each in sorted(told, key=lambda each: each[:3])]
    _upsert([row for row in rows if row["metric_id"] is None], ["company_id", "kind"], "metric_id IS NULL")
    _upsert([row for row in rows if row["metric_id"] is not None], ["metric_id"], "metric_id IS NOT NULL")


def look_again(metric_id: int, now: datetime) -> None:
    """Mark a metric, where it ever brought anything, because what is said of it changed. One statement."""
    db.session.execute(
        update(MeasuredSource)
        .where(MeasuredSource.metric_id == metric_id)
        .values(unread_since=func.coalesce(MeasuredSource.unread_since, now))
        .execution_options(synchronize_session=False)
    )


def unread(limit: int) -> Sequence[MeasuredSource]:
    """Sources that brought something nobody has looked at, the longest waiting first, for this transaction alone.

    Those another one holds are left out. One query.
    """
    return db.session.scalars(
        select(MeasuredSource)
        .where(MeasuredSource.unread_since.is_not(None))
        .order_by(MeasuredSource.unread_since, MeasuredSource.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    ).all()


def mark_read(source_ids: Collection[int]) -> None:
    """Say that these were looked at; what comes in from now on marks them anew. One statement."""
    db.session.execute(
        update(MeasuredSource)
        .where(MeasuredSource.id.in_(source_ids))
        .values(unread_since=None)
        .execution_options(synchronize_session=False)
    )


def _upsert(rows: Sequence[dict[str, Any]], columns: Sequence[str], place: str) -> None:
    if not rows:
        return
    dialect = sqlite if db.session.get_bind().dialect.name == "sqlite" else postgresql
    insert = dialect.insert(cast(Any, MeasuredSource.__table__))
    new, old = insert.excluded, MeasuredSource.__table__.c
    # A sample that corrects the latest one counts; one that comes late does not.
    is_latest = new.last_at >= old.last_at
    db.session.execute(
        insert.on_conflict_do_update(
            index_elements=columns,
            index_where=text(place),
            set_={
                "last_at": case((is_latest, new.last_at), else_=old.last_at),
                "last_value": case((is_latest, new.last_value), else_=old.last_value),
                "unread_since": func.coalesce(old.unread_since, new.unread_since),
            },
        ),
        rows,
    )
