"""What sending processes hold, what they have in doubt, and what servers have answered: small rows beside deliveries.

A slice names the deliveries that were claimed, and those of them that are offered to a server just now. What servers
have answered is noted in the commit that marks what is offered next, and written into the deliveries' own rows about
a thousand at a time. So a commit costs about as much for fifty connections as for one, each of them has at most one
mail in doubt at any commit, and the row of a delivery, wide and in many indexes, is written once.
These statements are the hot path, so they are text.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, or_, select, update

from portal.extensions import db
from portal.notifications.kinds import ACCOUNT_TOPIC
from portal.notifications.models import IS_PENDING, RAW, Delivery, Relay, Slice, SliceAnswers
from portal.notifications.rules import ACTIVE, EVERY_TOPIC, enhanced_code

Offered = Mapping[int, datetime]
"""Deliveries that were offered and not answered yet, each with the moment of its mark."""


class Sent(NamedTuple):
    """A mail that a server has taken, offered out of a slice at the moment `since`."""

    id: int
    slice_id: int
    since: datetime
    code: int
    text: str


# How they stand on a slice.


def packed(ids: Iterable[int]) -> str:
    """The deliveries of a slice, as JSON: pairs of a first id and how many follow each other from it on."""
    pairs: list[list[int]] = []
    for each in sorted(ids):
        if pairs and each == pairs[-1][0] + pairs[-1][1]:
            pairs[-1][1] += 1
        else:
            pairs.append([each, 1])
    return json.dumps(pairs)


def unpacked(text: str) -> Iterator[int]:
    """The opposite of `packed`."""
    for first, count in json.loads(text):
        yield from range(first, first + count)


def written(offered: Offered) -> str | None:
    """What is in doubt of a slice: the deliveries by their moments, as JSON; None for none."""
    moments: dict[str, list[int]] = {}
    for delivery_id, since in offered.items():
        moments.setdefault(since.isoformat(), []).append(delivery_id)
    return json.dumps(moments) if moments else None


def read(text: str | None) -> dict[int, datetime]:
    """The opposite of `written`."""
    moments: dict[str, list[int]] = json.loads(text) if text else {}
    return {each: datetime.fromisoformat(since) for since, ids in moments.items() for each in ids}


# Who holds what.


def held() -> frozenset[int]:
    """Every delivery that a process has claimed; of many the result is stored already. One query of a few rows."""
    return frozenset(each for ids in db.session.scalars(select(Slice.ids)) for each in unpacked(ids))


def held_by(slices: Collection[int]) -> dict[int, int]:
    """The deliveries of these slices, as far as they are there, each with its slice."""
    rows = db.session.execute(select(Slice.id, Slice.ids).where(Slice.id.in_(slices)))
    return {each: slice_id for slice_id, ids in rows for each in unpacked(ids)}


def give_back(ids: Collection[int], slices: Collection[int]) -> None:
    """Take deliveries from these slices, their marks too: those that wait are due again, for whoever claims them."""
    if not ids:
        return
    rows = db.session.execute(
        select(Slice.id, Slice.ids, Slice.offered).where(Slice.id.in_(slices)).order_by(Slice.id).with_for_update()
    ).all()
    for slice_id, text, marks in rows:
        found = frozenset(unpacked(text))
        left = found.difference(ids)
        if len(left) < len(found):
            offered = {each: since for each, since in read(marks).items() if each in left}
            db.session.execute(
                update(Slice).where(Slice.id == slice_id).values(ids=packed(left), offered=written(offered)),
                execution_options=RAW,
            )


def unoffered(relay_ids: Collection[int]) -> dict[int, set[int]]:
    """By relay, what is claimed for it and was not offered yet; of relays that are bounded, because of others nobody
    has to know, and it may be a lot. At most three queries."""
    claimed: dict[int, set[int]] = {}
    rows = db.session.execute(
        select(Slice.relay_id, Slice.ids, Slice.offered)
        .join(Relay, Relay.id == Slice.relay_id)
        .where(Slice.relay_id.in_(relay_ids), or_(Relay.per_minute.is_not(None), Relay.per_day.is_not(None)))
    )
    for relay_id, ids, offered in rows:
        claimed.setdefault(relay_id, set()).update(set(unpacked(ids)).difference(read(offered)))
    everything = {each for ids in claimed.values() for each in ids}
    if not everything:
        return claimed
    everything -= _answered()
    waiting = set(db.session.scalars(select(Delivery.id).where(Delivery.id.in_(everything), IS_PENDING)))
    return {relay_id: ids & waiting for relay_id, ids in claimed.items()}


def is_in_hand(delivery_id: int) -> bool:
    """Whether a server was offered this mail and what became of it is not in its row yet."""
    offered = db.session.scalars(select(Slice.offered).where(Slice.offered.is_not(None)))
    return any(delivery_id in read(text) for text in offered) or delivery_id in _answered()


def can_be_called_off() -> ColumnElement[bool]:
    """The condition that a delivery waits, and that no server was offered it.

    Locks what is held until the end of the transaction, so that nothing is claimed or offered in between: whoever
    marks next sees what this transaction has changed.
    """
    slices = select(Slice.offered).order_by(Slice.id).with_for_update()
    db.session.execute(slices)
    # Claims lock the relays: none is made from here on, and those made until here are locked too.
    db.session.execute(select(Relay.id).order_by(Relay.position, Relay.id).with_for_update())
    offered = {each for text in db.session.scalars(slices) for each in read(text)}
    return IS_PENDING & Delivery.id.not_in(offered | _answered())


def _answered() -> set[int]:
    """What servers have answered and is not in the rows yet."""
    texts = db.session.scalars(select(SliceAnswers.answers))
    return {answer[0] for text in texts for answer in json.loads(text)}


class Ledger:
    """Writes results and marks over one connection, in its own dialect."""

    def __init__(self, connection: Connection) -> None:
        self._is_sqlite = connection.dialect.name == "sqlite"
        self._execute = connection.exec_driver_sql

    def mark(self, offered: Mapping[int, Offered]) -> frozenset[int]:
        """Mark what is in doubt from here on, slice by slice; returns the slices that are still ours.

        The marks come first: whoever closes deliveries from outside locks them (`can_be_called_off`), so one of the
        two sees the other.
        """
        statement = _MARK_SQLITE if self._is_sqlite else _MARK_POSTGRES
        return frozenset(
            slice_id
            for slice_id in sorted(offered)
            if self._execute(statement, (written(offered[slice_id]), slice_id)).rowcount
        )

    def note(self, sent: Sequence[Sent], ours: Collection[int], now: datetime) -> None:
        """Note that servers have taken these. Of a slice that was lost the row itself is written at once, if nobody
        has offered the mail anew: saying so late is better than sending it twice."""
        at = self._stored(now)
        statement = _NOTE_SQLITE if self._is_sqlite else _NOTE_POSTGRES
        for slice_id, group in groupby(sent, attrgetter("slice_id")):
            answers = [
                (each.id, self._stored(each.since), each.code, enhanced_code(each.text), each.text) for each in group
            ]
            if slice_id in ours:
                self._execute(statement, (at, json.dumps(answers, default=_iso), slice_id))
            else:
                self._store(_LATE_SQLITE if self._is_sqlite else _LATE_POSTGRES, [(None, None, at, answers)])

    def may_go(self, ids: Collection[int], again: Collection[int], now: datetime) -> frozenset[int]:
        """Those of these marked mails that may indeed be offered. `again` are those of them that were offered before.

        The rest was cancelled, paused, suppressed, unsubscribed or overtaken in the meantime.
        """
        at = self._stored(now)
        if self._is_sqlite:
            found = self._execute(_CHECK_SQLITE, (json.dumps(list(ids)), at, at))
        else:
            found = self._execute(_CHECK_POSTGRES, (list(ids), at, at))
        granted = frozenset([row[0] for row in found])
        if repeated := granted.intersection(again):
            # A late answer to the earlier offer must not be taken for one to this.
            if self._is_sqlite:
                self._execute(_AGAIN_SQLITE, (at, json.dumps(list(repeated))))
            else:
                self._execute(_AGAIN_POSTGRES, (at, list(repeated)))
        return granted

    def fold(self, slices: Collection[int]) -> int:
        """Write what is noted of these slices into the rows of the deliveries; returns how many that were."""
        if self._is_sqlite:
            found = self._execute(_TAKE_SQLITE, (json.dumps(list(slices)),)).all()
        else:
            found = self._execute(_TAKE_POSTGRES, (list(slices),)).all()
        notes = [(*row[:3], json.loads(row[3])) for row in found]
        if notes:
            self._store(_STORE_SQLITE if self._is_sqlite else _STORE_POSTGRES, notes)
        return sum(len(answers) for *_of, answers in notes)

    def _store(self, statement: str, notes: Sequence[tuple[Any, Any, Any, Sequence[Sequence[Any]]]]) -> None:
        """Run a statement that stores results: for each note its relay, the moments of claim and answer, the answers.

        In the order of the rows, so that two transactions never wait for each other in a ring.
        """
        rows = sorted(
            (delivery_id, relay_id, claimed_at, at, *rest)
            for relay_id, claimed_at, at, answers in notes
            for delivery_id, *rest in answers
        )
        if self._is_sqlite:
            self._execute(statement, [(*row[1:], row[0]) for row in rows])
        else:
            self._execute(statement, tuple([list(column) for column in zip(*rows, strict=True)]))

    def _stored(self, moment: datetime) -> Any:
        """A moment as `UTCDateTime` stores it."""
        if not self._is_sqlite:
            return moment
        return moment.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


def _iso(moment: datetime) -> str:
    return moment.isoformat()


# ruff: noqa: S608 (nothing but constants of this program is set into the statements below)
_ACTIVE = ", ".join(f"'{state.value}'" for state in ACTIVE)
_OPEN = "'pending', 'unknown'"

_MARK_SQLITE = "UPDATE delivery_slice SET offered = ? WHERE id = ?"
_MARK_POSTGRES = "UPDATE delivery_slice SET offered = %s WHERE id = %s"

_NOTE_SQLITE = """
INSERT INTO delivery_slice_answers (slice_id, relay_id, claimed_at, answered_at, answers)
SELECT id, relay_id, created_at, ?, ? FROM delivery_slice WHERE id = ?
"""
_NOTE_POSTGRES = _NOTE_SQLITE.replace("?", "%s")

_TAKE_SQLITE = """
DELETE FROM delivery_slice_answers WHERE slice_id IN (SELECT value FROM json_each(?))
RETURNING relay_id, claimed_at, answered_at, answers
"""
_TAKE_POSTGRES = """
DELETE FROM delivery_slice_answers WHERE slice_id = ANY(%s) RETURNING relay_id, claimed_at, answered_at, answers
"""

_STORE_SQLITE = f"""
UPDATE delivery SET state = 'sent', attempts = attempts + 1, failure = NULL, relay_id = coalesce(?, relay_id),
    first_attempt_at = coalesce(first_attempt_at, ?), finished_at = ?, sending_since = ?, code = ?, enhanced_code = ?,
    answer = ?
