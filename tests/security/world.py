"""A world in which every private text carries a canary, and the cast of all who may come knocking."""

import hashlib
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from portal import clock, events
from portal.accounts import actions as accounts
from portal.accounts.actions.companies import tag_company
from portal.accounts.actions.tokens import make_token
from portal.accounts.models import Company, Person, Session
from portal.accounts.rules.tokens import Scope
from portal.alerts.actions import add_alert
from portal.alerts.models import AlertTemplate
from portal.alerts.rules import AlertArea, Operator
from portal.alerts.rules.checks import Wanted as WantedAlert
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM, Actor
from portal.catalogue.models import (
    Component,
    ComponentGroup,
    Holding,
    Service,
    ServiceDependency,
)
from portal.catalogue.notices import actions as notices
from portal.catalogue.notices.rules import Chosen
from portal.domains.announcements.actions import announce
from portal.domains.models import PortalHost
from portal.domains.queries.hosts import hosts_of
from portal.extensions import db
from portal.files import store
from portal.files.actions import Giver, keep
from portal.files.subjects import Ref
from portal.files.taking import take
from portal.incidents import actions as incidents
from portal.incidents.actions.drafts import save_draft
from portal.incidents.actions.monitors import Named, add_monitor
from portal.incidents.actions.templates import TemplateContent, keep_template
from portal.incidents.models import (
    BaseStatus,
    Freeze,
    Incident,
    IncidentUpdate,
    Maintenance,
    MaintenanceComponent,
    MaintenanceSeries,
    MaintenanceUpdate,
    SlotRequest,
)
from portal.incidents.rules import Audience, MaintenanceState, Severity, State, Visibility
from portal.incidents.rules.drafts import DraftContent
from portal.incidents.rules.maintenance import WorkImpact
from portal.incidents.rules.monitors import Shape
from portal.incidents.rules.wordings import Wording
from portal.jobs.actions import create_item, move, save_table
from portal.jobs.actions.saved_views import save_view
from portal.jobs.queries import settings_of
from portal.jobs.rules import Role as WorkRole
from portal.jobs.rules import Showing, WorkKind, written_number
from portal.messages.actions import write as write_message
from portal.notifications.actions import set_contact, suppress
from portal.notifications.actions.relays import Address as RelayAddress
from portal.notifications.actions.relays import Load as RelayLoad
from portal.notifications.actions.relays import add_relay
from portal.notifications.channels.actions import add_channel
from portal.notifications.channels.rules import ChannelKind
from portal.notifications.models import Broadcast, Delivery, Relay, Suppression
from portal.notifications.profiles import Security as RelaySecurity
from portal.notifications.rules import SuppressionReason
from portal.notifications.subscribers.actions import add as add_subscriber
from portal.notifications.subscribers.actions import add_room
from portal.notifications.subscribers.models import Subscriber
from portal.notifications.subscribers.rules import SubscriberKind
from portal.records import actions as imports
from portal.records import exports
from portal.records.kinds import kind_named
from portal.records.rules.exports import ExportKind
from portal.records.working import Work
from portal.services.actions import set_status
from portal.services.actions.assistant import set_assistant
from portal.services.actions.starters import keep as keep_starter
from portal.services.models import ServiceUpdate, ServiceView, ServiceWindow
from portal.services.rules import Scope as StatusScope
from portal.services.rules import ServiceStatus, Wanted
from portal.usage.actions import Wanted as WantedMetric
from portal.usage.actions import add_metric, take_samples
from portal.usage.calls.actions import take_calls
from portal.usage.calls.rules import Call, Outcome, milliseconds
from portal.usage.rules import Sample
from tests.conftest import STAFF_HOST, Cast, client_on
from tests.support.cases import case

A_HOST = "a.portal.test"
B_HOST = "b.portal.test"

STAFF_ONLY, ONLY_A, ONLY_B, ON_B = "staff", "a", "b", "onb"
"""Whose eyes a canary is for: staff, the people of a company, or whoever is on B's portal."""


NOBODY = "nobody"
"""Of what is sealed, and shown to staff as little as to anybody."""

EVERYTHING = frozenset({STAFF_ONLY, ONLY_A, ONLY_B, ON_B})


def canary(owner: str, what: str) -> str:
    """A text that must be seen by its owner and staff alone, and findable in any encoding of a page."""
    return f"CANARY{owner}{what}QX"


@dataclass
class World:
    """What was planted. `ids` are row ids by what they stand for; `public_ids` those of incidents."""

    cast: Cast
    ids: dict[str, int] = field(default_factory=dict)
    public_ids: dict[str, str] = field(default_factory=dict)


