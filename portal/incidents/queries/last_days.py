"""The last days of components: the bars of the status page, and the share of them each was up.

Every status page asks for all components, and nearly all of their past is the same each time. What was read is
therefore compared as the database gave it, and counted only when it differs from what was counted before.
"""

from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta
from functools import cache, lru_cache
from typing import NamedTuple, Protocol

from sqlalchemy import Select, String, bindparam, case, cast, func, or_, select

from portal.accounts.rules import SIGNED_OUT, Viewpoint
from portal.database import UTCDateTime, moment_of
from portal.extensions import rows
from portal.incidents.models import ComponentHistory, ImpactInterval, Incident
from portal.incidents.queries.conditions import kind_of, visible_to_kind
from portal.incidents.rules import Interval, Severity, day_start, down_seconds, overlaid, pack_days

HISTORY_SHOWN = 90
"""Days in a history bar."""

COUNTED_AT_MOST = 4096
"""Pasts of components kept in each process, some hundred bytes each."""

_QUIET = "0" * HISTORY_SHOWN


class HistoryBar(NamedTuple):
    """The last days of a component: one digit per UTC day, 0 none to 3 major, the last one today."""

    component_id: int
    first_day: date
    days: str


class History(NamedTuple):
    """The last days of a component, and the share of them it was up, 0 to 1."""

    bar: HistoryBar
    uptime: float


class Dated(Protocol):
    """A component, or as much of one as its history is counted from."""

    @property
    def id(self) -> int: ...
    @property
    def created_at(self) -> datetime: ...


def histories(components: Collection[Dated], now: datetime, viewpoint: Viewpoint) -> dict[int, History]:
    """The bar and the uptime of each component, as the two functions below say. Two queries for both."""
    ids = [component.id for component in components]
    pasts = _pasts(ids, now, viewpoint)
    bars, shares = _bars(ids, pasts, now), _shares(components, pasts, now)
    return {component_id: History(bars[component_id], shares[component_id]) for component_id in ids}


def history_bars(
    component_ids: Collection[int], now: datetime, viewpoint: Viewpoint = SIGNED_OUT
) -> dict[int, HistoryBar]:
    """The last 90 days of each component. Two queries.

    Packed days end when they were last written; what is still open fills the days since then. What only this
    viewpoint sees (reports for the affected, private ones for staff) is laid over it.
    """
    return _bars(component_ids, _pasts(component_ids, now, viewpoint), now)


def uptimes(components: Collection[Dated], now: datetime, viewpoint: Viewpoint | None = None) -> dict[int, float]:
    """The share of the last 90 days (UTC) each component was up, 0 to 1, for this viewpoint. One query.

    Counted by `rules.down_seconds`, from the component's creation if that is later and nothing is known before.
    """
    pasts = _pasts([component.id for component in components], now, viewpoint or SIGNED_OUT)
    return _shares(components, pasts, now)


class _Past(NamedTuple):
    """What hit a component in the days shown.

    `days` has what packed days do not hold, `since` is when the first stretch began, `until` when the last one
    ended (None while any lasts), and `down` the seconds it counts as down when all have ended.
    """

    days: str
    stretches: tuple[Interval, ...]
    since: datetime
    until: datetime | None
    down: int


def _first_day(last_day: date) -> date:
    return last_day - timedelta(days=HISTORY_SHOWN - 1)


def _pasts(component_ids: Collection[int], now: datetime, viewpoint: Viewpoint) -> dict[int, _Past]:
    """The pasts of those that have one, of what exists from this viewpoint. One query."""
    today = now.date()
    values = {"now": now, "company_id": viewpoint.company_id, "begin": day_start(_first_day(today))}
    found = rows(_stretches(kind_of(viewpoint)), component_ids=list(component_ids), **values)
    return {component_id: _past(told, today) for component_id, told in found}


