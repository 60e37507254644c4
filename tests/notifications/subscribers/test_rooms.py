"""Subscribers beside mail: a webhook is asked first, told what everybody may read, signed, and rests when gone."""

import json
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from portal import events
from portal.audit.rules import Actor
from portal.domains import actions as domains
from portal.domains.rules import Area
from portal.errors import RuleViolation
from portal.extensions import db
from portal.incidents import actions as incidents
from portal.incidents.rules import Audience, State, Visibility
from portal.notifications.channels.rules import signature_header
from portal.notifications.models import ContactChannel, Delivery
from portal.notifications.rules import DeliveryState
from portal.notifications.subscribers import actions, rooms
from portal.notifications.subscribers.models import Subscriber
from portal.notifications.subscribers.rules import SubscriberKind, SubscriberState
from tests.notifications.channels.conftest import environment, lane, receiver
from tests.notifications.channels.lane import Lane
from tests.support.receiver import Reply

__all__ = ["environment", "lane", "receiver"]

BY = Actor("test")


@pytest.fixture
def domain_id(lane: Lane) -> int:
    made = domains.add_domain("http://status.portal.test", "Acme", areas=[Area.PUBLIC_STATUS], by=BY, now=lane.now())
    found = made.id
    events.commit()
    return found


def publish(now: datetime, audience: Audience = Audience.EVERYONE) -> None:
    incidents.publish(
        title="Calls fail",
        state=State.INVESTIGATING,
        body="We look into it.",
        severities={},
        visibility=Visibility.PUBLIC,
        audience=audience,
        notify=True,
        mail_affected_only=False,
        by=BY,
        author_id=None,
        now=now,
        idempotency_key=f"k{now.isoformat()}{audience}",
    )
    events.commit()


def signed_up(lane: Lane, domain_id: int) -> tuple[str, str]:
    """A webhook that has signed up and confirmed: the key of its subscriber, and its secret."""
    found = actions.sign_up_room(
        domain_id, SubscriberKind.WEBHOOK, lane.receiver.url(), ["incidents"], language="en", by=BY, now=lane.now()
    )
    parcel = rooms.challenge(found, lane.now())
    assert parcel is not None
    key = found.key
    events.commit()
    rooms.ask(parcel, lane.now())
    actions.confirm(found, by=BY, now=lane.now())
    secret = rooms.renew_secret(found)
    events.commit()
    return key, secret


def state_of(key: str) -> SubscriberState:
    db.session.rollback()
    return db.session.scalars(select(Subscriber.state).where(Subscriber.key == key)).one()


def test_a_webhook_is_asked_first_and_then_told_signed(lane: Lane, domain_id: int) -> None:
    key, secret = signed_up(lane, domain_id)
    [asked] = lane.receiver.wait_for(1)
    told = json.loads(asked.body)
    assert told["type"] == "subscription.challenge"
    assert told["data"]["confirm_url"].startswith("http://status.portal.test/subscribe/confirm/")
    publish(lane.now(), Audience.AFFECTED)
    publish(lane.now())
    lane.send()
    message = lane.receiver.wait_for(2)[1]
    told = json.loads(message.body)
    assert told["type"] == "incident.investigating"
    assert told["data"]["incident"]["title"] == "Calls fail"
    assert told["data"]["url"].startswith("http://status.portal.test/incidents/")
    assert told["data"]["manage_url"].startswith("http://status.portal.test/subscribe/manage/")
    headers = {name.lower(): value for name, value in message.headers.items()}
    at = int(headers["webhook-timestamp"])
    assert headers["webhook-signature"] == signature_header([secret], headers["webhook-id"], at, message.body)
    assert state_of(key) is SubscriberState.ACTIVE
    assert len(lane.receiver.to()) == 2


def test_nothing_is_told_before_it_was_confirmed_or_after_it_left(lane: Lane, domain_id: int) -> None:
    found = actions.sign_up_room(
        domain_id, SubscriberKind.WEBHOOK, lane.receiver.url(), ["incidents"], language="en", by=BY, now=lane.now()
    )
    events.commit()
    publish(lane.now())
    assert db.session.scalars(select(Delivery)).all() == []
    actions.confirm(found, by=BY, now=lane.now())
    lane.later(timedelta(minutes=1))
    publish(lane.now())
    actions.remove(found, by=BY, now=lane.now())
    events.commit()
    lane.send()
    assert lane.receiver.to() == []
    assert [each.state for each in db.session.scalars(select(Delivery))] == [DeliveryState.CANCELLED]
    assert db.session.scalars(select(ContactChannel)).all() == []


def test_one_that_is_gone_rests_and_comes_back_by_confirming(lane: Lane, domain_id: int) -> None:
    key, _secret = signed_up(lane, domain_id)
    lane.receiver.default = Reply(410)
    publish(lane.now())
    lane.send()
    assert state_of(key) is SubscriberState.QUARANTINED
    again = actions.sign_up_room(
        domain_id, SubscriberKind.WEBHOOK, lane.receiver.url(), ["incidents"], language="en", by=BY, now=lane.now()
    )
    assert again.key == key
    actions.confirm(again, by=BY, now=lane.now())
    events.commit()
    lane.receiver.default = Reply(200)
    lane.later(timedelta(minutes=1))
    publish(lane.now())
    assert lane.send() == 1


@pytest.mark.parametrize(
    "address", ["http://127.0.0.2:80/", "http://169.254.169.254/latest", "ftp://a.test/", "http://u@a.test/", "x"]
)
def test_s01_addresses_that_may_not_be_asked_are_refused(lane: Lane, domain_id: int, address: str) -> None:
    with pytest.raises(RuleViolation):
        actions.sign_up_room(
            domain_id, SubscriberKind.WEBHOOK, address, ["incidents"], language="en", by=BY, now=lane.now()
        )
