"""The doors of the demo business: who signs in and from where, who is still outside, and what came in by file."""

import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from io import BytesIO

from sqlalchemy import select

from portal.accounts import actions as accounts
from portal.accounts.actions.links import issue
from portal.accounts.actions.tokens import make_token
from portal.accounts.models import Company, Membership, Person
from portal.accounts.queries import person_by_email
from portal.accounts.queries.names import company_named
from portal.accounts.rules import Role
from portal.accounts.rules.links import Purpose
from portal.accounts.rules.tokens import Scope
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.catalogue import actions as catalogue
from portal.catalogue.models import Service
from portal.cli.demo import business
from portal.domains import actions as domains
from portal.domains.models import Admission, PortalDomain
from portal.domains.rules import Area
from portal.extensions import db
from portal.records import actions as records
from portal.records import exports
from portal.records.kinds import kind_named
from portal.records.models import ImportRun
from portal.records.rules import Verdict
from portal.records.rules.exports import ExportKind
from portal.records.working import Work

OFFICE = "192.0.2.14"
"""Where the staff sit, as the audit trail has it; the block is for documentation (RFC 5737)."""

DAYS_BETWEEN = 11.0
"""Days since a person's last sign-in, in the mean."""

MOVE, EXCEPTION, LEFT, TOKEN, EXPORT = (timedelta(days=days) for days in (9, 24, 12, 31, 2))
"""How long ago the firm took customers over, made an exception, saw somebody leave, made a token, and an export."""


HELD = 600.0
"""Seconds for which the demo's imports are held from now on: longer than making it takes."""


def actor(person: Person) -> Actor:
    """A member of the staff at their desk."""
    return Actor(person.email, person.id, OFFICE)


def open_them(
    portals: Mapping[str, PortalDomain],
    services: Mapping[str, Service],
    staff: Mapping[Role, Person],
    dice: random.Random,
    now: datetime,
) -> None:
    """Make all of it, at the times it would have happened. Nobody is mailed, and no key of it can be used."""
    admin = actor(staff[Role.ADMIN])
    _portals(portals, admin, now)
    _people(staff, dice, admin, now)
    make_token("Monitoring", Scope.READ, by=admin, now=_at(now, TOKEN, 11))
    moved = _at(now, MOVE, 9)
    until = (now - moved).total_seconds() + HELD
    _bring_in("companies", business.COMPANIES_CSV, admin, moved, until)
    _bring_in("people", business.PEOPLE_CSV, admin, moved + timedelta(minutes=6), until)
    for name, _number, held in business.MOVED_IN:
        for number, key in enumerate(held):
            reference = f"{business.REFERENCES[key]}-{dice.randrange(10_000, 99_999)}"
            later = moved + timedelta(minutes=20 + number)
            catalogue.add_holding(_company(name), services[key], by=admin, now=later, reference=reference)
    _invitations(staff[Role.ADMIN], dice, moved, now)
    _export(_company(business.LEAVER), admin, _at(now, EXPORT, 15))


def _portals(portals: Mapping[str, PortalDomain], by: Actor, now: datetime) -> None:
    for key, portal in portals.items():
        told = business.PORTALS[key]
        if told.wordings:
            words = dict(told.wordings)
            domains.set_wordings(
                portal, told.language, words, defaults={}, version=portal.version, by=by, now=_at(now, EXCEPTION, 10)
            )
        for host in told.further_hosts:
            domains.add_host(
                portal, host, staff_host="localhost", version=portal.version, by=by, now=_at(now, EXCEPTION, 11)
            )
    name, area = business.CLOSED_AREA
    domains.set_override(portals["north"], _company(name), Area(area), False, by=by, now=_at(now, EXCEPTION, 14))


def _people(staff: Mapping[Role, Person], dice: random.Random, by: Actor, now: datetime) -> None:
    """Who acts for a second company, who left, and when everybody who can was last here."""
    address, second = business.SECOND_COMPANY
    if person := person_by_email(address):
        accounts.add_membership(person, _company(second), by=by, now=_at(now, LEFT, 10))
    for person, company_id, host in db.session.execute(
        select(Person, Membership.company_id, PortalDomain.host)
        .join(Membership, Membership.person_id == Person.id)
        .join(Admission, (Admission.company_id == Membership.company_id) & Admission.is_home)
        .join(PortalDomain, PortalDomain.id == Admission.domain_id)
        .where(Person.password_hash.is_not(None))
        .order_by(Membership.id)
    ).all():
        if person.last_signed_in_at is None:
            ago = timedelta(days=min(80.0, dice.expovariate(1 / DAYS_BETWEEN)))
            _sign_in(person, company_id, host, ago=ago, dice=dice, now=now)
    for member, hours in zip(staff.values(), (19, 26, 68), strict=True):
        _sign_in(member, None, "localhost", ago=timedelta(hours=hours), dice=dice, now=now, ip=OFFICE)
    leaver = db.session.scalars(
        select(Person)
        .join(Membership, Membership.person_id == Person.id)
        .where(Membership.company_id == _company(business.LEAVER).id)
        .order_by(Person.id.desc())
        .limit(1)
    ).one()
    accounts.deactivate_person(leaver, version=leaver.version, by=by, now=_at(now, LEFT, 16))


