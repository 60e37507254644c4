"""Demo data: a believable business, made through the same actions that staff use, only in an empty database."""

import random
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta

from sqlalchemy import select

from portal.accounts import actions as accounts
from portal.accounts.models import Company, Person
from portal.accounts.rules import Role
from portal.audit.rules import Actor
from portal.catalogue import actions as catalogue
from portal.catalogue.models import Component, Service
from portal.catalogue.notices import actions as notices
from portal.catalogue.notices.rules import Chosen
from portal.catalogue.rules.services import Details
from portal.cli.demo import alarms, business, desk, doors, history, maintenance, measured, statuses, telephony, work
from portal.domains import actions as domains
from portal.domains.announcements import actions as announcements
from portal.domains.models import PortalDomain
from portal.domains.rules import BUILT_AREAS
from portal.extensions import db
from portal.incidents import actions as incidents
from portal.incidents.rules import Visibility
from portal.incidents.upkeep import refresh_history

DEMO = Actor("demo")
PASSWORD = "demo-signalbox"  # noqa: S105 (printed at every start; demo data only)
STAFF = {
    "admin@demo.example": ("Miriam Okafor", Role.ADMIN),
    "office@demo.example": ("Tom Haigh", Role.OFFICE),
    "status@demo.example": ("Lena Vogl", Role.STATUS),
}

CAN_SIGN_IN = 0.7
"""How many of a company's other people have chosen a password."""

Progress = Callable[[str], None]


def is_empty() -> bool:
    """Whether nobody and nothing is in the database yet, so that demo data may be made."""
    return db.session.scalar(select(Person.id).limit(1)) is None


def load(now: datetime, *, port: int, progress: Progress = lambda _step: None) -> None:
    """Make the demo business. `port` is where its portals answer. It mails nobody.

    The files it brings in are committed as any import is, and what was made before them with it; the rest is left to
    the caller's commit.
    """
    dice = random.Random(2026)  # noqa: S311 (the same business every time)
    founded = now - timedelta(days=400)
    password_hash = accounts.hash_password(PASSWORD)
    progress("staff and portal domains")
    staff = {role: _staff(email, password_hash, founded) for email, (_name, role) in STAFF.items()}
    admin, status = doors.actor(staff[Role.ADMIN]), doors.actor(staff[Role.STATUS])
    portals = {key: _portal(key, port, by=admin, now=founded) for key in business.PORTALS}
    progress("components and services")
    components = _components(by=status, now=founded)
    services = _services(components, by=status, now=founded)
    progress("companies, people and what they hold")
    for key, customers in (("north", business.NORTH_COMPANIES), ("south", business.SOUTH_COMPANIES)):
        names = _names(key, dice)
        for company_name, held in customers:
            joined = founded + timedelta(days=dice.randrange(200), minutes=dice.randrange(600))
            company = accounts.add_company(company_name, by=admin, now=joined)
            domains.admit(company, portals[key], is_home=True, by=admin, now=joined)
            _people(company, key, names, dice, password_hash=password_hash, by=admin, now=joined)
            for service_key in held:
                reference = f"{business.REFERENCES[service_key]}-{dice.randrange(10_000, 99_999)}"
                catalogue.add_holding(company, services[service_key], by=admin, now=joined, reference=reference)
    progress("a year of incidents")
    _past(components, dice, status, now)
    _present(components, status, now)
    _drafts(portals, services, status, staff[Role.STATUS], now)
    _announcements(portals, status, now)
    progress("maintenance")
    maintenance.plan_it(components, status, now)
    progress("how services are and were")
    statuses.state_them(services, status, now)
    progress("a month of measurements")
    measured.measure(portals, status, now)
    telephony.telephone(admin, now)
    alarms.watch(admin, now)
    progress("jobs, quotes and messages")
    work.do_it(list(staff.values()), now)
    progress("who comes in by which door")
    doors.open_them(portals, services, staff, dice, now)
    progress("what waits for the status staff")
    desk.lay_out(components, portals, admin, status, now)


def _drafts(
    portals: Mapping[str, PortalDomain], services: Mapping[str, Service], by: Actor, author: Person, now: datetime
) -> None:
    """Notices that somebody has begun to write; nothing starts them."""
    for number, (portal, service, wordings) in enumerate(business.DRAFTS):
        chosen = Chosen.of(
            domains=[portals[portal].id] if portal else (), services=[services[service].id] if service else ()
        )
        written = now - timedelta(days=2 + number, minutes=17)
        notices.write(wordings, chosen, by=by, author_id=author.id, now=written)


def _announcements(portals: Mapping[str, PortalDomain], by: Actor, now: datetime) -> None:
    """What stands on the portal domains since yesterday, though nothing is broken."""
    for key, wordings in business.ANNOUNCEMENTS.items():
        announcements.announce(
            portals[key],
            wordings,
            starts_at=now - timedelta(days=1),
            ends_at=None,
            is_pinned=False,
            by=by,
            author_id=by.person_id,
            now=now - timedelta(days=1),
            idempotency_key=f"demo:announcement:{key}",
        )


def _staff(email: str, password_hash: str, now: datetime) -> Person:
    name, role = STAFF[email]
    person = accounts.add_person(name, email, by=DEMO, now=now, role=role)
    person.password_hash, person.password_changed_at = password_hash, now
    return person


