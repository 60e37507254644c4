"""Drafts of incidents through the API: kept, shown with whom they concern, published, put away."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from portal import clock
from portal.accounts.rules.tokens import Scope
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.catalogue.models import Holding, Service, ServiceDependency
from portal.extensions import db
from portal.incidents.actions.drafts import publish_due, save_draft
from portal.incidents.models import Incident, IncidentDraft
from portal.incidents.rules.drafts import DraftContent, Origin
from portal.notifications.models import Broadcast, Delivery
from tests.api.v1.conftest import Machine, MakeMachine, refusal
from tests.conftest import Cast, counted_queries

HOUR = timedelta(hours=1)


@pytest.fixture
def desk(machine: MakeMachine) -> Machine:
    return machine(Scope.INCIDENTS)


@pytest.fixture
def ring(machine: MakeMachine, cast: Cast) -> int:
    """A component on which what A holds rests, and nothing of B's."""
    made = int(machine(Scope.CATALOGUE).make("/components", {"title": "North ring"})["id"])
    long_ago = clock.utcnow() - 48 * HOUR
    service = Service(name="Internet", name_key="internet", created_at=long_ago)
    db.session.add(service)
    db.session.flush()
    db.session.add_all(
        [
            Holding(company_id=cast.a.id, service_id=service.id, reference="L-1", valid_from=long_ago),
            ServiceDependency(service_id=service.id, component_id=made, valid_from=long_ago),
        ]
    )
    db.session.commit()
    return made


def report(ring: int, **more: Any) -> dict[str, Any]:
    named = [{"component_id": ring, "severity": "partial_rth"}]
    return {"title": "North ring is slow", "body": "We look at {{place}}.", "components": named, **more}


def written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def test_a_draft_says_whom_it_would_concern_and_tells_nobody(desk: Machine, ring: int, cast: Cast) -> None:
    made = desk.make("/incident-drafts", report(ring, audience="affected", values={"Place": "the harbour"}))
    assert (made["stage"], made["origin"], made["unfilled"], made["incident_id"]) == ("open", "hand", "", None)
    concerned = made["concerned"]
    assert (concerned["everyone"], concerned["companies"], concerned["people_mailed"]) == (False, 1, 2)
    assert concerned["first_companies"] == [{"company_id": cast.a.id, "name": cast.a.name}]
    assert [each["companies"] for each in concerned["first_services"]] == [1]
    assert (concerned["unreachable_companies"], concerned["subscribers_told"]) == (0, 0)
    to_all = desk.send("PATCH", f"/incident-drafts/{made['id']}", {"audience": "everyone"}, match=made["version"]).json
    assert to_all is not None
    assert (to_all["concerned"]["companies"], to_all["concerned"]["people_mailed"]) == (1, 3)
    assert desk.read(f"/incident-drafts/{made['id']}") == to_all
    assert db.session.scalar(select(func.count(Broadcast.id))) == 0
    assert db.session.scalar(select(Incident.id)) is None


def test_as_long_as_nobody_has_said_what_it_affects_it_concerns_nobody_yet(desk: Machine, cast: Cast) -> None:
    made = desk.make("/incident-drafts", {})
    assert (made["title"], made["components"], made["concerned"]) == ("", None, None)
    said = desk.send("PATCH", f"/incident-drafts/{made['id']}", {"components": []}, match=made["version"]).json
    assert said is not None
    assert (said["components"], said["concerned"]["everyone"], said["concerned"]["people_mailed"]) == ([], True, 3)


def test_what_is_left_open_is_said_and_refused_until_it_is_filled(desk: Machine, ring: int) -> None:
    made = desk.make("/incident-drafts", report(ring))
    path = f"/incident-drafts/{made['id']}"
    assert "{{place}}" in made["unfilled"]
    problem = refusal(desk.send("POST", f"{path}/publish", match=made["version"]), 422)
    assert problem["detail"] == made["unfilled"]
    assert [each["pointer"] for each in problem["errors"]] == ["/body"]
    assert desk.read(path)["stage"] == "open"
    filled = desk.send("PATCH", path, {"values": {"place": "Pier 4"}}, match=made["version"]).json
    assert filled is not None
    assert filled["unfilled"] == ""
    found = desk.send("POST", f"{path}/publish", match=filled["version"]).json
    assert found is not None
    (update,) = desk.all(f"/incidents/{found['incident_id']}/updates")
    assert update["body"] == "We look at Pier 4."


