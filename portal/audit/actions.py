"""Writing the audit trail."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from portal.audit.models import AuditEntry
from portal.audit.rules import Actor
from portal.extensions import db


def record(
    action: str,
    *,
    object_kind: str,
    object_id: int | None,
    by: Actor,
    now: datetime,
    company_id: int | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Add one entry to the current transaction. `action` is noun.verb, such as `incident.publish`."""
    db.session.add(
        AuditEntry(
            at=now,
            actor_id=by.person_id,
            actor=by.label,
            ip=by.ip,
            request_id=by.request_id,
            action=action,
            object_kind=object_kind,
            object_id=object_id,
            company_id=company_id,
            before=dict(before) if before else None,
            after=dict(after) if after else None,
        )
    )
