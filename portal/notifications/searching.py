"""Broadcasts by their titles."""

from datetime import datetime
from typing import NamedTuple

from portal.accounts.rules import Viewpoint
from portal.notifications.kinds import ACCOUNT_TOPIC
from portal.notifications.models import Broadcast
from portal.notifications.rules import BroadcastState
from portal.searching import NOTHING, Matches, find, reading


class BroadcastHit(NamedTuple):
    """A broadcast that was found."""

    id: int
    title: str
    state: BroadcastState
    created_at: datetime


def search_broadcasts(viewpoint: Viewpoint, text: str, limit: int, offset: int | None = None) -> Matches[BroadcastHit]:
    """Broadcasts by title, of equal matches the newest first; for staff only. Letters about an account are none."""
    if not viewpoint.is_staff:
        return NOTHING
    return find(
        reading(Broadcast.id, Broadcast.title, Broadcast.state, Broadcast.created_at).where(
            Broadcast.topic != ACCOUNT_TOPIC
        ),
        [Broadcast.title_key],
        text,
        BroadcastHit,
        newest_first=Broadcast.created_at,
        limit=limit,
        offset=offset,
    )
