"""The screen of API tokens: made, shown once, revoked; only for admins, and only after their password."""

import re
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from portal import clock
from portal.accounts.actions.tokens import make_token
from portal.accounts.models import ApiToken, Session
from portal.accounts.rules.tokens import Scope
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM, Actor
from portal.extensions import db
from tests.conftest import Cast, SignIn, counted_queries, token_in

LIST = "/admin/settings/tokens"
SECRET = re.compile(r"sbx_[A-Za-z0-9_-]{43}")


@pytest.fixture
def root(cast: Cast, sign_in: SignIn) -> FlaskClient:
    """Root, who has just typed the password."""
    client = sign_in(cast.root)
    for session in db.session.scalars(select(Session).where(Session.person_id == cast.root.id)):
        session.confirmed_at = clock.utcnow()
    db.session.commit()
    return client


def send(client: FlaskClient, path: str, **form: str) -> TestResponse:
    return client.post(path, data={"csrf_token": token_in(client, LIST), **form})


def test_a_token_is_made_and_its_secret_shown_once(root: FlaskClient, cast: Cast) -> None:
    assert "No token yet" in root.get(LIST).get_data(as_text=True)
    form = {"name": "Monitoring", "scope": "incidents", "company": "", "expires_days": "90"}
    answer = send(root, f"{LIST}/new", **form)
    page = answer.get_data(as_text=True)
    (secret,) = set(SECRET.findall(page))
    assert answer.headers["Cache-Control"] == "no-store"
    token = db.session.scalars(select(ApiToken)).one()
    assert (token.scope, token.created_by_id, token.company_id) == (Scope.INCIDENTS, cast.root.id, None)
    assert token.expires_at is not None
    assert round((token.expires_at - clock.utcnow()) / timedelta(days=1)) == 90
    listed = root.get(LIST).get_data(as_text=True)
    assert "Monitoring" in listed
    assert token.hint in listed
    assert secret not in listed
    assert root.get("/api/v1/incidents", headers={"Authorization": f"Bearer {secret}"}).status_code == 200
    db.session.expire_all()
    assert token.last_used_at is not None


def test_a_token_of_a_company_is_found_by_its_name(root: FlaskClient, cast: Cast) -> None:
    form = {"name": "Board", "scope": "read", "expires_days": "0"}
    assert send(root, f"{LIST}/new", company="alder", **form).status_code == 200
    token = db.session.scalars(select(ApiToken)).one()
    assert (token.company_id, token.expires_at) == (cast.a.id, None)
    assert f"as {cast.a.name}" in root.get(LIST).get_data(as_text=True)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"name": ""}, "Give the token a name."),
        ({"name": "x" * 101}, "at most 100 characters"),
        ({"scope": "everything"}, "Not a valid choice"),
        ({"company": "Nobody"}, "There is no company of this name."),
        ({"company": "l"}, "Several companies are called like that"),
        ({"company": "Alder Dental", "scope": "write"}, "can only read"),
        ({"expires_days": "7"}, "Not a valid choice"),
    ],
)
def test_what_cannot_be_made_is_said_and_kept(root: FlaskClient, change: dict[str, str], sentence: str) -> None:
    form = {"name": "Board", "scope": "read", "company": "", "expires_days": "30"} | change
    answer = send(root, f"{LIST}/new", **form)
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert sentence in page
    assert SECRET.search(page) is None
    assert form["name"] in page
    assert db.session.scalar(select(ApiToken.id)) is None


def test_a_token_is_revoked_at_once(root: FlaskClient, cast: Cast) -> None:
    token, secret = make_token("Board", Scope.READ, by=SYSTEM, now=clock.utcnow())
    db.session.commit()
    headers = {"Authorization": f"Bearer {secret}"}
    assert root.get("/api/v1/companies", headers=headers).status_code == 200
    for _ in range(2):
        assert send(root, f"{LIST}/{token.id}/revoke").status_code == 303
    assert root.get("/api/v1/companies", headers=headers).status_code == 401
    assert "Revoked" in root.get(LIST).get_data(as_text=True)
    revoked = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "token.revoke")).all()
    assert [entry.actor_id for entry in revoked] == [cast.root.id]
    assert send(root, f"{LIST}/2147483000/revoke").status_code == 404


def test_making_and_revoking_ask_for_the_password_again(root: FlaskClient, cast: Cast) -> None:
    token, _ = make_token("Board", Scope.READ, by=SYSTEM, now=clock.utcnow())
    for session in db.session.scalars(select(Session)):
        session.confirmed_at = clock.utcnow() - timedelta(hours=1)
    db.session.commit()
    for answer in (root.get(f"{LIST}/new"), send(root, f"{LIST}/new"), send(root, f"{LIST}/{token.id}/revoke")):
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/confirm?next=%2F")
    db.session.refresh(token)
    assert token.revoked_at is None


def test_dead_tokens_say_why(root: FlaskClient, cast: Cast) -> None:
    now = clock.utcnow()
    by_ada = make_token("By Ada", Scope.READ, by=Actor(cast.ada.email, cast.ada.id), now=now)[0]
    expired = make_token("Old", Scope.READ, by=SYSTEM, now=now, expires_at=now + timedelta(days=1))[0]
    expired.expires_at = now - timedelta(days=1)
    db.session.commit()
    page = root.get(LIST).get_data(as_text=True)
    assert by_ada.created_by_id == cast.ada.id
    assert "its maker may no longer make tokens" in page
    assert "Expired" in page


def test_a_page_of_tokens_costs_what_one_costs(root: FlaskClient, cast: Cast) -> None:
    counts = []
    for many in (1, 59):
        for n in range(many):
            make_token(f"Token {n}", Scope.READ, company=cast.a, by=SYSTEM, now=clock.utcnow())
        db.session.commit()
        with counted_queries() as statements:
            assert root.get(LIST).status_code == 200
        counts.append(len(statements))
    assert counts[0] == counts[1]
    assert root.get(f"{LIST}?page=2").status_code == 200
    assert root.get(f"{LIST}?page=3").status_code == 404
