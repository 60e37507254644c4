"""The screens of relays: the list and its order, the form, one relay, and the test mail."""

import re
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from portal import clock
from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.config import Settings
from portal.extensions import db
from portal.notifications import relays
from portal.notifications.actions.relays import Address, Load, add_relay
from portal.notifications.models import Broadcast, Relay
from portal.notifications.profiles import Profile, Security
from portal.notifications.rules import Failure, RelayState
from tests.conftest import Cast, SignIn, counted_queries, token_in
from tests.notifications.outbox import queue
from tests.support.smtp_sink import At, SmtpSink, Step

LIST = "/admin/relays"
TYPED = {
    "name": "Office mailbox",
    "host": "smtp.office365.com",
    "security": "starttls",
    "port": "",
    "username": "status@x.test",
    "password": "correct-horse",
    "sender": "",
    "profile": "microsoft_365",
    "per_minute": "",
    "per_day": "",
    "connections": "",
}


@pytest.fixture
def client(sign_in: SignIn, cast: Cast, settings: Settings) -> FlaskClient:
    relays.prepare_relays(settings)
    db.session.commit()
    return sign_in(cast.root)


def add(name: str = "second", host: str = "127.0.0.1", port: int = 1, **load: Any) -> Relay:
    address = Address(host, port, Security.NONE)
    relay = add_relay(name, address, Load(**load), by=SYSTEM, now=clock.utcnow())
    db.session.commit()
    return relay


def text_of(client: FlaskClient, path: str) -> str:
    page = client.get(path).get_data(as_text=True)
    return " ".join(re.sub(r"<[^>]+>", " ", page.split("<main", 1)[-1]).split())


def post(client: FlaskClient, path: str, **data: object) -> int:
    status = client.post(path, data={"csrf_token": token_in(client, LIST), **data}).status_code
    db.session.expire_all()
    return status


def test_a_relay_is_added_shown_and_changed(client: FlaskClient) -> None:
    assert post(client, f"{LIST}/new", **TYPED) == 303
    relay = db.session.scalars(select(Relay).where(Relay.name == "Office mailbox")).one()
    assert (relay.port, relay.per_minute, relay.per_day) == (587, 30, 10_000)
    page = text_of(client, f"{LIST}/{relay.id}")
    assert "smtp.office365.com:587, STARTTLS, as status@x.test" in page
    assert "30 a minute, 10,000 a day" in page
    edit = {**TYPED, "password": "", "per_day": "4000", "version": relay.version, "port": "587"}
    assert post(client, f"{LIST}/{relay.id}/edit", **edit) == 303
    assert relay.per_day == 4000
    assert post(client, f"{LIST}/{relay.id}/edit", **edit) == 409
    form = client.get(f"{LIST}/{relay.id}/edit").get_data(as_text=True)
    assert 'value="4000"' in form
    assert "correct-horse" not in form


def test_what_is_wrong_stands_beside_its_field_and_the_rest_is_kept(client: FlaskClient) -> None:
    answer = client.post(
        f"{LIST}/new",
        data={"csrf_token": token_in(client, LIST), **TYPED, "host": "smtp.x\nSECRET_KEY=pwn", "port": "99999999999"},
    )
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert 'value="Office mailbox"' in page
    assert "Enter a whole number." in page
    assert "correct-horse" not in page


def test_the_relay_of_the_settings_offers_its_profile_alone(client: FlaskClient) -> None:
    relay = db.session.scalars(select(Relay)).one()
    form = client.get(f"{LIST}/{relay.id}/edit").get_data(as_text=True)
    assert 'name="host"' not in form
    assert 'name="profile"' in form
    typed = {"profile": "google_workspace", "version": relay.version, "host": "evil.test", "name": "evil"}
    assert post(client, f"{LIST}/{relay.id}/edit", **typed) == 303
    assert (relay.host, relay.name, relay.per_day) == (None, "default", 2_000)
    assert "PORTAL_SMTP_URL" in text_of(client, f"{LIST}/{relay.id}")


def test_the_order_is_changed_by_a_step_and_by_a_whole_list(client: FlaskClient) -> None:
    second = add()
    first = db.session.scalars(select(Relay).where(Relay.host.is_(None))).one()

    def version() -> str:
        return client.get(LIST).get_data(as_text=True).split('data-version="', 1)[1].split('"', 1)[0]

    old = version()
    assert post(client, f"{LIST}/order", version=old, move=f"{second.id}:up") == 303
    assert text_of(client, LIST).index("second") < text_of(client, LIST).index("default")
    assert post(client, f"{LIST}/order", version=old, move=f"{second.id}:up") == 409
    assert post(client, f"{LIST}/order", version=version(), order=f"{first.id},{second.id}") == 303
    assert text_of(client, LIST).index("default") < text_of(client, LIST).index("second")
    assert post(client, f"{LIST}/order", version=version(), order="1,x,²") == 409
    assert post(client, f"{LIST}/order") == 422