def plant(cast: Cast) -> World:
    """A holds internet access on the north ring, B telephony on the south switch; private things lie between."""
    world = World(cast)
    world.ids |= {"company_a": cast.a.id, "domain_a": cast.domain_a.id, "alice": cast.alice.id}
    world.ids["host_a"] = hosts_of(cast.domain_a)[0].id
    _name_people(cast)
    _plant_catalogue(world)
    _plant_incidents(world)
    _plant_maintenance(world)
    world.ids["token"] = make_token(
        canary(STAFF_ONLY, "tokenname"), Scope.READ, company=cast.a, by=SYSTEM, now=clock.utcnow()
    )[0].id
    _plant_monitor(world)
    _plant_metrics(world)
    _plant_calls(world)
    _plant_alerts(world)
    db.session.flush()
    _plant_relay()
    _plant_people(world)
    db.session.flush()
    of_public = select(IncidentUpdate.id).where(IncidentUpdate.incident_id == world.ids["public"])
    world.ids["update"] = db.session.scalars(of_public.order_by(IncidentUpdate.id)).first() or 0
    _plant_records(world)
    _plant_import(world)
    _plant_notice(world)
    _plant_announcements(world)
    _plant_channel(world)
    _plant_conversations(world)
    plant_work(world)
    _plant_statuses(world)
    for kind, row in (("broadcast", Broadcast), ("delivery", Delivery), ("relay", Relay), ("audit_entry", AuditEntry)):
        world.ids[kind] = db.session.scalars(select(row.id).order_by(row.id.desc())).first() or 0
    assert all(world.ids.values())
    events.commit()
    return world


def _plant_statuses(world: World) -> None:
    """Of A's internet access that it is scheduled for service, of B's telephony that it is down, and of a service that
    is hidden from A, which it holds, that that is down too. Of everything it is Ada who said so."""
    cast, now = world.cast, clock.utcnow()
    set_assistant(True, version=0, by=SYSTEM, now=now)
    secret = canary(STAFF_ONLY, "hiddenservice")
    service = Service(name=secret, name_key=secret.casefold(), created_at=now)
    db.session.add(service)
    db.session.flush()
    hidden = Holding(company_id=cast.a.id, service_id=service.id, reference=f"{secret}reference", valid_from=now)
    db.session.add_all([hidden, ServiceView(domain_id=cast.domain_a.id, hidden_services=[service.id])])
    db.session.flush()
    world.ids["holding_hidden"] = hidden.id
    starts_at = now + timedelta(days=3)
    for holding_id, owner, wanted in (
        (world.ids["holding_internet"], ONLY_A, Wanted(ServiceStatus.SCHEDULED, starts_at=starts_at)),
        (world.ids["holding_telephony"], ONLY_B, Wanted(ServiceStatus.DOWN)),
        (hidden.id, STAFF_ONLY, Wanted(ServiceStatus.DOWN)),
    ):
        said = replace(
            wanted,
            notes=canary(owner, "statusnotes"),
            ticket=canary(owner, "statusticket"),
            ends_at=starts_at + timedelta(hours=1),
            notify=False,
        )
        set_status(
            [holding_id],
            said,
            scope=StatusScope.ONE,
            chosen={},
            by=Actor(canary(STAFF_ONLY, "statedby"), cast.ada.id),
            author_id=cast.ada.id,
            now=now,
            idempotency_key=f"status-{holding_id}",
        )
    made = db.session.scalars(select(ServiceUpdate.id).order_by(ServiceUpdate.id)).all()
    world.ids |= dict(zip(("service_update", "service_update_b", "service_update_hidden"), made, strict=True))
    window = db.session.scalars(select(ServiceWindow)).one()
    world.public_ids["service_window"], world.ids["service_window"] = window.public_id, window.id
    starter = keep_starter(
        ServiceStatus.DOWN,
        canary(STAFF_ONLY, "startertitle"),
        canary(STAFF_ONLY, "starterbody"),
        by=SYSTEM,
        author_id=None,
        now=now,
    )
    world.ids["starter_note"] = starter.id


