"""What goes out of where a company signs in, and what is open to it there."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import select

from portal.domains.models import Admission, PortalDomain
from portal.domains.queries import open_areas
from portal.extensions import db
from portal.records.parts import Part, Told, register
from portal.records.rules.exports import ExportKind


def _portals(company_id: int | None, now: datetime) -> Iterator[Told]:
    found = db.session.execute(
        select(PortalDomain, Admission.is_home)
        .join(Admission, Admission.domain_id == PortalDomain.id)
        .where(Admission.company_id == company_id)
        .order_by(Admission.id)
    ).all()
    for domain, is_home in found:
        areas = sorted(area.value for area in open_areas(domain, company_id))
        yield {"address": domain.base_url, "brand": domain.brand, "is_home": is_home, "areas": areas}


register(
    Part(
        ExportKind.COMPANY,
        "portals",
        "where its people sign in, and what is open to them there",
        {"address": "Address", "brand": "Brand", "is_home": "Home", "areas": "Open areas"},
        _portals,
        5,
    )
)
