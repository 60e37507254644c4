"""The last days of components and their groups: the bars of the status page, and the share of them each was up.

Every status page asks for all components, and nearly all of their past is the same each time. What was read is
therefore compared as the database gave it, and counted only when it differs from what was counted before.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cache, lru_cache
from itertools import chain
from typing import Any, NamedTuple, Protocol, TypeVar

from sqlalchemy import ColumnElement, Select, String, and_, bindparam, case, cast, func, literal, or_, select, union_all

from portal.accounts.rules import SIGNED_OUT, Viewpoint
from portal.database import UTCDateTime, moment_of
from portal.extensions import rows
from portal.incidents.models import BaseStatus, ComponentHistory, ImpactInterval, Incident, Maintenance
from portal.incidents.queries.availability import planned_on, weights_now
from portal.incidents.queries.conditions import kind_of, visible_to, would_see_kind
from portal.incidents.rules import Interval, Severity, day_start, overlaid, pack_days
from portal.incidents.rules.availability import Layer, Weights, account, layers_of

HISTORY_SHOWN = 90
"""Days in a history bar."""

COUNTED_AT_MOST = 4096
"""Pasts of components kept in each process, some hundred bytes each."""

_QUIET = "0" * HISTORY_SHOWN


K = TypeVar("K")


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


class Histories(NamedTuple):
    """The last days of components by id, and of groups by whatever they were asked by; counted by the `weights`."""

    of_components: dict[int, History]
    of_groups: dict[Any, History]
    weights: Weights


def histories(components: Collection[Dated], now: datetime, viewpoint: Viewpoint) -> dict[int, History]:
    """The bar and the uptime of each component, as the functions below say. Three queries for both."""
    return grouped_histories(components, {}, now, viewpoint).of_components


def group_histories(groups: Mapping[K, Collection[Dated]], now: datetime, viewpoint: Viewpoint) -> dict[K, History]:
    """The bar and the uptime of groups, each given as its components: of each moment the worst of its members counts.

    Days before the first of them existed are "-". Three queries, however many there are.
    """
    components = {each.id: each for members in groups.values() for each in members}
    return grouped_histories(list(components.values()), groups, now, viewpoint).of_groups


def grouped_histories(
    components: Collection[Dated], groups: Mapping[Any, Collection[Dated]], now: datetime, viewpoint: Viewpoint
) -> Histories:
    """`histories` and `group_histories` in the same three queries; the groups hold some of the components."""
    weights = weights_now(now)
    ids = [component.id for component in components]
    pasts = _pasts(ids, now, viewpoint)
    works = _works(ids, now, viewpoint, weights)
    bars = _bars(ids, pasts, now)
    of_components = {each.id: History(bars[each.id], _share([each], pasts, works, now, weights)) for each in components}
    of_groups = {
        group: History(_group_bar(members, bars, now), _share(members, pasts, works, now, weights))
        for group, members in groups.items()
    }
    return Histories(of_components, of_groups, weights)


def history_bars(
    component_ids: Collection[int], now: datetime, viewpoint: Viewpoint = SIGNED_OUT
) -> dict[int, HistoryBar]:
    """The last 90 days of each component. Two queries.

    Packed days end when they were last written; what is still open fills the days since then. What only this
    viewpoint sees (reports for the affected, private ones for staff) is laid over it.
    """
    return _bars(component_ids, _pasts(component_ids, now, viewpoint), now)


def uptimes(components: Collection[Dated], now: datetime, viewpoint: Viewpoint | None = None) -> dict[int, float]:
    """The share of the last 90 days (UTC) each component was up, 0 to 1, for this viewpoint. Two queries.

    Counted by `rules.availability`, with the weights that hold now, from the component's creation if that is later
    and nothing is known before.
    """
    viewpoint, weights = viewpoint or SIGNED_OUT, weights_now(now)
    ids = [component.id for component in components]
    pasts, works = _pasts(ids, now, viewpoint), _works(ids, now, viewpoint, weights)
    return {each.id: _share([each], pasts, works, now, weights) for each in components}


class _Past(NamedTuple):
    """What hit a component in the days shown.

    `days` has what packed days do not hold, `since` is when the first stretch began.
    """

    days: str
    stretches: tuple[Interval, ...]
    since: datetime


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
    return _Past(
        days=pack_days(unpacked, _first_day(today), today) if unpacked else _QUIET,
        stretches=tuple(stretches),
        since=min(each.from_at for each in stretches),
    )


FOR_EVERYONE = "all"


@cache
def _stretches(kind: Viewpoint) -> Select[int, str]:
    """Of each component all stretches as one text: severity, from, to ("" while it lasts), and who sees it.

    What is set by hand lies among those of incidents, and is never packed: it may end by itself on a later day.
    """
    seen_by = case((would_see_kind(Incident, SIGNED_OUT), FOR_EVERYONE), else_="")
    of_incidents = (
        select(ImpactInterval.component_id, _told(ImpactInterval, seen_by).label("told"))
        .join(Incident, Incident.id == ImpactInterval.incident_id)
        .where(_within(ImpactInterval), would_see_kind(Incident, kind))
    )
    by_hand = select(BaseStatus.component_id, _told(BaseStatus, literal(""))).where(_within(BaseStatus))
    found = union_all(of_incidents, by_hand).subquery()
    return select(found.c.component_id, func.aggregate_strings(found.c.told, ";")).group_by(found.c.component_id)


def _told(each: Any, seen_by: ColumnElement[str]) -> ColumnElement[str]:
    """A stretch as `_past` reads it."""
    told: ColumnElement[str] = (
        cast(each.severity, String)
        + ","
        + cast(each.from_at, String)
        + ","
        + func.coalesce(cast(each.to_at, String), "")
        + ","
        + seen_by
    )
    return told


def _within(each: Any) -> ColumnElement[bool]:
    """The stretches of the components asked for that reach into the days shown."""
    begin = bindparam("begin", type_=UTCDateTime())
    ids: Any = bindparam("component_ids", expanding=True)
    return and_(each.component_id.in_(ids), or_(each.to_at.is_(None), each.to_at > begin))


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


def _group_bar(members: Collection[Dated], bars: Mapping[int, HistoryBar], now: datetime) -> HistoryBar:
    """The worst of the members on each day; "-" on quiet days before any of them existed."""
    first_day = _first_day(now.date())
    days = _QUIET
    for each in members:
        days = _overlaid(days, bars[each.id].days)
    since = min((each.created_at for each in members), default=now)
    unknown = min(max((since.date() - first_day).days, 0), HISTORY_SHOWN - 1)
    quiet = min(unknown, HISTORY_SHOWN - len(days.lstrip("0")))
    return HistoryBar(0, first_day, "-" * quiet + days[quiet:])


Works = Mapping[int, Sequence[Layer]]


def _works(component_ids: Collection[int], now: datetime, viewpoint: Viewpoint, weights: Weights) -> Works:
    """Planned work of the days shown that counts, by component. One query where it counts at all, else none."""
    if not weights.maintenance:
        return {}
    begin = day_start(_first_day(now.date()))
    found: defaultdict[int, list[Layer]] = defaultdict(list)
    for planned in planned_on(component_ids, begin, now, visible_to(Maintenance, viewpoint, now)):
        work = planned.work
        found[planned.component_id].append(Layer(work.kind, work.began_at, work.ended_at))
    return found


def _share(
    members: Collection[Dated], pasts: Mapping[int, _Past], works: Works, now: datetime, weights: Weights
) -> float:
    """The share of the days shown at which none of these was down, from when the first of them existed."""
    known = tuple(pasts[each.id] for each in members if each.id in pasts)
    layers = tuple(layer for each in members for layer in works.get(each.id, ()))
    if not known and not layers:
        return 1.0
    moments = [*(each.created_at for each in members), *(each.since for each in known)]
    since = max(day_start(_first_day(now.date())), min(moments))
    down, ended_at = _down(known, layers, since, weights)
    if ended_at is None or ended_at > now:
        everything = [*layers_of(chain.from_iterable(each.stretches for each in known), now), *layers]
        return account(everything, since, now, weights).share
    span = (now - since).total_seconds()
    return 1 - down / span if span > 0 else 1.0


@lru_cache(maxsize=COUNTED_AT_MOST)
def _down(
    pasts: tuple[_Past, ...], layers: tuple[Layer, ...], since: datetime, weights: Weights
) -> tuple[float, datetime | None]:
    """How many seconds count as down when all of it is over, and when that is; None while any of it lasts."""
    stretches = [stretch for past in pasts for stretch in past.stretches]
    ends = [*(each.to_at for each in stretches), *(each.to_at for each in layers)]
    if None in ends:
        return 0.0, None
    until = max(each for each in ends if each is not None)
    told = account([*layers_of(stretches, until), *layers], since, until, weights)
    return told.down.total_seconds(), until