def plant_work(world: World) -> None:
    """Work statuses whose internal names, reasons and people are for staff; of each kind an item of A, one of B and one
    of A that customers never saw."""
    now, office = clock.utcnow(), Actor(canary(STAFF_ONLY, "movedby"))
    for kind in WorkKind:
        view = canary(STAFF_ONLY, f"view{kind.value}")
        save_view(kind, world.cast.olaf.id, view, "show=all", is_shared=True, now=now)
        settings = settings_of(kind)
        hidden = WorkRole.ON_HOLD
        rows = [
            replace(
                row,
                name=canary(STAFF_ONLY, f"status{kind.value}{row.role}"),
                color=f"#{100 + place:02x}ab{100 + place:02x}",
                portal_color="#2457d6",
                showing=Showing.HIDDEN if row.role is hidden else row.showing,
            )
            for place, row in enumerate(settings.table.rows)
        ]
        save_table(kind, rows, version=settings.version, by=office, now=now)
        table = settings_of(kind).table
        for name, company, role, owner in (
            ("a", world.cast.a, WorkRole.REQUESTED, ONLY_A),
            ("hidden", world.cast.a, hidden, STAFF_ONLY),
            ("b", world.cast.b, WorkRole.REQUESTED, ONLY_B),
        ):
            item = create_item(
                kind,
                canary(owner, f"{kind.value}title"),
                company_id=company.id,
                status_id=table.with_role(role).id,
                site=canary(owner, "site"),
                description=canary(owner, "description"),
                external_number=canary(STAFF_ONLY, f"external{name}"),
                assignee_id=world.cast.olaf.id,
                by=office,
                now=now,
            )
            move(item, table.with_role(hidden).id, by=office, now=now, reason=canary(STAFF_ONLY, "reason"))
            world.ids[f"{kind.value}_{name}"] = item.id
            world.public_ids[f"{kind.value}_{name}"] = written_number(kind, item.number)
        _plant_words(world, kind)
        world.ids["work_status"] = table.rows[0].id


def _plant_words(world: World, kind: WorkKind) -> None:
    """About the item of A that it sees: a message of its own, and a note of staff, each with a file."""
    ref = Ref(kind.value, world.ids[f"{kind.value}_a"])
    alice, olaf = world.cast.alice, world.cast.olaf
    for giver, whose, what in (
        (Giver(alice.id, alice.name, world.cast.a.id), ONLY_A, "message"),
        (Giver(olaf.id, olaf.name, None), STAFF_ONLY, "note"),
    ):
        file_id = _given(giver, whose)
        written = write_message(
            ref,
            canary(whose, f"{kind.value}{what}"),
            giver,
            key=what,
            file_ids=[file_id],
            is_internal=whose == STAFF_ONLY,
            now=clock.utcnow(),
        )
        world.public_ids[f"{what}_{kind.value}"] = written.public_id
        world.public_ids[f"file_{kind.value}{'' if whose == ONLY_A else '_note'}"] = file_id


def _given(giver: Giver, whose: str) -> str:
    """The id of a file that somebody has chosen for a form."""
    content = io.BytesIO(canary(whose, "filecontent").encode())
    taken = take(content, f"{canary(whose, 'filename')}.txt", store.of_app(), most_bytes=1_000_000)
    return keep(taken, giver, clock.utcnow()).public_id


def _plant_conversations(world: World) -> None:
    """About a case of each company: a message with a file, and a note of staff with another."""
    now = clock.utcnow()
    people = ((1, world.cast.a, world.cast.alice, ONLY_A, "a"), (2, world.cast.b, world.cast.charlie, ONLY_B, "b"))
    for case_id, company, person, owner, name in people:
        customer = Giver(person.id, person.name, company.id)
        staff = Giver(world.cast.olaf.id, world.cast.olaf.name, None)
        for giver, whose, suffix in ((customer, owner, ""), (staff, STAFF_ONLY, "_note")):
            file_id = _given(giver, whose)
            message = write_message(
                case(case_id),
                canary(whose, "messagebody"),
                giver,
                key=f"world{suffix}",
                file_ids=[file_id],
                is_internal=whose == STAFF_ONLY,
                now=now,
            )
            world.public_ids[f"file_{name}{suffix}"] = file_id
            world.public_ids[f"message_{name}{suffix}"] = message.public_id


