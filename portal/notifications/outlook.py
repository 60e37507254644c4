"""Reading how the relays fare, what they have room for, and when mails will arrive through them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import current_app
from sqlalchemy import func, select

from portal.config import Settings
from portal.extensions import db
from portal.notifications.arrival import Arrival, Way, estimate
from portal.notifications.models import IS_MAIL, IS_PENDING, Broadcast, Delivery, Relay, RelayUse
from portal.notifications.profiles import DAY, DAY_SPAN, Spent, left_today, room, room_again
from portal.notifications.relays import DEFAULT_RELAY, IN_USE, spent_by
from portal.notifications.rules import ACTIVE, RelayState

EXPECTED_PER_SECOND = 100.0
"""The pace an estimate goes by while nothing was sent yet: what a modest relay takes over two kept connections."""

PACE_WINDOW = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Sent:
    """How many mails a relay took, and how many it refused for now or for good, in one window."""

    taken: int = 0
    refused: int = 0

    @property
    def share(self) -> float | None:
        """The share that was taken, from 0 to 1; None while there is nothing to go by."""
        return self.taken / (self.taken + self.refused) if self.taken + self.refused else None


@dataclass(frozen=True)
class Health:
    """How a relay fares: `look` is its state as it is shown, `room` what may be claimed for it now (None: any number),
    `left` what is left of its day (None: not bounded), `room_at` when there is room for the next mail."""

    relay: Relay
    look: str
    minute: Sent
    hour: Sent
    day: Sent
    room: int | None
    left: int | None
    room_at: datetime

    @property
    def is_full(self) -> bool:
        """Whether its budget of the day is used up."""
        return self.left == 0


def relays_in_order() -> Sequence[Relay]:
    """Every relay that was not removed, the preferred one first. The one of the settings is always among them."""
    found = db.session.scalars(select(Relay).where(Relay.removed_at.is_(None)).order_by(Relay.position, Relay.id)).all()
    if any(each.is_default for each in found):
        return found
    # The first sending process writes it down; until then it stands at the end, where it will be.
    return [*found, Relay(name=DEFAULT_RELAY, position=0, state=RelayState.UP)]


def relay_by_id(relay_id: int, *, to_change: bool = False) -> Relay | None:
    """One relay that was not removed; with `to_change` locked, so that nobody claims for it meanwhile."""
    found = select(Relay).where(Relay.id == relay_id, Relay.removed_at.is_(None))
    return db.session.scalars(found.with_for_update() if to_change else found).one_or_none()


def health_of(relays: Sequence[Relay], now: datetime) -> list[Health]:
    """How these relays fare. Four queries, however many there are."""
    ids = [each.id for each in relays if each.id is not None]
    spent = spent_by(ids, now)
    windows = [_sent(ids, now, window) for window in (PACE_WINDOW, HOUR, DAY)]
    return [
        _health(each, spent.get(each.id, Spent()), [found.get(each.id, Sent()) for found in windows], now)
        for each in relays
    ]


def _health(relay: Relay, spent: Spent, windows: Sequence[Sent], now: datetime) -> Health:
    minute, hour, day = windows
    left = left_today(relay.limits, spent, now)
    return Health(
        relay=relay,
        look=_look(relay, left, now),
        minute=minute,
        hour=hour,
        day=day,
        room=room(relay.limits, spent, relay.next_at, now),
        left=left,
        room_at=room_again(relay.limits, spent, relay.next_at, now),
    )


def _look(relay: Relay, left: int | None, now: datetime) -> str:
    if relay.switched_off_at is not None:
        return "off"
    if relay.state is RelayState.UP and left == 0:
        return "full"
    if relay.state is RelayState.PAUSED and relay.paused_until and relay.paused_until <= now:
        return "trying"
    return relay.state.value


def _sent(relay_ids: Collection[int], now: datetime, window: timedelta) -> dict[int, Sent]:
    span = timedelta(seconds=1) if window <= PACE_WINDOW else DAY_SPAN
    rows = db.session.execute(
        select(RelayUse.relay_id, func.sum(RelayUse.taken), func.sum(RelayUse.refused))
        .where(RelayUse.relay_id.in_(relay_ids), RelayUse.span == int(span.total_seconds()))
        .where(RelayUse.began_at > now - window - span)
        .group_by(RelayUse.relay_id)
    )
    return {relay_id: Sent(int(taken), int(refused)) for relay_id, taken, refused in rows}


# When mails will have arrived.


def waiting_mails(now: datetime) -> int:
    """How many mails could go out now."""
    return (
        db.session.scalar(
            select(func.count(Delivery.id))
            .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
            .where(Broadcast.state.in_(ACTIVE), IS_MAIL, IS_PENDING, Delivery.next_attempt_at <= now)
        )
        or 0
    )


def waiting_until(now: datetime) -> datetime | None:
    """When the next relay takes a mail again; `now` while one does, None while none will unless somebody acts."""
    moments = [_takes_at(way) for way in _ways(now, None)]
    return min(moments, default=None)


def _takes_at(way: Way) -> datetime:
    return max(way.from_at, way.returns[0][0]) if way.left == 0 and way.returns else way.from_at


def arrival(count: int, now: datetime, *, priority: int = 0, ahead: int | None = None) -> Arrival:
    """When `count` new mails of this priority will have gone out: behind what waits and is more urgent, in turns with
    what is as urgent. Four queries."""
    before = waiting_ahead(priority, count) if ahead is None else ahead
    return estimate(count, _ways(now, None), now, ahead=before)


def time_left(broadcast: Broadcast, waiting: int, per_second: float, now: datetime) -> Arrival:
    """When what waits of a broadcast will have gone out, by its pace of the last minute where it has one."""
    if per_second <= 0:
        return arrival(waiting, now, ahead=waiting_ahead(broadcast.priority, waiting, but=broadcast.id))
    # Its pace shows already what else takes part in the relays.
    return estimate(waiting, _ways(now, per_second), now)


def waiting_ahead(priority: int, count: int, but: int | None = None) -> int:
    """How many mails go out before the last of `count` mails of this priority: every more urgent one, and of each
    broadcast that is as urgent as many, because those take turns. One query."""
    rows = db.session.execute(
        select(Delivery.broadcast_id, Delivery.priority, func.count())
        .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        .where(Broadcast.state.in_(ACTIVE), IS_MAIL, Delivery.priority <= priority)
        .where(IS_PENDING)
        .where(Delivery.broadcast_id != (but or 0))
        .group_by(Delivery.broadcast_id, Delivery.priority)
    )
    return sum(found if at < priority else min(found, count) for _broadcast_id, at, found in rows)


def _ways(now: datetime, per_second: float | None) -> list[Way]:
    """The relays as an estimate sees them; those that wait for an admin are no way at all."""
    settings: Settings = current_app.config["SETTINGS"]
    relays = db.session.scalars(
        select(Relay).where(IN_USE, Relay.state != RelayState.BROKEN).order_by(Relay.position, Relay.id)
    ).all()
    if not relays and db.session.scalar(select(func.count(Relay.id))) == 0:
        relays = [Relay(name=settings.smtp_url.rpartition("@")[2].rpartition("//")[2], state=RelayState.UP)]
    spent = spent_by([each.id for each in relays if each.id is not None], now)
    return [_way(each, spent.get(each.id, Spent()), now, per_second or EXPECTED_PER_SECOND) for each in relays]


def _way(relay: Relay, spent: Spent, now: datetime, per_second: float) -> Way:
    per_minute = relay.per_minute
    pause = relay.paused_until if relay.state is RelayState.PAUSED else None
    left = left_today(relay.limits, spent, now)
    return Way(
        name=relay.name,
        per_second=min(per_minute / 60, EXPECTED_PER_SECOND) if per_minute else per_second,
        is_paced=per_minute is not None,
        from_at=max(now, pause or now),
        per_day=relay.per_day,
        left=left,
        returns=[(began + DAY + DAY_SPAN, count) for began, count in spent.tens] if left is not None else (),
    )
