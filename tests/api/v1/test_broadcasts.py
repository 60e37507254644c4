"""Broadcasts, their deliveries, and the audit trail, through the API."""

import pytest

from portal import clock
from portal.accounts.rules.tokens import Scope
from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.incidents import actions as incidents
from portal.incidents.rules import State
from portal.notifications.kinds import ACCOUNT_TOPIC
from portal.notifications.models import Broadcast, Delivery
from tests.api.v1.conftest import Machine, MakeMachine, refusal
from tests.conftest import Cast


@pytest.fixture
def desk(machine: MakeMachine) -> Machine:
    return machine(Scope.BROADCASTS)


@pytest.fixture
def told(cast: Cast) -> int:
    """A broadcast to the three customers, none of them sent yet."""
    incidents.publish(
        "Slow", State.IDENTIFIED, "We look.", {}, by=SYSTEM, author_id=None, now=clock.utcnow(), idempotency_key="k"
    )
    db.session.commit()
    return int(db.session.scalars(db.select(Broadcast.id)).one())


def test_a_broadcast_is_paused_resumed_and_cancelled(desk: Machine, told: int) -> None:
    path = f"/broadcasts/{told}"
    for _ in range(2):
        paused = desk.send("POST", f"{path}/pause").json
        assert paused is not None
        assert (paused["state"], paused["note"]) == ("paused", "Paused by API token “test broadcasts”.")
    resumed = desk.send("POST", f"{path}/resume").json
    assert resumed is not None
    assert (resumed["state"], resumed["note"]) == ("sending", None)
    cancelled = desk.send("POST", f"{path}/cancel").json
    assert cancelled is not None
    assert (cancelled["state"], cancelled["progress"]["left_out"]) == ("cancelled", 3)
    refusal(desk.send("POST", f"{path}/pause"), 422)
    refusal(desk.send("POST", f"{path}/retry"), 422)
    assert [each["id"] for each in desk.all("/broadcasts?open=false&state=cancelled&q=SLOW")] == [told]
    assert desk.all("/broadcasts?open=true") == []


def test_deliveries_are_read_and_narrowed(desk: Machine, told: int, cast: Cast) -> None:
    every = desk.all(f"/deliveries?broadcast_id={told}&limit=1")
    assert {each["address"] for each in every} == {each.email for each in (cast.alice, cast.bob, cast.charlie)}
    mine = desk.all(f"/deliveries?address={cast.alice.email.upper()}")
    assert [(each["person_id"], each["state"]) for each in mine] == [(cast.alice.id, "pending")]
    assert desk.read(f"/deliveries/{mine[0]['id']}") == mine[0]
    assert desk.all(f"/deliveries?company_id={cast.b.id}&state=sent") == []
    refusal(desk.get("/deliveries/2147483000"), 404)


def test_letters_about_an_account_are_none_of_them(desk: Machine, told: int) -> None:
    """Their links let whoever holds them choose a password."""
    letter = db.session.get(Broadcast, told)
    assert letter is not None
    letter.topic = ACCOUNT_TOPIC
    delivery = db.session.scalars(db.select(Delivery.id)).first()
    db.session.commit()
    assert desk.all("/broadcasts") == []
    assert desk.all("/deliveries") == []
    for path in (f"/broadcasts/{told}", f"/deliveries/{delivery}"):
        refusal(desk.get(path), 404)
    refusal(desk.send("POST", f"/broadcasts/{told}/cancel"), 404)


def test_the_audit_trail_is_read_and_narrowed(machine: MakeMachine, cast: Cast) -> None:
    trail = machine(Scope.AUDIT)
    made = trail.all("/audit?action=token.make&limit=1")[0]
    assert (made["object_kind"], made["actor_id"]) == ("token", cast.root.id)
    assert made["after"]["scope"] == "audit"
    assert trail.read(f"/audit/{made['id']}") == made
    ours = trail.all(f"/audit?company_id={cast.a.id}&sort=id")
    assert {each["company_id"] for each in ours} == {cast.a.id}
    assert [each["id"] for each in ours] == sorted(each["id"] for each in ours)
    assert trail.all("/audit?until=2000-01-01T00:00:00Z") == []
    assert trail.all(f"/audit?object_kind=company&object_id={cast.b.id}&actor_id={cast.root.id}") == []
    assert "sbx_" not in trail.get("/audit").get_data(as_text=True)
    refusal(trail.get("/audit/2147483000"), 404)


def test_a_notice_by_hand_is_sent_once_and_read_back(desk: Machine, cast: Cast) -> None:
    body = {"subject": "News for {{company}}", "body": "Dear **{{name}}**", "company_ids": [cast.a.id]}
    first = desk.send("POST", "/broadcasts", body, Idempotency_Key="january")
    again = desk.send("POST", "/broadcasts", body, Idempotency_Key="january")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json == again.json
    made = first.json
    assert made is not None
    assert (made["kind"], made["topic"], made["title"]) == ("notice", "notices", "News for {{company}}")
    assert made["progress"]["waiting"] == 2
    assert desk.read(f"/broadcasts/{made['id']}") == made
    assert {each["address"] for each in desk.all(f"/deliveries?broadcast_id={made['id']}")} == {
        cast.alice.email,
        cast.bob.email,
    }
    assert len(desk.all("/broadcasts")) == 1
    everybody = desk.make("/broadcasts", {"subject": "x", "body": "y", "everyone": True})
    assert everybody["progress"]["total"] == 3


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"subject": "{{ config }}"}, "/subject"),
        ({"body": "{% if x %}"}, "/body"),
        ({"subject_de": "Nur der Betreff"}, "/body_de"),
        ({"company_ids": [2147483000]}, "/company_ids"),
        ({"service_ids": [2147483000]}, "/service_ids"),
        ({"portal_ids": [2147483000]}, "/portal_ids"),
        ({"company_ids": []}, "/company_ids"),
        ({"everyone": True}, "/everyone"),
        ({"everyone": "yes"}, "/everyone"),
        ({"subject": ""}, "/subject"),
        ({"body": "x" * 20_001}, "/body"),
        ({"address": "a@b.test"}, "/address"),
    ],
)
def test_what_cannot_be_sent_is_refused_where_it_is_wrong(
    desk: Machine, cast: Cast, change: dict[str, object], pointer: str
) -> None:
    body = {"subject": "News", "body": "Text", "company_ids": [cast.a.id], **change}
    answer = refusal(desk.send("POST", "/broadcasts", body), 422)
    assert answer["errors"][0]["pointer"] == pointer
    assert db.session.scalars(db.select(Broadcast.id)).all() == []


def test_only_a_token_that_may_write_broadcasts_sends_one(machine: MakeMachine, cast: Cast) -> None:
    body = {"subject": "News", "body": "Text", "company_ids": [cast.a.id]}
    refusal(machine(Scope.READ).send("POST", "/broadcasts", body), 403)
    refusal(machine(Scope.INCIDENTS).send("POST", "/broadcasts", body), 403)
    refusal(machine(Scope.READ, cast.a).send("POST", "/broadcasts", body), 404)
    assert machine(Scope.WRITE).send("POST", "/broadcasts", body).status_code == 201
