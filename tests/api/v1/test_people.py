"""People, through the API: only for scopes that may see addresses."""

from sqlalchemy import Select, select

from portal.accounts.models import MailedLink, Session
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


def test_somebody_is_invited_and_the_invitation_withdrawn(machine: MakeMachine, cast: Cast) -> None:
    clerk = machine(Scope.COMPANIES)
    made = clerk.make("/people", {"name": "Dora", "email": "dora@wrnog.test", "company_ids": [cast.a.id]})
    path = f"/people/{made['id']}"
    assert clerk.send("POST", f"{path}/invite").status_code == 200
    corrected = clerk.send("PATCH", path, {"email": "dora@right.test"}, match=made["version"])
    assert corrected.status_code == 200
    links = db.session.scalars(select(MailedLink).where(MailedLink.person_id == made["id"]).order_by(MailedLink.id))
    assert [(each.address, each.revoked_at is None) for each in links] == [
        ("dora@wrnog.test", False),
        ("dora@right.test", True),
    ]
    assert clerk.send("POST", f"{path}/withdraw-invitation").status_code == 200
    assert db.session.scalars(links_that_open(made["id"])).all() == []
    refusal(clerk.send("POST", f"/people/{cast.alice.id}/invite"), 422)
    refusal(clerk.send("PATCH", f"/people/{cast.alice.id}", {"email": "new@people.test"}, match="*"), 422)


def links_that_open(person_id: int) -> Select[MailedLink]:
    return select(MailedLink).where(MailedLink.person_id == person_id, MailedLink.revoked_at.is_(None))


def test_roles_are_given_by_the_scope_admin_alone(machine: MakeMachine, cast: Cast, sign_in: SignIn) -> None:
    ada = sign_in(cast.ada)
    path = f"/people/{cast.ada.id}/role"
    refusal(machine(Scope.COMPANIES).send("PUT", f"/people/{cast.alice.id}/role", {"role": "admin"}, match="*"), 403)
    root = machine()
    refusal(root.send("PUT", path, {"role": "office"}), 428)
    refusal(root.send("PUT", path, {"role": "king"}, match="*"), 422)
    assert root.send("PUT", path, {"role": "office"}, match="*").status_code == 200
    assert ada.get("/admin/").status_code == 302
    # The token acts for Root, who stays who they are.
    refusal(root.send("PUT", f"/people/{cast.root.id}/role", {"role": None}, match="*"), 422)
