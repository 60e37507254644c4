"""Which relay takes mails now, how many, and over how many connections; and what it was given lately.

Called by the sending process in its own transactions. What is written here goes past the version of the row, so that
an admin who has its form open is not refused because a mail went out meanwhile.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from portal import events
from portal.config import Settings
from portal.extensions import db
from portal.notifications import actions, marks
from portal.notifications.models import MENDED, RAW, RELAY_PASSWORD, Relay, RelayUse, Slice
from portal.notifications.profiles import (
    DAY,
    DAY_SPAN,
    MINUTE,
    PORTS,
    SECOND_SPAN,
    Spent,
    begin_of_span,
    next_pace,
    room,
    room_again,
    url_of,
)
from portal.notifications.rules import Failure, RelayState, next_pause
from portal.sealing import Unreadable, unseal

DEFAULT_RELAY = "default"
UNREADABLE = "Its stored password was sealed with another secret key than today’s. Enter it again."
UNBOUNDED = 2**31


def prepare_relays(settings: Settings) -> None:
    """See to it that there is a relay. One whose address was changed is trusted again: that is how it is mended."""
    fingerprint = hashlib.sha256(settings.smtp_url.encode()).hexdigest()
    known = db.session.execute(select(Relay.id, Relay.fingerprint).where(Relay.host.is_(None))).first()
    if known is None:
        actions.insert_new(Relay, name=DEFAULT_RELAY, fingerprint=fingerprint)
    elif known.fingerprint != fingerprint:
        db.session.execute(update(Relay).where(Relay.id == known.id).values(fingerprint=fingerprint, **MENDED))
    db.session.flush()


def rest_relay(relay_id: int, failure: Failure, text: str, now: datetime) -> None:
    """Stop using a relay: for a while that doubles, or, where only an admin can help, until one has acted."""
    relay = db.session.execute(
        select(Relay.state, Relay.state_since, Relay.paused_until, Relay.pause_seconds, Relay.failing_since)
        .where(Relay.id == relay_id)
        .with_for_update()
    ).one()
    if relay.state is RelayState.PAUSED and relay.paused_until and relay.paused_until > now:
        return
    values: dict[str, Any] = {"failing_since": relay.failing_since or now, "last_answer": text[:500]}
    if failure is Failure.CONFIGURATION:
        values |= {"state": RelayState.BROKEN, "paused_until": None}
    else:
        pause = next_pause(timedelta(seconds=relay.pause_seconds))
        values |= {"state": RelayState.PAUSED, "paused_until": now + pause, "pause_seconds": int(pause.total_seconds())}
    values["state_since"] = relay.state_since if values["state"] is relay.state else now
    db.session.execute(update(Relay).where(Relay.id == relay_id).values(values))
    events.ring(events.STAFF)


def relay_works(relay_id: int) -> None:
    """A relay has taken a mail: what it did before is forgiven."""
    statement = (
        update(Relay)
        .where(Relay.id == relay_id, or_(Relay.state != RelayState.UP, Relay.pause_seconds != 0))
        .values(MENDED)
        .returning(Relay.id)
    )
    if db.session.scalars(statement, execution_options=RAW).first():
        events.ring(events.STAFF)


IN_USE = Relay.switched_off_at.is_(None) & Relay.removed_at.is_(None)
"""Relays that people have neither switched off nor removed."""


def usable_relays(now: datetime) -> Sequence[Relay]:
    """The relays that may be tried now, the preferred one first; locked, so that nothing is given out twice."""
    return db.session.scalars(
        select(Relay)
        .where(IN_USE)
        .where(or_(Relay.state == RelayState.UP, (Relay.state == RelayState.PAUSED) & (Relay.paused_until <= now)))
        .order_by(Relay.position, Relay.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()


def put_away(relay_ids: Collection[int]) -> frozenset[int]:
    """Those of these relays that were switched off or removed: what waits for them goes to others."""
    return frozenset(db.session.scalars(select(Relay.id).where(Relay.id.in_(relay_ids), ~IN_USE)))


def route_of(relay: Relay, settings: Settings, now: datetime) -> str | None:
    """The SMTP URL of a relay, its password included. None, and the relay is broken, if that cannot be read."""
    url = url_for(relay, settings)
    if url is None:
        rest_relay(relay.id, Failure.CONFIGURATION, UNREADABLE, now)
    return url


def url_for(relay: Relay, settings: Settings) -> str | None:
    """The same, for those who only look."""
    if relay.host is None:
        return settings.smtp_url
    try:
        password = unseal(relay.password_sealed, RELAY_PASSWORD) if relay.password_sealed else ""
    except Unreadable:
        return None
    return url_of(relay.security, relay.host, relay.port or PORTS[relay.security], relay.username or "", password)


def sender_of(relay: Relay, settings: Settings) -> str:
    """The address mails through this relay come from."""
    return relay.sender or settings.mail_from


BUSY_CONNECTIONS = 25
"""Connections that keep one sending process busy; what a relay has beyond them is for the next."""


def busy_connections() -> int:
    """The same on this database. Of SQLite only one process at a time can write, so the next would wait for it."""
    return UNBOUNDED if db.engine.dialect.name == "sqlite" else BUSY_CONNECTIONS


def free_connections(relay: Relay, owner: str, settings: Settings, now: datetime) -> int:
    """How many this process may hold: those it has, or else what is left of the relay's, up to what keeps it busy."""
    rows = db.session.execute(
        select(Slice.owner, func.max(Slice.connections))
        .where(Slice.relay_id == relay.id, Slice.leased_until > now)
        .group_by(Slice.owner)
    )
    held = dict(rows.all())
    mine = held.pop(owner, 0)
    left = (relay.connections or settings.connections_per_relay) - sum(held.values())
    return mine or min(left, busy_connections())


