"""Telephones that are named for one thing and are nobody's channel: a row each while they are told something.

The lane of channels works through rows, one receiver at a time, and knows from them which one fails. A number gets its
row when it is first told something and loses it a month after it last was, so nothing has to follow who names it where;
one that was given up is tried again after that month.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import and_, delete, exists, func, select

from portal import sealing
from portal.extensions import db
from portal.notifications.actions.inserting import insert_new
from portal.notifications.channels.rules import ChannelKind, ChannelState, masked
from portal.notifications.channels.sealed import ADDRESS, fingerprint
from portal.notifications.models import RAW, ContactChannel, Delivery
from portal.notifications.rules import OPEN_STATES

KEPT_FOR = timedelta(days=30)


def slots_of(numbers: Collection[str], now: datetime) -> dict[str, ContactChannel]:
    """The rows of these numbers, in E.164, made where there is none yet. Two queries."""
    marks = {fingerprint(ChannelKind.SMS, each): each for each in numbers}
    insert_new(
        ContactChannel,
        *(
            {
                "is_dialled": True,
                "kind": ChannelKind.SMS,
                "label": masked(ChannelKind.SMS, number),
                "address": sealing.seal(number, ADDRESS),
                "hint": masked(ChannelKind.SMS, number),
                "fingerprint": mark,
                "language": "en",
                "topics": [],
                "state": ChannelState.WORKING,
                "failures": 0,
                "created_at": now,
                "version": 1,
            }
            for mark, number in sorted(marks.items())
        ),
    )
    return {marks[each.fingerprint]: each for each in rows_of(marks)}


def rows_of(marks: Collection[str]) -> Sequence[ContactChannel]:
    """The rows there are of these fingerprints. One query."""
    return db.session.scalars(
        select(ContactChannel).where(ContactChannel.is_dialled, ContactChannel.fingerprint.in_(marks))
    ).all()


def given_up(numbers: Collection[str]) -> Mapping[str, str]:
    """Why nothing is sent to those of these numbers that were given up: the gateway's last words. One query."""
    marks = {fingerprint(ChannelKind.SMS, each): each for each in numbers}
    rows = rows_of(marks) if marks else ()
    return {marks[each.fingerprint]: each.reason or "" for each in rows if each.state is ChannelState.DISABLED}


def tidy(now: datetime, limit: int = 500) -> int:
    """Forget numbers that were told nothing for a month; returns how many. Nothing that waits is lost by it."""
    waits = exists().where(Delivery.contact_channel_id == ContactChannel.id, Delivery.state.in_(OPEN_STATES))
    last = func.coalesce(ContactChannel.served_at, ContactChannel.created_at)
    old = (
        select(ContactChannel.id)
        .where(and_(ContactChannel.is_dialled, last < now - KEPT_FOR, ~waits.correlate(ContactChannel)))
        .order_by(ContactChannel.id)
        .limit(limit)
    )
    gone = db.session.execute(
        delete(ContactChannel).where(ContactChannel.id.in_(old)).returning(ContactChannel.id), execution_options=RAW
    )
    return len(gone.all())
