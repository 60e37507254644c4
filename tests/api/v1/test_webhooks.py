"""Webhooks of companies, people and the staff, through the API: set up, changed, signed anew, tested and removed."""

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal import clock, events, sealing
from portal.accounts.models import ApiAnswer
from portal.accounts.rules.tokens import Scope
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.catalogue import actions as catalogue
from portal.extensions import db
from portal.notifications.channels.actions import add_channel
from portal.notifications.channels.rules import ChannelKind, ChannelState, signature_header
from portal.notifications.channels.sealed import SECRET
from portal.notifications.models import ContactChannel
from tests.api.v1.conftest import Machine, MakeMachine, refusal
from tests.conftest import Cast
from tests.support.receiver import Receiver, Reply

URL = "https://hooks.example.com/incoming/abcdef"


@pytest.fixture
def desk(machine: MakeMachine) -> Machine:
    return machine(Scope.WEBHOOKS)


def stored() -> ContactChannel:
    db.session.expire_all()
    return db.session.scalars(select(ContactChannel)).one()


def wish(cast: Cast, **more: Any) -> dict[str, Any]:
    return {"name": "Their NOC", "url": URL, "company_id": cast.a.id, **more}


def test_a_webhook_is_set_up_and_its_secret_is_told_once(desk: Machine, cast: Cast) -> None:
    body = wish(cast, language="de")
    first = desk.send("POST", "/webhooks", body, Idempotency_Key="noc")
    again = desk.send("POST", "/webhooks", body, Idempotency_Key="noc")
    assert (first.status_code, again.status_code, again.headers["Idempotent-Replayed"]) == (201, 201, "true")
    made = first.json
    assert made is not None
    assert made == again.json
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert sealing.unseal(stored().secret or "", SECRET) == secret
    # Neither the address nor the secret lies readable anywhere, the kept answer included.
    assert secret not in db.session.scalars(select(ApiAnswer.body)).one()
    assert desk.read(f"/webhooks/{made['id']}") == made
    assert (made["owner"], made["company_id"], made["language"]) == ("company", cast.a.id, "de")
    assert (made["leads_to"], made["state"], made["unreachable"]) == ("https://hooks.example.com/…", "working", None)
    # Other tests of this process may have kinds of mail of their own, as urgent as they please.
    assert {"incidents", "services", "notices"} <= set(made["topics"])
    assert [each["id"] for each in desk.all(f"/webhooks?company_id={cast.a.id}&owner=company")] == [made["id"]]
    assert desk.all("/webhooks?owner=staff") == desk.all(f"/webhooks?company_id={cast.b.id}") == []
    told = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "channel.add")).one()
    assert told.actor == "API token “test webhooks”"
    assert "abcdef" not in str(told.after)


def test_a_webhook_is_of_a_person_or_of_the_staff_too(desk: Machine, machine: MakeMachine, cast: Cast) -> None:
    ours = desk.make("/webhooks", {"name": "Pager", "url": URL, "for_staff": True})
    assert (ours["owner"], ours["topics"]) == ("staff", ["alarms"])
    hers = desk.make("/webhooks", {"name": "Alice", "url": URL, "person_id": cast.alice.id})
    assert (hers["owner"], hers["person_id"]) == ("person", cast.alice.id)
    staff = {"name": "Olaf", "url": f"{URL}2", "person_id": cast.olaf.id}
    assert refusal(desk.send("POST", "/webhooks", staff), 422)["detail"] == f"There is no person {cast.olaf.id}."
    told = refusal(machine(Scope.ADMIN).send("POST", "/webhooks", staff), 422)["detail"]
    assert told.endswith("acts for no company, so there is nothing to tell them of.")
    refusal(desk.send("PATCH", f"/webhooks/{ours['id']}", {"topics": ["incidents"]}, match=1), 422)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"company_id": None}, "/company_id"),
        ({"for_staff": True}, "/company_id"),
        ({"company_id": 2147483000}, "/company_id"),
        ({"company_id": None, "person_id": 2147483000}, "/person_id"),
        ({"company_id": None, "for_staff": True, "topics": ["incidents"]}, "/topics"),
        ({"url": "http://10.0.0.1/"}, "/url"),
        ({"url": "file:///etc/passwd"}, "/url"),
        ({"name": " "}, "/name"),
        ({"topics": []}, "/topics"),
        ({"topics": ["incidents", "service:2147483000"]}, "/topics"),
        ({"language": "xx"}, "/language"),
        ({"secret": "mine"}, "/secret"),
    ],
)
def test_what_cannot_be_is_refused_where_it_is_wrong(
    desk: Machine, cast: Cast, change: dict[str, Any], pointer: str
) -> None:
    answer = refusal(desk.send("POST", "/webhooks", wish(cast, **change)), 422)
    assert answer["errors"][0]["pointer"] == pointer
    assert db.session.scalar(select(ContactChannel.id)) is None


