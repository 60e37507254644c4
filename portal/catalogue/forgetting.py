"""What a company holds goes with the company."""

from datetime import datetime

from sqlalchemy import func, select

from portal import events
from portal.catalogue.models import Holding
from portal.extensions import db
from portal.records import erasure
from portal.records.rules.exports import ExportKind


def _count(company_id: int) -> int:
    return db.session.scalar(select(func.count()).select_from(Holding).where(Holding.company_id == company_id)) or 0


def _erase(company_id: int, now: datetime) -> int:
    """The rows themselves go with the company's, by the database."""
    services = set(db.session.scalars(select(Holding.service_id).where(Holding.company_id == company_id)))
    events.ring(*(events.service_topic(service_id) for service_id in services))
    return _count(company_id)


erasure.register(
    erasure.Eraser(ExportKind.COMPANY, "holdings", "services it held, with their history", _count, _erase, 20)
)
