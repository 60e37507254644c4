"""Reading metrics and what was measured.

Whoever is signed out, and customers, are given metrics for everybody that are shown on their portal domain, and nothing
of any company. Everything else here is for staff and for tokens of the whole house.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import joinedload, selectinload

from portal.extensions import db
from portal.keyset import Order, Piece, Wanted, piece_of
from portal.records import retention
from portal.usage.models import Metric, MetricFigure, MetricPortal, MetricSample
from portal.usage.rules import Chart, Figure, Measure, Span, Step, chart, taken_from

PER_PAGE = 50

SHOWN_AT_MOST = 12
"""Metrics on the status page of one portal domain; with more it would be a dashboard, and slow."""

SERIES_AT_MOST = 2000
"""Figures of one answer; the next ones begin where it ends."""

SAMPLES, FIVE_MINUTES, HOURS, DAYS = "metric samples", "five-minute figures", "hourly figures", "daily figures"
"""The names under which it is set how long each is kept."""

METRIC_ORDERS = {"position": Order((Metric.position, Metric.id)), "id": Order((Metric.id,))}
SAMPLE_ORDERS = {
    "-at": Order((MetricSample.at,), is_descending=True),
    "at": Order((MetricSample.at,)),
}


@dataclass(frozen=True)
class Page:
    """One page of all metrics. `pages` is at least 1."""

    items: Sequence[Metric]
    page: int
    pages: int
    total: int


@dataclass(frozen=True)
class ShownMetric:
    """A metric with its chart, for whoever may read the status page: nothing internal is in it."""

    key: str
    name: str
    unit: str
    decimals: int
    chart: Chart


def metric_page(page: int, *, text: str = "", is_archived: bool = False) -> Page | None:
    """All metrics in their order, 50 a page; None for a page there is not. Four queries."""
    conditions: list[ColumnElement[bool]] = [
        Metric.archived_at.is_not(None) if is_archived else Metric.archived_at.is_(None)
    ]
    if text:
        conditions.append(_holds(text))
    total = db.session.scalar(select(func.count(Metric.id)).where(*conditions)) or 0
    pages = max(1, -(-total // PER_PAGE))
    if not 1 <= page <= pages:
        return None
    found = db.session.scalars(
        select(Metric)
        .options(joinedload(Metric.company), joinedload(Metric.service), selectinload(Metric.portals))
        .where(*conditions)
        .order_by(Metric.position, Metric.id)
        .offset((page - 1) * PER_PAGE)
        .limit(PER_PAGE)
    ).all()
    return Page(found, page, pages, total)


def metrics(wanted: Wanted, *, company_id: int | None = None, is_archived: bool | None = None) -> Piece[Metric]:
    """A piece of all metrics, with the portal domains that show each. Two queries."""
    statement = select(Metric).options(selectinload(Metric.portals))
    if company_id is not None:
        statement = statement.where(Metric.company_id == company_id)
    if is_archived is not None:
        statement = statement.where(Metric.archived_at.is_not(None) if is_archived else Metric.archived_at.is_(None))
    return piece_of(statement, wanted)


def metric_by_id(metric_id: int) -> Metric | None:
    """A metric, archived ones too, with what it belongs to. Two queries."""
    return db.session.scalars(
        select(Metric)
        .options(joinedload(Metric.company), joinedload(Metric.service), selectinload(Metric.portals))
        .where(Metric.id == metric_id)
    ).one_or_none()


def is_key_taken(key: str, but: int | None) -> bool:
    """Whether another metric has this key, archived or not. One query."""
    found = db.session.scalar(select(Metric.id).where(Metric.key == key))
    return found is not None and found != but


def is_measured(company_id: int | None, service_id: int | None, trunk: str, measure: Measure, but: int | None) -> bool:
    """Whether another live metric delivers this of the company at the same place. One query, none for its own."""
    if measure is Measure.CUSTOM:
        return False
    found = db.session.scalar(
        select(Metric.id).where(
            Metric.company_id == company_id,
            Metric.service_id.is_(None) if service_id is None else Metric.service_id == service_id,
            Metric.trunk == trunk,
            Metric.measure == measure,
            Metric.archived_at.is_(None),
            Metric.id != (but or 0),
        )
    )
    return found is not None


def latest(metric_ids: Iterable[int]) -> Mapping[int, Figure]:
    """The newest daily figure of each of these, whose `last` is the newest sample. One query."""
    ids = list(metric_ids)
    newest = (
        select(MetricFigure.metric_id, func.max(MetricFigure.at).label("at"))
        .where(MetricFigure.metric_id.in_(ids), MetricFigure.step == Step.DAY)
        .group_by(MetricFigure.metric_id)
        .subquery()
    )
    found = db.session.execute(
        _figures()
        .join(newest, (newest.c.metric_id == MetricFigure.metric_id) & (newest.c.at == MetricFigure.at))
        .where(MetricFigure.step == Step.DAY)
    )
    return {metric_id: Figure(*rest) for metric_id, *rest in found}


def samples(
    metric_id: int, wanted: Wanted, *, since: datetime | None = None, until: datetime | None = None
) -> Piece[MetricSample]:
    """A piece of what is kept sample by sample, from `since` to before `until`. One query."""
    statement = select(MetricSample).where(MetricSample.metric_id == metric_id)
    if since is not None:
        statement = statement.where(MetricSample.at >= since)
    if until is not None:
        statement = statement.where(MetricSample.at < until)
    return piece_of(statement, wanted)


def series(metric_id: int, step: Step, begin: datetime, end: datetime) -> Sequence[Figure]:
    """The figures of a metric from the step that begins at `begin` to before `end`, at most 2,000. One query."""
    return figures_of([metric_id], step, begin, end, limit=SERIES_AT_MOST).get(metric_id, [])


def figures_of(
    metric_ids: Sequence[int], step: Step, begin: datetime, end: datetime, *, limit: int | None = None
) -> dict[int, list[Figure]]:
    """The figures of several metrics, each in the order of time. One query."""
    found: dict[int, list[Figure]] = {}
    rows = db.session.execute(
        _figures()
        .where(
            MetricFigure.metric_id.in_(metric_ids),
            MetricFigure.step == step,
            MetricFigure.at >= begin,
            MetricFigure.at < end,
        )
        .order_by(MetricFigure.metric_id, MetricFigure.at)
        .limit(limit)
    )
    for metric_id, *rest in rows:
        found.setdefault(metric_id, []).append(Figure(*rest))
    return found


def chart_of(metric: Metric, span: Span, now: datetime, zone: tzinfo) -> Chart:
    """The chart of one metric. One query."""
    begin = span.begins(now)
    found = figures_of([metric.id], span.step, begin, begin + span.length).get(metric.id, [])
    return chart(found, span, now, zone, metric.interval)


# What everybody sees


def shown_metrics(domain_id: int, span: Span, now: datetime, zone: tzinfo) -> list[ShownMetric]:
    """The metrics for everybody on the status page of a portal domain, with their charts. At most two queries."""
    found = db.session.scalars(
        select(Metric).where(*_is_shown(domain_id)).order_by(Metric.position, Metric.id).limit(SHOWN_AT_MOST)
    ).all()
    if not found:
        return []
    begin = span.begins(now)
    figures = figures_of([each.id for each in found], span.step, begin, begin + span.length)
    return [_shown(each, chart(figures.get(each.id, []), span, now, zone, each.interval)) for each in found]


def shown_metric(domain_id: int, key: str, span: Span, now: datetime, zone: tzinfo) -> ShownMetric | None:
    """The metric for everybody with this key, where the portal domain shows it. At most two queries."""
    found = db.session.scalar(select(Metric).where(Metric.key == key, *_is_shown(domain_id)))
    return _shown(found, chart_of(found, span, now, zone)) if found else None


def _shown(metric: Metric, drawn: Chart) -> ShownMetric:
    return ShownMetric(metric.key, metric.name, metric.unit, metric.decimals, drawn)


def _is_shown(domain_id: int) -> list[ColumnElement[bool]]:
    """A metric of a company is never shown, whatever its row says besides."""
    on_domain = select(MetricPortal.metric_id).where(MetricPortal.domain_id == domain_id)
    return [Metric.company_id.is_(None), Metric.archived_at.is_(None), Metric.id.in_(on_domain)]


def domains_showing(metric_id: int) -> Sequence[int]:
    """The portal domains whose status page shows a metric. One query."""
    return db.session.scalars(select(MetricPortal.domain_id).where(MetricPortal.metric_id == metric_id)).all()


# What is kept


def earliest_taken(metric: Metric, now: datetime) -> datetime:
    """From which moment on samples of this metric are taken. One query."""
    return taken_from(now, days_kept(), metric.whole_from)


def days_kept() -> int:
    """For how many days everything is kept that a late sample is counted from. One query."""
    return min(each.days for each in retention.settings() if each.keeping.name in {SAMPLES, FIVE_MINUTES, HOURS})


def _holds(text: str) -> ColumnElement[bool]:
    return Metric.name.icontains(text, autoescape=True) | Metric.key.icontains(text, autoescape=True)


def _figures() -> Any:
    return select(
        MetricFigure.metric_id,
        MetricFigure.at,
        MetricFigure.count,
        MetricFigure.total,
        MetricFigure.least,
        MetricFigure.most,
        MetricFigure.last,
        MetricFigure.last_at,
    )
