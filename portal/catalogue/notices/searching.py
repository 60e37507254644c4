"""Notices by their subjects."""

from datetime import datetime
from typing import NamedTuple

from portal.accounts.rules import Viewpoint
from portal.catalogue.notices.models import Notice
from portal.catalogue.notices.rules import NoticeState
from portal.searching import NOTHING, Matches, find, reading


class NoticeHit(NamedTuple):
    """A notice that was found."""

    id: int
    title: str
    state: NoticeState
    updated_at: datetime


def search_notices(viewpoint: Viewpoint, text: str, limit: int, offset: int | None = None) -> Matches[NoticeHit]:
    """Notices by subject, of equal matches the one touched last first; for staff only.

    One that has become a broadcast is found as that, and left out here.
    """
    if not viewpoint.is_staff:
        return NOTHING
    return find(
        reading(Notice.id, Notice.title, Notice.state, Notice.updated_at).where(Notice.broadcast_id.is_(None)),
        [Notice.title_key],
        text,
        NoticeHit,
        newest_first=Notice.updated_at,
        limit=limit,
        offset=offset,
    )
