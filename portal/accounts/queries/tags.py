"""Which companies have which tags."""

from collections.abc import Collection, Sequence

from sqlalchemy import func, select

from portal.accounts.models import Company, CompanyTag
from portal.accounts.rules import text_key
from portal.extensions import db


def tags_by_company(company_ids: Collection[int]) -> dict[int, list[str]]:
    """The tags of each of these companies that has any, as they are written. One query."""
    found: dict[int, list[str]] = {}
    rows = db.session.execute(
        select(CompanyTag.company_id, CompanyTag.tag)
        .where(CompanyTag.company_id.in_(company_ids))
        .order_by(CompanyTag.company_id, CompanyTag.tag_key)
    )
    for company_id, tag in rows:
        found.setdefault(company_id, []).append(tag)
    return found


def companies_with_tag(tag: str) -> Sequence[int]:
    """The companies that have a tag, however it is written; archived ones have none. One query."""
    return db.session.scalars(
        select(CompanyTag.company_id)
        .join(Company, Company.id == CompanyTag.company_id)
        .where(CompanyTag.tag_key == text_key(tag), Company.archived_at.is_(None))
        .order_by(CompanyTag.company_id)
    ).all()


def all_tags(limit: int) -> Sequence[str]:
    """The tags any company has, each as it is written first, by name. One query."""
    return db.session.scalars(
        select(func.min(CompanyTag.tag)).group_by(CompanyTag.tag_key).order_by(CompanyTag.tag_key).limit(limit)
    ).all()