def test_a_relay_says_how_it_fares(client: FlaskClient) -> None:
    relay, now = add(profile=Profile.GOOGLE_WORKSPACE), clock.utcnow()
    connection = db.session.connection()
    relays.count_use(connection, relay_id=relay.id, now=now, use={"offered": 100, "taken": 90, "refused": 10})
    relays.rest_relay(relay.id, Failure.RELAY, "421 4.3.2 <b>down</b>", now)
    db.session.commit()
    page = text_of(client, f"{LIST}/{relay.id}")
    for part in ("Resting", "tried again", "90 in the last minute", "90.0%", "1,900 of 2,000", "421 4.3.2"):
        assert part in page
    assert "<b>down</b>" not in client.get(f"{LIST}/{relay.id}").get_data(as_text=True)
    assert post(client, f"{LIST}/{relay.id}/mend") == 303
    assert relay.state is RelayState.UP
    assert "Takes mails" in text_of(client, f"{LIST}/{relay.id}")


def test_the_list_says_until_when_mails_wait(client: FlaskClient) -> None:
    relay, now = db.session.scalars(select(Relay)).one(), clock.utcnow()
    queue("incident:1", 3, now=now)
    db.session.commit()
    assert "wait" not in text_of(client, LIST)
    relays.rest_relay(relay.id, Failure.RELAY, "421 later", now)
    db.session.commit()
    assert "3 mails wait: no relay has room until" in text_of(client, LIST)
    relays.rest_relay(relay.id, Failure.CONFIGURATION, "535 no", now + timedelta(hours=1))
    db.session.commit()
    assert "No relay takes mails now. 3 mails wait; none is lost." in text_of(client, LIST)
    broadcast = db.session.scalars(select(Broadcast)).one()
    assert "waiting for a relay" in text_of(client, f"/admin/broadcasts/{broadcast.id}")


def test_switching_off_and_removing_say_what_they_touch(client: FlaskClient) -> None:
    relay = add()
    assert "go to default" in text_of(client, f"{LIST}/{relay.id}")
    assert post(client, f"{LIST}/{relay.id}/off", version=relay.version) == 303
    assert relay.switched_off_at is not None
    assert "Switched off" in text_of(client, LIST)
    assert post(client, f"{LIST}/{relay.id}/on", version=relay.version - 1) == 409
    assert post(client, f"{LIST}/{relay.id}/on", version=relay.version) == 303
    assert post(client, f"{LIST}/{relay.id}/remove", version=relay.version) == 303
    assert client.get(f"{LIST}/{relay.id}").status_code == 404
    assert "second" not in text_of(client, LIST)


def test_the_list_costs_the_same_for_many_relays(client: FlaskClient) -> None:
    add("first", host="one.test")
    with counted_queries() as few:
        client.get(LIST)
    for number in range(10):
        add(f"relay {number}", host=f"{number}.test")
    with counted_queries() as many:
        client.get(LIST)
    assert len(many) == len(few)


# --- the test mail ----------------------------------------------------------------------------------------------------


def test_a_test_mail_goes_to_oneself_through_exactly_this_relay(
    client: FlaskClient, cast: Cast, smtp_sink: SmtpSink
) -> None:
    relay = add(port=smtp_sink.port, profile=Profile.GOOGLE_WORKSPACE)
    relays.rest_relay(relay.id, Failure.CONFIGURATION, "535 no", clock.utcnow())
    db.session.commit()
    assert post(client, f"{LIST}/{relay.id}/test", to="all@x.test", recipient="all@x.test") == 303
    (mail,) = smtp_sink.received
    assert mail.recipients == (cast.root.email,)
    assert str(mail.headers["Subject"]) == "Test mail through the relay second"
    page = text_of(client, f"{LIST}/{relay.id}")
    for part in (
        "The mail was taken.",
        "Connected to 127.0.0.1",
        "Not encrypted, as it is set up.",
        "250 2.0.0 Queued",
    ):
        assert part in page
    # It took a mail, so it is trusted again; the mail counts in its budget, and belongs to no broadcast.
    assert relay.state is RelayState.UP
    assert "1,999 of 2,000" in page
    assert db.session.scalars(select(Broadcast)).all() == []
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "relay.test")).one()
    assert entry.actor_id == cast.root.id
    assert entry.after is not None
    assert (entry.after["taken"], entry.after["to"]) == (True, cast.root.email)
    assert "sent a test mail through relay second" in text_of(client, "/admin/audit")


def test_a_test_mail_that_is_refused_says_what_to_change(client: FlaskClient, smtp_sink: SmtpSink) -> None:
    smtp_sink.script("*", Step(At.MAIL, reply="550 5.7.60 <i>SendAsDenied</i>"))
    relay = add(port=smtp_sink.port)
    assert post(client, f"{LIST}/{relay.id}/test") == 303
    page = client.get(f"{LIST}/{relay.id}").get_data(as_text=True)
    assert "The mail was not taken." in page
    assert "Enter a sender address" in page
    assert "&lt;i&gt;SendAsDenied" in page
    assert relay.state is RelayState.UP


def test_no_test_is_made_where_there_is_no_room(client: FlaskClient, smtp_sink: SmtpSink) -> None:
    relay = add(port=smtp_sink.port, profile=Profile.CUSTOM, per_day=1)
    assert post(client, f"{LIST}/{relay.id}/test") == 303
    assert post(client, f"{LIST}/{relay.id}/test") == 303
    assert len(smtp_sink.received) == 1
    assert "It was given as many mails as it takes." in text_of(client, f"{LIST}/{relay.id}")
