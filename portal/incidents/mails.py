"""Who hears of an incident: the kind "incident", the affected first and each person once."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from flask_babel import force_locale, format_datetime, lazy_gettext
from flask_babel import gettext as _
from sqlalchemy import ColumnElement, Row, Select, exists, or_, select, union_all

from portal.accounts.models import Company, Membership, Person
from portal.catalogue.models import Holding, HoldingDependency, Service, ServiceDependency
from portal.catalogue.queries import is_valid
from portal.catalogue.queries.hearing import ELSEWHERE, TOPIC
from portal.catalogue.rules import component_topic, service_topic
from portal.domains.queries import companies_with_status_open
from portal.extensions import db
from portal.filters import DATES
from portal.language import known, zone
from portal.notifications.kinds import Cursor, Kind, Listener, Recipient, Told, register
from portal.notifications.topics import Source, Topic
from portal.notifications.topics import register as register_topics
from portal.notifications.wishes import Wishes, wishes_of

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

    @property
    def hits_somebody(self) -> bool:
        """Whether it reaches what anybody holds; if not it concerns everyone, and is nobody else's alone."""
        return self.company_ids is None or bool(self.company_ids)

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
    At most sixteen queries, whatever there is.
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


def goes_beyond(selector: dict[str, Any], count: int, now: datetime) -> bool:
    """Whether there are more people than so many whom an incident may concern. One query."""
    wanted = Selection.read(selector)
    return bool(_people(None if wanted.is_for_all else _is_reached(wanted), 0, 1, past=count))


