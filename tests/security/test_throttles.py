"""A03, A04, A06: guessing is slow, for as long as the figures say, and shuts out nobody else and nobody for good."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from portal import clock
from portal.accounts import actions as accounts
from portal.accounts.actions import throttles
from portal.accounts.models import ThrottleBucket
from portal.accounts.rules.throttles import LIMITS, Limit, Throttle
from portal.audit.models import AuditEntry
from portal.extensions import db
from tests.conftest import PASSWORD, STAFF_HOST, Cast, SignIn, token_in
from tests.security.mailbox import mails
from tests.security.test_resets import ask

A_HOST = "a.portal.test"
Visitor = Callable[[str], FlaskClient]
WRONG = "a wrong password 12"


def attempt(
    client: FlaskClient, email: str, password: str = WRONG, ip: str = "203.0.113.9", **more: str
) -> TestResponse:
    form = {"csrf_token": token_in(client, "/reset"), "email": email, "password": password}
    return client.post("/sign-in", data=form, headers=more, environ_overrides={"REMOTE_ADDR": ip})


def spend(kind: str, subject: str, left: float = 0) -> None:
    """Use up somebody's tries without spending the time that wrong passwords take."""
    for _ in range(int(LIMITS[kind].capacity - left)):
        assert throttles.take(kind, subject, clock.utcnow()) == 0
    db.session.commit()


def test_a03_the_twenty_first_wrong_sign_in_of_an_hour_from_one_address_waits(cast: Cast, visitor: Visitor) -> None:
    client = visitor(A_HOST)
    for index in range(20):
        assert attempt(client, f"nobody{index}@people.test").status_code == 422
    refused = attempt(client, "nobody20@people.test")
    assert refused.status_code == 429
    assert 100 < int(refused.headers["Retry-After"]) <= 180
    page = refused.get_data(as_text=True)
    assert "You can try again in 3 minutes." in page
    assert 'value="nobody20@people.test"' in page
    assert attempt(client, cast.alice.email, PASSWORD).status_code == 429
    assert attempt(client, cast.alice.email, PASSWORD, ip="203.0.113.10").status_code == 303


@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2:ffff::1", True),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:3:3:4:5:6", False),
        ("::ffff:203.0.113.9", "203.0.113.9", True),
        ("203.0.113.9", "203.0.113.8", False),
    ],
)
def test_a03_whoever_has_a_network_of_version_six_is_one(
    cast: Cast, visitor: Visitor, monkeypatch: pytest.MonkeyPatch, first: str, second: str, *, is_same: bool
) -> None:
    client = visitor(A_HOST)
    monkeypatch.setitem(LIMITS, Throttle.SIGN_IN_BY_ADDRESS, Limit(1, timedelta(hours=1)))
    attempt(client, "nobody@people.test", ip=first)
    assert attempt(client, "somebody@people.test", ip=second).status_code == (429 if is_same else 422)


def test_a03_an_account_is_guessed_at_ten_times_an_hour_from_wherever(cast: Cast, visitor: Visitor) -> None:
    spellings = [cast.alice.email, cast.alice.email.upper(), f" {cast.alice.email} ", "Ａlice@people.test"]
    client = visitor(A_HOST)
    for index in range(10):
        assert attempt(client, spellings[index % 4], ip=f"203.0.113.{index}").status_code == 422
    for index, spelling in enumerate(spellings):
        refused = attempt(client, spelling, PASSWORD, ip=f"203.0.113.{100 + index}")
        assert refused.status_code == 429
        assert 300 < int(refused.headers["Retry-After"]) <= 360
    assert attempt(client, cast.bob.email, PASSWORD, ip="203.0.113.200").status_code == 303


