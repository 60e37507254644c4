"""I01 to I17, I22, H04, T19, T20, T30: what people type stays text, wherever it is shown or put to use."""

import re
import secrets
import time
from collections.abc import Iterator
from typing import Any

import pytest
from bs4 import BeautifulSoup, Tag
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import String, Text, select

from portal import clock, events
from portal.accounts.models import ApiToken, Company, CompanyTag, Person
from portal.alerts.models import Alert, AlertEvent, AlertRecipient, AlertTemplate
from portal.alerts.rules import TAG_LENGTH
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.catalogue.models import Component, ComponentGroup, Holding, Service
from portal.catalogue.notices.models import Notice
from portal.database import Base
from portal.domains.announcements.models import Announcement
from portal.domains.models import PortalDomain, PortalHost
from portal.extensions import db
from portal.files.models import StoredFile
from portal.incidents.models import (
    BaseStatus,
    Freeze,
    Incident,
    IncidentDraft,
    IncidentRevision,
    IncidentTemplate,
    IncidentUpdate,
    IncidentWording,
    Maintenance,
    MaintenanceSeries,
    MaintenanceUpdate,
    Monitor,
    MonitorCondition,
    MonitorMatch,
    Postmortem,
    SlotRequest,
)
from portal.incidents.rules import Severity
from portal.jobs.models import QuoteAnswer, QuoteLine, SavedView, WorkItem, WorkMove, WorkStatus
from portal.language import LANGUAGES
from portal.messages.models import Message
from portal.notifications.bounces.models import BounceMailbox, BounceReport
from portal.notifications.models import Broadcast, ContactChannel, Delivery, Outbound, Relay, Suppression
from portal.notifications.rules import RelayState
from portal.notifications.subscribers.models import Subscriber
from portal.notifications.templates.models import MailTemplate
from portal.operation.models import MailAlarm
from portal.records.models import ExportRun, ImportPart, ImportRun
from portal.services.models import ServiceUpdate, ServiceWindow, StarterNote
from portal.usage.calls.models import CallRecord
from portal.usage.models import Metric
from tests.conftest import token_in
from tests.security.rights import RIGHTS, address, routes
from tests.security.world import ROLES, World, client_of, publish

SECONDS = 1.0 * 10  # the limit of the catalogue, with slack for a busy machine
READERS = ["admin", "Alice", "nobody on A's portal"]
HTMX = {"HX-Request": "true"}

MARKUP = "'\"><pwn pwn=1><img src=x onerror=pwn()></title></textarea></script><pwn>{{7*7}}${7*7}"
"""Breaks out of text, attributes in either quotes, a title, a text box and a script; and asks a template to count."""

FIELDS: dict[type[Any], list[str]] = {
    Company: ["name"],
    Person: ["name"],
    ComponentGroup: ["name"],
    Component: ["title", "description"],
    Service: ["name", "category", "description"],
    Holding: ["reference"],
    PortalDomain: ["brand", "tagline", "support_phone", "support_email", "support_hours"],
    PortalHost: ["detail"],
    Announcement: ["title"],
    Incident: ["title"],
    IncidentUpdate: ["body"],
    IncidentWording: ["text"],
    IncidentTemplate: ["name", "title", "body"],
    IncidentDraft: ["title", "origin_name", "trouble", "first_signal", "last_signal"],
    IncidentRevision: ["before", "after", "by_label"],
    Postmortem: ["body"],
    BaseStatus: ["note"],
    Monitor: ["name", "last_trouble"],
    MonitorMatch: ["word"],
    MonitorCondition: ["title", "text"],
    Maintenance: ["title"],
    MaintenanceUpdate: ["body"],
    MaintenanceSeries: ["title", "body"],
    SlotRequest: ["text", "answer"],
    Freeze: ["reason"],
    Broadcast: ["title", "note"],
    Delivery: ["address", "answer", "name"],
    Relay: ["name", "last_answer", "username", "sender"],
    ContactChannel: ["label", "reason"],
    Notice: ["title", "trouble"],
    BounceReport: ["subject", "words"],
    BounceMailbox: ["last_answer"],
    MailAlarm: ["reason"],
    Suppression: ["detail"],
    Subscriber: ["consent", "reason"],
    Outbound: ["reason"],
    ApiToken: ["name"],
    ImportRun: ["filename", "note", "created_by"],
    ExportRun: ["file_name", "note"],
    Message: ["author_name", "body"],
    StoredFile: ["name", "uploader_name"],
    WorkStatus: ["name", "portal_name"],
    WorkItem: ["title", "site", "description", "external_number", "terms"],
    WorkMove: ["by_name", "reason", "told_name"],
    QuoteLine: ["description"],
    QuoteAnswer: ["name", "reason", "withdrawn_reason", "agent"],
    SavedView: ["name", "query"],
    ServiceUpdate: ["notes", "ticket"],
    ServiceWindow: ["notes", "ticket"],
    StarterNote: ["title", "body"],
    MailTemplate: ["subject", "text", "html"],
    Metric: ["name", "unit", "trunk"],
    CompanyTag: ["tag"],
    CallRecord: ["from_number", "to_number", "trunk", "carrier"],
    Alert: ["title", "trunk", "script"],
    AlertEvent: ["note"],
    AlertRecipient: ["address"],
    AlertTemplate: ["name", "subject", "text", "html", "sms", "trouble"],
}