def test_what_it_says_in_other_languages_is_published_with_it(desk: Machine, ring: int) -> None:
    german = {"title": "Nordring", "body": "Wir suchen bei {{place}}."}
    made = desk.make("/incident-drafts", report(ring, body="We look.", translations={"de": german}))
    path = f"/incident-drafts/{made['id']}"
    assert (made["translations"], "{{place}}" in made["unfilled"]) == ({"de": german}, True)
    refusal(desk.send("POST", f"{path}/publish", match="*"), 422)
    assert desk.send("PATCH", path, {"values": {"place": "Pier 4"}}, match="*").status_code == 200
    found = desk.send("POST", f"{path}/publish", match="*").json
    assert found is not None
    (update,) = desk.all(f"/incidents/{found['incident_id']}/updates")
    assert update["translations"] == {"de": {"body": "Wir suchen bei Pier 4."}}


def test_it_is_published_once_with_what_some_are_told_apart(desk: Machine, ring: int, cast: Cast) -> None:
    own = {"company_id": cast.a.id, "text": "Your line is hit."}
    made = desk.make("/incident-drafts", report(ring, body="We look.", wordings=[own]))
    assert made["wordings"] == [{**own, "portal_id": None, "name": cast.a.name, "translations": {}}]
    path = f"/incident-drafts/{made['id']}"
    refusal(desk.send("POST", f"{path}/publish"), 428)
    refusal(desk.send("POST", f"{path}/publish", match=made["version"] + 1), 409)
    first = desk.send("POST", f"{path}/publish", match=made["version"]).json
    again = desk.send("POST", f"{path}/publish", match="*").json
    assert first is not None
    assert first == again
    assert (first["stage"], first["concerned"]) == ("published", None)
    told = db.session.scalars(select(Delivery).where(Delivery.broadcast_id == first["broadcast_id"])).all()
    assert {each.address for each in told} == {each.email for each in (cast.alice, cast.bob, cast.charlie)}
    assert db.session.scalar(select(func.count(Incident.id))) == 1
    (update,) = desk.all(f"/incidents/{first['incident_id']}/updates")
    words = desk.read(f"/incidents/{first['incident_id']}/updates/{update['id']}/wordings")["wordings"]
    assert [each["text"] for each in words] == ["Your line is hit."]
    refusal(desk.send("POST", f"{path}/discard", match=first["version"]), 422)
    refusal(desk.send("PATCH", path, {"title": "x"}, match=first["version"]), 422)


def test_the_clock_publishes_it_when_it_was_told_to(desk: Machine, ring: int) -> None:
    at = clock.utcnow() + HOUR
    made = desk.make("/incident-drafts", report(ring, body="We look.", notify=False))
    path = f"/incident-drafts/{made['id']}"
    refusal(desk.send("POST", f"{path}/schedule", {"publish_at": "2020-01-01T00:00:00Z"}, match="*"), 422)
    later = desk.send("POST", f"{path}/schedule", {"publish_at": written(at), "zone": "Europe/Berlin"}, match="*").json
    assert later is not None
    assert (later["publish_at"], later["zone"]) == (written(at), "Europe/Berlin")
    assert [each["id"] for each in desk.all("/incident-drafts?scheduled=true")] == [made["id"]]
    back = desk.send("POST", f"{path}/schedule", {"publish_at": None}, match=later["version"]).json
    assert back is not None
    assert (back["publish_at"], desk.all("/incident-drafts?scheduled=true")) == (None, [])
    desk.send("PATCH", path, {"publish_at": written(at)}, match=back["version"])
    assert not publish_due(made["id"], at - HOUR / 2)
    assert publish_due(made["id"], at)
    db.session.commit()
    found = desk.read(path)
    assert (found["stage"], desk.read(f"/incidents/{found['incident_id']}")["title"]) == ("published", made["title"])
    assert [each["id"] for each in desk.all("/incident-drafts?stage=published")] == [made["id"]]


@pytest.mark.parametrize(("lacks", "pointer"), [("title", "/title"), ("body", "/body")])
def test_the_clock_is_given_nothing_without_words(desk: Machine, ring: int, lacks: str, pointer: str) -> None:
    at = written(clock.utcnow() + HOUR)
    for path, body, match in (
        ("/incident-drafts", report(ring, **{lacks: " ", "publish_at": at}), None),
        (f"/incident-drafts/{desk.make('/incident-drafts', report(ring, **{lacks: ''}))['id']}/schedule", None, "*"),
    ):
        problem = refusal(desk.send("POST", path, body or {"publish_at": at}, match=match), 422)
        assert [each["pointer"] for each in problem["errors"]] == [pointer]


