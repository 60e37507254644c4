"""The screen of a company's calendar address: made, shown, renewed and ended by its people."""

import re
from collections.abc import Callable

from flask.testing import FlaskClient
from sqlalchemy import select

from portal import events
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.extensions import db
from portal.incidents.models import CalendarAddress
from tests.conftest import NOW, Cast, SignIn, token_in

Visitor = Callable[[str], FlaskClient]


def post(client: FlaskClient, path: str, **values: str | int) -> int:
    token = token_in(client, "/calendar")
    return client.post(path, data={"csrf_token": token, **values}).status_code


def shown(client: FlaskClient) -> str:
    """The path of the address on the screen."""
    found = re.search(r"http://a\.portal\.test(/calendar/[\w-]+\.ics)</code>", client.get("/calendar").text)
    assert found is not None
    return found[1]


def row() -> CalendarAddress:
    return db.session.scalars(select(CalendarAddress).execution_options(populate_existing=True)).one()


def test_an_address_is_made_once_and_shown_to_everybody_of_the_company(
    cast: Cast, sign_in: SignIn, visitor: Visitor
) -> None:
    alice, bob = sign_in(cast.alice), sign_in(cast.bob)
    assert "No address so far" in alice.get("/calendar").text
    assert [post(alice, "/calendar"), post(bob, "/calendar")] == [303, 303]
    address = shown(alice)
    assert shown(bob) == address
    assert f'href="webcal://a.portal.test{address}"' in alice.get("/calendar").text
    assert "Made by Alice" in bob.get("/calendar").text
    assert "No program has read it so far." in bob.get("/calendar").text
    assert visitor("a.portal.test").get(address).status_code == 200
    assert "Last read" in bob.get("/calendar").text
    assert "No address so far" in sign_in(cast.charlie).get("/calendar").text


def test_a_new_one_ends_the_old_one_at_once(cast: Cast, sign_in: SignIn, visitor: Visitor) -> None:
    alice = sign_in(cast.alice)
    post(alice, "/calendar")
    old, version = shown(alice), row().version
    assert post(alice, "/calendar/renew", version=version) == 303
    assert visitor("a.portal.test").get(old).status_code == 404
    assert visitor("a.portal.test").get(shown(alice)).status_code == 200
    assert post(alice, "/calendar/renew", version=version) == 409, "sent twice it is done once"
    assert post(alice, "/calendar/end", version=version) == 409
    assert post(alice, "/calendar/end", version="x") == 422
    assert post(alice, "/calendar/end", version=row().version) == 303
    assert post(alice, "/calendar/end", version=version) == 404
    assert "No address so far" in alice.get("/calendar").text
    acts = db.session.scalars(select(AuditEntry.action).where(AuditEntry.action.like("calendar_address.%"))).all()
    assert sorted(acts) == ["calendar_address.end", "calendar_address.make", "calendar_address.renew"]


def test_where_nothing_is_planned_there_is_no_calendar(cast: Cast, sign_in: SignIn) -> None:
    alice = sign_in(cast.alice)
    assert 'href="/calendar"' in alice.get("/account").text
    assert "/status/maintenance.ics" in alice.get("/calendar").text
    domains.set_areas(cast.domain_a, [Area.JOBS], version=cast.domain_a.version, by=SYSTEM, now=NOW)
    events.commit()
    assert alice.get("/calendar").status_code == 404
    assert 'href="/calendar"' not in alice.get("/account").text


def test_staff_see_that_there_is_one_and_not_where(cast: Cast, sign_in: SignIn) -> None:
    page, root = f"/admin/companies/{cast.a.id}", sign_in(cast.root)
    assert 'id="calendar"' not in root.get(page).text
    alice = sign_in(cast.alice)
    post(alice, "/calendar")
    seen = root.get(page).text
    assert "Made by Alice" in seen
    assert shown(alice).removeprefix("/calendar/") not in seen