NESTED: dict[type[Any], list[str]] = {
    PortalDomain: ["wordings"],
    Announcement: ["wordings"],
    Service: ["aliases"],
    IncidentDraft: ["content"],
    ImportRun: ["samples"],
    ImportPart: ["rows"],
}
"""Columns whose canaries lie within lists and mappings."""

IN_LANGUAGES: dict[type[Any], list[str]] = {
    Incident: ["titles"],
    IncidentUpdate: ["bodies"],
    IncidentWording: ["texts"],
    IncidentTemplate: ["titles", "bodies"],
    Postmortem: ["bodies"],
    Maintenance: ["titles"],
    MaintenanceUpdate: ["bodies"],
    MaintenanceSeries: ["titles", "bodies"],
}
"""Columns that say it in other languages beside the original."""


IN_FRAMES = {"admin_notices.mail", "admin_templates.mail"}


@pytest.fixture
def clients(app: Flask, world: World) -> dict[str, FlaskClient]:
    return {role.name: client_of(app, world.cast, role) for role in ROLES if role.name in READERS}


def pages(app: Flask, world: World, clients: dict[str, FlaskClient]) -> Iterator[tuple[str, str]]:
    """Every page that somebody is answered with, with its text; a page holds all of its fragments."""
    for name, client in clients.items():
        for rule in routes(app):
            if "GET" not in (rule.methods or set()) or rule.endpoint.startswith("assets."):
                continue
            path = address(app, world, rule, RIGHTS[rule.endpoint].ours)
            answer = client.get(path)
            # A mail in its frame is styled as mails are, under a policy of its own: test_notices.py, I10.
            if answer.status_code == 200 and "html" in answer.content_type and rule.endpoint not in IN_FRAMES:
                yield f"{name} {path}", answer.get_data(as_text=True)


MACHINE_MADE = re.compile(
    r".*(key|_id|hash|language|time_zone|host|url|accent|scope|topic|kind|channel|wording|worker|outcome|owner|source"
    r"|code|days|last_day|user_agent|ip|fingerprint|encoding|delimiter|nonce|sealed_secret|hint|digest|due_zone|offered"
    r"|zone|icon|alias_keys|rule|starts_on"
    r"|starter|from_month|fold|sealed|password_sealed|secret|old_secret|ids|answers|media_type|sha256|storage_name|currency|color)"
)
"""Columns nobody types free text into."""

SHOWN_TO_NOBODY = {
    "alert_clock",
    "live_topic",
    "list_order",
    "api_answer",
    "throttle_bucket",
    "retention_rule",
    "audit_tally",
}
"""Tables for machines. What was counted is shown once it is an entry of the audit trail."""


def test_i15_the_list_of_text_fields_is_whole() -> None:
    """A new column of text that somebody may be shown is planted with markup too."""
    unplanted = []
    for mapper in Base.registry.mappers:
        model = mapper.class_
        if model.__tablename__ in {*SHOWN_TO_NOBODY, "audit_entry"}:
            continue  # entries of the trail cannot be changed: one with markup is added
        for column in mapper.columns:
            is_text = isinstance(column.type, String | Text) and type(column.type) in {String, Text}
            if is_text and column.name not in FIELDS.get(model, []) and not MACHINE_MADE.fullmatch(column.name):
                unplanted.append(f"{model.__name__}.{column.name}")
    assert sorted(unplanted) == UNPLANTED


