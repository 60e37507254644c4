"""What lies on the desk of the demo's status staff: templates, a monitor and what it saw, drafts, a wish for another
slot, postmortems, who reads the status page without a login, and what was promised. It mails nobody."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import delete, func, select

from portal.accounts.models import Company, Membership, Person
from portal.audit.rules import Actor
from portal.catalogue.models import Component
from portal.catalogue.rules import component_topic
from portal.cli.demo import business
from portal.domains.models import PortalDomain
from portal.extensions import db
from portal.incidents import actions as incidents
from portal.incidents.actions.availability import change_contract
from portal.incidents.actions.calendars import make_address
from portal.incidents.actions.drafts import save_draft
from portal.incidents.actions.following import acknowledge, follow
from portal.incidents.actions.monitors import Named, add_monitor, hear
from portal.incidents.actions.postmortems import publish_postmortem, write_postmortem
from portal.incidents.actions.requests import ask_for_slot
from portal.incidents.actions.templates import TemplateContent, keep_starters, keep_template
from portal.incidents.models import Incident, Maintenance
from portal.incidents.rules import Severity, State, Visibility
from portal.incidents.rules.availability import Month
from portal.incidents.rules.drafts import DraftContent
from portal.incidents.rules.monitors import Shape, Signal
from portal.incidents.rules.wordings import Wording
from portal.notifications.models import Broadcast, Delivery
from portal.notifications.subscribers import actions as subscribers

TEMPLATE = TemplateContent(
    name="Fibre cut, digger",
    title="Fibre cut at {{place}}",
    body="A fibre was cut by building work at {{place}}. Everything on {{components}} is without a connection.\n\n"
    "A crew is on its way. **Repairs of this sort take four to eight hours.** We write again as soon as the crew has "
    "seen the damage.",
    state=State.IDENTIFIED,
    promise=60,
)

DRAFT = DraftContent(
    title="Backups of last night started late",
    body="The backups of last night began at 4:10 instead of 1:00, because the vault was being extended. All of them "
    "are complete. There is nothing you need to do.",
    state=State.FIXED,
)

SEEN = Signal(
    fold="packetloss",
    is_over=False,
    title="Packet loss between Leeds and Newcastle",
    text="PacketLossHigh on probe ldn-2: 4.1 % in the last five minutes",
    words=frozenset({"fibre-north", "alertname=packetlosshigh"}),
    severity=Severity.PERFORMANCE_ISSUE,
)

WISH = "On that night we switch our own exchange. Could it be the night after, please?"
SLOT_OF = "Otley Print Works"
"""Who asks for another slot of the work on the exchange."""

LEARNT = (
    "## What happened\n\nA software fault stopped one of our two border controllers while it was under no special load. "
    "The other one took over what had been moved to it by hand.\n\n"
    "## What we have changed\n\n* Registrations move to the other controller by themselves, tested every week.\n"
    "* The supplier has found the fault, and the repaired software is in service."
)
LEARNING = "## What happened\n\nWe are still waiting for the report of our partner."

SUBSCRIBERS = (
    ("north", "status@chevin-architects.example", True, "Asked by telephone, 12 May", ("maintenance",), ""),
    ("north", "it@roundhay-governors.example", False, "On the form for new customers", ("incidents",), ""),
    ("south", "leitstand@isartal-klinik.example", False, "Mit dem Vertrag bestellt", ("incidents",), "fibre-s"),
)
"""At which portal, who, whether many read the mailbox, how staff came to it, and what they hear of: which kinds, and
about which component alone. The second is in quarantine."""

NUMBERS = {"Harewood Travel": "NL-10418", "Kirkstall Logistics": "NL-10377", "Otley Print Works": "NL-10455"}
"""What the accounts of these are called, as the programs of their networks read it in MAINTNOTE."""

PROMISED = {"Kirkstall Logistics": (99_950, True), "Harewood Travel": (99_500, None)}
"""What is promised to them, in thousandths of a percent, and whether maintenance counts as down."""


def lay_out(
    components: Mapping[str, Component],
    portals: Mapping[str, PortalDomain],
    admin: Actor,
    by: Actor,
    now: datetime,
) -> None:
    """Make all of it. What these acts would have told the staff by mail is taken out again."""
    before = db.session.scalar(select(func.max(Broadcast.id))) or 0
    started = now - timedelta(days=90)
    keep_starters(by=by, author_id=by.person_id, now=started)
    keep_template(TEMPLATE, by=by, author_id=by.person_id, now=started)
    _watch(components, admin, now)
    save_draft(DRAFT, by=by, author_id=by.person_id, now=now - timedelta(hours=2), idempotency_key="demo:draft")
    _open_report(by, now)
    _learn(by, now)
    _number(admin, now)
    _ask(now)
    _subscribe(components, portals, by, now)
    made = select(Broadcast.id).where(Broadcast.id > before)
    for row, condition in ((Delivery, Delivery.broadcast_id.in_(made)), (Broadcast, Broadcast.id > before)):
        db.session.execute(delete(row).where(condition), execution_options={"synchronize_session": "fetch"})


def _watch(components: Mapping[str, Component], admin: Actor, now: datetime) -> None:
    """A monitor that saw something half an hour ago and three minutes ago, which nobody has looked at yet."""
    named = [
        Named("fibre-north", components["fibre-n"].id, Severity.PERFORMANCE_ISSUE),
        Named("pbx", components["pbx"].id, Severity.PARTIAL_RTH),
    ]
    monitor, _key = add_monitor(
        "Probes of the network", Shape.ALERTMANAGER, Severity.PARTIAL_RTH, named, by=admin, now=now - timedelta(days=80)
    )
    for minutes in (34, 3):
        hear(monitor.id, [SEEN], now=now - timedelta(minutes=minutes))


def _open_report(by: Actor, now: datetime) -> None:
    """Of the report that is open: a word among staff, one for a single company, and who knows of it."""
    report = db.session.scalars(
        select(Incident).where(Incident.resolved_at.is_(None), Incident.visibility == Visibility.PUBLIC)
    ).one()
    travel = _company("Harewood Travel")
    given: dict[str, Any] = {"by": by, "author_id": by.person_id}
    incidents.post_update(
        report,
        None,
        "The partner says that a card in Slough is being replaced. Do not promise a time yet.",
        {},
        visibility=Visibility.PRIVATE,
        notify=False,
        version=report.version,
        now=now - timedelta(minutes=9),
        **given,
    )
    incidents.post_update(
        report,
        State.IDENTIFIED,
        "Most calls go through the other partner now. Some are still slow to connect.",
        {},
        notify=False,
        version=report.version,
        now=now - timedelta(minutes=6),
        next_update=timedelta(minutes=45),
        wordings=[
            Wording(
                "Your freephone lines come in as always. Calls you make yourselves may be slow to connect.",
                company_id=travel.id,
            )
        ],
        **given,
    )
    for name, minutes in (("Harewood Travel", 5), ("Ilkley Physiotherapy", 4)):
        company = _company(name)
        person = _first_of(company)
        at, who = now - timedelta(minutes=minutes), Actor(person.email, person.id, "198.51.100.20")
        acknowledge(report, company.id, person.id, by=who, now=at)
        follow(report, person.id, company.id, True, by=who, now=at)


def _learn(by: Actor, now: datetime) -> None:
    """A postmortem that everybody may read, and the draft of another: of the last two reports that are fixed."""
    last = db.session.scalars(
        select(Incident)
        .where(Incident.resolved_at.is_not(None), Incident.visibility == Visibility.PUBLIC)
        .order_by(Incident.resolved_at.desc(), Incident.id.desc())
    ).all()
    told = next((each for each in last if each.title == "SIP registrations failing on the London edge"), last[0])
    draft = next(each for each in last if each is not told)
    for report, text in ((told, LEARNT), (draft, LEARNING)):
        at = min(now, (report.resolved_at or now) + timedelta(days=1))
        written = write_postmortem(report, text, version=0, by=by, author_id=by.person_id, now=at)
        if report is told:
            publish_postmortem(report, written, notify=False, version=written.version, by=by, now=at)


def _number(admin: Actor, now: datetime) -> None:
    """Account numbers, what was promised, and the address of a calendar."""
    begun = now - timedelta(days=70)
    for name, number in NUMBERS.items():
        _company(name).external_id = number
    for name, (target, counts) in PROMISED.items():
        change_contract(
            _company(name),
            Month.of(begun, ZoneInfo("UTC")),
            counts_maintenance=counts,
            target=target,
            version=0,
            by=admin,
            now=begun,
        )
    make_address(_company("Harewood Travel").id, by=admin, now=begun)


def _ask(now: datetime) -> None:
    """Somebody would like planned work at another time."""
    company = _company(SLOT_OF)
    person = _first_of(company)
    work = db.session.scalars(
        select(Maintenance).where(Maintenance.title == "New software for the hosted exchange")
    ).one()
    ask_for_slot(
        work,
        company_id=company.id,
        person_id=person.id,
        text=WISH,
        starts_at=work.starts_at + timedelta(days=1),
        ends_at=work.ends_at + timedelta(days=1),
        zone=business.PORTALS["north"].time_zone,
        by=Actor(person.email, person.id, "198.51.100.20"),
        now=now - timedelta(hours=5),
        idempotency_key="demo:slot",
    )


def _subscribe(
    components: Mapping[str, Component], portals: Mapping[str, PortalDomain], by: Actor, now: datetime
) -> None:
    """Who hears of the status without a login; one of them in quarantine."""
    for number, (key, address, is_shared, consent, kinds, component) in enumerate(SUBSCRIBERS):
        made = subscribers.add(
            portals[key].id,
            address,
            [*kinds, *([component_topic(components[component].id)] if component else [])],
            language=business.PORTALS[key].language,
            is_shared=is_shared,
            consent=consent,
            by=by,
            now=now - timedelta(days=60 - number),
        )
        if number == 1:
            why = "Their server refuses everything since they moved; asked on the telephone"
            subscribers.quarantine(made, why=why, version=made.version, by=by, now=now - timedelta(days=4))


def _company(name: str) -> Company:
    return db.session.scalars(select(Company).where(Company.name == name)).one()


def _first_of(company: Company) -> Person:
    of_company = select(Membership.person_id).where(Membership.company_id == company.id)
    return db.session.scalars(select(Person).where(Person.id.in_(of_company)).order_by(Person.id)).first() or _nobody()


def _nobody() -> Person:
    raise LookupError("the company has no people")
