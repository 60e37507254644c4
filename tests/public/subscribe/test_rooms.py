"""Rooms of Slack and Teams without a login: asked by a post, told nothing before, fixed hosts, limits, the way out."""

import json
import re
from threading import Event
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from portal import sealing
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.clock import utcnow
from portal.config import Settings
from portal.domains.models import PortalDomain
from portal.extensions import db
from portal.incidents import actions as incidents
from portal.incidents.rules import Audience, State, Visibility
from portal.notifications.channels import gateway
from portal.notifications.channels.rules import ChannelState, literal_for_teams
from portal.notifications.channels.sealed import ADDRESS
from portal.notifications.channels.sending import ChannelSender
from portal.notifications.models import ContactChannel, Delivery
from portal.notifications.subscribers.rules import SubscriberKind, SubscriberState
from tests.conftest import token_in
from tests.public.subscribe.test_subscribe import HOST, Visitor, domain, rows
from tests.security.test_channels import SLACK, TEAMS, Tls, tls
from tests.security.test_outside import leads_to
from tests.support.receiver import Receiver, Reply

__all__ = ["domain", "tls"]

SENT = "/subscribe/room?sent=1"
OUTSIDE = "93.184.216.34"


def ask(client: FlaskClient, address: str = SLACK, **more: object) -> Any:
    form = {
        "csrf_token": token_in(client, "/subscribe/room"),
        "address": address,
        "kinds": ["incidents"],
        "scope": "all",
        "language": "en",
    } | more
    return client.post("/subscribe/room", data=form)


@pytest.fixture
def parcels(monkeypatch: pytest.MonkeyPatch) -> list[gateway.Parcel]:
    """What would have been handed over."""
    found: list[gateway.Parcel] = []
    monkeypatch.setattr(gateway, "send", lambda parcel, _guard, _now: found.append(parcel))
    return found


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    """The way outside as it is, but that every name leads to one public address."""
    guard = gateway.Guard(settings, leads_to(OUTSIDE))
    monkeypatch.setattr("portal.notifications.subscribers.rooms.gateway.Guard", lambda _settings, _lookup=None: guard)


def publish(key: str) -> None:
    incidents.publish(
        title="Calls fail",
        state=State.INVESTIGATING,
        body="We look into it.",
        severities={},
        visibility=Visibility.PUBLIC,
        audience=Audience.EVERYONE,
        notify=True,
        mail_affected_only=False,
        by=SYSTEM,
        author_id=None,
        now=utcnow(),
        idempotency_key=key,
    )
    db.session.commit()


def said(receiver: Receiver, number: int) -> str:
    """The text of the last of so many posts, as the room shows it."""
    sent = json.loads(receiver.wait_for(number)[number - 1].body)
    if "attachments" in sent and "content" in sent["attachments"][0]:
        return str(sent["attachments"][0]["content"]["body"][0]["text"])
    return json.dumps(sent, ensure_ascii=False)


def link_in(text: str, kind: str) -> str:
    return str(re.findall(rf"https?://{re.escape(HOST)}(/subscribe/{kind}/[A-Za-z0-9._-]+)", text)[0])


@pytest.mark.usefixtures("domain", "reached")
@pytest.mark.parametrize(
    "room_of", [("slack", SLACK, Reply(body=b"ok")), ("teams", TEAMS, Reply(202, b""))], ids=["slack", "teams"]
)
def test_a_room_is_asked_then_told_and_left_from_its_posts(
    visitor: Visitor, tls: Tls, app: Flask, room_of: tuple[str, str, Reply]
) -> None:
    """Over TLS at a real receiver under the name of Slack or Microsoft, from the form to the last post."""
    kind, address, reply = room_of
    receiver, asked_for = tls(address.split("/")[2].partition(":")[0])
    receiver.default = reply
    client = visitor(HOST)
    assert ask(client, address).location == SENT
    question = said(receiver, 1)
    assert asked_for == [(OUTSIDE, 443)]
    assert "Somebody asked" in question
    [room] = rows()
    assert (room.kind.value, room.state, room.topics) == (kind, SubscriberState.UNCONFIRMED, ["incidents"])
    publish("before")
    assert db.session.scalars(select(Delivery).where(Delivery.subscriber_id.is_not(None))).all() == []
    path = link_in(question, "confirm")
    for method in ("GET", "HEAD"):
        assert client.open(path, method=method).status_code == 200, "what looks at links confirms nothing"
    assert rows()[0].state is SubscriberState.UNCONFIRMED
    assert "tells" in client.get(path).get_data(as_text=True)
    confirmed = client.post(path, data={"csrf_token": token_in(client, "/subscribe")})
    assert confirmed.location.startswith("/subscribe/manage/")
    assert rows()[0].state is SubscriberState.ACTIVE
    publish("after")
    sender = ChannelSender(app, now=utcnow, stop=Event(), lookup=leads_to(OUTSIDE))
    sender.run()
    post = said(receiver, 2)
    assert "Calls fail" in post
    assert "Change or end this subscription:" in post
    db.session.rollback()
    way_out = link_in(post, "manage")
    shown = client.get(way_out).get_data(as_text=True)
    assert address not in shown
    assert address.rpartition("/")[2] not in shown
    left = client.post(f"{way_out}/leave", data={"csrf_token": token_in(client, way_out)})
    assert left.location == "/subscribe?left=1"
    assert (rows(), db.session.scalars(select(ContactChannel)).all()) == ([], [])


