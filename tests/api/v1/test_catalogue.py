"""Components, groups, services and holdings, through the API."""

from typing import Any

import pytest

from portal import clock
from portal.accounts.rules.tokens import Scope
from portal.incidents.rules import Severity, State
from tests.api.v1.conftest import Machine, MakeMachine, refusal
from tests.conftest import Cast


@pytest.fixture
def root(machine: MakeMachine) -> Machine:
    return machine(Scope.CATALOGUE)


def test_a_component_is_made_changed_archived_and_taken_back(root: Machine) -> None:
    group = root.make("/component-groups", {"name": "Network"})
    made = root.make("/components", {"title": "North ring", "group_id": group["id"]})
    assert (made["status"], made["position"], made["description"]) == ("operational", 0, None)
    path = f"/components/{made['id']}"
    changed = root.send("PATCH", path, {"description": "Ducts"}, match=made["version"])
    assert changed.json is not None
    assert (changed.json["title"], changed.json["group_id"]) == ("North ring", group["id"])
    assert root.send("PATCH", path, {"group_id": None}, match="*").status_code == 200
    archived = root.send("POST", f"{path}/archive", match="*").json
    assert archived is not None
    assert archived["status"] is None
    assert [each["id"] for each in root.all("/components?archived=true")] == [made["id"]]
    assert root.send("POST", f"{path}/restore", match="*").status_code == 200
    assert [each["id"] for each in root.all("/components?q=NORTH&archived=false")] == [made["id"]]


def test_a_component_that_is_broken_says_so_and_cannot_be_archived(root: Machine, machine: MakeMachine) -> None:
    made = root.make("/components", {"title": "North ring"})
    body = {
        "title": "Down",
        "body": "We look.",
        "components": [{"component_id": made["id"], "severity": "major_outage"}],
    }
    machine(Scope.INCIDENTS).make("/incidents", body)
    assert root.read(f"/components/{made['id']}")["status"] == "major_outage"
    assert "Down" in refusal(root.send("POST", f"/components/{made['id']}/archive", match="*"), 422)["detail"]


def test_components_are_put_in_order_as_a_whole(root: Machine) -> None:
    group = root.make("/component-groups", {"name": "Network"})
    ids = [root.make("/components", {"title": title})["id"] for title in ("One", "Two")]
    order = root.read("/components/order")
    assert order["order"] == [f"c{ids[0]}", f"c{ids[1]}", f"g{group['id']}"]
    wanted = [f"c{ids[1]}", f"g{group['id']}", f"c{ids[0]}"]
    refusal(root.send("PUT", "/components/order", {"order": wanted}), 428)
    moved = root.send("PUT", "/components/order", {"order": wanted}, match=order["version"])
    assert moved.json is not None
    assert moved.json["order"] == wanted
    refusal(root.send("PUT", "/components/order", {"order": wanted}, match=order["version"]), 409)
    refusal(root.send("PUT", "/components/order", {"order": wanted[:1]}, match="*"), 409)
    assert root.read(f"/components/{ids[0]}")["group_id"] == group["id"]


def test_a_group_is_renamed_and_removed_while_its_components_stay(root: Machine) -> None:
    group = root.make("/component-groups", {"name": "Network"})
    made = root.make("/components", {"title": "North ring", "group_id": group["id"]})
    path = f"/component-groups/{group['id']}"
    assert root.send("PATCH", path, {"name": "Net"}, match=group["version"]).status_code == 200
    refusal(root.send("DELETE", path, match=group["version"]), 409)
    assert root.send("DELETE", path, match="*").status_code == 204
    refusal(root.get(path), 404)
    assert root.all("/component-groups") == []
    assert root.read(f"/components/{made['id']}")["group_id"] is None


def test_a_service_is_made_with_what_it_depends_on(root: Machine) -> None:
    ids = [root.make("/components", {"title": title})["id"] for title in ("One", "Two")]
    made = root.make("/services", {"name": "Internet access", "category": "Connections", "component_ids": ids})
    path = f"/services/{made['id']}"
    assert made["component_ids"] == ids
    changed = root.send("PATCH", path, {"name": "Internet"}, match=made["version"]).json
    assert changed is not None
    assert (changed["name"], changed["category"]) == ("Internet", "Connections")
    assert root.send("PUT", f"{path}/components", {"component_ids": ids[:1]}).status_code == 200
    assert root.read(f"/components/{ids[0]}/services")["service_ids"] == [made["id"]]
    assert root.send("PUT", f"/components/{ids[0]}/services", {"service_ids": []}).status_code == 200
    assert root.all(f"/services?component_id={ids[0]}") == []
    refusal(root.send("PUT", f"{path}/components", {"component_ids": [2**31 - 1]}), 422)
    assert root.send("POST", f"{path}/archive", match="*").status_code == 200
    assert root.send("POST", f"{path}/restore", match="*").status_code == 200


