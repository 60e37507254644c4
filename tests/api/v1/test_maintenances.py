"""Planned work through the API: planned, moved, gone on with, and read by everyone as they may."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from portal import clock
from portal.accounts.rules.tokens import Scope
from portal.catalogue.models import Holding, HoldingDependency, Service
from portal.extensions import db
from portal.incidents.models import Maintenance, MaintenanceUpdate
from portal.notifications.models import Broadcast
from tests.api.v1.conftest import Machine, MakeMachine, refusal
from tests.conftest import Cast

HOUR = timedelta(hours=1)


@pytest.fixture
def desk(machine: MakeMachine) -> Machine:
    return machine(Scope.INCIDENTS)


@pytest.fixture
def ring(machine: MakeMachine) -> int:
    made: int = machine().make("/components", {"title": "North ring"})["id"]
    return made


def written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def planned(ring: int, **changes: Any) -> dict[str, Any]:
    now = clock.utcnow()
    return {
        "title": "Cards are replaced",
        "body": "We replace two cards.",
        "component_ids": [ring],
        "starts_at": written(now + 48 * HOUR),
        "ends_at": written(now + 50 * HOUR),
        "zone": "Europe/London",
        "impact": "outage",
    } | changes


def broadcasts() -> int:
    return db.session.scalar(select(func.count(Broadcast.id)).where(Broadcast.kind == "maintenance")) or 0


def test_it_is_planned_moved_begun_verified_and_completed(desk: Machine, ring: int) -> None:
    made = desk.make("/maintenances", planned(ring))
    assert (made["state"], made["impact"], made["zone"]) == ("scheduled", "outage", "Europe/London")
    assert made["reminder_minutes"] == [1440, 60]
    assert [each["kind"] for each in made["updates"]] == ["announced"]
    path = f"/maintenances/{made['id']}"
    starts_at, ends_at = (written(clock.utcnow() + hours * HOUR) for hours in (72, 74))
    moved = desk.send(
        "POST", f"{path}/move", {"starts_at": starts_at, "ends_at": ends_at, "body": "Later."}, match=made["version"]
    ).json
    assert moved is not None
    assert (moved["starts_at"], moved["updates"][0]["kind"]) == (starts_at, "moved")
    assert moved["sequence"] == made["sequence"] + 1
    found: Any = moved
    for act, state in (("begin", "in_progress"), ("verify", "verifying"), ("complete", "completed")):
        found = desk.send("POST", f"{path}/{act}", {"notify": False}, match=found["version"]).json
        assert found["state"] == state
    assert found["completed_at"] is not None
    found = desk.send("POST", f"{path}/notes", {"body": "The old cards are sent back."}, match=found["version"]).json
    assert found["updates"][0]["kind"] == "note"
    assert desk.read(path) == found
    refusal(desk.send("POST", f"{path}/cancel", {}, match=found["version"]), 422)


def test_it_is_changed_and_called_off(desk: Machine, ring: int) -> None:
    made = desk.make("/maintenances", planned(ring, notify=False))
    path = f"/maintenances/{made['id']}"
    refusal(desk.send("PATCH", path, {"title": "x"}, match=made["version"] + 7), 409)
    changed = desk.send(
        "PATCH",
        path,
        {"title": "One card", "body": "We replace one.", "reminder_minutes": [30], "ends_itself": False},
        match=made["version"],
    ).json
    assert changed is not None
    assert (changed["title"], changed["reminder_minutes"], changed["ends_itself"]) == ("One card", [30], False)
    assert changed["updates"][0]["body"] == "We replace one."
    gone = desk.send("POST", f"{path}/cancel", {"body": "No card."}, match=changed["version"]).json
    assert gone is not None
    assert (gone["state"], gone["updates"][0]["body"]) == ("cancelled", "No card.")


def test_what_is_over_is_written_down_and_mails_nobody(desk: Machine, ring: int) -> None:
    now = clock.utcnow()
    times = {"starts_at": written(now - 50 * HOUR), "ends_at": written(now - 48 * HOUR)}
    refusal(desk.send("POST", "/maintenances", planned(ring, **times)), 422)
    made = desk.make("/maintenances", planned(ring, is_backfill=True, **times))
    assert (made["state"], made["completed_at"], made["is_backfill"]) == ("completed", times["ends_at"], True)
    assert broadcasts() == 0


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"zone": "Mars/Olympus"}, "/zone"),
        ({"component_ids": [2_000_000_000]}, "/component_ids"),
        ({"reminder_minutes": [1]}, "/reminder_minutes/0"),
        ({"impact": "some"}, "/impact"),
        ({"ends_at": "2020-01-01T00:00:00Z"}, "/ends_at"),
        ({"surprise": 1}, "/surprise"),
    ],
)
def test_what_cannot_be_says_where(desk: Machine, ring: int, changes: dict[str, Any], pointer: str) -> None:
    problem = refusal(desk.send("POST", "/maintenances", planned(ring, **changes)), 422)
    assert [each.get("pointer") for each in problem["errors"]] == [pointer]
    assert db.session.scalar(select(Maintenance.id)) is None


def test_a_company_reads_what_concerns_it_without_what_is_ours(
    machine: MakeMachine, desk: Machine, ring: int, cast: Cast
) -> None:
    now = clock.utcnow()
    service = Service(name="Internet", name_key="internet", created_at=now)
    db.session.add(service)
    db.session.flush()
    holding = Holding(company_id=cast.b.id, service_id=service.id, reference="L-1", valid_from=now - HOUR)
    db.session.add(holding)
    db.session.flush()
    db.session.add(HoldingDependency(holding_id=holding.id, component_id=ring, valid_from=now - HOUR))
    db.session.commit()
    mine = desk.make("/maintenances", planned(ring, audience="affected", notify=False))
    hidden = desk.make("/maintenances", planned(ring, visibility="private", notify=False))
    reminder = MaintenanceUpdate(
        maintenance_id=mine["id"], public_id="r", kind="reminded", state="scheduled", body="", posted_at=now
    )
    db.session.add(reminder)
    db.session.commit()
    bound = machine(Scope.READ, cast.b, "b.portal.test")
    (seen,) = bound.all("/maintenances")
    assert seen["public_id"] == mine["public_id"]
    assert [each["kind"] for each in seen["updates"]] == ["announced"]
    ours = {"id", "visibility", "audience", "notify", "starts_itself", "series_id", "version", "reminder_minutes"}
    assert not ours & seen.keys()
    assert "notify" not in seen["updates"][0]
    other = machine(Scope.READ, cast.a, "a.portal.test")
    assert other.all("/maintenances") == []
    refusal(other.get(f"/maintenances/{mine['public_id']}"), 404)
    refusal(bound.get(f"/maintenances/{hidden['public_id']}"), 404)
    assert bound.send("POST", f"/maintenances/{mine['public_id']}/cancel", {}).status_code in {403, 404}
    assert len(desk.read(f"/maintenances/{mine['id']}")["updates"]) == 2