WHERE id = ? AND state IN ({_OPEN})
"""
_LATE_SQLITE = f"{_STORE_SQLITE} AND sending_since = ?4"

# "IS NOT DISTINCT FROM" is what no index is looked up by: the primary key finds each row, and nothing else should be
# tried, however wrong the statistics are while thousands of rows change their state.
_STORE_POSTGRES = f"""
UPDATE delivery SET state = 'sent', attempts = attempts + 1, failure = NULL,
    relay_id = coalesce(result.relay_id, delivery.relay_id),
    first_attempt_at = coalesce(first_attempt_at, result.claimed_at), finished_at = result.at,
    sending_since = result.since, code = result.code, enhanced_code = result.enhanced, answer = result.answer
FROM unnest(%s::bigint[], %s::bigint[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[], %s::int[], %s::text[],
    %s::text[]) AS result (id, relay_id, claimed_at, at, since, code, enhanced, answer)
WHERE delivery.id = result.id AND delivery.state || '' IN ({_OPEN})
"""
_LATE_POSTGRES = f"{_STORE_POSTGRES} AND delivery.sending_since IS NOT DISTINCT FROM result.since"

_AGAIN_SQLITE = "UPDATE delivery SET sending_since = ? WHERE id IN (SELECT value FROM json_each(?))"
_AGAIN_POSTGRES = "UPDATE delivery SET sending_since = %s WHERE id = ANY(%s)"

# What may stop a mail between its claim and its offer; `results.turn_away` tells which of it did.
_MAY_GO = f"""
broadcast.state IN ({_ACTIVE}) AND broadcast.expires_at > {{moment}}
AND NOT EXISTS (SELECT 1 FROM outbound WHERE paused_at IS NOT NULL)
AND (broadcast.topic = '{ACCOUNT_TOPIC}' OR NOT EXISTS (
    SELECT 1 FROM suppression
    WHERE suppression.address_key = delivery.address_key AND suppression.scope IN ('{EVERY_TOPIC}', broadcast.topic)
        AND (suppression.until IS NULL OR suppression.until > {{moment}})))
AND (delivery.person_id IS NULL OR (
    EXISTS (SELECT 1 FROM person WHERE person.id = delivery.person_id AND person.deactivated_at IS NULL)
    AND NOT EXISTS (
        SELECT 1 FROM preference
        WHERE preference.person_id = delivery.person_id AND preference.topic = broadcast.topic
            AND preference.channel = 'mail' AND NOT preference.wanted)))
"""

_CHECK_SQLITE = f"""
SELECT delivery.id
FROM json_each(?) AS chosen
    CROSS JOIN delivery ON delivery.id = chosen.value
    CROSS JOIN broadcast ON broadcast.id = delivery.broadcast_id
WHERE +delivery.state = 'pending' AND {_MAY_GO.format(moment="?")}
"""

_CHECK_POSTGRES = f"""
SELECT delivery.id
FROM unnest(%s::bigint[]) AS chosen (id)
    JOIN delivery ON delivery.id = chosen.id
    JOIN broadcast ON broadcast.id = delivery.broadcast_id
WHERE delivery.state IS NOT DISTINCT FROM 'pending' AND {_MAY_GO.format(moment="%s")}
"""