def test_what_a_service_says_of_itself_is_given_and_changed(root: Machine, machine: MakeMachine, cast: Cast) -> None:
    made = root.make(
        "/services", {"name": "Email", "icon": "mail", "aliases": ["Outlook", "outlook"], "everyone": True}
    )
    assert (made["icon"], made["aliases"], made["everyone"], made["notifies"]) == ("mail", ["Outlook"], True, None)
    assert len(root.all(f"/holdings?service_id={made['id']}")) == 2
    new = machine(Scope.COMPANIES).make("/companies", {"name": "New"})
    assert [each["company_id"] for each in root.all(f"/holdings?service_id={made['id']}")][-1] == new["id"]
    path = f"/services/{made['id']}"
    some = {"notifies": ["system_is_down"], "everyone": False}
    changed = root.send("PATCH", path, some, match=made["version"]).json
    assert changed is not None
    assert (changed["icon"], changed["aliases"]) == ("mail", ["Outlook"])
    assert (changed["notifies"], changed["everyone"]) == (["system_is_down"], False)
    assert [each["id"] for each in root.all("/services?q=outlo")] == [made["id"]]
    wrong = refusal(root.send("PATCH", path, {"icon": "dragon"}, match="*"), 422)
    assert wrong["errors"][0]["pointer"] == "/icon"
    seen = machine(Scope.READ, cast.a).read(path)
    assert set(seen) == {"id", "name", "category", "description", "icon", "position"}


def test_a_service_that_is_held_is_archived_after_ending_what_is_held_and_is_never_deleted(
    root: Machine, cast: Cast
) -> None:
    made = root.make("/services", {"name": "Email", "everyone": True})
    path = f"/services/{made['id']}"
    refusal(root.send("POST", f"{path}/archive", match="*"), 422)
    refusal(root.send("DELETE", path, match="*"), 422)
    refusal(root.send("POST", f"{path}/end-holdings", match=made["version"] + 100), 409)
    assert root.send("POST", f"{path}/end-holdings", match="*").status_code == 200
    assert root.all(f"/holdings?service_id={made['id']}&current=true") == []
    assert root.send("POST", f"{path}/archive", match="*").status_code == 200
    other = root.make("/services", {"name": "Never held"})
    refusal(root.send("DELETE", f"/services/{other['id']}"), 428)
    assert root.send("DELETE", f"/services/{other['id']}", match=other["version"]).status_code == 204
    refusal(root.get(f"/services/{other['id']}"), 404)


def test_services_are_put_in_order_as_a_whole(root: Machine) -> None:
    ids = [root.make("/services", {"name": name})["id"] for name in ("One", "Two")]
    seen = root.get("/services/order")
    assert seen.json is not None
    assert seen.json["order"] == ids
    moved = root.send("PUT", "/services/order", {"order": ids[::-1]}, match=seen.headers["ETag"])
    assert moved.json is not None
    assert moved.json["order"] == ids[::-1]
    refusal(root.send("PUT", "/services/order", {"order": ids}, match=seen.headers["ETag"]), 409)
    assert [each["id"] for each in root.all("/services?sort=-name&limit=1")] == ids[::-1]


def _held(root: Machine, cast: Cast, **more: Any) -> Any:
    component = root.make("/components", {"title": "North ring"})
    service = root.make("/services", {"name": "Internet access", "component_ids": [component["id"]]})
    body = {"company_id": cast.a.id, "service_id": service["id"], "reference": "CIR-1", **more}
    return root.make("/holdings", body) | {"component_id": component["id"]}


