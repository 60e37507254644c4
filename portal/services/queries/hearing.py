"""Who hears that the status of a service has changed: topics, and whom an update that is being written would reach.

`services.mails` holds the same rules, page by page, when mails are written down; here it is all at once, in a few
queries, so that a form can say before anything is written how many will be told, who, and who not and why.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Integer,
    Select,
    and_,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
)

from portal.accounts.models import Company, Membership, Person
from portal.catalogue.models import Holding, Service
from portal.catalogue.queries.hearing import WHY
from portal.catalogue.rules import Unreached, service_topic
from portal.domains.models import Admission
from portal.domains.queries import companies_with_area
from portal.domains.rules import Area
from portal.extensions import db
from portal.notifications.models import CompanyPreference, Preference, Suppression
from portal.notifications.rules import EVERY_TOPIC
from portal.notifications.wishes import MAIL, Wishes
from portal.services.models import ServiceView
from portal.services.queries.settings import settings
from portal.services.rules import ServiceStatus, Wanted

TOPIC = "services"
"""The list of these mails, and the scope of a suppression."""

NAMED_AT_MOST = 20
"""How many companies and people a preview names; the rest is a number."""


def status_topic(status: ServiceStatus | str) -> str:
    """What one may not want to hear of services: one of the four statuses."""
    return f"service-status:{status}"


class Untold(StrEnum):
    """Why nobody of a company is told, the reason that outweighs the others first."""

    AREA_CLOSED = "area_closed"
    HIDDEN = "hidden"
    NOBODY = "nobody"
    UNREACHED = "unreached"


class TellsCompany(NamedTuple):
    """A company that is told, with how many of its people."""

    company_id: int
    name: str
    people: int


class TellsPerson(NamedTuple):
    """Somebody who is told, with the first by name of their companies that this is about."""

    person_id: int
    name: str
    email: str
    company_name: str


class NotTold(NamedTuple):
    """Somebody of a company that is told, who is not, and why."""

    person_id: int
    name: str
    email: str
    company_name: str
    reason: Unreached


class SilentCompany(NamedTuple):
    """A company nobody of which is told, and why."""

    company_id: int
    name: str
    reason: Untold


@dataclass(frozen=True)
class Audience:
    """Who would be told of an update. The lists are the first by name; the numbers are of all.

    `digests` are the companies told of many services in one mail. `quiet_services` are the names of those of which this
    status is not mailed at all.
    """

    companies: int = 0
    people: int = 0
    digests: int = 0
    named_companies: Sequence[TellsCompany] = ()
    named_people: Sequence[TellsPerson] = ()
    unreachable: Sequence[NotTold] = ()
    unreachable_total: int = 0
    silent: Sequence[SilentCompany] = ()
    silent_total: int = 0
    quiet_services: Sequence[str] = ()


def who_hears(holding_ids: Collection[int], wanted: Wanted, now: datetime) -> Audience:
    """Whom stating this of these holdings would be mailed to. At most eleven queries; writes nothing."""
    services = _services_of(holding_ids)
    mailed = [service for service in services if is_mailed(service.notifies, wanted.status)]
    quiet = tuple(service.name for service in services if not is_mailed(service.notifies, wanted.status))
    if not mailed:
        return Audience(quiet_services=quiet)
    targets = _targets(holding_ids, [service.id for service in mailed])
    shown = frozenset(db.session.scalars(companies_with_area(Area.SERVICES).where(Company.id.in_(among(targets)))))
    heard = without_hidden({company_id: held for company_id, held in targets.items() if company_id in shown})
    members = _members(heard, now)
    wishes = _wishes([TOPIC, status_topic(wanted.status), *(service_topic(service.id) for service in mailed)])

    def is_told(member: _Member) -> bool:
        return (
            not member.is_deactivated
            and not member.is_stopped
            and any(
                wishes.wants_all(
                    member.person_id, member.company_id, (TOPIC, status_topic(wanted.status), service_topic(service_id))
                )
                for service_id in heard[member.company_id]
            )
        )

    told = [member for member in members if is_told(member)]
    over = settings().digest_over
    return Audience(
        **_told(told),
        digests=sum(len(held) > over for held in heard.values()),
        **_missed(members, told, now),
        **_silent(targets, shown, heard, members, told),
        quiet_services=quiet,
    )


def is_mailed(notifies: Sequence[str] | None, status: ServiceStatus) -> bool:
    """Whether this status is mailed of a service that says so of these (None: of all)."""
    return notifies is None or status.value in notifies


def among(ids: Collection[int]) -> Select[int]:
    """A statement selecting these numbers themselves: they travel as one value, however many they are."""
    if db.session.get_bind().dialect.name == "postgresql":
        return select(func.unnest(literal(sorted(ids), ARRAY(Integer))))
    listed = func.json_each(json.dumps(sorted(ids))).table_valued("value")
    return select(cast(listed.c.value, Integer))


class _Service(NamedTuple):
    id: int
    name: str
    notifies: Sequence[str] | None


def _services_of(holding_ids: Collection[int]) -> list[_Service]:
    held = select(Holding.service_id).where(Holding.id.in_(among(holding_ids)))
    rows = db.session.execute(
        select(Service.id, Service.name, Service.notifies)
        .where(Service.id.in_(held))
        .order_by(Service.position, Service.name_key)
    )
    return [_Service(*row) for row in rows]


def _targets(holding_ids: Collection[int], service_ids: Collection[int]) -> dict[int, set[int]]:
    """The services that would be told of, by company."""
    rows = db.session.execute(
        select(Holding.company_id, Holding.service_id)
        .join(Company, Company.id == Holding.company_id)
        .where(Holding.id.in_(among(holding_ids)), Holding.service_id.in_(service_ids), Company.archived_at.is_(None))
    )
    found: dict[int, set[int]] = {}
    for company_id, service_id in rows:
        found.setdefault(company_id, set()).add(service_id)
    return found


def without_hidden(targets: Mapping[int, set[int]]) -> dict[int, set[int]]:
    """Services by company without those that the companies do not see at home. At most two queries."""
    rows = db.session.execute(select(ServiceView.domain_id, ServiceView.company_id, ServiceView.hidden_services)).all()
    hidden = {(row.domain_id, row.company_id): frozenset(row.hidden_services) for row in rows}
    if not any(hidden.values()):
        return dict(targets)
    homes: dict[int, int] = dict(
        db.session.execute(
            select(Admission.company_id, Admission.domain_id).where(
                Admission.is_home, Admission.company_id.in_(among(targets))
            )
        ).all()
    )
    found = {}
    for company_id, held in targets.items():
        home = homes.get(company_id, 0)
        if seen := held - hidden.get((home, company_id), hidden.get((home, None), frozenset())):
            found[company_id] = seen
    return found


class _Member(NamedTuple):
    person_id: int
    company_id: int
    name: str
    email: str
    email_key: str
    is_deactivated: bool
    is_stopped: bool


def _members(heard: Collection[int], now: datetime) -> list[_Member]:
    """Everybody of these companies."""
    stopped = exists().where(Suppression.address_key == Person.email_key, holds_back(now)).correlate(Person)
    rows = db.session.execute(
        select(
            Person.id,
            Membership.company_id,
            Person.name,
            Person.email,
            Person.email_key,
            Person.deactivated_at.is_not(None),
            stopped,
        )
        .join(Person, Person.id == Membership.person_id)
        .where(Membership.company_id.in_(among(heard)))
        .order_by(Person.name, Person.id, Membership.id)
    )
    return [_Member(*row) for row in rows]


def _wishes(topics: Collection[str]) -> Wishes:
    """What anybody said of these topics. Two queries, of as many rows as there are people who spoke."""
    own = select(Preference.person_id, Preference.topic, Preference.wanted).where(
        Preference.topic.in_(topics), Preference.channel == MAIL
    )
    companies = select(CompanyPreference.company_id, CompanyPreference.topic, CompanyPreference.wanted).where(
        CompanyPreference.topic.in_(topics), CompanyPreference.channel == MAIL
    )
    return Wishes(
        {(row_id, topic): wanted for row_id, topic, wanted in db.session.execute(own)},
        {(row_id, topic): wanted for row_id, topic, wanted in db.session.execute(companies)},
    )


def _names(company_ids: Collection[int]) -> dict[int, str]:
    """The names of these companies, by name."""
    rows = db.session.execute(
        select(Company.id, Company.name)
        .where(Company.id.in_(among(company_ids)))
        .order_by(Company.name_key, Company.id)
    )
    return dict(rows.all())


def _told(told: Sequence[_Member]) -> dict[str, Any]:
    """Who is told, counted and the first named. One query."""
    by_company: dict[int, set[int]] = {}
    people: dict[int, _Member] = {}
    for member in told:
        by_company.setdefault(member.company_id, set()).add(member.person_id)
        people.setdefault(member.person_id, member)
    names = _names(by_company)
    return {
        "companies": len(by_company),
        "people": len(people),
        "named_companies": [
            TellsCompany(company_id, name, len(by_company[company_id]))
            for company_id, name in list(names.items())[:NAMED_AT_MOST]
        ],
        "named_people": [
            TellsPerson(each.person_id, each.name, each.email, names[each.company_id])
            for each in list(people.values())[:NAMED_AT_MOST]
        ],
    }


def _missed(members: Sequence[_Member], told: Sequence[_Member], now: datetime) -> dict[str, Any]:
    """Who of these companies is not told, counted and the first named with why. Two queries."""
    reached = {member.person_id for member in told}
    missed: dict[int, _Member] = {}
    for member in members:
        if member.person_id not in reached:
            missed.setdefault(member.person_id, member)
    first = list(missed.values())[:NAMED_AT_MOST]
    names = _names({member.company_id for member in first})
    suppressions = db.session.execute(
        select(Suppression.address_key, Suppression.reason).where(
            Suppression.address_key.in_([member.email_key for member in first]), holds_back(now)
        )
    )
    stopped: dict[str, list[Unreached]] = {}
    for address_key, reason in suppressions:
        stopped.setdefault(address_key, []).append(WHY[reason])

    def why(member: _Member) -> Unreached:
        if member.is_deactivated:
            return Unreached.DEACTIVATED
        return min(stopped.get(member.email_key, [Unreached.DECLINED]), key=list(Unreached).index)

    return {
        "unreachable": [
            NotTold(each.person_id, each.name, each.email, names[each.company_id], why(each)) for each in first
        ],
        "unreachable_total": len(missed),
    }


def _silent(
    targets: Collection[int],
    shown: Collection[int],
    heard: Collection[int],
    members: Sequence[_Member],
    told: Sequence[_Member],
) -> dict[str, Any]:
    """The companies nobody of which is told, counted and the first named with why. One query."""
    peopled = {member.company_id for member in members}
    silent = set(targets) - {member.company_id for member in told}

    def why(company_id: int) -> Untold:
        if company_id not in shown:
            return Untold.AREA_CLOSED
        if company_id not in heard:
            return Untold.HIDDEN
        return Untold.UNREACHED if company_id in peopled else Untold.NOBODY

    first = list(_names(silent).items())[:NAMED_AT_MOST]
    return {
        "silent": [SilentCompany(company_id, name, why(company_id)) for company_id, name in first],
        "silent_total": len(silent),
    }


def holds_back(now: datetime) -> ColumnElement[bool]:
    """The condition that a suppression holds back mails about services at this moment."""
    return and_(Suppression.scope.in_([EVERY_TOPIC, TOPIC]), or_(Suppression.until.is_(None), Suppression.until > now))