def _people(
    condition: ColumnElement[bool] | None, after: int, limit: int, *, past: int = 0
) -> Sequence[Row[int, str, str, str, str]]:
    """The next active people with a membership that meets the condition, by id: only the columns a mail needs.

    The first `past` of them are passed over.
    """
    membership = select(Membership.id).where(Membership.person_id == Person.id)
    if condition is not None:
        membership = membership.where(condition)
    return db.session.execute(
        select(Person.id, Person.name, Person.email, Person.language, Person.time_zone)
        .where(Person.id > after, Person.deactivated_at.is_(None), membership.exists())
        .order_by(Person.id)
        .limit(limit)
        .offset(past)
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
    wishes = wishes_of([person.id for person in people], ids & shown)
    muting = None if wishes.is_empty else Muting(wishes, wanted, _hits_of(services.keys(), wanted))
    found = []
    for person in people:
        theirs = [company_id for company_id in companies.get(person.id, ()) if company_id in shown]
        hit = [company_id for company_id in theirs if company_id in services]
        if bool(hit) is not (phase is AFFECTED) or not theirs:
            continue
        named = [(company_id, each) for company_id in hit for each in services[company_id]]
        heard = [each for each in named if muting is None or muting.hears_of(person.id, *each)]
        is_muted = not heard if hit else muting is not None and muting.wants_no_other(person.id, theirs)
        told = dict.fromkeys(company_id for company_id, _each in heard) or hit or theirs
        names = list(dict.fromkeys(each.label for _company_id, each in heard or named))
        found.append(
            Recipient(
                person_id=person.id,
                company_ids=tuple(told),
                address=person.email,
                name=person.name,
                language=known(person.language),
                values=_values(known(person.language), person.time_zone, names, wanted),
                priority=PRIORITY[phase],
                is_wanted=not is_muted,
            )
        )
    return found


def tell(selector: dict[str, Any], listeners: Sequence[Listener], now: datetime) -> Mapping[int, Told]:
    """What channels are told of an incident: the same people's rule, for the companies they hear for.

    At most three queries.
    """
    wanted = Selection.read(selector)
    facts: Mapping[str, Any] = selector.get("facts", {})
    ids = {company_id for each in listeners for company_id in each.company_ids}
    shown = companies_with_status_open(ids)
    services = _services_hit(ids & shown, wanted)
    hits = _hits_of(services.keys(), wanted)
    incident = facts.get("incident", {})
    told = {}
    for each in listeners:
        theirs = [company_id for company_id in each.company_ids if company_id in shown]
        hit = [company_id for company_id in theirs if company_id in services]
        if not theirs or not (hit or wanted.is_for_all):
            continue
        held = [one for company_id in hit for one in services[company_id]]
        names = list(dict.fromkeys(one.label for one in held))
        about = {service_topic(one.service_id) for one in held}
        about |= {component_topic(component) for one in held for component in hits.get(one.holding_id, ())}
        if not hit and wanted.hits_somebody:
            about = {ELSEWHERE}
        told[each.id] = Told(
            company_ids=tuple(hit or theirs),
            values=_values(known(each.language), each.time_zone, names, wanted),
            path=f"/incidents/{incident.get('id', '')}",
            event=f"incident.{incident.get('state', '')}",
            data={**facts, "is_affected": bool(hit), "services": names},
            about=frozenset(about),
            priority=PRIORITY[AFFECTED if hit else OTHERS],
        )
    return told


def muted_by(
    selector: dict[str, Any], people: Collection[tuple[int, tuple[int, ...]]], now: datetime
) -> frozenset[int]:
    """Those of the people, each with the companies a mail reaches them through, who have muted all that is hit.

    At most five queries.
    """
    wanted = Selection.read(selector)
    company_ids = {company_id for _person_id, theirs in people for company_id in theirs}
    wishes = wishes_of([person_id for person_id, _theirs in people], company_ids)
    if wishes.is_empty:
        return frozenset()
    services = _services_hit(company_ids, wanted)
    muting = Muting(wishes, wanted, _hits_of(services.keys(), wanted))
    return frozenset(person_id for person_id, theirs in people if muting.has_muted_all(person_id, theirs, services))


class Held(NamedTuple):
    """A holding that an incident hits, as a mail names it."""

    holding_id: int
    service_id: int
    label: str


@dataclass(frozen=True)
class Muting:
    """What some people have muted of one incident. `hits` are the components through which it hits each holding."""

    wishes: Wishes
    wanted: Selection
    hits: Mapping[int, Collection[int]]

    def hears_of(self, person_id: int, company_id: int, held: Held) -> bool:
        """Whether somebody wants to hear that this holding is hit: by one component at least that they have not muted,
        and not when they have muted the service, or incidents."""
        about = (TOPIC, service_topic(held.service_id))
        return self.wishes.wants_all(person_id, company_id, about) and any(
            self.wishes.wants(person_id, company_id, component_topic(component_id))
            for component_id in self.hits.get(held.holding_id, ())
        )

    def wants_no_other(self, person_id: int, company_ids: Collection[int]) -> bool:
        """Whether somebody of whom nothing is hit does not want to hear of it for any of their companies."""
        about = (TOPIC, ELSEWHERE) if self.wanted.hits_somebody else (TOPIC,)
        components = [component_topic(component_id) for component_id in self.wanted.component_ids]
        return not any(
            self.wishes.wants_all(person_id, company_id, about)
            and (not components or any(self.wishes.wants(person_id, company_id, each) for each in components))
            for company_id in company_ids
        )

    def has_muted_all(
        self, person_id: int, company_ids: Collection[int], services: Mapping[int, Sequence[Held]]
    ) -> bool:
        """Whether nothing of it is left that somebody wants to hear, for any of these companies."""
        held = [(company_id, each) for company_id in company_ids for each in services.get(company_id, ())]
        if held:
            return not any(self.hears_of(person_id, *each) for each in held)
        return self.wants_no_other(person_id, company_ids)


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


def _services_hit(company_ids: Collection[int], wanted: Selection) -> dict[int, list[Held]]:
    """What the incident hits of what each of these companies holds, with their own references."""
    if not wanted.component_ids:
        return {}
    rows = db.session.execute(
        select(Holding.company_id, Holding.id, Service.id, Service.name, Holding.reference)
        .join(Service, Service.id == Holding.service_id)
        .where(Holding.company_id.in_(company_ids), is_valid(Holding, wanted.at), _breaks(wanted))
        .order_by(Holding.company_id, Service.position, Service.name_key, Holding.reference)
    )
    found: dict[int, list[Held]] = {}
    for company_id, holding_id, service_id, name, reference in rows:
        label = f"{name} ({reference})" if reference else name
        found.setdefault(company_id, []).append(Held(holding_id, service_id, label))
    return found


def _hits_of(company_ids: Collection[int], wanted: Selection) -> dict[int, set[int]]:
    """For each holding of these companies the components of the incident that hit it, through its service or by itself.

    One query, and only asked where somebody has a wish.
    """
    if not company_ids or not wanted.component_ids:
        return {}
    of_theirs = Holding.company_id.in_(company_ids), is_valid(Holding, wanted.at)
    rows = db.session.execute(
        union_all(
            select(Holding.id, ServiceDependency.component_id)
            .join(ServiceDependency, ServiceDependency.service_id == Holding.service_id)
            .where(
                *of_theirs,
                ServiceDependency.component_id.in_(wanted.component_ids),
                is_valid(ServiceDependency, wanted.at),
            ),
            select(Holding.id, HoldingDependency.component_id)
            .join(HoldingDependency, HoldingDependency.holding_id == Holding.id)
            .where(
                *of_theirs,
                HoldingDependency.component_id.in_(wanted.component_ids),
                is_valid(HoldingDependency, wanted.at),
            ),
        )
    )
    found: dict[int, set[int]] = {}
    for holding_id, component_id in rows:
        found.setdefault(holding_id, set()).add(component_id)
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
        topic=TOPIC,
        label=lazy_gettext("Outages and incidents"),
        recipients=recipients,
        goes_beyond=goes_beyond,
        muted_by=muted_by,
        tell=tell,
        allowed=companies_with_status_open,
        variables=frozenset({"affected", "since", "fixed", "next_update"}),
        # A mail about an incident that a relay would not take for a day tells nobody anything new.
        expires_after=timedelta(hours=24),
        priority=10,
    )
)


def _elsewhere(company_id: int, now: datetime) -> Sequence[Topic]:
    return [Topic(ELSEWHERE, str(_ELSEWHERE))] if companies_with_status_open([company_id]) else []


def _named(keys: Collection[str]) -> dict[str, str]:
    return {ELSEWHERE: str(_ELSEWHERE)} if ELSEWHERE in keys else {}


_ELSEWHERE = lazy_gettext("Incidents that touch nothing you use")

register_topics(Source("elsewhere", _ELSEWHERE, _elsewhere, _named, under=TOPIC))
