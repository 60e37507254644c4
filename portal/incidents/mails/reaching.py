"""Who is reached by what happens to components, through what, and what of it they do not want to hear.

The kinds of mail about incidents and about maintenance share it: the affected come first, each person is told once,
what is hidden from a company is not named to it, and nobody is told through one that does not show Status.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from flask_babel import force_locale, format_datetime
from sqlalchemy import ColumnElement, Row, Select, exists, or_, select, union_all

from portal.accounts.models import Company, Membership, Person
from portal.catalogue.hiding import hidden_from
from portal.catalogue.models import Holding, HoldingDependency, Service, ServiceDependency
from portal.catalogue.queries import is_valid
from portal.catalogue.rules import component_topic, service_topic
from portal.domains.queries import companies_with_status_open
from portal.extensions import db
from portal.filters import DATES
from portal.incidents.rules.telling import AFFECTED, OTHERS, PRIORITY
from portal.language import known, zone, zone_word
from portal.notifications.kinds import Cursor, Listener, Recipient
from portal.notifications.wishes import Wishes, wishes_of

NAMED_AT_MOST = 8
"""How many affected services a mail names; the rest is a number."""


class Subject(NamedTuple):
    """The topic of a kind of mail, and that of what touches nothing the reader's company holds."""

    topic: str
    elsewhere: str


@dataclass(frozen=True)
class Selection:
    """A frozen selector as it is read back.

    `company_ids` are the companies reached, None if they were too many to be listed: then they are found
    through the components. `is_for_all` adds everybody else.
    """

    subject: Subject
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
    def read(cls, selector: Mapping[str, Any], subject: Subject) -> "Selection":
        return cls(
            subject=subject,
            component_ids=selector["component_ids"],
            at=datetime.fromisoformat(selector["at"]),
            company_ids=selector["company_ids"],
            is_for_all=selector["everyone"],
            moments={name: datetime.fromisoformat(moment) for name, moment in selector["moments"].items()},
        )


class Held(NamedTuple):
    """A holding that is hit, as a mail names it: the service, and the company's own reference for it.

    Both are "" where its company is not to read of it.
    """

    holding_id: int
    service_id: int
    service: str
    reference: str

    @property
    def label(self) -> str:
        return f"{self.service} ({self.reference})" if self.reference else self.service


class Reader(NamedTuple):
    """Somebody who is told: through which companies, and what of theirs is hit (company, holding), if anything is."""

    language: str
    time_zone: str
    company_ids: tuple[int, ...]
    held: tuple[tuple[int, Held], ...]
    is_hit: bool

    @property
    def services(self) -> list[str]:
        """What of theirs is hit, by name."""
        return names(held for _company_id, held in self.held)


ValuesOf = Callable[[Sequence[Reader]], Sequence[Mapping[str, str]]]
"""What fills the wording of a kind, for each of some readers in their order."""


def expand(
    wanted: Selection, after: Cursor | None, limit: int, values_of: ValuesOf
) -> tuple[Sequence[Recipient], Cursor | None]:
    """The next people who are to hear of it: first those of reached companies, then everybody else.

    A company counts where its home portal shows Status; somebody of several is told once, about all of theirs.
    At most nineteen queries, whatever there is, beside those of `values_of`, which is asked at most twice.
    """
    place = after or {"phase": AFFECTED, "person_id": 0}
    found: list[Recipient] = []
    looked_at = 0
    if place["phase"] == AFFECTED:
        people = people_after(is_reached(wanted), place["person_id"], limit)
        found += addressed(people, wanted, AFFECTED, values_of)
        looked_at = len(people)
        if looked_at == limit:
            return found, {"phase": AFFECTED, "person_id": people[-1].id}
        place = {"phase": OTHERS, "person_id": 0}
    if not wanted.is_for_all:
        return found, None
    people = people_after(None, place["person_id"], limit - looked_at)
    found += addressed(people, wanted, OTHERS, values_of)
    if len(people) == limit - looked_at:
        return found, {"phase": OTHERS, "person_id": people[-1].id}
    return found, None


def reaches_more(wanted: Selection, count: int) -> bool:
    """Whether there are more people than so many whom it may concern. One query."""
    return bool(people_after(None if wanted.is_for_all else is_reached(wanted), 0, 1, past=count))


