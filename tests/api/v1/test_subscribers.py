"""Subscribers through the API: found, added as staff add them, changed, put to rest, woken and forgotten."""

from typing import Any

import pytest
from sqlalchemy import func, select

from portal.accounts.models import ApiAnswer
from portal.accounts.rules.tokens import Scope
from portal.audit.models import AuditEntry
from portal.extensions import db
from portal.incidents.rules import Visibility
from portal.notifications.models import Broadcast, Delivery
from portal.notifications.subscribers import letters
from portal.notifications.subscribers.models import Subscriber
from tests.api.v1.conftest import Machine, MakeMachine, refusal
from tests.conftest import Cast, counted_queries
from tests.notifications.subscribers.test_following import published

URL = "https://hooks.example.com/services/abcdef"


@pytest.fixture
def desk(machine: MakeMachine) -> Machine:
    return machine(Scope.BROADCASTS)


@pytest.fixture
def ring(machine: MakeMachine, cast: Cast) -> int:
    return int(machine(Scope.CATALOGUE).make("/components", {"title": "North ring"})["id"])


def wish(cast: Cast, **more: Any) -> dict[str, Any]:
    return {"portal_id": cast.domain_a.id, "address": "rita@reader.test", "topics": ["incidents"], **more}


def letters_to(address: str) -> int:
    count = select(func.count(Delivery.id)).join(Broadcast, Broadcast.id == Delivery.broadcast_id)
    return db.session.scalar(count.where(Broadcast.kind == letters.NAME, Delivery.address == address)) or 0


def test_whoever_has_not_agreed_is_asked_first(desk: Machine, cast: Cast) -> None:
    made = desk.make("/subscribers", wish(cast, language="de", is_shared=True))
    assert (made["state"], made["source"], made["consent"], made["secret"]) == ("unconfirmed", "staff", "", None)
    assert (made["language"], made["is_shared"], made["confirmed_at"]) == ("de", True, None)
    assert letters_to("rita@reader.test") == 1


def test_whoever_has_agreed_is_told_from_now_on(desk: Machine, cast: Cast) -> None:
    made = desk.make("/subscribers", wish(cast, consent="Signed in the shop"))
    assert (made["state"], made["consent"]) == ("active", "Signed in the shop")
    assert made["confirmed_at"] is not None
    assert letters_to("rita@reader.test") == 0
    problem = refusal(desk.send("POST", "/subscribers", wish(cast, address="RITA@reader.test")), 422)
    assert [each["pointer"] for each in problem["errors"]] == ["/address"]
    assert desk.make("/subscribers", wish(cast, portal_id=cast.domain_b.id))["id"] != made["id"]


def test_a_machine_is_told_from_now_on_and_its_secret_is_told_once(desk: Machine, cast: Cast) -> None:
    body = wish(cast, kind="webhook", address=URL)
    first = desk.send("POST", "/subscribers", body, Idempotency_Key="room").json
    again = desk.send("POST", "/subscribers", body, Idempotency_Key="room").json
    assert first is not None
    assert first == again
    secret = first.pop("secret")
    assert secret.startswith("whsec_")
    assert secret not in db.session.scalars(select(ApiAnswer.body)).one()
    assert (first["state"], "abcdef" in first["address"]) == ("active", False)
    assert desk.read(f"/subscribers/{first['id']}") == first
    room = desk.make("/subscribers", wish(cast, kind="slack", address="https://hooks.slack.com/services/T0/B0/x"))
    assert room["secret"] is None
    refusal(desk.send("POST", "/subscribers", wish(cast, kind="webhook", address="http://127.0.0.1/")), 422)


def test_they_are_found_by_state_component_kind_portal_and_address(desk: Machine, cast: Cast, ring: int) -> None:
    all_of_it = desk.make("/subscribers", wish(cast))
    ring_only = desk.make(
        "/subscribers",
        wish(cast, address="sam@reader.test", topics=["incidents", f"component:{ring}"], consent="By phone"),
    )
    machine = desk.make("/subscribers", wish(cast, kind="webhook", address=URL))
    on_b = desk.make("/subscribers", wish(cast, portal_id=cast.domain_b.id))
    for query, wanted in (
        ("", [all_of_it, ring_only, machine, on_b]),
        ("?state=unconfirmed", [all_of_it, on_b]),
        ("?state=active&kind=email", [ring_only]),
        ("?kind=webhook", [machine]),
        (f"?component_id={ring}", [ring_only]),
        (f"?component_id={ring * 10}", []),
        (f"?portal_id={cast.domain_b.id}", [on_b]),
        ("?q=SAM%40", [ring_only]),
        ("?sort=-id&limit=1", [on_b, machine, ring_only, all_of_it]),
    ):
        assert [each["id"] for each in desk.all(f"/subscribers{query}")] == [each["id"] for each in wanted], query


