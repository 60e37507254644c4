"""What the things of the audit trail are called now, so that an entry can name them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from portal.accounts.models import ApiToken, Company, Person
from portal.alerts.models import Alert, AlertTemplate
from portal.audit.models import AuditEntry
from portal.catalogue.models import Component, ComponentGroup, Holding, Service
from portal.domains.announcements.models import Announcement
from portal.domains.models import PortalDomain
from portal.extensions import db
from portal.incidents.models import Incident, IncidentDraft, IncidentTemplate, Maintenance, MaintenanceSeries
from portal.notifications.models import Broadcast, Relay

CALLED: dict[str, Any] = {
    "alert": Alert.title,
    "alert_template": AlertTemplate.name,
    "announcement": Announcement.title,
    "api_token": ApiToken.name,
    "token": ApiToken.name,
    "broadcast": Broadcast.title,
    "company": Company.name,
    "component": Component.title,
    "component_group": ComponentGroup.name,
    "group": ComponentGroup.name,
    "holding": Holding.reference,
    "incident": Incident.title,
    "maintenance": Maintenance.title,
    "maintenance_series": MaintenanceSeries.title,
    "incident_draft": IncidentDraft.title,
    "incident_template": IncidentTemplate.name,
    "person": Person.name,
    "portal": PortalDomain.host,
    "relay": Relay.name,
    "service": Service.name,
}
"""The column that says what a kind of object is called."""


@dataclass(frozen=True)
class Names:
    """Names by kind and id; what is gone is a number."""

    known: Mapping[tuple[str, int], str]

    def of(self, kind: str, object_id: int | None, otherwise: str = "") -> str:
        """The name of one thing, else what the entry itself calls it, else its number."""
        if object_id is None:
            return otherwise
        return self.known.get((kind, object_id)) or otherwise or f"#{object_id}"


def names_in(entries: Iterable[AuditEntry]) -> Names:
    """The names of all that these entries speak of. One query for each kind among them."""
    wanted: dict[str, set[int]] = {}
    for entry in entries:
        for kind, each in (
            (entry.object_kind, entry.object_id),
            ("person", entry.actor_id),
            ("company", entry.company_id),
        ):
            if each is not None and kind in CALLED:
                wanted.setdefault(kind, set()).add(each)
    known: dict[tuple[str, int], str] = {}
    for kind, ids in wanted.items():
        column = CALLED[kind]
        found = db.session.execute(select(column.class_.id, column).where(column.class_.id.in_(ids)))
        known.update({(kind, each): name for each, name in found})
    return Names(known)
