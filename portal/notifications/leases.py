"""What a sending process writes: claims under a lease, marks before data is offered, results, and what it gives back.

A delivery that is on its way is named by `sending_since`: whoever marked it later has another one. So a
late result still finds its row after the lease has been lost, and never overwrites somebody else's.
Everything here works in the caller's transaction; `store_and_mark` is the one that runs for every mail.
"""

import hashlib
import random
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, case, delete, exists, func, insert, literal_column, or_, select, update
from sqlalchemy.orm import defer

from portal import events
from portal.accounts.models import Person
from portal.audit.rules import SYSTEM
from portal.config import Settings
from portal.extensions import db
from portal.notifications import actions
from portal.notifications.kinds import kind_named
from portal.notifications.models import (
    Broadcast,
    Delivery,
    DeliveryAttempt,
    Preference,
    Relay,
    Slice,
    Suppression,
)
from portal.notifications.rules import (
    ACTIVE,
    BREAKER_WINDOW,
    EVERY_TOPIC,
    MAILBOX_FULL_MAILS,
    MAILBOX_FULL_WINDOW,
    OPEN_STATES,
    BroadcastState,
    DeliveryState,
    Failure,
    RelayState,
    SuppressionReason,
    breaker_opens,
    enhanced_code,
    next_pause,
    verdict,
)

DEFAULT_RELAY = "default"
FULL_MAILBOX_RESTS = timedelta(days=30)
AREA_CLOSED = "The area this is about is closed for this company."
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)

_IS_PENDING = Delivery.state == literal_column("'pending'")
"""Written out and not bound, because only so the databases see that the partial index answers it."""


class Taken(NamedTuple):
    """A claimed delivery: what is needed to compose it, to send it and to tell what became of it."""

    id: int
    broadcast_id: int
    dedupe_key: str
    message_id: str
    address: str
    address_key: str
    name: str
    wording: str
    values: dict[str, str]
    company_ids: list[int]
    first_attempt_at: datetime
    priority: int


_TAKEN = [getattr(Delivery, name) for name in Taken._fields]


@dataclass(frozen=True)
class Claim:
    """A slice that this process holds until `leased_until`, for one relay."""

    slice_id: int
    relay_id: int
    relay_url: str
    connections: int
    deliveries: Sequence[Taken]
    refused: int
    """How many were claimed and turned away at once, so that an empty claim is not taken for an empty outbox."""


# Relays.


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


# Claims.


def claim(owner: str, settings: Settings, *, now: datetime) -> Claim | None:
    """Lease the next deliveries to this process: the most urgent that are due, over the first relay that takes more.

    None when nothing is due, or no relay takes more mails or connections now.
    """
    release_expired(now)
    for relay in db.session.scalars(
        select(Relay)
        .where(or_(Relay.state == RelayState.UP, (Relay.state == RelayState.PAUSED) & (Relay.paused_until <= now)))
        .order_by(Relay.position, Relay.id)
        .with_for_update()
    ):
        connections = _free_connections(relay, owner, settings, now)
        room = min(settings.slice_size, _allowance(relay, now))
        if connections < 1 or room < 1:
            continue
        ids = _most_urgent(room, now)
        if not ids:
            return None
        lease = Slice(
            relay_id=relay.id,
            owner=owner,
            connections=connections,
            leased_until=now + timedelta(seconds=settings.lease_seconds),
            created_at=now,
        )
        db.session.add(lease)
        db.session.flush()
        taken = _take(ids, lease.id, now)
        stopped = not_allowed(taken)
        _close([each.id for each in stopped], DeliveryState.CANCELLED, AREA_CLOSED, now)
        deliveries = [each for each in taken if each not in stopped] if stopped else taken
        relay.minute_count += len(deliveries)
        relay.day_count += len(deliveries)
        db.session.flush()
        url = relay.url or settings.smtp_url
        return Claim(lease.id, relay.id, url, connections, deliveries, len(stopped))
    return None


def _free_connections(relay: Relay, owner: str, settings: Settings, now: datetime) -> int:
    """What the relay has left of its connections, those this process holds counted as free."""
    rows = db.session.execute(
        select(Slice.owner, func.max(Slice.connections))
        .where(Slice.relay_id == relay.id, Slice.leased_until > now)
        .group_by(Slice.owner)
    )
    held = dict(rows.all())
    mine = held.pop(owner, 0)
    return mine or (relay.connections or settings.connections_per_relay) - sum(held.values())


