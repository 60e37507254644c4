"""The companies nobody can be reached at when something of theirs breaks, and why each of their people cannot.

Whether their portal shows them Status is another matter: here it is asked whether a mail would arrive and be wanted.
"""

import time
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from flask import current_app
from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    Select,
    String,
    and_,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
)

from portal.accounts.models import Company, Membership, Person
from portal.catalogue.models import Holding
from portal.catalogue.queries import company_reached_select, is_valid
from portal.catalogue.queries.hearing import TOPIC, WHY, holds_back
from portal.catalogue.rules import Unreached, service_topic
from portal.extensions import db
from portal.notifications.models import CompanyPreference, Preference, Suppression
from portal.notifications.wishes import MAIL, is_declined, wishes_of


def nobody_reached(now: datetime) -> ColumnElement[bool]:
    """The condition that a company (of an enclosing statement) has nobody a mail about an incident would reach.

    Somebody is reached who is active, whose address nothing is suppressed at, and who, or whose company, has muted
    neither incidents nor every single service the company holds.

    What is asked of a company is a value and not an `exists`, and a person is looked up where they could be joined:
    PostgreSQL makes joins of what it can, and loops over whole tables for them as long as it believes those to hold a
    row or two, which it does of any it has not counted. A value is worked out company by company, through indexes,
    whatever it believes.
    """
    first_reached = (
        select(Membership.id)
        .where(
            Membership.company_id == Company.id,
            _can_be_mailed(now).is_not(None),
            ~is_declined(Membership.person_id, Membership.company_id, TOPIC),
            or_(~_says_no(), _hears_of_a_service(now)),
        )
        .limit(1)
        .correlate(Company)
        .scalar_subquery()
    )
    return first_reached.is_(None)


def _can_be_mailed(now: datetime) -> ScalarSelect[int]:
    """The person of a membership (of an enclosing statement) if they are active and nothing is suppressed for them."""
    stopped = (
        select(Suppression.id)
        .where(Suppression.address_key == Person.email_key, holds_back(now))
        .limit(1)
        .correlate(Person)
        .scalar_subquery()
    )
    return (
        select(Person.id)
        .where(Person.id == Membership.person_id, Person.deactivated_at.is_(None), stopped.is_(None))
        .correlate(Membership)
        .scalar_subquery()
    )


def _says_no() -> ColumnElement[bool]:
    """The condition that there is anything this person, or their company, does not want."""
    own = exists().where(
        Preference.person_id == Membership.person_id, Preference.channel == MAIL, Preference.wanted.is_(False)
    )
    companies = exists().where(
        CompanyPreference.company_id == Membership.company_id,
        CompanyPreference.channel == MAIL,
        CompanyPreference.wanted.is_(False),
    )
    return or_(own.correlate_except(Preference), companies.correlate_except(CompanyPreference))


def _hears_of_a_service(now: datetime) -> ColumnElement[bool]:
    """The condition that the company holds nothing yet, or a service of its own that is not muted."""
    held = and_(Holding.company_id == Membership.company_id, is_valid(Holding, now))
    topic = literal(service_topic("")) + cast(Holding.service_id, String)
    wanted = ~is_declined(Membership.person_id, Membership.company_id, topic)
    return or_(
        ~exists().where(held).correlate_except(Holding),
        exists().where(held, wanted).correlate_except(Holding),
    )


def count_nobody_reached(now: datetime) -> int:
    """How many companies have nobody a mail would reach. One query."""
    unreached = select(func.count()).select_from(Company).where(Company.archived_at.is_(None), nobody_reached(now))
    return db.session.scalar(unreached) or 0


MANY_COMPANIES = 5_000
"""Companies from which on counting takes more than some milliseconds."""

COUNT_LIVES = 30.0
"""Seconds for which each process keeps the count then; the overview looks again by itself as often."""


def count_nobody_reached_lately(now: datetime) -> int:
    """The same for a page that many look at all the time: of many companies at most half a minute old.

    One query, or two; counted once in a while and not for each look, so it stays as cheap however many there are.
    """
    some = select(Company.id).limit(MANY_COMPANIES).subquery()
    if (db.session.scalar(select(func.count()).select_from(some)) or 0) < MANY_COMPANIES:
        return count_nobody_reached(now)
    kept: tuple[float, int] | None = current_app.extensions.get("nobody_reached")
    if kept is None or time.monotonic() - kept[0] > COUNT_LIVES:
        kept = time.monotonic(), count_nobody_reached(now)
        current_app.extensions["nobody_reached"] = kept
    return kept[1]


class Stranded(NamedTuple):
    """Companies that have nobody a mail would reach: the first by name, as id and name, and how many there are."""

    first: Sequence[tuple[int, str]]
    total: int


def stranded(component_ids: Collection[int], now: datetime, limit: int, *, is_for_all: bool) -> Stranded:
    """The companies that these components reach, or with `is_for_all` any company, that nobody can be told at. One
    query."""
    unreached = select(Company.id, Company.name, func.count().over()).where(
        Company.archived_at.is_(None), nobody_reached(now)
    )
    if not is_for_all:
        unreached = unreached.where(Company.id.in_(company_reached_select(component_ids, now)))
    rows = db.session.execute(unreached.order_by(Company.name_key).limit(limit)).all()
    return Stranded([(company_id, name) for company_id, name, _total in rows], rows[0][2] if rows else 0)


def nobody_reached_among(company_ids: Collection[int], now: datetime) -> frozenset[int]:
    """Those of these companies that have nobody a mail would reach, archived or not. One query."""
    unreached: Select[int] = select(Company.id).where(Company.id.in_(company_ids), nobody_reached(now))
    return frozenset(db.session.scalars(unreached))


def why_unreached(company_id: int, person_ids: Collection[int], now: datetime) -> dict[int, Unreached]:
    """Why those of these people of a company are not reached whom no mail would reach. Five queries."""
    rows = db.session.execute(
        select(Person.id, Person.email_key, Person.deactivated_at).where(Person.id.in_(person_ids))
    ).all()
    stopped: dict[str, list[Unreached]] = {}
    for address_key, reason in db.session.execute(
        select(Suppression.address_key, Suppression.reason).where(
            Suppression.address_key.in_([each.email_key for each in rows]), holds_back(now)
        )
    ):
        stopped.setdefault(address_key, []).append(WHY[reason])
    wishes = wishes_of(person_ids, [company_id])
    services = db.session.scalars(
        select(Holding.service_id).where(Holding.company_id == company_id, is_valid(Holding, now)).distinct()
    )
    topics = [service_topic(each) for each in services]

    def why(person_id: int, address_key: str, deactivated_at: datetime | None) -> Unreached | None:
        if deactivated_at:
            return Unreached.DEACTIVATED
        if address_key in stopped:
            return min(stopped[address_key], key=list(Unreached).index)
        hears = wishes.wants(person_id, company_id, TOPIC) and (
            not topics or any(wishes.wants(person_id, company_id, each) for each in topics)
        )
        return None if hears else Unreached.DECLINED

    found = {row.id: why(*row) for row in rows}
    return {person_id: reason for person_id, reason in found.items() if reason is not None}
