"""What a clock does of incidents and maintenance: all that is due, in one list.

How something *is* follows the clock without this. Here are the notices and what is made ahead, each of it once: a step
is done under the lock of its row, and moves the row on, so that two schedulers, a restart in the middle or a clock that
jumps do none twice.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select

from portal.extensions import db
from portal.incidents.actions.base import look_after_base
from portal.incidents.actions.by_clock import look_after
from portal.incidents.actions.conversations import due_ends, end_following
from portal.incidents.actions.drafts import publish_due
from portal.incidents.actions.nagging import remind
from portal.incidents.actions.series import make_occurrences
from portal.incidents.models import Maintenance, MaintenanceSeries
from portal.incidents.queries.base import due_bases, is_base_due
from portal.incidents.queries.drafts import due_drafts, is_draft_due
from portal.incidents.queries.nagging import due_nags, is_nag_due

AT_A_TIME = 100
"""Rows of a kind looked after in one go; further ones are due a moment later."""


def due(now: datetime) -> list[tuple[Callable[[int, datetime], bool], int]]:
    """What is due, longest due first of each kind: what does it, and the id of its row. One query a
    kind, two for what is followed."""
    return [
        *((look_after, row_id) for row_id in db.session.scalars(_due(Maintenance, now).limit(AT_A_TIME))),
        *((make_occurrences, row_id) for row_id in db.session.scalars(_due(MaintenanceSeries, now).limit(AT_A_TIME))),
        *((publish_due, row_id) for row_id in due_drafts(now, AT_A_TIME)),
        *((remind, row_id) for row_id in due_nags(now, AT_A_TIME)),
        *((look_after_base, row_id) for row_id in due_bases(now, AT_A_TIME)),
        *((end_following, row_id) for row_id in due_ends(now)),
    ]


def is_anything_due(now: datetime) -> bool:
    """Whether there is anything to look after. At most two queries a kind."""
    kinds = (_due(Maintenance, now), _due(MaintenanceSeries, now))
    if is_draft_due(now) or is_nag_due(now) or is_base_due(now) or due_ends(now):
        return True
    return any(db.session.scalar(each.limit(1)) is not None for each in kinds)


def _due(row: Any, now: datetime) -> Select[int]:
    return select(row.id).where(row.due_at <= now).order_by(row.due_at, row.id)
