"""What each viewer may hear, as the page's token says."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from portal import events
from portal.accounts.models import Session
from portal.audit.rules import SYSTEM
from portal.catalogue import actions as catalogue
from portal.config import Settings
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.extensions import db
from portal.kept import LOOK_EVERY
from portal.live import MAX_TOPICS, TOKEN_LIFE, Token, read_token
from portal.public.live import routes
from tests.conftest import NOW, STAFF_HOST, Cast, SignIn, counted_queries


def heard(client: FlaskClient, settings: Settings, query: str = "") -> Token:
    answer = client.get(f"/live-token{query}", headers={"X-Background": "1"})
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    told = json.loads(answer.data)
    assert told["renew"] == TOKEN_LIFE
    assert 0 <= told["spread"] <= 400
    assert told["wait"] in {0, routes.AFTER_LOOK}
    token = read_token(settings, parse_qs(urlsplit(told["url"]).query)["token"][0], time.time())
    assert token is not None
    return token


def test_a_customer_hears_the_own_company_and_what_it_holds(cast: Cast, sign_in: SignIn, settings: Settings) -> None:
    held = catalogue.add_service("Hosted telephony", by=SYSTEM, now=NOW)
    catalogue.add_service("Colocation", by=SYSTEM, now=NOW)
    catalogue.add_holding(cast.a, held, reference="A-1", by=SYSTEM, now=NOW)
    catalogue.add_holding(cast.a, held, reference="A-2", by=SYSTEM, now=NOW)
    events.commit()
    alice = sign_in(cast.alice)
    token = heard(alice, settings, "?topic=staff&topic=broadcast:1&topic=company:2")
    assert token.topics == (f"public:{cast.domain_a.id}", f"company:{cast.a.id}", f"service:{held.id}")
    assert token.origin == "http://a.portal.test"
    assert token.ends.startswith("session:")
    with counted_queries() as statements:
        heard(alice, settings)
    assert len(statements) <= 6


def test_staff_hear_staff_and_the_broadcasts_they_look_at(cast: Cast, sign_in: SignIn, settings: Settings) -> None:
    query = "?topic=broadcast:7&topic=broadcast:7&topic=company:1&topic=broadcast:x&topic=session:abc&topic=broadcast:0"
    token = heard(sign_in(cast.ada), settings, query)
    assert token.topics == ("staff", "broadcast:7")
    assert token.origin == f"http://{STAFF_HOST}"
    many = "?" + "&".join(f"topic=broadcast:{number}" for number in range(1, 40))
    assert len(heard(sign_in(cast.ada), settings, many).topics) == 1 + routes.MOST_WANTED


def test_signed_out_hears_the_public_page_only(
    cast: Cast, visitor: Callable[[str], FlaskClient], settings: Settings
) -> None:
    token = heard(visitor("a.portal.test"), settings, "?topic=staff&topic=broadcast:1")
    assert token.topics == (f"public:{cast.domain_a.id}",)
    assert token.ends == ""
    # The kept page is looked at again within LOOK_EVERY: a page that asked sooner might be given the old one.
    assert visitor("a.portal.test").get("/live-token").get_json()["wait"] > LOOK_EVERY * 1000


@pytest.mark.parametrize("areas", [set(), {Area.TICKETS}])
def test_where_nothing_is_open_there_is_nothing_to_hear(
    cast: Cast, sign_in: SignIn, visitor: Callable[[str], FlaskClient], areas: set[Area]
) -> None:
    domains.set_areas(cast.domain_a, areas, version=cast.domain_a.version, by=SYSTEM, now=NOW)
    events.commit()
    assert sign_in(cast.alice).get("/live-token").status_code == 404
    assert visitor("a.portal.test").get("/live-token").status_code == 404
    assert visitor(STAFF_HOST).get("/live-token").status_code == 404


def test_the_address_of_an_embedded_hub_is_on_the_pages_own_host(
    app: Flask, cast: Cast, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    monkeypatch.setitem(app.config, "SETTINGS", replace(settings, live_port=8001))
    told = sign_in(cast.alice).get("/live-token").get_json()
    assert told["url"].startswith("http://a.portal.test:8001/live?token=")
    monkeypatch.setitem(app.config, "SETTINGS", replace(settings, live_port=0))
    told = sign_in(cast.alice).get("/live-token").get_json()
    assert told["url"].startswith("/live?token=")


def test_who_holds_more_than_fits_polls_as_well(cast: Cast, sign_in: SignIn, settings: Settings) -> None:
    for number in range(MAX_TOPICS):
        service = catalogue.add_service(f"Service {number}", by=SYSTEM, now=NOW)
        catalogue.add_holding(cast.a, service, reference="", by=SYSTEM, now=NOW)
    events.commit()
    client = sign_in(cast.alice)
    assert client.get("/live-token").get_json()["poll"] is True
    assert len(heard(client, settings).topics) == MAX_TOPICS


def test_asking_keeps_no_session_alive(cast: Cast, sign_in: SignIn, settings: Settings) -> None:
    client = sign_in(cast.alice)
    db.session.execute(db.update(Session).values(last_seen_at=NOW))
    db.session.commit()
    client.get("/live-token", headers={"X-Background": "1"})
    assert db.session.scalar(db.select(Session.last_seen_at)) == NOW
