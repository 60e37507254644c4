"""A31: the code beside the password: each for once, a step early or late at most, and no way around it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pyotp
import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from portal import clock
from portal.accounts import actions as accounts
from portal.accounts.actions import throttles
from portal.accounts.models import Person, RecoveryCode, SecondFactor, Session
from portal.accounts.rules.throttles import LIMITS, Throttle
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM, Actor
from portal.domains import actions as domains
from portal.extensions import db
from tests.conftest import NOW, PASSWORD, STAFF_HOST, Cast, SignIn, token_in
from tests.security.mailbox import mails, one_mail
from tests.security.test_resets import NEW, ask, choose
from tests.security.test_sessions import enter

PAGE = "/admin/account/second-factor"
Visitor = Callable[[str], FlaskClient]


def set_up(person: Person) -> tuple[str, list[str]]:
    """Give somebody a second factor whose last code is hours old; returns the secret and the recovery codes."""
    long_ago = clock.utcnow() - timedelta(hours=3)
    by = Actor(person.email, person.id)
    secret = accounts.begin_second_factor(person, long_ago)
    code = pyotp.TOTP(secret).at(long_ago)
    codes = accounts.confirm_second_factor(person, code, session_id=0, by=by, now=long_ago)
    db.session.commit()
    mails()
    return secret, codes


def code_of(secret: str, steps: int = 0) -> str:
    return pyotp.TOTP(secret).at(clock.utcnow(), counter_offset=steps)


def answer_with(client: FlaskClient, code: str, **options: Any) -> TestResponse:
    form = {"csrf_token": token_in(client, "/reset"), "code": code}
    return client.post("/sign-in/code", data=form, **options)


def half_in(visitor: Visitor, person: Person, host: str = STAFF_HOST, wanted: str = "") -> FlaskClient:
    """A browser in which the password was right."""
    client = visitor(host)
    answer = enter(client, person.email, wanted=wanted)
    assert (answer.status_code, answer.location) == (303, "/sign-in/code")
    return client


def live(person: Person) -> list[Session]:
    found = select(Session).where(Session.person_id == person.id, Session.revoked_at.is_(None))
    return list(db.session.scalars(found))


def test_a31_setting_it_up_on_screen(cast: Cast, sign_in: SignIn, visitor: Visitor) -> None:
    client, elsewhere = sign_in(cast.ada), sign_in(cast.ada)
    token = token_in(client, PAGE)
    assert client.get(f"{PAGE}/code.svg").status_code == 404
    assert client.post(PAGE, data={"csrf_token": token}).status_code == 303
    page = client.get(PAGE)
    assert page.headers["Cache-Control"] == "no-store"
    picture = client.get(f"{PAGE}/code.svg")
    assert (picture.status_code, picture.mimetype) == (200, "image/svg+xml")
    assert picture.headers["Cache-Control"] == "no-store"
    assert "style" not in picture.get_data(as_text=True)
    secret = page.get_data(as_text=True).split('second-factor-secret">')[1].split("<")[0].replace(" ", "")
    stored = db.session.scalars(select(SecondFactor)).one()
    assert secret not in stored.sealed_secret
    wrong = client.post(f"{PAGE}/confirm", data={"csrf_token": token, "code": "000000"})
    assert wrong.status_code == 422
    assert enter(visitor(STAFF_HOST), cast.ada.email).location == "/admin/"
    done = client.post(f"{PAGE}/confirm", data={"csrf_token": token, "code": code_of(secret)})
    assert (done.status_code, done.headers["Cache-Control"]) == (200, "no-store")
    shown = done.get_data(as_text=True).split("<code>")[1:]
    assert len(shown) == 10
    assert not {code.split("<")[0] for code in shown} & set(db.session.scalars(select(RecoveryCode.code_hash)))
    later = client.get(PAGE).get_data(as_text=True)
    assert secret not in later
    assert "10 of 10 left" in later
    assert client.get(f"{PAGE}/code.svg").status_code == 404
    assert client.get("/admin/").status_code == 200
    assert elsewhere.get("/admin/").status_code == 302
    assert one_mail().subject == "Signing in needs a code from now on"
    assert enter(visitor(STAFF_HOST), cast.ada.email).location == "/sign-in/code"


@pytest.mark.parametrize(("steps", "is_taken"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a31_a_code_is_right_for_a_step_either_way(
    cast: Cast, visitor: Visitor, monkeypatch: pytest.MonkeyPatch, steps: int, *, is_taken: bool
) -> None:
    secret, _codes = set_up(cast.ada)
    now = clock.utcnow().replace(second=10)
    monkeypatch.setattr(clock, "utcnow", lambda: now)
    client = half_in(visitor, cast.ada, wanted="/admin/incidents")
    before = len(live(cast.ada))
    assert client.get("/admin/").status_code == 302
    answer = answer_with(client, code_of(secret, steps))
    assert answer.status_code == (303 if is_taken else 422)
    assert len(live(cast.ada)) == before + is_taken
    if is_taken:
        assert answer.location == "/admin/incidents"
        assert live(cast.ada)[-1].second_factor_at == now


def test_a31_no_code_opens_two_doors(cast: Cast, visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    secret, _codes = set_up(cast.ada)
    now = clock.utcnow().replace(second=10)
    monkeypatch.setattr(clock, "utcnow", lambda: now)
    first, second = half_in(visitor, cast.ada), half_in(visitor, cast.ada)
    used, earlier = code_of(secret), code_of(secret, -1)
    assert answer_with(first, used).status_code == 303
    assert answer_with(second, used).status_code == 422
    assert answer_with(second, earlier).status_code == 422
    assert answer_with(second, code_of(secret, 1)).status_code == 303


def test_a31_ninety_six_tries_a_day(cast: Cast, visitor: Visitor) -> None:
    secret, codes = set_up(cast.ada)
    for _ in range(LIMITS[Throttle.SECOND_FACTOR].capacity - 1):
        throttles.take(Throttle.SECOND_FACTOR, f"person:{cast.ada.id}", clock.utcnow())
    db.session.commit()
    assert LIMITS[Throttle.SECOND_FACTOR].capacity == 96
    client = half_in(visitor, cast.ada)
    assert answer_with(client, "000000").status_code == 422
    for code in ("111111", code_of(secret), codes[0]):
        refused = answer_with(client, code)
        assert refused.status_code == 429
        assert 800 < int(refused.headers["Retry-After"]) <= 900
    assert one_mail().subject == "Somebody knows your password"
    assert db.session.scalars(select(AuditEntry).where(AuditEntry.action == "session.throttle")).one()


@pytest.mark.parametrize(
    "typed", ["", " ", "0", "000000", "0" * 41, "abcdef", "٠٠٠٠٠٠", "🐎🐎🐎🐎🐎🐎", "None", "a" * 16]
)
def test_a31_anything_else_is_no_code(cast: Cast, visitor: Visitor, typed: str) -> None:
    set_up(cast.ada)
    client = half_in(visitor, cast.ada)
    assert answer_with(client, typed).status_code == 422
    assert live(cast.ada) == []


def test_a31_a_recovery_code_works_once_and_is_counted(cast: Cast, visitor: Visitor) -> None:
    _secret, codes = set_up(cast.ada)
    client = half_in(visitor, cast.ada)
    assert answer_with(client, codes[0].upper().replace("-", " ")).status_code == 303
    assert "9 of 10 left" in client.get(PAGE).get_data(as_text=True)
    again = half_in(visitor, cast.ada)
    assert answer_with(again, codes[0]).status_code == 422
    assert answer_with(again, codes[1][:-1]).status_code == 422
    token = token_in(client, PAGE)
    fresh = client.post(f"{PAGE}/codes", data={"csrf_token": token}).get_data(as_text=True)
    assert answer_with(again, codes[1]).status_code == 422
    assert answer_with(again, fresh.split("<code>")[1].split("<")[0]).status_code == 303


def test_a31_codes_are_each_persons_own(cast: Cast, visitor: Visitor) -> None:
    secret, codes = set_up(cast.root)
    set_up(cast.ada)
    client = half_in(visitor, cast.ada)
    for theirs in (code_of(secret), codes[0]):
        assert answer_with(client, theirs).status_code == 422


def test_a31_a_reset_by_mail_does_not_go_around_it(cast: Cast, visitor: Visitor) -> None:
    secret, _codes = set_up(cast.root)
    client = visitor(STAFF_HOST)
    ask(client, cast.root.email)
    done = choose(client, one_mail().path)
    assert (done.status_code, done.location) == (303, "/sign-in/code")
    assert client.get("/admin/").status_code == 302
    assert live(cast.root) == []
    assert answer_with(client, code_of(secret)).status_code == 303
    assert client.get("/admin/").status_code == 200


def test_a31_it_is_asked_for_on_a_portal_too(cast: Cast, visitor: Visitor) -> None:
    accounts.add_membership(cast.ada, cast.a, by=SYSTEM, now=NOW)
    domains.admit(cast.a, cast.domain_b, is_home=False, by=SYSTEM, now=NOW)
    secret, _codes = set_up(cast.ada)
    client = half_in(visitor, cast.ada, host="a.portal.test")
    assert client.get("/").status_code == 302
    assert answer_with(client, code_of(secret)).location == "/"
    assert client.get("/").status_code == 200


def test_a31_the_first_step_waits_ten_minutes_in_its_own_browser_on_its_own_host(
    cast: Cast, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, _codes = set_up(cast.ada)
    stranger = visitor(STAFF_HOST)
    assert stranger.get("/sign-in/code").location == "/sign-in"
    assert answer_with(stranger, code_of(secret)).location == "/sign-in"
    client = half_in(visitor, cast.ada)
    cookie = client.get_cookie("form", domain=STAFF_HOST)
    assert cookie is not None
    elsewhere = visitor("a.portal.test")
    elsewhere.set_cookie("form", cookie.value, domain="a.portal.test")
    assert elsewhere.get("/sign-in/code").location == "/sign-in"
    now = clock.utcnow()
    monkeypatch.setattr(clock, "utcnow", lambda: now + timedelta(minutes=11))
    assert client.get("/sign-in/code").location == "/sign-in"
    assert answer_with(client, code_of(secret)).location == "/sign-in"
    assert live(cast.ada) == []


@pytest.mark.parametrize("event", ["password", "deactivated"])
def test_a31_the_first_step_dies_with_what_it_proved(cast: Cast, visitor: Visitor, event: str) -> None:
    secret, _codes = set_up(cast.ada)
    client = half_in(visitor, cast.ada)
    ada = db.session.get(Person, cast.ada.id)
    assert ada is not None
    if event == "password":
        accounts.set_password(ada, accounts.hash_password(NEW), by=SYSTEM, now=clock.utcnow())
    else:
        accounts.deactivate_person(ada, version=ada.version, by=SYSTEM, now=clock.utcnow())
    db.session.commit()
    assert answer_with(client, code_of(secret)).location == "/sign-in"
    assert live(cast.ada) == []


def test_a31_removing_it_needs_the_password_and_is_told(
    cast: Cast, sign_in: SignIn, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(cast.ada)
    client = sign_in(cast.ada)
    token = token_in(client, PAGE)
    now = clock.utcnow()
    monkeypatch.setattr(clock, "utcnow", lambda: now + timedelta(minutes=16))
    for path in (f"{PAGE}/remove", f"{PAGE}/codes"):
        assert client.post(path, data={"csrf_token": token}).location.startswith("/confirm?")
    assert db.session.get(SecondFactor, cast.ada.id)
    assert client.post("/confirm", data={"csrf_token": token, "password": PASSWORD}).status_code == 303
    assert client.post(f"{PAGE}/remove", data={"csrf_token": token}).status_code == 303
    db.session.expire_all()
    assert db.session.get(SecondFactor, cast.ada.id) is None
    assert db.session.scalars(select(RecoveryCode)).all() == []
    assert one_mail().subject == "Signing in needs no code any more"
    assert enter(visitor(STAFF_HOST), cast.ada.email).location == "/admin/"


def test_an_administrator_removes_anothers_and_it_is_audited(cast: Cast, sign_in: SignIn) -> None:
    set_up(cast.ada)
    theirs = sign_in(cast.ada)
    by = Actor(cast.root.email, cast.root.id)
    accounts.remove_second_factor(cast.ada, by=by, now=clock.utcnow())
    db.session.commit()
    assert theirs.get("/admin/").status_code == 302
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "second-factor.remove")).one()
    assert (entry.actor_id, entry.object_id) == (cast.root.id, cast.ada.id)
    assert one_mail().to == cast.ada.email


def test_where_it_is_required_nobody_of_staff_does_anything_before(
    cast: Cast, sign_in: SignIn, visitor: Visitor
) -> None:
    root, ada = sign_in(cast.root), sign_in(cast.ada)
    page = "/admin/settings/sign-in"
    assert "4 people have none" not in root.get(page).get_data(as_text=True)
    assert "3 people have none yet" in root.get(page).get_data(as_text=True)
    form = {"csrf_token": token_in(root, page), "version": "0", "required": "y"}
    assert root.post(page, data=form).status_code == 303
    assert ada.post(page, data={"csrf_token": token_in(ada, "/nothing"), "version": "1"}).status_code in {302, 403}
    for client in (root, ada):
        for path in ("/admin/", "/admin/incidents", "/admin/companies"):
            assert client.get(path).location == PAGE
        fragment = client.get("/admin/", headers={"HX-Request": "true"})
        assert (fragment.status_code, fragment.headers["HX-Redirect"]) == (401, PAGE)
        assert client.get(PAGE).status_code == 200
    assert sign_in(cast.alice).get("/").status_code == 200
    token = token_in(ada, PAGE)
    ada.post(PAGE, data={"csrf_token": token})
    secret = ada.get(PAGE).get_data(as_text=True).split('second-factor-secret">')[1].split("<")[0].replace(" ", "")
    assert ada.post(f"{PAGE}/confirm", data={"csrf_token": token, "code": code_of(secret)}).status_code == 200
    assert ada.get("/admin/").status_code == 200
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "sign-in-policy.change")).one()
    assert entry.after == {"second_factor_required": True}


def test_the_rule_for_all_staff_is_changed_by_one_at_a_time(cast: Cast, sign_in: SignIn) -> None:
    accounts.require_second_factor(True, version=0, by=SYSTEM, now=NOW)
    accounts.require_second_factor(False, version=2, by=SYSTEM, now=NOW)
    db.session.commit()
    root = sign_in(cast.root)
    form = {"csrf_token": token_in(root, "/admin/settings/sign-in"), "version": "1", "required": "y"}
    assert root.post("/admin/settings/sign-in", data=form).status_code == 409


def test_customers_have_none(cast: Cast, sign_in: SignIn) -> None:
    assert sign_in(cast.alice).get(PAGE).status_code == 404