def test_a_company_that_is_archived_gets_none(desk: Machine, cast: Cast) -> None:
    catalogue.archive_company(cast.a, version=cast.a.version, by=SYSTEM, now=clock.utcnow())
    db.session.commit()
    assert "archived" in refusal(desk.send("POST", "/webhooks", wish(cast)), 422)["detail"]


def test_it_is_changed_signed_anew_and_removed_by_who_saw_it_last(desk: Machine, cast: Cast) -> None:
    made = desk.make("/webhooks", wish(cast))
    path = f"/webhooks/{made['id']}"
    refusal(desk.send("PATCH", path, {"name": "Desk"}), 428)
    changed = desk.send("PATCH", path, {"name": "Desk", "topics": ["incidents"]}, match=made["version"]).json
    assert changed is not None
    assert (changed["name"], changed["topics"], changed["version"]) == ("Desk", ["incidents"], made["version"] + 1)
    refusal(desk.send("PATCH", path, {"name": "Late"}, match=made["version"]), 409)
    renewed = desk.send("POST", f"{path}/secret", match=changed["version"], Idempotency_Key="turn").json
    assert renewed is not None
    assert renewed["secret"] != made["secret"]
    assert renewed["old_secret_until"] is not None
    replayed = desk.send("POST", f"{path}/secret", match=changed["version"], Idempotency_Key="turn").json
    assert replayed == renewed
    ended = desk.send("POST", f"{path}/end-old-secret", match="*").json
    assert ended is not None
    assert (ended["old_secret_until"], "secret" in ended) == (None, False)
    refusal(desk.send("POST", f"{path}/end-old-secret", match="*"), 422)
    refusal(desk.send("DELETE", path, match=made["version"]), 409)
    assert desk.send("DELETE", path, match=ended["version"]).status_code == 204
    refusal(desk.get(path), 404)


@pytest.fixture
def receiver(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A machine on this machine, which this installation allows."""
    found = Receiver()
    allowed = replace(
        app.config["SETTINGS"],
        outside_allow=(ip_network("127.0.0.1/32"),),
        outside_ports=frozenset({found.port}),
    )
    monkeypatch.setitem(app.config, "SETTINGS", allowed)
    yield found
    found.close()


def test_a_test_is_sent_at_once_and_mends_what_was_given_up(desk: Machine, cast: Cast, receiver: Receiver) -> None:
    made = desk.make("/webhooks", wish(cast, url=receiver.url()))
    path = f"/webhooks/{made['id']}"
    receiver.default = Reply(500, b"down")
    failed = desk.send("POST", f"{path}/test").json
    assert failed is not None
    assert (failed["arrived"], failed["code"], failed["answer"]) == (False, 500, "down")
    channel = stored()
    channel.state, channel.failures, channel.reason = ChannelState.DISABLED, 8, "down"
    channel.failing_since = clock.utcnow()
    events.commit()
    assert desk.read(path)["unreachable"] == "The channel is disabled. down"
    receiver.default = Reply(200, b"thanks")
    told = desk.send("POST", f"{path}/test", Idempotency_Key="once").json
    assert told is not None
    assert (told["arrived"], told["webhook"]["state"], told["webhook"]["failures"]) == (True, "working", 0)
    assert desk.send("POST", f"{path}/test", Idempotency_Key="once").json == told
    _failed, arrived = receiver.requests  # the key was answered again, and nobody was asked for it
    headers = arrived.headers
    signed = signature_header([made["secret"]], headers["webhook-id"], int(headers["webhook-timestamp"]), arrived.body)
    assert headers["webhook-signature"] == signed


def test_other_channels_are_none_of_them(desk: Machine, cast: Cast) -> None:
    address = "https://hooks.slack.com/services/T0/B0/" + "c" * 24
    room, _secret = add_channel(
        ChannelKind.SLACK, "Room", address, ["incidents"], company_id=cast.a.id, by=SYSTEM, now=clock.utcnow()
    )
    db.session.commit()
    assert desk.all("/webhooks") == []
    refusal(desk.get(f"/webhooks/{room.id}"), 404)
    refusal(desk.send("DELETE", f"/webhooks/{room.id}", match="*"), 404)


def test_who_may_not_is_refused_and_for_a_company_they_do_not_exist(machine: MakeMachine, cast: Cast) -> None:
    for scope in (Scope.READ, Scope.WRITE, Scope.COMPANIES, Scope.BROADCASTS):
        refusal(machine(scope).get("/webhooks"), 403)
        refusal(machine(scope).send("POST", "/webhooks", wish(cast)), 403)
    refusal(machine(Scope.READ, cast.a).get("/webhooks"), 404)
    assert machine(Scope.ADMIN).all("/webhooks") == []