def test_they_are_changed_put_to_rest_woken_and_forgotten(desk: Machine, cast: Cast, ring: int) -> None:
    made = desk.make("/subscribers", wish(cast, consent="By phone"))
    path = f"/subscribers/{made['id']}"
    refusal(desk.send("PATCH", path, {"language": "de"}), 428)
    refusal(desk.send("PATCH", path, {"language": "de"}, match=made["version"] + 1), 409)
    changed = desk.send(
        "PATCH", path, {"topics": ["incidents", f"component:{ring}"], "language": "de"}, match=made["version"]
    ).json
    assert changed is not None
    assert (changed["topics"], changed["language"]) == (["incidents", f"component:{ring}"], "de")
    refusal(desk.send("POST", f"{path}/quarantine", {}, match=changed["version"]), 422)
    rests = desk.send("POST", f"{path}/quarantine", {"why": "Mailbox full"}, match=changed["version"]).json
    assert rests is not None
    assert (rests["state"], rests["reason"]) == ("quarantined", "Mailbox full")
    refusal(desk.send("POST", f"{path}/quarantine", {"why": "Again"}, match=rests["version"]), 422)
    wakes = desk.send("POST", f"{path}/reactivate", {"why": "Emptied"}, match=rests["version"]).json
    assert wakes is not None
    assert (wakes["state"], wakes["reason"], wakes["quarantined_at"]) == ("active", "", None)
    refusal(desk.send("DELETE", path), 428)
    refusal(desk.send("DELETE", path, match=wakes["version"] + 1), 409)
    assert desk.send("DELETE", path, match=wakes["version"]).status_code == 204
    refusal(desk.get(path), 404)
    assert db.session.scalar(select(Subscriber.id)) is None
    entries = db.session.scalars(select(AuditEntry).where(AuditEntry.object_kind == "subscriber")).all()
    assert [each.action.partition(".")[2] for each in entries] == ["add", "edit", "quarantine", "reactivate", "remove"]
    assert all("rita@" not in repr((each.before, each.after)) for each in entries)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"portal_id": 2_000_000_000}, "/portal_id"),
        ({"address": "nobody"}, "/address"),
        ({"topics": []}, "/topics"),
        ({"topics": ["component:5"]}, "/topics"),
        ({"topics": ["incidents", "component:2000000"]}, "/topics"),
        ({"topics": ["weather"]}, "/topics"),
        ({"language": "fr"}, "/language"),
        ({"kind": "pigeon"}, "/kind"),
        ({"state": "active"}, "/state"),
    ],
)
def test_what_cannot_be_says_where(desk: Machine, cast: Cast, changes: dict[str, Any], pointer: str) -> None:
    problem = refusal(desk.send("POST", "/subscribers", wish(cast) | changes), 422)
    assert [each.get("pointer") for each in problem["errors"]] == [pointer]
    assert db.session.scalar(select(Subscriber.id)) is None


def test_a_list_takes_as_many_queries_however_long_it_is(desk: Machine, cast: Cast) -> None:
    desk.make("/subscribers", wish(cast))
    with counted_queries() as one:
        desk.read("/subscribers")
    for number in range(5):
        desk.make("/subscribers", wish(cast, address=f"reader-{number}@reader.test", consent="On paper"))
    with counted_queries() as six:
        assert len(desk.read("/subscribers")["items"]) == 6
    assert len(six) == len(one)


def test_only_who_may_read_addresses_finds_them(machine: MakeMachine, desk: Machine, cast: Cast) -> None:
    made = desk.make("/subscribers", wish(cast))
    for scope in (Scope.READ, Scope.WRITE, Scope.INCIDENTS, Scope.PORTALS, Scope.COMPANIES):
        for path in ("/subscribers", f"/subscribers/{made['id']}"):
            refusal(machine(scope).get(path), 403)
    refusal(machine(Scope.READ, cast.a).get("/subscribers"), 404)
    assert machine(Scope.ADMIN).read(f"/subscribers/{made['id']}")["address"] == "rita@reader.test"


def test_who_follows_one_incident(desk: Machine, machine: MakeMachine, cast: Cast) -> None:
    one, two = published("one"), published("two")
    hidden = published("hidden", visibility=Visibility.PRIVATE)
    ids = one.id, two.id, hidden.id
    db.session.commit()
    alone = {"portal_id": cast.domain_a.id, "address": "rita@reader.test", "consent": "phone"}
    for missing in (ids[2], 99999):
        problem = refusal(desk.send("POST", "/subscribers", alone | {"incident_ids": [missing]}), 422)
        assert [each["pointer"] for each in problem["errors"]] == ["/incident_ids"]
    made = desk.make("/subscribers", alone | {"incident_ids": [ids[0], ids[0]]})
    assert (made["topics"], made["incident_ids"]) == ([], [ids[0]])
    both = desk.make("/subscribers", wish(cast, address="both@reader.test", consent="x", incident_ids=[ids[1]]))
    assert (both["topics"], both["incident_ids"]) == (["incidents"], [ids[1]])
    with counted_queries() as queries:
        listed: Any = desk.send("GET", "/subscribers?sort=id").json
    assert [each["incident_ids"] for each in listed["items"]] == [[ids[0]], [ids[1]]]
    assert sum("subscriber_following" in each for each in queries) == 1
    path, headers = f"/subscribers/{made['id']}", {"If_Match": f'"{made["version"]}"'}
    answer = desk.send("PATCH", path, {"incident_ids": [ids[1]], "topics": []}, **headers)
    changed: Any = answer.json
    assert (answer.status_code, changed["incident_ids"]) == (200, [ids[1]])
    headers = {"If_Match": f'"{changed["version"]}"'}
    refusal(desk.send("PATCH", path, {"incident_ids": [], "topics": []}, **headers), 422)
    answer = desk.send("PATCH", path, {"language": "de"}, **headers)
    kept: Any = answer.json
    assert (answer.status_code, kept["incident_ids"]) == (200, [ids[1]])