def _plant_people(world: World) -> None:
    """A browser of Alice's, and a reason why a mail did not reach her."""
    now, alice = clock.utcnow(), world.cast.alice
    accounts.open_session(alice, world.cast.a.id, A_HOST, ip="127.0.0.9", user_agent=canary(ONLY_A, "browser"), now=now)
    suppress(alice.email, "incidents", SuppressionReason.HARD_BOUNCE, now=now, detail=canary(STAFF_ONLY, "bounce"))
    set_contact(alice, world.cast.a, True, by=SYSTEM, now=now)
    address, consent = f"{canary(STAFF_ONLY, 'subscriber')}@reader.test", canary(STAFF_ONLY, "consent")
    add_subscriber(
        world.cast.domain_a.id,
        address,
        ["incidents"],
        language="en",
        is_shared=False,
        consent=consent,
        by=SYSTEM,
        now=now,
    )
    for kind, row in (("session", Session), ("suppression", Suppression), ("subscriber", Subscriber)):
        world.ids[kind] = db.session.scalars(select(row.id).order_by(row.id.desc())).first() or 0
    room = f"https://hooks.test/{canary(STAFF_ONLY, 'roomofasubscriber')}"
    chosen: Any = {"language": "en", "consent": canary(STAFF_ONLY, "consentofaroom"), "by": SYSTEM, "now": now}
    world.ids["room"] = add_room(world.cast.domain_a.id, SubscriberKind.WEBHOOK, room, ["incidents"], **chosen)[0].id


def _plant_records(world: World) -> None:
    """A company that has left, an export that is ready, and the entries all of this has left in the audit trail."""
    now = clock.utcnow()
    closed = accounts.add_company(canary(STAFF_ONLY, "closedcompany"), by=SYSTEM, now=now)
    accounts.archive_company(closed, version=closed.version, by=SYSTEM, now=now)
    run = exports.request_export(ExportKind.COMPANY, world.cast.a.id, "company-a.zip", by=SYSTEM, now=now)
    exports.claim(run.id, now)
    exports.store(run.id, 0, canary(STAFF_ONLY, "exportedfile").encode())
    exports.finish(run.id, run.leased_until or now, 24, now)
    world.ids |= {"company_closed": closed.id, "export": run.id}
    world.ids["entry"] = db.session.scalars(select(AuditEntry.id).order_by(AuditEntry.id)).first() or 0


def _plant_import(world: World) -> None:
    """A file of companies after its dry run: one would be added, one cannot come in."""
    content = f"name,text\n{canary(STAFF_ONLY, 'importedcompany')},\n,{canary(STAFF_ONLY, 'importedcell')}\n".encode()
    run = imports.begin(
        "companies", f"{canary(STAFF_ONLY, 'importedfile')}.csv", content, by=SYSTEM, now=clock.utcnow()
    )
    choices = {option.name: "" for option in imports.options_of(kind_named("companies"))}
    imports.plan(run, {"name": 0}, choices, version=run.version, by=SYSTEM, now=clock.utcnow())
    world.ids["import"] = run.id
    events.commit()
    Work(world.ids["import"], now=clock.utcnow, lease_seconds=60).run()


def _plant_announcements(world: World) -> None:
    """One that A's portal shows, one that it will, and one that is only on B's."""
    now = clock.utcnow()
    world.public_ids["month"] = f"{now:%Y-%m}"
    cast, day = world.cast, timedelta(days=1)
    for name, domain, words, starts_at in (
        ("announcement", cast.domain_a, "We move", now - day),
        ("announcement_ahead", cast.domain_a, canary(STAFF_ONLY, "aheadannouncement"), now + day),
        ("announcement_on_b", cast.domain_b, canary(ON_B, "announcement"), now - day),
    ):
        made = announce(
            domain,
            {"en": {"title": words, "body": words}},
            starts_at=starts_at,
            ends_at=None,
            is_pinned=True,
            by=SYSTEM,
            author_id=None,
            now=now,
            idempotency_key=name,
        )
        world.ids[name], world.public_ids[name] = made.id, made.public_id


def _plant_notice(world: World) -> None:
    """A draft for company A that nobody has sent."""
    words = {"subject": canary(STAFF_ONLY, "noticesubject"), "body": canary(STAFF_ONLY, "noticebody")}
    chosen = Chosen.of(companies=[world.cast.a.id])
    draft = notices.write({"en": words}, chosen, by=SYSTEM, author_id=None, now=clock.utcnow())
    world.ids["notice"] = draft.id


