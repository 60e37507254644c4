"""Customers ask for work: it lands in Requested, once, and can be called off while nothing has become of it."""

from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from portal import clock, events
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.extensions import db
from portal.files.models import StoredFile
from portal.jobs import queries
from portal.jobs.actions import booking
from portal.jobs.models import WorkItem, WorkNotice
from portal.jobs.rules import Role, Showing
from tests.conftest import NOW, Cast, SignIn, token_in
from tests.customer.jobs.conftest import Book, move_to, work  # noqa: F401 (fixtures are found by name)
from tests.incidents.conftest import World, world  # noqa: F401
from tests.jobs.conftest import role, save


def booked(client: FlaskClient, path: str = "/jobs/new", **typed: Any) -> TestResponse:
    given = {"title": "Move the router", "key": "k1", "csrf_token": token_in(client, path), **typed}
    return client.post(path, data=given)


def items() -> list[WorkItem]:
    return list(db.session.scalars(select(WorkItem).order_by(WorkItem.id)))


@pytest.mark.parametrize("path", ["/jobs/new", "/quotes/new"])
def test_what_is_asked_for_lands_in_requested_and_is_shown(cast: Cast, sign_in: SignIn, path: str) -> None:
    client = sign_in(cast.alice)
    answer = booked(client, path, description="Please\nsoon", site="First floor")
    (item,) = items()
    assert answer.status_code == 303
    page = client.get(answer.location).text
    for words in ("Move the router", "First floor", "Requested"):
        assert words in page
    assert item.status_id == queries.settings_of(item.kind).table.with_role(Role.REQUESTED).id
    assert (item.company_id, item.contact_id, item.booked_by_id) == (cast.a.id, cast.alice.id, cast.alice.id)
    assert db.session.scalars(select(AuditEntry.action)).all()[-1] == f"{item.kind.value}.add"
    assert db.session.scalar(select(func.count()).select_from(WorkNotice)) == 0, "they know what they have asked for"


def test_sent_twice_it_is_one_and_the_second_shows_the_first(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.alice)
    first, second = booked(client), booked(client, title="Changed and sent again")
    assert first.location == second.location
    assert [item.title for item in items()] == ["Move the router"]
    other = booked(sign_in(cast.bob))
    assert other.location != first.location, "a key is one person's own"


def test_a_refusal_keeps_what_was_typed(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.alice)
    answer = booked(client, title=" ", description="All of this", site="x" * 301)
    assert answer.status_code == 422
    assert "Say in a few words" in answer.text
    assert "All of this" in answer.text
    assert booked(client, site="x" * 301).status_code == 422
    assert items() == []


def test_only_a_service_of_ones_own_can_be_named(cast: Cast, world: World, sign_in: SignIn) -> None:  # noqa: F811
    client = sign_in(cast.alice)
    for holding in (str(world.holding_b.id), "x", "-1", "99999999999"):
        answer = booked(client, holding_id=holding)
        assert answer.status_code == 422, holding
        assert "Choose one of your services" in answer.text
    assert booked(client, holding_id=str(world.holding_a.id)).status_code == 303
    assert items()[0].holding_id == world.holding_a.id


def test_t19_t20_who_asks_is_never_taken_from_the_form(cast: Cast, sign_in: SignIn) -> None:
    booked(
        sign_in(cast.alice),
        company_id=str(cast.b.id),
        contact_id=str(cast.charlie.id),
        booked_by_id=str(cast.charlie.id),
        status_id="3",
        assignee_id=str(cast.olaf.id),
        number="7",
    )
    (item,) = items()
    assert (item.company_id, item.contact_id, item.booked_by_id) == (cast.a.id, cast.alice.id, cast.alice.id)
    assert item.assignee_id is None


def test_files_come_along(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.alice)
    answer = booked(client, files=(BytesIO(b"Third floor, left"), "plan.txt"))
    (item,) = items()
    file = db.session.scalars(select(StoredFile)).one()
    assert (file.subject_kind, file.subject_id, file.company_id) == ("job", item.id, cast.a.id)
    assert "plan.txt" in client.get(answer.location).text


def test_files_can_be_added_where_messages_are_closed(cast: Cast, work: Book, sign_in: SignIn) -> None:  # noqa: F811
    domains.set_areas(cast.domain_a, set(Area) - {Area.MESSAGES}, version=cast.domain_a.version, by=SYSTEM, now=NOW)
    events.commit()
    item, foreign = work(), work(company=cast.b)
    client = sign_in(cast.alice)
    path = f"/jobs/J-{item.number}"
    token = token_in(client, path)

    def sent(to: str, **files: object) -> int:
        return client.post(f"{to}/files", data={"csrf_token": token, **files}).status_code

    assert sent(path) == 422
    assert sent(f"/jobs/J-{foreign.number}", files=(BytesIO(b"x"), "plan.txt")) == 404
    assert sent(path, files=(BytesIO(b"x"), "plan.txt")) == 303
    assert "plan.txt" in client.get(path).text


def test_a_script_that_books_and_books_is_stopped(cast: Cast, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(booking, "BOOKINGS_AN_HOUR", 2)
    client = sign_in(cast.alice)
    answers = [booked(client, key=f"k{n}").status_code for n in range(3)]
    assert answers == [303, 303, 422]


class TestCallingOff:
    def off(self, client: FlaskClient, item: WorkItem) -> TestResponse:
        path = f"/jobs/J-{item.number}"
        return client.post(f"{path}/cancel", data={"csrf_token": token_in(client, path)})

    def test_ones_own_request(self, cast: Cast, sign_in: SignIn) -> None:
        client = sign_in(cast.alice)
        page = client.get(booked(client).location).text
        (item,) = items()
        assert "/cancel" in page
        assert self.off(client, item).status_code == 303
        assert self.off(client, item).status_code == 303, "twice is once"
        db.session.refresh(item)
        assert item.status_id == role(Role.CANCELLED).id
        assert "/cancel" not in client.get(f"/jobs/J-{item.number}").text

    def test_neither_a_colleagues_nor_what_staff_made(self, cast: Cast, work: Book, sign_in: SignIn) -> None:  # noqa: F811
        alice, bob = sign_in(cast.alice), sign_in(cast.bob)
        booked(bob)
        (of_bob,) = items()
        of_staff, foreign = work(), work(company=cast.b)
        for item in (of_bob, of_staff):
            assert "/cancel" not in alice.get(f"/jobs/J-{item.number}").text
            assert self.off(alice, item).status_code == 422
        assert self.off(alice, foreign).status_code == 404

    def test_not_once_it_has_become_something_else(self, cast: Cast, sign_in: SignIn) -> None:
        client = sign_in(cast.alice)
        booked(client)
        (item,) = items()
        move_to(item, Role.SCHEDULED)
        answer = self.off(client, item)
        assert answer.status_code == 422
        assert "can no longer be called off here" in answer.text
        db.session.refresh(item)
        assert item.status_id == role(Role.SCHEDULED).id

    def test_a_move_they_do_not_see_leaves_the_button(self, cast: Cast, sign_in: SignIn) -> None:
        save(replace(role(Role.ON_HOLD), showing=Showing.HIDDEN), now=clock.utcnow())
        client = sign_in(cast.alice)
        booked(client)
        (item,) = items()
        move_to(item, Role.ON_HOLD)
        assert "/cancel" in client.get(f"/jobs/J-{item.number}").text
        assert self.off(client, item).status_code == 303
