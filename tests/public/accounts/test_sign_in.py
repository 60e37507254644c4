"""Signing in: who gets in where, and what nobody learns by trying (A01, A07, A11, A19, A20, A22)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import argon2
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from portal import events
from portal.accounts import actions as accounts
from portal.accounts.models import Session
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.config import Settings
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.events import session_topic, versions_of
from portal.extensions import db
from tests.conftest import NOW, PASSWORD, STAFF_HOST, Cast, SignIn, client_on, token_in
from tests.customer.outages import Outage
from tests.incidents.conftest import World

Visitor = Callable[[str], FlaskClient]

A, B = "a.portal.test", "b.portal.test"


def attempt(client: FlaskClient, email: str, password: str = PASSWORD, **more: str) -> TestResponse:
    token = token_in(client, "/sign-in")
    return client.post("/sign-in", data={"csrf_token": token, "email": email, "password": password, **more})


def sessions_of(person_id: int) -> list[Session]:
    db.session.expire_all()
    found = db.session.scalars(select(Session).where(Session.person_id == person_id).order_by(Session.id))
    return list(found)


def test_a_customer_signs_in_on_the_portal_of_the_company(cast: Cast, visitor: Visitor) -> None:
    client = visitor(A)
    answer = attempt(client, " Alice@People.TEST ")
    assert (answer.status_code, answer.location) == (303, "/")
    assert "Alder Dental" in client.get("/").text
    (session,) = sessions_of(cast.alice.id)
    assert (session.company_id, session.host) == (cast.a.id, A)


def test_staff_sign_in_on_the_staff_host_and_land_on_their_screens(cast: Cast, visitor: Visitor) -> None:
    answer = attempt(visitor(STAFF_HOST), "ada@people.test")
    assert (answer.status_code, answer.location) == (303, "/admin/")
    (session,) = sessions_of(cast.ada.id)
    assert (session.company_id, session.host) == (None, STAFF_HOST)


def test_the_bare_address_of_the_staff_host_leads_to_the_staff_screens(cast: Cast, visitor: Visitor) -> None:
    answer = visitor(STAFF_HOST).get("/")
    assert (answer.status_code, answer.location) == (302, "/admin/")


@pytest.mark.parametrize(
    ("host", "email"),
    [(STAFF_HOST, "alice@people.test"), (A, "ada@people.test"), (A, "charlie@people.test"), (B, "alice@people.test")],
)
def test_the_right_password_opens_nothing_on_somebody_elses_host(
    cast: Cast, visitor: Visitor, host: str, email: str
) -> None:
    answer = attempt(visitor(host), email)
    assert answer.status_code == 422
    assert "sid" not in "".join(answer.headers.getlist("Set-Cookie"))


def test_somebody_deactivated_or_without_a_password_does_not_get_in(cast: Cast, visitor: Visitor) -> None:
    cast.alice.deactivated_at = NOW
    cast.bob.password_hash = None
    events.commit()
    assert attempt(visitor(A), "alice@people.test").status_code == 422
    assert attempt(visitor(A), "bob@people.test").status_code == 422


def test_an_archived_company_lets_nobody_in(cast: Cast, visitor: Visitor) -> None:
    cast.a.archived_at = NOW
    events.commit()
    assert attempt(visitor(A), "alice@people.test").status_code == 422


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For every hash that is checked: whether a transaction was open meanwhile."""
    checked: list[bool] = []
    verify = argon2.PasswordHasher.verify

    def noted(*arguments: Any) -> Any:
        checked.append(db.session.registry().in_transaction())
        return verify(*arguments)

    monkeypatch.setattr(argon2.PasswordHasher, "verify", noted)
    return checked


