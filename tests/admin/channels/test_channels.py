"""Setting channels up, changing, mending and removing them: the screens of `/admin/channels`."""

from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

from portal import clock, events, sealing
from portal.accounts.models import Session
from portal.audit.rules import SYSTEM
from portal.catalogue.notices import actions as notices
from portal.catalogue.notices.rules import Chosen
from portal.extensions import db
from portal.notifications.channels.actions import add_channel
from portal.notifications.channels.alarms import tell_staff
from portal.notifications.channels.rules import ChannelKind, ChannelState
from portal.notifications.channels.sealed import ADDRESS
from portal.notifications.models import ContactChannel, Delivery
from portal.notifications.rules import DeliveryState
from tests.conftest import PASSWORD, Cast, SignIn, token_in

URL = "https://hooks.example.com/incoming/abcdef"


@pytest.fixture
def admin(cast: Cast, sign_in: SignIn) -> FlaskClient:
    client = sign_in(cast.root)
    client.post("/confirm", data={"password": PASSWORD, "csrf_token": token_in(client, "/confirm")})
    return client


def post(client: FlaskClient, path: str, **values: object) -> tuple[int, str]:
    answer = client.post(path, data={"csrf_token": token_in(client, "/admin/channels"), **values})
    return answer.status_code, answer.text


def set_up(client: FlaskClient, **values: object) -> tuple[int, str]:
    wanted = {
        "kind": "webhook", "whose": "company", "company": "Alder Dental", "label": "Their NOC", "address": URL,
        "topics": ["incidents"], "language": "de", **values,
    }  # fmt: skip
    return post(client, "/admin/channels/new", **wanted)


def stored() -> ContactChannel:
    db.session.expire_all()
    return db.session.scalars(select(ContactChannel)).one()


def test_a_new_channel_stands_in_the_list_on_its_page_and_with_its_company(admin: FlaskClient, cast: Cast) -> None:
    status, page = set_up(admin)
    assert status == 200
    assert "whsec_" in page
    channel = stored()
    assert (channel.company_id, channel.language, channel.topics) == (cast.a.id, "de", ["incidents"])
    for path in ("/admin/channels", f"/admin/channels/{channel.id}", f"/admin/companies/{cast.a.id}"):
        shown = admin.get(path).text
        assert "Their NOC" in shown
        assert "https://hooks.example.com/…" in shown
        assert "abcdef" not in shown
    assert "Their NOC" in admin.get("/admin/channels?q=alder").text
    assert "Their NOC" not in admin.get("/admin/channels?q=birch").text
    assert admin.get("/admin/channels?page=2").status_code == 404
    assert admin.head(f"/admin/channels/{channel.id}").status_code == 200


def test_one_of_the_staff_hears_alarms_and_nothing_of_customers(admin: FlaskClient) -> None:
    set_up(admin, whose="staff", company="", topics=[])
    channel = stored()
    assert (channel.company_id, channel.person_id, channel.topics) == (None, None, ["alarms"])
    tell_staff("late", "Mails are late", "The oldest waits.", now=clock.utcnow(), by_mail=False)
    tell_staff("late", "Mails are late", "The oldest waits.", now=clock.utcnow(), by_mail=False)
    events.commit()
    told = db.session.scalars(select(Delivery)).one()
    assert (told.contact_channel_id, told.state, told.values["data"]["title"]) == (
        channel.id, DeliveryState.PENDING, "Mails are late",
    )  # fmt: skip
    assert told.values["link"] == "http://admin.portal.test/admin/"
    assert "Mails are late" in admin.get(f"/admin/channels/{channel.id}").text


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"company": "Nobody & Sons"}, "There is no company of this name."),
        ({"company": ""}, "Say which company."),
        ({"topics": []}, "Choose what it hears of."),
        ({"label": " "}, "Give it a name"),
        ({"kind": "fax"}, "Choose one of them."),
        ({"kind": "slack"}, "Paste the webhook URL that Slack shows"),
        ({"kind": "teams"}, "Paste the URL that Teams shows"),
    ],
)
def test_what_cannot_be_is_said_beside_its_field(admin: FlaskClient, wrong: dict[str, object], said: str) -> None:
    status, page = set_up(admin, **wrong)
    assert status == 422
    assert said in page
    assert URL in page, "what was typed is kept"
    assert db.session.scalar(select(ContactChannel.id)) is None