UNPLANTED = [
    "AccountMail.address",  # no address can hold markup
    "Alert.tag",  # planted where it has one
    "CallRecord.from_tail",  # digits
    "CallRecord.to_tail",
    "ContactChannel.address",  # sealed
    "DeliveryAttempt.answer",  # the last one stands on the delivery too
    "MailTemplate.name",  # one of the product's own
    "MailedLink.address",
    "Person.email",
    "QuoteAnswer.address",  # of the network
    "Subscriber.address",  # as those of accounts; of a channel only its mask
    "SubscriberFollowing.conversation",  # a key of ours
]


def plant_markup() -> None:
    """Put the markup into every text field of every row, and into an entry of the audit trail."""
    _plant_fields()
    _plant_nested()
    for alert in db.session.scalars(select(Alert).where(Alert.tag.is_not(None))):
        alert.tag = MARKUP[:TAG_LENGTH]
    for relay in db.session.scalars(select(Relay)):
        relay.state = RelayState.BROKEN
    for outbound in db.session.scalars(select(Outbound)):
        outbound.paused_at = clock.utcnow()
    audit.record(
        "company.rename",
        object_kind="company",
        object_id=1,
        by=Actor(MARKUP),
        now=clock.utcnow(),
        before={"name": MARKUP},
        after={"name": f"2{MARKUP}", MARKUP: MARKUP},
    )
    events.commit()


def _plant_fields() -> None:
    for model, fields in FIELDS.items():
        for number, row in enumerate(db.session.scalars(select(model))):
            for field in fields:
                length = getattr(model, field).type.length or 10_000
                setattr(row, field, f"{number}{MARKUP}"[:length])
            if "name_key" in model.__table__.columns:
                row.name_key = f"{number}{MARKUP}".casefold()[:200]


def _plant_nested() -> None:
    for model, columns in NESTED.items():
        for row in db.session.scalars(select(model)):
            for column in columns:
                setattr(row, column, _with_markup(getattr(row, column)))
    for model, columns in IN_LANGUAGES.items():
        for row in db.session.scalars(select(model)):
            for column in columns:
                setattr(row, column, dict.fromkeys(LANGUAGES, MARKUP))
    for run in db.session.scalars(select(ImportRun)):
        run.headers = [MARKUP for _ in run.headers]