def test_the_address_is_sealed_and_stands_nowhere_else(
    visitor: Visitor, domain: PortalDomain, parcels: list[gateway.Parcel]
) -> None:
    ask(visitor(HOST))
    [room] = rows()
    [channel] = db.session.scalars(select(ContactChannel))
    assert sealing.unseal(channel.address, ADDRESS) == SLACK
    secret = SLACK.rpartition("/")[2]
    for row in (room, channel, *db.session.scalars(select(AuditEntry))):
        values = {each.key: getattr(row, each.key) for each in type(row).__mapper__.column_attrs}
        assert secret not in str(values)


@pytest.mark.parametrize(
    "address",
    [
        "https://hooks.slack.com.evil.test/services/T0/B0/c",
        "https://hooks.slack.com@127.0.0.1/services/T0/B0/c",
        "http://hooks.slack.com/services/T0/B0/c",
        "https://hooks.example.com/hook",
        "slack://T0/B0/c",
        "https://127.0.0.1/workflows/a/triggers/manual/paths/invoke?sig=ssssssssssssssssssss",
        "workflows://127.0.0.1/a/b?template=/etc/passwd",
        SLACK + "?redirect=yes",
    ],
)
def test_nothing_but_a_room_of_slack_or_teams_is_taken(
    visitor: Visitor, domain: PortalDomain, parcels: list[gateway.Parcel], address: str
) -> None:
    answer = ask(visitor(HOST), address)
    assert answer.status_code == 422
    assert "neither an address of Slack nor one of Teams" in answer.get_data(as_text=True)
    assert (rows(), parcels) == ([], [])


def test_the_answer_is_the_same_for_a_room_that_is_told_already(
    visitor: Visitor, domain: PortalDomain, parcels: list[gateway.Parcel]
) -> None:
    client = visitor(HOST)
    ask(client)
    path = link_in(parcels[0].text, "confirm")
    client.post(path, data={"csrf_token": token_in(client, "/subscribe")})
    again = ask(client, kinds=["maintenance"])
    assert (again.status_code, again.location) == (303, SENT)
    assert "is told already" in parcels[1].text
    assert link_in(parcels[1].text, "manage")
    assert rows()[0].topics == ["incidents"]


def test_one_that_was_given_up_comes_back_by_signing_up_anew(
    visitor: Visitor, domain: PortalDomain, parcels: list[gateway.Parcel]
) -> None:
    client = visitor(HOST)
    ask(client)
    room = rows()[0]
    room.state, room.reason = SubscriberState.QUARANTINED, "gone"
    db.session.get_one(ContactChannel, room.contact_channel_id).state = ChannelState.DISABLED
    db.session.commit()
    ask(client)
    client.post(link_in(parcels[1].text, "confirm"), data={"csrf_token": token_in(client, "/subscribe")})
    assert rows()[0].state is SubscriberState.ACTIVE
    assert db.session.scalars(select(ContactChannel.state)).all() == [ChannelState.WORKING]


def test_it_is_asked_in_the_language_that_was_chosen(
    visitor: Visitor, domain: PortalDomain, parcels: list[gateway.Parcel]
) -> None:
    ask(visitor(HOST), language="de")
    assert "Jemand hat" in parcels[0].text


def test_limits_are_of_the_room_and_not_of_everybody_at_slack(
    visitor: Visitor, domain: PortalDomain, parcels: list[gateway.Parcel]
) -> None:
    client = visitor(HOST)
    assert [ask(client).status_code for _ in range(4)] == [303, 303, 303, 429]
    assert int(ask(client).headers["Retry-After"]) > 0
    assert ask(client, SLACK[:-1] + "d").status_code == 303
    assert [each.kind for each in rows()] == [SubscriberKind.SLACK] * 2
    assert len(parcels) == 4


def test_what_fills_the_trap_is_answered_and_asks_nobody(
    visitor: Visitor, domain: PortalDomain, parcels: list[gateway.Parcel]
) -> None:
    assert ask(visitor(HOST), website="https://spam.test").location == SENT
    assert (rows(), parcels) == ([], [])


def test_where_rooms_may_not_sign_up_there_is_no_such_page(visitor: Visitor, domain: PortalDomain) -> None:
    client = visitor(HOST)
    assert 'href="/subscribe/room"' in client.get("/subscribe").get_data(as_text=True)
    token = token_in(client, "/subscribe/room")
    domain.rooms_sign_up = False
    db.session.commit()
    assert 'href="/subscribe/room"' not in client.get("/subscribe").get_data(as_text=True)
    assert client.get("/subscribe/room").status_code == 404
    assert client.post("/subscribe/room", data={"csrf_token": token, "address": SLACK}).status_code == 404
    assert rows() == []


def test_a_link_stays_whole_in_teams_and_what_surrounds_it_is_literal() -> None:
    link = "https://status.test/subscribe/confirm/WyJh_Yi-c.d_e"
    assert literal_for_teams(f"*now* {link} [x](y)") == f"\\*now\\* {link} \\[x\\](y)"
