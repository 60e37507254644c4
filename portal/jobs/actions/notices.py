"""Noting that the customer of an item is to be mailed of its public status."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite

from portal.extensions import db
from portal.jobs.models import WorkNotice

NOTICE_AFTER = timedelta(minutes=2)
"""How long a change of the public status waits for further ones, so that they become one mail."""


def due_at(now: datetime) -> datetime:
    """When a change of this moment is mailed."""
    return now + NOTICE_AFTER


def noting() -> Any:
    """The statement that notes changes; where one waits already, what it began with and when it is due stay."""
    upsert = sqlite.insert if db.session.get_bind().dialect.name == "sqlite" else postgresql.insert
    return upsert(WorkNotice).on_conflict_do_nothing(index_elements=["item_id"])


def note_changes(changed: Mapping[int, int | None], now: datetime) -> None:
    """Note that these items show something else now; by id, with the public status each had before."""
    rows = [
        {"item_id": item_id, "from_public_status_id": before, "due_at": due_at(now)}
        for item_id, before in changed.items()
    ]
    if rows:
        db.session.execute(noting(), rows)
