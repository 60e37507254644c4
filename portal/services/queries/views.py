"""Which companies see something else of their services than others of their portal domain. For staff."""

from collections.abc import Sequence

from sqlalchemy import func, or_, select

from portal.accounts.models import Company
from portal.accounts.rules import text_key
from portal.catalogue.models import Service
from portal.domains.models import Admission
from portal.extensions import db
from portal.services.models import ServiceView
from portal.services.queries.settings import View

SHOWN = 50
"""Exceptions a page shows; who is not among them is searched for."""


def exceptions_on(domain_id: int, text: str = "") -> tuple[Sequence[Company], int]:
    """The first companies with a view of their own on this domain, by name, and how many there are. Two queries."""
    found = (
        select(Company)
        .join(ServiceView, ServiceView.company_id == Company.id)
        .join(Admission, (Admission.company_id == Company.id) & (Admission.domain_id == ServiceView.domain_id))
        .where(
            ServiceView.domain_id == domain_id,
            Company.archived_at.is_(None),
            Company.name_key.contains(text_key(text), autoescape=True),
        )
    )
    total = db.session.scalar(select(func.count()).select_from(found.subquery())) or 0
    return db.session.scalars(found.order_by(Company.name_key, Company.id).limit(SHOWN)).all(), total


def services_to_show(view: View) -> Sequence[Service]:
    """What a view may leave out: every service that is sold, and what it leaves out already. One query."""
    return db.session.scalars(
        select(Service)
        .where(or_(Service.archived_at.is_(None), Service.id.in_(view.hidden_services)))
        .order_by(Service.category, Service.position, Service.name_key)
    ).all()
