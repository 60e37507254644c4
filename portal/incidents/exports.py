"""What goes out of incidents and maintenance: what concerned a company, in the words it could read.

Through the same conditions as its screens: what is private leaves this module for nobody.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select

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
)
from portal.incidents.queries.conditions import reaches, visible_to
from portal.incidents.rules import Visibility
from portal.records.parts import Part, Told, in_pieces, register
from portal.records.rules.exports import ExportKind


def _concerning(row: Any, company_id: int | None, now: datetime) -> tuple[Any, Any]:
    """Visible to the company, and about what it holds or about what nobody holds, which concerns everyone."""
    is_visible = visible_to(row, Viewpoint(company_id=company_id), now)
    return is_visible, or_(reaches(row, now, company_id), ~reaches(row, now))


def _incidents(company_id: int | None, now: datetime) -> Iterator[Told]:
    statement = select(
        Incident.id,
        Incident.public_id.label("reference"),
        Incident.title,
        Incident.state,
        Incident.impact,
        Incident.started_at.label("began_at"),
        Incident.resolved_at.label("fixed_at"),
    ).where(*_concerning(Incident, company_id, now))
    for row in in_pieces(statement, Incident.id):
        updates = db.session.execute(
            select(IncidentUpdate.posted_at, IncidentUpdate.state, IncidentUpdate.body)
            .where(IncidentUpdate.incident_id == row.id, IncidentUpdate.visibility == Visibility.PUBLIC)
            .order_by(IncidentUpdate.posted_at, IncidentUpdate.id)
        ).all()
        yield {
            **row._mapping,
            "components": _titles(IncidentComponent, IncidentComponent.incident_id == row.id),
            "updates": [
                {"at": each.posted_at, "state": each.state.value if each.state else None, "text": each.body}
                for each in updates
            ],
        }


def _maintenance(company_id: int | None, now: datetime) -> Iterator[Told]:
    statement = select(
        Maintenance.id,
        Maintenance.public_id.label("reference"),
        Maintenance.title,
        Maintenance.state,
        Maintenance.starts_at,
        Maintenance.ends_at,
    ).where(*_concerning(Maintenance, company_id, now))
    for row in in_pieces(statement, Maintenance.id):
        updates = db.session.execute(
            select(MaintenanceUpdate.posted_at, MaintenanceUpdate.state, MaintenanceUpdate.body)
            .where(MaintenanceUpdate.maintenance_id == row.id)
            .order_by(MaintenanceUpdate.posted_at, MaintenanceUpdate.id)
        ).all()
        yield {
            **row._mapping,
            "components": _titles(MaintenanceComponent, MaintenanceComponent.maintenance_id == row.id),
            "updates": [{"at": each.posted_at, "state": each.state.value, "text": each.body} for each in updates],
        }


def _titles(named: Any, belongs: Any) -> list[str]:
    return list(
        db.session.scalars(
            select(Component.title)
            .join(named, named.component_id == Component.id)
            .where(belongs)
            .order_by(Component.id)
        )
    )


_WORDS = {"reference": "Reference", "title": "Title", "state": "State"}
_LISTED = {"components": "Components", "updates": "Updates"}

register(
    Part(
        ExportKind.COMPANY,
        "incidents",
        "incidents that concerned it, as it could read them",
        {**_WORDS, "impact": "Impact", "began_at": "Began", "fixed_at": "Fixed", **_LISTED},
        _incidents,
        20,
    )
)
register(
    Part(
        ExportKind.COMPANY,
        "maintenance",
        "maintenance that concerned it",
        {**_WORDS, "starts_at": "Begins", "ends_at": "Ends", **_LISTED},
        _maintenance,
        21,
    )
)
