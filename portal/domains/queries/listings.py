"""Companies and portal domains as a machine reads them, a piece at a time."""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import contains_eager

from portal.accounts.models import Company
from portal.accounts.rules import Viewpoint, text_key
from portal.domains.models import Admission, AreaOverride, PortalDomain
from portal.domains.rules import Area
from portal.extensions import db
from portal.keyset import Order, Piece, Wanted, piece_of

COMPANY_ORDERS = {
    "id": Order((Company.id,)),
    "-id": Order((Company.id,), is_descending=True),
    "name": Order((Company.name_key,)),
    "-name": Order((Company.name_key,), is_descending=True),
}
PORTAL_ORDERS = {"id": Order((PortalDomain.id,))}
ADMISSION_ORDERS = {"id": Order((Admission.id,))}
OVERRIDE_ORDERS = {"id": Order((AreaOverride.id,))}


def companies(
    wanted: Wanted,
    viewpoint: Viewpoint,
    *,
    text: str | None = None,
    portal_id: int | None = None,
    is_archived: bool | None = None,
) -> Piece[Company]:
    """Companies, narrowed by what is not None; for a company itself alone. One query."""
    statement = select(Company)
    if not viewpoint.is_staff:
        statement = statement.where(Company.id == viewpoint.company_id)
    if text is not None:
        statement = statement.where(Company.name_key.contains(text_key(text), autoescape=True))
    if portal_id is not None:
        statement = statement.where(
            Company.id.in_(select(Admission.company_id).where(Admission.domain_id == portal_id))
        )
    if is_archived is not None:
        statement = statement.where(Company.archived_at.is_not(None) if is_archived else Company.archived_at.is_(None))
    return piece_of(statement, wanted)


def homes_by_company(company_ids: Collection[int]) -> dict[int, int]:
    """For each of the companies the id of its home portal domain, if it has one. One query."""
    found = db.session.execute(
        select(Admission.company_id, Admission.domain_id).where(
            Admission.company_id.in_(company_ids), Admission.is_home
        )
    )
    return dict(found.all())


def admissions(wanted: Wanted, company_id: int) -> Piece[Admission]:
    """Where a company may sign in, with the domains. One query."""
    return piece_of(
        select(Admission)
        .join(Admission.domain)
        .options(contains_eager(Admission.domain))
        .where(Admission.company_id == company_id),
        wanted,
    )


def admission(company_id: int, domain_id: int) -> Admission | None:
    """The admission of this company to this domain, with the domain."""
    return db.session.scalars(
        select(Admission)
        .join(Admission.domain)
        .options(contains_eager(Admission.domain))
        .where(Admission.company_id == company_id, Admission.domain_id == domain_id)
    ).one_or_none()


def portals(wanted: Wanted, *, host: str | None = None) -> Piece[PortalDomain]:
    """Portal domains, or the one with this main host name. One query."""
    statement = select(PortalDomain)
    return piece_of(statement if host is None else statement.where(PortalDomain.host == host), wanted)


def overrides(
    wanted: Wanted, domain_id: int, *, area: Area | None = None, company_id: int | None = None
) -> Piece[AreaOverride]:
    """The exceptions on a domain, narrowed by what is not None. One query."""
    statement = select(AreaOverride).where(AreaOverride.domain_id == domain_id)
    if area is not None:
        statement = statement.where(AreaOverride.area == area)
    if company_id is not None:
        statement = statement.where(AreaOverride.company_id == company_id)
    return piece_of(statement, wanted)


def override(domain_id: int, company_id: int, area: Area) -> AreaOverride | None:
    """The exception of this company from this area of this domain."""
    return db.session.scalars(
        select(AreaOverride).where(
            AreaOverride.domain_id == domain_id, AreaOverride.company_id == company_id, AreaOverride.area == area
        )
    ).one_or_none()