def test_a_change_keeps_the_address_unless_a_new_one_is_given(admin: FlaskClient) -> None:
    set_up(admin)
    channel = stored()
    path, version = f"/admin/channels/{channel.id}", channel.version
    values = {"label": "Their desk", "topics": ["incidents"], "language": "en"}
    assert post(admin, path, version=version, address="", **values)[0] in {302, 303}
    channel = stored()
    assert (channel.label, sealing.unseal(channel.address, ADDRESS)) == ("Their desk", URL)
    assert post(admin, path, version=version, address="", **values)[0] == 409
    status, page = post(admin, path, version=channel.version, address="http://10.0.0.1/", **values)
    assert status == 422
    assert "not an address of the public internet" in page
    channel.state, channel.failures, channel.reason = ChannelState.DISABLED, 8, "gone"
    channel.failing_since = clock.utcnow() - timedelta(hours=30)
    db.session.commit()
    assert "It was given up" in admin.get(path).text
    assert post(admin, path, version=stored().version, address=f"{URL}2", **values)[0] in {302, 303}
    channel = stored()
    assert (channel.state, channel.failures, sealing.unseal(channel.address, ADDRESS)) == (
        ChannelState.WORKING, 0, f"{URL}2",
    )  # fmt: skip


def test_a_removed_channel_is_gone_and_the_trail_knows_its_name(admin: FlaskClient) -> None:
    set_up(admin)
    channel = stored()
    path = f"/admin/channels/{channel.id}"
    assert post(admin, f"{path}/remove", version=channel.version + 1)[0] == 409
    assert post(admin, f"{path}/remove", version=channel.version)[0] in {302, 303}
    assert admin.get(path).status_code == 404
    assert "removed channel Their NOC" in admin.get("/admin/audit").text


def test_only_webhooks_are_signed(admin: FlaskClient, cast: Cast) -> None:
    channel = add_channel(
        ChannelKind.SLACK, "Room", "https://hooks.slack.com/services/T0/B0/" + "c" * 24, ["incidents"],
        company_id=cast.a.id, by=SYSTEM, now=clock.utcnow(),
    )[0]  # fmt: skip
    events.commit()
    path = f"/admin/channels/{channel.id}"
    assert 'id="signing"' not in admin.get(path).text
    assert post(admin, f"{path}/secret", version=stored().version)[0] == 422
    assert post(admin, f"{path}/end-old-secret", version=stored().version)[0] == 422


def test_the_password_is_asked_for_before_a_channel_is_set_up(cast: Cast, sign_in: SignIn) -> None:
    client = sign_in(cast.root)
    db.session.execute(update(Session).values(confirmed_at=clock.utcnow() - timedelta(hours=1)))
    db.session.commit()
    answer = client.get("/admin/channels/new")
    assert answer.status_code == 302
    assert "/confirm" in answer.headers["Location"]


def test_a_notice_by_hand_is_told_to_the_channels_of_the_chosen_in_their_language(
    admin: FlaskClient, cast: Cast
) -> None:
    set_up(admin, topics=["notices"])
    wordings = {
        "en": {"subject": "New numbers", "body": "Call us under **123**."},
        "de": {"subject": "Neue Nummern", "body": "Sie erreichen uns unter **123**."},
    }
    now = clock.utcnow()
    notices.send_at_once(wordings, Chosen.of(companies=[cast.b.id]), by=SYSTEM, now=now)
    assert not db.session.scalars(select(Delivery).where(Delivery.channel == "webhook")).all()
    broadcast = notices.send_at_once(wordings, Chosen.of(companies=[cast.a.id]), by=SYSTEM, now=now)
    events.commit()
    told = db.session.scalars(select(Delivery).where(Delivery.channel == "webhook")).one()
    assert (told.broadcast_id, told.wording, told.values["event"]) == (broadcast.id, "de", "notice")
    assert broadcast.content[told.wording]["post"] == "Neue Nummern\n\nSie erreichen uns unter 123."
    assert told.values["link"] == "http://a.portal.test/"
