"""Incidents and maintenance, through the API: published, told, read by everyone as they may."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal import clock
from portal.accounts.rules.tokens import Scope
from portal.catalogue.models import Component
from portal.extensions import db
from portal.incidents.models import Incident, Maintenance, MaintenanceComponent
from portal.incidents.rules import MaintenanceState
from portal.notifications.models import Broadcast, Delivery
from tests.api.v1.conftest import Machine, MakeMachine, refusal
from tests.conftest import Cast, client_on


@pytest.fixture
def desk(machine: MakeMachine) -> Machine:
    return machine(Scope.INCIDENTS)


@pytest.fixture
def ring(machine: MakeMachine) -> int:
    return int(machine(Scope.CATALOGUE).make("/components", {"title": "North ring"})["id"])


def report(ring: int, **more: Any) -> dict[str, Any]:
    named = [{"component_id": ring, "severity": "partial_rth"}]
    return {"title": "North ring is slow", "body": "We **look**.", "components": named, **more}


def test_publishing_shows_it_and_mails_as_the_screen_does(
    app: Flask, desk: Machine, machine: MakeMachine, ring: int, cast: Cast
) -> None:
    made = desk.make("/incidents", report(ring, next_update_minutes=30))
    assert (made["state"], made["impact"], made["visibility"]) == ("investigating", "major", "public")
    assert made["components"] == [{"component_id": ring, "title": "North ring", "severity": "partial_rth"}]
    assert made["next_update_due_at"] is not None
    told = db.session.get(Broadcast, made["broadcast_id"])
    assert told is not None
    addresses = db.session.scalars(select(Delivery.address).where(Delivery.broadcast_id == told.id)).all()
    assert set(addresses) == {each.email for each in (cast.alice, cast.bob, cast.charlie)}
    page = client_on(app, "a.portal.test").get("/status").get_data(as_text=True)
    assert "North ring is slow" in page
    assert machine(Scope.BROADCASTS).read(f"/broadcasts/{told.id}")["progress"]["waiting"] == 3


def test_a_private_report_is_told_to_nobody(app: Flask, desk: Machine, ring: int, cast: Cast) -> None:
    made = desk.make("/incidents", report(ring, visibility="private"))
    assert made["broadcast_id"] is None
    assert "North ring is slow" not in client_on(app, "a.portal.test").get("/status").get_data(as_text=True)
    assert [each["id"] for each in desk.all("/incidents?visibility=private")] == [made["id"]]


def test_who_says_not_to_notify_mails_nobody(desk: Machine, ring: int) -> None:
    assert desk.make("/incidents", report(ring, notify=False))["broadcast_id"] is None
    assert db.session.scalar(select(func.count(Broadcast.id))) == 0


def test_an_incident_is_found_by_number_and_by_public_id(desk: Machine, ring: int) -> None:
    made = desk.make("/incidents", report(ring))
    assert desk.read(f"/incidents/{made['public_id']}") == desk.read(f"/incidents/{made['id']}")
    refusal(desk.get("/incidents/nothing"), 404)


def test_updates_move_the_incident_and_tell_of_it(desk: Machine, ring: int, cast: Cast) -> None:
    made = desk.make("/incidents", report(ring))
    path = f"/incidents/{made['id']}"
    note = desk.make(f"{path}/updates", {"body": "Between us.", "visibility": "private"})
    assert (note["state"], note["broadcast_id"], note["changes"]) == (None, None, [])
    mended = desk.make(f"{path}/updates", {"body": "Mended.", "state": "fixed"})
    assert mended["changes"] == [{"component_id": ring, "old": "partial_rth", "new": "none"}]
    assert mended["broadcast_id"] is not None
    now = desk.read(path)
    assert (now["state"], now["version"]) == ("fixed", mended["version"])
    assert now["resolved_at"] == mended["posted_at"]
    timeline = desk.all(f"{path}/updates?limit=1")
    assert [each["body"] for each in timeline] == ["Mended.", "Between us.", "We **look**."]
    assert [each["id"] for each in desk.all("/incidents?open=false&state=fixed")] == [made["id"]]


def test_an_update_written_after_another_is_refused_if_it_asks_to_be(desk: Machine, ring: int) -> None:
    made = desk.make("/incidents", report(ring))
    path = f"/incidents/{made['id']}/updates"
    seen = desk.get(f"/incidents/{made['id']}").headers["ETag"]
    assert desk.send("POST", path, {"body": "First."}, match=seen).status_code == 201
    refusal(desk.send("POST", path, {"body": "Second."}, match=seen), 409)


def test_a_private_update_that_says_more_is_refused(desk: Machine, ring: int) -> None:
    made = desk.make("/incidents", report(ring))
    body = {"body": "Between us.", "visibility": "private", "state": "fixed"}
    refusal(desk.send("POST", f"/incidents/{made['id']}/updates", body), 422)


def test_texts_are_corrected_without_mailing_again(desk: Machine, ring: int) -> None:
    made = desk.make("/incidents", report(ring))
    update = desk.all(f"/incidents/{made['id']}/updates")[0]
    path = f"/incidents/{made['id']}/updates/{update['id']}"
    refusal(desk.send("PATCH", path, {"body": "We looked."}), 428)
    corrected = desk.send("PATCH", path, {"body": "We looked."}, match=made["version"])
    assert corrected.json is not None
    assert corrected.json["body"] == "We looked."
    assert db.session.scalar(select(func.count(Broadcast.id))) == 1
    assert desk.read(f"/incidents/{made['id']}/updates/{update['public_id']}")["body"] == "We looked."
    other = desk.make("/incidents", report(ring))
    refusal(desk.get(f"/incidents/{other['id']}/updates/{update['id']}"), 404)


def test_an_incident_is_renamed_and_hidden(app: Flask, desk: Machine, ring: int) -> None:
    made = desk.make("/incidents", report(ring))
    path = f"/incidents/{made['id']}"
    change = {"title": "Ring", "impact_override": "critical", "visibility": "private", "audience": "affected"}
    changed = desk.send("PATCH", path, change, match=made["version"]).json
    assert changed is not None
    assert {name: changed[name] for name in change} == change
    assert "Ring" not in client_on(app, "a.portal.test").get("/status").get_data(as_text=True)
    refusal(desk.send("PATCH", path, {"title": "Rang"}, match=made["version"]), 409)


@pytest.mark.parametrize(
    ("more", "pointer"),
    [
        ({"components": [{"component_id": 2**31 - 1, "severity": "none"}]}, "/components"),
        ({"started_at": "2999-01-01T00:00:00Z"}, "/started_at"),
        ({"started_at": "2026-11-21 12:00"}, "/started_at"),
        ({"state": "broken"}, "/state"),
        ({"title": " "}, "/title"),
        ({"company_id": 1}, "/company_id"),
    ],
)
def test_what_is_wrong_is_said_beside_its_place(desk: Machine, ring: int, more: dict[str, Any], pointer: str) -> None:
    assert refusal(desk.send("POST", "/incidents", report(ring) | more), 422)["errors"][0]["pointer"] == pointer
    assert db.session.scalar(select(func.count(Incident.id))) == 0


def test_a_component_named_twice_is_refused(desk: Machine, ring: int) -> None:
    twice = [{"component_id": ring, "severity": "none"}] * 2
    refusal(desk.send("POST", "/incidents", report(ring, components=twice)), 422)


def test_incidents_are_narrowed_and_in_order_of_time(desk: Machine, ring: int) -> None:
    hour = timedelta(hours=1)
    now = clock.utcnow()
    made = [
        desk.make(
            "/incidents", report(ring, title=f"Report {n}", notify=False, started_at=(now - n * hour).isoformat())
        )
        for n in range(1, 5)
    ]
    ids = [each["id"] for each in made]
    assert [each["id"] for each in desk.all("/incidents?limit=1")] == ids
    assert [each["id"] for each in desk.all("/incidents?limit=3&sort=started_at")] == ids[::-1]
    assert [each["id"] for each in desk.all("/incidents?q=rePORT 2")] == ids[1:2]
    since = datetime.fromisoformat(made[1]["started_at"]).isoformat().replace("+00:00", "Z")
    assert [each["id"] for each in desk.all(f"/incidents?since={since}")] == ids[:2]
    assert [each["id"] for each in desk.all(f"/incidents?until={since}")] == ids[2:]
    assert desk.all("/incidents?component_id=2147483000") == []


def test_maintenance_is_read_with_its_state_by_the_clock(desk: Machine, ring: int) -> None:
    now = clock.utcnow()
    row = Maintenance(
        public_id="mnt-1",
        title="New fans",
        state=MaintenanceState.SCHEDULED,
        starts_at=now - timedelta(hours=1),
        ends_at=now + timedelta(hours=1),
        created_at=now,
        public_updated_at=now,
    )
    db.session.add(row)
    db.session.flush()
    db.session.add(MaintenanceComponent(maintenance_id=row.id, component_id=ring))
    row_id = row.id
    db.session.commit()
    found = desk.read("/maintenances/mnt-1")
    assert (found["id"], found["state"]) == (row_id, "in_progress")
    assert found["components"] == [{"component_id": ring, "title": "North ring"}]
    assert desk.read(f"/maintenances/{row_id}") == found
    assert desk.all(f"/maintenances?open=true&component_id={ring}") == [found]
    assert desk.all("/maintenances?open=false") == []
    refusal(desk.get("/maintenances/2147483000"), 404)
    assert db.session.scalar(select(func.count(Component.id))) == 1


def test_texts_in_other_languages_are_read_and_written(desk: Machine, ring: int, app: Flask, cast: Cast) -> None:
    german = {"de": {"title": "Der Nordring ist langsam", "body": "Wir sehen nach."}}
    made = desk.make("/incidents", report(ring, translations=german))
    path = f"/incidents/{made['id']}"
    assert made["translations"] == {"de": {"title": "Der Nordring ist langsam"}}
    assert desk.all(f"{path}/updates")[0]["translations"] == {"de": {"body": "Wir sehen nach."}}
    page = client_on(app, cast.domain_a.host).get(f"/incidents/{made['public_id']}?lang=de").get_data(as_text=True)
    assert "Der Nordring ist langsam" in page
    assert "Wir sehen nach." in page
    told = desk.make(f"{path}/updates", {"body": "More.", "translations": {"de": {"body": "Mehr."}}})
    assert told["translations"] == {"de": {"body": "Mehr."}}
    # What is not sent stays; what is sent replaces all there is.
    match = desk.get(path).headers["ETag"]
    changed = desk.send("PATCH", path, {"title": "North ring is slower"}, match=match)
    assert changed.get_json()["translations"] == made["translations"]
    match = desk.get(path).headers["ETag"]
    assert desk.send("PATCH", path, {"translations": {}}, match=match).get_json()["translations"] == {}
    refusal(desk.send("POST", "/incidents", report(ring, translations={"fr": {"title": "Anneau"}})), 422)
    refusal(desk.send("POST", "/incidents", report(ring, translations={"de": {"title": "x" * 201}})), 422)
    refusal(desk.send("POST", f"{path}/updates", {"body": "x", "translations": {"de": {"title": "x"}}}), 422)
