"""T07, T09, T30, A24 for `/api/v2`: its documents are those of somebody signed out, whoever asks, and say no more."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal import clock, events
from portal.accounts.models import Session
from portal.api.v2.documents import DOCUMENTS
from portal.audit.rules import SYSTEM
from portal.extensions import db
from portal.incidents import actions as incidents
from portal.incidents.models import Incident
from portal.incidents.rules import Audience, Severity, State, Visibility
from tests.conftest import client_on
from tests.security.world import A_HOST, B_HOST, ROLES, World, checksum, client_of, publish

PATHS = [f"/api/v2/{name}.json" for name in DOCUMENTS]


def whole(client: FlaskClient) -> dict[str, tuple[int, str | None, Any]]:
    """Every document with its status and tag."""
    answers = {path: client.get(path) for path in PATHS}
    return {path: (answer.status_code, answer.headers.get("ETag"), answer.json) for path, answer in answers.items()}


def found(world: World, name: str) -> Incident:
    incident = db.session.get(Incident, world.ids[name])
    assert incident is not None
    return incident


def test_t07_the_documents_hold_what_is_public_and_no_canary(app: Flask, world: World) -> None:
    for host in (A_HOST, B_HOST):
        documents = whole(client_on(app, host))
        text = str(documents).lower()
        assert "north ring is slow" in text
        assert "canary" not in text.replace("canaryonbbrandqx", "")
        summary = documents["/api/v2/summary.json"][2]
        open_ones = {world.public_ids["public"], world.public_ids["worded_home"]}
        assert {each["id"] for each in summary["incidents"]} == open_ones
        assert summary["scheduled_maintenances"] == []
        # B's open fault for the affected and the private one on the ring are worse than what everybody may know.
        # What is open on the north ring, and what staff set by hand of the south switch.
        assert [row["status"] for row in summary["components"] if not row["group"]] == ["degraded_performance"] * 2
        assert summary["status"] == {"indicator": "minor", "description": "Degraded System Service"}
        shown = open_ones | {world.public_ids["worded"]}
        assert {each["id"] for each in documents["/api/v2/incidents.json"][2]["incidents"]} == shown


def test_t07_nothing_private_moves_a_document(app: Flask, world: World, frozen: datetime) -> None:
    client = client_on(app, A_HOST)
    before = whole(client)
    north, south = world.ids["north"], world.ids["south"]
    hit = {north: Severity.MAJOR_OUTAGE, south: Severity.MAJOR_OUTAGE}
    publish(world, "new", "Hush", "Between us.", hit, visibility=Visibility.PRIVATE)
    publish(world, "newer", "For some", "Some know.", {south: Severity.MAJOR_OUTAGE}, audience=Audience.AFFECTED)
    past = {"state": State.FIXED, "days_ago": 1}
    publish(world, "old", "Hush, past", "It was.", hit, visibility=Visibility.PRIVATE, **past)  # type: ignore[arg-type]
    events.commit()
    forget(app)
    assert whole(client) == before
    publish(world, "shown", "No dial tone", "We look.", {north: Severity.MAJOR_OUTAGE})
    events.commit()
    after = whole(client)
    assert all(before[path][1] != after[path][1] for path in PATHS if "maintenance" not in path)


def test_t07_what_becomes_private_is_gone_at_the_next_look(app: Flask, world: World) -> None:
    client = client_on(app, A_HOST)
    assert "North ring is slow" in str(whole(client))
    shown = found(world, "public")
    incidents.edit(
        shown,
        title=shown.title,
        visibility=Visibility.PRIVATE,
        audience=shown.audience,
        version=shown.version,
        by=SYSTEM,
        now=clock.utcnow(),
    )
    events.commit()
    text = str(whole(client))
    assert "North ring is slow" not in text
    # What was hit by it alone is well again; the south switch is as staff set it by hand.
    components = client.get("/api/v2/components.json").get_json()["components"]
    statuses = {row["name"].rpartition(" - ")[2]: row["status"] for row in components if not row["group"]}
    assert statuses == {"North ring": "operational", "South switch": "degraded_performance"}


def test_t09_a_private_update_is_in_no_list_count_time_or_tag(app: Flask, world: World, frozen: datetime) -> None:
    client = client_on(app, A_HOST)
    before = whole(client)

    def of_ring(document: Any) -> Any:
        return next(each for each in document["incidents"] if each["id"] == world.public_ids["public"])

    shown = of_ring(before["/api/v2/incidents.json"][2])
    assert [each["body"] for each in shown["incident_updates"]] == ["We look at the ring."]
    incident = found(world, "public")
    for words, visibility in (("Still between us.", Visibility.PRIVATE), ("Soon.", Visibility.PUBLIC)):
        assert whole(client) == before
        incidents.post_update(
            incident,
            None,
            words,
            {},
            visibility=visibility,
            notify=False,
            version=incident.version,
            by=SYSTEM,
            author_id=world.cast.ada.id,
            now=frozen + timedelta(minutes=1),
        )
        events.commit()
        forget(app)
    after = of_ring(client.get("/api/v2/incidents.json").get_json())
    assert [each["body"] for each in after["incident_updates"]] == ["Soon.", "We look at the ring."]
    assert after["updated_at"] > shown["updated_at"]


def test_a24_cookies_are_not_looked_at_and_no_session_is_kept_alive(app: Flask, world: World) -> None:
    """Whoever comes with whatever cookie is given the bytes that somebody signed out is given."""
    signed_out = {host: whole(client_on(app, host)) for host in (A_HOST, B_HOST)}
    clients = {role.name: (role, client_of(app, world.cast, role)) for role in ROLES if role.host in signed_out}
    for session in db.session.query(Session):
        session.last_seen_at -= timedelta(minutes=5)
    events.commit()
    before = checksum()
    for kept in (True, False):
        for name, (role, client) in clients.items():
            if not kept:
                forget(app)
            assert whole(client) == signed_out[role.host], name
            for path in PATHS:
                answer = client.get(path)
                assert not answer.headers.getlist("Set-Cookie")
                assert "cookie" not in answer.headers.get("Vary", "").lower()
    assert checksum() == before


@pytest.mark.parametrize("kind", ["text/plain", "application/json"])
def test_a24_nothing_can_be_written_with_a_cookie_alone(app: Flask, world: World, kind: str) -> None:
    alice = client_of(app, world.cast, next(role for role in ROLES if role.name == "Alice"))
    before = checksum()
    for path in PATHS:
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            answer = alice.open(path, method=method, data='{"status": "resolved"}', content_type=kind)
            assert answer.status_code in {400, 405}
    assert checksum() == before


@pytest.mark.parametrize("query", ["page=999", "per_page=100000", "limit=-1", "page=a", "page=%00", "callback=x"])
def test_t30_parameters_change_nothing(app: Flask, world: World, query: str) -> None:
    client = client_on(app, A_HOST)
    plain = whole(client)
    for path in PATHS:
        answer = client.get(f"{path}?{query}")
        assert (answer.status_code, answer.get_json()) == (200, plain[path][2])


def forget(app: Flask) -> None:
    """Every process begins anew: what is answered now was made now."""
    for shortcut in app.extensions["shortcuts"].values():
        shortcut.forget()
