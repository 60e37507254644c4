"""A20 to A23: no write without a form of ours, opened in the same session, sent from the same site."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from portal.accounts.models import Session
from portal.extensions import db
from tests.conftest import PASSWORD, STAFF_HOST, Cast, SignIn, token_in
from tests.security.conftest import https_on

A_HOST = "a.portal.test"


def live_sessions() -> int:
    return db.session.scalar(select(func.count()).where(Session.revoked_at.is_(None))) or 0


def test_a20_a_token_is_good_for_its_own_browser_only(
    cast: Cast, sign_in: SignIn, visitor: Callable[[str], FlaskClient]
) -> None:
    alice, bob, nobody = sign_in(cast.alice), sign_in(cast.bob), visitor(A_HOST)
    own = token_in(alice, "/")
    wrong = {
        "none": {},
        "empty": {"csrf_token": ""},
        "another person's": {"csrf_token": token_in(bob, "/")},
        "nobody's": {"csrf_token": token_in(nobody, "/sign-in")},
        "cut short": {"csrf_token": own[:-2]},
        "the seed": {"csrf_token": "0" * 40},
        "very long": {"csrf_token": own * 1000},
    }
    for form in wrong.values():
        assert alice.post("/sign-out", data=form).status_code == 400
    assert alice.post(f"/sign-out?csrf_token={own}").status_code == 400
    alice.set_cookie("csrf_token", own, domain=A_HOST)
    assert alice.post("/sign-out").status_code == 400
    assert live_sessions() == 2
    assert alice.post("/sign-out", data={"csrf_token": own}).status_code == 303
    assert live_sessions() == 1


def test_a21_htmx_sends_the_token_in_a_header(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.alice)
    fresh = token_in(client, "/")
    stale = client.post("/sign-out", headers={"HX-Request": "true", "X-CSRFToken": "stale"})
    assert stale.status_code == 400
    assert "Reload the page" in stale.get_data(as_text=True)
    assert "<!doctype" not in stale.get_data(as_text=True)
    done = client.post("/sign-out", headers={"HX-Request": "true", "X-CSRFToken": fresh})
    assert done.status_code == 204
    assert done.headers["HX-Redirect"] == "/sign-in"


def test_a21_a_token_from_before_signing_in_is_stale_after(cast: Cast, visitor: Callable[[str], FlaskClient]) -> None:
    client = visitor(A_HOST)
    before = token_in(client, "/sign-in")
    form = {"csrf_token": before, "email": cast.alice.email, "password": PASSWORD}
    assert client.post("/sign-in", data=form).status_code == 303
    assert client.post("/sign-out", data={"csrf_token": before}).status_code == 400
    assert client.post("/sign-out", data={"csrf_token": token_in(client, "/")}).status_code == 303
    assert client.post("/sign-in", data={**form, "csrf_token": before}).status_code == 400


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"])
def test_a22_only_the_right_method_changes_anything(cast: Cast, sign_in: SignIn, method: str) -> None:
    client = sign_in(cast.alice)
    token = token_in(client, "/")
    response = client.open(
        "/sign-out?_method=POST",
        method=method,
        headers={"X-HTTP-Method-Override": "POST", "X-CSRFToken": token},
        data={"_method": "POST", "csrf_token": token} if method not in {"GET", "HEAD", "OPTIONS"} else None,
    )
    assert response.status_code == (200 if method == "OPTIONS" else 405)
    assert live_sessions() == 1


@pytest.mark.parametrize(
    ("site", "status"), [("cross-site", 400), ("same-site", 400), ("same-origin", 303), ("none", 303)]
)
def test_a23_the_browser_says_who_sent_it(cast: Cast, sign_in: SignIn, site: str, status: int) -> None:
    client = sign_in(cast.alice)
    token = token_in(client, "/")
    sent = client.post("/sign-out", data={"csrf_token": token}, headers={"Sec-Fetch-Site": site})
    assert sent.status_code == status
    assert live_sessions() == (1 if status == 400 else 0)


@pytest.mark.parametrize(
    "referrer", [None, "https://evil.test/", "http://admin.portal.test/", "https://admin.portal.test.evil.test/"]
)
def test_a20_over_https_the_referrer_must_be_ours(https_app: Flask, cast: Cast, referrer: str | None) -> None:
    client = https_on(https_app, STAFF_HOST)
    form = {"csrf_token": token_in(client, "/sign-in"), "email": cast.ada.email, "password": PASSWORD}
    assert client.post("/sign-in", data=form, headers={"Referer": referrer} if referrer else {}).status_code == 400
    ours = client.post("/sign-in", data=form, headers={"Referer": f"https://{STAFF_HOST}/sign-in"})
    assert ours.status_code == 303