def _allowance(relay: Relay, now: datetime) -> int:
    """How many mails the relay may still be given in this minute and on this day; moves the windows on."""
    if relay.minute_began_at is None or now - relay.minute_began_at >= MINUTE:
        relay.minute_began_at, relay.minute_count = now, 0
    if relay.day_began_at is None or now - relay.day_began_at >= DAY:
        relay.day_began_at, relay.day_count = now, 0
    unbounded = 2**31
    minute = relay.per_minute - relay.minute_count if relay.per_minute is not None else unbounded
    day = relay.per_day - relay.day_count if relay.per_day is not None else unbounded
    return min(minute, day)


def _most_urgent(room: int, now: datetime) -> list[int]:
    """The due deliveries that come next: lowest priority number first; among broadcasts that are equal in this,
    the one that was served longest ago, so that a long one does not keep the others waiting."""
    due = (_IS_PENDING, Delivery.next_attempt_at <= now)
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
        chosen += db.session.scalars(
            select(Delivery.id)
            .where(*mine, Delivery.priority == priority)
            .order_by(Delivery.next_attempt_at, Delivery.id)
            .limit(room - len(chosen))
            .with_for_update(skip_locked=True)
        )
        served.add(broadcast_id)
        if len(chosen) < room:
            following = db.session.scalar(
                select(func.min(Delivery.priority)).where(*mine, Delivery.priority > priority)
            )
            if following is not None:
                heads.append((following, since, broadcast_id))
    if served:
        db.session.execute(
            update(Broadcast).where(Broadcast.id.in_(served)).values(served_at=now), execution_options=_RAW
        )
    return chosen


_RAW: Any = {"synchronize_session": False}


def _take(ids: list[int], slice_id: int, now: datetime) -> list[Taken]:
    """Claim these rows, those only that are still there to be claimed. The first claim dates the mail."""
    rows = db.session.execute(
        update(Delivery)
        .where(Delivery.id.in_(ids), _IS_PENDING)
        .values(
            state=DeliveryState.CLAIMED,
            slice_id=slice_id,
            first_attempt_at=func.coalesce(
                Delivery.first_attempt_at, bindparam("first", now, Delivery.created_at.type)
            ),
        )
        .returning(*_TAKEN),
        execution_options=_RAW,
    )
    order = {delivery_id: place for place, delivery_id in enumerate(ids)}
    return sorted((Taken(*row) for row in rows), key=lambda taken: order[taken.id])


def not_allowed(deliveries: Iterable[Taken]) -> list[Taken]:
    """Those whose area is closed for every company they would reach their person through. A query or two per kind."""
    by_broadcast: dict[int, list[Taken]] = {}
    for each in deliveries:
        by_broadcast.setdefault(each.broadcast_id, []).append(each)
    kinds = db.session.execute(select(Broadcast.id, Broadcast.kind).where(Broadcast.id.in_(by_broadcast)))
    stopped = []
    for broadcast_id, kind in kinds:
        mine = by_broadcast[broadcast_id]
        allowed = kind_named(kind).allowed({company for each in mine for company in each.company_ids})
        stopped += [each for each in mine if each.company_ids and not allowed.intersection(each.company_ids)]
    return stopped


def stop_not_allowed(deliveries: Collection[Taken], now: datetime) -> list[Taken]:
    """Close those of these claimed deliveries whose area was closed in the meantime; returns them."""
    stopped = not_allowed(deliveries)
    _close([each.id for each in stopped], DeliveryState.CANCELLED, AREA_CLOSED, now)
    return stopped


def _close(ids: list[int], state: DeliveryState, answer: str, now: datetime) -> None:
    if ids:
        db.session.execute(
            update(Delivery)
            .where(Delivery.id.in_(ids), Delivery.state == DeliveryState.CLAIMED)
            .values(state=state, answer=answer, finished_at=now, slice_id=None),
            execution_options=_RAW,
        )


