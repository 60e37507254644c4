"""A message of a webhook is sent once more: the same one under the same id, newly signed, and known in the ledger."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from portal import events
from portal.audit.models import AuditEntry
from portal.errors import NotFound, RuleViolation
from portal.extensions import db
from portal.notifications import endings
from portal.notifications.channels.replaying import replay, tries_of
from portal.notifications.channels.rules import ChannelKind, signature_header
from portal.notifications.models import Broadcast, ContactChannel, Delivery
from portal.notifications.rules import BroadcastState, DeliveryState
from portal.notifications.subscribers import actions, queries
from tests.notifications.channels.conftest import environment, lane, receiver
from tests.notifications.channels.lane import Lane
from tests.notifications.subscribers.test_rooms import BY, domain_id, publish, signed_up
from tests.support.receiver import Reply

__all__ = ["domain_id", "environment", "lane", "receiver"]


def message() -> tuple[ContactChannel, Delivery]:
    db.session.rollback()
    delivery = db.session.scalars(select(Delivery)).one()
    return db.session.get_one(ContactChannel, delivery.contact_channel_id), delivery


def again(lane: Lane) -> None:
    channel, delivery = message()
    replay(channel, delivery.id, by=BY, now=lane.now())
    events.commit()


def test_the_same_message_goes_out_newly_signed(lane: Lane, domain_id: int) -> None:
    _key, secret = signed_up(lane, domain_id)
    publish(lane.now())
    assert lane.send() == 1
    # Days later: a machine is told of old news too.
    lane.later(timedelta(days=5))
    again(lane)
    assert message()[1].state is DeliveryState.PENDING
    assert lane.send() == 1
    _asked, first, second = lane.receiver.wait_for(3)
    heads = [{name.lower(): value for name, value in each.headers.items()} for each in (first, second)]
    assert heads[0]["webhook-id"] == heads[1]["webhook-id"]
    assert first.body == second.body
    times = [int(each["webhook-timestamp"]) for each in heads]
    assert times[1] - times[0] >= timedelta(days=5).total_seconds()
    assert heads[0]["webhook-signature"] != heads[1]["webhook-signature"]
    assert heads[1]["webhook-signature"] == signature_header([secret], heads[1]["webhook-id"], times[1], second.body)
    _channel, delivery = message()
    assert (delivery.state, delivery.attempts) == (DeliveryState.SENT, 2)
    assert db.session.scalars(select(Broadcast.state)).all() == [BroadcastState.DONE]
    entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "delivery.replay")).one()
    assert entry.before is not None
    assert (entry.before["state"], entry.before["code"]) == ("sent", 200)


def test_old_news_goes_out_though_the_clock_closes_what_is_too_late_for_people(lane: Lane, domain_id: int) -> None:
    signed_up(lane, domain_id)
    publish(lane.now())
    assert lane.send() == 1
    lane.later(timedelta(days=5))
    again(lane)
    endings.expire(lane.now())
    endings.finish(lane.now())
    events.commit()
    assert lane.send() == 1
    assert message()[1].state is DeliveryState.SENT


def test_one_that_was_given_up_is_reactivated_first_and_then_told_what_failed(lane: Lane, domain_id: int) -> None:
    key, _secret = signed_up(lane, domain_id)
    lane.receiver.default = Reply(410, b"moved away")
    publish(lane.now())
    lane.send()
    _channel, delivery = message()
    assert delivery.state is DeliveryState.FAILED
    [tried] = tries_of([delivery.id])[delivery.id]
    assert (tried.code, tried.answer) == (410, "moved away")
    with pytest.raises(RuleViolation, match="Reactivate"):
        again(lane)
    db.session.rollback()
    found = queries.by_key(key)
    assert found is not None
    actions.reactivate(found, why="They mended it", version=found.version, by=BY, now=lane.now())
    events.commit()
    lane.receiver.default = Reply(500, b"not yet")
    again(lane)
    lane.send()
    _channel, delivery = message()
    assert [each.code for each in tries_of([delivery.id])[delivery.id]] == [500, 410]
    lane.receiver.default = Reply(200)
    lane.later(timedelta(hours=1))
    assert lane.send() == 1
    assert message()[1].state is DeliveryState.SENT


def test_what_cannot_be_sent_again_is_refused(lane: Lane, domain_id: int) -> None:
    signed_up(lane, domain_id)
    publish(lane.now())
    with pytest.raises(RuleViolation, match="on its way"):
        again(lane)
    lane.send()
    again(lane)
    with pytest.raises(RuleViolation, match="on its way"):
        again(lane)
    lane.send()
    channel, delivery = message()
    with pytest.raises(NotFound):
        replay(channel, delivery.id + 1, by=BY, now=lane.now())
    delivery.state = DeliveryState.CANCELLED
    db.session.commit()
    with pytest.raises(RuleViolation, match="called off"):
        again(lane)
    channel, delivery = message()
    delivery.state, channel.kind = DeliveryState.SENT, ChannelKind.SLACK
    db.session.commit()
    lane.later(timedelta(days=5))
    with pytest.raises(RuleViolation, match="too old"):
        again(lane)
    channel, delivery = message()
    channel.kind, delivery.values = ChannelKind.WEBHOOK, {}
    db.session.commit()
    with pytest.raises(RuleViolation, match="no longer kept"):
        again(lane)
