"""`POST /inbound/bounces` from outside: only what was signed just now, and only about a mail of ours, does anything."""

import base64
import hashlib
import hmac
import secrets
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from portal import clock
from portal.config import ConfigError, Settings
from portal.extensions import db
from portal.notifications import marks
from portal.notifications.bounces.models import BounceReport
from portal.notifications.models import Delivery, Relay, Slice, Suppression
from portal.notifications.rules import DeliveryState
from portal.public.inbound import routes
from tests.conftest import STAFF_HOST, Cast, client_on
from tests.notifications.bounces import reports
from tests.notifications.bounces.conftest import token_of
from tests.notifications.outbox import queue

KEY, OLD_KEY = bytes(range(32)), bytes(range(32, 64))
"""The same in every process: names of tests are made of them."""
PATH = "/inbound/bounces"


def signature(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    """As the specification of Standard Webhooks has it, written once more and not with our own code."""
    signed = message_id.encode() + b"." + timestamp.encode() + b"." + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def headers_for(body: bytes, *, key: bytes = KEY, at: datetime | None = None, **more: str) -> dict[str, str]:
    timestamp = str(int((at or clock.utcnow()).timestamp()))
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": timestamp,
        "webhook-signature": signature(key, "msg_1", timestamp, body),
        "content-type": "message/rfc822",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }


@pytest.fixture
def door(app: Flask, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    changed = replace(app.config["SETTINGS"], bounce_address=reports.BOUNCES, bounce_http_secrets=[KEY, OLD_KEY])
    monkeypatch.setitem(app.config, "SETTINGS", changed)
    return client_on(app, STAFF_HOST)


@pytest.fixture
def delivery(door: FlaskClient) -> Delivery:
    broadcast = queue("incident:1", [{"address": reports.ALICE, "name": "Alice"}], now=clock.utcnow())
    found = db.session.scalars(select(Delivery).where(Delivery.broadcast_id == broadcast.id)).one()
    found.state, found.attempts = DeliveryState.SENT, 1
    db.session.commit()
    return found


def post(door: FlaskClient, body: bytes, headers: dict[str, str], **more: Any) -> TestResponse:
    return door.post(PATH, data=body, headers=headers, **more)


def happened() -> tuple[int, int]:
    """Reports kept, and addresses stopped."""
    db.session.expire_all()
    return (
        db.session.scalar(select(func.count()).select_from(BounceReport)) or 0,
        db.session.scalar(select(func.count()).select_from(Suppression)) or 0,
    )


def test_a_signed_report_is_taken_and_told_what_was_made_of_it(door: FlaskClient, delivery: Delivery) -> None:
    body = reports.dsn(token=token_of(delivery))
    answer = post(door, body, headers_for(body))
    assert (answer.status_code, answer.get_json()) == (200, {"outcome": "bounced"})
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers
    assert happened() == (1, 1)
    assert db.session.scalars(select(Delivery.state)).all() == [DeliveryState.FAILED]


def test_a_replayed_report_is_told_the_same_and_does_nothing_more(door: FlaskClient, delivery: Delivery) -> None:
    body = reports.dsn(token=token_of(delivery))
    headers = headers_for(body)
    assert [post(door, body, headers).get_json() for _ in range(3)] == [{"outcome": "bounced"}] * 3
    assert happened() == (1, 1)


def test_a_report_that_overtakes_its_mail_is_asked_for_again(door: FlaskClient, delivery: Delivery) -> None:
    body = reports.dsn(token=token_of(delivery))
    delivery.state = DeliveryState.PENDING
    relay = Relay(name="default")
    db.session.add(relay)
    db.session.flush()
    moments = dict.fromkeys(("leased_until", "created_at"), clock.utcnow())
    offered = marks.written({delivery.id: clock.utcnow()})
    db.session.add(Slice(relay_id=relay.id, owner="x", connections=1, offered=offered, **moments))
    db.session.commit()
    refused = post(door, body, headers_for(body))
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "30")
    assert happened() == (0, 0)


