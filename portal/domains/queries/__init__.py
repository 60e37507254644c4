"""Reading portal domains, and whether an area is open on one."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, or_, select
from sqlalchemy.orm import aliased, contains_eager

from portal.accounts.models import Company, Membership
from portal.domains.models import Admission, AreaOverride, PortalDomain, PortalHost
from portal.domains.rules import Area, area_is_open
from portal.extensions import db, rows

Statement = TypeVar("Statement", bound=Select[*tuple[Any, ...]])


def domain_by_host(host: str) -> PortalDomain | None:
    """The portal domain that has this normalised name: its main one, or one that leads there. One query.

    It is read, and belongs to no session: whatever becomes of the transaction, it still knows its brand.
    """
    found = rows(_BY_HOST, host=host)
    return PortalDomain(**found[0]._asdict()) if found else None


_BY_HOST = (
    select(*PortalDomain.__table__.columns)
    .join(PortalHost, PortalHost.domain_id == PortalDomain.id)
    .where(PortalHost.host == bindparam("host"))
)
"""Built once, as are the other statements of this module that every request executes."""


def wordings_by_domain() -> dict[int, dict[str, dict[str, str]]]:
    """The own words of those portal domains that have any, by domain id. One query."""
    found = db.session.execute(select(PortalDomain.id, PortalDomain.wordings).order_by(PortalDomain.id))
    return {domain_id: wordings for domain_id, wordings in found if wordings}


def all_domains() -> Sequence[PortalDomain]:
    return db.session.scalars(select(PortalDomain).order_by(PortalDomain.brand, PortalDomain.id)).all()


def open_areas(domain: PortalDomain, company_id: int | None) -> frozenset[Area]:
    """The areas that are open on this domain for this company (None: for somebody signed out). At most one query."""
    overrides: dict[Area, bool] = {}
    if company_id is not None:
        overrides = dict[Area, bool](rows(_OVERRIDES, domain_id=domain.id, company_id=company_id))
    switched_on = frozenset(Area(area) for area in domain.areas)
    return frozenset(area for area in Area if area_is_open(area, switched_on, overrides))


_OVERRIDES = select(AreaOverride.area, AreaOverride.is_open).where(
    AreaOverride.domain_id == bindparam("domain_id"), AreaOverride.company_id == bindparam("company_id")
)


def overrides_on(domain_id: int, at_most: int = 50) -> Sequence[AreaOverride]:
    """The exceptions on this domain with their companies, by area and company name, so many of each area."""
    place = (
        func.row_number().over(partition_by=AreaOverride.area, order_by=(Company.name_key, AreaOverride.id)).label("n")
    )
    numbered = (
        select(AreaOverride.id, place)
        .join(Company, Company.id == AreaOverride.company_id)
        .where(AreaOverride.domain_id == domain_id)
        .subquery()
    )
    return db.session.scalars(
        select(AreaOverride)
        .join(AreaOverride.company)
        .options(contains_eager(AreaOverride.company))
        .join(numbered, numbered.c.id == AreaOverride.id)
        .where(numbered.c.n <= at_most)
        .order_by(AreaOverride.area, Company.name_key)
    ).all()


def is_admitted(company_id: int, domain_id: int) -> bool:
    """Whether the people of this company may sign in on this domain."""
    return bool(rows(_ADMISSION, company_id=company_id, domain_id=domain_id))


_ADMISSION = select(Admission.id).where(
    Admission.company_id == bindparam("company_id"), Admission.domain_id == bindparam("domain_id")
)


def companies_here(person_id: int, domain_id: int) -> Sequence[Company]:
    """The companies this person may act for on this domain, by name."""
    return db.session.scalars(
        select(Company)
        .join(Membership, Membership.company_id == Company.id)
        .join(Admission, Admission.company_id == Company.id)
        .where(Membership.person_id == person_id, Admission.domain_id == domain_id, Company.archived_at.is_(None))
        .order_by(Company.name_key)
    ).all()


def status_is_open_to_somebody(domain: PortalDomain) -> bool:
    """Whether any customer of this domain may see the Status area: by its switch, or by an exception of theirs."""
    if Area.STATUS in domain.areas:
        return True
    found = select(AreaOverride.id).where(
        AreaOverride.domain_id == domain.id, AreaOverride.area == Area.STATUS, AreaOverride.is_open
    )
    return db.session.scalar(found.limit(1)) is not None


def domains_showing_status() -> list[int]:
    """The ids of the domains on which anybody, signed in or not, may see what is up. Two queries."""
    by_exception = set(
        db.session.scalars(
            select(AreaOverride.domain_id).where(AreaOverride.area == Area.STATUS, AreaOverride.is_open).distinct()
        )
    )
    shown = {Area.STATUS, Area.PUBLIC_STATUS}
    return [domain.id for domain in all_domains() if shown & set(domain.areas) or domain.id in by_exception]


def domain_by_id(domain_id: int) -> PortalDomain | None:
    return db.session.get(PortalDomain, domain_id)


def companies_by_domain() -> dict[int, int]:
    """How many companies each portal domain admits; one that admits none is left out. One query."""
    rows = db.session.execute(
        select(Admission.domain_id, func.count(Admission.id))
        .join(Company, Company.id == Admission.company_id)
        .where(Company.archived_at.is_(None))
        .group_by(Admission.domain_id)
    )
    return dict(rows.all())


def admissions_of(company_id: int) -> Sequence[Admission]:
    """Where the company may sign in, its home first, with the domains. One query."""
    return db.session.scalars(
        select(Admission)
        .join(Admission.domain)
        .options(contains_eager(Admission.domain))
        .where(Admission.company_id == company_id)
        .order_by(Admission.is_home.desc(), PortalDomain.brand, PortalDomain.id)
    ).all()


def overrides_of(company_id: int) -> Sequence[AreaOverride]:
    """The exceptions made for this company, with their domains. One query."""
    return db.session.scalars(
        select(AreaOverride)
        .join(AreaOverride.domain)
        .options(contains_eager(AreaOverride.domain))
        .where(AreaOverride.company_id == company_id)
        .order_by(PortalDomain.brand, PortalDomain.id, AreaOverride.area)
    ).all()


def override_counts(domain_id: int) -> dict[Area, int]:
    """How many companies have an exception from each area of the domain. One query."""
    rows = db.session.execute(
        select(AreaOverride.area, func.count(AreaOverride.id))
        .where(AreaOverride.domain_id == domain_id)
        .group_by(AreaOverride.area)
    )
    return dict(rows.all())


def home_of(company_id: int) -> PortalDomain | None:
    """The home portal domain of a company: where its links lead."""
    return db.session.scalars(
        select(PortalDomain)
        .join(Admission, Admission.domain_id == PortalDomain.id)
        .where(Admission.company_id == company_id, Admission.is_home)
    ).one_or_none()


@dataclass(frozen=True)
class AreaAtHome:
    """How a statement asks whether an area is open to a company on its home domain.

    `joined` adds the home and its exception to the statement; `is_open` is the condition, false without a home.
    """

    joins: tuple[tuple[Any, ColumnElement[bool]], ...]
    is_open: ColumnElement[bool]

    def joined(self, statement: Statement) -> Statement:
        for table, condition in self.joins:
            statement = statement.outerjoin(table, condition)
        return statement


def area_at_home(area: Area, company_id: Any) -> AreaAtHome:
    """Ask it of the company in this column. Joined row by row, so it costs what the statement's own rows cost.

    Reads the few portal domains at once, because which areas a domain has open is a list inside its row.
    """
    domains = db.session.execute(select(PortalDomain.id, PortalDomain.areas))
    switched_on = [domain_id for domain_id, areas in domains if area in areas]
    home, exception = aliased(Admission), aliased(AreaOverride)
    return AreaAtHome(
        joins=(
            (home, and_(home.company_id == company_id, home.is_home)),
            (
                exception,
                and_(
                    exception.domain_id == home.domain_id,
                    exception.company_id == home.company_id,
                    exception.area == area,
                ),
            ),
        ),
        is_open=or_(exception.is_open.is_(True), and_(exception.is_open.is_(None), home.domain_id.in_(switched_on))),
    )


def companies_with_area(area: Area) -> Select[int]:
    """A statement selecting the ids of the companies whose home domain shows them this area; for automatic mail."""
    shown = area_at_home(area, Company.id)
    return shown.joined(select(Company.id)).where(shown.is_open)


def companies_with_area_open(area: Area, company_ids: Collection[int]) -> frozenset[int]:
    """Those of the companies whose home domain shows them this area. Two queries."""
    return frozenset(db.session.scalars(companies_with_area(area).where(Company.id.in_(company_ids))))


def companies_with_status_open(company_ids: Collection[int]) -> frozenset[int]:
    """Those of the companies whose home domain shows them the Status area; for automatic mail."""
    return companies_with_area_open(Area.STATUS, company_ids)
