"""S01, S02, S04, S05, S08, W01 to W03: channels lead nowhere they must not, and are told nothing they must not know."""

import ipaddress
import json
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from portal import clock, events, sealing
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.config import SMS_GATEWAYS, ConfigError, Settings
from portal.errors import RuleViolation
from portal.extensions import db
from portal.incidents import actions as incidents
from portal.incidents.rules import Audience, Severity, State, Visibility
from portal.notifications.channels import gateway
from portal.notifications.channels.actions import add_channel, end_old_secret, renew_secret
from portal.notifications.channels.rules import (
    AddressError,
    ChannelKind,
    literal_for_slack,
    literal_for_teams,
    secret_text,
    signature_header,
)
from portal.notifications.channels.sealed import ADDRESS
from portal.notifications.channels.texts import fill
from portal.notifications.models import ContactChannel, Delivery
from portal.notifications.rules import Failure
from tests.conftest import Cast, SignIn, token_in
from tests.security.test_outside import BAD_ADDRESSES, Authority, leads_to
from tests.security.world import World, plant
from tests.support.cases import make_known
from tests.support.receiver import Receiver, Reply, Request

HERE = ipaddress.ip_address("127.0.0.1")
SLACK = "https://hooks.slack.com/services/T0AAAAAAA/B0BBBBBBB/" + "c" * 24
TEAMS = (
    "https://prod-01.westeurope.logic.azure.com:443/workflows/" + "a" * 32 + "/triggers/manual/paths/invoke"
    "?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=" + "s" * 43
)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


def guard_of(settings: Settings, port: int = 80, *, allows: str = "", lookup: Any = None) -> gateway.Guard:
    networks = tuple(ipaddress.ip_network(each) for each in allows.split(",") if each)
    return gateway.Guard(replace(settings, outside_allow=networks, outside_ports=frozenset({80, 443, port})), lookup)


def ask(
    guard: gateway.Guard,
    address: str,
    kind: ChannelKind = ChannelKind.WEBHOOK,
    text: str = "Nothing is wrong.",
    secrets: Sequence[str] = (),
) -> Any:
    parcel = gateway.Parcel(kind, address, text, b'{"type":"test"}', "msg_1", secrets)
    return gateway.send(parcel, guard, clock.utcnow())


@pytest.fixture
def admin(cast: Cast, sign_in: SignIn) -> FlaskClient:
    client = sign_in(cast.root)
    client.post("/confirm", data={"password": "correct horse battery", "csrf_token": token_in(client, "/confirm")})
    return client


def set_up(client: FlaskClient, address: str, kind: str = "webhook", company: str = "Alder Dental") -> Any:
    return client.post(
        "/admin/channels/new",
        data={
            "csrf_token": token_in(client, "/admin/channels"),
            "kind": kind,
            "whose": "company",
            "company": company,
            "label": "Their monitoring",
            "address": address,
            "topics": ["incidents"],
            "language": "en",
        },
    )


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "①②⑦.0.0.1", "[::1]",
     "0.0.0.0"],  # noqa: S104 (that is what is refused)
)  # fmt: skip
def test_s01_this_machine_is_refused_at_save_and_at_send(host: str, admin: FlaskClient, settings: Settings) -> None:
    answer = set_up(admin, f"http://{host}/hook")
    assert answer.status_code == 422
    assert "Their monitoring" in answer.text, "what was typed is kept"
    assert db.session.scalar(select(ContactChannel.id)) is None
    outcome = ask(guard_of(settings), f"http://{host}/hook")
    assert (outcome.failure, outcome.code) == (Failure.SOFT, None)


def test_s02_a_name_that_leads_inside_is_refused_each_time_it_is_asked(settings: Settings, receiver: Receiver) -> None:
    """At send, by what the name leads to at that moment; what was checked is what is asked."""
    url = f"http://hooks.example.com:{receiver.port}/"
    for address in BAD_ADDRESSES:
        outcome = ask(guard_of(settings, receiver.port, lookup=leads_to(address)), url)
        assert outcome.failure is Failure.SOFT, address
        assert "not an address of the public internet" in outcome.text, address
    assert not receiver.requests


