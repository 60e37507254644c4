"""External monitors and what they have told, for staff only."""

import hashlib
from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import joinedload, selectinload

from portal.accounts.rules import text_key
from portal.catalogue.models import Component
from portal.extensions import db
from portal.incidents.models import (
    Incident,
    IncidentComponent,
    IncidentDraft,
    Monitor,
    MonitorCondition,
    MonitorMatch,
)
from portal.incidents.queries.drafts import is_open
from portal.incidents.rules import Severity
from portal.incidents.rules.drafts import Origin

MONITORS_AT_MOST = 50
CONDITIONS_SHOWN = 20


def key_hash(key: str) -> str:
    """What is stored of the secret in a monitor's address."""
    return hashlib.sha256(key.encode()).hexdigest()


def monitors() -> Sequence[Monitor]:
    """The monitors in use, by name. One query."""
    return db.session.scalars(
        select(Monitor).where(Monitor.removed_at.is_(None)).order_by(func.lower(Monitor.name), Monitor.id)
    ).all()


def monitor_by_id(monitor_id: int) -> Monitor | None:
    """A monitor in use with what its words stand for. Two queries."""
    return db.session.scalars(
        select(Monitor)
        .options(selectinload(Monitor.matches).joinedload(MonitorMatch.component))
        .where(Monitor.id == monitor_id, Monitor.removed_at.is_(None))
    ).one_or_none()


def monitor_with_key(key: str) -> Monitor | None:
    """The monitor in use whose address holds this secret. One query."""
    return db.session.scalars(
        select(Monitor).where(Monitor.key_hash == key_hash(key), Monitor.removed_at.is_(None))
    ).one_or_none()


def standing_conditions() -> dict[int, int]:
    """How many conditions stand of each monitor. One query."""
    rows = db.session.execute(
        select(MonitorCondition.monitor_id, func.count())
        .where(MonitorCondition.over_at.is_(None))
        .group_by(MonitorCondition.monitor_id)
    )
    return dict(rows.all())


def conditions_of_monitor(monitor_id: int) -> Sequence[MonitorCondition]:
    """What a monitor told of last, what was heard of last first. One query."""
    return db.session.scalars(
        select(MonitorCondition)
        .where(MonitorCondition.monitor_id == monitor_id)
        .order_by(MonitorCondition.last_at.desc(), MonitorCondition.id.desc())
        .limit(CONDITIONS_SHOWN)
    ).all()


def conditions_of_draft(draft_id: int) -> Sequence[MonitorCondition]:
    """What a draft was opened for, and what was counted in it, with the monitors. One query."""
    return db.session.scalars(
        select(MonitorCondition)
        .options(joinedload(MonitorCondition.monitor))
        .where(MonitorCondition.draft_id == draft_id)
        .order_by(MonitorCondition.id)
        .limit(CONDITIONS_SHOWN)
    ).all()


def titles_of_components() -> dict[str, int]:
    """The components in use by their titles as words are compared; of equal titles the first. One query."""
    rows = db.session.execute(
        select(Component.title, Component.id).where(Component.archived_at.is_(None)).order_by(Component.id.desc())
    )
    return {" ".join(title.split()).casefold(): component_id for title, component_id in rows}


def open_incident_on(component_ids: Sequence[int]) -> int | None:
    """The newest open report, private ones too, that holds one of these components in trouble. One query."""
    if not component_ids:
        return None
    return db.session.scalar(
        select(Incident.id)
        .join(IncidentComponent, IncidentComponent.incident_id == Incident.id)
        .where(
            Incident.resolved_at.is_(None),
            IncidentComponent.component_id.in_(component_ids),
            IncidentComponent.severity != Severity.NONE,
        )
        .order_by(Incident.id.desc())
        .limit(1)
    )


def open_monitor_drafts() -> Sequence[IncidentDraft]:
    """The open drafts that monitors began, oldest first. One query."""
    return db.session.scalars(
        select(IncidentDraft)
        .where(IncidentDraft.origin == Origin.MONITOR, is_open())
        .order_by(IncidentDraft.id)
        .limit(CONDITIONS_SHOWN)
    ).all()


def is_name_taken(name: str, but: int | None) -> bool:
    """Whether another monitor in use is called so, however it is written. One query."""
    return any(text_key(each.name) == text_key(name) and each.id != but for each in monitors())
