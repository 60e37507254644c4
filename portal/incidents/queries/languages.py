"""Which languages the readers of a report read, before it is published."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import distinct, func, select

from portal.accounts.models import Company, Membership, Person
from portal.catalogue.queries import company_reached_select
from portal.extensions import db
from portal.language import known


def readers_by_language(component_ids: Collection[int], now: datetime, *, to_all: bool) -> dict[str, int]:
    """How many people read of a report on these components, by the language they read; most first. One query.

    `to_all` counts everybody who acts for a company, else only those of the companies it reaches.
    """
    companies = select(Company.id).where(Company.archived_at.is_(None))
    if not to_all:
        companies = company_reached_select(sorted(component_ids), now)
    rows = db.session.execute(
        select(Person.language, func.count(distinct(Person.id)))
        .join(Membership, Membership.person_id == Person.id)
        .where(Membership.company_id.in_(companies), Person.deactivated_at.is_(None))
        .group_by(Person.language)
    )
    found: dict[str, int] = {}
    for language, count in rows:
        found[known(language)] = found.get(known(language), 0) + count
    return dict(sorted(found.items(), key=lambda each: (-each[1], each[0])))
