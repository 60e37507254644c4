"""Reading alerts: lists, what is triggered now, how one stands for whom, and what happened to it.

Functions that take a `company_id` first are what customers are given: their company's alerts and the shared ones that
watch it, and nothing that would tell of a private incident.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, or_, select
from sqlalchemy.orm import contains_eager, joinedload, selectinload

from portal.accounts.models import Company
from portal.alerts.models import (
    Alert,
    AlertEvent,
    AlertRecipient,
    AlertRights,
    AlertTemplate,
    AlertWatch,
)
from portal.alerts.rules import AlertArea, AlertState, Happening, Level, Rights
from portal.errors import NotFound
from portal.extensions import db
from portal.keyset import Order, Piece, Wanted, piece_of
from portal.searching import Matches, find, key_of, reading
from portal.usage.models import Metric
from portal.usage.rules import Measure

PER_PAGE = 50
EVENTS_SHOWN = 50
WATCHES_SHOWN = 50

ALERT_ORDERS = {"id": Order((Alert.id,)), "-id": Order((Alert.id,), is_descending=True)}
EVENT_ORDERS = {"-id": Order((AlertEvent.id,), is_descending=True), "id": Order((AlertEvent.id,))}

IS_BAD = or_(AlertWatch.state == AlertState.TRIGGERED, AlertWatch.kept == AlertState.TRIGGERED)
"""Triggered as far as anybody knows: no data makes nothing well."""

NO_DATA = AlertState.NO_DATA

NOT_FOR_CUSTOMERS = (Happening.MUTED, Happening.UNMUTED)
"""What happened that may tell of a private incident: how it is now they are told by `muting.named_to`."""


@dataclass(frozen=True)
class AlertPage:
    """One page of alerts, with how their watches stand. `pages` is at least 1."""

    items: Sequence["AlertLine"]
    page: int
    pages: int
    total: int


@dataclass(frozen=True)
class AlertLine:
    """An alert in a list: for how many companies it is watched, and how many of these stand how.

    `since` is when the last of them changed.
    """

    alert: Alert
    watched: int = 0
    bad: int = 0
    pending: int = 0
    no_data: int = 0
    muted: int = 0
    triggered_at: datetime | None = None
    since: datetime | None = None

    @property
    def state(self) -> AlertState | None:
        """The worst it stands for anybody; None while it is watched for nobody."""
        if not self.watched:
            return None
        counted = ((self.bad, AlertState.TRIGGERED), (self.pending, AlertState.PENDING), (self.no_data, NO_DATA))
        return next((state for count, state in counted if count), AlertState.NORMAL)

    @property
    def standing(self) -> int:
        """For how many it stands so."""
        return self.bad or self.pending or self.no_data or self.watched


@dataclass(frozen=True)
class WatchPage:
    """One page of watches with their alerts and companies."""

    items: Sequence[AlertWatch]
    page: int
    pages: int
    total: int


class Counts(NamedTuple):
    """How many alerts of how many companies stand how, now."""

    watched: int
    bad: int
    pending: int
    no_data: int
    muted: int


@dataclass(frozen=True)
class OwnAlert:
    """An alert as its company sees it, with how it stands for it; None while it is off."""

    alert: Alert
    watch: AlertWatch | None

    @property
    def is_shared(self) -> bool:
        """Whether it watches others too, of whom nothing is told."""
        return self.alert.company_id is None


# Lists for staff


def alert_page(
    page: int,
    *,
    text: str = "",
    area: AlertArea | None = None,
    level: Level | None = None,
    company_id: int | None = None,
    is_on: bool | None = None,
    state: AlertState | None = None,
    is_muted: bool = False,
    is_archived: bool = False,
) -> AlertPage | None:
    """Alerts, those that are triggered first and then by title, 50 a page; None for a page there is not.

    `state` keeps those that stand so for somebody. Three queries.
    """
    archived: ColumnElement[bool] = Alert.archived_at.is_not(None) if is_archived else Alert.archived_at.is_(None)
    conditions = [archived]
    if text.strip():
        conditions.append(_holds(text))
    columns: Sequence[tuple[Any, object]] = ((Alert.area, area), (Alert.level, level), (Alert.is_on, is_on))
    conditions += [column == value for column, value in columns if value is not None]
    if company_id is not None:
        conditions.append(_watches(company_id))
    if state is not None:
        conditions.append(_stands(IS_BAD if state is AlertState.TRIGGERED else AlertWatch.state == state))
    if is_muted:
        conditions.append(_stands(AlertWatch.muted_since.is_not(None)))
    total = db.session.scalar(select(func.count(Alert.id)).where(*conditions)) or 0
    pages = max(1, -(-total // PER_PAGE))
    if not 1 <= page <= pages:
        return None
    found = db.session.scalars(
        select(Alert)
        .options(joinedload(Alert.company), joinedload(Alert.service), joinedload(Alert.metric))
        .where(*conditions)
        .order_by(
            case((Alert.id.in_(select(AlertWatch.alert_id).where(IS_BAD)), 0), else_=1), Alert.title_key, Alert.id
        )
        .offset((page - 1) * PER_PAGE)
        .limit(PER_PAGE)
    ).all()
    return AlertPage(_lines(found), page, pages, total)


def _lines(alerts: Sequence[Alert]) -> list[AlertLine]:
    rows = db.session.execute(
        select(
            AlertWatch.alert_id,
            func.count(),
            _number(IS_BAD),
            _number(AlertWatch.state == AlertState.PENDING),
            _number(AlertWatch.state == AlertState.NO_DATA),
            _number(AlertWatch.muted_since.is_not(None)),
            func.max(AlertWatch.triggered_at),
            func.max(AlertWatch.since),
        )
        .where(AlertWatch.alert_id.in_([each.id for each in alerts]), AlertWatch.closed_at.is_(None))
        .group_by(AlertWatch.alert_id)
    )
    counted = {alert_id: rest for alert_id, *rest in rows}
    return [AlertLine(each, *counted.get(each.id, ())) for each in alerts]


def _stands(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(AlertWatch.alert_id == Alert.id, AlertWatch.closed_at.is_(None), condition)


def _number(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0))


def triggered_page(page: int, *, company_id: int | None = None) -> WatchPage | None:
    """What is triggered now, the latest first, 50 a page; None for a page there is not. Two queries."""
    conditions: list[ColumnElement[bool]] = [IS_BAD]
    if company_id is not None:
        conditions.append(AlertWatch.company_id == company_id)
    return _watch_page(conditions, page, AlertWatch.triggered_at.desc())


def watch_page(alert_id: int, page: int = 1) -> WatchPage | None:
    """How an alert stands for each company, triggered ones first, 50 a page. Two queries."""
    worst_first = case((IS_BAD, 0), (AlertWatch.state == AlertState.PENDING, 1), else_=2)
    return _watch_page([AlertWatch.alert_id == alert_id, AlertWatch.closed_at.is_(None)], page, worst_first)


def _watch_page(conditions: Sequence[ColumnElement[bool]], page: int, first: Any) -> WatchPage | None:
    total = db.session.scalar(select(func.count(AlertWatch.id)).where(*conditions)) or 0
    pages = max(1, -(-total // WATCHES_SHOWN))
    if not 1 <= page <= pages:
        return None
    found = db.session.scalars(
        _watches_whole()
        .where(*conditions)
        .order_by(first, Company.name_key, AlertWatch.id)
        .offset((page - 1) * WATCHES_SHOWN)
        .limit(WATCHES_SHOWN)
    ).all()
    return WatchPage(found, page, pages, total)


def _watches_whole() -> Select[AlertWatch]:
    return (
        select(AlertWatch)
        .join(AlertWatch.company)
        .options(
            contains_eager(AlertWatch.company),
            joinedload(AlertWatch.alert).joinedload(Alert.service),
            joinedload(AlertWatch.alert).joinedload(Alert.metric),
        )
    )


def counts() -> Counts:
    """How alerts stand, over all companies. One query."""
    return _counted(AlertWatch.closed_at.is_(None))


def alerts_at_a_glance(company_id: int) -> Counts:
    """How those that watch a company stand for it. One query."""
    return _counted(AlertWatch.closed_at.is_(None), AlertWatch.company_id == company_id)


def triggered_now() -> int:
    """How many alerts are triggered for how many companies, all in all. One query, through an index of those alone."""
    return db.session.scalar(select(func.count(AlertWatch.id)).where(IS_BAD)) or 0


def _counted(*conditions: ColumnElement[bool]) -> Counts:
    row = db.session.execute(
        select(
            func.count(),
            _number(IS_BAD),
            _number(AlertWatch.state == AlertState.PENDING),
            _number(AlertWatch.state == AlertState.NO_DATA),
            _number(AlertWatch.muted_since.is_not(None)),
        ).where(*conditions)
    ).one()
    return Counts(*(each or 0 for each in row))


def alerts(
    wanted: Wanted,
    *,
    company_id: int | None = None,
    area: AlertArea | None = None,
    is_on: bool | None = None,
    is_archived: bool | None = None,
    is_shared: bool | None = None,
) -> Piece[Alert]:
    """A piece of the alerts, with their recipients. With a company only those that watch it. Two queries."""
    statement = select(Alert).options(selectinload(Alert.recipients))
    if company_id is not None:
        statement = statement.where(_watches(company_id))
    if area is not None:
        statement = statement.where(Alert.area == area)
    if is_on is not None:
        statement = statement.where(Alert.is_on.is_(is_on))
    if is_archived is not None:
        statement = statement.where(Alert.archived_at.is_not(None) if is_archived else Alert.archived_at.is_(None))
    if is_shared is not None:
        statement = statement.where(Alert.tag.is_not(None) if is_shared else Alert.tag.is_(None))
    return piece_of(statement, wanted)


def watches(wanted: Wanted, alert_id: int, *, company_id: int | None = None) -> Piece[AlertWatch]:
    """A piece of how an alert stands, for each company it watches or for one. One query."""
    statement = select(AlertWatch).where(AlertWatch.alert_id == alert_id, AlertWatch.closed_at.is_(None))
    if company_id is not None:
        statement = statement.where(AlertWatch.company_id == company_id)
    return piece_of(statement, wanted)


def events(
    wanted: Wanted, alert_id: int, *, company_id: int | None = None, is_for_customers: bool = True
) -> Piece[AlertEvent]:
    """A piece of what happened to an alert, with the watch. One query.

    Of one company only what its people may know, unless it is not for them.
    """
    statement = (
        select(AlertEvent)
        .join(AlertEvent.watch)
        .options(contains_eager(AlertEvent.watch))
        .where(AlertWatch.alert_id == alert_id)
    )
    if company_id is not None:
        statement = statement.where(AlertWatch.company_id == company_id)
        if is_for_customers:
            statement = statement.where(AlertEvent.kind.not_in(NOT_FOR_CUSTOMERS))
    return piece_of(statement, wanted)


# One alert


def alert_for_staff(public_id: str) -> Alert | None:
    """One alert, archived ones too, with all that belongs to it. Two queries."""
    return db.session.scalars(_whole().where(Alert.public_id == public_id)).one_or_none()


def alert_by_id(alert_id: int) -> Alert | None:
    """The same by its id. Two queries."""
    return db.session.scalars(_whole().where(Alert.id == alert_id)).one_or_none()


def _whole() -> Select[Alert]:
    return select(Alert).options(
        joinedload(Alert.company),
        joinedload(Alert.service),
        joinedload(Alert.metric),
        joinedload(Alert.template),
        joinedload(Alert.draft),
        selectinload(Alert.recipients).joinedload(AlertRecipient.person),
    )


def watch_of(alert_id: int, company_id: int) -> AlertWatch | None:
    """How an alert stands for one company. One query."""
    found = _watches_whole().where(AlertWatch.alert_id == alert_id, AlertWatch.company_id == company_id)
    return db.session.scalars(found).one_or_none()


def watches_of(alert_ids: Collection[int], company_id: int) -> dict[int, AlertWatch]:
    """How these alerts stand for one company, by alert. One query."""
    found = select(AlertWatch).where(AlertWatch.alert_id.in_(alert_ids), AlertWatch.company_id == company_id)
    return {each.alert_id: each for each in db.session.scalars(found)}


def events_of(alert_id: int, *, company_id: int | None = None, limit: int = EVENTS_SHOWN) -> Sequence[AlertEvent]:
    """The last things that happened to an alert, newest first, with the company of each. One query."""
    statement = (
        select(AlertEvent)
        .join(AlertEvent.watch)
        .options(contains_eager(AlertEvent.watch).joinedload(AlertWatch.company))
        .where(AlertWatch.alert_id == alert_id)
        .order_by(AlertEvent.id.desc())
        .limit(limit)
    )
    if company_id is not None:
        statement = statement.where(AlertWatch.company_id == company_id)
    return db.session.scalars(statement).all()


def events_between(alert_id: int, company_id: int, begin: datetime, end: datetime) -> Sequence[AlertEvent]:
    """What happened to an alert of one company in a stretch of time, in its order: the marks of a chart. One query."""
    return db.session.scalars(
        select(AlertEvent)
        .join(AlertEvent.watch)
        .where(
            AlertWatch.alert_id == alert_id,
            AlertWatch.company_id == company_id,
            AlertEvent.at >= begin,
            AlertEvent.at < end,
        )
        .order_by(AlertEvent.id)
        .limit(500)
    ).all()


# What customers are given


def alerts_of(company_id: int) -> list[OwnAlert]:
    """The alerts that watch a company, by title, with how each stands for it. Two queries; bounded by what it may have.

    One that is off is there without a watch, as long as it is the company's own.
    """
    rows = db.session.execute(
        select(Alert, AlertWatch)
        .outerjoin(AlertWatch, and_(AlertWatch.alert_id == Alert.id, AlertWatch.company_id == company_id))
        .options(joinedload(Alert.service), joinedload(Alert.metric), selectinload(Alert.recipients))
        .where(_seen_by(company_id))
        .order_by(Alert.title_key, Alert.id)
    )
    return [_own(alert, watch) for alert, watch in rows]


def alert_of(company_id: int, public_id: str) -> OwnAlert | None:
    """One alert that watches this company; None where it does not, or there is none. Two queries."""
    row = db.session.execute(
        select(Alert, AlertWatch)
        .outerjoin(AlertWatch, and_(AlertWatch.alert_id == Alert.id, AlertWatch.company_id == company_id))
        .options(
            joinedload(Alert.service),
            joinedload(Alert.metric),
            joinedload(Alert.template),
            selectinload(Alert.recipients).joinedload(AlertRecipient.person),
        )
        .where(_seen_by(company_id), Alert.public_id == public_id)
    ).one_or_none()
    return _own(*row) if row is not None else None


def told_to(company_id: int, alert_id: int, limit: int = EVENTS_SHOWN) -> Sequence[AlertEvent]:
    """What happened to an alert, as far as this company may know, newest first. One query."""
    return db.session.scalars(
        select(AlertEvent)
        .join(AlertEvent.watch)
        .where(
            AlertWatch.alert_id == alert_id,
            AlertWatch.company_id == company_id,
            AlertEvent.kind.not_in(NOT_FOR_CUSTOMERS),
        )
        .order_by(AlertEvent.id.desc())
        .limit(limit)
    ).all()


def _own(alert: Alert, watch: AlertWatch | None) -> OwnAlert:
    return OwnAlert(alert, watch if watch is not None and watch.closed_at is None else None)


def _seen_by(company_id: int) -> ColumnElement[bool]:
    """Whether the company may see an alert, joined with its own watch of it: one of its own, or one that watches it."""
    watches_it = and_(Alert.tag.is_not(None), AlertWatch.id.is_not(None), AlertWatch.closed_at.is_(None))
    return and_(Alert.archived_at.is_(None), or_(Alert.company_id == company_id, watches_it))


def _watches(company_id: int) -> ColumnElement[bool]:
    watched = select(AlertWatch.alert_id).where(AlertWatch.company_id == company_id, AlertWatch.closed_at.is_(None))
    return or_(Alert.company_id == company_id, Alert.id.in_(watched))


# Small ones


def rights_of(company_id: int) -> Rights:
    """What the people of a company may do with its alerts. One query."""
    return db.session.scalar(select(AlertRights.may).where(AlertRights.company_id == company_id)) or Rights.SEE


def rights_row(company_id: int) -> AlertRights | None:
    """The same as a row, with its version; None while nobody has said anything. One query."""
    return db.session.get(AlertRights, company_id)


def is_title_taken(title_key: str, company_id: int | None, tag: str | None, but: int | None) -> bool:
    """Whether another alert of the company, or of the tag, has this title. One query."""
    found = select(Alert.id).where(
        Alert.title_key == title_key,
        Alert.company_id == company_id if company_id is not None else Alert.tag == tag,
        Alert.archived_at.is_(None),
        Alert.id != (but or 0),
    )
    return db.session.scalar(found.limit(1)) is not None


def count_of(company_id: int | None, tag: str | None) -> int:
    """How many alerts a company, or a tag, has that are not archived. One query."""
    whose = Alert.company_id == company_id if company_id is not None else Alert.tag == tag
    return db.session.scalar(select(func.count(Alert.id)).where(whose, Alert.archived_at.is_(None))) or 0


METRICS_OFFERED = 200


def metrics_of(company_id: int) -> Sequence[Metric]:
    """The metrics of its own that an alert of a company may watch, by name; those beyond 200 are typed. One query."""
    return db.session.scalars(_own_metrics(company_id).order_by(Metric.name, Metric.id).limit(METRICS_OFFERED)).all()


def metric_of(company_id: int, key: str) -> Metric | None:
    """One of them by its key. One query."""
    return db.session.scalars(_own_metrics(company_id).where(Metric.key == key)).one_or_none()


def _own_metrics(company_id: int) -> Select[Metric]:
    return select(Metric).where(
        Metric.company_id == company_id, Metric.measure == Measure.CUSTOM, Metric.archived_at.is_(None)
    )


def live_templates() -> Sequence[AlertTemplate]:
    """The templates that may be chosen, by name. One query; bounded by what may be kept."""
    return db.session.scalars(
        select(AlertTemplate).where(AlertTemplate.archived_at.is_(None)).order_by(AlertTemplate.name_key)
    ).all()


def template_by_id(template_id: int) -> AlertTemplate | None:
    """A template, archived ones too. One query."""
    return db.session.get(AlertTemplate, template_id)


def used_by(template_ids: Collection[int]) -> Mapping[int, int]:
    """How many alerts speak in the words of each of these templates. One query."""
    rows = db.session.execute(
        select(Alert.template_id, func.count())
        .where(Alert.template_id.in_(template_ids), Alert.archived_at.is_(None))
        .group_by(Alert.template_id)
    )
    return {template_id: count for template_id, count in rows if template_id is not None}


def _holds(text: str) -> ColumnElement[bool]:
    key = key_of(text)
    company = select(Company.id).where(Company.name_key.contains(key, autoescape=True))
    return or_(
        Alert.title_key.contains(key, autoescape=True),
        Alert.company_id.in_(company),
        Alert.tag.contains(key, autoescape=True),
    )


class AlertHit(NamedTuple):
    """An alert that was found: whose it is, or which tag it is for."""

    id: int
    public_id: str
    title: str
    company: str | None
    tag: str | None
    is_archived: bool


def search_alerts(text: str, limit: int, offset: int | None = None) -> Matches[AlertHit]:
    """Alerts by title, for staff."""
    columns = (Alert.id, Alert.public_id, Alert.title, Company.name, Alert.tag, Alert.archived_at.is_not(None))
    statement = reading(*columns).outerjoin(Company, Company.id == Alert.company_id)
    return find(statement, [Alert.title_key], text, AlertHit, limit=limit, offset=offset)


def found_or_404(alert: Alert | None) -> Alert:
    """The alert, or the answer that it is missing or not to be seen."""
    if alert is None:
        raise NotFound
    return alert
