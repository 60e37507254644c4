"""The only writers of jobs, quotes and their work statuses."""

from portal.jobs.actions.moves import (
    NOTICE_AFTER,
    Moved,
    Outcome,
    create_item,
    lock_settings,
    move,
    move_many,
)
from portal.jobs.actions.settings import (
    Saved,
    TableRefused,
    delete_status,
    reset_statuses,
    save_table,
)

__all__ = [
    "NOTICE_AFTER",
    "Moved",
    "Outcome",
    "Saved",
    "TableRefused",
    "create_item",
    "delete_status",
    "lock_settings",
    "move",
    "move_many",
    "reset_statuses",
    "save_table",
]
