"""Companies, people and memberships: what is refused, and that whoever is shut out is out at once."""

from typing import Any

import pytest
from argon2 import extract_parameters
from sqlalchemy import select

from portal import clock, events
from portal.accounts import actions
from portal.accounts.actions import passwords
from portal.accounts.models import Membership, Person, Session
from portal.accounts.queries import viewer_by_token
from portal.accounts.rules import Role
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM, Actor
from portal.errors import RuleViolation, StaleEdit
from portal.extensions import db
from tests.conftest import NOW, PASSWORD, Cast, SignIn, counted_queries

BY: dict[str, Any] = {"by": SYSTEM, "now": NOW}


def test_company_names_are_unique_whatever_the_case_width_or_spaces(cast: Cast) -> None:
    for name in ("ALDER  dental", "Ａlder Dental", " Alder\tDental "):
        with pytest.raises(RuleViolation) as refusal:
            actions.add_company(name, **BY)
        assert refusal.value.field == "name"


@pytest.mark.parametrize("name", ["", " ", "\x00", "x" * 201, "ﷺ" * 60])
def test_a_company_needs_a_name_that_fits(session: None, name: str) -> None:
    with pytest.raises(RuleViolation):
        actions.add_company(name, **BY)


def test_a_company_may_be_renamed_to_another_spelling_of_itself(cast: Cast) -> None:
    actions.rename_company(cast.a, "ALDER Dental", version=cast.a.version, **BY)
    assert (cast.a.name, cast.a.name_key) == ("ALDER Dental", "alder dental")
    with pytest.raises(RuleViolation):
        actions.rename_company(cast.a, "birch logistics", version=cast.a.version, **BY)
    with pytest.raises(StaleEdit):
        actions.rename_company(cast.a, "New", version=cast.a.version - 1, **BY)


def test_one_address_is_one_person_whatever_its_case(cast: Cast) -> None:
    with pytest.raises(RuleViolation) as refusal:
        actions.add_person("Another", "ALICE@People.test", **BY)
    assert refusal.value.field == "email"


@pytest.mark.parametrize(
    "email",
    ["", "alice", "a@b", "a@b@c.test", "a b@c.test", "a@c.test\nBcc: x@y.test", "a\x00@c.test", "<a@c.test>", "a@.test",
     "a@c..test", "a@c.test.", "a,b@c.test", f"{'a' * 65}@c.test", f"a@{'c' * 64}.test", f"a@{'c.' * 130}test"],
)  # fmt: skip
def test_what_is_no_address_is_refused(session: None, email: str) -> None:
    with pytest.raises(RuleViolation) as refusal:
        actions.add_person("Somebody", email, **BY)
    assert refusal.value.field == "email"


@pytest.mark.parametrize("email", ["o'neil+status@c.test", "jörg@bücher.example", "a.b@sub.c.test"])
def test_unusual_addresses_are_kept_as_they_are(session: None, email: str) -> None:
    assert actions.add_person("Somebody", f" {email} ", **BY).email == email


def test_what_an_unknown_address_is_checked_against_costs_what_a_password_does() -> None:
    checked = extract_parameters(passwords._NOBODY)
    assert checked == extract_parameters(actions.hash_password(PASSWORD))
    assert passwords._hash_of_nothing() != passwords._hash_of_nothing()


def test_a_person_added_without_a_password_matches_none(session: None) -> None:
    person = actions.add_person("Somebody", "somebody@people.test", **BY)
    assert not actions.password_matches(person, "")
    assert not actions.password_matches(person, "None")


def test_deactivating_signs_out_everywhere_at_once(cast: Cast, sign_in: SignIn) -> None:
    sign_in(cast.alice)
    session = db.session.scalars(select(Session).where(Session.person_id == cast.alice.id)).one()
    assert viewer_by_token(session.token_hash, session.host, clock.utcnow())
    db.session.info.pop("topics", None)
    actions.deactivate_person(cast.alice, version=cast.alice.version, **BY)
    assert viewer_by_token(session.token_hash, session.host, clock.utcnow()) is None
    assert session.revoked_at == NOW
    assert events.session_topic(session.token_hash) in db.session.info["topics"]
    actions.reactivate_person(cast.alice, version=cast.alice.version, **BY)
    assert viewer_by_token(session.token_hash, session.host, clock.utcnow()) is None