def people_after(
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


def is_reached(wanted: Selection) -> ColumnElement[bool]:
    """The condition that a membership is with a reached company."""
    if wanted.company_ids is not None:
        return Membership.company_id.in_(wanted.company_ids)
    holds = exists().where(Holding.company_id == Membership.company_id, is_valid(Holding, wanted.at), breaks(wanted))
    return holds.correlate(Membership)


def breaks(wanted: Selection) -> ColumnElement[bool]:
    """The condition that a holding depends on one of the components, through its service or by itself."""
    services: Select[int] = select(ServiceDependency.service_id).where(
        ServiceDependency.component_id.in_(wanted.component_ids), is_valid(ServiceDependency, wanted.at)
    )
    holdings: Select[int] = select(HoldingDependency.holding_id).where(
        HoldingDependency.component_id.in_(wanted.component_ids), is_valid(HoldingDependency, wanted.at)
    )
    return or_(Holding.service_id.in_(services), Holding.id.in_(holdings))


def addressed(
    people: Sequence[Row[int, str, str, str, str]], wanted: Selection, phase: str, values_of: ValuesOf
) -> list[Recipient]:
    """The recipients among these people: those this phase is for, through companies that show Status."""
    if not people:
        return []
    companies = companies_of([person.id for person in people])
    ids = {company_id for each in companies.values() for company_id in each}
    shown = companies_with_status_open(ids)
    services = services_hit(ids & shown, wanted)
    if phase is AFFECTED:
        # Of the others nothing is hit, so there is nothing to name.
        services = as_shown(services)
    wishes = wishes_of([person.id for person in people], ids & shown)
    muting = None if wishes.is_empty else Muting(wishes, wanted, hits_of(services.keys(), wanted))
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
        held = tuple(heard or named)
        reader = Reader(known(person.language), person.time_zone, tuple(told), held, bool(hit))
        found.append((person, reader, is_muted))
    return [
        Recipient(
            person_id=person.id,
            company_ids=reader.company_ids,
            address=person.email,
            name=person.name,
            language=reader.language,
            values=values,
            priority=PRIORITY[phase],
            is_wanted=not is_muted,
        )
        for (person, reader, is_muted), values in zip(
            found, values_of([reader for _person, reader, _is_muted in found]), strict=True
        )
    ]


class Hearer(NamedTuple):
    """A channel that is told: as whom, and the topics this touches for it."""

    reader: Reader
    about: frozenset[str]
    priority: int


def hearers(wanted: Selection, listeners: Sequence[Listener]) -> dict[int, Hearer]:
    """Which channels are told: the same people's rule, for the companies they hear for. At most six queries."""
    ids = {company_id for each in listeners for company_id in each.company_ids}
    shown = companies_with_status_open(ids)
    services = as_shown(services_hit(ids & shown, wanted))
    hits = hits_of(services.keys(), wanted)
    told = {}
    for each in listeners:
        theirs = [company_id for company_id in each.company_ids if company_id in shown]
        hit = [company_id for company_id in theirs if company_id in services]
        if not theirs or not (hit or wanted.is_for_all):
            continue
        held = tuple((company_id, one) for company_id in hit for one in services[company_id])
        about = {service_topic(one.service_id) for _company_id, one in held}
        about |= {component_topic(which) for _company_id, one in held for which in hits.get(one.holding_id, ())}
        if not hit and wanted.hits_somebody:
            about = {wanted.subject.elsewhere}
        reader = Reader(known(each.language), each.time_zone, tuple(hit or theirs), held, bool(hit))
        told[each.id] = Hearer(reader, frozenset(about), PRIORITY[AFFECTED if hit else OTHERS])
    return told


def muted_among(wanted: Selection, people: Collection[tuple[int, tuple[int, ...]]]) -> frozenset[int]:
    """Those of the people, each with the companies a mail reaches them through, who have muted all that is hit.

    At most eight queries.
    """
    company_ids = {company_id for _person_id, theirs in people for company_id in theirs}
    wishes = wishes_of([person_id for person_id, _theirs in people], company_ids)
    if wishes.is_empty:
        return frozenset()
    services = as_shown(services_hit(company_ids, wanted))
    muting = Muting(wishes, wanted, hits_of(services.keys(), wanted))
    return frozenset(person_id for person_id, theirs in people if muting.has_muted_all(person_id, theirs, services))


@dataclass(frozen=True)
class Muting:
    """What some people have muted of it. `hits` are the components through which it hits each holding."""

    wishes: Wishes
    wanted: Selection
    hits: Mapping[int, Collection[int]]

    def hears_of(self, person_id: int, company_id: int, held: Held) -> bool:
        """Whether somebody wants to hear that this holding is hit: by one component at least that they have not muted,
        and not when they have muted the service, or all of this kind."""
        about = (self.wanted.subject.topic, service_topic(held.service_id))
        return self.wishes.wants_all(person_id, company_id, about) and any(
            self.wishes.wants(person_id, company_id, component_topic(component_id))
            for component_id in self.hits.get(held.holding_id, ())
        )

    def wants_no_other(self, person_id: int, company_ids: Collection[int]) -> bool:
        """Whether somebody of whom nothing is hit does not want to hear of it for any of their companies."""
        about = self.wanted.subject if self.wanted.hits_somebody else (self.wanted.subject.topic,)
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


def companies_of(person_ids: Collection[int]) -> dict[int, list[int]]:
    """The companies each of these people acts for, in the order they joined."""
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


def services_hit(company_ids: Collection[int], wanted: Selection) -> dict[int, list[Held]]:
    """What is hit of what each of these companies holds, with their own references."""
    if not wanted.component_ids:
        return {}
    rows = db.session.execute(
        select(Holding.company_id, Holding.id, Service.id, Service.name, Holding.reference)
        .join(Service, Service.id == Holding.service_id)
        .where(Holding.company_id.in_(company_ids), is_valid(Holding, wanted.at), breaks(wanted))
        .order_by(Holding.company_id, Service.position, Service.name_key, Holding.reference)
    )
    found: dict[int, list[Held]] = {}
    for company_id, holding_id, service_id, name, reference in rows:
        found.setdefault(company_id, []).append(Held(holding_id, service_id, name, reference))
    return found


def as_shown(services: Mapping[int, list[Held]]) -> dict[int, list[Held]]:
    """The same for companies that are not shown all they hold: what is hidden counts only where nothing else is hit,
    and then it has no name. One query where nothing is hidden, else three."""
    found = dict(services)
    for company_id, hidden in hidden_from(services.keys()).items():
        shown = [each for each in services[company_id] if each.service_id not in hidden]
        found[company_id] = shown or [each._replace(service="", reference="") for each in services[company_id]]
    return found


def names(held: Iterable[Held]) -> list[str]:
    """What is hit, by name, each once; nothing of what nobody is to read of."""
    return list(dict.fromkeys(each.label for each in held if each.label))


def hits_of(company_ids: Collection[int], wanted: Selection) -> dict[int, set[int]]:
    """For each holding of these companies the components that hit it, through its service or by itself.

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


class Sentences(NamedTuple):
    """What is said of the reader's services, with places for `services` and `number`: those that are hit, so many that
    not all are named, none of theirs, and any of them, for all that is known."""

    hit: str
    hit_by_many: str
    not_hit: str
    unnamed: str

    def about(self, reader: Reader, *, names_components: bool) -> str:
        """The one sentence on what this means for the reader; "" where nobody knows what it touches."""
        services = reader.services
        if not services:
            silent = self.unnamed if reader.is_hit else self.not_hit
            return silent if names_components else ""
        named = ", ".join(services[:NAMED_AT_MOST])
        more = len(services) - NAMED_AT_MOST
        return self.hit_by_many % {"services": named, "number": more} if more > 0 else self.hit % {"services": named}


PLACES = {"services": "%(services)s", "number": "%(number)s"}
"""What keeps the places of a sentence open while it is translated."""


@lru_cache(maxsize=4096)
def written(moment: datetime, language: str, zone_name: str) -> str:
    """A moment in the reader's own zone, with the zone named."""
    local = moment.astimezone(zone(zone_name))
    with force_locale(language):
        return f"{format_datetime(local, DATES[language][1], rebase=False)} {zone_word(local)}"
