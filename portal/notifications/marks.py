"""The durable marks of what is being sent: one small row a slice, written with the results of the mails before.

A mail that is about to be offered is named on its slice, in the commit that stores what the servers have answered until
then; its own row is written once, with its result. So a commit costs as much for fifty connections as for one, and each
of them still has at most one mail in doubt. These statements are the hot path, so they are text.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, or_, select

from portal.extensions import db
from portal.notifications.kinds import ACCOUNT_TOPIC
from portal.notifications.models import Delivery, Slice
from portal.notifications.rules import ACTIVE, EVERY_TOPIC, DeliveryState, enhanced_code

Offered = Mapping[int, datetime]
"""Deliveries that were offered and not answered yet, each with the moment of its mark."""


class Sent(NamedTuple):
    """A mail that a server has taken, offered out of a slice at the moment `since`."""

    id: int
    slice_id: int
    since: datetime
    code: int
    text: str


def written(offered: Offered) -> str | None:
    """What stands on a slice: the deliveries by their moments, as JSON; None for none."""
    moments: dict[str, list[int]] = {}
    for delivery_id, since in offered.items():
        moments.setdefault(since.isoformat(), []).append(delivery_id)
    return json.dumps(moments) if moments else None


def read(text: str | None) -> dict[int, datetime]:
    """The opposite of `written`."""
    moments: dict[str, list[int]] = json.loads(text) if text else {}
    return {each: datetime.fromisoformat(since) for since, ids in moments.items() for each in ids}


def can_be_called_off() -> ColumnElement[bool]:
    """The condition that a delivery waits, and that no process is offering it to a server at this moment.

    Locks the marks until the end of the transaction, so that nothing is offered in between: whoever marks next sees
    what this transaction has changed.
    """
    slices = db.session.scalars(
        select(Slice.offered).where(Slice.offered.is_not(None)).order_by(Slice.id).with_for_update()
    )
    offered = [delivery_id for text in slices for delivery_id in read(text)]
    return or_(
        Delivery.state == DeliveryState.PENDING,
        (Delivery.state == DeliveryState.CLAIMED) & Delivery.id.not_in(offered),
    )


class Ledger:
    """Writes results and marks over one connection, in its own dialect."""

    def __init__(self, connection: Connection) -> None:
        self._is_sqlite = connection.dialect.name == "sqlite"
        self._execute = connection.exec_driver_sql

    def store(self, sent: Sequence[Sent], now: datetime) -> None:
        """Store that servers have taken these, wherever the mark is still the one under which they were offered.

        That holds for a slice that is ours, and for one that was lost as long as nobody has offered the mail anew.
        """
        if not sent:
            return
        if self._is_sqlite:
            at = _stored(now)
            self._execute(
                _STORE_SQLITE,
                [
                    {
                        "now": at,
                        "since": _stored(each.since),
                        "code": each.code,
                        "enhanced": enhanced_code(each.text),
                        "answer": each.text,
                        "id": each.id,
                        "slice": each.slice_id,
                    }
                    for each in sent
                ],
            )
            return
        self._execute(
            _STORE_POSTGRES,
            (
                now,
                [each.id for each in sent],
                [each.slice_id for each in sent],
                [each.since for each in sent],
                [each.code for each in sent],
                [enhanced_code(each.text) for each in sent],
                [each.text for each in sent],
            ),
        )

    def mark(
        self, offered: Mapping[int, Offered], ids: Collection[int], again: Collection[int], now: datetime
    ) -> frozenset[int]:
        """Mark what is in doubt from here on, slice by slice; returns those of `ids`, the new ones, that may indeed go.

        `again` are those of them that were offered before. The rest was cancelled, paused, suppressed, unsubscribed or
        overtaken in the meantime, or its slice is no longer ours. The marks come first: whoever closes deliveries from
        outside locks them (`can_be_called_off`), so one of the two sees the other.
        """
        execute = self._execute
        ours = []
        mark = _MARK_SQLITE if self._is_sqlite else _MARK_POSTGRES
        for slice_id in sorted(offered):
            if execute(mark, (written(offered[slice_id]), slice_id)).rowcount:
                ours.append(slice_id)
        if not ids or not ours:
            return frozenset()
        if self._is_sqlite:
            at = _stored(now)
            found = execute(_CHECK_SQLITE, (json.dumps(list(ids)), json.dumps(ours), at, at))
        else:
            found = execute(_CHECK_POSTGRES, (list(ids), ours, now, now))
        granted = frozenset([row[0] for row in found])
        if repeated := granted.intersection(again):
            # A late answer to the earlier offer must not be taken for one to this.
            if self._is_sqlite:
                execute(_AGAIN_SQLITE, (_stored(now), json.dumps(list(repeated))))
            else:
                execute(_AGAIN_POSTGRES, (now, list(repeated)))
        return granted


def _stored(moment: datetime) -> str:
    """A moment as `UTCDateTime` stores it in SQLite."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


# ruff: noqa: S608 (nothing but constants of this program is set into the statements below)
_ACTIVE = ", ".join(f"'{state.value}'" for state in ACTIVE)
_OPEN = "'claimed', 'sending', 'pending', 'unknown'"

_STORE_SQLITE = f"""
UPDATE delivery SET state = 'sent', attempts = attempts + 1, failure = NULL, slice_id = NULL,
    sending_since = :since, finished_at = :now, code = :code, enhanced_code = :enhanced, answer = :answer
WHERE id = :id AND state IN ({_OPEN}) AND (+slice_id = :slice OR sending_since = :since)
"""

# "IS NOT DISTINCT FROM" is what no index is looked up by: the primary key finds each row, and nothing else should be
# tried, however wrong the statistics are while thousands of rows change their state.
_STORE_POSTGRES = f"""
UPDATE delivery SET state = 'sent', attempts = attempts + 1, failure = NULL, slice_id = NULL,
    sending_since = result.since, finished_at = %s, code = result.code, enhanced_code = result.enhanced,
    answer = result.answer
FROM unnest(%s::bigint[], %s::bigint[], %s::timestamptz[], %s::int[], %s::text[], %s::text[])
    AS result (id, slice_id, since, code, enhanced, answer)
WHERE delivery.id = result.id AND delivery.state || '' IN ({_OPEN})
    AND (delivery.slice_id IS NOT DISTINCT FROM result.slice_id
        OR delivery.sending_since IS NOT DISTINCT FROM result.since)
"""

_MARK_SQLITE = "UPDATE delivery_slice SET offered = ? WHERE id = ?"
_MARK_POSTGRES = "UPDATE delivery_slice SET offered = %s WHERE id = %s"

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
WHERE delivery.state = 'claimed' AND +delivery.slice_id IN (SELECT value FROM json_each(?))
    AND {_MAY_GO.format(moment="?")}
"""

_CHECK_POSTGRES = f"""
SELECT delivery.id
FROM unnest(%s::bigint[]) AS chosen (id)
    JOIN delivery ON delivery.id = chosen.id
    JOIN broadcast ON broadcast.id = delivery.broadcast_id
WHERE delivery.state IS NOT DISTINCT FROM 'claimed' AND delivery.slice_id + 0 = ANY(%s::bigint[])
    AND {_MAY_GO.format(moment="%s")}
"""