def renew(owner: str, settings: Settings, *, now: datetime) -> bool:
    """Prolong every lease of this process; False when it has none left that is live."""
    renewed = db.session.execute(
        update(Slice)
        .where(Slice.owner == owner, Slice.leased_until > now)
        .values(leased_until=now + timedelta(seconds=settings.lease_seconds))
        .returning(Slice.id),
        execution_options=_RAW,
    )
    return renewed.first() is not None


def close_slices(slice_ids: Collection[int]) -> None:
    """Forget slices of which nothing is left to do, or whose rest is given back: it becomes due again at once."""
    if not slice_ids:
        return
    _unclaim(Delivery.slice_id.in_(slice_ids))
    db.session.execute(delete(Slice).where(Slice.id.in_(slice_ids)), execution_options=_RAW)


def hand_back(ids: Collection[int], slices: Collection[int]) -> None:
    """Give claimed deliveries back that were not offered: they are due again at once."""
    _unclaim(Delivery.id.in_(ids) & Delivery.slice_id.in_(slices))


def _unclaim(condition: Any) -> None:
    """Claimed but never offered: pending as before, in no doubt, and dated anew if this was the first try."""
    fresh = (Delivery.attempts == 0) & (Delivery.in_doubt == 0)
    db.session.execute(
        update(Delivery)
        .where(condition, Delivery.state == DeliveryState.CLAIMED)
        .values(
            state=DeliveryState.PENDING,
            slice_id=None,
            first_attempt_at=case((fresh, None), else_=Delivery.first_attempt_at),
        ),
        execution_options=_RAW,
    )
    _close_cancelled()


