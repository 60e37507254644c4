"""Signing up in the shape of Statuspage: from any site, the same answer for everybody, limits, where it is closed."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from portal.audit.rules import SYSTEM
from portal.catalogue.models import Component
from portal.domains.models import PortalDomain
from portal.domains.rules import Area
from portal.extensions import db
from portal.incidents.rules import Audience, Visibility
from portal.notifications.channels import gateway
from portal.notifications.models import Broadcast
from portal.notifications.subscribers import actions, letters
from portal.notifications.subscribers.models import Subscriber
from portal.notifications.subscribers.rules import SubscriberKind, SubscriberSource, SubscriberState
from tests.conftest import NOW, Cast
from tests.notifications.subscribers.test_following import published

PATH = "/api/v2/subscribers.json"
Visitor = Callable[[str], FlaskClient]


@pytest.fixture
def client(visitor: Visitor, cast: Cast) -> FlaskClient:
    cast.domain_a.areas = [*cast.domain_a.areas, Area.PUBLIC_STATUS]
    db.session.add(Component(title="Trunks", public_id="trunks", position=1, created_at=NOW, updated_at=NOW))
    db.session.commit()
    return visitor("a.portal.test")


def rows() -> list[Subscriber]:
    db.session.expire_all()
    return list(db.session.scalars(select(Subscriber).order_by(Subscriber.id)))


@pytest.mark.parametrize("as_json", [True, False])
def test_by_email_in_json_or_as_a_form(client: FlaskClient, as_json: bool) -> None:
    sent: dict[str, Any] = (
        {"json": {"subscriber": {"email": "rita@reader.test", "component_ids": ["trunks"]}}}
        if as_json
        else {"data": {"subscriber[email]": "rita@reader.test", "subscriber[component_ids][]": "trunks"}}
    )
    answer = client.post(PATH, headers={"Origin": "https://elsewhere.test", "Sec-Fetch-Site": "cross-site"}, **sent)
    assert answer.status_code == 201
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    told = answer.get_json()
    assert set(told) == {"page", "subscriber"}
    assert (told["subscriber"]["mode"], told["subscriber"]["email"]) == ("email", "rita@reader.test")
    [rita] = rows()
    assert (rita.state, rita.source) == (SubscriberState.UNCONFIRMED, SubscriberSource.API)
    assert "incidents" in rita.topics
    assert [each for each in rita.topics if each.startswith("component:")]


@pytest.mark.parametrize("field", ["email", "endpoint"])
def test_half_a_character_is_refused_in_words(client: FlaskClient, field: str) -> None:
    address = {"email": "rita\ud800@reader.test", "endpoint": "https://reader.test/\ud800"}[field]
    assert client.post(PATH, json={"subscriber": {field: address}}).status_code == 422
    assert rows() == []


def test_the_answer_is_the_same_whoever_it_is(client: FlaskClient, cast: Cast) -> None:
    actions.add(
        cast.domain_a.id,
        "rita@reader.test",
        ["incidents"],
        language="en",
        is_shared=False,
        consent="x",
        by=SYSTEM,
        now=NOW,
    )
    db.session.commit()
    found = []
    for address in ("rita@reader.test", "new@reader.test", cast.alice.email):
        answer = client.post(PATH, json={"subscriber": {"email": address}})
        told = answer.get_json()["subscriber"]
        found.append((answer.status_code, sorted(told), len(told["id"])))
        assert told["id"] not in {each.key for each in rows()}
    assert len({str(each) for each in found}) == 1


def test_a_webhook_is_asked(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[gateway.Parcel] = []
    monkeypatch.setattr(gateway, "send", lambda parcel, _guard, _now: asked.append(parcel))
    answer = client.post(PATH, json={"subscriber": {"endpoint": "https://machine.example/hook", "email": "a@b.test"}})
    assert answer.status_code == 201
    assert answer.get_json()["subscriber"]["mode"] == "webhook"
    assert [each.kind for each in rows()] == [SubscriberKind.WEBHOOK]
    assert [each.address for each in asked] == ["https://machine.example/hook"]
    assert b"confirm_url" in asked[0].body


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"email": "nonsense"},
        {"email": ["x@y.test"]},
        {"email": "a\x00@reader.test"},
        {"phone_number": "+49301234567"},
        {"email": "rita@reader.test", "component_ids": ["nobody"]},
        {"email": "rita@reader.test", "component_ids": "trunks"},
        {"endpoint": "http://127.0.0.1/hook"},
        {"endpoint": "http://[::1"},
    ],
)
def test_what_is_wrong_is_said(client: FlaskClient, wanted: dict[str, Any]) -> None:
    answer = client.post(PATH, json={"subscriber": wanted})
    assert answer.status_code == 422
    assert answer.get_json()["error"]
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert rows() == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"subscriber": 1}', b'{"subscriber": {"email": "x"}}' * 2000])
def test_what_is_no_request_is_refused(client: FlaskClient, body: bytes) -> None:
    assert client.post(PATH, data=body, content_type="application/json").status_code == 422


def test_too_often(client: FlaskClient) -> None:
    wanted = {"subscriber": {"email": "rita@reader.test"}}
    assert [client.post(PATH, json=wanted).status_code for _ in range(4)] == [201] * 3 + [429]
    answer = client.post(PATH, json=wanted)
    assert int(answer.headers["Retry-After"]) > 0


def test_a_browser_may_ask_beforehand(client: FlaskClient) -> None:
    answer = client.options(PATH)
    assert answer.status_code == 200
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]


def test_where_the_page_is_closed_there_is_nothing(client: FlaskClient, cast: Cast) -> None:
    domain: PortalDomain = cast.domain_a
    domain.areas = []
    db.session.commit()
    answer = client.post(PATH, json={"subscriber": {"email": "rita@reader.test"}})
    assert answer.status_code == 404
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert rows() == []


@pytest.mark.parametrize("as_json", [True, False])
def test_of_one_incident_alone(client: FlaskClient, as_json: bool) -> None:
    one = published("one")
    db.session.commit()
    wanted = {"email": "rita@reader.test", "incident_id": one.public_id}
    sent: dict[str, Any] = (
        {"json": {"subscriber": wanted}}
        if as_json
        else {"data": {f"subscriber[{name}]": value for name, value in wanted.items()}}
    )
    assert client.post(PATH, **sent).status_code == 201
    [rita] = rows()
    assert (rita.state, rita.topics, rita.source) == (SubscriberState.UNCONFIRMED, [], SubscriberSource.API)
    letter = db.session.scalars(select(Broadcast).where(Broadcast.kind == letters.NAME)).one()
    assert one.title in letter.content["en"]["text"]


def test_what_not_everybody_may_see_is_answered_as_what_is_not_there(client: FlaskClient) -> None:
    hidden, some = published("hidden", visibility=Visibility.PRIVATE), published("some", audience=Audience.AFFECTED)
    db.session.commit()
    found = set()
    for incident_id in (hidden.public_id, some.public_id, "nothing", "x" * 999, "a\x00b", ["a"], 7):
        answer = client.post(PATH, json={"subscriber": {"email": "rita@reader.test", "incident_id": incident_id}})
        found.add((answer.status_code, answer.get_data()))
    assert found == {(422, b'{"error":["There is no such incident."]}')}
    assert rows() == []


def test_a_webhook_is_asked_about_the_one(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[gateway.Parcel] = []
    monkeypatch.setattr(gateway, "send", lambda parcel, _guard, _now: asked.append(parcel))
    one = published("one")
    db.session.commit()
    wanted = {"endpoint": "https://machine.example/hook", "incident_id": one.public_id}
    assert client.post(PATH, json={"subscriber": wanted}).status_code == 201
    assert one.title.encode() in asked[0].body
    assert [each.topics for each in rows()] == [[]]
