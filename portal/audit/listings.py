"""The audit trail as a machine reads it, a piece at a time."""

from datetime import datetime

from sqlalchemy import select

from portal.audit.models import AuditEntry
from portal.extensions import db
from portal.keyset import Order, Piece, Wanted, piece_of

ENTRY_ORDERS = {"-id": Order((AuditEntry.id,), is_descending=True), "id": Order((AuditEntry.id,))}


def entries(
    wanted: Wanted,
    *,
    action: str | None = None,
    object_kind: str | None = None,
    object_id: int | None = None,
    company_id: int | None = None,
    actor_id: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Piece[AuditEntry]:
    """Entries, narrowed by what is not None. One query."""
    statement = select(AuditEntry)
    for column, value in (
        (AuditEntry.action, action),
        (AuditEntry.object_kind, object_kind),
        (AuditEntry.object_id, object_id),
        (AuditEntry.company_id, company_id),
        (AuditEntry.actor_id, actor_id),
    ):
        if value is not None:
            statement = statement.where(column == value)
    if since is not None:
        statement = statement.where(AuditEntry.at >= since)
    if until is not None:
        statement = statement.where(AuditEntry.at < until)
    return piece_of(statement, wanted)


def entry(entry_id: int) -> AuditEntry | None:
    """One entry."""
    return db.session.get(AuditEntry, entry_id)