class TestA01NothingTellsKnownFromUnknown:
    ADDRESSES = ("alice@people.test", "nobody@people.test", "ada@people.test", "charlie@people.test", "x@@", "o'hara")

    def test_answers_are_the_same_to_the_letter(self, cast: Cast, visitor: Visitor) -> None:
        seen = set()
        for email in self.ADDRESSES:
            answer = attempt(visitor(A), email, "wrong horse battery")
            body = answer.text.replace(email.replace("'", "&#39;"), "…")
            token = body.split('name="csrf-token" content="', 1)[1].split('"', 1)[0]
            headers = {name for name, _value in answer.headers}
            seen.add((answer.status_code, body.replace(token, ""), frozenset(headers)))
        assert len(seen) == 1

    def test_everybody_costs_exactly_one_hash(self, cast: Cast, visitor: Visitor, hashes: list[bool]) -> None:
        for email in self.ADDRESSES:
            before = len(hashes)
            attempt(visitor(A), email, "wrong horse battery")
            assert len(hashes) == before + 1, email

    def test_no_transaction_is_open_while_a_password_is_checked(
        self, cast: Cast, visitor: Visitor, hashes: list[bool]
    ) -> None:
        attempt(visitor(A), "alice@people.test")
        attempt(visitor(A), "alice@people.test", "wrong")
        attempt(visitor(A), "nobody@people.test")
        assert hashes == [False, False, False]


class TestA07SessionFixation:
    def test_signing_in_makes_a_new_session_and_ends_the_old_one(self, cast: Cast, sign_in: SignIn) -> None:
        client = sign_in(cast.bob)
        planted = client.get_cookie("sid", domain=A)
        assert planted is not None
        token = token_in(client, "/account")
        answer = client.post("/sign-in", data={"csrf_token": token, "email": "alice@people.test", "password": PASSWORD})
        assert answer.status_code == 303
        fresh = client.get_cookie("sid", domain=A)
        assert fresh is not None
        assert fresh.value != planted.value
        (old,) = sessions_of(cast.bob.id)
        assert old.revoked_at is not None
        client.set_cookie("sid", planted.value, domain=A)
        assert client.get("/").status_code == 302

    def test_a_token_of_ones_own_choosing_is_never_adopted(self, cast: Cast, visitor: Visitor) -> None:
        client = visitor(A)
        client.set_cookie("sid", "chosen-by-an-attacker", domain=A)
        attempt(client, "alice@people.test")
        cookie = client.get_cookie("sid", domain=A)
        assert cookie is not None
        assert cookie.value != "chosen-by-an-attacker"
        (session,) = sessions_of(cast.alice.id)
        assert session.token_hash == accounts.token_hash(cookie.value)

    def test_form_tokens_from_before_are_no_good_afterwards(self, cast: Cast, visitor: Visitor) -> None:
        client = visitor(A)
        before = token_in(client, "/sign-in")
        attempt(client, "alice@people.test")
        assert client.post("/sign-out", data={"csrf_token": before}).status_code == 400
        assert client.get("/").status_code == 200


def test_a11_the_cookie_is_locked_down(cast: Cast, visitor: Visitor) -> None:
    answer = attempt(visitor(A), "alice@people.test")
    (cookie,) = [value for value in answer.headers.getlist("Set-Cookie") if value.startswith("sid=")]
    flags = {flag.strip().partition("=")[0].lower() for flag in cookie.split(";")[1:]}
    assert {"httponly", "path", "samesite", "max-age"} <= flags
    assert "domain" not in flags
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie
    assert len(cookie) < 4096


def test_a11_on_https_the_cookie_is_bound_to_the_host(cast: Cast, app: Flask, settings: Settings) -> None:
    before = app.config["SETTINGS"]
    app.config["SETTINGS"] = replace(settings, base_url=f"https://{STAFF_HOST}")
    try:
        answer = attempt(client_on(app, A), "alice@people.test")
    finally:
        app.config["SETTINGS"] = before
    (cookie,) = [value for value in answer.headers.getlist("Set-Cookie") if "sid=" in value]
    assert cookie.startswith("__Host-sid=")
    assert "; Secure" in cookie


