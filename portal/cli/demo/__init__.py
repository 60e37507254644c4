"""Demo data: a believable business, made through the same actions that staff use, only in an empty database."""

import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from sqlalchemy import select

from portal.accounts import actions as accounts
from portal.accounts.models import Company, Person
from portal.accounts.rules import Role
from portal.audit.rules import Actor
from portal.cli.demo import business
from portal.domains import actions as domains
from portal.domains.models import PortalDomain
from portal.domains.rules import Area
from portal.extensions import db

DEMO = Actor("demo")
PASSWORD = "demo-signalbox"  # noqa: S105 (printed at every start; demo data only)
STAFF = {
    "admin@demo.example": ("Miriam Okafor", Role.ADMIN),
    "office@demo.example": ("Tom Haigh", Role.OFFICE),
    "status@demo.example": ("Lena Vogl", Role.STATUS),
}

Progress = Callable[[str], None]


def is_empty() -> bool:
    """Whether nobody and nothing is in the database yet, so that demo data may be made."""
    return db.session.scalar(select(Person.id).limit(1)) is None


def load(now: datetime, *, port: int, progress: Progress = lambda _step: None) -> None:
    """Make the demo business in the current transaction. `port` is where its portals answer."""
    dice = random.Random(2026)  # noqa: S311 (the same business every time)
    founded = now - timedelta(days=400)
    password_hash = accounts.hash_password(PASSWORD)
    progress("staff and portal domains")
    for email, (name, role) in STAFF.items():
        accounts.add_person(name, email, by=DEMO, now=founded, role=role).password_hash = password_hash
    portals = {key: _portal(key, port, founded) for key in business.PORTALS}
    progress("companies and people")
    for key, customers in (("north", business.NORTH_COMPANIES), ("south", business.SOUTH_COMPANIES)):
        names = _names(key, dice)
        for company_name, _services in customers:
            joined = founded + timedelta(days=dice.randrange(200))
            company = accounts.add_company(company_name, by=DEMO, now=joined)
            domains.admit(company, portals[key], is_home=True, by=DEMO, now=joined)
            _people(company, key, names, dice, password_hash, joined)


def _portal(key: str, port: int, now: datetime) -> PortalDomain:
    portal = business.PORTALS[key]
    return domains.add_domain(
        f"http://{portal.host}:{port}",
        portal.brand,
        areas={Area.STATUS, Area.PUBLIC_STATUS, Area.SERVICES},
        accent=portal.accent,
        language=portal.language,
        time_zone=portal.time_zone,
        support_email=portal.support_email,
        support_phone=portal.support_phone,
        by=DEMO,
        now=now,
    )


def _names(key: str, dice: random.Random) -> Iterator[str]:
    pairs = [f"{first} {last}" for first in business.FIRST_NAMES[key] for last in business.LAST_NAMES[key]]
    dice.shuffle(pairs)
    return iter(pairs)


def _people(
    company: Company, key: str, names: Iterator[str], dice: random.Random, password_hash: str, now: datetime
) -> None:
    """One to four people; the first of each company can sign in as customer@<company>.example."""
    host = slug(company.name)
    language, zone = ("de", "Europe/Berlin") if key == "south" else ("en", "Europe/London")
    for number in range(dice.choice((2, 2, 3, 3, 4))):
        name = next(names)
        address = f"customer@{host}.example" if number == 0 else f"{slug(name)}@{host}.example"
        person = accounts.add_person(name, address, by=DEMO, now=now, language=language, time_zone=zone)
        if number == 0:
            person.password_hash = password_hash
        accounts.add_membership(person, company, by=DEMO, now=now)


_PLAIN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ë": "e", "ı": "i", "&": "und"})


def slug(text: str) -> str:
    """A host-name-safe form of a name, such as `kanzlei-dr-roth`."""
    plain = text.casefold().translate(_PLAIN)
    return "-".join("".join(c if c.isascii() and c.isalnum() else " " for c in plain).split())
