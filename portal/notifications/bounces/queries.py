"""Reading what came back, for staff."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import func, select

from portal.extensions import db
from portal.notifications.bounces.models import BounceMailbox, BounceReport
from portal.notifications.bounces.rules import FOR_A_HUMAN, NOT_ARRIVED, Outcome
from portal.notifications.models import Delivery

NEWEST = 50
"""Reports a list names; beyond them it gives their number."""


class Wanted(StrEnum):
    """Which reports are shown."""

    ALL = "all"
    STOPPED = "stopped"
    FOR_A_HUMAN = "look"


_OUTCOMES: Mapping[Wanted, frozenset[Outcome]] = {
    Wanted.ALL: frozenset(Outcome),
    Wanted.STOPPED: NOT_ARRIVED | {Outcome.COMPLAINT},
    Wanted.FOR_A_HUMAN: FOR_A_HUMAN,
}


class Line(NamedTuple):
    """A report with the broadcast it is about; None where it is about none, or one that was forgotten."""

    report: BounceReport
    broadcast_id: int | None


class Mailbox(NamedTuple):
    """How the mailbox fares: since when it has failed and with which words, when it was read and will be again, and how
    many reports lay in it unread then (None: nobody has looked yet)."""

    polled_at: datetime | None
    failing_since: datetime | None
    last_answer: str
    next_poll_at: datetime | None
    unread: int | None


def mailbox() -> Mailbox:
    """How the mailbox fares. One query."""
    row = db.session.execute(
        select(
            BounceMailbox.polled_at,
            BounceMailbox.failing_since,
            BounceMailbox.last_answer,
            BounceMailbox.next_poll_at,
            BounceMailbox.unread,
        )
    ).one()
    return Mailbox(row.polled_at, row.failing_since, row.last_answer or "", row.next_poll_at, row.unread)


def counts(since: datetime) -> Mapping[Outcome, int]:
    """How many reports there were of each outcome since then. One query."""
    rows = db.session.execute(
        select(BounceReport.outcome, func.count())
        .where(BounceReport.received_at >= since)
        .group_by(BounceReport.outcome)
    )
    return dict(rows.all())


def newest(wanted: Wanted) -> Sequence[Line]:
    """The newest reports of this sort, at most NEWEST. One query."""
    rows = db.session.execute(
        select(BounceReport, Delivery.broadcast_id)
        .outerjoin(Delivery, Delivery.id == BounceReport.delivery_id)
        .where(BounceReport.outcome.in_(_OUTCOMES[wanted]))
        .order_by(BounceReport.received_at.desc(), BounceReport.id.desc())
        .limit(NEWEST)
    )
    return [Line(report, broadcast_id) for report, broadcast_id in rows]


def counted(found: Mapping[Outcome, int], wanted: Wanted) -> int:
    """How many of the counted ones are of this sort."""
    return sum(number for outcome, number in found.items() if outcome in _OUTCOMES[wanted])
