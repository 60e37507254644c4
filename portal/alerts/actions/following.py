"""What happens further down and concerns alerts, pulled: figures that came in, incidents and planned work that began or
ended, companies that were archived, or got or lost a tag. Whatever it is, the watches it concerns become due.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, insert, literal, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from portal.accounts.models import Company, CompanyTag
from portal.alerts.actions.standings import NORMAL, change, clear, locked
from portal.alerts.models import Alert, AlertClock, AlertWatch
from portal.alerts.queries.muting import fingerprint, troubles
from portal.alerts.rules import AlertArea
from portal.catalogue.queries import company_reached_select
from portal.extensions import db
from portal.usage import sources
from portal.usage.models import MeasuredSource, Metric, SourceKind
from portal.usage.rules import Measure

SOURCES_AT_ONCE = 500
"""Sources that are taken as read by one transaction."""

SWEPT_EVERY = timedelta(minutes=1)
"""How long a tag that was given, or a company that was archived, waits at most to be noticed."""

SWEPT_AT_ONCE = 1000

OF_CALLS = frozenset({*(each for each in AlertArea if each.is_of_calls), AlertArea.SCRIPT})
OF_MEASURE = {
    Measure.BALANCE: frozenset({AlertArea.BALANCE, AlertArea.CREDIT, AlertArea.SCRIPT}),
    Measure.CPS: frozenset({AlertArea.CPS, AlertArea.SCRIPT}),
    Measure.CHANNELS: frozenset({AlertArea.CHANNELS, AlertArea.SCRIPT}),
    Measure.CUSTOM: frozenset({AlertArea.SCRIPT}),
}
"""The areas that read what a metric delivers; what is its own is watched by the metric itself too."""


def follow(now: datetime) -> bool:
    """Make due what something further down concerns; whether there is more. The caller commits.

    One process at a time: who comes second has nothing to do.
    """
    clock = locked_clock()
    if clock is None:
        return False
    is_more = _follow_sources(now)
    _follow_muting(clock, now)
    if clock.swept_at is None or now - clock.swept_at >= SWEPT_EVERY:
        if sweep(now):
            is_more = True
        else:
            clock.swept_at = now
    db.session.flush()
    return is_more


def locked_clock() -> AlertClock | None:
    """The one row, for this transaction alone; None while another one has it."""
    found = select(AlertClock).with_for_update(skip_locked=True).execution_options(populate_existing=True)
    clock = db.session.scalars(found).one_or_none()
    if clock is not None or db.session.scalar(select(AlertClock.id)) is not None:
        return clock
    _make_clock()
    return db.session.scalars(found).one_or_none()


def hold_clock() -> None:
    """Have nobody follow anything until this transaction ends: whoever does is waited for, also if that is the first
    who ever did and the row is not there for others yet."""
    _make_clock()
    db.session.execute(select(AlertClock.id).with_for_update())


def _make_clock() -> None:
    insert_new = sqlite.insert if db.session.get_bind().dialect.name == "sqlite" else postgresql.insert
    table: Any = AlertClock.__table__
    db.session.execute(insert_new(table).values(id=1, muting="").on_conflict_do_nothing())


# What came in


def _follow_sources(now: datetime) -> bool:
    unread = sources.unread(SOURCES_AT_ONCE)
    if not unread:
        return False
    change(locked(_reading(unread)), {"due_at": now})
    sources.mark_read([each.id for each in unread])
    return len(unread) == SOURCES_AT_ONCE


def _reading(unread: Sequence[MeasuredSource]) -> Any:
    """A statement selecting the open watches that read one of these sources."""
    by_area: dict[AlertArea, set[int]] = {}
    for source in unread:
        if source.kind is SourceKind.CALLS:
            _note(by_area, OF_CALLS, source.company_id)
    metric_ids = [each.metric_id for each in unread if each.metric_id is not None]
    measures = db.session.execute(select(Metric.company_id, Metric.measure).where(Metric.id.in_(metric_ids)))
    for company_id, measure in measures:
        if company_id is not None and measure is not None:
            _note(by_area, OF_MEASURE.get(measure, ()), company_id)
    companies = {each.company_id for each in unread}
    which: list[ColumnElement[bool]] = [
        and_(Alert.area == area, AlertWatch.company_id.in_(some)) for area, some in by_area.items()
    ]
    which.append(Alert.metric_id.in_(metric_ids))
    return (
        select(AlertWatch.id)
        .join(Alert, Alert.id == AlertWatch.alert_id)
        .where(AlertWatch.company_id.in_(companies), AlertWatch.closed_at.is_(None), or_(*which))
    )


def _note(by_area: dict[AlertArea, set[int]], areas: Collection[AlertArea], company_id: int) -> None:
    for area in areas:
        by_area.setdefault(area, set()).add(company_id)


# What began or ended


def _follow_muting(clock: AlertClock, now: datetime) -> None:
    """Where something else is wrong or worked on than before, look at whoever it mutes now, or has muted."""
    found = troubles(now)
    print_now = fingerprint(found)
    if print_now == clock.muting:
        return
    concerned = [AlertWatch.muted_since.is_not(None)]
    if found:
        reached = company_reached_select({each.component_id for each in found}, now)
        concerned.append(AlertWatch.company_id.in_(reached))
    change(locked(select(AlertWatch.id).where(AlertWatch.closed_at.is_(None), or_(*concerned))), {"due_at": now})
    clock.muting = print_now


# Who is watched


def sweep(now: datetime, alert_id: int | None = None) -> bool:
    """Watch whom an alert is for and who is not watched yet, and close what is watched no more; whether there is more.

    With an alert, only what it watches.
    """
    mine = Alert.id == alert_id if alert_id is not None else Alert.archived_at.is_(None)
    added = _watch_new(mine, now)
    reopened = _reopen(mine, now)
    closed = _close_others(alert_id, now)
    return max(added, reopened, closed) >= SWEPT_AT_ONCE


def _is_for(company_id: Any) -> ColumnElement[bool]:
    """Whether an alert is for this company: its own, or by a tag. Never NULL, which its opposite would be too."""
    tagged = exists().where(CompanyTag.company_id == company_id, CompanyTag.tag_key == Alert.tag)
    is_own = and_(Alert.company_id.is_not(None), Alert.company_id == company_id)
    return or_(is_own, and_(Alert.tag.is_not(None), tagged))


def _is_watching() -> tuple[ColumnElement[bool], ...]:
    return Alert.is_on.is_(True), Alert.archived_at.is_(None), Company.archived_at.is_(None)


def _watch_new(mine: ColumnElement[bool], now: datetime) -> int:
    known = exists().where(AlertWatch.alert_id == Alert.id, AlertWatch.company_id == Company.id)
    moment = literal(now, AlertWatch.since.type)
    blank = {name: literal(NORMAL[name], AlertWatch.__table__.c[name].type) for name in ("state", "told", "changes")}
    columns = ["alert_id", "company_id", "since", "due_at", "failures", "muted_openly", *blank]
    values = (Alert.id, Company.id, moment, moment, literal(0), literal(False), *blank.values())
    # By tag and by company apart, so that each finds its companies through an index.
    by_tag = (
        select(*values)
        .join(CompanyTag, CompanyTag.tag_key == Alert.tag)
        .join(Company, Company.id == CompanyTag.company_id)
        .where(mine, *_is_watching(), ~known)
        .limit(SWEPT_AT_ONCE)
    )
    own = (
        select(*values)
        .join(Company, Company.id == Alert.company_id)
        .where(mine, *_is_watching(), ~known)
        .limit(SWEPT_AT_ONCE)
    )
    return max(_inserted(by_tag, columns), _inserted(own, columns))


def _inserted(found: Any, columns: Sequence[str]) -> int:
    done: Any = db.session.execute(insert(AlertWatch.__table__).from_select(columns, found))  # type: ignore[arg-type]
    return int(done.rowcount)


def _reopen(mine: ColumnElement[bool], now: datetime) -> int:
    ids = locked(
        select(AlertWatch.id)
        .join(Alert, Alert.id == AlertWatch.alert_id)
        .join(Company, Company.id == AlertWatch.company_id)
        .where(AlertWatch.closed_at.is_not(None), mine, *_is_watching(), _is_for(AlertWatch.company_id))
        .limit(SWEPT_AT_ONCE)
    )
    change(ids, {**NORMAL, "since": now, "due_at": now, "closed_at": None})
    return len(ids)


def _close_others(alert_id: int | None, now: datetime) -> int:
    """Close what is switched off or archived, of companies that are archived, or have the tag no more."""
    one = AlertWatch.alert_id == alert_id if alert_id is not None else AlertWatch.id.is_not(None)
    ids = locked(
        select(AlertWatch.id)
        .join(Alert, Alert.id == AlertWatch.alert_id)
        .join(Company, Company.id == AlertWatch.company_id)
        .where(AlertWatch.closed_at.is_(None), one, ~and_(*_is_watching(), _is_for(AlertWatch.company_id)))
        .limit(SWEPT_AT_ONCE)
    )
    clear(ids, now, why="it is watched no more", due_at=None, closes=True)
    return len(ids)
