"""Portal domains, their areas and the exceptions, through the API."""

from flask import Flask

from portal.accounts.rules.tokens import Scope
from tests.api.v1.conftest import MakeMachine, refusal
from tests.conftest import Cast, SignIn


def test_a_portal_is_made_changed_and_removed(machine: MakeMachine, cast: Cast) -> None:
    desk = machine(Scope.PORTALS)
    made = desk.make("/portals", {"base_url": "https://status.north.test", "brand": "North", "areas": ["status"]})
    path = f"/portals/{made['id']}"
    assert (made["host"], made["areas"], made["language"]) == ("status.north.test", ["status"], "en")
    change = {"accent": "#AA0011", "support_phone": "+44 20 7946 0000"}
    changed = desk.send("PATCH", path, change, match=made["version"]).json
    assert changed is not None
    assert (changed["accent"], changed["brand"]) == ("#aa0011", "North")
    refusal(desk.send("PATCH", path, change, match=made["version"]), 409)
    assert [each["id"] for each in desk.all("/portals?host=status.north.test")] == [made["id"]]
    assert desk.send("DELETE", path, match="*").status_code == 204
    refusal(desk.get(path), 404)


def test_the_home_of_a_company_is_not_removed(machine: MakeMachine, cast: Cast) -> None:
    refusal(machine().send("DELETE", f"/portals/{cast.domain_a.id}", match="*"), 422)


def test_an_address_that_is_none_is_refused_beside_its_field(machine: MakeMachine, cast: Cast) -> None:
    body = {"base_url": "ftp://north.test", "brand": "North"}
    assert refusal(machine().send("POST", "/portals", body), 422)["errors"][0]["pointer"] == "/base_url"


def test_areas_open_and_close_for_everybody_and_for_one_company(
    app: Flask, machine: MakeMachine, cast: Cast, sign_in: SignIn
) -> None:
    desk, alice = machine(Scope.PORTALS), sign_in(cast.alice)
    path = f"/portals/{cast.domain_a.id}"
    refusal(desk.send("PUT", f"{path}/areas", {"areas": ["status"]}), 428)
    assert desk.send("PUT", f"{path}/areas", {"areas": ["status"]}, match="*").status_code == 200
    assert alice.get("/services").status_code == 404
    exception = f"{path}/overrides/{cast.a.id}/services"
    assert desk.send("PUT", exception, {"is_open": True}).status_code == 200
    assert alice.get("/services").status_code == 200
    line = {"portal_id": cast.domain_a.id, "company_id": cast.a.id, "area": "services", "is_open": True}
    assert desk.all(f"{path}/overrides?area=services") == [line]
    assert desk.send("DELETE", exception).status_code == 204
    assert alice.get("/services").status_code == 404
    refusal(desk.send("DELETE", exception), 404)
    refusal(desk.send("PUT", f"{path}/overrides/{cast.b.id}/services", {"is_open": True}), 422)
    refusal(desk.send("PUT", f"{path}/overrides/{cast.a.id}/jobs", {"is_open": True}), 404)
    refusal(desk.send("PUT", f"{path}/areas", {"areas": ["everything"]}, match="*"), 422)


def test_areas_that_have_no_screens_yet_stay_as_they_are(machine: MakeMachine, cast: Cast) -> None:
    desk, path = machine(Scope.PORTALS), f"/portals/{cast.domain_a.id}"
    assert desk.send("PUT", f"{path}/areas", {"areas": []}, match="*").status_code == 200
    assert desk.read(path)["areas"] == []
    assert "jobs" in cast.domain_a.areas


def test_further_names_come_and_go_by_the_scope_admin_alone(machine: MakeMachine, cast: Cast) -> None:
    root, desk, path = machine(), machine(Scope.PORTALS), f"/portals/{cast.domain_a.id}/hosts"
    refusal(desk.send("POST", path, {"host": "more.test"}, match="*"), 403)
    refusal(root.send("POST", path, {"host": "more.test"}), 428)
    refusal(root.send("POST", path, {"host": "https://more.test/"}, match="*"), 422)
    added = root.send("POST", path, {"host": "more.test"}, match="*")
    assert added.json is not None
    main, further = added.json["hosts"]
    assert (main["is_main"], further["is_main"], further["host"]) == (True, False, "more.test")
    assert root.send("POST", f"{path}/{further['id']}/check").status_code == 200
    refusal(root.send("POST", f"{path}/999999/check"), 404)
    refusal(root.send("DELETE", f"{path}/{main['id']}", match="*"), 422)
    refusal(desk.send("DELETE", f"{path}/{further['id']}", match="*"), 403)
    assert root.send("DELETE", f"{path}/{further['id']}", match="*").status_code == 204
    assert [each["host"] for each in desk.read(path)["hosts"]] == [main["host"]]


def test_own_wordings_reach_the_customers_page(machine: MakeMachine, cast: Cast, sign_in: SignIn) -> None:
    desk, path = machine(Scope.PORTALS), f"/portals/{cast.domain_a.id}/wordings"
    before = desk.read(f"{path}/en")
    assert before["own"] == {}
    refusal(desk.send("PUT", f"{path}/en", {"own": {"state.unheard": "Of"}}, match="*"), 422)
    refusal(desk.send("PUT", f"{path}/en", {"own": {"state.fixed": "x" * 61}}, match="*"), 422)
    refusal(desk.send("PUT", f"{path}/fr", {"own": {}}, match="*"), 404)
    chosen = {"service.operating_normally": "All well"}
    changed = desk.send("PUT", f"{path}/en", {"own": chosen}, match=before["version"])
    assert changed.json is not None
    assert changed.json["own"] == chosen
    assert changed.json["read"] == {**before["read"], **chosen}
    assert desk.read(f"{path}/de")["own"] == {}
    root = machine()
    service = root.make("/services", {"name": "Hosted telephony"})
    root.make("/holdings", {"company_id": cast.a.id, "service_id": service["id"]})
    assert "All well" in sign_in(cast.alice).get("/services").get_data(as_text=True)
    refusal(desk.send("PUT", f"{path}/en", {"own": {}}, match=before["version"]), 409)
