"""Incidents, their updates and maintenance as a machine reads them, a piece at a time.

For a company the order is by public ids, so that not even the place in a list says how many reports there are.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import selectinload, with_expression

from portal.accounts.rules import Viewpoint
from portal.catalogue.models import Component
from portal.extensions import db
from portal.incidents.models import (
    Incident,
    IncidentComponent,
    IncidentUpdate,
    Maintenance,
    MaintenanceComponent,
    MaintenanceUpdate,
    SeverityChange,
)
from portal.incidents.queries import notify_key
from portal.incidents.queries.conditions import is_ahead_or_under_way, visible_to
from portal.incidents.queries.wordings import own_bodies_for, own_words_for, worded_as_written
from portal.incidents.rules import State, Visibility
from portal.incidents.rules.maintenance import Notice
from portal.keyset import Order, Piece, Wanted, piece_of
from portal.notifications.models import Broadcast

Orders = dict[str, Order]


def _orders(row: Any, moment: Any, name: str) -> tuple[Orders, Orders]:
    """The orders of staff, and those of companies."""

    def both(last: Any) -> Orders:
        return {
            f"-{name}": Order((moment, last), is_descending=True),
            name: Order((moment, last)),
        }

    return both(row.id), both(row.public_id)


_INCIDENTS = _orders(Incident, Incident.started_at, "started_at")
_UPDATES = _orders(IncidentUpdate, IncidentUpdate.posted_at, "posted_at")
_MAINTENANCES = _orders(Maintenance, Maintenance.starts_at, "starts_at")

INCIDENT_SORTS, UPDATE_SORTS, MAINTENANCE_SORTS = _INCIDENTS[0], _UPDATES[0], _MAINTENANCES[0]


def incident_orders(viewpoint: Viewpoint) -> Orders:
    return _INCIDENTS[0 if viewpoint.is_staff else 1]


def update_orders(viewpoint: Viewpoint) -> Orders:
    return _UPDATES[0 if viewpoint.is_staff else 1]


def maintenance_orders(viewpoint: Viewpoint) -> Orders:
    return _MAINTENANCES[0 if viewpoint.is_staff else 1]


def incidents(
    wanted: Wanted,
    viewpoint: Viewpoint,
    now: datetime,
    *,
    text: str | None = None,
    state: State | None = None,
    is_open: bool | None = None,
    visibility: Visibility | None = None,
    component_id: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Piece[Incident]:
    """Incidents with their components, narrowed by what is not None. Two queries."""
    statement = (
        select(Incident)
        .options(selectinload(Incident.components).joinedload(IncidentComponent.component))
        .where(visible_to(Incident, viewpoint, now))
    )
    if text is not None:
        statement = statement.where(Incident.title.icontains(text, autoescape=True))
    if state is not None:
        statement = statement.where(Incident.state == state)
    if is_open is not None:
        statement = statement.where(Incident.resolved_at.is_(None) if is_open else Incident.resolved_at.is_not(None))
    if visibility is not None:
        statement = statement.where(Incident.visibility == visibility)
    if component_id is not None:
        statement = statement.where(
            exists().where(IncidentComponent.incident_id == Incident.id, IncidentComponent.component_id == component_id)
        )
    if since is not None:
        statement = statement.where(Incident.started_at >= since)
    if until is not None:
        statement = statement.where(Incident.started_at < until)
    return piece_of(statement, wanted)


def incident(viewpoint: Viewpoint, name: str, now: datetime) -> Incident | None:
    """The incident with this public id or, for staff, this number, with its components. Two queries."""
    found: Incident | None = _named(
        select(Incident).options(selectinload(Incident.components).joinedload(IncidentComponent.component)),
        Incident,
        viewpoint,
        name,
        now,
    )
    return found


def updates(wanted: Wanted, viewpoint: Viewpoint, incident_id: int) -> Piece[IncidentUpdate]:
    """The entries of an incident's timeline that exist from this viewpoint, with their changes. Two queries."""
    statement = (
        select(IncidentUpdate)
        .options(
            selectinload(IncidentUpdate.changes),
            with_expression(IncidentUpdate.own_words, own_words_for(viewpoint, as_written=True)),
            with_expression(IncidentUpdate.own_bodies, own_bodies_for(viewpoint)),
        )
        .where(IncidentUpdate.incident_id == incident_id)
        .execution_options(populate_existing=True)
    )
    if not viewpoint.is_staff:
        statement = statement.where(IncidentUpdate.visibility == Visibility.PUBLIC)
    found: Piece[IncidentUpdate] = piece_of(statement, wanted)
    worded_as_written(found.items)
    return found