# What each was given, and what it has room for.


def allowance(relay: Relay, now: datetime) -> int:
    """How many mails may be claimed for the relay now. Nothing is looked up for one that is not bounded."""
    if not relay.limits.is_bounded:
        return UNBOUNDED
    found = room(relay.limits, spent_by([relay.id], now)[relay.id], relay.next_at, now)
    return UNBOUNDED if found is None else found


def note_claimed(relay: Relay, count: int, now: datetime) -> None:
    """Keep an even pace: the next mail is due so much later."""
    if relay.per_minute is not None:
        next_at = next_pace(relay.limits, count, relay.next_at, now)
        db.session.execute(update(Relay).where(Relay.id == relay.id).values(next_at=next_at))


def room_comes_at(owner: str, settings: Settings, now: datetime) -> datetime | None:
    """When the first bounded relay that this process may talk to has room again; None where there is no such relay."""
    found = [
        each
        for each in usable_relays(now)
        if each.limits.is_bounded and free_connections(each, owner, settings, now) > 0
    ]
    spent = spent_by([each.id for each in found], now)
    return min((room_again(each.limits, spent[each.id], each.next_at, now) for each in found), default=None)


def spent_by(relay_ids: Collection[int], now: datetime) -> dict[int, Spent]:
    """What each of the relays was given lately, and what is claimed for it. Four queries."""
    # In this order, because a mail that is marked in between must rather count twice than not at all; one that is on
    # its way counts twice until its result is stored.
    claimed = {relay_id: len(ids) for relay_id, ids in marks.unoffered(relay_ids).items()}
    spans: dict[tuple[int, int], list[tuple[datetime, int]]] = {}
    rows = db.session.execute(
        select(RelayUse.relay_id, RelayUse.span, RelayUse.began_at, RelayUse.offered)
        .where(RelayUse.relay_id.in_(relay_ids), RelayUse.offered > 0)
        .where(
            or_(
                (RelayUse.span == _seconds(SECOND_SPAN)) & (RelayUse.began_at > now - MINUTE - SECOND_SPAN),
                (RelayUse.span == _seconds(DAY_SPAN)) & (RelayUse.began_at > now - DAY - DAY_SPAN),
            )
        )
        .order_by(RelayUse.began_at)
    )
    for relay_id, span, began_at, offered in rows:
        spans.setdefault((relay_id, span), []).append((began_at, offered))
    return {
        each: Spent(
            spans.get((each, _seconds(SECOND_SPAN)), ()),
            spans.get((each, _seconds(DAY_SPAN)), ()),
            claimed.get(each, 0),
        )
        for each in relay_ids
    }


def count_use(connection: Connection, *, relay_id: int, now: datetime, use: Mapping[str, int]) -> None:
    """Add to what a relay was given in this second and in these ten minutes, in the transaction of `connection`.

    `use` counts what was offered, taken and refused, by these words; what is not named counts as none.
    """
    counts = {name: use.get(name, 0) for name in ("offered", "taken", "refused")}
    if not any(counts.values()):
        return
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = insert(RelayUse).values(
        [
            {"relay_id": relay_id, "span": _seconds(span), "began_at": begin_of_span(now, span), **counts}
            for span in (SECOND_SPAN, DAY_SPAN)
        ]
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["relay_id", "span", "began_at"],
            set_={name: getattr(RelayUse, name) + statement.excluded[name] for name in counts},
        )
    )


def forget_use(now: datetime) -> None:
    """Forget what was given so long ago that it bounds nothing any more."""
    kept = {SECOND_SPAN: MINUTE * 10, DAY_SPAN: DAY * 2}
    for span, window in kept.items():
        db.session.execute(
            delete(RelayUse).where(RelayUse.span == _seconds(span), RelayUse.began_at < now - window),
            execution_options=RAW,
        )


def _seconds(span: timedelta) -> int:
    return int(span.total_seconds())