def _plant_alerts(world: World) -> None:
    """An alert of A, one of B, and one for companies of a kind; words of how the staff has them told. Only an address
    that is told by both is anybody's."""
    cast, now = world.cast, clock.utcnow()
    template = AlertTemplate(
        name=canary(STAFF_ONLY, "alerttemplate"),
        name_key=canary(STAFF_ONLY, "alerttemplate"),
        subject=canary(STAFF_ONLY, "alertsubject"),
        created_at=now,
    )
    db.session.add(template)
    tag_company(cast.a, [f"{STAFF_ONLY}tag", canary(STAFF_ONLY, "tag")], version=cast.a.version, by=SYSTEM, now=now)
    db.session.flush()
    world.ids["alert_template"] = template.id
    for name, owner, whose in (
        ("alert_a", ONLY_A, {"company_id": cast.a.id}),
        ("alert_b", ONLY_B, {"company_id": cast.b.id}),
        ("alert_shared", ONLY_A, {"tag": f"{STAFF_ONLY}tag"}),
    ):
        wanted = WantedAlert(
            canary(owner, name.replace("_", "")),
            AlertArea.CHANNELS,
            Operator.MORE,
            threshold=Decimal(40),
            template_id=template.id,
            recipients=(f"{canary(STAFF_ONLY, name.replace('_', ''))}@staff.test".lower(),),
            **whose,
        )
        made = add_alert(wanted, by=SYSTEM, now=now, idempotency_key=name)
        world.public_ids[name] = made.public_id


def _plant_metrics(world: World) -> None:
    """One for everybody, shown on both portal domains, and one of each company, which staff alone see."""
    now, cast = clock.utcnow(), world.cast
    both = frozenset({cast.domain_a.id, cast.domain_b.id})
    for name, wanted in {
        "metric": WantedMetric("delay", "Delay", "ms", domain_ids=both),
        "metric_a": WantedMetric("calls-a", canary(STAFF_ONLY, "metrica"), "calls", company_id=cast.a.id),
        "metric_b": WantedMetric("calls-b", canary(STAFF_ONLY, "metricb"), "calls", company_id=cast.b.id),
    }.items():
        made = add_metric(wanted, by=SYSTEM, now=now)
        take_samples([(made.id, Sample(now - timedelta(minutes=5 * each), Decimal(40 + each))) for each in (0, 1)], now)
        world.ids[name], world.public_ids[name] = made.id, made.key


def _plant_calls(world: World) -> None:
    """A call of each company: their people read whom it was from, and staff alone by which trunk and carrier it went.

    Each has a figure of its own that its people see.
    """
    now, cast = clock.utcnow(), world.cast
    begun = milliseconds(now - timedelta(minutes=20))
    for company, whose in ((cast.a, ONLY_A), (cast.b, ONLY_B)):
        trunk, carrier = canary(STAFF_ONLY, "trunk"), canary(STAFF_ONLY, "carrier")
        told = (canary(whose, "callid"), canary(whose, "caller") + "4711", canary(whose, "called") + "4712")
        times = (begun, begun + 900, begun + 2000, begun + 60_000)
        take_calls([(company.id, Call(*told, *times, Outcome.ANSWERED, 200, trunk, carrier, None))], now)
        named = WantedMetric(f"own-{whose}", canary(whose, "figure"), "", company_id=company.id, is_shown=True)
        made = add_metric(named, by=SYSTEM, now=now)
        take_samples([(made.id, Sample(now, Decimal(7)))], now)


def _plant_monitor(world: World) -> None:
    """One whose words stand for what both companies use."""
    component_id = db.session.scalars(select(Component.id).order_by(Component.id)).first()
    assert component_id is not None
    named = [Named(canary(STAFF_ONLY, "word"), component_id, Severity.MAJOR_OUTAGE)]
    monitor, _key = add_monitor(
        canary(STAFF_ONLY, "monitorname"), Shape.GRAFANA, Severity.PARTIAL_RTH, named, by=SYSTEM, now=clock.utcnow()
    )
    world.ids["monitor"] = monitor.id


def _plant_relay() -> None:
    """A relay whose name and login are for staff; its password is for nobody's eyes."""
    add_relay(
        canary(STAFF_ONLY, "relayname"),
        RelayAddress(
            "127.0.0.1",
            1,
            RelaySecurity.STARTTLS,
            username=canary(STAFF_ONLY, "relayuser"),
            password=canary(NOBODY, "relaypassword"),
        ),
        RelayLoad(),
        by=SYSTEM,
        now=clock.utcnow(),
    )


def _plant_channel(world: World) -> None:
    """A webhook of company A; its address is for nobody's eyes."""
    channel, _secret = add_channel(
        ChannelKind.WEBHOOK,
        canary(ONLY_A, "channelname"),
        f"https://hooks.invalid/{canary(NOBODY, 'channeladdress')}",
        ["incidents"],
        company_id=world.cast.a.id,
        by=SYSTEM,
        now=clock.utcnow(),
    )
    world.ids["channel"] = channel.id


