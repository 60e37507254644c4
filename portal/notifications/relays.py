"""Which relay takes mails now, how many, and over how many connections."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select, update

from portal import events
from portal.config import Settings
from portal.extensions import db
from portal.notifications import actions
from portal.notifications.models import (
    Relay,
    Slice,
)
from portal.notifications.rules import (
    Failure,
    RelayState,
    next_pause,
)

DEFAULT_RELAY = "default"
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def prepare_relays(settings: Settings) -> None:
    """See to it that there is a relay. One whose address was changed is trusted again: that is how it is mended."""
    fingerprint = hashlib.sha256(settings.smtp_url.encode()).hexdigest()
    relay = db.session.scalars(select(Relay).where(Relay.name == DEFAULT_RELAY)).one_or_none()
    if relay is None:
        actions.insert_new(Relay, name=DEFAULT_RELAY, fingerprint=fingerprint)
    elif relay.url is None and relay.fingerprint != fingerprint:
        relay.fingerprint = fingerprint
        relay.state, relay.paused_until, relay.pause_seconds, relay.failing_since = RelayState.UP, None, 0, None
    db.session.flush()


def rest_relay(relay_id: int, failure: Failure, text: str, now: datetime) -> None:
    """Stop using a relay: for a while that doubles, or, where only an admin can help, until one has acted."""
    relay = db.session.scalars(select(Relay).where(Relay.id == relay_id).with_for_update()).one()
    if relay.state is RelayState.PAUSED and relay.paused_until and relay.paused_until > now:
        return
    relay.failing_since = relay.failing_since or now
    relay.last_answer = text[:500]
    if failure is Failure.CONFIGURATION:
        relay.state, relay.paused_until = RelayState.BROKEN, None
    else:
        pause = next_pause(timedelta(seconds=relay.pause_seconds))
        relay.state, relay.paused_until, relay.pause_seconds = (
            RelayState.PAUSED,
            now + pause,
            int(pause.total_seconds()),
        )
    db.session.flush()
    events.ring(events.STAFF)


def relay_works(relay_id: int) -> None:
    """A relay has taken a mail: what it did before is forgiven."""
    statement = (
        update(Relay)
        .where(Relay.id == relay_id, or_(Relay.state != RelayState.UP, Relay.pause_seconds != 0))
        .values(state=RelayState.UP, paused_until=None, pause_seconds=0, failing_since=None)
        .returning(Relay.id)
    )
    if db.session.scalars(statement, execution_options={"synchronize_session": False}).first():
        events.ring(events.STAFF)


def usable_relays(now: datetime) -> Sequence[Relay]:
    """The relays that may be tried now, the preferred one first; locked, so that nothing is given out twice."""
    return db.session.scalars(
        select(Relay)
        .where(or_(Relay.state == RelayState.UP, (Relay.state == RelayState.PAUSED) & (Relay.paused_until <= now)))
        .order_by(Relay.position, Relay.id)
        .with_for_update()
    ).all()


def free_connections(relay: Relay, owner: str, settings: Settings, now: datetime) -> int:
    """What the relay has left of its connections, those this process holds counted as free."""
    rows = db.session.execute(
        select(Slice.owner, func.max(Slice.connections))
        .where(Slice.relay_id == relay.id, Slice.leased_until > now)
        .group_by(Slice.owner)
    )
    held = dict(rows.all())
    mine = held.pop(owner, 0)
    return mine or (relay.connections or settings.connections_per_relay) - sum(held.values())


def allowance(relay: Relay, now: datetime) -> int:
    """How many mails the relay may still be given in this minute and on this day; moves the windows on."""
    if relay.minute_began_at is None or now - relay.minute_began_at >= MINUTE:
        relay.minute_began_at, relay.minute_count = now, 0
    if relay.day_began_at is None or now - relay.day_began_at >= DAY:
        relay.day_began_at, relay.day_count = now, 0
    unbounded = 2**31
    minute = relay.per_minute - relay.minute_count if relay.per_minute is not None else unbounded
    day = relay.per_day - relay.day_count if relay.per_day is not None else unbounded
    return min(minute, day)
