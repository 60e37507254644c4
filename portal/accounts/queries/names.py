"""Finding a company by what somebody typed, and what companies are called."""

from collections.abc import Collection, Mapping

from sqlalchemy import select

from portal.accounts.models import Company
from portal.accounts.rules import text_key
from portal.extensions import db


def company_named(name: str) -> Company | None:
    """The company of this name, compared without case; archived or not."""
    return db.session.scalars(select(Company).where(Company.name_key == text_key(name))).one_or_none()


def names_of_companies(company_ids: Collection[int]) -> Mapping[int, str]:
    """What these companies are called. One query."""
    rows = db.session.execute(select(Company.id, Company.name).where(Company.id.in_(company_ids)))
    return {row.id: row.name for row in rows}
