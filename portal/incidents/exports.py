"""What goes out of incidents and maintenance: what concerned a company, in the words it could read.

Through the same conditions as its screens: what is private leaves this module for nobody.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select

from portal.accounts.rules import Viewpoint
from portal.catalogue.models import Component
from portal.extensions import db
from portal.incidents.models import (
    Freeze,
    Incident,
    IncidentComponent,
    IncidentUpdate,
    Maintenance,
    MaintenanceComponent,
    MaintenanceUpdate,
    SlotRequest,
)
from portal.incidents.queries.conditions import reaches, visible_to
from portal.incidents.queries.wordings import body_for, text_for
from portal.incidents.rules import Visibility
from portal.incidents.rules.maintenance import SENTENCES, Notice
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
        text_for(Viewpoint(company_id=company_id), Incident.title, Incident.titles).label("title"),
        Incident.state,
        Incident.impact,
        Incident.started_at.label("began_at"),
        Incident.resolved_at.label("fixed_at"),
    ).where(*_concerning(Incident, company_id, now))
    body = body_for(Viewpoint(company_id=company_id)).label("body")
    for row in in_pieces(statement, Incident.id):
        updates = db.session.execute(
            select(IncidentUpdate.posted_at, IncidentUpdate.state, body)
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
        text_for(Viewpoint(company_id=company_id), Maintenance.title, Maintenance.titles).label("title"),
        Maintenance.state,
        Maintenance.starts_at,
        Maintenance.ends_at,
    ).where(*_concerning(Maintenance, company_id, now))
    body = text_for(Viewpoint(company_id=company_id), MaintenanceUpdate.body, MaintenanceUpdate.bodies).label("body")
    for row in in_pieces(statement, Maintenance.id):
        updates = db.session.execute(
            select(MaintenanceUpdate.posted_at, MaintenanceUpdate.state, MaintenanceUpdate.kind, body)
            .where(MaintenanceUpdate.maintenance_id == row.id, MaintenanceUpdate.kind != Notice.REMINDED)
            .order_by(MaintenanceUpdate.posted_at, MaintenanceUpdate.id)
        ).all()
        yield {
            **row._mapping,
            "components": _titles(MaintenanceComponent, MaintenanceComponent.maintenance_id == row.id),
            "updates": [
                {"at": each.posted_at, "state": each.state.value, "text": each.body or SENTENCES[each.kind]}
                for each in updates
            ],
        }


_WISHES = (
    SlotRequest.id,
    Maintenance.public_id.label("maintenance"),
    Maintenance.title,
    SlotRequest.created_at.label("asked_at"),
    SlotRequest.text,
    SlotRequest.starts_at,
    SlotRequest.ends_at,
    SlotRequest.zone,
    SlotRequest.state,
    SlotRequest.answer,
    SlotRequest.answered_at,
)


def _wishes(whose: Any) -> Callable[[int | None, datetime], Iterator[Told]]:
    """Other slots that were asked for, by the company or the person. What is private now is not named."""

    def rows(owner_id: int | None, now: datetime) -> Iterator[Told]:
        statement = (
            select(*_WISHES)
            .join(Maintenance, Maintenance.id == SlotRequest.maintenance_id)
            .where(whose == owner_id, Maintenance.visibility == Visibility.PUBLIC)
        )
        for row in in_pieces(statement, SlotRequest.id):
            yield dict(row._mapping)

    return rows


def _freezes(whose: Any) -> Callable[[int | None, datetime], Iterator[Told]]:
    """When nothing was to be worked on, as the company or the person said."""

    def rows(owner_id: int | None, now: datetime) -> Iterator[Told]:
        statement = select(
            Freeze.id,
            Freeze.starts_at,
            Freeze.ends_at,
            Freeze.zone,
            Freeze.reason,
            Freeze.created_at,
            Freeze.removed_at,
        ).where(whose == owner_id)
        for row in in_pieces(statement, Freeze.id):
            yield dict(row._mapping)

    return rows


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

_WISHED = {
    "maintenance": "Maintenance",
    "title": "Title",
    "asked_at": "Asked",
    "text": "Text",
    "starts_at": "Proposed start",
    "ends_at": "Proposed end",
    "zone": "Time zone",
    "state": "State",
    "answer": "Answer",
    "answered_at": "Answered",
}
_FROZEN = {
    "starts_at": "From",
    "ends_at": "Until",
    "zone": "Time zone",
    "reason": "Reason",
    "created_at": "Noted",
    "removed_at": "Taken back",
}

for _kind, _whose, _told in (
    (ExportKind.COMPANY, SlotRequest.company_id, "other slots it asked for"),
    (ExportKind.PERSON, SlotRequest.person_id, "other slots they asked for"),
):
    register(Part(_kind, "slot_requests", _told, _WISHED, _wishes(_whose), 22))
for _kind, _whose, _told in (
    (ExportKind.COMPANY, Freeze.company_id, "days on which it wanted no work"),
    (ExportKind.PERSON, Freeze.created_by_id, "days without work they asked for"),
):
    register(Part(_kind, "freezes", _told, _FROZEN, _freezes(_whose), 23))