def test_while_a_secret_is_replaced_both_hold(door: FlaskClient, delivery: Delivery) -> None:
    body = reports.complaint(token=token_of(delivery))
    assert post(door, body, headers_for(body, key=OLD_KEY)).status_code == 200
    both = headers_for(body)
    both["webhook-signature"] = f"v1,{base64.b64encode(b'x' * 32).decode()} {both['webhook-signature']} v2,later"
    assert post(door, body, both).status_code == 200


def test_what_is_forged_altered_or_old_is_refused(door: FlaskClient, delivery: Delivery) -> None:
    body = reports.dsn(token=token_of(delivery))
    right, now = headers_for(body), clock.utcnow()
    refused = {
        "another key": (body, headers_for(body, key=secrets.token_bytes(32))),
        "no key": (body, headers_for(body, key=b"")),
        "an altered body": (body.replace(b"alice", b"bob"), right),
        "a byte more": (body + b"\n", right),
        "another id": (body, {**right, "webhook-id": "msg_2"}),
        "a later time": (body, {**right, "webhook-timestamp": str(int(right["webhook-timestamp"]) + 60)}),
        "signed too long ago": (body, headers_for(body, at=now - timedelta(minutes=6))),
        "signed in the future": (body, headers_for(body, at=now + timedelta(minutes=6))),
        "another version": (body, {**right, "webhook-signature": right["webhook-signature"].replace("v1,", "v2,")}),
        "no version": (body, {**right, "webhook-signature": right["webhook-signature"][3:]}),
        "hexadecimal": (body, {**right, "webhook-signature": "v1," + hmac.new(KEY, body, "sha256").hexdigest()}),
        "only the body": (body, {**right, "webhook-signature": "v1," + base64.b64encode(KEY).decode()}),
        "other letters": (body, {**right, "webhook-signature": "v1,ä" + right["webhook-signature"]}),
    }
    for what, (sent, headers) in refused.items():
        assert post(door, sent, headers).status_code == 401, what
    assert happened() == (0, 0)
    almost = headers_for(body, at=now - timedelta(minutes=4))
    assert post(door, body, almost).status_code == 200


def test_what_is_no_such_request_is_said_to_be_none(door: FlaskClient, delivery: Delivery) -> None:
    body = reports.dsn(token=token_of(delivery))
    right = headers_for(body)
    odd = [
        *({name: value for name, value in right.items() if name != left_out} for left_out in list(right)[:3]),
        {**right, "webhook-timestamp": "yesterday"},
        {**right, "webhook-timestamp": "-1"},
        {**right, "webhook-timestamp": "9" * 40},
        {**right, "webhook-id": "msg.1700000000"},
        {**right, "webhook-id": "x" * 300},
        {**right, "webhook-signature": " ".join(["v1,x"] * 50)},
        {**right, "content-type": "application/json"},
        {**right, "content-type": "application/x-www-form-urlencoded"},
    ]
    assert [post(door, body, headers).status_code for headers in odd] == [400] * len(odd)
    assert post(door, b" \n", headers_for(b" \n")).status_code == 400
    assert happened() == (0, 0)