def test_nobody_deactivates_themselves_nor_the_last_administrator(cast: Cast) -> None:
    with pytest.raises(RuleViolation, match="yourself"):
        actions.deactivate_person(cast.root, version=cast.root.version, by=Actor("root", cast.root.id), now=NOW)
    with pytest.raises(RuleViolation, match="last administrator"):
        actions.deactivate_person(cast.root, version=cast.root.version, **BY)
    other = actions.add_person("Second", "second@people.test", role=Role.ADMIN, **BY)
    actions.deactivate_person(cast.root, version=cast.root.version, **BY)
    with pytest.raises(RuleViolation, match="last administrator"):
        actions.deactivate_person(other, version=other.version, **BY)


def test_t22_the_cookie_of_somebody_deactivated_opens_nothing(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.alice)
    assert client.get("/account").status_code == 200
    actions.deactivate_person(cast.alice, version=cast.alice.version, **BY)
    db.session.commit()
    assert client.get("/account").status_code == 302
    assert client.get("/account", headers={"HX-Request": "true"}).status_code == 401


def test_t23_somebody_removed_from_a_company_is_out_on_the_next_request(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.alice)
    assert client.get("/account").status_code == 200
    actions.remove_membership(cast.alice, cast.a, **BY)
    db.session.commit()
    assert client.get("/account").status_code == 302
    assert client.get("/account", headers={"HX-Request": "true"}).status_code == 401


def test_t23_holds_even_when_only_the_row_was_deleted(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.alice)
    db.session.delete(db.session.scalars(select(Membership).where(Membership.person_id == cast.alice.id)).one())
    db.session.commit()
    assert client.get("/account").status_code == 302


def test_leaving_one_company_keeps_the_sessions_of_another(cast: Cast) -> None:
    actions.add_membership(cast.alice, cast.b, **BY)
    here = {"ip": "127.0.0.1", "user_agent": "test", "now": NOW}
    of_a = actions.open_session(cast.alice, cast.a.id, "a.portal.test", **here)  # type: ignore[arg-type]
    of_b = actions.open_session(cast.alice, cast.b.id, "b.portal.test", **here)  # type: ignore[arg-type]
    actions.remove_membership(cast.alice, cast.a, **BY)
    actions.remove_membership(cast.alice, cast.a, **BY)
    assert viewer_by_token(actions.token_hash(of_a), "a.portal.test", NOW) is None
    assert viewer_by_token(actions.token_hash(of_b), "b.portal.test", NOW) is not None
    assert len(db.session.scalars(select(AuditEntry).where(AuditEntry.action == "membership.remove")).all()) == 1


def test_an_archived_company_signs_its_people_out(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.alice)
    actions.archive_company(cast.a, version=cast.a.version, **BY)
    db.session.commit()
    assert client.get("/account").status_code == 302


def test_a_deactivated_person_joins_no_company(cast: Cast) -> None:
    actions.deactivate_person(cast.bob, version=cast.bob.version, **BY)
    with pytest.raises(RuleViolation):
        actions.add_membership(cast.bob, cast.b, **BY)


def test_somebody_may_be_staff_and_act_for_a_company(cast: Cast) -> None:
    actions.add_membership(cast.ada, cast.a, **BY)
    here = {"ip": "127.0.0.1", "user_agent": "test", "now": NOW}
    token = actions.open_session(cast.ada, cast.a.id, "a.portal.test", **here)  # type: ignore[arg-type]
    viewer = viewer_by_token(actions.token_hash(token), "a.portal.test", NOW)
    assert viewer is not None
    assert (viewer.company_id, viewer.role) == (cast.a.id, Role.STATUS)


def test_a_viewer_is_one_query(cast: Cast) -> None:
    here = {"ip": "127.0.0.1", "user_agent": "test", "now": NOW}
    token = actions.open_session(cast.alice, cast.a.id, "a.portal.test", **here)  # type: ignore[arg-type]
    db.session.flush()
    db.session.expunge_all()
    with counted_queries() as statements:
        assert viewer_by_token(actions.token_hash(token), "a.portal.test", NOW)
    assert len(statements) == 1


def test_a_session_answers_only_on_its_own_host(cast: Cast) -> None:
    here = {"ip": "127.0.0.1", "user_agent": "test", "now": NOW}
    token = actions.open_session(cast.alice, cast.a.id, "a.portal.test", **here)  # type: ignore[arg-type]
    assert viewer_by_token(actions.token_hash(token), "b.portal.test", NOW) is None


def test_names_lose_control_characters(session: None) -> None:
    person = actions.add_person("A\x00da\u2028 Love\x07lace", "ada2@people.test", **BY)
    assert person.name == "Ada Lovelace"
    assert db.session.get_one(Person, person.id).name == "Ada Lovelace"