class TestA19WhereSigningInLeads:
    @pytest.mark.parametrize(
        "wanted", ["//evil.test", "/\\evil.test", "https:evil.test", "/%09/evil", "/..//evil.test"]
    )
    def test_never_to_another_host(self, cast: Cast, visitor: Visitor, wanted: str) -> None:
        assert attempt(visitor(A), "alice@people.test", next=wanted).location == "/"

    def test_back_to_the_page_that_was_wanted(self, cast: Cast, visitor: Visitor) -> None:
        client = visitor(A)
        sent = client.get("/services?q=fibre")
        assert sent.status_code == 302
        page = client.get(sent.location).text
        assert 'value="/services?q=fibre"' in page
        answer = attempt(client, "alice@people.test", next="/services?q=fibre")
        assert answer.location == "/services?q=fibre"

    def test_the_page_itself_carries_no_foreign_address(self, cast: Cast, visitor: Visitor) -> None:
        assert "evil.test" not in visitor(A).get("/sign-in?next=//evil.test").text


class TestA20FormTokens:
    def test_without_one_nothing_happens(self, cast: Cast, visitor: Visitor) -> None:
        answer = visitor(A).post("/sign-in", data={"email": "alice@people.test", "password": PASSWORD})
        assert answer.status_code == 400
        assert sessions_of(cast.alice.id) == []

    def test_another_browsers_is_no_good(self, cast: Cast, visitor: Visitor) -> None:
        stolen = token_in(visitor(A), "/sign-in")
        client = visitor(A)
        client.get("/sign-in")
        data = {"csrf_token": stolen, "email": "alice@people.test", "password": PASSWORD}
        assert client.post("/sign-in", data=data).status_code == 400

    def test_one_in_the_address_is_no_good(self, cast: Cast, visitor: Visitor) -> None:
        client = visitor(A)
        token = token_in(client, "/sign-in")
        data = {"email": "alice@people.test", "password": PASSWORD}
        assert client.post(f"/sign-in?csrf_token={token}", data=data).status_code == 400


class TestA22Methods:
    def test_nobody_is_signed_out_by_following_a_link(self, cast: Cast, sign_in: SignIn) -> None:
        client = sign_in(cast.alice)
        assert client.get("/sign-out").status_code == 405
        assert client.head("/sign-out").status_code == 405
        assert client.get("/sign-out?_method=POST", headers={"X-HTTP-Method-Override": "POST"}).status_code == 405
        assert client.get("/").status_code == 200

    def test_a_company_is_not_chosen_by_following_a_link(self, cast: Cast, sign_in: SignIn) -> None:
        assert sign_in(cast.alice).get(f"/company?company={cast.a.id}").status_code == 405


class TestSigningOut:
    def test_ends_the_session_and_tells_its_open_pages(self, cast: Cast, sign_in: SignIn) -> None:
        client = sign_in(cast.alice)
        cookie = client.get_cookie("sid", domain=A)
        assert cookie is not None
        answer = client.post("/sign-out", data={"csrf_token": token_in(client, "/account")})
        assert (answer.status_code, answer.location) == (303, "/sign-in")
        assert client.get_cookie("sid", domain=A) is None
        (session,) = sessions_of(cast.alice.id)
        assert session.revoked_at is not None
        topic = session_topic(accounts.token_hash(cookie.value))
        assert versions_of([topic]) == {topic: 1}
        client.set_cookie("sid", cookie.value, domain=A)
        assert client.get("/").status_code == 302

    def test_twice_is_harmless(self, cast: Cast, visitor: Visitor) -> None:
        client = visitor(A)
        answer = client.post("/sign-out", data={"csrf_token": token_in(client, "/sign-in")})
        assert answer.status_code == 303


