"""T17, T18: an area that is switched off is not there, from the next request on, whoever asks and however."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from portal import events
from portal.accounts import actions as accounts
from portal.accounts.models import Company, Person
from portal.audit.rules import SYSTEM
from portal.domains import actions as domains
from portal.domains.models import PortalDomain
from portal.domains.rules import Area
from portal.extensions import db
from portal.incidents.rules import Severity
from portal.notifications.models import ContactChannel, Delivery
from tests.conftest import NOW, SignIn, token_in
from tests.security.rights import OF_ONE_COMPANY, RIGHTS, For, address, routes
from tests.security.world import A_HOST, B_HOST, ROLES, Role, World, client_of, publish

BELONGS_TO_NO_AREA = {
    *("customer_home", "customer_account", "customer_preferences"),
    *("customer_files", "customer_work_sheet", "customer_calendar"),
}
"""Blueprints: the home shows what is open; the account is everybody's own, and so is what mails one. A file has the
area of what it belongs to (test_files.py), and the sheet of colours says nothing. The calendar is there
while one of two areas is open (below)."""

AREAS = [Area.STATUS, Area.SERVICES]
HTMX = {"HX-Request": "true"}


def role(name: str) -> Role:
    return next(each for each in ROLES if each.name == name)


@pytest.fixture
def alice(app: Flask, world: World) -> FlaskClient:
    return client_of(app, world.cast, role("Alice"))


@pytest.fixture
def charlie(app: Flask, world: World) -> FlaskClient:
    return client_of(app, world.cast, role("Charlie"))


@pytest.fixture
def nobody(app: Flask, world: World) -> FlaskClient:
    return client_of(app, world.cast, role("nobody on A's portal"))


def close(domain: PortalDomain, *closed: Area) -> None:
    areas = set(Area) - set(closed)
    row = db.session.get(PortalDomain, domain.id)
    assert row is not None
    domains.set_areas(row, areas, version=row.version, by=SYSTEM, now=NOW)
    events.commit()


def override(domain: PortalDomain, company: Company, area: Area, is_open: bool | None) -> None:
    here, whom = db.session.get(PortalDomain, domain.id), db.session.get(Company, company.id)
    assert here is not None
    assert whom is not None
    domains.set_override(here, whom, area, is_open, by=SYSTEM, now=NOW)
    events.commit()


def paths_of(app: Flask, world: World, area: Area, *, of_every_company: bool = False) -> list[str]:
    """The pages of an area that are there for A; `of_every_company` leaves out those of something that A alone has.

    What only B has is there for neither: of it the sweep speaks.
    """
    return [
        address(app, world, rule, RIGHTS[rule.endpoint].ours)
        for rule in routes(app)
        if RIGHTS[rule.endpoint].area is area
        and RIGHTS[rule.endpoint].ours not in RIGHTS[rule.endpoint].hidden_from_a
        and "GET" in (rule.methods or set())
        and not (of_every_company and RIGHTS[rule.endpoint].answers == OF_ONE_COMPANY)
    ]


def statuses(client: FlaskClient, paths: list[str]) -> set[int]:
    return {client.get(path, headers=headers).status_code for path in paths for headers in ({}, HTMX)}


def test_t17_every_customer_screen_belongs_to_an_area(app: Flask) -> None:
    lost = {
        endpoint
        for endpoint, entry in RIGHTS.items()
        if entry.audience is For.CUSTOMERS
        and entry.area is None
        and endpoint.partition(".")[0] not in BELONGS_TO_NO_AREA
    }
    assert lost == set()


def test_t17_t18_the_calendar_is_gone_once_neither_of_its_areas_is_open(world: World, alice: FlaskClient) -> None:
    for area in AREAS:
        assert statuses(alice, ["/calendar"]) == {200}
        override(world.cast.domain_a, world.cast.a, area, False)
    assert statuses(alice, ["/calendar"]) == {404}
    token = token_in(alice, "/nothing-here")
    for path in ("/calendar", "/calendar/renew", "/calendar/end"):
        assert alice.post(path, data={"csrf_token": token, "version": "1"}).status_code == 404
    override(world.cast.domain_a, world.cast.a, Area.SERVICES, True)
    assert statuses(alice, ["/calendar"]) == {200}


@pytest.mark.parametrize("area", AREAS)
def test_t18_the_switch_of_the_domain_counts_on_the_next_request(
    app: Flask, world: World, alice: FlaskClient, charlie: FlaskClient, area: Area
) -> None:
    paths, of_every_company = paths_of(app, world, area), paths_of(app, world, area, of_every_company=True)
    assert of_every_company
    assert statuses(alice, paths) == statuses(charlie, of_every_company) == {200}
    close(world.cast.domain_a, area)
    assert statuses(alice, paths) == {404}
    assert statuses(charlie, of_every_company) == {200}
    close(world.cast.domain_a)
    assert statuses(alice, paths) == {200}


@pytest.mark.parametrize("area", AREAS)
def test_t17_an_exception_of_the_company_beats_the_switch(
    app: Flask, world: World, sign_in: SignIn, alice: FlaskClient, area: Area
) -> None:
    neighbour = accounts.add_company("Cedar Foods", by=SYSTEM, now=NOW)
    domains.admit(neighbour, world.cast.domain_a, is_home=True, by=SYSTEM, now=NOW)
    db.session.commit()
    paths = paths_of(app, world, area)
    override(world.cast.domain_a, world.cast.a, area, False)
    assert statuses(alice, paths) == {404}
    override(world.cast.domain_a, neighbour, area, False)
    override(world.cast.domain_a, world.cast.a, area, None)
    assert statuses(alice, paths) == {200}, "the neighbour's exception is the neighbour's alone"
    close(world.cast.domain_a, area)
    assert statuses(alice, paths) == {404}
    override(world.cast.domain_a, world.cast.a, area, True)
    assert statuses(alice, paths) == {200}


def status_paths(world: World) -> list[str]:
    return ["/status", "/status/history", f"/incidents/{world.public_ids['public']}"]


FOLLOWING: list[tuple[list[Area], set[int], set[int]]] = [
    ([], {200}, {200}),
    ([Area.PUBLIC_STATUS], {200}, {302, 401}),
    ([Area.STATUS], {200}, {200}),
    ([Area.STATUS, Area.PUBLIC_STATUS], {404}, {404}),
]
"""What is closed, and how the status pages then answer somebody signed in and somebody who is not."""


def test_t17_the_status_pages_follow_both_switches(world: World, alice: FlaskClient, nobody: FlaskClient) -> None:
    paths = status_paths(world)
    for closed, signed_in, signed_out in FOLLOWING:
        close(world.cast.domain_a, *closed)
        assert statuses(alice, paths) == signed_in, closed
        assert statuses(nobody, paths) == signed_out, closed


def test_t17_without_status_the_public_page_knows_nobody(world: World, alice: FlaskClient, nobody: FlaskClient) -> None:
    """With Status off and the public page on, who is signed in is shown what everybody is, and no more."""
    close(world.cast.domain_a, Area.STATUS)
    for path in status_paths(world):
        mine, everybodys = alice.get(path), nobody.get(path)
        assert mine.data == everybodys.data
        assert "canarya" not in mine.get_data(as_text=True).lower()


def test_t17_home_shows_nothing_of_what_is_off(world: World, alice: FlaskClient) -> None:
    shown = alice.get("/").get_data(as_text=True)
    assert "North ring is slow" in shown
    assert "Internet access" in shown
    close(world.cast.domain_a, Area.STATUS, Area.PUBLIC_STATUS)
    shown = alice.get("/").get_data(as_text=True)
    assert "North ring is slow" not in shown
    assert 'href="/status' not in shown
    close(world.cast.domain_a, Area.SERVICES)
    shown = alice.get("/").get_data(as_text=True)
    assert "North ring is slow" in shown
    assert 'href="/services' not in shown
    assert 'id="your-services"' not in shown


def test_t17_services_say_nothing_of_incidents_where_status_is_off(world: World, alice: FlaskClient) -> None:
    close(world.cast.domain_a, Area.STATUS, Area.PUBLIC_STATUS)
    for path in ("/", "/services"):
        text = alice.get(path).get_data(as_text=True)
        for word in ("North ring", "Intermittent", "incident", "outage"):
            assert word.lower() not in text.lower(), f"{word} on {path}"


def test_t17_no_page_is_rung_where_all_is_off(world: World, alice: FlaskClient, nobody: FlaskClient) -> None:
    assert statuses(alice, ["/live-token"]) == statuses(nobody, ["/live-token"]) == {200}
    close(world.cast.domain_a, Area.STATUS, Area.PUBLIC_STATUS, Area.SERVICES, Area.JOBS, Area.QUOTES, Area.ALERTS)
    assert statuses(nobody, ["/live-token"]) == {404}
    assert statuses(alice, ["/live-token"]) == {404}


def test_t17_sign_in_tells_of_no_incident_where_the_public_page_is_off(world: World, nobody: FlaskClient) -> None:
    assert "North ring is slow" in nobody.get("/sign-in").get_data(as_text=True)
    close(world.cast.domain_a, Area.PUBLIC_STATUS)
    assert "North ring is slow" not in nobody.get("/sign-in").get_data(as_text=True)


def _switch_off(world: World) -> None:
    close(world.cast.domain_a, Area.STATUS)


def _except(world: World) -> None:
    override(world.cast.domain_a, world.cast.a, Area.STATUS, False)


def _switch_off_but_except(world: World) -> None:
    close(world.cast.domain_a, Area.STATUS)
    override(world.cast.domain_a, world.cast.a, Area.STATUS, True)


@pytest.mark.parametrize(
    ("change", "are_mailed"), [(_switch_off, False), (_except, False), (_switch_off_but_except, True)]
)
def test_t17_mails_of_the_area_stop_with_it(world: World, change: Callable[[World], None], are_mailed: bool) -> None:
    change(world)
    before = set(db.session.scalars(select(Delivery.id)))
    publish(world, "new", "All is down", "Everybody is hit.", {world.ids["north"]: Severity.MAJOR_OUTAGE})
    events.commit()
    # A subscriber hears what the public page shows, which has a switch of its own.
    rows = [row for row in db.session.scalars(select(Delivery)) if row.id not in before]
    addresses = {row.address for row in rows if row.subscriber_id is None}
    channel = db.session.get_one(ContactChannel, world.ids["channel"]).hint
    of_a: set[str] = {channel, *[person.email for person in _people(world.cast.alice, world.cast.bob)]}
    assert addresses == ({world.cast.charlie.email} | of_a if are_mailed else {world.cast.charlie.email})


def _people(*people: Person) -> list[Person]:
    return list(people)


def test_t18_a_form_opened_before_the_switch_is_refused_after(app: Flask, world: World, alice: FlaskClient) -> None:
    """The account is no area; so it is still taken. What belongs to an area that closed is not."""
    token = token_in(alice, "/services")
    close(world.cast.domain_a, Area.SERVICES)
    assert alice.get("/services", headers={**HTMX, "X-CSRFToken": token}).status_code == 404
    assert alice.get("/account").status_code == 200


def test_a_company_admitted_to_two_portals_sees_on_each_what_is_open_there(
    app: Flask, world: World, sign_in: SignIn
) -> None:
    from portal import clock  # noqa: PLC0415
    from tests.conftest import client_on  # noqa: PLC0415

    domains.admit(world.cast.a, world.cast.domain_b, is_home=False, by=SYSTEM, now=NOW)
    token = accounts.open_session(
        world.cast.alice, world.cast.a.id, B_HOST, ip="127.0.0.1", user_agent="test", now=clock.utcnow()
    )
    close(world.cast.domain_b, Area.SERVICES)
    here, there = client_on(app, A_HOST), client_on(app, B_HOST)
    there.set_cookie("sid", token, domain=B_HOST)
    own = client_of(app, world.cast, role("Alice"))
    assert own.get("/services").status_code == 200
    assert there.get("/services").status_code == 404
    assert there.get("/status").status_code == 200
    assert here.get("/services").status_code == 302
