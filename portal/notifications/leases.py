"""What a sending process holds: claims under a lease, and what becomes of those of a process that died.

A claim names deliveries on a slice and leaves their rows alone; one that is offered is named there with the moment of
that mark (`marks.py`). When the lease is lost the moment is kept on the delivery, until somebody else marks it: so a
late result still finds its row, and never overwrites somebody else's.
Everything here, and in `results.py` and `endings.py`, works in the caller's transaction.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import delete, exists, func, insert, select, update

from portal.config import Settings
from portal.database import moment_of
from portal.extensions import db
from portal.notifications import actions, marks, relays
from portal.notifications.declining import declined_since
from portal.notifications.kinds import kind_named
from portal.notifications.models import IS_MAIL, IS_PENDING, LAST_TOLD, RAW, Broadcast, Delivery, DeliveryAttempt, Slice
from portal.notifications.queries import pause_of_all
from portal.notifications.rules import (
    ACTIVE,
    CALLED_OFF,
    BroadcastState,
    DeliveryState,
    Failure,
    verdict,
)
from portal.notifications.subscribers.hearing import stopped_among

AREA_CLOSED = "The area this is about is closed for this company."


class Taken(NamedTuple):
    """A claimed delivery: what is needed to compose it, to send it and to tell what became of it."""

    id: int
    broadcast_id: int
    message_id: str
    address: str
    address_key: str
    name: str
    wording: str
    values: dict[str, str]
    company_ids: list[int]
    first_attempt_at: datetime
    sending_since: datetime | None
    """The moment of its last mark, if it was offered before and the answer is not known."""


@dataclass(frozen=True)
class Claim:
    """A slice that this process holds until `leased_until`, for one relay."""

    slice_id: int
    relay_id: int
    relay_url: str = field(repr=False)
    sender: str
    connections: int
    is_bounded: bool
    """Whether the relay takes so many in a minute or a day only, so that what it is offered is counted."""
    deliveries: Sequence[Taken]
    refused: int
    """How many were claimed and turned away at once, so that an empty claim is not taken for an empty outbox."""


def claim(owner: str, settings: Settings, *, now: datetime, at_most: int | None = None) -> Claim | None:
    """Lease the next deliveries to this process: the most urgent that are due, over the first relay that takes more.

    `at_most` is how many it can send soon: what it held for longer would stand before something more urgent.
    None when nothing is due, no relay takes more mails or connections now, or the installation sends nothing.
    """
    release_expired(now)
    if pause_of_all() is not None:
        return None
    for relay in relays.usable_relays(now):
        connections = relays.free_connections(relay, owner, settings, now)
        room = min(at_most or settings.slice_size, settings.slice_size, relays.allowance(relay, now))
        if connections < 1 or room < 1:
            continue
        url = relays.route_of(relay, settings, now)
        if url is None:
            continue
        ids = _most_urgent(room, now)
        if not ids:
            return None
        lease = {
            "relay_id": relay.id,
            "owner": owner,
            "connections": connections,
            "leased_until": now + timedelta(seconds=settings.lease_seconds),
            "ids": marks.packed(ids),
            "created_at": now,
        }
        slice_id = db.session.scalars(insert(Slice).returning(Slice.id), lease).one()
        taken = _read(ids, now)
        stopped = {each.id for each in stop_not_allowed(taken, now)}
        allowed = [each for each in taken if each.id not in stopped] if stopped else taken
        deliveries = _leave_out_declined(allowed, now)
        relays.note_claimed(relay, len(deliveries), now)
        return Claim(
            slice_id,
            relay.id,
            url,
            relays.sender_of(relay, settings),
            connections,
            relay.limits.is_bounded,
            deliveries,
            len(taken) - len(deliveries),
        )
    return None


def _leave_out_declined(deliveries: list[Taken], now: datetime) -> list[Taken]:
    """Close those that nobody wants any more; returns the others."""
    declined = declined_since(deliveries, now)
    for answer in sorted(set(declined.values())):
        ids = [delivery_id for delivery_id, why in declined.items() if why == answer]
        _close(ids, DeliveryState.SUPPRESSED, answer, now)
    return [each for each in deliveries if each.id not in declined] if declined else deliveries


def room_comes_at(owner: str, settings: Settings, now: datetime) -> datetime | None:
    """When a relay that this process may talk to has room again for mails that wait for nothing else; None if none."""
    is_due = exists().where(
        Broadcast.id == Delivery.broadcast_id, Broadcast.state.in_(ACTIVE), Broadcast.expires_at > now
    )
    waiting = select(Delivery.id).where(IS_PENDING, IS_MAIL, Delivery.next_attempt_at <= now, is_due).limit(1)
    if db.session.scalar(waiting) is None or pause_of_all() is not None:
        return None
    return relays.room_comes_at(owner, settings, now)


def _most_urgent(room: int, now: datetime) -> list[int]:
    """The due deliveries that come next: lowest priority number first; among broadcasts that are equal in this,
    the one that was served longest ago, so that a long one does not keep the others waiting."""
    due = (IS_PENDING, IS_MAIL, Delivery.next_attempt_at <= now)
    head = (
        select(Delivery.priority)
        .where(Delivery.broadcast_id == Broadcast.id, *due)
        .order_by(Delivery.priority)
        .limit(1)
        .scalar_subquery()
    )
    rows = db.session.execute(
        select(Broadcast.id, Broadcast.served_at, head.label("head")).where(
            Broadcast.state.in_(ACTIVE), Broadcast.expires_at > now
        )
    )
    held = marks.held()
    epoch = datetime.min.replace(tzinfo=now.tzinfo)
    heads = [
        (priority, served or epoch, broadcast_id) for broadcast_id, served, priority in rows if priority is not None
    ]
    chosen: list[int] = []
    served = set()
    while heads and len(chosen) < room:
        heads.sort()
        priority, since, broadcast_id = heads.pop(0)
        mine = (Delivery.broadcast_id == broadcast_id, *due)
        next_ones = db.session.scalars(
            select(Delivery.id)
            .where(*mine, Delivery.priority == priority)
            .order_by(Delivery.next_attempt_at, Delivery.id)
            .limit(room - len(chosen) + len(held))
        )
        free = [each for each in next_ones if each not in held][: room - len(chosen)]
        if free:
            chosen += free
            served.add(broadcast_id)
        if len(chosen) < room:
            following = db.session.scalar(
                select(func.min(Delivery.priority)).where(*mine, Delivery.priority > priority)
            )
            if following is not None:
                heads.append((following, since, broadcast_id))
    if served:
        # Whoever steers a broadcast holds its row and waits for the relays, which this transaction holds: to wait for
        # the row in turn would stop both. One that goes unmarked is served a little earlier next time.
        unlocked = select(Broadcast.id).where(Broadcast.id.in_(served)).with_for_update(skip_locked=True)
        db.session.execute(
            update(Broadcast).where(Broadcast.id.in_(unlocked)).values(served_at=now), execution_options=RAW
        )
    return chosen


def _read(ids: list[int], now: datetime) -> list[Taken]:
    """What is needed of these rows, in this order. The first claim dates the mail."""
    connection = db.session.connection()
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql(_READ_SQLITE, (json.dumps(ids),)).all()
    else:
        rows = connection.exec_driver_sql(_READ_POSTGRES, (ids,)).all()
    # One look into JSON for all of them: opening it a thousand times costs more than what stands in it.
    values = json.loads(f"[{','.join([row[7] for row in rows])}]")
    companies = json.loads(f"[{','.join([row[8] for row in rows])}]")
    found = {}
    for row, filled, reached in zip(rows, values, companies, strict=True):
        first, since = (moment_of(each) if each else None for each in row[9:])
        found[row[0]] = Taken._make((*row[:7], filled, reached, first or now, since))
    return [found[each] for each in ids if each in found]


_READ = """
SELECT id, broadcast_id, message_id, address, address_key, name, wording, {json}, first_attempt_at, sending_since
FROM delivery WHERE id {among}
"""
_READ_SQLITE = _READ.format(json='"values", company_ids', among="IN (SELECT value FROM json_each(?))")
_READ_POSTGRES = _READ.format(json='"values"::text, company_ids::text', among="= ANY(%s)")


def not_allowed(deliveries: Collection[Taken]) -> dict[int, str]:
    """Why some of these may not go, by id: their area is closed for every company they would reach their person
    through, their subscriber has left, or fewer are told by now than were to be.

    A query or two per kind, three where there are subscribers, and one where fewer are told.
    """
    by_broadcast: dict[int, list[Taken]] = {}
    for each in deliveries:
        by_broadcast.setdefault(each.broadcast_id, []).append(each)
    kinds = db.session.execute(select(Broadcast.id, Broadcast.kind, LAST_TOLD).where(Broadcast.id.in_(by_broadcast)))
    stopped: dict[int, str] = {}
    narrowed = []
    for broadcast_id, kind, last in kinds:
        mine = by_broadcast[broadcast_id]
        allowed = kind_named(kind).allowed({company for each in mine for company in each.company_ids})
        for each in mine:
            if each.company_ids and not allowed.intersection(each.company_ids):
                stopped[each.id] = AREA_CLOSED
        if last is not None:
            narrowed += [each.id for each in mine]
    stopped |= dict.fromkeys(stopped_among([each.id for each in deliveries if not each.company_ids]), AREA_CLOSED)
    if narrowed:
        is_beyond = select(Delivery.id).join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        found = db.session.scalars(is_beyond.where(Delivery.id.in_(narrowed), Delivery.priority > LAST_TOLD))
        stopped |= dict.fromkeys(found, CALLED_OFF)
    return stopped


def stop_not_allowed(deliveries: Collection[Taken], now: datetime) -> list[Taken]:
    """Close those of these claimed deliveries that may not go any more; returns them."""
    stopped = not_allowed(deliveries)
    for answer in sorted(set(stopped.values())):
        _close([each for each, why in stopped.items() if why == answer], DeliveryState.CANCELLED, answer, now)
    return [each for each in deliveries if each.id in stopped]


def _close(ids: list[int], state: DeliveryState, answer: str, now: datetime) -> None:
    if ids:
        db.session.execute(
            update(Delivery)
            .where(Delivery.id.in_(ids), IS_PENDING)
            .values(state=state, answer=answer, finished_at=now),
            execution_options=RAW,
        )


def renew(owner: str, settings: Settings, *, now: datetime) -> bool:
    """Prolong every lease of this process; False when it has none left that is live."""
    renewed = db.session.execute(
        update(Slice)
        .where(Slice.owner == owner, Slice.leased_until > now)
        .values(leased_until=now + timedelta(seconds=settings.lease_seconds))
        .returning(Slice.id),
        execution_options=RAW,
    )
    return renewed.first() is not None


def close_slices(slice_ids: Collection[int]) -> None:
    """Forget slices of which nothing is left to do, or whose rest is given back: it is due again at once."""
    if not slice_ids:
        return
    fold(slice_ids)
    db.session.execute(delete(Slice).where(Slice.id.in_(slice_ids)), execution_options=RAW)
    close_cancelled()


def fold(slice_ids: Collection[int]) -> None:
    """Write what servers have answered of these slices into the rows of the deliveries."""
    marks.Ledger(db.session.connection()).fold(slice_ids)


def hand_back(ids: Collection[int], slices: Collection[int]) -> None:
    """Give claimed deliveries back that were not offered: they are due again at once, in no doubt."""
    marks.give_back(ids, slices)
    close_cancelled()


def close_cancelled() -> None:
    """What comes back to a broadcast that was cancelled in the meantime is not sent any more."""
    ended = db.session.execute(
        select(Broadcast.id, Broadcast.finished_at).where(
            Broadcast.state == BroadcastState.CANCELLED,
            exists().where(Delivery.broadcast_id == Broadcast.id, IS_PENDING),
        )
    ).all()
    for broadcast_id, finished_at in ended:
        if finished_at is not None:
            actions.cancel_what_waits(broadcast_id, finished_at)


def release_expired(now: datetime) -> int:
    """Take back what dead processes held; returns how many mails that left in doubt.

    What they had only claimed was never offered. What they were sending may have arrived: it is repeated once, at once,
    with the same Message-ID; a second time it is left for a human.
    """
    leases = db.session.execute(
        select(Slice.id, Slice.owner, Slice.relay_id, Slice.created_at, Slice.offered)
        .where(Slice.leased_until <= now)
        .with_for_update(skip_locked=True)
    ).all()
    if not leases:
        return 0
    # What was answered is in no doubt.
    fold([lease.id for lease in leases])
    offered = {
        delivery_id: (lease, since) for lease in leases for delivery_id, since in marks.read(lease.offered).items()
    }
    doubtful = db.session.execute(
        select(Delivery, Broadcast.kind)
        .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        .where(Delivery.id.in_(offered), IS_PENDING)
        .with_for_update(of=Delivery)
    ).all()
    for delivery, kind in doubtful:
        lease, since = offered[delivery.id]
        delivery.sending_since = since
        delivery.relay_id = lease.relay_id
        delivery.first_attempt_at = delivery.first_attempt_at or lease.created_at
        note_attempt(
            delivery, Failure.IN_DOUBT, None, "The sending process ended.", worker=lease.owner, since=since, now=now
        )
        delivery.in_doubt += 1
        delivery.attempts += 1
        again = verdict(
            Failure.IN_DOUBT,
            tries=delivery.attempts,
            doubts=delivery.in_doubt,
            repeat_in_doubt=kind_named(kind).repeat_in_doubt,
            jitter=0,
            text="",
        ).state
        delivery.state, delivery.failure = again, Failure.IN_DOUBT
        delivery.finished_at = None if again is DeliveryState.PENDING else now
    db.session.flush()
    close_slices([lease.id for lease in leases])
    return len(doubtful)


def note_attempt(
    delivery: Delivery,
    failure: Failure,
    code: int | None,
    text: str,
    *,
    worker: str,
    since: datetime | None,
    now: datetime,
) -> None:
    """Write down an attempt that was no plain success; `since` is when the mail was offered, None if it was not."""
    number = select(func.coalesce(func.max(DeliveryAttempt.number), 0) + 1).where(
        DeliveryAttempt.delivery_id == delivery.id
    )
    db.session.execute(
        insert(DeliveryAttempt).values(
            delivery_id=delivery.id,
            number=number.scalar_subquery(),
            worker=worker,
            started_at=since,
            ended_at=now,
            outcome=failure,
            code=code,
            answer=text[:500],
        )
    )