def _name_people(cast: Cast) -> None:
    for company, owner in ((cast.a, ONLY_A), (cast.b, ONLY_B)):
        company.name = f"{canary(owner, 'company')} Ltd"
        company.name_key = company.name.casefold()
    for person, owner in ((cast.alice, ONLY_A), (cast.bob, ONLY_A), (cast.charlie, ONLY_B)):
        person.name = f"{person.name} {canary(owner, 'person')}"
        person.email = person.email_key = f"{canary(owner, 'address')}-{person.name[0]}@people.test".lower()
    for person in (cast.ada, cast.olaf, cast.root):
        person.name = f"{person.name} {canary(STAFF_ONLY, 'name')}"
        person.email = person.email_key = f"{canary(STAFF_ONLY, 'address')}-{person.name[0]}@people.test".lower()
    cast.domain_b.support_phone = "0199 496 0999"
    cast.domain_b.brand = canary(ON_B, "brand")
    cast.domain_b.tagline = canary(ON_B, "tagline")
    cast.domain_b.support_hours = canary(ON_B, "hours")
    cast.domain_b.wordings = {"en": {"state.investigating": canary(ON_B, "wording")}}
    name = f"{canary(STAFF_ONLY, 'name')}.portal.test".lower()
    db.session.add(PortalHost(domain_id=cast.domain_b.id, host=name, created_at=cast.domain_b.created_at))
    db.session.flush()


def _plant_catalogue(world: World) -> None:
    now = clock.utcnow() - timedelta(days=100)
    group = ComponentGroup(public_id="grp", name="Network", created_at=now)
    db.session.add(group)
    db.session.flush()
    world.ids["group"] = group.id

    def component(name: str, title: str, archived: bool = False) -> int:
        row = Component(
            public_id=f"cmp-{name}",
            title=title,
            group_id=group.id,
            created_at=now,
            updated_at=now,
            archived_at=now if archived else None,
        )
        db.session.add(row)
        db.session.flush()
        world.ids[name] = row.id
        return row.id

    north, south = component("north", "North ring"), component("south", "South switch")
    component("archived", canary(STAFF_ONLY, "archivedcomponent"), archived=True)
    for name, title, component_id, company, reference in (
        ("internet", "Internet access", north, world.cast.a, canary(ONLY_A, "reference")),
        ("telephony", "Hosted telephony", south, world.cast.b, canary(ONLY_B, "reference")),
    ):
        service = Service(
            name=title,
            name_key=title.casefold(),
            category="Connections",
            icon="globe",
            aliases=[canary(STAFF_ONLY, "alias")],
            created_at=now,
        )
        db.session.add(service)
        db.session.flush()
        holding = Holding(company_id=company.id, service_id=service.id, reference=reference, valid_from=now)
        db.session.add_all(
            [holding, ServiceDependency(service_id=service.id, component_id=component_id, valid_from=now)]
        )
        db.session.flush()
        world.ids[f"service_{name}"], world.ids[f"holding_{name}"] = service.id, holding.id
    note = canary(STAFF_ONLY, "basenote")
    db.session.add(BaseStatus(component_id=south, severity=Severity.PERFORMANCE_ISSUE, from_at=now, note=note))
    secret = canary(STAFF_ONLY, "archivedservice")
    retired = Service(name=secret, name_key=secret.casefold(), created_at=now, archived_at=now)
    db.session.add(retired)
    db.session.flush()
    world.ids["service_retired"] = retired.id


def publish(
    world: World,
    name: str,
    title: str,
    body: str,
    severities: dict[int, Severity],
    *,
    state: State = State.IDENTIFIED,
    visibility: Visibility = Visibility.PUBLIC,
    audience: Audience = Audience.EVERYONE,
    days_ago: int = 0,
    wordings: Sequence[Wording] = (),
) -> Incident:
    """Publish and remember it by name."""
    now = clock.utcnow() - timedelta(days=days_ago, minutes=5)
    incident = incidents.publish(
        title,
        state,
        body,
        severities,
        visibility=visibility,
        audience=audience,
        notify=True,
        by=SYSTEM,
        author_id=world.cast.ada.id,
        now=now,
        idempotency_key=f"key-{name}",
        wordings=wordings,
        started_at=now - timedelta(minutes=10),
    )
    db.session.flush()
    world.ids[name], world.public_ids[name] = incident.id, incident.public_id
    return incident