@lru_cache(maxsize=COUNTED_AT_MOST)
def _past(told: str, today: date) -> _Past:
    """What the stretches of a component, as `_stretches` tells them, mean on this day.

    Packed days hold what is visible to everyone and has ended.
    """
    stretches, unpacked = [], []
    for each in told.split(";"):
        severity, from_at, to_at, whose = each.split(",")
        stretch = Interval(Severity(severity), moment_of(from_at), moment_of(to_at) if to_at else None)
        stretches.append(stretch)
        if stretch.to_at is None or whose != FOR_EVERYONE:
            unpacked.append(stretch)
    first_day = _first_day(today)
    ends = [each.to_at for each in stretches if each.to_at is not None]
    until = max(ends) if len(ends) == len(stretches) else None
    return _Past(
        days=pack_days(unpacked, first_day, today) if unpacked else _QUIET,
        stretches=tuple(stretches),
        since=min(each.from_at for each in stretches),
        until=until,
        down=down_seconds(stretches, day_start(first_day), until) if until else 0,
    )


FOR_EVERYONE = "all"


@cache
def _stretches(kind: Viewpoint) -> Select[int, str]:
    """Of each component all stretches as one text: severity, from, to ("" while it lasts), and who sees it."""
    begin = bindparam("begin", type_=UTCDateTime())
    each = ImpactInterval
    told = (
        cast(each.severity, String)
        + ","
        + cast(each.from_at, String)
        + ","
        + func.coalesce(cast(each.to_at, String), "")
        + ","
        + case((visible_to_kind(Incident, SIGNED_OUT), FOR_EVERYONE), else_="")
    )
    return (
        select(each.component_id, func.aggregate_strings(told, ";"))
        .join(Incident, Incident.id == each.incident_id)
        .where(
            each.component_id.in_(bindparam("component_ids", expanding=True)),
            or_(each.to_at.is_(None), each.to_at > begin),
            visible_to_kind(Incident, kind),
        )
        .group_by(each.component_id)
    )


@cache
def _packed() -> Select[int, str, str]:
    return select(ComponentHistory.component_id, ComponentHistory.days, ComponentHistory.last_day).where(
        ComponentHistory.component_id.in_(bindparam("component_ids", expanding=True))
    )


def _bars(component_ids: Collection[int], pasts: Mapping[int, _Past], now: datetime) -> dict[int, HistoryBar]:
    """Packed days with what they do not hold laid over them. One query."""
    today = now.date()
    first_day = _first_day(today)
    packed = {
        component_id: _moved(days, written, today)
        for component_id, days, written in rows(_packed(), component_ids=list(component_ids))
    }
    bars = {}
    for component_id in component_ids:
        past, days = pasts.get(component_id), packed.get(component_id, _QUIET)
        shown = days if past is None or past.days == _QUIET else _overlaid(past.days, days)
        bars[component_id] = HistoryBar(component_id, first_day, shown)
    return bars


_overlaid = lru_cache(maxsize=COUNTED_AT_MOST)(overlaid)


@lru_cache(maxsize=COUNTED_AT_MOST)
def _moved(days: str, written: str, today: date) -> str:
    """Packed days that end on `written`, as the shown days that end today; later ones are filled with none."""
    passed = max(0, (today - date.fromisoformat(written)).days)
    return (days + "0" * passed)[-HISTORY_SHOWN:].rjust(HISTORY_SHOWN, "0")


def _shares(components: Collection[Dated], pasts: Mapping[int, _Past], now: datetime) -> dict[int, float]:
    begin = day_start(_first_day(now.date()))
    shares = {}
    for component in components:
        past = pasts.get(component.id)
        since = max(begin, min(component.created_at, past.since)) if past else now
        span = (now - since).total_seconds()
        if past is None or span <= 0:
            shares[component.id] = 1.0
            continue
        is_over = past.until is not None and past.until <= now
        shares[component.id] = 1 - (past.down if is_over else down_seconds(past.stretches, since, now)) / span
    return shares
