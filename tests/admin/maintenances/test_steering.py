"""Steering maintenance: what can be done to it where it stands, what it touches, and who is asked and answered."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from portal import clock
from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.incidents.actions.requests import add_freeze, ask_for_slot
from portal.incidents.models import Maintenance, SlotRequest
from portal.incidents.rules import MaintenanceState
from portal.incidents.rules.maintenance import Notice, SlotState, state_of
from portal.notifications.models import Broadcast
from tests.admin.maintenances.conftest import HOUR, LIST, fields, hidden, one, planned, post, soup, updates, wall
from tests.conftest import Cast, SignIn, token_in
from tests.incidents.conftest import World


@pytest.fixture
def client_of_ada(cast: Cast, sign_in: SignIn) -> FlaskClient:
    return sign_in(cast.ada)


def opened(client: Any, work: Maintenance, do: str) -> dict[str, Any]:
    return fields(client, f"{LIST}/{work.id}?do={do}", "step-form")


def broadcasts() -> int:
    return db.session.scalar(select(func.count()).select_from(Broadcast)) or 0


@pytest.mark.parametrize(
    ("starts_in", "do", "told"),
    [
        (72, "begin", (MaintenanceState.IN_PROGRESS, Notice.STARTED)),
        (-1, "verify", (MaintenanceState.VERIFYING, Notice.VERIFYING)),
        (-1, "complete", (MaintenanceState.COMPLETED, Notice.COMPLETED)),
        (72, "cancel", (MaintenanceState.CANCELLED, Notice.CANCELLED)),
        (72, "note", (MaintenanceState.SCHEDULED, Notice.NOTE)),
    ],
)
def test_each_step_is_previewed_taken_once_and_told(
    world: World, client_of_ada: FlaskClient, starts_in: int, do: str, told: tuple[MaintenanceState, Notice]
) -> None:
    work = planned("Switch", [world.trunk.id], starts_in * HOUR, 3 * HOUR)
    client, before = client_of_ada, broadcasts()
    form = opened(client, work, do) | {"body": "As *planned*.", "notify": "y"}
    seen = soup(post(client, f"{LIST}/{work.id}/preview?do={do}", form)).get_text()
    assert "and notify 3 people" in seen
    assert "As planned." in seen
    for _ in range(2):
        assert post(client, f"{LIST}/{work.id}/{do}", form).status_code == 303
    db.session.refresh(work)
    assert (state_of(work, clock.utcnow()), updates(work.id)[-1].kind) == told
    assert broadcasts() == before + 1
    page = client.get(f"{LIST}/{work.id}").get_data(as_text=True)
    assert "<em>planned</em>" in page
    assert "mails sent" in page


def test_it_is_moved_and_extended(world: World, cast: Cast, sign_in: SignIn) -> None:
    work = planned("Switch", [world.trunk.id], reminders=())
    client = sign_in(cast.ada)
    later = work.starts_at + 24 * HOUR
    form = opened(client, work, "move") | {"starts_at": wall(later), "ends_at": wall(later + HOUR), "body": "Parts."}
    seen = soup(post(client, f"{LIST}/{work.id}/preview?do=move", form))
    assert seen.select_one(".seen-when s") is not None
    assert post(client, f"{LIST}/{work.id}/move", form | {"ends_at": ""}).status_code == 422
    assert post(client, f"{LIST}/{work.id}/move", form).status_code == 303
    db.session.refresh(work)
    assert (work.starts_at, work.ends_at) == (later, later + HOUR)
    begun = planned("Cable", [world.fibre.id], -HOUR, 2 * HOUR)
    form = opened(client, begun, "extend")
    assert "starts_at" not in form
    until = begun.ends_at + 2 * HOUR
    assert post(client, f"{LIST}/{begun.id}/extend", form | {"ends_at": wall(until)}).status_code == 303
    db.session.refresh(begun)
    assert (begun.ends_at, updates(begun.id)[-1].kind) == (until, Notice.EXTENDED)


def test_what_cannot_be_done_is_said_and_the_text_stays(world: World, cast: Cast, sign_in: SignIn) -> None:
    work = planned("Switch", [world.trunk.id])
    client = sign_in(cast.ada)
    form = opened(client, work, "note")
    refused = post(client, f"{LIST}/{work.id}/note", form | {"body": ""})
    assert refused.status_code == 422
    assert "Say what customers should know." in soup(refused).get_text()
    refused = post(client, f"{LIST}/{work.id}/verify", form | {"body": "Kept."})
    assert refused.status_code == 422
    assert "Only work in progress can be verified." in soup(refused).get_text()
    assert "Kept." in one(soup(refused), "#step-form textarea").get_text()
    stale = opened(client, work, "cancel")
    assert post(client, f"{LIST}/{work.id}/note", form | {"body": "First."}).status_code == 303
    conflict = post(client, f"{LIST}/{work.id}/cancel", stale | {"body": "Mine."})
    assert conflict.status_code == 409
    page = soup(conflict)
    assert "Somebody has changed this" in one(page, ".form-errors").get_text()
    assert "Mine." in one(page, "#step-form textarea").get_text()
    again = hidden(page, "step-form")
    assert post(client, f"{LIST}/{work.id}/cancel", stale | again).status_code == 303
    over = soup(client.get(f"{LIST}/{work.id}"))
    assert [tab.get_text() for tab in over.select("#do .tabs a")] == ["Add a note"]
    assert over.find("a", string="Edit") is None
    olaf = sign_in(cast.olaf)
    bare = {"csrf_token": token_in(olaf, LIST)}
    assert post(olaf, f"{LIST}/{work.id}/note", bare).status_code == 403


def wish(work: Maintenance, cast: Cast, **more: Any) -> SlotRequest:
    made = ask_for_slot(
        work,
        company_id=cast.a.id,
        person_id=cast.alice.id,
        text="We take stock that night.",
        starts_at=more.get("starts_at"),
        ends_at=more.get("ends_at"),
        zone="Europe/London",
        by=SYSTEM,
        now=clock.utcnow(),
        idempotency_key="wish",
    )
    db.session.commit()
    return made


def test_a_wish_is_accepted_and_moves_the_work(world: World, cast: Cast, sign_in: SignIn) -> None:
    work = planned("Switch", [world.trunk.id])
    better = work.starts_at + 48 * HOUR
    ask = wish(work, cast, starts_at=better)
    client = sign_in(cast.ada)
    assert "1 asks for another slot" in soup(client.get(LIST)).get_text()
    queue = soup(client.get(f"{LIST}/requests"))
    assert "Alder Dental: Switch" in queue.get_text()
    path = f"{LIST}/requests/{ask.id}"
    form = fields(client, path, "answer-form")
    assert (form["answer"], form["starts_at"], form["ends_at"]) == ("accept", wall(better), wall(better + 2 * HOUR))
    assert "Who is told" in soup(post(client, f"{path}/preview", form)).get_text()
    assert "Nothing: the time stands." in soup(post(client, f"{path}/preview", form | {"answer": "decline"})).get_text()
    assert post(client, path, form | {"body": "Gladly."}).status_code == 303
    db.session.refresh(work)
    db.session.refresh(ask)
    assert (work.starts_at, ask.state, ask.answer) == (better, SlotState.ACCEPTED, "Gladly.")
    assert "Nobody asks for another slot" in soup(client.get(f"{LIST}/requests")).get_text()
    page = soup(client.get(path))
    assert page.find(id="answer-form") is None
    assert "Gladly." in page.get_text()
    assert "Accepted" in soup(client.get(f"{LIST}/{work.id}")).get_text()


def test_a_wish_is_declined_with_a_sentence(world: World, cast: Cast, sign_in: SignIn) -> None:
    work = planned("Switch", [world.trunk.id])
    ask = wish(work, cast)
    client = sign_in(cast.ada)
    path = f"{LIST}/requests/{ask.id}"
    form = fields(client, path, "answer-form") | {"answer": "decline"}
    silent = post(client, path, form)
    assert silent.status_code == 422
    assert "Write a sentence about it." in soup(silent).get_text()
    olaf = sign_in(cast.olaf)
    assert olaf.get(path).status_code == 200
    assert post(olaf, path, form | {"csrf_token": token_in(olaf, LIST)}).status_code == 403
    assert post(client, path, form | {"body": "The part is here that night only."}).status_code == 303
    db.session.refresh(ask)
    assert ask.state is SlotState.DECLINED
    stale = post(client, path, form | {"body": "Another answer."})
    assert stale.status_code == 409
    assert "The part is here that night only." in soup(stale).get_text()
    assert client.get(f"{LIST}/requests/999").status_code == 404


def test_freezes_of_all_companies(world: World, cast: Cast, sign_in: SignIn) -> None:
    client, now = sign_in(cast.olaf), clock.utcnow()
    assert "No company asks for quiet days" in soup(client.get(f"{LIST}/freezes")).get_text()
    for company, key in ((cast.a, "1"), (cast.b, "2")):
        add_freeze(
            company.id,
            now + HOUR,
            now + 5 * HOUR,
            "Stocktaking",
            zone="Europe/London",
            by=SYSTEM,
            author_id=None,
            now=now,
            idempotency_key=key,
        )
    db.session.commit()
    page = soup(client.get(f"{LIST}/freezes"))
    assert [row.get_text() for row in page.select("#freezes tbody th")] == ["Alder Dental", "Birch Logistics"]
    assert client.get(f"{LIST}/freezes?page=2").status_code == 404
