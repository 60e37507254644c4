"""The businesses the benchmarks run on, made anew each time: a busy status page, and many companies."""

import random
import secrets
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import insert, select

from portal import clock, events
from portal.accounts.actions import token_hash
from portal.accounts.models import Company, Membership, Person, Session
from portal.audit.rules import SYSTEM
from portal.catalogue import actions as catalogue
from portal.catalogue.models import Component, Holding, Service
from portal.domains import actions as domains
from portal.domains.models import Admission, PortalDomain
from portal.domains.rules import Area
from portal.extensions import db
from portal.incidents import actions as incidents
from portal.incidents.rules import Severity, State

HOST = "a.portal.test"
COMPONENTS = 50
SERVICES = 20
HOLDINGS_EACH = 3
PAST_INCIDENTS = 60
OPEN_INCIDENTS = 5
HISTORY_DAYS = 90
CHUNK = 5_000

_PLACES = ("Frankfurt", "London", "Manchester", "Dublin", "Leeds")
_PARTS = ("Voice core", "SIP trunks", "Fibre", "Portal", "Mail relay", "DNS", "Porting", "Billing", "Wi-Fi", "VPN")
_TEXT = (
    "Calls to mobile numbers fail for some customers. Our carrier has confirmed a fault on its side and is moving "
    "traffic to the second route; we watch the rate of completed calls and write again within the hour."
)


def seed_catalogue(address: str, now: datetime) -> PortalDomain:
    """A portal domain, the components in groups, and services that depend on a few of them each."""
    pick = random.Random(11)  # noqa: S311  # the same business every time
    domain = domains.add_domain(address, "Northline", areas=set(Area), by=SYSTEM, now=now - timedelta(days=400))
    born = now - timedelta(days=400)
    groups = [catalogue.add_group(place, by=SYSTEM, now=born) for place in _PLACES]
    components = [
        catalogue.add_component(
            f"{_PARTS[number % len(_PARTS)]} {group.name}", group_id=group.id, by=SYSTEM, now=born, description=None
        )
        for number, group in enumerate(group for group in groups for _ in range(COMPONENTS // len(groups)))
    ]
    for number in range(SERVICES):
        service = catalogue.add_service(f"Service {number + 1}", by=SYSTEM, now=born, category=_PLACES[number % 5])
        catalogue.set_dependencies(service, [each.id for each in pick.sample(components, 3)], by=SYSTEM, now=born)
    events.commit()
    return domain


def seed_incidents(now: datetime) -> None:
    """Sixty past incidents over ninety days, and five open ones with two updates each."""
    pick = random.Random(12)  # noqa: S311
    components = list(db.session.scalars(select(Component.id).order_by(Component.id)))
    severities = [Severity.PERFORMANCE_ISSUE, Severity.PARTIAL_RTH, Severity.MAJOR_OUTAGE]
    for number in range(PAST_INCIDENTS + OPEN_INCIDENTS):
        is_open = number >= PAST_INCIDENTS
        began = now - (timedelta(hours=3) if is_open else timedelta(hours=pick.randrange(48, HISTORY_DAYS * 24)))
        named = {component: pick.choice(severities) for component in pick.sample(components, 2)}
        incident = incidents.publish(
            f"Fault {number + 1} in {_PLACES[number % 5]}",
            State.INVESTIGATING,
            _TEXT,
            named,
            notify=False,
            now=began,
            idempotency_key=f"bench-{number}",
            started_at=began,
            by=SYSTEM,
            author_id=None,
        )
        for step, state in enumerate([State.IDENTIFIED, State.WATCHING] + ([] if is_open else [State.FIXED])):
            incidents.post_update(
                incident,
                state,
                _TEXT,
                {},
                notify=False,
                version=incident.version,
                now=began + timedelta(minutes=20 * (step + 1)),
                idempotency_key=f"bench-{number}-{step}",
                by=SYSTEM,
                author_id=None,
            )
    events.commit()


def seed_companies(domain_id: int, count: int, now: datetime) -> None:
    """That many companies with one person and three holdings each, by bulk insert."""
    pick = random.Random(13)  # noqa: S311
    born = now - timedelta(days=300)
    services = list(db.session.scalars(select(Service.id).order_by(Service.id)))
    numbers = range(1, count + 1)
    insert_rows(
        Company, ({"id": n, "name": f"Company {n}", "name_key": f"company {n}", "created_at": born} for n in numbers)
    )
    people = (
        {
            "id": n,
            "name": f"Person {n}",
            "email": f"person{n}@company{n}.example",
            "email_key": f"person{n}@company{n}.example",
            "created_at": born,
        }
        for n in numbers
    )
    insert_rows(Person, people)
    insert_rows(Membership, ({"person_id": n, "company_id": n, "created_at": born} for n in numbers))
    insert_rows(Admission, ({"company_id": n, "domain_id": domain_id, "is_home": True} for n in numbers))
    holdings = (
        {"company_id": n, "service_id": service, "reference": f"CIR-{n:06d}-{place}", "valid_from": born}
        for n in numbers
        for place, service in enumerate(pick.sample(services, HOLDINGS_EACH))
    )
    insert_rows(Holding, holdings)
    db.session.commit()


def open_sessions(company_ids: Iterable[int], each: int, now: datetime) -> dict[int, list[str]]:
    """Session cookies by company, of the person of the same number; the one place where they can be read."""
    cookies: dict[int, list[str]] = {n: [secrets.token_urlsafe(32) for _ in range(each)] for n in company_ids}
    rows = (
        {
            "token_hash": token_hash(cookie),
            "person_id": n,
            "company_id": n,
            "host": HOST,
            "ip": "127.0.0.1",
            "user_agent": "bench",
            "created_at": now,
            "last_seen_at": now,
        }
        for n, found in cookies.items()
        for cookie in found
    )
    insert_rows(Session, rows)
    db.session.commit()
    return cookies


def seed(address: str, companies: int) -> None:
    """The whole business, in the database of the current app."""
    now = clock.utcnow()
    domain_id = seed_catalogue(address, now).id
    seed_incidents(now)
    seed_companies(domain_id, companies, now)


def insert_rows(model: type[Any], rows: Iterable[dict[str, Any]]) -> None:
    """Insert many rows, some thousand at a time."""
    for chunk in _chunks(rows):
        db.session.execute(insert(model), chunk)


def _chunks(rows: Iterable[dict[str, Any]]) -> Iterator[Sequence[dict[str, Any]]]:
    source = iter(rows)
    while chunk := list(islice(source, CHUNK)):
        yield chunk