def _close_cancelled() -> None:
    """What comes back to a broadcast that was cancelled in the meantime is not sent any more."""
    ended = db.session.execute(
        select(Broadcast.id, Broadcast.finished_at).where(
            Broadcast.state == BroadcastState.CANCELLED,
            exists().where(Delivery.broadcast_id == Broadcast.id, _IS_PENDING),
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
        select(Slice.id, Slice.owner).where(Slice.leased_until <= now).with_for_update(skip_locked=True)
    ).all()
    if not leases:
        return 0
    owners = dict(leases)
    doubtful = db.session.execute(
        select(Delivery, Broadcast.kind)
        .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        .where(Delivery.slice_id.in_(owners), Delivery.state == DeliveryState.SENDING)
        .with_for_update(of=Delivery)
    ).all()
    for delivery, kind in doubtful:
        worker = owners.get(delivery.slice_id or 0, "")
        _note_attempt(delivery, Failure.IN_DOUBT, None, "The sending process ended.", worker=worker, now=now)
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
        delivery.state, delivery.failure, delivery.slice_id = again, Failure.IN_DOUBT, None
        delivery.finished_at = None if again is DeliveryState.PENDING else now
    db.session.flush()
    close_slices(list(owners))
    return len(doubtful)


# Results.


class Sent(NamedTuple):
    """A mail that a server has taken."""

    id: int
    since: datetime
    code: int
    text: str


class Failed(NamedTuple):
    """A mail that it has not. `since` is None when the mail was refused before it was marked as being sent."""

    delivery: Taken
    slice_id: int
    since: datetime | None
    failure: Failure
    code: int | None
    text: str


_STILL_OURS = (DeliveryState.SENDING, DeliveryState.PENDING, DeliveryState.CLAIMED, DeliveryState.UNKNOWN)

_STORE = (
    update(Delivery.__table__)  # type: ignore[arg-type]
    .where(
        Delivery.id == bindparam("b_id"),
        Delivery.sending_since == bindparam("b_since"),
        # Spelled out, because an IN list cannot be given to many rows at once.
        or_(*[Delivery.state == state for state in _STILL_OURS]),
    )
    .values(
        state=DeliveryState.SENT,
        attempts=Delivery.attempts + 1,
        finished_at=bindparam("b_now"),
        code=bindparam("b_code"),
        enhanced_code=bindparam("b_enhanced"),
        answer=bindparam("b_text"),
        failure=None,
        slice_id=None,
    )
)

# Stands two levels below the UPDATE, where nothing is correlated by itself: without a word it would be any broadcast's.
_TOPIC = (
    select(Broadcast.topic).where(Broadcast.id == Delivery.broadcast_id).correlate(Delivery.__table__).scalar_subquery()
)
_MAY_GO = (
    exists().where(
        Broadcast.id == Delivery.broadcast_id,
        Broadcast.state.in_(ACTIVE),
        Broadcast.expires_at > bindparam("b_now"),
    ),
    ~exists().where(
        Suppression.address_key == Delivery.address_key,
        or_(Suppression.scope == EVERY_TOPIC, Suppression.scope == _TOPIC),
        or_(Suppression.until.is_(None), Suppression.until > bindparam("b_now")),
    ),
    or_(
        Delivery.person_id.is_(None),
        exists().where(Person.id == Delivery.person_id, Person.deactivated_at.is_(None))
        & ~exists().where(
            Preference.person_id == Delivery.person_id,
            Preference.topic == _TOPIC,
            Preference.channel == "mail",
            Preference.wanted.is_(False),
        ),
    ),
)
_MARK = (
    update(Delivery.__table__)  # type: ignore[arg-type]
    .where(
        Delivery.id.in_(bindparam("b_ids", expanding=True)),
        Delivery.slice_id.in_(bindparam("b_slices", expanding=True)),
        # "sending" too: after a commit whose answer was lost the same marks are made once more.
        Delivery.state.in_((DeliveryState.CLAIMED, DeliveryState.SENDING)),
        *_MAY_GO,
    )
    .values(state=DeliveryState.SENDING, sending_since=bindparam("b_now"), relay_id=bindparam("b_relay"))
    .returning(Delivery.id)
)


def store_and_mark(
    connection: Connection,
    sent: Sequence[Sent],
    ids: Collection[int],
    *,
    slices: Collection[int],
    relay_id: int,
    now: datetime,
) -> frozenset[int]:
    """Store what was sent and mark what is sent next, in one transaction; returns those that may indeed be sent.

    The rest was cancelled, paused, suppressed, unsubscribed or overtaken in the meantime, or is no longer ours.
    `now` becomes their `sending_since`.
    """
    if sent:
        connection.execute(
            _STORE,
            [
                {
                    "b_id": each.id,
                    "b_since": each.since,
                    "b_now": now,
                    "b_code": each.code,
                    "b_enhanced": enhanced_code(each.text),
                    "b_text": each.text,
                }
                for each in sent
            ],
        )
    if not ids:
        return frozenset()
    marked = connection.execute(
        _MARK, {"b_ids": sorted(ids), "b_slices": list(slices), "b_now": now, "b_relay": relay_id}
    )
    return frozenset(marked.scalars())


def settle(failures: Sequence[Failed], worker: str, now: datetime) -> frozenset[int]:
    """Store what was not sent, and what follows from it; returns the broadcasts in which policy was the reason."""
    notes = {each.delivery.id: each for each in failures}
    rows = db.session.execute(
        select(Delivery, Broadcast.kind, Broadcast.expires_at)
        .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        .where(Delivery.id.in_(notes))
        .order_by(Delivery.id)
        .with_for_update(of=Delivery)
    ).all()
    refused = set()
    for delivery, kind, expires_at in rows:
        note = notes[delivery.id]
        if not _is_ours(delivery, note):
            continue
        _note_attempt(delivery, note.failure, note.code, note.text, worker=worker, now=now)
        _apply(delivery, note, kind, expires_at, now)
        if note.failure is Failure.REPUTATION:
            refused.add(delivery.broadcast_id)
    db.session.flush()
    _close_cancelled()
    return frozenset(refused)


def _is_ours(delivery: Delivery, note: Failed) -> bool:
    if note.since is None:
        return delivery.state is DeliveryState.CLAIMED and delivery.slice_id == note.slice_id
    return delivery.state in _STILL_OURS and delivery.sending_since == note.since


def _apply(delivery: Delivery, note: Failed, kind: str, expires_at: datetime, now: datetime) -> None:
    doubts = delivery.in_doubt + (note.failure is Failure.IN_DOUBT)
    tries = delivery.attempts + 1
    ruling = verdict(
        note.failure,
        tries=tries,
        doubts=doubts,
        repeat_in_doubt=kind_named(kind).repeat_in_doubt,
        jitter=random.uniform(-1, 1),  # noqa: S311 (spreads retries, hides nothing)
        text=note.text,
    )
    state = ruling.state
    delivery.next_attempt_at = now + ruling.delay
    if state is DeliveryState.PENDING and ruling.is_counted and delivery.next_attempt_at >= expires_at:
        state = DeliveryState.FAILED
    delivery.state, delivery.failure, delivery.in_doubt, delivery.slice_id = state, note.failure, doubts, None
    delivery.attempts = tries if ruling.is_counted else delivery.attempts
    delivery.code, delivery.enhanced_code, delivery.answer = note.code, enhanced_code(note.text), note.text[:500]
    delivery.finished_at = None if state is DeliveryState.PENDING else now
    if note.failure is Failure.HARD:
        actions.suppress(
            delivery.address,
            EVERY_TOPIC,
            SuppressionReason.HARD_BOUNCE,
            detail=note.text,
            delivery_id=delivery.id,
            now=now,
        )
    elif note.failure is Failure.MESSAGE_FULL and state is DeliveryState.FAILED:
        _count_full_mailbox(delivery, note.text, now)


def _count_full_mailbox(delivery: Delivery, text: str, now: datetime) -> None:
    """A mailbox that three mails of a week found full is left alone for a month."""
    db.session.flush()
    full = select(func.count()).where(
        Delivery.address_key == delivery.address_key,
        Delivery.failure == Failure.MESSAGE_FULL,
        Delivery.state == DeliveryState.FAILED,
        Delivery.finished_at > now - MAILBOX_FULL_WINDOW,
    )
    if (db.session.scalar(full) or 0) >= MAILBOX_FULL_MAILS:
        actions.suppress(
            delivery.address,
            EVERY_TOPIC,
            SuppressionReason.HARD_BOUNCE,
            detail=text,
            delivery_id=delivery.id,
            until=now + FULL_MAILBOX_RESTS,
            now=now,
        )


def _note_attempt(
    delivery: Delivery, failure: Failure, code: int | None, text: str, *, worker: str, now: datetime
) -> None:
    number = select(func.coalesce(func.max(DeliveryAttempt.number), 0) + 1).where(
        DeliveryAttempt.delivery_id == delivery.id
    )
    db.session.execute(
        insert(DeliveryAttempt).values(
            delivery_id=delivery.id,
            number=number.scalar_subquery(),
            worker=worker,
            started_at=delivery.sending_since if delivery.state is DeliveryState.SENDING else None,
            ended_at=now,
            outcome=failure,
            code=code,
            answer=text[:500],
        )
    )


class TurnedAway(NamedTuple):
    """What turning mails away came to: those that may be sent after all, and the broadcasts that were stopped."""

    left: frozenset[int]
    stopped: frozenset[int]


def turn_away(ids: Collection[int], slices: Collection[int], now: datetime) -> TurnedAway:
    """Close, or give back, claimed deliveries that may not be sent now, each with its reason."""
    rows = db.session.execute(
        select(Delivery, Broadcast, Person.id, Person.deactivated_at)
        .join(Broadcast, Broadcast.id == Delivery.broadcast_id)
        .outerjoin(Person, Person.id == Delivery.person_id)
        .options(defer(Broadcast.content), defer(Broadcast.selector))
        .where(Delivery.id.in_(ids), Delivery.slice_id.in_(slices), Delivery.state == DeliveryState.CLAIMED)
        .with_for_update(of=Delivery)
    ).all()
    left, stopped = set(), set()
    for delivery, broadcast, person_id, deactivated_at in rows:
        has_login = delivery.person_id is None or (person_id is not None and deactivated_at is None)
        if broadcast.state not in ACTIVE or broadcast.expires_at <= now:
            stopped.add(broadcast.id)
        if (ruling := _why_not(delivery, broadcast, has_login, now)) is None:
            left.add(delivery.id)
            continue
        delivery.slice_id = None
        delivery.state = ruling[0]
        delivery.answer = ruling[1] or delivery.answer
        delivery.finished_at = None if delivery.state is DeliveryState.PENDING else now
    db.session.flush()
    return TurnedAway(frozenset(left), frozenset(stopped))


def _why_not(
    delivery: Delivery, broadcast: Broadcast, has_login: bool, now: datetime
) -> tuple[DeliveryState, str | None] | None:
    """The state of a delivery that may not be sent, and the reason where the state alone does not tell it."""
    if broadcast.state is BroadcastState.PAUSED:
        return DeliveryState.PENDING, None
    if broadcast.state not in ACTIVE:
        return DeliveryState.CANCELLED, None
    if broadcast.expires_at <= now:
        return (DeliveryState.FAILED if delivery.attempts else DeliveryState.EXPIRED), None
    if not has_login:
        return DeliveryState.CANCELLED, "This person no longer has a login."
    reason = actions.why_suppressed(delivery.address_key, delivery.person_id, broadcast.topic, now)
    return (DeliveryState.SUPPRESSED, reason) if reason else None


# Ends.


def trip_breaker(broadcast_id: int, now: datetime) -> bool:
    """Pause a broadcast in which relays refuse too much by policy; nobody's address is at fault. Whether it was."""
    broadcast = db.session.get(Broadcast, broadcast_id)
    if broadcast is None or broadcast.state not in ACTIVE:
        return False
    results: list[tuple[datetime, int, bool]] = []
    for state in (DeliveryState.SENT, DeliveryState.FAILED):
        rows = db.session.execute(
            select(Delivery.finished_at, Delivery.id, Delivery.failure)
            .where(
                Delivery.broadcast_id == broadcast_id,
                Delivery.state == state,
                Delivery.finished_at > (broadcast.resumed_at or broadcast.created_at),
            )
            .order_by(Delivery.finished_at.desc())
            .limit(BREAKER_WINDOW)
        )
        results += [(at, delivery_id, failure is Failure.REPUTATION) for at, delivery_id, failure in rows if at]
    results.sort(reverse=True)
    if not breaker_opens([refused for _at, _id, refused in results]):
        return False
    answer = db.session.scalar(
        select(Delivery.answer)
        .where(Delivery.id.in_([delivery_id for _at, delivery_id, refused in results if refused][:1]))
        .limit(1)
    )
    note = f"Stopped by itself: too many mails were refused by policy. The last answer was: {answer}"
    actions.pause(broadcast, note, by=SYSTEM, now=now)
    events.ring(events.STAFF)
    return True


def finish(now: datetime, broadcast_ids: Collection[int] | None = None) -> list[int]:
    """Close the broadcasts that have nothing open any more (of these, or of all); returns which."""
    statement = (
        update(Broadcast)
        .where(
            Broadcast.state.in_((BroadcastState.SENDING, BroadcastState.PAUSED)),
            Broadcast.expanded_at.is_not(None),
            ~exists().where(Delivery.broadcast_id == Broadcast.id, Delivery.state.in_(OPEN_STATES)),
        )
        .values(state=BroadcastState.DONE, finished_at=now, note=None)
        .returning(Broadcast.id)
    )
    if broadcast_ids is not None:
        statement = statement.where(Broadcast.id.in_(broadcast_ids))
    done = list(db.session.scalars(statement, execution_options=_RAW))
    events.ring(*[events.broadcast_topic(each) for each in done])
    return done


def expire(now: datetime) -> None:
    """Close what is no longer worth sending: expired if it was never tried, failed if every try was put off."""
    overdue = db.session.scalars(
        select(Broadcast).where(
            Broadcast.state.in_((*ACTIVE, BroadcastState.PAUSED)),
            Broadcast.expires_at <= now,
            or_(
                Broadcast.expanded_at.is_(None),
                exists().where(Delivery.broadcast_id == Broadcast.id, _IS_PENDING),
            ),
        )
    ).all()
    for broadcast in overdue:
        for state, tried in (
            (DeliveryState.EXPIRED, Delivery.attempts == 0),
            (DeliveryState.FAILED, Delivery.attempts > 0),
        ):
            db.session.execute(
                update(Delivery)
                .where(Delivery.broadcast_id == broadcast.id, _IS_PENDING, tried)
                .values(state=state, finished_at=now),
                execution_options=_RAW,
            )
        if broadcast.expanded_at is None:
            broadcast.expanded_at, broadcast.state = now, BroadcastState.SENDING
        events.ring(events.broadcast_topic(broadcast.id))
    db.session.flush()
