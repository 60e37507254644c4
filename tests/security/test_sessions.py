"""A01 to A36 and T16, T22, T23: signing in, what a session is good for, and when it ends."""

import re
import statistics
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, select, update
from werkzeug.test import TestResponse

from portal import clock
from portal.accounts import actions as accounts
from portal.accounts.actions import passwords
from portal.accounts.models import Company, Membership, Person, Session
from portal.audit.rules import SYSTEM
from portal.domains import actions as domains
from portal.domains.models import Admission
from portal.extensions import db
from tests.conftest import NOW, PASSWORD, STAFF_HOST, Cast, SignIn, token_in
from tests.security.conftest import https_on, masked

A_HOST = "a.portal.test"
B_HOST = "b.portal.test"


def enter(client: FlaskClient, email: str, password: str = PASSWORD, wanted: str = "", **headers: str) -> TestResponse:
    token = token_in(client, "/sign-in")
    form = {"csrf_token": token, "email": email, "password": password, "next": wanted}
    return client.post("/sign-in", data=form, headers=headers)


def cookie_set(response: TestResponse, name: str) -> str:
    return next(cookie for cookie in response.headers.getlist("Set-Cookie") if cookie.startswith(f"{name}="))


def sid_of(client: FlaskClient, host: str, name: str = "sid") -> str:
    cookie = client.get_cookie(name, domain=host)
    assert cookie is not None
    return cookie.value


def live_sessions(person: Person) -> int:
    rows = select(Session).where(Session.person_id == person.id, Session.revoked_at.is_(None))
    return len(db.session.scalars(rows).all())


def test_a01_who_is_known_cannot_be_told(app: Flask, cast: Cast, visitor: Callable[[str], FlaskClient]) -> None:
    cast.bob.deactivated_at = NOW
    accounts.add_person("New", "new@people.test", by=SYSTEM, now=NOW)
    db.session.commit()
    answers = {}
    for email in ("nobody@people.test", cast.alice.email, cast.bob.email, "new@people.test", cast.charlie.email):
        client = visitor(A_HOST)
        response = enter(client, email, "a wrong password 12")
        assert response.status_code == 422
        answers[email] = masked(response).replace(email, "…")
    assert len(set(answers.values())) == 1
    right_but_elsewhere = enter(visitor(A_HOST), cast.charlie.email)
    assert masked(right_but_elsewhere).replace(cast.charlie.email, "…") in answers.values()


