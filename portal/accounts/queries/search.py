"""Companies and people by what they are called."""

from typing import NamedTuple

from sqlalchemy import ColumnElement, exists, true

from portal.accounts.models import Company, Membership, Person
from portal.accounts.rules import Role, Viewpoint
from portal.searching import NOTHING, Matches, find, reading


class CompanyHit(NamedTuple):
    """A company that was found."""

    id: int
    name: str
    is_archived: bool


class PersonHit(NamedTuple):
    """A person that was found. `role` is None for a customer."""

    id: int
    name: str
    email: str
    role: Role | None
    is_deactivated: bool


def search_companies(viewpoint: Viewpoint, text: str, limit: int, offset: int | None = None) -> Matches[CompanyHit]:
    """Companies by name, or by what another system calls them. A company itself finds only itself."""
    if viewpoint.is_signed_out:
        return NOTHING
    own: ColumnElement[bool] = true() if viewpoint.is_staff else Company.id == viewpoint.company_id
    return find(
        reading(Company.id, Company.name, Company.archived_at.is_not(None)).where(own),
        [Company.name_key],
        text,
        CompanyHit,
        codes=[Company.external_id],
        limit=limit,
        offset=offset,
    )


def search_people(viewpoint: Viewpoint, text: str, limit: int, offset: int | None = None) -> Matches[PersonHit]:
    """People by name or e-mail address. A company finds those who act for it; nobody who was forgotten is found."""
    if viewpoint.is_signed_out:
        return NOTHING
    own: ColumnElement[bool] = true()
    if not viewpoint.is_staff:
        own = exists().where(Membership.person_id == Person.id, Membership.company_id == viewpoint.company_id)
    return find(
        reading(Person.id, Person.name, Person.email, Person.role, Person.deactivated_at.is_not(None)).where(
            own, Person.anonymised_at.is_(None)
        ),
        [Person.name_key, Person.email_key],
        text,
        PersonHit,
        limit=limit,
        offset=offset,
    )
