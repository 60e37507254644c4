"""People, through the API: only for scopes that may see addresses."""

from sqlalchemy import select

from portal.accounts.models import Session
from portal.accounts.rules.tokens import Scope
from portal.extensions import db
from tests.api.v1.conftest import MakeMachine, refusal
from tests.conftest import Cast, SignIn


def test_a_person_is_made_changed_shut_out_and_let_in_again(machine: MakeMachine, cast: Cast, sign_in: SignIn) -> None:
    root = machine(Scope.COMPANIES)
    made = root.make("/people", {"name": "Dora", "email": "Dora@people.test", "company_ids": [cast.a.id, cast.b.id]})
    assert (made["role"], made["company_ids"]) == (None, [cast.a.id, cast.b.id])
    path = f"/people/{made['id']}"
    changed = root.send("PATCH", path, {"language": "de"}, match=made["version"])
    assert changed.json is not None
    assert (changed.json["name"], changed.json["language"]) == ("Dora", "de")
    assert root.send("POST", f"{path}/deactivate", match=changed.headers["ETag"]).status_code == 200
    assert root.send("POST", f"{path}/reactivate", match="*").status_code == 200
    assert root.all("/people?email=DORA@people.test")[0]["deactivated_at"] is None


def test_shutting_a_person_out_ends_their_sessions(machine: MakeMachine, cast: Cast, sign_in: SignIn) -> None:
    alice = sign_in(cast.alice)
    assert alice.get("/").status_code == 200
    assert machine().send("POST", f"/people/{cast.alice.id}/deactivate", match="*").status_code == 200
    assert alice.get("/").status_code == 302
    live = select(Session.id).where(Session.person_id == cast.alice.id, Session.revoked_at.is_(None))
    assert db.session.scalar(live) is None


def test_staff_are_there_for_admin_tokens_alone(machine: MakeMachine, cast: Cast) -> None:
    root, clerk = machine(Scope.ADMIN), machine(Scope.COMPANIES)
    assert {each["name"] for each in root.all("/people?role=status")} == {"Ada"}
    assert {each["name"] for each in clerk.all("/people?limit=1")} == {"Alice", "Bob", "Charlie"}
    refusal(clerk.get(f"/people/{cast.ada.id}"), 404)
    refusal(clerk.send("POST", f"/people/{cast.ada.id}/deactivate", match="*"), 404)


def test_a_known_address_is_refused(machine: MakeMachine, cast: Cast) -> None:
    body = {"name": "Alice again", "email": cast.alice.email.upper()}
    assert refusal(machine().send("POST", "/people", body), 422)["errors"][0]["pointer"] == "/email"


def test_people_are_narrowed(machine: MakeMachine, cast: Cast) -> None:
    root = machine()
    assert {each["name"] for each in root.all(f"/people?company_id={cast.a.id}")} == {"Alice", "Bob"}
    assert root.all("/people?active=false") == []
    assert [each["email"] for each in root.all("/people?sort=email&limit=2")] == sorted(
        each["email"] for each in root.all("/people")
    )
