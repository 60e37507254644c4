"""Templates of incidents through the API: kept, changed, put away, and filled."""

from typing import Any

import pytest

from portal.accounts.rules.tokens import Scope
from portal.extensions import db
from portal.incidents.actions.templates import KEPT_AT_MOST
from portal.incidents.models import IncidentTemplate
from tests.api.v1.conftest import Machine, MakeMachine, refusal
from tests.conftest import NOW, Cast


@pytest.fixture
def desk(machine: MakeMachine) -> Machine:
    return machine(Scope.INCIDENTS)


@pytest.fixture
def ring(machine: MakeMachine, cast: Cast) -> int:
    return int(machine(Scope.CATALOGUE).make("/components", {"title": "North ring"})["id"])


def cut(ring: int, **more: Any) -> dict[str, Any]:
    return {
        "name": "Fibre cut",
        "title": "{{components}}: fibre cut at {{Place}}",
        "body": "Cut at {{place}} on {{date}} at {{time}} ({{zone}}). Ticket {{ticket}}.",
        "state": "identified",
        "components": [{"component_id": ring, "severity": "major_outage"}],
        "next_update_minutes": 60,
        **more,
    }


def test_it_is_kept_changed_put_away_and_taken_back(desk: Machine, ring: int) -> None:
    made = desk.make("/incident-templates", cut(ring))
    assert made["fields_to_fill"] == ["place", "ticket"]
    assert (made["state"], made["audience"], made["notify"], made["archived_at"]) == ("identified", None, True, None)
    path = f"/incident-templates/{made['id']}"
    refusal(desk.send("PATCH", path, {"name": "x"}), 428)
    refusal(desk.send("PATCH", path, {"name": "x"}, match=made["version"] + 1), 409)
    changed = desk.send("PATCH", path, {"name": "Cut", "next_update_minutes": None}, match=made["version"]).json
    assert changed is not None
    kept = {name: value for name, value in made.items() if name not in {"name", "next_update_minutes", "version"}}
    assert changed == {**kept, "name": "Cut", "next_update_minutes": None, "version": made["version"] + 1}
    gone = desk.send("POST", f"{path}/archive", match=changed["version"]).json
    assert gone is not None
    assert gone["archived_at"] is not None
    assert (desk.all("/incident-templates?archived=false"), desk.all("/incident-templates?archived=true")) == (
        [],
        [gone],
    )
    refusal(desk.send("POST", f"{path}/fill", {}), 422)
    back = desk.send("POST", f"{path}/restore", match=gone["version"]).json
    assert back is not None
    assert back["archived_at"] is None


def test_they_are_read_in_the_order_in_which_they_are_offered(desk: Machine, ring: int) -> None:
    made = [desk.make("/incident-templates", cut(ring, name=name)) for name in ("One", "Two", "Three")]
    last = made[2]
    moved = desk.send("POST", f"/incident-templates/{last['id']}/move", {"up": True}, match=last["version"])
    assert moved.status_code == 200
    assert [each["name"] for each in desk.all("/incident-templates?limit=1")] == ["One", "Three", "Two"]
    assert [each["name"] for each in desk.all("/incident-templates?sort=-id")] == ["Three", "Two", "One"]


def test_it_is_filled_into_what_can_be_published(desk: Machine, ring: int) -> None:
    made = desk.make("/incident-templates", cut(ring))
    wanted = {
        "values": {"PLACE": "Pier 4", "ticket": "T-17"},
        "started_at": "2026-11-20T23:30:00Z",
        "zone": "Europe/Berlin",
    }
    response = desk.send("POST", f"/incident-templates/{made['id']}/fill", wanted)
    assert response.status_code == 200
    filled = response.json
    assert filled is not None
    assert filled["title"] == "North ring: fibre cut at Pier 4"
    assert filled["body"] == "Cut at Pier 4 on 21 November 2026 at 00:30 (CET). Ticket T-17."
    assert filled.pop("audience") is None
    published = desk.make("/incidents", {**filled, "notify": False})
    assert (published["title"], published["state"]) == (filled["title"], "identified")
    assert [each["severity"] for each in published["components"]] == ["major_outage"]


def test_it_is_filled_in_each_language_it_has(desk: Machine, ring: int) -> None:
    german = {"de": {"body": "Am {{date}} bei {{ort}}."}}
    made = desk.make("/incident-templates", cut(ring, title="", body="Cut.", translations=german))
    assert (made["translations"], made["fields_to_fill"]) == (german, ["ort"])
    path = f"/incident-templates/{made['id']}"
    refusal(desk.send("POST", f"{path}/fill", {}), 422)
    wanted = {"values": {"ort": "Pier 4"}, "started_at": "2026-11-20T12:00:00Z"}
    filled = desk.send("POST", f"{path}/fill", wanted).json
    assert filled is not None
    assert filled["translations"] == {"de": {"body": "Am 20. November 2026 bei Pier 4."}}
    kept = desk.send("PATCH", path, {"name": "Cut"}, match=made["version"]).json
    assert kept is not None
    assert kept["translations"] == german


@pytest.mark.parametrize(
    ("body", "values", "said"),
    [
        ("At {{place}}, {{ticket}}.", {"ticket": "T"}, "{{place}}"),
        ("At {{place}}.", {"place": " "}, "{{place}}"),
        ("Back at [time].", {}, "[time]"),
    ],
)
def test_what_is_left_open_is_refused_by_name(
    desk: Machine, ring: int, body: str, values: dict[str, str], said: str
) -> None:
    made = desk.make("/incident-templates", cut(ring, title="", body=body))
    problem = refusal(desk.send("POST", f"/incident-templates/{made['id']}/fill", {"values": values}), 422)
    assert said in problem["detail"]
    assert [each["pointer"] for each in problem["errors"]] == ["/body"]


def test_what_a_value_holds_is_not_filled_again(desk: Machine, ring: int) -> None:
    made = desk.make("/incident-templates", cut(ring, title="", body="At {{place}}."))
    problem = refusal(
        desk.send("POST", f"/incident-templates/{made['id']}/fill", {"values": {"place": "{{zone}}"}}), 422
    )
    assert "{{zone}}" in problem["detail"]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"name": "fibre CUT"}, "/name"),
        ({"body": " "}, "/body"),
        ({"body": " ".join(f"{{{{field{number}}}}}" for number in range(9))}, "/body"),
        ({"components": [{"component_id": 2_000_000_000, "severity": "none"}]}, "/components"),
        ({"next_update_minutes": -1}, "/next_update_minutes"),
        ({"visibility": "private"}, "/visibility"),
    ],
)
def test_what_cannot_be_says_where(desk: Machine, ring: int, changes: dict[str, Any], pointer: str) -> None:
    desk.make("/incident-templates", cut(ring))
    problem = refusal(desk.send("POST", "/incident-templates", cut(ring, name="Other") | changes), 422)
    assert [each.get("pointer") for each in problem["errors"]] == [pointer]


def test_there_are_only_so_many(desk: Machine, ring: int) -> None:
    db.session.add_all(
        IncidentTemplate(name=f"T{number}", body="x", severities={}, position=number, created_at=NOW)
        for number in range(KEPT_AT_MOST)
    )
    db.session.commit()
    problem = refusal(desk.send("POST", "/incident-templates", cut(ring)), 422)
    assert "Archive one" in problem["detail"]