def test_it_is_put_away_for_good(desk: Machine, ring: int) -> None:
    made = desk.make("/incident-drafts", report(ring))
    path = f"/incident-drafts/{made['id']}"
    refusal(desk.send("POST", f"{path}/discard", match=made["version"] + 1), 409)
    gone = desk.send("POST", f"{path}/discard", match=made["version"]).json
    assert gone is not None
    assert (gone["stage"], gone["unfilled"], gone["concerned"]) == ("discarded", "", None)
    assert desk.all("/incident-drafts") == []
    assert [each["id"] for each in desk.all("/incident-drafts?stage=discarded")] == [made["id"]]
    refusal(desk.send("POST", f"{path}/publish", match="*"), 422)
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "incident_draft.discard")).one()
    assert entry.actor.startswith("API token")


def test_what_a_monitor_began_is_read_with_what_it_said(desk: Machine, ring: int) -> None:
    for number in (1, 2):
        save_draft(
            DraftContent("Ring down"),
            origin=Origin.MONITOR,
            origin_name="Grafana",
            fold_key="ring",
            signal=f"Alarm {number}",
            by=SYSTEM,
            author_id=None,
            now=clock.utcnow(),
            idempotency_key=f"signal-{number}",
        )
    db.session.commit()
    (found,) = desk.all("/incident-drafts?origin=monitor")
    assert (found["origin_name"], found["signals"]) == ("Grafana", 2)
    assert (found["first_signal"], found["last_signal"]) == ("Alarm 1", "Alarm 2")
    assert desk.all("/incident-drafts?origin=mail") == []


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"zone": "Mars/Olympus"}, "/zone"),
        ({"values": {f"v{number}": "x" for number in range(40)}}, "/values"),
        ({"wordings": [{"text": "For whom?"}]}, "/wordings"),
        ({"wordings": [{"text": "Gone", "company_id": 2_000_000_000}]}, "/wordings"),
        ({"wordings": [{"text": "Both", "company_id": 1, "portal_id": 1}]}, "/wordings"),
        ({"started_at": "yesterday"}, "/started_at"),
        ({"fold_key": "mine"}, "/fold_key"),
    ],
)
def test_what_cannot_be_says_where(desk: Machine, ring: int, changes: dict[str, Any], pointer: str) -> None:
    problem = refusal(desk.send("POST", "/incident-drafts", report(ring, **changes)), 422)
    assert [each.get("pointer") for each in problem["errors"]] == [pointer]
    assert db.session.scalar(select(IncidentDraft.id)) is None


def test_the_same_request_with_the_same_key_keeps_one_draft(desk: Machine, ring: int) -> None:
    first = desk.send("POST", "/incident-drafts", report(ring), Idempotency_Key="one")
    again = desk.send("POST", "/incident-drafts", report(ring), Idempotency_Key="one")
    assert (first.json, again.headers["Idempotent-Replayed"]) == (again.json, "true")
    assert db.session.scalar(select(func.count(IncidentDraft.id))) == 1


def test_whom_it_concerns_takes_as_many_queries_whatever_it_reaches(desk: Machine, ring: int, cast: Cast) -> None:
    one = desk.make("/incident-drafts", report(ring))
    with counted_queries() as few:
        desk.read(f"/incident-drafts/{one['id']}")
    service_id = db.session.scalar(select(Holding.service_id)) or 0
    now = clock.utcnow()
    for number in range(20):
        company = type(cast.a)(name=f"Mill {number}", name_key=f"mill {number}", created_at=now)
        db.session.add(company)
        db.session.flush()
        db.session.add(
            Holding(company_id=company.id, service_id=service_id, reference=f"M-{number}", valid_from=now - HOUR)
        )
    db.session.commit()
    with counted_queries() as many:
        found = desk.read(f"/incident-drafts/{one['id']}")
    assert found["concerned"]["companies"] == 21
    assert found["concerned"]["unreachable_companies"] == 20
    assert len(many) <= len(few) + 1
    assert len(many) <= 26


def test_who_does_not_publish_finds_no_draft(machine: MakeMachine, desk: Machine, ring: int, cast: Cast) -> None:
    made = desk.make("/incident-drafts", report(ring))
    for scope in (Scope.READ, Scope.CATALOGUE, Scope.COMPANIES, Scope.BROADCASTS):
        for path in ("/incident-drafts", f"/incident-drafts/{made['id']}", "/incident-templates"):
            refusal(machine(scope).get(path), 403)
    assert machine(Scope.WRITE).read(f"/incident-drafts/{made['id']}")["title"] == made["title"]
    bound = machine(Scope.READ, cast.a)
    for path in ("/incident-drafts", f"/incident-drafts/{made['id']}", "/incident-templates", "/announcements"):
        refusal(bound.get(path), 404)
