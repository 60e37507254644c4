"""Changes of relays by hand."""

from datetime import datetime

from portal import events
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.errors import NotFound
from portal.extensions import db
from portal.notifications.models import Relay
from portal.notifications.rules import (
    RelayState,
)


def mend_relay(relay_id: int, *, by: Actor, now: datetime) -> None:
    """Let a paused or broken relay be tried again at once, because somebody has acted."""
    relay = db.session.get(Relay, relay_id)
    if relay is None:
        raise NotFound
    before = relay.state
    relay.state, relay.state_since, relay.paused_until = RelayState.UP, None, None
    relay.pause_seconds, relay.failing_since = 0, None
    db.session.flush()
    events.wake("deliver")
    audit.record(
        "relay.mend", object_kind="relay", object_id=relay.id, by=by, now=now, before={"state": before}, after={}
    )