def _with_markup(value: Any) -> Any:
    """The same lists and mappings, with the markup in place of every canary."""
    if isinstance(value, dict):
        return {key: _with_markup(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_with_markup(each) for each in value]
    return MARKUP if isinstance(value, str) and "CANARY" in value else value


def test_i15_markup_in_every_field_is_shown_as_text(app: Flask, world: World, clients: dict[str, FlaskClient]) -> None:
    plant_markup()
    wrong, seen = [], 0
    for name, text in pages(app, world, clients):
        seen += "pwn" in text
        soup = BeautifulSoup(text, "html.parser")
        taken = [*soup.find_all("pwn"), *soup.select("[pwn]"), *soup.find_all(onerror=True)]
        images = [str(each.get("src", "")) for each in soup.find_all("img")]
        if taken or any(not each.startswith(("/static/", "data:image/")) for each in images):
            wrong.append(name)
        if re.search(r"</pwn>\s*49|pwn&gt;49|49\$", text):
            wrong.append(f"{name} counted")
    assert not wrong, "\n".join(wrong)
    assert seen > 20, "the markup is shown at all"


def test_h04_i16_nothing_inline_and_htmx_kept_away_from_what_people_wrote(
    app: Flask, world: World, clients: dict[str, FlaskClient]
) -> None:
    wrong, looked_at, ignored = [], 0, 0
    for name, text in pages(app, world, clients):
        looked_at += 1
        soup = BeautifulSoup(text, "html.parser")
        wrong += [f"{name}: {each}" for tag in soup.find_all() for each in unsafe(tag)]
        for place in soup.find_all(string=re.compile("We look at the ring")):
            holders = [each for each in place.parents if isinstance(each, Tag)]
            if any(each.name in {"textarea", "title", "meta"} for each in holders):
                continue
            ignored += 1
            if not any(each.has_attr("hx-ignore") for each in holders):
                wrong.append(f"{name}: htmx looks into {holders[0]}")
    assert not wrong, "\n".join(wrong)
    assert looked_at > 40
    assert ignored >= 5


def unsafe(tag: Tag) -> Iterator[str]:
    """What the content security policy would refuse of a tag, or what leads to somebody else's site."""
    if tag.name == "style" or (tag.name == "script" and not tag.get("src")) or tag.get("style") is not None:
        yield str(tag)[:100]
    if any(each.startswith(("on", "hx-on", "data-hx-on")) for each in tag.attrs) or "js:" in str(
        tag.get("hx-vals", "")
    ):
        yield str(tag)[:100]
    is_ours_to_follow = tag.name == "a" and {*(tag.get("rel") or ())} == {"noopener", "noreferrer", "nofollow"}
    for name in ("href", "src", "action", "hx-get", "hx-post", "formaction"):
        link = str(tag.get(name, "")).lower()
        is_foreign = re.match(r"https?://(?![ab]\.portal\.test)", link) or link.startswith(
            ("javascript:", "data:text", "//")
        )
        if is_foreign and not is_ours_to_follow:
            yield f"leads away: {link}"


def test_h05_no_page_may_be_framed(app: Flask, world: World, clients: dict[str, FlaskClient]) -> None:
    for path, client in (
        ("/admin/", clients["admin"]),
        ("/", clients["Alice"]),
        ("/status", clients["nobody on A's portal"]),
    ):
        for _twice in range(2):
            assert "frame-ancestors 'none'" in client.get(path).headers["Content-Security-Policy"]


LISTS = [
    "/admin/incidents",
    "/admin/broadcasts",
    "/admin/companies",
    "/admin/catalogue/components",
    "/admin/catalogue/services",
    "/admin/jobs",
    "/admin/jobs/board",
    "/admin/quotes",
    "/admin/my-work",
]
OF_CUSTOMERS = ["/services", "/jobs", "/quotes"]

QUERIES = [
    "q=%25",
    "q=_",
    "q=%5C",
    "q=%5C%25",
    "q='",
    "q=%22",
    "q=" + "%25a" * 10_000,
    "q=%F0%9F%98%80",
    "q=%E2%80%AE",
    "q=%80%ff",
    "q=1&q[0]=&q[1]=a&q[2]=&q[3]=or%20'a'='a')--%20",
    "q[]=a",
    "q[$gt]=0",
    "sort=(select%20sleep(6))",
    "sort=password_hash",
    "order=;drop%20table%20person",
    "filter[id][$gt]=0",
    "show=';--",
    "state=%27",
    "component=1%20or%201=1",
    "component=99999999999999999999",
    "portal=99999999999999999999",
    "portal=x",
    "group=1e9",
    "list=holdings&page=1",
    "status=1'--",
    "assignee=99999999999999999999",
    "company=1%20or%201=1",
    "window=';--",
]


def test_i01_i02_i04_no_query_is_read_as_a_command(clients: dict[str, FlaskClient]) -> None:
    for path in (*LISTS, *OF_CUSTOMERS):
        client = clients["Alice" if path in OF_CUSTOMERS else "admin"]
        for query in QUERIES:
            begun = time.perf_counter()
            answer = client.get(f"{path}?{query}")
            assert answer.status_code in {200, 404, 422}, f"{path} {query}"
            assert time.perf_counter() - begun < SECONDS, f"{path} {query}"


def test_i04_wildcards_are_letters(clients: dict[str, FlaskClient]) -> None:
    for path, known in (
        ("/admin/companies", "CANARYacompanyQX"),
        ("/admin/incidents", "North ring is slow"),
        ("/admin/catalogue/components", "North ring"),
        ("/admin/catalogue/services", "Internet access"),
        ("/admin/jobs", "CANARYajobtitleQX"),
        ("/admin/quotes", "CANARYaquotetitleQX"),
        ("/jobs", "CANARYajobtitleQX"),
        ("/quotes", "CANARYaquotetitleQX"),
    ):
        client = clients["Alice" if path in OF_CUSTOMERS else "admin"]
        for text in (known[1:-1], "%", "_", "\\", "%%%", known[0] + "%" + known[-1]):
            found = client.get(path, query_string={"q": text}, headers=HTMX).get_data(as_text=True)
            assert (known in found) is (text == known[1:-1]), f"{path} {text}"


NO_PAGES = ["0", "-1", "a", "999", "1e3", "99999999999999999999", "1.5", " 1", "٣", "²"]
PAGED = [
    *("/admin/incidents?", "/admin/broadcasts?", "/admin/companies?", "/admin/jobs?", "/admin/quotes?"),
    *("/services?", "/status/history?", "/jobs?", "/quotes?"),
]
FOUND = ["/admin/catalogue/components?q=t&", "/admin/catalogue/services?q=t&"]


def test_t30_pages_that_do_not_exist(clients: dict[str, FlaskClient]) -> None:
    for path in PAGED + FOUND:
        client = clients["admin" if path.startswith("/admin") else "Alice"]
        for page in NO_PAGES:
            assert client.get(f"{path}page={page}").status_code in {404, 422}, f"{path} {page}"
        for query in ("page=1&page=2", "page=1&per_page=100000", "per_page=-1", "limit=0"):
            assert client.get(f"{path}{query}").status_code == 200, f"{path} {query}"


STOLEN = {
    "role": "admin",
    "is_active": "1",
    "is_staff": "1",
    "company_id": "1",
    "password_hash": "x",
    "email": "evil@people.test",
    "email_verified": "1",
    "deactivated_at": "",
    "id": "1",
    "person_id": "1",
    "memberships": "1",
    "version_id": "9",
}


def test_t20_a_profile_takes_only_what_its_form_has(world: World, clients: dict[str, FlaskClient]) -> None:
    alice, table = clients["Alice"], Person.__table__
    before = dict(db.session.execute(select(table).where(table.c.id == world.cast.alice.id)).mappings().one())
    form = BeautifulSoup(alice.get("/account").data, "html.parser").find("form", action=re.compile("account|^$"))
    assert form is not None
    version = before["version"]
    sent = {"name": "Alice", "language": "de", "time_zone": "Europe/Berlin", "version": str(version), **STOLEN}
    answer = alice.post("/account", data={**sent, "csrf_token": token_in(alice, "/account")})
    assert answer.status_code == 303
    after = dict(db.session.execute(select(table).where(table.c.id == world.cast.alice.id)).mappings().one())
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"name", "name_key", "language", "time_zone", "version"}


