"""A28, A29, A09, A14: which passwords are taken, who may change one, and what ends with the old one."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from argon2 import PasswordHasher
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from portal import clock
from portal.accounts import actions as accounts
from portal.accounts.models import Person, Session
from portal.audit.models import AuditEntry
from portal.extensions import db
from tests.conftest import PASSWORD, STAFF_HOST, Cast, SignIn, client_on, token_in
from tests.security.mailbox import mails, one_mail
from tests.security.test_sessions import enter

A_HOST = "a.portal.test"
NEW = "a quiet blue bicycle"
Visitor = Callable[[str], FlaskClient]


def change(
    client: FlaskClient, password: str | None = NEW, current: str | None = PASSWORD, at: str = "/account"
) -> TestResponse:
    form = {"csrf_token": token_in(client, f"{at}/password"), "current": current, "password": password}
    return client.post(f"{at}/password", data={name: value for name, value in form.items() if value is not None})


REFUSED = [
    ("short12", "at least 12 characters"),
    ("password1", "at least 12 characters"),
    ("eleven char", "at least 12 characters"),
    ("x" * 120 + "123456789", "at most 128 characters"),
    ("🐎" * 129, "at most 128 characters"),
    ("passwordpassword", "follows the keyboard"),
    ("Password1234!", "tried first"),
    ("1234567890123", "follows the keyboard"),
    ("qwertyuiop[]", "tried first"),
    ("aaaaaaaaaaaa", "follows the keyboard"),
    ("abcabcabcabc", "follows the keyboard"),
    ("Alder Dental!!", "name of your company"),
    ("we-like-ALDERDENTAL", "name of your company"),
    ("àldér 1 àldér", "name of your company"),
    ("northline rocks on", "name of this portal"),
    ("alice alice 7", "your e-mail address"),
    ("alice@people.test", "your e-mail address"),
    ("my signalbox key", "name of this software"),
]


def test_a28_what_everybody_would_guess_is_refused_and_the_reason_is_said(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.alice)
    token = token_in(client, "/account/password")
    for password, sentence in REFUSED:
        form = {"csrf_token": token, "current": PASSWORD, "password": password}
        answer = client.post("/account/password", data=form)
        assert answer.status_code == 422, password
        page = answer.get_data(as_text=True)
        assert sentence in page, (password, page[page.find("field-error") :][:200])
        assert password == cast.alice.email or f'value="{password}"' not in page
    assert mails() == []


@pytest.mark.parametrize(
    "password",
    [
        "twelve chars",
        "x" * 64,
        "correct horse battery staple " * 4 + "and twelve!!",
        "  spaces at both ends  ",
        "🐎🔋🧷 horse und Ünïcödé",
        "' OR 1=1; -- <script>",
        "tab\tand\nnew line",
        "電話がつながりません、助けて",
    ],
)
def test_a28_any_other_is_taken_whole(cast: Cast, sign_in: SignIn, visitor: Visitor, password: str) -> None:
    assert len(password) <= 128
    assert change(sign_in(cast.alice), password).status_code == 303
    assert enter(visitor(A_HOST), cast.alice.email, password).status_code == 303
    for other in {password.strip(), password[:-1], password.casefold()} - {password}:
        assert not accounts.password_matches(db.session.get(Person, cast.alice.id), other)


def test_a28_a_nul_is_no_character_of_a_password(cast: Cast, sign_in: SignIn) -> None:
    assert change(sign_in(cast.alice), "a quiet blue\x00 bicycle").status_code in {400, 422}
    assert enter(client_on(sign_in(cast.bob).application, A_HOST), cast.alice.email).status_code == 303


def test_a28_the_cap_is_said_before_anybody_types(cast: Cast, sign_in: SignIn) -> None:
    page = sign_in(cast.alice).get("/account/password").get_data(as_text=True)
    assert "12 to 128 characters of any kind" in page
    cut_off = [int(most) for most in re.findall(r'maxlength="(\d+)"', page)]
    assert all(most > 1000 for most in cut_off)


@pytest.mark.parametrize("who", ["alice", "root"])
@pytest.mark.parametrize("current", [None, "", "a wrong password 12", PASSWORD[:-1], PASSWORD.upper(), f" {PASSWORD}"])
def test_a29_nobody_changes_a_password_they_do_not_know(
    cast: Cast, sign_in: SignIn, who: str, current: str | None
) -> None:
    person: Person = getattr(cast, who)
    at = "/admin/account" if who == "root" else "/account"
    before = person.password_hash
    assert change(sign_in(person), current=current, at=at).status_code == 422
    db.session.expire_all()
    assert db.session.get(Person, person.id).password_hash == before  # type: ignore[union-attr]


def test_a29_a_field_of_the_profile_is_no_password(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.alice)
    form = {"csrf_token": token_in(client, "/account"), "version": str(cast.alice.version), "name": "Alice Moor"}
    form |= {"language": "en", "time_zone": "UTC", "password": NEW, "password_hash": "x", "email": "x@y.test"}
    assert client.post("/account", data=form).status_code == 303
    db.session.expire_all()
    alice = db.session.get(Person, cast.alice.id)
    assert (alice.name, alice.email) == ("Alice Moor", "alice@people.test")  # type: ignore[union-attr]
    assert accounts.password_matches(alice, PASSWORD)


@pytest.mark.parametrize("who", ["alice", "root"])
def test_a09_a_new_password_signs_out_everywhere_else_at_once(
    cast: Cast, sign_in: SignIn, visitor: Visitor, who: str
) -> None:
    person: Person = getattr(cast, who)
    host, at, home = (STAFF_HOST, "/admin/account", "/admin/") if who == "root" else (A_HOST, "/account", "/")
    mine, other = sign_in(person), sign_in(person)
    answer = change(mine, at=at)
    assert (answer.status_code, answer.location) == (303, at)
    assert "Your password is changed" in mine.get(at).get_data(as_text=True)
    assert mine.get(home).status_code == 200
    assert other.get(home).status_code == 302
    assert other.get(home, headers={"HX-Request": "true"}).status_code == 401
    assert enter(visitor(host), person.email).status_code == 422
    told = one_mail()
    assert (told.to, told.subject, NEW in told.text) == (person.email, "Your password was changed", False)
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "person.password")).one()
    assert (entry.actor_id, entry.object_id) == (person.id, person.id)
    assert NEW not in str((entry.before, entry.after))


def test_the_same_password_again_is_no_change(cast: Cast, sign_in: SignIn) -> None:
    answer = change(sign_in(cast.alice), PASSWORD)
    assert answer.status_code == 422
    assert "This is your password already." in answer.get_data(as_text=True)


def test_an_older_hash_is_made_anew_at_the_next_sign_in(cast: Cast, sign_in: SignIn, visitor: Visitor) -> None:
    old = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    cast.alice.password_hash, stamp = old, cast.alice.password_stamp
    db.session.commit()
    elsewhere = sign_in(cast.alice)
    assert enter(visitor(A_HOST), cast.alice.email, "a wrong password 12").status_code == 422
    db.session.expire_all()
    assert db.session.get(Person, cast.alice.id).password_hash == old  # type: ignore[union-attr]
    assert enter(visitor(A_HOST), cast.alice.email).status_code == 303
    db.session.expire_all()
    alice = db.session.get(Person, cast.alice.id)
    assert alice is not None
    assert alice.password_hash is not None
    assert alice.password_hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert alice.password_stamp == stamp
    assert elsewhere.get("/").status_code == 200
    assert enter(visitor(A_HOST), cast.alice.email).status_code == 303


def sessions_of(person: Person) -> list[Session]:
    return list(
        db.session.scalars(
            select(Session).where(Session.person_id == person.id, Session.revoked_at.is_(None)).order_by(Session.id)
        )
    )


@pytest.mark.parametrize("who", ["alice", "root"])
def test_a14_everybody_sees_where_they_are_signed_in_and_signs_out_there(cast: Cast, sign_in: SignIn, who: str) -> None:
    person: Person = getattr(cast, who)
    at, home = ("/admin/account", "/admin/") if who == "root" else ("/account", "/")
    mine, second, third = sign_in(person), sign_in(person), sign_in(person)
    page = mine.get(at).get_data(as_text=True)
    assert page.count("This browser") == 1
    assert page.count("· 127.0.0.1 ·") == 3
    token = token_in(mine, at)
    first_id, second_id, _third_id = (each.id for each in sessions_of(person))
    ended = mine.post(f"{at}/sessions/{second_id}/end", data={"csrf_token": token})
    assert (ended.status_code, ended.location) == (303, at)
    assert second.get(home).status_code == 302
    assert third.get(home).status_code == 200
    assert mine.post(f"{at}/sessions/{second_id}/end", data={"csrf_token": token}).status_code == 404
    assert mine.post(f"{at}/sessions/end-others", data={"csrf_token": token}).status_code == 303
    assert third.get(home).status_code == 302
    assert mine.get(home).status_code == 200
    assert [each.id for each in sessions_of(person)] == [first_id]
    fourth = sign_in(person)
    everywhere = mine.post(f"{at}/sessions/end-all", data={"csrf_token": token})
    assert (everywhere.status_code, everywhere.location) == (303, "/sign-in")
    assert (mine.get(home).status_code, fourth.get(home).status_code) == (302, 302)


def test_nobody_ends_a_session_of_somebody_else(cast: Cast, sign_in: SignIn) -> None:
    alice, bob = sign_in(cast.alice), sign_in(cast.bob)
    token = token_in(alice, "/account")
    (theirs,) = sessions_of(cast.bob)
    missing = alice.post("/account/sessions/2147483000/end", data={"csrf_token": token})
    answer = alice.post(f"/account/sessions/{theirs.id}/end", data={"csrf_token": token})
    assert (answer.status_code, answer.get_data()) == (404, missing.get_data())
    assert bob.get("/").status_code == 200


def test_a14_what_can_do_harm_asks_for_the_password_again_after_a_quarter_of_an_hour(
    cast: Cast, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = sign_in(cast.alice)
    assert client.get("/account/email").status_code == 200
    token = token_in(client, "/account")
    later = clock.utcnow() + timedelta(minutes=16)
    monkeypatch.setattr(clock, "utcnow", lambda: later)
    asked = client.get("/account/email")
    assert (asked.status_code, asked.location) == (302, "/confirm?next=%2Faccount%2Femail")
    fragment = client.get(
        "/account/email", headers={"HX-Request": "true", "HX-Current-URL": f"http://{A_HOST}/account?x=1"}
    )
    assert fragment.status_code == 401
    assert fragment.headers["HX-Redirect"] == "/confirm?next=%2Faccount%3Fx%3D1"
    form = {"csrf_token": token, "email": "new@people.test"}
    for referer in (f"http://{A_HOST}/account/email", "http://evil.test/x", "//evil.test"):
        sent = client.post("/account/email", data=form, headers={"Referer": referer})
        assert sent.status_code == 302
        assert sent.location in {"/confirm?next=%2Faccount%2Femail", "/confirm?next=%2F"}
    assert mails() == []
    assert client.post("/confirm", data={"csrf_token": token, "password": "a wrong password 12"}).status_code == 422
    assert client.get("/account/email").status_code == 302
    done = client.post("/confirm", data={"csrf_token": token, "password": PASSWORD, "next": "/account/email"})
    assert (done.status_code, done.location) == (303, "/account/email")
    assert client.get("/account/email").status_code == 200
    for evil in ("//evil.test", "https://evil.test", "/\\evil.test"):
        answer = client.post("/confirm", data={"csrf_token": token, "password": PASSWORD, "next": evil})
        assert answer.location == "/"


def test_nobody_confirms_who_is_not_signed_in(cast: Cast, visitor: Visitor) -> None:
    client = visitor(A_HOST)
    assert client.get("/confirm").status_code == 302
    assert (
        client.post("/confirm", data={"csrf_token": token_in(client, "/sign-in"), "password": PASSWORD}).status_code
        == 302
    )