def _plant_incidents(world: World) -> None:
    north, south = world.ids["north"], world.ids["south"]
    shown = publish(world, "public", "North ring is slow", "We look at the ring.", {north: Severity.PERFORMANCE_ISSUE})
    of_b = [Wording(canary(ONLY_B, "wordingpast"), company_id=world.cast.b.id)]
    of_b_too = [Wording(canary(ONLY_B, "wordingofhome"), domain_id=world.cast.domain_b.id)]
    slow = {north: Severity.PERFORMANCE_ISSUE}
    publish(world, "worded", "South was slow", "We looked at it.", slow, state=State.FIXED, wordings=of_b, days_ago=4)
    publish(world, "worded_home", "West is slow", "We look at it.", {north: Severity.NONE}, wordings=of_b_too)
    _plant_drafts(world)
    incidents.write_postmortem(
        shown, canary(STAFF_ONLY, "postmortem"), version=0, by=SYSTEM, author_id=None, now=clock.utcnow()
    )
    incidents.post_update(
        shown,
        None,
        f"Between us: {canary(STAFF_ONLY, 'privateupdate')}",
        {},
        visibility=Visibility.PRIVATE,
        notify=True,
        version=shown.version,
        by=SYSTEM,
        author_id=world.cast.ada.id,
        now=clock.utcnow(),
    )
    broken, private = {north: Severity.MAJOR_OUTAGE}, Visibility.PRIVATE
    title, body = canary(STAFF_ONLY, "privatetitle"), canary(STAFF_ONLY, "privatebody")
    publish(world, "private", title, body, broken, visibility=private)
    publish(world, "private_past", f"{title}past", body, broken, state=State.FIXED, visibility=private, days_ago=3)
    title, body = canary(ONLY_B, "affectedtitle"), canary(ONLY_B, "affectedbody")
    publish(
        world,
        "affected_past",
        f"{title}past",
        body,
        {south: Severity.PARTIAL_RTH},
        state=State.FIXED,
        audience=Audience.AFFECTED,
        days_ago=2,
    )
    publish(world, "affected", title, body, {south: Severity.MAJOR_OUTAGE}, audience=Audience.AFFECTED)


def _plant_drafts(world: World) -> None:
    """What is not published, and what reports begin with, is for staff."""
    given: dict[str, Any] = {"by": SYSTEM, "author_id": world.cast.ada.id, "now": clock.utcnow()}
    content = DraftContent(canary(STAFF_ONLY, "drafttitle"), canary(STAFF_ONLY, "draftbody"), severities={})
    signal = canary(STAFF_ONLY, "draftsignal")
    world.ids["incident_draft"] = save_draft(content, signal=signal, idempotency_key="draft", **given).id
    template = TemplateContent(canary(STAFF_ONLY, "templatename"), canary(STAFF_ONLY, "templatebody"))
    world.ids["incident_template"] = keep_template(template, **given).id


def _plant_maintenance(world: World) -> None:
    now = clock.utcnow()
    for name, owner, visibility, audience, component in (
        ("maintenance_private", STAFF_ONLY, Visibility.PRIVATE, Audience.EVERYONE, "north"),
        ("maintenance_affected", ONLY_B, Visibility.PUBLIC, Audience.AFFECTED, "south"),
    ):
        row = Maintenance(
            public_id=f"mnt-{name}",
            title=canary(owner, "maintenance"),
            state=MaintenanceState.SCHEDULED,
            visibility=visibility,
            audience=audience,
            starts_at=now - timedelta(hours=1),
            ends_at=now + timedelta(hours=1),
            created_at=now,
            public_updated_at=now,
        )
        db.session.add(row)
        db.session.flush()
        text = MaintenanceUpdate(
            maintenance_id=row.id,
            public_id="1",
            state=MaintenanceState.SCHEDULED,
            body=canary(owner, "maintenancebody"),
            posted_at=now,
        )
        db.session.add_all([MaintenanceComponent(maintenance_id=row.id, component_id=world.ids[component]), text])
        world.ids[name], world.public_ids[name] = row.id, row.public_id
    db.session.flush()
    _plant_planning(world, now)