def test_t19_which_company_is_asked_of_the_session_alone(world: World, clients: dict[str, FlaskClient]) -> None:
    alice, other = clients["Alice"], str(world.cast.b.id)
    plain = alice.get("/services").get_data(as_text=True)
    for query in (f"company_id={other}", f"company={other}", f"tenant={other}"):
        asked = alice.get(f"/services?{query}", headers={"X-Tenant-Id": other, "X-Company-Id": other})
        text = asked.get_data(as_text=True)
        assert "canaryb" not in text.lower()
        assert ("canaryareference" in text.lower()) is ("canaryareference" in plain.lower()) is True


HEADERS = [
    "x\r\nBcc: victim@evil.test",
    "x\nBcc: victim@evil.test",
    "x\rBcc: victim@evil.test",
    "x%0d%0aBcc: victim@evil.test",
    "x\u2028Bcc: victim@evil.test",
    "x\u0085Bcc: victim@evil.test",
    "ä =?UTF-8?Q?=0A?=Bcc: victim@evil.test",
    "=?utf-8?b?QmNjOiB2aWN0aW1AZXZpbC50ZXN0?=",
    "x\x0b\x0cBcc: y",
]


def test_i22_a_title_is_one_line_whatever_is_in_it(world: World, clients: dict[str, FlaskClient]) -> None:
    for title in HEADERS:
        _publish_titled(world, clients["admin"], title)


def _publish_titled(world: World, admin: FlaskClient, title: str) -> None:
    """Refused, or one line without a control character: in the row, in the wordings, and on the way to the mail."""
    number = str(world.ids["north"])
    form = {
        "title": title,
        "state": "investigating",
        "body": "We look.",
        "components": number,
        f"components-{number}": "major_outage",
        "audience": "everyone",
        "visibility": "public",
        "notify": "y",
        "began": "0",
        "next_update": "0",
        "key": secrets.token_hex(8),
        "csrf_token": token_in(admin, "/admin/incidents/new"),
    }
    answer = admin.post("/admin/incidents/new", data=form)
    assert answer.status_code in {303, 422}
    if answer.status_code == 422:
        return
    row = db.session.scalars(select(Broadcast).order_by(Broadcast.id.desc())).first()
    assert row is not None
    for line in [row.title, *(wording["subject"] for wording in row.content.values())]:
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", line)


def test_i22_so_is_a_name(world: World, clients: dict[str, FlaskClient]) -> None:
    for name in HEADERS:
        _add_named(world, clients["admin"], name)