def _portal(key: str, port: int, *, by: Actor, now: datetime) -> PortalDomain:
    portal = business.PORTALS[key]
    return domains.add_domain(
        f"http://{portal.host}:{port}",
        portal.brand,
        areas=set(BUILT_AREAS),
        accent=portal.accent,
        tagline=portal.tagline,
        language=portal.language,
        time_zone=portal.time_zone,
        support_email=portal.support_email,
        support_phone=portal.support_phone,
        support_hours=portal.support_hours,
        by=by,
        now=now,
    )


def _components(*, by: Actor, now: datetime) -> dict[str, Component]:
    components = {}
    for group_name, rows in business.GROUPS.items():
        group = catalogue.add_group(group_name, by=by, now=now)
        for key, title, description in rows:
            components[key] = catalogue.add_component(
                title, description=description or None, group_id=group.id, by=by, now=now
            )
    return components


def _services(components: dict[str, Component], *, by: Actor, now: datetime) -> dict[str, Service]:
    services = {}
    for key, offer in business.SERVICES.items():
        service = catalogue.add_service(
            offer.name,
            category=offer.category,
            description=offer.description,
            details=Details(offer.icon, offer.aliases),
            by=by,
            now=now,
        )
        catalogue.set_dependencies(service, [components[each].id for each in offer.components], by=by, now=now)
        services[key] = service
    return services


def _past(components: dict[str, Component], dice: random.Random, by: Actor, now: datetime) -> None:
    """Every scenario two to four times over the year, mostly in working hours, never the same day twice.

    Each is written down a little after its end, the oldest first.
    """
    days = dice.sample(range(3, 362), k=len(history.SCENARIOS) * 4)
    past = []
    for number, scenario in enumerate(history.SCENARIOS):
        for repeat in range(dice.choice((2, 3, 3, 4))):
            day = now - timedelta(days=days[number * 4 + repeat])
            started = day.replace(
                hour=dice.choice((3, 7, 8, 9, 9, 10, 11, 13, 14, 15, 16, 20)), minute=dice.randrange(60)
            )
            past.append((_timeline(scenario, components, started, dice), scenario.title, f"demo:{number}:{repeat}"))
    for timeline, title, key in sorted(past, key=lambda each: each[0][0].posted_at):
        written = min(now, timeline[-1].posted_at + timedelta(minutes=20))
        incidents.backfill(title, timeline, by=by, author_id=by.person_id, now=written, idempotency_key=key)
    # Each was packed into the days known when it was written; the days since are clear.
    refresh_history([component.id for component in components.values()], now)


def _timeline(
    scenario: history.Scenario, components: dict[str, Component], started: datetime, dice: random.Random
) -> list[incidents.PastUpdate]:
    """The scenario's updates from `started` on; each pause is its own by up to a third longer or shorter."""
    timeline, moment = [], started
    for step in scenario.steps:
        moment += timedelta(minutes=round(step.after * dice.uniform(0.7, 1.3)))
        severities = {components[key].id: severity for key, severity in step.severities.items()}
        timeline.append(incidents.PastUpdate(moment, step.state, step.text, severities))
    return timeline


def _present(components: dict[str, Component], by: Actor, now: datetime) -> None:
    """What is open when the demo starts: one report everybody may read, and a private one. Neither mails anybody."""
    for scenario, visibility, age in (
        (history.PRIVATE, Visibility.PRIVATE, 2900),
        (history.OPEN, Visibility.PUBLIC, 27),
    ):
        first, *later = scenario.steps
        promised = timedelta(minutes=45) if visibility is Visibility.PUBLIC else None
        moment = now - timedelta(minutes=age)
        report = incidents.publish(
            scenario.title,
            first.state,
            first.text,
            {components[key].id: severity for key, severity in first.severities.items()},
            visibility=visibility,
            notify=False,
            by=by,
            author_id=by.person_id,
            now=moment,
            idempotency_key=f"demo:{visibility}",
            next_update=promised,
        )
        for step in later:
            moment += timedelta(minutes=step.after)
            incidents.post_update(
                report,
                step.state,
                step.text,
                {components[key].id: severity for key, severity in step.severities.items()},
                notify=False,
                version=report.version,
                by=by,
                author_id=by.person_id,
                now=moment,
                next_update=promised,
            )


def _names(key: str, dice: random.Random) -> Iterator[str]:
    pairs = [f"{first} {last}" for first in business.FIRST_NAMES[key] for last in business.LAST_NAMES[key]]
    dice.shuffle(pairs)
    return iter(pairs)


def _people(
    company: Company,
    key: str,
    names: Iterator[str],
    dice: random.Random,
    *,
    password_hash: str,
    by: Actor,
    now: datetime,
) -> None:
    """One to four people; the first of each company signs in as customer@<company>.example, most others can too."""
    host = slug(company.name)
    language, zone = ("de", "Europe/Berlin") if key == "south" else ("en", "Europe/London")
    for number in range(dice.choice((2, 2, 3, 3, 4))):
        name = next(names)
        address = f"customer@{host}.example" if number == 0 else f"{slug(name)}@{host}.example"
        person = accounts.add_person(name, address, by=by, now=now, language=language, time_zone=zone)
        if number == 0 or dice.random() < CAN_SIGN_IN:
            person.password_hash = password_hash
            person.password_changed_at = now + timedelta(hours=dice.randrange(1, 100))
        accounts.add_membership(person, company, by=by, now=now)


_PLAIN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ë": "e", "ı": "i", "&": ""})


def slug(text: str) -> str:
    """A host-name-safe form of a name, such as `kanzlei-dr-roth`."""
    plain = text.casefold().translate(_PLAIN)
    return "-".join("".join(c if c.isascii() and c.isalnum() else " " for c in plain).split())