def _plant_planning(world: World, now: datetime) -> None:
    """Work that repeats and that nobody outside sees, and what company B asks of planned work."""
    series = MaintenanceSeries(
        public_id="srs-private",
        title=canary(STAFF_ONLY, "series"),
        body=canary(STAFF_ONLY, "seriesbody"),
        rule="FREQ=WEEKLY;BYDAY=SU",
        starts_on="2030-01-06T02:00",
        duration=60,
        zone="UTC",
        impact=WorkImpact.DEGRADED,
        visibility=Visibility.PRIVATE,
        audience=Audience.EVERYONE,
        notify=False,
        starts_itself=True,
        ends_itself=True,
        created_at=now,
    )
    slot = SlotRequest(
        public_id="slot-b",
        maintenance_id=world.ids["maintenance_affected"],
        company_id=world.cast.b.id,
        text=canary(ONLY_B, "slot"),
        created_at=now,
    )
    freeze = Freeze(
        public_id="freeze-b",
        company_id=world.cast.b.id,
        starts_at=now,
        ends_at=now + timedelta(days=2),
        reason=canary(ONLY_B, "freeze"),
        created_at=now,
    )
    db.session.add_all([series, slot, freeze])
    db.session.flush()
    world.ids["series"], world.ids["slot"], world.ids["freeze"] = series.id, slot.id, freeze.id
    world.public_ids["freeze"] = freeze.public_id


@dataclass(frozen=True)
class Role:
    """Somebody who knocks: on which host, as whom, and whose canaries they may meet."""

    name: str
    host: str
    person: str | None = None
    company: str | None = None
    opened_on: str | None = None
    spoil: Callable[[Person], None] | None = None
    may_see: frozenset[str] = frozenset()

    def forbidden(self) -> re.Pattern[str]:
        """Matches every canary that is not for these eyes, whatever its case."""
        allowed = self.may_see | ({ON_B} if self.host == B_HOST else set())
        return re.compile(rf"canary(?:{'|'.join(sorted({*EVERYTHING, NOBODY} - allowed))})[a-z]+?qx", re.IGNORECASE)

    @property
    def is_staff(self) -> bool:
        return self.host == STAFF_HOST and self.person in {"ada", "olaf", "root"} and self.spoil is None

    @property
    def is_customer(self) -> bool:
        return self.company is not None and self.opened_on is None and self.spoil is None


def _deactivate(person: Person) -> None:
    person.deactivated_at = clock.utcnow()


def _let_expire(person: Person) -> None:
    for session in db.session.scalars(select(Session).where(Session.person_id == person.id)):
        session.last_seen_at = clock.utcnow() - timedelta(days=8)
    db.session.flush()


ROLES = [
    Role("nobody on the staff host", STAFF_HOST),
    Role("nobody on A's portal", A_HOST),
    Role("nobody on B's portal", B_HOST),
    Role("Alice", A_HOST, "alice", "a", may_see=frozenset({ONLY_A})),
    Role("Bob", A_HOST, "bob", "a", may_see=frozenset({ONLY_A})),
    Role("Charlie", B_HOST, "charlie", "b", may_see=frozenset({ONLY_B})),
    Role("Alice on B's portal", B_HOST, "alice", "a", opened_on=A_HOST),
    Role("Alice on the staff host", STAFF_HOST, "alice", "a", opened_on=A_HOST),
    Role("an admin on A's portal", A_HOST, "root", opened_on=STAFF_HOST),
    Role("Alice, deactivated", A_HOST, "alice", "a", spoil=_deactivate),
    Role("Alice, expired", A_HOST, "alice", "a", spoil=_let_expire),
    Role("a status admin, expired", STAFF_HOST, "ada", spoil=_let_expire),
    Role("an office admin, deactivated", STAFF_HOST, "olaf", spoil=_deactivate),
    Role("office", STAFF_HOST, "olaf", may_see=EVERYTHING),
    Role("status", STAFF_HOST, "ada", may_see=EVERYTHING),
    Role("admin", STAFF_HOST, "root", may_see=EVERYTHING),
]


def client_of(app: Flask, cast: Cast, role: Role) -> FlaskClient:
    """The browser of this role, with its cookie."""
    client = client_on(app, role.host)
    if role.person is None:
        return client
    person: Person = getattr(cast, role.person)
    company: Company | None = getattr(cast, role.company) if role.company else None
    token = accounts.open_session(
        person,
        company.id if company else None,
        role.opened_on or role.host,
        ip="127.0.0.1",
        user_agent="test",
        now=clock.utcnow(),
    )
    db.session.flush()
    if role.spoil:
        role.spoil(person)
    events.commit()
    client.set_cookie("sid", token, domain=role.host)
    return client


def checksum() -> str:
    """A hash of every row of every table; reads through a session of its own."""
    digest = hashlib.sha256()
    for table in sorted(db.metadata.tables.values(), key=lambda each: each.name):
        if table.name == "audit_tally":
            # That something was refused is counted there.
            continue
        digest.update(table.name.encode())
        rows = db.session.execute(select(table).order_by(*table.primary_key.columns))
        for row in rows:
            digest.update(repr(tuple(row)).encode())
    db.session.rollback()
    return digest.hexdigest()