def _sign_in(
    person: Person,
    company_id: int | None,
    host: str,
    *,
    ago: timedelta,
    dice: random.Random,
    now: datetime,
    ip: str | None = None,
) -> None:
    """A sign-in in working hours. Its token goes nowhere, so the session can be seen and ended but not used."""
    moment = (now - ago).replace(hour=dice.randrange(7, 18), minute=dice.randrange(60))
    if moment > now - timedelta(minutes=35):
        moment -= timedelta(days=1)
    accounts.open_session(
        person,
        company_id,
        host,
        ip=ip or f"198.51.100.{dice.randrange(1, 255)}",
        user_agent=dice.choice(business.BROWSERS),
        now=moment,
    )
    db.session.refresh(person)


def _bring_in(kind: str, text: str, by: Actor, now: datetime, held: float) -> None:
    """Send a file, have it tried and applied, leaving out what cannot come in, as somebody would on the screen.

    The run is held for so many seconds from `now`, so that no process that is at work takes it over.
    """
    run = records.begin(kind, f"{kind}.csv", text.encode(), by=by, now=now)
    wrong = records.plan(
        run,
        run.mapping,
        {option.name: option.values()[0][0] for option in records.options_of(kind_named(kind))},
        version=run.version,
        by=by,
        now=now + timedelta(minutes=1),
    )
    if wrong:
        raise ValueError(f"the demo's own {kind}.csv cannot be read: {wrong}")
    run_id = run.id
    Work(run_id, now=lambda: now + timedelta(minutes=1), lease_seconds=held).run()
    run = db.session.get_one(ImportRun, run_id)
    applied = now + timedelta(minutes=4)
    records.apply(
        run,
        leave_out_refused=bool(run.counts[Verdict.REFUSED]),
        plan_hash=run.plan_hash or "",
        version=run.version,
        by=by,
        now=applied,
    )
    Work(run_id, now=lambda: applied, lease_seconds=held).run()


def _invitations(admin: Person, dice: random.Random, moved: datetime, now: datetime) -> None:
    """Those who came by file were invited: one has signed up, one let it lapse, the others have yet to answer."""
    by = actor(admin)
    name, address = business.NEW_COLLEAGUE
    colleague = accounts.add_person(name, address, role=Role.OFFICE, by=by, now=_at(now, timedelta(days=1), 10))
    _invite(colleague, by, colleague.created_at)
    first, second, *others = db.session.execute(
        select(Person, Membership.company_id)
        .join(Membership, Membership.person_id == Person.id)
        .join(Company, Company.id == Membership.company_id)
        .where(Company.name.in_([company for company, *_rest in business.MOVED_IN]))
        .order_by(Person.id)
    ).all()
    for person, company_id in (first, second):
        _invite(person, by, moved + timedelta(minutes=30), company_id)
    for number, (person, company_id) in enumerate(others, start=1):
        _invite(person, by, _at(now, timedelta(days=number), 9), company_id)
    person, company_id = first
    person.password_hash, person.password_changed_at = admin.password_hash, moved + timedelta(hours=3)
    _sign_in(person, company_id, business.PORTALS["north"].host, ago=timedelta(days=2), dice=dice, now=now)


def _invite(person: Person, by: Actor, now: datetime, company_id: int | None = None) -> None:
    """As an invitation is, without its mail: a demo writes to nobody by itself."""
    issue(person, Purpose.INVITATION, now=now, by_id=by.person_id, details={"company_id": company_id})
    audit.record("person.invite", object_kind="person", object_id=person.id, company_id=company_id, by=by, now=now)


def _export(company: Company, by: Actor, now: datetime) -> None:
    """Everything held about one company, put together and waiting to be fetched."""
    run = exports.request_export(
        ExportKind.COMPANY,
        company.id,
        f"company-{'-'.join(company.name.lower().split())}-{now:%Y-%m-%d}.zip",
        by=by,
        now=now,
    )
    claimed = exports.claim(run.id, now)
    if claimed is None or claimed.leased_until is None:
        raise RuntimeError("somebody else makes the export of an empty database")
    file, lease = BytesIO(), claimed.leased_until
    rows = max(exports.write_all(file, ExportKind.COMPANY, company.id, now))
    exports.store(run.id, 0, file.getvalue())
    exports.keep(run.id, lease, now, parts_done=claimed.parts, rows=rows)
    exports.finish(run.id, lease, len(file.getvalue()), now + timedelta(seconds=3))


def _company(name: str) -> Company:
    found = company_named(name)
    if found is None:
        raise LookupError(name)
    return found


def _at(now: datetime, ago: timedelta, hour: int) -> datetime:
    """That long ago, in that hour of the day."""
    return (now - ago).replace(hour=hour, minute=12)
