"""The only writers of what staff state of services."""

from portal.services.actions.clockwork import (
    close_of_ended_holdings,
    due_nags,
    due_windows,
    is_anything_due,
    look_after,
    nag,
)
from portal.services.actions.recovering import fix_and_recover, recover_with
from portal.services.actions.stating import checked_notes, set_status
from portal.services.actions.undoing import undo
from portal.services.actions.windows import cancel_window, finish_window, move_window
from portal.services.queries.undoing import undoable as may_undo
from portal.services.rules import Wanted

__all__ = [
    "Wanted",
    "cancel_window",
    "checked_notes",
    "close_of_ended_holdings",
    "due_nags",
    "due_windows",
    "finish_window",
    "fix_and_recover",
    "is_anything_due",
    "look_after",
    "may_undo",
    "move_window",
    "nag",
    "recover_with",
    "set_status",
    "undo",
]
