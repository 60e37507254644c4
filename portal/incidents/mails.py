"""Who hears of an incident: the kind "incident", the affected first and each person once."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from flask_babel import force_locale, format_datetime, lazy_gettext
from flask_babel import gettext as _
from sqlalchemy import ColumnElement, Row, Select, exists, or_, select

from portal.accounts.models import Company, Membership, Person
from portal.catalogue.models import Holding, HoldingDependency, Service, ServiceDependency
from portal.catalogue.queries import is_valid
from portal.domains.queries import companies_with_status_open
from portal.extensions import db
from portal.filters import DATES
from portal.language import known, zone
from portal.notifications.kinds import Cursor, Kind, Recipient, register

AFFECTED, OTHERS = "affected", "others"
"""The two phases of an expansion, in their order."""

PRIORITY = {AFFECTED: 0, OTHERS: 40}
"""Added to the priority of the broadcast: the affected are all sent to before anybody else."""

NAMED_AT_MOST = 8
"""How many affected services a mail names; the rest is a number."""


@dataclass(frozen=True)
class Selection:
    """A frozen selector as it is read back.

    `company_ids` are the companies reached, None if they were too many to be listed: then they are found
    through the components. `is_for_all` adds everybody else.
    """

    component_ids: list[int]
    at: datetime
    company_ids: list[int] | None
    is_for_all: bool
    moments: Mapping[str, datetime]

    @classmethod
    def read(cls, selector: Mapping[str, Any]) -> "Selection":
        return cls(
            component_ids=selector["component_ids"],
            at=datetime.fromisoformat(selector["at"]),
            company_ids=selector["company_ids"],
            is_for_all=selector["everyone"],
            moments={name: datetime.fromisoformat(moment) for name, moment in selector["moments"].items()},
        )


def recipients(
    selector: dict[str, Any], after: Cursor | None, limit: int, now: datetime
) -> tuple[Sequence[Recipient], Cursor | None]:
    """The next people who are to hear of an incident: first those of reached companies, then everybody else.

    A company counts where its home portal shows Status; somebody of several is told once, about all of theirs.
    At most ten queries, whatever there is.
    """
    wanted = Selection.read(selector)
    place = after or {"phase": AFFECTED, "person_id": 0}
    found: list[Recipient] = []
    looked_at = 0
    if place["phase"] == AFFECTED:
        people = _people(_is_reached(wanted), place["person_id"], limit)
        found += _addressed(people, wanted, AFFECTED)
        looked_at = len(people)
        if looked_at == limit:
            return found, {"phase": AFFECTED, "person_id": people[-1].id}
        place = {"phase": OTHERS, "person_id": 0}
    if not wanted.is_for_all:
        return found, None
    people = _people(None, place["person_id"], limit - looked_at)
    found += _addressed(people, wanted, OTHERS)
    if len(people) == limit - looked_at:
        return found, {"phase": OTHERS, "person_id": people[-1].id}
    return found, None


def _people(condition: ColumnElement[bool] | None, after: int, limit: int) -> Sequence[Row[int, str, str, str, str]]:
    """The next active people with a membership that meets the condition, by id: only the columns a mail needs."""
    membership = select(Membership.id).where(Membership.person_id == Person.id)
    if condition is not None:
        membership = membership.where(condition)
    return db.session.execute(
        select(Person.id, Person.name, Person.email, Person.language, Person.time_zone)
        .where(Person.id > after, Person.deactivated_at.is_(None), membership.exists())
        .order_by(Person.id)
        .limit(limit)
    ).all()


def _is_reached(wanted: Selection) -> ColumnElement[bool]:
    """The condition that a membership is with a reached company."""
    if wanted.company_ids is not None:
        return Membership.company_id.in_(wanted.company_ids)
    holds = exists().where(Holding.company_id == Membership.company_id, is_valid(Holding, wanted.at), _breaks(wanted))
    return holds.correlate(Membership)


def _breaks(wanted: Selection) -> ColumnElement[bool]:
    """The condition that a holding depends on one of the components, through its service or by itself."""
    services: Select[int] = select(ServiceDependency.service_id).where(
        ServiceDependency.component_id.in_(wanted.component_ids), is_valid(ServiceDependency, wanted.at)
    )
    holdings: Select[int] = select(HoldingDependency.holding_id).where(
        HoldingDependency.component_id.in_(wanted.component_ids), is_valid(HoldingDependency, wanted.at)
    )
    return or_(Holding.service_id.in_(services), Holding.id.in_(holdings))


def _addressed(people: Sequence[Row[int, str, str, str, str]], wanted: Selection, phase: str) -> list[Recipient]:
    """The recipients among these people: those this phase is for, through companies that show Status."""
    if not people:
        return []
    companies = _companies_of([person.id for person in people])
    ids = {company_id for each in companies.values() for company_id in each}
    shown = companies_with_status_open(ids)
    services = _services_hit(ids & shown, wanted)
    found = []
    for person in people:
        theirs = [company_id for company_id in companies.get(person.id, ()) if company_id in shown]
        hit = [company_id for company_id in theirs if company_id in services]
        if bool(hit) is not (phase is AFFECTED) or not theirs:
            continue
        names = list(dict.fromkeys(name for company_id in hit for name in services[company_id]))
        found.append(
            Recipient(
                person_id=person.id,
                company_ids=tuple(hit or theirs),
                address=person.email,
                name=person.name,
                language=known(person.language),
                values=_values(known(person.language), person.time_zone, names, wanted),
                priority=PRIORITY[phase],
            )
        )
    return found


def _companies_of(person_ids: Collection[int]) -> dict[int, list[int]]:
    rows = db.session.execute(
        select(Membership.person_id, Membership.company_id)
        .join(Company, Company.id == Membership.company_id)
        .where(Membership.person_id.in_(person_ids), Company.archived_at.is_(None))
        .order_by(Membership.person_id, Membership.id)
    )
    found: dict[int, list[int]] = {}
    for person_id, company_id in rows:
        found.setdefault(person_id, []).append(company_id)
    return found


def _services_hit(company_ids: Collection[int], wanted: Selection) -> dict[int, list[str]]:
    """What the incident hits of what each of these companies holds, with their own references."""
    if not wanted.component_ids:
        return {}
    rows = db.session.execute(
        select(Holding.company_id, Service.name, Holding.reference)
        .join(Service, Service.id == Holding.service_id)
        .where(Holding.company_id.in_(company_ids), is_valid(Holding, wanted.at), _breaks(wanted))
        .order_by(Holding.company_id, Service.position, Service.name_key, Holding.reference)
    )
    found: dict[int, list[str]] = {}
    for company_id, name, reference in rows:
        found.setdefault(company_id, []).append(f"{name} ({reference})" if reference else name)
    return found


def _values(language: str, time_zone: str, services: Sequence[str], wanted: Selection) -> dict[str, str]:
    moments = {name: _written(moment, language, time_zone) for name, moment in wanted.moments.items()}
    return {**moments, "affected": _affected(services, language, bool(wanted.component_ids))}


def _affected(services: Sequence[str], language: str, names_components: bool) -> str:
    """One sentence on what this means for the reader."""
    hit, hit_by_many, not_hit = _sentences(language)
    if not services:
        return not_hit if names_components else ""
    named = ", ".join(services[:NAMED_AT_MOST])
    more = len(services) - NAMED_AT_MOST
    return hit_by_many % {"services": named, "number": more} if more > 0 else hit % {"services": named}


@lru_cache
def _sentences(language: str) -> tuple[str, str, str]:
    """The sentences of a language with their places still open: filled per reader, translated once."""
    places = {"services": "%(services)s", "number": "%(number)s"}
    with force_locale(language):
        return (
            str(_("Affected for you: %(services)s.", **places)),
            str(_("Affected for you: %(services)s and %(number)s more.", **places)),
            str(_("As far as we know, none of your services is affected.")),
        )


@lru_cache(maxsize=4096)
def _written(moment: datetime, language: str, zone_name: str) -> str:
    """A moment in the reader's own zone, with the zone named."""
    local = moment.astimezone(zone(zone_name))
    with force_locale(language):
        return f"{format_datetime(local, DATES[language][1], rebase=False)} {local.tzname()}"


INCIDENT = register(
    Kind(
        name="incident",
        topic="incidents",
        label=lazy_gettext("Outages and incidents"),
        recipients=recipients,
        allowed=companies_with_status_open,
        variables=frozenset({"affected", "since", "fixed", "next_update"}),
        # A mail about an incident that a relay would not take for a day tells nobody anything new.
        expires_after=timedelta(hours=24),
        priority=10,
    )
)