def test_internal_receivers_are_named_by_the_installation_alone(settings: Settings, receiver: Receiver) -> None:
    address = f"http://hooks.internal.test:{receiver.port}/hook"
    allowed = guard_of(settings, receiver.port, allows="127.0.0.0/8", lookup=lambda *_: [HERE])
    assert ask(allowed, address).failure is None
    assert ask(replace(allowed, settings=replace(allowed.settings, outside_allow=())), address).failure is Failure.SOFT
    assert len(receiver.requests) == 1
    with pytest.raises(ConfigError, match="PORTAL_OUTSIDE_ALLOW"):
        Settings.from_environment({"PORTAL_SECRET_KEY": "a1b2c3d4" * 8, "PORTAL_OUTSIDE_ALLOW": "everything"})
    with pytest.raises(ConfigError, match="PORTAL_OUTSIDE_PORTS"):
        Settings.from_environment({"PORTAL_SECRET_KEY": "a1b2c3d4" * 8, "PORTAL_OUTSIDE_PORTS": "0"})


@pytest.mark.parametrize("kind", [ChannelKind.WEBHOOK, ChannelKind.SMS])
def test_s04_s08_a_redirect_is_not_followed_and_tells_no_secret(
    kind: ChannelKind, settings: Settings, receiver: Receiver
) -> None:
    """Of our own requests and of Apprise's alike."""
    elsewhere = Receiver()
    try:
        receiver.default = Reply(302, headers={"Location": elsewhere.url("/stolen")})
        guard = guard_of(settings, receiver.port, allows="127.0.0.1")
        sms_url = f"smseagle://secrettoken@127.0.0.1:{receiver.port}?redirect=yes"
        guard = replace(guard, settings=replace(guard.settings, sms_url=sms_url))
        address = receiver.url() if kind is ChannelKind.WEBHOOK else "+491601234567"
        outcome = ask(guard, address, kind, secrets=[secret_text(b"k" * 32)])
        assert (outcome.failure, outcome.code) == (Failure.SOFT, 302)
        assert "not followed" in outcome.text
        assert len(receiver.requests) == 1
        assert not elsewhere.requests
    finally:
        elsewhere.close()


@pytest.mark.parametrize(
    "address",
    [
        "file:///etc/passwd", "ftp://example.com/", "gopher://example.com/", "dict://example.com/", "unix:///tmp/x",
        "http://example.com:25/", "http://example.com:6379/", "http://example.com:5432/", "http://example.com:22/",
        "http://a@127.0.0.1/", "http://evil#@127.0.0.1/", "http://example.com\\@127.0.0.1/", "http://exa\tmple.com/",
        "https://user:password@example.com/", "json://example.com/", "exec://ls", "",
    ],
)  # fmt: skip
def test_s05_other_schemes_and_ports_are_refused_at_save(address: str, admin: FlaskClient) -> None:
    assert set_up(admin, address).status_code == 422
    assert db.session.scalar(select(ContactChannel.id)) is None


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        (ChannelKind.SLACK, "https://hooks.slack.com.evil.test/services/T0/B0/c"),
        (ChannelKind.SLACK, "https://hooks.slack.com@127.0.0.1/services/T0/B0/c"),
        (ChannelKind.SLACK, "slack://T0/B0/c?template=/etc/passwd"),
        (ChannelKind.SLACK, SLACK + "?redirect=yes&template=/etc/passwd"),
        (ChannelKind.TEAMS, TEAMS.replace("logic.azure.com", "evil.test")),
        (ChannelKind.TEAMS, TEAMS.replace(":443", ":6379")),
        (ChannelKind.TEAMS, TEAMS.replace("https", "http", 1)),
        (ChannelKind.TEAMS, "workflows://127.0.0.1/a/b?template=/etc/passwd"),
        (ChannelKind.SMS, "syslog://"),
        (ChannelKind.SMS, "112"),
        (ChannelKind.SMS, "+49160123456789012345"),
    ],
)
def test_s05_apprise_is_given_no_address_that_somebody_typed(
    kind: ChannelKind, address: str, settings: Settings
) -> None:
    with pytest.raises(AddressError):
        gateway.check_address(kind, address, replace(settings, sms_url="twilio://x"))


