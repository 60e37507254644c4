"""The lane of channels: what a receiver gets, when it is tried again, and what a failure makes of its channel."""

import json

from portal.notifications.rules import DeliveryState
from tests.notifications.channels.lane import Lane


def test_a_webhook_is_told_with_the_broadcast(lane: Lane) -> None:
    channel_id, _secret = lane.channel()
    lane.queue("one")
    assert lane.send() == 1
    request = lane.receiver.wait_for(1)[0]
    told = json.loads(request.body)
    assert (request.method, request.path, told["type"]) == ("POST", "/hook", "incident.identified")
    assert lane.delivery(channel_id).state is DeliveryState.SENT
