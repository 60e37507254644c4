"""Services that every company holds, and companies that have not come to hold them yet."""

from sqlalchemy import ColumnElement, and_, exists, or_, select

from portal.accounts.models import Company
from portal.catalogue.models import Holding, Service
from portal.extensions import db


def waits_for() -> ColumnElement[bool]:
    """The condition that a service is for everyone, and there are companies that were not given it yet."""
    has_it = exists().where(
        Holding.company_id == Company.id,
        Holding.service_id == Service.id,
        or_(Holding.valid_to.is_(None), Holding.valid_to > Service.global_since),
    )
    without = exists().where(Company.id > Service.global_up_to, Company.archived_at.is_(None), ~has_it)
    return and_(Service.is_global, Service.archived_at.is_(None), without.correlate(Service))


def somebody_waits() -> bool:
    """Whether some company is still to be given what every company holds. One query."""
    return db.session.scalar(select(Service.id).where(waits_for()).limit(1)) is not None
