"""What a webhook of a subscriber was told, as staff see it, and sending one of its messages again."""

from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask.testing import FlaskClient
from sqlalchemy import select

from portal.audit.models import AuditEntry
from portal.audit.rules import SYSTEM
from portal.domains.models import PortalDomain
from portal.extensions import db
from portal.incidents import actions as incidents
from portal.incidents.rules import Audience, State, Visibility
from portal.notifications.channels.rules import ChannelState
from portal.notifications.leases import note_attempt
from portal.notifications.models import ContactChannel, Delivery
from portal.notifications.rules import DeliveryState, Failure
from portal.notifications.subscribers import actions
from portal.notifications.subscribers.models import Subscriber
from portal.notifications.subscribers.rules import SubscriberKind
from tests.admin.subscribers.test_subscribers import LIST, domain, subscribed
from tests.conftest import NOW, Cast, SignIn, counted_queries, token_in

__all__ = ["domain"]


@pytest.fixture
def room(domain: PortalDomain) -> Subscriber:
    made, _secret = actions.add_room(
        domain.id,
        SubscriberKind.WEBHOOK,
        "https://hooks.reader.test/in",
        ["incidents"],
        language="en",
        consent="",
        by=SYSTEM,
        now=NOW,
    )
    db.session.commit()
    return made


def publish(number: int) -> Delivery:
    """An incident the room was told of, after a try that was refused."""
    incidents.publish(
        title=f"Calls fail {number} <b>",
        state=State.INVESTIGATING,
        body="We look into it.",
        severities={},
        visibility=Visibility.PUBLIC,
        audience=Audience.EVERYONE,
        notify=True,
        mail_affected_only=False,
        by=SYSTEM,
        author_id=None,
        now=NOW,
        idempotency_key=f"k{number}",
    )
    told = db.session.scalars(
        select(Delivery).where(Delivery.contact_channel_id.is_not(None)).order_by(Delivery.id.desc()).limit(1)
    ).one()
    note_attempt(told, Failure.SOFT, 503, f"busy <i> {number}", worker="w", since=NOW, now=NOW)
    told.state, told.finished_at, told.attempts, told.code, told.answer = DeliveryState.SENT, NOW, 2, 202, "taken"
    db.session.commit()
    return told


def texts(client: FlaskClient, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return " ".join(BeautifulSoup(answer.text, "html.parser").get_text(" ").split())


def again(client: FlaskClient, room: Subscriber, delivery_id: int, **fields: Any) -> tuple[int, str]:
    form = {"csrf_token": token_in(client, f"{LIST}/new"), "version": str(room.version)} | fields
    answer = client.post(f"{LIST}/{room.id}/deliveries/{delivery_id}/replay", data=form)
    return answer.status_code, answer.text


def test_every_message_stands_there_with_its_tries_and_answers(sign_in: SignIn, cast: Cast, room: Subscriber) -> None:
    client, path = sign_in(cast.ada), f"{LIST}/{room.id}"
    assert "Nothing yet" in texts(client, path)
    assert f'href="{path}"' in client.get(LIST).text
    publish(1)
    text = texts(client, path)
    for said in ("Calls fail 1 <b>", "Sent", "202 taken", "503 busy <i> 1", "Send again", "same webhook-id"):
        assert said in text, said
    with counted_queries() as few:
        client.get(path)
    for number in range(2, 30):
        publish(number)
    with counted_queries() as many:
        text = texts(client, path)
    assert len(few) == len(many)
    assert text.count("202 taken") == 20
    assert "Calls fail 29" in text
    assert "Calls fail 9 " not in text


def test_only_who_may_change_subscribers_sends_again_once(sign_in: SignIn, cast: Cast, room: Subscriber) -> None:
    delivery_id = publish(1).id
    olaf, ada = sign_in(cast.olaf), sign_in(cast.ada)
    assert "Send again" not in olaf.get(f"{LIST}/{room.id}").text
    assert (
        olaf.post(
            f"{LIST}/{room.id}/deliveries/{delivery_id}/replay", data={"csrf_token": token_in(olaf, LIST)}
        ).status_code
        == 403
    )
    assert again(ada, room, delivery_id)[0] == 303
    status, text = again(ada, room, delivery_id)
    assert status == 422
    assert "on its way already" in text
    assert "Calls fail 1" in text
    assert db.session.get_one(Delivery, delivery_id, populate_existing=True).state is DeliveryState.PENDING
    lines = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "delivery.replay")).all()
    assert [(each.object_kind, each.object_id) for each in lines] == [("delivery", delivery_id)]
    assert again(ada, room, delivery_id, version="x")[0] == 422
    assert "once more" in texts(sign_in(cast.root), "/admin/audit")


def test_what_is_not_its_own_is_not_there(sign_in: SignIn, cast: Cast, room: Subscriber, domain: PortalDomain) -> None:
    rita, told = subscribed(domain), publish(1)
    client = sign_in(cast.ada)
    assert client.get(f"{LIST}/{rita.id}").status_code == 404
    assert client.get(f"{LIST}/999999").status_code == 404
    assert again(client, room, told.id + 999)[0] == 404
    assert again(client, rita, told.id)[0] == 404


def test_one_that_rests_is_reactivated_first(sign_in: SignIn, cast: Cast, room: Subscriber) -> None:
    told, client = publish(1), sign_in(cast.ada)
    actions.quarantine(room, why="Gone", version=room.version, by=SYSTEM, now=NOW)
    channel = db.session.get_one(ContactChannel, room.contact_channel_id)
    channel.state = ChannelState.DISABLED
    db.session.commit()
    assert "Send again" not in client.get(f"{LIST}/{room.id}").text
    status, text = again(client, room, told.id)
    assert status == 422
    assert "Reactivate it first" in text
