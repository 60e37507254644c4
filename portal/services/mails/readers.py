"""Who hears of an update of services, a page of people at a time, and what channels are told of it."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, exists, select

from portal.accounts.models import Company, Membership, Person
from portal.catalogue.models import Holding, Service
from portal.catalogue.rules import service_topic
from portal.domains.queries import companies_with_area_open, companies_with_status_open
from portal.domains.rules import Area
from portal.extensions import db
from portal.language import known
from portal.notifications.kinds import Cursor, Listener, Recipient, Told
from portal.notifications.templates.placeholders import on_one_line
from portal.notifications.wishes import Wishes, wishes_of
from portal.services.letters import END, INCIDENT, NOTES, PATH, TICKET, labels_of
from portal.services.mails.filling import Firm, Held, values_for
from portal.services.mails.selecting import Selection, kept_back_in
from portal.services.models import UpdateTarget
from portal.services.queries.hearing import TOPIC, status_topic
from portal.services.queries.settings import views_of
from portal.services.rules import ServiceStatus

PRIORITY = {
    ServiceStatus.DOWN: 0,
    ServiceStatus.INTERMITTENT: 1,
    ServiceStatus.NORMAL: 2,
    ServiceStatus.SCHEDULED: 20,
}
"""Added to that of the broadcast: who has a problem now hears of it before anybody is told of plans."""


def recipients(
    selector: dict[str, Any], after: Cursor | None, limit: int, now: datetime
) -> tuple[Sequence[Recipient], Cursor | None]:
    """The next people of the companies an update is about, by id; somebody of several is told once, of all of theirs.

    At most eleven queries.
    """
    wanted = Selection.read(selector)
    people = _people(wanted, after["person_id"] if after else 0, limit)
    found = _addressed(people, wanted)
    return found, {"person_id": people[-1].id} if len(people) == limit else None


def goes_beyond(selector: dict[str, Any], count: int, now: datetime) -> bool:
    """Whether there are more people than so many whom an update may concern. One query."""
    return bool(_people(Selection.read(selector), 0, 1, past=count))


def _people(wanted: Selection, after: int, limit: int, *, past: int = 0) -> Sequence[Row[int, str, str, str, str]]:
    # Asked of each person in turn, which is two looks into indexes: the targets may be ten thousand, the page is not.
    of_company = exists().where(UpdateTarget.company_id == Membership.company_id, wanted.is_target())
    hears = exists().where(Membership.person_id == Person.id, of_company.correlate(Membership)).correlate(Person)
    return db.session.execute(
        select(Person.id, Person.name, Person.email, Person.language, Person.time_zone)
        .where(Person.id > after, Person.deactivated_at.is_(None), hears)
        .order_by(Person.id)
        .limit(limit)
        .offset(past)
    ).all()


def _addressed(people: Sequence[Row[int, str, str, str, str]], wanted: Selection) -> list[Recipient]:
    if not people:
        return []
    companies = _companies_of([person.id for person in people])
    reach = _Reach({each.id for theirs in companies.values() for each in theirs}, wanted)
    wishes = wishes_of([person.id for person in people], reach.held)
    found = []
    for person in people:
        hit = [each for each in companies.get(person.id, ()) if each.id in reach.held]
        if not hit:
            continue
        named = [(each, one) for each in hit for one in reach.held[each.id]]
        heard = [(each, one) for each, one in named if _wants(wishes, person.id, each.id, one, wanted)]
        told = list(dict.fromkeys(each for each, _one in heard)) or hit
        found.append(
            Recipient(
                person_id=person.id,
                company_ids=tuple(each.id for each in told),
                address=person.email,
                name=person.name,
                language=known(person.language),
                values=_values(known(person.language), person.time_zone, heard or named, wanted),
                priority=PRIORITY[wanted.status],
                is_wanted=bool(heard),
                variant=reach.variant([each.id for each in told]),
            )
        )
    return found


def _wants(wishes: Wishes, person_id: int, company_id: int, held: Held, wanted: Selection) -> bool:
    """Whether somebody wants to hear this of a service: neither the list, nor it, nor the status is unwanted."""
    about = (TOPIC, status_topic(wanted.status), service_topic(held.service_id))
    return wishes.wants_all(person_id, company_id, about)


class _Reach:
    """What an update is about for some companies: those that see their services, without what they do not see."""

    def __init__(self, company_ids: Collection[int], wanted: Selection) -> None:
        shown = companies_with_area_open(Area.SERVICES, company_ids) if company_ids else frozenset[int]()
        self.wanted = wanted
        self.views = views_of(shown) if shown else {}
        self.held = self._held(shown)
        self._sees_incident: frozenset[int] = frozenset()
        if INCIDENT in wanted.to_keep and self.held:
            self._sees_incident = companies_with_status_open(list(self.held))

    def _held(self, company_ids: Collection[int]) -> dict[int, list[Held]]:
        if not company_ids:
            return {}
        rows = db.session.execute(
            select(UpdateTarget.company_id, Service.id, Service.name, Holding.reference)
            .join(Service, Service.id == UpdateTarget.service_id)
            .join(Holding, Holding.id == UpdateTarget.holding_id)
            .where(UpdateTarget.company_id.in_(company_ids), self.wanted.is_target())
            .order_by(UpdateTarget.company_id, Service.position, Service.name_key, Holding.reference)
        )
        found: dict[int, list[Held]] = {}
        for company_id, service_id, name, reference in rows:
            if service_id not in self.views[company_id].hidden_services:
                held = Held(service_id, on_one_line(name), on_one_line(reference))
                found.setdefault(company_id, []).append(held)
        return found

    def kept_back(self, company_ids: Collection[int]) -> frozenset[str]:
        """What is kept from somebody told for all of these companies: whatever one of them does not see."""
        kept = {letter for company_id in company_ids for letter in kept_back_in(self.views[company_id])}
        if not self._sees_incident.issuperset(company_ids):
            kept.add(INCIDENT)
        return frozenset(kept)

    def variant(self, company_ids: Collection[int]) -> str:
        return self.wanted.variant(self.kept_back(company_ids))


def _companies_of(person_ids: Collection[int]) -> dict[int, list[Firm]]:
    rows = db.session.execute(
        select(Membership.person_id, Company.id, Company.name)
        .join(Company, Company.id == Membership.company_id)
        .where(Membership.person_id.in_(person_ids), Company.archived_at.is_(None))
        .order_by(Membership.person_id, Membership.id)
    )
    found: dict[int, list[Firm]] = {}
    for person_id, company_id, name in rows:
        found.setdefault(person_id, []).append(Firm(company_id, on_one_line(name)))
    return found


def muted_by(
    selector: dict[str, Any], people: Collection[tuple[int, tuple[int, ...]]], now: datetime
) -> frozenset[int]:
    """Those of the people, each with the companies a mail reaches them through, who want none of it any more.

    At most eight queries.
    """
    wanted = Selection.read(selector)
    company_ids = {company_id for _person_id, theirs in people for company_id in theirs}
    wishes = wishes_of([person_id for person_id, _theirs in people], company_ids)
    if wishes.is_empty:
        return frozenset()
    held = _Reach(company_ids, wanted).held
    return frozenset(
        person_id
        for person_id, theirs in people
        if not any(
            _wants(wishes, person_id, company_id, one, wanted)
            for company_id in theirs
            for one in held.get(company_id, ())
        )
    )


def tell_channels(selector: dict[str, Any], listeners: Sequence[Listener], now: datetime) -> Mapping[int, Told]:
    """What channels are told of an update: those of the companies it is about. At most eight queries."""
    wanted = Selection.read(selector)
    ids = {company_id for each in listeners for company_id in each.company_ids}
    reach = _Reach(ids, wanted)
    names: dict[int, str] = {}
    if reach.held:
        names = dict(db.session.execute(select(Company.id, Company.name).where(Company.id.in_(reach.held))).all())
    told = {}
    for each in listeners:
        hit = tuple(company_id for company_id in each.company_ids if company_id in reach.held)
        if not hit:
            continue
        named = [(Firm(one, on_one_line(names[one])), held) for one in hit for held in reach.held[one]]
        kept_back = reach.kept_back(hit)
        told[each.id] = Told(
            company_ids=hit,
            # A channel is nobody's mailbox: what a mail says of those has no value here.
            values={"support": "", "address": "", "unsubscribe_url": ""}
            | _values(known(each.language), each.time_zone, named, wanted),
            path=PATH,
            event="service_status.changed",
            data={
                "update": _seen_by(selector.get("facts", {}), kept_back, wanted),
                "services": labels_of([(one.name, one.reference) for _company, one in named]),
            },
            about=frozenset(service_topic(one.service_id) for _company, one in named),
            priority=PRIORITY[wanted.status],
            variant=reach.variant(hit),
        )
    return told


def _seen_by(facts: Mapping[str, Any], kept_back: frozenset[str], wanted: Selection) -> dict[str, Any]:
    """What a machine is told, without what its company does not see."""
    hidden = {NOTES: "text", TICKET: "ticket", END: "ends_at"}
    gone = {name for letter, name in hidden.items() if letter in kept_back & wanted.to_keep}
    return {name: value for name, value in facts.items() if name not in gone}


def _values(language: str, time_zone: str, named: Sequence[tuple[Firm, Held]], wanted: Selection) -> dict[str, str]:
    return values_for(language, time_zone, named, wanted.moments, is_digest=wanted.is_digest)