def test_a_holding_is_made_changed_and_ended(root: Machine, cast: Cast) -> None:
    made = _held(root, cast)
    path = f"/holdings/{made['id']}"
    assert (made["service_name"], made["component_ids"], made["valid_to"]) == ("Internet access", [], None)
    own = {"component_ids": [made["component_id"]]}
    changed = root.send("PATCH", path, own, match=made["version"]).json
    assert changed is not None
    assert (changed["reference"], changed["component_ids"]) == ("CIR-1", own["component_ids"])
    twin = {"company_id": cast.a.id, "service_id": made["service_id"], "reference": "CIR-1"}
    assert refusal(root.send("POST", "/holdings", twin), 422)["errors"][0]["pointer"] == "/reference"
    assert root.send("POST", f"{path}/end", match="*").status_code == 200
    refusal(root.send("PATCH", path, {"reference": "CIR-2"}, match="*"), 422)
    assert root.all(f"/holdings?company_id={cast.a.id}&current=true") == []
    assert [each["id"] for each in root.all("/holdings?reference=CIR-1&current=false")] == [made["id"]]
    refusal(root.get(f"{path}/status"), 404)


def test_a_holding_of_what_is_missing_is_refused_beside_its_field(root: Machine, cast: Cast) -> None:
    for field in ("company_id", "service_id"):
        service = root.make("/services", {"name": f"Service for {field}"})
        body = {"company_id": cast.a.id, "service_id": service["id"], field: 2**31 - 1}
        assert refusal(root.send("POST", "/holdings", body), 422)["errors"][0]["pointer"] == f"/{field}"


def test_the_status_of_a_holding_is_that_of_what_it_depends_on(root: Machine, machine: MakeMachine, cast: Cast) -> None:
    made = _held(root, cast)
    path = f"/holdings/{made['id']}/status"
    assert root.read(path) == {
        "holding_id": made["id"],
        "status": "operating_normally",
        "reason": "",
        "since": None,
        "incident_public_id": None,
        "stated": None,
    }
    incident = machine(Scope.INCIDENTS).make(
        "/incidents",
        {
            "title": "Ring cut",
            "body": "A digger.",
            "state": State.IDENTIFIED,
            "components": [{"component_id": made["component_id"], "severity": Severity.MAJOR_OUTAGE}],
        },
    )
    told = root.read(path)
    assert (told["status"], told["reason"]) == ("system_is_down", "Ring cut")
    assert told["incident_public_id"] == incident["public_id"]
    assert told["since"] == incident["started_at"]
    assert told["since"].endswith("Z")
    assert clock.utcnow().isoformat()[:10] in told["since"]


def test_a_component_is_set_by_hand(root: Machine, machine: MakeMachine, cast: Cast) -> None:
    made = root.make("/components", {"title": "North ring"})
    path = f"/components/{made['id']}/status"
    assert made["base_status"] == "operational"
    known = root.read(path)
    assert (known["status"], known["base_status"], known["since"], known["version"]) == (*["operational"] * 2, None, 0)
    refusal(root.send("PUT", path, {"base_status": "partial_outage"}), 428)
    body = {"base_status": "partial_outage", "note": "A card", "until": "2999-01-01T00:00:00Z"}
    refusal(root.send("PUT", path, body, match=0), 422)
    changed = root.send("PUT", path, {"base_status": "partial_outage", "note": "A card"}, match=0).json
    assert changed is not None
    assert (changed["status"], changed["base_status"], changed["note"]) == (*["partial_outage"] * 2, "A card")
    refusal(root.send("PUT", path, {"base_status": "operational"}, match=0), 409)
    named = {"component_id": made["id"], "severity": "major_outage"}
    machine(Scope.INCIDENTS).make("/incidents", {"title": "Down", "body": "We look.", "components": [named]})
    found = root.read(f"/components/{made['id']}")
    assert (found["status"], found["base_status"]) == ("major_outage", "partial_outage")
    told = machine(Scope.READ, cast.a).read(f"/components/{made['id']}")
    assert told["status"] == "major_outage"
    assert "base_status" not in told
    refusal(machine(Scope.READ, cast.a).send("GET", path), 404)
    assert root.send("PUT", path, {"base_status": "operational"}, match=changed["version"]).status_code == 200
    assert root.read(path)["since"] is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"base_status": "under_maintenance"},
        {"base_status": "down"},
        {"base_status": None},
        {"base_status": "major_outage", "until": "2020-01-01T00:00:00Z"},
        {"base_status": "major_outage", "until": "2999-01-01"},
        {"base_status": "major_outage", "note": "x" * 501},
        {"base_status": "major_outage", "more": 1},
    ],
)
def test_nonsense_sets_nothing_by_hand(root: Machine, body: dict[str, Any]) -> None:
    made = root.make("/components", {"title": "North ring"})
    refusal(root.send("PUT", f"/components/{made['id']}/status", body, match="*"), 422)
    assert root.read(f"/components/{made['id']}")["status"] == "operational"