@pytest.mark.parametrize("scheme", ["file", "exec", "syslog", "dbus", "mailto", "json", "xml", "apprise", "windows"])
def test_s05_the_gateway_of_texts_is_one_for_texts(scheme: str) -> None:
    assert scheme not in SMS_GATEWAYS
    with pytest.raises(ConfigError, match="PORTAL_SMS_URL"):
        Settings.from_environment({"PORTAL_SECRET_KEY": "a1b2c3d4" * 8, "PORTAL_SMS_URL": f"{scheme}://x"})


def test_every_way_of_apprise_asks_through_the_guard() -> None:
    """Each plugin that is used finds the guarded sender where it looks for requests, and nothing beside it."""
    for scheme in (*SMS_GATEWAYS, "slack", "workflows"):
        plugin = gateway.plugin_class(scheme)
        module = __import__(plugin.__module__, fromlist=["requests"])
        assert isinstance(module.requests, gateway._Transport), scheme
        with pytest.raises(AttributeError, match="not guarded"):
            _session = module.requests.Session


Tls = Callable[[str], tuple[Receiver, list[tuple[str, int]]]]


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tls]:
    """A receiver under the name of somebody else, trusted here, at which connections to anywhere end, as a firewall
    could have it; and the places that were asked for. The environment names a proxy and a password."""
    receivers: list[Receiver] = []
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("HOME", str(tmp_path))
    connect = socket.create_connection

    def called(host: str) -> tuple[Receiver, list[tuple[str, int]]]:
        (tmp_path / ".netrc").write_text(f"machine {host} login a password b")
        receiver = Receiver(authority.context_for(host))
        receivers.append(receiver)
        asked_for: list[tuple[str, int]] = []

        def detoured(place: tuple[str, int], *arguments: Any, **options: Any) -> socket.socket:
            asked_for.append(place)
            return connect(("127.0.0.1", receiver.port), *arguments, **options)

        monkeypatch.setattr("portal.outside.socket.create_connection", detoured)
        return receiver, asked_for

    yield called
    for each in receivers:
        each.close()


@pytest.mark.parametrize(
    ("kind", "address", "reply"),
    [(ChannelKind.SLACK, SLACK, Reply(body=b"ok")), (ChannelKind.TEAMS, TEAMS, Reply(202, b""))],
)
def test_slack_and_teams_are_asked_as_they_want_to_be_and_nothing_of_the_environment_is_used(
    tls: Tls, kind: ChannelKind, address: str, reply: Reply, settings: Settings
) -> None:
    """Over TLS in their name, without proxy, stored password or switched-off check; the text arrives as it was."""
    host = urlsplit(address).hostname or ""
    receiver, asked_for = tls(host)
    receiver.default = reply
    guard = guard_of(settings, lookup=leads_to("93.184.216.34"))
    text = "Calls fail <!channel> <@U1> <at>all</at> *now* [x](http://evil.test)"
    outcome = ask(guard, address, kind, text)
    assert outcome.failure is None, outcome
    assert asked_for == [("93.184.216.34", 443)]
    request = receiver.wait_for(1)[0]
    assert request.headers["host"] == host
    assert "authorization" not in request.headers
    sent = json.loads(request.body)
    if kind is ChannelKind.SLACK:
        assert request.path == address.removeprefix("https://hooks.slack.com")
        assert literal_for_slack(text) in json.dumps(sent, ensure_ascii=False)
        assert "<!channel>" not in request.body.decode()
    else:
        assert request.path.startswith("/workflows/" + "a" * 32)
        card = sent["attachments"][0]["content"]
        assert [part["text"] for part in card["body"]] == [literal_for_teams(text)]
        assert "entities" not in card["msteams"]