def update(viewpoint: Viewpoint, incident_id: int, name: str) -> IncidentUpdate | None:
    """The entry with this public id or, for staff, this number, if it exists from this viewpoint."""
    statement = (
        select(IncidentUpdate)
        .options(
            selectinload(IncidentUpdate.changes),
            with_expression(IncidentUpdate.own_words, own_words_for(viewpoint, as_written=True)),
            with_expression(IncidentUpdate.own_bodies, own_bodies_for(viewpoint)),
        )
        .where(IncidentUpdate.incident_id == incident_id, _is_named(IncidentUpdate, viewpoint, name))
        .order_by(IncidentUpdate.id)
        .limit(1)
        .execution_options(populate_existing=True)
    )
    if not viewpoint.is_staff:
        statement = statement.where(IncidentUpdate.visibility == Visibility.PUBLIC)
    found = db.session.scalars(statement).one_or_none()
    if found is not None:
        worded_as_written([found])
    return found


def changes_of(update_id: int) -> list[SeverityChange]:
    """What an update that was just written did to severities, by component. One query."""
    return list(
        db.session.scalars(
            select(SeverityChange).where(SeverityChange.update_id == update_id).order_by(SeverityChange.component_id)
        )
    )


def first_update(incident_id: int) -> int | None:
    """The id of the entry an incident began with."""
    return db.session.scalar(
        select(IncidentUpdate.id).where(IncidentUpdate.incident_id == incident_id).order_by(IncidentUpdate.id).limit(1)
    )


def broadcast_about(update_id: int | None) -> int | None:
    """The id of the broadcast that tells of an update, if it is told."""
    if update_id is None:
        return None
    return db.session.scalar(select(Broadcast.id).where(Broadcast.idempotency_key == notify_key(update_id)))


def maintenances(
    wanted: Wanted,
    viewpoint: Viewpoint,
    now: datetime,
    *,
    is_open: bool | None = None,
    component_id: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Piece[Maintenance]:
    """Maintenance with its components and timeline, narrowed by what is not None. Three queries."""
    statement = _whole_maintenance(viewpoint).where(visible_to(Maintenance, viewpoint, now))
    if is_open is not None:
        statement = statement.where(is_ahead_or_under_way(now) if is_open else ~is_ahead_or_under_way(now))
    if component_id is not None:
        statement = statement.where(
            exists().where(
                MaintenanceComponent.maintenance_id == Maintenance.id,
                MaintenanceComponent.component_id == component_id,
            )
        )
    if since is not None:
        statement = statement.where(Maintenance.starts_at >= since)
    if until is not None:
        statement = statement.where(Maintenance.starts_at < until)
    return piece_of(statement, wanted)


def maintenance(viewpoint: Viewpoint, name: str, now: datetime) -> Maintenance | None:
    """The maintenance with this public id or, for staff, this number. Three queries."""
    found: Maintenance | None = _named(_whole_maintenance(viewpoint), Maintenance, viewpoint, name, now)
    return found


def _whole_maintenance(viewpoint: Viewpoint) -> Any:
    updates: Any = MaintenanceUpdate
    told: Any = Maintenance.updates
    if not viewpoint.is_staff:
        told = Maintenance.updates.and_(MaintenanceUpdate.kind != Notice.REMINDED)
    return (
        select(Maintenance)
        .options(
            selectinload(Maintenance.components).joinedload(MaintenanceComponent.component).load_only(Component.title),
            selectinload(told).load_only(
                updates.public_id,
                updates.kind,
                updates.state,
                updates.body,
                updates.bodies,
                updates.posted_at,
                updates.notify,
                updates.is_late,
            ),
        )
        .execution_options(populate_existing=True)
    )


def _named(statement: Any, row: Any, viewpoint: Viewpoint, name: str, now: datetime) -> Any:
    """A public id comes before a number: what was imported may have digits only."""
    return db.session.scalars(
        statement.where(_is_named(row, viewpoint, name), visible_to(row, viewpoint, now))
        .order_by((row.public_id == name).desc(), row.id)
        .limit(1)
    ).one_or_none()


def _is_named(row: Any, viewpoint: Viewpoint, name: str) -> Any:
    is_number = viewpoint.is_staff and name.isascii() and name.isdigit() and len(name) <= 9
    return or_(row.public_id == name, row.id == int(name)) if is_number else row.public_id == name