def test_a_body_too_large_and_too_many_of_them_are_refused(
    door: FlaskClient, delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = b"x" * 1_100_000
    assert post(door, large, headers_for(large)).status_code == 413
    monkeypatch.setattr(routes, "MOST_PER_MINUTE", 3)
    statuses = [post(door, b"x", headers_for(b"y")) for _ in range(4)]
    assert [each.status_code for each in statuses][-1] == 429
    assert 0 < int(statuses[-1].headers["Retry-After"]) <= 60


def test_a_signed_report_of_a_stranger_stops_nobody(door: FlaskClient, delivery: Delivery) -> None:
    """Whoever hands reports over is trusted to hand them over, and not with what they say."""
    for body, outcome in (
        (reports.dsn(token="z" * 26), "not_ours"),
        (reports.dsn(address="bob@customers.test", token=token_of(delivery)), "other_address"),
        (reports.answer(body="hello"), "unclear"),
        (bytes(range(256)) * 100, "unclear"),
        (b"Content-Type: multipart/mixed; boundary=b\n" * 100, "broken"),
    ):
        answer = post(door, body, headers_for(body))
        assert (answer.status_code, answer.get_json()) == (200, {"outcome": outcome})
    assert happened() == (5, 0)
    assert db.session.scalars(select(Delivery.state)).all() == [DeliveryState.SENT]


def test_without_a_secret_and_on_the_hosts_of_customers_there_is_nothing(
    app: Flask, door: FlaskClient, delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = reports.dsn(token=token_of(delivery))
    for host in ("a.portal.test", "127.0.0.1", "unknown.test"):
        assert post(client_on(app, host), body, headers_for(body)).status_code == 404, host
    assert door.get(PATH).status_code == 405
    monkeypatch.setitem(app.config, "SETTINGS", replace(app.config["SETTINGS"], bounce_http_secrets=[]))
    assert post(door, body, headers_for(body)).status_code == 404
    assert post(door, body, headers_for(body, key=b"")).status_code == 404
    assert happened() == (0, 0)


def whsec(key: bytes) -> str:
    return "whsec_" + base64.b64encode(key).decode()


def environment(**settings: str) -> dict[str, str]:
    return {"PORTAL_INSTANCE": "/nowhere", "PORTAL_SECRET_KEY": secrets.token_urlsafe(48), **settings}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORTAL_BOUNCE_HTTP_SECRET", "secret"),
        ("PORTAL_BOUNCE_HTTP_SECRET", "whsec_short"),
        ("PORTAL_BOUNCE_HTTP_SECRET", whsec(b"x" * 16)),
        ("PORTAL_BOUNCE_HTTP_SECRET", whsec(b"x" * 32)),
        ("PORTAL_BOUNCE_HTTP_SECRET", whsec(KEY).removeprefix("whsec_")),
        ("PORTAL_BOUNCE_HTTP_SECRET", whsec(KEY) + ",whsec_%%%"),
        ("PORTAL_BOUNCE_ADDRESS", "bounces"),
        ("PORTAL_BOUNCE_ADDRESS", "bounces+x@mail.example.com"),
        ("PORTAL_BOUNCE_ADDRESS", "b" * 40 + "@mail.example.com"),
        ("PORTAL_BOUNCE_ADDRESS", "Acme <bounces@mail.example.com>"),
        ("PORTAL_BOUNCE_ADDRESS", "bounces@mail.example.com\r\nRCPT TO:<x@y.z>"),
        ("PORTAL_BOUNCE_IMAP_URL", "https://user:password@mail.example.com"),
        ("PORTAL_BOUNCE_IMAP_URL", "imaps://mail.example.com/INBOX"),
        ("PORTAL_BOUNCE_IMAP_URL", "imaps://user:geheim@mail.example.com:port/INBOX"),
        ("PORTAL_BOUNCE_IMAP_URL", "imap://user:geheim@mail.example.com/INBOX"),
        ("PORTAL_BOUNCE_IMAP_URL", "imaps://user:geheim@mail.example.com/IN\nBOX"),
    ],
)
def test_a_setting_that_cannot_be_used_stops_the_start_with_a_sentence(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name) as refused:
        Settings.from_environment(environment(**{name: value}))
    assert "geheim" not in str(refused.value), "no password in what a log may hold"
    assert str(refused.value).endswith(".")


def test_settings_that_can_be_used() -> None:
    found = Settings.from_environment(
        environment(
            PORTAL_BOUNCE_ADDRESS=reports.BOUNCES,
            PORTAL_BOUNCE_IMAP_URL="imap+starttls://user%40x:geheim@mail.example.com/Reports",
            PORTAL_BOUNCE_HTTP_SECRET=f"{whsec(KEY)}, {whsec(OLD_KEY)}",
        )
    )
    assert found.bounce_http_secrets == [KEY, OLD_KEY]
    assert "geheim" not in repr(found)
    assert str(KEY) not in repr(found)
    empty = Settings.from_environment(environment())
    assert (empty.bounce_address, empty.bounce_imap_url, empty.bounce_http_secrets) == ("", "", [])