def test_slack_that_took_its_address_back_is_over_and_no_key_is_logged(
    tls: Tls, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    receiver, _asked_for = tls("hooks.slack.com")
    receiver.default = Reply(404, b"no_service")
    guard = guard_of(settings, lookup=leads_to("93.184.216.34"))
    with caplog.at_level("DEBUG"):
        outcome = ask(guard, SLACK, ChannelKind.SLACK)
    assert (outcome.failure, outcome.is_over, outcome.text) == (Failure.HARD, True, "no_service")
    assert "c" * 24 not in caplog.text


def test_w01_one_id_for_every_try_and_an_entry_for_each(settings: Settings, receiver: Receiver) -> None:
    """The schedule itself is walked in tests/notifications/channels; here is what each answer means."""
    guard = guard_of(settings, receiver.port, allows="127.0.0.1")
    found = {}
    for status in (200, 204, 302, 400, 404, 410, 429, 500, 503):
        receiver.default = Reply(status, b"" if status == 204 else b"said")
        outcome = ask(guard, receiver.url())
        found[status] = (outcome.failure, outcome.is_over)
    again = (Failure.SOFT, False)
    assert found == {
        200: (None, False), 204: (None, False), 302: again, 400: again, 404: again, 410: (Failure.HARD, True),
        429: again, 500: again, 503: again,
    }  # fmt: skip
    assert {each.headers["webhook-id"] for each in receiver.requests} == {"msg_1"}
    assert all("set-cookie" not in each.headers and "authorization" not in each.headers for each in receiver.requests)


def test_w02_signatures_verify_with_the_published_vector() -> None:
    """The example of the Standard Webhooks specification and of its reference libraries."""
    body = b'{"test": 2432232314}'
    signed = signature_header(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body
    )
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    other = signature_header(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265331, body
    )
    assert other != signed, "a replay under another time does not verify"


def verifies(request: Request, secret: str) -> bool:
    """Whether a receiver that knows this secret takes the request: over the exact bytes, by the standard's names."""
    signed = signature_header(
        [secret], request.headers["webhook-id"], int(request.headers["webhook-timestamp"]), request.body
    )
    return signed in request.headers["webhook-signature"].split(" ")


def test_w02_two_secrets_sign_while_one_is_changed_and_each_is_shown_once(
    app: Flask, cast: Cast, admin: FlaskClient, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: Settings = app.config["SETTINGS"]
    guard = guard_of(settings, receiver.port, allows="127.0.0.1")
    monkeypatch.setitem(app.config, "SETTINGS", guard.settings)
    answer = set_up(admin, receiver.url())
    first = answer.text.split('id="channel-secret" tabindex="0">', 1)[1].split("<", 1)[0]
    assert answer.headers["Cache-Control"] == "no-store"
    channel_id = db.session.scalars(select(ContactChannel.id)).one()
    page = f"/admin/channels/{channel_id}"

    def channel() -> ContactChannel:
        return db.session.get_one(ContactChannel, channel_id, populate_existing=True)

    def test() -> Request:
        seen = len(receiver.requests)
        shown = admin.post(f"{page}/test", data={"csrf_token": token_in(admin, "/admin/channels")})
        assert "The test arrived" in shown.text
        return receiver.wait_for(seen + 1)[-1]

    assert verifies(test(), first)
    second = renew_secret(channel(), version=channel().version, by=SYSTEM, now=clock.utcnow())
    events.commit()
    both = test()
    assert verifies(both, first)
    assert verifies(both, second)
    end_old_secret(channel(), version=channel().version, by=SYSTEM, now=clock.utcnow())
    events.commit()
    alone = test()
    assert verifies(alone, second)
    assert not verifies(alone, first)
    shown = "".join(admin.get(each).text for each in (page, "/admin/channels", "/admin/audit"))
    stored = json.dumps([[entry.before, entry.after] for entry in db.session.scalars(select(AuditEntry))])
    for secret in (first, second, receiver.url()):
        assert secret not in shown
        assert secret not in stored
        assert secret.removeprefix("whsec_") not in f"{channel().address} {channel().secret}"
    assert sealing.unseal(channel().address, ADDRESS) == receiver.url()


def test_the_answer_of_a_receiver_is_shown_short_and_escaped(
    app: Flask, admin: FlaskClient, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = guard_of(app.config["SETTINGS"], receiver.port, allows="127.0.0.1")
    monkeypatch.setitem(app.config, "SETTINGS", guard.settings)
    set_up(admin, receiver.url())
    channel_id = db.session.scalars(select(ContactChannel.id)).one()
    receiver.default = Reply(500, b"<script>alert(1)</script>\x00\r\n" + b"x" * 100_000)
    answer = admin.post(f"/admin/channels/{channel_id}/test", data={"csrf_token": token_in(admin, "/admin/channels")})
    assert "The test was refused" in answer.text
    assert "<script>alert(1)" not in answer.text
    assert "&lt;script&gt;alert(1)" in answer.text
    assert "x" * 300 not in answer.text


def test_a_text_is_refused_where_there_is_no_gateway(admin: FlaskClient) -> None:
    answer = set_up(admin, "+49 160 1234567", "sms")
    assert answer.status_code == 422
    assert "PORTAL_SMS_URL" in answer.text
    assert db.session.scalar(select(ContactChannel.id)) is None


def test_one_address_is_stored_once_for_one_owner(cast: Cast, app: Flask) -> None:
    def add(company_id: int) -> None:
        add_channel(
            ChannelKind.WEBHOOK, "Hook", "https://hooks.example.com/a", ["incidents"], company_id=company_id,
            by=SYSTEM, now=clock.utcnow(),
        )  # fmt: skip

    add(cast.a.id)
    with pytest.raises(RuleViolation, match="there already"):
        add(cast.a.id)
    add(cast.b.id)


@pytest.fixture
def world(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> World:
    make_known(monkeypatch, {1: cast.a.id, 2: cast.b.id})
    return plant(cast)


def told(channel_id: int) -> list[Delivery]:
    db.session.expire_all()
    statement = select(Delivery).options(joinedload(Delivery.broadcast))
    return list(db.session.scalars(statement.where(Delivery.contact_channel_id == channel_id).order_by(Delivery.id)))


def test_w03_a_channel_is_told_what_its_company_may_see_and_nothing_private(world: World) -> None:
    """Of a public report that hits company A: its channel hears; private updates and reports are told to nobody."""
    a, now = world.ids["channel"], clock.utcnow()
    b = add_channel(
        ChannelKind.WEBHOOK, "Hook of B", "https://hooks.example.com/b", ["incidents"], company_id=world.cast.b.id,
        by=SYSTEM, now=now,
    )[0].id  # fmt: skip
    events.commit()
    before = len(told(a))

    def publish(title: str, visibility: Visibility, key: str) -> Any:
        return incidents.publish(
            title,
            State.INVESTIGATING,
            f"Body of {title}",
            {world.ids["north"]: Severity.MAJOR_OUTAGE},
            visibility=visibility,
            audience=Audience.AFFECTED,
            mail_affected_only=True,
            by=SYSTEM,
            author_id=None,
            now=now,
            idempotency_key=key,
        )

    publish("Secret works", Visibility.PRIVATE, "private")
    events.commit()
    assert len(told(a)) == before
    report = publish("North ring is down", Visibility.PUBLIC, "public")
    events.commit()
    assert len(told(a)) == before + 1
    assert not told(b), "it does not hit B, and is for the affected"
    message = told(a)[-1]
    body = gateway.webhook_body(message.values["event"], message.values["data"], now).decode()
    sent = json.loads(body)
    assert sent["type"] == "incident.investigating"
    assert sent["data"]["incident"]["title"] == "North ring is down"
    assert sent["data"]["incident"]["id"] == report.public_id
    assert sent["data"]["components"][0]["severity"] == "major_outage"
    assert sent["data"]["is_affected"] is True
    assert sent["data"]["url"] == f"http://a.portal.test/incidents/{report.public_id}"
    incidents.post_update(
        report,
        None,
        "Secret note",
        {},
        visibility=Visibility.PRIVATE,
        version=report.version,
        by=SYSTEM,
        author_id=None,
        now=now + timedelta(minutes=1),
    )
    events.commit()
    assert len(told(a)) == before + 1
    everything = "".join(
        gateway.webhook_body(each.values["event"], each.values["data"], now).decode()
        + fill("".join(each.broadcast.content[each.wording].values()), each.values["values"])
        for each in told(a)
    )
    assert "Secret" not in everything
    assert not world_canaries_of_others(everything)


def world_canaries_of_others(text: str) -> list[str]:
    """Canaries in it that are not for company A."""
    return [each for each in re.findall(r"CANARY[a-z]+?QX", text) if not each.startswith("CANARYa")]