def test_a03_and_twenty_times_a_day(cast: Cast, visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    spend(Throttle.SIGN_IN_BY_ACCOUNT_DAILY, cast.alice.email, left=1)
    client = visitor(A_HOST)
    assert attempt(client, cast.alice.email).status_code == 422
    refused = attempt(client, cast.alice.email, PASSWORD)
    assert refused.status_code == 429
    assert 4000 < int(refused.headers["Retry-After"]) <= 4320
    assert "You can try again in 72 minutes." in refused.get_data(as_text=True)
    later = clock.utcnow() + timedelta(minutes=73)
    monkeypatch.setattr(clock, "utcnow", lambda: later)
    assert attempt(client, cast.alice.email, PASSWORD).status_code == 303


def test_a03_nobody_known_is_throttled_alike(cast: Cast, visitor: Visitor) -> None:
    spend(Throttle.SIGN_IN_BY_ACCOUNT, "nobody@people.test")
    assert attempt(visitor(A_HOST), "nobody@people.test").status_code == 429
    assert mails() == []


def test_a03_who_is_right_uses_up_nothing(cast: Cast, visitor: Visitor) -> None:
    for _ in range(3):
        assert attempt(visitor(A_HOST), cast.alice.email, PASSWORD).status_code == 303
    assert db.session.scalars(select(ThrottleBucket)).all() == []


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Client-IP", "True-Client-IP"])
def test_a04_nobody_chooses_the_address_they_come_from(cast: Cast, visitor: Visitor, header: str) -> None:
    spend(Throttle.SIGN_IN_BY_ADDRESS, "203.0.113.9")
    client = visitor(A_HOST)
    for address in ("198.51.100.1", "for=198.51.100.2", "127.0.0.1, 198.51.100.3"):
        assert attempt(client, cast.alice.email, PASSWORD, **{header: address}).status_code == 429


def test_a06_the_owner_and_the_trail_are_told_once_and_nobody_is_shut_out_for_good(
    cast: Cast, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = visitor(STAFF_HOST)
    spend(Throttle.SIGN_IN_BY_ACCOUNT, cast.root.email, left=1)
    assert attempt(client, cast.root.email).status_code == 422
    assert attempt(client, cast.root.email).status_code == 429
    (told,) = mails()
    assert (told.to, "203.0.113.9" in told.text, PASSWORD in told.text) == (cast.root.email, True, False)
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "session.throttle")).one()
    assert (entry.actor, entry.ip, entry.object_id) == ("anonymous", "203.0.113.9", cast.root.id)
    later = clock.utcnow() + timedelta(minutes=7)
    monkeypatch.setattr(clock, "utcnow", lambda: later)
    assert attempt(client, cast.root.email).status_code == 422
    assert attempt(client, cast.root.email).status_code == 429
    assert mails() == []
    after = later + timedelta(hours=1)
    monkeypatch.setattr(clock, "utcnow", lambda: after)
    assert attempt(client, cast.root.email, PASSWORD).status_code == 303


def test_ways_back_are_asked_for_three_times_an_hour_and_mailbox(cast: Cast, visitor: Visitor) -> None:
    client = visitor(A_HOST)
    folded = ["alice@people.test", "a.lice@people.test", "Alice+spam@people.test"]
    for index, address in enumerate(folded):
        sent = ask(client, address, environ_overrides={"REMOTE_ADDR": f"203.0.113.{index}"})
        assert sent.status_code == 303
    refused = ask(client, cast.alice.email, environ_overrides={"REMOTE_ADDR": "203.0.113.77"})
    assert refused.status_code == 429
    assert 1100 < int(refused.headers["Retry-After"]) <= 1200
    assert ask(client, cast.bob.email).status_code == 303


def test_ways_back_are_asked_for_twenty_times_an_hour_from_one_address(cast: Cast, visitor: Visitor) -> None:
    spend(Throttle.RESET_BY_ADDRESS, "127.0.0.1")
    client = visitor(A_HOST)
    assert ask(client, cast.alice.email).status_code == 429
    assert ask(client, cast.alice.email, environ_overrides={"REMOTE_ADDR": "203.0.113.5"}).status_code == 303


def test_the_password_is_not_guessed_at_from_within_either(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.alice)
    spend(Throttle.SIGN_IN_BY_ACCOUNT, cast.alice.email, left=1)
    token = token_in(client, "/account/password")
    form = {"csrf_token": token, "current": WRONG, "password": "a quiet blue bicycle"}
    assert client.post("/account/password", data=form).status_code == 422
    refused = client.post("/account/password", data={**form, "current": PASSWORD})
    assert refused.status_code == 429
    assert refused.headers["Retry-After"]
    assert client.post("/confirm", data={"csrf_token": token, "password": PASSWORD}).status_code == 429
    assert client.get("/").status_code == 200


def test_throttles_stand_in_the_database_and_name_nobody(app: Flask, cast: Cast, visitor: Visitor) -> None:
    """Redis is not running in these tests at all; what holds is what is stored, and it is hashed."""
    attempt(visitor(A_HOST), cast.alice.email)
    rows = db.session.scalars(select(ThrottleBucket)).all()
    assert {row.kind for row in rows} == {
        Throttle.SIGN_IN_BY_ADDRESS,
        Throttle.SIGN_IN_BY_ACCOUNT,
        Throttle.SIGN_IN_BY_ACCOUNT_DAILY,
    }
    assert all(re.fullmatch(r"[0-9a-f]{64}", row.subject) for row in rows)


def test_what_has_filled_again_is_forgotten(cast: Cast) -> None:
    now = clock.utcnow()
    throttles.take(Throttle.RESET_BY_ACCOUNT, "x", now)
    accounts.prune_throttles(now + timedelta(minutes=19))
    assert db.session.scalars(select(ThrottleBucket)).all()
    accounts.prune_throttles(now + timedelta(minutes=21))
    assert db.session.scalars(select(ThrottleBucket)).all() == []
