"""Leaving a list: by one click of a mail program, by the page, and what must not happen by looking."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from itsdangerous import URLSafeSerializer
from sqlalchemy import func, select

from portal.accounts.models import Person
from portal.audit.models import AuditEntry
from portal.domains.models import PortalDomain
from portal.extensions import db
from portal.notifications.links import read_unsubscribe_token, unsubscribe_path
from portal.notifications.models import Suppression
from portal.notifications.queries import suppressed_addresses
from portal.notifications.rules import EVERY_TOPIC
from tests.conftest import NOW, Cast, token_in
from tests.notifications.outbox import TEST_KIND, queue, states

ONE_CLICK = {"List-Unsubscribe": "One-Click"}
Visitor = Callable[[str], FlaskClient]


@pytest.fixture
def link(cast: Cast) -> str:
    return unsubscribe_path(cast.alice.email, TEST_KIND.topic, cast.alice.id)


def suppressions() -> int:
    return db.session.scalar(select(func.count()).select_from(Suppression)) or 0


def is_suppressed(address: str, topic: str = TEST_KIND.topic) -> bool:
    return bool(suppressed_addresses([address.lower()], topic, NOW))


def test_a33_looking_changes_nothing(visitor: Visitor, cast: Cast, link: str) -> None:
    client = visitor("a.portal.test")
    for method in ("GET", "HEAD"):
        assert client.open(link, method=method).status_code == 200
    assert "Stop these mails?" in client.get(link).get_data(as_text=True)
    assert suppressions() == 0


def test_a33_one_click_needs_neither_cookie_nor_token_and_repeats(visitor: Visitor, cast: Cast, link: str) -> None:
    client = visitor("a.portal.test")
    for _ in range(2):
        answer = client.post(link, data=ONE_CLICK)
        assert answer.status_code == 200
        assert "Location" not in answer.headers
    assert is_suppressed(cast.alice.email)
    assert suppressions() == 1
    audited = select(func.count()).select_from(AuditEntry).where(AuditEntry.action == "address.unsubscribe")
    assert db.session.scalar(audited) == 1


def test_a23_one_click_is_taken_from_any_site(visitor: Visitor, cast: Cast, link: str) -> None:
    """Mail programs on the web post from their own."""
    answer = visitor("a.portal.test").post(link, data=ONE_CLICK, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "body", [{}, {"List-Unsubscribe": "one-click"}, {**ONE_CLICK, "x": "1"}, {"List-Unsubscribe": ["One-Click"] * 2}]
)
def test_only_the_exact_body_of_rfc_8058_counts(visitor: Visitor, cast: Cast, link: str, body: dict[str, str]) -> None:
    assert visitor("a.portal.test").post(link, data=body).status_code == 400
    assert suppressions() == 0


def test_it_works_on_any_portal_domain_with_every_area_closed(visitor: Visitor, cast: Cast, link: str) -> None:
    for domain in db.session.scalars(select(PortalDomain)):
        domain.areas = []
    db.session.commit()
    for host in ("a.portal.test", "b.portal.test", "admin.portal.test"):
        assert visitor(host).get(link).status_code == 200
    assert visitor("b.portal.test").post(link, data=ONE_CLICK).status_code == 200
    assert is_suppressed(cast.alice.email)
    assert visitor("evil.test").post(link, data=ONE_CLICK).status_code == 400


def test_it_is_scoped_to_its_list(visitor: Visitor, cast: Cast, link: str) -> None:
    visitor("a.portal.test").post(link, data=ONE_CLICK)
    assert is_suppressed(cast.alice.email)
    assert not is_suppressed(cast.alice.email, "maintenance")
    assert not is_suppressed(cast.bob.email)


def test_the_page_offers_to_stop_everything_and_to_come_back(visitor: Visitor, cast: Cast, link: str) -> None:
    client = visitor("a.portal.test")

    def choose(topic: str, wanted: str) -> int:
        data = {"topic": topic, "wanted": wanted, "csrf_token": token_in(client, link)}
        return client.post(f"{link}/lists", data=data).status_code

    assert choose(EVERY_TOPIC, "no") == 303
    assert is_suppressed(cast.alice.email, "maintenance")
    assert "Allow mails again" in client.get(link).get_data(as_text=True)
    assert choose(EVERY_TOPIC, "yes") == 303
    assert not is_suppressed(cast.alice.email)
    assert choose("no-such-list", "no") == 422


def test_a20_the_choice_of_lists_needs_the_form_token(visitor: Visitor, cast: Cast, link: str) -> None:
    assert visitor("a.portal.test").post(f"{link}/lists", data={"topic": "all", "wanted": "no"}).status_code == 400
    assert suppressions() == 0


def test_a35_a_person_who_is_gone_gets_the_same_answer(visitor: Visitor, cast: Cast) -> None:
    path = unsubscribe_path("gone@customers.test", "a-list-of-long-ago", 999_999_999)
    client = visitor("a.portal.test")
    assert client.get(path).status_code == 200
    assert client.post(path, data=ONE_CLICK).status_code == 200
    assert is_suppressed("gone@customers.test", "a-list-of-long-ago")


def test_a35_a_person_with_another_address_by_now_is_still_meant(visitor: Visitor, cast: Cast, link: str) -> None:
    alice = db.session.get_one(Person, cast.alice.id)
    old, alice.email, alice.email_key = alice.email, "new@people.test", "new@people.test"
    db.session.commit()
    assert visitor("a.portal.test").post(link, data=ONE_CLICK).status_code == 200
    assert is_suppressed(old)
    assert is_suppressed("new@people.test")


def test_t22_somebody_deactivated_may_still_leave(visitor: Visitor, cast: Cast, link: str) -> None:
    db.session.get_one(Person, cast.alice.id).deactivated_at = NOW
    db.session.commit()
    assert visitor("a.portal.test").post(link, data=ONE_CLICK).status_code == 200


@pytest.mark.parametrize("token", ["x", "WyJhIl0.x", "a" * 5000, "..%2f..%2f"])
def test_a_token_we_did_not_sign_is_not_found(visitor: Visitor, cast: Cast, token: str) -> None:
    client = visitor("a.portal.test")
    assert client.get(f"/u/{token}").status_code == 404
    assert client.post(f"/u/{token}", data=ONE_CLICK).status_code == 404


def test_a_token_of_another_purpose_is_not_found(app: Flask, visitor: Visitor, cast: Cast) -> None:
    other = URLSafeSerializer(app.config["SECRET_KEY"], salt="invitation").dumps(["a@b.test", "incidents", None])
    assert visitor("a.portal.test").get(f"/u/{other}").status_code == 404


def test_a_token_survives_a_new_secret_key(app: Flask, cast: Cast, link: str) -> None:
    settings = app.config["SETTINGS"]
    try:
        app.config["SETTINGS"] = replace(settings, secret_key="n" * 40, secret_key_fallbacks=[settings.secret_key])
        found = read_unsubscribe_token(link.removeprefix("/u/"))
    finally:
        app.config["SETTINGS"] = settings
    assert found is not None
    assert found.address == cast.alice.email


def test_who_has_left_is_left_out_of_the_next_broadcast(visitor: Visitor, cast: Cast, link: str) -> None:
    visitor("a.portal.test").post(link, data=ONE_CLICK)
    queue("incident:2", [{"address": cast.alice.email.upper()}, {"address": cast.bob.email}], now=NOW)
    assert states() == {"suppressed": 1, "pending": 1}


def test_the_page_shows_an_address_only_escaped(visitor: Visitor, cast: Cast) -> None:
    path = unsubscribe_path('"<script>alert(1)</script>"@x.test', "incidents", None)
    page = visitor("a.portal.test").get(path).get_data(as_text=True)
    assert "<script>alert" not in page
