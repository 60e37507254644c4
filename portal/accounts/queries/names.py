"""Finding a company by what somebody typed."""

from sqlalchemy import select

from portal.accounts.models import Company
from portal.accounts.rules import text_key
from portal.extensions import db


def company_named(name: str) -> Company | None:
    """The company of this name, compared without case; archived or not."""
    return db.session.scalars(select(Company).where(Company.name_key == text_key(name))).one_or_none()
