"""Companies, their people and where they sign in, through the API."""

from sqlalchemy import select

from portal.accounts.models import Company, Membership, Session
from portal.accounts.rules.tokens import Scope
from portal.audit.models import AuditEntry
from portal.extensions import db
from tests.api.v1.conftest import MakeMachine, refusal
from tests.conftest import Cast, SignIn


def test_a_company_is_made_read_renamed_archived_and_taken_back(machine: MakeMachine, cast: Cast) -> None:
    root = machine()
    made = root.make("/companies", {"name": "Cedar Mill", "home_portal_id": cast.domain_a.id})
    path = f"/companies/{made['id']}"
    assert (made["name"], made["home_portal_id"], made["archived_at"]) == ("Cedar Mill", cast.domain_a.id, None)
    renamed = root.send("PATCH", path, {"name": "Cedar Mills"}, match=made["version"])
    assert renamed.status_code == 200
    archived = root.send("POST", f"{path}/archive", match=renamed.headers["ETag"])
    assert archived.json is not None
    assert archived.json["archived_at"] is not None
    assert root.send("POST", f"{path}/restore", match="*").status_code == 200
    assert root.read(path)["name"] == "Cedar Mills"


def test_a_company_has_tags_that_only_staff_read(machine: MakeMachine, cast: Cast) -> None:
    root = machine(Scope.COMPANIES)
    made = root.make("/companies", {"name": "Cedar", "tags": ["VIP", "vip", "wholesale"]})
    assert made["tags"] == ["VIP", "wholesale"]
    path = f"/companies/{made['id']}"
    kept = root.send("PATCH", path, {"name": "Cedar Ltd"}, match="*").json
    changed = root.send("PATCH", path, {"name": "Cedar Ltd", "tags": ["Trunks"]}, match="*").json
    assert kept is not None
    assert changed is not None
    assert (kept["tags"], changed["tags"]) == (["VIP", "wholesale"], ["Trunks"])
    assert changed["version"] == kept["version"] + 1
    of_company = machine(Scope.READ, company=cast.a)
    assert "tags" not in of_company.all("/companies")[0]


def test_what_a_machine_did_stands_in_the_audit_trail_under_its_name(machine: MakeMachine, cast: Cast) -> None:
    made = machine().make("/companies", {"name": "Cedar Mill"})
    entry = db.session.scalars(
        select(AuditEntry).where(AuditEntry.action == "company.add", AuditEntry.object_id == made["id"])
    ).one()
    assert entry.actor == "API token “test admin”"
    assert entry.ip == "127.0.0.1"


def test_a_taken_name_is_refused_with_the_place_in_the_body(machine: MakeMachine, cast: Cast) -> None:
    problem = refusal(machine().send("POST", "/companies", {"name": cast.a.name.upper()}), 422)
    assert problem["errors"][0]["pointer"] == "/name"


def test_an_unknown_home_is_refused_and_nothing_is_half_made(machine: MakeMachine, cast: Cast) -> None:
    body = {"name": "Cedar Mill", "home_portal_id": 2**31 - 1}
    assert refusal(machine().send("POST", "/companies", body), 422)["errors"][0]["pointer"] == "/home_portal_id"
    assert db.session.scalar(select(Company.id).where(Company.name == "Cedar Mill")) is None


def test_companies_are_listed_in_both_orders_and_narrowed(machine: MakeMachine, cast: Cast) -> None:
    root = machine()
    assert [each["id"] for each in root.all("/companies?sort=name&limit=1")] == [cast.a.id, cast.b.id]
    assert [each["id"] for each in root.all("/companies?sort=-name&limit=1")] == [cast.b.id, cast.a.id]
    assert [each["id"] for each in root.all("/companies?q=BIRCH")] == [cast.b.id]
    assert [each["id"] for each in root.all(f"/companies?portal_id={cast.domain_a.id}")] == [cast.a.id]
    assert root.all("/companies?archived=true") == []


def test_memberships_come_and_go_and_end_sessions(machine: MakeMachine, cast: Cast, sign_in: SignIn) -> None:
    sign_in(cast.alice)
    root = machine(Scope.COMPANIES)
    path = f"/companies/{cast.a.id}/memberships"
    assert {each["person_id"] for each in root.all(f"{path}?limit=1")} == {cast.alice.id, cast.bob.id}
    assert root.send("DELETE", f"{path}/{cast.alice.id}").status_code == 204
    refusal(root.send("DELETE", f"{path}/{cast.alice.id}"), 404)
    live = select(Session.id).where(Session.person_id == cast.alice.id, Session.revoked_at.is_(None))
    assert db.session.scalar(live) is None
    for _ in range(2):
        assert root.send("PUT", f"{path}/{cast.alice.id}").status_code == 200
    of_alice = select(Membership.id).where(Membership.person_id == cast.alice.id)
    assert len(db.session.scalars(of_alice).all()) == 1


def test_memberships_hold_no_addresses(machine: MakeMachine, cast: Cast) -> None:
    answer = machine(Scope.READ).get(f"/companies/{cast.a.id}/memberships").get_data(as_text=True)
    assert cast.alice.name in answer
    assert "@" not in answer


def test_admissions_come_and_go_but_the_home_stays(machine: MakeMachine, cast: Cast) -> None:
    root = machine()
    path = f"/companies/{cast.a.id}/admissions"
    other = f"{path}/{cast.domain_b.id}"
    assert root.send("PUT", other, {"is_home": False}).status_code == 200
    assert {each["portal_id"] for each in root.all(path)} == {cast.domain_a.id, cast.domain_b.id}
    refusal(root.send("DELETE", f"{path}/{cast.domain_a.id}"), 422)
    assert root.send("PUT", other, {"is_home": True}).status_code == 200
    assert root.read(f"/companies/{cast.a.id}")["home_portal_id"] == cast.domain_b.id
    assert root.send("DELETE", f"{path}/{cast.domain_a.id}").status_code == 204
    refusal(root.send("DELETE", f"{path}/{cast.domain_a.id}"), 404)
    refusal(root.send("PUT", f"{path}/2147483000", {}), 404)


def test_a_change_needs_the_version_it_was_made_from(machine: MakeMachine, cast: Cast) -> None:
    root, path = machine(), f"/companies/{cast.a.id}"
    refusal(root.send("PATCH", path, {"name": "Alder"}), 428)
    seen = root.get(path).headers["ETag"]
    assert root.send("PATCH", path, {"name": "Alder"}, match=seen).status_code == 200
    refusal(root.send("PATCH", path, {"name": "Alders"}, match=seen), 409)
    refusal(root.send("PATCH", path, {"name": "Alders"}, match="no etag"), 422)
    assert root.read(path)["name"] == "Alder"
    weak = f"W/{root.get(path).headers['ETag']}"
    assert root.send("PATCH", path, {"name": "Alders"}, match=weak).status_code == 200
