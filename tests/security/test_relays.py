"""Relays as attackers and careless admins see them: rows I31, S07 and H15."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from portal import clock
from portal.accounts.models import Person, Session
from portal.accounts.rules import Role
from portal.admin.relays import routes
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.config import Settings
from portal.extensions import db
from portal.notifications import relays
from portal.notifications.actions.relays import Address, Load, add_relay
from portal.notifications.models import Relay
from portal.notifications.profiles import Security
from tests.conftest import Cast, SignIn, token_in
from tests.support.smtp_sink import SmtpSink

LIST = "/admin/relays"
PASSWORD = "correct-horse-battery"
TYPED = {
    "name": "Office",
    "host": "smtp.example.com",
    "security": "starttls",
    "username": "me",
    "password": PASSWORD,
    "profile": "unlimited",
}


@pytest.fixture
def client(sign_in: SignIn, cast: Cast, settings: Settings) -> FlaskClient:
    relays.prepare_relays(settings)
    db.session.commit()
    return sign_in(cast.root)


def post(client: FlaskClient, path: str, token: str = "", **data: object) -> int:
    token = token or token_in(client, LIST)
    status = client.post(path, data={"csrf_token": token, **data}).status_code
    db.session.expire_all()
    return status


def relay_to(sink: SmtpSink, name: str = "sink") -> Relay:
    relay = add_relay(name, Address("127.0.0.1", sink.port, Security.NONE), Load(), by=SYSTEM, now=clock.utcnow())
    db.session.commit()
    return relay


@pytest.mark.parametrize(
    "bad",
    [
        {"host": "smtp.x\nSECRET_KEY=pwn"},
        {"host": "smtp.x\r\nSECRET_KEY=pwn"},
        {"host": "${SECRET_KEY}"},
        {"host": "$DATABASE_URL"},
        {"host": "{{ config }}"},
        {"host": "smtp://smtp.x"},
        {"host": "smtp x"},
        {"name": "x\nSECRET_KEY=pwn"},
        {"username": "me\r\nRCPT TO:<all@x.test>"},
        {"password": "x\r\nDATA"},
        {"sender": "me@x.test\nSECRET_KEY=pwn"},
        {"sender": "${SECRET_KEY}"},
        {"port": "0"},
        {"port": "65536"},
        {"port": "-1"},
        {"port": "25; rm -rf /"},
        {"security": "ssl"},
        {"profile": "all"},
        {"connections": "1e9"},
        {"per_day": "\u0661\u0662"},
    ],
)
def test_i31_what_would_mean_something_elsewhere_is_refused(
    client: FlaskClient, settings: Settings, bad: dict[str, str]
) -> None:
    before, files = dict(os.environ), sorted(Path(settings.instance).iterdir())
    assert post(client, f"{LIST}/new", **{**TYPED, **bad}) == 422
    assert db.session.scalars(select(Relay.name).where(Relay.host.is_not(None))).all() == []
    assert dict(os.environ) == before
    assert sorted(Path(settings.instance).iterdir()) == files


@pytest.mark.parametrize("name", ["${SECRET_KEY}", "$DATABASE_URL", "{{ config }}", "<script>alert(1)</script>"])
def test_i31_a_name_is_a_name_whatever_it_looks_like(client: FlaskClient, settings: Settings, name: str) -> None:
    assert post(client, f"{LIST}/new", **{**TYPED, "name": name, "password": name}) == 303
    relay = db.session.scalars(select(Relay).where(Relay.host.is_not(None))).one()
    assert relay.name == name
    assert relays.url_for(relay, settings) is not None
    page = client.get(f"{LIST}/{relay.id}").get_data(as_text=True)
    assert settings.secret_key not in page
    assert "<script>alert" not in page


def test_a_password_is_never_seen_again(client: FlaskClient, app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    assert post(client, f"{LIST}/new", **TYPED) == 303
    relay = db.session.scalars(select(Relay).where(Relay.host.is_not(None))).one()
    assert post(client, f"{LIST}/{relay.id}/edit", **{**TYPED, "port": "70000"}, version=relay.version) == 422
    pages = (LIST, f"{LIST}/{relay.id}", f"{LIST}/{relay.id}/edit", "/admin/audit", "/admin/operation")
    assert all(PASSWORD not in client.get(page).get_data(as_text=True) for page in pages)
    entries = db.session.scalars(select(AuditEntry).where(AuditEntry.noun == "relay")).all()
    assert entries
    assert PASSWORD not in str([(each.before, each.after) for each in entries])
    stored = db.session.execute(select(*Relay.__table__.c).where(Relay.id == relay.id)).one()
    assert PASSWORD not in str(stored)
    assert PASSWORD not in caplog.text


def test_s07_whoever_changes_the_host_alone_does_not_get_the_password(client: FlaskClient) -> None:
    assert post(client, f"{LIST}/new", **TYPED) == 303
    relay = db.session.scalars(select(Relay).where(Relay.host.is_not(None))).one()
    moved: dict[str, Any] = {**TYPED, "host": "evil.example.com", "password": "", "version": relay.version}
    assert post(client, f"{LIST}/{relay.id}/edit", **moved) == 422
    assert relay.host == "smtp.example.com"


def test_s07_only_admins_may_say_where_mails_go(
    client: FlaskClient, sign_in: SignIn, cast: Cast, smtp_sink: SmtpSink
) -> None:
    relay = relay_to(smtp_sink)

    def tries(person: Person) -> set[int]:
        other = sign_in(person)
        token = token_in(other, "/admin/")
        found = {other.get(path).status_code for path in (LIST, f"{LIST}/new", f"{LIST}/{relay.id}")}
        for path in ("new", "order", *(f"{relay.id}/{what}" for what in ("edit", "test", "mend", "off", "remove"))):
            found.add(post(other, f"{LIST}/{path}", token, **TYPED, version=relay.version))
        return found

    assert tries(cast.ada) == tries(cast.olaf) == {403}
    assert smtp_sink.connections == 0


def test_s07_settings_ask_for_the_password_again(client: FlaskClient) -> None:
    db.session.execute(update(Session).values(confirmed_at=None))
    db.session.commit()
    assert post(client, f"{LIST}/new", **TYPED) == 302
    assert db.session.scalars(select(Relay.id).where(Relay.host.is_not(None))).all() == []


def test_h15_a_test_mail_goes_to_oneself_and_only_so_often(
    client: FlaskClient, cast: Cast, smtp_sink: SmtpSink
) -> None:
    relay, token = relay_to(smtp_sink), token_in(client, LIST)
    many = [("csrf_token", token), *[("to", f"victim{number}@x.test") for number in range(1000)]]
    answers = [client.post(f"{LIST}/{relay.id}/test", data=dict(many))]
    answers += [client.post(f"{LIST}/{relay.id}/test", data={"csrf_token": token}) for _ in range(6)]
    assert [each.status_code for each in answers] == [303] * 5 + [429] * 2
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert set(smtp_sink.recipients()) == {cast.root.email}
    assert len(smtp_sink.received) == 5


def test_h15_all_admins_together_may_not_ask_a_whole_network(
    client: FlaskClient, sign_in: SignIn, cast: Cast, smtp_sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "TESTS_OF_ALL", replace(routes.TESTS_OF_ALL, capacity=3))
    relay, found = relay_to(smtp_sink), []
    cast.ada.role = Role.ADMIN
    db.session.commit()
    for each in (client, sign_in(cast.ada)):
        token = token_in(each, LIST)
        found += [post(each, f"{LIST}/{relay.id}/test", token) for _ in range(2)]
    assert found == [303, 303, 303, 429]