def _add_named(world: World, admin: FlaskClient, name: str) -> None:
    company = world.cast.a.id
    token = token_in(admin, f"/admin/companies/{company}")
    for path, form in (
        ("/admin/companies/new", {"name": name}),
        (
            "/admin/people/invite",
            {"name": name, "email": f"new{HEADERS.index(name)}@people.test", "company_id": company},
        ),
        (
            "/admin/settings/portals/new",
            {"base_url": "https://x.test", "brand": name, "accent": "#123456", "language": "en", "time_zone": "UTC"},
        ),
        ("/admin/catalogue/components/new", {"title": name}),
        ("/admin/catalogue/services/new", {"name": name}),
    ):
        assert admin.post(path, data={**form, "csrf_token": token}).status_code in {303, 422}
    for column in (Company.name, Person.name, PortalDomain.brand, Component.title, Service.name):
        for stored in db.session.scalars(select(column)):
            assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", stored), column


NO_ADDRESSES = [
    "a@b.test\r\nBcc: c@d.test",
    "a@b.test,c@d.test",
    "<a@b.test>",
    "a b@c.test",
    "a@b",
    "@b.test",
    "a@",
    "a@@b.test",
    "a@b..test",
    '"a\\"@b.test',
    "a@b.test\x00",
    "x" * 260 + "@b.test",
    "a@" + "b" * 250 + ".test",
    "a;b@c.test",
    "a@[127.0.0.1]",
    "a\u2028@b.test",
]


def test_i23_what_is_no_address_is_refused(world: World, clients: dict[str, FlaskClient]) -> None:
    admin = clients["admin"]
    path = "/admin/people/invite"
    for email in NO_ADDRESSES:
        form = {"name": "New", "email": email, "company_id": world.cast.a.id}
        answer = admin.post(path, data={**form, "csrf_token": token_in(admin, path)})
        assert answer.status_code in {400, 422}, email


def test_i10_a_preview_shows_markup_as_text(world: World, clients: dict[str, FlaskClient]) -> None:
    admin = clients["admin"]
    token = token_in(admin, "/admin/incidents/new")
    number = str(world.ids["north"])
    form = {"title": MARKUP, "body": MARKUP, "components": number, "state": "investigating", "next_update": "0"}
    answer = admin.post("/admin/incidents/preview", data=form, headers={**HTMX, "X-CSRFToken": token})
    assert answer.status_code == 200
    text = answer.get_data(as_text=True)
    assert "pwn" in text
    soup = BeautifulSoup(text, "html.parser")
    assert not soup.find_all("pwn")
    assert not soup.find_all(onerror=True)
    assert db.session.scalars(select(Incident.id).where(Incident.title.contains("pwn"))).all() == []


def test_i15_mails_show_markup_as_text(world: World) -> None:
    publish(world, "nasty", MARKUP, MARKUP, {world.ids["north"]: Severity.MAJOR_OUTAGE})
    row = db.session.scalars(select(Broadcast).order_by(Broadcast.id.desc())).first()
    assert row is not None
    for wording in row.content.values():
        soup = BeautifulSoup(wording["html"], "html.parser")
        assert not soup.find_all("pwn")
        assert not soup.find_all(onerror=True)
        assert not soup.find_all("script")
        assert "49" not in wording["subject"]


def test_a16_links_in_mails_lead_to_the_stored_address_whatever_host_was_asked(
    world: World, clients: dict[str, FlaskClient]
) -> None:
    admin = clients["admin"]
    number = str(world.ids["north"])
    form = {
        "title": "Poisoned",
        "state": "investigating",
        "body": "We look.",
        "components": number,
        f"components-{number}": "major_outage",
        "audience": "everyone",
        "visibility": "public",
        "notify": "y",
        "began": "0",
        "next_update": "0",
        "key": "poison",
        "csrf_token": token_in(admin, "/admin/incidents/new"),
    }
    lies = {"X-Forwarded-Host": "evil.test", "Forwarded": "host=evil.test", "X-Forwarded-Port": "99"}
    answer = admin.post("/admin/incidents/new", data=form, headers=lies, base_url="http://admin.portal.test:99")
    assert answer.status_code == 303
    row = db.session.scalars(select(Broadcast).order_by(Broadcast.id.desc())).first()
    assert row is not None
    values = [each.values for each in db.session.scalars(select(Delivery).where(Delivery.broadcast_id == row.id))]
    assert len(values) == 6, "three people, the webhook of one company, a subscriber and the webhook of another"
    everything = f"{row.content} {row.selector} {values}"
    assert "evil.test" not in everything
    assert ":99" not in everything
    assert "http://a.portal.test" in everything