def test_a01_everybody_costs_one_hash(
    cast: Cast, visitor: Callable[[str], FlaskClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []
    real = passwords._hasher.verify

    class Counting:
        def verify(self, stored: str, password: str) -> bool:
            checked.append(stored)
            return real(stored, password)

    monkeypatch.setattr(passwords, "_hasher", Counting())
    for email in ("nobody@people.test", cast.alice.email, "x" * 250):
        before = len(checked)
        assert enter(visitor(A_HOST), email, "a wrong password 12").status_code == 422
        assert len(checked) == before + 1


def test_a01_known_and_unknown_take_as_long(cast: Cast, visitor: Callable[[str], FlaskClient]) -> None:
    def seconds(email: str) -> float:
        client = visitor(A_HOST)
        token = token_in(client, "/sign-in")
        begun = time.perf_counter()
        client.post("/sign-in", data={"csrf_token": token, "email": email, "password": "a wrong password 12"})
        return time.perf_counter() - begun

    rounds = [(seconds("nobody@people.test"), seconds(cast.alice.email)) for _ in range(7)]
    unknown, known = (statistics.median(column) for column in zip(*rounds, strict=True))
    assert 0.6 < unknown / known < 1.7


def test_a07_signing_in_takes_a_new_session(cast: Cast, visitor: Callable[[str], FlaskClient]) -> None:
    client = visitor(A_HOST)
    client.set_cookie("sid", "chosen-by-an-attacker", domain=A_HOST)
    assert enter(client, cast.alice.email).status_code == 303
    first = sid_of(client, A_HOST)
    assert first != "chosen-by-an-attacker"
    assert len(first) >= 43
    client.get("/")
    page_token = token_in(client, "/")
    form = {"csrf_token": page_token, "email": cast.bob.email, "password": PASSWORD}
    assert client.post("/sign-in", data=form).status_code == 303
    assert sid_of(client, A_HOST) != first
    old = visitor(A_HOST)
    old.set_cookie("sid", first, domain=A_HOST)
    assert old.get("/").status_code == 302
    assert (live_sessions(cast.alice), live_sessions(cast.bob)) == (0, 1)


def test_a07_only_a_hash_of_the_token_is_stored(cast: Cast, visitor: Callable[[str], FlaskClient]) -> None:
    client = visitor(A_HOST)
    enter(client, cast.alice.email)
    stored = db.session.scalars(select(Session.token_hash)).one()
    assert stored == accounts.token_hash(sid_of(client, A_HOST))


@pytest.mark.parametrize("path", ["/", "/sign-in", "/nothing"])
def test_a11_cookies_over_http(cast: Cast, visitor: Callable[[str], FlaskClient], path: str) -> None:
    client = visitor(A_HOST)
    cookies = enter(client, cast.alice.email).headers.getlist("Set-Cookie")
    cookies += client.get(path).headers.getlist("Set-Cookie")
    assert any(cookie.startswith("sid=") for cookie in cookies)
    for cookie in cookies:
        parts = [part.strip() for part in cookie.split(";")]
        assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(parts)
        assert not any(part.lower().startswith("domain") for part in parts)
        assert len(cookie) < 4096


def test_a11_cookies_over_https(https_app: Flask, cast: Cast) -> None:
    client = https_on(https_app, STAFF_HOST)
    response = enter(client, cast.ada.email, Referer=f"https://{STAFF_HOST}/sign-in")
    assert response.status_code == 303
    cookies = response.headers.getlist("Set-Cookie") + client.get("/sign-in").headers.getlist("Set-Cookie")
    assert any(cookie.startswith("__Host-sid=") for cookie in cookies)
    for cookie in cookies:
        parts = {part.strip() for part in cookie.split(";")}
        assert cookie.startswith("__Host-")
        assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= parts
        assert not any(part.lower().startswith("domain") for part in parts)
        assert len(cookie) < 4096
    client.set_cookie("sid", sid_of(client, STAFF_HOST, "__Host-sid"), domain=STAFF_HOST)
    client.delete_cookie("__Host-sid", domain=STAFF_HOST)
    assert client.get("/admin/").status_code == 302


@pytest.mark.parametrize("key", ["dev", "changeme", "", "secret", "x"])
def test_a12_a_form_cookie_signed_by_somebody_else_is_nothing(
    app: Flask, cast: Cast, visitor: Callable[[str], FlaskClient], key: str
) -> None:
    forger = Flask("forger")
    forger.secret_key = key or " "
    serializer = forger.session_interface.get_signing_serializer(forger)  # type: ignore[attr-defined]
    client = visitor(A_HOST)
    token_in(client, "/sign-in")
    client.set_cookie("form", serializer.dumps({"csrf_token": "0" * 40}), domain=A_HOST)
    with forger.test_request_context():
        from itsdangerous import URLSafeTimedSerializer  # noqa: PLC0415 (what Flask-WTF signs with)

        token = URLSafeTimedSerializer(key or " ", salt="wtf-csrf-token").dumps("0" * 40)
    form = {"csrf_token": token, "email": cast.alice.email, "password": PASSWORD}
    assert client.post("/sign-in", data=form).status_code == 400


def age(person: Person, *, idle: timedelta, old: timedelta) -> None:
    now = clock.utcnow()
    db.session.execute(
        update(Session).where(Session.person_id == person.id).values(last_seen_at=now - idle, created_at=now - old)
    )
    db.session.commit()


MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


AGES: list[tuple[str, timedelta, timedelta, bool]] = [
    ("ada", 29 * MINUTE, HOUR, True),
    ("ada", 31 * MINUTE, HOUR, False),
    ("ada", MINUTE, 12 * HOUR + MINUTE, False),
    ("alice", 6 * DAY, 20 * DAY, True),
    ("alice", 7 * DAY + MINUTE, 20 * DAY, False),
    ("alice", MINUTE, 30 * DAY + MINUTE, False),
]
"""Who, idle for how long, how old the session, and whether it still lives."""


@pytest.mark.parametrize("case", AGES, ids=lambda case: "-".join(map(str, case)))
def test_a14_sessions_end(cast: Cast, sign_in: SignIn, case: tuple[str, timedelta, timedelta, bool]) -> None:
    who, idle, old, lives = case
    person: Person = getattr(cast, who)
    client = sign_in(person)
    path = "/admin/" if who == "ada" else "/"
    age(person, idle=idle, old=old)
    response = client.get(path)
    assert response.status_code == (200 if lives else 302)
    fragment = client.get(path, headers={"HX-Request": "true"})
    assert fragment.status_code == (200 if lives else 401)
    if not lives:
        assert fragment.headers["HX-Redirect"] == "/sign-in"
        assert "<form" not in fragment.get_data(as_text=True)


@pytest.mark.parametrize(("headers", "extends"), [({}, True), ({"X-Background": "1"}, False)])
def test_a14_what_a_page_asks_by_itself_keeps_no_session_alive(
    cast: Cast, sign_in: SignIn, headers: dict[str, str], extends: bool
) -> None:
    client = sign_in(cast.ada)
    age(cast.ada, idle=20 * MINUTE, old=HOUR)
    assert client.get("/admin/", headers=headers).status_code == 200
    db.session.expire_all()
    seen = db.session.scalars(select(Session.last_seen_at).where(Session.person_id == cast.ada.id)).one()
    assert (clock.utcnow() - seen < MINUTE) is extends


@pytest.mark.parametrize("who", ["alice", "ada"])
def test_a14_signing_out_ends_it_at_once(
    cast: Cast, sign_in: SignIn, visitor: Callable[[str], FlaskClient], who: str
) -> None:
    person: Person = getattr(cast, who)
    client = sign_in(person)
    host, path = (STAFF_HOST, "/admin/") if who == "ada" else (A_HOST, "/")
    token = sid_of(client, host)
    assert client.post("/sign-out", data={"csrf_token": token_in(client, path)}).status_code == 303
    assert client.get_cookie("sid", domain=host) is None
    thief = visitor(host)
    thief.set_cookie("sid", token, domain=host)
    assert thief.get(path).status_code == 302


EVIL = [
    "//evil.test", "///evil.test", "/\\evil.test", "\\\\evil.test", "https:evil.test", "https://evil.test",
    "http:///evil.test", "\thttps://evil.test", "/\t/evil.test", "/%09/evil.test", "/%0d%0aLocation:%20//evil.test",
    "https://a.portal.test.evil.test", "https://a.portal.test@evil.test", "/..//evil.test", "/./..//evil.test",
    "javascript:alert(1)", "data:text/html,x", "/%2f/evil.test", "/%5cevil.test", "%2f%2fevil.test", "/\x00/evil.test",
    "//a.portal.test/", "/\u2028/evil.test", "?x", "", ".", "evil.test",
]  # fmt: skip


@pytest.mark.parametrize("wanted", EVIL)
@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
def test_a19_nobody_is_sent_to_another_site(
    cast: Cast, visitor: Callable[[str], FlaskClient], wanted: str, headers: dict[str, str]
) -> None:
    client = visitor(A_HOST)
    asked = client.get("/sign-in", query_string={"next": wanted})
    assert asked.status_code in ({400} if "\x00" in wanted else {200})
    response = enter(client, cast.alice.email, wanted=wanted, **headers)
    assert response.status_code in ({400} if "\x00" in wanted else {204, 303})
    for name in ("Location", "HX-Redirect", "HX-Location", "HX-Push-Url", "HX-Replace-Url"):
        target = response.headers.get(name, "/")
        assert target == "/" or (
            target.startswith("/") and not re.match(r"/[/\\\s]", target) and "evil" not in target
        ), target


@pytest.mark.parametrize("wanted", ["/status", "/status?page=2", "/services#x", "/account"])
def test_a19_a_path_of_ours_is_remembered(cast: Cast, visitor: Callable[[str], FlaskClient], wanted: str) -> None:
    assert enter(visitor(A_HOST), cast.alice.email, wanted=wanted).location == wanted


def test_a19_being_sent_to_sign_in_remembers_only_paths(
    app: Flask, cast: Cast, visitor: Callable[[str], FlaskClient]
) -> None:
    client = visitor(STAFF_HOST)
    for path in ("/admin/?next=//evil.test", "/admin/?x=https://evil.test"):
        location = client.get(path).location
        assert location is not None
        assert location.startswith("/sign-in?next=%2F") or location.startswith("/sign-in?next=/")


HONOURED_BY_NOBODY = ("X-Remote-User", "X-Forwarded-User", "Remote-User", "X-Forwarded-Email", "X-Auth-Request-User")


@pytest.mark.parametrize("name", HONOURED_BY_NOBODY)
def test_a27_a_header_signs_nobody_in(cast: Cast, visitor: Callable[[str], FlaskClient], name: str) -> None:
    for host, path in ((STAFF_HOST, "/admin/"), (A_HOST, "/")):
        client = visitor(host)
        assert client.get(path, headers={name: cast.root.email}).status_code == 302
        assert client.get(path, environ_overrides={"REMOTE_USER": cast.root.email}).status_code == 302


def test_t16_a_session_answers_only_where_it_was_opened(
    cast: Cast, sign_in: SignIn, visitor: Callable[[str], FlaskClient]
) -> None:
    domains.admit(cast.a, cast.domain_b, is_home=False, by=SYSTEM, now=NOW)
    db.session.commit()
    token = sid_of(sign_in(cast.alice), A_HOST)
    for host, path in ((B_HOST, "/"), (STAFF_HOST, "/admin/")):
        other = visitor(host)
        other.set_cookie("sid", token, domain=host)
        assert other.get(path).status_code == 302
        assert other.get(path, headers={"HX-Request": "true"}).status_code == 401
    staff = visitor(A_HOST)
    staff.set_cookie("sid", sid_of(sign_in(cast.root), STAFF_HOST), domain=A_HOST)
    assert staff.get("/").status_code == 302
    assert staff.get("/admin/").status_code == 404


def test_t16_staff_do_not_sign_in_on_a_portal_nor_customers_on_the_staff_host(
    cast: Cast, visitor: Callable[[str], FlaskClient]
) -> None:
    assert enter(visitor(A_HOST), cast.root.email).status_code == 422
    assert enter(visitor(STAFF_HOST), cast.alice.email).status_code == 422
    assert enter(visitor(B_HOST), cast.alice.email).status_code == 422


def test_t22_a_deactivated_person_is_out_on_the_next_request(
    cast: Cast, sign_in: SignIn, visitor: Callable[[str], FlaskClient]
) -> None:
    for person, host, path in ((cast.alice, A_HOST, "/"), (cast.ada, STAFF_HOST, "/admin/")):
        client = sign_in(person)
        assert client.get(path).status_code == 200
        person.deactivated_at = NOW
        db.session.commit()
        assert client.get(path).status_code == 302
        assert client.get(path, headers={"HX-Request": "true"}).status_code == 401
        assert enter(visitor(host), person.email).status_code == 422


def _end_membership(cast: Cast) -> None:
    db.session.execute(delete(Membership).where(Membership.person_id == cast.alice.id))


def _archive_company(cast: Cast) -> None:
    db.session.execute(update(Company).where(Company.id == cast.a.id).values(archived_at=NOW))


def _end_admission(cast: Cast) -> None:
    db.session.execute(delete(Admission).where(Admission.company_id == cast.a.id))


@pytest.mark.parametrize("change", [_end_membership, _archive_company, _end_admission])
def test_t23_who_no_longer_belongs_is_out_on_the_next_request(
    cast: Cast, sign_in: SignIn, visitor: Callable[[str], FlaskClient], change: Callable[[Cast], None]
) -> None:
    client = sign_in(cast.alice)
    assert client.get("/").status_code == 200
    change(cast)
    db.session.commit()
    assert client.get("/").status_code == 302
    assert client.get("/sign-in").status_code == 200, "sent to sign in, and there back again, for ever"
    assert enter(visitor(A_HOST), cast.alice.email).status_code == 422


def test_t23_a_role_taken_away_counts_at_once(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.ada)
    assert client.get("/admin/").status_code == 200
    cast.ada.role = None
    db.session.commit()
    assert client.get("/admin/").status_code in {302, 404}


def test_choosing_a_company_needs_a_membership(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.alice)
    token = token_in(client, "/")
    for company in (str(cast.b.id), "0", "-1", "x", str(2**70), "", f"{cast.a.id}; DROP TABLE person"):
        refused = client.post("/company", data={"csrf_token": token, "company": company})
        assert refused.status_code == 404
    assert db.session.scalars(select(Session.company_id)).one() == cast.a.id
