"""What goes out of alerts: those of a company with whom they tell, and what happened, as far as its people may know."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import or_, select

from portal.alerts.models import Alert, AlertEvent, AlertRecipient, AlertWatch
from portal.alerts.queries import NOT_FOR_CUSTOMERS
from portal.alerts.recipients import shown_to
from portal.alerts.rules import Maker
from portal.catalogue.models import Service
from portal.extensions import db
from portal.records.parts import Part, Told, in_pieces, register
from portal.records.rules.exports import ExportKind
from portal.usage.models import Metric


def _alerts(company_id: int | None, now: datetime) -> Iterator[Told]:
    """Its own, and the shared ones that watch it, of which nothing is told of others."""
    watched = select(AlertWatch.alert_id).where(AlertWatch.company_id == company_id, AlertWatch.closed_at.is_(None))
    statement = (
        select(
            Alert.id,
            Alert.public_id.label("reference"),
            Alert.title,
            Alert.area,
            Service.name.label("service"),
            Alert.trunk,
            Metric.name.label("metric"),
            Alert.script,
            Alert.operator,
            Alert.threshold,
            Alert.reset,
            Alert.window.label("window_seconds"),
            Alert.least_count,
            Alert.must_last.label("must_last_seconds"),
            Alert.must_be_well.label("must_be_well_seconds"),
            Alert.repeat,
            Alert.level,
            Alert.is_on,
            Alert.made_by,
            Alert.created_at,
            Alert.archived_at,
        )
        .outerjoin(Service, Service.id == Alert.service_id)
        .outerjoin(Metric, Metric.id == Alert.metric_id)
        .where(or_(Alert.company_id == company_id, Alert.id.in_(watched)))
    )
    for row in in_pieces(statement, Alert.id):
        told = dict(row._mapping)
        is_own = told.pop("made_by") is Maker.CUSTOMER
        told["recipients"] = _recipients(company_id or 0, row.id, is_own=is_own)
        yield told


def _recipients(company_id: int, alert_id: int, *, is_own: bool) -> list[str]:
    """Whom the alert tells, of those whom the company's people are shown."""
    named = db.session.scalars(select(AlertRecipient).where(AlertRecipient.alert_id == alert_id)).all()
    shown = shown_to(company_id, named, own=[alert_id] if is_own else [])
    return sorted(each.address for each in named if each.id in shown)


def _events(company_id: int | None, now: datetime) -> Iterator[Told]:
    statement = (
        select(
            AlertEvent.id,
            Alert.public_id.label("alert"),
            Alert.title,
            AlertEvent.at,
            AlertEvent.kind,
            AlertEvent.value,
            AlertEvent.count,
        )
        .join(AlertWatch, AlertWatch.id == AlertEvent.watch_id)
        .join(Alert, Alert.id == AlertWatch.alert_id)
        .where(AlertWatch.company_id == company_id, AlertEvent.kind.not_in(NOT_FOR_CUSTOMERS))
    )
    for row in in_pieces(statement, AlertEvent.id):
        yield dict(row._mapping)


_ALERTS = {
    "reference": "Reference",
    "title": "Title",
    "area": "Watched",
    "service": "Service",
    "trunk": "Trunk",
    "metric": "Metric",
    "script": "Script",
    "operator": "Operator",
    "threshold": "Threshold",
    "reset": "Reset",
    "window_seconds": "Sample period (seconds)",
    "least_count": "Least calls",
    "must_last_seconds": "Must last (seconds)",
    "must_be_well_seconds": "Must be well (seconds)",
    "repeat": "Repeat",
    "level": "Level",
    "is_on": "On",
    "recipients": "Recipients",
    "created_at": "Made",
    "archived_at": "Archived",
}
_EVENTS = {"alert": "Alert", "title": "Title", "at": "At", "kind": "What", "value": "Value", "count": "Calls"}

register(Part(ExportKind.COMPANY, "alerts", "alerts that watch it", _ALERTS, _alerts, 34))
register(Part(ExportKind.COMPANY, "alert_events", "what happened to these alerts", _EVENTS, _events, 35))
