"""Who is admitted where, counted and listed for the staff screens of portal domains."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import aliased

from portal.accounts.models import Company
from portal.accounts.rules import text_key
from portal.domains.models import Admission, AreaOverride, PortalDomain, PortalHost
from portal.domains.rules import PER_COMPANY, Area, area_is_open
from portal.extensions import db

PER_PAGE = 50


class Homes(NamedTuple):
    """Companies whose home a domain is: some names, and how many there are."""

    names: list[str]
    total: int


class Hanging(NamedTuple):
    """What goes with a portal domain when it is removed."""

    companies: int
    exceptions: int
    names: int


class Outcome(NamedTuple):
    """What a company ends with of one area, and why: `exception` is its own, None where the switch decides."""

    company: Company
    is_open: bool
    exception: bool | None


class Admitted(NamedTuple):
    """A company on a portal domain: whether this is its home, and else where that is (None without one)."""

    company: Company
    is_home: bool
    home_brand: str | None


class Listed(NamedTuple):
    """A page of a list, as the pager takes it."""

    items: Sequence[Outcome | Admitted]
    page: int
    pages: int
    total: int


def homes_on(domain_id: int, at_most: int) -> Homes:
    """The companies whose home this domain is, archived ones included, by name."""
    is_home = (Admission.domain_id == domain_id, Admission.is_home)
    names = db.session.scalars(
        select(Company.name)
        .join(Admission, Admission.company_id == Company.id)
        .where(*is_home)
        .order_by(Company.name_key)
        .limit(at_most)
    ).all()
    return Homes(list(names), db.session.scalar(select(func.count()).select_from(Admission).where(*is_home)) or 0)


def what_hangs_on(domain_id: int) -> Hanging:
    """How much goes with the domain."""

    def count(table: type[Admission | AreaOverride | PortalHost]) -> int:
        return db.session.scalar(select(func.count()).select_from(table).where(table.domain_id == domain_id)) or 0

    return Hanging(count(Admission), count(AreaOverride), count(PortalHost))


def affected(domain: PortalDomain, admitted: int) -> dict[Area, int]:
    """How many of the `admitted` companies see each area, exceptions counted. One query, whatever their number."""
    found = db.session.execute(
        select(AreaOverride.area, AreaOverride.is_open, func.count(AreaOverride.id))
        .join(Company, Company.id == AreaOverride.company_id)
        .where(AreaOverride.domain_id == domain.id, Company.archived_at.is_(None))
        .group_by(AreaOverride.area, AreaOverride.is_open)
    )
    exceptions = {(area, is_open): count for area, is_open, count in found}
    return {
        area: admitted - exceptions.get((area, False), 0) if area in domain.areas else exceptions.get((area, True), 0)
        for area in PER_COMPANY
    }


def outcomes(domain: PortalDomain, area: Area, text: str, limit: int) -> Sequence[Outcome]:
    """Companies of the domain whose name holds the text, by name, with what each ends with. One query."""
    found = _with_exception(domain.id, area).where(_named(text)).order_by(Company.name_key).limit(limit)
    return [_outcome(domain, area, company, exception) for company, exception in db.session.execute(found)]


def exceptions_page(domain: PortalDomain, area: Area, text: str, page: int) -> Listed | None:
    """A page of the companies with an exception from the area, by name; None where there is no such page."""
    is_wanted = (AreaOverride.domain_id == domain.id, AreaOverride.area == area, _named(text))
    counted = select(func.count(AreaOverride.id)).join(Company, Company.id == AreaOverride.company_id)
    total = db.session.scalar(counted.where(*is_wanted)) or 0
    pages = _pages(total)
    if not 1 <= page <= pages:
        return None
    found = db.session.execute(
        select(Company, AreaOverride.is_open)
        .join(AreaOverride, AreaOverride.company_id == Company.id)
        .where(*is_wanted)
        .order_by(Company.name_key, Company.id)
        .offset((page - 1) * PER_PAGE)
        .limit(PER_PAGE)
    )
    return Listed([_outcome(domain, area, company, exception) for company, exception in found], page, pages, total)


def _with_exception(domain_id: int, area: Area) -> Select[Company, bool | None]:
    """The open companies of a domain, each with its exception from the area, or none."""
    own = (AreaOverride.company_id == Company.id) & (AreaOverride.domain_id == domain_id) & (AreaOverride.area == area)
    return (
        select(Company, AreaOverride.is_open)
        .join(Admission, Admission.company_id == Company.id)
        .outerjoin(AreaOverride, own)
        .where(Admission.domain_id == domain_id, Company.archived_at.is_(None))
    )


def companies_page(domain: PortalDomain, text: str, page: int) -> Listed | None:
    """A page of the companies this domain admits, by name; None where there is no such page. Two queries."""
    is_wanted = (Admission.domain_id == domain.id, Company.archived_at.is_(None), _named(text))
    counted = select(func.count(Admission.id)).join(Company, Company.id == Admission.company_id)
    total = db.session.scalar(counted.where(*is_wanted)) or 0
    pages = _pages(total)
    if not 1 <= page <= pages:
        return None
    home = aliased(Admission)
    found = db.session.execute(
        select(Company, Admission.is_home, PortalDomain.brand)
        .join(Admission, Admission.company_id == Company.id)
        .outerjoin(home, (home.company_id == Company.id) & home.is_home)
        .outerjoin(PortalDomain, PortalDomain.id == home.domain_id)
        .where(*is_wanted)
        .order_by(Company.name_key, Company.id)
        .offset((page - 1) * PER_PAGE)
        .limit(PER_PAGE)
    )
    return Listed([Admitted(*each) for each in found], page, pages, total)


def companies_to_admit(domain: PortalDomain, text: str, limit: int) -> Sequence[Admitted]:
    """Companies whose name holds the text and that do not sign in here yet, with the brand of their home. One query."""
    here = select(Admission.company_id).where(Admission.domain_id == domain.id)
    home = aliased(Admission)
    found = db.session.execute(
        select(Company, PortalDomain.brand)
        .outerjoin(home, (home.company_id == Company.id) & home.is_home)
        .outerjoin(PortalDomain, PortalDomain.id == home.domain_id)
        .where(Company.archived_at.is_(None), Company.id.not_in(here), _named(text))
        .order_by(Company.name_key)
        .limit(limit)
    )
    return [Admitted(company, False, brand) for company, brand in found]


def _named(text: str) -> ColumnElement[bool]:
    return Company.name_key.contains(text_key(text), autoescape=True)


def _pages(total: int) -> int:
    return max(1, -(-total // PER_PAGE))


def _outcome(domain: PortalDomain, area: Area, company: Company, exception: bool | None) -> Outcome:
    own = {} if exception is None else {area: exception}
    return Outcome(company, area_is_open(area, frozenset(Area(each) for each in domain.areas), own), exception)
