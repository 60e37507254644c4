"""Whether questions about service statuses are answered: Assistant → Permissions → Service status access."""

from datetime import datetime

from portal import events
from portal.audit import actions as audit
from portal.audit.rules import Actor
from portal.extensions import db
from portal.services.actions.settings import settings_row
from portal.services.queries.settings import settings


def set_assistant(is_open: bool, *, version: int, by: Actor, now: datetime) -> bool:
    """Answer questions from now on, or none any more: in portals, in the API and to assistants, all at once.

    Whether that is different from before. `version` is that of `queries.settings`, 0 while nobody changed anything;
    StaleEdit when somebody else did meanwhile.
    """
    was_open = settings().is_assistant_open
    row = settings_row(version)
    if was_open == is_open:
        return False
    row.is_assistant_open = is_open
    db.session.flush()
    events.ring(events.STAFF)
    events.wake("look_after_assistant")
    audit.record(
        "assistant.open" if is_open else "assistant.close",
        object_kind="assistant",
        object_id=None,
        by=by,
        now=now,
        before={"service_status_access": was_open},
        after={"service_status_access": is_open},
    )
    return True
