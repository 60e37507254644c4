"""The world of the service tests, and what stands of it."""

from datetime import datetime

from sqlalchemy import select

from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.services.actions import set_status
from portal.services.models import ServiceUpdate, ServiceWindow, StatedPeriod
from portal.services.rules import Scope, ServiceStatus, Wanted
from tests.admin.incidents.conftest import fields_of, post, soup
from tests.customer.outages import outage_of
from tests.incidents.conftest import world

__all__ = ["fields_of", "last_update", "outage_of", "post", "soup", "standing", "state", "windows", "world"]


def state(holding_ids: list[int], wanted: Wanted, now: datetime, key: str = "1") -> ServiceUpdate:
    """State this, as if staff had."""
    made = set_status(
        holding_ids,
        wanted,
        scope=Scope.CHOSEN,
        chosen={},
        by=SYSTEM,
        author_id=None,
        now=now,
        idempotency_key=f"test:{key}:{now.timestamp()}",
    )
    db.session.commit()
    return made


def standing() -> dict[int, ServiceStatus]:
    """The open problems by holding."""
    rows = db.session.execute(
        select(StatedPeriod.holding_id, StatedPeriod.status).where(StatedPeriod.ended_at.is_(None))
    )
    return {row.holding_id: row.status for row in rows}


def last_update() -> ServiceUpdate:
    found = db.session.scalars(select(ServiceUpdate).order_by(ServiceUpdate.id.desc()).limit(1)).one()
    db.session.refresh(found)
    return found


def windows() -> list[ServiceWindow]:
    return list(db.session.scalars(select(ServiceWindow).order_by(ServiceWindow.id)))