class TestThePage:
    def test_shows_the_brand_and_asks_for_two_things(self, cast: Cast, visitor: Visitor) -> None:
        page = visitor(A).get("/sign-in").text
        assert "Northline" in page
        assert page.count("<input") == 4  # the form token, the way on, address, password

    def test_somebody_signed_in_is_led_home(self, cast: Cast, sign_in: SignIn) -> None:
        assert sign_in(cast.alice).get("/sign-in").location == "/"
        assert sign_in(cast.ada).get("/sign-in").location == "/admin/"

    def test_somebody_the_domain_no_longer_admits_is_not_sent_in_circles(self, cast: Cast, sign_in: SignIn) -> None:
        client = sign_in(cast.alice)
        domains.admit(cast.a, cast.domain_b, is_home=True, by=SYSTEM, now=NOW)
        domains.dismiss(cast.a, cast.domain_a, by=SYSTEM, now=NOW)
        events.commit()
        assert client.get("/").status_code == 302
        assert client.get("/sign-in").status_code == 200

    def test_empty_fields_are_named_and_the_address_is_kept(self, cast: Cast, visitor: Visitor) -> None:
        answer = attempt(visitor(A), "alice@people.test", "")
        assert answer.status_code == 422
        assert "Type your password." in answer.text
        assert 'value="alice@people.test"' in answer.text

    def test_says_when_something_is_down_and_the_public_page_is_on(
        self, cast: Cast, world: World, visitor: Visitor, outage_of: Outage
    ) -> None:
        outage_of(world.trunk, title="Calls to Leeds fail")
        assert "Calls to Leeds fail" in visitor(A).get("/sign-in").text
        domains.set_areas(cast.domain_a, [Area.STATUS], version=cast.domain_a.version, by=SYSTEM, now=NOW)
        events.commit()
        assert "Calls to Leeds fail" not in visitor(A).get("/sign-in").text

    def test_staff_are_shown_no_portals_news(
        self, cast: Cast, world: World, visitor: Visitor, outage_of: Outage
    ) -> None:
        outage_of(world.trunk, title="Calls to Leeds fail")
        assert "Calls to Leeds fail" not in visitor(STAFF_HOST).get("/sign-in").text


class TestSeveralCompanies:
    @pytest.fixture
    def other(self, cast: Cast) -> int:
        """A second company of Alice's on the same portal; first by name is still Alder Dental."""
        company = accounts.add_company("Zephyr Books", by=SYSTEM, now=NOW)
        accounts.add_membership(cast.alice, company, by=SYSTEM, now=NOW)
        domains.admit(company, cast.domain_a, is_home=True, by=SYSTEM, now=NOW)
        events.commit()
        return company.id

    def test_the_first_by_name_is_chosen_and_the_others_are_a_click_away(
        self, cast: Cast, other: int, visitor: Visitor
    ) -> None:
        client = visitor(A)
        attempt(client, "alice@people.test")
        page = client.get("/account").text
        assert "Alder Dental" in page
        answer = client.post("/company", data={"csrf_token": token_in(client, "/account"), "company": other})
        assert (answer.status_code, answer.location) == (303, "/")
        assert "<h1>Zephyr Books</h1>" in client.get("/").text
        assert db.session.scalar(select(AuditEntry.id).where(AuditEntry.action == "session.company"))

    def test_a_company_of_others_cannot_be_chosen(self, cast: Cast, other: int, sign_in: SignIn) -> None:
        client = sign_in(cast.alice)
        token = token_in(client, "/account")
        for company in (cast.b.id, 999_999_999, "x", ""):
            assert client.post("/company", data={"csrf_token": token, "company": company}).status_code == 404
        assert "<h1>Alder Dental</h1>" in client.get("/").text

    def test_a_company_this_domain_does_not_admit_cannot_be_chosen(self, cast: Cast, sign_in: SignIn) -> None:
        accounts.add_membership(cast.alice, cast.b, by=SYSTEM, now=NOW)
        events.commit()
        client = sign_in(cast.alice)
        data = {"csrf_token": token_in(client, "/account"), "company": cast.b.id}
        assert client.post("/company", data=data).status_code == 404

    def test_somebody_signed_out_is_asked_to_sign_in(self, cast: Cast, visitor: Visitor) -> None:
        client = visitor(A)
        data = {"csrf_token": token_in(client, "/sign-in"), "company": cast.a.id}
        assert client.post("/company", data=data).status_code == 302


def test_t16_a_session_is_good_on_its_own_host_only(cast: Cast, sign_in: SignIn, app: Flask) -> None:
    cookie = sign_in(cast.alice).get_cookie("sid", domain=A)
    assert cookie is not None
    elsewhere = client_on(app, B)
    elsewhere.set_cookie("sid", cookie.value, domain=B)
    assert elsewhere.get("/").status_code == 302
    assert elsewhere.get("/banner", headers={"HX-Request": "true"}).status_code == 401
