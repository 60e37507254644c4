"""Lists: pieces that follow each other, bounded queries, filters and orders by allow-list."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from portal import clock
from portal.accounts.actions import add_company, add_person
from portal.accounts.rules.tokens import Scope
from portal.alerts.actions import add_alert
from portal.alerts.rules import AlertArea, Operator
from portal.alerts.rules.checks import Wanted as WantedAlert
from portal.audit.rules import SYSTEM
from portal.catalogue import actions as catalogue
from portal.domains.announcements.actions import announce
from portal.domains.queries import all_domains
from portal.extensions import db
from portal.incidents import actions as incidents
from portal.incidents.actions.drafts import save_draft
from portal.incidents.actions.templates import TemplateContent, keep_template
from portal.incidents.rules import Severity, State
from portal.incidents.rules.drafts import DraftContent
from portal.jobs.actions import create_item
from portal.jobs.rules import WorkKind
from portal.keyset import Order
from portal.notifications.channels.actions import add_channel
from portal.notifications.channels.rules import ChannelKind
from portal.notifications.subscribers.actions import add as subscribe
from portal.services.actions import set_status
from portal.services.rules import Scope as StatedScope
from portal.services.rules import ServiceStatus
from portal.services.rules import Wanted as Stated
from tests.api.v1.conftest import MakeMachine, refusal
from tests.conftest import Cast, counted_queries

LISTS = (
    "companies",
    "people",
    "portals",
    "components",
    "component-groups",
    "services",
    "holdings",
    "service-updates",
    "service-windows",
    "incidents",
    "incident-drafts",
    "incident-templates",
    "maintenances",
    "announcements",
    "broadcasts",
    "deliveries",
    "subscribers",
    "webhooks",
    "jobs",
    "quotes",
    "work-statuses",
    "alerts",
    "audit",
)


@pytest.fixture
def crowd(cast: Cast) -> None:
    """A hundred and one of whatever there can be many of."""
    gather(101)


@pytest.fixture
def few(cast: Cast) -> None:
    """Twelve of each."""
    gather(12)


TEMPLATES = 40
"""So many templates at most, of those there may be."""


def gather(count: int) -> None:
    now = clock.utcnow() - timedelta(minutes=200)
    home = all_domains()[0]
    ring = catalogue.add_component("Ring", by=SYSTEM, now=now)
    for n in range(count):
        company = add_company(f"Company {n:03}", by=SYSTEM, now=now)
        add_person(f"Person {n:03}", f"person-{n:03}@crowd.test", by=SYSTEM, now=now)
        service = catalogue.add_service(f"Service {n:03}", by=SYSTEM, now=now)
        catalogue.set_dependencies(service, [ring.id], by=SYSTEM, now=now)
        catalogue.add_component(f"Component {n:03}", by=SYSTEM, now=now)
        url = f"https://hooks.example.com/{n}"
        add_channel(ChannelKind.WEBHOOK, f"Hook {n:03}", url, [], by=SYSTEM, now=now)
        watched = WantedAlert(
            f"Alert {n:03}",
            AlertArea.CHANNELS,
            Operator.MORE,
            threshold=Decimal(9),
            company_id=company.id,
            opens_draft=True,
        )
        add_alert(watched, by=SYSTEM, now=now, idempotency_key=f"crowd-{n}")
        holding = catalogue.add_holding(company, service, component_ids=[ring.id], by=SYSTEM, now=now)
        starts_at = clock.utcnow() + timedelta(days=3)
        set_status(
            [holding.id],
            Stated(ServiceStatus.SCHEDULED, starts_at=starts_at, ends_at=starts_at + timedelta(hours=1), notify=False),
            scope=StatedScope.ONE,
            chosen={},
            by=SYSTEM,
            author_id=None,
            now=clock.utcnow(),
            idempotency_key=f"crowd-{n}",
        )
        if n < TEMPLATES:
            keep_template(TemplateContent(f"Template {n}", "Again."), by=SYSTEM, author_id=None, now=now)
        save_draft(DraftContent(f"Draft {n}"), by=SYSTEM, author_id=None, now=now, idempotency_key=f"crowd-{n}")
        announce(
            home,
            {home.language: {"title": f"News {n}"}},
            starts_at=now + timedelta(minutes=n),
            ends_at=None,
            is_pinned=False,
            by=SYSTEM,
            author_id=None,
            now=now,
            idempotency_key=f"crowd-{n}",
        )
        agreed: dict[str, Any] = {"language": "en", "is_shared": False, "consent": "On paper", "by": SYSTEM, "now": now}
        subscribe(home.id, f"subscriber-{n}@crowd.test", ["incidents"], **agreed)
        for kind in WorkKind:
            create_item(kind, f"Work {n:03}", company_id=company.id, by=SYSTEM, now=now)
        incidents.publish(
            f"Report {n:03}",
            State.FIXED,
            "Over.",
            {ring.id: Severity.PARTIAL_RTH},
            notify=n % 4 == 0,
            by=SYSTEM,
            author_id=None,
            now=now + timedelta(minutes=n),
            idempotency_key=f"crowd-{n}",
        )
    db.session.commit()


def test_a_hundred_rows_cost_as_many_queries_as_one(machine: MakeMachine, crowd: None) -> None:
    root = machine()
    root.read("/companies?limit=1")
    counts = {}
    for name in LISTS:
        for limit in (1, 100):
            with counted_queries() as statements:
                found = root.read(f"/{name}?limit={limit}")["items"]
            counts[name, limit] = len(statements)
        assert len(found) >= 2 or name in {"component-groups", "maintenances"}, name
        assert counts[name, 100] <= counts[name, 1] + 2, (name, counts[name, 1], counts[name, 100])
    assert max(counts.values()) <= 10, counts


def test_pieces_follow_each_other_without_gap_or_twin(machine: MakeMachine, few: None) -> None:
    root = machine()
    for path in ("/incidents", "/incidents?sort=started_at", "/people?sort=email", "/companies?sort=-name"):
        found = root.all(f"{path}{'&' if '?' in path else '?'}limit=5")
        ids = [each["id"] for each in found]
        assert len(ids) == len(set(ids)) >= 12
    names = [each["name"] for each in root.all("/companies?sort=name&limit=5") if each["name"].startswith("Company")]
    assert names == sorted(names)


def test_a_piece_is_not_moved_by_what_comes_before_it(machine: MakeMachine, few: None) -> None:
    root = machine()
    first = root.read("/companies?sort=name&limit=10")
    root.make("/companies", {"name": "Aaron’s"})
    second = root.read(first["next"].partition("/api/v1")[2])
    assert second["items"][0]["name"] == f"Company {10 - 2:03}"


def test_the_next_piece_keeps_the_filters_and_leads_to_the_stored_address(machine: MakeMachine, few: None) -> None:
    response = machine().client.get(
        "/api/v1/companies?q=company&limit=5",
        headers={
            "Authorization": f"Bearer {machine().token}",
            "X-Forwarded-Host": "evil.test",
            "X-Forwarded-Proto": "https",
        },
    )
    assert response.json is not None
    address = urlsplit(response.json["next"])
    assert (address.scheme, address.netloc, address.path) == ("http", "admin.portal.test", "/api/v1/companies")
    assert {"q": ["company"], "limit": ["5"]}.items() <= parse_qs(address.query).items()


STRANGE = (
    "limit=0",
    "limit=101",
    "limit=-1",
    "limit=a",
    "limit=1e1",
    "limit=%201",
    "limit=1_0",
    "limit=１",
    "limit=1&limit=2",
    "page=2",
    "sort=nothing",
    "sort=id&sort=id",
    "cursor=x",
    "cursor=%00",
    "cursor=WzFd!",
)


@pytest.mark.parametrize("name", LISTS)
def test_what_a_list_does_not_know_it_refuses(machine: MakeMachine, cast: Cast, name: str) -> None:
    root = machine()
    for query in STRANGE:
        response = root.get(f"/{name}?{query}")
        assert response.status_code == (400 if "%00" in query else 422), query
        if response.status_code == 422:
            assert refusal(response, 422)["errors"][0]["parameter"] == query.partition("=")[0]


def test_a_cursor_of_another_list_or_order_is_refused(machine: MakeMachine, few: None) -> None:
    root = machine()
    cursor = parse_qs(urlsplit(root.read("/companies?sort=name&limit=1")["next"]).query)["cursor"][0]
    for path in ("/companies", "/incidents", "/audit"):
        refusal(root.get(f"{path}?cursor={cursor}"), 422)


def test_a_cursor_with_a_number_no_row_can_have_is_refused(machine: MakeMachine, cast: Cast) -> None:
    class Row:
        id = 2**31

    place = Order((db.literal_column("id", db.Integer).label("id"),)).place_of(Row())
    refusal(machine(Scope.AUDIT).get(f"/audit?sort=id&cursor={place}"), 422)


def test_an_unchanged_answer_is_304_and_head_has_no_body(machine: MakeMachine, cast: Cast) -> None:
    root = machine()
    for path in ("/companies", f"/companies/{cast.a.id}"):
        first = root.get(path)
        again = root.get(path, If_None_Match=first.headers["ETag"])
        assert (again.status_code, again.data) == (304, b"")
        head = root.send("HEAD", path)
        assert (head.status_code, head.data, head.headers["ETag"]) == (200, b"", first.headers["ETag"])
