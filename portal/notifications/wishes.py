"""What people and their companies want to hear of, as it is read: a person's own word, else what their company says.

Nobody has to say anything: what nobody spoke of is wanted.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, or_, select

from portal.accounts.models import Membership
from portal.extensions import db
from portal.notifications.kinds import Recipient
from portal.notifications.models import CompanyPreference, Preference
from portal.notifications.topics import names_of

MAIL = "mail"
"""The channel all of this is about."""

BY_PERSON = "Not wanted, by this person's own choice."
BY_COMPANY = "Not wanted, by the choice of their company."
MUTED = "Not wanted: everything this concerns for them is muted."

CLOCKS_APART = timedelta(minutes=5)
"""How far the clocks of two machines may lie apart before a wish could be overlooked."""


@dataclass(frozen=True)
class Wishes:
    """What some people, and some companies, have said about topics. `own` is by person and topic, `companies` by
    company and topic."""

    own: Mapping[tuple[int, str], bool] = field(default_factory=dict)
    companies: Mapping[tuple[int, str], bool] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether all of them want everything."""
        return all(self.own.values()) and all(self.companies.values())

    def wants(self, person_id: int | None, company_id: int | None, topic: str) -> bool:
        """Whether mails about this topic are wanted by this person, where they would get them for this company."""
        own = self.own.get((person_id, topic)) if person_id is not None else None
        if own is not None:
            return own
        return self.companies.get((company_id, topic), True) if company_id is not None else True

    def wants_all(self, person_id: int | None, company_id: int | None, topics: Iterable[str]) -> bool:
        """Whether none of these topics is unwanted: what something is about, from the kind to the component."""
        return all(self.wants(person_id, company_id, topic) for topic in topics)


def wishes_of(
    person_ids: Collection[int], company_ids: Collection[int], topics: Collection[str] | None = None
) -> Wishes:
    """What these people and companies have said, about all topics or these. Two queries."""
    own = select(Preference.person_id, Preference.topic, Preference.wanted).where(
        Preference.person_id.in_(set(person_ids)), Preference.channel == MAIL
    )
    companies = select(CompanyPreference.company_id, CompanyPreference.topic, CompanyPreference.wanted).where(
        CompanyPreference.company_id.in_(set(company_ids)), CompanyPreference.channel == MAIL
    )
    if topics is not None:
        own = own.where(Preference.topic.in_(set(topics)))
        companies = companies.where(CompanyPreference.topic.in_(set(topics)))
    return Wishes(
        {(row_id, topic): wanted for row_id, topic, wanted in db.session.execute(own)},
        {(row_id, topic): wanted for row_id, topic, wanted in db.session.execute(companies)},
    )


def declined(recipients: Collection[Recipient], topic: str) -> dict[str, str]:
    """Why, by address, those of the recipients do not want mails of this topic. Two queries.

    Somebody who gets it for several companies declines it when none of them, and not they themselves, want it.
    """
    people = {each.person_id for each in recipients if each.person_id}
    companies = {company_id for each in recipients for company_id in each.company_ids}
    wishes = wishes_of(people, companies, [topic])
    found = {each.address: MUTED for each in recipients if not each.is_wanted}
    if wishes.is_empty:
        return found
    for each in recipients:
        for_companies: tuple[int | None, ...] = each.company_ids or (None,)
        if not any(wishes.wants(each.person_id, company_id, topic) for company_id in for_companies):
            is_own = each.person_id is not None and (each.person_id, topic) in wishes.own
            found[each.address] = BY_PERSON if is_own else BY_COMPANY
    return found


def newest_wish() -> datetime | None:
    """When anybody last said what they want. One query, of two looks into indexes."""
    own = select(func.max(Preference.changed_at)).scalar_subquery()
    companies = select(func.max(CompanyPreference.changed_at)).scalar_subquery()
    moments = [each for each in db.session.execute(select(own, companies)).one() if each is not None]
    return max(moments) if moments else None


def is_declined(person_id: Any, company_id: Any, topic: Any) -> ColumnElement[bool]:
    """The same rule as a condition: that a topic is unwanted by the person, or by the company where they say nothing.

    Each argument is a column, or a value.
    """
    spoke = and_(Preference.person_id == person_id, Preference.topic == topic, Preference.channel == MAIL)
    refuses = (
        exists()
        .where(
            CompanyPreference.company_id == company_id,
            CompanyPreference.topic == topic,
            CompanyPreference.channel == MAIL,
            CompanyPreference.wanted.is_(False),
        )
        # However deep this stands, the other tables are those around it.
        .correlate_except(CompanyPreference)
    )
    return or_(
        exists().where(spoke, Preference.wanted.is_(False)).correlate_except(Preference),
        and_(refuses, ~exists().where(spoke).correlate_except(Preference)),
    )


def unwanted_by_company(company_id: int) -> list[str]:
    """What a company says its people do not want, as people call it. A query, and one for each sort of topics."""
    wishes = wishes_of([], [company_id])
    return sorted(names_of([topic for (_id, topic), wanted in wishes.companies.items() if not wanted]).values())


def contacts_of(company_id: int, person_ids: Collection[int]) -> frozenset[int]:
    """Those of these people who decide for the company what its people are mailed about. One query."""
    return frozenset(
        db.session.scalars(
            select(Membership.person_id).where(
                Membership.company_id == company_id, Membership.is_contact, Membership.person_id.in_(set(person_ids))
            )
        )
    )


def is_contact(person_id: int, company_id: int) -> bool:
    """Whether this person decides for this company what its people are mailed about."""
    return person_id in contacts_of(company_id, [person_id])
